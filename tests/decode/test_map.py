"""MAP in TCAP: sendAuthenticationInfo asked, answered and refused; the vectors as pycrate writes them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import map as gsm_map
from flowcheck.model import Context, Endpoint, FrameRef

CONTEXT = Context(1, (FrameRef(0, 1),), Endpoint("10.20.0.21"), Endpoint("203.0.113.31"),
                  ("eth", "ip", "sctp", "m3ua", "sccp"), 1)
IMSI = bytes.fromhex("99999900000074f1")
RAND, XRES, AUTN = bytes(range(16)), bytes(range(8)), bytes(range(16, 32))


def ber(tag, *content):
    body = b"".join(content)
    size = bytes([len(body)]) if len(body) < 128 else b"\x82" + len(body).to_bytes(2, "big")
    return bytes([tag]) + size + body


def begin(component, otid=b"\0\0\0\1"):
    return ber(0x62, ber(0x48, otid), ber(0x6B, b"\x28\0"), ber(0x6C, component))


def end(component, dtid=b"\0\0\0\1"):
    return ber(0x64, ber(0x49, dtid), ber(0x6C, component))


def invoke(operation, argument, number=1):
    return ber(0xA1, ber(2, bytes([number])), ber(2, bytes([operation])), argument)


def result(operation, content, number=1):
    return ber(0xA2, ber(2, bytes([number])), ber(0x30, ber(2, bytes([operation])), content))


QUINTUPLET = ber(0x30, ber(4, RAND), ber(4, XRES), ber(4, bytes(16)), ber(4, bytes(16)), ber(4, AUTN))
ASK = begin(invoke(56, ber(0x30, ber(0x80, IMSI), ber(2, b"\2"))))
ASK_V2 = begin(invoke(56, ber(4, IMSI)))
ANSWER = end(result(56, ber(0xA3, ber(0xA1, QUINTUPLET, QUINTUPLET))))
REFUSAL = end(ber(0xA3, ber(2, b"\1"), ber(2, b"\1")))


def run(*data, missing=0):
    flow = gsm_map.Flow(CONTEXT)
    where = Context(1, CONTEXT.frames, CONTEXT.src, CONTEXT.dst, missing=missing)
    return [found for each in data for found in flow.datagram(each, where)]


@pytest.mark.parametrize("data", [ASK, ASK_V2])
def test_asked(data):
    [found] = run(data)
    assert found.kind == "map.sendAuthenticationInfo.invoke" and not found.problems
    assert found.fields == {"otid": "00000001", "invoke_id": 1, "operation_code": 56, "imsi": "999999000000471"}


def test_answered():
    vector = {"type": "quintuplet", "rand": RAND.hex(), "xres": XRES.hex(), "autn": AUTN.hex()}
    _, found = run(ASK, ANSWER)
    assert found.kind == "map.sendAuthenticationInfo.result" and found.fields["vectors"] == [vector, vector]
    assert found.fields["dtid"] == "00000001"
    triplet = ber(0x30, ber(4, RAND), ber(4, bytes(4)), ber(4, bytes(8)))
    _, found = run(ASK_V2, end(result(56, ber(0x30, triplet))))
    assert found.fields["vectors"] == [{"type": "triplet", "rand": RAND.hex(), "sres": "00000000"}]


def test_refused():
    """The error does not say what was asked: the invoke of the same transaction does."""
    _, found = run(ASK, REFUSAL)
    assert found.kind == "map.sendAuthenticationInfo.error"
    assert (found.fields["error_code"], found.fields["error"]) == (1, "unknownSubscriber")
    [found] = run(REFUSAL)
    assert found.kind == "map.operation.error" and found.fields["error"] == "unknownSubscriber"
    _, found = run(begin(invoke(2, ber(0x30, ber(4, IMSI)))), REFUSAL)
    assert found.kind == "map.updateLocation.error"
    _, found = run(ASK, end(ber(0xA3, ber(2, b"\1"), ber(2, b"\1")), dtid=b"\0\0\0\2"))
    assert found.kind == "map.operation.error", "another transaction"


def test_what_pycrate_writes():
    pytest.importorskip("pycrate_asn1dir")
    from pycrate_asn1dir import MAP
    sets = MAP.MAP_MS_DataTypes.SendAuthenticationInfoRes
    sets.set_val({"eps-AuthenticationSetList": [{"rand": RAND, "xres": XRES, "autn": AUTN, "kasme": bytes(32)}]})
    _, found = run(ASK, end(result(56, sets.to_ber())))
    assert found.fields["vectors"] == [{"type": "eps", "rand": RAND.hex(), "xres": XRES.hex(), "autn": AUTN.hex()}]
    argument = MAP.MAP_MS_DataTypes.SendAuthenticationInfoArg
    argument.set_val({"imsi": IMSI, "numberOfRequestedVectors": 2})
    assert run(begin(invoke(56, argument.to_ber())))[0].fields["imsi"] == "999999000000471"


def test_indefinite_lengths():
    inner = b"\xA1\x80" + ber(2, b"\1") + ber(2, b"\x38") + b"\x30\x80" + ber(0x80, IMSI) + b"\0\0" + b"\0\0"
    data = b"\x62\x80" + ber(0x48, b"\7") + b"\x6c\x80" + inner + b"\0\0" + b"\0\0"
    [found] = run(data)
    assert found.kind == "map.sendAuthenticationInfo.invoke" and found.fields["imsi"] == "999999000000471"


def test_several_components_and_an_abort():
    both = ber(0x62, ber(0x48, b"\1"), ber(0x6C, invoke(56, ber(4, IMSI)), invoke(67, ber(0xA3, ber(4, IMSI)), 2)))
    assert [m.kind for m in run(both)] == ["map.sendAuthenticationInfo.invoke", "map.purgeMS.invoke"]
    [found] = run(ber(0x67, ber(0x49, b"\1"), ber(0x4A, b"\1")))
    assert found.kind == "map.abort" and found.fields == {"dtid": "01"}


@pytest.mark.parametrize("data", [ASK, ANSWER, REFUSAL])
def test_cut_at_every_length(data):
    whole = run(data)[0]
    for size in range(len(data)):
        for found in run(data[:size], missing=len(data) - size):
            assert all(whole.fields[name] == value for name, value in found.fields.items())


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([0x62, 0x64, 0x65, 0x67]), st.binary(max_size=80))
def test_noise(tag, noise):
    for data in (noise, ber(tag, noise), ber(tag, ber(0x48, b"\1"), ber(0x6C, noise)), bytes([tag, 0x80]) + noise):
        for found in run(data):
            assert set(found.fields) <= set(gsm_map.KINDS[found.kind])
