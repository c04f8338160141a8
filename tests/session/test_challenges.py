"""A request that was challenged or referred and made again is one request."""

import pytest
from literals import SECOND, message

from flowcheck.session.challenges import fold


def exchange(at, method, status, number, dst="server", path="/a/file.xml"):
    about = {"stream": number, "exchange": 1}
    return [message("http.request", at, "hnb", dst, method=method, path=path, transaction=number, **about),
            message("http.response", at + 0.1, dst, "hnb", status=status, answers=number, **about)]


def left(*messages, until=100.0):
    return [(m.fields.get("method") or m.fields.get("status"), len(m.copies)) for m in fold(messages, round(until * SECOND) + messages[0].time)]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST"])
@pytest.mark.parametrize("status", [401, 407])
def test_what_was_challenged_and_sent_again_is_one(method, status):
    assert left(*exchange(1, method, status, 1), *exchange(2, method, 200, 2)) == [(method, 2), (200, 0)]


@pytest.mark.parametrize("second", [
    exchange(2, "GET", 200, 2, dst="another"),             # who was challenged comes back to who challenged it
    exchange(2, "GET", 200, 2, path="/b/other.xml"),
    exchange(2, "PUT", 200, 2),
    exchange(50, "GET", 200, 2),                           # and soon
])
def test_another_request_is_not_the_challenged_one(second):
    assert len(left(*exchange(1, "GET", 401, 1), *second)) == 4


def test_only_what_is_uploaded_follows_a_referral():
    assert len(left(*exchange(1, "PUT", 307, 1), *exchange(2, "PUT", 201, 2, dst="another"))) == 2
    assert len(left(*exchange(1, "GET", 302, 1), *exchange(2, "GET", 200, 2))) == 4


@pytest.mark.parametrize("until, after, kept", [
    (1.2, [], ["GET"]),                                    # the capture ends at the challenge: nobody gave up
    (9.0, [], ["GET", 401]),
    (1.2, exchange(1.15, "POST", 200, 3), ["GET", 401, "POST", 200]),       # the client turned to something else
    (1.2, [message("tcp.fin", 1.15, "hnb", "server", stream=1)], ["GET", 401, None]),       # or gave up
])
def test_a_challenge_that_nobody_could_take_up_is_no_answer(until, after, kept):
    assert [told for told, _ in left(*exchange(1, "GET", 401, 1), *after, until=until)] == kept


@pytest.mark.parametrize("second, kept", [("a", 3), ("b", 6)])
def test_what_the_bodies_say_goes_with_the_try_if_the_next_says_the_same(second, kept):
    def told(number, at, said):
        return message("json.request", at, "hnb", "server", body={"id": said}, stream=number, exchange=1)

    first, again = exchange(1, "POST", 401, 1), exchange(2, "POST", 200, 2)
    assert len(left(first[0], told(1, 1, "a"), first[1], again[0], told(2, 2, second), again[1])) == kept


def test_a_second_challenge_is_the_answer():
    assert left(*exchange(1, "GET", 401, 1), *exchange(2, "GET", 401, 2)) == [("GET", 2), (401, 0)]
