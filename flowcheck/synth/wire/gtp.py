"""GTP-C: a session of version 2 (TS 29.274) and a PDP context of version 1 (TS 29.060); and the echo of both."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from .nas import IMSI, PLMN

PORT = 2123
NUMBER = bytes(int(b + a, 16) for a, b in zip((IMSI + "f")[::2], (IMSI + "f")[1::2]))  # IMSI as TBCD
APN = b"\x03m2m"
ACCEPTED = {"gtpv2": 16, "gtp": 128}
_TYPES = {"CreateSessionRequest": 32, "CreateSessionResponse": 33, "CreatePDPContextRequest": 16,
          "CreatePDPContextResponse": 17}
QOS = bytes.fromhex("020b921f7196fefe74fb4040")


def message(kind: str, number: int, address: str, mine: str, content: Mapping[str, Any]) -> bytes:
    """A message of `_TYPES`: `address` is the device's, `mine` the sender's; `content` may have another `cause`."""
    protocol, _, name = kind.partition(".")
    cause = int(content.get("cause", ACCEPTED[protocol]))
    device, own = ip_address(address).packed, ip_address(mine).packed
    if protocol == "gtpv2":
        parts = _asked(own) if name == "CreateSessionRequest" else _given(device, own, cause)
    else:
        parts = _asked_v1(own) if name == "CreatePDPContextRequest" else _given_v1(device, own, cause)
    return (_v2 if protocol == "gtpv2" else _v1)(_TYPES[name], number, parts, 0 if name.endswith("Request") else 0x501)


def echo(protocol: str, number: int, answer: bool) -> bytes:
    """Echo Request or Response with the restart counter."""
    if protocol == "gtpv2":
        body = _ie(3, b"\x01")
        return struct.pack("!BBH", 0x40, 2 if answer else 1, 4 + len(body)) + number.to_bytes(3, "big") + b"\0" + body
    return _v1(2 if answer else 1, number, b"\x0e\x01" if answer else b"", 0)


def _v2(number_of_type: int, number: int, parts: bytes, teid: int) -> bytes:
    head = struct.pack("!BBHI", 0x48, number_of_type, 8 + len(parts), teid)
    return head + number.to_bytes(3, "big") + b"\0" + parts


def _v1(number_of_type: int, number: int, parts: bytes, teid: int) -> bytes:
    return struct.pack("!BBHIHBB", 0x32, number_of_type, 4 + len(parts), teid, number & 0xFFFF, 0, 0) + parts


def _ie(kind: int, data: bytes, instance: int = 0) -> bytes:
    return struct.pack("!BHB", kind, len(data), instance) + data


def _endpoint(interface: int, teid: int, address: bytes) -> bytes:
    return bytes((0x80 | interface,)) + teid.to_bytes(4, "big") + address


def _asked(own: bytes) -> bytes:
    bearer = _ie(73, b"\x05") + _ie(80, b"\x3c\x09" + bytes(20))
    return b"".join((
        _ie(1, NUMBER),
        _ie(83, PLMN),
        _ie(82, b"\x06"),  # E-UTRAN
        _ie(87, _endpoint(10, 0x501, own)),
        _ie(71, APN),
        _ie(128, b"\x00"),
        _ie(99, b"\x01"),  # IPv4
        _ie(79, b"\x01" + bytes(4)),
        _ie(93, bearer),
    ))


def _given(device: bytes, own: bytes, cause: int) -> bytes:
    said = bytes((cause, 0))
    if cause != ACCEPTED["gtpv2"]:
        return _ie(2, said)
    bearer = _ie(73, b"\x05") + _ie(2, said) + _ie(87, _endpoint(1, 0x1001, own))
    return _ie(2, said) + _ie(87, _endpoint(11, 0x601, own)) + _ie(79, b"\x01" + device) + _ie(93, bearer)


def _tlv(kind: int, data: bytes) -> bytes:
    return struct.pack("!BH", kind, len(data)) + data


def _asked_v1(own: bytes) -> bytes:
    return b"".join((
        b"\x02" + NUMBER,
        b"\x0e\x03",  # recovery
        b"\x10" + (0x2001).to_bytes(4, "big"),
        b"\x11" + (0x501).to_bytes(4, "big"),
        b"\x14\x05",  # NSAPI
        _tlv(128, b"\xf1\x21"),
        _tlv(131, APN),
        _tlv(133, own),
        _tlv(133, own),
        _tlv(135, QOS),
    ))


def _given_v1(device: bytes, own: bytes, cause: int) -> bytes:
    said = bytes((1, cause))
    if cause != ACCEPTED["gtp"]:
        return said
    return b"".join((
        said,
        b"\x08\xfe",  # no reordering
        b"\x10" + (0x1001).to_bytes(4, "big"),
        b"\x11" + (0x601).to_bytes(4, "big"),
        b"\x7f" + (77).to_bytes(4, "big"),
        _tlv(128, b"\xf1\x21" + device),
        _tlv(133, own),
        _tlv(133, own),
        _tlv(135, QOS),
    ))
