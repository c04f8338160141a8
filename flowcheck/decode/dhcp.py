"""DHCP for IPv4 (RFC 2131, options RFC 2132; long options RFC 3396): which address a device was given, and by whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import Any

from ..model import Context, Message, Problem
from .wire import Cursor, Short

_TYPES = {1: "discover", 2: "offer", 3: "request", 4: "decline", 5: "ack", 6: "nak", 7: "release", 8: "inform",
          9: "forcerenew", 10: "leasequery", 11: "leaseunassigned", 12: "leaseunknown", 13: "leaseactive"}
_FIELDS = ("mac", "transaction_id", "client_address", "your_address", "next_server", "relay", "server_name",
           "boot_file", "client_id", "hostname", "fqdn", "requested_address", "server_id", "subnet_mask", "router",
           "dns", "domain",
           "ntp", "lease", "renewal", "rebinding", "vendor_class", "user_class", "vendor_options", "parameters", "text",
           "relay_agent", "acs_url", "options")
KINDS = {f"dhcp.{name}": _FIELDS for name in (*_TYPES.values(), "bootp")}
PORTS = {67, 68}

_COOKIE = b"\x63\x82\x53\x63"
_MOST = 255                               # options of one field


def likely(head: bytes, ports: tuple[int, ...] = ()) -> bool:
    return len(head) >= 240 and head[0] in (1, 2) and head[236:240] == _COOKIE and head[2] <= 16


def decode(data: bytes, context: Context) -> Iterator[Message]:
    """One datagram."""
    at, fields, problems, options = Cursor(data), {}, [], {}
    try:
        at.octets(2)
        size, _ = at.u8(), at.u8()
        fields["transaction_id"] = at.octets(4).hex()
        at.octets(4)                      # seconds, flags
        for name in ("client_address", "your_address", "next_server", "relay"):
            address = str(IPv4Address(at.octets(4)))
            if address != "0.0.0.0":
                fields[name] = address
        fields["mac"] = at.octets(16)[:min(size, 16)].hex(":")
        server_name, boot_file = at.octets(64), at.octets(128)
        if at.octets(4) != _COOKIE:
            return
        _collect(at, options, problems)
        # option overload (RFC 2132 9.3): options go on in the header's two text fields
        overload = (options.get(52) or b"\0")[0]
        for bit, name, area in ((1, "boot_file", boot_file), (2, "server_name", server_name)):
            if overload & bit:
                _collect(Cursor(area), options, problems)
            elif area[0]:
                fields[name] = area.partition(b"\0")[0].decode("latin-1")
    except Short as short:
        problems.append(Problem(short.offset, str(short)))
    kind = (options.get(53) or b"\0")[0]
    fields |= _meaning(options, problems)
    yield context.message(f"dhcp.{_TYPES.get(kind, 'bootp')}", fields, () if context.missing else tuple(problems),
                          incomplete=bool(context.missing))


def _collect(at: Cursor, options: dict[int, bytes], problems: list[Problem]) -> None:
    """Options into the table; one that comes several times is one value in parts (RFC 3396 7)."""
    for _ in range(_MOST * 4):
        if not at.left:
            return
        code = at.u8()
        if code == 255:
            return
        if code:
            options[code] = options.get(code, b"") + at.octets(at.u8())


def _meaning(options: dict[int, bytes], problems: list[Problem]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for code, (name, read) in _OPTIONS.items():
        if code in options:
            value = read(options[code])
            if value is None:
                problems.append(Problem(240, f"option {code} ({name}) of {len(options[code])} octets"))
            else:
                fields[name] = value
    if 43 in options:                     # TR-069 3.1: the ACS URL is sub-option 1 of the vendor's options
        url = _suboptions(options[43]).get(1, b"")
        if url.startswith(b"http"):
            fields["acs_url"] = url.decode("latin-1")
    if options:
        fields["options"] = tuple(sorted(options))
    return fields


def _address(raw: bytes) -> str | None:
    return str(IPv4Address(raw)) if len(raw) == 4 else None


def _addresses(raw: bytes) -> tuple[str, ...] | None:
    return tuple(str(IPv4Address(raw[i:i + 4])) for i in range(0, len(raw), 4)) if raw and len(raw) % 4 == 0 else None


def _seconds(raw: bytes) -> int | None:
    return int.from_bytes(raw, "big") if len(raw) == 4 else None


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("utf-8", "replace")


def _client_id(raw: bytes) -> str | None:
    """Colon-separated octets behind the hardware type where it is one, else all of them (RFC 2132 9.14)."""
    return (raw[1:].hex(":") if raw[0] == 1 and len(raw) == 7 else raw.hex()) if raw else None


def _fqdn(raw: bytes) -> str | None:
    """RFC 4702: flags, two result codes, then the name as text or in DNS encoding."""
    if len(raw) < 3:
        return None
    if not raw[0] & 4:
        return _text(raw[3:])
    labels, rest = [], raw[3:]
    while rest and rest[0] and rest[0] < 64:
        labels.append(rest[1:1 + rest[0]].decode("latin-1"))
        rest = rest[1 + rest[0]:]
    return ".".join(labels)


def _suboptions(raw: bytes) -> dict[int, bytes]:
    found, at = {}, Cursor(raw)
    try:
        while at.left:
            code = at.u8()
            if code in (0, 255):
                continue
            found[code] = at.octets(at.u8())
    except Short:
        return found                      # another shape than code, length, value: the vendor may choose it
    return found


def _listed(raw: bytes) -> dict[str, str]:
    return {str(code): value.hex() for code, value in _suboptions(raw).items()}


_OPTIONS: dict[int, tuple[str, Callable[[bytes], Any]]] = {
    1: ("subnet_mask", _address), 3: ("router", _addresses), 6: ("dns", _addresses), 12: ("hostname", _text),
    15: ("domain", _text), 42: ("ntp", _addresses), 43: ("vendor_options", _listed),
    50: ("requested_address", _address), 51: ("lease", _seconds), 54: ("server_id", _address),
    55: ("parameters", tuple), 56: ("text", _text),
    58: ("renewal", _seconds), 59: ("rebinding", _seconds), 60: ("vendor_class", _text), 61: ("client_id", _client_id),
    77: ("user_class", _text), 81: ("fqdn", _fqdn), 82: ("relay_agent", _listed),
}
