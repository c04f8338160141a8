"""IKE as it is seen without keys: literal payloads, whole, cut at every length, and as noise."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import ike, ike_tcp
from flowcheck.decode.wire import Tape
from flowcheck.model import Context, Endpoint, FrameRef, Opaque

H = bytes.fromhex
SPI_I, SPI_R = "1111111111111111", "2222222222222222"
HNB, SEGW = Endpoint("198.51.100.21", 500), Endpoint("203.0.113.10", 500)
CONTEXT = Context(7, (FrameRef(0, 3),), HNB, SEGW, ("eth", "ip", "udp"))
NAT = Context(7, (FrameRef(0, 3),), HNB._replace(port=4500), SEGW._replace(port=4500), ("eth", "ip", "udp"))


def chain(*payloads):
    """(type of the first, octets of all)."""
    kinds = [kind for kind, _ in payloads] + [0]
    return kinds[0], b"".join(struct.pack(">BBH", following, 0, 4 + len(body)) + body
                              for (_, body), following in zip(payloads, kinds[1:]))


def message(exchange, flags, *payloads, ident=0, spi_r=SPI_R, version=0x20):
    kind, body = chain(*payloads)
    return H(SPI_I + spi_r) + struct.pack(">BBBBII", kind, version, exchange, flags, ident, 28 + len(body)) + body


def proposal(number, protocol, spi, *transforms, last=True):
    parts = []
    for index, (kind, code, bits) in enumerate(transforms):
        attribute = struct.pack(">HH", 0x800E, bits) if bits else b""
        parts.append(struct.pack(">BBHBBH", 0 if index == len(transforms) - 1 else 3, 0, 8 + len(attribute), kind, 0,
                                 code) + attribute)
    inside = struct.pack(">BBBB", number, protocol, len(spi), len(transforms)) + spi + b"".join(parts)
    return struct.pack(">BBH", 0 if last else 2, 0, 4 + len(inside)) + inside


def notify(code, data=b"", protocol=0, spi=b""):
    return 41, struct.pack(">BBH", protocol, len(spi), code) + spi + data


SA = 33, (proposal(1, 1, b"", (1, 12, 256), (2, 5, 0), (3, 12, 0), (4, 14, 0), last=False)
          + proposal(2, 1, b"", (1, 20, 128), (2, 5, 0), (4, 19, 0)))
INIT = message(34, 0x08, SA, (34, struct.pack(">HH", 14, 0) + bytes(8)), (40, b"\xaa" * 16), notify(16388, bytes(20)),
               (43, H("882fe56d6fd20dbc2251613b2ebe5beb")), spi_r="0" * 16)
CASES = [
    (INIT, "ike.sa_init.request", {
        "version": "2.0", "exchange": "IKE_SA_INIT", "spi_i": SPI_I, "spi_r": "0" * 16, "message_id": 0,
        "initiator": True,
        "response": False, "payloads": ["SA", "KE", "Ni", "N", "V"], "notify": ["NAT_DETECTION_SOURCE_IP"],
        "key_exchange": "MODP_2048", "vendor_ids": ["strongSwan"], "nonce": "aa" * 16, "proposals": [
            {"number": 1, "protocol": "IKE", "transforms": {"ENCR": ["AES_CBC_256"], "PRF": ["HMAC_SHA2_256"],
                                                            "INTEG": ["HMAC_SHA2_256_128"], "DH": ["MODP_2048"]}},
            {"number": 2, "protocol": "IKE",
             "transforms": {"ENCR": ["AES_GCM_16_128"], "PRF": ["HMAC_SHA2_256"], "DH": ["ECP_256"]}}]}),
    (message(34, 0x20, notify(14)), "ike.sa_init.response",
     {"notify": ["NO_PROPOSAL_CHOSEN"], "response": True, "initiator": False,
      "notifies": [{"type": "NO_PROPOSAL_CHOSEN", "code": 14}]}),
    (message(34, 0x20, notify(17, b"\0\x13")), "ike.sa_init.response",
     {"notifies": [{"type": "INVALID_KE_PAYLOAD", "code": 17, "data": "0013", "group": "ECP_256"}]}),
    (message(34, 0x20, notify(16407, b"\3\x0csegw.example")), "ike.sa_init.response",
     {"notifies": [{"type": "REDIRECT", "code": 16407, "data": b"\3\x0csegw.example".hex(),
                    "gateway": "segw.example"}]}),
    (message(34, 0x20, notify(48999)), "ike.sa_init.response", {"notify": ["NOTIFY48999"]}),
    (message(34, 0x28, (34, struct.pack(">HH", 14, 0)), (40, b"\xbb" * 16)), "ike.sa_init.response",
     {"payloads": ["KE", "Nr"]}),
    (message(35, 0x08, (46, bytes(64)), ident=1), "ike.auth.request",
     {"payloads": ["SK"], "decrypted": False, "message_id": 1}),
    (message(35, 0x20, (53, struct.pack(">HH", 1, 2) + bytes(64)), ident=1), "ike.auth.response",
     {"payloads": ["SKF"], "fragment": {"number": 1, "total": 2}, "decrypted": False}),
    (message(43, 0x08, (46, bytes(64)), ident=1), "ike.intermediate.request", {"exchange": "IKE_INTERMEDIATE"}),
    (message(2, 0, (1, bytes(8)), (13, H("afcad71368a1f1c96b8696fc77570100")), version=0x10, spi_r="0" * 16),
     "ike.v1.identity_protection", {"version": "1.0", "exchange": "IDENTITY_PROTECTION", "payloads": ["SA", "VID"],
                                    "vendor_ids": ["Dead Peer Detection"], "response": False}),
    (message(5, 0, (11, struct.pack(">IBBH", 1, 1, 0, 14)), version=0x10), "ike.v1.informational",
     {"notify": ["NO-PROPOSAL-CHOSEN"]}),
    (message(32, 1, (8, bytes(40)), version=0x10), "ike.v1.quick_mode", {"payloads": [], "encrypted": True}),
]


def decode(data, context=CONTEXT):
    flow = ike.Flow(context)
    return list(flow.datagram(data, context))


@pytest.mark.parametrize("data, kind, fields", CASES)
def test_whole(data, kind, fields):
    for out in (decode(data), decode(bytes(4) + data, NAT)):
        assert len(out) == 1 and out[0].kind == kind and not out[0].problems and not out[0].incomplete
        assert {key: out[0].fields[key] for key in fields} == fields


@pytest.mark.parametrize("data, kind, fields", CASES)
def test_cut_by_the_capture_is_incomplete(data, kind, fields):
    for size in range(28, len(data)):
        context = Context(7, (FrameRef(0, 3),), HNB, SEGW, missing=len(data) - size)
        out, = decode(data[:size], context)
        assert out.incomplete and out.kind == kind and not [p for p in out.problems if "reaches" in p.text]
        assert out.fields["spi_i"] == SPI_I and "configuration" not in out.fields


def test_a_fragment_that_the_capture_cut_is_still_one():
    data = CASES[7][0]
    for size in range(36, len(data)):
        out, = decode(data[:size], Context(7, (FrameRef(0, 3),), HNB, SEGW, missing=len(data) - size))
        assert out.fields["fragment"] == {"number": 1, "total": 2} and out.fields["payloads"] == ["SKF"]
        assert out.incomplete and out.fields["decrypted"] is False


@pytest.mark.parametrize("data, kind, fields", CASES)
def test_over_tcp_byte_by_byte(data, kind, fields):
    conversation, tape, found = ike_tcp.Conversation(NAT), Tape(NAT), []
    framed = struct.pack(">H", len(data) + 6) + bytes(4) + data
    for number, octet in enumerate(b"IKETCP" + framed + framed, 1):
        tape.append(bytes([octet]), FrameRef(0, number), number)
        found += conversation.feed(0, tape)
    assert [m.kind for m in found] == [kind, kind] and found[0].frames[-1].number == 6 + len(framed)


def test_lengths_that_lie():
    longer = INIT[:24] + struct.pack(">I", len(INIT) + 9) + INIT[28:]
    assert decode(longer)[0].problems[0].offset == 24
    assert decode(INIT + b"xyz")[0].problems[0].offset == len(INIT)
    payload = INIT[:30] + b"\xff\xff" + INIT[32:]
    out, = decode(payload)
    assert out.problems and not out.incomplete and out.fields["payloads"] == []
    inner = INIT[:34] + b"\xff\xff" + INIT[36:]
    out, = decode(inner)
    assert out.problems and out.fields["payloads"] == ["SA", "KE", "Ni", "N", "V"]


def test_port_4500_holds_ike_esp_and_keepalives():
    flow, esp = ike.Flow(NAT), H("c0000001") + struct.pack(">I", 1) + bytes(range(200, 248))
    assert list(flow.datagram(b"\xff", NAT)) == [] and list(flow.datagram(esp, NAT)) == []
    assert [m.kind for m in flow.datagram(bytes(4) + CASES[6][0], NAT)] == ["ike.auth.request"]
    opaque, = [item for item in flow.end() if isinstance(item, Opaque)]
    assert opaque.packets == 1 and opaque.layers == ("eth", "ip", "udp", "esp") and opaque.fields["spi"] == "0xc0000001"


def test_likely():
    esp = H("c0000001") + struct.pack(">I", 1) + bytes(range(200, 248))
    for data, _, _ in CASES:
        assert ike.likely(data, (500, 500)) and ike.likely(bytes(4) + data, (4500, 31000))
        assert ike.likely(data, (9999, 8888)) == (data[18] != 99)
    assert ike.likely(esp, (4500, 4500)) and ike.likely(b"\xff", (4500, 4500)) and not ike.likely(esp, (9999, 8888))
    assert not ike.likely(esp, (4500, 53))
    assert ike.likely(H("01020304") + esp[4:], (4500, 4500)) and ike.likely(H("01020304") + esp[4:], (4500, 1024))
    stun = H("000100242112a442") + bytes(range(200, 248))
    media = H("8060123499887766") + bytes(range(160, 220))
    assert not ike.likely(stun, (4500, 3478)) and not ike.likely(media, (4500, 31000))
    for other in (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n..", bytes(64), b"\xff" * 60, INIT[:-1], INIT + b"\0",
                  b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(40)):
        assert not ike.likely(other, (9999, 8888)) and not ike_tcp.likely(other, (4500, 8888))
    assert not ike.likely(b"GET /index.html HTTP/1.1....", (4500, 8888))
    assert ike_tcp.likely(b"IKETCP", (4500, 8888))


def test_an_initiator_without_an_spi_is_reported_and_not_taken_for_the_marker():
    data = bytes(8) + INIT[8:]
    assert ike.likely(data, (500, 500)) and not ike.likely(data + b"more", (500, 500))
    [found] = ike.Flow(CONTEXT).datagram(data, CONTEXT)
    assert (found.kind, found.fields["spi_i"]) == ("ike.sa_init.request", "00" * 8)
    assert found.problems[0].text == "the initiator's SPI is zero (RFC 7296 3.1)"
    [marked] = ike.Flow(CONTEXT).datagram(bytes(4) + INIT, CONTEXT)
    assert marked.fields["spi_i"] == SPI_I and not marked.problems


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(INIT)), st.booleans())
def test_noise(noise, keep, on_4500):
    context = NAT if on_4500 else CONTEXT
    data = INIT[:keep] + noise
    flow = ike.Flow(context)
    for item in flow.datagram(data, context):
        assert item.kind in ike.KINDS
    list(flow.end())
    ike.likely(data, (1, 2))
    conversation, tape = ike_tcp.Conversation(context), Tape(context)
    tape.append(data, FrameRef(0, 1), 1)
    list(conversation.feed(0, tape))
