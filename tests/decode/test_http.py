"""HTTP/1.x: one table of streams, fed whole, byte by byte and cut at every length; then loss, order and bodies."""

import gzip
import zlib

import pytest
from hypothesis import given, settings, strategies as st

from flowcheck.decode import http
from flowcheck.decode.wire import Tape
from flowcheck.model import Context, Endpoint, FrameRef, Message, Payload, Switch

CLIENT, SERVER = Endpoint("192.0.2.1", 40000), Endpoint("198.51.100.2", 7547)
INFORM = b'<?xml version="1.0"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"/>'


class Playback:
    """A stream of which each fed piece is one frame."""

    def __init__(self):
        context = Context(0, (), CLIENT, SERVER, ("eth", "ip", "tcp"), 7)
        back = Context(0, (), SERVER, CLIENT, ("eth", "ip", "tcp"), 7)
        self.conversation, self.tapes, self.number = http.Conversation(context), (Tape(context), Tape(back)), 0

    def __call__(self, *steps, size=None):
        """Each step is (side, bytes), (side, lost octets), (side, None) for its end, or (side, True) for its FIN."""
        found = []
        for side, what in steps:
            if what is None or what is True:
                if what:
                    self.number += 1
                    self.tapes[side].closed = self.number, FrameRef(0, self.number)
                found += self.conversation.end(side)
            elif isinstance(what, int):
                found += self.conversation.lost(side, what)
            else:
                for at in range(0, len(what), size or len(what)):
                    self.number += 1
                    self.tapes[side].append(what[at:at + (size or len(what))], FrameRef(0, self.number), self.number)
                    found += self.conversation.feed(side, self.tapes[side])
        return found


def play(*steps, size=None):
    return Playback()(*steps, size=size)


def messages(found):
    return [item for item in found if isinstance(item, Message)]


def summary(found):
    return [(m.kind, m.fields.get("method") or m.fields["status"], m.exchange, m.fields["body_length"], m.incomplete)
            for m in messages(found)]


def bodies(found):
    return [(p.protocol, p.data) for p in found if isinstance(p, Payload)]


def post(body, *lines, kind=b"text/xml"):
    return b"\r\n".join([b"POST /acs?a=b HTTP/1.1", b"Host: hms.example:7547",
                         b"Content-Type: " + kind + b"; charset=utf-8",
                         b"Content-Length: %d" % len(body), *lines, b"", body])


def answer(body, *lines, status=b"200 OK"):
    return b"\r\n".join([b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *lines, b"", body])


GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nWiki\r\n5\r\npedia\r\n0\r\nDigest: z\r\n\r\n"
REQ, RES = "http.request", "http.response"

CASES = {
    "one exchange": ([(0, post(b"hello")), (1, answer(b""))],
                     [(REQ, "POST", 1, 5, False), (RES, 200, 1, 0, False)], [("text/xml", b"hello")]),
    "keep-alive": ([(0, GET), (1, answer(b"a")), (0, post(b"")), (1, answer(b"", status=b"204 No Content"))],
                   [(REQ, "GET", 1, 0, False), (RES, 200, 1, 1, False), (REQ, "POST", 2, 0, False),
                    (RES, 204, 2, 0, False)],
                   [("", b"a")]),
    "pipelined": ([(0, GET + post(b"x")), (1, answer(b"a") + answer(b"b"))],
                  [(REQ, "GET", 1, 0, False), (REQ, "POST", 2, 1, False), (RES, 200, 1, 1, False),
                   (RES, 200, 2, 1, False)],
                  [("text/xml", b"x"), ("", b"a"), ("", b"b")]),
    "chunked": ([(0, GET), (1, CHUNKED)], [(REQ, "GET", 1, 0, False), (RES, 200, 1, 9, False)], [("", b"Wikipedia")]),
    "chunked request": ([(0, b"PUT /f HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\n0\n\n" + GET)],
                        [(REQ, "PUT", 1, 2, False), (REQ, "GET", 2, 0, False)], [("", b"ab")]),
    "a chunk's size with many zeros": ([(0, GET), (1, CHUNKED.replace(b"4;x=y", b"0" * 40 + b"4"))],
                                       [(REQ, "GET", 1, 0, False), (RES, 200, 1, 9, False)], [("", b"Wikipedia")]),
    "a length with many zeros": ([(1, b"HTTP/1.1 200 OK\r\nContent-Length: " + b"0" * 9000 + b"2\r\n\r\nok"),
                                  (1, answer(b""))],
                                 [(RES, 200, 1, 2, False), (RES, 200, 2, 0, False)], [("", b"ok")]),
    "100-continue": ([(0, post(b"", b"Expect: 100-continue")[:-2] + b"\r\n"),
                      (1, b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"x"))],
                     [(REQ, "POST", 1, 0, False), (RES, 100, 1, 0, False), (RES, 200, 1, 1, False)], [("", b"x")]),
    "closed by the server": ([(0, GET), (1, b"HTTP/1.0 404 Not Found\n\nsorry"), (1, True)],
                             [(REQ, "GET", 1, 0, False), (RES, 404, 1, 5, False)], [("", b"sorry")]),
    "HEAD and 304": ([(0, b"HEAD / HTTP/1.0\r\n\r\n" + GET),
                      (1, b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\n"
                          b"HTTP/1.0 304 Not Modified\r\nContent-Length: 99\r\n\r\n")],
                     [(REQ, "HEAD", 1, 0, False), (REQ, "GET", 2, 0, False), (RES, 200, 1, 0, False),
                      (RES, 304, 2, 0, False)], []),
    "401 round": ([(0, post(b"i")), (1, answer(b"", b'WWW-Authenticate: Digest realm="r"', status=b"401 Unauthorized")),
                   (0, post(b"i", b"Authorization: Digest username=u")), (1, answer(b"ok"))],
                  [(REQ, "POST", 1, 1, False), (RES, 401, 1, 0, False), (REQ, "POST", 2, 1, False),
                   (RES, 200, 2, 2, False)],
                  [("text/xml", b"i"), ("text/xml", b"i"), ("", b"ok")]),
    "empty lines and line feeds only": ([(0, b"\r\n\nGET /x HTTP/1.0\nA: 1\n\n\r\n" + GET)],
                                        [(REQ, "GET", 1, 0, False), (REQ, "GET", 2, 0, False)], []),
    "wrong type around SOAP": ([(0, post(INFORM, kind=b"text/html"))], [(REQ, "POST", 1, len(INFORM), False)],
                               [("cwmp", INFORM)]),
    "sides the wrong way round": ([(1, GET), (0, answer(b"a")), (1, GET), (0, answer(b"b"))],
                                  [(REQ, "GET", 1, 0, False), (RES, 200, 1, 1, False), (REQ, "GET", 2, 0, False),
                                   (RES, 200, 2, 1, False)], [("", b"a"), ("", b"b")]),
    "response without its request": ([(1, answer(b"a")), (0, GET), (1, answer(b"b"))],
                                     [(RES, 200, 1, 1, False), (REQ, "GET", 2, 0, False), (RES, 200, 2, 1, False)],
                                     [("", b"a"), ("", b"b")]),
}


@pytest.mark.parametrize("size", [None, 1, 7], ids=["whole", "bytewise", "sevens"])
@pytest.mark.parametrize("name", CASES)
def test_streams(name, size):
    steps, expected, carried = CASES[name]
    found = play(*steps, size=size)
    assert summary(found) == expected
    assert bodies(found) == carried
    assert not any(m.problems for m in messages(found))


@pytest.mark.parametrize("name", CASES)
def test_cut_at_every_length(name):
    steps, whole, _ = CASES[name]
    for last, (side, octets) in enumerate(steps):
        for length in range(len(octets) if isinstance(octets, bytes) else 0):
            found = play(*steps[:last], *([(side, octets[:length])] if length else []), (0, None), (1, None))
            closes = name == "closed by the server"              # cut or not, the end of the connection ends the body
            for got in summary(found):
                assert got[4] or got in whole or closes and got[:3] == whole[1][:3]
            assert all(p.context.missing for p in found if isinstance(p, Payload) and not closes
                       and p.data not in dict.fromkeys(d for _, d in CASES[name][2]))


def test_fields():
    request, response = messages(play((0, post(b"x", b"Authorization: Digest username=u", b"Cookie: a=1", b"X: 1",
                                               b" folded", b"X: 2")),
                                      (1, answer(b"", b"Set-Cookie: a=1", b"Set-Cookie: b=2"))))
    assert request.fields == {
        "method": "POST", "target": "/acs?a=b", "path": "/acs", "query": "a=b", "host": "hms.example:7547",
        "version": "1.1",
        "headers": {"host": "hms.example:7547", "content-type": "text/xml; charset=utf-8", "content-length": "1",
                    "cookie": "a=1",
                    "authorization": "Digest username=u", "x": "1 folded, 2"},
        "authorization_scheme": "Digest", "body_length": 1, "content_length": 1, "content_type": "text/xml"}
    assert response.fields["headers"]["set-cookie"] == ["a=1", "b=2"]
    assert (response.fields["request_method"], response.fields["request_target"]) == ("POST", "/acs?a=b")
    assert (request.src, response.src, request.layers) == (CLIENT, SERVER, ("eth", "ip", "tcp"))
    for kind, message in ((REQ, request), (RES, response)):
        assert set(message.fields) <= set(http.KINDS[kind])


@pytest.mark.parametrize("target, path", [("http://h.example:80/a/b?c", "/a/b"), ("http://h.example", "/"), ("*", "*"),
                                          ("/r?u=http://x/y", "/r")])
def test_path(target, path):
    [message] = messages(play((0, b"GET " + target.encode() + b" HTTP/1.0\r\n\r\n")))
    assert (message.fields["target"], message.fields["path"]) == (target, path)


def test_frames_and_time_are_those_of_the_whole_message():
    found = play((0, post(b"hello")[:30]), (0, post(b"hello")[30:-2]), (0, b"lo" + GET))
    first, second = messages(found)
    assert ([f.number for f in first.frames], first.time) == ([1, 2, 3], 3)
    assert [f.number for f in second.frames] == [3]


def test_carrier():
    found = play((0, post(b"ask")), (1, answer(b"{}", b"Content-Type: Application/JSON; x=y")))
    request, response = [item for item in found if isinstance(item, Payload)]
    assert request.context.carrier["direction"] == "request" and "status" not in request.context.carrier
    assert {k: response.context.carrier[k] for k in ("protocol", "method", "path", "status", "content_type",
                                                     "direction")} == \
        {"protocol": "http", "method": "POST", "path": "/acs", "status": 200, "content_type": "application/json",
         "direction": "response"}
    assert response.protocol == "application/json"
    assert response.context.layers == ("eth", "ip", "tcp", "http") and response.context.exchange == 1


@pytest.mark.parametrize("coding, pack", [
    (b"gzip", gzip.compress), (b"x-gzip", gzip.compress), (b"deflate", zlib.compress),
    (b"deflate", lambda b: zlib.compress(b)[2:-4]),
    (b"gzip", zlib.compress), (b"identity", lambda b: b)])
def test_compressed_bodies(coding, pack):
    found = play((0, post(pack(INFORM), b"Content-Encoding: " + coding)))
    assert bodies(found) == [("cwmp", INFORM)]
    assert messages(found)[0].fields["body_length"] == len(pack(INFORM))


def test_compressed_bodies_that_are_wrong_or_too_long():
    bomb = play((0, post(gzip.compress(bytes(40 << 20)), b"Content-Encoding: gzip")))
    assert len(bodies(bomb)[0][1]) == 8 << 20 and "more than" in messages(bomb)[0].problems[0].text
    wrong = play((0, post(b"plain text", b"Content-Encoding: gzip")))
    assert not bodies(wrong) and "not gzip" in messages(wrong)[0].problems[0].text
    assert not bodies(play((0, post(b"???", b"Content-Encoding: br"))))


def test_large_bodies_are_counted():
    size = 9 << 20
    found = play((0, b"PUT /big HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size), (0, bytes(size)), (0, GET),
                 size=1 << 16)
    assert summary(found) == [(REQ, "PUT", 1, size, False), (REQ, "GET", 2, 0, False)]
    assert not bodies(found)
    chunk = b"%x\r\n" % (1 << 20) + bytes(1 << 20) + b"\r\n"
    found = play((1, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), (1, chunk * 9 + b"0\r\n\r\n"),
                 size=1 << 16)
    assert summary(found) == [(RES, 200, 1, size, False)]
    found = play((1, b"HTTP/1.1 200 OK\r\n\r\n"), (1, bytes(size)), (1, True), size=1 << 16)
    assert summary(found) == [(RES, 200, 1, size, False)]


def test_switching_protocols():
    tunnel = Playback()
    found = tunnel((0, b"CONNECT hms.example:443 HTTP/1.1\r\nHost: hms.example\r\n\r\n"),
                   (1, b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x01"))
    assert found[-1] == Switch("") and bytes(tunnel.tapes[1].data) == b"\x16\x03\x01"
    assert play((0, GET), (1, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"))[-1] == Switch("")
    assert Switch("") not in play((0, b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n"),
                                  (1, answer(b"", status=b"403 Forbidden")))


# ---------------------------------------------------------------------------------------------------- loss

def test_a_body_whose_sender_closes_is_short_by_what_it_owes():
    """It is whole as far as it goes. Where the capture just ends, or misses something, nobody knows."""
    def cut(ended, *before, up=False):
        stream, side = Playback(), 0 if up else 1
        stream.tapes[side].closed = (9, FrameRef(0, 9)) if ended else None
        return [(m.fields["body_length"], m.fields.get("short_by"), m.incomplete) for m in messages(stream(*before, (side, None)))]

    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b"x" * 120
    assert cut(True, (1, begun)) == [(120, 380, False)] and cut(False, (1, begun)) == [(500, None, True)]
    assert cut(True, (1, begun), (1, 80)) == [(500, None, True)]
    assert cut(True, (1, b"HTTP/1.1 200 OK\r\n\r\nto the end")) == [(10, None, False)]
    waiting = b"PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 500\r\n\r\n"
    assert cut(True, (0, waiting), up=True) == [(500, None, True)]                  # nobody asked for the body
    assert cut(True, (0, waiting + b"x"), up=True) == [(1, 499, False)]


def test_hole_in_a_body_of_known_length():
    found = play((0, post(b"0123456789")[:-6]), (0, 4), (0, b"89" + GET))
    assert summary(found) == [(REQ, "POST", 1, 10, True), (REQ, "GET", 2, 0, False)]
    assert bodies(found) == [("text/xml", b"0123")] and found[1].context.missing
    assert summary(play((0, post(b"0123456789")[:-6]), (0, 6), (0, GET)))[1] == (REQ, "GET", 2, 0, False)


def test_hole_in_a_chunk():
    found = play((0, GET), (1, CHUNKED[:55]), (1, 2), (1, CHUNKED[57:]))
    assert summary(found)[1] == (RES, 200, 1, None, True)
    assert bodies(found) == [("", CHUNKED[54:55])] if CHUNKED[54:55] in b"Wiki" else bodies(found)


def test_hole_beyond_the_body_waits_for_a_start_line():
    found = play((0, post(b"0123456789")[:-6]), (0, 400), (0, b"</tail> GET / HTTP/1.1\r\n"), (0, b"more"), (0, GET))
    assert summary(found) == [(REQ, "POST", 1, 10, True), (REQ, "GET", 2, 0, False)]
    assert not messages(found)[1].problems


def test_hole_in_a_head_keeps_its_whole_lines():
    [message] = messages(play((0, post(b"0123456789")[:60]), (0, 4), (0, b"\r\n\r\n0123456789")))
    assert message.incomplete and message.fields["headers"] == {"host": "hms.example:7547"}
    assert message.fields["body_length"] is None
    assert not play((0, post(b"x")[:15]), (0, 4))


def test_a_body_that_ends_with_the_stream_is_whole_only_where_its_sender_ended_it():
    """RFC 9112 8: a connection that breaks, or a capture that ends, leaves open whether more was to come."""
    for body, closed in ((b"<a>", None), (b"<a>", True), (b"", None), (b"", True)):
        found = play((0, GET), (1, b"HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\n\r\n" + body), (1, closed))
        response = messages(found)[1]
        assert response.incomplete is (closed is None)
        assert response.fields["body_length"] == (len(body) if closed else None)
        assert [bool(p.context.missing) for p in found if isinstance(p, Payload)] == ([not closed] if body else [])


def test_hole_in_a_start_line_leaves_what_stands_before_it():
    for size in (17, 18, 19, 20, 21):
        [request] = messages(play((0, post(b"x")[:size]), (0, 4)))
        assert request.incomplete and request.fields["method"] == "POST" and request.fields["target"] == "/acs?a=b"
        assert request.fields["body_length"] is None and request.fields["headers"] == {}
    [response] = messages(play((1, b"HTTP/1.1 503 Serv"), (1, 4)))
    assert response.incomplete and response.fields["status"] == 503 and response.fields["reason"] == ""
    assert not play((1, b"HTTP/1.1 503"), (1, 4)) and not play((0, b"POST /acs?a=b HTTP"[:13]), (0, 4))


def test_lost_response_does_not_shift_the_pairs():
    assert [m.exchange for m in messages(play((0, GET), (1, 200), (0, GET), (1, answer(b"b"))))] == [1, 2, 2]


def test_lost_request_leaves_its_response_alone():
    assert [m.exchange for m in messages(play((0, GET), (1, answer(b"a")), (0, 90), (1, answer(b"b")), (0, GET),
                                              (1, answer(b"c"))))] \
        == [1, 1, 2, 3, 3]


def test_begins_inside_a_body():
    found = play((1, b"tail of something</Envelope>"), (0, GET), (1, answer(b"x")))
    assert [m[:3] for m in summary(found)] == [(REQ, "GET", 1), (RES, 200, 1)]


# ---------------------------------------------------------------------------------------------------- faults of a peer

@pytest.mark.parametrize("octets, text", [
    (b"GET / HTTP/1.1\r\n\r\n", "no Host"),
    (b"GET /a b HTTP/1.0\r\n\r\n", "space inside"),
    (b"GET / HTTP/1.0\r\nno colon\r\n\r\n", "not a header field"),
    (b"GET / HTTP/1.0\r\nA : b\r\n\r\n", "before the colon"),
    (b"POST / HTTP/1.0\r\nContent-Length: ten\r\n\r\n", "no number"),
    (b"POST / HTTP/1.0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "no number"),
    (b"POST / HTTP/1.0\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "both Transfer-Encoding"),
    (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "does not begin with its size"),
    (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", "longer than its size"),
])
def test_problems(octets, text):
    found = play((0, octets), (0, None))
    assert any(text in problem.text for problem in messages(found)[0].problems)


@pytest.mark.parametrize("head, expected", [
    (b"POST /acs HTTP/1.1\r\n", True), (b"HTTP/1.1 200 OK\r\n", True), (b"GET /a/very/long", True),
    (b"\r\nGET / HTTP/1.0\r\n", True),
    (b"CONNECT h:443 HTTP/1.1\r\n", True), (b"X-VENDOR /a HTTP/1.1\r\nHost: a", True), (b"HTTP/1.1 204\r\n", True),
    (b"OPTIONS rtsp://h/ RTSP/1.0\r\n", False), (b"OPTIONS sip:a SIP/2.0\r\n", False), (b"PRI * HTTP/2.0\r\n", False),
    (b"", False),
    (b"220 ftp ready\r\n", False), (b"GET", False), (b"\x16\x03\x01", False), (b"RTSP/1.0 200 OK\r\n", False),
    (b"USER joe\r\n", False)])
def test_likely(head, expected):
    assert http.likely(head, (40000, 5000)) is expected


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.one_of(
    st.binary(min_size=1, max_size=30), st.integers(1, 40), st.none(),
    st.sampled_from([GET, CHUNKED, post(b"hello"), answer(b"x"), CHUNKED[:60], post(b"hello")[:40], b"5\r\n",
                     b"HTTP/1.1 100 C\r\n\r\n"]))),
    max_size=12))
def test_noise(steps):
    for item in play(*steps):
        assert isinstance(item, (Message, Payload, Switch))
        if isinstance(item, Message):
            assert item.frames == tuple(sorted(set(item.frames))) and item.exchange
