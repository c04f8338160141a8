"""Diameter (RFC 6733) over TCP and SCTP: the base protocol, and of its applications the AVPs of `_diameter_avps`.

Two number spaces must not be mixed: Result-Code is `result_code`; what an application defines is inside
Experimental-Result and becomes `experimental_result_code`, with its vendor.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from ..model import Context, Message, Problem
from ._aper import digits, plmn
from ._diameter_avps import AVPS, COMMANDS, EXPERIMENTAL, RESULTS, TGPP
from .wire import Cursor, Short, Tape

_FIELDS = ("command_code", "command", "request", "error", "retransmitted", "application_id", "hop_by_hop", "end_to_end",
           "session_id",
           "user_name", "origin_host", "origin_realm", "destination_host", "destination_realm", "result_code", "result",
           "experimental_result", "experimental_result_code", "visited_plmn", "vectors", "avps")
KINDS = {f"diameter.{name}": _FIELDS for name in
         (*(letters + way for letters, _ in COMMANDS.values() for way in "RA"), "request", "answer")}
PORTS = {3868}
PAYLOADS = ("ppid:46",)

_HEADER = 20
_LARGEST = 1 << 20
_DEPTH = 8
_MOST = 2000                         # AVPs of one message
# AVPs that are fields of their own: name -> field
_FIELD_OF = {"Session-Id": "session_id", "User-Name": "user_name", "Origin-Host": "origin_host",
             "Origin-Realm": "origin_realm",
             "Destination-Host": "destination_host", "Destination-Realm": "destination_realm",
             "Result-Code": "result_code",
             "Visited-PLMN-Id": "visited_plmn"}
_VECTORS = ("E-UTRAN-Vector", "UTRAN-Vector")


def likely(head: bytes, ports: tuple[int, ...] = ()) -> bool:
    """A header that fits; where no port says Diameter also a known command and the first AVP in order."""
    if not _header(head):
        return False
    if not PORTS.isdisjoint(ports):
        return True
    if int.from_bytes(head[5:8], "big") not in COMMANDS or len(head) < _HEADER + 8:
        return False
    code, flags, size = int.from_bytes(head[20:24], "big"), head[24], int.from_bytes(head[25:28], "big")
    if code not in (263, 264) or flags & 0x9F or not 8 < size <= int.from_bytes(head[1:4], "big") - _HEADER:
        return False
    return all(32 < octet < 127 for octet in head[28:20 + size])


def decode(data: bytes, context: Context) -> Iterator[Message]:
    """One message, as SCTP carries it."""
    if _header(data):
        yield _message(data, context)


class Conversation:
    """One TCP connection."""

    def __init__(self, context: Context):
        self._searching = [False, False]

    def feed(self, side: int, tape: Tape) -> Iterator[Message]:
        while len(tape) >= _HEADER:
            head = bytes(tape.data[:_HEADER])
            if self._searching[side] or not _header(head):
                at = _boundary(tape)
                tape.skip(at if at >= 0 else len(tape) - _HEADER + 1)
                self._searching[side] = at < 0
                if at < 0:
                    return
                continue
            size = int.from_bytes(head[1:4], "big")
            if len(tape) < size:
                return
            context = tape.place(size)
            yield _message(tape.take(size), context)

    def lost(self, side: int, size: int) -> Iterator[Message]:
        self._searching[side] = True
        return iter(())

    def end(self, side: int) -> Iterator[Message]:
        return iter(())


def _header(head: bytes) -> bool:
    size = int.from_bytes(head[1:4], "big")
    return len(head) >= _HEADER and head[0] == 1 and not head[4] & 0x0F and _HEADER <= size <= _LARGEST and not size & 3


def _boundary(tape: Tape) -> int:
    """Where in the tape a message of a known command begins that can be trusted, -1 if nowhere."""
    data = bytes(tape.data)
    at = data.find(b"\x01")
    while 0 <= at <= len(data) - _HEADER:
        head = data[at:at + _HEADER + 512]
        if likely(head, ()):
            return at
        at = data.find(b"\x01", at + 1)
    return -1


def _message(data: bytes, context: Context) -> Message:
    size, flags, code = int.from_bytes(data[1:4], "big"), data[4], int.from_bytes(data[5:8], "big")
    request = flags & 0x80 > 0
    letters, command = COMMANDS.get(code, ("", f"COMMAND{code}"))
    if letters:
        kind = letters + ("R" if request else "A")
    else:
        kind = "request" if request else "answer"
    fields: dict[str, Any] = {
        "command_code": code, "command": command, "request": request,
        "application_id": int.from_bytes(data[8:12], "big"),
        "hop_by_hop": data[12:16].hex(), "end_to_end": data[16:20].hex()}
    if flags & 0x20:
        fields["error"] = True
    if flags & 0x10:
        fields["retransmitted"] = True
    problems: list[Problem] = []
    if size > len(data) and not context.missing:
        problems.append(Problem(1, f"length {size}, {len(data)} octets"))
    reader = _Avps(problems, context.missing > 0)
    tree = reader.read(Cursor(data, _HEADER, size), 0)
    for name, field in _FIELD_OF.items():
        if name in tree:
            fields[field] = _one(tree[name])
    if "result_code" in fields:
        fields["result"] = RESULTS.get(fields["result_code"], str(fields["result_code"]))
    experimental = _one(tree.get("Experimental-Result", {}))
    if isinstance(experimental, dict) and "Experimental-Result-Code" in experimental:
        result, vendor = _one(experimental["Experimental-Result-Code"]), _one(experimental.get("Vendor-Id"))
        fields["experimental_result"] = {"vendor": vendor, "code": result}
        fields["experimental_result_code"] = result
        if vendor == TGPP and result in EXPERIMENTAL:
            fields.setdefault("result", EXPERIMENTAL[result])
    vectors = _vectors(tree)
    if vectors:
        fields["vectors"] = vectors
    fields["avps"] = tree
    return context.message(f"diameter.{kind}", fields, tuple(problems),
                           incomplete=size > len(data) and context.missing > 0)


def _one(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


def _vectors(tree: dict[str, Any]) -> list[dict[str, str]]:
    """RAND, XRES and AUTN of every authentication vector (TS 29.272 7.3.17 to 19)."""
    found = []
    for info in _many(tree.get("Authentication-Info")):
        for name in _VECTORS if isinstance(info, dict) else ():
            for vector in _many(info.get(name)):
                if isinstance(vector, dict):
                    parts = {part.lower(): _one(vector[part]) for part in ("RAND", "XRES", "AUTN") if part in vector}
                    found.append({"type": name, **parts})
    return found


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


class _Avps:
    """Reads the AVPs of one message into a tree: name to value, or to a list where an AVP occurs again."""

    def __init__(self, problems: list[Problem], cut: bool):
        self.problems, self.cut, self.count = problems, cut, 0

    def read(self, cursor: Cursor, depth: int) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        while cursor.left and self.count < _MOST:
            self.count += 1
            offset = cursor.offset
            try:
                code, flags, size = cursor.u32(), cursor.u8(), cursor.u24()
                vendor = cursor.u32() if flags & 0x80 else 0
                start, length = cursor.offset, size - (12 if flags & 0x80 else 8)
                cursor.octets(length)
            except Short as error:
                if not self.cut:
                    self.problems.append(Problem(error.offset, f"an AVP ends behind its message: {error}"))
                return tree
            cursor.octets(min(-length & 3, cursor.left))
            unnamed = f"AVP{vendor}:{code}" if vendor else f"AVP{code}"
            name, kind = AVPS.get((vendor, code)) or (unnamed, "octets")
            value: Any
            if kind == "group" and depth < _DEPTH:
                value = self.read(Cursor(cursor.data, start, start + length), depth + 1)
            else:
                value = self._value(kind, name, cursor.data[start:start + length], offset)
            if name not in tree:
                tree[name] = value
            elif isinstance(tree[name], list):
                tree[name].append(value)
            else:
                tree[name] = [tree[name], value]
        return tree

    def _value(self, kind: str, name: str, value: bytes, offset: int) -> Any:
        try:
            return _READ[kind](value)
        except (ValueError, IndexError) as error:
            self.problems.append(Problem(offset, f"{name}: {error}"))
            return value.hex()


def _integer(size: int):
    def read(value: bytes) -> int:
        if len(value) != size:
            raise ValueError(f"{len(value)} octets, {size} expected")
        return int.from_bytes(value, "big")
    return read


def _address(value: bytes) -> str:
    """RFC 6733 4.3.1: two octets of address family first (1 IPv4, 2 IPv6, 8 E.164)."""
    family = int.from_bytes(value[:2], "big")
    if family in (1, 2):
        return str(ip_address(value[2:]))
    return value[2:].decode("latin-1") if family == 8 else value.hex()


def _prefix(value: bytes) -> str:
    return f"{ip_address(value[2:].ljust(16, bytes(1)))}/{value[1]}"


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


_READ = {"text": _text, "octets": bytes.hex, "int": _integer(4), "int64": _integer(8), "address": _address,
         "prefix": _prefix,
         "ipv4": lambda value: str(ip_address(value)) if len(value) == 4 else value.hex(), "time": _integer(4),
         "plmn": plmn,
         "bcd": digits, "key": lambda value: f"{len(value)} octets", "group": bytes.hex}
