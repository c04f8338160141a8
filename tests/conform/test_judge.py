"""Timelines against rules: verdicts, waivers, what procedures leave each other, and the traps of a naive engine."""

import random
from dataclasses import replace
from datetime import date

import pytest
from literals import codes, judged, message, rule, sealed, states, timeline

from flowcheck.conform.judge import in_order, judge
from flowcheck.model import INCONCLUSIVE, PASS, VERDICTS, worst
from flowcheck.rulebook.rule import Waiver
from flowcheck.rulebook.site import load_site

ROLES = '''
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
attempt: {opens_at: [a], quiet: 100}
'''
RULE = rule(ROLES + '''
steps:
  - {step: a, cite: "1", message: x.a, from: hnb, to: acs}
  - {step: b, cite: "2", message: x.b, from: acs, to: hnb, answers: a, refused_by: {message: x.no}}
  - {step: c, cite: "3", message: x.c, from: hnb, to: acs}
''')


def run(start, text, number=1):
    """a, b, n (a refusal) and c, a second apart; b and n answer the a of this run."""
    made = []
    for index, letter in enumerate(text):
        ends = ("hnb", "acs") if letter in "ac" else ("acs", "hnb")
        ties = {"a": {"transaction": number}, "b": {"answers": number}, "n": {"answers": number}}.get(letter, {})
        made.append(message("x.no" if letter == "n" else f"x.{letter}", start + index, *ends, **ties))
    return made


def seen(attempts):
    return [(a.verdict, codes(a)) for a in attempts]


def test_verdicts_combine_to_the_worst():
    assert worst([PASS, INCONCLUSIVE]) == INCONCLUSIVE and worst([]) is None and VERDICTS[0] == PASS


@pytest.mark.parametrize("messages, found", [
    (run(0, "abc"), [("pass", [])]),
    (run(0, "an"), [("fail", ["b/refused"])]),
    (run(0, "an") + run(10, "abc", 2), [("fail", ["b/refused"]), ("pass", [])]),
    (run(0, "abc") + run(10, "abc", 2), [("pass", []), ("pass", [])]),
    (run(0, "ab") + run(500, "abc", 2), [("fail", ["c/stopped"]), ("pass", [])]),
    ([message("x.c", 0, "hnb", "acs2")], []),
])
def test_attempts_and_their_verdicts(messages, found):
    assert seen(judged(RULE, *messages)) == found


def test_unrelated_messages_change_nothing():
    """Other devices' traffic, other kinds and other hosts, in any order and number."""
    chance = random.Random(3)
    for text in ("abc", "an", "ab", "ac"):
        own = run(0, text)
        alone = judged(RULE, *own, begins=-50, ends=5000)
        for _ in range(10):
            ends = [("other", "acs2"), ("hnb", "gw"), ("gw", "hnb")]
            noise = [message(chance.choice(["ntp.request", "x.z", "x.a", "x.c", "dns.query"]), chance.uniform(-20, 40),
                             *chance.choice(ends), stream=chance.randint(5, 9)) for _ in range(chance.randint(1, 12))]
            chance.shuffle(noise)
            with_noise = judged(RULE, *own, *noise, begins=-50, ends=5000)
            assert seen(with_noise) == seen(alone)
            assert [states(a) for a in with_noise] == [states(a) for a in alone]


def test_the_same_timeline_gives_the_same_result():
    messages = run(0, "abc") + run(10, "an", 2)
    assert judged(RULE, *messages) == judged(RULE, *messages)


# ------------------------------------------------------------------------------------------------ false passes

def test_a_capture_that_began_late_is_no_reason_to_skip_what_was_seen():
    """With free leading skips, the first answer and the refusal would be passed over to reach a perfect end."""
    found = judged(RULE, *run(0, "n"), message("x.c", 5, "hnb", "acs"))
    assert all(a.verdict != "pass" for a in found)
    found = judged(RULE, *run(0, "an"), message("x.c", 5, "hnb", "acs"))
    assert found[0].verdict == "fail" and found[0].cause == "x-1/b/refused"


def test_answers_are_not_paired_across_retries():
    """Each try gets the other one's answer: two answers to nothing, and no pass."""
    first, second = run(0, "a", 1)[0], run(300, "a", 2)[0]
    cross = [message("x.b", 1, "acs", "hnb", answers=2), message("x.b", 301, "acs", "hnb", answers=1)]
    ends = [message("x.c", 2, "hnb", "acs"), message("x.c", 302, "hnb", "acs")]
    assert all(a.verdict == "fail" for a in judged(RULE, first, second, *cross, *ends))


def test_a_later_success_does_not_heal_an_earlier_refusal():
    found = judged(RULE, *run(0, "an"), *run(3, "bc", 1))
    assert found[0].verdict == "fail" and found[0].cause == "x-1/b/refused"


def test_shuffled_messages_do_not_pass():
    chance = random.Random(9)
    messages = []
    for at in range(300):
        kind = chance.choice("abc")
        ties = {"answers": 5000 + at} if kind == "b" else {"transaction": at}
        messages.append(message(f"x.{kind}", at, *(("acs", "hnb") if kind == "b" else ("hnb", "acs")), **ties))
    assert not any(a.verdict == "pass" for a in judged(RULE, *messages))


# ------------------------------------------------------------------------------------------------ the rest

def test_an_expected_procedure_that_is_absent():
    other = message("x.z", 0, "hnb", "acs")
    attempt, = judged(RULE, other, expected=["x-1"])
    assert (attempt.verdict, attempt.cause) == ("fail", "x-1/a/not-started")
    assert "did not begin 1 (T) in this capture, though it was expected." in attempt.diagnosis
    attempt, = judged(RULE, other, expected=["x-1"], opaque=[sealed(0, 9)])
    assert attempt.verdict == "inconclusive" and not attempt.findings
    assert judged(RULE, other) == ()


def test_waivers_until_their_last_day():
    messages = timeline(*run(0, "an"))
    site = replace(load_site(), waivers=(Waiver("x-1/b/*", "known to the vendor", "2026-06-30"),))
    attempt, = judge([RULE], site, messages, today=date(2026, 6, 30))
    assert attempt.verdict == "pass" and attempt.findings[0].waived == "known to the vendor" and attempt.cause is None
    attempt, = judge([RULE], site, messages, today=date(2026, 7, 1))
    assert attempt.verdict == "fail" and not attempt.findings[0].waived


GIVES = rule(ROLES + '''
steps: [{step: a, cite: "1", message: x.a, from: hnb, to: acs, remember: {gw: {field: gateway}}}]
''', "z-gives")
TAKES = rule('''
roles: {hnb: {kind: device}, gw: {kind: host, host: $device.gw}}
attempt: {opens_at: [g]}
steps: [{step: g, cite: "1", message: x.g, from: hnb, to: gw}]
''', "b-takes")


def test_what_one_procedure_leaves_the_next_finds():
    assert [r.procedure for r in in_order([TAKES, GIVES])] == ["z-gives", "b-takes"]
    first = message("x.a", 0, "hnb", "acs", gateway="198.51.100.40")
    found = judged([TAKES, GIVES], first, message("x.g", 5, "hnb", "gw"))
    assert [(a.procedure, a.verdict) for a in found] == [("z-gives", "pass"), ("b-takes", "pass")]
    assert [a.procedure for a in judged([TAKES, GIVES], first, message("x.g", 5, "hnb", "acs2"))] == ["z-gives"]


def test_a_circle_of_references_still_has_an_order():
    one = rule(ROLES.replace("198.51.100.80", "$device.q") + '''
steps: [{step: a, cite: "1", message: x.a, from: hnb, remember: {p: {field: f}}}]''', "c-one")
    two = rule(ROLES.replace("198.51.100.80", "$device.p") + '''
steps: [{step: a, cite: "1", message: x.a, from: hnb, remember: {q: {field: f}}}]''', "c-two")
    assert {r.procedure for r in in_order([one, two])} == {"c-one", "c-two"}


def test_an_inconclusive_attempt_says_what_would_decide_it():
    attempt, = judged(RULE, *run(0, "ab"), ends=20)
    assert attempt.verdict == "inconclusive" and any("capture run on" in text for text in attempt.advice)
    assert attempt.cause is None and "inconclusive" in attempt.diagnosis


def test_every_message_of_the_attempt_is_an_event_with_its_step():
    attempt, = judged(RULE, *run(0, "an"))
    assert [(e.kind, e.step, e.src, e.dst) for e in attempt.events] == [
        ("x.a", "a", "hnb", "acs"), ("x.no", "b", "acs", "hnb")]
    assert attempt.events[1].finding == "x-1/b/refused" and dict(attempt.roles)["acs"] == "198.51.100.80"
