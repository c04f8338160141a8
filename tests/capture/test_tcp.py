"""TCP: what the events of a connection are, whatever order, loss and repetition the capture has."""

import struct

import pytest
from hypothesis import given, settings, strategies as st

from flowcheck.capture.tcp import Connections, Data, Finished, Handshake, Lost, Opened, Reset
from flowcheck.model import Endpoint, FrameRef, Packet

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
C0, S0 = 1000, 5000                      # initial sequence numbers of the client and the server
HANDSHAKE = [("c", C0, 0, SYN, b""), ("s", S0, C0 + 1, SYN | ACK, b""), ("c", C0 + 1, S0 + 1, ACK, b"")]


def packet(number, who, seq, ack, flags, data=b"", missing=0, layers=("eth", "ip"), ports=(40000, 7547), time=None):
    sport, dport = ports if who == "c" else ports[::-1]
    src, dst = ("192.0.2.1", "198.51.100.2") if who == "c" else ("198.51.100.2", "192.0.2.1")
    header = struct.pack("!HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, 0x50, flags, 65535, 0, 0)
    return Packet(number if time is None else time, (number,), 0, layers, src, dst, 6, header + data, missing)


def run(segments, finish=True):
    connections, events = Connections(), []
    for number, segment in enumerate(segments, 1):
        if not isinstance(segment, Packet):
            segment = packet(number, *segment)
        events += connections.segment(segment)
    return events + list(connections.finish()) if finish else events


def stream(events, side):
    """The bytes of one direction, `?` for each lost one."""
    return b"".join(e.data if isinstance(e, Data) else b"?" * e.size for e in events
                    if isinstance(e, (Data, Lost)) and e.side == side)


def names(events):
    return [e.what if isinstance(e, Handshake) else type(e).__name__ for e in events]


def test_whole_connection():
    events = run(HANDSHAKE + [
        ("c", 1001, 5001, ACK, b"ask"), ("s", 5001, 1004, ACK, b"answer"), ("s", 5007, 1004, FIN | ACK),
        ("c", 1004, 5008, FIN | ACK), ("s", 5008, 1005, ACK)])
    assert names(events) == ["Opened", "syn", "syn_ack", "Data", "Data", "Finished", "Finished"]
    connection = events[0].connection
    assert connection.client == Endpoint("192.0.2.1", 40000) and connection.server == Endpoint("198.51.100.2", 7547)
    assert (connection.opened_midway, connection.closed, connection.layers) == (False, True, ("eth", "ip", "tcp"))
    assert (connection.packets, connection.bytes, connection.retransmissions) == (8, (3, 6), 0)
    assert events[3] == Data(connection, 0, b"ask", FrameRef(0, 4), 4)
    assert events[5] == Finished(connection, 1, 6, FrameRef(0, 6))


def test_bytes_in_order_can_go_straight_to_who_wants_them():
    segments = [packet(number, *segment) for number, segment in enumerate([*HANDSHAKE, *(
        ("c", C0 + 1 + 4 * i, 5001, ACK, b"%04d" % i) for i in (0, 1, 3, 2, 4))], 1)]
    taken = []
    connections = Connections(lambda *fields: taken.append(Data(*fields)))
    for segment in segments:
        for event in connections.segment(segment):
            taken += [event] if isinstance(event, Data) else []
    events = run(segments)
    assert [data[1:] for data in taken] == [event[1:] for event in events if isinstance(event, Data)]
    assert stream(events, 0) == b"00000001000200030004"


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 0, 3, 2), (2, 3, 0, 1), (0, 1, 1, 2, 0, 3)])
def test_any_order_and_copies(order):
    parts = [("c", 1001 + 4 * i, 5001, ACK, b"part"[i:] + b"part"[:i]) for i in range(4)]
    events = run(HANDSHAKE + [parts[i] for i in order])
    assert stream(events, 0) == b"part" + b"artp" + b"rtpa" + b"tpar"
    assert events[0].connection.retransmissions == len(order) - 4


def test_data_keeps_its_own_time_and_frame():
    events = run(HANDSHAKE + [("c", 1004, 5001, ACK, b"def"), ("c", 1001, 5001, ACK, b"abc")])
    assert [(e.data, e.time, e.ref.number) for e in events if isinstance(e, Data)] == [(b"abc", 5, 5), (b"def", 4, 4)]


def test_first_copy_wins_and_difference_is_counted():
    events = run(HANDSHAKE + [("c", 1001, 5001, ACK, b"good"), ("c", 1001, 5001, ACK, b"evil"),
                              ("c", 1007, 5001, ACK, b"GH"), ("c", 1005, 5001, ACK, b"efXYij")])
    assert stream(events, 0) == b"goodefGHij"
    assert events[0].connection.conflicts == 2


def test_overlap_brings_only_what_is_new():
    events = run(HANDSHAKE + [("c", 1001, 5001, ACK, b"abc"), ("c", 1002, 5001, ACK, b"bcdef")])
    assert stream(events, 0) == b"abcdef"
    assert events[0].connection.conflicts == 0


def test_acknowledged_hole_is_lost_after_patience():
    late = [("s", 5001, 1010, ACK, b"")] * 12
    events = run(HANDSHAKE + [("c", 1001, 5001, ACK, b"abc"), ("c", 1007, 5001, ACK, b"ghi"), *late], finish=False)
    assert stream(events, 0) == b"abc???ghi"
    assert [e.time for e in events if isinstance(e, Lost)] == [5]
    assert stream(run(HANDSHAKE + [("c", 1001, 5001, ACK, b"abc"), ("c", 1007, 5001, ACK, b"ghi"), *late[:4],
                                   ("c", 1004, 5001, ACK, b"def"), *late]), 0) == b"abcdefghi"


def test_acknowledged_hole_is_lost_after_a_second():
    head = [packet(i, *s) for i, s in enumerate(HANDSHAKE, 1)]
    events = run([*head, packet(4, "s", 5001, 1004, ACK), packet(5, "s", 5001, 1004, ACK, time=2_000_000_000)],
                 finish=False)
    assert stream(events, 0) == b"???"


def test_hole_without_acknowledgement_waits():
    events = run(HANDSHAKE + [("c", 1004, 5001, ACK, b"def")] + [("s", 5001, 1001, ACK, b"")] * 50, finish=False)
    assert not stream(events, 0)


def test_answer_does_not_overtake_its_question():
    """The first answer is not in the capture; the second question shows that the client had it."""
    events = run(HANDSHAKE + [("c", 1001, 5001, ACK, b"R1"), ("c", 1003, 5003, ACK, b"R2"),
                              ("s", 5003, 1005, ACK, b"A2"),
                              ("c", 1005, 5005, ACK, b"R3"), ("s", 5005, 1007, ACK, b"A3")])
    assert [e.data if isinstance(e, Data) else "lost" for e in events if isinstance(e, (Data, Lost))] == \
        [b"R1", "lost", b"R2", b"A2", b"R3", b"A3"]


def test_answer_captured_before_its_question():
    events = run(HANDSHAKE + [("s", 5001, 1003, ACK, b"A1"), ("c", 1001, 5001, ACK, b"R1")])
    assert [e.data for e in events if isinstance(e, Data)] == [b"R1", b"A1"]


def test_segment_cut_by_the_snap_length():
    head = [packet(i, *s) for i, s in enumerate(HANDSHAKE, 1)]
    cut = packet(4, "c", 1001, 5001, ACK, b"ab", missing=4)
    events = run([*head, cut, packet(5, "s", 5001, 1007, ACK)], finish=False)
    assert stream(events, 0) == b"ab????"
    assert stream(run([*head, cut, packet(5, "c", 1001, 5001, ACK, b"abcdef")]), 0) == b"abcdef"
    assert events[0].connection.bytes == (6, 0)


def test_header_cut_by_the_snap_length():
    whole = packet(4, "c", 1001, 5001, ACK, b"abcdef")
    cut = whole._replace(data=whole.data[:16], missing=len(whole.data) - 16)
    events = run([*[packet(i, *s) for i, s in enumerate(HANDSHAKE, 1)], cut, packet(5, "s", 5001, 1007, ACK)])
    assert stream(events, 0) == b"??????"
    assert not run([cut._replace(data=whole.data[:13])])


def test_begins_midway():
    events = run([("s", 900, 70, ACK, b"end of answer"), ("c", 70, 913, ACK, b"ask"), ("s", 913, 73, ACK, b"answer")])
    connection = events[0].connection
    assert connection.opened_midway and connection.server.port == 7547
    assert (stream(events, 0), stream(events, 1)) == (b"ask", b"end of answeranswer")


def test_begins_midway_with_an_acknowledgement_or_keep_alive():
    events = run([("c", 70, 900, ACK, b""), ("s", 900, 70, ACK, b"hello"), ("c", 69, 905, ACK, b""),
                  ("c", 70, 905, ACK, b"ask")])
    assert (stream(events, 0), stream(events, 1)) == (b"ask", b"hello")
    assert stream(run([("c", 69, 900, ACK, b""), ("c", 70, 900, ACK, b"ask")]), 0) == b"ask"


def test_begins_with_the_syn_ack():
    events = run([("s", S0, C0 + 1, SYN | ACK, b""), ("c", 1001, 5001, ACK, b"ask")])
    connection = events[0].connection
    assert names(events) == ["Opened", "syn_ack", "Data"]
    assert connection.client.port == 40000 and not connection.opened_midway


def test_syn_captured_after_its_answer():
    events = run([HANDSHAKE[1], HANDSHAKE[0], HANDSHAKE[2], ("c", 1001, 5001, ACK, b"ask")])
    assert names(events) == ["Opened", "syn_ack", "syn", "Data"]


def test_refused_and_tried_again():
    refused = [("c", C0, 0, SYN, b""), ("s", 0, C0 + 1, RST | ACK, b"")]
    assert names(run(refused)) == ["Opened", "syn", "refused"]
    assert names(run(refused + refused)) == ["Opened", "syn", "refused", "syn", "refused"]
    assert names(run(refused + HANDSHAKE)) == ["Opened", "syn", "refused", "syn", "syn_ack"]
    assert names(run([("c", C0, 0, SYN, b""), ("c", C0 + 1, 0, RST, b"")])) == ["Opened", "syn", "Reset"]


def test_unanswered_syn_sent_again():
    events = run([("c", C0, 0, SYN, b"")] * 3)
    assert names(events) == ["Opened", "syn", "syn", "syn"]           # each is told of: it shows how long was waited
    assert events[0].connection.retransmissions == 2


def test_reset_with_text_and_one_outside_the_window():
    ask = ("c", 1001, 5001, ACK, b"ask")
    events = run(HANDSHAKE + [ask, ("s", 5001 + 2**30, 1004, RST | ACK, b""), ("s", 5001, 1004, RST | ACK, b"go away"),
                              ("c", 1004, 5001, ACK, b"late")])
    assert names(events) == ["Opened", "syn", "syn_ack", "Data", "Reset"]
    assert (events[-1].side, events[-1].ref.number, events[0].connection.closed) == (1, 6, True)


def test_ports_used_again():
    events = run(HANDSHAKE + [("c", 1001, 5001, ACK, b"one"), ("c", 900000, 0, SYN, b""),
                              ("s", 70000, 900001, SYN | ACK, b""), ("c", 900001, 70001, ACK, b"two")])
    assert names(events) == ["Opened", "syn", "syn_ack", "Data", "Opened", "syn", "syn_ack", "Data"]
    assert events[3].connection is not events[7].connection and events[0].connection.closed
    far = 1001 + 2**30
    unseen = run(HANDSHAKE + [("c", 1001, 5001, ACK, b"one"), ("c", far, 5001 + 2**29, ACK, b"two")])
    assert names(unseen) == ["Opened", "syn", "syn_ack", "Data", "Opened", "Data"]
    assert unseen[4].connection.client.port == 40000


def test_syn_with_data_and_sequence_wraparound():
    isn = 2**32 - 3
    events = run([("c", isn, 0, SYN, b"ab"), ("s", S0, isn + 3, SYN | ACK, b""), ("c", isn + 5, 5001, ACK, b"ef"),
                  ("c", isn + 3, 5001, ACK, b"cd"), ("c", isn + 7, 5001, FIN | ACK, b"gh")])
    assert stream(events, 0) == b"abcdefgh"
    assert names(events)[-1] == "Finished"


def test_simultaneous_open():
    events = run([("c", C0, 0, SYN, b""), ("s", S0, 0, SYN, b""), ("c", C0, S0 + 1, SYN | ACK, b""),
                  ("s", S0, C0 + 1, SYN | ACK, b""), ("c", 1001, 5001, ACK, b"ask"), ("s", 5001, 1004, ACK, b"hi")])
    assert len({e.connection.id for e in events}) == 1
    assert (stream(events, 0), stream(events, 1)) == (b"ask", b"hi")


def test_keep_alive_and_zero_window_probe():
    events = run(HANDSHAKE + [("c", 1001, 5001, ACK, b"ask"), ("c", 1003, 5001, ACK, b"\0"),
                              ("s", 5001, 1004, ACK, b""),
                              ("c", 1004, 5001, ACK, b"m"), ("s", 5001, 1004, ACK, b""),
                              ("c", 1004, 5001, ACK, b"more")])
    assert stream(events, 0) == b"askmore"
    assert (events[0].connection.conflicts, events[0].connection.retransmissions) == (0, 1)


def test_lost_fin_is_no_lost_byte():
    events = run(HANDSHAKE + [("c", 1001, 5001, ACK, b"ask")] + [("s", 5001, 1005, ACK, b"")] * 20)
    assert stream(events, 0) == b"ask"


def test_fin_waits_for_its_data():
    events = run(HANDSHAKE + [("s", 5004, 1001, FIN | ACK, b"def"), ("s", 5001, 1001, ACK, b"abc")], finish=False)
    assert [type(e) for e in events[3:]] == [Data, Data, Finished]
    assert names(run(HANDSHAKE + [("s", 5004, 1001, FIN | ACK, b"def")]))[3:] == ["Lost", "Data", "Finished"]


def test_syn_that_also_says_fin_ends_nothing():
    events = run([("c", 991, 995, SYN | FIN | ACK, b""), ("c", 990, 995, SYN | ACK, b"x"), ("c", 992, 995, ACK, b"y")])
    assert names(events)[0] == "Opened" and "Finished" not in names(events) and events[-1].data == b"y"


def test_one_direction_only():
    events = run([("c", 1001 + 10 * i, 5001 + 100 * i, ACK, b"0123456789") for i in range(50)])
    assert stream(events, 0) == b"0123456789" * 50
    gaps = [("c", 1011 + 10 * i, 5001, ACK, b"0123456789") for i in range(100)]
    assert stream(run([("c", 1001, 5001, ACK, b"a"), *gaps], finish=False), 0).startswith(b"a?????????0123456789")


def test_a_hole_holds_back_a_bounded_amount():
    segments = HANDSHAKE + [("c", 2001 + 1000 * i, 5001, ACK, bytes(1000)) for i in range(3000)]
    connections, lost = Connections(), 0
    for number, segment in enumerate(segments, 1):
        for event in connections.segment(packet(number, *segment)):
            lost += isinstance(event, Lost)
            assert event.connection.halves[0].held <= (1 << 20) + 2000
    assert lost == 1


def test_tunnels_separate_and_link_types_do_not():
    inside = ("eth", "ip", "udp", "esp", "ip")
    events = run([packet(1, *HANDSHAKE[0]), packet(2, *HANDSHAKE[0], layers=inside),
                  packet(3, *HANDSHAKE[1], layers=("sll", "ip")), packet(4, *HANDSHAKE[1], layers=inside)])
    assert names(events) == ["Opened", "syn", "Opened", "syn", "syn_ack", "syn_ack"]
    assert events[4].connection is events[0].connection and events[5].connection is events[2].connection
    assert events[2].connection.layers == (*inside, "tcp")


def test_dropped_connection_is_only_counted():
    connections = Connections()
    segments = [packet(i, *s) for i, s in enumerate(HANDSHAKE + [("c", 1001, 5001, ACK, b"abc"),
                                                                 ("c", 1010, 5001, ACK, b"xyz"),
                                                                 ("c", 1013, 5001, FIN | ACK, b"")], 1)]
    opened, *_ = [e for s in segments[:3] for e in connections.segment(s)]
    opened.connection.dropped = True
    events = [e for s in segments[3:] for e in connections.segment(s)]
    assert names(events + list(connections.finish())) == ["Finished"]
    assert opened.connection.bytes == (6, 0) and not opened.connection.halves[0].held


def test_idle_connections_are_forgotten():
    connections = Connections()
    for number, segment in enumerate(HANDSHAKE + [("c", 1004, 5001, ACK, b"def")], 1):
        list(connections.segment(packet(number, *segment)))
    assert names(connections.expire(130 * 10**9)) == ["Lost", "Data"]
    assert list(connections.expire(5 * 3600 * 10**9)) == []
    assert isinstance(list(connections.segment(packet(9, "c", 1007, 5001, ACK, b"x")))[0], Opened)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_shuffled_segments_give_the_stream(data):
    sent = data.draw(st.binary(min_size=1, max_size=60))
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(sent) - 1)), max_size=8)) | {0, len(sent)})
    pieces = [("c", 1001 + low, 5001, ACK, sent[low:high]) for low, high in zip(cuts, cuts[1:])]
    copies = data.draw(st.lists(st.sampled_from(pieces), max_size=4))
    order = data.draw(st.permutations(pieces + copies))
    assert stream(run(HANDSHAKE + order), 0) == sent


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("cs"), st.integers(990, 1030), st.integers(995, 1030), st.integers(0, 31),
                          st.binary(max_size=6)), max_size=25))
def test_noise_gives_consistent_events(segments):
    opened, over = set(), set()
    for event in run(segments):
        identity = event.connection.id
        assert isinstance(event, Opened) != (identity in opened)
        opened.add(identity)
        if isinstance(event, (Data, Lost, Finished)):
            assert (identity, event.side) not in over
            assert getattr(event, "size", 1) > 0 and getattr(event, "data", b"x")
        if isinstance(event, Finished):
            over.add((identity, event.side))
        elif isinstance(event, Reset):
            over |= {(identity, 0), (identity, 1)}


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 2000))
def test_noise_in_the_header(octets, missing):
    for event in run([Packet(1, (1,), 0, ("eth", "ip"), "192.0.2.1", "192.0.2.2", 6, octets, missing)] * 3):
        assert not isinstance(event, Lost) or event.size > 0


def test_an_older_connection_at_the_server_answers_the_first_syn_and_hides_nothing_of_the_next():
    """RFC 9293 3.5.1: its acknowledgement is refused with a RST, then the SYN is sent again and taken."""
    old_seq, old_ack = S0 + 700_000_000, C0 + 800_000_000
    events = run([("c", C0, 0, SYN, b""), ("s", old_seq, old_ack, ACK, b""), ("c", old_ack, 0, RST, b""),
                  *HANDSHAKE, ("c", C0 + 1, S0 + 1, ACK, b"ask"), *[("s", S0 + 1, C0 + 4, ACK, b"")] * 12,
                  ("s", S0 + 1, C0 + 4, ACK, b"answer"), ("c", C0 + 4, S0 + 7, ACK, b"")])
    assert (stream(events, 0), stream(events, 1)) == (b"ask", b"answer")
    assert not any(isinstance(event, (Lost, Reset)) for event in events)



@pytest.mark.parametrize("sequence, whole", [(S0 + 4, True), (S0 + 9, False), (S0 + 1, False)])
def test_a_reset_right_behind_what_was_sent_leaves_nothing_out(sequence, whole):
    reset, = [e for e in run([*HANDSHAKE, ("s", S0 + 1, C0 + 1, ACK, b"abc"), ("s", sequence, C0 + 1, RST, b"")]) if isinstance(e, Reset)]
    assert reset.whole is whole
