"""What another tap recorded out of its place is no deviation where nothing compares the two clocks."""

import pytest
from literals import codes, judged, message, rule, states

from flowcheck.model import FrameRef

OF = rule('''
attempt: {opens_at: [a]}
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}, gw: {kind: host, host: 198.51.100.40}}
steps:
  - {step: a, cite: "1", message: x.a, from: hnb, to: acs}
  - {step: ask, cite: "2", message: y.ask, from: acs, to: gw}
  - {step: told, cite: "3", message: y.told, from: gw, to: acs, answers: ask}
  - {step: b, cite: "4", message: x.b, from: acs, to: hnb}
''')
A, B = message("x.a", 100, "hnb", "acs"), message("x.b", 101, "acs", "hnb")
def asked(at, tap=1):
    return [message("y.ask", at, "acs", "gw", capture=tap, transaction=1),
            message("y.told", at + 0.1, "gw", "acs", capture=tap, answers=1)]


def common(at):
    return message("z.other", at, "hnb", "acs", copies=(FrameRef(1, round(at * 10)),))


@pytest.mark.parametrize("messages, verdict, found", [
    (asked(100.5), "pass", []),
    (asked(103), "inconclusive", []),
    (asked(103, tap=0), "fail", ["b/stopped"]),                                # one tap: its order is certain
    ([*asked(103), common(99), common(110)], "fail", ["b/stopped"]),           # both clocks were compared around it
    ([*asked(103), common(110)], "inconclusive", []),                                 # afterwards alone
    (asked(300), "fail", ["b/stopped"]),                                       # no clock: another event
    ([], "fail", ["ask/missing"]),
])
def test_a_message_out_of_its_place(messages, verdict, found):
    attempt, = judged(OF, A, B, *messages)
    assert (attempt.verdict, codes(attempt)[:1]) == (verdict, found)
    if verdict == "inconclusive":
        assert "not_observable" in states(attempt).values()
        assert "--clock" in " ".join(attempt.advice)
