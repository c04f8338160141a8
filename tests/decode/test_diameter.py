"""Diameter: one message as SCTP carries it, many on a TCP connection in every division, and what follows a loss."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import diameter
from flowcheck.decode.wire import Tape
from flowcheck.model import Context, Endpoint, FrameRef

MME, HSS = Endpoint("10.20.0.21", 48550), Endpoint("203.0.113.31", 3868)
CONTEXT = Context(1, (FrameRef(0, 1),), MME, HSS, ("eth", "ip", "tcp"), 1)
TGPP = 10415
RAND, AUTN, XRES = bytes(range(16)), bytes(range(16, 32)), bytes(range(8))


def avp(code, value, vendor=0, flags=0x40):
    if isinstance(value, int):
        value = struct.pack(">I", value)
    elif isinstance(value, str):
        value = value.encode()
    size = len(value) + (12 if vendor else 8)
    head = struct.pack(">IB", code, flags | (0x80 if vendor else 0)) + size.to_bytes(3, "big")
    return head + (struct.pack(">I", vendor) if vendor else b"") + value + bytes(-len(value) & 3)


def group(code, *inner, vendor=0):
    return avp(code, b"".join(inner), vendor)


def message(command, *avps, flags=0xC0, application=16777251, ids=(0xA998FB45, 0xB22BB3C8)):
    body = b"".join(avps)
    return (b"\x01" + (20 + len(body)).to_bytes(3, "big") + bytes([flags]) + command.to_bytes(3, "big")
            + struct.pack(">III", application, *ids) + body)


SESSION = avp(263, "mme1.example;1;2;3")
ORIGIN = avp(264, "mme1.example") + avp(296, "example")
VECTOR = group(1413, group(1414, avp(1447, RAND, TGPP), avp(1448, XRES, TGPP), avp(1449, AUTN, TGPP),
                           avp(1450, bytes(32), TGPP),
                           vendor=TGPP), vendor=TGPP)
UMTS = group(1413, *[group(1415, avp(1447, RAND, TGPP), avp(1448, XRES, TGPP), avp(625, bytes(16), TGPP),
                           avp(626, bytes(16), TGPP),
                           avp(1449, AUTN, TGPP), vendor=TGPP)] * 2, vendor=TGPP)
CASES = [
    (message(257, ORIGIN, avp(257, b"\0\1" + bytes([10, 20, 0, 21])), avp(266, 99999), application=0, flags=0x80),
     "diameter.CER",
     {"command": "Capabilities-Exchange", "command_code": 257, "request": True, "application_id": 0,
      "origin_host": "mme1.example",
      "avps": {"Origin-Host": "mme1.example", "Origin-Realm": "example", "Host-IP-Address": "10.20.0.21",
               "Vendor-Id": 99999}}),
    (message(318, SESSION, ORIGIN, avp(283, "ro.example"), avp(1, "999990000004711"),
             avp(1407, bytes.fromhex("00f110"), TGPP)), "diameter.AIR",
     {"command": "Authentication-Information", "request": True, "user_name": "999990000004711", "visited_plmn": "00101",
      "session_id": "mme1.example;1;2;3", "destination_realm": "ro.example", "hop_by_hop": "a998fb45",
      "end_to_end": "b22bb3c8"}),
    (message(318, SESSION, avp(268, 2001), VECTOR, flags=0x40), "diameter.AIA",
     {"request": False, "result_code": 2001, "result": "DIAMETER_SUCCESS", "experimental_result_code": None,
      "vectors": [{"type": "E-UTRAN-Vector", "rand": RAND.hex(), "xres": XRES.hex(), "autn": AUTN.hex()}]}),
    (message(318, SESSION, avp(268, 2001), UMTS, flags=0x40), "diameter.AIA",
     {"vectors": [{"type": "UTRAN-Vector", "rand": RAND.hex(), "xres": XRES.hex(), "autn": AUTN.hex()}] * 2}),
    (message(318, SESSION, group(297, avp(266, TGPP), avp(298, 5001)), flags=0x40), "diameter.AIA",
     {"result_code": None, "experimental_result": {"vendor": TGPP, "code": 5001}, "experimental_result_code": 5001,
      "result": "DIAMETER_ERROR_USER_UNKNOWN"}),
    (message(318, SESSION, avp(268, 5001), flags=0x60), "diameter.AIA",
     {"result_code": 5001, "result": "DIAMETER_AVP_UNSUPPORTED", "experimental_result": None, "error": True}),
    (message(8388620, SESSION, avp(264, "a"), avp(264, "b"), avp(77777, b"\1", 9)), "diameter.request",
     {"command": "COMMAND8388620", "origin_host": "a",
      "avps": {"Session-Id": "mme1.example;1;2;3", "Origin-Host": ["a", "b"], "AVP9:77777": "01"}}),
]
ALL = b"".join(case[0] for case in CASES)


def tape(context=CONTEXT):
    return Tape(context)


@pytest.mark.parametrize("data,kind,fields", CASES, ids=[f"{case[1]}-{i}" for i, case in enumerate(CASES)])
def test_whole_and_cut(data, kind, fields):
    [found] = diameter.decode(data, CONTEXT)
    assert found.kind == kind and not found.problems and not found.incomplete
    assert {name: found.fields.get(name) for name in fields} == fields
    assert set(found.fields) <= set(diameter.KINDS[kind])
    for size in range(20, len(data)):
        [cut] = diameter.decode(data[:size], Context(1, CONTEXT.frames, MME, HSS, missing=len(data) - size))
        assert cut.kind == kind and not cut.problems and cut.incomplete
        assert all(cut.fields[name] == found.fields[name] for name in cut.fields if name not in ("avps", "vectors"))


@pytest.mark.parametrize("step", [1, 3, 7, 64, 1000])
def test_on_a_connection(step):
    conversation, line = diameter.Conversation(CONTEXT), tape()
    kinds = []
    for number, at in enumerate(range(0, len(ALL), step)):
        line.append(ALL[at:at + step], FrameRef(0, number), number)
        kinds += [m.kind for m in conversation.feed(0, line)]
    assert kinds == [case[1] for case in CASES] and len(line) == 0


def test_a_message_over_several_frames_names_them_all():
    conversation, line = diameter.Conversation(CONTEXT), tape()
    data = CASES[1][0]
    line.append(data[:30], FrameRef(0, 4), 40)
    assert list(conversation.feed(0, line)) == []
    line.append(data[30:], FrameRef(0, 6), 60)
    [found] = conversation.feed(0, line)
    assert [ref.number for ref in found.frames] == [4, 6] and found.time == 60


def test_after_a_loss_the_next_trusted_message_is_read():
    conversation, line = diameter.Conversation(CONTEXT), tape()
    list(conversation.lost(0, 100))
    line.append(CASES[1][0][50:] + b"\x01\0\0\x14\x80\0\0\x01" + CASES[2][0] + CASES[4][0], FrameRef(0, 9), 9)
    assert [m.kind for m in conversation.feed(0, line)] == ["diameter.AIA", "diameter.AIA"]


def test_a_stream_gone_wrong_is_found_again():
    conversation, line = diameter.Conversation(CONTEXT), tape()
    line.append(b"\xff" * 50 + CASES[1][0], FrameRef(0, 9), 9)
    assert [m.kind for m in conversation.feed(0, line)] == ["diameter.AIR"]


def test_recognition():
    for data, *_ in CASES:
        assert diameter.likely(data, (40000, 3868))
    assert diameter.likely(CASES[0][0], (1, 2)) and diameter.likely(CASES[1][0], (1, 2))
    assert not diameter.likely(CASES[6][0], (1, 2)), "an unknown command needs its port"
    assert not diameter.likely(b"\x01\0\0\x15" + bytes(30), (3868,
                                                             1)) and not diameter.likely(b"\x16\3\1\0\x50" + bytes(40),
                                                                                         (3868, 1))


def test_problems_of_the_peer():
    [found] = diameter.decode(message(318, SESSION, avp(268, b"\0\1")), CONTEXT)
    assert "Result-Code" in found.problems[0].text
    broken = message(318, SESSION, avp(264, "x" * 20)[:-8])
    [found] = diameter.decode(broken, CONTEXT)
    assert found.problems and found.fields["session_id"] and not found.incomplete


def test_depth_and_number_are_bounded():
    inner = avp(1, "x")
    for _ in range(40):
        inner = group(279, inner)
    [found] = diameter.decode(message(318, inner), CONTEXT)
    depth, tree = 0, found.fields["avps"]
    while isinstance(tree, dict):
        depth, tree = depth + 1, tree.get("Failed-AVP")
    assert depth == diameter._DEPTH + 1
    [found] = diameter.decode(message(318, *[avp(33, b"x")] * 5000), CONTEXT)
    assert len(found.fields["avps"]["Proxy-State"]) == diameter._MOST


def test_keys_are_not_shown():
    [found] = diameter.decode(CASES[2][0], CONTEXT)
    assert found.fields["avps"]["Authentication-Info"]["E-UTRAN-Vector"]["KASME"] == "32 octets"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=80), st.booleans())
def test_noise(noise, framed):
    data = message(318, noise + bytes(-len(noise) & 3)) if framed else noise
    for found in diameter.decode(data, CONTEXT):
        assert set(found.fields) <= set(diameter.KINDS[found.kind])
    line = tape()
    line.append(data, FrameRef(0, 1), 1)
    assert all(m.kind in diameter.KINDS for m in diameter.Conversation(CONTEXT).feed(0, line))
