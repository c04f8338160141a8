import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

import flowcheck.report
from flowcheck.errors import UsageError
from flowcheck.model import Endpoint, FrameRef
from flowcheck.report import as_json, mask

SCHEMA = json.loads((Path(flowcheck.report.__file__).parent / "result-schema.json").read_text())
ALL = ["refused", "several", "hidden", "passed", "hostile", "secret", "empty"]


@pytest.mark.parametrize("name", ALL)
def test_there_and_back(name, request):
    result = request.getfixturevalue(name)
    masked = mask.masked(result)
    text = as_json.dumps(result)
    again = as_json.loads(text)
    assert as_json.dumps(again) == text
    if name not in ("hostile", "secret"):                        # those hold octets, which come back as digits
        assert again == masked


@pytest.mark.parametrize("name", ALL)
def test_text_and_dict_are_the_same_and_fit_the_schema(name, request):
    result = request.getfixturevalue(name)
    data = as_json.to_json(result)
    assert json.loads(as_json.dumps(result)) == data
    jsonschema.validate(data, SCHEMA)


def test_the_shape_of_the_contract(refused):
    data = as_json.to_json(refused)
    assert data["schema"] == "flowcheck/result/1"
    assert data["tool"] == {"version": "0.1.0", "rules": "sha256:0f3a", "site": "lab-a"}
    capture = data["captures"][0]
    assert capture["path"] == "captures/hnb_outer.pcap" and capture["packets"] == 49
    assert capture["first"] == "2026-05-01T12:00:00.000000000Z"
    assert capture["quality"]["grade"] == "fair" and len(capture["quality"]["remarks"]) == 1
    assert capture["undecoded"] == {"udp/123": 4, "tcp/8883": 2}
    device = data["devices"][0]
    assert device["identity"]["serial_number"] == "LF21A000101" and device["addresses"] == ["198.51.100.21", "10.61.0.1"]
    attempt = device["attempts"][0]
    assert (attempt["procedure"], attempt["verdict"]) == ("ts32.583-5.1.1", "fail")
    assert attempt["cause"] == "ts32.583-5.1.1/auth-answer/refused:AUTHENTICATION_FAILED"
    assert attempt["steps"][1] == {
        "step": "ask-segw", "cite": "2.1", "state": "seen", "frames": [{"capture": "hnb_outer.pcap", "frame": 3}],
        "time": "2026-05-01T12:00:00.000000000Z", "reason": None, "title": "asks the outer DNS for the SeGW (initial)",
        "src": "hnb",
        "dst": "dns_outer", "message": "dns.query"}
    finding = attempt["findings"][0]
    assert {key: finding[key] for key in ("kind", "severity", "step", "cite", "side", "filter")} == {
        "kind": "refused", "severity": "error", "step": "auth-answer", "cite": "2.3", "side": "network",
        "filter": "frame.number in {9,10,11}"}


def test_captures_of_one_name_are_told_apart(refused):
    outer, inner = refused.captures
    same = replace(refused, captures=(replace(outer, path="a/x.pcap"), replace(inner, path="b/x.pcap")))
    assert [c["name"] for c in as_json.to_json(same)["captures"]] == ["a/x.pcap", "b/x.pcap"]
    twice = replace(refused, captures=(replace(outer, path="x.pcap"), replace(inner, path="x.pcap")))
    assert [c["name"] for c in as_json.to_json(twice)["captures"]] == ["x.pcap#1", "x.pcap#2"]
    assert as_json.loads(as_json.dumps(twice)) == twice


def test_odd_values_become_json():
    assert as_json.plain({1: float("nan"), "a": b"\x00\xff", "b": {3, 1}, "c": Endpoint("::1", 5), "d": (1, (2,)),
                          "e": object}) == {
        "1": "nan", "a": "00ff", "b": [1, 3], "c": "[::1]:5", "d": [1, [2]], "e": "<class 'object'>"}
    assert as_json.plain(FrameRef(0, 3)) == [0, 3]


def test_nesting_is_bounded():
    value = ()
    for _ in range(5_000):
        value = (value,)
    assert "nested too deep" in json.dumps(as_json.plain(value))


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"schema": "flowcheck/result/2"}',
                                  '{"schema": "flowcheck/result/1"}',
                                  '{"schema": "flowcheck/result/1", "captures": [1], "devices": [], "tool": {}}'])
def test_what_is_no_result_is_refused(text):
    with pytest.raises(UsageError):
        as_json.loads(text)


def test_only_ascii_leaves(hostile):
    assert as_json.dumps(hostile).isascii()


def test_a_result_nested_too_deep_is_no_result():
    with pytest.raises(UsageError, match="not JSON"):
        as_json.loads("[" * 200_000)
