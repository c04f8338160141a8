"""What a mutant is, and what of a rule may be changed at all."""

from __future__ import annotations

from dataclasses import dataclass

from ..rulebook.rule import Condition, Group, Rule, Step
from .plan import Act

APPLICATION = ("cwmp", "http", "hnbap", "s1ap", "json", "xml", "ftp", "dns", "emm", "gmm", "diameter", "map", "gtp",
               "gtpv2", "omacp", "syncml", "ssh", "coap")
STOPPED = frozenset(("stopped", "missing"))
Form = tuple[str, str, str]  # step, kind of message, what carries it


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


def is_open(condition: Condition | None) -> bool:
    if condition is None:
        return False
    if condition.test in ("not", "all", "any"):
        return any(is_open(part) for part in condition.arguments)
    return condition.test in ("needs_lookup", "is_name", "equals")
