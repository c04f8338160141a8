"""Several captures as one observation: rotated files are one tap, overlapping ones are several."""

import packets
import pytest

from flowcheck.errors import CaptureError
from flowcheck.observe.observation import expand, observe

NAMES = {"manufacturer": "Maker", "serial": "S1"}


def whole(at=0.0):
    return packets.stamped([*packets.lookup(), *packets.session(**NAMES)], at)


def told(observation):
    """What was said, when and in which frames, without the stream numbers."""
    return [(m.kind, m.time, m.frames, dict(m.fields)) for m in observation.messages]


def test_one_capture(tmp_path):
    made = whole()
    found = observe([packets.write(tmp_path / "a.pcap", made)])
    info, = found.captures
    assert info.packets == len(made) and found.taps == (0,) and not info.truncated
    assert (info.first, info.last) == found.window == tuple(round(p.time * 10**6) * 1000 for p in (made[0], made[-1]))
    assert [m.kind for m in found.messages if m.protocol in ("dns", "cwmp")] == [
        "dns.query", "dns.response", "cwmp.Inform", "cwmp.InformResponse"]
    assert [m.time for m in found.messages] == sorted(m.time for m in found.messages)


@pytest.mark.parametrize("cut", [2, 6, 7, 11])
def test_rotated_files_say_what_the_whole_one_says(tmp_path, cut):
    made = whole()
    one = observe([packets.write(tmp_path / "a.pcap", made)])
    parts = [packets.write(tmp_path / f"{n}.pcap", part) for n, part in enumerate((made[:cut], made[cut:]))]
    both = observe(parts)
    assert both.taps == (0, 0) and both.window == one.window and not both.gaps
    assert [(m.kind, m.time, m.fields) for m in both.messages] == [(m.kind, m.time, m.fields) for m in one.messages]
    assert {ref.capture for m in both.messages for ref in m.frames} == {0, 1}
    assert told(observe(parts)) == told(both)


def test_the_order_in_which_files_are_named_only_numbers_them(tmp_path):
    made = whole()
    first, second = (packets.write(tmp_path / f"{n}.pcap", part) for n, part in enumerate((made[:7], made[7:])))
    forth, back = observe([first, second]), observe([second, first])
    assert [m.kind for m in forth.messages] == [m.kind for m in back.messages]
    assert [i.path for i in back.captures] == [second, first]
    assert [[(1 - r.capture, r.number) for r in m.frames] for m in forth.messages] == [
        [(r.capture, r.number) for r in m.frames] for m in back.messages]


def test_overlapping_files_are_two_taps(tmp_path):
    made = whole()
    paths = [packets.write(tmp_path / "a.pcap", made), packets.write(tmp_path / "b.pcap", packets.stamped(made, 0.003))]
    found = observe(paths)
    assert sorted(found.taps) == [0, 1]
    assert len([m for m in found.messages if m.kind == "cwmp.Inform"]) == 2, "copies are folded later"
    assert len({m.stream for m in found.messages if m.kind == "cwmp.Inform"}) == 2


def test_a_hole_in_a_stream_is_a_gap(tmp_path):
    made = packets.stamped(packets.conversation((True, packets.post(packets.inform(**NAMES))), segment=300))
    del made[4]
    found = observe([packets.write(tmp_path / "a.pcap", made)])
    assert found.gaps and found.captures[0].remarks
    assert not any(m.kind == "cwmp.Inform" and not m.incomplete for m in found.messages)


def test_what_is_not_decoded_is_counted(tmp_path):
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether
    strange = [Ether() / IP(src="10.9.0.1", dst="10.9.0.9") / UDP(sport=61000, dport=61001) / (b"\xee" * 40)
               for _ in range(20)]
    found = observe([packets.write(tmp_path / "a.pcap", packets.stamped(strange))])
    assert found.captures[0].undecoded == {"udp/61000": 20}


def test_a_capture_without_packets_beside_a_good_one(tmp_path):
    good = packets.write(tmp_path / "a.pcap", whole())
    empty = tmp_path / "b.pcap"
    empty.write_bytes(open(good, "rb").read()[:24])
    found = observe([str(empty), good])
    assert [i.packets for i in found.captures] == [0, len(whole())] and len(found.messages) > 4
    assert observe([str(empty)]).window is None


def test_directories(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("deep/b.pcap", "a.pcap", ".hidden"):
        (tmp_path / name).touch()
    assert expand([str(tmp_path)], True) == [str(tmp_path / "a.pcap"), str(tmp_path / "deep/b.pcap")]
    assert expand(["-", "x"], False) == ["-", "x"]
    with pytest.raises(CaptureError, match="is a directory"):
        expand([str(tmp_path)], False)


def test_between_two_recordings_nothing_was_seen(tmp_path):
    paths = [packets.write(tmp_path / "a.pcap", packets.stamped(whole(), 1000.0)),
             packets.write(tmp_path / "b.pcap", packets.stamped(packets.lookup(), 2000.0))]
    found = observe(paths)
    gap, = found.gaps
    assert gap.start == found.captures[0].last and gap.end == found.captures[1].first and gap.reason == "no capture covers the time from 12:16:41 to 12:33:20 UTC"
    assert not observe([packets.write(tmp_path / "c.pcap", packets.stamped(whole(), 1000.001)),
                        paths[0]]).gaps, "they overlap"
