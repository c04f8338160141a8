"""Diameter (RFC 6733): capabilities exchange, and Authentication-Information of S6a and S6d (TS 29.272)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from .nas import IMSI, PLMN

PORT = 3868
S6A, TGPP = 16777251, 10415
CAPABILITIES, AUTHENTICATION_INFORMATION = 257, 318
SUCCESS = 2001
_MANDATORY, _VENDOR = 0x40, 0x80
_REQUEST, _PROXIABLE, _ERROR = 0x80, 0x40, 0x20


def avp(code: int, data: bytes | str | int, vendor: int = 0) -> bytes:
    """One AVP (4.1); a number is Unsigned32."""
    body = data.encode() if isinstance(data, str) else data.to_bytes(4, "big") if isinstance(data, int) else data
    flags = _MANDATORY | (_VENDOR if vendor else 0)
    size = 8 + (4 if vendor else 0) + len(body)
    head = struct.pack("!IB", code, flags) + size.to_bytes(3, "big") + (struct.pack("!I", vendor) if vendor else b"")
    return head + body + bytes(-size % 4)


def _message(flags: int, command: int, application: int, number: int, avps: list[bytes]) -> bytes:
    body = b"".join(avps)
    return (
        b"\x01"
        + (20 + len(body)).to_bytes(3, "big")
        + bytes((flags,))
        + command.to_bytes(3, "big")
        + struct.pack("!III", application, number, 0x10000000 | number)
        + body
    )


def _origin(host: str) -> list[bytes]:
    return [avp(264, host), avp(296, host.partition(".")[2])]


def capabilities(host: str, address: str, request: bool) -> bytes:
    """CER or CEA."""
    avps = [] if request else [avp(268, SUCCESS)]
    avps += [*_origin(host), avp(257, b"\0\1" + ip_address(address).packed), avp(266, 0), avp(269, "synth")]
    return _message(_REQUEST if request else 0, CAPABILITIES, 0, 1, [*avps, avp(258, S6A)])


def _session(number: int) -> list[bytes]:
    application = avp(260, avp(266, TGPP) + avp(258, S6A))
    return [avp(263, f"synth;1;{number}"), application, avp(277, 1)]


def request(number: int, client: str, server: str, vectors: str = "E-UTRAN") -> bytes:
    """AIR for the subscriber's vectors."""
    wanted = avp(1408 if vectors == "E-UTRAN" else 1409, avp(1410, 1, TGPP), TGPP)
    avps = [*_session(number), *_origin(client), avp(293, server), avp(283, server.partition(".")[2]), avp(1, IMSI)]
    return _message(
        _REQUEST | _PROXIABLE, AUTHENTICATION_INFORMATION, S6A, number, [*avps, wanted, avp(1407, PLMN, TGPP)]
    )


def answer(number: int, server: str, content: Mapping[str, Any], vectors: str = "E-UTRAN") -> bytes:
    """AIA with `vectors.rand`, `.xres`, `.autn` as far as `vectors` counts, or with the result it has instead."""
    avps, flags = _session(number), _PROXIABLE
    result = int(content.get("result_code", SUCCESS))
    if "experimental_result_code" in content:
        avps.append(avp(297, avp(266, TGPP) + avp(298, int(content["experimental_result_code"]))))
    else:
        avps.append(avp(268, result))
        flags |= _ERROR if 3000 <= result < 4000 else 0
    avps += _origin(server)
    held = zip(*(content.get(f"vectors.{name}", ()) for name in ("rand", "xres", "autn")))
    for item, (rand, xres, autn) in list(enumerate(held, 1))[: int(content.get("vectors", 0))]:
        parts = [avp(1419, item, TGPP), avp(1447, bytes.fromhex(rand), TGPP), avp(1448, bytes.fromhex(xres), TGPP)]
        parts.append(avp(1449, bytes.fromhex(autn), TGPP))
        kasme, ck_and_ik = [(1450, 32)], [(625, 16), (626, 16)]
        keys = kasme if vectors == "E-UTRAN" else ck_and_ik
        parts += [avp(code, bytes(size), TGPP) for code, size in keys]
        code = 1414 if vectors == "E-UTRAN" else 1415
        avps.append(avp(1413, avp(code, b"".join(parts), TGPP), TGPP))
    return _message(flags, AUTHENTICATION_INFORMATION, S6A, number, avps)
