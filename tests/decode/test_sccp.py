"""From SCTP to the NAS message: M3UA, SUA, SCCP, BSSAP."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import bssap, m3ua, sccp, sua
from flowcheck.model import Context, Endpoint, FrameRef, Payload

RNC, MSC = Endpoint("10.128.36.33", 2905), Endpoint("175.2.110.204", 2905)
RANAP = bytes.fromhex("0014400f00000200104003020803003b400100")
BSSMAP = bytes.fromhex("00055717020524")


def context(frame=1, back=False, **carrier):
    ends = (MSC, RNC) if back else (RNC, MSC)
    return Context(frame, (FrameRef(0, frame),), *ends, ("eth", "ip", "sctp"), 1, carrier=carrier)


def parameter(tag, value):
    return struct.pack(">HH", tag, 4 + len(value)) + value + bytes(-len(value) & 3)


def layer(group, kind, *parameters):
    body = b"".join(parameters)
    return bytes([1, 0, group, kind]) + struct.pack(">I", 8 + len(body)) + body


def transfer(data, opc=1030, dpc=8194, indicator=3):
    return layer(1, 1, parameter(6, b"\0\0\0\1"), parameter(0x210,
                                                            struct.pack(">IIBBBB", opc, dpc, indicator, 2, 0,
                                                                        5) + data))


def address(number):
    return bytes([0x42, number])


def lv(value):
    return bytes([len(value)]) + value


def connection_request(reference, number, data=b""):
    optional = b"\x0f" + lv(data) + b"\0" if data else b""
    called = lv(address(number))
    return b"\1" + reference + b"\2" + bytes([2, 1 + len(called) if data else 0]) + called + optional


def data_form_1(reference, data, more=0):
    return b"\6" + reference + bytes([more, 1]) + lv(data)


def unitdata(data, called=6, calling=7):
    parts = [lv(address(called)), lv(address(calling)), lv(data)]
    pointers = [3, 2 + len(parts[0]), 1 + len(parts[0]) + len(parts[1])]
    return b"\x09\0" + bytes(pointers) + b"".join(parts)


def extended(data, first, remaining, reference=b"\1\2\3"):
    parts = [lv(address(6)), lv(address(7)), lv(data)]
    sizes = [len(part) for part in parts]
    pointers = [4, 3 + sizes[0], 2 + sizes[0] + sizes[1], 1 + sum(sizes)]
    segmentation = b"\x10" + lv(bytes([first << 7 | remaining]) + reference) + b"\0"
    return b"\x11\1\x0f" + bytes(pointers) + b"".join(parts) + segmentation


def payloads(flow, *steps):
    return [(item.protocol, item.data) for number, (data, back) in enumerate(steps, 1)
            for item in flow.datagram(data, context(number, back)) if isinstance(item, Payload)]


def test_m3ua_carries_sccp():
    [found] = m3ua.decode(transfer(b"\x09xyz"), context(ppid=3))
    assert (found.protocol, found.data, found.context.layers[-1]) == ("sccp", b"\x09xyz", "m3ua")
    assert found.context.carrier == {"ppid": 3, "opc": 1030, "dpc": 8194}
    assert list(m3ua.decode(transfer(b"ISUP", indicator=5), context())) == []
    for size in range(len(transfer(b"\x09xyz"))):
        assert list(m3ua.decode(transfer(b"\x09xyz")[:size], context())) == [], "nothing whole, nothing told"


@pytest.mark.parametrize("module", [m3ua, sua])
def test_management(module):
    name = module.__name__.rpartition(".")[2]
    read = module.decode if hasattr(module, "decode") else module.Flow(context()).datagram
    [found] = read(layer(0, 0, parameter(0xC, b"\0\0\0\x0d")), context())
    assert found.kind == f"{name}.ERR" and found.fields["error_code"] == 13
    assert [m.kind for m in read(layer(3, 1), context())] == [f"{name}.ASPUP"]
    assert list(read(layer(3, 3), context())) == [], "a heartbeat is nothing to report"
    assert module.likely(layer(3, 1), (min(module.PORTS), 1)) and not module.likely(layer(3, 1), (1, 2))


def test_a_connection_knows_its_user():
    a, b = b"\0\0\1", b"\0\0\2"
    steps = [(connection_request(a, 142, RANAP), False), (b"\2" + a + b + b"\2\0", True),
             (data_form_1(b, RANAP), False),
             (data_form_1(a, b"odd octets"), True)]
    assert payloads(sccp.Flow(context()), *steps) == [("ranap", RANAP), ("ranap", RANAP), ("ranap", b"odd octets")]
    unseen = payloads(sccp.Flow(context()), (data_form_1(b, RANAP), False), (data_form_1(a, b"odd octets"), True),
                      (data_form_1(a, BSSMAP), True))
    assert unseen == [("ranap", RANAP), ("unknown", b"odd octets"),
                      ("bssap", BSSMAP)], "known by its octets alone, or not at all"


def test_both_directions_of_a_connection_name_the_same_ue():
    a, b = b"\0\0\1", b"\0\0\2"
    flow = sccp.Flow(context())
    steps = [(connection_request(a, 142, RANAP), False), (b"\2" + a + b + b"\2\0", True),
             (data_form_1(b, RANAP), False), (data_form_1(a, RANAP), True)]
    found = [item for data, back in steps for item in flow.datagram(data, context(1, back))]
    assert [item.context.carrier["ue"] for item in found] == ["connection 000001"] * 3
    [unseen] = sccp.Flow(context()).datagram(data_form_1(b, RANAP), context())
    assert "ue" not in unseen.context.carrier, "each end has a reference of its own: one alone would mislead"


def test_segments_of_a_connection_are_joined():
    ref = b"\0\0\2"
    flow = sccp.Flow(context())
    assert list(flow.datagram(data_form_1(ref, RANAP[:5], 1), context(1))) == []
    [found] = flow.datagram(data_form_1(ref, RANAP[5:]), context(2))
    assert found.data == RANAP and [frame.number for frame in found.context.frames] == [1, 2]


def test_connectionless():
    assert payloads(sccp.Flow(context()), (unitdata(b"tcap"), False)) == [("map", b"tcap")]
    assert payloads(sccp.Flow(context()), (unitdata(RANAP, 142, 142), False)) == [("ranap", RANAP)]
    assert payloads(sccp.Flow(context()), (unitdata(b"cap", 146, 146), False)) == [("unknown", b"cap")]
    flow = sccp.Flow(context())
    parts = [(extended(b"ab", 1, 2), False), (extended(b"cd", 0, 1), False), (extended(b"ef", 0, 0), False)]
    assert payloads(flow, *parts) == [("map", b"abcdef")]
    assert payloads(sccp.Flow(context()), *parts[1:]) == [], "begins in the middle"


def test_addresses_in_national_coding():
    """ANSI T1.112.3 3.4: the subsystem number first, then a point code of three octets; and ITU's with the same bit."""
    for called, user in ((b"\xc3\x8e\x01\x02\x03", "ranap"), (b"\xc1\xfe", "bssap"), (b"\xc2\x01\x02\x8e", "unknown"),
                         (b"\xc3\xfe\x2e\x8e", "ranap"), (b"\xc2\x8e", "ranap"), (b"\xc1\x8e\x01", "unknown")):
        parts = [lv(called), lv(called), lv(b"\xff what it carries")]
        pointers = bytes([3, 2 + len(parts[0]), 1 + len(parts[0]) + len(parts[1])])
        found = payloads(sccp.Flow(context()), (b"\x09\0" + pointers + b"".join(parts), False))
        assert found == [(user, b"\xff what it carries")]


def test_refusals():
    [found] = sccp.Flow(context()).datagram(b"\3\0\0\1\x03\0", context())
    assert found.kind == "sccp.CREF" and found.fields == {"cause": 3}
    [found] = sccp.Flow(context()).datagram(b"\x0a\1" + unitdata(b"tcap")[2:], context())
    assert found.kind == "sccp.UDTS" and found.fields == {"cause": 1}


def test_sua():
    here, there = parameter(0x104, b"\0\0\0\1"), parameter(0x105, b"\0\0\0\1")
    called = parameter(0x103, struct.pack(">HH", 2, 7) + parameter(0x8003, b"\0\0\0\x8e"))
    flow = sua.Flow(context())
    steps = [(layer(8, 1, called, here, parameter(0x10B, RANAP)), False),
             (layer(8, 7, there, parameter(0x10B, b"anything")), True)]
    assert payloads(flow, *steps) == [("ranap", RANAP), ("ranap", b"anything")]
    assert payloads(sua.Flow(context()), (layer(7, 1, parameter(0x102, called[4:].replace(b"\x8e", b"\6")),
                                                parameter(0x10B, b"t")), False)) \
        == [("map", b"t")]


def test_bssap():
    [found] = bssap.decode(BSSMAP, context())
    assert (found.protocol, found.data) == ("nas", b"\x05\x24")
    [found] = bssap.decode(bytes.fromhex("010002051b"), context())
    assert found.data == b"\x05\x1b"
    complete = bytes.fromhex("000c57" + "050401" + "aabbcc" + "2101" + "170105")
    assert [item.data for item in bssap.decode(complete, context())] == [b"\x05"]
    assert list(bssap.decode(bytes.fromhex("000120"), context())) == [] and list(bssap.decode(BSSMAP[:-1],
                                                                                              context())) == []


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([m3ua, sua, sccp, bssap]), st.sampled_from([b"", b"\1\0\1\1", b"\1\0\x08\1", b"\6\0\0\1",
                                                                   b"\x11\1\1", b"\1\0\0"]),
       st.binary(max_size=60))
def test_noise(module, head, noise):
    data = head + noise
    flow = module.Flow(context()).datagram if hasattr(module, "Flow") else module.decode
    for item in flow(data, context()):
        assert isinstance(item, Payload) or set(item.fields) <= set(module.KINDS[item.kind])
