"""Redacted captures show nobody, keep every length and checksum, and are judged as before."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from flowcheck.capture.reader import open_capture
from flowcheck.check import check, key_ring
from flowcheck.cli import main
from flowcheck.model import Frame
from flowcheck.share.evidence import outcome
from flowcheck.share.pseudonyms import IMSI, NAME, Pseudonyms
from flowcheck.share.redact import learn, redact, redacted
from flowcheck.share.rewrite import Rewriter, _correct, _crc32c, _sum

SAMPLES = Path(__file__).parents[2] / "samples" / "ts32.583"
KINDS = ["5.1.1/pass", "5.1.1/pass-ipv6", "5.1.1/pass-tr098-parameters", "5.1.1/segw-nxdomain", "5.1.1/segw-silent",
         "5.1.1/segw-refuses-authentication", "5.1.1/segw-has-no-address", "5.1.1/inform-outside-tunnel",
         "5.1.1/spv-fault",
         "5.2.1/hnb-register-reject"]
OURS = [rb"LF21A\d+", rb"mnc015", rb"mcc234", rb"198\.51\.100", rb"10\.50\.0",
        b"\xc6\x33\x64\x15", b"\x0a\x32\x00\x0a"]


def done(name, target, seed="seed"):
    folder = SAMPLES / name
    captures = [str(p) for p in sorted(folder.glob("*.pcap*"))]
    keys = [str(folder / "keys")] if (folder / "keys").is_dir() else []
    ring, pseudonyms = key_ring(keys), Pseudonyms(seed)
    judge = lambda paths, site: check(paths, site=site, keys=keys, ring=ring)
    return redact(captures, target, judge, ring, site=str(folder / "site.yaml"),
                  pseudonyms=pseudonyms), captures, keys, pseudonyms


@pytest.mark.parametrize("name", KINDS)
def test_the_verdict_holds_and_nobody_is_named(name, tmp_path):
    target = tmp_path / "r.pcapng"
    found, captures, keys, _ = done(name, target)
    assert found.same and not found.differences and not found.remaining and not found.left
    assert found.replaced > 5 and found.frames == sum(sum(1 for _ in open_capture(c)) for c in captures)
    content = target.read_bytes()
    assert not [pattern for pattern in OURS if re.search(pattern, content)]
    # and not with the keys either
    opened = "\n".join(str(m.fields) for m in check([str(target)], keys=keys)[1].messages)
    assert not [pattern for pattern in OURS[:5] if re.search(pattern.decode(), opened)]


@pytest.mark.parametrize("name", ["5.1.1/pass", "5.2.1/hnb-register-reject"])
def test_sizes_and_times_stay(name, tmp_path):
    found, captures, _, _ = done(name, tmp_path / "r.pcapng")
    before = sorted((f.time, len(f.data), f.original_length) for c in captures for f in open_capture(c))
    assert before == sorted((f.time, len(f.data), f.original_length) for f in open_capture(str(tmp_path / "r.pcapng")))


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("name", ["5.1.1/pass", "5.1.1/pass-ipv6", "5.2.1/hnb-register-reject"])
def test_wireshark_finds_every_checksum_right(name, tmp_path):
    done(name, tmp_path / "r.pcapng")
    options = [f"-o{p}.{'checksum' if p == 'sctp' else 'check_checksum'}:{'crc32c' if p == 'sctp' else 'TRUE'}"
               for p in ("ip", "tcp", "udp", "sctp")]
    wrong = " or ".join(f"{p}.checksum.status == 0" for p in ("ip", "tcp", "udp", "sctp"))
    run = subprocess.run(["tshark", "-r", str(tmp_path / "r.pcapng"), *options, "-Y", f"{wrong} or _ws.malformed"],
                         capture_output=True, text=True)
    assert run.returncode == 0 and run.stdout == ""


def test_what_stays_sealed_is_told(tmp_path):
    found, *_ = done("5.1.1/keys-of-another-run", tmp_path / "r.pcapng")
    assert any("ESP packets that no key opens" in what for what in found.left) and found.same


def test_a_changed_verdict_is_told_and_is_an_error(tmp_path, monkeypatch, capsys):
    import flowcheck.share.redact as module
    monkeypatch.setattr(module, "redacted_site", lambda pseudonyms, site, folder: site)      # a profile of other hosts
    folder = SAMPLES / "5.1.1" / "segw-nxdomain"
    assert main(["redact", *map(str, sorted(folder.glob("*.pcap"))), str(tmp_path / "r.pcapng"), "--site",
                 str(folder / "site.yaml")]) in (0, 1)
    found, *_ = done("5.1.1/inform-outside-tunnel", tmp_path / "s.pcapng")
    assert not found.same and found.differences


def test_the_command(tmp_path, capsys):
    folder, target, table = SAMPLES / "5.1.1" / "segw-nxdomain", tmp_path / "r.pcapng", tmp_path / "t.json"
    one = sorted(folder.glob("*.pcap"))[-1]
    assert main(["redact", str(one), str(target), "--site", str(folder / "site.yaml"), "--seed", "s", "--table",
                 str(table)]) == 0
    assert "the verdict did not change" in capsys.readouterr().out
    assert "segw-init" in table.read_text() and oct(table.stat().st_mode & 0o777) == "0o600"
    assert main(["redact", str(one)]) == 2 or not target.with_suffix(".part").exists()


def test_a_value_that_a_segment_boundary_cuts_is_found():
    """Two TCP segments, the name across both; and the second once more, as a retransmission."""
    pseudonyms = Pseudonyms("s")
    pseudonyms.add(NAME, "hms.operator.net")
    rewriter = Rewriter(pseudonyms)
    frames = [_tcp(1, 100, b"Host: hms.oper"), _tcp(2, 114, b"ator.net\r\n"), _tcp(3, 114, b"ator.net\r\n")]
    for frame in frames:
        rewriter.collect(frame)
    new = [rewriter.frame(frame).data[54:] for frame in frames]
    assert new[0] + new[1] == f"Host: {pseudonyms.of('hms.operator.net')}\r\n".encode() and new[1] == new[2]


def test_subscribers_in_half_octets():
    pseudonyms = Pseudonyms("s")
    pseudonyms.add(IMSI, "234150999999999")
    new = pseudonyms.of("234150999999999")
    octets = Rewriter(pseudonyms)._octets(b"\x32\x14\x05\x99\x99\x99\x99\xf9")
    assert "".join(f"{o & 15:x}{o >> 4:x}" for o in octets) == new + "f"


def _tcp(number, sequence, payload):
    header = b"\x45\0" + (40 + len(payload)).to_bytes(2, "big") + bytes(4) + b"\x40\x06\0\0" + bytes((10, 0, 0, 1)) + bytes((10, 0, 0, 2))
    segment = b"\x1f\x90\x00\x50" + sequence.to_bytes(4, "big") + bytes(4) + b"\x50\x10\xff\xff" + bytes(4) + payload
    return Frame(number, number, 1, bytes(12) + b"\x08\0" + header + segment, 54 + len(payload))


def test_checksums_are_corrected_by_what_changed():
    old, new = b"\x01\x02\x03\x04\x05", b"\x09\x02\x03\xff\x06"
    packet = bytearray((~_sum(old) & 0xFFFF).to_bytes(2, "big"))
    _correct(packet, 0, old, new)
    assert int.from_bytes(packet, "big") == ~_sum(new) & 0xFFFF
    assert _crc32c(b"123456789") == 0xE3069283                       # the check value of CRC-32C


def test_reports_carry_the_same_pseudonyms(tmp_path):
    folder = SAMPLES / "5.1.1" / "spv-fault"
    captures = [str(p) for p in sorted(folder.glob("*.pcap*"))]
    result, observation = check(captures, site=str(folder / "site.yaml"), keys=[str(folder / "keys")])
    pseudonyms = Pseudonyms("seed")
    learn(pseudonyms, result, observation, str(folder / "site.yaml"))
    from flowcheck.report import as_html, as_json, as_junit, as_sarif, text
    shown = redacted(result, pseudonyms)
    assert outcome(shown).keys() == {pseudonyms.text(d) for d in outcome(result)} and list(outcome(shown).values()) == list(outcome(result).values())
    serial = pseudonyms.of("LF21A000101")
    for written in (as_html.html(shown), as_json.dumps(shown), as_junit.junit(shown), as_sarif.dumps(shown),
                    text.summary(shown, verbose=True)):
        assert serial in written
        assert not re.search(r"LF21A\d+|mnc015|mcc234|198\.51\.100\.21|10\.50\.0\.10|samples/", written)


def test_check_redacts_every_output(tmp_path):
    """Reports, evidence and bundle of one run, all with the same pseudonyms."""
    import zipfile
    folder, out = SAMPLES / "5.1.1" / "segw-refuses-authentication", tmp_path / "out"
    status = main(["check", *map(str, sorted(folder.glob("*.pcap"))), "--site", str(folder / "site.yaml"), "--keys",
                   str(folder / "keys"), "--quiet",
                   "--redact", "--seed", "s", "--output-dir", str(out), "-w", str(out / "e.pcapng"), "--bundle",
                   str(out / "b.zip"), "--include-secrets"])
    assert status == 1 and not list(out.glob("*hnb*"))
    with zipfile.ZipFile(out / "b.zip") as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    written = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file() and p.suffix != ".zip"} | inside
    assert len(written) >= 9
    for name, content in written.items():
        found = [pattern for pattern in OURS if re.search(pattern, content)]
        assert not found, (name, found)
    assert b"step 2.3" in written["e.pcapng"] and b"of capture-2.pcap" in written["e.pcapng"]
    assert main(["verify", str(out / "b.zip")]) == 0


@pytest.mark.parametrize("name", ["5.1.1/segw-nxdomain", "5.1.1/inner-dns-silent", "5.1.2/tls-unknown-ca",
                                  "5.1.2/tls-protocol-version"])
def test_hosts_that_only_their_names_tell_are_told_without_a_site_profile(name, tmp_path):
    folder = SAMPLES / name
    keys = ["--keys", str(folder / "keys")] if (folder / "keys").exists() else []
    captures = sorted(map(str, folder.glob("*.pcap*")))
    assert main(["redact", *captures, str(tmp_path / "r.pcapng"), *keys, "--quiet"]) == 0


def test_a_credential_in_a_query_goes():
    from flowcheck.share.pseudonyms import Pseudonyms
    from flowcheck.share.sensitive import _value
    pseudonyms = Pseudonyms(b"k")
    _value(pseudonyms, "target", "/acs?session=1&token=Zx81abQ", "http.request", 0)
    assert "Zx81abQ" not in pseudonyms.text("GET /acs?session=1&token=Zx81abQ HTTP/1.1")
