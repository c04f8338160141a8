"""What comes after what, and what a later message says of a step that was not seen."""

from dataclasses import replace

import pytest
from literals import HNB, judged, message, rule, states, timeline

from flowcheck.conform.judge import judge
from flowcheck.conform.order import followers
from flowcheck.rulebook.site import load_site

OF = rule("""
attempt: {opens_at: [a]}
steps:
  - {step: a, cite: "1", message: x.a, from: hnb, to: acs}
  - group: either
    order: one_of
    steps: [{step: b, cite: "2", message: x.b}, {step: c, cite: "2", message: x.c}]
  - group: unordered
    order: any
    steps: [{step: d, cite: "3", message: x.d}, {step: e, cite: "3", message: x.e}]
  - group: rounds
    repeat: {max: 3}
    steps: [{step: f, cite: "4", message: x.f}, {step: g, cite: "4", message: x.g, optional: true}]
  - {step: h, cite: "5", message: x.h, severity: warning}
  - {step: i, cite: "6", message: x.i}
""")


def test_followers():
    after = {name: "".join(sorted(steps)) for name, steps in followers(OF).items()}
    assert after == {"a": "defi", "b": "defi", "c": "defi", "d": "fi", "e": "fi", "f": "i", "h": "i", "i": ""}


CHAIN = rule("""
roles: {hnb: {kind: device}, acs: {kind: host, host: 198.51.100.80}}
attempt: {opens_at: [first]}
steps:
  - {step: first, cite: "1", message: json.request, from: hnb, to: acs, where: [{field: path, equals: /1}]}
  - {step: second, cite: "2", message: json.request, from: hnb, to: acs, where: [{field: path, equals: /2}]}
  - {step: third, cite: "3", message: json.request, from: hnb, to: acs, where: [{field: path, equals: /3}]}
""")


def connection(number, at, ends=True, begins=True, capture=0):
    """One request on a TCP connection of its own, captured with its beginning and its end or without."""
    of = {"stream": number, "capture": capture}
    begin = [message("tcp.syn", at, **of), message("tcp.syn_ack", at + .1, "acs", "hnb", **of)]
    end = [message("tcp.fin", at + .3, **of), message("tcp.fin", at + .4, "acs", "hnb", **of)]
    return [*(begin if begins else ()), message("json.request", at + .2, path=f"/{number}", **of),
            *(end if ends else ())]


@pytest.mark.parametrize("messages, verdict", [
    ([*connection(1, 0), *connection(3, 2)], "fail"),                     # 2 is not there, and 3 came all the same
    ([*connection(1, 0)], "inconclusive"),                                # the rest may still come
    # something is missing around its place
    ([*connection(1, 0, ends=False), *connection(3, 2)], "inconclusive"),
    ([*connection(1, 0), *connection(3, 2, begins=False)], "inconclusive"),
    ([*connection(1, 0), *connection(2, 1), *connection(3, 2)], "pass"),
])
def test_a_later_message_shows_that_one_is_missing(messages, verdict):
    attempt, = judged(CHAIN, *messages, ends=10)
    assert attempt.verdict == verdict
    assert (states(attempt)["second"] == "missing") is (verdict == "fail")


def test_not_where_a_connection_of_the_same_hosts_is_torn():
    line = timeline(*connection(1, 0), *connection(3, 2), ends=10)
    ends = {(m.src.address, m.dst.address) for m in line.messages if m.kind == "tcp.syn"}
    torn = replace(line, torn=frozenset(map(frozenset, ends)))
    assert [a.verdict for a in judge([CHAIN], load_site(), torn)] == ["inconclusive"] and line.device is HNB
