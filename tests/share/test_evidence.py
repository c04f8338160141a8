"""Evidence of the samples: few frames, the same verdicts, comments that Wireshark reads, secrets only where asked for."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from flowcheck.capture.reader import open_capture
from flowcheck.check import check, key_ring
from flowcheck.cli import main
from flowcheck.errors import UsageError
from flowcheck.share.evidence import frame_comments, outcome, write_evidence

SAMPLES = Path(__file__).parents[2] / "samples" / "ts32.583"
KINDS = ["5.1.1/pass", "5.1.1/pass-nat-tls", "5.1.1/segw-nxdomain", "5.1.1/segw-silent",
         "5.1.1/segw-refuses-authentication",
         "5.1.1/inform-outside-tunnel", "5.1.1/frames-lost", "5.1.1/keys-of-another-run", "5.1.1/spv-fault",
         "5.1.2/pass",
         "5.1.2/tls-unknown-ca", "5.1.2/frames-cut-short", "5.2.1/hnb-register-reject",
         "5.2.1/ends-before-inform-response"]


def judged(captures, keys=(), site=None, ring=None):
    return check([str(c) for c in captures], site=site, keys=[str(k) for k in keys], ring=ring)


def parts(name, keys=True):
    folder = SAMPLES / name
    found = [folder / "keys"] if keys and (folder / "keys").is_dir() else []
    return sorted(folder.glob("*.pcap*")), found, str(folder / "site.yaml")


def evidence(name, target, keys=True, **options):
    captures, found, site = parts(name, keys)
    ring = key_ring([str(k) for k in found])
    result, observation = judged(captures, found, site, ring)
    told = write_evidence(target, result, observation, [str(c) for c in captures], ring,
                          lambda path: judged([path], found, site)[0], **options)
    return result, told


@pytest.mark.parametrize("name", KINDS)
def test_evidence_is_judged_like_the_captures_it_comes_from(name, tmp_path):
    target = tmp_path / "evidence.pcapng"
    result, told = evidence(name, target)
    _, found, site = parts(name)
    again, _ = judged([target], found, site)
    assert told.holds and outcome(again) == outcome(result)
    assert sum(1 for _ in open_capture(str(target))) == told.frames <= told.of
    assert told.level < 3 and [p.name for p in tmp_path.iterdir()] == ["evidence.pcapng"]


def test_without_keys_little_of_the_sealed_traffic_is_kept(tmp_path):
    captures, _, site = parts("5.1.1/pass")
    outer = [captures[1]]
    ring = key_ring([])
    result, observation = judged(outer, (), site, ring)
    told = write_evidence(tmp_path / "e.pcapng", result, observation, [str(outer[0])], ring,
                          lambda path: judged([path], (), site)[0])
    assert told.holds and told.frames < told.of / 2 and result.verdict == "inconclusive"


def test_times_bytes_and_interfaces_are_the_original_ones(tmp_path):
    target = tmp_path / "e.pcapng"
    evidence("5.1.1/pass-nat-tls", target)
    originals = {(f.time, f.data, f.original_length) for path in parts("5.1.1/pass-nat-tls")[0]
                 for f in open_capture(str(path))}
    capture = open_capture(str(target))
    frames = list(capture)
    assert all((f.time, f.data, f.original_length) in originals for f in frames)
    own = [f.data for f in frames if f.interface == 1]
    assert own == [f.data for f in open_capture(str(parts("5.1.1/pass-nat-tls")[0][0])) if f.interface == 1
                   and f.data in own]
    assert len({i.recording for i in capture.interfaces}) == 2 and "nat_public" in {i.name for i in capture.interfaces}


def test_secrets_only_where_asked_for_and_then_enough_of_them(tmp_path):
    bare, full = tmp_path / "bare.pcapng", tmp_path / "full.pcapng"
    result, _ = evidence("5.1.1/spv-fault", bare)
    _, told = evidence("5.1.1/spv-fault", full, include_secrets=True)
    assert [p.name for p in told.keys] == ["esp_sa", "ikev2_decryption_table"]
    secrets = re.findall(r"[0-9a-f]{32,}", "".join(p.read_text() for p in parts("5.1.1/spv-fault")[1][0].iterdir()))
    assert not any(bytes.fromhex(s) in bare.read_bytes() or s.encode() in bare.read_bytes() for s in secrets)
    again, _ = judged([full], [tmp_path / "full.pcapng.keys"], parts("5.1.1/spv-fault")[2])
    assert outcome(again) == outcome(result) and oct(told.keys[0].stat().st_mode & 0o777) == "0o600"


def test_tls_secrets_travel_in_the_capture(tmp_path):
    target = tmp_path / "e.pcapng"
    result, told = evidence("5.1.2/pass", target, include_secrets=True)
    again, _ = judged([target], (), parts("5.1.2/pass")[2])
    assert told.keys == () and result.verdict == again.verdict == "pass" and open_capture(str(target)).__class__


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_step_clause_and_verdict(tmp_path):
    target = tmp_path / "e.pcapng"
    evidence("5.1.1/segw-refuses-authentication", target)
    run = subprocess.run(["tshark", "-r", str(target), "-Y", "frame.comment", "-T", "fields", "-e", "frame.comment"],
                         capture_output=True, text=True, check=True)
    assert "3GPP TS 32.583 5.1.1" in run.stdout and "FAIL: step 2.3 (auth-answer) refused" in run.stdout
    assert "cause ts32.583-5.1.1/auth-answer/refused:AUTHENTICATION_FAILED" in run.stdout


def test_comments_are_without_secrets():
    captures, found, site = parts("5.1.1/pass")
    result, _ = judged(captures, found, site)
    comments = frame_comments(result)
    assert comments and not any("Password" in text and "[masked]" not in text for texts in comments.values()
                                for text in texts)


def test_standard_input_cannot_be_read_twice(tmp_path):
    result, observation = judged(*parts("5.1.1/segw-nxdomain")[:2])
    with pytest.raises(UsageError, match="read once"):
        write_evidence(tmp_path / "e", result, observation, ["-"], None, None)


def test_the_command_writes_it_and_says_so(tmp_path, capsys):
    captures, found, site = parts("5.1.1/segw-refuses-authentication")
    target = tmp_path / "e.pcapng"
    assert main(["check", *map(str, captures), "--site", site, "--keys", str(found[0]), "--json",
                 str(tmp_path / "r.json"), "-w", str(target)]) == 1
    assert re.search(r"wrote .*e\.pcapng: \d+ of 11 frames", capsys.readouterr().err)
    assert main(["check", str(target), "--site", site, "--keys", str(found[0]), "--json", "-", "--quiet"]) == 1


def test_the_first_packet_of_somebody_else_makes_no_failure_of_theirs(tmp_path):
    """Another device's lookup begins the capture: its answer is no evidence, so it may not stand there alone."""
    from scapy.all import DNS, DNSQR, DNSRR, IP, UDP, Ether, rdpcap, wrpcap
    captures, *_ = parts("5.1.1/segw-silent")
    frames = rdpcap(str(next(c for c in captures if "outer" in c.name)))
    begun = float(frames[0].time) - 1
    name = "segw-init.femto.mnc015.mcc234.pub.3gppnetwork.org"
    ends = Ether() / IP(src="198.51.100.99", dst="192.0.2.54"), Ether() / IP(src="192.0.2.54", dst="198.51.100.99")
    query = ends[0] / UDP(sport=4000, dport=53) / DNS(id=7, qd=DNSQR(qname=name))
    answer = ends[1] / UDP(sport=53, dport=4000) / DNS(id=7, qr=1, qd=DNSQR(qname=name),
                                                        an=DNSRR(rrname=name, rdata="203.0.113.10"))
    query.time, answer.time = begun, begun + 0.01
    whole, written = tmp_path / "whole.pcap", tmp_path / "evidence.pcapng"
    wrpcap(str(whole), [query, answer, *frames])
    result, observation = judged([whole])
    one = replace(result, devices=tuple(d for d in result.devices if d.id == "198.51.100.21"))
    told = write_evidence(written, one, observation, [str(whole)], None, lambda path: judged([path])[0])
    assert told.holds and {(d.id, a.verdict) for d in judged([written])[0].devices for a in d.attempts} == {
        ("198.51.100.21", "fail")}


def test_evidence_and_bundle_of_one_device_of_many(tmp_path, capsys):
    captures, keys, site = parts("5.1.1/segw-nxdomain", keys=False)
    target, bundle = tmp_path / "e.pcapng", tmp_path / "b.zip"
    arguments = ["check", *map(str, captures), "--site", site, "--json", str(tmp_path / "r.json"), "-q"]
    assert main([*arguments, "--device", "198.51.100.21", "-w", str(target), "--bundle", str(bundle)]) == 1
    assert main(["verify", str(bundle)]) == 0 and target.stat().st_size > 0
    assert main([*arguments, "--device", "192.0.2.254"]) == 2
