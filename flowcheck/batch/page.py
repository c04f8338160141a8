"""index.html: the run at a glance. One file without network or library; the tables in it can be sorted and filtered.

Its policy (CSP 3) admits only the style sheet and the script that stand in it. Whatever comes from a capture is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .. import __version__
from ..report.times import iso
from . import plots

MOST_CAPTURES = 5_000      # rows of the capture table; beyond it those that passed are left to the tables on disk
_HERE = Path(__file__).parent

Tables = Mapping[str, Sequence[Sequence[Any]]]


def page(columns: Mapping[str, tuple[str, ...]], tables: Tables, reports: Mapping[str, str]) -> str:
    """The whole page. `reports` are the report files by capture path."""
    captures = [dict(zip(columns["captures"], row)) for row in tables["captures"]]
    attempts = [dict(zip(columns["attempts"], row)) for row in tables["attempts"]]
    findings = [dict(zip(columns["findings"], row)) for row in tables["findings"]]
    style, script = (_HERE / "page.css").read_text(encoding="utf-8"), (_HERE / "page.js").read_text(encoding="utf-8")
    policy = f"default-src 'none'; style-src 'sha256-{_hash(style)}'; script-src 'sha256-{_hash(script)}'"
    tags = [name for name in columns["captures"][10:]]
    return "".join((
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>flowcheck batch</title><style>{style}</style></head><body><main><h1>Batch of {len(captures)} captures</h1>",
        _counts(captures, attempts, findings), _files(), _groups(attempts, reports), _causes(attempts),
        _waived(findings),
        _plots(attempts, tables["steps"]), _captures(captures, attempts, reports, tags),
        f'<p class="soft">flowcheck {__version__}</p></main><script>{script}</script></body></html>\n'))


def _counts(captures: Sequence[dict], attempts: Sequence[dict], findings: Sequence[dict]) -> str:
    verdicts = Counter(a["verdict"] for a in attempts)
    status = Counter(c["status"] for c in captures)
    devices = len({a["device"] for a in attempts})
    items = [(len(attempts), "attempts", ""), (verdicts["pass"], "passed", "v-pass"),
             (verdicts["fail"], "failed", "v-fail"),
             (verdicts["inconclusive"], "inconclusive", "v-inconclusive"), (devices, "devices", ""),
             (sum(1 for f in findings if f["waived"]), "waived findings", "soft")]
    items += [(status[name], name, "v-other") for name in ("unreadable", "crashed", "timeout") if status[name]]
    return '<ul class="counts">' + "".join(f'<li class="{css}"><b>{count}</b> {words}</li>'
                                           for count, words, css in items) + "</ul>"


def _files() -> str:
    links = ", ".join(f'<a href="{name}.{kind}">{name}.{kind}</a>'
                      for name in ("captures", "attempts", "findings", "steps")
                      for kind in ("csv", "parquet"))
    return f'<p class="soft">Tables: {links}</p>'


def _groups(attempts: Sequence[dict], reports: Mapping[str, str]) -> str:
    """Failures of one kind together: the same cause at the end of the same trace."""
    groups: dict[str, list[dict]] = defaultdict(list)
    for attempt in attempts:
        if attempt["group"]:
            groups[attempt["group"]].append(attempt)
    body = []
    for name, members in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        example = members[0]
        firmware = ", ".join(sorted({m["software_version"] for m in members if m["software_version"]})[:5])
        body.append(_row([(f"{len(members)}", "number"), (escape(members[0]["cause"] or ""), ""),
                          (escape(example["side"] or ""), ""),
                          (str(len({m["device"] for m in members})), "number"), (escape(firmware), ""),
                          (_link(example["path"], reports), "")]))
    return _table("Groups of failures", "groups", ("Attempts", "Cause", "Side", "Devices", "Firmware", "For example"),
                  body, "Nothing failed.")


def _causes(attempts: Sequence[dict]) -> str:
    seen: dict[str, list[int]] = defaultdict(list)
    for attempt in attempts:
        if attempt["cause"]:
            seen[attempt["cause"]].append(attempt["started"])
    body = [_row([(escape(cause), ""), (str(len(times)), "number"), (_time(min(times)), "time"),
                  (_time(max(times)), "time")])
            for cause, times in sorted(seen.items(), key=lambda item: -len(item[1]))]
    return _table("First and last seen of each cause", "causes",
                  ("Cause", "Attempts", "First seen", "Last seen"), body, "")


def _waived(findings: Sequence[dict]) -> str:
    counts = Counter((f["code"], f["waived"]) for f in findings if f["waived"])
    body = [_row([(escape(code), ""), (escape(reason), ""), (str(count), "number")])
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
        ("Failures by firmware", plots.bars("Failures by firmware",
                                            Counter(a["software_version"] or "unknown" for a in failed))),
        ("Time per step, seconds since the step before", plots.boxes("Time per step", seconds)))
    return "<h2>Plots</h2>" + "".join(f"<figure><figcaption>{title}</figcaption>{svg}</figure>"
                                      for title, svg in figures if svg)


def _captures(captures: Sequence[dict], attempts: Sequence[dict], reports: Mapping[str, str],
              tags: Sequence[str]) -> str:
    causes: dict[str, dict[str, None]] = defaultdict(dict)
    for attempt in attempts:
        if attempt["cause"]:
            causes[attempt["path"]][attempt["cause"]] = None
    shown = captures if len(captures) <= MOST_CAPTURES else [c for c in captures
                                                             if c["verdict"] != "pass"][:MOST_CAPTURES]
    left = f'<p class="soft">{len(captures) - len(shown)} more are in captures.csv.</p>' if len(shown) < len(captures) else ""
    body = []
    for c in shown:
        verdict = c["verdict"] or ("nothing to judge" if c["status"] == "done" else c["status"])
        why = c["reason"] if c["status"] != "done" else "; ".join(causes[c["path"]]) or c["reason"]
        body.append(_row([(_link(c["path"], reports), ""), (escape(verdict), f"v-{c['verdict'] or 'other'}"),
                          (escape(why or ""), ""),
                          (str(c["packets"] if c["packets"] is not None else ""), "number"),
                          (_time(c["first"]), "time"), (escape(c["quality"] or ""), ""),
                          *((escape(str(c[name])), "") for name in tags)], verdict))
    filters = ('<div class="filters"><label>Filter <input id="text" type="search" placeholder="words"></label><label>Verdict '
               '<select id="verdict"><option value="">all</option>' + "".join(f"<option>{name}</option>" for name in (
                   "pass", "fail", "inconclusive", "nothing to judge", "unreadable", "crashed", "timeout"))
               + f'</select></label><span id="shown" role="status">{len(shown)} shown</span></div>')
    head = ("Capture", "Verdict", "Cause or reason", "Packets", "First packet", "Quality", *tags)
    return _table("Captures", "captures", head, body, "No capture.", filters) + left


# ------------------------------------------------------------------------------------------------- small parts

def _table(title: str, name: str, head: Sequence[str], body: Sequence[str], empty: str, above: str = "") -> str:
    if not body:
        return f"<h2>{title}</h2><p>{empty}</p>" if empty else ""
    heads = "".join(f'<th scope="col"><button type="button">{escape(text)}</button></th>' for text in head)
    return (f'<h2>{title}</h2>{above}<table class="sortable" id="{name}"><thead><tr>{heads}</tr></thead><tbody>'
            + "".join(body)
            + "</tbody></table>")


def _row(cells: Iterable[tuple[str, str]], verdict: str = "") -> str:
    mark = f' data-verdict="{escape(verdict)}"' if verdict else ""
    return f"<tr{mark}>" + "".join(f'<td class="{css}">{html}</td>' if css else f"<td>{html}</td>"
                                   for html, css in cells) + "</tr>"


def _link(path: str, reports: Mapping[str, str]) -> str:
    report = reports.get(path)
    return f'<a href="{escape(quote(report))}">{escape(path)}</a>' if report else escape(path)


def _time(time: int | None) -> str:
    text = iso(time)
    return f"{text[:10]} {text[11:19]}" if text else ""


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
