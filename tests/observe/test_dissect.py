"""From frames to messages: recognition, reassembly, nesting, and bounds against hostile traffic."""

import random

import packets
import pytest
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.l2 import Ether

from flowcheck.model import Frame
from flowcheck.observe.dissect import NESTING, TRIES, Dissector

INFORM = packets.inform(manufacturer="Maker" * 200)


def frames(made, numbered_from=1):
    return [Frame(number, round(packet.time * 10**9), 1, data := bytes(packet), len(data))
            for number, packet in enumerate(made, numbered_from)]


def dissected(made, **options):
    dissector = Dissector(**options)
    for frame in frames(made):
        dissector.frame(frame)
    dissector.finish()
    return dissector.messages, dissector


def kinds(made, protocols=("dns", "http", "cwmp"), **options):
    return [m.kind for m in dissected(made, **options)[0] if m.protocol in protocols]


SESSION = ["http.request", "cwmp.Inform", "http.response", "cwmp.InformResponse", "http.request", "http.response"]


def exchange(**options):
    turns = ((True, packets.post(INFORM)), (False, packets.reply(packets.INFORM_RESPONSE)),
             (True, packets.post()), (False, packets.reply(status="204 No Content")))
    return packets.stamped(packets.conversation(*turns, **options))


@pytest.mark.parametrize("segment", [3, 50, 1000])
def test_the_size_of_segments_makes_no_difference(segment):
    assert sorted(kinds(exchange(segment=segment))) == sorted(SESSION)


def test_a_message_names_all_its_frames_the_completing_one_last():
    messages, _ = dissected(exchange(segment=300))
    inform, = (m for m in messages if m.kind == "cwmp.Inform")
    numbers = [ref.number for ref in inform.frames]
    assert len(numbers) > 3 and numbers == sorted(numbers) and numbers[0] == 4
    assert inform.layers == ("eth", "ip", "tcp", "http") and inform.src.port == 40001


def test_segments_out_of_order_and_twice():
    made = exchange(segment=300)
    made[4], made[5] = made[5], made[4]
    assert sorted(kinds(packets.stamped(made))) == sorted(SESSION)
    twice = packets.stamped([p for packet in made for p in (packet, packet.copy())])
    assert sorted(kinds(twice)) == sorted(SESSION)


def test_the_port_is_a_hint_and_no_condition():
    assert sorted(kinds(exchange(dport=12345))) == sorted(SESSION)
    moved = packets.lookup()
    for packet in moved:
        for name in ("sport", "dport"):
            if packet[UDP].getfieldval(name) == 53:
                packet[UDP].setfieldval(name, 5353 + 1)
    assert kinds(packets.stamped(moved), decode_as={("udp", 5354): "dns"}) == ["dns.query", "dns.response"]


def test_fragments_of_a_datagram():
    ask, told = packets.lookup(name="a" * 60 + "." + "b" * 60 + ".example")
    pieces = [Ether() / piece for piece in fragment(ask[IP], fragsize=64)]
    assert len(pieces) > 2
    messages, _ = dissected(packets.stamped([*reversed(pieces), told]))
    query = next(m for m in messages if m.kind == "dns.query")
    assert sorted(ref.number for ref in query.frames) == list(range(1, len(pieces) + 1))


def test_a_capture_that_begins_in_the_middle_of_a_connection():
    made = exchange()
    found = kinds(made[6:])
    assert "cwmp.Inform" not in found and "http.response" in found


def test_what_nobody_recognises_is_counted_and_costs_little():
    noise = random.Random(1)
    made = [Ether() / IP(src="10.9.0.1", dst="10.9.0.9") / UDP(sport=61000, dport=61001) / noise.randbytes(50)
            for _ in range(TRIES + 30)]
    messages, dissector = dissected(packets.stamped(made))
    assert not messages and sum(dissector.undecoded.values()) == TRIES + 30


def test_a_hole_is_recorded_with_its_stream():
    made = exchange(segment=300)
    del made[4]
    messages, dissector = dissected(packets.stamped(made))
    gap, = dissector.gaps[:1]
    assert gap.stream in {m.stream for m in messages} and "not in the capture" in gap.reason
    assert not any(m.kind == "cwmp.Inform" and not m.incomplete for m in messages)


def test_connections_on_the_same_ports_are_told_apart():
    twice = packets.stamped([*exchange(), *exchange(isn=900_000)])
    messages, _ = dissected(twice)
    informs = [m for m in messages if m.kind == "cwmp.Inform"]
    assert len(informs) == 2 and informs[0].stream != informs[1].stream


def test_tunnels_within_tunnels_end_somewhere():
    packet = IP(src="10.9.0.1", dst="10.9.0.2") / UDP(sport=53, dport=53) / b"x"
    for _ in range(3 * NESTING):
        packet = IP(src="10.9.0.1", dst="10.9.0.2", proto=4) / packet
    messages, _ = dissected(packets.stamped([Ether() / packet]))
    assert messages == []


def test_noise_never_raises():
    noise = random.Random(7)
    good = [bytes(p) for p in packets.stamped([*packets.lookup(), *exchange()])]
    dissector = Dissector()
    for number in range(1, 1500):
        data = bytearray(noise.choice(good))
        for _ in range(noise.randint(0, 6)):
            data[noise.randrange(12, len(data))] = noise.randrange(256)
        data = bytes(data[:noise.randint(1, len(data))])
        dissector.frame(Frame(number, number * 10**6, 1, data, len(data) + noise.randint(0, 9)))
    dissector.finish()
    assert dissector.messages and all(found.kind and found.frames for found in dissector.messages)


def test_syn_and_fin_are_messages():
    messages, _ = dissected(exchange())
    assert [m.kind for m in messages if m.protocol == "tcp"] == ["tcp.syn", "tcp.syn_ack", "tcp.fin", "tcp.fin"]
    refused = packets.stamped([
        Ether() / IP(src=packets.HNB, dst=packets.ACS) / TCP(sport=1, dport=2, flags="S", seq=1),
        Ether() / IP(src=packets.ACS, dst=packets.HNB) / TCP(sport=2, dport=1, flags="RA", seq=0, ack=2)])
    assert "tcp.refused" in [m.kind for m in dissected(refused)[0]]
