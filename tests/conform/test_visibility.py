"""What the capture cannot show is not a failure; what it could have shown is one."""

from dataclasses import replace

import pytest
from literals import SECOND, codes, judged, message, rule, sealed, states

from flowcheck.model import Gap
from flowcheck.rulebook.rule import Host as Declared
from flowcheck.rulebook.site import load_site

TEXT = '''
roles: {hnb: {kind: device}, dns: {kind: dns_server}, acs: {kind: acs, host: 198.51.100.80}}
attempt: {opens_at: [ask], resumes_at: [go]}
steps:
  - {step: ask, cite: "1", message: dns.query, from: hnb, to: dns}
  - {step: told, cite: "2", message: dns.response, from: dns, to: hnb, answers: ask, within: {after: ask, seconds: 5}}
  - {step: go, cite: "3", message: cwmp.Inform, from: hnb, to: acs, inside: ipsec}
  - {step: went, cite: "4", message: cwmp.InformResponse, from: acs, to: hnb, answers: go,
     within: {after: go, seconds: 30}}
'''
ASK = rule(TEXT)
QUERY = message("dns.query", 10, "hnb", "dns", transaction=1, qname="a.example")
ANSWER = message("dns.response", 10.1, "dns", "hnb", answers=1, rcode="NOERROR")
INFORM = message("cwmp.Inform", 11, "inner", "acs", transaction=2)
ACCEPT = message("cwmp.InformResponse", 12, "acs", "inner", answers=2)


UNTIED = message("cwmp.InformResponse", 12, "acs", "inner")
FOREIGN = message("cwmp.InformResponse", 12, "acs", "inner", answers=77)


def one(*messages, **more):
    attempt, = judged(ASK, *messages, **more)
    return attempt


OF_ONE_NAME = rule(TEXT.replace("message: dns.query, from: hnb, to: dns",
                               "message: dns.query, from: hnb, to: dns, where: [{field: qname, equals: a.example}]")
                   + '  - {step: over, cite: "5", message: ike.informational.request, optional: true}\n')
ANOTHER_NAME = [message("dns.query", 50, "hnb", "dns", transaction=8, qname="ntp.example"),
                message("dns.response", 50.1, "dns", "hnb", answers=8, rcode="NOERROR")]


@pytest.mark.parametrize("later", [
    ANOTHER_NAME,
    [message("ike.informational.request", 50, "hnb", "segw", transaction=9)],
    [*ANOTHER_NAME, message("ike.informational.request", 51, "hnb", "segw", transaction=9)]])
def test_what_comes_anyway_does_not_show_that_a_question_was_answered(later):
    attempt, = judged(OF_ONE_NAME, QUERY, *later)
    assert codes(attempt) == ["told/no-answer"]


def test_all_seen():
    assert one(QUERY, ANSWER, INFORM, ACCEPT).verdict == "pass"


@pytest.mark.parametrize("messages, more, verdict, found", [
    ([QUERY], {}, "fail", ["told/no-answer"]),
    ([QUERY], {"ends": 12}, "inconclusive", []),                      # 2 s of the 5 s it may take
    ([QUERY], {"ends": 16}, "fail", ["told/no-answer"]),
    ([QUERY, ANSWER], {}, "fail", ["go/stopped"]),
    ([QUERY, ANSWER], {"ends": 60}, "inconclusive", []),              # no deadline: 600 s are waited for it
    ([QUERY, ANSWER, INFORM], {"ends": 20}, "inconclusive", []),
    ([QUERY, ANSWER, INFORM], {"ends": 60}, "fail", ["went/no-answer"]),
    ([INFORM, ACCEPT], {}, "inconclusive", []),                       # the capture began in the middle
    ([QUERY, ANSWER, UNTIED], {}, "inconclusive", []),                # an answer to no request seen proves one
    ([QUERY, ANSWER, FOREIGN], {}, "fail", ["go/stopped"]),           # an answer to another one proves nothing
    ([QUERY, INFORM, ACCEPT], {}, "inconclusive", []),                # nobody goes on without the address
])
def test_where_the_capture_ends_or_begins(messages, more, verdict, found):
    attempt = one(*messages, **more)
    assert (attempt.verdict, codes(attempt)) == (verdict, found)


def test_a_request_that_was_repeated_in_vain_has_failed_before_its_deadline():
    assert one(replace(QUERY, repeats=2), ends=12).verdict == "fail"


def test_an_attempt_that_opens_at_a_later_step_misses_the_earlier_ones():
    """Only if nothing of the device came before, the capture may have begun in between."""
    of = rule(TEXT.replace("opens_at: [ask]", "opens_at: [ask, go]"))
    assert judged(of, INFORM, ACCEPT)[0].verdict == "inconclusive"
    attempt, = judged(of, message("x.other", 0, "hnb", "gw"), INFORM, ACCEPT)
    assert attempt.verdict == "fail" and codes(attempt) == ["ask/missing"]


def test_a_gap_hides_what_lies_in_it():
    gap = Gap(10 * SECOND + SECOND // 2, 10 * SECOND + SECOND // 2, "12 packets were dropped")
    attempt = one(QUERY, ANSWER, gaps=[gap])
    assert attempt.verdict == "inconclusive"
    before = Gap(9 * SECOND, 9 * SECOND, "dropped")
    assert one(QUERY, ANSWER, begins=8, gaps=[before]).verdict == "fail"
    reason = {s.step: s.reason for s in attempt.steps}["go"]
    assert "12 packets were dropped" in reason


def test_a_sealed_tunnel_hides_the_steps_inside_it_and_no_others():
    tunnel = sealed(10.5, 40)
    attempt = one(QUERY, ANSWER, opaque=[tunnel])
    assert attempt.verdict == "inconclusive"
    assert states(attempt) == {"ask": "seen", "told": "seen", "go": "not_observable", "went": "not_observable"}
    assert one(QUERY, opaque=[tunnel]).verdict == "fail", "the lookup is outside"
    assert one(QUERY, ANSWER, opaque=[sealed(3000, 3100)], ends=2500).verdict == "fail", "the tunnel came much later"


def test_sealed_traffic_between_bursts_hides_nothing():
    quiet = sealed(1, 5000, bursts=[(1 * SECOND, 2 * SECOND), (4990 * SECOND, 5000 * SECOND)])
    assert one(QUERY, ANSWER, opaque=[quiet], ends=2000).verdict == "fail"


def test_tls_inside_the_tunnel_hides_what_may_be_inside_it():
    attempt = one(QUERY, ANSWER, opaque=[sealed(10.5, 40, kind="tls", src="inner", dst="acs")])
    assert states(attempt)["go"] == "not_observable"
    assert one(QUERY, opaque=[sealed(10.5, 40, kind="tls", src="inner", dst="acs")]).verdict == "fail"


@pytest.mark.parametrize("esp, verdict", [
    ([sealed(11, 20)], "inconclusive"),
    ([sealed(11, 20), sealed(5, 9)], "fail"),                         # the tunnel ran before the question
    ([sealed(5, 20)], "fail"),
    ([sealed(11, 20, dst="gw")], "fail"),                             # to another host
    ([sealed(11, 20, src="other")], "fail"),                          # from another one
])
def test_esp_to_the_host_asked_for_shows_that_the_answer_came(esp, verdict):
    of = rule(TEXT.replace("roles: {", "roles: {segw: {kind: ike_responder, host: $site.hosts.segw}, "))
    site = replace(load_site(), hosts={"segw": Declared(("segw.example.",), ("203.0.113.10",))})
    query = message("dns.query", 10, "hnb", "dns", transaction=1, qname="SeGW.example.")
    attempt, = judged(of, query, opaque=esp, site=site)
    assert (attempt.verdict, codes(attempt)) == (verdict, ["told/no-answer"] if verdict == "fail" else [])
