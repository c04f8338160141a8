"""WAP push: how the content type can be written, and the body that goes on."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import wappush
from flowcheck.model import Context, Endpoint, FrameRef

CONTEXT = Context(5, (FrameRef(0, 1),), Endpoint("192.0.2.1", 9200), Endpoint("192.0.2.2", 2948), ("udp",))
WBXML, XML = "application/vnd.wap.connectivity-wbxml", "text/vnd.wap.connectivity-xml"


@pytest.mark.parametrize("headers, content_type", [
    (b"\xb6", WBXML), (b"\xb5", XML), (b"\x1f\x07\xb6\x91\x81\x9212\0", WBXML), (b"\x03\x02\x00\x36", WBXML),
    (b"\xc4\xaf\x82", "application/vnd.syncml.notification"),
    (b"text/vnd.wap.connectivity-xml\0\x81", XML), (b"\xa0", "CONTENT-TYPE32")])
def test_push(headers, content_type):
    data = b"\x07\x06" + bytes([len(headers)]) + headers + b"BODY"
    message, payload = wappush.decode(data, CONTEXT)
    assert message.kind == "wap.push"
    assert message.fields == {"transaction_id": 7, "content_type": content_type, "length": 4}
    assert payload.protocol == content_type
    assert payload.data == b"BODY"
    assert payload.context.carrier["content_type"] == content_type
    assert wappush.likely(data, (9200, 2948)) and not wappush.likely(data, (9200, 53))


def test_cut_at_every_length():
    data = b"\x07\x06\x09\x1f\x07\xb6\x91\x81\x9212\0"
    for size in range(len(data)):
        (message,) = wappush.decode(data[:size], CONTEXT)
        assert message.problems and not wappush.likely(data[:size], (2948,))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=40))
def test_noise(data):
    for part in (data, b"\x01\x06" + data):
        list(wappush.decode(part, CONTEXT))
        wappush.likely(part, (2948,))
