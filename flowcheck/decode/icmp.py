"""ICMP (RFC 792), ICMPv6 (RFC 4443) errors with the packet they are about, and neighbour discovery (RFC 4861, `nd.*`).

Echo is no message here: it says nothing about a procedure.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from ..model import Context, Message, Problem
from .wire import Cursor, Short

_QUOTED = ("quoted_src", "quoted_sport", "quoted_dst", "quoted_dport", "quoted_protocol", "quoted_spi")
_ERROR = ("type", "code", "code_number", *_QUOTED)
KINDS = {
    "icmp.unreachable": (*_ERROR, "mtu"), "icmp.packet_too_big": (*_ERROR, "mtu"), "icmp.time_exceeded": _ERROR,
    "icmp.parameter_problem": (*_ERROR, "pointer"), "icmp.redirect": (*_ERROR, "gateway"),
    "nd.router_solicitation": ("source_mac",),
    "nd.router_advertisement": ("hop_limit", "managed", "other", "router_lifetime", "prefixes", "mtu", "dns",
                                "source_mac"),
    "nd.neighbor_solicitation": ("target", "source_mac", "nonce"),
    "nd.neighbor_advertisement": ("target", "router", "solicited", "override", "target_mac"),
    "nd.redirect": ("target", "destination", "target_mac"),
}
PROTOCOLS = {1, 58}

_V4 = {3: "icmp.unreachable", 5: "icmp.redirect", 11: "icmp.time_exceeded", 12: "icmp.parameter_problem"}
_V6 = {1: "icmp.unreachable", 2: "icmp.packet_too_big", 3: "icmp.time_exceeded", 4: "icmp.parameter_problem",
       133: "nd.router_solicitation", 134: "nd.router_advertisement", 135: "nd.neighbor_solicitation",
       136: "nd.neighbor_advertisement", 137: "nd.redirect"}
_TRANSIT = {0: "HOP_LIMIT_EXCEEDED", 1: "REASSEMBLY_TIME_EXCEEDED"}
_CODES = {                                # (IP version, type): code names after RFC 792, 1122, 1812, 4443
    (4, 3): {0: "NET_UNREACHABLE", 1: "HOST_UNREACHABLE", 2: "PROTOCOL_UNREACHABLE", 3: "PORT_UNREACHABLE",
             4: "FRAGMENTATION_NEEDED", 5: "SOURCE_ROUTE_FAILED", 6: "NET_UNKNOWN", 7: "HOST_UNKNOWN",
             8: "SOURCE_HOST_ISOLATED", 9: "NET_PROHIBITED", 10: "HOST_PROHIBITED", 11: "NET_UNREACHABLE_FOR_TOS",
             12: "HOST_UNREACHABLE_FOR_TOS", 13: "ADMINISTRATIVELY_PROHIBITED", 14: "HOST_PRECEDENCE_VIOLATION",
             15: "PRECEDENCE_CUTOFF"},
    (4, 5): {0: "NET", 1: "HOST", 2: "NET_FOR_TOS", 3: "HOST_FOR_TOS"},
    (4, 11): {0: "TTL_EXCEEDED", 1: "REASSEMBLY_TIME_EXCEEDED"},
    (6, 1): {0: "NO_ROUTE", 1: "ADMINISTRATIVELY_PROHIBITED", 2: "BEYOND_SCOPE", 3: "ADDRESS_UNREACHABLE",
             4: "PORT_UNREACHABLE", 5: "SOURCE_ADDRESS_POLICY", 6: "REJECT_ROUTE", 7: "SOURCE_ROUTING_HEADER"},
    (6, 3): _TRANSIT,
    (6, 4): {0: "ERRONEOUS_HEADER", 1: "UNKNOWN_NEXT_HEADER", 2: "UNKNOWN_OPTION", 3: "INCOMPLETE_HEADER_CHAIN"},
}
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 58: "icmpv6", 132: "sctp"}
_EXTENSIONS = {0, 43, 44, 51, 60, 135}    # IPv6 headers that only lead to the next one
_MOST_OPTIONS = 64


def decode(data: bytes, context: Context) -> Iterator[Message]:
    """One ICMP or ICMPv6 message."""
    version = 6 if ":" in context.src.address or context.layers[-1:] == ("icmpv6",) else 4
    if not data:
        return
    kind = (_V6 if version == 6 else _V4).get(data[0])
    if kind is None:
        return
    at, fields, problems = Cursor(data), {}, []
    try:
        if kind.startswith("icmp."):
            _error(at, version, fields)
        else:
            _DISCOVERY[kind](at, fields, problems)
    except Short as short:
        # an error need not quote more than the first octets of a packet; its own header has to be whole
        if kind.startswith("nd.") or short.offset < 8:
            problems.append(Problem(short.offset, str(short)))
    if context.missing:
        problems = []
    yield context.message(kind, fields, tuple(problems), incomplete=bool(context.missing))


def _error(at: Cursor, version: int, fields: dict[str, Any]) -> None:
    kind, code = at.u8(), at.u8()
    fields |= {"type": kind, "code": _CODES.get((version, kind), {}).get(code, f"CODE{code}"), "code_number": code}
    at.u16()                              # checksum
    word = at.octets(4)
    number = int.from_bytes(word, "big")
    if (version, kind) == (4, 5):
        fields["gateway"] = str(IPv4Address(word))
    elif (version, kind, code) == (4, 3, 4):
        fields["mtu"] = number & 0xFFFF   # RFC 1191 4
    elif (version, kind) == (6, 2):
        fields["mtu"] = number
    elif (version, kind) == (4, 12):
        fields["pointer"] = word[0]
    elif (version, kind) == (6, 4):
        fields["pointer"] = number
    _quoted(at, fields)


def _quoted(at: Cursor, fields: dict[str, Any]) -> None:
    """The packet the error is about: its ends and its protocol, as far as it is quoted."""
    start = at.offset
    first = at.u8()
    if first >> 4 == 4 and first & 15 >= 5:
        at.octets(5)
        fragment = at.u16() & 0x1FFF
        at.u8()
        protocol = at.u8()
        at.u16()
        src, dst = str(IPv4Address(at.octets(4))), str(IPv4Address(at.octets(4)))
        at.octets((first & 15) * 4 - (at.offset - start))
    elif first >> 4 == 6:
        at.octets(5)
        protocol, fragment = at.u8(), 0
        at.u8()
        src, dst = str(IPv6Address(at.octets(16))), str(IPv6Address(at.octets(16)))
    else:
        return
    fields |= {"quoted_src": src, "quoted_dst": dst}
    for _ in range(8):
        if first >> 4 != 6 or protocol not in _EXTENSIONS or fragment:
            break
        header, protocol, size = protocol, at.u8(), at.u8()
        rest = at.octets(6)
        if header == 44:
            fragment = int.from_bytes(rest[:2], "big") >> 3
        else:
            at.octets(size * 4 if header == 51 else size * 8)
    fields["quoted_protocol"] = _PROTOCOLS.get(protocol, str(protocol))
    if fragment:
        return
    if protocol in (6, 17, 132):
        fields["quoted_sport"], fields["quoted_dport"] = at.u16(), at.u16()
    elif protocol == 50:
        fields["quoted_spi"] = at.octets(4).hex()


# ------------------------------------------------------------------------------------------ neighbour discovery

def _router_solicitation(at: Cursor, fields: dict[str, Any], problems: list[Problem]) -> None:
    at.octets(8)
    _options(at, fields, problems)


def _router_advertisement(at: Cursor, fields: dict[str, Any], problems: list[Problem]) -> None:
    at.octets(4)
    fields["hop_limit"] = at.u8()
    flags = at.u8()
    fields |= {"managed": bool(flags & 0x80), "other": bool(flags & 0x40), "router_lifetime": at.u16()}
    at.octets(8)                          # reachable time, retransmission timer
    _options(at, fields, problems)


def _neighbor_solicitation(at: Cursor, fields: dict[str, Any], problems: list[Problem]) -> None:
    at.octets(8)
    fields["target"] = str(IPv6Address(at.octets(16)))
    _options(at, fields, problems)


def _neighbor_advertisement(at: Cursor, fields: dict[str, Any], problems: list[Problem]) -> None:
    at.octets(4)
    flags = at.u32() >> 29
    fields |= {"router": bool(flags & 4), "solicited": bool(flags & 2), "override": bool(flags & 1),
               "target": str(IPv6Address(at.octets(16)))}
    _options(at, fields, problems)


def _redirect(at: Cursor, fields: dict[str, Any], problems: list[Problem]) -> None:
    at.octets(8)
    fields |= {"target": str(IPv6Address(at.octets(16))), "destination": str(IPv6Address(at.octets(16)))}
    _options(at, fields, problems)


_DISCOVERY = {"nd.router_solicitation": _router_solicitation, "nd.router_advertisement": _router_advertisement,
              "nd.neighbor_solicitation": _neighbor_solicitation, "nd.neighbor_advertisement": _neighbor_advertisement,
              "nd.redirect": _redirect}


def _options(at: Cursor, fields: dict[str, Any], problems: list[Problem]) -> None:
    """RFC 4861 4.6; recursive DNS servers RFC 8106 5.1."""
    prefixes, servers = [], []
    for _ in range(_MOST_OPTIONS):
        if not at.left:
            break
        start, kind, size = at.offset, at.u8(), at.u8()
        if size == 0:
            problems.append(Problem(start, "neighbour discovery option of length 0"))
            break
        with at.window(size * 8 - 2) as option:
            if kind in (1, 2):
                fields["source_mac" if kind == 1 else "target_mac"] = option.octets(6).hex(":")
            elif kind == 3 and size == 4:
                length, flags = option.u8(), option.u8()
                valid, preferred, _ = option.u32(), option.u32(), option.u32()
                prefixes.append({"prefix": f"{IPv6Address(option.octets(16))}/{length}", "on_link": bool(flags & 0x80),
                                 "autonomous": bool(flags & 0x40), "valid": valid, "preferred": preferred})
            elif kind == 5:
                option.u16()
                fields["mtu"] = option.u32()
            elif kind == 14:
                fields["nonce"] = option.rest().hex()
            elif kind == 25:
                option.octets(6)
                servers += [str(IPv6Address(option.octets(16))) for _ in range(option.left // 16)]
    if prefixes:
        fields["prefixes"] = tuple(prefixes)
    if servers:
        fields["dns"] = tuple(servers)
