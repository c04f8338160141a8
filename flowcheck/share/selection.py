"""Which frames of an observation a result stands on.

Cited are the frames of steps, findings and arrows. Judging them again needs more than them: whole TCP connections, so
that nothing seems lost; IKE from its beginning, so that keys fit; lookups; a little of all sealed traffic, so that it
is known to be there; and the first and last packet, because a deadline counts only within the time that was recorded.
`chosen` takes as much as its level says; evidence.py goes up until the verdicts come out the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from struct import unpack_from
from typing import Any, NamedTuple

from ..capture.network import Network
from ..model import PASS, AttemptResult, DeviceResult, FrameRef, Message, Packet, Result
from ..observe.observation import Observation, recordings

CITED, SIGNALLING, TRAFFIC, EVERYTHING = range(4)
LEVELS = (CITED, SIGNALLING, TRAFFIC, EVERYTHING)
LEVEL_WORDS = ("what the findings stand on", "all messages of the devices", "all traffic of the devices", "every frame")

_SEALED_EVERY = 500_000_000       # ns between two packets kept of sealed traffic that only has to be known to flow
_TCP, _UDP, _ESP = 6, 17, 50
_NAT_T = 4500
_NESTED = 4                       # tunnels in tunnels that are opened here
_IDENTIFYING = frozenset(("cwmp.Inform", "hnbap.HNBRegisterRequest", "s1ap.S1SetupRequest"))

Key = tuple[Any, ...]


class Chosen(NamedTuple):
    frames: frozenset[FrameRef]
    spis: frozenset[int]          # of the ESP packets among them


def devices_of_interest(result: Result) -> tuple[DeviceResult, ...]:
    """Those with something to show; all where every attempt passed and nothing was found."""
    told = tuple(d for d in result.devices if any(a.verdict != PASS or a.findings for a in d.attempts))
    return told or tuple(d for d in result.devices if d.attempts)


def cited(attempt: AttemptResult) -> Iterator[FrameRef]:
    for item in (*attempt.steps, *attempt.findings, *attempt.events):
        yield from item.frames
        yield from getattr(item, "copies", ())


def chosen(result: Result, observation: Observation, paths: Sequence[str], ring: Any, level: int,
           edges: bool = True) -> Chosen:
    """The frames to keep, with the first and last packet of each capture where `edges` says so.

    Raises CaptureError where a capture cannot be read a second time.
    """
    devices = devices_of_interest(result)
    addresses = {address for device in devices for address in device.addresses}
    attempts = [attempt for device in devices for attempt in device.attempts]
    wanted = {ref for attempt in attempts for ref in cited(attempt)}
    streams = _streams(observation, attempts, addresses, wanted, level)
    for message in observation.messages:
        if message.stream in streams:
            wanted.update(message.frames, message.copies)
    wanted.update(ref for opaque in observation.opaque if addresses & {opaque.src.address, opaque.dst.address}
                  for ref in opaque.frames)
    walk = _Walk(paths, ring)
    connections = {key for ref, keys in walk.keys() if ref in wanted for key in keys if key[0] != "esp"}
    sealed: dict[Key, int] = {}
    ends: dict[int, list[FrameRef]] = {}
    spis = set()
    for ref, keys, time, hosts in walk.everything():
        keep = level == EVERYTHING or ref in wanted or not connections.isdisjoint(keys)
        keep = keep or level == TRAFFIC and not addresses.isdisjoint(hosts)
        for key in keys:
            if key[0] == "esp" and len(keys) == 1 and not addresses.isdisjoint(hosts):        # nothing inside is known
                if keep or level > CITED or time - sealed.get(key, -_SEALED_EVERY) >= _SEALED_EVERY:
                    sealed[key], keep = time, True
        if keep:
            wanted.add(ref)
            spis.update(key[2] for key in keys if key[0] == "esp")
        ends.setdefault(ref.capture, [ref, ref])[1] = ref
    if edges:
        wanted.update(ref for pair in ends.values() for ref in pair)
    return Chosen(frozenset(_with_fragments(wanted, walk.joined)), frozenset(spis))


def _with_fragments(wanted: set[FrameRef], joined: Iterable[tuple[FrameRef, ...]]) -> set[FrameRef]:
    for frames in joined:
        if not wanted.isdisjoint(frames):
            wanted.update(frames)
    return wanted


def _streams(observation: Observation, attempts: Sequence[AttemptResult], addresses: set[str], wanted: set[FrameRef],
             level: int) -> set[int]:
    """The streams whose messages are kept."""
    start = min((a.started for a in attempts), default=0)
    end = max((a.ended for a in attempts), default=0)
    own = {m.stream for m in observation.messages if addresses & {m.src.address, m.dst.address}}
    found = {m.stream for m in observation.messages
             if not wanted.isdisjoint(m.frames) or _settles(m) and m.stream in own}
    found |= {gap.stream for gap in observation.gaps if gap.stream in own and gap.end >= start and gap.start <= end}
    if level >= SIGNALLING:
        found |= own | _one_of_each(observation)
    return found


def _settles(message: Message) -> bool:
    """What keys, addresses and identities are read from, whether an attempt uses it or not."""
    return message.protocol in ("ike", "dhcp") or message.kind in _IDENTIFYING


def _one_of_each(observation: Observation) -> set[int]:
    """A stream for every two hosts and every protocol, because what never speaks is taken to lie beyond the capture."""
    found: dict[Key, int] = {}
    for message in observation.messages:
        found.setdefault((frozenset((message.src.address, message.dst.address)), message.protocol), message.stream)
    return set(found.values())


class _Walk:
    """Passes over the captures; `joined` are the frames of each datagram that came in fragments."""

    def __init__(self, paths: Sequence[str], ring: Any):
        self.paths, self.ring = paths, ring
        self.joined: list[tuple[FrameRef, ...]] = []

    def keys(self) -> Iterator[tuple[FrameRef, tuple[Key, ...]]]:
        return ((ref, keys) for ref, keys, _, _ in self.everything())

    def everything(self) -> Iterator[tuple[FrameRef, tuple[Key, ...], int, set[str]]]:
        """Every frame with the connections it belongs to, outermost first, its time, and the hosts it runs between."""
        self.joined.clear()
        for index, (_, frames) in enumerate(recordings(self.paths)):
            network = Network()
            for frame in frames:
                found: list[Key] = []
                hosts: set[str] = set()
                for packet in network.packets(frame):
                    if len(packet.frames) > 1:
                        self.joined.append(tuple(FrameRef(index, number) for number in packet.frames))
                    self._packet(packet, network, found, hosts, 0)
                yield FrameRef(index, frame.number), tuple(found), frame.time, hosts

    def _packet(self, packet: Packet, network: Network, found: list[Key], hosts: set[str], depth: int) -> None:
        hosts.update((packet.src, packet.dst))
        data, sealed = packet.data, b""
        if packet.protocol == _TCP and len(data) >= 4:
            ends = sorted(((packet.src, data[:2]), (packet.dst, data[2:4])))
            found.append(("tcp", *ends, depth))
        elif packet.protocol == _ESP:
            sealed = data
        elif packet.protocol == _UDP and len(data) >= 16 and any(data[8:12]) and _NAT_T in unpack_from(">HH", data):
            sealed = data[8:]
        if len(sealed) < 8:
            return
        found.append(("esp", packet.dst, int.from_bytes(sealed[:4], "big")))
        if self.ring is None or depth >= _NESTED:
            return
        opened = self.ring.open_esp(packet.src, packet.dst, sealed)
        if opened is None or opened.data is None:
            return
        if opened.next_header in (4, 41):
            layers = (*packet.layers, "esp")
            for inner in network.inner("ip", opened.data, packet.time, packet.frames, packet.interface, layers):
                self._packet(inner, network, found, hosts, depth + 1)
        found.append(("opened",))

