"""What shall not stay away: pauses that are too long, what ends or excuses them, and what the capture cannot show."""

import pytest
from literals import SECOND, codes, judged, message, rule, sealed, states

from flowcheck.model import Gap

DUTY = rule("""
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}, gw: {kind: host, host: 198.51.100.40}}
attempt: {opens_at: [a]}
facts:
  - message: x.set
    remember: {period: {parameters: ["*.Interval"], each: true}, switch: {parameters: ["*.Enable"], each: true}}
steps:
  - {step: a, cite: "1", message: x.a, from: hnb, to: acs}
  - step: again
    cite: "2"
    title: A file in every period
    message: x.file
    from: hnb
    to: gw
    perhaps_inside: tls
    forbidden: true
    silence: {longer_than: $device.period, slack: 10, unless: [{message: x.boot}]}
    when: {equals: [$device.switch, true]}
    hint: look
""")


def configured(**values):
    named = {f"Device.{name.replace('__', '.')}": value for name, value in values.items()}
    return message("x.set", 1, "acs", "hnb", ParameterList=named)


SET = configured(One__Interval="100", One__Enable="1")
A = message("x.a", 10)
NEXT = message("x.other", 12)


def file(at, **more):
    return message("x.file", at, "hnb", "gw", **more)


def alive(at, **more):
    return message("x.other", at, **more)


def found(*messages, **more):
    (attempt,) = judged(DUTY, *messages, **more)
    return attempt.verdict, codes(attempt)


def test_a_message_that_stays_away_is_named_between_the_last_one_and_what_shows_that_the_sender_is_alive():
    (attempt,) = judged(DUTY, SET, A, NEXT, file(50), alive(60), alive(100), alive(171))
    (finding,) = attempt.findings
    assert (attempt.verdict, finding.kind, finding.severity, finding.hint, finding.side) == (
        "fail",
        "missing",
        "error",
        "look",
        "device",
    )
    assert [ref.number for ref in finding.frames] == [500, 1710]
    assert finding.expected == "A file in every period: at least every 100 s" and "for 121 s" in finding.observed
    assert states(attempt)["again"] == "missing"


@pytest.mark.parametrize(
    "messages, expected",
    [
        ((file(50), alive(60), alive(169)), ("pass", [])),  # within the slack
        ((file(50), alive(60), file(140), alive(150), alive(240)), ("pass", [])),
        ((file(50), alive(60), file(300), alive(310)), ("pass", ["again/late"])),  # it came after all
        ((file(50), alive(60), message("x.boot", 150), alive(160), alive(250)), ("pass", [])),
        ((file(50), alive(60)), ("pass", [])),  # nobody knows whether it is alive
        (
            (file(50), alive(60), message("x.other", 900, "acs", "hnb")),
            ("pass", []),
        ),  # the other side is no proof of it
    ],
)
def test_pauses(messages, expected):
    assert found(SET, A, NEXT, *messages) == expected


@pytest.mark.parametrize(
    "values, expected",
    [
        ({"One__Interval": "100", "One__Enable": "0"}, []),
        ({"One__Interval": "100"}, []),  # whether it is on is not known
        ({"One__Enable": "1"}, []),
        ({"One__Interval": "soon", "One__Enable": "1"}, []),
        ({"One__Interval": "0", "One__Enable": "1"}, []),
        ({"One__Interval": "100", "Two__Interval": "900", "One__Enable": "1"}, []),  # the longer one is sure
        ({"One__Interval": "100", "Two__Interval": "90", "One__Enable": "1"}, ["again/missing"]),
    ],
)
def test_without_a_known_period_or_switch_there_is_no_duty(values, expected):
    assert found(configured(**values), A, NEXT, file(50), alive(60), alive(171))[1] == expected


def test_a_period_that_changes_meanwhile_proves_nothing():
    later = message("x.set", 90, "acs", "hnb", ParameterList={"Device.One.Interval": "300"})
    assert found(SET, A, NEXT, file(50), alive(60), later, alive(171)) == ("pass", [])


@pytest.mark.parametrize(
    "more",
    [
        {"gaps": [Gap(80 * SECOND, 81 * SECOND, "lost")]},
        {"opaque": [sealed(80, 90, "tls", "hnb", "gw")]},
    ],
)
def test_what_may_be_out_of_sight_is_not_missing(more):
    assert found(SET, A, NEXT, file(50), alive(60), alive(171), **more) == ("inconclusive", [])


def test_a_tap_that_never_saw_both_hosts_proves_nothing():
    assert found(SET, A, NEXT, alive(60), alive(200)) == ("inconclusive", [])


def test_nor_does_the_life_that_another_tap_saw():
    assert found(SET, A, NEXT, file(50), alive(60), alive(171, capture=1)) == ("inconclusive", [])
    assert found(SET, A, NEXT, file(50), alive(60), alive(171, copies=(file(1).frames[0],), capture=1)) == (
        "fail",
        ["again/missing"],
    )
