"""The sabotage run itself: what it does to a capture, and that it counts what is wrong."""

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import sabotage

from flowcheck.capture.reader import open_capture
from flowcheck.model import AttemptResult

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parent / "samples" / "ts32.583" / "5.1.1" / "pass"
FRAMES = list(open_capture(SAMPLE / "hnb_outer.pcap"))


@pytest.mark.parametrize("way", [*dict.fromkeys(sabotage.CUTS), *sabotage.CHANGES], ids=lambda way: way.__name__)
def test_a_way_leaves_frames_that_can_be_written(way, tmp_path):
    for seed in range(5):
        left = way(list(FRAMES), random.Random(seed))
        sabotage.write_pcap(tmp_path / "a.pcap", left)
        assert [f.data for f in open_capture(tmp_path / "a.pcap")] == [f.data for f in left]
        assert way is sabotage.company or {f.data[:64] for f in left} <= {f.data[:64] for f in FRAMES}


def test_rotation_loses_nothing():
    assert [f for piece in sabotage.rotated(FRAMES, random.Random(3)) for f in piece] == FRAMES


def attempt(verdict, procedure="p"):
    return AttemptResult(procedure, "", "", verdict, 0, 1, (), (), None, None, "", advice=("x",))


@pytest.mark.parametrize("right, failing, passed, attempts, wrong", [
    (True, (), {}, ["pass", "inconclusive"], 0), (True, (), {}, ["fail"], 1), (True, ("p",), {}, ["fail"], 0),
    (False, ("p",), {}, ["fail", "inconclusive"], 0), (False, ("p",), {}, ["pass"], 1),
    (False, ("p",), {"p": 1}, ["pass", "fail"], 0),
    (False, ("p",), {"p": 1}, ["pass", "pass"], 1), (False, ("q",), {}, ["pass"], 0)])
def test_what_is_counted_as_wrong(right, failing, passed, attempts, wrong):
    scenario = sabotage.Scenario("s", [], [], None, right, frozenset(failing), Counter(passed))
    assert len(list(sabotage.wrong_verdicts(scenario, [attempt(verdict) for verdict in attempts]))) == wrong


def test_an_inconclusive_attempt_without_advice_is_counted():
    open_end = AttemptResult("p", "", "", "inconclusive", 0, 1, (), (), None, None, "")
    assert list(sabotage.wrong_verdicts(sabotage.Scenario("s", [], [], None, True, frozenset(), Counter()), [open_end]))


def test_the_run_over_one_sample():
    out = subprocess.run([sys.executable, str(HERE / "sabotage.py"), "--only", "5.1.2/pass-ipv6", "--variants", "3",
                          "--seed", "5"],
                         capture_output=True, text=True, check=True)
    assert out.stdout.endswith("3 variants, 0 false verdicts\n")
