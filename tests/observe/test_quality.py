"""What limits a capture, its grade, and which verdicts a remark touches."""

import packets
import pytest
from literals import message, timeline

from flowcheck.check import check
from flowcheck.model import AttemptResult, CaptureInfo, Gap, Limit
from flowcheck.observe.limits import touching
from flowcheck.observe.observation import Observation, observe
from flowcheck.observe.quality import Facts, Step, graded, one_directional

SECOND = 1_000_000_000


def facts(**more):
    return Facts(**{"index": 0, "packets": 100, "cut": 0, "drops": 0, "truncated": False, "steps": (), "remarks": (),
                    "artefacts": (), "gaps": (),
                    "messages": (), **more})


@pytest.mark.parametrize("more, grade, said", [
    ({}, "good", ""),
    ({"gaps": [Gap(0, 1, "x")]}, "fair", "1 hole in TCP, ESP or SCTP streams"),
    ({"gaps": [Gap(0, 1, "x")] * 5}, "poor", "5 holes"),
    ({"cut": 30}, "poor", ""), ({"cut": 3}, "fair", ""), ({"drops": 3}, "fair", ""), ({"drops": 30}, "poor", ""),
    ({"truncated": True}, "fair", ""),
    ({"steps": [Step(7, 3_200_000_000, 0)]}, "fair", "the clock of the capture steps back by 3.2 s at frame 7"),
])
def test_the_grade(more, grade, said):
    found, limits = graded(facts(**more))
    assert found == grade and (not said or said in limits[0].text)


ASKED = [message("http.request", n, "hnb", "acs", stream=1) for n in range(3)]


def test_a_connection_without_answers_is_one_directional():
    assert [str(src) for src, _ in one_directional(ASKED)] == ["192.0.2.1:40000"]
    assert one_directional([*ASKED, message("http.response", 4, "acs", "hnb", stream=1)]) == []
    assert one_directional(ASKED[:2]) == []


def test_a_host_that_is_silent_does_not_make_a_capture_one_directional():
    assert one_directional([message("ike.sa_init.request", n, "hnb", "segw", message_id=0) for n in range(6)]) == []
    assert one_directional([message("dns.query", n, "hnb", "dns", stream=2) for n in range(6)]) == []
    assert one_directional([message("ike.auth.request", n, "hnb", "segw", message_id=1 + n) for n in range(3)]) != []
    assert one_directional([message("dns.response", n, "dns", "hnb", stream=2) for n in range(3)]) != []


def attempt(start=10, stop=20):
    return AttemptResult("x-1", "", "X 1", "pass", start * SECOND, stop * SECOND, (), (), None, None, "")


@pytest.mark.parametrize("limit, touches", [
    (Limit("said", 0), True), (Limit("said", 0, 0, 5 * SECOND), False),
    (Limit("said", 0, 15 * SECOND, 90 * SECOND), True),
    (Limit("said", 0, 25 * SECOND), False), (Limit("said", 0, hosts=frozenset({"192.0.2.1", "198.51.100.80"})), True),
    (Limit("said", 0, hosts=frozenset({"192.0.2.2"})), False), (Limit("said", 0, own=False), False)])
def test_a_remark_touches_what_it_is_about(limit, touches):
    seen = Observation((CaptureInfo("a/b.pcap", "", 9, 0, 1),), (), (), (), None, (0,), (limit,))
    assert touching(attempt(), timeline(message("x.a", 12, "hnb", "acs")), seen) == (("said",) if touches else ())


def test_holes_and_sealed_traffic_of_its_time_are_named():
    from literals import sealed
    near = timeline(message("x.a", 12), gaps=[Gap(11 * SECOND, 12 * SECOND, "5 octets"),
                                              Gap(50 * SECOND, 51 * SECOND, "later")],
                    opaque=[sealed(11, 12), sealed(50, 51)])
    assert touching(attempt(), near, Observation((), (), (), (), None, ())) == (
        "5 octets", "9 ESP packets are sealed: what is in them is not known")


def test_of_several_captures_a_remark_names_its_own():
    infos = (CaptureInfo("a.pcap", "", 9, 0, 1), CaptureInfo("x/b.pcap", "", 9, 0, 1))
    seen = Observation(infos, (), (), (), None, (0, 1), (Limit("said", 1),))
    assert touching(attempt(), timeline(message("x.a", 12)), seen) == ("b.pcap: said",)


def test_a_clock_that_steps_back_is_one_remark_and_a_hole(tmp_path):
    made = packets.stamped([*packets.lookup(), *packets.session(manufacturer="Maker", serial="S1")], 100.0)
    for packet in made[6:]:
        packet.time -= 30
    path = packets.write(tmp_path / "a.pcap", made)
    found = observe([path])
    info, = found.captures
    assert [text for text in info.remarks if "clock" in text] == ["the clock of the capture steps back by 29.9 s at frame 7"]
    assert info.grade == "fair" and ["steps back" in gap.reason for gap in found.gaps] == [True]
    result, _ = check([path])
    assert all(any("steps back" in text for text in a.limits) for d in result.devices for a in d.attempts)
