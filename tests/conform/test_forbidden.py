"""What shall not happen, and the facts it depends on: places, conditions in time, sequences, and what cannot be seen."""

import pytest
from literals import SECOND, codes, judged, message, rule, states

from flowcheck.model import Endpoint, Opaque

ROLES = "roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}"
OFF = rule(ROLES + '''
attempt: {opens_at: [a]}
facts:
  - message: x.set
    answered_by: {message: x.done, where: [{field: ok, equals: true}]}
    remember: {switch: {parameters: ["*.Enable"], each: true}}
  - message: x.lost
    forget: switch
steps:
  - {step: a, cite: "1", message: x.a, from: hnb, to: acs}
  - {step: b, cite: "2", message: x.b, from: acs, to: hnb, answers: a, refused_by: {message: x.no}}
  - step: never
    cite: "2"
    message: x.bad
    from: hnb
    forbidden: true
    perhaps_inside: tls
    hint: not now
    when: {equals: [$device.switch, false]}
''')
A = message("x.a", 10, transaction=1)
B = message("x.b", 11, "acs", "hnb", answers=1)


def bad(at, **more):
    return message("x.bad", at, **more)


def switched(at, number, ok=True, **values):
    """A request that sets parameters, and its answer 0.1 s later."""
    named = {f"Device.{name}.Enable": value for name, value in values.items()}
    return [message("x.set", at, "acs", "hnb", transaction=number, ParameterList=named),
            message("x.done", at + 0.1, answers=number, ok=ok)]


def verdict(*messages, **more):
    attempt, = judged(OFF, *messages, **more)
    return attempt.verdict, codes(attempt)


BREACH = ("fail", ["never/forbidden"])
WELL = ("pass", [])


def test_a_breach_is_named_with_its_frame_and_hint():
    attempt, = judged(OFF, *switched(1, 9, One="0"), A, B, bad(20))
    finding, = attempt.findings
    assert (finding.kind, finding.step, finding.frames[0].number, finding.hint,
            finding.side) == ("forbidden", "never", 200, "not now", "device")
    assert states(attempt)["never"] == "seen" and attempt.cause.endswith("never/forbidden")
    assert any(event.kind == "x.bad" and event.step == "never" for event in attempt.events)


@pytest.mark.parametrize("set_at, values, expected", [
    (1, {"One": "0"}, BREACH),
    (1, {"One": "1"}, WELL),
    (15, {"One": "0"}, BREACH),                        # it became known after the attempt, before the message
    (25, {"One": "0"}, WELL),                          # it came too late to forbid anything
])
def test_a_condition_is_asked_when_the_message_begins(set_at, values, expected):
    messages = sorted([*switched(set_at, 9, **values), *switched(0.5, 8, Two="1"), A, B, bad(20)], key=lambda m: m.time)
    # the switch of `Two` stands at 1, so only `One` at 0 makes one of them false
    assert verdict(*messages) == expected


def test_values_are_kept_for_each_parameter_and_changed_by_name():
    off, on = switched(1, 8, One="0"), switched(2, 9, One="1")
    assert verdict(*off, *on, A, B, bad(20)) == WELL
    other = switched(2, 9, Two="1")
    assert verdict(*off, *other, A, B, bad(20)) == BREACH


def test_an_answer_that_refuses_makes_no_fact():
    assert verdict(*switched(0.5, 8, One="1"), *switched(1, 9, ok=False, One="0"), A, B, bad(20)) == WELL


def test_what_is_forgotten_is_unknown_again():
    known, doubt = verdict(*switched(1, 9, One="0"), message("x.lost", 2), A, B, bad(20)), ("inconclusive", [])
    assert known == doubt


def test_a_message_begun_before_the_fact_is_no_breach():
    late = bad(20, frame=5)                            # its first frame precedes those of the switch
    assert verdict(*switched(1, 9, One="0"), A, B, late) == ("inconclusive", [])      # nothing is known at frame 5
    assert verdict(*switched(0.1, 8, One="1"), *switched(1, 9, One="0"), A, B, late) == WELL


def test_unknown_condition_is_inconclusive_only_if_the_message_is_there():
    assert verdict(A, B, bad(20)) == ("inconclusive", [])
    assert verdict(A, B) == WELL


def test_no_duty_after_a_refusal():
    attempt, = judged(OFF, *switched(1, 9, One="0"), A, message("x.no", 11, "acs", "hnb", answers=1), bad(20))
    assert codes(attempt) == ["b/refused"]
    assert states(attempt)["never"] == "not_applicable"


def test_its_place_begins_with_the_step_before_it():
    assert verdict(*switched(1, 9, One="0"), bad(5), A, B) == WELL


def test_sealed_traffic_may_hold_it():
    sealed = Opaque("tls", 15 * SECOND, 18 * SECOND, Endpoint("192.0.2.1", 1), Endpoint("198.51.100.80", 2), size=9)
    found = verdict(*switched(1, 9, One="0"), A, B, message("y", 30), opaque=(sealed,))
    assert found == ("inconclusive", [])
    assert verdict(*switched(1, 9, One="1"), A, B, message("y", 30), opaque=(sealed,)) == WELL


PAIR = rule(ROLES + '''
attempt: {opens_at: [a]}
steps:
  - {step: a, cite: "1", message: x.a, from: hnb, to: acs}
  - group: both
    forbidden: true
    steps:
      - {step: ask, cite: "1", message: x.ask, from: acs, to: hnb}
      - {step: answer, cite: "1", message: x.answer, from: hnb, to: acs, answers: ask, hint: too much}
''')


@pytest.mark.parametrize("answers, expected", [(7, ["answer/forbidden"]), (6, [])])
def test_a_group_is_broken_by_all_its_steps_that_belong_together(answers, expected):
    ask = message("x.ask", 12, "acs", "hnb", transaction=7)
    again = message("x.ask", 13, "acs", "hnb", transaction=8)
    attempt, = judged(PAIR, A, ask, again, message("x.answer", 14, answers=answers))
    assert codes(attempt) == expected


def test_half_a_group_breaks_nothing():
    attempt, = judged(PAIR, A, message("x.ask", 12, "acs", "hnb", transaction=7))
    assert (attempt.verdict, codes(attempt)) == ("pass", [])


SERVED = rule('''
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}, other: {kind: acs, host: $device.other}}
steps:
  - {step: a, cite: "1", message: x.a, from: hnb, to: acs}
  - {step: never, cite: "2", message: x.bad, from: other, to: hnb, forbidden: true}
''')


def test_a_message_of_a_host_that_nobody_knows_is_a_doubt():
    attempt, = judged(SERVED, message("x.a", 10), message("x.bad", 20, "acs", "hnb"))
    assert attempt.verdict == "inconclusive" and codes(attempt) == [] and states(attempt)["never"] == "not_observable"
    attempt, = judged(SERVED, message("x.a", 10))
    assert attempt.verdict == "pass"
