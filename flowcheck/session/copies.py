"""The same message seen twice: at two taps, inside and outside a tunnel, or in front of and behind a NAT.

Two messages are copies when they say exactly the same (kind and every field), reached the same server or came from it,
were seen from different viewpoints and lie close together in time. A viewpoint never sees one transmission twice, so a
repetition at the same viewpoint stays a message of its own: it is a retransmission, which session/transactions.py folds.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..model import Endpoint, Message

WINDOW = 2_000_000_000      # ns between two sightings; also what the clocks of two taps may differ by
# kinds with an identifier of their own: a DNS or IKE message id, an initial sequence number, a random, a device's name
UNMISTAKABLE = ("dns.", "ike.", "tcp.syn", "tls.client_hello", "tls.server_hello", "dtls.client_hello", "coap.request",
                "sctp.init")
TUNNELS = frozenset(("esp", "gtp", "gre", "l2tp", "vxlan", "geneve", "teredo"))


@dataclass(slots=True)
class _Sighting:
    message: Message
    viewpoints: dict[tuple, Message]


class _Flows:
    """Which stream of one viewpoint is which of another. What two devices say alike is told apart by it."""

    def __init__(self) -> None:
        self._partner: dict[tuple[int, tuple], int] = {}

    def agree(self, sighting: _Sighting, view: tuple, message: Message) -> bool:
        """May the message be the sighting's? Across a NAT only if it is like no other, or its stream is known already."""
        first = sighting.message
        if (first.src, first.dst) != (message.src, message.dst) and not message.kind.startswith(UNMISTAKABLE) and not any(
                self._partner.get((other.stream, view)) == message.stream for other in sighting.viewpoints.values()):
            return False
        return all(self._partner.get((other.stream, view), message.stream) == message.stream
                   and self._partner.get((message.stream, seen), other.stream) == other.stream
                   for seen, other in sighting.viewpoints.items())

    def note(self, sighting: _Sighting, view: tuple, message: Message) -> None:
        for seen, other in sighting.viewpoints.items():
            self._partner[other.stream, view] = message.stream
            self._partner[message.stream, seen] = other.stream


class Folded(NamedTuple):
    messages: list[Message]
    aliases: dict[Endpoint, set[Endpoint]]     # endpoints that stand for the same host: in front of and behind a NAT
    streams: dict[int, int]                    # stream of one viewpoint -> the one that stands for all its viewpoints
    sightings: Sequence[dict[tuple[int, bool], Message]] = ()     # each transmission as the viewpoints saw it that did


def fold(messages: Sequence[Message], taps: Sequence[int]) -> Folded:
    """One Message per transmission, with one stream number for a connection however many viewpoints saw it.

    `messages` are in time order, and so is what is returned. `taps` holds the tap of each capture. The copy that is clear in
    a capture of its own is kept, because a reader can look at it in Wireshark without keys; its layers are those of the copy
    that shows the tunnel.
    """
    several = len(set(taps)) > 1 or not all(TUNNELS.isdisjoint(layers) for layers in {m.layers for m in messages})
    if not several:
        return Folded(list(messages), {}, {})
    recent: dict[str, list[_Sighting]] = defaultdict(list)
    order: list[_Sighting] = []
    aliases: dict[Endpoint, set[Endpoint]] = defaultdict(set)
    flows = _Flows()
    for message in messages:
        mark = fingerprint(message)
        view = (taps[message.frames[-1].capture], any(layer in TUNNELS for layer in message.layers))
        candidates = recent[mark]
        while candidates and message.time - candidates[0].message.time > WINDOW:
            candidates.pop(0)
        for sighting in candidates:
            if view not in sighting.viewpoints and _same_way(sighting.message,
                                                             message) and flows.agree(sighting, view, message):
                flows.note(sighting, view, message)
                sighting.viewpoints[view] = message
                _note_aliases(aliases, sighting.message, message)
                break
        else:
            sighting = _Sighting(message, {view: message})
            candidates.append(sighting)
            order.append(sighting)
    streams = _same_streams(order)
    joined = [_join(s) for s in order]
    joined = [m.but(stream=streams[m.stream]) if streams.get(m.stream, m.stream) != m.stream else m for m in joined]
    joined.sort(key=lambda m: (m.time, m.frames[-1]))          # the copy that is kept may be the later one
    return Folded(joined, aliases, streams, [s.viewpoints for s in order])


def _same_streams(sightings: Sequence[_Sighting]) -> dict[int, int]:
    """Streams that one message was seen in are one connection; the lowest number stands for all."""
    stands_for: dict[int, int] = {}

    def find(stream: int) -> int:
        while stands_for.setdefault(stream, stream) != stream:
            stands_for[stream] = stands_for[stands_for[stream]]
            stream = stands_for[stream]
        return stream

    for sighting in sightings:
        if len(sighting.viewpoints) > 1:
            seen = sorted({find(m.stream) for m in sighting.viewpoints.values()})
            for other in seen[1:]:
                stands_for[other] = seen[0]
    return {stream: find(stream) for stream in stands_for}


def fingerprint(message: Message) -> str:
    """Equal for copies of one transmission, whatever the addresses a NAT wrote on it."""
    return message.kind + json.dumps(message.fields, sort_keys=True, default=str)


def _same_way(one: Message, other: Message) -> bool:
    """Do both run to or from the same host? A NAT changes one end of a message, never both."""
    return one.src == other.src or one.dst == other.dst


def _note_aliases(aliases: dict[Endpoint, set[Endpoint]], one: Message, other: Message) -> None:
    if one.src != other.src:
        aliases[one.src].add(other.src)
        aliases[other.src].add(one.src)
    if one.dst != other.dst:
        aliases[one.dst].add(other.dst)
        aliases[other.dst].add(one.dst)


def _join(sighting: _Sighting) -> Message:
    if len(sighting.viewpoints) == 1:
        return sighting.message
    views = list(sighting.viewpoints.items())
    best = min(views, key=lambda item: (item[1].incomplete, item[0][1], item[0][0]))[1]     # always the same tap
    tunnelled = next((m for view, m in views if view[1]), best)
    others = tuple(ref for _, m in views if m is not best for ref in (*m.frames, *m.copies))
    return best.but(layers=tunnelled.layers, copies=(*best.copies, *others))

