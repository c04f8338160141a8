"""What shall not stay away: a forbidden step with `silence` is broken by the absence of its message.

From the last message of the steps before it on, the message comes again and again, and no pause between two of them,
nor the one at the end, is longer than `longer_than` and `slack` together. A pause counts only where the capture could
have shown the message: where a tap that recorded these two hosts with each other goes on to record the sender when the
time is over, nothing is lost or sealed in between, and the duty holds at both ends. Otherwise nothing is proven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from ..model import Message
from ..rulebook.rule import Reference, Step
from .fields import ABSENT, listed
from .implied import protocol_of
from .matching import Matcher
from .seals import sealed
from .visibility import Visibility

SOON = 32           # messages after the beginning of a pause, by which it is known what holds


@dataclass(frozen=True, slots=True)
class Duty:
    """The message that may not stay away, in one attempt."""

    step: Step
    matcher: Matcher
    view: Visibility
    bound: Mapping[str, Any]
    applies: Callable[[Message], bool | None]           # does it hold when this message is sent?
    known: Callable[[Message], Mapping[str, Any]]       # the facts that hold then
    clear: tuple[str, ...] = ()                         # layers that were captured in clear as well


class Silent(NamedTuple):
    since: Message      # the last one, or what the time is counted from
    until: Message      # the one that came after all, or what shows that the sender was alive without it
    allowed: float      # seconds, without the slack
    seconds: float
    came: bool


def worst(duty: Duty, since: Message, here: Sequence[Message]) -> tuple[Silent | None, str]:
    """The pause that breaks the duty most, one at the end before the others; else why none can be ruled out, if so.

    `here` are the messages among which the step has its place.
    """
    found, doubts = [], []
    for pause in _pauses(duty, since, here):
        doubt = _unproven(duty, pause)
        (doubts if doubt else found).append(doubt or pause)
    if found:
        return min(found, key=lambda pause: (pause.came, -pause.seconds)), ""
    return None, doubts[0] if doubts else ""


def _pauses(duty: Duty, since: Message, here: Sequence[Message]) -> Iterator[Silent]:
    """Every pause that is too long."""
    between: list[Message] = []
    for message in here:
        if message.time < since.time or message is since:
            continue
        came = _may_be(duty, message)
        if came or _begins_anew(duty, message):
            if came and (pause := _pause(duty, since, [*between, message], came=True)):
                yield pause
            since, between = message, []
        else:
            between.append(message)
    if pause := _pause(duty, since, between, came=False):
        yield pause


def _pause(duty: Duty, since: Message, after: Sequence[Message], came: bool) -> Silent | None:
    """The pause after `since`, if one of these messages shows that it was too long while the duty held all the time."""
    silence = duty.step.silence
    slack = _number(silence.slack, duty, {})
    if not after or after[-1].time - since.time <= slack * 1e9:
        return None

    def allowed(message: Message) -> float:
        return _number(silence.longer_than, duty, duty.known(message))

    first = next((m for m in islice(after, SOON) if allowed(m) > 0), None)  # what is acknowledged holds a moment later
    if first is None:
        return None
    seconds = allowed(first)
    over = first.time + round((seconds + slack) * 1e9)
    device = duty.view.timeline.device.addresses
    until = next((m for m in (after[-1:] if came else after) if m.time > over and m.src.address in device), None)
    if until is None or allowed(until) != seconds or not (duty.applies(first) and duty.applies(until)):
        return None
    return Silent(since, until, seconds, (until.time - since.time) / 1e9, came)


def _unproven(duty: Duty, pause: Silent) -> str:
    """Why the message may have come all the same, out of sight; empty where it did not."""
    step, view, start, end = duty.step, duty.view, pause.since.time, pause.until.time
    timeline = view.timeline
    if step.messages[0] in timeline.unseen:
        return timeline.unseen[step.messages[0]]
    if lost := view.lost_between(start, end) or sealed(view, step, start, end, duty.clear):
        return lost
    if timeline.nobodys and protocol_of(step) in timeline.nobodys:
        return "other devices share the address, and nothing says whose messages are whose"
    peer = duty.matcher.scope.host(step.dst or step.src or "", duty.bound).addresses
    own = frozenset(timeline.device.addresses)
    taps = {ref.capture for m in timeline.messages if own & {m.src.address, m.dst.address}
            and peer & {m.src.address, m.dst.address} for ref in (*m.frames, *m.copies)}
    early = {ref.capture for m in timeline.messages if m.time <= start for ref in (*m.frames, *m.copies)}
    late = {ref.capture for ref in (*pause.until.frames, *pause.until.copies)}
    if not taps & early & late:
        return "no tap that recorded these two hosts with each other recorded the whole of that time"
    return ""


def _may_be(duty: Duty, message: Message) -> bool:
    return message.kind in duty.step.messages and duty.matcher.fits(duty.step, message, duty.bound) is not False


def _begins_anew(duty: Duty, message: Message) -> bool:
    return any(message.kind in one.messages and (message.incomplete or duty.matcher.pattern(one, message))
               for one in duty.step.silence.unless)


def _number(value: float | Reference, duty: Duty, remembered: Mapping[str, Any]) -> float:
    """Seconds; the most of several values, 0 where one of them is no number, or none is known."""
    if isinstance(value, Reference):
        scope = duty.matcher.scope
        value = (scope.but(remembered=remembered) if value.path[0] == "device" else scope).resolve(value, {})
    try:
        return 0.0 if value is ABSENT else max(float(one) for one in listed(value))
    except (TypeError, ValueError):
        return 0.0
