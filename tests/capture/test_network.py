"""Frames written octet by octet for each link layer, tunnel and oddity; Wireshark as second witness on public captures."""

import random
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.capture.links import LAYERS, LINKS
from flowcheck.capture.network import Network
from flowcheck.model import Frame

A4, B4 = bytes([192, 0, 2, 1]), bytes([198, 51, 100, 2])
A6, B6 = bytes.fromhex("20010db8000000000000000000000001"), bytes.fromhex("20010db8000000000000000000000002")
UDP = struct.pack("!4H", 1234, 53, 13, 0) + b"hello"
MACS = bytes.fromhex("0200000000020200000000 01".replace(" ", ""))


def ip4(payload=UDP, protocol=17, identification=7, fragment=0, options=b"", total=None):
    size = 20 + len(options)
    return struct.pack("!BBHHHBBH4s4s", 0x40 | size // 4, 0, size + len(payload) if total is None else total,
                       identification,
                       fragment, 64, protocol, 0, A4, B4) + options + payload


def ip6(payload=UDP, protocol=17, length=None):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload) if length is None else length, protocol, 64, A6,
                       B6) + payload


def eth(kind, payload):
    return MACS + struct.pack("!H", kind) + payload


def run(data, link=1, original=None, network=None, number=1, time=0):
    network = network or Network()
    frame = Frame(number, time, link, data, len(data) if original is None else original)
    return list(network.packets(frame)), network


def dot1q(inner_kind, payload, vid=5):
    return struct.pack("!HH", vid, inner_kind) + payload


MPLS = bytes.fromhex("00010040 00011140".replace(" ", ""))
PPPOE = struct.pack("!BBHH", 0x11, 0, 9, 2 + len(ip4())) + b"\x00\x21" + ip4() + b"padding"
SNAP = b"\xaa\xaa\x03\0\0\0\x08\0"
WLAN = b"\x08\x01" + bytes(22)
STUFFED = b"\x7e\xff\x7d\x23\x00\x21" + ip4().replace(b"\x7d",
                                                      b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e") + b"\x12\x34\x7e"
ERSPAN = bytes(8) + eth(0x0800, ip4())
GRE = struct.pack("!HHII", 0x3000, 0x0800, 1, 2) + ip4()
GRE_CHECKSUM = struct.pack("!HHI", 0x8000, 0x86DD, 0) + ip6()
PPTP = struct.pack("!HHHHII", 0x3081, 0x880B, 40, 1, 2, 3) + b"\xff\x03\x00\x21" + ip4()
AH = struct.pack("!BBHII", 17, 4, 0, 1, 1) + bytes(12) + UDP
NFLOG_LITTLE = b"\x05\0\x0a\0\0" + bytes(3) + struct.pack("<HH", 4 + len(ip4()), 9)      # a prefix, padded; the packet
NFLOG_BIG = b"\0\x05\0\x0a\0" + bytes(3) + struct.pack(">HH", 4 + len(ip6()), 9)
V4, V6 = "ip", "ipv6"

FRAMES = [
    (1, eth(0x0800, ip4()), ("eth", V4)),
    (1, eth(0x0800, ip4() + b"padding and check sequence"), ("eth", V4)),
    (1, eth(0x0800, ip4(options=b"\x94\x04\0\0")), ("eth", V4)),
    (1, eth(0x0800, ip4(total=0)), ("eth", V4)),
    (1, eth(0x86DD, ip6() + b"padding"), ("eth", V6)),
    (1, eth(0x86DD, ip6(length=0)), ("eth", V6)),
    (1, eth(0x8100, dot1q(0x0800, ip4())), ("eth", "vlan", V4)),
    (1, eth(0x8100, dot1q(0x86DD, ip6())), ("eth", "vlan", V6)),
    (1, eth(0x88A8, dot1q(0x8100, dot1q(0x8100, dot1q(0x0800, ip4())))), ("eth", "vlan", "vlan", "vlan", V4)),
    (1, eth(0x8847, MPLS + ip4()), ("eth", "mpls", V4)),
    (1, eth(0x8847, MPLS + bytes(4) + eth(0x0800, ip4())), ("eth", "mpls", "eth", V4)),
    (1, eth(0x8864, PPPOE), ("eth", "pppoe", "ppp", V4)),
    (1, eth(8 + len(ip4()), SNAP + ip4()), ("eth", V4)),
    (1, eth(0x8100, dot1q(8 + len(ip4()), SNAP + ip4())), ("eth", "vlan", V4)),
    (0, b"\x02\0\0\0" + ip4(), ("null", V4)), (0, b"\0\0\0\x02" + ip4(), ("null", V4)),
    (0, b"\x1e\0\0\0" + ip6(), ("null", V6)), (108, b"\0\0\0\x18" + ip6(), ("null", V6)),
    (0, b"\x0f\0\x08\0" + ip4(), ("null", V4)),
    (101, ip4(), ("raw", V4)), (12, ip6(), ("raw", V6)), (14, ip4(), ("raw", V4)), (228, ip4(), ("raw", V4)),
    (229, ip6(), ("raw", V6)),
    (113, bytes(14) + b"\x08\0" + ip4(), ("sll", V4)), (276, b"\x86\xdd" + bytes(18) + ip6(), ("sll", V6)),
    (113, bytes(14) + b"\x81\0" + dot1q(0x0800, ip4()), ("sll", "vlan", V4)),
    (9, b"\xff\x03\0\x21" + ip4(), ("ppp", V4)), (9, b"\x21" + ip4(), ("ppp", V4)),
    (50, b"\0\x57" + ip6(), ("ppp", V6)),
    (50, STUFFED, ("ppp", V4)), (51, PPPOE, ("pppoe", "ppp", V4)), (50, b"\x0f\0\x08\0" + ip4(), (V4,)),
    (104, b"\x0f\0\x08\0" + ip4(), (V4,)), (204, b"\x01\xff\x03\0\x21" + ip4(), ("ppp", V4)),
    (105, WLAN + SNAP + ip4(), ("wlan", V4)), (105, b"\x88" + WLAN[1:] + b"\0\0" + SNAP + ip4(), ("wlan", V4)),
    (105, b"\x08\x03" + bytes(28) + SNAP + ip4(), ("wlan", V4)),
    (127, b"\0\0\x09\0\x02\0\0\0\x10" + WLAN + SNAP + ip4() + b"fcs!", ("wlan", V4)),
    (127, b"\0\0\x09\0\x02\0\0\0\x20\x88" + WLAN[1:] + b"\0\0" + b"\0\0" + SNAP + ip4(), ("wlan", V4)),
    (1, eth(0x0800, ip4(ip4(), 4)), ("eth", V4, V4)), (1, eth(0x0800, ip4(ip6(), 41)), ("eth", V4, V6)),
    (1, eth(0x86DD, ip6(ip4(), 4)), ("eth", V6, V4)),
    (1, eth(0x0800, ip4(GRE, 47)), ("eth", V4, "gre", V4)),
    (1, eth(0x0800, ip4(GRE_CHECKSUM, 47)), ("eth", V4, "gre", V6)),
    (1, eth(0x0800, ip4(PPTP, 47)), ("eth", V4, "gre", "ppp", V4)),
    (1, eth(0x0800, ip4(b"\0\0\x65\x58" + eth(0x0800, ip4()), 47)), ("eth", V4, "gre", "eth", V4)),
    (1, eth(0x0800, ip4(b"\x10\0\x88\xbe\0\0\0\1" + ERSPAN, 47)), ("eth", V4, "gre", "eth", V4)),
    (1, eth(0x0800, ip4(b"\0\0\x82\x00" + WLAN + SNAP + ip4(), 47)), ("eth", V4, "gre", "wlan", V4)),
    (1, eth(0x8909, b"\x01\x01\0\x01\0\x07\x08\0" + ip4()), ("eth", V4)),
    (107, b"\x18\x41\x03\xcc" + ip4(), (V4,)), (107, b"\x18\x40\x01\x03\0\x80\0\0\0\x86\xdd" + ip6(), (V6,)),
    (107, b"\x18\x41\x08\0" + ip4(), (V4,)),
    (192, b"\0\0\x0c\0\x69\0\0\0" + b"PPI." + WLAN + SNAP + ip4(), ("wlan", V4)),
    (239, b"\x02\0\0\x05" + NFLOG_LITTLE + ip4(), ("nflog", V4)),
    (239, b"\x0a\0\0\x05" + NFLOG_BIG + ip6(), ("nflog", V6)),
    (258, b"\x10\0\0\0\x01\0\0\0\x01\0\0\0en0\0" + eth(0x0800, ip4()), ("eth", V4)),
    (1, eth(0x0800, ip4(AH, 51)), ("eth", V4, "ah")), (1, eth(0x86DD, ip6(AH, 51)), ("eth", V6, "ah")),
    (1, eth(0x86DD, ip6(b"\x3c\0" + bytes(6) + b"\x2b\0" + bytes(6) + b"\x11\1" + bytes(14) + UDP, 0)), ("eth", V6)),
    (1, eth(0x86DD, ip6(b"\x11\0" + b"\xc2\x04" + struct.pack("!I", 8 + len(UDP)) + UDP, 0, length=0)), ("eth", V6)),
    (1, eth(0x86DD, ip6(b"\x11\0\0\0\0\0\0\1" + UDP, 44)), ("eth", V6)),
]


@pytest.mark.parametrize(("link", "data", "layers"), FRAMES)
def test_what_each_link_and_tunnel_carries(link, data, layers):
    (packet,), network = run(data, link)
    v4 = next(name for name in reversed(layers) if name in (V4, V6)) == V4
    assert (packet.layers, packet.protocol, packet.data) == (layers, 17, UDP)
    assert (packet.src, packet.dst) == (("192.0.2.1", "198.51.100.2") if v4 else ("2001:db8::1", "2001:db8::2"))
    assert (packet.frames, packet.missing, packet.identification) == ((1,), 0, 7 if v4 else -1)
    assert not network.undecoded and not network.remarks


@pytest.mark.parametrize(("link", "data", "layers"), FRAMES)
def test_cut_frames_say_what_is_missing_and_never_change_a_fact(link, data, layers):
    """Where the header states a length, what is held and what is missing add up to it."""
    stated = not any(data.endswith(end) for end in (ip4(total=0), ip6(length=0)))
    for size in range(len(data)):
        packets, _ = run(data[:size], link, len(data))
        for packet in packets:
            assert packet.protocol in (17, 50, 51, 47) and packet.layers == layers[:len(packet.layers)]
            assert UDP.startswith(packet.data)
            if stated:
                assert len(packet.data) + packet.missing == len(UDP)


def test_segmentation_offload_takes_the_size_from_the_frame():
    (packet,), _ = run(eth(0x0800, ip4(total=0))[:-3], original=14 + 20 + len(UDP))
    assert (packet.data, packet.missing) == (UDP[:-3], 3)


@pytest.mark.parametrize(("kind", "number"), [(0x0806, 0x10806), (0x8863, 0x18863)])
def test_protocols_beside_ip(kind, number):
    (packet,), _ = run(eth(kind, b"body"))
    assert (packet.protocol, packet.data, packet.src, packet.dst) == (number, b"body", "02:00:00:00:00:01", "02:00:00:00:00:02")


@pytest.mark.parametrize(("link", "data", "what"), [
    (1, eth(0x88CC, b"x" * 50), "ethertype 0x88cc"), (1, eth(50, b"\x42\x42\x03" + b"x" * 50), "llc 0x42"),
    (147, b"x", "link 147"),
    (9, b"\xff\x03\xc0\x21x", "ppp 0xc021"), (105, b"\x08\x41" + bytes(40), "wlan protected"),
    (1, b"", "eth header cut"),
    (101, b"\x50" + bytes(30), "ip version 5"), (1, eth(0x0800, b"\x44" + bytes(40)), "ip header wrong"),
    (1, eth(0x0800, ip4(total=19)), "ip header wrong"), (0, b"\0\0\0\x63x", "address family 99"),
    (1, eth(0x0800, ip4(b"\0\7\x08\0" + bytes(20), 47)), "gre header of another version")])
def test_what_is_not_read_is_counted_by_name(link, data, what):
    packets, network = run(data, link)
    assert packets == [] and dict(network.undecoded) == {what: 1}


def test_unknown_protocols_come_out_as_packets():
    assert [p.protocol for p in run(eth(0x0800, ip4(b"x", 200)))[0]] == [200]
    assert [p.protocol for p in run(eth(0x86DD, ip6(b"x", 200)))[0]] == [200]
    assert run(eth(0x86DD, ip6(b"x", 59)))[0] == []


def test_tunnels_in_tunnels_end():
    data = ip4()
    for _ in range(200):
        data = ip4(data, 4)
    packets, network = run(eth(0x0800, data))
    assert packets == [] and network.undecoded["tunnels beyond counting"] == 1
    labels = eth(0x8100, struct.pack("!HH", 1, 0x8100) * 500)
    assert run(labels)[0] == []


def test_what_others_opened_comes_back_in():
    network = Network()
    (packet,) = network.inner("ip", ip4(), 9, (3, 4), 1, ("eth", "ip", "udp", "esp"))
    assert (packet.layers, packet.time, packet.frames, packet.interface) == (("eth", "ip", "udp", "esp", "ip"), 9, (3, 4), 1)
    assert network.inner("eth", eth(0x86DD, ip6()), 9, (3,), 0, ("vxlan",))[0].layers == ("vxlan", "eth", "ipv6")
    assert network.inner("ppp", b"\0\x21" + ip4(), 9, (3,), 0, ("l2tp",))[0].layers == ("l2tp", "ppp", "ip")
    assert network.inner("ip", ip4()[:-3], 9, (3,), 0, (), 3)[0].missing == 3


# ------------------------------------------------------------------------------------------------ fragments

LONG = bytes(range(256)) * 12


def fragments4(data=LONG, size=800, identification=7):
    return [eth(0x0800, ip4(data[at:at + size], 17, identification, at // 8 | (0x2000 if at + size < len(data) else 0)))
            for at in range(0, len(data), size)]


def fragments6(data=LONG, size=800, identification=7):
    return [eth(0x86DD, ip6(struct.pack("!BBHI", 17, 0, at | (at + size < len(data)), identification)
                            + data[at:at + size], 44))
            for at in range(0, len(data), size)]


def feed(frames, step=0):
    network, out = Network(), []
    for number, data in enumerate(frames, 1):
        cut = data if isinstance(data, tuple) else (data, len(data))
        out += run(cut[0], original=cut[1], network=network, number=number, time=number * step)[0]
    return out, network


@pytest.mark.parametrize("make", [fragments4, fragments6])
def test_fragments_in_any_order_and_twice(make):
    frames, shuffle = make(), random.Random(1)
    for _ in range(20):
        order = frames * 2
        shuffle.shuffle(order)
        (packet,), network = feed(order)
        assert packet.data == LONG and packet.protocol == 17 and packet.missing == 0 and len(packet.frames) == len(frames)
        assert packet.frames[-1] == max(packet.frames)
        assert network.remarks == []


@pytest.mark.parametrize("make", [fragments4, fragments6])
def test_copies_of_a_joined_datagram_are_ignored(make):
    out, network = feed(make() + make())
    assert len(out) == 1 and network.remarks == []


@pytest.mark.parametrize("make", [fragments4, fragments6])
@pytest.mark.parametrize("gone", range(4))
def test_a_lost_fragment_gives_nothing_and_a_remark(make, gone):
    frames = make()
    del frames[gone]
    out, network = feed(frames)
    assert out == [] and network.remarks == ["1 datagrams are incomplete: a fragment is missing from the capture"]


def test_fragments_of_different_datagrams_are_kept_apart():
    one, two = fragments4(), fragments4(LONG[::-1], identification=8)
    out, _ = feed([frame for pair in zip(one, two, strict=True) for frame in pair])
    assert [p.data for p in out] == [LONG, LONG[::-1]] and [p.identification for p in out] == [7, 8]


def test_identification_used_again_a_minute_later_is_another_datagram():
    first, second = fragments4(), fragments4(LONG[::-1])
    out, network = feed([*first[:2], *second], step=0)
    assert out == [] and "contradict" in network.remarks[0]
    network = Network()
    for number, data in enumerate(first[:2], 1):
        run(data, network=network, number=number, time=0)
    out = [p for number, data in enumerate(second, 3) for p in run(data, network=network, number=number, time=61 * 10**9)[0]]
    assert [p.data for p in out] == [LONG[::-1]] and out[0].frames == (3, 4, 5, 6)
    assert network.remarks == ["1 datagrams are incomplete: a fragment is missing from the capture"]


def test_overlaps_that_agree_are_joined_and_others_are_not():
    a, b = eth(0x0800, ip4(LONG[:1600], fragment=0x2000)), eth(0x0800, ip4(LONG[800:], fragment=100))
    assert feed([a, b])[0][0].data == LONG == feed([b, a])[0][0].data
    lie = eth(0x0800, ip4(LONG[:800] + b"lie" + LONG[803:1600], fragment=0x2000))
    for order in ([a, lie, b], [lie, b], [b, lie]):
        out, network = feed(order)
        assert [p.data for p in out] in ([], [LONG]) and (out or "contradict" in network.remarks[0])
    assert feed([lie, b])[0] == []


def test_a_fragment_beyond_the_largest_datagram():
    frames = [eth(0x0800, ip4(bytes(800), fragment=0x1FFF)), fragments4()[0]]
    out, network = feed(frames)
    assert out == [] and "largest datagram" in network.remarks[0]


def test_a_fragment_cut_by_the_snap_length_leaves_only_what_is_in_front_of_it():
    frames = fragments4()
    frames[2] = (frames[2][:14 + 20 + 100], len(frames[2]))
    (packet,), _ = feed(frames)
    assert packet.data == LONG[:1700] and packet.missing == len(LONG) - 1700


def test_a_first_fragment_that_is_cut_waits_for_no_other():
    whole, *others = fragments4()
    cut = (whole[:14 + 20 + 100], len(whole))
    for frames in ([cut], [cut, cut, *others], [others[0], cut, others[1]]):
        (packet,), network = feed(frames)
        assert packet.data == LONG[:100] and packet.missing == len(whole) - 14 - 20 - 100 and len(packet.frames) == 1
        assert network.remarks == [], "nothing is missing that could have helped"
    again = (whole[:14 + 20] + LONG[-100:], len(whole))
    assert [packet.data for packet in feed([cut, others[0], again])[0]] == [LONG[:100], LONG[-100:]]


def test_waiting_for_fragments_is_bounded():
    network = Network()
    for number in range(10_000):
        run(eth(0x0800, ip4(bytes(8000), identification=number & 0xFFFF, fragment=0x2000)), network=network,
            number=number)
    assert network._fragments._held <= 33 << 20 and len(network._fragments._waiting) <= 4096
    assert network.remarks[0].startswith("10000 datagrams are incomplete")


def test_a_tunnel_in_fragments():
    inside = ip4(LONG[:2000])
    frames = [eth(0x0800, ip4(inside[:1200], 4, fragment=0x2000)), eth(0x0800, ip4(inside[1200:], 4, fragment=150))]
    (packet,), _ = feed(frames)
    assert packet.layers == ("eth", "ip", "ip") and packet.data == LONG[:2000] and packet.frames == (1, 2)


# ------------------------------------------------------------------------------------------------ hostile octets

@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(LINKS)), st.binary(max_size=120), st.integers(0, 2000))
def test_noise(link, data, more):
    for packet in run(data, link, len(data) + more)[0]:
        assert packet.missing >= 0


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FRAMES), st.lists(st.tuples(st.integers(0, 150), st.binary(min_size=1, max_size=3)), max_size=3))
def test_mutations(case, changes):
    link, data, _ = case
    data = bytearray(data)
    for at, octets in changes:
        data[at:at + len(octets)] = octets
    for packet in run(bytes(data), link)[0]:
        assert packet.missing >= 0 and len(packet.data) <= len(data)


def test_every_link_begins_with_a_layer_that_there_is():
    assert all(kind in LAYERS for kind in LINKS.values())


PUBLIC = Path(__file__).parents[3] / "shared" / "captures" / "public"


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the public captures are not beside the repository")
@pytest.mark.parametrize(("path", "layers"), [
    ("zeek/mpls-in-vlan.pcap", ("eth", "vlan", "mpls", "ip")),
    ("zeek/vlan-qinqinq.pcap", ("eth", "vlan", "vlan", "vlan", "ip")),
    ("zeek/pppoe-over-qinq.pcap", ("eth", "vlan", "vlan", "pppoe", "ppp", "ip")),
    ("zeek/linux_dlt_sll2.pcap", ("sll", "ip")),
    ("zeek/ip6_esp.pcap", ("eth", "ipv6")), ("PcapPlusPlus/PcapExamples/raw_ip.pcap", ("raw", "ip"))])
def test_public_captures(path, layers):
    from flowcheck.capture.reader import open_capture
    network = Network()
    assert layers in {packet.layers for frame in open_capture(PUBLIC / path) for packet in network.packets(frame)}
    assert not network.undecoded and not network.remarks
