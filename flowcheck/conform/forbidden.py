"""What shall not happen: the `forbidden` steps and groups of a rule.

They are no part of the ladder, so they are not aligned. Each has a place between its neighbours: from the last message
of the steps before it to the first of the steps after it, which may itself be the one that is forbidden; after the last
step until the attempt's time ends, which is the next attempt or the end of the capture. A message there that is the step, or messages that are the steps of the
group one after another, while `when` holds, is the breach. Where `when` cannot be told, or the traffic is sealed, neither
the breach nor its absence is proven. Of a step with `silence` it is the absence of the message that is forbidden (silences.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..model import Message
from ..rulebook.rule import Group, Rule, Step
from .align import Reading
from .conditions import holds
from .matching import Matcher
from .seals import sealed
from .silences import Duty, Silent, worst
from .visibility import Visibility

PARTIAL = 64                   # beginnings of a forbidden sequence that are followed at a time
PENDING = "not_observable"


class Breach(NamedTuple):
    """What became of one forbidden item. `messages` prove it; `doubt` says why it cannot be told; else all is well."""

    item: Step | Group
    steps: tuple[Step, ...]
    messages: tuple[Message, ...] = ()
    doubt: str = ""
    reached: bool = True       # False: the procedure did not get so far that it could be a breach
    silent: Silent | None = None   # what is forbidden is that the message stays away, and it did


def breaches(rule: Rule, reading: Reading, matcher: Matcher, view: Visibility, states: Mapping[str, str],
             known: Callable[[Message], Mapping[str, Any]]) -> Iterator[Breach]:
    """Every forbidden item of the rule. `states` are those of the aligned steps, `known` the facts at a message."""
    order = {step.step: index for index, step in enumerate(rule.steps())}
    seen = frozenset(name for name, state in states.items() if state in ("seen", "late"))
    for item in _items(rule.items):
        steps = _steps(item)
        place = order[steps[0].step]
        before = [step for step in rule.steps() if order[step.step] < place and not step.optional]
        if any(states.get(step.step) in ("refused", "missing") and step.severity == "error" for step in before):
            yield Breach(item, steps, reached=False)
            continue
        yield _judged(item, steps, place, order, reading, matcher, view, states, seen, known)


def _judged(item: Step | Group, steps: tuple[Step, ...], place: int, order: Mapping[str, int], reading: Reading,
            matcher: Matcher, view: Visibility, states: Mapping[str, str], seen: frozenset[str],
            known: Callable[[Message], Mapping[str, Any]]) -> Breach:
    moved = [m for m in reading.moves if m.what in ("match", "refuse")]
    first = max((_key(m.message) for m in moved if order[m.step.step] < place), default=_key(moved[0].message))
    until = min((_key(m.message) for m in moved if order[m.step.step] > place), default=None)
    here = [m for m in view.timeline.messages
            if first <= _key(m) and (_key(m) <= until if until is not None else m.time <= view.limit)]

    def applies(message: Message) -> bool | None:
        if item.when is None:
            return True
        scope = matcher.scope.but(now=message.time, remembered=known(message), asking=message)
        return holds(item.when, scope, reading.bound, seen)

    clear = ("esp",) if any(_seen_inside(m.message, view) for m in moved) else ()
    if isinstance(item, Step) and item.silence is not None:
        since = max((m.message for m in moved if order[m.step.step] < place), key=_key, default=moved[0].message)
        silent, doubt = worst(Duty(item, matcher, view, reading.bound, applies, known, clear), since, here)
        return Breach(item, steps, doubt=doubt, silent=silent)
    doubt = ""
    for messages, certain in _occurrences(steps, here, matcher, reading.bound):
        holding = applies(messages[-1])
        if holding and not certain:
            doubt = doubt or f"{messages[-1].kind} was seen, but nothing shows whether its hosts are those that may not send it"
        elif holding is None:
            doubt = f"{messages[-1].kind} was seen, but not whether it is allowed here: {_words(item)}"
        elif holding:
            if until is None and any(states.get(name) == PENDING for name, index in order.items() if index > place):
                doubt = f"{messages[-1].kind} was seen, but not whether it came before the steps that should precede it"
                continue
            return Breach(item, steps, messages)
    if not doubt and here and any(applies(m) is not False for m in (here[0], here[-1])):
        reasons = (sealed(view, step, first[0], until[0] if until else view.limit, clear) for step in steps)
        doubt = next(filter(None, reasons), "")
    return Breach(item, steps, doubt=doubt)


def _occurrences(steps: Sequence[Step], messages: Sequence[Message], matcher: Matcher,
                 bound: Mapping[str, Any]) -> Iterator[tuple[tuple[Message, ...], bool]]:
    """Every way in which the messages are the steps, one after another, by the message that completes it; and whether
    they certainly are."""
    begun: list[tuple[int, Mapping[str, Any], tuple[Message, ...], bool]] = []
    for message in messages:
        for index, values, found, certain in [(0, bound, (), True), *reversed(begun)]:
            fits = matcher.fits(steps[index], message, values)
            if fits is False:
                continue
            found, certain = (*found, message), certain and fits is True
            if index + 1 == len(steps):
                yield found, certain
                break
            begun.append((index + 1, matcher.after(steps[index], message, values), found, certain))
            del begun[:-PARTIAL]


def _seen_inside(message: Message, view: Visibility) -> bool:
    """Was it captured inside the device's tunnel, in clear? Then what else the tunnel holds was, too."""
    device = view.timeline.device
    ends = {message.src.address, message.dst.address}
    return bool(device.outer) and "esp" not in message.layers and bool(ends & (set(device.addresses) - set(device.outer)))


def _items(items: tuple[Step | Group, ...]) -> Iterator[Step | Group]:
    for item in items:
        if item.forbidden:
            yield item
        elif isinstance(item, Group):
            yield from _items(item.items)


def _steps(item: Step | Group) -> tuple[Step, ...]:
    return (item,) if isinstance(item, Step) else tuple(step for inner in item.items for step in _steps(inner))


def _words(item: Step | Group) -> str:
    return "what decides it is not in the capture" + (f" ({item.hint})" if isinstance(item, Group)
                                                      and item.hint else "")


def _key(message: Message) -> tuple:
    return (message.time, message.frames[-1] if message.frames else ())
