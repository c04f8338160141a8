"""The samples of the rules: captures with known verdicts, judged again and compared.

A sample names captures below `samples/`, with keys and a site profile where they belong to it, and what has to come
out: the worst verdict of the procedure's attempts, and the findings. A finding of severity error that the sample does not
name is a difference too; warnings and notices may be named and need not be.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from .check import judged, key_ring
from .errors import FlowcheckError
from .model import Result, worst
from .observe.observation import observe
from .rulebook.lint import samples_dir
from .rulebook.loader import load_rules
from .rulebook.rule import Rule, Sample
from .rulebook.site import load_site


class Trial(NamedTuple):
    """One sample of one rule, judged by all the rules it was loaded with."""

    rule: Rule
    sample: Sample
    book: tuple[Rule, ...]

    @property
    def name(self) -> str:
        return f"{self.rule.procedure}  {self.sample.verdict:<12}  {os.path.commonpath(self.sample.captures)}"


def trials(paths: Sequence[str | Path] | None = None) -> list[Trial]:
    """Every sample of the rules in these files and directories; without `paths` of those that ship."""
    book = load_rules(paths)
    return [Trial(rule, sample, book) for rule in book for sample in rule.samples]


def differences(trial: Trial) -> list[str]:
    """What came out otherwise than the rule says, in words; empty where all is as it should be."""
    try:
        return compare(trial.rule, trial.sample, result(trial))
    except FlowcheckError as error:
        return str(error).splitlines()


def result(trial: Trial) -> Result:
    """The sample judged. Raises FlowcheckError where a file of it cannot be read."""
    directory, sample = samples_dir(trial.rule.path), trial.sample
    site = load_site(directory / sample.site if sample.site else None)
    keys = key_ring([str(directory / path) for path in sample.keys])
    return judged(observe([str(directory / path) for path in sample.captures], keys), trial.book, site)


def compare(rule: Rule, sample: Sample, result: Result) -> list[str]:
    """The differences between a result and what a sample of the rule says of it."""
    attempts = [a for device in result.devices for a in device.attempts if a.procedure == rule.procedure]
    if not attempts:
        return ["no attempt of the procedure was found"]
    found = {f.code.removeprefix(rule.procedure + "/"): f for a in attempts for f in a.findings if not f.waived}
    named = [code.removeprefix(rule.procedure + "/") for code in sample.findings]
    verdict = worst(a.verdict for a in attempts)
    told = [] if verdict == sample.verdict else [f"the verdict is {verdict}"]
    told += [f"{code} was not found" for code in named if code not in found]
    told += [f"{code} was found too" for code, f in found.items() if f.severity == "error" and code not in named]
    return told


def run_samples(paths: Sequence[str | Path] | None, out: TextIO) -> int:
    """Judges every sample and writes a line about each. Exit status 1 where one differs."""
    wrong = 0
    for trial in (every := trials(paths)):
        told = differences(trial)
        wrong += bool(told)
        out.write(f"{'differs' if told else 'ok':<9}{trial.name}{': ' if told else ''}{'; '.join(told)}\n")
        out.flush()
    out.write(f"{len(every)} sample{'' if len(every) == 1 else 's'}, {wrong} differing\n")
    return 1 if wrong else 0
