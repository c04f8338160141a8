"""Judges a rule's conforming runs and their mutants, and says which mutants were not found.

The mutation score is the share of mutants that are found at the right step with the right kind. Only runs that are
judged `pass` themselves give mutants: what is said of a change is worth something only where nothing was said without
it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TextIO

from ..check import judged, key_ring
from ..errors import UsageError
from ..model import SEVERITIES, AttemptResult
from ..observe.observation import observe
from ..rulebook.loader import load_rules
from ..rulebook.rule import Rule
from ..rulebook.site import load_site
from .choices import variants
from .mutants import mutants
from .mutation import Form, Mutant, form
from .plan import Plan, plan
from .stage import Capture, play
from .world import Unable

ENOUGH = 0.95


class Survivor(NamedTuple):
    variant: str
    mutant: Mutant
    said: str


@dataclass(slots=True)
class Score:
    rule: Rule
    found: int = 0
    survivors: list[Survivor] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)  # variants that are judged as they should be
    unmade: dict[str, str] = field(default_factory=dict)  # variant -> why there is none
    covered: set[Form] = field(default_factory=set)  # what its runs show of it

    @property
    def made(self) -> int:
        return self.found + len(self.survivors)


def score(rule: Rule, book: Sequence[Rule], folder: Path, seed: int = 1) -> Score:
    """Makes and judges all there is of one rule."""
    result = Score(rule)
    for variant, run, _ in runs(rule, book, folder, seed, result.unmade):
        for mutant in mutants(run, result.covered):
            try:
                capture = play(run, seed, mutant.acts)
            except Unable:
                continue
            attempts = judge(capture, rule, book, folder)
            if is_found(mutant, attempts):
                result.found += 1
            else:
                result.survivors.append(Survivor(variant, mutant, said(attempts)))
        result.runs.append(variant)
        result.covered |= {form(act) for act in run.acts}
    return result


def runs(
    rule: Rule, book: Sequence[Rule], folder: Path, seed: int, unmade: dict[str, str]
) -> Iterator[tuple[str, Plan, Capture]]:
    """The variants that can be made and are judged as they should be; of the others `unmade` learns why not."""
    for variant in variants(rule):
        try:
            run = plan(rule, variant)
            capture = play(run, seed)
        except Unable as reason:
            unmade[variant] = str(reason)
            continue
        attempts = judge(capture, rule, book, folder)
        if attempts and all(a.verdict == run.verdict for a in attempts):
            yield variant, run, capture
        else:
            unmade[variant] = f"is judged otherwise than {run.verdict}: " + said(attempts)


def judge(capture: Capture, rule: Rule, book: Sequence[Rule], folder: Path) -> list[AttemptResult]:
    """The attempts of the rule in a capture."""
    path = write(capture, folder)
    keys = key_ring([str(path / "keys")]) if capture.keys else None
    result = judged(observe([str(path / "capture.pcap")], keys), book, load_site(path / "site.yaml"))
    return [a for device in result.devices for a in device.attempts if a.procedure == rule.procedure]


def write(capture: Capture, folder: Path) -> Path:
    """capture.pcap, keys/ and site.yaml in a folder; keys of an earlier capture there are removed."""
    (folder / "keys").mkdir(parents=True, exist_ok=True)
    for old in (folder / "keys").iterdir():
        old.unlink()
    (folder / "capture.pcap").write_bytes(capture.pcap)
    (folder / "site.yaml").write_text(capture.site, encoding="utf-8")
    for name, text in capture.keys.items():
        (folder / "keys" / name).write_text(text, encoding="utf-8")
    if not capture.keys:
        (folder / "keys").rmdir()
    return folder


def is_found(mutant: Mutant, attempts: Iterable[AttemptResult]) -> bool:
    """Is there the finding that the mutant has to have, no weaker than it should be?"""
    return any(
        f.step in mutant.steps
        and f.kind in mutant.kinds
        and SEVERITIES.index(f.severity) >= SEVERITIES.index(mutant.severity)
        and (not mutant.detail or mutant.detail in f.code)
        for a in attempts
        for f in a.findings
    )


def said(attempts: Sequence[AttemptResult]) -> str:
    """What was found instead, in short."""

    def one(attempt: AttemptResult) -> str:
        told = [f"{f.step}/{f.kind} ({f.severity})" for f in attempt.findings if f.severity != "notice"]
        return f"{attempt.verdict} {', '.join(told)}".strip()

    return "; ".join(one(a) for a in attempts) or "no attempt"


def run_mutants(paths: Sequence[str | Path] | None, wanted: str | None, out: TextIO, seed: int = 1) -> int:
    """Prints the score of each rule and the survivors. Exit status 1 below 95 %, or with a rule that has none."""
    book = load_rules(paths)
    rules = [rule for rule in book if wanted in (None, rule.procedure)]
    if not rules:
        raise UsageError(f"no rule describes '{wanted}'; procedures are {', '.join(rule.procedure for rule in book)}")
    found = made = 0
    unmeasured = []
    for rule in rules:
        with tempfile.TemporaryDirectory(prefix="flowcheck-synth-") as folder:
            result = score(rule, book, Path(folder), seed)
        found, made = found + result.found, made + result.made
        unmeasured += [] if result.made else [rule.procedure]
        _tell(result, out)
        out.flush()
    out.write(f"all: {found} of {made} mutants found ({_percent(found, made)})\n")
    if unmeasured:
        out.write(f"not measured, because no conforming run could be made: {', '.join(unmeasured)}\n")
    return 0 if not unmeasured and found >= ENOUGH * made else 1


def _tell(result: Score, out: TextIO) -> None:
    messages = [step.step for step in result.rule.steps() if step.messages and not step.forbidden]
    found = f"{result.found} of {result.made} mutants found ({_percent(result.found, result.made)})"
    runs_made = f"{len(result.runs)} run{'' if len(result.runs) == 1 else 's'}"
    steps = {name for name, *_ in result.covered}
    out.write(f"{result.rule.procedure}: {found}, {len(steps)} of {len(messages)} steps, {runs_made}\n")
    for variant, mutant, instead in result.survivors:
        out.write(
            f"  survived  {mutant.name}{f' (in {variant})' if variant else ''}: "
            f"expected {mutant.expected} ({mutant.severity}), said {instead}\n"
        )
    for variant, why in result.unmade.items():
        out.write(f"  not made  {variant or 'the run itself'}: {why}\n")


def _percent(found: int, made: int) -> str:
    return f"{100 * found / made:.0f} %" if made else "nothing made"
