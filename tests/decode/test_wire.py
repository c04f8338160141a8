"""Cursors, tapes and what is remembered: the ground that every decoder stands on."""

import pytest
from hypothesis import given, settings, strategies as st

from flowcheck.decode._http_head import head_end
from flowcheck.decode._tls_assembly import Assembly
from flowcheck.decode.wire import Cursor, Short, Tape, remembered
from flowcheck.model import Context, Endpoint, FrameRef

PLACE = Context(0, (), Endpoint("192.0.2.1", 1), Endpoint("198.51.100.1", 2))


def test_what_is_short_is_read_once_and_what_is_long_each_time():
    calls = []

    @remembered(2, longest=3)
    def size(octets):
        calls.append(octets)
        return len(octets)

    assert [size(b"abc"), size(b"abc"), size(b"abcd"), size(b"abcd")] == [3, 3, 4, 4]
    assert calls == [b"abc", b"abcd", b"abcd"]
    size(b"1"), size(b"2"), size(b"abc")                       # only the last two are kept
    assert calls[3:] == [b"1", b"2", b"abc"]


def test_what_raises_is_not_remembered():
    @remembered(8)
    def first(octets):
        return Cursor(octets).u16()

    for _ in range(2):
        with pytest.raises(Short) as short:
            first(b"x")
        assert (short.value.offset, short.value.wanted) == (0, 2)


@pytest.mark.parametrize("read", [Cursor.u8, Cursor.u16, Cursor.u24, Cursor.u32, Cursor.u64, lambda c: c.part(3),
                                  lambda c: c.octets(3)])
def test_reading_past_the_end_says_where(read):
    cursor = Cursor(b"\1\2\3\4", 4)
    with pytest.raises(Short) as short:
        read(cursor)
    assert short.value.offset == cursor.offset == 4


def test_an_end_inside_the_data_is_an_end():
    cursor = Cursor(b"\1\2\3\4", 1, 3)
    assert (cursor.u16(), cursor.left) == (0x0203, 0)
    with pytest.raises(Short):
        cursor.u8()


def test_windows():
    cursor = Cursor(bytes(range(8)))
    with cursor.window(3) as inner:
        assert (inner.u8(), cursor.offset) == (0, 0)
    assert cursor.offset == 3                                   # behind it, however much of it was read
    with pytest.raises(Short), cursor.window(2) as inner:
        inner.octets(3)
    assert cursor.offset == 3
    part = cursor.part(2)
    assert (part.rest(), cursor.offset) == (b"\3\4", 5)
    for size in (-1, 4):
        with pytest.raises(Short):
            cursor.window(size)
        with pytest.raises(Short):
            cursor.part(size)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=6), min_size=1, max_size=8), st.data())
def test_a_tape_knows_who_brought_which_octet(pieces, data):
    tape, whole, brought = Tape(PLACE), b"".join(pieces), []
    for number, piece in enumerate(pieces, 1):
        tape.append(piece, FrameRef(0, number), 10 * number)
        brought += [number] * len(piece)
    taken = 0
    while tape:
        count = data.draw(st.integers(1, len(tape)))
        frames = sorted(set(brought[taken:taken + count]))
        place = tape.place(count)
        # one object for a segment
        assert tape.place(count) == place and (len(frames) > 1 or tape.place(count) is place)
        assert place.frames == tuple(FrameRef(0, number) for number in frames) and place.time == 10 * frames[-1]
        assert tape.take(count) == whole[taken:taken + count]
        taken += count
    assert taken == len(whole)
    tape.append(b"x", FrameRef(0, 99), 1000)
    assert tape.place(1).frames == (FrameRef(0, 99),)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=9), min_size=1, max_size=5), st.lists(st.integers(0, 20), max_size=6))
def test_handshake_messages_come_out_alike_however_they_are_cut(bodies, cuts):
    messages = [bytes([1 + number]) + len(body).to_bytes(3, "big") + body for number, body in enumerate(bodies)]
    whole, assembly, found, at = b"".join(messages), Assembly(), [], 0
    for number, cut in enumerate([*cuts, len(whole)], 1):
        piece, at = whole[at:at + cut], at + cut
        if piece:
            found += assembly.whole(piece, PLACE.but(frames=(FrameRef(0, number),)))
    assert [(kind, message) for kind, message, _ in found] == [(message[0], message) for message in messages]
    assert all(place.frames == tuple(sorted(set(place.frames))) for *_, place in found) and not assembly.data


@pytest.mark.parametrize("data, end", [
    (b"A\r\nB\r\n\r\nC", (6, 8)), (b"A\nB\n\nC\r\n\r\n", (4, 5)), (b"A\r\nB\n\r\n", (5, 7)), (b"A\r\nB\r\n", (-1, -1)),
    (b"", (-1, -1)), (b"A\n\n\r\n", (2, 3)), (b"A\n\r\n\n", (2, 4))])
def test_where_a_head_ends(data, end):
    assert head_end(data, 0) == end
    assert head_end(bytearray(data), 0) == end
