"""Steps that seem to be missing or out of their place because two taps' clocks differ.

What one tap recorded before or after what another one did is known only as well as their clocks agree, and that they agree
is shown by a message that both recorded, before the place in question and after it. Where there is none such, a message
of the step that stands out of its place by less than clocks are seen to differ says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Message, Timeline
from ..rulebook.rule import Step
from . import phrases
from .align import Move, Reading
from .matching import Matcher

NEAR = 60_000_000_000       # ns by which the clocks of two taps may differ; what is further away is another event


def misplaced(step: Step, move: Move, reading: Reading, timeline: Timeline, matcher: Matcher) -> str | None:
    """The message that may be this step, skipped here, were it not for the clock of the tap that recorded it; in words."""
    read = [m.message for m in reading.moves if m.what in ("match", "refuse")]
    place = next((i for i, m in enumerate(reading.moves) if m is move), len(reading.moves))
    before = next((m.message for m in reversed(reading.moves[:place]) if m.what in ("match", "refuse")), None)
    after = next((m.message for m in reading.moves[place:] if m.what in ("match", "refuse")), None)
    taken = set(map(id, read))
    for message in timeline.messages:
        if message.kind in step.messages and id(message) not in taken and matcher.fits(step, message, reading.bound):
            other = _overstepped(message, before, after)
            if other is not None and not _compared(message, other, timeline.messages):
                return (f"{phrases.name(message.kind)} in frame {message.frames[-1].number} stands elsewhere, recorded by a tap "
                        "whose clock nothing here compares with the other's, so that the order of messages is not certain")
    return None


def _overstepped(message: Message, before: Message | None, after: Message | None) -> Message | None:
    """The neighbour of the step's place on whose wrong side the message stands, not far from it."""
    if before is not None and message.time < before.time:
        return before if before.time - message.time <= NEAR else None
    if after is not None and message.time > after.time:
        return after if message.time - after.time <= NEAR else None
    return None


def _compared(one: Message, other: Message, messages: Sequence[Message]) -> bool:
    """Do they stand in one capture, or did captures of both record the same messages, one before them and one after?"""
    here, there = _captures(one), _captures(other)
    if here & there:
        return True
    first, last = min(one.time, other.time), max(one.time, other.time)
    common = [m.time for m in messages if m.copies and (seen := _captures(m)) & here and seen & there]
    return any(time <= first for time in common) and any(time >= last for time in common)


def _captures(message: Message) -> frozenset[int]:
    return frozenset(ref.capture for ref in (*message.frames, *message.copies))
