"""What one tap saw leave and another never saw arrive."""

import pytest
from literals import SECOND, codes, judged, message, rule

from flowcheck.model import FrameRef, Gap
from flowcheck.session.losses import Loss, between
from flowcheck.session.timeline import timelines

A, B = (0, False), (1, False)
MS = SECOND // 1000


def at(tap, kind, seconds, src="hnb", dst="dns", **more):
    return message(kind, seconds, src, dst, capture=tap, frame=round(seconds * 10), **more)


def both(seconds, src="hnb", dst="dns", nearer=0, shift=0.0, **more):
    """Seen by both taps, by `nearer` a millisecond earlier; the clock of tap 1 is ahead by `shift`."""
    return {(tap, False): at(tap, "x.m", seconds + (0 if tap == nearer else 0.001) + shift * tap, src, dst, **more)
            for tap in (0, 1)}


def round_trips(count=3, shift=0.0):
    """Tap 0 is nearer to the device."""
    return [views for n in range(count) for views in (both(n, shift=shift),
                                                      both(n + 0.1, "dns", "hnb", 1, shift=shift))]


ALONE = {A: at(0, "x.m", 5)}
WIDE = {0: (-SECOND, 60 * SECOND), 1: (-SECOND, 60 * SECOND)}


@pytest.mark.parametrize("shift", [0.0, 7.0, -7.0])
def test_a_message_that_left_and_never_came_by_is_lost(shift):
    assert between([*round_trips(shift=shift), ALONE], (), (0, 1), WIDE) == [Loss(FrameRef(0, 50), 0, 1)]


@pytest.mark.parametrize("sightings, gaps, windows", [
    ([ALONE], (), WIDE),                                                        # the other tap never saw these hosts
    ([*round_trips(1), ALONE], (), WIDE),                                       # too little to know which is nearer
    ([*round_trips(), ALONE], (), {0: WIDE[0], 1: (-SECOND, 5 * SECOND)}),      # it ended too early
    ([*round_trips(), ALONE], (), {0: WIDE[0], 1: (6 * SECOND, 60 * SECOND)}),  # it began too late
    ([*round_trips(), ALONE], (Gap(4 * SECOND, 6 * SECOND, "x", capture=1),), WIDE),
    ([*round_trips(), ALONE], (Gap(4 * SECOND, 6 * SECOND, "x", stream=1 << 32 | 7),), WIDE),
    ([*round_trips(), ALONE], (Gap(4 * SECOND, 6 * SECOND, "x"),), WIDE),
    # seen by the farther tap: the nearer one missed it
    ([*round_trips(), {B: at(1, "x.m", 5)}], (), WIDE),
    ([*round_trips(), {A: at(0, "x.m", 5, "hnb", "acs")}], (), WIDE),           # other hosts
    ([*round_trips(), {(0, True): at(0, "x.m", 5)}], (), WIDE),                 # inside the tunnel of that tap
    ([*round_trips(), ALONE], (), {0: WIDE[0]}),
])
def test_no_loss_is_claimed_where_the_other_tap_may_not_have_shown_it(sightings, gaps, windows):
    assert between(sightings, gaps, (0, 1), windows) == []


def test_a_hole_of_the_tap_that_saw_it_does_not_matter():
    assert between([*round_trips(), ALONE], (Gap(4 * SECOND, 6 * SECOND, "x", capture=0),), (0, 1), WIDE)


ASK = rule('''
attempt: {opens_at: [a]}
roles: {hnb: {kind: device, title: HNB}, dns: {kind: host, title: DNS, host: 198.51.100.53}}
steps:
  - {step: a, cite: "1", message: dns.query, from: hnb, to: dns, where: [{field: qname, equals: a.example}]}
  - {step: b, cite: "2", message: dns.response, from: dns, to: hnb, answers: a, within: {after: a, seconds: 5}, side: network}
''')


def lookup(number, seconds, qname="b.example", taps=(0, 1), answer=True):
    query = [at(tap, "dns.query", seconds + tap * 0.001, id=number, qname=qname, stream=tap << 32 | number)
             for tap in taps]
    reply = [at(tap, "dns.response", seconds + 0.1 - tap * 0.001, "dns", "hnb", id=number, qname=qname, rcode="NOERROR",
                stream=tap << 32 | number)
             for tap in (0, 1) if answer]
    return query + reply


def verdict_of(*messages):
    from flowcheck.rulebook.site import load_site
    found = timelines(sorted(messages, key=lambda m: m.time), (), (), (0, 100 * SECOND), (0, 1), windows=WIDE)
    device, = [t for t in found if "192.0.2.1" in t.device.addresses or t.device.id == "unknown"][:1]
    from dataclasses import replace

    from flowcheck.conform.judge import judge
    from literals import HNB
    attempt, = judge([ASK], load_site(), replace(device, device=HNB, taps={0: "near.pcap", 1: "far.pcap"}))
    return attempt


def test_an_unanswered_request_that_was_lost_on_the_way_is_the_paths():
    lost = [*lookup(9, 3, "a.example", taps=(0,), answer=False)]
    attempt = verdict_of(*[m for n in range(3) for m in lookup(n, n)], *lost, *lookup(5, 20))
    finding, = attempt.findings
    assert codes(attempt) == ["b/no-answer"] and finding.side == "path"
    assert "came by near.pcap in frame 30 and never by far.pcap" in finding.why and "Side: path" in attempt.diagnosis


def test_one_that_both_taps_saw_is_the_servers():
    seen = lookup(9, 3, "a.example", answer=False)
    finding, = verdict_of(*[m for n in range(3) for m in lookup(n, n)], *seen, *lookup(5, 20)).findings
    assert finding.side == "network"


def test_what_was_answered_arrived():
    attempt = verdict_of(*[m for n in range(3) for m in lookup(n, n)], *lookup(9, 3, "a.example", taps=(0,)),
                         *lookup(5, 20))
    assert attempt.verdict == "pass" and judged(ASK, *lookup(1, 3, "a.example", taps=(0,)))[0].verdict == "pass"
