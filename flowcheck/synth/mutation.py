"""What a mutant is, and what of a rule may be changed at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..rulebook.patterns import any_matches
from ..rulebook.rule import Check, Condition, Group, Rule, Step
from . import values
from .choices import path_to
from .plan import Act, Plan

APPLICATION = ("cwmp", "http", "hnbap", "s1ap", "json", "xml", "ftp", "dns", "emm", "gmm", "diameter", "map", "gtp",
               "gtpv2", "omacp", "syncml", "ssh", "coap")
STOPPED = frozenset(("stopped", "missing"))
Form = tuple[str, str, str]  # step, kind of message, what carries it

SAID_BY_ANSWER = ("another_round",)  # of a request, what only its answer shows


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    acts: tuple[Act, ...]
    steps: frozenset[str]  # the finding is at one of these steps
    kinds: frozenset[str]  # and of one of these kinds
    detail: str = ""  # what its code ends with
    severity: str = "error"

    @property
    def expected(self) -> str:
        return f"{'|'.join(sorted(self.steps))}/{'|'.join(sorted(self.kinds))}" + (
            f":{self.detail}" if self.detail else ""
        )


def form(act: Act) -> Form:
    """What of a rule the act shows: another message, or another carrier, shows something else."""
    return act.step, act.kind, str(act.content.get("protocol", ""))


def loose_steps(rule: Rule) -> frozenset[str]:
    """Steps that may be left out, or whose `when` a capture need not settle."""
    found: set[str] = set()

    def walk(items: tuple[Step | Group, ...], free: bool) -> None:
        for item in items:
            here = free or item.optional or is_open(item.when)
            if isinstance(item, Group):
                walk(item.items, here or item.order == "one_of")
            elif here:
                found.add(item.step)

    walk(rule.items, False)
    return frozenset(found)


def optional_steps(rule: Rule) -> frozenset[str]:
    """Steps that may be left out because they, or a group that they are in, are optional."""
    found: set[str] = set()

    def walk(items: tuple[Step | Group, ...], free: bool) -> None:
        for item in items:
            if isinstance(item, Group):
                walk(item.items, free or item.optional)
            elif free or item.optional:
                found.add(item.step)

    walk(rule.items, False)
    return frozenset(found)


def repeated_steps(rule: Rule) -> frozenset[str]:
    """Steps that may come again, by themselves or with a group that they are in."""
    found: set[str] = set()

    def walk(items: tuple[Step | Group, ...], again: bool) -> None:
        for item in items:
            here = again or item.repeat.maximum > 1
            if isinstance(item, Group):
                walk(item.items, here)
            elif here:
                found.add(item.step)

    walk(rule.items, False)
    return frozenset(found)


def is_open(condition: Condition | None) -> bool:
    if condition is None:
        return False
    if condition.test in ("not", "all", "any"):
        return any(is_open(part) for part in condition.arguments)
    return condition.test in ("needs_lookup", "is_name", "equals")


def unordered(rule: Rule, one: str, other: str) -> bool:
    """Do they stand in different items of a group that has no order?"""

    def groups(items: tuple[Step | Group, ...]) -> Iterator[Group]:
        for item in items:
            if isinstance(item, Group):
                yield item
                yield from groups(item.items)

    def place(group: Group, name: str) -> int | None:
        return next((number for number, item in enumerate(group.items) if path_to((item,), name)), None)

    places = [(place(g, one), place(g, other)) for g in groups(rule.items) if g.order == "any"]
    return any(a is not None and b is not None and a != b for a, b in places)


def shows_anyway(act: Act, step: Step) -> bool:
    """Is a step that one message stands for another in taken, too, by the connection that later messages need?"""
    return act.protocol != "tcp" and any(kind.startswith("tcp.") for kind in step.messages)


def fits(content: Any, check: Check, plan: Plan) -> bool:
    """Is the message still the one the step means?"""
    wanted, names = values.wanted_value(check, plan.resolve), values.names_of(check, plan.resolve)
    if check.target in ("parameter", "parameters"):
        held = [value for name, value in content.get("ParameterList", {}).items() if any_matches(names, name)]
        return values.holds(check.test, held or values.MISSING, wanted)
    if check.target == "json":
        return values.holds(
            check.test, content.get("body", {}).get(names[0], values.MISSING) if names else values.MISSING, wanted
        )
    return all(
        name in values.STRUCTURAL or values.holds(check.test, content.get(name, values.MISSING), wanted)
        for name in names
    )


def twins(rule: Rule, step: Step) -> Iterator[str]:
    """Steps whose request looks the same: which of them was meant shows in the answer, which does not come."""
    request = rule.step(step.answers)
    for other in rule.steps():
        if other.answers and other.step != step.step:
            asked = rule.step(other.answers)
            if (asked.messages, asked.src, _bare(asked)) == (
                request.messages,
                request.src,
                _bare(request),
            ) and asked.dst in (None, request.dst):
                yield other.step


def _bare(step: Step) -> list[tuple[Any, ...]]:
    return [
        (check.target, check.names, check.test, check.value) for check in step.where if check.names != SAID_BY_ANSWER
    ]
