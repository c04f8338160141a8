"""Requests without end: the search looks at a number of states that grows with the messages, and reads them rightly."""

import pytest
from literals import codes, judged, message, rule

from flowcheck.conform import align
from flowcheck.conform.automaton import automaton

RULE = rule('''
attempt: {opens_at: [ask], quiet: 100000}
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
steps:
  - group: rounds
    repeat: {max: 5}
    steps:
      - {step: ask, cite: "1", message: x.ask, from: hnb, to: acs}
      - {step: answer, cite: "2", message: x.answer, from: acs, to: hnb, answers: ask,
         refused_by: [{message: x.no}, {message: tcp.fin}, {message: icmp.unreachable}]}
  - {step: done, cite: "3", message: x.done, from: hnb, to: acs}
''')


def asked(number, one_connection=False):
    return message("x.ask", number, transaction=number + 1, stream=1 if one_connection else number, exchange=number)


def answered(number, at, kind="x.answer", **more):
    return message(kind, at, "acs", "hnb", answers=number + 1, stream=number, exchange=number, **more)


def states_seen(monkeypatch, messages):
    automaton.cache_clear()                        # and with it the readings that were found before
    seen = []
    following = align._Search.following
    with monkeypatch.context() as patch:
        patch.setattr(align._Search, "following", lambda self, node: seen.append(node) or following(self, node))
        attempt, = judged(RULE, *messages)
    return len(seen), attempt


def every_third_answered(count):
    return [m for n in range(count) for m in (asked(n), *([answered(n, n + .5)] if n % 3 == 2 else ()))]


@pytest.mark.parametrize("flood", [
    lambda count: [asked(n) for n in range(count)],
    lambda count: [asked(n, one_connection=True) for n in range(count)],
    lambda count: [*(asked(n, one_connection=True) for n in range(count)), message("tcp.fin", count, "acs", "hnb", stream=1)],
    lambda count: [*(asked(n) for n in range(count)), answered(0, count)],
    lambda count: [*(asked(n) for n in range(count)), answered(count - 1, count)],
    lambda count: [m for n in range(count) for m in (asked(n), message("x.other", n + .5, "acs", "hnb", stream=n))],
    every_third_answered,
], ids=["alone", "one connection", "closed", "first answered", "last answered", "something else comes", "some answered"])
def test_states_grow_with_the_messages(flood, monkeypatch):
    few, _ = states_seen(monkeypatch, flood(30))
    many, attempt = states_seen(monkeypatch, flood(120))
    assert 0 < many < 5 * few and many < 120 * 30
    assert attempt.verdict == "fail"


def test_the_reading_is_that_of_few():
    assert codes(judged(RULE, *(asked(n) for n in range(120)))[0]) == ["answer/no-answer"]
    good = [asked(0), answered(0, .5), *(asked(n) for n in range(1, 120)), answered(119, 119.5), message("x.done", 121)]
    attempt, = judged(RULE, *good)
    assert attempt.verdict == judged(RULE, *good[:3], *good[-3:])[0].verdict
    assert codes(attempt) == codes(judged(RULE, *good[:3], *good[-3:])[0])


@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_refusal_among_many_is_read_as_among_few(place):
    def read(count):
        number = range(count)[place]
        return codes(judged(RULE, *(asked(n) for n in range(count)), answered(number, count + 1, "x.no", code=7))[0])

    assert read(120) == read(4) and (place or read(4) == ["answer/refused:7"])


def test_a_host_that_is_told_to_be_away_is_told_apart():
    others = [message("x.ask", n, transaction=n + 1, stream=n) for n in range(60)]
    away = message("icmp.unreachable", 61, "gw", "hnb", stream=999, quoted_dst="198.51.100.80", code="host")
    attempt, = judged(RULE, *others, away)
    assert attempt.cause.startswith("x-1/answer/refused")


def test_what_is_too_much_to_be_read_is_no_verdict(monkeypatch):
    """Requests that are all answered much later are all different: the search gives up in time, and says so."""
    monkeypatch.setattr(align, "MAX_STATES", 500)
    monkeypatch.setattr(align, "STATES_PER_MESSAGE", 10)
    late = [*(asked(n) for n in range(60)), *(answered(n, 100 + n) for n in range(60))]
    seen, attempt = states_seen(monkeypatch, late)
    assert seen <= 500 + 120 * 10
    assert any("too many messages" in one for one in attempt.advice)
