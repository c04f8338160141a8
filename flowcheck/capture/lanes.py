"""Lanes: flows whose packets need not be looked at, counted straight from the octets of the file.

Most of a large capture is traffic of which only sums are wanted: ESP that no key opens, the body of a download, flows that
nobody recognises. Whoever finds out that a flow is such a one opens a lane for each direction of it (bypass.py). A
`Scanner` then walks over the records of a file as long as each packet belongs to a lane and is just what the lane expects;
no Frame is made of it. The first packet with anything else to it (a fragment, an option, another SPI, a hole, a FIN, a
time that steps back) ends the walk and takes the full way, so that what is found does not depend on lanes at all.

    COUNTED   UDP that was given up: every datagram
    TUNNEL    GTP-U: a G-PDU (3GPP TS 29.281 5.1) whose inner packet belongs to a lane
    SEALED    ESP (RFC 4303): the same SPI, the next sequence number (or a higher one, where holes are not listed any
              more), after no pause
    STREAM    TCP (RFC 9293): the next sequence number, and no more than the octets that are not wanted

`_lanes.c` holds the same in C, for where it could be compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

FORM = 2                         # counts changes that _lanes.c has to follow
SHUT, COUNTED, TUNNEL, SEALED, STREAM = range(5)
ENDLESS = 1 << 62                # octets not wanted, where no end of them is known

# Layers in front of the innermost IP header. The number of a shape: twice its place here, plus one for IPv6; what GTP-U
# carries in it: INSIDE and twice that, plus one for IPv6.
OUTER = (("eth",), ("eth", "vlan"), ("eth", "vlan", "vlan"), ("raw",), ("sll",))
INSIDE = 16
_RAW, _SLL = 6, 8
_TAGS = (b"\x81\0", b"\x88\xa8")
_RAW_LINKS = frozenset((12, 14, 101, 228, 229))
_ARPHRD_SPECIAL = (824, 803, 801, 802)     # netlink and the wireless ones, whose frames are none of IP
_UDP, _ESP = 17, 50

_NANO = 1_000_000_000
_MASK, _HALF = 0xFFFFFFFF, 1 << 31
_IPV4 = Struct("!BxHxxHxB").unpack_from    # version and header length, total length, fragment, protocol
_IPV6 = Struct("!BxxxHB").unpack_from      # version and class, payload length, next header
_TCP = Struct("!IIBB").unpack_from         # sequence, acknowledgement, data offset, flags
_u16 = Struct("!H").unpack_from
_u32 = Struct("!I").unpack_from
_RECORD = {order: Struct(order + "IIII").unpack_from for order in "<>"}
_FLAGS = {"<": b"\2\0\4\0", ">": b"\0\2\0\4"}      # code and length of epb_flags, behind which the options end
_EPB = {order: Struct(order + "7I").unpack_from for order in "<>"}


class Lane:
    """One direction of a flow: what the next packet must be, and the sums of those that were it."""

    __slots__ = ("kind", "next", "left", "spi", "quiet", "peer", "keep", "holes", "packets", "octets", "missing",
                 "last", "said", "number", "_frames")

    def __init__(self, kind: int):
        self.kind = kind
        self.next = 0                # SEALED, STREAM: sequence number of the next packet
        self.left = 0                # STREAM: octets that may pass
        self.spi = 0                 # SEALED
        self.quiet = 0               # SEALED: ns that may lie between two packets
        self.peer: Lane | None = None    # STREAM: the other direction
        self.keep = False            # STREAM: frame numbers of what carries octets are wanted
        self.holes = False           # SEALED: numbers may be left out
        self.last = 0                # time of the latest packet
        self.reset()

    def reset(self) -> None:
        """The sums begin anew."""
        self.packets = self.octets = self.missing = 0
        self.said = self.number = 0      # time and frame number of the latest packet with octets
        self._frames: list[int] = []

    def frames(self) -> list[int]:
        return self._frames


class Scanner:
    """Walks over records of a file while all packets belong to lanes.

    `latest` is the time of the latest packet of the file; `base` is added to frame numbers; no more packets pass once
    `passed` has come to `limit`.
    """

    def __init__(self) -> None:
        self.latest = self.base = self.passed = self.limit = 0
        self._lanes: dict[int, dict[bytes, Lane]] = {}       # by shape and protocol, then by addresses and ports or SPI
        self._count = 0

    def put(self, shape: int, protocol: int, ends: bytes, lane: Lane) -> None:
        lanes = self._lanes.setdefault(shape << 8 | protocol, {})
        self._count += ends not in lanes
        lanes[ends] = lane

    def drop(self, shape: int, protocol: int, ends: bytes) -> None:
        if self._lanes.get(shape << 8 | protocol, {}).pop(ends, None) is not None:
            self._count -= 1

    def __len__(self) -> int:
        return self._count

    def records(self, block: bytes, at: int, number: int, order: str, size: int, scale: int, largest: int,
                link: int) -> tuple[int, int]:
        """Passes pcap records from `at` on; `number` is that of the packet before. Where it stopped, and the number there."""
        unpack, take, end = _RECORD[order], self._take, len(block)
        last = end - size
        while at <= last and self.passed < self.limit:
            second, fraction, captured, original = unpack(block, at)
            start = at + size
            after = start + captured
            if captured != original or after > end or captured > largest:
                break
            time = second * _NANO + fraction * scale
            if not take(block, start, after, time, number + 1, link):
                break
            self.latest = time
            self.passed += 1
            number += 1
            at = after
        return at, number

    def blocks(self, block: bytes, at: int, number: int, order: str,
               links: Sequence[tuple[int, int, int, int, int]]) -> tuple[int, int]:
        """The same with enhanced packet blocks of pcapng, without options but epb_flags; `links` as the reader knows them."""
        unpack, take, size, known = _EPB[order], self._take, len(block), len(links)
        last = size - 32
        while at <= last and self.passed < self.limit:
            kind, total, interface, high, low, captured, original = unpack(block, at)
            end = at + total
            if kind != 6 or end > size or captured != original or interface >= known:
                break
            more = total - 32 - (captured + 3 & ~3)
            if more and (more != 12 or block[end - 16:end - 12] != _FLAGS[order] or block[end - 8:end - 4] != bytes(4)):
                break
            if block[at + 4:at + 8] != block[end - 4:end]:
                break
            link, multiply, divide, offset, _ = links[interface]
            time = (high << 32 | low) * multiply // divide + offset
            if not take(block, at + 28, at + 28 + captured, time, number + 1, link):
                break
            self.latest = time
            self.passed += 1
            number += 1
            at = end
        return at, number

    def _take(self, block: bytes, at: int, end: int, time: int, number: int, link: int) -> bool:
        """Does the packet at block[at:end] belong to a lane, as expected? Then it is counted."""
        if time < self.latest or at + 20 > end:
            return False
        shape = 0
        if link == 1:
            kind, at = block[at + 12:at + 14], at + 14
            while kind in _TAGS and shape < 4:
                kind, at, shape = block[at + 2:at + 4], at + 4, shape + 2
        elif link in _RAW_LINKS:
            kind, shape = (b"\x86\xdd" if block[at] >> 4 == 6 else b"\x08\0"), _RAW
        elif link == 113 and _u16(block, at + 2)[0] not in _ARPHRD_SPECIAL:
            kind, at, shape = block[at + 14:at + 16], at + 16, _SLL
        else:
            return False
        if kind == b"\x08\0":
            return self._ip(block, at, end, time, number, shape)
        return kind == b"\x86\xdd" and self._ipv6(block, at, end, time, number, shape)

    def _ip(self, block: bytes, at: int, end: int, time: int, number: int, shape: int) -> bool:
        if at + 28 > end:
            return False
        first, total, fragment, protocol = _IPV4(block, at)
        if first != 0x45 or fragment & 0x3FFF or at + total > end:
            return False
        lanes = self._lanes.get(shape << 8 | protocol)
        lane = lanes.get(block[at + 12:at + 24]) if lanes else None
        return lane is not None and self._lane(lane, block, at + 20, at + total, time, number, protocol, shape)

    def _ipv6(self, block: bytes, at: int, end: int, time: int, number: int, shape: int) -> bool:
        if at + 48 > end:
            return False
        first, length, protocol = _IPV6(block, at)
        if first >> 4 != 6 or not length or at + 40 + length > end:
            return False
        lanes = self._lanes.get(shape << 8 | 0x100 | protocol)
        lane = lanes.get(block[at + 8:at + 44]) if lanes else None
        return lane is not None and self._lane(lane, block, at + 40, at + 40 + length, time, number,
                                               protocol, shape + 1)

    def _lane(self, lane: Lane, block: bytes, at: int, end: int, time: int, number: int, protocol: int,
              shape: int) -> bool:
        kind, size = lane.kind, end - at
        if kind == STREAM:
            if size < 20:
                return False
            sequence, acknowledged, offset, flags = _TCP(block, at + 4)
            octets = size - (offset >> 4 << 2)
            if flags & 7 or offset < 0x50 or sequence != lane.next or not 0 <= octets <= lane.left or \
                    (lane.peer.next - acknowledged) & _MASK >= _HALF:
                return False
            if octets:
                lane.next = sequence + octets & _MASK
                lane.left -= octets
                lane.octets += octets
                lane.said = time
                if lane.keep:
                    lane._frames.append(self.base + number)
        elif kind == SHUT or size < 8:
            return False
        elif kind == SEALED:
            if protocol == _UDP:
                if _u16(block, at + 4)[0] != size or size < 36 or block[at + 25] in (0x10, 0x20):   # it may be IKE
                    return False
                at, size = at + 8, size - 8
            sequence = _u32(block, at + 4)[0]
            if _u32(block, at)[0] != lane.spi or sequence < lane.next or sequence > lane.next and not lane.holes or \
                    not 0 <= time - lane.last <= lane.quiet:
                return False
            lane.missing += sequence - lane.next
            lane.next = sequence + 1
            lane.octets += size
            lane.number = self.base + number
        elif kind == TUNNEL:
            return self._tunnel(block, at, end, time, number, shape)
        lane.last = time
        lane.packets += 1
        return True

    def _tunnel(self, block: bytes, at: int, end: int, time: int, number: int, shape: int) -> bool:
        """A G-PDU without extension headers, with or without a sequence number."""
        if shape >= INSIDE or end - at < 40 or _u16(block, at + 4)[0] != end - at:
            return False
        flags, kind = block[at + 8], block[at + 9]
        if kind != 255 or at + 16 + _u16(block, at + 10)[0] != end:
            return False
        if flags == 0x30:
            at += 16
        elif flags == 0x32 and not block[at + 19]:
            at += 20
        else:
            return False
        inner = INSIDE + 2 * shape
        return (self._ipv6 if block[at] >> 4 == 6 else self._ip)(block, at, end, time, number, inner)
