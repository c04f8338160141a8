"""Two runs side by side (`flowcheck diff`), and reports without captures (`flowcheck report render`)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from flowcheck import compare
from flowcheck.cli import main
from flowcheck.model import AttemptResult, CaptureInfo, DeviceResult, Finding, FrameRef, Result, StepResult

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "samples/ts32.583/5.1.1"
RULES = ["--rules", str(ROOT / "rules/ts32.583")]


def run(verdict: str, states: dict[str, tuple[str, int | None]], *codes: str, procedure: str = "x-1",
        started: int = 0) -> AttemptResult:
    steps = tuple(StepResult(name, str(n), state, f"title of {name}", (FrameRef(0, n + 1),) if at is not None else (),
                             None if at is None else started + at * 10**9,
                             f"reason of {name}" if state == "missing" else None)
                  for n, (name, (state, at)) in enumerate(states.items()))
    findings = tuple(Finding(code, "missing", "error", "b", "1", "X 1", (FrameRef(0, 9),), "wanted", "got")
                     for code in codes)
    return AttemptResult(procedure, "T", "X 1", verdict, started, started + 10**10, steps, findings, None, None, "")


def result(*attempts: AttemptResult) -> Result:
    return Result((CaptureInfo("a.pcap", "", 9, 0, 1),), (DeviceResult("d", {}, (), attempts),), {})


GOOD = run("pass", {"a": ("seen", 0), "b": ("seen", 1), "c": ("seen", 2)})
BAD = run("fail", {"a": ("seen", 0), "b": ("seen", 4), "c": ("missing", None)}, "x-1/c/missing", started=50)


def test_states_times_and_findings_of_two_runs():
    pair, = compare.compare(result(GOOD), result(BAD))
    assert [(row.step, row.differs, row.slower) for row in pair.rows] == [
        ("a", False, 0.0), ("b", False, 3.0), ("c", True, None)]
    assert (pair.first.step, [f.code for f in pair.only_bad], pair.only_good) == ("c", ["x-1/c/missing"], ())


def test_a_run_is_no_different_from_itself():
    pair, = compare.compare(result(GOOD), result(replace(GOOD, started=0)))
    assert not pair.differs and pair.first is None


def test_the_best_of_the_good_is_compared_with_the_worst_of_the_bad():
    pair, = compare.compare(result(BAD, GOOD), result(GOOD, BAD, GOOD))
    assert (pair.good.verdict, pair.bad.verdict) == ("pass", "fail")


def test_a_procedure_that_one_run_lacks_and_steps_that_one_rule_lacks():
    other = run("pass", {"a": ("seen", 0), "new": ("seen", 1), "b": ("seen", 1), "c": ("seen", 2)})
    only = run("pass", {"a": ("seen", 0)}, procedure="x-2")
    first, second = compare.compare(result(GOOD), result(other, only))
    assert [(row.step, row.good is None) for row in first.rows] == [
        ("a", False), ("new", True), ("b", False), ("c", False)]
    assert second.good is None and second.differs
    assert "no attempt" in compare.as_text([second], result(GOOD), result(only))


def test_the_text_marks_the_step_and_names_frames_and_reason():
    text = compare.as_text(compare.compare(result(GOOD), result(BAD)), result(GOOD), result(BAD))
    marked = [line for line in text.splitlines() if line.lstrip().startswith("*")]
    assert len(marked) == 1 and "missing" in marked[0]
    assert "first difference: step 2 c: reason of c" in text
    assert "only in bad: x-1/c/missing: expected wanted; observed got (frame 9)" in text


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The results of one run that passes and one that fails, as JSON."""
    folder = tmp_path_factory.mktemp("saved")
    for name in ("pass-nat-tls", "spv-fault"):
        captures = [str(path) for path in sorted((SAMPLES / name).glob("*.pcap*"))]
        main(["check", *captures, "--keys", str(SAMPLES / name / "keys"), "--site", str(SAMPLES / name / "site.yaml"),
              "--json", str(folder / f"{name}.json"), "--quiet", *RULES])
    return folder


def test_saved_results_and_captures_are_compared_alike(saved, capsys):
    good, bad = str(saved / "pass-nat-tls.json"), str(saved / "spv-fault.json")
    assert main(["diff", good, good]) == 0
    capsys.readouterr()
    assert main(["diff", good, bad, "--json"]) == 1
    from_json = json.loads(capsys.readouterr().out)
    assert main(["diff", good, str(SAMPLES / "spv-fault"), "--json", "--keys", str(SAMPLES / "spv-fault/keys"),
                 "--bad-site", str(SAMPLES / "spv-fault/site.yaml"), *RULES]) == 1
    from_capture = json.loads(capsys.readouterr().out)
    assert from_json["procedures"] == from_capture["procedures"]
    procedure = next(p for p in from_json["procedures"] if p["procedure"] == "ts32.583-5.1.1")
    assert procedure["first_difference"] and any("9003" in f["code"] for f in procedure["only_in_bad"])


def test_nothing_to_compare_and_folders_without_captures(saved, tmp_path, capsys):
    good = str(saved / "pass-nat-tls.json")
    assert main(["diff", good, good, "--procedure", "ts32.583-5.5.1"]) == 4
    assert main(["diff", good, str(tmp_path)]) == 2
    assert "no capture in this folder" in capsys.readouterr().err


def test_a_report_is_rebuilt_without_the_capture(saved, tmp_path, capsys, monkeypatch):
    import io
    source = saved / "spv-fault.json"
    assert main(["report", "render", str(source), "--html", str(tmp_path / "a.html"),
                 "--json", str(tmp_path / "a.json")]) == 0
    html = (tmp_path / "a.html").read_text()
    assert "9003" in html and "ts32.583-5.1.1" in html
    assert json.loads((tmp_path / "a.json").read_text()) == json.loads(source.read_text())
    monkeypatch.setattr("sys.stdin", io.StringIO(source.read_text()))
    assert main(["report", "render", "-", "--html", str(tmp_path / "b.html"), "--quiet"]) == 0
    assert (tmp_path / "b.html").read_text() == html


def test_one_device_of_a_result(saved, tmp_path, capsys):
    from flowcheck.report import as_json
    result = as_json.loads((saved / "spv-fault.json").read_text())
    other = replace(result.devices[0], id="another", identity={"serial_number": "X1"}, addresses=("192.0.2.99",))
    source = tmp_path / "two.json"
    source.write_text(as_json.dumps(replace(result, devices=(*result.devices, other))))
    for name in ("another", "X1", "192.0.2.99"):
        assert main(["report", "render", str(source), "--device", name, "--json", str(tmp_path / "one.json"),
                     "--quiet"]) == 0
        assert [device.id for device in as_json.loads((tmp_path / "one.json").read_text()).devices] == ["another"]
    assert main(["report", "render", str(source), "--device", "nobody", "--json", str(tmp_path / "none.json")]) == 2
    assert "nobody" in capsys.readouterr().err and not (tmp_path / "none.json").exists()


@pytest.mark.parametrize("content", ["", "no JSON", "{}", '{"schema": "flowcheck/result/9"}', None])
def test_what_is_no_result_is_refused_by_name(tmp_path, capsys, content):
    path = tmp_path / "r.json"
    if content is not None:
        path.write_text(content)
    assert main(["report", "render", str(path), "--html", str(tmp_path / "a.html")]) == 2
    assert str(path) in capsys.readouterr().err and not (tmp_path / "a.html").exists()
