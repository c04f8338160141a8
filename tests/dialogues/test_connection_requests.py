"""Connection requests (TR-069 3.2.2) and what came of them: TS 32.583 5.3.2 from the first SYN of the manager on."""

import pytest
from dialogue import (CHALLENGE, CREDENTIALS, HMS, HNB, SITE, Line, answer, ask_for_session, asked_for, fault, in_touch, inform,
                      inform_response, over, request, rpc, session, set_values, values_set)
from packets import post, reply

CM = {"Device.Services.FAPService.1.CellConfig.UMTS.CN.LACRAC": "1:1"}
RULE = "ts32.583-5.3.2"
UNAUTHORIZED, TAKEN = answer("401 Unauthorized", CHALLENGE), answer("200 OK")


def update(connection):
    over(connection.down(reply(set_values(CM))).up(post(values_set())))


def nobody_listens(line):
    line.refused(HNB, 7547, client=HMS)


def nobody_answers(line):
    line.unanswered(HNB, 7547, client=HMS)


def without_answer(line):
    connection = line.connect(HNB, 7547, client=HMS)
    connection.up(request("GET", "/cr"))


def wrong_credentials(line):
    ask_for_session(line, UNAUTHORIZED, UNAUTHORIZED)


def without_session(line):
    ask_for_session(line, UNAUTHORIZED, TAKEN)


def always_busy(line):
    ask_for_session(line, answer("503 Service Unavailable"))


def session_refused(line):
    ask_for_session(line, UNAUTHORIZED, TAKEN)
    session(line, "6 CONNECTION REQUEST", accepted=False).down(reply(fault(8001, "i1"))).end()


@pytest.mark.parametrize("site", [SITE, None], ids=["site", "unaided"])
@pytest.mark.parametrize("scenario, cause", [
    (nobody_listens, "connected/refused"),
    (nobody_answers, "connected/no-answer"),
    (without_answer, "connection-request-answer/no-answer"),
    (wrong_credentials, "connection-request-answer/refused:401"),
    (without_session, "session-opened/stopped"),
    (always_busy, "session-opened/stopped"),
    (session_refused, "session-accepted/refused:8001"),
])
def test_a_session_asked_for_in_vain_is_an_update_that_failed(scenario, cause, site, tmp_path):
    """Also right after a session of another kind."""
    line = Line()
    in_touch(line)
    scenario(line)
    line.alive(60)
    assert (RULE, "fail", f"{RULE}/{cause}") in line.verdicts(tmp_path, site)


def busy_then_free(line):
    ask_for_session(line, answer("503 Service Unavailable"))
    line.wait(10)
    update(asked_for(line))


def during_a_session(line):
    """The device is in a session already, so it opens none."""
    connection = session(line, "2 PERIODIC")
    ask_for_session(line, UNAUTHORIZED, TAKEN)
    update(connection)


def for_another_purpose_first(line):
    over(asked_for(line).down(reply(rpc("FactoryReset"))).up(post(rpc("FactoryResetResponse"))))
    line.wait(20)
    update(asked_for(line))


@pytest.mark.parametrize("scenario", [busy_then_free, during_a_session, for_another_purpose_first,
                                      lambda line: update(asked_for(line)),
                                      lambda line: update(session(line, "2 PERIODIC"))])
def test_a_session_in_which_the_update_was_made_is_right(scenario, tmp_path):
    line = Line()
    in_touch(line)
    scenario(line)
    line.alive(60)
    assert [verdict for rule, verdict, _ in line.verdicts(tmp_path) if rule == RULE] == ["pass"]


@pytest.mark.parametrize("scenario", [
    lambda line: over(asked_for(line)),
    lambda line: asked_for(line).down(reply(rpc("FactoryReset"))).up(post(rpc("FactoryResetResponse"))),
    lambda line: line.connect(HNB, 7547, client=HMS).end(),
], ids=["nothing was done", "reset", "a port that was only tried"])
def test_a_session_for_something_else_is_no_update(scenario, tmp_path):
    line = Line()
    in_touch(line)
    scenario(line)
    line.alive(100)
    assert RULE not in [rule for rule, *_ in line.verdicts(tmp_path)]


def test_a_challenge_at_the_end_of_the_capture_is_no_refusal(tmp_path):
    line = Line()
    in_touch(line)
    line.connect(HNB, 7547, client=HMS).up(request("GET", "/cr")).down(UNAUTHORIZED)
    assert [verdict for rule, verdict, _ in line.verdicts(tmp_path) if rule == RULE] == ["inconclusive"]


def test_an_inform_challenged_over_a_connection_that_stays_open_is_one_inform(tmp_path):
    line = Line()
    ask_for_session(line, UNAUTHORIZED, TAKEN)
    told = inform(line, "6 CONNECTION REQUEST")
    line.connect().up(post(told)).down(UNAUTHORIZED)
    connection = line.connect()
    connection.up(post(told).replace(b"Content-Type", CREDENTIALS.encode() + b"Content-Type", 1))
    update(connection.down(reply(inform_response())).up(post()))
    assert line.verdicts(tmp_path) == [(RULE, "pass", None)]
