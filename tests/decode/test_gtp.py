"""GTPv1 and GTPv2: messages whole and cut, written by hand and, as a second opinion, by scapy."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import gtp, gtpv2
from flowcheck.model import Context, Endpoint, FrameRef, Payload

CONTEXT = Context(1, (FrameRef(0, 1),), Endpoint("10.20.0.21", 2123), Endpoint("10.20.0.31", 2123),
                  ("eth", "ip", "udp"), 1)
IMSI = bytes.fromhex("99999900000074f1")
APN = b"\x03m2m\x09provision"


def v1(kind, elements, teid=0, sequence=7, extension=b""):
    body = struct.pack(">HBB", sequence, 0, extension[0] if extension else 0) + extension[1:] + elements
    return struct.pack(">BBHI", 0x36 if extension else 0x32, kind, len(body), teid) + body


def tlv(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


def v2(kind, *elements, teid=5, sequence=9, flags=0x48):
    body = struct.pack(">I", teid) * (flags >> 3 & 1) + sequence.to_bytes(3, "big") + b"\0" + b"".join(elements)
    return struct.pack(">BBH", flags, kind, len(body)) + body


def element(kind, value, instance=0):
    return struct.pack(">BHB", kind, len(value), instance) + value


CREATE = v1(16, b"\x02" + IMSI + b"\x0e\x03" + b"\x10\0\0\x20\1" + b"\x11\0\0\5\1" + b"\x14\x05" + tlv(128, b"\xf1\x21")
            + tlv(131, APN) + tlv(133, bytes([10, 20, 0, 21])) + tlv(133, bytes([10, 20, 0, 22]))
            + tlv(134, bytes.fromhex("918107070010f4"))
            + tlv(135, b"\0" * 12))
CREATED = v1(17, b"\x01\x80" + b"\x08\xfe" + b"\x7f\0\0\0\x4d" + tlv(128, b"\xf1\x21" + bytes([10, 45, 0, 7])),
             teid=0x501,
             extension=b"\xc0\x01\x12\x34\x00")
SESSION = v2(32, element(1, IMSI), element(71, APN), element(83, bytes.fromhex("00f110")), element(82, b"\6"),
             element(99, b"\1"),
             element(87, b"\x8a\0\0\5\1" + bytes([10, 20, 0, 21])), element(79, b"\1" + bytes(4)),
             element(200, b"unknown"),
             element(93, element(73, b"\5") + element(87, b"\x80\0\0\0\7" + bytes([10, 20, 0, 9]), 2)), teid=0)
CASES = [
    (gtp, CREATE, "gtp.CreatePDPContextRequest",
     {"message_type": 16, "sequence": 7, "teid": "00000000", "imsi": "999999000000471", "apn": "m2m.provision",
      "nsapi": 5,
      "teid_data": "00002001", "teid_control": "00000501", "pdp_type": "IPv4",
      "gsn_addresses": ["10.20.0.21", "10.20.0.22"],
      "msisdn": "18707000014", "recovery": 3, "end_user_address": None}),
    (gtp, CREATED, "gtp.CreatePDPContextResponse",
     {"cause": 128, "cause_text": "Request accepted", "end_user_address": "10.45.0.7", "charging_id": 77,
      "teid": "00000501"}),
    (gtp, v1(17, b"\x01\xdb"), "gtp.CreatePDPContextResponse", {"cause": 219, "cause_text": "Missing or unknown APN"}),
    (gtp, v1(1, b""), "gtp.EchoRequest", {"message_type": 1}),
    (gtp, v1(2, b"\x0e\x05"), "gtp.EchoResponse", {"recovery": 5}),
    (gtpv2, SESSION, "gtpv2.CreateSessionRequest",
     {"message_type": 32, "sequence": 9, "teid": "00000000", "imsi": "999999000000471", "apn": "m2m.provision",
      "serving_network": "00101",
      "rat_type": "EUTRAN", "pdn_type": "IPv4", "paa": "0.0.0.0", "cause": None,
      "f_teids": [{"interface_type": 10, "teid": "00000501", "ipv4": "10.20.0.21", "instance": 0}],
      "bearers": [{"ebi": 5, "f_teids": [{"interface_type": 0, "teid": "00000007", "ipv4": "10.20.0.9",
                                          "instance": 2}]}]}),
    (gtpv2, v2(33, element(2, b"\x49\0"), element(79, b"\3\x40" + bytes(15) + b"\1" + bytes([10, 45, 0, 7]))),
     "gtpv2.CreateSessionResponse",
     {"cause": 73, "cause_text": "No resources available", "paa": "10.45.0.7 ::1"}),
    (gtpv2, v2(1, element(3, b"\5"), flags=0x40), "gtpv2.EchoRequest", {"recovery": 5, "teid": None}),
]


def messages(module, data, missing=0):
    context = Context(1, CONTEXT.frames, CONTEXT.src, CONTEXT.dst, CONTEXT.layers, 1, missing)
    return list(module.decode(data, context))


@pytest.mark.parametrize("module,data,kind,fields", CASES, ids=[f"{case[2]}-{i}" for i, case in enumerate(CASES)])
def test_whole_and_cut(module, data, kind, fields):
    [found] = messages(module, data)
    assert found.kind == kind and not found.problems and not found.incomplete
    assert {name: found.fields.get(name) for name in fields} == fields and set(found.fields) <= set(module.KINDS[kind])
    for size in range(8, len(data)):
        [cut] = messages(module, data[:size], len(data) - size)
        assert cut.kind == kind and not cut.problems and cut.incomplete
        for name, value in cut.fields.items():
            assert name in ("bearers", "f_teids", "gsn_addresses") or found.fields[name] == value


@pytest.mark.parametrize("module,data,kind,fields", CASES, ids=[f"{case[2]}-{i}" for i, case in enumerate(CASES)])
def test_recognition(module, data, kind, fields):
    assert module.likely(data, (2123, 2123))
    assert not module.likely(data + b"\0", (2123, 2123))
    other = gtp if module is gtpv2 else gtpv2
    assert not other.likely(data, (2123, 2123))
    [handed] = messages(other, data)
    assert isinstance(handed,
                      Payload) and handed.protocol == module.__name__.rpartition(".")[2], "both versions share a port"


def test_recognition_off_the_ports():
    assert gtp.likely(CREATE, (1, 2)) and gtpv2.likely(SESSION, (1, 2))
    assert not gtp.likely(v1(1, b""), (1, 2)), "an echo is too little to go by"
    assert not gtp.likely(CREATE[:-1], (1, 2)) and not gtpv2.likely(SESSION[:-1], (1, 2))
    packet = bytes.fromhex("45000014000000004006000001010101") + b"\1\1\1\1"
    assert gtp.likely(struct.pack(">BBHI", 0x30, 255, 20, 1) + packet, (1, 2))
    assert not gtp.likely(struct.pack(">BBHI", 0x30, 255, 20, 1) + bytes(20), (1, 2))


def test_user_packets_are_handed_on():
    packet = bytes.fromhex("45000014000000004006000001010101") + b"\1\1\1\1"
    for data in (struct.pack(">BBHI", 0x30, 255, 20, 1) + packet, v1(255, packet),
                 v1(255, packet, extension=b"\x85\x01\x10\x09\x00")):
        [found] = messages(gtp, data)
        assert (found.protocol, found.data, found.context.layers) == ("ip", packet, ("eth", "ip", "udp", "gtp"))
    assert messages(gtp, struct.pack(">BBHI", 0x30, 255, 2, 1) + b"\0\0") == []


def test_gtp_prime():
    record = bytes([0x2F, 240]) + struct.pack(">HH", 3, 11) + b"\x7e\1\0"
    assert gtp.likely(record, (3386, 3386)) and not gtp.likely(record, (2123, 2123))
    where = Context(1, CONTEXT.frames, Endpoint("192.0.2.1", 3386), Endpoint("192.0.2.2", 3386))
    [found] = gtp.decode(record, where)
    assert found.kind == "gtp.DataRecordTransferRequest" and found.fields == {"message_type": 240, "sequence": 11}


def test_version_0():
    """GSM 09.60 6: the tunnel identifier is an IMSI and, in its last half octet, the NSAPI."""
    header = struct.Struct(">BBHHHB3x8s")
    tunnel = IMSI[:7] + b"\x54"
    where = Context(1, CONTEXT.frames, Endpoint("192.0.2.1", 3386), Endpoint("192.0.2.2", 3386), ("eth", "ip", "udp"))
    create = header.pack(0x1E, 16, 2, 7, 0, 255, tunnel) + b"\x0e\x01"
    assert gtp.likely(create, (3386, 3386)) and not gtp.likely(create, (2123, 2123))
    [found] = gtp.decode(create, where)
    assert (found.kind, found.fields) == ("gtp.CreatePDPContextRequest",
                                          {"message_type": 16, "sequence": 7, "imsi": "999999000000474"})
    echo = header.pack(0x1E, 1, 0, 8, 0, 255, bytes(8))
    assert [m.fields for m in gtp.decode(echo, where)] == [{"message_type": 1, "sequence": 8}]
    [inner] = gtp.decode(header.pack(0x1E, 255, 4, 9, 0, 255, tunnel) + b"E123behind", where)
    assert (inner.protocol, inner.data, inner.context.layers[-1]) == ("ip", b"E123", "gtp")
    assert not any(list(gtp.decode(create[:size], where)) for size in range(20))


def test_piggybacked_messages():
    both = messages(gtpv2, v2(33, element(2, b"\x10\0"), flags=0x58) + v2(95, element(73, b"\5")))
    assert [m.kind for m in both] == ["gtpv2.CreateSessionResponse", "gtpv2.CreateBearerRequest"]


def test_broken_elements():
    [found] = messages(gtp, v1(16, b"\x02" + IMSI + tlv(131, APN)[:-3]))
    assert found.fields["imsi"] and found.problems and not found.incomplete
    [found] = messages(gtp, v1(16, b"\x02" + IMSI + b"\x63"))
    assert found.problems, "an unknown TV element"
    [found] = messages(gtpv2, v2(33, element(79, b"\1\2"), element(2, b"\x10\0")))
    assert found.fields["cause"] == 16 and "element 79" in found.problems[0].text


def test_scapy_agrees():
    scapy = pytest.importorskip("scapy.contrib.gtp_v2")
    request = scapy.GTPV2CreateSessionRequest(IE_list=[scapy.IE_IMSI(IMSI=b"999990000004711"),
                                                       scapy.IE_PAA(PDN_type=1, ipv4="10.45.0.7")])
    [found] = messages(gtpv2, bytes(scapy.GTPHeader(seq=0x000A00, teid=3) / request))
    assert found.fields["imsi"] == "999990000004711" and found.fields["paa"] == "10.45.0.7"
    assert found.fields["teid"] == "00000003" and found.fields["sequence"] == 0x0A00


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([gtp, gtpv2]), st.sampled_from([0x30, 0x32, 0x36, 0x2F, 0x48, 0x58]), st.binary(max_size=80))
def test_noise(module, first, noise):
    for item in messages(module, bytes([first]) + noise):
        assert isinstance(item, Payload) or set(item.fields) <= set(module.KINDS[item.kind])
