"""DHCP for IPv6 (RFC 8415; DNS RFC 3646): addresses and prefixes a device was given. Relayed messages are opened."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import Any

from ..model import Context, Message, Problem
from .wire import Cursor, Short

_TYPES = {1: "solicit", 2: "advertise", 3: "request", 4: "confirm", 5: "renew", 6: "rebind", 7: "reply", 8: "release",
          9: "decline", 10: "reconfigure", 11: "information_request", 12: "relay_forward", 13: "relay_reply"}
_FIELDS = ("transaction_id", "client_duid", "server_duid", "mac", "addresses", "prefixes", "dns", "domains", "status",
           "status_text", "vendor_class", "user_class", "fqdn", "requested_options", "rapid_commit", "options")
KINDS = {f"dhcpv6.{name}": _FIELDS for code, name in _TYPES.items() if code < 12} \
    | {f"dhcpv6.{_TYPES[code]}": ("hop_count", "link_address", "peer_address", "options") for code in (12, 13)}
PORTS = {546, 547}

_STATUS = {0: "Success", 1: "UnspecFail", 2: "NoAddrsAvail", 3: "NoBinding", 4: "NotOnLink", 5: "UseMulticast",
           6: "NoPrefixAvail"}
_DEEPEST = 8                              # relays, RFC 8415 HOP_COUNT_LIMIT
_MOST = 256


def likely(head: bytes, ports: tuple[int, ...] = ()) -> bool:
    """There is no mark to know it by: only on its ports, with options that add up."""
    if PORTS.isdisjoint(ports) or len(head) < 4 or head[0] not in _TYPES:
        return False
    at = Cursor(head, 34 if head[0] >= 12 else 4)
    try:
        while at.left > 0:
            at.u16()
            at.octets(at.u16())
    except Short:
        return False
    return at.left == 0 and len(head) > 4


def decode(data: bytes, context: Context) -> Iterator[Message]:
    """One datagram; a relay's message, then the message it carries."""
    for _ in range(_DEEPEST + 1):
        if not data or data[0] not in _TYPES:
            return
        fields, problems, relayed = _message(data)
        yield context.message(f"dhcpv6.{_TYPES[data[0]]}", fields, () if context.missing else tuple(problems),
                              incomplete=bool(context.missing))
        if relayed is None:
            return
        data, context = relayed, context.within("dhcpv6")


def _message(data: bytes) -> tuple[dict[str, Any], list[Problem], bytes | None]:
    """(fields, problems, the relayed message)"""
    at, fields, problems, options = Cursor(data, 1), {}, [], []
    try:
        if data[0] >= 12:
            fields |= {"hop_count": at.u8(), "link_address": str(IPv6Address(at.octets(16))),
                       "peer_address": str(IPv6Address(at.octets(16)))}
        else:
            fields["transaction_id"] = at.octets(3).hex()
        for _ in range(_MOST):
            if not at.left:
                break
            code = at.u16()
            options.append((code, at.octets(at.u16())))
    except Short as short:
        problems.append(Problem(short.offset, str(short)))
    relayed = None
    for code, value in options:
        if code == 9 and data[0] >= 12:
            relayed = value
        else:
            try:
                _option(code, Cursor(value), fields)
            except Short as short:
                problems.append(Problem(short.offset, f"option {code}: {short}"))
    fields["options"] = tuple(code for code, _ in options)
    return fields, problems, relayed


def _option(code: int, at: Cursor, fields: dict[str, Any]) -> None:
    """One option into the fields. Raises Short."""
    if code in (1, 2):
        duid = at.rest()
        fields["client_duid" if code == 1 else "server_duid"] = duid.hex()
        # DUID-LLT and DUID-LL of Ethernet end with the MAC (RFC 8415 11.2, 11.4)
        skip = {b"\0\1\0\1": 8, b"\0\3\0\1": 4}.get(duid[:4])
        if code == 1 and skip and len(duid) == skip + 6:
            fields["mac"] = duid[skip:].hex(":")
    elif code in (3, 4, 25):
        at.octets(4 if code == 4 else 12)
        for _ in range(_MOST):
            if not at.left:
                break
            inner = at.u16()
            with at.window(at.u16()) as value:
                if inner in (5, 13, 26):
                    _option(inner, value, fields)
    elif code == 5:
        address, preferred, valid = str(IPv6Address(at.octets(16))), at.u32(), at.u32()
        given = {"address": address, "preferred": preferred, "valid": valid}
        fields["addresses"] = (*fields.get("addresses", ()), given)
    elif code == 26:
        preferred, valid, length = at.u32(), at.u32(), at.u8()
        prefix = f"{IPv6Address(at.octets(16))}/{length}"
        fields["prefixes"] = (*fields.get("prefixes", ()), {"prefix": prefix, "preferred": preferred, "valid": valid})
    elif code == 6:
        fields["requested_options"] = tuple(at.u16() for _ in range(at.left // 2))
    elif code == 13:
        number = at.u16()
        if number or "status" not in fields:
            fields["status"] = _STATUS.get(number, f"STATUS{number}")
            fields["status_text"] = at.rest().decode("utf-8", "replace")
    elif code == 14:
        fields["rapid_commit"] = True
    elif code == 15:
        fields["user_class"] = _counted(at)
    elif code == 16:
        at.octets(4)
        fields["vendor_class"] = _counted(at)
    elif code == 23:
        fields["dns"] = tuple(str(IPv6Address(at.octets(16))) for _ in range(at.left // 16))
    elif code == 24:
        fields["domains"] = _names(at)
    elif code == 39:
        at.octets(1)
        fields["fqdn"] = next(iter(_names(at)), "")


def _counted(at: Cursor) -> str:
    """Texts with a length before each (RFC 8415 21.15, 21.16), joined by spaces."""
    found = []
    while at.left:
        found.append(at.octets(at.u16()).decode("utf-8", "replace"))
    return " ".join(found)


def _names(at: Cursor) -> tuple[str, ...]:
    """Domain names as labels, without compression (RFC 8415 10); the last may lack its root label."""
    names, labels = [], []
    while at.left:
        size = at.u8()
        if size:
            labels.append(at.octets(size).decode("latin-1"))
        elif labels:
            names.append(".".join(labels))
            labels = []
    if labels:
        names.append(".".join(labels))
    return tuple(names)
