"""TS 32.583 5.3.1: what becomes of a Download, by what the file server and the DNS say and by what the HNB reports."""

import pytest
from dialogue import CM_FILE, SITE, STORE, STORE_NAME, Line, answer, asked_for, fetch, order, over, report, request
from packets import post

RULE = "ts32.583-5.3.1"
FILE = answer("200 OK", body=CM_FILE)
CUT = FILE.replace(f"Content-Length: {len(CM_FILE)}".encode(), b"Content-Length: 5000")


def unreachable(line):
    line.lookup(STORE_NAME, STORE)
    line.unanswered(STORE, 80)


def challenged_twice(line):
    line.lookup(STORE_NAME, STORE)
    connection = line.connect(STORE, 80)
    for _ in range(2):
        connection.up(request("GET", "/cm/a.xml", STORE_NAME)).down(answer("401 Unauthorized"))
    connection.end()


def cut_off(line):
    line.lookup(STORE_NAME, STORE)
    connection = line.connect(STORE, 80)
    connection.up(request("GET", "/cm/a.xml", STORE_NAME)).down(CUT)
    connection.end(by_client=False)


@pytest.mark.parametrize("site", [SITE, None], ids=["site", "unaided"])
@pytest.mark.parametrize("transfer, code, cause", [
    (lambda line: line.lookup(STORE_NAME, rcode=3), 9015, "file-server-address/refused:NXDOMAIN"),
    (lambda line: (line.lookup(STORE_NAME, STORE), line.refused(STORE, 80)), 9015, "connected/refused"),
    (unreachable, 9015, "connected/no-answer"),
    (lambda line: fetch(line, answer("401 Unauthorized")), 9012, "file-by-http/refused:401"),
    (challenged_twice, 9012, "file-by-http/refused:401"),
    (lambda line: fetch(line, answer("503 Service Unavailable")), 9010, "file-by-http/refused:503"),
    (cut_off, 9017, "file-by-http/field-wrong:short_by"),
    (cut_off, 0, "file-by-http/field-wrong:short_by"),
    (lambda line: None, 9001, "request-by-http/missing"),
    (lambda line: fetch(line, FILE, name="other.core.example", address="10.70.0.66"), 0, "request-by-http/field-wrong:dst."),
    (lambda line: fetch(line, FILE), 9018, "outcome/field-wrong:FaultStruct.FaultCode"),
])
def test_a_failed_transfer_is_located_where_it_failed(transfer, code, cause, site, tmp_path):
    line = Line()
    order(line)
    transfer(line)
    report(line, code)
    (verdict, found), = [(verdict, found) for rule, verdict, found in line.verdicts(tmp_path, site) if rule == RULE]
    assert verdict == "fail" and found.startswith(f"{RULE}/{cause}")


def refused_once(line):
    fetch(line, answer("503 Service Unavailable"))
    line.wait(10)
    fetch(line, FILE)
    report(line)


def report_refused_once(line):
    fetch(line, FILE)
    report(line, accepted=False)
    report(line, retries=1)


def challenged(line):
    line.lookup(STORE_NAME, STORE)
    connection = line.connect(STORE, 80)
    connection.up(request("GET", "/cm/a.xml", STORE_NAME)).down(answer("401 Unauthorized"))
    connection.up(request("GET", "/cm/a.xml", STORE_NAME)).down(FILE).end()
    report(line)


def sent_on(line):
    fetch(line, answer("302 Found", "Location: http://mirror.core.example/b.xml\r\n"))
    fetch(line, FILE, "/b.xml", "mirror.core.example", "10.70.0.66")
    report(line)


@pytest.mark.parametrize("course, warnings", [
    (refused_once, {"file-by-http/refused:503"}), (report_refused_once, {"report-inform-accepted/no-answer"}),
    (challenged, set()), (sent_on, set())])
def test_what_was_tried_again_and_done_is_right(course, warnings, tmp_path):
    line = Line()
    order(line)
    course(line)
    attempt, = [a for a in line.attempts(tmp_path) if a.procedure == RULE]
    assert attempt.verdict == "pass"
    assert {f.code.partition("/")[2] for f in attempt.findings if f.severity == "warning"} == warnings


@pytest.mark.parametrize("kind", ["1 Firmware Upgrade Image", "2 Web Content"])
def test_the_report_of_another_transfer_is_none_of_this(kind, tmp_path):
    line = Line()
    order(line, kind=kind)
    fetch(line, FILE)
    report(line)
    assert not line.verdicts(tmp_path)


def test_the_report_of_an_upload_is_none_of_this(tmp_path):
    line = Line()
    over(asked_for(line))
    report(line, kind="Upload")
    assert RULE not in [rule for rule, *_ in line.verdicts(tmp_path)]


def test_two_orders_at_a_time_are_not_taken_for_one_another(tmp_path):
    """Neither the requests nor the reports say to which order they belong, where they come in another order."""
    line = Line()
    order(line)
    order(line, f"http://{STORE_NAME}/cm/b.xml")
    fetch(line, FILE)
    fetch(line, FILE, "/cm/b.xml")
    report(line)
    report(line)
    assert "fail" not in [verdict for _, verdict, _ in line.verdicts(tmp_path)]
