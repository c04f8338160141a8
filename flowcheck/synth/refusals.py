"""Mutants in which the answer is a refusal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..rulebook.rule import Pattern, Step
from . import values
from .choices import CARRIERS
from .content import DEFAULTS
from .mutation import Mutant, twins
from .plan import Act, Plan
from .stage import encodable

GAVE_UP = ("cwmp.session_end", "tcp.fin", "tcp.reset")


def refused(plan: Plan, index: int, act: Act, step: Step) -> Iterator[Mutant]:
    before = plan.acts[:index]
    for pattern in step.refused_by:
        kind = _kind(act, step, pattern)
        for name, content in _refusals(plan, kind, pattern) if kind is not None else ():
            src = pattern.src or act.src
            dst = act.src if src == act.dst else act.dst
            if kind == "cwmp.session_end":
                by_device = content.get("by", "device" if act.dst == plan.world.device else "acs") == "device"
                content = {"by": "device" if by_device else "acs", **content}
                src, dst = plan.world.device, act.src if act.src != plan.world.device else act.dst
            refusal = Act(act.step, kind, src, dst, content, act.answers, act.tunnel, act.tls)
            # who asked and then refuses the answer has been given it (RFC 7296 2.21.2)
            given = (act,) if pattern.src is not None and pattern.src == act.dst else ()
            gave_up = kind in GAVE_UP or kind == "sctp.abort" and src == plan.world.device
            yield Mutant(
                f"{act.step}: refused by {kind}{' ' + name if name else ''}",
                (*before, *given, refusal),
                frozenset((act.step, *(twins(plan.rule, step) if act.answers else ()))),
                frozenset(("no-answer",) if gave_up else ("refused",)),
            )


def _kind(act: Act, step: Step, pattern: Pattern) -> str | None:
    """The message of the pattern that the act's protocol refuses by: of those that stand for one another, its own."""
    rivals = {kind.partition(".")[0] for kind in step.messages}
    if act.content.get("protocol") in CARRIERS:
        rivals |= {*CARRIERS, "tls"} - {act.content["protocol"]} - ({"tls"} if act.tls else set())
    rivals.discard(act.protocol)
    possible = [kind for kind in pattern.messages if encodable(kind) and kind.partition(".")[0] not in rivals]
    return next((kind for kind in possible if kind.partition(".")[0] == act.protocol), next(iter(possible), None))


def _refusals(plan: Plan, kind: str, pattern: Pattern) -> Iterator[tuple[str, dict[str, Any]]]:
    """The contents of a refusing message: one for each value that its `where` lists."""
    base: dict[str, Any] = dict(DEFAULTS.get(kind, {}))
    if kind == "tls.alert":
        base = {"description": "handshake_failure", "level": "fatal"}
    elif kind == "cwmp.session_end":
        base = {"complete": False}
    elif kind == "http.response":
        about = {name for check in pattern.where for name in values.names_of(check, plan.resolve)}
        base = {"status": 401 if "challenge_unmet" in about else 403 if "status" in about else 200, "body_length": 20}
    elif kind == "cwmp.Fault":
        base = {"FaultCode": 8003 if pattern.src != plan.world.device else 9003}
    listed = next((c for c in pattern.where if c.test == "in" and isinstance(c.value, tuple)), None)
    for value in listed.value if listed is not None else ("",):
        content = dict(base)
        if listed is not None:
            content[listed.names[0]] = value
        if all(
            values.satisfy(content, check, plan.resolve, lambda pattern: "1", plan.world.radio)
            for check in pattern.where
        ):
            yield str(value), content
