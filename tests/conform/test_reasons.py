"""Why a peer refused: what the evidence shows is said as a fact, what it does not show as possible."""

import pytest
from literals import ADDRESSES, message

from flowcheck.conform.reasons import Evidence, Reason, reason

TITLES = {ADDRESSES["hnb"]: "HNB", ADDRESSES["segw"]: "SeGW", ADDRESSES["acs"]: "HMS"}
LEAF = {"subject": "CN=hnb.example", "subject_cn": "hnb.example", "san": ["hnb.example"], "issuer": "CN=Root",
        "issuer_cn": "Root",
        "not_before": "1960-01-01T00:00:00Z", "not_after": "2099-01-01T00:00:00Z", "self_signed": False,
        "key_sha1": "aa"}
ROOT = {**LEAF, "subject": "CN=Root", "subject_cn": "Root", "san": [], "self_signed": True, "key_sha1": "cc"}


def why(refusal, *others, code, request=None):
    messages = sorted([*others, *([refusal] if refusal else [])], key=lambda m: m.time)
    return reason(Evidence(refusal, request, messages, lambda end: TITLES.get(end.address, end.address)), code)


def auth(*certificates, **fields):
    return message("ike.auth.request", 1, "hnb", "segw", initiator=True, response=False,
                   certificates=list(certificates), decrypted=True,
                   **{"id_i": "hnb.example", "spi_i": "1", **fields})


REFUSED = message("ike.auth.response", 2, "segw", "hnb", spi_i="1", response=True, notify=["AUTHENTICATION_FAILED"])


@pytest.mark.parametrize("leaf, said", [
    ({"not_after": "1969-12-31T00:00:00Z"}, "the certificate of the HNB expired on 1969-12-31"),
    ({"not_before": "1970-02-01T00:00:00Z"}, "the certificate of the HNB is not valid before 1970-02-01"),
    ({"san": ["other.example"], "subject_cn": "other.example", "subject": "CN=other.example"},
     "does not carry its identity hnb.example"),
    ({"issuer": "CN=hnb.example", "self_signed": True}, "the certificate of the HNB is self-signed"),
])
def test_what_is_wrong_with_the_certificate_shown_is_the_reason(leaf, said):
    found = why(REFUSED, auth({**LEAF, **leaf}), code="AUTHENTICATION_FAILED")
    assert said in found.text and "possible" not in found.text and found.other == "the certificate of the HNB"


def test_a_certificate_without_a_flaw_leaves_possible_reasons():
    found = why(REFUSED, auth(LEAF), code="AUTHENTICATION_FAILED")
    assert 'possible: its CA "Root" is not trusted there' in found.text


@pytest.mark.parametrize("asked, certain", [(["bb"], True), (["cc"], False), ([], False)])
def test_a_root_that_certreq_does_not_name_is_unknown(asked, certain):
    offer = message("ike.sa_init.response", 0.5, "segw", "hnb", spi_i="1", response=True,
                    certificate_requests=[{"key_sha1": asked}])
    found = why(REFUSED, offer, auth(LEAF, ROOT), code="AUTHENTICATION_FAILED")
    assert ('CA "Root" is not among those that SeGW names in CERTREQ' in found.text) is certain


def test_another_sa_is_no_evidence():
    found = why(REFUSED, auth({**LEAF, "not_after": "1969-12-31T00:00:00Z"}, spi_i="2"), code="AUTHENTICATION_FAILED")
    assert "expired" not in found.text and "possible" in found.text


def test_a_sealed_request_and_a_request_without_certificate_are_told_apart():
    sealed = message("ike.auth.request", 1, "hnb", "segw", spi_i="1", initiator=True, decrypted=False)
    assert "sealed in this capture" in why(REFUSED, sealed, code="AUTHENTICATION_FAILED").text
    assert "no certificate was sent" in why(REFUSED, auth(), code="AUTHENTICATION_FAILED").text


def test_eap_proves_the_initiator_whoever_breaks_off():
    hello = auth(id_i="hnb7")
    offer = message("ike.auth.response", 1.5, "segw", "hnb", spi_i="1", response=True, id_r="segw.one", eap={"code": "Request"})
    left = message("ike.informational.request", 2, "hnb", "segw", spi_i="1", response=False, notify=["AUTHENTICATION_FAILED"])
    found = why(left, hello, offer, code="AUTHENTICATION_FAILED")
    assert found.text == "possible: a wrong EAP identity or password of hnb7" and found.other == "the credentials of the device"


def test_a_peer_asked_for_by_another_name_than_it_was_found():
    looked_up = message("dns.response", 0, "segw", "hnb", qname="segw.one", **{"answers.address": [ADDRESSES["segw"]]})
    wrong = auth(LEAF, id_r="segw.other")
    assert "is not the segw.other that was asked for (IDr); it was found as segw.one" in \
        why(REFUSED, looked_up, wrong, code="AUTHENTICATION_FAILED").text
    assert "IDr" not in why(REFUSED, looked_up, auth(LEAF, id_r="segw.one"), code="AUTHENTICATION_FAILED").text
    assert "IDr" not in why(REFUSED, wrong, code="AUTHENTICATION_FAILED").text


def test_proposals_that_were_refused_and_one_that_was_taken():
    offer = {"transforms": {"ENCR": ["AES_CBC_128"], "DH": ["ECP_256"], "ESN": ["NO_ESN"]}}
    asked = message("ike.sa_init.request", 1, "hnb", "segw", spi_i="1", proposals=[offer])
    no = message("ike.sa_init.response", 2, "segw", "hnb", spi_i="1", response=True)
    taken = message("ike.sa_init.response", 9, "segw", "hnb", spi_i="2", response=True,
                    proposals=[{"transforms": {"ENCR": ["AES_CBC_256"]}}])
    assert why(no, asked, code="NO_PROPOSAL_CHOSEN").text == "none of what was offered is acceptable: AES_CBC_128/ECP_256"
    assert why(no, asked, taken, code="NO_PROPOSAL_CHOSEN").text.endswith("it took AES_CBC_256 in frame 90")


def tls(*chain, code, faults=()):
    shown = message("tls.certificate", 1, "acs", "hnb", stream=3, chain=list(chain), faults=list(faults))
    alert = message("tls.alert", 2, "hnb", "acs", stream=3, description=code)
    return why(alert, shown, code=code).text


def test_what_an_alert_about_a_certificate_means():
    assert 'does not know the CA "Root"' in tls(LEAF, code="unknown_ca") and "no other CA certificate was sent" in tls(LEAF, code="unknown_ca")
    assert "no other" not in tls(LEAF, ROOT, code="unknown_ca")
    assert "expired on 1969-12-31" in tls({**LEAF, "not_after": "1969-12-31T00:00:00Z"}, code="certificate_expired")
    assert "the clock of the HNB may be wrong" in tls(LEAF, code="certificate_expired")
    assert "x is not among y" in tls(LEAF, code="bad_certificate",
                                     faults=[{"fault": "name_mismatch", "text": "x is not among y"}])
    assert "possible" in tls(LEAF, code="certificate_unknown")


def test_a_client_certificate_that_was_asked_for_and_not_sent():
    hello = message("tls.client_hello", 1, "hnb", "acs", stream=3, cipher_suites=["A", "B"], version="TLS 1.2")
    no = message("tls.alert", 3, "acs", "hnb", stream=3, description="handshake_failure")
    empty = message("tls.certificate", 2, "hnb", "acs", stream=3, side="client", chain=[])
    assert "offered were 2 cipher suites" in why(no, hello, code="handshake_failure").text
    assert why(no, hello, empty, code="handshake_failure").text == "the HNB sent no certificate"
    shown = message("tls.certificate", 2, "hnb", "acs", stream=3, side="client", chain=[LEAF])
    assert "cipher suites" in why(no, hello, shown, code="handshake_failure").text


def test_the_certificate_of_another_connection_is_no_evidence():
    shown = message("tls.certificate", 1, "acs", "hnb", stream=4, chain=[LEAF])
    assert "not readable" in why(message("tls.alert", 2, "hnb", "acs", stream=3), shown, code="unknown_ca").text


def test_a_refusal_over_http():
    request = message("http.request", 1, "hnb", "acs", stream=3, headers={"authorization": "Digest"})
    no = message("http.response", 2, "acs", "hnb", stream=3, status=401, reason="Unauthorized")
    assert why(no, request, code="401").text == "the credentials sent were not accepted"
    assert why(no, code="401").text == "no credentials were sent"
    refused = message("http.response", 2, "acs", "hnb", stream=3, status=403, reason="Forbidden")
    body = message("json.response", 2, "acs", "hnb", stream=3, flat={"error": "unknown vendor", "id": 7})
    assert why(refused, body, code="403").text == "the answer says error: unknown vendor"
    assert why(refused, code="403") == Reason()                     # its own words say it
    assert why(message("http.response", 2, "acs", "hnb", status=403), code="403").text == "not allowed"


def test_silence_says_whether_the_host_was_heard():
    request = message("x.a", 1, "hnb", "acs")
    assert "nothing from 198.51.100.80 is in the capture" in why(None, request=request, code="").text
    assert "alive" in why(None, message("x.c", 5, "acs", "hnb"), request=request, code="").text
    assert "last heard in frame 5" in why(None, message("x.c", 0.5, "acs", "hnb"), request=request, code="").text
    icmp = message("icmp.unreachable", 2, "gw", "hnb", quoted_dst="198.51.100.80", code="host unreachable")
    assert "reports it as unreachable" in why(None, icmp, request=request, code="").text


def test_a_code_nobody_knows_has_no_reason():
    assert why(message("x.no", 2, "acs", "hnb"), code="BUSY") == Reason()
