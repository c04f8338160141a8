"""CoAP messages over UDP (RFC 7252), by scapy."""

from __future__ import annotations

CON, ACK, RST = 0, 2, 3
PORT = 5683
EMPTY, GET, POST = 0x00, 0x01, 0x02
JSON, XML = b"\x32", b"\x29"  # content formats 50 and 41
CODES = {200: "2.05", 201: "2.01", 204: "2.04"}


def code(text: str) -> int:
    """`2.05` as the octet it is."""
    major, _, minor = text.partition(".")
    return int(major) << 5 | int(minor)


def message(
    kind: int, number: int, what: int, token: bytes = b"", path: str = "", form: bytes = b"", payload: bytes = b""
) -> bytes:
    """A message of that type and code; `form` is the content format of the payload."""
    from scapy.contrib.coap import CoAP

    options = [("Uri-Path", part.encode()) for part in path.split("/") if part]
    options += [("Content-Format", form)] if form else []
    made = CoAP(type=kind, code=what, msg_id=number, token=token, tkl=len(token), options=options)
    return bytes(made) + (b"\xff" + payload if payload else b"")
