"""One transmission seen several times is one message; a transmission sent several times is not."""

from dataclasses import replace

from literals import end, message

from flowcheck.model import FrameRef
from flowcheck.session.copies import WINDOW, fold

CLEAR = ("eth", "ip", "tcp", "http")
TUNNEL = ("eth", "ip", "udp", "esp", "ip", "tcp", "http")


def folded(*messages, taps=(0, 1, 2)):
    return fold(messages, taps)


def at_tap(number, m, later=0, **changes):
    return replace(m, frames=(FrameRef(number, 7),), time=m.time + later, stream=m.stream + 100 * number, **changes)


ONE = message("http.request", 1, "hnb", "acs", stream=1, method="POST")


def test_one_tap_folds_nothing():
    assert folded(ONE, ONE, taps=(0,)).messages == [ONE, ONE]


def test_two_taps_saw_the_same():
    found, = folded(ONE, at_tap(1, ONE, 1000)).messages
    assert found.frames == ONE.frames and found.copies == (FrameRef(1, 7),) and found.stream == 1


def test_what_one_tap_saw_twice_was_sent_twice():
    assert len(folded(ONE, at_tap(0, ONE, 1000)).messages) == 2
    both = folded(ONE, at_tap(1, ONE, 10), replace(ONE, time=ONE.time + 20), at_tap(1, ONE, 30)).messages
    assert len(both) == 2 and all(len(m.copies) == 1 for m in both)


def test_inside_and_outside_the_tunnel_of_one_tap():
    inside, outside = replace(ONE, layers=CLEAR), replace(ONE, layers=TUNNEL, frames=(FrameRef(0, 9),))
    found, = folded(outside, inside, taps=(0,)).messages
    assert found.frames == inside.frames, "the copy that is clear can be looked at without keys"
    assert found.layers == TUNNEL, "but it ran in the tunnel"


def test_the_whole_copy_is_kept_rather_than_the_cut_one():
    found, = folded(replace(ONE, incomplete=True), at_tap(1, ONE)).messages
    assert not found.incomplete


def test_far_apart_is_not_the_same():
    assert len(folded(ONE, at_tap(1, ONE, WINDOW + 1)).messages) == 2
    assert len(folded(ONE, at_tap(1, ONE, WINDOW)).messages) == 1


def test_another_content_or_another_way_is_not_the_same():
    assert len(folded(ONE, at_tap(1, replace(ONE, fields={"method": "PUT"}))).messages) == 2
    assert len(folded(ONE, at_tap(1, ONE, src=end("other"), dst=end("gw"))).messages) == 2


OPENED = message("tcp.syn", 0, "hnb", "acs", stream=1, sequence=4711)


def test_a_nat_changes_one_end():
    opened, asked = (at_tap(1, m, src=end("nat:7777")) for m in (OPENED, ONE))
    found = folded(OPENED, opened, ONE, asked)
    assert len(found.messages) == 2
    assert found.aliases[end("hnb")] == {end("nat:7777")} and found.aliases[end("nat:7777")] == {end("hnb")}
    assert end("acs") not in found.aliases


def test_two_devices_that_say_the_same_stay_two():
    """Behind a NAT two devices often send word for word the same; the streams tell which copy is whose."""
    other = replace(OPENED, src=end("other"), stream=2, fields={"sequence": 42})
    first, second = ONE, replace(ONE, src=end("other"), stream=2, time=ONE.time + 5)
    seen = [at_tap(1, m, 10, src=end(f"nat:{m.stream}")) for m in (OPENED, other, first, second)]
    found = folded(OPENED, other, *seen[:2], first, second, *seen[2:]).messages
    assert len(found) == 4 and {m.stream for m in found if m.kind == "http.request"} == {1, 2}


def test_what_many_say_alike_joins_nobody_across_a_nat():
    """Without anything unmistakable before it, the same request from another address is another device's."""
    assert len(folded(ONE, at_tap(1, ONE, src=end("nat:7777"))).messages) == 2
