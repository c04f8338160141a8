"""Tunnels over UDP: what each header leads to, whatever is reserved in it, cut at every length."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import overlay
from flowcheck.model import Context, Endpoint, Frame, FrameRef
from flowcheck.observe.dissect import Dissector

IPV4 = bytes.fromhex("450000210001000040110000c0000201c6336402")
QUERY = bytes.fromhex("00070100000100000000000003") + b"acs\x07example\0\0\1\0\1"
DATAGRAM = struct.pack(">4H", 40000, 53, 8 + len(QUERY), 0) + QUERY
PACKET = struct.pack(">BBH", 0x45, 0, 20 + len(DATAGRAM)) + IPV4[4:] + DATAGRAM
PACKET6 = struct.pack(">IHBB", 6 << 28, len(DATAGRAM), 17, 64) + bytes(15) + b"\1" + bytes(15) + b"\2" + DATAGRAM
ETHERNET = bytes.fromhex("020000000002020000000001")
FRAME, FRAME6 = ETHERNET + b"\x08\0" + PACKET, ETHERNET + b"\x86\xdd" + PACKET6
VXLAN = bytes.fromhex("0800000000000500")

TUNNELS = [
    (4789, VXLAN + FRAME, ("vxlan", "eth", "ip")), (8472, VXLAN + FRAME6, ("vxlan", "eth", "ipv6")),
    (4789, bytes.fromhex("ffabcdef000005ff") + FRAME, ("vxlan", "eth", "ip")),
    (4790, bytes.fromhex("0c00000100000500") + PACKET, ("vxlan", "ip")),
    (4790, bytes.fromhex("0c00000300000500") + FRAME, ("vxlan", "eth", "ip")),
    (4790, VXLAN + FRAME, ("vxlan", "eth", "ip")),
    (6081, bytes.fromhex("0000655800000500") + FRAME, ("geneve", "eth", "ip")),
    (6081, bytes.fromhex("0240080000000500") + b"options!" + PACKET, ("geneve", "ip")),
    (6081, bytes.fromhex("000086dd00000500") + PACKET6, ("geneve", "ipv6")),
    (3544, PACKET6, ("teredo", "ipv6")), (3544, bytes.fromhex("00001234c0000201") + PACKET6, ("teredo", "ipv6")),
    (3544, b"\0\1\2\3idaut" + bytes(9) + bytes.fromhex("00001234c0000201") + PACKET6, ("teredo", "ipv6")),
    (1701, bytes.fromhex("000200010002ff030021") + PACKET, ("l2tp", "ppp", "ip")),
    (1701, bytes.fromhex("4a02") + b"\0\0" + bytes.fromhex("00010002") + bytes(4) + b"\0\2xx\x21" + PACKET,
     ("l2tp", "ppp", "ip")),
]
REFUSED = [(4789, bytes(8) + FRAME), (4789, VXLAN + ETHERNET + b"\0\x20" + PACKET),
           (4790, bytes.fromhex("3c00000100000500") + PACKET), (4790, bytes.fromhex("0c00000900000500") + PACKET), (6081, bytes.fromhex("8000655800000500") + FRAME),
           (6081, bytes.fromhex("0000123400000500") + FRAME), (3544, PACKET6 + b"more"), (3544, PACKET),
           (1701, bytes.fromhex("c802001400010000") + PACKET), (1701, bytes.fromhex("000300010002") + PACKET)]


def context(port):
    ends = Endpoint("192.0.2.1", 50000), Endpoint("192.0.2.2", port)
    return Context(5, (FrameRef(0, 3),), *ends, ("eth", "ip", "udp"), 1)


@pytest.mark.parametrize(("port", "data", "layers"), TUNNELS)
def test_what_is_inside_is_decoded_like_any_other(port, data, layers):
    assert overlay.likely(data, (50000, port)) and overlay.likely(data, (port, 50000))
    assert not overlay.likely(data, (50000, 50001)), "nothing but the port tells"
    outer = struct.pack(">4H", 50000, port, 8 + len(data), 0) + data
    frame = ETHERNET + b"\x08\0" + struct.pack(">BBH", 0x45, 0, 20 + len(outer)) + IPV4[4:] + outer
    dissector = Dissector()
    dissector.frame(Frame(1, 10**18, 1, frame, len(frame)))
    dissector.finish()
    [query] = dissector.messages
    assert (query.kind, query.fields["qname"]) == ("dns.query", "acs.example")
    assert query.layers == ("eth", "ip", "udp", *layers, "udp")


@pytest.mark.parametrize(("port", "data"), REFUSED)
def test_what_is_no_such_header_is_left_alone(port, data):
    assert not overlay.likely(data, (50000, port)) and list(overlay.decode(data, context(port))) == []


@pytest.mark.parametrize(("port", "data", "layers"), TUNNELS)
def test_cut_anywhere_it_gives_no_more_than_is_there(port, data, layers):
    for size in range(len(data)):
        for found in overlay.decode(data[:size], context(port)):
            assert data[:size].endswith(found.data) and found.context.layers[-1] == layers[0]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80), st.sampled_from(sorted(overlay.PORTS)))
def test_noise(data, port):
    for found in overlay.decode(data, context(port)):
        assert found.protocol in ("ip", "eth", "ppp") and len(found.data) < len(data) + (port == 3544)
