"""Groups that are gone through for each of several hosts, of which one is enough (`one_of_several`).

A device that was given three MMEs asks the DNS for all their names, or for the next one when the one before did not work.
Its tries may overlap, so they are laid side by side before they are read; and what failed with one host is no failure of
the procedure where the step `shown_by` was done with another one. With the same one it is: then it was tried again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from ..model import Message
from ..rulebook.rule import Group, Rule, Step
from .align import Reading
from .conditions import holds
from .matching import Matcher

ANOTHER = "; another host did it"        # what is said beside such a failure


def side_by_side(messages: Sequence[Message], rule: Rule, matcher: Matcher) -> Sequence[Message]:
    """The messages with overlapping tries put one after another, each where its first message stands among them."""
    for steps in _tries(rule):
        places = [i for i, m in enumerate(messages) if any(matcher.could_be(step, m) for step in steps.get(m.kind, ()))]
        tries: dict[Any, list[Message]] = {}
        for place in places:
            tries.setdefault(_try_of(messages[place]), []).append(messages[place])
        if len(tries) > 1:
            ordered = list(messages)
            for place, message in zip(places, (m for one in tries.values() for m in one)):
                ordered[place] = message
            messages = tuple(ordered)
    return messages


def is_one(rule: Rule, step: Step) -> bool:
    """Does the step belong to tries of which one is enough?"""
    return _group_of(rule, step) is not None


def excused(rule: Rule, reading: Reading, matcher: Matcher, step: Step, failed: Message | None) -> bool:
    """Did another host do what the host that `failed` is about did not?"""
    group = _group_of(rule, step)
    if group is None or failed is None:
        return False
    several = group.one_of_several
    done = [m for m in reading.moves if m.what == "match" and m.step.step == several.shown_by]
    seen = frozenset(m.step.step for m in reading.moves if m.what == "match")
    if several.when is not None and holds(several.when, matcher.scope, reading.bound, seen) is False:
        return False
    return any(_another(failed, move.message, matcher) for move in done)


def _another(failed: Message, done: Message, matcher: Matcher) -> bool:
    """Is the message that failed about another host than the one that did its part?"""
    host = _peer(done, matcher)
    name = failed.fields.get("qname") if failed.protocol == "dns" else None
    if name is None:
        return _peer(failed, matcher) != host
    return host not in matcher.scope.resolved.get(str(name).lower().rstrip("."), ())


def _peer(message: Message, matcher: Matcher) -> str:
    own = matcher.scope.device.addresses
    return message.dst.address if message.src.address in own else message.src.address


def _try_of(message: Message) -> Any:
    if message.protocol == "dns":
        return "dns", message.transaction if message.answers is None else message.answers
    return message.stream


@lru_cache(maxsize=64)
def _groups(rule: Rule) -> tuple[Group, ...]:
    return tuple(group for group in rule.groups() if group.one_of_several is not None)


@lru_cache(maxsize=64)
def _tries(rule: Rule) -> tuple[Mapping[str, Sequence[Step]], ...]:
    """Of each such group: message kind -> the steps that a message of the kind, as itself or as a refusal, can be."""
    found: list[dict[str, list[Step]]] = []
    for group in _groups(rule):
        found.append({})
        for step in group.steps():
            for kind in dict.fromkeys((*step.messages, *(kind for pattern in step.refused_by
                                                         for kind in pattern.messages))):
                found[-1].setdefault(kind, []).append(step)
    return tuple(found)


@lru_cache(maxsize=64)
def _groups_by_step(rule: Rule) -> Mapping[str, Group]:
    return {step.step: group for group in reversed(_groups(rule)) for step in group.steps()}


def _group_of(rule: Rule, step: Step) -> Group | None:
    return _groups_by_step(rule).get(step.step)
