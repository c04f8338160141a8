"""A rule whose second step only Wireshark can see."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowcheck.check import check
from flowcheck.wireshark import crosscheck, steps
from flowcheck.wireshark.crosscheck import Seen

SAMPLE = Path(__file__).resolve().parent.parent.parent / "samples/ts32.583/5.1.1/segw-nxdomain/hnb_outer.pcap"
NEEDS_TSHARK = pytest.mark.skipif(crosscheck.unavailable() is not None, reason=crosscheck.unavailable() or "")
RULE = """
procedure: x-1
title: A lookup, and Wireshark's word for its answer
spec: {document: X, version: "1", clause: "1", status: mandatory}
describe: A query and an answer that only a display filter describes.
roles:
  hnb: {kind: device}
  dns: {kind: dns_server}
attempt: {opens_at: [ask]}
steps:
  - {step: ask, cite: "1", message: dns.query, from: hnb, to: dns}
  - step: answer
    cite: "2"
    wireshark: FILTER
    from: dns
    to: hnb
    expect: [{field: dns.flags.rcode, equals: 3}]
"""


def attempt(tmp_path, display_filter):
    path = tmp_path / "rule.yaml"
    path.write_text(RULE.replace("FILTER", display_filter))
    result, _ = check([str(SAMPLE)], rules=[str(path)])
    return next(a for device in result.devices for a in device.attempts)


@NEEDS_TSHARK
def test_a_packet_that_the_filter_selects_is_the_step(tmp_path):
    found = attempt(tmp_path, "dns.flags.response == 1")
    assert (found.verdict, found.steps[1].state) == ("pass", "seen")
    assert found.steps[1].frames and found.steps[1].time > found.steps[0].time


@NEEDS_TSHARK
def test_the_fields_that_are_checked_are_those_of_wireshark(tmp_path):
    found = attempt(tmp_path, "dns.flags.response == 1 and dns.flags.rcode == 0 or dns.flags.rcode == 3 and dns.id")
    assert found.verdict == "pass"
    path = tmp_path / "rule.yaml"
    path.write_text(path.read_text().replace("equals: 3", "equals: 2"))
    result, _ = check([str(SAMPLE)], rules=[str(path)])
    judged = result.devices[0].attempts[0]
    assert judged.verdict == "fail" and judged.cause == "x-1/answer/field-wrong:dns.flags.rcode"


@NEEDS_TSHARK
def test_packets_that_are_not_there_are_missing(tmp_path):
    found = attempt(tmp_path, "dns.flags.rcode == 9")
    assert found.steps[1].state in ("missing", "not_observable") and "Wireshark" not in (found.steps[1].reason or "")


@pytest.mark.parametrize("display_filter, path, why", [
    ("dns.flags.rcode == 3", "/nonexistent", "tshark is not installed"),
    pytest.param("dns.flags.rcode ==", None, "does not take the display filter", marks=NEEDS_TSHARK),
])
def test_what_wireshark_cannot_be_asked_is_not_observable(tmp_path, monkeypatch, display_filter, path, why):
    if path:
        monkeypatch.setenv("PATH", path)
    found = attempt(tmp_path, display_filter)
    assert (found.verdict, found.steps[1].state) == ("inconclusive", "not_observable")
    assert why in found.steps[1].reason and not found.findings


def test_a_packet_as_a_message():
    seen = Seen(7, 5, (("eth", {}), ("ip", {"ip.src": "192.0.2.9", "ip.dst": "192.0.2.8"}), ("esp", {}),
                       ("ip", {"ip.src": "10.0.0.1", "ip.dst": "10.0.0.2"}),
                       ("udp", {"udp.srcport": "1", "udp.dstport": "2123"}),
                       ("gtpv2", {"gtpv2.message_type": "32", "IE": [{"x": "1"}, {"x": "0x02", "y": ["a", "b"]}]})))
    made = steps._message("wireshark.gtpv2", 0, seen)
    assert (str(made.src), str(made.dst)) == ("10.0.0.1:1", "10.0.0.2:2123")
    assert made.layers == ("eth", "ip", "esp", "ip", "udp")
    assert made.fields == {"gtpv2.message_type": 32, "x": [1, "0x02"], "y": ["a", "b"]}
