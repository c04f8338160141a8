"""ESP (RFC 4303), on IP or in UDP (RFC 3948): opened where the key ring can, counted per SA where it cannot.

A packet that is opened goes on as what it carries. NULL encryption (RFC 2410) is recognised without keys where the
length, the padding and the checksums inside fit. Everything else becomes one Opaque per SA, with the times in which
there was traffic: a step that may lie inside such traffic cannot be called missing. Holes in the sequence numbers are
packets the capture does not hold, and become Gaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from socket import AF_INET, AF_INET6, inet_ntop
from struct import unpack_from
from typing import Any

from ..model import Context, FrameRef, Gap, Message, Opaque, Payload, Steady

KINDS = {"esp.inside": ("spi", "src", "dst")}       # the first opened packet of an SA: who speaks inside
PROTOCOLS = {50}

_SAS = 1024                   # of one flow; what comes on top is counted together
_BURSTS = 64                  # intervals of activity kept per SA
_QUIET = 1_000_000_000        # ns without a packet that end a burst; doubled whenever there are too many bursts
_HOLES = 64                   # kept per SA
_NULL_TRIES = 3               # packets of an SA that are examined for NULL encryption
_ICV_SIZES = (12, 16, 24, 32, 8, 0)
_RESERVED = 255               # RFC 4303 2.1: SPIs up to it stand for no SA
_DUMMY = 59                   # next header of traffic flow confidentiality packets (RFC 4303 2.6)
_ADDRESSES = {4: (12, 4, AF_INET), 41: (8, 16, AF_INET6)}     # where the addresses stand in the IP header inside
_IN_IP = {4: "ip", 41: "ip", 97: "eth"}


class _SA:
    """What is known of one direction of one SA at this place."""

    __slots__ = ("spi", "src", "dst", "layers", "stream", "first", "last", "packets", "size", "lowest", "highest",
                 "bursts", "quiet", "holes", "inside", "skipped", "late", "seen", "null", "time", "keys",
                 "cut")

    def __init__(self, spi: int | None, context: Context, sequence: int):
        self.spi, self.src, self.dst = spi, context.src, context.dst
        self.layers, self.stream = context.layers, context.stream
        self.first = self.last = context.frames[-1]
        self.packets = self.size = self.skipped = self.late = self.seen = 0
        self.cut = 0                              # sealed packets that the snap length shortened: no key opens them
        self.lowest = self.highest = sequence
        self.bursts: list[list[int]] = []
        self.quiet = _QUIET
        self.holes: list[list[int]] = []          # [first, last, how many still missing, time before, time after]
        self.inside: set[int] = set()             # next headers that were seen in it
        self.null: tuple[int, int] | None = None  # sizes of IV and ICV, once NULL encryption is recognised
        self.time = context.time
        self.keys = ""

    def arrived(self, sequence: int, time: int) -> None:
        """Keeps the books of the sequence numbers."""
        if sequence == self.highest + 1:
            self.highest = sequence
        elif sequence > self.highest:
            missing = sequence - self.highest - 1
            self.skipped += missing
            if len(self.holes) < _HOLES:
                self.holes.append([self.highest + 1, sequence - 1, missing, self.time, time])
            self.highest = sequence
        elif self.seen:
            self.late += 1
            for hole in self.holes:
                if hole[0] <= sequence <= hole[1]:
                    hole[2] -= 1
                    break
            if sequence < self.lowest:
                self.lowest = sequence
        self.seen += 1
        self.time = time

    def sealed(self, time: int, size: int, frame: FrameRef) -> None:
        """One packet that stays closed."""
        if not self.packets:
            self.first = frame
        self.packets += 1
        self.size += size
        self.last = frame
        bursts = self.bursts
        if bursts and time - bursts[-1][1] <= self.quiet:
            if time > bursts[-1][1]:
                bursts[-1][1] = time
        else:
            bursts.append([time, time])
            if len(bursts) > _BURSTS:
                self._merge()

    def passed(self, packets: int, octets: int, missing: int, time: int, frame: FrameRef) -> None:
        """That many packets in sequence, but for those missing, came and stayed closed, after no pause."""
        self.highest += packets + missing
        self.skipped += missing
        self.seen += packets
        self.packets += packets
        self.size += octets
        self.time = self.bursts[-1][1] = time
        self.last = frame

    def _merge(self) -> None:
        while len(self.bursts) > _BURSTS // 2:
            self.quiet *= 2
            merged = [self.bursts[0]]
            for burst in self.bursts[1:]:
                if burst[0] - merged[-1][1] <= self.quiet:
                    merged[-1][1] = max(merged[-1][1], burst[1])
                else:
                    merged.append(burst)
            self.bursts = merged


class Flow:
    """ESP between two hosts, or in one UDP flow (then `carried`: the layer is not named yet), in both directions."""

    def __init__(self, context: Context, carried: bool = False):
        self._sas: dict[tuple[bytes, str], _SA] = {}
        self._carried = carried

    def datagram(self, data: bytes, context: Context) -> tuple[Message | Payload, ...]:
        if len(data) < 8:
            return ()
        key = (data[:4], context.dst.address)
        sequence = int.from_bytes(data[4:8], "big")
        sa = self._sas.get(key)
        if sa is None:
            sa = self._new(key, context, sequence)
        if sa.spi is not None:
            sa.arrived(sequence, context.time)
            if not context.missing and (context.secrets is not None or sa.null or sa.seen <= _NULL_TRIES):
                opened = self._open(sa, data, context)
                if opened is not None:
                    return opened
        sa.cut += context.missing > 0
        sa.sealed(context.time, len(data) + context.missing, context.frames[-1])
        return ()

    def steady(self, data: bytes, context: Context) -> Steady | None:
        """What the packets behind this one may be so that nobody need look into them, where there are no keys at all."""
        sa = self._sas.get((data[:4], context.dst.address))
        if sa is None or not (sa.spi or 0) > _RESERVED or sa.null or sa.seen < _NULL_TRIES or not sa.bursts:
            return None
        if sa.time != sa.bursts[-1][1]:
            return None
        return Steady(data[:4], sa.highest + 1, sa.time, sa.quiet, len(sa.holes) >= _HOLES)

    def passed(self, spi: bytes, dst: str, *counted: Any) -> None:
        """Packets as `steady` described them went by."""
        self._sas[spi, dst].passed(*counted)

    def _new(self, key: tuple[bytes, str], context: Context, sequence: int) -> _SA:
        if len(self._sas) >= _SAS:
            key = (b"", "")
            if key in self._sas:
                return self._sas[key]
        sa = self._sas[key] = _SA(int.from_bytes(key[0], "big") if key[0] else None, context, sequence)
        return sa

    def _open(self, sa: _SA, data: bytes, context: Context) -> tuple[Message | Payload, ...] | None:
        """What the packet carries, None where it stays closed."""
        if context.secrets is not None:
            opened = context.secrets.open_esp(context.src.address, context.dst.address, data)
            if opened is not None:
                if opened.data is not None:
                    return self._payload(sa, opened.next_header, opened.data, context)
                sa.keys = opened.refused
        if sa.null is None and sa.seen <= _NULL_TRIES:
            sa.null = _null_sizes(data, context)
        if sa.null is not None:
            found = _null_payload(data, *sa.null, context, dummies=True)
            if found is not None:
                return self._payload(sa, *found, context)
        return None

    def end(self) -> Iterator[Opaque | Gap]:
        for sa in self._sas.values():
            if sa.packets:
                yield self._summary(sa)
            for first, last, missing, before, after in sa.holes:
                if missing > 0:
                    what = (f"{missing} ESP packet{'s' * (missing != 1)} of SPI 0x{sa.spi:08x} between sequence numbers {first - 1} and "
                            f"{last + 1} {'are' if missing != 1 else 'is'} not in the capture")
                    yield Gap(before, after, what, sa.stream if self._carried else None, sa.last.capture)
        self._sas.clear()

    def _payload(self, sa: _SA, next_header: int, data: bytes, context: Context) -> tuple[Message | Payload, ...]:
        if next_header == _DUMMY:
            return ()
        context = context.within("esp") if self._carried else context
        if next_header not in sa.inside and next_header in _ADDRESSES and sa.spi is not None:
            sa.inside.add(next_header)
            first, size, family = _ADDRESSES[next_header]
            if len(data) >= first + 2 * size:
                src, dst = (inet_ntop(family, data[at:at + size]) for at in (first, first + size))
                told = context.message("esp.inside", {"spi": f"0x{sa.spi:08x}", "src": src, "dst": dst})
                return (told, Payload(_IN_IP[next_header], data, context))
        return (Payload(_IN_IP.get(next_header) or f"transport:{next_header}", data, context),)

    def _summary(self, sa: _SA) -> Opaque:
        fields: dict = {"bursts": [tuple(burst) for burst in sa.bursts]}
        if sa.spi is not None:
            fields |= {"spi": f"0x{sa.spi:08x}", "lowest_sequence": sa.lowest, "highest_sequence": sa.highest,
                       "missing": max(0, sa.skipped - sa.late)}
        if sa.cut:
            fields["cut"] = sa.cut
        if sa.keys:
            fields |= {"keys": "do not fit", "keys_reason": sa.keys}
        layers = (*sa.layers, "esp") if self._carried else sa.layers
        return Opaque("esp", sa.bursts[0][0], sa.bursts[-1][1], sa.src, sa.dst, layers, sa.packets, sa.size, sa.stream,
                      (sa.first, sa.last), fields)


# ---------------------------------------------------------------------------------------- NULL encryption

def _null_sizes(data: bytes, context: Context) -> tuple[int, int] | None:
    """Sizes of IV and ICV with which the packet reads as NULL-encrypted ESP (RFC 2410; with GMAC an IV, RFC 4543)."""
    for iv in (0, 8):
        for icv in _ICV_SIZES:
            if _null_payload(data, iv, icv, context) is not None:
                return iv, icv
    return None


def _null_payload(data: bytes, iv: int, icv: int, context: Context, dummies: bool = False) -> tuple[int, bytes] | None:
    """Next header and content, None where anything does not fit. `dummies`: packets of padding alone fit too."""
    trailer = len(data) - icv - 2
    start = 8 + iv
    if trailer < start:
        return None
    padding, next_header = data[trailer], data[trailer + 1]
    end = trailer - padding
    if end <= start or data[end:trailer] != _PADDING[:padding]:
        return None
    inner = data[start:end]
    if dummies and next_header == _DUMMY:
        return next_header, inner
    check = _CHECKS.get(next_header)
    return (next_header, inner) if check is not None and check(inner, context) else None


_PADDING = bytes(range(1, 256))        # RFC 4303 2.4


def _fits_ipv4(inner: bytes, context: Context) -> bool:
    if len(inner) < 20 or inner[0] >> 4 != 4 or int.from_bytes(inner[2:4], "big") != len(inner):
        return False
    size = 4 * (inner[0] & 15)
    return 20 <= size <= len(inner) and _ones_sum(inner[:size]) == 0xFFFF


def _fits_ipv6(inner: bytes, context: Context) -> bool:
    return len(inner) >= 40 and inner[0] >> 4 == 6 and int.from_bytes(inner[4:6], "big") == len(inner) - 40


def _fits_udp(inner: bytes, context: Context) -> bool:
    if len(inner) < 8 or int.from_bytes(inner[4:6], "big") != len(inner):
        return False
    return inner[6:8] != bytes(2) and _transport_sum(inner, 17, context) == 0xFFFF


def _fits_tcp(inner: bytes, context: Context) -> bool:
    return len(inner) >= 20 and 20 <= 4 * (inner[12] >> 4) <= len(inner) and _transport_sum(inner, 6, context) == 0xFFFF


def _fits_icmp(inner: bytes, context: Context) -> bool:
    return len(inner) >= 8 and _ones_sum(inner) == 0xFFFF


def _fits_icmpv6(inner: bytes, context: Context) -> bool:
    return len(inner) >= 8 and _transport_sum(inner, 58, context) == 0xFFFF


_CHECKS = {4: _fits_ipv4, 41: _fits_ipv6, 17: _fits_udp, 6: _fits_tcp, 1: _fits_icmp, 58: _fits_icmpv6}


def _transport_sum(data: bytes, protocol: int, context: Context) -> int:
    from ipaddress import ip_address

    head = ip_address(context.src.address).packed + ip_address(context.dst.address).packed
    return _ones_sum(head + protocol.to_bytes(4, "big") + len(data).to_bytes(4, "big") + data)


def _ones_sum(data: bytes) -> int:
    """The internet checksum's sum (RFC 1071): 0xFFFF over data that holds its own right checksum."""
    if len(data) & 1:
        data += b"\0"
    total = sum(unpack_from(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
