"""What a rule asks of messages, by their kind: made once for each rule, before any message is looked at."""

from __future__ import annotations

from functools import lru_cache

from ..rulebook.rule import Pattern, Rule, Step
from .checks import content

ENDS = frozenset(("cwmp.session_end", "tcp.reset", "tcp.fin"))    # they belong to an attempt whose connection they end


@lru_cache(maxsize=64)
def steps_by_kind(rule: Rule, forbidden: bool = False) -> dict[str, list[Step]]:
    """Message kind -> the steps that it could be, or could be the refusal of, in the order of the file.

    What is `forbidden` is no part of an attempt, unless asked for.
    """
    found: dict[str, list[Step]] = {}
    for step in rule.steps():
        if forbidden or step.messages and not step.forbidden:
            for kind in dict.fromkeys((*step.messages, *(kind for pattern in step.refused_by
                                                         for kind in pattern.messages))):
                found.setdefault(kind, []).append(step)
    return found


@lru_cache(maxsize=128)
def named_by_kind(rule: Rule, names: tuple[str, ...]) -> dict[str, list[Step]]:
    """Message kind -> those of the steps named that it could be."""
    found: dict[str, list[Step]] = {}
    for step in map(rule.step, names):
        for kind in dict.fromkeys(step.messages):
            found.setdefault(kind, []).append(step)
    return found


@lru_cache(maxsize=64)
def refusals_by_kind(rule: Rule) -> dict[str, list[Pattern]]:
    """Message kind -> what makes it a refusal of some step: each pattern once, however many steps have one like it."""
    found: dict[str, dict[tuple, Pattern]] = {}
    for step in rule.steps():
        if step.messages and not step.forbidden:
            for pattern in step.refused_by:
                for kind in pattern.messages:
                    found.setdefault(kind, {}).setdefault((pattern.src, pattern.dst,
                                                           *map(content, pattern.where)), pattern)
    return {kind: list(patterns.values()) for kind, patterns in found.items()}


@lru_cache(maxsize=64)
def giving_up(rule: Rule) -> frozenset[str]:
    return frozenset(kind for pattern in rule.attempt.given_up_by for kind in pattern.messages)


def first_steps(rule: Rule) -> tuple[Step, ...]:
    """The steps that an attempt can begin with: the opening and resuming ones, and those that a capture which started
    inside an attempt may show first."""
    named = [rule.step(name) for name in (*rule.attempt.opens_at, *rule.attempt.resumes_at)]
    return (*named, *(step for step in rule.steps()
                      if not step.forbidden and step.src is not None and step.dst is not None))


@lru_cache(maxsize=64)
def beginnings(rule: Rule) -> frozenset[str]:
    """The kinds of message that an attempt can begin with."""
    return frozenset(kind for step in first_steps(rule) for kind in step.messages)


@lru_cache(maxsize=64)
def concerned(rule: Rule) -> frozenset[str]:
    """The kinds of message that an attempt of the rule may consist of."""
    return frozenset((*steps_by_kind(rule), *ENDS))


@lru_cache(maxsize=64)
def deciding(rule: Rule) -> frozenset[str]:
    """The kinds of message that say whether this procedure is meant."""
    return frozenset(kind for pattern in (*rule.attempt.requires, *rule.attempt.unless) for kind in pattern.messages)
