"""CoAP: each case whole and cut at every length; exchanges and blocks over UDP; the same over TCP, byte by byte."""

import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import coap
from flowcheck.decode.wire import Tape
from flowcheck.model import Context, Endpoint, FrameRef, Message, Payload

UE, SERVER = Endpoint("198.51.100.11", 51021), Endpoint("203.0.113.20", 5683)
UP = Context(5, (FrameRef(0, 1),), UE, SERVER, ("eth", "ip", "udp"), 3)
DOWN = replace(UP, src=SERVER, dst=UE)
CON, NON, ACK, RST = range(4)


def options(*pairs):
    out, number = b"", 0
    for this, value in pairs:
        delta, number = this - number, this
        nibbles, extra = [], b""
        for quantity in (delta, len(value)):
            if quantity < 13:
                nibbles.append(quantity)
            elif quantity < 269:
                nibbles.append(13)
                extra += bytes([quantity - 13])
            else:
                nibbles.append(14)
                extra += struct.pack(">H", quantity - 269)
        out += bytes([nibbles[0] << 4 | nibbles[1]]) + extra + value
    return out


def message(kind, code, ident, token=b"", opts=b"", payload=b""):
    return (bytes([0x40 | kind << 4 | len(token), code]) + struct.pack(">H", ident) + token + opts
            + (b"\xff" + payload if payload else b""))


def block(num, more, szx=6):
    return (num << 4 | more << 3 | szx).to_bytes(3, "big").lstrip(b"\0")


PATH = ((11, b"msgin5g"), (11, b"provision"))
POST = message(CON, 2, 0x475A, b"\x41\xfb",
               options((3, b"prov.example"), *PATH, (12, b"\x32"), (15, b"a=1"), (15, b"b")),
               b'{"privateId": "1"}')
CREATED = message(CON, 0x41, 9, b"\x41\xfb", options((12, b"\x32")), b'{"serviceId": "s"}')
FORBIDDEN = message(ACK, 0x83, 0x475A, b"\x41\xfb", b"", b"not known")
LONG = message(NON, 1, 1, b"", options((11, b"p" * 200), (35, b"coap://h/" + b"q" * 400)))


def run(*steps):
    """Messages and payloads of datagrams in one flow; a step is (context, bytes) or bytes of the UE's."""
    flow, found = coap.Flow(UP), []
    for number, step in enumerate(steps, 1):
        context, data = step if isinstance(step, tuple) else (UP, step)
        found += flow.datagram(data, replace(context, frames=(FrameRef(0, number),), time=number))
    return ([x for x in found if isinstance(x, Message)], [x for x in found if isinstance(x, Payload)])


CASES = [
    (POST, "coap.request", {"code": "0.02", "method": "POST", "type": "CON", "message_id": 0x475A, "token": "41fb",
                            "uri_host": "prov.example", "uri_path": "/msgin5g/provision", "uri_query": "a=1&b",
                            "content_format": 50, "content_type": "application/json", "payload_length": 18}),
    (CREATED, "coap.response", {"code": "2.01", "name": "Created", "token": "41fb", "payload_length": 18}),
    (FORBIDDEN, "coap.response", {"code": "4.03", "name": "Forbidden", "diagnostic": "not known"}),
    (message(RST, 0, 7), "coap.empty", {"code": "0.00", "type": "RST", "message_id": 7, "token": ""}),
    (LONG, "coap.request", {"uri_path": "/" + "p" * 200, "proxy_uri": "coap://h/" + "q" * 400}),
    (message(ACK, 0x45, 2, b"t", options((23, block(2, 1, 2)), (2000, b"x"))), "coap.response",
     {"block2": {"num": 2, "more": True, "size": 64}}),
    (message(NON, 1, 1), "coap.request", {"uri_path": "/"}),
]


@pytest.mark.parametrize("data, kind, fields", CASES)
def test_one_message(data, kind, fields):
    (found,), _ = run(data)
    assert found.kind == kind and not found.problems
    assert {name: found.fields.get(name) for name in fields} == fields


@pytest.mark.parametrize("data, kind, fields", CASES)
def test_cut_at_every_length(data, kind, fields):
    """A cut by the capture is incomplete and nobody's fault; a datagram that ends early is the sender's."""
    for size in range(4, len(data)):
        found = list(coap.decode(data[:size], replace(UP, missing=len(data) - size)))
        assert [m.incomplete and not m.problems and m.kind == kind for m in found] == [True]
        for m in coap.decode(data[:size], UP):
            assert isinstance(m, Payload) or m.kind == kind


def test_options_are_bounded():
    (found,), _ = run(message(CON, 1, 1, b"", options(*[(11, b"")] * 5000)))
    assert len(found.problems) == 1 and len(found.fields["options"]) == 0


def test_lying_lengths_are_problems():
    for data in (b"\x49\x01\0\1" + bytes(9), b"\x40\x01\0\1\x0f", b"\x40\x01\0\1\xb5ab", b"\x40\x01\0\1\xff",
                 b"\x40\0\0\1x",
                 message(CON, 1, 1, b"", options((7, b"abcd")))):
        (found,), payloads = run(data)
        assert len(found.problems) == 1 and not payloads


def test_other_versions_and_reserved_classes_are_ignored():
    assert run(b"\x80\x01\0\1", b"\x40\x20\0\1", b"\x40\xc1\0\1", b"", b"\x40\x01\0") == ([], [])


def test_separate_response_knows_its_request():
    messages, payloads = run(POST, (DOWN, message(ACK, 0, 0x475A)), (DOWN, CREATED), message(ACK, 0, 9))
    assert [(m.kind, m.fields.get("uri_path"), m.fields.get("method"), m.exchange) for m in messages] == [
        ("coap.request", "/msgin5g/provision", "POST", 1), ("coap.empty", "/msgin5g/provision", "POST", 1),
        ("coap.response", "/msgin5g/provision", "POST", 1), ("coap.empty", None, None, None)]
    assert [(p.protocol, p.data, p.context.carrier["direction"], p.context.exchange) for p in payloads] == [
        ("application/json", b'{"privateId": "1"}', "request", 1),
        ("application/json", b'{"serviceId": "s"}', "response", 1)]
    assert payloads[1].context.carrier["uri_path"] == "/msgin5g/provision"
    assert payloads[0].context.layers == ("eth", "ip", "udp", "coap")


def test_retransmission_is_a_message_but_no_second_body():
    messages, payloads = run(POST, POST, (DOWN, CREATED), (DOWN, CREATED))
    assert [m.kind for m in messages] == ["coap.request"] * 2 + ["coap.response"] * 2
    assert len(payloads) == 2 and messages[0].exchange == messages[1].exchange
    later = list(coap.Flow(UP).datagram(POST, UP))
    assert len(later) == 2


def test_same_id_after_its_lifetime_is_new():
    flow = coap.Flow(UP)
    first = list(flow.datagram(POST, UP))
    again = list(flow.datagram(POST, replace(UP, time=UP.time + 248 * 10**9)))
    assert len(first) == len(again) == 2 and again[0].exchange == 2


def blocks(body, size=64, szx=2, more_last=0):
    parts = [body[i:i + size] for i in range(0, len(body), size)]
    return [(i, int(i < len(parts) - 1 or more_last), part) for i, part in enumerate(parts)]


BODY = b'{"list": "' + b"x" * 300 + b'"}'


def response_blocks(etag=lambda i: b"e"):
    steps = []
    for i, more, part in blocks(BODY):
        asked = options(*PATH, (12, b"\x32"), *([(23, block(i, 0, 2))] if i else []))
        steps.append(message(CON, 2, 100 + i, bytes([i + 1]), asked, b'{"a": 1}' if not i else b""))
        steps.append((DOWN, message(ACK, 0x41, 100 + i, bytes([i + 1]),
                                    options((4, etag(i)), (12, b"\x32"), (23, block(i, more, 2))), part)))
    return steps


def test_response_in_blocks_under_changing_tokens():
    messages, payloads = run(*response_blocks())
    assert {m.exchange for m in messages} == {1}
    assert [p.data for p in payloads] == [b'{"a": 1}', BODY]
    assert [ref.number for ref in payloads[1].context.frames] == [2, 4, 6, 8, 10]


@pytest.mark.parametrize("lost", [1, 3, 7, 9])
def test_a_missing_block_gives_no_body(lost):
    steps = response_blocks()
    del steps[lost]
    assert [p.data for p in run(*steps)[1]] == [b'{"a": 1}']


def test_a_changed_representation_gives_no_body():
    assert len(run(*response_blocks(lambda i: bytes([i // 2])))[1]) == 1


def test_retransmitted_block_counts_once():
    steps = response_blocks()
    assert [p.data for p in run(*steps[:4], steps[3], *steps[4:])[1]][-1] == BODY


def test_request_in_blocks():
    steps = []
    for i, more, part in blocks(BODY):
        steps.append(message(CON, 2, i, bytes([i]), options(*PATH, (12, b"\x32"), (27, block(i, more, 2))), part))
        steps.append((DOWN, message(ACK, 0x5F if more else 0x44, i, bytes([i]), options((27, block(i, more, 2))))))
    messages, payloads = run(*steps)
    assert [(p.data, p.context.carrier["direction"]) for p in payloads] == [(BODY, "request")]
    assert {m.exchange for m in messages} == {1}


def test_body_without_content_format_is_told_by_its_ends():
    def body(payload):
        return [p.protocol for p in run(message(NON, 2, 1, b"", options(*PATH), payload))[1]]
    assert body(b' {"a": 1}') == ["application/json"] and body(b"<a/>") == ["application/xml"] and body(b"a=1") == []
    assert body(b"{}") == ["application/json"]
    assert body(b"<\x00\x07>") == body(b"[sensor] 7") == body(b"<a") == []


def test_memory_is_bounded():
    flow = coap.Flow(UP)
    for i in range(3000):
        list(flow.datagram(message(CON, 2, i, struct.pack(">H", i), options((11, b"%d" % i), (27, block(0, 1))),
                                   bytes(1024)), UP))
    talk = flow._talk
    assert max(len(talk._by_token), len(talk._by_id), len(talk._seen), len(talk._running)) <= 512
    assert len(talk._bodies) <= 8


LIKELY = [(POST, (51021, 5683), True), (POST, (1, 2), True), (CREATED, (1, 2), True),
          (message(RST, 0, 7), (1, 5684), True),
          (message(RST, 0, 7), (1, 2), False), (message(CON, 1, 1), (1, 2), False), (LONG, (1, 2), True),
          (bytes.fromhex("4401010000010000000000000377777700000100014142"), (53, 4000), False),     # DNS, id 0x4401
          (b"GET / HTTP/1.1\r\n\r\n", (80, 5000), False), (b"\x16\xfe\xfd" + bytes(40), (1, 5684), False),
          (b"", (5683, 1), False)]


@pytest.mark.parametrize("data, ports, expected", LIKELY)
def test_likely(data, ports, expected):
    assert coap.likely(data, ports) is expected


# ------------------------------------------------------------------------------------------ TCP

def framed(code, token=b"", opts=b"", payload=b""):
    body = opts + (b"\xff" + payload if payload else b"")
    size = len(body)
    if size < 13:
        head, extra = size, b""
    elif size < 269:
        head, extra = 13, bytes([size - 13])
    else:
        head, extra = 14, struct.pack(">H", size - 269)
    return bytes([head << 4 | len(token)]) + extra + bytes([code]) + token + body


CSM = framed(0xE1, b"", options((2, b"\x10\0"), (4, b"")))
TALK = [(0, CSM), (1, CSM), (0, framed(2, b"a", options(*PATH, (12, b"\x32")), BODY)),
        (1, framed(0x41, b"a", options((12, b"\x32")), b"{}")),
        (0, framed(0xE2)), (1, framed(0xE3))]


def talk(steps, step=None):
    tapes = (Tape(UP), Tape(DOWN))
    conversation, found = coap.Conversation(UP), []
    for number, (side, data) in enumerate(steps, 1):
        for i in range(0, len(data), step or len(data)):
            tapes[side].append(data[i:i + (step or len(data))], FrameRef(0, number), number)
            found += conversation.feed(side, tapes[side])
    return found


@pytest.mark.parametrize("step", [None, 1, 7])
def test_over_tcp(step):
    found = talk(TALK, step)
    messages = [x for x in found if isinstance(x, Message)]
    assert [(m.kind, m.fields["code"]) for m in messages] == [
        ("coap.signaling", "7.01"), ("coap.signaling", "7.01"), ("coap.request", "0.02"), ("coap.response", "2.01"),
        ("coap.signaling", "7.02"), ("coap.signaling", "7.03")]
    assert messages[0].fields["options"][0] == {"number": 2, "name": "Max-Message-Size", "value": 4096}
    assert [p.data for p in found if isinstance(p, Payload)] == [BODY, b"{}"]
    assert messages[3].fields["uri_path"] == "/msgin5g/provision"


def test_empty_over_tcp_has_neither_type_nor_id():
    (found,) = talk([(0, b"\x00\x00")])
    assert found.kind == "coap.empty" and found.fields == {"code": "0.00", "token": ""}


def test_after_a_loss_a_message_has_to_prove_itself():
    conversation, tape = coap.Conversation(UP), Tape(UP)
    list(conversation.lost(0, 100))
    tape.append(b"\x0f\xc8 middle of a body", FrameRef(0, 1), 1)
    assert not list(conversation.feed(0, tape)) and not len(tape)
    tape.append(TALK[2][1], FrameRef(0, 2), 2)
    assert [getattr(x, "kind", "body") for x in conversation.feed(0, tape)] == ["coap.request", "body"]


def test_likely_over_tcp():
    assert coap.likely(CSM, (1, 2)) and coap.likely(b"\x00\xe1", (5683, 2)) and not coap.likely(b"\x00\xe1", (1, 2))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.binary(min_size=1, max_size=80)), max_size=6))
def test_noise(steps):
    talk(steps)
    for _, data in steps:
        run(b"\x40" + data, data)
