"""How old what a message reports is."""

import pytest
from literals import codes, judged, message, rule

from flowcheck.conform.ages import age

NOON = 43200.0                                    # the message's time: noon of 1970-01-01


@pytest.mark.parametrize("times, current, expected", [
    (["1970-01-01T11:59:30Z"], None, 30),
    (["1970-01-01T11:59:30Z", "1970-01-01T11:00:00Z"], None, 30),                 # the newest counts
    (["1970-01-01T09:59:30Z"], "1970-01-01T10:00:00Z", 30),                       # the sender's clock is slow
    (["1970-01-01T14:59:30+03:00"], None, 30),
    (["1970-01-01T11:59:30"], "1970-01-01T12:00:00", 30),                         # no zone, in either
    (["1970-01-01T11:59:30Z"], "no time", 30),
    (["0001-01-01T00:00:00Z"], None, None),                                       # TR-069's unknown time
    (["yesterday"], None, None),
    ([], None, None),
])
def test_age(times, current, expected):
    inform = message("cwmp.Inform", NOON, **({"CurrentTime": current} if current else {}))
    assert age(times, inform) == expected


RULE = rule('''
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
attempt: {opens_at: [a]}
steps:
  - step: a
    cite: "1"
    message: cwmp.Inform
    from: hnb
    to: acs
    expect: [{parameters: ["*.EventTime"], no_older_than: 60, severity: warning}]
''')


@pytest.mark.parametrize("at, expected", [("11:59:00", []), ("11:58:59", ["a/field-wrong:*.EventTime"]), ("never", [])])
def test_a_late_report_is_a_finding(at, expected):
    attempt, = judged(RULE, message("cwmp.Inform", NOON, ParameterList={"Device.EventTime": f"1970-01-01T{at}Z"}))
    assert codes(attempt) == expected and attempt.verdict == "pass"
