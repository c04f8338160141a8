"""XML bodies: to the decoder of their root element, or shown; and what is refused of an untrusted document."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import xmlbody
from flowcheck.model import Context, Endpoint, FrameRef, Payload

CARRIER = {"protocol": "http", "direction": "response", "content_type": "text/xml", "method": "GET", "path": "/c",
           "status": 200}


def decode(data, missing=0):
    return list(xmlbody.decode(data,
                               Context(5, (FrameRef(0, 1),), Endpoint("a", 1), Endpoint("b", 2), missing=missing,
                                       carrier=CARRIER)))


def test_fields_by_path():
    (found,) = decode(b'<?xml version="1.0"?><!-- c --><d:doc xmlns:d="urn:x" d:v="1">'
                      b"<id>7</id><s><n>a</n></s><s><n>b</n></s>t</d:doc>")
    assert found.kind == "xml.response" and not found.problems
    assert (found.fields["root"], found.fields["namespace"], found.fields["status"]) == ("doc", "urn:x", 200)
    assert found.fields["flat"] == {"doc.v": "1", "doc.id": "7", "doc.s.n": ["a", "b"]}


@pytest.mark.parametrize("data, reader", [
    (b'<?xml version="1.0"?>\n<soap:Envelope xmlns:soap="x">', "cwmp"), (b"\xef\xbb\xbf <SyncML>", "syncml"),
    (b'<!DOCTYPE wap-provisioningdoc PUBLIC "a" "b"><wap-provisioningdoc version="1.1"/>', "omacp")])
def test_roots_with_a_decoder_of_their_own(data, reader):
    (found,) = decode(data)
    assert isinstance(found, Payload) and found.protocol == reader and found.data == data


@pytest.mark.parametrize("data", [
    b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>',
    b'<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;">]><a b="&y;"/>', b"<a>" * 5000, b"<a><b></a>",
    b"text", b"<a>&x;</a>",
    '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"), b"<!--"])
def test_refused(data):
    (found,) = decode(data)
    assert found.problems and "body" not in found.fields


def test_a_named_dtd_is_not_fetched():
    (found,) = decode(b'<!DOCTYPE a PUBLIC "-//X//EN" "http://192.0.2.1/x.dtd"><a>1</a>')
    assert found.fields["body"] == {"a": "1"} and not found.problems


def test_large_document_is_named_and_nobodys_fault():
    (found,) = decode(b"<a>" + b"x" * (1 << 20) + b"</a>")
    assert "octets" in found.fields["unread"] and not found.problems and found.fields["root"] == "a"


def test_deep_document_is_bounded():
    (found,) = decode(b"<a>" * 200 + b"</a>" * 200)
    depth, body = 0, found.fields["body"]
    while isinstance(body, dict):
        depth, body = depth + 1, body["a"]
    assert depth <= 66


def test_cut_body_is_incomplete():
    (found,) = decode(b"<a><b>1", missing=4)
    assert found.incomplete and not found.problems and found.fields["root"] == "a"


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from([b"<a>", b"</a>", b"<?x", b"?>", b"<!--", b"-->", b"<!DOCTYPE", b"[", b">", b"&x;",
                                 b"\0", b"\xff", b"t", b"<a/>"]),
                max_size=10).map(b"".join) | st.binary(max_size=40))
def test_noise(data):
    decode(data)
    decode(data, missing=1)
