"""Every `samples:` entry of every rule that ships, and the command that runs them."""

import io
from dataclasses import replace

import pytest

from flowcheck import samples
from flowcheck.cli import main
from flowcheck.model import AttemptResult, DeviceResult, Finding, Result
from flowcheck.rulebook.rule import Sample

TRIALS = samples.trials()


@pytest.mark.parametrize("trial", TRIALS, ids=[" ".join(trial.name.split()) for trial in TRIALS])
def test_sample(trial):
    assert samples.differences(trial) == []


@pytest.mark.parametrize("clause", ["5.1.1", "5.1.2", "5.2.1"])
def test_a_rule_has_samples_of_every_verdict(clause):
    verdicts = [t.sample.verdict for t in TRIALS if t.rule.procedure == f"ts32.583-{clause}"]
    assert verdicts.count("pass") >= 2 and verdicts.count("fail") >= 3 and verdicts.count("inconclusive") >= 1


def result(*attempts):
    judged = []
    for verdict, findings in attempts:
        told = tuple(Finding(f"x-1/{code}", code.split("/")[1], severity, "s", "1", "X 1", (), "", "")
                     for code, severity in findings)
        judged.append(AttemptResult("x-1", "", "X 1", verdict, 0, 1, (), told, None, None, ""))
    return Result((), (DeviceResult("d", {}, (), tuple(judged)),), {})


RULE = replace(TRIALS[0].rule, procedure="x-1")


@pytest.mark.parametrize("sample, attempts, told", [
    (("pass", ()), [("pass", [])], []),
    (("pass", ()), [], ["no attempt of the procedure was found"]),
    (("pass", ()), [("pass", []), ("inconclusive", [])], ["the verdict is inconclusive"]),
    (("pass", ()), [("pass", [("a/late", "warning")])], []),
    (("pass", ("a/late",)), [("pass", [])], ["a/late was not found"]),
    (("fail", ("a/refused:7",)), [("pass", []), ("fail", [("a/refused:7", "error")])], []),
    (("fail", ("x-1/a/refused:7",)), [("fail", [("a/refused:7", "error")])], []),
    (("fail", ("a/refused:7",)), [("fail", [("a/refused:8", "error")])],
     ["a/refused:7 was not found", "a/refused:8 was found too"]),
    (("fail", ("a/missing",)), [("fail", [("a/missing", "error"), ("b/missing", "error")])],
     ["b/missing was found too"]),
])
def test_what_differs(sample, attempts, told):
    assert samples.compare(RULE, Sample((), *sample), result(*attempts)) == told


def rule_with(tmp_path, entry):
    """A copy of the rule of clause 5.1.2 whose only sample is this entry."""
    text = open(next(t.rule.path for t in TRIALS if t.rule.procedure == "ts32.583-5.1.2"), encoding="utf-8").read()
    (tmp_path / "samples").symlink_to(samples.samples_dir(TRIALS[0].rule.path))
    path = tmp_path / "rule.yaml"
    path.write_text(f"{text[:text.index('samples:')]}samples:\n  - {entry}\n")
    return path


def test_the_command_says_ok_and_differs(tmp_path, capsys):
    capture = "ts32.583/5.1.2/tls-unknown-ca/hnb_outer.pcap"
    right = rule_with(tmp_path, f"{{capture: {capture}, verdict: fail, findings: ['secured/refused:unknown_ca']}}")
    assert main(["rules", "test", "--rules", str(right)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["ok", "ts32.583-5.1.2", "fail", capture] and out[1] == "1 sample, 0 differing"
    text = right.read_text().replace("verdict: fail, findings: ['secured/refused:unknown_ca']", "verdict: pass")
    right.write_text(text)
    assert main(["rules", "test", "--rules", str(right)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("differs")
    assert out[0].endswith("the verdict is fail; secured/refused:unknown_ca was found too")


def test_a_sample_that_is_not_there_differs(tmp_path):
    path = rule_with(tmp_path, "{capture: ts32.583/5.1.2/nowhere.pcap, verdict: pass}")
    out = io.StringIO()
    assert samples.run_samples([path], out) == 1
    assert "nowhere.pcap" in out.getvalue().splitlines()[0]
