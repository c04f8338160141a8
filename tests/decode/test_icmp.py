"""ICMP errors with what they quote, and neighbour discovery."""

import struct
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import icmp
from flowcheck.model import Context, Endpoint, FrameRef

V4 = Context(5, (FrameRef(0, 1),), Endpoint("192.0.2.1"), Endpoint("198.51.100.21"), ("eth", "ip", "icmp"))
V6 = replace(V4, src=Endpoint("2001:db8::1"), dst=Endpoint("2001:db8::2"), layers=("eth", "ip6", "icmpv6"))
MAC = bytes.fromhex("00193b000102")
PREFIX = ip_address("2001:db8:1::").packed


def ip4(protocol, rest, fragment=0, options=b""):
    header = struct.pack(">BBHHHBBH", 0x45 + len(options) // 4, 0, 60, 1, fragment, 64, protocol, 0)
    return header + ip_address("198.51.100.21").packed + ip_address("192.0.2.53").packed + options + rest


def ip6(header, rest):
    ends = ip_address("2001:db8::2").packed + ip_address("2001:db8::9").packed
    return struct.pack(">IHBB", 0x60000000, len(rest), header, 64) + ends + rest


PORTS = struct.pack(">HHHH", 40112, 53, 40, 0)
SENT = {"quoted_src": "198.51.100.21", "quoted_dst": "192.0.2.53", "quoted_protocol": "udp", "quoted_sport": 40112,
        "quoted_dport": 53}
ADVERT = (b"\x86\0\0\0\x40\xc0\x07\x08" + bytes(8) + b"\1\1" + MAC
          + struct.pack(">BBBBIII", 3, 4, 64, 0xC0, 600, 300, 0) + PREFIX
          + struct.pack(">BBHI", 5, 1, 0, 1400) + b"\x19\3\0\0\0\0\0\1" + PREFIX)

CASES = [
    (V4, b"\3\3\0\0\0\0\0\0" + ip4(17, PORTS), "icmp.unreachable",
     {"type": 3, "code": "PORT_UNREACHABLE", "code_number": 3} | SENT),
    (V4, b"\3\4\0\0\0\0\x05\x78" + ip4(6, PORTS, options=bytes(4)), "icmp.unreachable",
     {"code": "FRAGMENTATION_NEEDED", "mtu": 1400, "quoted_protocol": "tcp", "quoted_dport": 53}),
    (V4, b"\3\2\0\0\0\0\0\0" + ip4(132, PORTS), "icmp.unreachable",
     {"code": "PROTOCOL_UNREACHABLE", "quoted_protocol": "sctp"}),
    (V4, b"\3\x0d\0\0\0\0\0\0" + ip4(50, b"\xc0\0\0\1\0\0\0\7"), "icmp.unreachable",
     {"code": "ADMINISTRATIVELY_PROHIBITED", "quoted_spi": "c0000001"}),
    (V4, b"\x0b\0\0\0\0\0\0\0" + ip4(17, bytes(8), fragment=100), "icmp.time_exceeded",
     {"code": "TTL_EXCEEDED", "quoted_sport": None}),
    (V4, b"\5\1\0\0\xc0\0\2\x63" + ip4(17, PORTS), "icmp.redirect", {"gateway": "192.0.2.99"}),
    (V6, b"\1\4\0\0\0\0\0\0" + ip6(17, PORTS), "icmp.unreachable",
     {"code": "PORT_UNREACHABLE", "quoted_dst": "2001:db8::9", "quoted_dport": 53}),
    (V6, b"\2\0\0\0\0\0\5\0" + ip6(44, b"\x11\0\0\0\0\0\0\1" + PORTS), "icmp.packet_too_big",
     {"mtu": 1280, "quoted_dport": 53}),
    (V6, b"\2\0\0\0\0\0\5\0" + ip6(0, b"\x32\0" + bytes(6) + b"\0\0\1\1"), "icmp.packet_too_big",
     {"quoted_protocol": "esp", "quoted_spi": "00000101"}),
    (V6, ADVERT, "nd.router_advertisement",
     {"hop_limit": 64, "managed": True, "other": True, "router_lifetime": 1800, "mtu": 1400,
      "source_mac": "00:19:3b:00:01:02",
      "prefixes": ({"prefix": "2001:db8:1::/64", "on_link": True, "autonomous": True, "valid": 600, "preferred": 300},),
      "dns": ("2001:db8:1::",)}),
    (V6, b"\x87\0\0\0\0\0\0\0" + PREFIX + b"\1\1" + MAC, "nd.neighbor_solicitation",
     {"target": "2001:db8:1::", "source_mac": "00:19:3b:00:01:02"}),
    (V6, b"\x88\0\0\0\x60\0\0\0" + PREFIX + b"\2\1" + MAC, "nd.neighbor_advertisement",
     {"router": False, "solicited": True, "override": True, "target_mac": "00:19:3b:00:01:02"}),
    (V6, b"\x85\0\0\0\0\0\0\0", "nd.router_solicitation", {}),
    (V6, b"\x89\0\0\0\0\0\0\0" + PREFIX * 2, "nd.redirect", {"destination": "2001:db8:1::"}),
]


@pytest.mark.parametrize("context, data, kind, fields", CASES)
def test_one_message(context, data, kind, fields):
    (found,) = icmp.decode(data, context)
    assert found.kind == kind and not found.problems and set(found.fields) <= set(icmp.KINDS[kind])
    assert {name: found.fields.get(name) for name in fields} == fields


@pytest.mark.parametrize("context, data, kind, fields", CASES)
def test_cut_at_every_length(context, data, kind, fields):
    for size in range(1, len(data)):
        (found,) = icmp.decode(data[:size], replace(context, missing=len(data) - size))
        assert found.kind == kind and found.incomplete and not found.problems
        for name in set(fields) & set(found.fields) - {"prefixes", "dns"}:
            assert found.fields[name] == fields[name]


def test_an_error_may_quote_little_but_has_a_header():
    assert not next(icmp.decode(b"\3\3\0\0\0\0\0\0" + ip4(17, b""), V4)).problems
    assert next(icmp.decode(b"\3\3\0\0", V4)).problems and next(icmp.decode(b"\x87\0\0\0", V6)).problems
    assert next(icmp.decode(b"\x85" + bytes(7) + b"\1\0" + MAC, V6)).problems


def test_echo_is_no_message():
    assert not list(icmp.decode(b"\x08\0" + bytes(30), V4))
    assert not list(icmp.decode(b"\x80\0" + bytes(30), V6))
    assert not list(icmp.decode(b"", V4))


@settings(max_examples=80, deadline=None)
@given(st.sampled_from([3, 5, 11, 12, 1, 2, 4, 133, 134, 135, 136, 137]), st.binary(max_size=90))
def test_noise(kind, data):
    for context in (V4, V6):
        list(icmp.decode(bytes([kind]) + data, context))
        list(icmp.decode(bytes([kind]) + bytes(7) + data, context))
