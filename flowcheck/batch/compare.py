"""What changed between two runs: `flowcheck batch --compare OLD NEW`, each the output directory of a run."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple, TextIO

from ..errors import UsageError
from ..report.visible import line
from ..report.words import plural

_ORDER = {"pass": 0, "inconclusive": 1, "fail": 2}


class Change(NamedTuple):
    path: str
    device: str
    procedure: str
    old: str                   # verdict, and the cause where it failed; empty where there was no such attempt
    new: str
    worse: bool
    better: bool               # where both runs have it


def changes(old: Path, new: Path) -> list[Change]:
    """Attempts whose verdict or cause is another one, and those only one of the runs has, in order of path.

    The attempts of a device at one procedure are compared in order of time. Raises UsageError where a table is missing.
    """
    before, after = _attempts(old), _attempts(new)
    found = []
    for key in sorted({*before, *after}):
        olds, news = before.get(key, []), after.get(key, [])
        for place in range(max(len(olds), len(news))):
            one, other = (rows[place] if place < len(rows) else ("", "") for rows in (olds, news))
            if one != other:
                before_it, after_it = (_ORDER.get(each[0], 0) for each in (one, other))
                found.append(Change(*key, _words(one), _words(other), after_it > before_it,
                                    after_it < before_it and other[0] != ""))
    return found


def print_changes(found: list[Change], out: TextIO) -> None:
    for change in found:
        sign = ("worse" if change.worse else "gone" if not change.new else "new" if not change.old
                else "better" if change.better else "other")
        what = f"{change.procedure}: {change.old or '-'} -> {change.new or '-'}"
        print(line(f"{sign:6}  {change.path}  {change.device}  {what}"), file=out)
    worse, better = sum(change.worse for change in found), sum(change.better for change in found)
    print(f"{plural(len(found), 'attempt')} changed: {worse} worse than before, {better} better", file=out)


def _attempts(folder: Path) -> dict[tuple[str, str, str], list[tuple[str, str]]]:
    rows: dict[tuple[str, str, str], list[tuple[str, str, str]]] = defaultdict(list)
    try:
        with open(folder / "attempts.csv", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                rows[row["path"], row["device"], row["procedure"]].append((row["started"], row["verdict"], row["cause"]))
    except OSError as error:
        raise UsageError(f"{folder}: no run of `flowcheck batch` to compare: {error.strerror}") from None
    except KeyError as error:
        raise UsageError(f"{folder}/attempts.csv: no column {error}") from None
    return {key: [(verdict, cause) for _, verdict, cause in sorted(held)] for key, held in rows.items()}


def _words(one: tuple[str, str]) -> str:
    return " ".join(part for part in one if part)
