"""What messages tell of a device beyond any one attempt: the `facts` of the rules, each with the moment it holds from.

A duty of one procedure often depends on what another one left behind: no upload once it was switched off, no
registration once the device was de-provisioned. A fact is taken from every message of its pattern, whether or not an
attempt was made of it; where an answer confirms it, it holds from the answer on, and without the answer it never does.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..model import FrameRef, Message
from ..rulebook.rule import Fact, Rule
from .bindings import parameter_values, taken
from .fields import ABSENT
from .kinds import Kinds
from .matching import Matcher


class Kept(tuple[Any, ...]):
    """The values kept for each parameter; `by_name` has them by its name, `since` the time from which each is known, ns."""

    by_name: Mapping[str, Any]
    since: Mapping[str, int]


class Entry(NamedTuple):
    """One value of a fact."""

    time: int
    frame: FrameRef | None           # the one that completed the message or its answer
    value: Any                       # ABSENT once it is forgotten


class History:
    """All facts of one device, by name, each as the series of its values."""

    def __init__(self) -> None:
        self._entries: dict[str, list[Entry]] = {}

    def add(self, found: Iterable[tuple[str, Entry]]) -> None:
        """Adds what is known already; of two at the same time the later one added holds."""
        for name, entry in found:
            series = self._entries.setdefault(name, [])
            series.append(entry)
            series.sort(key=lambda e: (e.time, e.frame or ()))

    def at(self, message: Message) -> dict[str, Any]:
        """What is known when the message begins. One that was begun before is no breach of what became known meanwhile."""
        known = {}
        for name, series in self._entries.items():
            upto = bisect_right(series, message.time, key=lambda e: e.time)
            while upto and _begun_before(message, series[upto - 1]):
                upto -= 1
            value = _merged(series[:upto])
            if value is not ABSENT:
                known[name] = value
        return known

    def ever(self) -> dict[str, tuple[Any, ...]]:
        """Every value that each fact ever has: what the hosts of roles are taken from."""
        return {name: tuple(dict.fromkeys(v for e in series if e.value is not ABSENT for v in _values(e.value)))
                for name, series in self._entries.items()}


def learn(rule: Rule, messages: Kinds, matcher: Matcher) -> list[tuple[str, Entry]]:
    """What the rule's facts find among the messages."""
    found: list[tuple[str, Entry]] = []
    for fact in rule.facts:
        for shown, message in _established(fact, messages, matcher):
            frame = shown.frames[-1] if shown.frames else None
            for binding in fact.remember:
                value = parameter_values(binding, message, matcher.scope) if binding.each \
                    else taken(binding, message, matcher.scope, {})
                if value is not ABSENT:
                    found.append((binding.name, Entry(shown.time, frame, value)))
            found += [(name, Entry(shown.time, frame, ABSENT)) for name in fact.forget]
    return found


def _established(fact: Fact, messages: Kinds, matcher: Matcher) -> Iterable[tuple[Message, Message]]:
    """(the message that confirms it, the message it is taken from)"""
    asked: dict[int, Message] = {}
    for message in messages.of((*fact.pattern.messages, *(fact.answered_by.messages if fact.answered_by else ()))):
        if matcher.pattern(fact.pattern, message):
            if fact.answered_by is None:
                yield message, message
            elif message.transaction is not None:
                asked[message.transaction] = message
        elif message.answers in asked and fact.answered_by is not None and matcher.pattern(fact.answered_by, message):
            yield message, asked.pop(message.answers)


def _begun_before(message: Message, entry: Entry) -> bool:
    """In the frames of one capture an order is plain, whatever the times of completion say."""
    return entry.frame is not None and any(ref.capture == entry.frame.capture and ref.number <= entry.frame.number
                                           for ref in message.frames)


def _merged(series: list[Entry]) -> Any:
    """The last value; values kept for each parameter are joined, up to where they were forgotten."""
    if not series or not isinstance(series[-1].value, Mapping):
        return series[-1].value if series else ABSENT
    merged: dict[str, Any] = {}
    since: dict[str, int] = {}
    for entry in series:
        if entry.value is ABSENT:
            merged.clear()
            continue
        for name, value in entry.value.items():
            if name not in merged or merged[name] != value:
                since[name] = entry.time
        merged.update(entry.value)
    kept = Kept(merged.values())
    kept.by_name, kept.since = merged, since
    return kept


def _values(value: Any) -> tuple[Any, ...]:
    return tuple(value.values()) if isinstance(value, Mapping) else value if isinstance(value, tuple) else (value,)
