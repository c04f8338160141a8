"""The example reports are what the samples give today: same input, same octets."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from flowcheck.rulebook.loader import load_rules

REPORTS = Path(__file__).parent.parent / "reports"
_spec = importlib.util.spec_from_file_location("build_reports", REPORTS / "build.py")
build_reports = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(build_reports)
CHOSEN = list(build_reports.chosen())


@pytest.mark.parametrize("name, trial", CHOSEN, ids=[name for name, _ in CHOSEN])
def test_built_again_it_is_the_same(name, trial):
    from flowcheck.report.as_html import html
    assert (REPORTS / name).exists(), "run reports/build"
    same = html(build_reports.result(trial), show_secrets=True) == (REPORTS / name).read_text(encoding="utf-8")
    assert same, f"{name} is not what its sample gives now; run reports/build and look at the difference"


def test_another_process_writes_the_same_octets(tmp_path):
    """No order of a set or a dictionary shows."""
    subprocess.run([sys.executable, str(REPORTS / "build.py"), str(tmp_path)], check=True, capture_output=True,
                   env={"PYTHONHASHSEED": "12345", "PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPORTS.parent)})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {p.name: p.read_bytes() for p in REPORTS.glob("*.html")}


def test_every_procedure_with_samples_has_one_and_together_they_are_small():
    procedures = {rule.procedure for rule in load_rules() if rule.samples}
    assert procedures <= {trial.rule.procedure for _, trial in CHOSEN}
    assert {trial.sample.verdict for _, trial in CHOSEN} == {"pass", "fail", "inconclusive"}
    assert sum(p.stat().st_size for p in REPORTS.glob("*.html")) < 3_000_000


def test_nothing_else_lies_there():
    """A command run in the checkout writes into reports/ by default."""
    tracked = subprocess.run(["git", "ls-files", "reports"], cwd=REPORTS.parent, capture_output=True,
                             text=True).stdout.split()
    assert {Path(name).name for name in tracked} <= {"README.md", "build", "build.py", *(name for name, _ in CHOSEN)}
