"""Captures written octet by octet here, in every form, whole, cut and damaged; and the public ones against Wireshark."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import struct
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.capture import compression
from flowcheck.capture.reader import open_capture
from flowcheck.errors import CaptureError

PUBLIC = Path(__file__).parents[3] / "shared" / "captures" / "public"
SECOND = 1_700_000_000


def pcap(packets, magic=0xA1B2C3D4, order="<", link=1, snaplen=262144, version=(2, 4), extra=b""):
    """`packets` are (second, fraction, data, original length)."""
    header = struct.pack(order + "IHHIIII", magic, *version, 0, 0, snaplen, link)
    return header + b"".join(struct.pack(order + "IIII", second, fraction, len(data), original) + extra + data
                             for second, fraction, data, original in packets)


def block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def option(code, value, order="<"):
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order="<"):
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link=1, snaplen=0, options=b"", order="<"):
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + options, order)


def enhanced(data, ticks, index=0, original=None, options=b"", order="<"):
    head = struct.pack(order + "5I", index, ticks >> 32, ticks & 0xFFFFFFFF, len(data),
                       len(data) if original is None else original)
    return block(6, head + data + bytes(-len(data) % 4) + options, order)


def read(data):
    capture = open_capture(io.BytesIO(data))
    return capture, list(capture)


TEN = [(SECOND + i, i, bytes([i]) * (60 + i), 60 + i) for i in range(10)]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("magic", "extra", "fraction", "name"), [
    (0xA1B2C3D4, b"", 1000, "pcap"), (0xA1B23C4D, b"", 1, "pcap nanosecond"),
    (0xA1B2CD34, bytes(8), 1000, "pcap modified"), (0xA1B2CD34, bytes(12), 1000, "pcap modified"),
    (0xA1B2C3D4, bytes(8), 1000, "pcap"), (0xA1B2C3D4, bytes(4), 1000, "pcap")])
def test_pcap_of_every_kind(order, magic, extra, fraction, name):
    capture, frames = read(pcap(TEN, magic, order, extra=extra))
    assert [(f.number, f.time, f.link, f.data, f.original_length) for f in frames] == [
        (i + 1, (SECOND + i) * 10**9 + i * fraction, 1, bytes([i]) * (60 + i), 60 + i) for i in range(10)]
    assert capture.format == name + (" big-endian" if order == ">" else "")
    assert (capture.packets, capture.truncated, capture.remarks) == (10, False, [])


def test_pcap_ixia_has_four_more_octets_in_its_header():
    data = pcap(TEN, 0x1C0001AC)
    _, frames = read(data[:24] + bytes(4) + data[24:])
    assert [f.time for f in frames] == [(SECOND + i) * 10**9 + i for i in range(10)]


def test_pcap_before_version_2_3_wrote_the_lengths_the_other_way_round():
    data = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 1, 0, 0, 65535, 1) + struct.pack("<IIII", SECOND, 0, 90, 4) + b"abcd"
    assert [(f.data, f.original_length) for f in read(data)[1]] == [(b"abcd", 90)]


def test_pcap_link_type_field_also_says_whether_a_check_sequence_follows():
    capture, frames = read(pcap(TEN, link=0x30000001))
    assert {f.link for f in frames} == {1} and capture.interfaces[0].link == 1


def test_packets_cut_by_the_snap_length_are_counted():
    capture, frames = read(pcap([(SECOND, 0, b"abcd", 90), (SECOND, 0, b"", 90), (SECOND, 0, b"abcd", 4)], snaplen=4))
    assert [f.original_length for f in frames] == [90, 90, 4]
    assert capture.cut == 2 and "2 packets were cut by the snap length" in capture.remarks[0]


def test_cut_at_every_length_gives_all_whole_packets():
    data = pcap(TEN)
    ends = [24]
    for _, _, packet, _ in TEN:
        ends.append(ends[-1] + 16 + len(packet))
    for size in range(24, len(data)):
        capture, frames = read(data[:size])
        assert len(frames) == sum(end <= size for end in ends) - 1
        assert capture.truncated is (size not in ends)
        if capture.truncated:
            assert f"packet {len(frames) + 1} at byte {ends[len(frames)]}" in capture.remarks[0]


@pytest.mark.parametrize("order", "<>")
def test_a_damaged_record_costs_only_itself(order):
    data = bytearray(pcap(TEN, order=order))
    at = 24 + sum(16 + 60 + i for i in range(4))
    data[at + 8:at + 12] = b"\xff\xff\xff\xff"
    capture, frames = read(bytes(data))
    assert [f.data[0] for f in frames] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert capture.truncated and f"damaged at byte {at}, behind packet 4: {16 + 64} octets" in capture.remarks[0]


def test_an_absurd_length_with_nothing_behind_it():
    data = pcap(TEN[:2]) + struct.pack("<IIII", SECOND, 0, 1 << 30, 1 << 30) + b"\xaa" * 500
    capture, frames = read(data)
    assert len(frames) == 2 and capture.truncated and "nothing that can be trusted follows" in capture.remarks[0]


def test_a_region_of_zeros_is_numbered_and_not_shown():
    capture, frames = read(pcap(TEN[:1]) + bytes(32) + pcap(TEN[1:2])[24:])
    assert [f.number for f in frames] == [1, 4] and "2 records of zeros" in capture.remarks[0]


def test_a_capture_appended_to_another():
    capture, frames = read(pcap(TEN) + pcap(TEN, 0xA1B23C4D, ">", link=101))
    assert [f.number for f in frames] == list(range(1, 21))
    assert [f.link for f in frames] == [1] * 10 + [101] * 10 and frames[11].time == (SECOND + 1) * 10**9 + 1
    assert "another capture begins" in capture.remarks[0]


def test_blocks_smaller_than_a_record(monkeypatch):
    monkeypatch.setattr(compression, "PIECE", 7)
    assert len(read(pcap(TEN))[1]) == 10
    assert len(read(section() + interface() + b"".join(enhanced(d, i) for i, (_, _, d, _) in enumerate(TEN)))[1]) == 10


@pytest.mark.parametrize("order", "<>")
def test_pcapng_blocks(order):
    endian = "little" if order == "<" else "big"
    packet = b"abcdef"
    data = b"".join((
        section(order),
        interface(1, 4, option(2, b"eth0", order) + option(9, b"\x09", order), order=order),
        interface(101, 0, option(9, b"\x8a", order) + option(14, (100).to_bytes(8, endian, signed=True), order),
                  order=order),
        block(10, struct.pack(order + "II", 0x544C534B, 5) + b"hello", order),
        block(4, option(1, bytes([192, 0, 2, 1]) + b"a.example\0b.example\0", order) + bytes(4), order),
        block(3, struct.pack(order + "I", 6) + packet[:4], order),
        enhanced(packet, 5, order=order),
        enhanced(packet, 2048, 1, original=90, options=option(4, (3).to_bytes(8, endian), order) + bytes(4),
                 order=order),
        block(0xBAD, struct.pack(order + "I", 32473) + b"what", order),
        block(0x1234, b"unknown block of the future", order),
        block(2, struct.pack(order + "HHIIII", 0, 2, 0, 7, len(packet), len(packet)) + packet, order),
        block(5, struct.pack(order + "III", 0, 0, 0) + option(5, (9).to_bytes(8, endian), order) + bytes(4), order),
    ))
    capture, frames = read(data)
    assert [(f.number, f.time, f.link, f.data, f.original_length, f.interface) for f in frames] == [
        (1, 5, 1, b"abcd", 6, 0), (2, 5, 1, packet, 6, 0), (3, 102 * 10**9, 101, packet, 90, 1),
        (5, 7, 1, packet, 6, 0)]
    assert capture.packets == 5
    assert capture.secrets == [(0x544C534B, b"hello")]
    assert capture.names == [("192.0.2.1", "a.example"), ("192.0.2.1", "b.example")]
    assert [(i.name, i.link, i.snaplen, i.drops) for i in capture.interfaces] == [("eth0", 1, 4, 9), ("", 101, 0, 3)]
    assert capture.drops == 12 and "dropped 12 packets" in capture.remarks[-1]


@pytest.mark.parametrize(("resolution", "ticks", "time"), [
    (b"\x06", 1, 1000), (b"\x00", 3, 3 * 10**9), (b"\x0c", 12_345, 12), (b"\x80", 3, 3 * 10**9),
    (b"\xa0", 1 << 31, 5 * 10**8)])
def test_pcapng_clocks(resolution, ticks, time):
    assert read(section() + interface(options=option(9, resolution)) + enhanced(b"x", ticks))[1][0].time == time


def test_pcapng_sections_count_their_own_interfaces_and_may_change_byte_order():
    data = (section() + interface(1) + enhanced(b"a", 1) + section(">") + interface(101, order=">")
            + interface(113, order=">")
            + enhanced(b"b", 2, 1, order=">"))
    assert [(f.number, f.link, f.interface) for f in read(data)[1]] == [(1, 1, 0), (2, 113, 2)]


def test_pcapng_packet_of_an_unknown_interface_keeps_its_number():
    capture, frames = read(section() + interface() + enhanced(b"a", 1, 7) + enhanced(b"b", 2))
    assert [f.number for f in frames] == [2] and "1 packets of an interface" in capture.remarks[0]


def test_pcapng_damaged_block_is_skipped():
    good = [enhanced(bytes([i]) * 50, i + 1) for i in range(6)]
    start = section() + interface()
    broken = good[2][:4] + b"\xff\xff\xff\x7f" + good[2][8:]
    capture, frames = read(start + b"".join(good[:2]) + broken + b"".join(good[3:]))
    assert [f.data[0] for f in frames] == [0, 1, 3, 4, 5]
    assert capture.truncated and f"damaged at byte {len(start) + 2 * len(good[0])}, behind packet 2" in capture.remarks[0]


def test_pcapng_cut_at_every_length():
    start, packets = section() + interface(), [enhanced(bytes([i]) * 9, i) for i in range(4)]
    data = start + b"".join(packets)
    for size in range(28, len(data)):
        capture, frames = read(data[:size])
        assert len(frames) == max(0, size - len(start)) // len(packets[0])
        assert capture.truncated is (size not in {28, *(len(start) + i * len(packets[0]) for i in range(4))})


COMPRESSED = {"gzip": gzip.compress, "zstd": zstandard.compress, "xz": lzma.compress, "bzip2": bz2.compress,
              "lz4": lz4.frame.compress}


@pytest.mark.parametrize("name", COMPRESSED)
def test_compression_is_told_by_content(name):
    data = pcap([(SECOND + i, 0, os.urandom(1000), 1000) for i in range(2500)])
    stored = COMPRESSED[name](data)
    capture, frames = read(stored)
    assert len(frames) == 2500 and capture.format == f"pcap, {name}" and capture.remarks == []
    assert capture.sha256 == hashlib.sha256(stored).hexdigest()
    half = len(data) // 2
    assert len(read(COMPRESSED[name](data[:half]) + COMPRESSED[name](data[half:]))[1]) == 2500, "two members, one capture"
    capture, frames = read(stored[:len(stored) // 2])
    assert 0 < len(frames) < 2500
    assert capture.truncated and any("ends in the middle" in remark for remark in capture.remarks)


@pytest.mark.parametrize("name", COMPRESSED)
def test_decompression_bomb_is_stopped(name, monkeypatch):
    monkeypatch.setattr(compression, "ALWAYS_FINE", 4 << 20)
    bomb = COMPRESSED[name](pcap([(SECOND, 0, bytes(65000), 65000)] * 300))
    monkeypatch.setattr(compression, "MOST_RATIO", 20)
    capture, frames = read(bomb)
    assert len(frames) < 300 and capture.truncated and "decompression stopped" in " ".join(capture.remarks)
    assert capture.sha256 == hashlib.sha256(bomb).hexdigest()


def test_standard_input_need_not_be_seekable():
    receiver, sender = os.pipe()
    data = gzip.compress(pcap(TEN))
    os.write(sender, data)
    os.close(sender)
    with os.fdopen(receiver, "rb") as pipe:
        capture = open_capture(pipe)
        assert len(list(capture)) == 10 and capture.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(("content", "words"), [
    (b"", "is empty"), (b"Frame 1: 60 bytes on wire\n", "text file"),
    (os.urandom(8).join([b"\x01\x80"] * 9), "no known capture"),
    (b"PK\x03\x04rest", "ZIP"), (gzip.compress(b""), "nothing when decompressed"),
    (gzip.compress(gzip.compress(b"x")), "twice"),
    (pcap([])[:20], "cut inside its file header"), (section()[:16], "cut inside its section header")])
def test_what_is_no_capture(tmp_path, content, words):
    path = tmp_path / "x.pcap"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=words) as caught:
        open_capture(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(CaptureError, match="no such file"):
        open_capture(tmp_path / "none.pcap")
    with pytest.raises(CaptureError, match="is a directory"):
        open_capture(tmp_path)


WHOLE = [pcap(TEN), section() + interface() + b"".join(enhanced(d, i) for i, (_, _, d, _) in enumerate(TEN)),
         gzip.compress(pcap(TEN))]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(WHOLE), st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=6)), max_size=4))
def test_mutated_captures_never_raise_anything_else(data, changes):
    data = bytearray(data)
    for at, octets in changes:
        at %= len(data)
        data[at:at + len(octets)] = octets
    try:
        capture, frames = read(bytes(data))
    except CaptureError:
        return
    assert capture.packets <= len(data) // 12 + 1 or capture.format.endswith("gzip")
    assert [f.number for f in frames] == sorted({f.number for f in frames})


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the public captures are not beside the repository")
def test_public_captures_read_as_wireshark_reads_them():
    def nanoseconds(text):
        seconds, fraction = text.split(".")
        return int(seconds) * 10**9 + int(fraction)

    for path, seen in json.loads((PUBLIC / "oracle.json").read_text())["captures"].items():
        capture = open_capture(PUBLIC / path)
        frames = list(capture)
        stopped = any("damaged" in line for line in seen.get("reader_messages", ()))     # Wireshark stops, we go on
        assert capture.packets == seen["packets"] or stopped and capture.packets > seen["packets"], path
        assert len(frames) == capture.packets - seen.get("records_without_link_type", 0), path
        assert capture.truncated == bool(seen.get("reader_messages")), path
        assert capture.cut == seen["snaplen_truncated_packets"], path
        assert capture.format.startswith(seen["container"])
        assert not frames or "linktype" not in seen or {f.link for f in frames} == {seen["linktype"]}, path
        assert not seen["first_time"] or frames[0].time == nanoseconds(seen["first_time"]), path
        assert not seen["last_time"] or stopped or frames[-1].time == nanoseconds(seen["last_time"]), path


def test_the_digest_is_taken_where_it_is_asked_for(tmp_path):
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([(SECOND + i, 0, b"x" * 60, 60) for i in range(9)]))
    capture, without = open_capture(path), open_capture(path, digest=False)
    assert list(capture) == list(without)
    assert capture.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() and without.sha256 == ""
