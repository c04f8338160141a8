"""sendAuthenticationInfo of MAP (TS 29.002) in TCAP by pycrate, in SCCP (Q.713, UDT) and M3UA (RFC 4666)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from .nas import IMSI

PORT, PPID = 2905, 3
TRANSACTION = b"\0\0\0\1"
SEND_AUTHENTICATION_INFO = 56
UNKNOWN_SUBSCRIBER = 1
CLIENT, SERVER = 0x0101, 0x0202  # signalling point codes
_ASP_UP, _ASP_UP_ACK = (3, 1), (3, 4)


def message(kind: str, content: Mapping[str, Any]) -> bytes:
    """The M3UA DATA message of `map.sendAuthenticationInfo.` invoke, result, error or reject."""
    what = kind.rpartition(".")[2]
    points = (CLIENT, SERVER) if what == "invoke" else (SERVER, CLIENT)
    return _m3ua(*points, _unitdata(_tcap(what, content)))


def aspup(answer: bool) -> bytes:
    """ASP Up, or its acknowledgement (3.5.1, 3.5.2)."""
    return struct.pack("!BBBBI", 1, 0, *(_ASP_UP_ACK if answer else _ASP_UP), 8)


def _tcap(what: str, content: Mapping[str, Any]) -> bytes:
    from pycrate_asn1dir.TCAP_MAP import TCAP_MAP_Messages

    pdu, number, code = TCAP_MAP_Messages.TCAP_MAP_Message, ("present", 1), ("local", SEND_AUTHENTICATION_INFO)
    if what == "invoke":
        digits = IMSI + "f"
        imsi = bytes(int(b + a, 16) for a, b in zip(digits[::2], digits[1::2]))
        asked = {"imsi": imsi, "numberOfRequestedVectors": 1, "requestingNodeType": "sgsn"}
        part = ("invoke", {"invokeId": number, "opcode": code, "argument": ("SendAuthenticationInfoArg", asked)})
        pdu.set_val(("begin", {"otid": TRANSACTION, "components": [("basicROS", part)]}))
        return pdu.to_ber()
    if what == "error":
        part = ("returnError", {"invokeId": number, "errcode": ("local", UNKNOWN_SUBSCRIBER)})
    elif what == "reject":
        part = ("reject", {"invokeId": number, "problem": ("invoke", 1)})
    else:
        listed = _vectors(content)
        answer = {"authenticationSetList": ("quintupletList", listed)} if listed else {}
        result = {"opcode": code, "result": ("SendAuthenticationInfoRes", answer)}
        part = ("returnResult", {"invokeId": number, "result": result})
    pdu.set_val(("end", {"dtid": TRANSACTION, "components": [("basicROS", part)]}))
    return pdu.to_ber()


def _vectors(content: Mapping[str, Any]) -> list[dict[str, bytes]]:
    held = zip(*(content.get(f"vectors.{name}", ()) for name in ("rand", "xres", "autn")))
    return [
        {"rand": bytes.fromhex(rand), "xres": bytes.fromhex(xres), "ck": bytes(16), "ik": bytes(16),
         "autn": bytes.fromhex(autn)}
        for rand, xres, autn in list(held)[: int(content.get("vectors", 0))]
    ]


def _unitdata(tcap: bytes) -> bytes:
    """UDT, routed on the subsystem number: 149 (SGSN) and 6 (HLR)."""
    called, calling = b"\x42\x06", b"\x42\x95"
    first = 3
    second = first + len(called)
    third = second + len(calling)
    parts = (called, calling, tcap)
    return bytes((9, 0, first, second, third)) + b"".join(bytes((len(part),)) + part for part in parts)


def _m3ua(source: int, target: int, sccp: bytes) -> bytes:
    data = struct.pack("!IIBBBB", source, target, 3, 2, 0, 1) + sccp
    padded = struct.pack("!HH", 0x0210, 4 + len(data)) + data + bytes(-len(data) % 4)
    return struct.pack("!BBBBI", 1, 0, 1, 1, 8 + len(padded)) + padded
