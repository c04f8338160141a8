"""OMA CP bootstrap as XML and as WBXML (octets after the token tables of WAP-183-ProvCont), and what it lacks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import omacp
from flowcheck.model import Context, Endpoint, FrameRef


def decode(data, missing=0):
    carrier = {"protocol": "http", "direction": "response", "content_type": "text/vnd.wap.connectivity-xml",
               "status": 200}
    return list(omacp.decode(data,
                             Context(5, (FrameRef(0, 1),), Endpoint("a", 80), Endpoint("b", 2), missing=missing,
                                     carrier=carrier)))


def application(appid, *parms):
    inside = "".join(f'<parm name="{name}" value="{value}"/>' for name, value in (("APPID", appid), *parms))
    return f'<characteristic type="APPLICATION">{inside}</characteristic>'


def xml(*parts):
    return f'<?xml version="1.0"?><wap-provisioningdoc version="1.1">{"".join(parts)}</wap-provisioningdoc>'.encode()


DPF = application("w7", ("PROVIDER-ID", "ro"), ("ADDR", "http://dpf/dm"))
MCIM = application("MCIM", ("SHO", "http://sho:8080"), ("CONTEXT", "c"))
M2M = application("M2M", ("CONTEXT", "telemetry"))


def test_xml():
    (found,) = decode(xml(DPF, MCIM, M2M))
    fields = found.fields
    assert found.kind == "omacp.bootstrap" and not found.problems and fields["version"] == "1.1"
    assert fields["dpf"] == ("http://dpf/dm",)
    assert fields["sho"] == ("http://sho:8080",)
    assert fields["appids"] == ("w7", "MCIM", "M2M")
    assert fields["applications"][1] == {"appid": "MCIM", "sho": "http://sho:8080", "context": "c"}
    assert fields["parms"]["CONTEXT"] == ["c", "telemetry"] and fields["m2m"]["CONTEXT"] == ["telemetry"]


@pytest.mark.parametrize("parts, absent", [
    ((application("w7"), MCIM, M2M), {"dpf"}), ((DPF, M2M), {"sho", "mcim"}), ((DPF, MCIM), {"m2m"}),
    ((application("w2", ("ADDR", "http://mms")), MCIM, M2M), {"dpf"}),
    ((application("w7", ("ADDR", "")), MCIM, M2M), {"dpf"})])
def test_what_is_lacking(parts, absent):
    assert {"dpf", "sho", "mcim", "m2m"} - set(decode(xml(*parts))[0].fields) == absent


def test_address_below_and_context_as_characteristic():
    doc = xml('<characteristic type="APPLICATION"><parm name="APPID" value="w7"/>'
              '<characteristic type="APPADDR"><parm name="ADDR" value="http://d"/>'
              '<characteristic type="PORT"><parm name="PORTNBR" value="443"/></characteristic>'
              '</characteristic></characteristic>',
              '<characteristic type="MCIM"><parm name="SHO" value="s"/></characteristic>')
    fields = decode(doc)[0].fields
    assert fields["dpf"] == ("http://d",)
    assert fields["mcim"] == {"SHO": ["s"]}
    assert fields["applications"][0]["portnbr"] == "443"


def text(value):
    return b"\x03" + value + b"\0"


WBXML = (b"\x03\x0b\x6a\x04h1\0x" + b"\xc5\x46\x01"                                     # document, version "1.0"
         + b"\xc6\x00\x01\x55\x01" + b"\x87\x36\x00\x00\x06" + text(b"w7") + b"\x01"        # APPLICATION; APPID w7
         + b"\x87\x00\x01\x34\x00\x00\x06" + text(b"http://") + b"\x83\x00" + b"\x01"       # ADDR, in two pieces
         + b"\x87\x07\x06\xaa\x01"                                                          # NAME: a value token
         + b"\x01\x01")


def test_wbxml():
    (found,) = decode(WBXML)
    assert not found.problems and found.fields["version"] == "1.0"
    assert found.fields["dpf"] == ("http://h1",)
    assert found.fields["parms"] == {"APPID": ["w7"], "ADDR": ["http://h1"], "NAME": ["GSM-CSD"]}


def test_wbxml_cut_at_every_length():
    for size in range(5, len(WBXML)):
        (found,) = decode(WBXML[:size])
        assert found.problems and "dpf" not in found.fields


def test_no_document():
    (found,) = decode(b"<wap-provisioningdoc")
    assert found.problems and "dpf" not in found.fields
    (found,) = decode(xml(DPF)[:-30], missing=30)
    assert found.incomplete and not found.problems and "dpf" not in found.fields


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=60), st.sampled_from([b"", b"\x03\x0b\x6a\x00\xc5", WBXML[:30]]))
def test_noise(data, head):
    decode(head + data)
