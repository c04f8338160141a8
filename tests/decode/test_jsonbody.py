"""JSON bodies: fields by path, what is no JSON, and the limits."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import jsonbody
from flowcheck.model import Context, Endpoint, FrameRef

REQUEST = {"protocol": "http", "direction": "request", "content_type": "application/json", "method": "POST",
           "path": "/p"}
RESPONSE = REQUEST | {"direction": "response", "status": 200}


def decode(data, carrier=REQUEST, missing=0):
    context = Context(5, (FrameRef(0, 1),), Endpoint("a", 1), Endpoint("b", 2), missing=missing, carrier=carrier)
    return list(jsonbody.decode(data, context))


def test_fields_by_path():
    (found,) = decode(b'{"serviceId": "s", "serverServiceIds": ["a", "b"], '
                      b'"info": {"size": 2048, "of": [{"n": 1}, {"n": 2}]}}')
    assert found.kind == "json.request" and not found.problems
    assert found.fields["flat"] == {"serviceId": "s", "serverServiceIds": ["a", "b"], "info.size": 2048,
                                    "info.of.n": [1, 2]}
    assert found.fields["names"] == ("serviceId", "serverServiceIds", "info", "size", "of", "n")
    assert (found.fields["method"], found.fields["path"], found.fields["protocol"]) == ("POST", "/p", "http")


def test_direction_is_the_carriers():
    assert decode(b"{}", RESPONSE)[0].kind == "json.response" and decode(b"{}", RESPONSE)[0].fields["status"] == 200
    assert decode(b"{}", {"protocol": "coap", "code": "2.01"})[0].kind == "json.response"
    assert decode(b"{}", {"protocol": "coap", "code": "0.02"})[0].kind == "json.request"


@pytest.mark.parametrize("data, body", [
    (b"[]", []), (b"3", 3), (b'\xef\xbb\xbf{"a": null}', {"a": None}),
    ('{"\u00e9": "\u20ac"}'.encode(), {"\u00e9": "\u20ac"}),
    ('{"a": 1}'.encode("utf-16"), {"a": 1}),
    (b'{"a": "\\ud800b", "c": "\\ud83d\\ude00"}', {"a": "\ufffdb", "c": "\U0001f600"}),
    (b'{"a": 1e999}', {"a": "1e999"}),
])
def test_bodies(data, body):
    (found,) = decode(data)
    assert found.fields["body"] == body and not found.problems
    json.dumps(found.fields, allow_nan=False).encode()


@pytest.mark.parametrize("data",
                         [b"{", b'{"a": }', b"NaN", b'{"a": Infinity}', b"\xff\xfe\xff", b"[" * 100_000,
                          b"[" * 65 + b"]" * 65,
                                  b"1" * 5000, b"{} {}", b"<a/>"])
def test_no_json_is_a_problem(data):
    (found,) = decode(data)
    assert found.problems and "body" not in found.fields and found.fields["path"] == "/p"


def test_large_body_is_named_and_nobodys_fault():
    (found,) = decode(b'"' + b"x" * (1 << 20) + b'"')
    assert found.fields["unread"] == "1048578 octets" and not found.problems and "body" not in found.fields


def test_name_given_twice():
    (found,) = decode(b'{"a": 1, "b": 2, "a": 3}')
    assert found.fields["body"] == {"a": 3, "b": 2} and "'a'" in found.problems[0].text


def test_cut_body_is_incomplete_and_claims_nothing():
    (found,) = decode(b'{"a": 1', missing=1)
    assert found.incomplete and not found.problems and "body" not in found.fields


def test_empty_body_is_no_message():
    assert decode(b" \r\n") == []


def test_many_leaves_are_bounded():
    (found,) = decode(json.dumps({f"n{i}": i for i in range(9000)}).encode())
    assert len(found.fields["flat"]) <= 4096 and len(found.fields["names"]) <= 4096


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
                    max_leaves=10)


@settings(max_examples=60, deadline=None)
@given(JSON, st.integers(0, 40))
def test_whole_and_cut(body, size):
    data = json.dumps(body).encode()
    assert decode(data)[0].fields.get("body") == body
    decode(data[:size])
    decode(data[:size], missing=1)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60))
def test_noise(data):
    for found in decode(data):
        assert found.kind == "json.request"
