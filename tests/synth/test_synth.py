"""Captures made from rules: they are what Wireshark and the engine take them for, and their mutants are found."""

from __future__ import annotations

import io
import json
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from flowcheck.rulebook.loader import load_rule, load_rules
from flowcheck.rulebook.rule import Check
from flowcheck.synth import values
from flowcheck.synth.files import write_all
from flowcheck.synth.mutants import mutants
from flowcheck.synth.packets import MSS, Net, Tcp, checksum
from flowcheck.synth.choices import variants
from flowcheck.synth.plan import plan
from flowcheck.synth.world import Unable
from flowcheck.synth.score import is_found, judge, run_mutants, score, write
from flowcheck.synth.stage import play

BOOK = load_rules()
RULES = {rule.procedure: rule for rule in BOOK}
WHOLE = ("ts32.583-5.1.1", "ts32.583-5.1.2", "ts32.583-5.2.1", "ts32.583-5.5.1", "ts32.583-5.6.1")

SMALL = """
procedure: small
title: A small rule
spec: {document: D, version: "1", clause: "1", status: mandatory}
describe: One session.
roles:
  cpe: {kind: device}
  acs: {kind: acs, host: $site.hosts.hms_serving}
attempt: {opens_at: [inform]}
steps:
  - step: inform
    cite: "1"
    message: cwmp.Inform
    from: cpe
    to: acs
    expect: [{field: DeviceId.OUI, present: true}]
  - step: accepted
    cite: "2"
    message: cwmp.InformResponse
    from: acs
    to: cpe
    answers: inform
    within: {after: inform, seconds: 10, basis: spec}
    refused_by: {message: cwmp.Fault}
  - step: set
    cite: "3"
    message: cwmp.SetParameterValues
    from: acs
    to: cpe
    expect: [{parameters: $site.parameters.pm_url, at_least: 1}]
  - step: done
    cite: "4"
    message: cwmp.SetParameterValuesResponse
    from: cpe
    to: acs
    answers: set
    refused_by: {message: cwmp.Fault}
    expect: [{field: Status, in: [0, 1]}]
  - {step: more, cite: "5", message: cwmp.session_end, from: cpe, to: acs, optional: true}
"""


@pytest.fixture
def small(tmp_path: Path):
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    return load_rule(file)


def packets(pcap: bytes) -> list[bytes]:
    found, at = [], 24
    while at < len(pcap):
        size = struct.unpack_from("<I", pcap, at + 8)[0]
        found.append(pcap[at + 16 : at + 16 + size])
        at += 16 + size
    return found


def test_every_mutant_of_a_small_rule_is_made_and_found(small, tmp_path):
    run = plan(small)
    assert [act.step for act in run.acts] == ["inform", "accepted", "set", "done"]
    made = list(mutants(run))
    assert {m.name for m in made} == {
        "inform: DeviceId.OUI absent",
        "inform: DeviceId.OUI empty",
        "accepted: no answer",
        "accepted: refused by cwmp.Fault",
        "accepted: late",
        "set: nothing from here on",
        "set: pm_url absent",
        "set: pm_url empty",
        "set: twice",
        "done: no answer",
        "done: refused by cwmp.Fault",
        "done: Status absent",
        "done: Status wrong",
    }
    # the deadline is the specification's
    assert next(m for m in made if m.name == "accepted: late").severity == "error"
    for mutant in made:
        attempts = judge(play(run, 1, mutant.acts), small, [small], tmp_path / "run")
        assert is_found(mutant, attempts), mutant.name
        assert {a.verdict for a in attempts} == {"pass" if mutant.severity == "notice" else "fail"}


def test_what_an_engine_that_sees_nothing_scores(small, tmp_path):
    run = plan(small)
    assert not any(is_found(mutant, judge(play(run), small, [small], tmp_path / "run")) for mutant in mutants(run))


def test_optional_steps_are_not_left_out_as_a_fault(small):
    assert list(variants(small)) == ["", "more"]
    assert "more" in {act.step for act in plan(small, "more").acts}
    assert not any("more" in mutant.steps for mutant in mutants(plan(small)))


@pytest.mark.parametrize("procedure", WHOLE)
def test_the_rules_are_made_and_their_mutants_found(procedure, tmp_path):
    result = score(RULES[procedure], BOOK, tmp_path)
    assert "" in result.runs  # the conforming run is judged pass
    assert result.made >= 6 and result.found >= 0.95 * result.made, [s.mutant.name for s in result.survivors]


def test_the_same_seed_gives_the_same_packets(small):
    assert play(plan(small), 7).pcap == play(plan(small), 7).pcap != play(plan(small), 8).pcap


@pytest.mark.parametrize("procedure", ("ts32.583-5.1.1", "ts32.583-5.1.2"))
def test_wireshark_reads_what_was_written(procedure, tmp_path):
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    folder = write(play(plan(RULES[procedure])), tmp_path)
    capture, keys = folder / "capture.pcap", folder / "keys"
    out = subprocess.run(
        [
            "tshark",
            "-r",
            str(capture),
            "-o",
            f"tls.keylog_file:{keys / 'tls'}",
            "-o",
            "tcp.check_checksum:TRUE",
            "-o",
            "ip.check_checksum:TRUE",
            "-o",
            "udp.check_checksum:TRUE",
            "-T",
            "fields",
            "-e",
            "_ws.expert.message",
            "-e",
            "_ws.col.Protocol",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout
    assert not re.search(r"(?i)malformed|bad checksum|retransmission|out-of-order|not captured", out)
    assert ("TLSv1.2" if procedure.endswith("5.1.2") else "ISAKMP") in out


def test_tcp_has_sequence_numbers_segments_and_a_close():
    net = Net(1)
    tcp = Tcp(net, ("192.0.2.1", 4000), ("192.0.2.2", 80))
    tcp.open()
    tcp.send(0, b"x" * (MSS + 10))
    tcp.close(1)
    parts = [
        (
            packet[33],
            packet[20:22] == b"\x0f\xa0",
            struct.unpack("!II", packet[24:32]),
            len(packet) - 20 - (packet[32] >> 4) * 4,
        )
        for packet in packets(net.pcap())
    ]
    flags = [p[0] for p in parts]
    assert flags == [2, 18, 16, 16, 24, 16, 17, 17, 16]
    sent = [p for p in parts if p[1] and p[3]]
    assert [p[3] for p in sent] == [MSS, 10] and sent[1][2][0] == (sent[0][2][0] + MSS) % 2**32
    assert parts[5][2][1] == (sent[1][2][0] + 10) % 2**32  # all of it is acknowledged


def test_checksum_of_rfc_1071():
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D
    assert checksum(b"\x01") == checksum(b"\x01\x00")


@pytest.mark.parametrize(
    "expression", ("^(POST|0\\.02)$", "(?i)provision", "(?i)^application/([a-z0-9.+-]+\\+)?json", "^[0-9]{3}x", "a+b")
)
def test_examples_of_regular_expressions(expression):
    assert re.search(expression, values.example(expression))


def test_no_example_is_no_guess():
    with pytest.raises(ValueError):
        values.example("^(?=b)a")


@pytest.mark.parametrize(
    "test, value, wanted, kinds",
    (
        ("present", "x", True, ["field-absent"]),
        ("equals", "7", "7", ["field-absent", "field-wrong"]),
        ("not", "7", ("8",), ["field-wrong"]),
        ("at_least", 5, 2, ["field-absent", "field-wrong"]),
        ("at_most", 1, 1, ["field-wrong"]),
    ),
)
def test_checks_are_broken_as_they_can_be(test, value, wanted, kinds):
    check = Check("field", ("F",), test, wanted)
    spoiled = list(values.spoil({"F": value}, check, "F", lambda reference: values.MISSING))
    assert [kind for kind, _ in spoiled] == kinds
    assert not any(values.holds(test, content.get("F", values.MISSING), wanted) for _, content in spoiled)


def test_data_model_names_are_found_by_their_pattern():
    from flowcheck.rulebook.patterns import matches
    from flowcheck.rulebook.site import load_site

    for patterns in load_site().parameters.values():
        for pattern in patterns:
            assert pattern == "*" or matches(pattern, values.instance(pattern)), pattern


def test_what_cannot_be_made_is_said(tmp_path):
    file = tmp_path / "odd.yaml"
    file.write_text(
        SMALL.replace(
            '  - {step: more, cite: "5", message: cwmp.session_end, from: cpe, to: acs, optional: true}',
            '  - {step: more, cite: "5", message: dhcp.discover, from: acs, to: acs}',
        )
    )
    rule = load_rule(file)
    with pytest.raises(Unable, match="dhcp.discover"):
        play(plan(rule))
    out = io.StringIO()
    assert run_mutants([file], None, out) == 1
    assert "not made  the run itself: no encoder for dhcp.discover" in out.getvalue()


def test_files(tmp_path, small):
    out = io.StringIO()
    write_all([small.path], "small", tmp_path / "out", 1, out)
    expected = json.loads((tmp_path / "out" / "expected.json").read_text())
    assert out.getvalue().endswith("2 conforming and 13 wrong captures\n")
    assert expected[0] == {"capture": "conforming/capture.pcap", "verdict": "pass"}
    for one in expected:
        assert (tmp_path / "out" / one["capture"]).stat().st_size > 500
