"""ESP without keys: what is counted, which holes are told, and NULL encryption."""

import struct
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import esp
from flowcheck.model import Context, Endpoint, FrameRef, Gap, Opaque

SECOND = 10**9


def context(when=0, number=1, src="192.0.2.1", dst="192.0.2.2", missing=0):
    return Context(when, (FrameRef(0, number),), Endpoint(src), Endpoint(dst), ("eth", "ip", "esp"), 4, missing)


def packet(sequence, spi=0xC0000001, size=64):
    return struct.pack(">II", spi, sequence) + bytes(255 - i % 7 for i in range(size))


def feed(flow, sequences, step=SECOND // 10):
    for number, sequence in enumerate(sequences, 1):
        assert flow.datagram(packet(sequence), context(number * step, number)) == ()
    items = list(flow.end())
    return [i for i in items if isinstance(i, Opaque)], [i for i in items if isinstance(i, Gap)]


def flow():
    return esp.Flow(context())


def test_one_opaque_per_sa_and_direction():
    there = flow()
    for number in range(1, 11):
        there.datagram(packet(number), context(number, number))
        there.datagram(packet(number, 0xD0000001), context(number, number, "192.0.2.2", "192.0.2.1"))
    first, second = there.end()
    assert (first.packets, first.size, first.start, first.end) == (10, 720, 1, 10)
    assert first.frames == (FrameRef(0, 1), FrameRef(0, 10)) and first.layers == ("eth", "ip", "esp")
    assert first.fields == {"spi": "0xc0000001", "lowest_sequence": 1, "highest_sequence": 10, "missing": 0,
                            "bursts": [(1, 10)]}
    assert second.src.address == "192.0.2.2" and second.fields["spi"] == "0xd0000001"


def test_holes_become_gaps_unless_the_packets_come_later():
    opaque, gaps = feed(flow(), [10, 11, 14, 15, 12, 13, 16, 19])
    assert opaque[0].fields["missing"] == 2
    gap, = gaps
    assert (gap.start, gap.end, gap.stream) == (7 * SECOND // 10, 8 * SECOND // 10,
                                                None) and "between sequence numbers 16 and 19" in gap.reason


def test_repeated_packets_are_no_holes():
    opaque, gaps = feed(flow(), [1, 1, 2, 2, 3, 3])
    assert opaque[0].packets == 6 and opaque[0].fields["missing"] == 0 and not gaps


def test_bursts_are_bounded_and_cover_all_traffic():
    there, times = flow(), [n * 5 * SECOND for n in range(1000)]
    for number, when in enumerate(times, 1):
        there.datagram(packet(number), context(when, number))
    opaque, = there.end()
    bursts = opaque.fields["bursts"]
    assert len(bursts) <= 64 and all(any(start <= when <= end for start, end in bursts) for when in times)


def test_quiet_times_lie_between_bursts():
    there = flow()
    for number, when in enumerate((0, 1, 2, 60, 61, 300), 1):
        there.datagram(packet(number), context(when * SECOND, number))
    assert list(there.end())[0].fields["bursts"] == [(0, 2 * SECOND), (60 * SECOND, 61 * SECOND),
                                                     (300 * SECOND, 300 * SECOND)]


def test_many_spis_stay_bounded():
    there = flow()
    for number in range(5000):
        there.datagram(packet(1, 0x10000 + number), context(number, number))
    found = list(there.end())
    assert len(found) <= 1026 and sum(o.packets for o in found) == 5000


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", 0xFFFF - total)


def ipv4(size=30):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + size, 1, 0, 64, 99, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    return head[:10] + checksum(head) + head[12:] + bytes(size)


def null(payload, next_header, icv=12, sequence=1):
    padding = -(len(payload) + 2) % 4
    return (struct.pack(">II", 0xC0000001,
                        sequence) + payload + bytes(range(1, padding + 1)) + bytes([padding, next_header])
            + bytes(200 + i % 50 for i in range(icv)))


def test_null_encryption_is_recognised_in_tunnel_and_transport_mode():
    for icv in (0, 12, 16, 24, 32):
        there = flow()
        _, payload = there.datagram(null(ipv4(), 4, icv), context())
        assert payload.protocol == "ip" and payload.data == ipv4() and payload.context.layers == ("eth", "ip", "esp")
        assert not list(there.end())
    udp = struct.pack(">HHHH", 5000, 53, 16, 0) + b"abcdefgh"
    pseudo = bytes([192, 0, 2, 1, 192, 0, 2, 2]) + struct.pack(">BBH", 0, 17, 16)
    udp = udp[:6] + checksum(pseudo + udp) + udp[8:]
    payload, = flow().datagram(null(udp, 17), context())
    assert payload.protocol == "transport:17" and payload.data == udp


def test_the_first_packet_of_an_sa_tells_who_speaks_inside():
    there = flow()
    told, _ = there.datagram(null(ipv4(), 4), context())
    src, dst = (".".join(map(str, ipv4()[at:at + 4])) for at in (12, 16))
    assert told.kind == "esp.inside" and told.fields == {"spi": "0xc0000001", "src": src, "dst": dst}
    assert told.src == Endpoint("192.0.2.1") and told.layers == ("eth", "ip", "esp")
    assert len(there.datagram(null(ipv4(), 4, sequence=2), context())) == 1, "once"


def test_null_encryption_needs_everything_to_fit():
    good = null(ipv4(), 4)
    for place in (8, 10, 11, 12, 18, 24, len(good) - 13):
        broken = good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1:]
        assert flow().datagram(broken, context()) == ()
    assert flow().datagram(good, context(missing=5)) == ()
    assert flow().datagram(good[:-3], context()) == ()


def test_dummy_packets_carry_nothing():
    there = flow()
    assert there.datagram(null(ipv4(), 4), context())
    assert there.datagram(null(bytes(20), 59, sequence=2), context()) == ()
    assert not list(there.end())


def test_a_packet_costs_next_to_nothing():
    there, data, here = flow(), packet(1), context()
    for _ in range(10):
        there.datagram(data, here)
    began = time.process_time()
    for _ in range(20000):
        there.datagram(data, here)
    assert (time.process_time() - began) / 20000 < 20e-6


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=8))
def test_noise(datagrams):
    there = flow()
    for number, data in enumerate(datagrams, 1):
        for item in there.datagram(data, context(number, number)):
            assert item.protocol
    list(there.end())
