"""SCTP: control chunks, reassembly in every order, retransmission, associations, SCTP in UDP."""

import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import sctp
from flowcheck.model import Context, Endpoint, FrameRef, Message, Payload

HNB, GATEWAY = Endpoint("10.62.0.1"), Endpoint("10.50.0.40")
TAG = 0x1954E13C


def chunk(kind, flags, body):
    return struct.pack(">BBH", kind, flags, 4 + len(body)) + body + bytes(-len(body) & 3)


def packet(*chunks, tag=TAG, ports=(49876, 29169), checksum=b"\0\0\0\0"):
    return struct.pack(">HHI", *ports, tag) + checksum + b"".join(chunks)


def data(tsn, content, flags=3, stream=0, ssn=0, ppid=20):
    return chunk(0, flags, struct.pack(">IHHI", tsn, stream, ssn, ppid) + content)


def interleaved(tsn, content, flags, stream, message, word):
    return chunk(64, flags, struct.pack(">IHHII", tsn, stream, 0, message, word) + content)


def context(frame=1, src=HNB, dst=GATEWAY, missing=0, layers=("eth", "ip", "sctp")):
    return Context(frame * 10, (FrameRef(0, frame),), src, dst, layers, 7, missing)


def run(*packets):
    """Each packet in a frame of its own, one Flow."""
    flow = sctp.Flow(context())
    return [item for number, each in enumerate(packets, 1) for item in flow.datagram(each, context(number))]


def init(kind=1, tag=0x96C0D797, parameters=b""):
    return chunk(kind, 0, struct.pack(">IIHHI", tag, 131072, 10, 2048, 5) + parameters)


ADDRESSES = bytes.fromhex("00050008c0000201" "0006001420010db8000000000000000000000001")
CONTROL = [
    (packet(init(parameters=ADDRESSES), tag=0),
     "sctp.init", {"verification_tag": "0x00000000", "initiate_tag": "0x96c0d797", "a_rwnd": 131072,
                   "outbound_streams": 10,
                   "inbound_streams": 2048, "initial_tsn": 5, "addresses": ["192.0.2.1", "2001:db8::1"]}),
    (packet(init(2)), "sctp.init_ack", {"verification_tag": "0x1954e13c", "initiate_tag": "0x96c0d797",
                                        "initial_tsn": 5}),
    (packet(chunk(10, 0, b"cookie")), "sctp.cookie_echo", {"verification_tag": "0x1954e13c"}),
    (packet(chunk(11, 0, b"")), "sctp.cookie_ack", {}),
    (packet(chunk(7, 0, bytes(4))), "sctp.shutdown", {}),
    (packet(chunk(8, 0, b"")), "sctp.shutdown_ack", {}),
    (packet(chunk(14, 0, b"")), "sctp.shutdown_complete", {}),
    (packet(chunk(6, 0, b"")), "sctp.abort", {"cause": None}),
    (packet(chunk(6, 0, struct.pack(">HH", 12, 7) + b"bye" + b"\0")), "sctp.abort",
     {"cause": "User-Initiated Abort", "cause_code": 12, "causes": [{"code": 12, "cause": "User-Initiated Abort",
                                                                     "reason": "bye"}]}),
    (packet(chunk(9, 0, struct.pack(">HHI", 3, 8, 9))), "sctp.error", {"cause": "Stale Cookie", "cause_code": 3}),
]


@pytest.mark.parametrize("octets,kind,fields", CONTROL, ids=[f"{k}-{i}" for i, (_, k, _) in enumerate(CONTROL)])
def test_control_chunks(octets, kind, fields):
    [found] = run(octets)
    assert found.kind == kind
    assert (found.src, found.dst) == (HNB._replace(port=49876), GATEWAY._replace(port=29169))
    assert {name: found.fields.get(name) for name in fields} == fields
    assert set(found.fields) <= set(sctp.KINDS[kind])
    assert not found.incomplete and not found.problems
    for size in range(12, len(octets)):                        # cut by the snap length: less, and never something else
        for item in sctp.Flow(context()).datagram(octets[:size], context(missing=len(octets) - size)):
            assert item.kind == kind
            assert all(found.fields.get(name) == value or name == "addresses" for name, value in item.fields.items()
                       if name not in ("cause", "causes", "cause_code"))


def test_a_user_message_is_handed_on_by_its_payload_protocol():
    [found] = run(packet(data(1, b"hello", stream=3)))
    assert (found.protocol, found.data) == ("ppid:20", b"hello")
    assert found.context.carrier == {"ppid": 20, "sctp_stream": 3}
    assert found.context.src == Endpoint("10.62.0.1", 49876) and found.context.dst == Endpoint("10.50.0.40", 29169)
    assert found.context.layers == ("eth", "ip", "sctp")


@pytest.mark.parametrize("ppid,name,known", [(0, "", 0), (0x14000000, "ppid:20", 20), (60, "ppid:60", 60),
                                             (0x01020304, "", 0x01020304)])
def test_payload_protocols_nobody_registered(ppid, name, known):
    [found] = run(packet(data(1, b"hello", ppid=ppid)))
    assert found.protocol == name and found.context.carrier["ppid"] == known


def test_bundled_messages_each_count():
    found = run(packet(chunk(3, 0, bytes(12)), data(1, b"one"), data(2, b"two")))
    assert [item.data for item in found] == [b"one", b"two"]


FRAGMENTS = [data(0xFFFFFFFE, b"aaa", 2), data(0xFFFFFFFF, b"bb", 0), data(0, b"cccc", 0), data(1, b"d", 1)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_fragments_in_every_order(order):
    found = run(*(packet(FRAGMENTS[index]) for index in order))
    assert [item.data for item in found] == [b"aaabbccccd"]
    assert sorted(ref.number for ref in found[0].context.frames) == [1, 2, 3, 4]
    assert found[0].context.frames[-1].number == 4, "the frame that completed it comes last"


def test_a_message_whose_fragment_is_lost_is_not_made_up():
    assert run(*(packet(FRAGMENTS[index]) for index in (0, 1, 3)), packet(data(2, b"next")))[0].data == b"next"


def test_fragments_of_two_directions_do_not_mix():
    flow = sctp.Flow(context())
    back = packet(data(0xFFFFFFFF, b"XX", 1), tag=9, ports=(29169, 49876))
    items = list(flow.datagram(packet(FRAGMENTS[0]), context(1)))
    items += flow.datagram(back, context(2, GATEWAY, HNB))
    assert items == []


def test_interleaved_messages():
    pieces = [interleaved(1, b"aa", 2, 1, 0, 18), interleaved(2, b"xx", 2, 2, 0, 20), interleaved(3, b"bb", 1, 1, 0, 1),
              interleaved(4, b"yy", 0, 2, 0, 1), interleaved(5, b"zz", 1, 2, 0, 2)]
    for order in itertools.permutations(pieces):
        found = {item.protocol: item.data for item in run(*map(packet, order))}
        assert found == {"ppid:18": b"aabb", "ppid:20": b"xxyyzz"}


def test_a_retransmission_is_nothing_new():
    again = packet(data(1, b"one"))
    assert [item.data for item in run(again, again, packet(data(2, b"two")), again)] == [b"one", b"two"]
    assert len(run(again, packet(data(1, b"one"), tag=77))) == 2, "another association"


def test_a_cut_message_says_so():
    whole = packet(data(1, b"0123456789"))
    for size in range(12 + 16, len(whole) - 2):
        [found] = sctp.Flow(context()).datagram(whole[:size], context(missing=len(whole) - size))
        assert found.data == b"0123456789"[:size - 28] and found.context.missing > 0
    assert list(sctp.Flow(context()).datagram(packet(data(1, b"0123456789", 2))[:30], context(missing=8))) == []


def test_associations_between_two_hosts_have_streams_of_their_own():
    flow = sctp.Flow(context())
    first = list(flow.datagram(packet(init(tag=1), tag=0), context()))
    again = list(flow.datagram(packet(init(tag=1), tag=0), context()))
    answer = list(flow.datagram(packet(init(2, tag=2), tag=1, ports=(29169, 49876)), context(2, GATEWAY, HNB)))
    content = list(flow.datagram(packet(data(1, b"x"), tag=2), context(3)))
    restart = list(flow.datagram(packet(init(tag=3), tag=0), context(4)))
    later = list(flow.datagram(packet(data(1, b"y"), tag=4), context(5)))
    other = list(flow.datagram(packet(data(1, b"z"), tag=9, ports=(49877, 29169)), context(6)))
    streams = [item.stream if isinstance(item, Message) else item.context.stream
               for item in first + again + answer + content + restart + later + other]
    assert streams[:4] == [7] * 4
    assert streams[4] == streams[5] != 7 and streams[6] not in streams[:6]


def test_a_second_address_belongs_to_the_same_association():
    flow = sctp.Flow(context())
    list(flow.datagram(packet(init(tag=1), tag=0), context()))
    list(flow.datagram(packet(init(2, tag=2), tag=1, ports=(29169, 49876)), context(2, GATEWAY, HNB)))
    path = Endpoint("10.63.0.1"), Endpoint("10.51.0.40")
    [one] = flow.datagram(packet(data(1, b"x"), tag=2), context(3))
    assert list(flow.datagram(packet(data(1, b"x"), tag=2), context(4, *path))) == [], "sent again over the other path"
    [two] = flow.datagram(packet(data(2, b"y"), tag=2), context(5, *path))
    assert one.context.stream == two.context.stream == 7


def test_memory_stays_bounded():
    flow = sctp.Flow(context())
    for tsn in range(0, 4000, 2):
        list(flow.datagram(packet(data(tsn, bytes(1000), 0)), context()))
    [direction] = flow._directions.values()
    assert len(direction._pieces) <= sctp._FRAGMENTS and direction._size <= sctp._WAITING
    assert direction._size == sum(len(piece.data) for piece in direction._pieces.values())
    assert len(direction._seen) <= sctp._REMEMBERED


def test_in_udp():
    whole = packet(init(), tag=0)
    right = packet(init(), tag=0, checksum=sctp._crc32c(whole))
    assert sctp.likely(whole, (9899, 9899)) and not sctp.likely(whole, (1234, 5678))
    assert sctp.likely(right, (1234, 5678)) and not sctp.likely(right[:-4], (9899, 9899))
    assert not sctp.likely(packet(init(), tag=1), (9899, 9899)), "INIT goes with tag 0"
    [found] = sctp.Flow(context()).datagram(whole, Context(1, (FrameRef(0, 1),), Endpoint("192.0.2.1", 9899),
                                                           GATEWAY._replace(port=9899),
                                                           ("eth", "ip", "udp")))
    assert found.layers == ("eth", "ip", "udp", "sctp") and found.src.port == 49876


def test_checksum():
    """RFC 3720 B.4: CRC32c of 32 zero octets is 8a9136aa as it stands on the wire."""
    assert sctp._crc32c(bytes(32)).hex() == "aa36918a"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 20))
def test_noise(noise, missing):
    for item in sctp.Flow(context()).datagram(noise, context(missing=missing)):
        assert isinstance(item, Payload) or item.kind in sctp.KINDS


def test_chunks_that_were_never_captured_are_holes():
    flow = sctp.Flow(context())
    for frame, tsn in enumerate((0xFFFFFFFE, 0xFFFFFFFF, 2, 3, 1), 1):          # 0 never comes, 1 comes late
        list(flow.datagram(packet(data(tsn, b"0123456789")), context(frame)))
    hole, = flow.end()
    assert hole.reason.startswith("SCTP DATA chunk 0 from ") and hole.start <= hole.end and hole.stream == context().stream
    whole = sctp.Flow(context())
    for frame, tsn in enumerate((7, 8, 8, 9), 1):
        list(whole.datagram(packet(data(tsn, b"0123456789")), context(frame)))
    assert list(whole.end()) == []
