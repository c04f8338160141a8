"""`flowcheck rules list | show | lint | schema`: each writes to `out` and returns an exit status where it can fail."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from ..errors import UsageError
from .mistakes import did_you_mean
from .loader import load_rules
from .rule import Site
from .site import load_site


def list_rules(paths: Sequence[str | Path] | None, out: TextIO) -> None:
    """One line a rule: procedure, clause, status, numbers of steps and samples, title."""
    rules = load_rules(paths)
    rows = [(rule.procedure, rule.citation, rule.status, f"{len(list(rule.steps()))} steps",
             f"{len(rule.samples)} samples", rule.title) for rule in rules]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        out.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() + "\n")


def show_rule(procedure: str, site: Site | str | Path | None, out: TextIO,
              paths: Sequence[str | Path] | None = None) -> None:
    """One rule with the values of the site (a profile or its path) filled in, and its ladder.

    Raises UsageError where no rule describes the procedure.
    """
    from .show import show

    site = site if isinstance(site, Site) else load_site(site)
    rules = {rule.procedure: rule for rule in load_rules(paths, site=site)}
    if procedure not in rules:
        guess = did_you_mean(procedure, rules) or f"; procedures are {', '.join(rules)}"
        raise UsageError(f"no rule describes '{procedure}'{guess}")
    out.write(show(rules[procedure], site))


def lint_rules(paths: Sequence[str | Path] | None, out: TextIO, site: Site | None = None, strict: bool = False) -> int:
    """Every remark, one a line, then their numbers. Exit status 2 for errors, with `strict` for warnings too."""
    from .lint import ERROR, NOTICE, WARNING, lint

    remarks = lint(paths, site=site)
    for remark in remarks:
        out.write(f"{remark}\n")
    count = {severity: sum(remark.severity == severity for remark in remarks) for severity in (ERROR, WARNING, NOTICE)}
    counts = (f"{number} {severity}{'' if number == 1 else 's'}" for severity, number in count.items())
    out.write(", ".join(counts) + "\n")
    return 2 if count[ERROR] or strict and count[WARNING] else 0


def print_schema(out: TextIO, name: str = "rule") -> None:
    """The JSON Schema of rule files (`rule`) or of site profiles (`site`), for editors."""
    file = {"rule": "schema.json", "site": "site-schema.json"}[name]
    out.write(Path(__file__).with_name(file).read_text(encoding="utf-8"))
