"""The pcapng file format (draft-ietf-opsawg-pcapng): sections, interfaces, packets, names, statistics, secrets.

Frame numbers are Wireshark's: it counts every record that it shows, custom blocks and system events among them, so those
take a number here too although they are no packets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from struct import Struct

from ..errors import CaptureError
from ..model import Frame
from .compression import Source
from .reading import Account, Pieces

LEAST = 28                    # octets of the shortest section header
_LARGEST_BLOCK = 32 << 20     # above it a length is damage
_SEARCH = 16 << 20            # octets searched for a block that can be trusted, behind a damaged one
_MOST_NAMES = 10_000          # name records and secrets kept of one file
_MOST_INTERFACES = 1 << 16    # described in one file; packets of further ones are not read
_NANO = 1_000_000_000

_SHB, _IDB, _PB, _SPB, _NRB, _ISB, _EPB, _DSB = 0x0A0D0D0A, 1, 2, 3, 4, 5, 6, 10
_MAGIC = 0x1A2B3C4D
# Numbered by Wireshark and not packets: journal entries, custom blocks (to be copied or not), sysdig events
_COUNTED = {9, 0xBAD, 0x40000BAD, 0x204, 0x208, 0x216, 0x217, 0x221, 0x222}
_KNOWN = (_IDB, _PB, _SPB, _NRB, _ISB, _EPB, _DSB)
_HEAD = {order: Struct(order + "7I").unpack_from for order in "<>"}      # the fixed part of an enhanced packet block
_TWO = {order: Struct(order + "II").unpack_from for order in "<>"}

_Clock = tuple[int, int, int]          # nanoseconds = ticks * first // second + third
_Link = tuple[int, int, int, int, int]  # link type, clock, index of the interface in the file


def recognised(head: bytes) -> bool:
    return head[:4] == b"\x0a\x0d\x0d\x0a" and head[8:12] in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a")


def frames(capture: Account, source: Source, block: bytes) -> Iterator[Frame]:
    """The packets of the file that begins with `block`; what is learned besides goes into `capture`."""
    if len(block) < LEAST:
        raise CaptureError("is cut inside its section header and holds no packet; capture again")
    reader = _Blocks(capture, source, block)
    capture.describe("pcapng", reader.order, source.compression)
    return reader.frames()


def _options(body: bytes, at: int, order: str) -> Iterator[tuple[int, bytes]]:
    """Code and value of each option from `at`; ends at the first that does not fit."""
    head = Struct(order + "HH").unpack_from
    while at + 4 <= len(body):
        code, size = head(body, at)
        at += 4
        if code == 0 or at + size > len(body):
            return
        yield code, body[at:at + size]
        at += size + 3 & ~3


def _clock(resolution: int, offset: int) -> _Clock:
    """if_tsresol: a negative power of ten, or of two where the top bit is set; if_tsoffset: seconds."""
    power = resolution & 0x7F
    if resolution & 0x80:
        return _NANO, 1 << power, offset * _NANO
    return (10 ** (9 - power), 1, offset * _NANO) if power <= 9 else (1, 10 ** (power - 9), offset * _NANO)


class _Blocks(Pieces):
    """One pass over the blocks."""

    def __init__(self, capture: Account, source: Source, block: bytes):
        super().__init__(source, block)
        self.capture, self.number = capture, 0
        self.first = 0                       # index in the file of this section's first interface
        self.links: list[_Link] = []        # this section's interfaces
        self.time: int | None = None         # of the last packet that had one
        self.waiting: list[Frame] = []       # packets without a time, in front of the first that has one
        self.order = ">" if block[8:12] == b"\x1a\x2b\x3c\x4d" else "<"
        self.handlers: dict[int, Callable[[bytes], None]] = {
            _SHB: self.section, _IDB: self.interface, _NRB: self.names, _ISB: self.statistics, _DSB: self.secret}

    def frames(self) -> Iterator[Frame]:
        new, make, capture = tuple.__new__, Frame, self.capture
        while True:
            # The fast path: enhanced packets, whole in the block, on clocks that tick in a decimal fraction
            block, at, size, order = self.block, self.at, len(self.block), self.order
            unpack, number, last, time = _HEAD[order], self.number, size - 32, self.time
            links, known = self.links, len(self.links)
            while at <= last:
                scanner = capture.scanner
                if scanner and not self.waiting:
                    before = number
                    at, number = scanner.blocks(block, at, number, order, links)
                    if number > before:
                        time = scanner.latest
                        if at > last:
                            break
                kind, total, interface, high, low, captured, original = unpack(block, at)
                end = at + total
                if kind != _EPB or end > size or interface >= known or captured > total - 32 or total & 3:
                    break
                if block[at + 4:at + 8] != block[end - 4:end] or self.waiting:
                    break
                link, multiply, divide, offset, index = links[interface]
                time = (high << 32 | low) * multiply // divide + offset
                number += 1
                start = at + 28
                at = end
                if captured < original:
                    capture.cut += 1
                if total - captured > 40:
                    self.packet_options(block[start + (captured + 3 & ~3):end - 4], index)
                yield new(make, (number, time, link, block[start:start + captured], original, index))
            self.at, self.number, self.time, capture.packets = at, number, time, number
            body = self.next_block()
            if body is None:
                break
            yield from self.other(*body)
        yield from self.flush(0)
        capture.packets = self.number

    def next_block(self) -> tuple[int, bytes] | None:
        """Type and body of the block at `at`, which is then behind us; None at the end of the file."""
        while True:
            left = len(self.block) - self.at
            if left < 12:
                if self.more():
                    continue
                if left:
                    self.capture.cut_off(self.number + 1, self.base + self.at)
                return None
            if self.block.startswith(b"\x0a\x0d\x0d\x0a", self.at):
                mark = self.block[self.at + 8:self.at + 12]
                if mark in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a"):
                    self.order = ">" if mark == b"\x1a\x2b\x3c\x4d" else "<"
            kind, total = _TWO[self.order](self.block, self.at)
            if 12 <= total <= _LARGEST_BLOCK and total + 3 & ~3 > left and self.more():
                continue
            end = self.whole(self.at)
            if end:
                body = self.block[self.at + 8:self.at + total - 4]
                self.at = end
                return kind, body
            if not self.resynchronise(total, left):
                return None

    def whole(self, at: int) -> int:
        """Where the block at `at` ends; 0 where its two lengths differ or it does not fit."""
        block = self.block
        total = _TWO[self.order](block, at)[1]
        if not 12 <= total <= _LARGEST_BLOCK:
            return 0
        # Some writers leave the padding out of the length, and some leave out the padding
        for end in (total + 3 & ~3, total) if total & 3 else (total,):
            if at + end <= len(block) and block[at + end - 4:at + end] == block[at + 4:at + 8]:
                return at + end
        return 0

    def resynchronise(self, total: int, left: int) -> bool:
        """Goes on to the next block to be trusted behind a damaged one; False where the file holds none."""
        broken = self.base + self.at
        start = broken + 1
        while (found := self.search(start - self.base)) is None and len(self.block) - self.at < _SEARCH:
            start = max(start, self.base + len(self.block) - (1 << 18))     # what may begin in what is there
            if not self.more():
                break
        if found is not None:
            self.capture.damaged(f"damaged at byte {broken}, behind packet {self.number}: {self.base + found - broken} octets "
                                 "were skipped, packets are missing there, and later frame numbers differ from Wireshark's")
            self.at = found
        elif 12 <= total <= _LARGEST_BLOCK and total > left:
            self.capture.cut_off(self.number + 1, broken)
        else:
            self.capture.damaged(f"damaged at byte {broken}, behind packet {self.number}: a block says it has {total} octets, "
                                 "and nothing that can be trusted follows it; the rest of the file was not read")
        return found is not None

    def search(self, start: int) -> int | None:
        """Where the next block of a known type begins whose two lengths agree."""
        order = "little" if self.order == "<" else "big"
        kinds = b"|".join(re.escape(kind.to_bytes(4, order)) for kind in (*_KNOWN, _SHB))
        for match in re.compile(kinds, re.DOTALL).finditer(self.block, start):
            if match.start() + 12 <= len(self.block) and self.whole(match.start()):
                return match.start()
        return None

    # What each block means.

    def other(self, kind: int, body: bytes) -> Iterator[Frame]:
        """Any block that the fast path left: packets of other types, and all that is no packet."""
        order = self.order
        if kind == _EPB and len(body) >= 20:
            interface, high, low, captured, original = Struct(order + "5I").unpack_from(body)
            yield from self.packet(interface, high << 32 | low, captured, original, body, 20)
        elif kind == _PB and len(body) >= 20:
            interface, drops, high, low, captured, original = Struct(order + "HHIIII").unpack_from(body)
            if 0 < drops < 0xFFFF and interface < len(self.links):
                self.dropped(self.first + interface, drops)
            yield from self.packet(interface, high << 32 | low, captured, original, body, 20)
        elif kind == _SPB and len(body) >= 4:
            original = Struct(order + "I").unpack_from(body)[0]
            snaplen = self.capture.interfaces[self.first].snaplen if self.links else 0
            captured = min(original, snaplen or original, len(body) - 4)
            yield from self.packet(0, None, captured, original, body, 4)
        elif kind in self.handlers:
            self.handlers[kind](body)
        elif kind in _COUNTED:
            self.number += 1
        self.capture.packets = self.number

    def packet(self, interface: int, ticks: int | None, captured: int, original: int, body: bytes,
               at: int) -> Iterator[Frame]:
        """The packet of one block. One without a time gets that of the packet before it, the first ones of that behind."""
        self.number += 1
        if interface >= len(self.links):
            self.capture.count("{} packets of an interface that the file does not describe were not read")
            return
        if at + captured > len(body):
            self.capture.damaged(f"packet {self.number} says it has {captured} octets, its block holds {len(body) - at}")
            captured = len(body) - at
        index = self.first + interface
        self.capture.cut += captured < original
        self.packet_options(body[at + (captured + 3 & ~3):], index) if at == 20 else None
        data = body[at:at + captured]
        frame = Frame(self.number, self.time or 0, self.capture.interfaces[index].link, data, original, index)
        if ticks is None:
            self.capture.count("{} packets have no time in the file; they are given that of their neighbour")
            if self.time is None and len(self.waiting) < 1000:
                self.waiting.append(frame)
                return
        else:
            _, multiply, divide, offset, _ = self.links[interface]
            self.time = ticks * multiply // divide + offset
            frame = frame._replace(time=self.time)
        yield from self.flush(frame.time)
        yield frame

    def flush(self, time: int) -> Iterator[Frame]:
        waiting, self.waiting = self.waiting, []
        return (frame._replace(time=time) for frame in waiting)

    def packet_options(self, options: bytes, index: int) -> None:
        for code, value in _options(options, 0, self.order):
            if code == 4 and len(value) == 8:                    # epb_dropcount
                self.dropped(index, int.from_bytes(value, "little" if self.order == "<" else "big"))

    def dropped(self, index: int, count: int) -> None:
        interface = self.capture.interfaces[index]
        interface.drops = (interface.drops or 0) + count

    def section(self, body: bytes) -> None:
        self.first, self.links = len(self.capture.interfaces), []

    def interface(self, body: bytes) -> None:
        if len(body) < 8:
            return
        link, _, snaplen = Struct(self.order + "HHI").unpack_from(body)
        name, description, resolution, offset = "", "", 6, 0
        order = "little" if self.order == "<" else "big"
        for code, value in _options(body, 8, self.order):
            if code == 2:                                        # if_name
                name = value.decode("utf-8", "replace").rstrip("\0")
            elif code == 3:                                      # if_description
                description = value.decode("utf-8", "replace").rstrip("\0")
            elif code == 9 and value:                            # if_tsresol
                resolution = value[0]
            elif code == 14 and len(value) == 8:                 # if_tsoffset
                offset = int.from_bytes(value, order, signed=True)
        if len(self.capture.interfaces) < _MOST_INTERFACES:
            self.links.append((link, *_clock(resolution, offset), len(self.capture.interfaces)))
            self.capture.add_interface(name, link, snaplen, description)

    def names(self, body: bytes) -> None:
        """Records of type 1 (IPv4) and 2 (IPv6): an address and its names, each ended by a zero octet."""
        for kind, value in _options(body, 0, self.order):
            size = {1: 4, 2: 16}.get(kind, 0)
            if size and len(value) > size:
                address = str(ip_address(value[:size]))
                for name in value[size:].split(b"\0"):
                    if name and len(self.capture.names) < _MOST_NAMES:
                        self.capture.names.append((address, name.decode("utf-8", "replace")))

    def statistics(self, body: bytes) -> None:
        if len(body) < 12:
            return
        interface = Struct(self.order + "I").unpack_from(body)[0]
        if interface >= len(self.links):
            return
        order = "little" if self.order == "<" else "big"
        lost = [int.from_bytes(value, order) for code, value in _options(body, 12, self.order)
                if code in (5, 7) and len(value) == 8]           # isb_ifdrop, isb_osdrop
        if lost:
            # counted from the start: the last holds
            self.capture.interfaces[self.first + interface].drops = sum(lost)

    def secret(self, body: bytes) -> None:
        if len(body) < 8:
            return
        kind, size = _TWO[self.order](body, 0)
        if len(self.capture.secrets) < _MOST_NAMES:
            self.capture.secrets.append((kind, body[8:8 + size]))
