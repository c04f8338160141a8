"""The Wireshark filter of a finding selects exactly its frames."""

import shutil
import subprocess

import pytest

from flowcheck import samples
from flowcheck.model import frames_filter
from flowcheck.report.words import by_capture

# one of each procedure
FAILING = {trial.rule.procedure: trial for trial in samples.trials() if trial.sample.findings}


def selected(path, filter):
    out = subprocess.run(["tshark", "-r", path, "-Y", filter, "-T", "fields", "-e", "frame.number"], check=True,
                         capture_output=True, text=True)
    return list(map(int, out.stdout.split()))


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("trial", FAILING.values(), ids=FAILING)
def test_it_selects_exactly_the_frames_of_the_finding(trial):
    result = samples.result(trial)
    findings = [f for d in result.devices for a in d.attempts for f in a.findings]
    assert findings
    for finding in findings:
        assert finding.filter and finding.frames
        of = [selected(result.captures[capture].path, frames_filter(numbers))
              for capture, numbers in by_capture(finding.frames).items()]
        assert of == list(by_capture(finding.frames).values())
        assert finding.filter in [frames_filter(numbers) for numbers in by_capture(finding.frames).values()]


@pytest.mark.parametrize("numbers, filter", [
    ([], ""), ([7], "frame.number in {7}"), ([9, 7, 8, 7], "frame.number in {7,8,9}"),
    ([1, 2, 3, 4, 6], "frame.number in {1..4,6}")])
def test_the_filter_of_some_numbers(numbers, filter):
    assert frames_filter(numbers) == filter


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_wireshark_takes_ranges():
    path = str(next(iter(FAILING.values())).rule.path)
    directory = samples.samples_dir(path)
    capture = directory / next(iter(FAILING.values())).sample.captures[0]
    assert selected(str(capture), frames_filter([1, 2, 3, 4, 6])) == [1, 2, 3, 4, 6]
