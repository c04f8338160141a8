"""Hundreds of devices interleaved in one capture, some behind one NAT: each has its own verdict and cause, and no other's."""

from __future__ import annotations

from collections import Counter

import fleet
import pytest
from fleet import Guise

from flowcheck.check import check

SITE = str(fleet.SAMPLES / "ts32.583/5.3.2/pass/site.yaml")
SERIAL, INNER, OUTER, NAT = b"LF21A000101", "10.62.0.1", "198.51.100.21", "203.0.113.99"
SPI_TURNS = 40                  # so many devices later an SPI is used again
REFUSED, SILENT = "sa-init-answer/refused:NO_PROPOSAL_CHOSEN", "sa-init-answer/no-answer"

# capture of a sample -> what it is of one device alone: procedure, verdict, cause
INSIDE = {
    "5.3.2/pass": [("5.3.2", "pass", None)],
    "5.3.2/spv-denied": [("5.3.2", "fail", "values-set/refused:9001")],
    "5.3.2/spv-reset": [("5.3.2", "fail", "values-set/no-answer")],
    "5.3.2/unknown-status": [("5.3.2", "fail", "values-set/field-wrong:Status")],
    "5.5.1/pass": [("5.5.1", "pass", None)],
    "5.5.1/invalid-value": [("5.5.1", "fail", "mechanism-set/refused:9003")],
    "5.6.1/pass": [("5.6.1", "pass", None)],
    "5.6.1/spv-reset": [("5.6.1", "fail", "period-set/no-answer")],
    "5.3.1/pass-http": [("5.3.1", "pass", None)],
    "5.3.1/order-refused": [("5.3.1", "fail", "order-answered/refused:9013")],
}
BEHIND_NAT = {                  # the device's sessions alone: nobody connects to it
    "5.5.2/pass": [("5.5.2", "pass", None)],
    "5.5.2/inform-fault": [("5.5.2", "fail", "alarm-accepted/refused:8003")],
    "5.5.2/no-value-change": [("5.5.2", "fail", "alarm-inform/field-wrong:Event.EventCode")],
    "5.5.2/inform-unanswered": 2 * [("5.5.2", "fail", "alarm-accepted/no-answer")],      # it tries again
}
OUTSIDE = {                     # without keys, so what is sealed is open
    "5.1.1/pass": [("5.1.1", "inconclusive", None)],
    "5.1.1/segw-nxdomain": [("5.1.1", "fail", "segw-address/refused:NXDOMAIN")],
    "5.1.1/segw-silent": [("5.1.1", "fail", SILENT)],
}
TUNNELS_BEHIND_NAT = {
    "5.1.1/pass": [("5.1.1", "inconclusive", None)],
    "5.1.1/segw-silent": [("5.1.1", "fail", SILENT)],
}


def mac(number):
    return bytes.fromhex("0200") + number.to_bytes(4, "big")


def spi(number):
    return (0x5EED_0000_0000_0001 + number % SPI_TURNS).to_bytes(8, "big")


class Nat:
    """Gives each socket behind it a port of its own, as an RFC 4787 NAT does."""

    def __init__(self, first):
        self.next, self.held = first, {}

    def of(self, device):
        def port(old):
            if (device, old) not in self.held:
                self.held[device, old] = self.next
                self.next += 1
            return self.held[device, old]
        return port


def fleet_of(total):
    """(frames, what each device is to be judged as by its id, MAC by id)"""
    frames, expected, macs, nat = [], {}, {}, Nat(20_000)
    recordings = {name: fleet.recorded(f"ts32.583/{name}/hnb_{side}.pcap") for side, names in (
        ("inner", (*INSIDE, *BEHIND_NAT)), ("outer", (*OUTSIDE, *TUNNELS_BEHIND_NAT))) for name in names}
    groups = [(INSIDE, "inside"), (BEHIND_NAT, "behind"), (OUTSIDE, "outside"), (TUNNELS_BEHIND_NAT, "tunnel")]
    for number in range(total):
        judged_as, where = groups[number % len(groups)]
        name = list(judged_as)[number // len(groups) % len(judged_as)]
        serial, at = f"LF21A{number:06d}", 1 + number * 0.037
        inner = f"10.{10 + number // 90}.{number // 10 % 9}.{1 + number % 9}"
        texts = {SERIAL: serial.encode(), INNER.encode(): inner.encode()}
        if where == "inside":
            guise, device = Guise({INNER: inner}, texts, mac(number)), f"00193B-HNB-U21-{serial}"
        elif where == "behind":
            guise, device = Guise({INNER: NAT}, {SERIAL: serial.encode()},
                                  port=nat.of(number)), f"00193B-HNB-U21-{serial}"
        elif where == "outside":
            address = f"198.18.{number // 200}.{1 + number % 200}"
            guise, device = Guise({OUTER: address}, {}, mac(number), spi(number), number), address
            frames.append((fleet.BEGIN + round((at - 0.5) * fleet.SECOND), fleet.dhcp_ack(address, mac(number))))
            macs[device] = mac(number).hex(":")
        else:
            port = nat.of(number)
            guise = Guise({OUTER: NAT}, {}, spi=spi(number), number=number, port=port)
            device = f"{NAT}:{port(500) if name.endswith('silent') else port(4500)}"
        expected[device] = judged_as[name]
        frames += fleet.disguised(recordings[name], guise, at)
        if where == "behind" and not name.endswith("unanswered"):      # once more, from other ports of the NAT
            expected[device] = 2 * judged_as[name]
            guise.port = nat.of((number, "again"))
            frames += fleet.disguised(recordings[name], guise, at + 420)
    # a refused lookup behind the NAT leads to nothing that would say whose it is
    for number in range(3):
        guise = Guise({OUTER: NAT}, port=nat.of(("nobody", number)))
        frames += fleet.disguised(recordings["5.1.1/segw-nxdomain"], guise, 2 + number)
    frames.append((fleet.BEGIN + 900 * fleet.SECOND, fleet.arp(fleet.ROUTER, "192.168.0.1", "192.168.0.2")))
    return frames, expected, macs


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    frames, expected, macs = fleet_of(300)
    path = fleet.write(tmp_path_factory.mktemp("fleet") / "fleet.pcap", frames)
    result, _ = check([path], site=SITE)
    return result, expected, macs


def told(device):
    return [(a.procedure.removeprefix("ts32.583-"), a.verdict, a.cause and a.cause.partition("/")[2])
            for a in device.attempts]


def test_each_has_its_own_verdict_and_cause(judged):
    result, expected, _ = judged
    found = {device.id: told(device) for device in result.devices if device.id != "unknown"}
    assert found == expected
    assert len(found) == 300


def test_both_kinds_of_verdict_are_many(judged):
    counts = Counter(a.verdict for device in judged[0].devices for a in device.attempts)
    assert counts["pass"] >= 60 and counts["fail"] >= 130


def test_a_mac_is_its_device_s_own(judged):
    result, _, macs = judged
    assert {d.id: d.identity["mac"] for d in result.devices if "mac" in d.identity} == macs


def test_no_finding_points_at_another_device_s_frames(judged):
    result, _, _ = judged
    owners = Counter()
    for device in result.devices:
        owners.update({ref for a in device.attempts for e in a.events for ref in e.frames})
    assert owners and max(owners.values()) == 1


def test_what_nobody_can_be_told_to_have_sent_is_shown_and_not_judged(judged):
    from flowcheck.report.as_html import html
    from flowcheck.report.as_json import from_json, to_json
    result, _, _ = judged
    unknown = result.devices[-1]
    assert unknown.id == "unknown" and not unknown.attempts and not unknown.identity and NAT in unknown.addresses
    assert any("of DNS about segw-init." in text for text in unknown.evidence)
    again = from_json(to_json(result))
    assert again.devices[-1].evidence == unknown.evidence and len(again.known) == 300
    page = html(result)
    assert "Belonging to no device" in page and "of 300 devices" in page
