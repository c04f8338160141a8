"""Lost between two taps: what one saw leave and the other, which sees the same hosts talk, never saw arrive.

It is claimed only where the other tap would have shown it: both taps saw messages of the two hosts in both directions, the
other one recorded before and for a while after, and it has no hole of its own at that time. Which tap is nearer to the
sender follows from the messages that both saw: they pass the nearer one first, in either direction, whatever the clocks
say. What was answered did arrive and was missed by the tap alone; that is for the reader of a Loss to look at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..model import FrameRef, Gap, Message
from .clocks import median

LINGER = 1_000_000_000      # ns that the other tap has to record beyond, so that a late arrival would be there
LEAST = 2                   # messages each way that both taps have to have seen
TAP_SHIFT = 32              # a stream's number holds its tap above this bit (observe/dissect.py)

View = tuple[int, bool]     # tap, inside a tunnel


class Loss(NamedTuple):
    """`frame` holds the message at the tap that saw it; the tap that never did is `missed_by`."""

    frame: FrameRef
    seen_by: int
    missed_by: int


def between(sightings: Sequence[Mapping[View, Message]], gaps: Iterable[Gap], taps: Sequence[int],
            windows: Mapping[int, tuple[int, int]]) -> list[Loss]:
    """`sightings` hold each transmission as the viewpoints saw it that did; `windows` are those of the taps, in ns."""
    if len(windows) < 2:
        return []
    delays: dict[tuple[View, View, str, str], list[int]] = defaultdict(list)
    for views in sightings:
        for one, m in views.items() if len(views) > 1 else ():
            for other, n in views.items():
                if one != other:
                    delays[one, other, m.src.address, m.dst.address].append(n.time - m.time)
    others: dict[View, set[View]] = defaultdict(set)
    for one, other, *_ in delays:
        if one[0] != other[0] and one[1] == other[1]:
            others[one].add(other)
    holes, found = _holes(gaps, taps), []
    for views in sightings:
        (view, message), *more = views.items()
        if more or message.incomplete or view not in others:
            continue
        src, dst = message.src.address, message.dst.address
        for other in sorted(others[view]):
            begun, ended = windows[other[0]]
            forth, back = delays.get((view, other, src, dst), ()), delays.get((view, other, dst, src), ())
            if min(len(forth), len(back)) >= LEAST and median(forth) > median(back) and begun < message.time \
                    and message.time + LINGER < ended and not any(a - LINGER <= message.time <= b + LINGER for a, b in holes[other[0]]):
                found.append(Loss(message.frames[-1], view[0], other[0]))
                break
    return found


def lasting(lost: Sequence[Loss], messages: Sequence[Message], taps: Sequence[int]) -> dict[FrameRef, tuple[int, int]]:
    """(seen by, missed by) of the messages that never came by in any of their transmissions, by their last frame."""
    by_frame = {loss.frame: loss for loss in lost}
    found = {}
    for message in messages if lost else ():
        refs = (*message.frames, *message.copies)
        loss = next((by_frame[ref] for ref in refs if ref in by_frame), None)
        if loss is not None and not any(taps[ref.capture] == loss.missed_by for ref in refs):
            found[message.frames[-1]] = (loss.seen_by, loss.missed_by)
    return found


def _holes(gaps: Iterable[Gap], taps: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """The times in which each tap is known to have lost something; a hole that is nobody's is everybody's."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for gap in gaps:
        tap = taps[gap.capture] if gap.capture is not None else gap.stream >> TAP_SHIFT if gap.stream is not None else None
        for each in set(taps) if tap is None else (tap,):
            found[each].append((gap.start, gap.end))
    return found
