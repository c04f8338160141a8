"""The findings: their kinds, codes, frames, sides, and what is folded under an earlier failure."""

from dataclasses import replace

import pytest
from literals import SECOND, codes, judged, message, rule, states

from flowcheck.model import FrameRef, Gap

ABC = rule('''
attempt: {opens_at: [a]}
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
steps:
  - {step: a, cite: "1", message: x.a, from: hnb, to: acs, hint: ask}
  - step: b
    cite: "2"
    message: x.b
    from: acs
    to: hnb
    answers: a
    within: {after: a, seconds: 5, basis: spec}
    hint: look at the server
    refused_by: {message: [x.no, cwmp.session_end], where: [{field: code, present: true}], hint: because}
    expect:
      - {field: must, equals: 1}
      - {field: should, equals: 1, severity: warning, cite: Other 7}
  - {step: c, cite: "3", message: x.c, from: hnb, to: acs}
  - {step: d, cite: "4", message: x.d, from: hnb, to: acs}
''')
A = message("x.a", 1, "hnb", "acs", transaction=1)
B = message("x.b", 2, "acs", "hnb", answers=1, must=1, should=1)
C, D = message("x.c", 3, "hnb", "acs"), message("x.d", 4, "hnb", "acs")


def made(kind, at, src="acs", dst="hnb", **more):
    return message(kind, at, src, dst, **more)


def one(*messages, **more):
    attempt, = judged(ABC, *messages, **more)
    return attempt


def test_nothing_is_found_in_a_good_run():
    assert one(A, B, C, D).findings == () and set(states(one(A, B, C, D)).values()) == {"seen"}


@pytest.mark.parametrize("messages, found, verdict", [
    ([A], ["b/no-answer"], "fail"),
    ([A, B], ["c/stopped"], "fail"),                                   # d follows from it and is not counted
    ([A, B, D], ["c/missing"], "fail"),
    ([A, B, D, message("x.c", 5, "hnb", "acs")], ["c/out-of-order"], "fail"),
    ([A, made("x.no", 2, answers=1, code="BUSY")], ["b/refused:BUSY"], "fail"),
    ([A, made("x.b", 2, answers=1, must=2, should=1), C, D], ["b/field-wrong:must"], "fail"),
    ([A, made("x.b", 2, answers=1, should=1), C, D], ["b/field-absent:must"], "fail"),
    ([A, made("x.b", 2, answers=1, must=1), C, D], ["b/field-absent:should"], "pass"),
    ([A, made("x.b", 8, answers=1, must=1, should=1), *(message(f"x.{k}", 9, "hnb", "acs") for k in "cd")],
     ["b/late"], "fail"),
])
def test_the_kinds_of_findings(messages, found, verdict):
    attempt = one(*messages)
    assert (codes(attempt), attempt.verdict) == (found, verdict)
    errors = [f.code for f in attempt.findings if f.severity == "error"]
    assert attempt.cause == (errors[0] if errors else None)


def test_a_refusal_in_words():
    finding, = one(A, made("x.no", 2, answers=1, code="BUSY")).findings
    assert finding.code == "x-1/b/refused:BUSY" and finding.hint == "because" and finding.side == "network"
    assert [ref.number for ref in finding.frames] == [20] and finding.filter == "frame.number in {20}"
    assert "BUSY" in finding.observed and finding.clause == "X 1" and finding.cite == "2"


def test_of_several_values_the_one_that_refuses_is_named():
    of = rule('''
steps:
  - {step: a, cite: "1", message: x.a}
  - {step: b, cite: "2", message: x.b, refused_by: {message: x.b, where: [{field: notify, in: [NO_ADDRESS, FAILED]}]}}
''')
    attempt, = judged(of, message("x.a", 0), message("x.b", 1, notify=["MOBIKE_SUPPORTED", "NO_ADDRESS"]))
    assert codes(attempt) == ["b/refused:NO_ADDRESS"]


def test_a_session_that_was_broken_off_is_no_answer():
    ended = message("cwmp.session_end", 2, "hnb", "acs", code="x", complete=False,
                    reason="the device reset it", by="device")
    attempt = one(A, ended)
    finding, = attempt.findings
    assert finding.code == "x-1/b/no-answer" and finding.observed == "the HNB reset it" and finding.side == "device"
    assert next(step.state for step in attempt.steps if step.step == "b") == "missing"      # nobody refused anything


def test_who_leaves_after_waiting_in_vain_is_not_at_fault():
    left = message("cwmp.session_end", 8, "hnb", "acs", code="x", complete=False, reason="the device closed it",
                   by="device")
    finding, = one(A, left).findings
    assert finding.side == "network" and finding.observed == "ACS 198.51.100.80 did not answer x.a for 7.0 s; the HNB closed it"


def test_what_stopped_names_the_last_frame_before_it():
    finding, = one(A, B).findings
    assert [ref.number for ref in finding.frames] == [20] and finding.side == "device"
    assert states(one(A, B)) == {"a": "seen", "b": "seen", "c": "missing", "d": "missing"}


def test_what_is_missing_lies_between_two_frames():
    finding, = one(A, B, D).findings
    assert [ref.number for ref in finding.frames] == [20, 40]


def test_a_warning_does_not_fail_and_cites_what_it_comes_from():
    finding, = one(A, made("x.b", 2, answers=1, must=1, should=2), C, D).findings
    assert (finding.severity, finding.clause, finding.side) == ("warning", "Other 7", "network")


def test_an_engineering_deadline_only_warns():
    of = rule('''
steps:
  - {step: a, cite: "1", message: x.a}
  - {step: b, cite: "2", message: x.b, within: {after: a, seconds: 5}}
''')
    attempt, = judged(of, message("x.a", 0), message("x.b", 9))
    assert codes(attempt) == ["b/late"] and attempt.verdict == "pass" and states(attempt)["b"] == "late"
    attempt, = judged(of, message("x.a", 0), message("x.b", 4.9))
    assert codes(attempt) == []


def test_a_deadline_is_measured_from_the_request_that_was_answered():
    of = rule('''
steps:
  - {step: a, cite: "1", message: x.a, repeat: {max: 5}}
  - {step: b, cite: "2", message: x.b, answers: a, within: {after: a, seconds: 5}}
''')
    asked = [message("x.a", 0, transaction=1), message("x.a", 20, transaction=2)]
    attempt, = judged(of, *asked, message("x.b", 21, answers=2))
    assert codes(attempt) == []


INSIDE = rule('''
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
attempt: {opens_at: [a]}
steps:
  - {step: a, cite: "1", message: x.a, from: hnb, to: acs, inside: ipsec}
  - {step: b, cite: "2", message: x.b, from: hnb, to: acs, inside: tls}
''')


@pytest.mark.parametrize("src, layers, found", [
    ("inner", ("eth", "ip", "tcp", "tls"), []), ("inner", ("ip", "udp", "esp", "ip", "tls"), []),
    ("hnb", ("eth", "ip", "tcp", "tls"), ["a/wrong-path"]), ("inner", ("eth", "ip", "tcp"), ["b/wrong-path"]),
])
def test_a_message_on_the_wrong_path(src, layers, found):
    attempt, = judged(INSIDE, *(message(f"x.{k}", at, src, "acs", layers=layers) for at, k in enumerate("ab")))
    assert codes(attempt) == found


def test_an_extra_message_is_a_notice():
    attempt = one(A, B, C, message("x.c", 3.5, "hnb", "acs"), D)
    assert attempt.verdict == "pass" and codes(attempt) == []
    assert codes(attempt, ("notice",)) == ["c/unexpected:x.c"]


def test_a_group_is_judged_over_all_its_messages():
    of = rule('''
steps:
  - {step: a, cite: "1", message: x.a}
  - group: g
    repeat: {max: 5}
    expect: [{parameters: ["*.One"], at_least: 1}, {parameters: ["*.Two"], at_least: 1}]
    steps: [{step: b, cite: "2", message: x.b}]
''')
    parts = [message("x.b", 1, ParameterList={"D.One": "1"}), message("x.b", 2, ParameterList={"D.Two": "1"})]
    assert codes(judged(of, message("x.a", 0), *parts)[0]) == []
    found, = judged(of, message("x.a", 0), parts[0])
    assert found.verdict == "fail" and codes(found) == ["b/field-absent:*.Two"]


def test_codes_hold_neither_times_nor_frames():
    late = [replace(m, time=m.time + 7_000_000_123, frames=(FrameRef(0, 9999),)) for m in (A, B)]
    assert codes(one(A, B)) == codes(one(*late))


def test_who_should_act():
    assert one(A).findings[0].side == "network" and one(A, B).findings[0].side == "device"


REPEATED = rule('''
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
steps:
  - group: contact
    repeat: {max: 5}
    steps:
      - {step: a, cite: "1", message: x.a, from: hnb, to: acs}
      - {step: b, cite: "1", message: x.b, from: acs, to: hnb, answers: a}
  - {step: c, cite: "2", message: x.c, from: acs, to: hnb}
''')


def test_a_request_made_again_and_not_answered_is_the_cause_of_what_does_not_follow():
    first = message("x.a", 10, transaction=1), message("x.b", 11, "acs", "hnb", answers=1)
    attempt, = judged(REPEATED, *first, message("x.a", 12, transaction=2))
    assert codes(attempt) == ["b/no-answer"] and states(attempt)["c"] == "missing"
    attempt, = judged(REPEATED, *first, message("x.a", 12, transaction=2), message("x.c", 13, "acs", "hnb"))
    assert not any(code.startswith("c/") for code in codes(attempt))


SETTINGS = '''
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
attempt: {opens_at: [go]}
steps:
  - {step: go, cite: "1", message: cwmp.Inform, from: hnb, to: acs}
  - group: settings
    repeat: {max: 5}
    expect: [{parameters: ["Device.A"], at_least: 1}]
    steps: [{step: set, cite: "2", message: cwmp.SetParameterValues, from: acs, to: hnb}]
'''


@pytest.mark.parametrize("lost, verdict, found", [
    ([], "fail", ["set/field-absent:Device.A"]),
    # another SetParameterValues?
    ([Gap(2 * SECOND, 2 * SECOND, "300 octets are not in the capture")], "inconclusive", []),
    ([Gap(0, SECOND // 2, "300 octets are not in the capture")], "fail", ["set/field-absent:Device.A"]),
])
def test_what_repeated_messages_lack_may_stand_in_one_that_was_lost(lost, verdict, found):
    attempt, = judged(rule(SETTINGS), message("cwmp.Inform", 1, "hnb", "acs"),
                      message("cwmp.SetParameterValues", 3, "acs", "hnb", ParameterList={"Device.B": "1"}), gaps=lost)
    assert (attempt.verdict, codes(attempt)) == (verdict, found)


ROUNDS = rule('''
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
attempt: {opens_at: [inform]}
steps:
  - {step: inform, cite: "1", message: cwmp.Inform, from: hnb, to: acs}
  - {step: accept, cite: "2", message: cwmp.InformResponse, from: acs, to: hnb, answers: inform}
  - group: rounds
    repeat: {max: 9}
    steps:
      - {step: ask, cite: "3", message: cwmp.GetParameterValues, from: acs, to: hnb}
      - {step: told, cite: "4", message: cwmp.GetParameterValuesResponse, from: hnb, to: acs, answers: ask}
  - {step: end, cite: "5", message: cwmp.session_end, from: hnb, to: acs}
''')


def ask(at, name, session=1):
    return message("cwmp.GetParameterValues", at, "acs", "hnb", transaction=at, session=session,
                   ParameterNames=[name], id=str(at))


def told(at, to, **more):
    return message("cwmp.GetParameterValuesResponse", at, "hnb", "acs", answers=to, session=1, **more)


@pytest.mark.parametrize("rounds, found", [
    ([ask(3, "x"), told(4, 3), ask(5, "y"), told(6, 5)], []),
    ([ask(3, "x"), told(4, 3), ask(5, "y"), ask(7, "z"), told(8, 7)], ["told/no-answer"]),
    ([ask(3, "x"), told(4, 3), ask(5, "y"), ask(7, "y"), told(8, 7)], []),            # asked again, and answered
    ([ask(3, "x"), ask(5, "x"), told(6, 5)], []),
    ([ask(3, "x"), ask(5, "y"), told(6, 5)], ["told/no-answer"]),
    ([ask(3, "x"), told(4, 3), ask(5, "y"), ask(7, "z"), told(8, 7, incomplete=True)], []),     # may be any answer
    # one of two at once
    ([ask(3, "x"), told(4, 3), ask(5, "y"), ask(7, "z"), told(8, None), told(9, 7)], []),
    ([ask(3, "x"), told(4, 3), ask(5, "y"), ask(7, "z"), told(8, 7, id="5"), told(9, 7)], []),       # by its cwmp:ID
    # another session's
    ([ask(3, "x"), told(4, 3), ask(5, "y", session=2), ask(7, "z"), told(8, 7)], []),
])
def test_a_round_in_the_middle_that_nobody_answers(rounds, found):
    begun = [message("cwmp.Inform", 1, "hnb", "acs", transaction=1, session=1),
             message("cwmp.InformResponse", 2, "acs", "hnb", answers=1, session=1)]
    attempt, = judged(ROUNDS, *begun, *rounds, message("cwmp.session_end", 60, "hnb", "acs", session=1, complete=True))
    assert codes(attempt) == found


RECEIVED = rule('''
attempt: {opens_at: [a]}
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
steps:
  - {step: a, cite: "1", message: tls.client_hello, from: hnb, to: acs}
  - step: secured
    cite: "1"
    message: tls.finished
    from: hnb
    to: acs
    answers: a
    refused_by: [{message: tls.alert, from: acs, where: [{field: description, present: true}]},
                 {message: tls.alert, where: [{field: description, present: true}]}]
''')
SECURED = rule('''
attempt: {opens_at: [a]}
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
steps:
  - {step: a, cite: "1", message: tls.client_hello, from: hnb, to: acs}
  - step: secured
    cite: "1"
    message: tls.finished
    from: hnb
    to: acs
    answers: a
    refused_by: {message: tls.alert, where: [{field: level, equals: fatal}]}
''')


def test_a_finished_handshake_is_refused_by_who_received_it():
    hello = message("tls.client_hello", 1, "hnb", "acs", transaction=1, stream=3)
    finished = message("tls.finished", 2, "hnb", "acs", stream=3)
    theirs, ours = (message("tls.alert", 3, *ends, stream=3, level="fatal", description="certificate_required")
                    for ends in (("acs", "hnb"), ("hnb", "acs")))
    assert codes(judged(RECEIVED, hello, finished, theirs)[0]) == ["secured/refused:certificate_required"]
    assert codes(judged(RECEIVED, hello, finished, ours)[0]) == []
    assert codes(judged(RECEIVED, hello, ours)[0]) == ["secured/refused:certificate_required"]


def test_an_alert_is_told_of_the_end_it_came_from():
    hello = message("tls.client_hello", 1, "hnb", "acs", transaction=1, stream=3)
    for src, dst, said in (("acs", "hnb", "ACS 198.51.100.80 ended"), ("hnb", "acs", "HNB ended")):
        alert = message("tls.alert", 2, src, dst, stream=3, level="fatal", description="bad_certificate")
        attempt, = judged(SECURED, hello, alert)
        assert said in attempt.diagnosis, attempt.diagnosis


CALLED = rule('''
attempt: {opens_at: [a]}
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
steps:
  - {step: a, cite: "1", message: cwmp.Inform, from: hnb, to: acs}
  - step: b
    cite: "2"
    message: cwmp.InformResponse
    from: acs
    to: hnb
    answers: a
    refused_by: [{message: cwmp.Fault, from: acs}, {message: http.response, where: [{field: status, at_least: 400}]}]
  - step: c
    cite: "3"
    message: cwmp.SetParameterValues
    from: acs
    to: hnb
    refused_by: {message: cwmp.session_end, where: [{field: complete, equals: false}]}
''')
INFORM = message("cwmp.Inform", 1, "hnb", "acs", transaction=1, stream=3, exchange=1)


def test_the_fault_that_an_error_response_carries_says_why():
    place = {"stream": 3, "exchange": 1}
    page = message("http.response", 2, "acs", "hnb", status=500, **place)
    attempt, = judged(CALLED, INFORM, page)
    assert codes(attempt) == ["b/refused:500"]
    fault = message("cwmp.Fault", 2, "acs", "hnb", answers=1, FaultCode="8005", **place)
    attempt, = judged(CALLED, INFORM, page, fault)
    assert codes(attempt) == ["b/refused:8005"]
    other = message("cwmp.Fault", 2, "acs", "hnb", FaultCode="8005", stream=3, exchange=2)
    assert codes(judged(CALLED, INFORM, page, other)[0]) == ["b/refused:500"]


def test_who_owed_an_answer_when_a_session_broke_off():
    accepted = message("cwmp.InformResponse", 2, "acs", "hnb", answers=1, stream=3, exchange=1)
    end = message("cwmp.session_end", 12, "hnb", "acs", stream=3, complete=False, reason="the device closed the connection",
                  by="device", owing="acs", waited=8 * SECOND)
    attempt, = judged(CALLED, INFORM, accepted, end)
    assert codes(attempt) == ["c/no-answer"] and attempt.side == "network" and "for 8.0 s" in attempt.diagnosis
    soon = replace(end, fields={**end.fields, "waited": SECOND // 2})
    assert judged(CALLED, INFORM, accepted, soon)[0].side == "device"
    refused = message("cwmp.Fault", 2, "acs", "hnb", answers=1, FaultCode="8003", stream=3, exchange=1)
    assert codes(judged(CALLED, INFORM, refused, end)[0]) == ["b/refused:8003"]


GONE = rule('''
attempt: {opens_at: [a]}
roles: {hnb: {kind: device}, segw: {kind: ike_responder, host: 203.0.113.10}}
steps:
  - step: a
    cite: "1"
    message: ike.sa_init.request
    from: hnb
    to: segw
    refused_by: {message: ike.informational.request, where: [{field: notify, equals: AUTHENTICATION_FAILED}]}
  - {step: b, cite: "2", message: cwmp.Inform, from: hnb}
''')


@pytest.mark.parametrize("src, dst, side, said", [
    ("segw", "hnb", "network", "SEGW 203.0.113.10 deleted the tunnel in frame 20"),
    ("hnb", "segw", "device", "the HNB deleted the tunnel in frame 20"),
])
def test_who_deletes_the_tunnel_in_the_middle_is_named(src, dst, side, said):
    begun = message("ike.sa_init.request", 1, "hnb", "segw", spi_i="1")
    deleted = message("ike.informational.request", 2, src, dst, spi_i="1", deletes=[{"protocol": "IKE", "spis": []}])
    attempt, = judged(GONE, begun, deleted)
    assert (codes(attempt), attempt.side) == (["b/stopped"], side) and said in attempt.findings[0].observed


GREETED = rule('''
attempt: {opens_at: [a], given_up_by: [{message: [tcp.fin, tcp.reset]}]}
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
steps:
  - {step: a, cite: "1", message: tls.client_hello, from: hnb, to: acs}
  - step: b
    cite: "1"
    message: tls.server_hello
    from: acs
    to: hnb
    answers: a
    severity: warning
    within: {after: a, seconds: 10, basis: engineering}
  - {step: c, cite: "2", message: cwmp.Inform, from: hnb, to: acs}
''')


def test_what_answers_a_request_that_is_not_whole_may_be_lost_with_the_rest():
    hello = replace(message("tls.client_hello", 1, "hnb", "acs", transaction=1, stream=3), incomplete=True)
    fin, hole = message("tcp.fin", 2, "hnb", "acs", stream=3), Gap(SECOND // 2, SECOND, "9 octets are not in the capture", 3)
    assert judged(GREETED, hello, fin, gaps=[hole])[0].verdict == "inconclusive"
    assert judged(GREETED, hello, fin)[0].verdict == "fail"               # whoever cut it off, the capture did not


def test_a_hello_that_nobody_answers_is_where_it_stopped():
    hello = message("tls.client_hello", 1, "hnb", "acs", transaction=1, stream=3)
    assert judged(GREETED, hello, ends=2)[0].verdict == "inconclusive"       # the answer may still come
    closed = message("tcp.fin", 2, "hnb", "acs", stream=3)
    attempt, = judged(GREETED, hello, closed, ends=2)
    assert codes(attempt) == ["b/no-answer"] and attempt.verdict == "fail" and attempt.side == "network"
    # the connection went on: the answer is only not in the capture, or was left out
    inform = message("cwmp.Inform", 3, "hnb", "acs", stream=3)
    assert judged(GREETED, hello, inform, closed)[0].verdict != "fail"


def test_what_was_seen_while_the_clock_was_set_back_proves_no_order():
    gap = Gap(3 * SECOND, 9 * SECOND, "the clock of the capture steps back by 6.0 s at frame 5, so that the order of messages is not "
              "certain", capture=0)
    assert one(A, B, C, D).verdict == "pass"
    doubted = one(A, B, C, D, gaps=[gap])
    assert doubted.verdict == "inconclusive" and any("order of messages" in text for text in doubted.assumed)
    assert one(A, B, C, D, gaps=[replace(gap, start=50 * SECOND, end=60 * SECOND)]).verdict == "pass"
