"""What the first packets of a capture tell of how it was taken, and of what it lacks.

    the same packet twice                          both ports of a mirror, or two interfaces of one host
    segments larger than a frame, wrong checksums  left to the network card of the capturing host (TSO, GRO, checksum offload)
    jumps in the IP identification                 packets that were sent and not captured

Only the opening is looked at: it says the same as the whole file and costs nothing on large ones.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from socket import AF_INET, AF_INET6, inet_pton
from typing import NamedTuple

from ..model import Frame, Packet

Pair = tuple[Frame, Packet]

# ns between a packet and its copy; a retransmission comes later and has another identification
_TWICE = 10_000_000
_TELLING = 100              # octets that two packets do not have in common by chance
_MANY_TWICE = 0.1           # share of copies from which on they are the tap's
_LARGEST = 1522             # octets of an Ethernet frame with a VLAN tag (IEEE 802.3 3.2.7)
_ETHERNET = 1
_CHECKED = 24               # packets whose checksum is computed
_WRONG = 3                  # of a host that make it more than damage on the way
_COUNTED = 8                # packets of a flow that make its identification a counter, if it counts by one
_SHARE = 0.7                # of its steps that have to be one
_JUMP = 64                  # a larger one is another counter's
_TCP, _UDP = 6, 17
_CHECKSUM_AT = {_TCP: 16, _UDP: 6}


class Artefact(NamedTuple):
    text: str
    lossy: bool = False                     # does it mean that packets are missing?
    hosts: frozenset[str] = frozenset()     # whose packets it is about; empty for all


def artefacts(pairs: Sequence[Pair]) -> list[Artefact]:
    """`pairs` are the first frames of a capture, each with the packet that was read from it."""
    return [*_copies(pairs), *_oversized(pairs), *_checksums(pairs), *_jumps(pairs)]


def _copies(pairs: Sequence[Pair]) -> Iterator[Artefact]:
    recent: dict[tuple, int] = {}
    twice = 0
    for frame, packet in pairs:
        if packet.identification <= 0 and len(packet.data) < _TELLING:
            continue                        # acknowledgements without a number are alike by nature
        mark = (packet.src, packet.dst, packet.protocol, packet.identification, packet.data)
        before = recent.get(mark)
        twice += before is not None and 0 <= frame.time - before <= _TWICE
        recent[mark] = frame.time
    if twice > _MANY_TWICE * len(pairs) and twice >= _WRONG:
        yield Artefact(f"{twice} of the first {len(pairs)} packets are there twice: the tap copies them (both ports of a mirror?)")


def _oversized(pairs: Sequence[Pair]) -> Iterator[Artefact]:
    large = [(frame, packet) for frame, packet in pairs if frame.link == _ETHERNET and frame.original_length > _LARGEST
             and packet.protocol == _TCP]
    if large:
        size = max(frame.original_length for frame, _ in large)
        yield Artefact(f"{len(large)} of the first {len(pairs)} packets are larger than a frame (up to {size} octets): segments joined by the network "
                       "card of the capturing host (TSO, GRO); their number and times are not those on the wire",
                       hosts=frozenset(packet.src for _, packet in large))


def _checksums(pairs: Sequence[Pair]) -> Iterator[Artefact]:
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for frame, packet in pairs:
        if sum(right.values()) + sum(wrong.values()) >= _CHECKED:
            break
        fits = _fits(frame, packet)
        if fits is not None:
            (right if fits else wrong)[packet.src] += 1
    senders = sorted(src for src, count in wrong.items() if count >= _WRONG and not right[src])
    if senders and right:
        yield Artefact(f"checksums of packets from {', '.join(senders[:4])} are wrong, those of others right: the capture was taken on the sending "
                       "host, whose network card computes them (checksum offload)", hosts=frozenset(senders))
    elif senders:
        yield Artefact("the checksums of all TCP and UDP packets looked at are wrong: packets were changed after they were sent")


def _fits(frame: Frame, packet: Packet) -> bool | None:
    """Is the checksum right (RFC 9293 3.1, RFC 768)? None where it cannot be told."""
    at, data = _CHECKSUM_AT.get(packet.protocol), packet.data
    if at is None or packet.missing or len(packet.frames) != 1 or len(data) < at + 2 or data[at:at + 2] == b"\0\0":
        return None
    if packet.protocol == _UDP and int.from_bytes(data[4:6], "big") != len(data):
        return None
    family = AF_INET6 if ":" in packet.src else AF_INET
    head = inet_pton(family, packet.src) + inet_pton(family,
                                                     packet.dst) + packet.protocol.to_bytes(4, "big") + len(data).to_bytes(4, "big")
    # RFC 1071: the sum modulo 2^16 - 1
    return int.from_bytes(head + data + b"\0" * (len(data) & 1), "big") % 0xFFFF == 0


def _jumps(pairs: Sequence[Pair]) -> Iterator[Artefact]:
    """Most hosts count the identification up by one within a TCP connection (RFC 6864 leaves it to them); elsewhere few do."""
    flows: dict[tuple, list[int]] = defaultdict(list)
    for frame, packet in pairs:
        if packet.identification > 0 and packet.protocol == _TCP and frame.original_length <= _LARGEST:
            flows[packet.src, packet.dst, packet.data[:4]].append(packet.identification)
    lost: Counter[tuple[str, str]] = Counter()
    for (src, dst, _), seen in flows.items():
        steps = [(b - a) & 0xFFFF for a, b in zip(seen, seen[1:])]
        jumps = [step - 1 for step in steps if 1 < step <= _JUMP]
        if len(seen) >= _COUNTED and jumps and steps.count(1) >= _SHARE * len(steps):
            lost[src, dst] += sum(jumps)
    for (src, dst), count in lost.items():
        yield Artefact(f"the IP identification of {src} counts by one and jumps: about {count} packet{'s' * (count != 1)} to {dst} {'were' if count != 1 else 'was'} "
                       "lost before this tap or by it", lossy=True, hosts=frozenset((src, dst)))
