"""index.html: the run at a glance. One file without network or library; the tables in it can be sorted and filtered.

Its policy (CSP 3) admits only the style sheet and the script that stand in it. Whatever comes from a capture is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .. import __version__
from ..report.times import iso
from ..report.visible import line
from ..report.words import ICONS, SIDE_WORDS, plural
from . import plots

MOST_CAPTURES = 5_000      # rows of the capture table; beyond it those that passed are left to the tables on disk
_COMMON = 12               # causes in the first table; rarer ones stand in one that opens
_FIRMWARE = 5              # versions named beside a cause
_EXAMPLES = 3              # reports linked for a cause, each after another course of steps
_HERE = Path(__file__).parent

Tables = Mapping[str, Sequence[Sequence[Any]]]
Words = Mapping[str, Sequence[str]]                    # by cause: cite, clause, what was expected, what to look at


def page(columns: Mapping[str, tuple[str, ...]], tables: Tables, reports: Mapping[str, str], words: Words,
         undecided: Mapping[str, Sequence[str]]) -> str:
    """The whole page. `reports` are the report files by capture path, `undecided` what kept attempts from a verdict."""
    captures = [dict(zip(columns["captures"], row)) for row in tables["captures"]]
    attempts = [dict(zip(columns["attempts"], row)) for row in tables["attempts"]]
    findings = [dict(zip(columns["findings"], row)) for row in tables["findings"]]
    style, script = (_HERE / "page.css").read_text(encoding="utf-8"), (_HERE / "page.js").read_text(encoding="utf-8")
    policy = f"default-src 'none'; style-src 'sha256-{_hash(style)}'; script-src 'sha256-{_hash(script)}'"
    tags = columns["captures"][10:]
    link = _Links(captures, reports)
    title = f"Batch of {plural(len(captures), 'capture')}"
    return "".join((
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>flowcheck: {title}</title><style>{style}</style></head><body><main><h1>{title}</h1>",
        _counts(captures, attempts, findings), _about(captures, link.folder), _causes(attempts, words, link),
        _plots(attempts, tables["steps"]), _waived(findings), _captures(captures, attempts, undecided, link, tags),
        f'<p class="soft">flowcheck {__version__}</p></main><script>{script}</script></body></html>\n'))


class _Links:
    """Captures by their path below the folder that all of them are in, with their reports."""

    def __init__(self, captures: Sequence[dict], reports: Mapping[str, str]):
        self.reports = reports
        paths = [capture["path"] for capture in captures]
        apart = len(paths) < 2 or any("://" in path or os.path.isabs(path) != os.path.isabs(paths[0]) for path in paths)
        folder = "" if apart else os.path.commonpath([os.path.dirname(path) for path in paths])
        self.folder = "" if folder == "/" else folder

    def __call__(self, path: str) -> str:
        shown = _breaking(path.removeprefix(self.folder + "/") if self.folder else path, 400)
        report = self.reports.get(path)
        return f'<a href="{escape(quote(report))}">{shown}</a>' if report else shown


def _counts(captures: Sequence[dict], attempts: Sequence[dict], findings: Sequence[dict]) -> str:
    verdicts = Counter(a["verdict"] for a in attempts)
    status = Counter(c["status"] for c in captures)
    items = [(len(attempts), "attempts", ""), (verdicts["pass"], f"{ICONS['pass']} passed", "v-pass"),
             (verdicts["fail"], f"{ICONS['fail']} failed", "v-fail"),
             (verdicts["inconclusive"], f"{ICONS['inconclusive']} inconclusive", "v-inconclusive"),
             (len({a["device"] for a in attempts}), "devices", "")]
    items += [(status[name], f"captures {name}", "v-other") for name in ("unreadable", "crashed", "timeout")
              if status[name]]
    waived = sum(1 for f in findings if f["waived"])
    items += [(waived, "waived findings", "soft")] if waived else []
    return '<ul class="counts">' + "".join(f'<li class="{css}"><b>{count:,}</b> {words}</li>'
                                           for count, words, css in items) + "</ul>"


def _about(captures: Sequence[dict], folder: str) -> str:
    """Where the captures are and when they were recorded, and the same as tables for programs."""
    first, last = ([c[name] for c in captures if c[name] is not None] for name in ("first", "last"))
    when = f"recorded from {_time(min(first))} to {_time(max(last))} UTC" if first and last else ""
    where = f"paths are below {escape(line(folder, 400))}" if folder else ""
    links = "; ".join(f'{name} <a href="{name}.csv">csv</a> <a href="{name}.parquet">parquet</a>'
                      for name in ("captures", "attempts", "findings", "steps"))
    told = "; ".join(filter(None, (when, where)))
    return "".join(f'<p class="soft">{text}</p>' for text in (told, f"Tables: {links}") if text)


def _causes(attempts: Sequence[dict], words: Words, link: _Links) -> str:
    """Failures with the same cause together, with an example of each course of steps that led to it."""
    failed: dict[str, list[dict]] = defaultdict(list)
    for attempt in attempts:
        if attempt["group"]:
            failed[attempt["cause"] or ""].append(attempt)
    body = []
    for cause, members in sorted(failed.items(), key=lambda item: (-len(item[1]), item[0])):
        courses: dict[str, str] = {}
        for member in members:
            courses.setdefault(member["group"], member["path"])
        side = SIDE_WORDS.get(members[0]["side"], members[0]["side"] or "")
        body.append(_row([
            (str(len(members)), "number"),
            (f"<b>{_breaking(cause, 300)}</b>{_meaning(words.get(cause))}", "cause"), (escape(side), "side"),
            (str(len({m["device"] for m in members})), "number"), (_firmware(members), ""),
            (_time(min(m["started"] for m in members)), "time"), (_time(max(m["started"] for m in members)), "time"),
            ("<br>".join(link(path) for path in list(dict.fromkeys(courses.values()))[:_EXAMPLES]), "path")]))
    head = ("Attempts", "Cause", "To act", "Devices", "Firmware", "First seen", "Last seen", "For example")
    first = _table("Why attempts failed", "causes", head, body[:_COMMON], "Nothing failed.", css="sortable causes")
    rest = _table("", "rarer", head, body[_COMMON:], "", css="sortable causes")
    summary = f"<summary>{plural(len(body) - _COMMON, 'rarer cause')}</summary>"
    return first + (f"<details>{summary}{rest}</details>" if rest else "")


def _meaning(said: Sequence[str] | None) -> str:
    if said is None:
        return ""
    cite, clause, expected, hint = (line(text, 300) for text in said)
    where = f"Step {cite} of {clause}: " if cite else f"{clause}: "
    return f'<div class="soft">{escape(where)}{escape(expected)}.{" " * bool(hint)}{escape(hint)}</div>'


def _firmware(members: Sequence[dict]) -> str:
    versions = Counter(m["software_version"] for m in members if m["software_version"])
    named = ", ".join(escape(line(name, 60)) for name, _ in versions.most_common(_FIRMWARE))
    return named + (f" and {len(versions) - _FIRMWARE} more" if len(versions) > _FIRMWARE else "")


def _waived(findings: Sequence[dict]) -> str:
    counts = Counter((f["code"], f["waived"]) for f in findings if f["waived"])
    body = [_row([(_breaking(code, 300), ""), (escape(line(reason, 400)), ""), (str(count), "number")])
            for (code, reason), count in counts.most_common()]
    return _table("Known deviations waived by the site profile", "waived", ("Finding", "Reason", "Times"), body, "")


def _plots(attempts: Sequence[dict], steps: Iterable[Sequence[Any]]) -> str:
    failed = [a for a in attempts if a["verdict"] == "fail"]
    seconds: dict[str, list[float]] = defaultdict(list)
    for _, _, procedure, _, step, cite, _, took in steps:
        if took is not None:
            seconds[f"{procedure} {cite} {step}"].append(took)
    figures = (
        ("Verdicts over time", plots.over_time([(a["started"], a["verdict"]) for a in attempts])),
        ("Failures by cause", plots.bars("Failures by cause", Counter(a["cause"] or "" for a in failed))),
        ("Failures by step", plots.bars("Failures by step",
                                        Counter("/".join((a["cause"] or "").split("/")[:2]) for a in failed))),
        ("Failures by firmware, of its attempts", plots.bars(
            "Failures by firmware", Counter(a["software_version"] or "unknown" for a in failed),
            Counter(a["software_version"] or "unknown" for a in attempts))),
        ("Time per step, seconds since the step before", plots.boxes("Time per step", seconds)))
    return '<h2>Plots</h2><div class="plots">' + "".join(
        f"<figure><figcaption>{title}</figcaption>{svg}</figure>" for title, svg in figures if svg) + "</div>"


def _captures(captures: Sequence[dict], attempts: Sequence[dict], undecided: Mapping[str, Sequence[str]], link: _Links,
              tags: Sequence[str]) -> str:
    causes: dict[str, dict[str, None]] = defaultdict(dict)
    for attempt in attempts:
        if attempt["cause"]:
            causes[attempt["path"]][attempt["cause"]] = None
    for path, reasons in undecided.items():
        causes[path] |= dict.fromkeys(reasons)
    shown = captures if len(captures) <= MOST_CAPTURES else [c for c in captures
                                                             if c["verdict"] != "pass"][:MOST_CAPTURES]
    left = f'<p class="soft">{len(captures) - len(shown)} more are in captures.csv.</p>' if len(shown) < len(captures) else ""
    body = []
    for c in shown:
        verdict = c["verdict"] or ("nothing to judge" if c["status"] == "done" else c["status"])
        why = c["reason"] if c["status"] != "done" else "; ".join(causes[c["path"]]) or c["reason"]
        body.append(_row([(link(c["path"]), "path"),
                          (f"{ICONS[c['verdict']]} {escape(verdict)}", f"verdict v-{c['verdict'] or 'other'}"),
                          (_breaking(why or "", 600), ""),
                          (str(c["packets"] if c["packets"] is not None else ""), "number"),
                          (_time(c["first"]), "time"), (escape(c["quality"] or ""), ""),
                          *((escape(line(c[name], 200)), "") for name in tags)], verdict))
    filters = ('<div class="filters"><label>Filter <input id="text" type="search" placeholder="words"></label><label>Verdict '
               '<select id="verdict"><option value="">all</option>' + "".join(f"<option>{name}</option>" for name in (
                   "pass", "fail", "inconclusive", "nothing to judge", "unreadable", "crashed", "timeout"))
               + f'</select></label><span id="shown" role="status">{len(shown)} shown</span></div>')
    head = ("Capture", "Verdict", "Cause or reason", "Packets", "First packet", "Quality", *tags)
    return _table("Captures", "captures", head, body, "No capture.", filters) + left


# ------------------------------------------------------------------------------------------------- small parts

def _table(title: str, name: str, head: Sequence[str], body: Sequence[str], empty: str, above: str = "",
           css: str = "sortable") -> str:
    if not body:
        return f"<h2>{title}</h2><p>{empty}</p>" if empty else ""
    title = f"<h2>{title}</h2>" if title else ""
    heads = "".join(f'<th scope="col"><button type="button">{escape(text)}</button></th>' for text in head)
    return (f'{title}{above}<table class="{css}" id="{name}"><thead><tr>{heads}</tr></thead><tbody>'
            + "".join(body)
            + "</tbody></table>")


def _row(cells: Iterable[tuple[str, str]], verdict: str = "") -> str:
    mark = f' data-verdict="{escape(verdict)}"' if verdict else ""
    return f"<tr{mark}>" + "".join(f'<td class="{css}">{html}</td>' if css else f"<td>{html}</td>"
                                   for html, css in cells) + "</tr>"


def _breaking(text: str, limit: int) -> str:
    """Paths and codes in one line, which is broken at their slashes first."""
    return escape(line(text, limit)).replace("/", "/<wbr>")


def _time(time: int | None) -> str:
    text = iso(time)
    return f"{text[:10]} {text[11:19]}" if text else ""


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
