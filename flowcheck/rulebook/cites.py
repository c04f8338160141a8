"""The numbers steps have in a clause: `2.3`, `5.3-bis`, `A`, `R1`; and whether one of them was left out.

Clauses number their steps 1, 2, 3 or A, B, C, sub-steps 2.1, 2.2; a branch may be marked `-bis`. Figures without
numbers get names of ours, a letter and a number (`R1`, `R2`). Anything else is not counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_CITE = re.compile(r"([A-Za-z]?)([0-9]*)((?:\.[0-9]+)*)(?:-[a-z]+)?")
_SEVERAL = re.compile(r"\s*(?:,|;|\band\b|\bto\b)\s*")


def skipped_numbers(cites: list[str]) -> Iterator[tuple[int, str]]:
    """Each gap as (index of the first cite after it, sentence)."""
    levels: dict[tuple[str, ...], dict[int, int]] = {}           # what comes before the number -> number -> first index
    for index, cite in enumerate(cites):
        for part in _SEVERAL.split(cite):
            path = _path(part)
            for depth, (prefix, number) in enumerate(path):
                level = tuple(f"{before}{count}" for before, count in path[:depth]) + (prefix,)
                levels.setdefault(level, {}).setdefault(number, index)
    for level, numbers in levels.items():
        for number, index in sorted(numbers.items()):
            if number > 1 and number - 1 not in numbers:
                yield index, _sentence(level, max((n for n in numbers if n < number), default=0), number)


def _path(cite: str) -> list[tuple[str, int]]:
    """`2.3` as [("", 2), ("", 3)], `C` as [("letter", 3)], `R2` as [("R", 2)]; empty where it is no number."""
    found = _CITE.fullmatch(cite.strip())
    if not found or not (found[1] or found[2]):
        return []
    if found[2]:
        path = [(found[1], int(found[2]))]
    else:
        path = [("letter", ord(found[1].upper()) - ord("A") + 1)]
    return path + [("", int(number)) for number in found[3].split(".")[1:]]


def _sentence(level: tuple[str, ...], before: int, after: int) -> str:
    def written(number: int) -> str:
        last = chr(ord("A") + number - 1) if level[-1] == "letter" else f"{level[-1]}{number}"
        return ".".join((*level[:-1], last))

    reached = f"'{written(before)}' is followed by" if before else "the first is"
    return (f"the cites skip '{written(before + 1)}': {reached} '{written(after)}'; a step of the clause that a "
            "capture cannot show is written as 'unchecked'")
