"""SyncML: a DM package as XML and as WBXML gives the same messages; bootstrap by ./DMAcc; package 0."""

import base64
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import _wbxml, syncml
from flowcheck.model import Context, Endpoint, FrameRef

XML = "application/vnd.syncml.dm+xml"
HEADER = ("<SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>DB26</SessionID><MsgID>2</MsgID>"
          "<Target><LocURI>http://dm</LocURI></Target><Source><LocURI>IMEI:1</LocURI></Source></SyncHdr>")
B64 = base64.b64encode(b"MCIM for 1").decode()
COMMANDS = (
    "<Status><CmdID>1</CmdID><MsgRef>1</MsgRef><CmdRef>4</CmdRef><Cmd>Replace</Cmd><TargetRef>./M2MSIM</TargetRef>"
    "<Data>200</Data></Status>"
    "<Alert><CmdID>3</CmdID><Data>1226</Data><Item><Source><LocURI>./M2MSIM/Obj</LocURI></Source><Meta>"
    '<Type xmlns="syncml:metinf">urn:x</Type><Format xmlns="syncml:metinf">chr</Format></Meta><Data>success</Data>'
    "</Item></Alert>"
    '<Atomic><CmdID>4</CmdID><Add><CmdID>5</CmdID><Meta><Format xmlns="syncml:metinf">b64</Format></Meta>'
    f"<Item><Target><LocURI>./M2MSIM/Obj</LocURI></Target><Data>{B64}</Data></Item></Add></Atomic>")


def document(commands=COMMANDS, final="<Final/>"):
    body = f"<SyncBody>{commands}{final}</SyncBody>"
    return f'<?xml version="1.0"?><SyncML xmlns="SYNCML:SYNCML1.2">{HEADER}{body}</SyncML>'.encode()


def wbxml(xml):
    """The document as WBXML: code pages by namespace, text inline."""
    from lxml import etree
    tags = {name: key for key, name in _wbxml.SYNCML.tags.items()}
    out, page = bytearray(b"\x02\xa4\x01\x6a\x00"), 0

    def write(element):
        nonlocal page
        wanted, token = tags[etree.QName(element).localname]
        if wanted != page:
            out.extend((0, wanted))
            page = wanted
        full = len(element) or element.text
        out.append(token | (0x40 if full else 0))
        if element.text:
            out.extend(b"\x03" + element.text.encode() + b"\0")
        for child in element:
            write(child)
        if full:
            out.append(1)

    write(etree.fromstring(xml))
    return bytes(out)


def decode(data, content_type=XML, missing=0, **carrier):
    context = Context(5, (FrameRef(0, 1),), Endpoint("a", 1), Endpoint("b", 80), missing=missing,
                      carrier={"protocol": "http", "direction": "request", "content_type": content_type,
                               "method": "POST"} | carrier)
    return list(syncml.decode(data, context))


@pytest.mark.parametrize("form", [lambda xml: xml, wbxml])
def test_a_package(form):
    found = decode(form(document()))
    assert [m.kind for m in found] == ["syncml.message", "syncml.Status", "syncml.Alert", "syncml.Atomic", "syncml.Add"]
    head, status, alert, _, add = (m.fields for m in found)
    assert (head["session_id"], head["msg_id"], head["source"], head["target"], head["ver_proto"], head["final"]) == (
        "DB26", "2", "IMEI:1", "http://dm", "DM/1.2", True)
    assert head["commands"] == ("Status", "Alert", "Atomic", "Add")
    assert (status["msg_ref"], status["cmd_ref"], status["cmd"], status["status"], status["uris"]) == ("1", "4",
                                                                                                       "Replace", 200,
                                                                                                       ("./M2MSIM",))
    assert alert["alert"] == 1226
    assert alert["items"] == ({"source": "./M2MSIM/Obj", "format": "chr", "type": "urn:x", "data": "success"},)
    assert add["inside"] == "Atomic" and add["uris"] == ("./M2MSIM/Obj",) and add["items"][0]["decoded"] == "MCIM for 1"
    assert "MCIM for 1" in add["text"] and not any(m.problems for m in found)


def test_statuscode_of_the_carrier_is_not_the_commands():
    found = decode(document(), direction="response", status=401)
    assert found[1].fields["status"] == 200 and found[1].fields["status_code"] == 401


def test_bootstrap_in_a_dm_account():
    def add(uri, data):
        return f"<Add><CmdID>1</CmdID><Item><Target><LocURI>{uri}</LocURI></Target><Data>{data}</Data></Item></Add>"
    account = add("./DMAcc/dpf/AppAddr/1/Addr", "http://203.0.113.41/dm")
    found = decode(document(account + add("./MCIM/SHO", "http://sho") + add("./M2M/Context", "t")))
    assert found[-1].kind == "syncml.bootstrap"
    fields = found[-1].fields
    assert fields["dpf"] == ("http://203.0.113.41/dm",)
    assert fields["sho"] == ("http://sho",)
    assert "mcim" in fields
    assert "m2m" in fields
    assert "syncml.bootstrap" not in [m.kind for m in decode(document(add("./MCIM/SHO", "http://sho")))]


def test_broken_documents():
    assert decode(b"<SyncML/>")[0].problems[0].text == "SyncML without SyncHdr"
    for data in (b"<SyncML", b"\x02\xa4\x01\x6a\x7f", b"\x02\xa4\x01\x6a\x00\x6d", b"\x02\xff\xff\xff\xff\xff\xff\xff",
                 b"\x04abcdef",
                 b"\x02\xa4\x01\x6a\x00" + b"\x6d" * 200, b"\x02\xa4\x01\x6a\x00\x6d\x83\x7f\x01"):
        (found,) = decode(data)
        assert found.kind == "syncml.message" and found.problems
    (found,) = decode(document(), missing=3)
    assert found.incomplete and not found.problems


def test_wbxml_cut_at_every_length():
    data = wbxml(document())
    for size in range(1, len(data) - 1):
        assert decode(data[:size])[0].problems


def test_string_table_cannot_be_multiplied():
    table = b"x" * 60_000 + b"\0"
    size = len(table)
    head = b"\x02\xa4\x01\x6a" + bytes([0x80 | size >> 14, 0x80 | size >> 7 & 127, size & 127]) + table
    (found,) = decode(head + b"\x6d" + b"\x83\0" * 100_000 + b"\1")
    assert found.problems


def test_package_0():
    trigger = (12 << 30 | 1 << 28 | 1 << 27).to_bytes(5, "big") + struct.pack(">HB", 0xDB26, 3) + b"dpf"
    (found,) = decode(bytes(range(16)) + trigger, "application/vnd.syncml.notification")
    assert found.kind == "syncml.notification"
    assert {k: found.fields[k] for k in ("version", "ui_mode", "initiator", "session_id", "server_id")} == {
        "version": "1.2", "ui_mode": "background", "initiator": "server", "session_id": "DB26", "server_id": "dpf"}
    for size in range(23):
        assert decode((bytes(16) + trigger)[:size], "application/vnd.syncml.notification")[0].problems


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=60), st.sampled_from([b"", b"\x02\xa4\x01\x6a\x00\x6d", b"<SyncML>"]))
def test_noise(data, head):
    for content_type in (XML, "application/vnd.syncml.notification"):
        decode(head + data, content_type)
