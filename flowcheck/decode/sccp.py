"""SCCP (ITU-T Q.713): finds what a message carries, joins what is in segments, knows which user a connection has.

Only refusals are messages of their own: a refused connection, and a message that came back.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from ..model import Context, Message, Payload
from . import ranap
from .wire import Cursor, Short

_CAUSE = ("cause",)
KINDS = {"sccp.CREF": _CAUSE, "sccp.UDTS": _CAUSE, "sccp.XUDTS": _CAUSE}

CR, CC, CREF, RLSD, RLC, DT1, DT2, UDT, UDTS, XUDT, XUDTS = 1, 2, 3, 4, 5, 6, 7, 9, 10, 17, 18
_RETURNED = {UDTS: "sccp.UDTS", XUDTS: "sccp.XUDTS"}
_DATA, _SEGMENTATION = 0x0F, 0x10
_MAP = {5, 6, 7, 8, 9, 10, 145, 148, 149, 150}           # TS 23.003 8.2: subsystem numbers of MAP users
_USERS = {142: "ranap", 250: "bssap", 254: "bssap"}
_PENDING = 256                                           # messages whose segments are awaited
_LARGEST = 1 << 16
_CONNECTIONS = 8192


class Connections:
    """Who speaks on which connection: the user, learnt from the subsystem number called when it is set up, and a name
    that both directions share."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[int, str]] = {}

    def remember(self, end: Hashable, number: int, name: str) -> None:
        """`end` is who chose a local reference, and the reference."""
        if len(self._known) >= _CONNECTIONS:
            del self._known[next(iter(self._known))]
        self._known[end] = (number, name)

    def of(self, end: Hashable) -> tuple[int, str]:
        return self._known.get(end, (0, ""))


def protocol(number: int, data: bytes) -> str:
    """The payload name for a subsystem number; where it is not known, for what the bytes can only be."""
    if number:
        return "map" if number in _MAP else _USERS.get(number, "unknown")
    if ranap.fits(data):
        return "ranap"
    if len(data) > 2 and (data[0] == 0 and data[1] == len(data) - 2 or data[0] == 1 and data[2] == len(data) - 3):
        return "bssap"
    return "unknown"


class Flow:
    """One association or linkset."""

    def __init__(self, context: Context):
        self._connections = Connections()
        self._pieces: dict[Hashable, tuple[int, bytes, tuple]] = {}     # -> subsystem, octets so far, frames

    def datagram(self, data: bytes, context: Context) -> Iterator[Message | Payload]:
        try:
            yield from self._message(data, context)
        except Short:
            return                                       # cut: what is carried cannot be whole

    def end(self) -> Iterator[Message | Payload]:
        return iter(())

    def _message(self, data: bytes, context: Context) -> Iterator[Message | Payload]:
        cursor = Cursor(data)
        kind = cursor.u8()
        here = context.carrier.get("opc", context.src.address)
        there = context.carrier.get("dpc", context.dst.address)
        if kind in (UDT, UDTS, XUDT, XUDTS):
            yield from self._unitdata(kind, cursor, context)
        elif kind == CR:
            local = cursor.octets(3)
            cursor.u8()
            called, optional = _pointer(cursor), _optional(cursor)
            number = _subsystem(called)
            self._connections.remember((here, local), number, local.hex())
            yield from _carry(optional.get(_DATA), number, local.hex(), context)
        elif kind in (CC, CREF, RLSD, RLC):
            remote = cursor.octets(3)
            number, name = self._connections.of((there, remote))
            local = cursor.octets(3) if kind != CREF else b""
            if kind == CC and name:
                self._connections.remember((here, local), number, name)
            if kind == RLC:
                return
            cause = cursor.u8()                          # of CC the protocol class
            optional = _optional(cursor)
            if kind == CREF:
                yield context.message("sccp.CREF", {"cause": cause})
            yield from _carry(optional.get(_DATA), number, name, context)
        elif kind in (DT1, DT2):
            remote = cursor.octets(3)
            more = cursor.uint(1 if kind == DT1 else 2) & 1
            number, name = self._connections.of((there, remote))
            content = _pointer(cursor)
            joined = self._join((there, remote), number, content, not more, context)
            if joined:
                yield from _carry(joined[0], number, name, joined[1])

    def _unitdata(self, kind: int, cursor: Cursor, context: Context) -> Iterator[Message | Payload]:
        cause = cursor.u8()                              # protocol class, or the reason for the return
        if kind in (XUDT, XUDTS):
            cursor.u8()
        called, calling, content = _pointer(cursor), _pointer(cursor), _pointer(cursor)
        if kind in _RETURNED:
            yield context.message(_RETURNED[kind], {"cause": cause})
            return
        number = _subsystem(called)
        if number not in _MAP and number not in _USERS:
            number = _subsystem(calling) or number
        segment = _optional(cursor).get(_SEGMENTATION) if kind == XUDT else None
        if segment and len(segment) == 4:                # Q.713 3.17: first, class, segments left; a reference
            key = (calling, called, segment[1:])
            if segment[0] & 0x80:
                self._pieces.pop(key, None)
            elif key not in self._pieces:
                return                                   # begins in the middle
            joined = self._join(key, number, content, segment[0] & 15 == 0, context)
            if joined:
                yield from _carry(joined[0], number, "", joined[1])
            return
        yield from _carry(content, number, "", context)

    def _join(self, key: Hashable, number: int, content: bytes, last: bool,
              context: Context) -> tuple[bytes, Context] | None:
        _, before, frames = self._pieces.pop(key, (number, b"", ()))
        whole, frames = before + content, (*frames, *context.frames)
        if last:
            return whole, context.but(frames=tuple(dict.fromkeys(frames)))
        if len(whole) <= _LARGEST:
            if len(self._pieces) >= _PENDING:
                del self._pieces[next(iter(self._pieces))]
            self._pieces[key] = (number, whole, frames)
        return None


def _carry(content: bytes | None, number: int, connection: str, context: Context) -> Iterator[Payload]:
    if content:
        inner = context.within("sccp")
        if connection:
            inner = inner.but(carrier={**context.carrier, "ue": f"connection {connection}"})
        yield Payload(protocol(number, content), content, inner)


def _pointer(cursor: Cursor) -> bytes:
    """The variable part that the pointer at the cursor leads to (Q.713 2.3)."""
    at = cursor.offset
    start = Cursor(cursor.data, at + cursor.u8(), cursor.end)
    return start.octets(start.u8())


def _optional(cursor: Cursor) -> dict[int, bytes]:
    """The optional part, by parameter name code."""
    at = cursor.offset
    pointer = cursor.u8()
    found: dict[int, bytes] = {}
    if pointer:
        part = Cursor(cursor.data, at + pointer, cursor.end)
        while part.left and (code := part.u8()):
            found.setdefault(code, part.octets(part.u8()))
    return found


def _subsystem(address: bytes) -> int:
    """Subsystem number of a party address (Q.713 3.4), 0 where it has none.

    ANSI T1.112.3 3.4 puts the number first, then a point code of three octets, and turns the two indicators round. The bit
    for national use is set there, but elsewhere too: without a global title the length tells the codings apart.
    """
    indicator = address[0] if address else 0
    present, at = indicator & 2, 3 if indicator & 1 else 1
    if indicator & 0xBC == 0x80 and len(address) == 1 + (indicator & 1) + 3 * (indicator >> 1 & 1):
        present, at = indicator & 1, 1
    return address[at] if present and at < len(address) else 0
