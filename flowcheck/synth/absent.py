"""Mutants in which something does not come: an answer, an exchange, the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..rulebook.rule import Step
from .mutation import APPLICATION, STOPPED, Mutant, shows_anyway, twins, unordered
from .plan import Act, Plan


NUMBERED = ("dns", "diameter", "gtp", "gtpv2", "coap")  # protocols whose answers bear the number of the request


def unanswered(plan: Plan, index: int, act: Act, step: Step) -> Iterator[Mutant]:
    before = plan.acts[:index]
    if not before or step.optional:
        return
    silent = (*before[:-1], replace(before[-1], unanswered=True))
    yield Mutant(
        f"{act.step}: no answer",
        silent,
        frozenset((act.step, *twins(plan.rule, step))),
        frozenset(("no-answer",) if plan.rule.is_reply(step) else ("missing", "stopped")),
        severity=step.severity,
    )


def astray(plan: Plan, index: int, act: Act, step: Step) -> Iterator[Mutant]:
    """An answer that bears the number of another request is none."""
    carrier = act.content.get("protocol", "")
    if step.optional or not (act.protocol in NUMBERED or carrier in NUMBERED) or not act.answers:
        return
    yield Mutant(
        f"{act.step}: for another request",
        (*plan.acts[:index], replace(act, astray=True)),
        frozenset((act.step, *twins(plan.rule, step))),
        frozenset(("no-answer",)),
        severity=step.severity,
    )


def stopped(plan: Plan, index: int, act: Act, step: Step) -> Mutant:
    # a session that nobody ends properly is broken off
    broken = (replace(act, content={"complete": False, "by": "device"}),) if act.kind == "cwmp.session_end" else ()
    instead = (a.step for a in plan.acts[index + 1 :] if unordered(plan.rule, act.step, a.step))
    return Mutant(
        f"{act.step}: nothing from here on",
        (*plan.acts[:index], *broken),
        frozenset((act.step, *instead)),
        STOPPED | {"no-answer"} if broken else STOPPED,
        severity=step.severity,
    )


def skipped(plan: Plan, index: int, act: Act, step: Step) -> Iterator[Mutant]:
    """The exchange left out, and the rest as if nothing was."""
    if act.protocol not in APPLICATION or act.kind in ("cwmp.Inform", "cwmp.session_end", "dns.query"):
        return
    if shows_anyway(act, step):
        return
    rest = tuple(a for a in plan.acts[index:] if a.step != act.step and a.answers != act.step)
    if any(a.protocol in APPLICATION for a in rest):
        yield Mutant(
            f"{act.step}: left out",
            (*plan.acts[:index], *rest),
            frozenset((act.step,)),
            STOPPED | {"out-of-order"},
            severity=step.severity,
        )
