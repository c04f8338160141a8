"""A timeline cut into attempts. Cutting comes first, so that two failures are never read as one success."""

import random
from dataclasses import replace

import pytest
from literals import codes, judged, matcher, message, rule, states, timeline

from flowcheck.conform import attempts as cutting

RULE = rule('''
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
attempt: {opens_at: [init], resumes_at: [inform], quiet: 100, key: spi_i, unless: [{message: x.other}],
          requires: [{message: cwmp.SetParameterValues}]}
steps:
  - {step: init, cite: "1", message: ike.sa_init.request, from: hnb}
  - {step: inform, cite: "2", message: cwmp.Inform, from: hnb, to: acs}
  - {step: accept, cite: "3", message: cwmp.InformResponse, from: acs, to: hnb, answers: inform,
     refused_by: {message: cwmp.Fault}}
  - {step: set, cite: "4", message: cwmp.SetParameterValues, from: acs, to: hnb}
  - {step: done, cite: "5", message: cwmp.SetParameterValuesResponse, from: hnb, to: acs, answers: set}
''')
KINDS = {"i": ("ike.sa_init.request", 1), "n": ("cwmp.Inform", 1), "a": ("cwmp.InformResponse", 0),
         "s": ("cwmp.SetParameterValues", 0), "r": ("cwmp.SetParameterValuesResponse", 1), "f": ("cwmp.Fault", 0),
         "o": ("x.other", 1), "z": ("ntp.request", 1)}
ANSWERS = {"a": "n", "f": "n", "r": "s"}


def run(text, start=0.0, spi=None):
    """Messages a second apart; answers tied to the last request; capitals are of no kind that matters."""
    made, last = [], {}
    for index, letter in enumerate(text):
        if letter == " ":
            continue
        kind, up = KINDS[letter]
        number = id(text) % 1000 * 1000 + len(made)
        ends = ("hnb", "acs") if up else ("acs", "hnb")
        ties = {"answers": last.get(ANSWERS[letter])} if letter in ANSWERS else {"transaction": number}
        fields = {"spi_i": spi} if letter == "i" and spi else {}
        made.append(message(kind, start + index, *ends, stream=round(start) + 1, **ties, **fields))
        last[letter] = number
    return made


def cut(*messages, **more):
    line = timeline(*messages, **more)
    return cutting.attempts(RULE, line, matcher(RULE, known={"acs": "acs"}))


def lengths(found):
    return [len(attempt.messages) for attempt in found]


@pytest.mark.parametrize("messages, expected", [
    (run("inasr"), [5]),
    (run("inasr") + run("inasr", 20), [5, 5]),                          # a complete one is closed by the next
    (run("inaf") + run("inasr", 20), [4, 5]),                           # so is one that was refused
    (run("ina", spi="1") + run("inasr", 20, spi="2"), [3, 5]),          # and one whose key is another
    (run("ii") + run("nasr", 3), [6]),                                  # a retry within an attempt is part of it
    (run("in") + run("inasr", 200), [2, 5]),                            # silence ends an attempt
    (run("zzz"), []),
    (run("izzn"), [2]),
])
def test_where_attempts_begin_and_end(messages, expected):
    assert lengths(cut(*messages)) == expected


def test_a_session_that_was_broken_off_is_resumed_and_carries_over():
    broken = message("cwmp.session_end", 4, "hnb", "acs", stream=1, complete=False, reason="reset", by="device")
    first, second = cut(*run("ina"), broken, *run("nasr", 20))
    assert first.gave_up == "the device began anew" or first.gave_up == "reset"
    assert second.carried == {"init"} and second.midway


def test_nothing_is_carried_over_a_tunnel_that_was_deleted():
    deleted = message("ike.informational.request", 5, "hnb", "acs", stream=1, deletes=[{"protocol": "IKE", "spis": []}])
    of = rule('''
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
attempt: {opens_at: [init], resumes_at: [inform]}
steps:
  - {step: init, cite: "1", message: ike.sa_init.request, from: hnb}
  - {step: inform, cite: "2", message: cwmp.Inform, from: hnb, to: acs}
  - {step: accept, cite: "3", message: cwmp.InformResponse, from: acs, to: hnb, answers: inform}
  - {step: end, cite: "4", message: ike.informational.request, optional: true}
  - {step: last, cite: "5", message: x.last}
''')
    found = cutting.attempts(of, timeline(*run("ina"), deleted, *run("na", 20)), matcher(of, known={"acs": "acs"}))
    assert [a.carried for a in found] == [frozenset(), frozenset()]


def test_another_procedure_is_no_attempt_unless_this_one_is_proved():
    assert not cut(*run("ion"))
    assert lengths(cut(*run("ionasr"))) == [5]


def test_what_happens_later_never_changes_a_closed_attempt():
    chance = random.Random(5)
    for _ in range(60):
        closed = run("".join(chance.choice(["inasr", "inaf", "inf"])))
        later = run("".join(chance.choice("inasrfz") for _ in range(8)), 300)
        alone, = judged(RULE, *closed, begins=-10, ends=5000)
        first = judged(RULE, *closed, *later, begins=-10, ends=5000)[0]
        assert (first.verdict, codes(first), states(first)) == (alone.verdict, codes(alone), states(alone))


def test_two_failed_attempts_are_not_stitched_into_a_pass():
    """The first gets no answer to its setting, the second never gets a setting but shows a stray answer."""
    first = run("inas", spi="1")
    second = run("ina", 20, spi="2")
    stray = message("cwmp.SetParameterValuesResponse", 24, "hnb", "acs", answers=first[-1].transaction, stream=21)
    found = judged(RULE, *first, *second, stray)
    assert [a.verdict for a in found] == ["fail", "fail"]
    assert [codes(a) for a in found] == [["done/no-answer"], ["set/stopped"]]


ANSWERED = rule('''
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
attempt: {opens_at: [set]}
steps:
  - {step: set, cite: "1", message: cwmp.SetParameterValues, from: acs, to: hnb, when: {expected: x-1}}
  - {step: done, cite: "2", message: cwmp.SetParameterValuesResponse, from: hnb, to: acs, answers: set, where: [{field: Status, equals: 0}]}
''')


@pytest.mark.parametrize("expected, with_request, found", [((), True, 0), ((), False, 0), (("x-1",), False, 1),
                                                           (("x-1",), True, 1)])
def test_an_answer_alone_is_no_attempt_of_what_does_not_apply(expected, with_request, found):
    request = message("cwmp.SetParameterValues", 1, "acs", "hnb", transaction=5)
    answer = message("cwmp.SetParameterValuesResponse", 2, answers=5, Status=0)
    assert len(judged(ANSWERED, *[request][:with_request], answer, expected=expected)) == found


def test_the_first_message_of_a_capture_that_began_late_opens_an_attempt():
    found, = cut(*run("asr", 5))
    assert found.midway and found.opened_by == "accept"
    assert not cut(message("x.other", 0), *run("z", 5))


def test_a_second_attempt_does_not_need_again_what_the_first_one_did():
    """The tunnel stands; the HNB informs its ACS once more after a fault, as a new attempt."""
    of = rule('''
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
attempt: {opens_at: [init, inform]}
steps:
  - {step: init, cite: "1", message: ike.sa_init.request, from: hnb}
  - {step: inform, cite: "2", message: cwmp.Inform, from: hnb, to: acs}
  - {step: accept, cite: "3", message: cwmp.InformResponse, from: acs, to: hnb, answers: inform, refused_by: [{message: cwmp.Fault}]}
''')
    refused = [message("cwmp.Inform", 1, transaction=1), message("cwmp.Fault", 2, "acs", "hnb", answers=1)]
    again = [message("cwmp.Inform", 11, transaction=2), message("cwmp.InformResponse", 12, "acs", "hnb", answers=2)]
    begun = message("ike.sa_init.request", 0)
    assert [a.verdict for a in judged(of, begun, *refused, *again, ends=20)] == ["fail", "pass"]
    # its tunnel is older
    assert [a.verdict for a in judged(of, *refused, *again, begins=0, ends=20)] == ["fail", "inconclusive"]


ANOTHER = rule('''
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
attempt: {opens_at: [init], quiet: 100, unless_last: [accept], requires: [{message: cwmp.SetParameterValues}]}
steps:
  - {step: init, cite: "1", message: ike.sa_init.request, from: hnb}
  - {step: inform, cite: "2", message: cwmp.Inform, from: hnb, to: acs}
  - {step: accept, cite: "3", message: cwmp.InformResponse, from: acs, to: hnb, answers: inform,
     refused_by: {message: cwmp.Fault, from: acs}}
  - {step: set, cite: "4", message: cwmp.SetParameterValues, from: acs, to: hnb}
  - {step: done, cite: "5", message: cwmp.SetParameterValuesResponse, from: hnb, to: acs, answers: set}
''')


@pytest.mark.parametrize("messages, expected", [
    (run("ina"), []),                                     # it got no further than what anything begins with
    (run("in"), [2]),                                     # it did not get so far
    (run("inasr"), [5]),
    (run("ina") + run("inasr", 20), [5]),                 # one of something else, then one of this
    (run("ina") + run("in", 20), [2]),
])
def test_what_gets_no_further_than_a_step_that_others_share_is_no_try(messages, expected):
    assert lengths(cutting.attempts(ANOTHER, timeline(*messages), matcher(ANOTHER, known={"acs": "acs"}))) == expected


def test_the_end_of_a_session_of_an_earlier_attempt_ends_nothing_now():
    """A device that lost its tunnel in a session begins anew, and its next Inform ends the old session."""
    broken = rule('''
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
attempt: {opens_at: [init], resumes_at: [inform], key: spi_i}
steps:
  - {step: init, cite: "1", message: ike.sa_init.request, from: hnb}
  - {step: inform, cite: "2", message: cwmp.Inform, from: hnb, to: acs}
  - {step: set, cite: "3", message: cwmp.SetParameterValues, from: acs, to: hnb,
     refused_by: {message: cwmp.session_end, where: [{field: complete, equals: false}]}}
''')

    def found(*messages):
        return lengths(cutting.attempts(broken, timeline(*messages), matcher(broken, known={"acs": "acs"})))

    old, new = ([replace(m, session=number) if m.protocol == "cwmp" else m for m in one]
                for number, one in ((1, run("in", spi="1")), (2, run("i ns", 20, spi="2"))))
    end = message("cwmp.session_end", 21, "hnb", "acs", session=1, stream=1, complete=False, reason="a new session began")
    assert found(*old, *new, end) == [2, 3]
    assert found(*old, *new, replace(end, session=2, time=new[1].time + 1)) == [2, 4]


def test_a_connection_that_is_accepted_the_next_time_is_no_new_attempt():
    connecting = rule('''
roles: {hnb: {kind: device}, acs: {kind: acs}}
attempt: {opens_at: [look], resumes_at: [inform]}
steps:
  - {step: look, cite: "1", message: dns.query, from: hnb}
  - group: connection
    repeat: {max: 9}
    steps:
      - {step: connect, cite: "2", message: tcp.syn, from: hnb, to: acs}
      - {step: connected, cite: "2", message: tcp.syn_ack, from: acs, to: hnb, answers: connect,
         refused_by: {message: tcp.refused}}
  - {step: inform, cite: "3", message: cwmp.Inform, from: hnb, to: acs}
''')

    def found(*messages):
        return lengths(cutting.attempts(connecting, timeline(*messages), matcher(connecting, known={"acs": "acs"})))

    asked = message("dns.query", 0, "hnb", "dns", qname="acs.example")
    refused = [message("tcp.syn", 1, "hnb", "acs", transaction=1, stream=1),
               message("tcp.refused", 2, "acs", "hnb", answers=1, stream=1)]
    accepted = [message("tcp.syn", 3, "hnb", "acs", transaction=2, stream=2),
                message("tcp.syn_ack", 4, "acs", "hnb", answers=2, stream=2)]
    inform = message("cwmp.Inform", 5, "hnb", "acs", stream=2)
    assert found(asked, *refused, *accepted, inform) == [6]
    assert found(asked, *refused, inform) == [3, 1]            # over a connection that nobody saw: another try
