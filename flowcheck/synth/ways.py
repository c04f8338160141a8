"""Mutants in which a message comes too late, by another way, or before another."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from ..rulebook.rule import Reference, Step
from . import values
from .mutation import APPLICATION, STOPPED, Form, Mutant, fits, form, repeated_steps, shows_anyway, unordered
from .plan import Act, Plan

# protocols whose messages are told of when the rule has no place for them; files, lookups and connections come and go
TOLD = ("cwmp", "hnbap", "s1ap", "json", "xml", "emm", "gmm", "diameter", "map", "gtp", "gtpv2", "omacp", "syncml")
MARGIN = 2.0  # s by which a late message is late
MOST = 300.0  # s: a later message is another attempt's


def late(plan: Plan, index: int, act: Act, step: Step) -> Iterator[Mutant]:
    if step.within is None or not any(a.step == step.within.after for a in plan.acts[:index]):
        return
    seconds = step.within.seconds
    seconds = plan.resolve(seconds) if isinstance(seconds, Reference) else seconds
    if seconds is values.MISSING or seconds + MARGIN > MOST:
        return
    acts = (*plan.acts[:index], replace(act, wait=seconds + MARGIN), *plan.acts[index + 1 :])
    yield Mutant(
        f"{act.step}: late",
        acts,
        frozenset((act.step,)),
        frozenset(("late",)),
        severity="error" if step.within.basis == "spec" else "warning",
    )


def wrong_path(plan: Plan, index: int, act: Act, step: Step) -> Iterator[Mutant]:
    roles = [plan.rule.role(name) for name in (step.src, step.dst) if name]
    tunnelled = step.inside == "ipsec" or step.perhaps_inside is None and any(r.path == "tunnel" for r in roles)
    server = act.dst if act.src == plan.world.device else act.src
    if act.tunnel and (tunnelled or "ipsec" in step.should_be_inside and not act.tls):
        name, change = "outside the tunnel", {"tunnel": False}
    elif act.tls and (step.inside == "tls" or "tls" in step.should_be_inside):
        name, change = "in clear", {"tls": False}
    else:
        return
    acts = tuple(
        replace(a, **change) if server in (a.src, a.dst) else a
        for a in plan.acts
        if not ("tls" in change and a.protocol == "tls" and server in (a.src, a.dst))
    )
    yield Mutant(
        f"{act.step}: {name}",
        acts,
        frozenset((act.step,)),
        frozenset(("wrong-path",)),
        severity="warning" if step.should_be_inside else "error",
    )


def swapped(plan: Plan, loose: frozenset[str], but: Collection[Form]) -> Iterator[Mutant]:
    """Two exchanges after each other in the other order. Sessions and lookups have an order by themselves."""
    blocks = _exchanges(plan)
    for (a, b), (c, d) in zip(blocks, blocks[1:]):
        first, second = plan.acts[a], plan.acts[c]
        if (
            b != c
            or a == 0  # what opens an attempt opens it wherever it comes
            or shows_anyway(first, plan.rule.step(first.step))
            or shows_anyway(second, plan.rule.step(second.step))
            or first.step in loose
            or second.step in loose
            or form(first) in but
            and form(second) in but
            or unordered(plan.rule, first.step, second.step)
        ):
            continue
        yield Mutant(
            f"{first.step} and {second.step}: in the other order",
            (*plan.acts[:a], *plan.acts[c:d], *plan.acts[a:b], *plan.acts[d:]),
            frozenset((first.step, second.step)),
            STOPPED | {"out-of-order"},
        )


def twice(plan: Plan, but: Collection[Form]) -> Iterator[Mutant]:
    """An exchange that the rule has once comes once more."""
    repeated = repeated_steps(plan.rule)
    for start, end in _exchanges(plan):
        first = plan.acts[start]
        if not start or first.step in repeated or form(first) in but or first.protocol not in TOLD:
            continue
        if any(_may_be(plan, first, step) for step in plan.rule.steps() if step.step != first.step):
            continue
        again = plan.acts[start:end]
        yield Mutant(
            f"{first.step}: twice",
            (*plan.acts[:end], *again, *plan.acts[end:]),
            frozenset(act.step for act in again),
            frozenset(("unexpected",)),
            severity="notice",
        )


def _may_be(plan: Plan, act: Act, step: Step) -> bool:
    """Does the rule have another place for the message?"""
    return (
        act.kind in step.messages
        and not step.forbidden
        and {step.src, step.dst} - {None} <= {act.src, act.dst}
        and all(fits(act.content, check, plan) for check in step.where)
    )


def _exchanges(plan: Plan) -> list[tuple[int, int]]:
    """The requests of applications with their answers: where in the run they begin and end."""
    blocks: list[tuple[int, int]] = []
    for index, act in enumerate(plan.acts):
        if blocks and (act.answers or act.protocol in ("tcp", "tls", "sctp")) and index == blocks[-1][1]:
            if act.answers == plan.acts[blocks[-1][0]].step:
                blocks[-1] = (blocks[-1][0], index + 1)
            continue
        if (
            act.protocol in APPLICATION
            and act.kind not in ("cwmp.Inform", "cwmp.session_end", "dns.query")
            and not act.answers
        ):
            blocks.append((index, index + 1))
    return blocks
