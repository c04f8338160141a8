"""CoAP's codes, options and the parsing they share over UDP (RFC 7252 clause 3) and TCP (RFC 8323 clause 3.2)."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..model import Problem
from .wire import Cursor, Short

METHODS = {1: "GET", 2: "POST", 3: "PUT", 4: "DELETE", 5: "FETCH", 6: "PATCH", 7: "iPATCH"}
RESPONSES = {
    0x41: "Created", 0x42: "Deleted", 0x43: "Valid", 0x44: "Changed", 0x45: "Content", 0x5F: "Continue",
    0x80: "Bad Request", 0x81: "Unauthorized", 0x82: "Bad Option", 0x83: "Forbidden", 0x84: "Not Found",
    0x85: "Method Not Allowed", 0x86: "Not Acceptable", 0x88: "Request Entity Incomplete", 0x89: "Conflict",
    0x8C: "Precondition Failed", 0x8D: "Request Entity Too Large", 0x8F: "Unsupported Content-Format",
    0x96: "Unprocessable Entity", 0x9D: "Too Many Requests",
    0xA0: "Internal Server Error", 0xA1: "Not Implemented", 0xA2: "Bad Gateway", 0xA3: "Service Unavailable",
    0xA4: "Gateway Timeout", 0xA5: "Proxying Not Supported", 0xA8: "Hop Limit Reached",
}
SIGNALS = {0xE1: "CSM", 0xE2: "Ping", 0xE3: "Pong", 0xE4: "Release", 0xE5: "Abort"}
NAMES = METHODS | RESPONSES | SIGNALS

# number: (name, format, shortest, longest); RFC 7252 5.10, 7641, 7959, 7967, 8613, 8768, 9175, 9177
OPTIONS = {
    1: ("If-Match", "opaque", 0, 8), 3: ("Uri-Host", "string", 1, 255), 4: ("ETag", "opaque", 1, 8),
    5: ("If-None-Match", "empty", 0, 0), 6: ("Observe", "uint", 0, 3), 7: ("Uri-Port", "uint", 0, 2),
    8: ("Location-Path", "string", 0, 255), 9: ("OSCORE", "opaque", 0, 255), 11: ("Uri-Path", "string", 0, 255),
    12: ("Content-Format", "uint", 0, 2), 14: ("Max-Age", "uint", 0, 4), 15: ("Uri-Query", "string", 0, 255),
    16: ("Hop-Limit", "uint", 1, 1), 17: ("Accept", "uint", 0, 2), 19: ("Q-Block1", "block", 0, 3),
    20: ("Location-Query", "string", 0, 255), 23: ("Block2", "block", 0, 3), 27: ("Block1", "block", 0, 3),
    28: ("Size2", "uint", 0, 4), 31: ("Q-Block2", "block", 0, 3), 35: ("Proxy-Uri", "string", 1, 1034),
    39: ("Proxy-Scheme", "string", 1, 255), 60: ("Size1", "uint", 0, 4), 252: ("Echo", "opaque", 1, 40),
    258: ("No-Response", "uint", 0, 1), 292: ("Request-Tag", "opaque", 0, 8),
}
# (code, number): options of signaling messages mean something else in each of them, RFC 8323 5
SIGNAL_OPTIONS = {
    (0xE1, 2): ("Max-Message-Size", "uint", 0, 4), (0xE1, 4): ("Block-Wise-Transfer", "empty", 0, 0),
    (0xE2, 2): ("Custody", "empty", 0, 0), (0xE3, 2): ("Custody", "empty", 0, 0),
    (0xE4, 2): ("Alternative-Address", "string", 1, 255), (0xE4, 4): ("Hold-Off", "uint", 0, 3),
    (0xE5, 2): ("Bad-CSM-Option", "uint", 0, 2),
}
# IANA CoAP Content-Formats that carry documents
CONTENT_FORMATS = {
    0: "text/plain", 40: "application/link-format", 41: "application/xml", 42: "application/octet-stream",
    47: "application/exi", 50: "application/json", 51: "application/json-patch+json",
    52: "application/merge-patch+json", 60: "application/cbor", 110: "application/senml+json",
    112: "application/senml+cbor", 310: "application/senml+xml", 11542: "application/vnd.oma.lwm2m+tlv",
    11543: "application/vnd.oma.lwm2m+json", 11544: "application/vnd.oma.lwm2m+cbor",
}
_MOST = 256                               # options of a message
BERT = 7                                  # SZX of blocks of n * 1024 octets over TCP, RFC 8323 6


class Option(NamedTuple):
    number: int
    name: str
    value: Any
    known: bool                           # a number we know, with a length it may have


class Block(NamedTuple):
    """RFC 7959 2.2: block `num` of `size` octets, `more` to follow."""

    num: int
    more: bool
    size: int

    def fields(self) -> dict[str, Any]:
        return {"num": self.num, "more": self.more, "size": self.size}


def code_text(code: int) -> str:
    return f"{code >> 5}.{code & 31:02d}"


def options(at: Cursor, code: int, problems: list[Problem]) -> list[Option]:
    """The options up to the payload marker or the end; `at` then stands at the payload. Raises Short."""
    found, number = [], 0
    while at.left:
        start = at.offset
        if len(found) >= _MOST:
            problems.append(Problem(start, f"more than {_MOST} options"))
            raise Short(start, 1)
        head = at.u8()
        if head == 0xFF:
            if not at.left:
                problems.append(Problem(start, "payload marker without payload"))
            break
        delta, size = _extended(at, head >> 4), _extended(at, head & 15)
        if delta is None or size is None:
            problems.append(Problem(start, "option delta or length 15 is reserved"))
            raise Short(start, 1)
        number += delta
        if number > 0xFFFF:
            problems.append(Problem(start, f"option number {number}"))
        name, kind, shortest, longest = _meaning(code, number)
        raw = at.octets(size)
        fits = shortest <= size <= longest
        if not fits:
            problems.append(Problem(start, f"{name} of {size} octets"))
        found.append(Option(number, name, _value(kind if fits else "opaque", raw), fits and kind != "unknown"))
    return found


def _meaning(code: int, number: int) -> tuple[str, str, int, int]:
    unknown = (f"OPTION{number}", "unknown", 0, 0xFFFF)
    return SIGNAL_OPTIONS.get((code, number), unknown) if code >= 0xE0 else OPTIONS.get(number, unknown)


def _extended(at: Cursor, nibble: int) -> int | None:
    if nibble < 13:
        return nibble
    return at.u8() + 13 if nibble == 13 else at.u16() + 269 if nibble == 14 else None


def _value(kind: str, raw: bytes) -> Any:
    if kind == "string":
        return raw.decode("utf-8", "replace")
    if kind == "uint":
        return int.from_bytes(raw, "big")
    if kind == "block":
        number = int.from_bytes(raw, "big")
        szx = number & 7
        return Block(number >> 4, bool(number & 8), 1024 if szx == BERT else 16 << szx)
    return raw.hex()


def option_fields(found: list[Option]) -> dict[str, Any]:
    """The options as message fields; repeatable ones joined as in a URI (RFC 7252 6.5)."""
    by_name: dict[str, list[Any]] = {}
    for option in found:
        if option.known:
            by_name.setdefault(option.name, []).append(option.value)
    fields: dict[str, Any] = {}
    for name, field in (("Uri-Host", "uri_host"), ("Uri-Port", "uri_port"), ("Content-Format", "content_format"),
                        ("Accept", "accept"), ("Observe", "observe"), ("Max-Age", "max_age"), ("ETag", "etag"),
                        ("Proxy-Uri", "proxy_uri")):
        if name in by_name:
            fields[field] = by_name[name][0]
    for name, field, lead, joint in (("Uri-Path", "uri_path", "/", "/"), ("Uri-Query", "uri_query", "", "&"),
                                     ("Location-Path", "location_path", "/", "/"),
                                     ("Location-Query", "location_query", "", "&")):
        if name in by_name:
            fields[field] = lead + joint.join(by_name[name])
    for name, field in (("Block1", "block1"), ("Block2", "block2"), ("Q-Block1", "q_block1"), ("Q-Block2", "q_block2")):
        if name in by_name:
            fields[field] = by_name[name][0].fields()
    fields["options"] = tuple({"number": o.number, "name": o.name,
                               "value": o.value.fields() if isinstance(o.value, Block) else o.value} for o in found)
    return fields
