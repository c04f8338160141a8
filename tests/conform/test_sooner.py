"""How long ago a remembered moment was, against seconds that the device was told."""

import pytest
from literals import codes, judged, message, rule

DUTY = rule("""
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
attempt: {opens_at: [a]}
facts:
  - message: x.set
    remember: {wait: {parameters: ["*.Throttle"], each: true}}
  - message: x.end
    where: [{field: complete, equals: true}]
    remember: {over: {time: true}}
steps:
  - step: early
    cite: "1"
    message: x.a
    from: hnb
    to: acs
    forbidden: true
    severity: warning
    when: {sooner: [$device.over, $device.wait]}
  - {step: a, cite: "1", message: x.a, from: hnb, to: acs}
""")
BREACH, WELL = ("pass", ["early/forbidden"]), ("pass", [])


def told(seconds, at=1, name="Throttle"):
    return message("x.set", at, "acs", "hnb", ParameterList={f"Device.{name}": seconds})


def ended(at, complete=True):
    return message("x.end", at, complete=complete)


@pytest.mark.parametrize(
    "messages, expected",
    [
        ((told("60"), ended(10)), BREACH),
        ((told("60"), ended(10), ended(30)), BREACH),
        ((told("31"), ended(10)), WELL),  # a second is not judged
        ((told("20"), ended(10)), WELL),
        ((told("60"), ended(10, complete=False)), WELL),
        ((told("60"),), WELL),
        ((ended(10),), WELL),
        ((told("often"), ended(10)), WELL),
        ((told("0"), ended(10)), WELL),
        ((told("60"), told("5", 2), ended(10)), WELL),
        ((told("60", name="One.Throttle"), told("5", 2, "Two.Throttle"), ended(10)), WELL),  # the shorter one is sure
        ((told("60"), ended(45)), WELL),  # of a session that ends later
    ],
)
def test_moments(messages, expected):
    (attempt,) = judged(DUTY, *messages, message("x.a", 40))
    assert (attempt.verdict, codes(attempt)) == expected
