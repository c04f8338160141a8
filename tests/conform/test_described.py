"""What rules of described procedures rest on: fields of documents, values of one device's own, roles beyond the taps, advice."""

from dataclasses import replace

import pytest
from literals import ADDRESSES, HNB, codes, judged, message, rule, scope, states, timeline

from flowcheck.conform.bindings import taken
from flowcheck.conform.checks import evaluate
from flowcheck.conform.elsewhere import Elsewhere
from flowcheck.conform.fields import ABSENT
from flowcheck.conform.judge import judge
from flowcheck.model import Device
from flowcheck.rulebook.rule import Binding, Check, Host, Reference
from flowcheck.rulebook.site import load_site

SITE = replace(load_site(), hosts={"acs": Host(addresses=(ADDRESSES["acs"],))})
ACS = "acs: {kind: host, host: $site.hosts.acs}"
SERVICE_ID = Reference(("site", "fields", "service_id"))


def document(kind, at=0.0, src="acs", dst="hnb", **body):
    return message(f"json.{kind}", at, src, dst, body=body, names=tuple(body), path="/provision", method="POST")


@pytest.mark.parametrize(("body", "test", "value", "take", "holds"), [
    ({"service_id": "a"}, "present", True, None, True),
    ({"MSGin5G-UE-Service-id": "a"}, "equals", "a", None, True),
    ({}, "present", True, None, False),
    ({"serviceId": ""}, "present", True, None, False),
    ({"serviceId": ["a", "b"]}, "at_least", 2, None, True),
    ({"serviceId": 200}, "equals", "success", "outcome", True),
    ({"serviceId": "FAILED"}, "equals", "success", "outcome", False),
    ({"serviceId": "perhaps"}, "equals", "success", "outcome", None),
])
def test_a_field_of_a_document(body, test, value, take, holds):
    outcome, = evaluate(Check("json", SERVICE_ID, test, value, take=take), (document("response", **body),), scope(), {})
    assert outcome.holds is holds and outcome.target == "service_id"


def test_a_document_that_was_not_read_proves_nothing():
    outcome, = evaluate(Check("json", SERVICE_ID, "present", True), (message("json.response", path="/"),), scope(), {})
    assert outcome.holds is None


def test_binding_an_outcome():
    binding = Binding("x", "json", SERVICE_ID, "outcome")
    assert taken(binding, document("response", serviceId="ok"), scope(), {}) == ("success",)
    assert taken(binding, document("response", serviceId="perhaps"), scope(), {}) is ABSENT


UNIQUE = rule(f"roles: {{hnb: {{kind: device}}, {ACS}}}" + """
steps:
  - step: a
    cite: "1"
    message: json.response
    from: acs
    to: hnb
    expect: [{json: $site.fields.service_id, unique: true}]
""")


@pytest.mark.parametrize(("mine", "verdict"), [("s1", "fail"), ("s2", "pass")])
def test_a_value_of_ones_own(mine, verdict):
    other = Device("other", {}, (ADDRESSES["other"],))
    first = timeline(document("response", 1, dst="other", serviceId="s1"), device=other)
    second = timeline(document("response", 2, serviceId=mine), device=HNB)
    memory = Elsewhere((second, first))                          # in whatever order
    assert [a.verdict for a in judge([UNIQUE], SITE, second, elsewhere=memory)] == [verdict]
    assert [a.verdict for a in judge([UNIQUE], SITE, first, elsewhere=memory)] == ["pass"]


BEYOND = rule("""
roles: {hnb: {kind: device}, acs: {kind: host, host: $site.hosts.acs}, gw: {kind: host, perhaps_unseen: true, infer: [{message: sctp.init, to: gw}]}}
attempt: {opens_at: [a]}
steps:
  - {step: a, cite: "1", message: http.request, from: hnb, to: acs}
  - {step: b, cite: "2", message: sctp.init, from: hnb, to: gw}
  - {step: c, cite: "3", message: ftp.command, from: hnb, to: acs}
""")


def test_a_role_beyond_the_taps_is_not_missing():
    seen = (message("http.request", 1), message("ftp.command", 2))
    attempt, = judged(BEYOND, *seen, site=SITE)
    assert attempt.verdict == "inconclusive" and states(attempt)["b"] == "not_observable"


def test_a_role_whose_link_is_captured_is_missing():
    of = rule("""
roles: {hnb: {kind: device}, acs: {kind: host, host: $site.hosts.acs}, gw: {kind: host, perhaps_unseen: true, infer: [{message: tcp.syn, to: gw}]}}
attempt: {opens_at: [a]}
steps:
  - {step: a, cite: "1", message: http.request, from: hnb, to: acs}
  - {step: b, cite: "2", message: sctp.init, from: hnb, to: gw}
""")
    line = timeline(message("http.request", 1), message("tcp.syn", 2, dst="gw"))
    line = replace(line, links=frozenset({frozenset((ADDRESSES["hnb"], ADDRESSES["gw"]))}))
    attempt, = judge([of], SITE, line)
    assert attempt.verdict == "fail" and codes(attempt) == ["b/stopped"]


SECURED = rule(f"roles: {{hnb: {{kind: device}}, {ACS}}}" + """
steps: [{step: a, cite: "1", message: http.request, from: hnb, to: acs, should_be_inside: [tls, ipsec]}]
""")


@pytest.mark.parametrize(("layers", "found"), [(("ip", "tcp"), ["a/wrong-path"]), (("ip", "tcp", "tls"), []),
                                               (("ip", "esp", "ip"), [])])
def test_a_should_of_the_path_is_a_warning(layers, found):
    attempt, = judged(SECURED, message("http.request", 1, layers=layers), site=SITE)
    assert attempt.verdict == "pass" and codes(attempt) == found


GIVEN_UP = rule(f"roles: {{hnb: {{kind: device}}, {ACS}}}" + """
attempt: {opens_at: [a], given_up_by: [{message: emm.AttachReject}]}
steps:
  - {step: a, cite: "1", message: emm.AttachRequest, from: hnb, to: acs}
  - {step: b, cite: "2", message: emm.AttachAccept, from: acs, to: hnb, refused_by: [{message: emm.AuthenticationReject}]}
  - {step: c, cite: "3", message: emm.AttachReject, from: acs, to: hnb, optional: true, where: [{field: cause, equals: 99}]}
""")


@pytest.mark.parametrize(("rejected", "verdict"), [(True, "fail"), (False, "inconclusive")])
def test_who_gave_up_needs_no_patience(rejected, verdict):
    run = [message("emm.AttachRequest", 1), *([message("emm.AttachReject", 2, "acs", "hnb", cause=3)]
                                              if rejected else [])]
    assert [a.verdict for a in judged(GIVEN_UP, *run, ends=3, site=SITE)] == [verdict]


def test_a_relayed_message_needs_no_address_of_the_device():
    of = rule(f"roles: {{hnb: {{kind: device}}, {ACS}}}"
              + '\nsteps: [{step: a, cite: "1", message: emm.AttachRequest, from: hnb, to: acs}]')
    attempt, = judged(of, message("emm.AttachRequest", 1, "other", "acs", ue="eNB-UE-S1AP-ID 7"), site=SITE)
    assert attempt.verdict == "pass"
