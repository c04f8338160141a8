"""How far a capture can be trusted: what limits it, in sentences, and a grade.

    good   nothing known is missing
    fair   something is missing or cut, and it is known what
    poor   so much is missing that most verdicts will stay open
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..capture.artefacts import Artefact
from ..model import Endpoint, Gap, Limit, Message

# messages that nobody sends without being answered, all from one side, that make a connection one-directional
ONE_WAY = 3
MANY_CUT = 0.2      # share of shortened packets from which a capture is poor
_NAMED = 4          # connections named in a remark


class Step(NamedTuple):
    """The clock of the capture went back."""

    frame: int
    back: int                           # ns
    time: int                           # of the frame, after the step


@dataclass(frozen=True, slots=True)
class Facts:
    """What reading one capture file showed."""

    index: int                          # of the capture
    packets: int
    cut: int                            # shortened by the snap length
    drops: int | None                   # lost by the capturing program, as the file says
    truncated: bool                     # ends in the middle of a packet, or was damaged
    steps: Sequence[Step]
    remarks: Sequence[str]              # of the reader and of the network layers
    artefacts: Sequence[Artefact]       # of how it was taken
    gaps: Sequence[Gap]                 # holes in streams
    messages: Sequence[Message]         # of this file's tap


def graded(facts: Facts) -> tuple[str, tuple[Limit, ...]]:
    """The grade of one capture, and a limit for each remark: what verdicts it touches."""
    index = facts.index
    limits = [Limit(text, index) for text in dict.fromkeys(facts.remarks)]
    if facts.gaps:
        limits.append(Limit(f"{_count(len(facts.gaps), 'hole')} in TCP, ESP or SCTP streams: packets are missing from the capture", index, own=False))
    for step in facts.steps[:1]:
        more = f", and {_count(len(facts.steps) - 1, 'more time')}" if len(facts.steps) > 1 else ""
        limits.append(Limit(f"the clock of the capture steps back by {step.back / 1e9:.1f} s at frame {step.frame}{more}", index, step.time,
                            step.time + step.back))
    lonely = one_directional(facts.messages)
    if lonely:
        named = ", ".join(f"{src} to {dst}" for src, dst in lonely[:_NAMED])
        more = f" and {len(lonely) - _NAMED} more" if len(lonely) > _NAMED else ""
        limits.append(Limit(f"of {_count(len(lonely), 'connection')} only one direction is in the capture: {named}{more}", index,
                            hosts=frozenset(end.address for ends in lonely for end in ends)))
    limits += [Limit(text, index, hosts=hosts) for text, _, hosts in facts.artefacts]
    heavy = len(facts.gaps) > max(3, facts.packets // 50) or facts.cut > MANY_CUT * facts.packets \
        or (facts.drops or 0) > facts.packets // 20
    fair = facts.gaps or facts.cut or facts.drops or facts.truncated or facts.steps or lonely or any(a.lossy for a in facts.artefacts)
    return "poor" if heavy and facts.packets else "fair" if fair else "good", tuple(limits)


def one_directional(messages: Sequence[Message]) -> list[tuple[Endpoint, Endpoint]]:
    """Connections of which one side is missing. A host that is only silent is none: it is asked the same again and again.

    Nobody sends three requests on one TCP connection, or goes on to IKE_AUTH, without an answer; and nobody answers what
    was not asked.
    """
    ends: dict[int, tuple[Endpoint, Endpoint]] = {}
    counts: dict[int, int] = defaultdict(int)
    both: set[int] = set()                  # streams of which both sides were heard: nearly all, after two messages
    for message in messages:
        stream = message.stream
        if stream in both or (protocol := message.protocol) not in _LOOKED_AT:
            continue
        if message.src != ends.setdefault(stream, (message.src, message.dst))[0]:
            both.add(stream)
            continue
        fields = message.fields
        counts[stream] += (protocol in ("http", "ftp") or message.kind.endswith((".response", ".reply"))
                           or protocol == "ike" and isinstance(fields.get("message_id"), int)
                           and fields["message_id"] > 0)
    return [pair for stream, pair in ends.items() if stream not in both and counts[stream] >= ONE_WAY]


_LOOKED_AT = frozenset(("http", "dns", "ike", "ftp", "coap"))


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" + "s" * (count != 1)
