"""DNS: each case is decoded whole, over TCP byte by byte, and cut at every length."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import dns
from flowcheck.decode.wire import Tape
from flowcheck.model import Context, Endpoint, FrameRef

HERE, THERE = Endpoint("198.51.100.21", 40112), Endpoint("192.0.2.53", 53)
CONTEXT = Context(5, (FrameRef(0, 1),), HERE, THERE, ("eth", "ip", "udp"))


def name(text):
    return b"".join(bytes([len(part)]) + part for part in text.encode().split(b".") if part) + b"\0"


def header(flags, *counts, ident=7):
    return struct.pack(">6H", ident, flags, *counts)


def record(owner, kind, data, ttl=60, group=1):
    return owner + struct.pack(">HHIH", kind, group, ttl, len(data)) + data


ASKED = b"\xc0\x0c"
QUERY = header(0x0100, 1, 0, 0, 0) + name("segw.mno.example") + struct.pack(">HH", 1, 1)


def answer(*records, flags=0x8180, more=(), question="segw.mno.example", kind=1):
    return (header(flags, 1, len(records), 0, len(more)) + name(question) + struct.pack(">HH", kind, 1)
            + b"".join(records) + b"".join(more))


CHAIN = answer(record(name("b.example"), 1, bytes([192, 0, 2, 9]), 30), record(ASKED, 5, name("a.example"), 600),
               record(name("A.example"), 5, name("b.example"), 20), record(name("other.example"), 1, bytes(4)))
LOOP = answer(record(ASKED, 5, name("a.example")), record(name("a.example"), 5, name("SEGW.mno.example")))
NXDOMAIN = header(0x8183, 1, 0, 1, 0) + name("x.example") + struct.pack(">HH", 28, 1) + record(
    name("example"), 6, name("ns.example") + name("admin.example") + struct.pack(">5I", 1, 2, 3, 4, 5))
EDNS = answer(more=(record(b"\0", 41, struct.pack(">HHH", 15, 6, 22) + b"boom", 0x01008000, 1232),))
UPDATE = header(0x2800, 1, 0, 1, 0) + name("example") + struct.pack(">HH", 6, 1) + record(
    name("h.example"), 1, b"", 0, 255)

CASES = [
    (QUERY, "dns.query", {"id": 7, "opcode": "QUERY", "truncated": False, "qname": "segw.mno.example", "qtype": "A",
                          "questions": [{"name": "segw.mno.example", "type": "A"}], "answers": []}),
    (CHAIN, "dns.response", {"rcode": "NOERROR", "answers.address": ["192.0.2.9"], "answers.ttl": 20,
                             "answers.name": "b.example"}),
    (LOOP, "dns.response", {"rcode": "NOERROR", "answers.ttl": 60}),
    (NXDOMAIN, "dns.response", {"rcode": "NXDOMAIN", "qtype": "AAAA", "answers": [], "authorities": [
        {"name": "example", "type": "SOA", "ttl": 60, "data": "ns.example admin.example 1 2 3 4 5"}]}),
    (EDNS, "dns.response", {"rcode": "BADVERS", "additionals": [], "edns": {
        "udp_size": 1232, "version": 0, "do": True, "options": [{"option": "EDE", "data": "0016626f6f6d"}],
        "errors": [{"code": 22, "name": "No Reachable Authority", "text": "boom"}]}}),
    (UPDATE, "dns.query", {"opcode": "UPDATE", "qtype": "SOA", "authorities": [
        {"name": "h.example", "type": "A", "ttl": 0, "data": "", "class": "ANY"}]}),
    (answer(flags=0x8380), "dns.response", {"truncated": True, "rcode": "NOERROR"}),
    (header(0x0100, 1, 0, 0, 0) + name("") + struct.pack(">HH", 2, 1), "dns.query", {"qname": "<Root>", "qtype": "NS"}),
]

RECORDS = [
    (28, bytes(15) + b"\1", "::1"),
    (15, b"\0\x0a" + name("mx.example"), "10 mx.example"),
    (16, b"\x01a\x02\x07b", '"a" "\\007b"'),
    (33, struct.pack(">HHH", 1, 2, 443) + name("h.example"), "1 2 443 h.example"),
    (35, struct.pack(">HH", 1, 2) + b"\1s\7SIP+D2U\0" + name("_sip._udp.example"),
     '1 2 "s" "SIP+D2U" "" _sip._udp.example'),
    (43, b"\0\1\5\2\xab\xcd", "1 5 2 abcd"),
    (46, struct.pack(">HBBIIIH", 1, 8, 2, 300, 86400, 0, 5) + name("example") + b"\1\2\3",
     "A 8 2 300 19700102000000 19700101000000 5 example AQID"),
    (47, name("b.example") + b"\0\2\x40\x01", "b.example A MX"),
    (65, b"\0\1\0" + struct.pack(">HH", 1, 3) + b"\2h2" + struct.pack(">HH", 4, 4) + bytes([192, 0, 2, 1]),
     "1 <Root> alpn=h2 ipv4hint=192.0.2.1"),
    (257, b"\0\5issueca.example", '0 issue "ca.example"'),
    (65280, b"\xde\xad", "dead"),
]


def decode(data, context=CONTEXT):
    messages = list(dns.decode(data, context))
    assert len(messages) == 1
    return messages[0]


@pytest.mark.parametrize("data, kind, fields", CASES)
def test_whole(data, kind, fields):
    message = decode(data)
    assert message.kind == kind and not message.problems and not message.incomplete
    assert {key: message.fields[key] for key in fields} == fields


@pytest.mark.parametrize("kind, data, text", RECORDS)
def test_record_types(kind, data, text):
    message = decode(answer(record(ASKED, kind, data), kind=kind))
    assert [a["data"] for a in message.fields["answers"]] == [text] and not message.problems


@pytest.mark.parametrize("data, kind, fields", CASES)
def test_tcp_byte_by_byte(data, kind, fields):
    conversation, tape, found = dns.Conversation(CONTEXT), Tape(CONTEXT), []
    for number, octet in enumerate(2 * (len(data).to_bytes(2, "big") + data), 1):
        tape.append(bytes([octet]), FrameRef(0, number), number)
        found += conversation.feed(0, tape)
    assert [m.kind for m in found] == [kind, kind]
    assert found[0].frames[-1].number == len(data) + 2 and not list(conversation.end(0))
    assert {key: found[1].fields[key] for key in fields} == fields


@pytest.mark.parametrize("data, kind, fields", CASES)
def test_cut_by_the_capture_is_incomplete(data, kind, fields):
    whole = decode(data).fields
    for size in range(4, len(data)):
        message = decode(data[:size], Context(5, (FrameRef(0, 1),), HERE, THERE, missing=len(data) - size))
        assert message.incomplete and not message.problems and message.kind == kind
        assert message.fields["id"] == whole["id"] and message.fields["qname"] in (None, whole["qname"])
        assert all(a in whole["answers"] for a in message.fields["answers"])


def test_ending_early_on_the_wire_is_a_problem():
    message = decode(CHAIN[:-2])
    assert not message.incomplete and message.problems[0].offset == len(CHAIN) - 4
    assert len(message.fields["answers"]) == 3


@pytest.mark.parametrize("owner", [b"\xc0\x1e\0\1\0\1", b"\xc0\xff", b"\x41abc", name("a." * 127 + "bb")])
def test_bad_names_are_problems(owner):
    message = decode(header(0x8180, 1, 1, 0, 0) + name("x.example") + struct.pack(">HH", 1, 1) + record(owner, 1,
                                                                                                        bytes(4)))
    assert message.problems and message.fields["qname"] == "x.example" and not message.fields["answers"]


def test_a_wrong_record_does_not_hide_the_next():
    message = decode(answer(record(ASKED, 1, b"\1\2\3"), record(ASKED, 1, bytes([192, 0, 2, 1]))))
    assert [a["data"] for a in message.fields["answers"]] == ["010203", "192.0.2.1"] and len(message.problems) == 1


def test_odd_octets_in_names_are_escaped():
    data = header(0x0100, 1, 0, 0, 0) + b"\x03a\0b\x05caf\xc3\xa9\0" + struct.pack(">HH", 1, 1)
    assert decode(data).fields["qname"] == "a\\000b.café"


def test_pointer_chains_cost_linear_time():
    ladder = b"\0" + b"".join(struct.pack(">H", 0xC000 | max(12, 13 + 2 * i - 2)) for i in range(4000))
    decode(header(0x0100, 1, 0, 0, 0)[:12] + ladder + struct.pack(">HH", 1, 1))
    many = header(0x8180, 0, 4000, 0, 0) + record(name("a.example"), 16, ladder) + b"".join(
        record(struct.pack(">H", 0xC000 | 8000), 1, bytes(4)) for _ in range(3999))
    assert decode(many).problems


def test_multicast_and_llmnr_are_told_apart():
    multicast = Context(5, (FrameRef(0, 1),), Endpoint("192.0.2.1", 5353), Endpoint("224.0.0.251", 5353))
    link_local = Context(5, (FrameRef(0, 1),), HERE, Endpoint("224.0.0.252", 5355))
    assert decode(QUERY, multicast).fields["mdns"] is True
    assert decode(QUERY, link_local).kind == "llmnr.query"


def test_loss_on_a_stream_waits_for_a_whole_message():
    conversation, tape = dns.Conversation(CONTEXT), Tape(CONTEXT)
    framed = len(CHAIN).to_bytes(2, "big") + CHAIN
    list(conversation.lost(0, 100))
    tape.append(framed[40:], FrameRef(0, 2), 2)
    assert not list(conversation.feed(0, tape)) and not len(tape)
    tape.append(framed, FrameRef(0, 3), 3)
    assert [m.fields["answers.address"] for m in conversation.feed(0, tape)] == [["192.0.2.9"]]


def test_end_of_a_stream_in_a_message():
    conversation, tape = dns.Conversation(CONTEXT), Tape(CONTEXT)
    tape.append(len(CHAIN).to_bytes(2, "big") + CHAIN[:-5], FrameRef(0, 3), 3)
    assert not list(conversation.feed(0, tape))
    message, = conversation.end(0)
    assert message.incomplete and message.fields["qname"] == "segw.mno.example"


def test_likely():
    assert dns.likely(QUERY, (40000, 53)) and dns.likely(QUERY, (40000, 9999))
    assert dns.likely(CHAIN, (9999, 40000)) and dns.likely(len(CHAIN).to_bytes(2, "big") + CHAIN, (9999, 40000))
    assert dns.likely(b"\0\x20", (40000, 53))
    for other in (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
                  b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(40), bytes(64),
                  QUERY[:-1], QUERY + b"\0", b"\xff" * 60):
        assert not dns.likely(other, (40000, 9999))
    assert not dns.likely(QUERY, (137, 137))


def test_the_reserved_bit_hides_no_query_on_a_port_of_dns():
    """RFC 1035 4.1.1 wants it zero; servers answer all the same."""
    marked = QUERY[:3] + bytes([QUERY[3] | 0x40]) + QUERY[4:]
    assert dns.likely(marked, (40000, 53)) and not dns.likely(marked, (40000, 9999))
    assert not dns.likely(marked + b"more", (40000, 53)) and not dns.likely(marked[:12] + bytes(40), (40000, 53))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 11))
def test_noise(noise, keep):
    data = CHAIN[:keep] + noise
    for message in dns.decode(data, CONTEXT):
        assert message.kind in dns.KINDS
    dns.likely(data, (1, 2))
    conversation, tape = dns.Conversation(CONTEXT), Tape(CONTEXT)
    tape.append(data, FrameRef(0, 1), 1)
    list(conversation.feed(0, tape))
    list(conversation.end(0))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(CHAIN) - 1), st.integers(0, 255))
def test_one_octet_changed(place, octet):
    data = CHAIN[:place] + bytes([octet]) + CHAIN[place + 1:]
    decode(data)
