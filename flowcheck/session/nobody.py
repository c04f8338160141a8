"""What belongs to no device, said in sentences: hosts that only serve, and traffic that nothing ties to anybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ..model import FrameRef, Message, Opaque, Timeline

MOST = 50           # hosts named


def hosts(timeline: Timeline) -> dict[str, int]:
    """Host -> in how many of the messages it takes part, the commonest first."""
    counts: Counter[str] = Counter()
    for message in timeline.messages:
        counts.update({message.src.address, message.dst.address})
    for item in timeline.opaque:
        counts.update({item.src.address, item.dst.address})
    return dict(sorted(counts.items(), key=lambda row: (-row[1], row[0]))[:MOST])


def sentences(timeline: Timeline) -> tuple[str, ...]:
    """One for each protocol, with its first frame; those of lookups with the names that were asked for."""
    of_protocol: dict[str, list[Message]] = {}
    for message in timeline.messages:
        of_protocol.setdefault(message.protocol, []).append(message)
    told = []
    for protocol, messages in of_protocol.items():
        names = list(dict.fromkeys(str(m.fields.get("qname")) for m in messages if m.fields.get("qname")))
        asked = f" about {', '.join(names[:3])}{' and others' * (len(names) > 3)}" if names else ""
        told.append(f"{_count(len(messages), 'message')} of {protocol.upper()}{asked}, {_frames(m.frames[-1] for m in messages)}")
    sealed: dict[str, list[Opaque]] = {}
    for item in timeline.opaque:
        sealed.setdefault(item.kind, []).append(item)
    told += [f"{_count(sum(o.packets for o in items), 'sealed packet')} of {kind.upper()}, "
             f"{_frames(ref for o in items for ref in o.frames)}" for kind, items in sealed.items()]
    return tuple(told)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _frames(refs: Iterable[FrameRef]) -> str:
    first = min(refs, default=None)
    return "no frame known" if first is None else f"first in frame {first.number}"
