"""The command line's contract: inputs, exit statuses, standard input and output, versions."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from flowcheck.cli import main
from flowcheck.commands import NAMES

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "samples/ts32.583/5.1.1"
RULES = ["--rules", str(ROOT / "rules/ts32.583")]
FAILING = SAMPLES / "segw-nxdomain/hnb_outer.pcap"
PASSING = SAMPLES / "pass-nat-tls"


def sample(folder: Path) -> list[str]:
    return [*(str(path) for path in sorted(folder.glob("*.pcap*"))), "--keys", str(folder / "keys"),
            "--site", str(folder / "site.yaml")]


def check(*arguments: str) -> int:
    return main(["check", *arguments, "--json", "-", "--quiet", *RULES])


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "flowcheck", *arguments], input=stdin, capture_output=True, cwd=ROOT,
                          timeout=60)


# ---------------------------------------------------------------------------------------------------- exit statuses

def test_everything_passed_is_0_and_a_deviation_is_1(capsys):
    assert check(*sample(PASSING)) == 0
    assert check(str(FAILING)) == 1


@pytest.mark.parametrize("arguments", [
    ["check"], ["check", str(FAILING), "--procedure", "ts32.583-9.9"],
    ["check", str(FAILING), "--site", "/nonexistent.yaml"],
    ["check", str(FAILING), "--rules", "/nonexistent"], ["check", str(FAILING), "--keys", "/nonexistent"],
    ["check", "-", "-"], ["check", str(FAILING), "--decode-as", "tcp.port==x,http"],
    ["check", str(FAILING), "--decode-as", "tcp.port==80,nothing"], ["decode", str(FAILING), "--between", "now"],
    ["explain", "nothing"], []])
def test_what_the_user_asked_wrongly_is_2_and_one_line(arguments, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err


def test_unknown_options_are_2(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["check", "--nonsense"])
    assert stop.value.code == 2


@pytest.mark.parametrize("content", [None, b"", b"plain text\n", b"\0" * 100])
def test_what_cannot_be_read_is_3_and_named(content, tmp_path, capsys):
    path = tmp_path / "x.pcap"
    if content is not None:
        path.write_bytes(content)
    assert check(str(path)) == 3 and main(["decode", str(path)]) == 3
    assert str(path) in capsys.readouterr().err


def test_nothing_to_judge_is_4(tmp_path, capsys):
    from scapy.all import ARP, Ether, wrpcap
    wrpcap(str(tmp_path / "x.pcap"), [Ether() / ARP(psrc="192.0.2.1", pdst="192.0.2.2")])
    assert check(str(tmp_path / "x.pcap")) == 4


def test_inconclusive_is_5_unless_asked_otherwise(capsys):
    outer = [str(path) for path in (SAMPLES / "pass-ipv6").glob("*outer*")]
    site = ["--site", str(SAMPLES / "pass-ipv6/site.yaml")]
    assert check(*outer, *site) == 5
    assert check(*outer, *site, "--fail-on", "inconclusive") == 1
    assert check(*outer, *site, "--fail-on", "never") == check(str(FAILING), "--fail-on", "never") == 0


def test_interrupted_is_130(monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt
    monkeypatch.setattr("flowcheck.check.check", interrupt)
    assert check(str(FAILING)) == 130


def test_a_cut_capture_is_judged_and_only_strict_makes_it_3(tmp_path, capsys):
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(FAILING.read_bytes()[:-5])
    assert check(str(cut)) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["captures"][0]["truncated"] and result["captures"][0]["quality"]["remarks"]
    assert check(str(cut), "--strict") == 3


# ---------------------------------------------------------------------------------------------------- inputs

def test_standard_input_is_a_capture_like_any_other(tmp_path):
    data = FAILING.read_bytes()
    for stdin in (data, gzip.compress(data)):
        done = run("check", "-", "--json", "-", "--quiet", *RULES, stdin=stdin)
        result = json.loads(done.stdout)
        assert done.returncode == 1 and result["captures"][0]["path"] == "-"
        decoded = run("decode", "-", "--format", "jsonl", stdin=stdin)
        assert decoded.returncode == 0
        assert all(json.loads(line)["capture"] == "-" for line in decoded.stdout.splitlines())
    assert decoded.stdout.count(b"\n") == run("decode", str(FAILING), "--format", "jsonl").stdout.count(b"\n") > 5


def test_folders_need_recursive(tmp_path, capsys):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.pcap").write_bytes(FAILING.read_bytes())
    assert check(str(tmp_path)) == 3 and "--recursive" in capsys.readouterr().err
    assert check(str(tmp_path), "--recursive") == 1
    assert json.loads(capsys.readouterr().out)["captures"][0]["path"].endswith("deep/a.pcap")


def test_read_adds_captures(capsys):
    captures = sample(PASSING)
    first = captures.pop(0)
    assert check(*captures, "-r", first) == 0


def test_decode_as_reads_a_port_as_the_protocol_named(tmp_path, capsys):
    from scapy.all import DNS, DNSQR, IP, UDP, Ether, wrpcap
    ends = Ether() / IP(src="192.0.2.1", dst="192.0.2.2")
    wrpcap(str(tmp_path / "x.pcap"), [ends / UDP(sport=4000, dport=9999) / DNS(id=7, qd=DNSQR(qname="a.example"))])
    for option, kinds in ((["--decode-as", "udp.port==9999,dns"], ["dns.query"]),
                          (["--decode-as", "udp.port==9999,coap"], [])):
        assert main(["decode", str(tmp_path / "x.pcap"), "--format", "jsonl", "--quiet", *option]) == 0
        assert [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()] == kinds


def test_a_closed_pipe_is_no_error():
    for arguments in (["decode", str(FAILING), "--format", "jsonl"], ["--version", "--json"]):
        command = f"{sys.executable} -m flowcheck {' '.join(arguments)} | head -c 1"
        done = subprocess.run(["sh", "-c", command], capture_output=True, cwd=ROOT, timeout=60)
        assert b"Traceback" not in done.stderr


# ---------------------------------------------------------------------------------------------------- outputs

def test_versions(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("flowcheck ")
    assert main(["--version", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {"flowcheck", "python", "rules", "decoders"} <= set(said) and "dns" in said["decoders"] and said["rules"]
    assert said["scanner"] in ("C", "Python")


def test_data_goes_to_standard_output_and_messages_to_standard_error(capsys):
    assert main(["check", str(FAILING), "--json", "-", *RULES]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["schema"] == "flowcheck/result/1" and "FAIL" in err


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0 and f"flowcheck {name}" in capsys.readouterr().out


def test_help_and_version_load_nothing_heavy():
    heavy = ("scapy", "pyshark", "pandas", "pycrate", "cryptography", "jinja2", "jsonschema", "lxml", "yaml")
    code = ("import sys; from flowcheck.cli import main; main(['--version']); "
            f"print([m for m in {heavy} if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout


# ---------------------------------------------------------------------------------------------------- order and names

def test_files_and_options_stand_in_any_order(tmp_path, capsys):
    first, second, *rest = sample(PASSING)
    assert main(["check", first, "--json", str(tmp_path / "r.json"), second, *rest, "-q"]) == 0
    assert len(json.loads((tmp_path / "r.json").read_text())["captures"]) == 2
    assert main(["decode", "-q", str(FAILING), "--kind", "dns", first, "--format", "jsonl"]) == 0
    assert main(["check", "--", "-x.pcap"]) == 3


@pytest.mark.parametrize(("arguments", "words"), [
    (["check", "--jsn", "x"], "did you mean --json?"), (["chek"], "invalid choice: 'chek'"),
    (["batch", "--jobs", "x"], "flowcheck batch --help")])
def test_a_wrong_option_is_one_line(arguments, words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    said = capsys.readouterr().err
    assert stop.value.code == 2 and words in said and said.count("\n") == 1


@pytest.mark.parametrize("arguments", [["rules", "list"], ["rules", "lint"], ["explain", "pass"], ["doctor"]])
def test_every_command_takes_the_shared_output_options(arguments, capsys):
    assert main([*arguments, "-q", "-v", "--color", "never"]) == 0


@pytest.mark.parametrize(("command", "status"), [
    (["check", str(FAILING), "--json", "-", *RULES], 1), (["check", str(FAILING), "--html", "-", *RULES], 1)])
def test_who_stops_reading_does_not_change_the_verdict(command, status):
    """A report larger than a pipe, of which one octet is read."""
    run = subprocess.Popen([sys.executable, "-m", "flowcheck", *command, "-q"], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, cwd=ROOT)
    run.stdout.close()
    assert run.stderr.read() == b"" and run.wait(60) == status
    run.stderr.close()


@pytest.mark.parametrize("command", [["check", str(FAILING), "--json", "-"], ["decode", str(FAILING)],
                                     ["rules", "list"]])
def test_a_full_disk_is_said_and_never_a_verdict(command):
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "flowcheck", *command], stdout=full, stderr=subprocess.PIPE,
                              cwd=ROOT, timeout=60)
    assert done.returncode == 2 and b"flowcheck: standard output: No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_fault_of_its_own_is_no_deviation(monkeypatch, capsys):
    def broken(*_, **__):
        raise ZeroDivisionError
    monkeypatch.setattr("flowcheck.check.check", broken)
    assert check(str(FAILING)) == 3
    assert "ZeroDivisionError" in (said := capsys.readouterr().err) and "a fault of flowcheck" in said


def test_names_of_files_can_hold_anything(tmp_path):
    """Octets that are no UTF-8 and escape sequences: a file's name moves no terminal and stops no command."""
    odd = tmp_path / "caf\udce9\x1b[31m\nb.pcap"
    odd.write_bytes(FAILING.read_bytes())
    for arguments in (["check", str(odd), "--output-dir", str(tmp_path / "out"), *RULES], ["decode", str(odd), "-v"],
                      ["check", str(odd), "--json", "-", "-q", *RULES], ["devices", str(odd), "--json"],
                      ["check", str(odd) + "x"]):
        done = run(*arguments)
        assert b"Traceback" not in done.stderr and b"\x1b" not in done.stdout + done.stderr, arguments
        done.stdout.decode("utf-8")
    assert json.loads(run("decode", str(odd), "--format", "jsonl").stdout.splitlines()[0])["capture"] == str(odd)


def test_standard_output_is_utf_8_wherever_it_is_a_file():
    done = subprocess.run([sys.executable, "-m", "flowcheck", "check", str(FAILING), "--html", "-", "-q", *RULES],
                          capture_output=True, cwd=ROOT, timeout=60,
                          env={"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PATH": ""})
    assert "✗" in done.stdout.decode("utf-8") and done.returncode == 1


# ---------------------------------------------------------------------------------------------------- folders, outputs

def test_in_a_folder_what_is_no_capture_is_left_out_and_named(capsys):
    site = ["--site", str(PASSING / "site.yaml"), "--keys", str(PASSING / "keys")]
    assert main(["check", str(PASSING), "--recursive", *site, "--json", "-", *RULES]) == 0
    out, err = capsys.readouterr()
    assert {capture["name"] for capture in json.loads(out)["captures"]} == {p.name for p in PASSING.glob("*.pcap*")}
    assert "4 files are no captures and are left out" in err and "esp_sa" in err
    assert main(["check", str(PASSING / "keys"), "--recursive"]) == 3


def test_a_damaged_capture_in_a_folder_is_not_left_out(tmp_path, capsys):
    (tmp_path / "a.pcap").write_bytes(FAILING.read_bytes())
    (tmp_path / "b.pcap").write_bytes(b"no capture at all")
    assert check(str(tmp_path), "--recursive") == 3 and "b.pcap" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--json", "--html", "-w", "--bundle"])
def test_what_cannot_be_written_is_said_before_the_work(option, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("flowcheck.check.check", lambda *_, **__: pytest.fail("the captures were read"))
    (tmp_path / "file").touch()
    for target in (tmp_path, tmp_path / "file" / "x"):
        assert main(["check", str(FAILING), option, str(target)]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_evidence_goes_to_standard_output(tmp_path):
    done = run("check", str(FAILING), "--json", str(tmp_path / "r.json"), "-w", "-", *RULES)
    assert done.returncode == 1 and b"FAIL" in done.stderr
    again = run("check", "-", "--json", "-", "-q", *RULES, stdin=done.stdout)
    assert again.returncode == 1 and json.loads(again.stdout)["captures"][0]["format"] == "pcapng"
    assert run("check", str(FAILING), "--json", "-", "-w", "-").returncode == 2


def test_a_draft_makes_its_folder(tmp_path):
    draft = tmp_path / "rules" / "mine" / "new.yaml"
    captures = sorted(map(str, PASSING.glob("*.pcap*")))
    keys = ["--keys", str(PASSING / "keys"), "--site", str(PASSING / "site.yaml")]
    assert main(["rules", "new", *captures, *keys, "--output", str(draft)]) == 0 and "steps:" in draft.read_text()


@pytest.mark.parametrize("option", ["--json", "--html", "-w", "--bundle"])
def test_no_output_goes_over_what_is_read(option, tmp_path, capsys):
    capture, site = tmp_path / "a.pcap", tmp_path / "site.yaml"
    capture.write_bytes(FAILING.read_bytes())
    site.write_text("site: x\n")
    (tmp_path / "link.pcap").symlink_to(capture)
    for target in (capture, site, tmp_path / "link.pcap"):
        assert main(["check", str(capture), "--site", str(site), option, str(target)]) == 2
    assert main(["redact", str(capture), str(capture)]) == 2
    assert main(["check", str(capture), "--html", str(tmp_path / "x"), "--json", str(tmp_path / "." / "x")]) == 2
    assert capture.read_bytes() == FAILING.read_bytes() and site.read_text() == "site: x\n"
    assert main(["check", str(capture), "--html", "/dev/null", "--json", "/dev/null", "-q", *RULES]) == 1
    assert Path("/dev/null").is_char_device() and main(["check", str(capture), "-w", "/dev/null"]) == 2


def test_a_pattern_that_no_shell_replaced(tmp_path, capsys):
    for name in ("b.pcap", "a.pcap"):
        (tmp_path / name).write_bytes(FAILING.read_bytes())
    assert check(str(tmp_path / "*.pcap")) == 1
    assert [c["name"] for c in json.loads(capsys.readouterr().out)["captures"]] == ["a.pcap", "b.pcap"]
    assert check(str(tmp_path / "*.none")) == 3 and "no such file" in capsys.readouterr().err
