"""How far a capture can be trusted: what limits it, in sentences, and a grade.

    good   nothing known is missing
    fair   something is missing or cut, and it is known what
    poor   so much is missing that most verdicts will stay open
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from .model import Gap, Message

ONE_WAY = 3         # messages of a stream, all from one side, that make it one-directional
MANY_CUT = 0.2      # share of shortened packets from which a capture is poor


@dataclass(frozen=True, slots=True)
class Facts:
    """What reading one capture file showed."""

    packets: int
    cut: int                            # shortened by the snap length
    drops: int | None                   # lost by the capturing program, as the file says
    truncated: bool                     # ends in the middle of a packet, or was damaged
    steps_back: int                     # packets whose time lies more than a second before that of an earlier one
    remarks: Sequence[str]              # of the reader and of the network layers
    gaps: Sequence[Gap]                 # holes in streams
    messages: Sequence[Message]         # of this file's tap


def graded(facts: Facts) -> tuple[str, tuple[str, ...]]:
    """The grade and the remarks of one capture."""
    remarks = list(dict.fromkeys(facts.remarks))
    if facts.gaps:
        remarks.append(f"{len(facts.gaps)} holes in TCP or ESP streams: packets are missing from the capture")
    if facts.steps_back:
        remarks.append(f"the clock steps back {facts.steps_back} times by more than a second")
    lonely = one_directional(facts.messages)
    if lonely:
        remarks.append(f"{lonely} connections are seen in one direction only")
    heavy = len(facts.gaps) > max(3, facts.packets // 50) or facts.cut > MANY_CUT * facts.packets \
        or (facts.drops or 0) > facts.packets // 20
    limits = facts.gaps or facts.cut or facts.drops or facts.truncated or facts.steps_back or lonely
    return "poor" if heavy and facts.packets else "fair" if limits else "good", tuple(remarks)


def one_directional(messages: Sequence[Message]) -> int:
    """How many connections carry requests or answers of one side only."""
    ways: dict[int, set[str]] = defaultdict(set)
    counts: dict[int, int] = defaultdict(int)
    for message in messages:
        if message.protocol in ("http", "dns", "ike", "ftp", "coap"):
            ways[message.stream].add(f"{message.src}")
            counts[message.stream] += 1
    return sum(1 for stream, sides in ways.items() if len(sides) == 1 and counts[stream] >= ONE_WAY)
