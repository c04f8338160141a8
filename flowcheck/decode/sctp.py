"""SCTP (RFC 9260), also in UDP (RFC 6951) and with interleaved messages (RFC 8260).

Set-up, shutdown and failure of an association are messages; the user messages it carries are handed on by their payload
protocol identifier. An association is known by its ports and verification tags, so one whose hosts have several
addresses stays one. A user message is handed on when its last fragment arrives, whatever order fragments take; a TSN
that was seen before is a retransmission and nothing new. The checksum is looked at only to recognise SCTP in UDP:
network cards fill it in behind the tap.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from ipaddress import ip_address
from struct import unpack_from
from typing import Any, NamedTuple

from ..model import Context, Endpoint, FrameRef, Gap, Message, Payload, Problem
from .wire import Cursor, Short

_TAG = ("verification_tag",)
_INIT = (*_TAG, "initiate_tag", "a_rwnd", "outbound_streams", "inbound_streams", "initial_tsn", "addresses",
         "host_name")
_CAUSE = (*_TAG, "cause", "cause_code", "causes")
KINDS = {
    "sctp.init": _INIT, "sctp.init_ack": _INIT, "sctp.abort": _CAUSE, "sctp.error": _CAUSE,
    **{f"sctp.{name}": _TAG for name in ("cookie_echo", "cookie_ack", "shutdown", "shutdown_ack", "shutdown_complete")},
}
PORTS = {9899}
PROTOCOLS = {132}

DATA, INIT, INIT_ACK, ABORT, ERROR, I_DATA = 0, 1, 2, 6, 9, 64
_PLAIN = {7: "sctp.shutdown", 8: "sctp.shutdown_ack", 10: "sctp.cookie_echo", 11: "sctp.cookie_ack",
          14: "sctp.shutdown_complete"}
_NAMES = {INIT: "sctp.init", INIT_ACK: "sctp.init_ack", ABORT: "sctp.abort", ERROR: "sctp.error", **_PLAIN}
_CHUNKS = {*range(16), 64, 128, 129, 130, 132, 192, 193, 194}           # IANA: SCTP chunk types

# RFC 9260 3.3.10; 256 and on: RFC 5061
CAUSES = {1: "Invalid Stream Identifier", 2: "Missing Mandatory Parameter", 3: "Stale Cookie", 4: "Out of Resource",
          5: "Unresolvable Address", 6: "Unrecognized Chunk Type", 7: "Invalid Mandatory Parameter",
          8: "Unrecognized Parameters", 9: "No User Data", 10: "Cookie Received While Shutting Down",
          11: "Restart of an Association with New Addresses", 12: "User-Initiated Abort", 13: "Protocol Violation",
          160: "Request to Delete Last Remaining IP Address", 161: "Operation Refused Due to Resource Shortage",
          162: "Request to Delete Source IP Address", 163: "Association Aborted Due to Illegal ASCONF-ACK",
          164: "Request Refused - No Authorization", 261: "Unsupported HMAC Identifier"}

_ASSIGNED = range(1, 256)            # IANA assigns from the bottom; above are mistakes, or the octets are swapped
_REMEMBERED = 1024                   # TSNs of a direction by which retransmissions are known
_HOLES = 64                   # of one direction that are remembered
_FRAGMENTS = 512                     # of one direction, waiting for the rest of their messages
_WAITING = 1 << 20                   # octets of the same
_DIRECTIONS = 16384                  # and as many tags and address pairs; the oldest is forgotten


def likely(head: bytes, ports: tuple[int, ...] = ()) -> bool:
    """A whole packet in UDP: its chunks fill it exactly, and where no port says SCTP its checksum is right."""
    if len(head) < 16 or not unpack_from(">H", head)[0] or not unpack_from(">H", head, 2)[0]:
        return False
    at, first = 12, head[12]
    if (head[4:8] == b"\0\0\0\0") != (first == INIT):
        return False
    while at < len(head):
        if at + 4 > len(head):
            return False
        kind, size = head[at], unpack_from(">H", head, at + 2)[0]
        if kind not in _CHUNKS or size < 4 or at + size > len(head):
            return False
        at += (size + 3) & ~3
    return at - len(head) < 4 and (not PORTS.isdisjoint(ports) or _crc32c(head) == head[8:12])


class Flow:
    """All associations between two addresses, or in one UDP flow."""

    def __init__(self, context: Context):
        self._directions: dict[tuple[int, int, int], _Direction] = {}
        self._tags: dict[tuple[int, int, int], int] = {}
        self._latest: dict[Any, int] = {}
        self._count = 0

    def datagram(self, data: bytes, context: Context) -> Iterator[Message | Payload]:
        if len(data) < 12:
            return
        source, destination, tag = unpack_from(">HHI", data)
        layers = context.layers if context.layers[-1:] == ("sctp",) else (*context.layers, "sctp")
        src, dst = Endpoint(context.src.address, source), Endpoint(context.dst.address, destination)
        stream = self._association(source, destination, tag, data, frozenset((src, dst)), context.stream)
        context = context.but(src=src, dst=dst, layers=layers, stream=stream)
        at, end = 12, len(data)
        while at + 4 <= end:
            kind, flags, size = data[at], data[at + 1], unpack_from(">H", data, at + 2)[0]
            if size < 4:
                return                                   # nothing behind a length that lies can be trusted
            stop = at + size
            cut = max(0, stop - end)
            body = data[at + 4:stop]
            if kind == DATA or kind == I_DATA:
                yield from self._data(kind, flags, body, cut, (source, destination, tag), context)
            elif kind in _NAMES:
                yield _control(kind, flags, Cursor(data, at + 4, stop), tag, cut, context)
            at = (stop + 3) & ~3

    def end(self) -> Iterator[Gap]:
        """DATA chunks that were sent, as the transmission sequence numbers tell (RFC 9260 3.3.1), and never captured."""
        for (source, destination, _), direction in self._directions.items():
            for tsn, (before, after, context) in direction.holes.items():
                yield Gap(before, after, f"SCTP DATA chunk {tsn} from {context.src} to {context.dst} is not in the capture", context.stream,
                          context.frames[-1].capture)

    def _association(self, source: int, destination: int, tag: int, data: bytes, pair: Any, flow: int) -> int:
        """The stream number of the association. INIT and INIT ACK tell which two tags belong together; an association
        seen from the middle is that of its addresses and ports."""
        tags, latest = self._tags, self._latest
        chunk = data[12] if len(data) >= 20 else None
        announced = (destination, source, unpack_from(">I", data, 16)[0]) if chunk in (INIT, INIT_ACK) else None
        if chunk == INIT:
            stream = tags.get(announced)
        else:
            stream = tags.get((source, destination, tag), latest.get(pair))
        if stream is None:
            stream = flow + (self._count << 32)          # the first keeps the number of the flow
            self._count += 1
        for table, key in ((tags, announced or (source, destination, tag)), (latest, pair)):
            if key not in table and len(table) >= _DIRECTIONS:
                del table[next(iter(table))]
            table[key] = stream
        return stream

    def _data(self, kind: int, flags: int, body: bytes, cut: int, key: tuple[int, int, int],
              context: Context) -> Iterator[Payload]:
        head = 12 if kind == DATA else 16
        if len(body) < head:
            return
        direction = self._directions.get(key)
        if direction is None:
            if len(self._directions) >= _DIRECTIONS:
                del self._directions[next(iter(self._directions))]
            direction = self._directions[key] = _Direction()
        tsn, stream = unpack_from(">IH", body)
        if not direction.first_seen(tsn):
            return
        direction.count(tsn, context)
        content = body[head:]
        if kind == DATA:
            ppid = unpack_from(">I", body, 8)[0]
            group, index = (), tsn
        else:                                            # RFC 8260 2.1: PPID in the first fragment, then a number
            message, word = unpack_from(">II", body, 8)
            first = flags & 2
            ppid, index, group = (word if first else 0), (0 if first else word), (stream, flags & 4, message)
        if flags & 3 == 3:
            yield _payload(ppid, stream, content, context.but(missing=cut) if cut else context.but(missing=0))
            return
        if cut:
            return                                       # a fragment that is not whole makes no message
        piece = _Piece(flags, ppid, content, context.time, context.frames)
        whole = direction.join((group, index), piece)
        if whole:
            earlier = dict.fromkeys(frame for part in whole for frame in part.frames if frame not in piece.frames)
            frames = (*earlier, *piece.frames)           # the completing one last
            yield _payload(whole[0].ppid, stream, b"".join(part.data for part in whole),
                           context.but(frames=frames, missing=0))


class _Piece(NamedTuple):
    """A fragment of a user message."""

    flags: int                       # 2 begins, 1 ends the message
    ppid: int
    data: bytes
    time: int
    frames: tuple[FrameRef, ...]


class _Direction:
    """What one end of an association has sent."""

    __slots__ = ("_seen", "_pieces", "_size", "_highest", "_time", "holes")

    def __init__(self) -> None:
        self._seen: dict[int, None] = {}
        self._pieces: dict[tuple[Any, int], _Piece] = {}
        self._size = 0
        self._highest: int | None = None
        self._time = 0                            # of the chunk with the highest number
        self.holes: dict[int, tuple[int, int, Context]] = {}      # TSN passed over -> times of the chunks around it

    def first_seen(self, tsn: int) -> bool:
        if tsn in self._seen:
            return False
        self._seen[tsn] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True

    def count(self, tsn: int, context: Context) -> None:
        """Keeps the books of the numbers; a chunk that comes late fills its hole."""
        ahead = (tsn - self._highest) & 0xFFFFFFFF if self._highest is not None else 1
        if ahead >= 1 << 31:
            self.holes.pop(tsn, None)
            return
        for step in range(1, min(ahead, _HOLES - len(self.holes) + 1)):
            self.holes[(self._highest + step) & 0xFFFFFFFF] = (self._time, context.time, context)
        self._highest, self._time = tsn, context.time

    def join(self, key: tuple[Any, int], piece: _Piece) -> list[_Piece]:
        """The fragments of the message that `piece` completes, in order; empty while some are missing."""
        pieces = self._pieces
        pieces[key] = piece
        self._size += len(piece.data)
        while len(pieces) > _FRAGMENTS or self._size > _WAITING:
            self._size -= len(pieces.pop(next(iter(pieces))).data)
            if not pieces:
                return []
        group, first = key
        while not (found := pieces.get((group, first))) or not found.flags & 2:
            if found is None:
                return []
            first = (first - 1) & 0xFFFFFFFF
        last = first
        while not (found := pieces.get((group, last))) or not found.flags & 1:
            if found is None:
                return []
            last = (last + 1) & 0xFFFFFFFF
        keys = [(group, (first + step) & 0xFFFFFFFF) for step in range(((last - first) & 0xFFFFFFFF) + 1)]
        whole = [pieces.pop(each) for each in keys]
        self._size -= sum(len(part.data) for part in whole)
        return whole


def _payload(ppid: int, stream: int, data: bytes, context: Context) -> Payload:
    """The user message. An identifier nobody registered (0 is seen in practice) leaves the question to the decoders."""
    if ppid not in _ASSIGNED:
        swapped = int.from_bytes(ppid.to_bytes(4, "little"), "big")
        ppid = swapped if swapped in _ASSIGNED and ppid > 0xFFFF else ppid
    return Payload(f"ppid:{ppid}" if ppid in _ASSIGNED else "", data,
                   context.but(carrier={"ppid": ppid, "sctp_stream": stream}))


# ------------------------------------------------------------------------------------------------ control chunks

def _control(kind: int, flags: int, cursor: Cursor, tag: int, cut: int, context: Context) -> Message:
    fields: dict[str, Any] = {"verification_tag": f"0x{tag:08x}"}
    problems: tuple[Problem, ...] = ()
    try:
        if kind in (INIT, INIT_ACK):
            _init(cursor, fields)
        elif kind in (ABORT, ERROR):
            _causes(cursor, fields)
    except Short as error:
        if not cut:
            problems = (Problem(error.offset, str(error)),)
    if cut and not context.missing:
        problems = (Problem(cursor.offset, "the chunk's length exceeds the packet"),)
    return context.message(_NAMES[kind], fields, problems, incomplete=cut > 0 and context.missing > 0)


def _init(cursor: Cursor, fields: dict[str, Any]) -> None:
    """RFC 9260 3.3.2 and 3.3.3."""
    fields["initiate_tag"] = f"0x{cursor.u32():08x}"
    fields["a_rwnd"], fields["outbound_streams"] = cursor.u32(), cursor.u16()
    fields["inbound_streams"], fields["initial_tsn"] = cursor.u16(), cursor.u32()
    addresses = []
    for kind, value in _parameters(cursor):
        if kind in (5, 6) and len(value) == (4 if kind == 5 else 16):
            addresses.append(str(ip_address(value)))
        elif kind == 11:
            fields["host_name"] = value.rstrip(b"\0").decode("utf-8", "replace")
    if addresses:
        fields["addresses"] = addresses


def _causes(cursor: Cursor, fields: dict[str, Any]) -> None:
    """RFC 9260 3.3.10; an ABORT may go without any."""
    causes = []
    for code, value in _parameters(cursor):
        cause: dict[str, Any] = {"code": code, "cause": CAUSES.get(code, f"CAUSE{code}")}
        if code in (12, 13) and value:
            cause["reason"] = value.decode("utf-8", "replace")
        causes.append(cause)
    if causes:
        fields["cause"], fields["cause_code"], fields["causes"] = causes[0]["cause"], causes[0]["code"], causes


def _parameters(cursor: Cursor) -> Iterator[tuple[int, bytes]]:
    while cursor.left >= 4:
        kind, size = cursor.u16(), cursor.u16()
        if size < 4:
            return
        yield kind, cursor.octets(size - 4)
        cursor.octets(min(-size & 3, cursor.left))


# ------------------------------------------------------------------------------------------------ checksum

@cache
def _table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


def _crc32c(packet: bytes) -> bytes:
    """The checksum a packet should carry, as it stands there (RFC 9260 appendix A)."""
    table, crc = _table(), 0xFFFFFFFF
    for octet in packet[:8] + b"\0\0\0\0" + packet[12:]:
        crc = crc >> 8 ^ table[(crc ^ octet) & 255]
    return (crc ^ 0xFFFFFFFF).to_bytes(4, "little")
