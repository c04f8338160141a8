"""An entry that a message reports, and what the rows of a remembered table say of its kind."""

import pytest
from literals import codes, judged, message, rule

DUTY = rule("""
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
attempt: {opens_at: [a]}
facts:
  - message: x.set
    remember: {table: {parameters: ["*.Kind.*"], each: true}}
steps:
  - step: silenced
    cite: "1"
    message: x.a
    from: hnb
    to: acs
    forbidden: true
    when: {row: {parameters: ["*.Event.*"], table: $device.table, by: [Type, Cause], column: How, in: [Logged], since: Time}}
  - {step: a, cite: "1", message: x.a, from: hnb, to: acs}
""")
QUIET = {"1.Type": "Link", "1.Cause": "Cut", "1.How": "Logged"}
CUT = {"3.Type": "Link", "3.Cause": "Cut", "3.Time": "1970-01-01T00:01:30Z"}
BREACH, WELL = ["silenced/forbidden"], []


def table(at=10, **values):
    return message("x.set", at, "acs", "hnb", ParameterList={f"D.Kind.{name}": value for name, value in values.items()})


def reported(event, at=100):
    return message("x.a", at, ParameterList={f"D.Event.{name}": value for name, value in event.items()})


@pytest.mark.parametrize(
    "rows, event, expected",
    [
        (QUIET, CUT, BREACH),
        ({}, CUT, WELL),
        (QUIET, {**CUT, "3.Cause": "Slow"}, WELL),
        ({**QUIET, "1.Cause": ""}, CUT, BREACH),  # about every cause
        ({**QUIET, "1.Cause": "*"}, {**CUT, "3.Cause": "Slow"}, BREACH),
        ({**QUIET, "1.How": "Expedited"}, CUT, WELL),
        ({**QUIET, "2.Type": "Link", "2.Cause": "*", "2.How": "Expedited"}, CUT, WELL),  # two rows that do not agree
        ({**QUIET, "2.Type": "Heat", "2.Cause": "*", "2.How": "Expedited"}, CUT, BREACH),
        ({**QUIET, "2.Type": "Link", "2.How": "Expedited"}, CUT, WELL),  # a row that may be about it
        ({"1.Type": "Link", "1.How": "Logged"}, CUT, WELL),
        ({"1.Type": "Link", "1.Cause": "Cut"}, CUT, WELL),
        (QUIET, {"3.Type": "Link", "3.Time": CUT["3.Time"]}, WELL),
        (QUIET, {"3.Type": "Link", "3.Cause": "Cut"}, WELL),  # when it happened is not said
        (QUIET, {**CUT, "3.Time": "1970-01-01T00:00:05Z"}, WELL),  # before the table was known
        (QUIET, {**CUT, "4.Type": "Heat", "4.Cause": "Fan", "4.Time": CUT["3.Time"]}, BREACH),
    ],
)
def test_entries_and_rows(rows, event, expected):
    (attempt,) = judged(DUTY, table(**rows), reported(event))
    assert codes(attempt) == expected


def test_what_is_set_later_counts_from_then_on():
    event = reported(CUT)
    assert codes(judged(DUTY, table(**QUIET), table(50, **{"1.How": "Expedited"}), event)[0]) == WELL
    assert codes(judged(DUTY, table(**QUIET), table(50, **{"1.How": "Logged"}), event)[0]) == BREACH
    assert (
        codes(judged(DUTY, table(**{**QUIET, "1.How": "Expedited"}), table(95, **{"1.How": "Logged"}), event)[0])
        == WELL
    )
