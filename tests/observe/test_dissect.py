"""From frames to messages: recognition, reassembly, nesting, and bounds against hostile traffic."""

import random
import struct

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


@pytest.mark.parametrize("datagrams", [1, TRIES + 3])
def test_a_scan_leaves_no_flows_behind_and_takes_none_away(monkeypatch, datagrams):
    monkeypatch.setattr("flowcheck.observe.dissect.MOST_FLOWS", 500)
    probe = bytes(Ether() / IP(src=packets.HNB, dst=packets.ACS) / UDP(sport=1, dport=2) / b"\0\0")
    scan = [probe[:34] + struct.pack("!HH", 20_000 + n, 30_000 + n) + probe[38:]
            for n in range(10_000 // datagrams) for _ in range(datagrams)]
    query, answer = (bytes(packet) for packet in packets.lookup())
    dissector, held = Dissector(), 0
    for number, data in enumerate([*scan[:5000], query, *scan[5000:5100], answer, *scan[5100:]], 1):
        dissector.frame(Frame(number, number * 10**6, 1, data, len(data)))
        held = max(held, len(dissector._flows))
    assert len(dissector._flows) < held < 2 * 4096
    assert len(dissector.bypass.scanner) == 2 * len(dissector._unread)
    dissector.finish()
    assert sum(dissector.undecoded.values()) == len(scan)
    asked, answered = (m for m in dissector.messages if m.protocol == "dns")
    assert asked.stream == answered.stream


def test_syn_and_fin_are_messages():
    messages, _ = dissected(exchange())
    assert [m.kind for m in messages if m.protocol == "tcp"] == ["tcp.syn", "tcp.syn_ack", "tcp.fin", "tcp.fin"]
    refused = packets.stamped([
        Ether() / IP(src=packets.HNB, dst=packets.ACS) / TCP(sport=1, dport=2, flags="S", seq=1),
        Ether() / IP(src=packets.ACS, dst=packets.HNB) / TCP(sport=2, dport=1, flags="RA", seq=0, ack=2)])
    assert "tcp.refused" in [m.kind for m in dissected(refused)[0]]


UPGRADE = (b"GET /socket HTTP/1.1\r\nHost: acs.example\r\nUpgrade: websocket\r\n\r\n",
           b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
CONNECT = (b"CONNECT hms.example:443 HTTP/1.1\r\nHost: hms.example:443\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")
HELLO = bytes.fromhex("16030100310100002d0303" + "5a" * 32 + "000002002f01000002ff00")
SERVER_HELLO = bytes.fromhex("160301002a020000260301" + "a5" * 32 + "00002f00")


@pytest.mark.parametrize("behind", [b"\x81\x05hello", b"", bytes(5000)])
@pytest.mark.parametrize("early", [b"", b"\x81\x85....hello"])
def test_what_follows_an_upgrade_is_not_read_as_http(behind, early):
    """Bytes of the new protocol may come in the segment of the answer, or be there before it (RFC 9110 7.8)."""
    ask, told = UPGRADE
    made = packets.conversation((True, ask + early), (False, told + behind), (True, b"\x88\x80...."),
                                (False, b"\x88\x00"), segment=9000)
    assert kinds(packets.stamped(made)) == ["http.request", "http.response"]


@pytest.mark.parametrize("together", [True, False])
def test_what_a_proxy_was_asked_to_connect_to_is_recognised_anew(together):
    ask, told = CONNECT
    turns = [(True, ask), (False, told), (True, HELLO)] if not together else [(True, ask + HELLO), (False, told)]
    made = packets.conversation(*turns, (False, b"\x15\x03\x01\x00\x02\x02\x28"))
    found = kinds(packets.stamped(made), protocols=("http", "tls"))
    assert sorted(found) == ["http.request", "http.response", "tls.alert", "tls.client_hello"]


def test_tls_begins_behind_words_nobody_reads_even_after_a_hole():
    greeting, granted = b"\x04\x01\x01\xbb\xc0\x00\x02\x01user\x00", b"\x00\x5a\x01\xbb\xc0\x00\x02\x01"     # SOCKS 4
    made = packets.conversation((True, greeting), (False, granted), (True, HELLO), (False, SERVER_HELLO), dport=1080)
    assert kinds(packets.stamped(made), protocols=("tls",)) == ["tls.client_hello", "tls.server_hello"]
    del made[7]                                                  # the client's hello
    assert kinds(packets.stamped(made), protocols=("tls",)) == ["tls.server_hello"]


def test_http_begins_behind_words_nobody_reads():
    asked, granted = (b"\x05%c\x00\x01\xc0\x00\x02\x01\x00\x50" % code for code in (1, 0))                    # SOCKS 5
    made = packets.conversation((True, b"\x05\x01\x00"), (False, b"\x05\x00"), (True, asked), (False, granted),
                                (True, packets.post(INFORM)), (False, packets.reply(packets.INFORM_RESPONSE)), dport=1080)
    assert sorted(kinds(packets.stamped(made))) == sorted(SESSION[:4])


def test_a_body_that_ends_with_the_stream_is_completed_by_the_fin():
    made = packets.stamped(packets.conversation((True, b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"),
                                                (False, b"HTTP/1.0 200 OK\r\n\r\nall there is")))
    messages, _ = dissected(made)
    answer = next(m for m in messages if m.kind == "http.response")
    fin = next(m for m in messages if m.kind == "tcp.fin" and m.src.address == packets.ACS)
    assert answer.frames[-1] == fin.frames[-1] and answer.time == fin.time and len(answer.frames) == 2
    assert not answer.incomplete
    asked, told = (Ether() / packet[IP] for packet in (made[-3], made[-2]))      # the FINs, to be made RSTs
    asked[TCP].flags = told[TCP].flags = "RA"
    for end, incomplete, count in (([], True, 1), ([asked], True, 1), ([told], False, 2)):
        messages, _ = dissected(packets.stamped([*made[:-3], *end]))
        answer = next(m for m in messages if m.kind == "http.response")
        assert (answer.incomplete, len(answer.frames)) == (incomplete, count), "only who sends it can end it"
