#!/usr/bin/env python3
"""Writes docs/procedures.md out of the rules: what each procedure's steps are, and which of them a capture can show.

    docs/procedures.py          writes the page again; tests/test_procedures_page.py says when that is due
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from flowcheck.rulebook.loader import load_rules          # noqa: E402
from flowcheck.rulebook.rule import Group, Rule, Step            # noqa: E402

PAGE = ROOT / "docs" / "procedures.md"
HEAD = """# The procedures

Every procedure that flowcheck knows, by its clause: the rule that describes it, its steps, and what a capture shows of them. The
samples are listed in [samples/README.md](../samples/README.md), each with what is wrong in it; the rule language is in
[rule-language.md](rule-language.md). `docs/procedures.py` writes this page out of the rules.

| document | clause | title | status | rule | steps seen | never seen | samples: pass, fail, open | example reports |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
FOOT = """
"Seen" is a step that is a message on the wire. What the tables call

- *in the tunnel* needs the IPsec keys or a capture inside the tunnel, *in TLS* the TLS keys; *perhaps* means that it is so in some
  networks. Without them the step is not observable and the verdict inconclusive, never failed.
- *never* is no message, or one of a link no clause puts on the wire. The evidence named is shown in its stead and judges nothing.
- *a course of events* is nothing that one packet shows: the end of a CWMP session, another address inside the tunnel.
- *optional* may be absent. *Shall not occur* is a finding where it does.
"""
LAYERS = {"ipsec": "in the tunnel", "tls": "in TLS"}
EVENTS = ("cwmp.session_end", "device.address_change")


def page() -> str:
    """The page, from the rules that come with the tool."""
    rules = sorted(load_rules(), key=lambda rule: rule.procedure)
    return HEAD + "".join(f"{_row(rule)}\n" for rule in rules) + FOOT + "".join(_section(rule) for rule in rules)


def _row(rule: Rule) -> str:
    seen = sum(1 for step in rule.steps() if not step.unchecked)
    verdicts = Counter(sample.verdict for sample in rule.samples)
    counts = ", ".join(str(verdicts[verdict]) for verdict in ("pass", "fail", "inconclusive"))
    reports = ", ".join(f"[{_short(path, rule)}](../reports/{path.name})" for path in _reports(rule))
    cells = (rule.document, rule.clause, f"[{rule.title}](#{_anchor(rule)})", rule.status,
             f"[`{_file(rule).name}`](../{_file(rule)})",
             str(seen), str(len(rule.steps()) - seen), counts, reports)
    return f"| {' | '.join(cells)} |"


def _section(rule: Rule) -> str:
    lines = [f"\n## {_heading(rule)}\n", f"{rule.describe}\n", "| step | what | message | where it can be seen |",
             "| --- | --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {step.cite} | {step.title} | {_messages(step)} | {_sight(step, free)} |"
                                for step, free in _steps(rule.items))]) + "\n"


def _steps(items: tuple[Step | Group, ...], free: bool = False) -> Iterator[tuple[Step, bool]]:
    """Every step, and whether it or a group around it is optional."""
    for item in items:
        if isinstance(item, Step):
            yield item, free or item.optional
        else:
            yield from _steps(item.items, free or item.optional)


def _messages(step: Step) -> str:
    return "none" if step.unchecked else ", ".join(f"`{kind}`" for kind in step.messages)


def _sight(step: Step, optional: bool) -> str:
    if step.unchecked:
        kinds = list(dict.fromkeys(kind for pattern in step.evidence for kind in pattern.messages))
        stead = f" Evidence: {', '.join(f'`{kind}`' for kind in kinds)}." if kinds else ""
        return f"never. {step.unchecked}{stead}"
    return ", ".join(_remarks(step, optional))


def _remarks(step: Step, optional: bool) -> Iterator[str]:
    if set(step.messages) <= set(EVENTS):
        yield "a course of events"
    if step.inside:
        yield LAYERS[step.inside]
    elif step.perhaps_inside:
        yield f"perhaps {LAYERS[step.perhaps_inside]}"
    elif step.should_be_inside:
        yield f"perhaps {' or '.join(LAYERS[layer] for layer in step.should_be_inside)}"
    else:
        yield "in clear"
    if step.forbidden:
        yield "shall not stay away" if step.silence else "shall not occur"
    elif optional:
        yield "optional"


def _heading(rule: Rule) -> str:
    return f"{rule.document} {rule.clause}: {rule.title}"


def _anchor(rule: Rule) -> str:
    """As GitHub makes it: small letters, blanks as hyphens, no punctuation."""
    kept = (c for c in _heading(rule).lower().replace(" ", "-") if c.isalnum() or c in "-_")
    return "".join(kept)


def _file(rule: Rule) -> Path:
    return Path("rules").joinpath(*Path(rule.path).parts[-2:])


def _reports(rule: Rule) -> list[Path]:
    return sorted((ROOT / "reports").glob(f"{rule.procedure}-*.html"))


def _short(path: Path, rule: Rule) -> str:
    return path.stem.removeprefix(rule.procedure + "-")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
