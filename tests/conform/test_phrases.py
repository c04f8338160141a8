"""Messages in the words of their specifications."""

import pytest
from literals import message

from flowcheck.conform import phrases


@pytest.mark.parametrize("kind, words", [
    ("ike.auth.response", "an IKE_AUTH response"), ("dns.response", "a DNS answer"),
    ("cwmp.InformResponse", "an InformResponse"),
    ("tls.client_hello", "a TLS ClientHello"), ("tls.finished", "a TLS Finished"),
    ("http.response", "an HTTP response"),
    ("sctp.init_ack", "an SCTP INIT ACK"), ("hnbap.HNBRegisterAccept", "an HNBRegisterAccept"),
    ("json.request", "a JSON request"),
    ("cwmp.session_end", "an end of the CWMP session"), ("x.a", "a x.a"), ("tcp.syn", "a TCP SYN"),
    ("diameter.AIA", "a Diameter AIA")])
def test_the_name_of_a_kind(kind, words):
    assert phrases.article(phrases.name(kind)) == words


ASKED = message("cwmp.SetParameterValues", 1)
FAULT = {"FaultString": "Invalid arguments", "SetParameterValuesFault": [{"ParameterName": "Device.X", "FaultCode": 9007, "FaultString": "Invalid"}]}


@pytest.mark.parametrize("refusal, detail, asked, said", [
    (message("dns.response", 2, qname="hms.example"), "NXDOMAIN", None, "W answered NXDOMAIN for hms.example"),
    (message("ike.auth.response", 2, response=True), "TS_UNACCEPTABLE", None,
     "W refused IKE_AUTH with TS_UNACCEPTABLE"),
    (message("ike.informational.request", 2, response=False), "AUTHENTICATION_FAILED", None,
     "W broke off IKE with AUTHENTICATION_FAILED"),
    (message("tls.alert", 2), "unknown_ca", None, "W ended the TLS handshake with alert unknown_ca"),
    (message("cwmp.Fault", 2, **FAULT), "9003", ASKED,
     "W refused SetParameterValues with Fault 9003 (Invalid arguments): Device.X: 9007 Invalid"),
    (message("http.response", 2, status=404, reason="Not Found", request_method="GET", request_target="/f?user=a"),
     "404", None,
     "W answered GET /f with 404 Not Found"),
    (message("ftp.reply", 2, code=530, text="Login incorrect.", command="PASS", argument="secret"), "530", None,
     "W answered PASS with 530 Login incorrect"),
    (message("tcp.refused", 2, "acs", "hnb"), "", None, "W refused the TCP connection to port 7547"),
    (message("sctp.abort", 2, cause="user initiated"), "", None, "W aborted the SCTP association: user initiated"),
    (message("emm.AuthenticationFailure", 2, cause=20, cause_text="MAC failure"), "20",
     message("emm.AuthenticationRequest", 1),
     "W answered AuthenticationRequest with AuthenticationFailure (20: MAC failure)"),
    (message("x.no", 2), "BUSY", None, "W sent x.no (BUSY)")])
def test_a_refusal_in_one_clause(refusal, detail, asked, said):
    assert phrases.refusal(refusal, "W", detail, asked) == said


def test_what_was_asked():
    assert phrases.request(message("dns.query", 1, qname="hms.example",
                                   qtype="A")) == "the DNS query for hms.example (A)"
    assert phrases.request(message("http.request", 1, method="POST", target="/acs?key=1")) == "POST /acs"
    assert phrases.request(message("ike.sa_init.request", 1)) == "the IKE_SA_INIT request"


def test_a_long_value_is_cut():
    assert len(phrases.refusal(message("dns.response", 2, qname="a" * 5000), "W", "NXDOMAIN", None)) < 300
