"""TS 32.583 5.6.2: performance files by HTTP and FTP, to the right server and to others, refused, broken off, repeated."""

import pytest
from dialogue import (CHALLENGE, CREDENTIALS, PM_FILE, SITE, STORE, Connection, Line, answer, ftp, over, put, report, request,
                      rpc, session, upload_set)
from packets import post, reply

RULE = "ts32.583-5.6.2"
LOGIN = (("USER u", "331 password"), ("PASS p", "230 in"))
STORED = ("STOR " + PM_FILE, "150 go", "226 done")
QUIT = ("QUIT", "221 bye")
ELSEWHERE = {"name": "other.core.example", "address": "10.70.0.66"}


def told(line, tmp_path, site=SITE):
    return [(verdict, cause and cause.partition("/")[2]) for rule, verdict, cause in line.verdicts(tmp_path, site) if rule == RULE]


@pytest.mark.parametrize("site", [SITE, None], ids=["site", "unaided"])
@pytest.mark.parametrize("turns, greeting, cause", [
    ((), "421 too many", "reply/refused:421"),
    ((LOGIN[0], ("PASS p", "530 no")), "220 ready", "logged-in/refused:530"),
    ((*LOGIN, ("CWD pm", "550 no such directory"), QUIT), "220 ready", "store/stopped"),
    ((*LOGIN, ("PASV", "502 not here"), QUIT), "220 ready", "store/stopped"),
    ((*LOGIN, ("STOR " + PM_FILE, "552 quota")), "220 ready", "stored/refused:552"),
])
def test_an_upload_by_ftp_that_fails(turns, greeting, cause, site, tmp_path):
    line = Line()
    upload_set(line, "ftp")
    ftp(line, *turns, greeting=greeting).end()
    line.alive(60)
    assert told(line, tmp_path, site) == [("fail", cause)]


def test_refusals_of_what_is_not_needed_and_answers_with_the_same_code_split_nothing(tmp_path):
    line = Line()
    upload_set(line, "ftp")
    ftp(line, *LOGIN, ("EPSV", "500 unknown"), ("MKD pm", "550 exists"), ("CWD pm", "250 there"), ("SIZE " + PM_FILE, "550 none"),
        STORED, QUIT).end()
    assert told(line, tmp_path) == [("pass", None)]


@pytest.mark.parametrize("site", [SITE, None], ids=["site", "unaided"])
def test_a_file_for_another_server_than_the_one_that_was_named(site, tmp_path):
    line = Line()
    upload_set(line, "ftp")
    ftp(line, *LOGIN, STORED, QUIT, **ELSEWHERE).end()
    (verdict, cause), = told(line, tmp_path, site)
    assert verdict == "fail" and cause.startswith("store/field-wrong:dst.")
    line = Line()
    upload_set(line, "http")
    put(line, answer("201 Created"), **ELSEWHERE)
    (verdict, cause), = told(line, tmp_path, site)
    assert verdict == "fail" and cause.startswith("put-elsewhere/field-wrong:dst.")


@pytest.mark.parametrize("status, ending, more, cause", [
    ("507 Insufficient Storage", None, {}, "put-done/refused:507"),
    ("401 Unauthorized", None, {}, "put-done/refused:401"),
    (None, lambda connection: connection.reset(by_client=False), {"length": 9000}, "put-done/no-answer"),
    (None, Connection.end, {"length": 9000}, "put/field-wrong:short_by"),
])
def test_an_upload_by_http_that_fails(status, ending, more, cause, tmp_path):
    line = Line()
    upload_set(line, "http")
    put(line, answer(status) if status else None, ending=ending, **more)
    line.alive(60)
    assert told(line, tmp_path) == [("fail", cause)]


def test_a_refusal_before_the_body_was_sent(tmp_path):
    """Expect: 100-continue; the server refuses, and the body rightly never comes."""
    line = Line()
    upload_set(line, "http")
    line.lookup("store.core.example", STORE)
    connection = line.connect(STORE, 80)
    connection.up(request("PUT", f"/pm/{PM_FILE}", headers="Expect: 100-continue\r\n").replace(b"Length: 0", b"Length: 500"))
    connection.down(answer("413 Content Too Large")).end()
    line.alive(60)
    assert told(line, tmp_path) == [("fail", "put-done/refused:413")]


@pytest.mark.parametrize("closing", [True, False])
def test_a_challenge_is_no_refusal(closing, tmp_path):
    line = Line()
    upload_set(line, "http")
    put(line, answer("401 Unauthorized", CHALLENGE), ending=lambda connection: connection.end(by_client=closing))
    put(line, answer("201 Created"), headers=CREDENTIALS)
    assert told(line, tmp_path) == [("pass", None)]


def test_an_upload_that_the_manager_ordered_is_another_matter(tmp_path):
    line = Line()
    ordered = rpc("Upload", "u1", "<CommandKey>c1</CommandKey><FileType>2 Vendor Log File</FileType>")
    connection = session(line, "6 CONNECTION REQUEST").down(reply(ordered))
    over(connection.up(post(rpc("UploadResponse", "u1", "<Status>1</Status>"))))
    line.lookup("store.core.example", STORE)
    line.connect(STORE, 80).up(request("PUT", "/logs/a.log", body=b"x" * 50)).down(answer("403 Forbidden")).end()
    report(line, 9011, kind="Upload")
    assert not line.verdicts(tmp_path)


def test_a_connection_over_which_nothing_is_sent_is_no_upload(tmp_path):
    line = Line()
    over(session(line, "2 PERIODIC"))
    line.lookup("store.core.example", STORE)
    line.connect(STORE, 80)
    line.alive(60)
    assert told(line, tmp_path) == [("inconclusive", None)]
