"""WAP push over connectionless WSP (WAP-230 8.2.4.1, UDP 2948): how a document reaches a device unasked."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Context, Message, Payload, Problem
from .wire import Cursor, Short

KINDS = {"wap.push": ("transaction_id", "content_type", "length")}
PORTS = {2948, 2949}

_PUSH = 0x06
# WINA's content type codes, those of device management
_CONTENT_TYPES = {0x35: "text/vnd.wap.connectivity-xml", 0x36: "application/vnd.wap.connectivity-wbxml",
                  0x42: "application/vnd.syncml.dm+wbxml", 0x43: "application/vnd.syncml.dm+xml",
                  0x44: "application/vnd.syncml.notification"}


def likely(head: bytes, ports: tuple[int, ...] = ()) -> bool:
    if PORTS.isdisjoint(ports) or len(head) < 4 or head[1] != _PUSH:
        return False
    try:
        return bool(_push(Cursor(head))[1])
    except Short:
        return False


def decode(data: bytes, context: Context) -> Iterator[Message | Payload]:
    """One datagram."""
    at = Cursor(data)
    try:
        number, content_type = _push(at)
    except Short as short:
        problems = () if context.missing else (Problem(short.offset, str(short)),)
        yield context.message("wap.push", {}, problems, incomplete=bool(context.missing))
        return
    body = at.rest()
    fields = {"transaction_id": number, "content_type": content_type, "length": len(body)}
    yield context.message("wap.push", fields, incomplete=bool(context.missing))
    carrier = {"protocol": "wap", "direction": "request", "content_type": content_type}
    yield Payload(content_type, body, context.within("wsp", carrier=carrier))


def _push(at: Cursor) -> tuple[int, str]:
    """(transaction id, content type); `at` then stands at the body. Raises Short."""
    number = at.u8()
    if at.u8() != _PUSH:
        raise Short(1, 1)
    with at.window(_uintvar(at)) as headers:
        first = headers.data[headers.offset] if headers.left else 0
        if first < 32:                    # a length, the type, then its parameters (8.4.2.24)
            headers.u8()
            with headers.window(_uintvar(headers) if first == 31 else first) as inner:
                content_type = _media(inner)
        else:
            content_type = _media(headers)
    return number, content_type


def _media(at: Cursor) -> str:
    first = at.u8()
    if first >= 0x80:
        return _CONTENT_TYPES.get(first & 0x7F, f"CONTENT-TYPE{first & 0x7F}")
    if first < 32:                        # a long integer
        code = at.uint(first)
        return _CONTENT_TYPES.get(code, f"CONTENT-TYPE{code}")
    name = bytes((first,)) + at.rest()
    return name.partition(b"\0")[0].decode("ascii", "replace").partition(";")[0].strip().lower()


def _uintvar(at: Cursor) -> int:
    """Seven bits an octet, the highest first (8.1.2)."""
    value = 0
    for _ in range(5):
        octet = at.u8()
        value = value << 7 | octet & 0x7F
        if octet < 0x80:
            return value
    raise Short(at.offset, 1)
