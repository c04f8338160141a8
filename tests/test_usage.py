"""One clear line for every mistake in what the user hands in, and reports that trust nothing in a capture."""

import json
import struct

import packets
import pytest

from flowcheck.cli import main
from flowcheck.rulebook.lint import samples_dir
from flowcheck.rulebook.loader import default_rules_dir

SAMPLES = samples_dir(default_rules_dir() / "any.yaml") / "ts32.583"
PASS = SAMPLES / "5.1.2/pass/hnb_outer.pcap"
FAIL = SAMPLES / "5.1.2/tls-unknown-ca/hnb_outer.pcap"
KEYS = ["--keys", str(SAMPLES / "5.1.2/pass/keys")]
SITE = ["--site", str(SAMPLES / "5.1.2/pass/site.yaml")]


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs a command in an empty folder: (exit status, standard output, lines of standard error)."""
    monkeypatch.chdir(tmp_path)

    def go(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as left:                       # argparse leaves by itself
            status = left.code
        said = capsys.readouterr()
        return status, said.out, said.err.splitlines()
    return go


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("content, words", [
    (b"", "empty"), (b"12.1 hello\n" * 9, "text file"), (bytes(range(256)) * 3, "")])
@pytest.mark.parametrize("command", ["check", "decode"])
def test_a_file_that_is_no_capture(run, tmp_path, command, content, words):
    path = written(tmp_path, "odd.pcap", content)
    status, out, err = run(command, path)
    assert (status, out, len(err)) == (3, "", 1) and err[0].startswith(f"flowcheck: {path}: ") and words in err[0]


@pytest.mark.parametrize("name, words", [("nowhere.pcap", "no such file"), (".", "is a directory")])
def test_a_capture_that_is_not_there(run, name, words):
    status, out, err = run("check", name)
    assert (status, out, len(err)) == (3, "", 1) and words in err[0]


@pytest.mark.parametrize("arguments, words", [
    (["check"], "no capture named"),
    (["check", PASS, "--procedure", "ts99"], "no rule describes it"),
    (["check", PASS, "--rules", "nowhere"], "nowhere: no such file or directory"),
    (["check", PASS, "--site", "nowhere.yaml"], "nowhere.yaml: "),
    (["check", PASS, "--keys", "nowhere"], "nowhere: "),
    (["check", PASS, "--decode-as", "tcp,dns"], "write tcp.port==7547,http"),
    (["check", PASS, "--decode-as", "tcp.port==1,nonsense"], "write tcp.port==7547,http"),
    (["decode", PASS, "--between", "noon"], "write two times"),
    (["decode", PASS, "--device", "nobody"], "not in these captures"),
    (["rules", "show", "ts32.583-5.1"], "no rule describes 'ts32.583-5.1'"),
])
def test_what_there_is_not(run, arguments, words):
    status, _, err = run(*arguments)
    assert status == 2 and len(err) == 1 and err[0].startswith("flowcheck: ") and words in err[0]


@pytest.mark.parametrize("text, place", [
    ("procedure: x\n  bad: [1\n", ":2:"), ("procedure: X Y\n", ":1:1: "), ("[]", ":1:1: "), ("a: 1\na: 2\n", ":2:1: ")])
def test_a_bad_rule_is_named_with_its_line(run, tmp_path, text, place):
    path = written(tmp_path, "rule.yaml", text.encode())
    status, out, err = run("check", PASS, "--rules", path)
    assert status == 2 and not out and err and all(line.startswith(f"flowcheck: {path}:") for line in err)
    assert any(place in line for line in err)


def test_a_bad_site_profile_is_named_with_its_line(run, tmp_path):
    path = written(tmp_path, "site.yaml", b"site: s\ntimers: {dns: soon}\n")
    status, _, err = run("check", PASS, "--site", path)
    assert status == 2 and err[0].startswith(f"flowcheck: {path}:2:")


def test_a_file_of_no_known_key_format_is_not_quoted(run, tmp_path):
    status, _, err = run("check", PASS, "--keys", written(tmp_path, "keys.txt", b"my secret is hunter2\n"))
    assert status == 2 and len(err) == 1 and "hunter2" not in err[0]


@pytest.mark.parametrize("arguments, status", [
    ([PASS, *KEYS, *SITE], 0), ([FAIL, *SITE], 1), ([PASS, *SITE], 5),
    ([FAIL, *SITE, "--fail-on", "never"], 0), ([PASS, *SITE, "--fail-on", "inconclusive"], 1),
    ([PASS, *KEYS, *SITE, "--fail-on", "warning"], 0), ([PASS, *KEYS, *SITE, "--procedure", "ts32.583-5.1.2"], 0),
    ([PASS, *KEYS, *SITE, "--procedure", "ts32.583-5.6.2"], 1),
])
def test_exit_status(run, arguments, status):
    assert run("check", *arguments, "--json", "-", "--quiet")[0] == status


def test_warnings_fail_where_this_is_wanted(run):
    folder = SAMPLES / "5.1.1/segw-certificate-of-another-name"
    arguments = [folder / "hnb_outer.pcap", folder / "hnb_inner.pcap", "--keys", folder / "keys",
                 "--site", folder / "site.yaml", "--json", "-", "--quiet"]
    assert run("check", *arguments)[0] == 0 and run("check", *arguments, "--fail-on", "warning")[0] == 1


@pytest.mark.parametrize("size", [9000, 8369, 8400])
def test_a_capture_cut_in_mid_packet_is_judged_up_to_the_cut(run, tmp_path, size):
    path = written(tmp_path, "cut.pcap", PASS.read_bytes()[:size])
    status, out, err = run("check", path, *KEYS, *SITE, "--json", "-")
    assert status == 5 and json.loads(out)["devices"][0]["attempts"][0]["procedure"] == "ts32.583-5.1.2"
    assert any("cut in the middle of packet" in line for line in err)


def test_a_damaged_record_is_stepped_over(run, tmp_path):
    data = bytearray(PASS.read_bytes())
    struct.pack_into("<I", data, 24 + 8, 0x7FFFFFFF)               # the first packet says it is 2 GB long
    path = written(tmp_path, "long.pcap", bytes(data))
    status, out, _ = run("check", path, *KEYS, *SITE, "--json", "-", "--quiet")
    capture, = json.loads(out)["captures"]
    assert status in (0, 5) and capture["packets"] > 20 and capture["quality"]["remarks"]


def test_all_reports_in_one_directory(run, tmp_path):
    assert run("check", FAIL, *SITE, "--output-dir", tmp_path / "out", "--quiet")[0] == 1
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"hnb_outer.html", "hnb_outer.json", "hnb_outer.junit.xml", "hnb_outer.sarif"}


SCRIPT = "<script>alert(1)</script>"


def test_what_a_device_calls_itself_is_text(run, tmp_path):
    path = packets.write(tmp_path / "script.pcap", packets.stamped(packets.session(
        manufacturer=SCRIPT, product_class=SCRIPT, serial=SCRIPT)))
    status, out, _ = run("check", path, "--html", tmp_path / "report.html", "--json", "-",
                         "--procedure", "ts32.583-5.1.1")
    device, = json.loads(out)["devices"]
    assert device["identity"]["serial_number"] == SCRIPT and status in (1, 5)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and SCRIPT not in page
