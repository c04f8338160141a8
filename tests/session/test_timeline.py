"""One timeline per device: its messages, what is sealed, what is missing."""

from literals import ADDRESSES, SECOND, end, message, sealed

from flowcheck.model import Gap
from flowcheck.session.timeline import timelines


def syn(at, src, stream, dst="acs"):
    return message("tcp.syn", at, src, dst, stream=stream, layers=("eth", "ip", "tcp"))


def answered(at, dst, stream):
    return message("tcp.syn_ack", at, "acs", dst, stream=stream, layers=("eth", "ip", "tcp"))


def lines(*messages, opaque=(), gaps=(), window=(0, 100 * SECOND)):
    return {line.device.id: line for line in timelines(messages, opaque, gaps, window, (0,))}


def test_each_device_has_its_own_messages_in_order():
    found = lines(syn(1, "hnb", 1), syn(1.5, "other", 2), answered(2, "hnb", 1), answered(3, "other", 2))
    assert {name: [m.kind for m in line.messages] for name, line in found.items()} == {
        ADDRESSES["hnb"]: ["tcp.syn", "tcp.syn_ack"], ADDRESSES["other"]: ["tcp.syn", "tcp.syn_ack"]}
    assert all(m.answers is not None for line in found.values() for m in line.messages if m.kind == "tcp.syn_ack")


def test_sealed_traffic_goes_to_the_device_at_its_end():
    found = lines(syn(1, "hnb", 1), syn(1, "other", 2), opaque=[sealed(2, 9, src="other")])
    assert not found[ADDRESSES["hnb"]].opaque and len(found[ADDRESSES["other"]].opaque) == 1


def test_a_hole_in_a_stream_is_the_streams_device_s_and_a_general_one_everybody_s():
    holes = [Gap(2 * SECOND, 2 * SECOND, "lost", stream=2), Gap(3 * SECOND, 3 * SECOND, "dropped")]
    found = lines(syn(1, "hnb", 1), syn(1, "other", 2), gaps=holes)
    assert [g.reason for g in found[ADDRESSES["hnb"]].gaps] == ["dropped"]
    assert [g.reason for g in found[ADDRESSES["other"]].gaps] == ["lost", "dropped"]


def test_a_hole_in_what_hosts_of_the_network_say_is_that_of_every_device_they_serve():
    """A question about the device that was lost on a connection between two of them names nobody any more."""
    hole = Gap(2 * SECOND, 2 * SECOND, "lost", stream=5)
    between, elsewhere = (message("x.answer", 2, src, "203.0.113.2", stream=5) for src in ("acs", "203.0.113.1"))
    assert [g.reason for g in lines(syn(1, "hnb", 1), between, gaps=[hole])[ADDRESSES["hnb"]].gaps] == ["lost"]
    assert lines(syn(1, "hnb", 1), elsewhere, gaps=[hole])[ADDRESSES["hnb"]].gaps == ()


def test_what_nobody_sent_is_unknown_and_comes_last():
    stranger = message("x.hello", 5, "203.0.113.1", "203.0.113.2", stream=7)
    assert list(lines(stranger, syn(1, "hnb", 1))) == [ADDRESSES["hnb"], "unknown"]


def test_no_packets_no_timelines():
    assert timelines((), (), (), None, ()) == []


def test_two_taps_are_one_timeline():
    from dataclasses import replace
    from flowcheck.model import FrameRef
    first = syn(1, "hnb", 1)
    second = replace(first, frames=(FrameRef(1, 4),), stream=9, src=end("hnb"))
    line, = timelines([first, second], (), (), (0, SECOND), (0, 1))
    assert len(line.messages) == 1 and line.messages[0].copies == (FrameRef(1, 4),)
