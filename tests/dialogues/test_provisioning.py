"""TR 23.700-24 6.X.1.3: a Provisioning Function that is not reached, does not answer, answers nonsense, or asks who is there."""

import json

import pytest
from dialogue import CHALLENGE, CREDENTIALS, Line, answer, request
from scapy.layers.inet import ICMP, IP, UDP

UE, FUNCTION, RESOLVER = "198.51.100.13", "203.0.113.20", "10.70.0.53"
NAME, RULE = "prov.msgin5g.example", "tr23.700-24-6.x.1.3"
SITE = f"""site: provisioning
hosts:
  dns: {{addresses: [{RESOLVER}]}}
  provisioning_function: {{names: [{NAME}], addresses: [{FUNCTION}]}}
"""
ASKED = json.dumps({"privateId": "00:00:5E:00:53:13"}).encode()
TOLD = json.dumps({"serviceId": "ue1@msgin5g.example", "serverServiceIds": ["s1@msgin5g.example"]}).encode()
JSON = "Content-Type: application/json\r\n"


def post(headers=""):
    return request("POST", "/msgin5g/provision", NAME, JSON + headers, ASKED)


def connect(line):
    return line.connect(FUNCTION, 80, client=UE)


def alive(line, seconds):
    line.wait(seconds)
    line.put(IP(src=UE, dst="192.0.2.1") / UDP(sport=123, dport=123) / (b"\x23" + bytes(47)))


def coap(line, up, kind, code, number, options=b"", payload=b"", token=b"\xaa"):
    """One CoAP message (RFC 7252 3): `kind` 0 to 3, `code` as class * 100 + detail."""
    head = bytes((0x40 | kind << 4 | len(token), code // 100 << 5 | code % 100)) + number.to_bytes(2, "big") + token + options
    src, dst, ports = (UE, FUNCTION, (40_000, 5683)) if up else (FUNCTION, UE, (5683, 40_000))
    line.put(IP(src=src, dst=dst) / UDP(sport=ports[0], dport=ports[1]) / (head + (b"\xff" + payload if payload else b"")), 0.01)


def coap_asks(line):
    """POST to /provision with Content-Format 50."""
    coap(line, True, 0, 2, 7, b"\xb9provision" + b"\x11\x32", ASKED)


def unanswered_by_coap(line):
    coap_asks(line)
    for pause in (2, 4, 8):
        line.wait(pause)
        coap_asks(line)


def acknowledged_only(line):
    coap_asks(line)
    coap(line, False, 2, 0, 7, token=b"")


def port_closed(line):
    coap_asks(line)
    line.put(IP(src=FUNCTION, dst=UE) / ICMP(type=3, code=3) / line.packets[-1][IP])


@pytest.mark.parametrize("site", [SITE, None], ids=["site", "unaided"])
@pytest.mark.parametrize("course, cause", [
    (lambda line: line.unanswered(FUNCTION, 80, client=UE), "connected/no-answer"),
    (lambda line: connect(line).up(post()), "response/no-answer"),
    (lambda line: connect(line).up(post()).down(answer("202 Accepted")), "response/no-answer"),
    (lambda line: connect(line).up(post()).down(answer("200 OK", JSON, b'{"serviceId": "ue1",')), "response/field-absent:service_id"),
    (unanswered_by_coap, "response/no-answer"),
    (acknowledged_only, "response/no-answer"),
    (port_closed, "response/refused:PORT_UNREACHABLE"),
])
def test_no_provisioning(course, cause, site, tmp_path):
    line = Line()
    line.lookup(NAME, FUNCTION, client=UE)
    course(line)
    alive(line, 45)
    assert line.verdicts(tmp_path, site) == [(RULE, "fail", f"{RULE}/{cause}")]


def test_who_is_challenged_and_comes_back_is_provisioned(tmp_path):
    line = Line()
    line.lookup(NAME, FUNCTION, client=UE)
    connection = connect(line).up(post()).down(answer("401 Unauthorized", JSON + CHALLENGE, b'{"error": "who"}'))
    connection.up(post(CREDENTIALS)).down(answer("201 Created", JSON, TOLD)).end()
    assert line.verdicts(tmp_path, SITE) == [(RULE, "pass", None)]


def test_the_credentials_of_another_request_do_not_excuse_a_refusal(tmp_path):
    line = Line()
    connection = connect(line).up(post()).down(answer("401 Unauthorized", JSON + CHALLENGE, b'{"error": "who"}'))
    other = request("POST", "/msgin5g/provision", NAME, JSON + CREDENTIALS, ASKED.replace(b":13", b":14"))
    connection.up(other).down(answer("201 Created", JSON, TOLD)).end()
    assert (f"{RULE.replace('1.3', '1.4')}", "fail") in [attempt[:2] for attempt in line.verdicts(tmp_path, None)]


def test_a_later_response_may_be_on_its_way_when_the_capture_ends(tmp_path):
    line = Line()
    connect(line).up(post()).down(answer("202 Accepted"))
    assert line.verdicts(tmp_path, SITE) == [(RULE, "inconclusive", None)]
