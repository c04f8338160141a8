"""`flowcheck rules synth`: the runs of a rule and their mutants as files, each with what has to be found in it."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from ..errors import UsageError
from ..rulebook.loader import load_rules
from ..rulebook.mistakes import did_you_mean
from .mutants import mutants
from .mutation import Form, form
from .world import Unable
from .score import runs, write
from .stage import play


def write_all(paths: Sequence[str | Path] | None, procedure: str, folder: str | Path, seed: int, out: TextIO) -> None:
    """Writes `<folder>/<run>/` and `<folder>/<run>/<mutant>/`, each a capture with its keys and its site profile, and
    `expected.json`, which says what has to be found in each.

    Raises UsageError where no rule describes the procedure, or no run of it can be made.
    """
    book = load_rules(paths)
    rule = next((rule for rule in book if rule.procedure == procedure), None)
    if rule is None:
        guess = (
            did_you_mean(procedure, [r.procedure for r in book])
            or f"; procedures are {', '.join(r.procedure for r in book)}"
        )
        raise UsageError(f"no rule describes '{procedure}'{guess}")
    target, unmade = Path(folder), {}
    covered: set[Form] = set()
    expected: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="flowcheck-synth-") as scratch:
        for variant, run, capture in runs(rule, book, Path(scratch), seed, unmade):
            place = _file_name(variant) or "conforming"
            write(capture, target / place)
            expected.append({"capture": f"{place}/capture.pcap", "verdict": run.verdict})
            for mutant in mutants(run, covered):
                try:
                    changed = play(run, seed, mutant.acts)
                except Unable:
                    continue
                name = f"{place}/{_file_name(mutant.name)}"
                write(changed, target / name)
                expected.append(
                    {
                        "capture": f"{name}/capture.pcap",
                        "change": mutant.name,
                        "steps": sorted(mutant.steps),
                        "kinds": sorted(mutant.kinds),
                        "detail": mutant.detail,
                        "severity": mutant.severity,
                    }
                )
            covered |= {form(act) for act in run.acts}
    for variant, why in unmade.items():
        out.write(f"not made: {variant or 'the conforming run'}: {why}\n")
    if not expected:
        raise UsageError(
            f"no conforming run of {procedure} can be made: {unmade.get('', 'it has no step that leaves a trace')}"
        )
    (target / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")
    wrong = sum("change" in one for one in expected)
    out.write(f"{target}: {len(expected) - wrong} conforming and {wrong} wrong captures\n")


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-").lower()
