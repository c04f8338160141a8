"""TR-069 data-model names and the patterns that site profiles and rules find them by.

In a pattern `*` as a whole part stands for one or more parts (`*.ManagementServer.URL`); inside a part it stands for
any characters of that part (`*.X_*_FAP.Latitude`). Letter case counts, as it does in TR-106. The dot that ends a
partial path (`Device.FaultMgmt.`) does not. Names come from the wire, so matching takes time linear in their length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache


def matches(pattern: str, name: str) -> bool:
    """Does the pattern name this parameter or partial path?"""
    return _compiled((pattern,)).match(name.removesuffix(".")) is not None


def any_matches(patterns: tuple[str, ...], name: str) -> bool:
    """Does one of the patterns name it?"""
    return _compiled(patterns).match(name.removesuffix(".")) is not None


def select(patterns: tuple[str, ...], names: Iterable[str]) -> list[str]:
    """The names that one of the patterns names, in their own order."""
    match = _compiled(patterns).match
    return [name for name in names if match(name.removesuffix("."))]


@lru_cache(maxsize=4096)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(_expression(pattern) for pattern in patterns) or r"(?!)", re.DOTALL)


def _expression(pattern: str) -> str:
    """A regular expression that never reconsiders: what stands between two `*` is taken at its first occurrence, once
    and for all (atomic groups). That finds a match wherever there is one, because a `*` can take what was passed over.
    """
    runs = _runs(pattern.removesuffix(".").split("."))
    text = ""
    for index, (stars, parts) in enumerate(runs):
        run = r"\.".join(parts)
        if not stars:                                     # only the first run can have no `*` before it
            text += run
            continue
        passed = (r"\." if text else "") + r"[^.]+" + r"\.[^.]+" * (stars - 1)
        if not parts:                                     # `*` at the end
            text += passed + r"(?:\.[^.]+)*+"
        elif index == len(runs) - 1:
            text += passed + rf"(?:\.[^.]+)*?\.{run}"
        else:
            text += rf"(?>{passed}(?:\.[^.]+)*?\.{run}(?=\.))"
    return text + r"\Z"


def _runs(parts: list[str]) -> list[tuple[int, list[str]]]:
    """The pattern as runs of literal parts, each with the number of `*` before it; `*.*` is two parts or more."""
    runs: list[tuple[int, list[str]]] = [(0, [])]
    for part in parts:
        stars, literal = runs[-1]
        if part != "*":
            literal.append("[^.]*".join(re.escape(piece) for piece in part.split("*")))
        elif literal:
            runs.append((1, []))
        else:
            runs[-1] = (stars + 1, literal)
    return runs
