"""The pcap file format (draft-ietf-opsawg-pcap) and its relatives: nanosecond, modified (Kuznetzov), IXIA, Nokia, AIX.

What other readers stop at is read on here: a damaged record costs only the packets up to the next header that can be
trusted, and a capture appended to another (`cat a b > c`) is read as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from ..errors import CaptureError
from ..model import Frame
from .compression import Source
from .reading import Account, Pieces

LARGEST_PACKET = 262144      # octets; what libpcap and Wireshark accept for links that carry IP
_LARGEST_SNAPLEN = 1 << 20   # a snap length stated above that of today's largest offloaded packets is not believed
_SEARCH = 16 << 20           # octets searched for a trustworthy header behind a damaged one
_CHAIN = 3                   # headers that must follow one another before the first is trusted
_NANO = 1_000_000_000
_MOST_APPENDED = 10_000      # captures in one file
_NEAR = 7 * 86400            # seconds between neighbours of one chain
_BLIND_SEARCH = 1 << 16      # octets searched where no time of a packet is known yet

_FILE_HEADER = 24
_RECORD = {order: Struct(order + "IIII").unpack_from for order in "<>"}     # second, fraction, octets kept, octets sent
# Magic number, as big-endian integer: (what it is, nanoseconds per fraction, sizes a record header may have)
_MAGICS = {0xA1B2C3D4: ("pcap", 1000, (16, 24, 20)),       # 24: patched kernels kept the magic; 20: Nokia firewalls
           0xA1B23C4D: ("pcap nanosecond", 1, (16,)),
           0xA1B2CD34: ("pcap modified", 1000, (24, 28)),  # Kuznetzov's libpcap: interface, protocol, type; CPU numbers
           0x1C0001AC: ("pcap IXIA hardware", 1, (16,)),
           0x1C0001AB: ("pcap IXIA software", 1, (16,))}
_IXIA_EXTRA = 4              # octets behind the file header: the size of all records
_AIX_LINKS = {6: 1, 9: 6, 15: 10}      # AIX wrote interface types (RFC 1573) with version 2.2, and nanoseconds
_LINK_MASK = 0xFFFF          # above it: whether a frame check sequence follows each packet, and its length
_ANY_MAGIC = re.compile(b"|".join(re.escape(magic.to_bytes(4, order)) for magic in _MAGICS
                                  for order in ("big", "little")))


@dataclass(slots=True)
class Header:
    """What the file header says, and how the records behind it are laid out."""

    name: str
    order: str               # "<" or ">"
    scale: int               # nanoseconds per unit of a record's fraction of a second
    record: int              # octets of a record header
    link: int
    snaplen: int
    start: int               # where the first record begins
    swapped: bool            # old versions wrote the two lengths the other way round

    @property
    def largest(self) -> int:
        return self.snaplen if LARGEST_PACKET < self.snaplen <= _LARGEST_SNAPLEN else LARGEST_PACKET


def recognised(head: bytes) -> bool:
    return _ANY_MAGIC.match(head) is not None


def read_header(block: bytes, at: int = 0) -> Header | None:
    """The file header at `at`; None where there is none or it is incomplete. Looks at the first records too."""
    if len(block) - at < _FILE_HEADER or not _ANY_MAGIC.match(block, at):
        return None
    order = ">" if int.from_bytes(block[at:at + 4], "big") in _MAGICS else "<"
    magic, major, minor, _, _, snaplen, field = Struct(order + "IHHIIII").unpack_from(block, at)
    name, scale, sizes = _MAGICS[magic]
    link, start, swapped = field & _LINK_MASK, at + _FILE_HEADER, False
    if name.startswith("pcap IXIA"):
        start += _IXIA_EXTRA
    if (major, minor) == (2, 2) and link in _AIX_LINKS:
        name, scale, link = "pcap AIX", 1, _AIX_LINKS[link]
    elif (major == 2 and minor < 3) or (major, minor) == (543, 0):
        swapped = True
    header = Header(name, order, scale, sizes[0], link, snaplen, start, swapped)
    if len(sizes) > 1:
        header.record = _record_size(block, header, sizes)
    return header


def _record_size(block: bytes, header: Header, sizes: tuple[int, ...]) -> int:
    """The first size with which the first records follow one another sensibly."""
    for size in sizes:
        header.record = size
        if _chain(block, header.start, header, None):
            return size
    return sizes[0]


def _chain(block: bytes, at: int, header: Header, near: int | None) -> bool:
    """Do records that make sense follow one another from `at`: `_CHAIN` of them, or one and then the end of the bytes?

    `near` is a second that the first one's time must be close to.
    """
    unpack, size, largest = _RECORD[header.order], len(block), header.largest
    fractions = _NANO // header.scale
    for count in range(_CHAIN):
        if at + header.record > size:
            return count > 0
        second, fraction, captured, original = unpack(block, at)
        if header.swapped:
            captured, original = original, captured
        if not captured or captured > largest or captured > original or original > _LARGEST_SNAPLEN:
            return False
        if fraction >= fractions or near is not None and abs(second - near) > _NEAR:
            return False
        near = second
        at += header.record + captured
        if at > size:
            return count > 0
    return True


def frames(capture: Account, source: Source, block: bytes) -> Iterator[Frame]:
    """The packets of the file that begins with `block`; what is learned besides goes into `capture`."""
    while len(block) < _FILE_HEADER and (piece := source.read()):
        block += piece
    header = read_header(block)
    if header is None:
        raise CaptureError("is cut inside its file header and holds no packet; capture again")
    capture.describe(header.name, header.order, source.compression)
    capture.add_interface("", header.link, header.snaplen)
    return _Records(capture, source, block, header).frames()


class _Records(Pieces):
    """One pass over the records."""

    def __init__(self, capture: Account, source: Source, block: bytes, header: Header):
        super().__init__(source, block)
        self.capture, self.header, self.at = capture, header, header.start
        self.second: int | None = None        # of the last packet that was read

    def frames(self) -> Iterator[Frame]:
        capture, new, make = self.capture, tuple.__new__, Frame
        number = cut = interface = 0
        while True:
            header = self.header
            order, size, scale, largest = header.order, header.record, header.scale, header.largest
            unpack, link, swapped = _RECORD[order], header.link, header.swapped
            block, at, end, trusted = self.block, self.at, len(self.block), self.second
            last = end - size
            while at <= last:
                scanner = capture.scanner
                if scanner:                      # it holds lanes
                    before = at
                    at, number = scanner.records(block, at, number, order, size, scale, largest, link)
                    if at > before:
                        trusted = scanner.latest // _NANO
                        if at > last:
                            break
                second, fraction, captured, original = unpack(block, at)
                if swapped:
                    captured, original = original, captured
                start = at + size
                after = start + captured
                if after > end or captured > largest or not captured:
                    break
                number += 1
                if captured < original:
                    cut += 1
                yield new(make, (number, second * _NANO + fraction * scale, link, block[start:after],
                                 original, interface))
                trusted = second
                at = after
            self.at, self.second, capture.packets, capture.cut = at, trusted, number, cut
            if at > last:                        # all of this block is read
                if self.more():
                    continue
                if self.at < len(self.block):
                    capture.cut_off(number + 1, self.base + self.at)
                return
            if self.appended():
                interface = len(capture.interfaces) - 1
            elif not captured:                   # nothing was kept of this packet; it is numbered like any other
                number += 1
                self.at = at + size
                if second or original:
                    cut += original > 0
                    yield Frame(number, second * _NANO + fraction * scale, link, b"", original, interface)
                else:
                    capture.count("{} records of zeros only: that part of the file was never written")
                capture.packets, capture.cut = number, cut
            elif captured <= largest and self.more():
                continue
            elif not self.resynchronise(number, captured):
                return

    def appended(self) -> bool:
        """Does another capture's file header stand where a record should?"""
        if not _ANY_MAGIC.match(self.block, self.at) or len(self.capture.interfaces) >= _MOST_APPENDED:
            return False
        while len(self.block) - self.at < _FILE_HEADER and self.more():
            pass
        header = read_header(self.block, self.at)
        if header is None:
            return False
        self.capture.remark(f"another capture begins at byte {self.base + self.at}: both are read")
        self.header, self.at = header, header.start
        self.capture.add_interface("", header.link, header.snaplen)
        return True

    def resynchronise(self, number: int, captured: int) -> bool:
        """Goes on to the next header to be trusted behind a damaged one; False where the file holds none."""
        broken = self.base + self.at
        start = broken + 1
        while (found := self.search(start - self.base)) is None and len(self.block) - self.at < _SEARCH:
            start = max(start, self.base + len(self.block) - LARGEST_PACKET)    # a chain may begin in what is there
            if not self.more():
                break
        if found is not None:
            lost = self.base + found - broken
            self.capture.damaged(f"damaged at byte {broken}, behind packet {number}: {lost} octets were skipped, packets are "
                                 "missing there, and later frame numbers differ from Wireshark's")
            self.at = found
        elif captured > self.header.largest:
            self.capture.damaged(f"damaged at byte {broken}: packet {number + 1} would have {captured} octets, and nothing "
                                 "that can be trusted follows it; the rest of the file was not read")
        else:
            self.capture.cut_off(number + 1, broken)
        return found is not None

    def search(self, start: int) -> int | None:
        """Where a chain of records begins whose times fit: the upper half of their seconds is that of the last packet."""
        block, header, near = self.block, self.header, self.second
        if near is None:
            candidates: Iterator[int] = iter(range(start, min(len(block), start + _BLIND_SEARCH)))
        else:
            order, lead = ("little", 2) if header.order == "<" else ("big", 0)
            halves = [re.escape(((near >> 16) + step & 0xFFFF).to_bytes(2, order)) for step in (0, 1, -1)]
            found = re.compile(b"|".join(halves), re.DOTALL).finditer(block, start + lead)
            candidates = (match.start() - lead for match in found)
        return next((at for at in candidates if _chain(block, at, header, near)), None)
