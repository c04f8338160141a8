"""DHCP for IPv4 and IPv6: each case whole and cut at every length."""

import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import dhcp, dhcpv6
from flowcheck.model import Context, Endpoint, FrameRef

CONTEXT = Context(5, (FrameRef(0, 1),), Endpoint("0.0.0.0", 68), Endpoint("255.255.255.255", 67), ("udp",))
MAC = bytes.fromhex("00193b000102")


def v4(kind, *options, yours=bytes(4), server_name=b"", boot_file=b""):
    return (struct.pack(">4BIHH", 1 if kind in (1, 3) else 2, 1, 6, 0, 0xABCD, 0,
                        0) + bytes(4) + yours + bytes(8) + MAC + bytes(10)
            + server_name.ljust(64, b"\0") + boot_file.ljust(128, b"\0") + b"\x63\x82\x53\x63"
            + b"".join(bytes([code, len(value)]) + value for code, value in ((53, bytes([kind])), *options)) + b"\xff")


def v6(kind, *options):
    return bytes([kind, 1, 2, 3]) + b"".join(struct.pack(">HH", code, len(value)) + value for code, value in options)


ADDRESS = bytes.fromhex("20010db8000000000000000000000001")
IA = bytes(12) + struct.pack(">HH", 5, 24) + ADDRESS + struct.pack(">II", 300, 600)
REPLY = v6(7, (1, b"\0\3\0\1" + MAC), (2, b"\0\2\0\0\1\2x"), (3, IA), (23, ADDRESS * 2), (24, b"\3lab\7example\0"),
           (13, b"\0\0ok"),
           (25, bytes(12) + struct.pack(">HH", 26, 25) + struct.pack(">IIB", 1, 2, 56) + ADDRESS))
FORWARD = b"\x0c\x01" + ADDRESS + ADDRESS + struct.pack(">HH", 9, 8) + v6(1, (14, b""))

CASES = [
    (dhcp, v4(1, (12, b"hnb"), (60, b"dslforum.org"), (61, b"\1" + MAC), (55, b"\1\3\6"), (50, bytes([10, 0, 0, 7]))),
     "dhcp.discover",
     {"mac": "00:19:3b:00:01:02", "transaction_id": "0000abcd", "hostname": "hnb", "client_id": "00:19:3b:00:01:02",
      "requested_address": "10.0.0.7",
      "vendor_class": "dslforum.org", "parameters": (1, 3, 6)}),
    (dhcp,
     v4(5, (54, bytes([10, 0, 0, 1])), (51, b"\0\0\x0e\x10"), (3, bytes([10, 0, 0, 1])),
        (6, bytes([10, 0, 0, 2, 10, 0, 0, 3])), (1, b"\xff\xff\xff\0"),
                 (43, b"\1\x08http://a"), yours=bytes([10, 0, 0, 7])), "dhcp.ack",
     {"your_address": "10.0.0.7", "server_id": "10.0.0.1", "lease": 3600, "router": ("10.0.0.1",),
      "dns": ("10.0.0.2", "10.0.0.3"), "acs_url": "http://a"}),
    (dhcp, v4(6, (56, b"no")), "dhcp.nak", {"text": "no"}),
    (dhcp, v4(2, (52, b"\1"), boot_file=b"\x0f\3lab\xff"), "dhcp.offer", {"domain": "lab"}),
    (dhcp, v4(2, (15, b"l"), (15, b"ab"), server_name=b"srv"), "dhcp.offer", {"domain": "lab", "server_name": "srv"}),
    (dhcp, v4(3, (81, b"\4\0\0\3hnb\3lab\0"), (82, b"\1\2ab")), "dhcp.request",
     {"fqdn": "hnb.lab", "relay_agent": {"1": "6162"}}),
    (dhcpv6, REPLY, "dhcpv6.reply",
     {"transaction_id": "010203", "mac": "00:19:3b:00:01:02",
      "addresses": ({"address": "2001:db8::1", "preferred": 300, "valid": 600},),
      "dns": ("2001:db8::1", "2001:db8::1"), "domains": ("lab.example",), "status": "Success",
      "prefixes": ({"prefix": "2001:db8::1/56", "preferred": 1, "valid": 2},)}),
    (dhcpv6, v6(1, (6, b"\0\x17"), (39, b"\0\3hnb"), (16, b"\0\0\0\1\0\2ab")), "dhcpv6.solicit",
     {"requested_options": (23,), "fqdn": "hnb", "vendor_class": "ab"}),
    (dhcpv6, v6(2, (3, bytes(12) + b"\0\x0d\0\2\0\2")), "dhcpv6.advertise", {"status": "NoAddrsAvail"}),
]


@pytest.mark.parametrize("module, data, kind, fields", CASES)
def test_one_message(module, data, kind, fields):
    (found,) = module.decode(data, CONTEXT)
    assert found.kind == kind and not found.problems
    assert {name: found.fields.get(name) for name in fields} == fields
    assert module.likely(data, tuple(module.PORTS)) and set(found.fields) <= set(module.KINDS[kind])


@pytest.mark.parametrize("module, data, kind, fields", CASES)
def test_cut_at_every_length(module, data, kind, fields):
    for size in range(len(data)):
        for found in module.decode(data[:size], replace(CONTEXT, missing=len(data) - size)):
            assert found.incomplete and not found.problems
            for name in {"mac", "transaction_id"} & set(found.fields) & set(fields):
                assert found.fields[name] == fields[name]
        list(module.decode(data[:size], CONTEXT))


def test_relayed_message_is_opened():
    outer, inner = dhcpv6.decode(FORWARD, CONTEXT)
    assert outer.kind == "dhcpv6.relay_forward"
    assert outer.fields["peer_address"] == "2001:db8::1"
    assert outer.fields["hop_count"] == 1
    assert inner.kind == "dhcpv6.solicit" and inner.fields["rapid_commit"] is True
    nested = FORWARD
    for _ in range(30):
        nested = FORWARD[:34] + struct.pack(">HH", 9, len(nested)) + nested
    assert len(list(dhcpv6.decode(nested, CONTEXT))) == 9


def test_wrong_sizes_are_problems():
    (found,) = dhcp.decode(v4(5, (51, b"\0"), (6, b"abc")), CONTEXT)
    assert len(found.problems) == 2 and "lease" not in found.fields
    (found,) = dhcpv6.decode(v6(7, (3, b"\0")), CONTEXT)
    assert found.problems


def test_likely_elsewhere():
    assert dhcp.likely(v4(1), (1, 2)) and not dhcp.likely(bytes(300), (67, 68))
    assert not dhcpv6.likely(REPLY, (1, 2))
    assert not dhcpv6.likely(b"\1\2\3\4\0\1\0\xff", (546, 547))
    assert not dhcpv6.likely(b"\x63" + REPLY[1:], (546, 547))


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=80))
def test_noise(data):
    for part in (data, v4(1)[:-1] + data):
        list(dhcp.decode(part, CONTEXT))
    for part in (data, b"\7\0\0\0" + data, REPLY[:20] + data):
        list(dhcpv6.decode(part, CONTEXT))
        dhcpv6.likely(part, (546,))
