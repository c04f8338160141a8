"""Builds the example reports: for every procedure the first sample of it that fails, and one report of each other verdict.

The tool's version, the digest of the rules and the time of the run are held still, so that a report changes only when
what it says does. `build.py [DIRECTORY]` writes there, by default beside this file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from flowcheck.check import judged, key_ring
from flowcheck.model import FAIL, Result
from flowcheck.observe.observation import observe
from flowcheck.report.as_html import html
from flowcheck.report.mask import masked
from flowcheck.report.times import from_iso
from flowcheck.rulebook.site import load_site
from flowcheck.samples import Trial, trials

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parent / "samples"
CREATED = from_iso("2026-01-01T00:00:00.000000000Z")
TOOL = {"version": "(example)", "rules": "(those of this repository)"}


def chosen() -> Iterator[tuple[str, Trial]]:
    """File name and sample of every example."""
    seen: set[str] = set()
    for trial in trials():
        verdict = trial.sample.verdict
        group = trial.rule.procedure if verdict == FAIL else verdict
        if group not in seen:
            seen.add(group)
            folder = Path(trial.sample.captures[0]).parent.name
            yield f"{trial.rule.procedure}-{folder}.html", trial


def result(trial: Trial) -> Result:
    """The sample judged, with nothing in it that belongs to a machine, a day or a version."""
    sample = trial.sample
    paths = [str(SAMPLES / path) for path in sample.captures]
    site = load_site(SAMPLES / sample.site) if sample.site else load_site(None)
    found = judged(observe(paths, key_ring([str(SAMPLES / path) for path in sample.keys])), trial.book, site)
    captures = tuple(replace(info, path=f"samples/{path}") for info, path in zip(found.captures, sample.captures))
    words = [f"samples/{path}" for path in sample.captures]
    words += [word for path in sample.keys for word in ("--keys", f"samples/{path}")]
    words += ["--site", f"samples/{sample.site}"] if sample.site else []
    return masked(replace(found, captures=captures, created=CREATED, command="flowcheck check " + " ".join(words),
                          tool={**TOOL, "site": site.name}))


def build(directory: Path) -> list[Path]:
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, trial in chosen():
        path = directory / name
        path.write_text(html(result(trial), show_secrets=True), encoding="utf-8", newline="\n")
        written.append(path)
    return written


if __name__ == "__main__":
    target = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else HERE
    written = build(target)
    if target == HERE:                                   # examples whose sample is no longer the first
        for old in {*HERE.glob("*.html")} - {*written}:
            old.unlink()
    for path in written:
        print(f"wrote {path} ({path.stat().st_size:,} octets)")
