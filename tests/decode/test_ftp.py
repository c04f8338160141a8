"""FTP: dialogues whole, byte by byte and with bytes lost; announced data connections; who FTP is not."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import ftp
from flowcheck.decode.wire import Tape
from flowcheck.model import Context, Endpoint, Expect, FrameRef, Message, Switch

CLIENT, SERVER = Endpoint("10.62.0.1", 34692), Endpoint("10.50.0.30", 21)
UP = Context(5, (FrameRef(0, 1),), CLIENT, SERVER, ("eth", "ip", "tcp"), 3)
DOWN = replace(UP, src=SERVER, dst=CLIENT)
C, S = 0, 1

UPLOAD = [(S, "220 ready"), (C, "USER pm"), (S, "331 password"), (C, "pass pm-secret"), (S, "230 in"), (C, "PASV"),
          (S, "227 Entering passive mode (10,50,0,30,195,90)."), (C, "STOR pm/A.xml"), (S, "125 open"), (S, "226 done"),
          (C, "QUIT"), (S, "221 bye")]
FEATURES = [(C, "FEAT"), (S, "211-Features:"), (S, " EPRT"), (S, "211-no end yet"), (S, " 211 nor here"),
            (S, "211 End")]


def talk(steps, step=None, conversation=None):
    conversation = conversation or ftp.Conversation(UP)
    tapes, found = (Tape(UP), Tape(DOWN)), []
    for number, (side, line) in enumerate(steps, 1):
        data = line if isinstance(line, bytes) else line.encode() + b"\r\n"
        for i in range(0, len(data), step or len(data)):
            tapes[side].append(data[i:i + (step or len(data))], FrameRef(0, number), number)
            found += conversation.feed(side, tapes[side])
    for side in (0, 1):
        found += conversation.end(side)
    return found


def messages(found):
    return [(m.kind.partition(".")[2], m.fields.get("command"), m.fields.get("code"))
            for m in found if isinstance(m, Message)]


@pytest.mark.parametrize("step", [None, 1, 5])
def test_dialogue(step):
    found = talk(UPLOAD, step)
    assert messages(found) == [
        ("reply", None, 220), ("command", "USER", None), ("reply", "USER", 331), ("command", "PASS", None),
        ("reply", "PASS", 230),
        ("command", "PASV", None), ("reply", "PASV", 227), ("command", "STOR", None), ("reply", "STOR", 125),
        ("reply", "STOR", 226),
        ("command", "QUIT", None), ("reply", "QUIT", 221)]
    (expected,) = [x for x in found if isinstance(x, Expect)]
    assert expected.endpoint == Endpoint("10.50.0.30", 50010) and expected.note["command"] == "STOR"
    final = next(m for m in found if isinstance(m, Message) and m.fields.get("code") == 226)
    assert final.fields["argument"] == "pm/A.xml" and final.src == SERVER


@pytest.mark.parametrize("step", [None, 1])
def test_reply_of_several_lines_is_one_message(step):
    command, reply = talk(FEATURES, step)
    assert reply.fields == {"code": 211, "text": "Features:\n EPRT\nno end yet\n 211 nor here\nEnd", "lines": 5,
                            "command": "FEAT", "argument": ""}
    assert [ref.number for ref in reply.frames] == [2, 3, 4, 5, 6] and not reply.incomplete


@pytest.mark.parametrize("line, endpoint", [
    ((S, "227 =10,0,0,9,4,1"), Endpoint("10.0.0.9", 1025)), ((S, "229 ok (|||38141|)"), Endpoint("10.50.0.30", 38141)),
    ((C, "PORT 10,62,0,1,174,127"), Endpoint("10.62.0.1", 44671)),
    ((C, "EPRT |2|2001:DB8::1|5282|"), Endpoint("2001:db8::1", 5282)),
    ((S, "227 ok (10,0,0,999,4,1)"), None), ((S, "229 ok (|||0|)"), None), ((C, "EPRT |1|x|5282|"), None),
    ((C, "PORT 1,2"), None), ((C, "EPRT"), None)])
def test_announced_connection(line, endpoint):
    announced = [x for x in talk([line]) if isinstance(x, Expect)]
    assert (announced[0].endpoint if announced else None) == endpoint


def test_passive_address_of_a_private_network_may_be_the_control_connections():
    assert [x.endpoint for x in talk([(S, "227 (192,168,0,2,4,1)")]) if isinstance(x, Expect)] == [
        Endpoint("192.168.0.2", 1025), Endpoint("10.50.0.30", 1025)]


def test_auth_tls_hands_over():
    conversation = ftp.Conversation(UP)
    tape = Tape(DOWN)
    assert not [x for x in talk([(C, "AUTH TLS"), (S, "534 no")]) if isinstance(x, Switch)]
    list(talk([(C, "AUTH TLS")], conversation=conversation))
    tape.append(b"234 go\r\n\x16\x03\x03", FrameRef(0, 2), 2)
    assert [getattr(x, "protocol", None) for x in conversation.feed(1, tape)] == ["ftp", "tls"]
    assert bytes(tape.data) == b"\x16\x03\x03" and list(conversation.feed(1, tape)) == []


def test_lost_bytes_start_again_at_a_line():
    conversation, tape = ftp.Conversation(UP), Tape(DOWN)
    tape.append(b"211-Features:\r\n EPRT\r\n", FrameRef(0, 1), 1)
    list(conversation.feed(1, tape))
    (broken,) = conversation.lost(1, 100)
    assert broken.incomplete and broken.fields["code"] == 211
    tape.append(b"PSV\r\n226 done\r\n", FrameRef(0, 2), 2)
    assert [m.fields["code"] for m in conversation.feed(1, tape)] == [226]


def test_cut_dialogues_never_say_anything_else():
    whole = messages(talk(FEATURES + UPLOAD))
    data = [(side, byte) for side, line in FEATURES + UPLOAD for byte in (line + "\r\n").encode()]
    for size in range(0, len(data), 3):
        found = talk([(side, bytes([byte])) for side, byte in data[:size]])
        cut = messages([m for m in found if not (isinstance(m, Message) and m.incomplete)])
        assert cut == whole[:len(cut)]


def test_no_ftp_is_a_problem_and_bounded():
    found = talk([(C, b"\0\1\2 x\r\n"), (C, b"x" * 20_000 + b"\r\n"), (S, "hello"), (S, b"2" * 9000)])
    assert [m.problems[0].text for m in found if m.problems] == ["not an FTP command", "reply without a code"]
    endless = talk([(S, "220-begin")] + [(S, "x" * 8000)] * 40)
    assert endless[0].incomplete and len(endless[0].fields["text"]) < 1 << 19


def data(note, *pieces, lost=0):
    context = replace(UP, src=Endpoint("10.62.0.1", 57952), dst=Endpoint("10.50.0.30", 50010))
    connection = ftp.DataConversation(context, note)
    tapes, found = (Tape(context), Tape(replace(context, src=context.dst, dst=context.src))), []
    for number, (side, size) in enumerate(pieces, 1):
        tapes[side].append(bytes(size), FrameRef(0, number), number)
        found += connection.feed(side, tapes[side])
    found += connection.lost(1, lost) if lost else ()
    return found + list(connection.end(0)) + list(connection.end(1)) + list(connection.end(1))


@pytest.mark.parametrize("note, side, direction", [
    ({"active": False, "command": "STOR", "argument": "f"}, 0, "upload"),
    ({"active": False, "command": "RETR", "argument": "f"}, 1, "download"),
    ({"active": True, "command": "RETR", "argument": "f"}, 0, "download"),
    ({"active": True, "command": "STOR", "argument": "f"}, 1, "upload"), ({}, 1, "download")])
def test_data_connection(note, side, direction):
    (found,) = data(note, (side, 1000), (side, 500), (side, 200))
    assert found.kind == "ftp.data" and found.fields["bytes"] == 1700 and found.fields["direction"] == direction
    assert found.fields.get("command") == note.get("command")
    assert [ref.number for ref in found.frames] == [1, 3]
    assert not found.incomplete
    assert found.src.address == ("10.62.0.1" if side == 0 else "10.50.0.30")


def test_data_connection_with_a_hole_or_empty():
    (found,) = data({}, (1, 100), lost=50)
    assert found.incomplete and found.fields["bytes"] == 150
    assert data({}) == [] and data({"command": "STOR", "argument": "f", "refused": True}) == []
    assert data({"active": False, "command": "STOR", "argument": "f"})[0].fields["bytes"] == 0


def test_a_transfer_that_is_refused_is_none():
    refused = [*UPLOAD[:8], (S, "550 no"), (C, "STOR pm/B.xml"), (S, "125 open")]
    expected, = (x for x in talk(refused[:9]) if isinstance(x, Expect))
    assert expected.note["refused"] is True
    expected, = (x for x in talk(UPLOAD) if isinstance(x, Expect))
    assert "refused" not in expected.note


LIKELY = [(b"220 (vsFTPd 3.0.5)\r\n", (21, 4000), True), (b"220 HMS file server ready\r\n", (21, 4000), True),
          (b"220 FTP ready\r\n", (2121, 4000), True),
          (b"220 mail ESMTP\r\n", (25, 4000), False), (b"220 hello\r\n", (2121, 4000), False),
          (b"USER pm\r\n", (2121, 4000), True),
          (b"USER pm\r\nPASS x\r\n", (2121, 4000), True), (b"USER x\nNICK x\n", (6667, 4000), False),
          (b"USER x 0 * :real\r\n", (6667, 4000), False), (b"USER x\r\n", (110, 4000), False),
          (b"GET / HTTP/1.1\r\n", (21, 4000), False),
          (b"SIZE /README\r\n", (21, 4000), True), (b"SIZE /README\r\n", (99, 4000), False),
          (b"PBSZ 0\r\n", (4000, 4001), True), (b"", (21,), False),
          (b"SSH-2.0-x\r\n", (21, 22), False), (b"200 OK\r\n", (21, 4000), True), (b"200 OK\r\n", (99, 4000), False)]


@pytest.mark.parametrize("head, ports, expected", LIKELY)
def test_likely(head, ports, expected):
    assert ftp.likely(head, ports) is expected


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1),
                          st.sampled_from([b"227 (1,2,3,4,5,6)\r\n", b"220-", b"\r\n", b"PORT ", b"EPRT |1|",
                                           b"234 x\r\n"]) | st.binary(min_size=1, max_size=30)), max_size=8))
def test_noise(steps):
    talk(steps)
    for _, head in steps:
        ftp.likely(head, (21,))
