"""A page of the HTML report around its attempts: the first screen, causes, index of devices, bring-up, limits, provenance.

What stands on many pages is made once, when a `Report` is. Anchors are stable: `d1` is a device, `d1.a1` its attempt;
devices are numbered as the result has them, and shown with the worst verdict first.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from flowcheck.model import FAIL, INCONCLUSIVE, PASS, UNKNOWN, AttemptResult, CaptureInfo, DeviceResult, Opaque, Result, worst
from flowcheck.report import ladder, words
from flowcheck.report.html_attempt import NEEDED, Run, copy, filters, side, step_words, with_code
from flowcheck.report.markup import inline, lines
from flowcheck.report.times import clock, day, iso, span

FULL = 200                    # attempts shown with ladder, steps and messages; the others have their row of the index
_EXAMPLES = 20                # of every cause, and of each procedure that passed or stayed open, where there are more attempts than FULL
DEVICES = 10_000              # rows of the index
_ATTEMPTS = 1_000             # rows of a device's bring-up
_OPAQUE = 500
_CAUSES = 500
_SENTENCE = 400               # characters of what stands on the first screen

Numbered = tuple[int, DeviceResult]


@dataclass(frozen=True, slots=True)
class Report:
    """A result with what all its pages share. `full` are (device, attempt) of those shown in full, counted from 1."""

    result: Result
    run: Run
    numbered: list[Numbered]                    # those with the worst verdict first; numbers follow the result
    full: frozenset[tuple[int, int]]
    captures: str                               # the HTML of the captures' limits
    provenance: str

    @classmethod
    def of(cls, result: Result) -> Report:
        run = Run.of(result.captures)
        return cls(result, run, in_order(result), chosen(result),
                   "".join(map(_capture, result.captures, run.shown)), _provenance(result))


def in_order(result: Result) -> list[Numbered]:
    """The devices with their numbers, those with the worst verdict first."""
    def rank(device: DeviceResult) -> int:
        return min((words.WORST_FIRST.index(attempt.verdict) for attempt in device.attempts), default=len(words.WORST_FIRST))

    known = ((number, device) for number, device in enumerate(result.devices, 1) if device.id != UNKNOWN)
    return sorted(known, key=lambda row: (rank(row[1]), row[0]))


def chosen(result: Result) -> frozenset[tuple[int, int]]:
    """(device, attempt) of those shown in full: all; or of very many examples of every cause and verdict, then the worst of the rest.

    What a thousand devices did alike is told once, in examples. Passes beyond them are left to the index.
    """
    ranks: dict[tuple[str, str], int] = {}
    order = []
    for number, device in enumerate(result.devices, 1):
        for place, one in enumerate(device.attempts, 1):
            group = one.verdict, one.cause or one.procedure
            ranks[group] = rank = ranks.get(group, -1) + 1
            order.append((rank >= _EXAMPLES, words.WORST_FIRST.index(one.verdict), rank, number, place))
    if len(order) > FULL:
        order = sorted(entry for entry in order if not entry[0] or entry[1] < words.WORST_FIRST.index(PASS))[:FULL]
    return frozenset((number, place) for *_, number, place in order)


def page(report: Report, sections: Iterable[str], only: Numbered | None = None, back: str = "", folder: str = "") -> str:
    """The whole page. `only` makes it one of a single device, `back` is then the way to the others; `folder` makes it their index."""
    numbered = report.numbered if only is None else [only]
    result = report.result if only is None else replace(report.result, devices=(only[1],))
    verdict = result.verdict
    found = next(((number, device, place) for number, device in numbered for place, one in enumerate(device.attempts, 1)
                  if one.verdict == verdict), None)
    many = sum(len(device.attempts) for _, device in numbered) > 1
    return "".join((
        _head(_title(result, found), back), _first_screen(report, result, found, folder),
        "" if back else _causes(numbered, report.full, folder), "\n", _filters(numbered, back, folder) if many else "",
        '\n<div id="devices">\n', _index(report, numbered, folder) if len(numbered) > 1 and not back else "", "\n", *sections,
        '<p id="none" hidden>No attempt matches the search and filters.</p>\n</div>\n\n', _limits(report, only if back else None), "\n",
        report.provenance, f"</main>\n<script>{source('script.js')}</script>\n</body>\n</html>\n"))


def badge(verdict: str | None) -> str:
    return (f'<span class="badge {verdict or "none"}"><span aria-hidden="true">{words.ICONS[verdict]}</span> '
            f'{words.WORDS[verdict]}</span>')


@cache
def source(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------------------------- the frame

def _head(title: str, back: str) -> str:
    style, script = source("style.css"), source("script.js")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="flowcheck">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#summary">Skip to the result</a>
<header class="top">
  <span class="brand">flowcheck deviation report</span>
  <nav aria-label="Parts of this report">
{f'    <a href="{inline(back)}">All devices</a>' + chr(10) if back else ""}    <a href="#summary">Result</a>
    <a href="#devices">Devices</a>
    <a href="#limits">Capture limits</a>
    <a href="#provenance">Provenance</a>
  </nav>
</header>
<main>

"""


@cache
def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _title(result: Result, found: tuple[int, DeviceResult, int] | None) -> str:
    word = words.WORDS[result.verdict]
    if found is None:
        return word
    _, device, place = found
    if len(result.known) > 1:
        return f"{word}: {words.tally(result)}"
    return f"{word}: {inline(device.attempts[place - 1].procedure, 80)}, {inline(device.id, 120)}"


def _first_screen(report: Report, result: Result, found: tuple[int, DeviceResult, int] | None, folder: str) -> str:
    verdict = result.verdict
    head = f'<section id="summary" class="hero {verdict or "none"}" aria-labelledby="verdict">\n  <h1 id="verdict">{badge(verdict)}\n'
    if found is None:
        return head + ('  </h1>\n  <p class="cause">No device tried a procedure that the rules describe. The limits of the capture are listed '
                       "below.</p>\n</section>\n\n")
    number, device, place = found
    one = device.attempts[place - 1]
    cause = words.cause(one)
    base = f"{inline(folder)}/d{number}.html" if folder else ""
    acts, cite = side(one), inline(cause.cite, 20) if cause else ""
    out = [head, f'    <span class="what">{inline(one.procedure, 80)}</span> <span class="title">{inline(one.title, 200)}</span>\n  </h1>\n']
    if sum(len(d.attempts) for d in result.devices) > 1:
        out.append(f'  <p class="tally">{words.tally(result)}{". The first that did not pass:" if verdict != PASS else ""}</p>\n')
    out.append(f'  <p class="cause">{inline(one.diagnosis, _SENTENCE)}</p>\n  <dl class="facts">\n')
    if acts:
        out.append(f'    <div class="act"><dt>Who should act</dt><dd>{acts}</dd></div>\n')
    if cause and cause.frames:
        out.append(f'    <div class="act"><dt>Evidence</dt><dd>{report.run.frames(cause.frames)}</dd></div>\n')
    out.append(f'    <div><dt>Device</dt><dd><a href="{base}#d{number}">{inline(device.id, 120)}</a></dd></div>\n'
               f"    <div><dt>Furthest step reached</dt><dd>{step_words(words.furthest(one))}</dd></div>\n")
    if cause:
        out.append(f'    <div><dt>Expected</dt><dd class="wire">{inline(cause.expected, _SENTENCE)}</dd></div>\n'
                   f'    <div><dt>Observed</dt><dd class="wire">{inline(cause.observed, _SENTENCE)}</dd></div>\n')
        out += [f'    <div><dt>{name}</dt><dd class="wire">{inline(value, _SENTENCE)}</dd></div>\n'
                for name, value in (("Why", cause.why), (NEEDED, cause.repair)) if value]
    grades = "; \n".join(f'      <a href="#limits">{name}: <span aria-hidden="true">{_GRADES.get(c.grade, "?")}</span> {inline(c.grade, 20)}'
                         f'{", cut short" if c.truncated else ""}</a>' for c, name in zip(result.captures, report.run.shown))
    out.append(f"    <div><dt>Clause</dt><dd>{inline(one.clause, 200)}{f', step {cite}' if cause else ''}</dd></div>\n"
               f"    <div><dt>Capture quality</dt><dd>\n{grades}\n    </dd></div>\n  </dl>\n")
    if one.verdict == INCONCLUSIVE and one.advice:
        rows = "".join(f"      <li>{with_code(text)}</li>\n" for text in one.advice[:3])
        out.append(f'  <div class="advice"><strong>What would decide it</strong>\n    <ul>\n{rows}    </ul>\n  </div>\n')
    if cause and cause.hint:
        out.append(f'  <p class="hint"><strong>Look at:</strong> {inline(cause.hint, _SENTENCE)}</p>\n')
    if cause:
        out += [f'  <p class="copyline"><span class="label">Wireshark filter{place}</span> <code>{filter}</code> {copy(filter, "Copy filter")}</p>\n'
                for place, filter in filters(report.run, cause)]
    out.append('  <p class="more">\n')
    if folder:
        out.append(f"    This result is too large for one file: each device has its own, in the folder <code>{inline(folder)}</code>.\n")
    out.append(f'    <a href="{base}#d{number}.a{place}">Show ladder, steps and messages of this attempt</a>\n  </p>\n</section>\n\n')
    return "".join(out)


# ---------------------------------------------------------------------------------------------------- all devices

def _causes(numbered: Sequence[Numbered], full: frozenset[tuple[int, int]], folder: str) -> str:
    """Failed attempts that have one cause in common, the commonest first; nothing where there is only one."""
    groups: dict[str, list[tuple[int, int, str]]] = {}
    sides: dict[str, str] = {}
    for number, device in numbered:
        for place, one in enumerate(device.attempts, 1):
            if one.verdict == FAIL:
                code = inline(one.cause or one.procedure, 200)
                groups.setdefault(code, []).append((number, place, device.id))
                sides.setdefault(code, side(one))
    if sum(map(len, groups.values())) < 2:
        return ""
    out = ['<section id="causes" aria-labelledby="causes-h">\n  <h2 id="causes-h">Causes</h2>\n'
           '  <div class="scroll" role="region" aria-labelledby="causes-h" tabindex="0">\n  <table>\n'
           '    <thead><tr><th scope="col">Attempts</th><th scope="col">Cause</th><th scope="col">Who should act</th><th scope="col">Where</th></tr>'
           "</thead>\n    <tbody>\n"]
    for code, rows in sorted(groups.items(), key=lambda row: (-len(row[1]), row[0]))[:_CAUSES]:
        places = ", \n".join(_link(device, number, place, full, folder) for number, place, device in rows[:30])
        more = f"      and {len(rows) - 30} more\n" if len(rows) > 30 else ""
        out.append(f'    <tr><td class="number">{len(rows)}</td><td><code>{code}</code></td><td>{sides[code]}</td><td>\n{places}\n{more}    </td></tr>\n')
    out.append("    </tbody>\n  </table>\n  </div>\n</section>\n")
    return "".join(out)


def _link(name: str, number: int, place: int, full: frozenset[tuple[int, int]], folder: str) -> str:
    shown = inline(name, 120)
    file = f"{inline(folder)}/d{number}.html" if folder else ""
    return f'<a href="{file}#d{number}.a{place}">{shown}</a>' if (number, place) in full else shown


def _filters(numbered: Sequence[Numbered], back: str, folder: str) -> str:
    """What chooses among the attempts on this page; on a mere index among its rows."""
    attempts = [attempt for _, device in numbered for attempt in device.attempts]
    cites = sorted({(ladder.safe_name(f.cite), inline(f.cite, 20)) for a in attempts for f in a.findings})
    fields = [_choice("Verdict", "verdict", [(v, words.WORDS[v]) for v in words.WORST_FIRST if any(a.verdict == v for a in attempts)])]
    if len(numbered) > 1 and not back:
        fields.append(_choice("Device", "device", [(f"d{number}", inline(device.id, 80)) for number, device in numbered[:DEVICES]]))
    fields.append(_choice("Procedure", "procedure", [(name, name) for name in sorted({inline(a.procedure, 80) for a in attempts})]))
    if cites:
        fields.append(_choice("Deviating step", "step", cites))
    buttons, keys = "", "<kbd>/</kbd> search <kbd>Esc</kbd> clear"
    if not folder:
        protocols = {event.kind.partition(".")[0] for a in attempts for event in a.events}
        fields.append(_choice("Protocol", "protocol", [(name, name) for name in sorted(set(map(ladder.safe_name, protocols)))]))
        buttons = ('  <span class="buttons"><button type="button" id="f-prev" title="p or left arrow">Previous failure</button> <button type="button" '
                   'id="f-next" title="n or right arrow">Next failure</button></span>\n')
        keys = "<kbd>/</kbd> search <kbd>n</kbd> <kbd>p</kbd> next, previous failure <kbd>Esc</kbd> clear"
    return ('<form id="filters" class="filters" role="search" aria-label="Search and filter attempts" hidden>\n'
            '  <label>Search <input type="search" id="f-q" autocomplete="off" spellcheck="false" placeholder="text, address, frame"></label>\n'
            + "".join(fields) + f'  <button type="button" id="f-clear">Clear</button>\n{buttons}  <output id="f-count" aria-live="polite"></output>\n'
            f'  <span class="keys">{keys}</span>\n</form>\n')


def _choice(label: str, name: str, options: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f'<option value="{value}">{word}</option>' for value, word in options)
    return f'  <label>{label} <select id="f-{name}"><option value="">all</option>{rows}</select></label>\n'


def _index(report: Report, numbered: Sequence[Numbered], folder: str) -> str:
    full, every = len(report.full), sum(len(device.attempts) for _, device in numbered)
    out = ['<section aria-labelledby="index-h">\n  <h2 id="index-h">Devices</h2>\n']
    if full < every:
        out.append(f"  <p>{full} of {every} attempts are shown in full: examples of every cause and procedure, then failures. "
                   "<code>flowcheck report render RESULT.json --device ID</code> shows those of any device, from the JSON of this check.</p>\n")
    out.append('  <div class="scroll tall" role="region" aria-labelledby="index-h" tabindex="0">\n  <table class="index">\n'
               '    <thead><tr><th scope="col">Verdict</th><th scope="col">Device</th><th scope="col">Procedures, in order</th></tr></thead>\n'
               "    <tbody>\n")
    out += [_index_row(report, number, device, folder) for number, device in numbered[:DEVICES]]
    out.append("    </tbody>\n  </table>\n  </div>\n")
    if len(numbered) > DEVICES:
        out.append(f"  <p>… and {len(numbered) - DEVICES} more devices, none worse than those above.</p>\n")
    out.append("</section>\n")
    return "".join(out)


def _index_row(report: Report, number: int, device: DeviceResult, folder: str) -> str:
    """An attempt that is not shown in full says what went wrong itself; one that is not on this page is found by its row."""
    file = f"{inline(folder)}/d{number}.html" if folder else ""
    chips, shown = [], False
    for place, one in enumerate(device.attempts[:_ATTEMPTS], 1):
        full, procedure = (number, place) in report.full, inline(one.procedure, 80)
        text = f'<span aria-hidden="true">{words.ICONS[one.verdict]}</span> {procedure} <span class="word">{words.WORDS[one.verdict]}</span>'
        data = ""
        if folder or not full:
            cites = " ".join(sorted({ladder.safe_name(finding.cite) for finding in one.findings}))
            data = f' data-verdict="{one.verdict}" data-device="d{number}" data-procedure="{procedure}" data-steps="{cites}"'
        if full:
            shown = True
            chips.append(f'      <a class="chip {one.verdict}"{data} href="{file}#d{number}.a{place}">{text}</a>\n')
        else:
            diagnosis = "" if one.verdict == PASS else inline(one.diagnosis, _SENTENCE)
            chips.append(f'      <span class="chip {one.verdict}"{data}>{text}</span> {diagnosis}\n')
    name = inline(device.id, 120) or "unknown"
    if shown:
        name = f'<a href="{file}#d{number}">{name}</a>'
    verdict = worst(one.verdict for one in device.attempts)
    return (f'    <tr data-device="d{number}"><td>{badge(verdict)}</td>\n      <th scope="row">{name}</th><td>\n{"".join(chips)}'
            "      </td></tr>\n")


# ---------------------------------------------------------------------------------------------------- one device

def section(device: DeviceResult, number: int, full: frozenset[tuple[int, int]], attempts: Iterable[str]) -> str:
    """A device: who it is, which procedures it tried in which order, how far each got; then `attempts`, the HTML of those in full."""
    id, name = f"d{number}", inline(device.id, 120) or "unknown"
    identity = "".join(f"    <div><dt>{inline(key, 60).replace('_', ' ')}</dt><dd>{inline(value, 300)}</dd></div>\n" for key, value in device.identity.items())
    if device.addresses:
        identity += f"    <div><dt>addresses</dt><dd>{', '.join(inline(address, 100) for address in device.addresses[:50])}</dd></div>\n"
    evidence = "".join(f"      <li>{inline(text, 600)}</li>\n" for text in device.evidence[:100])
    if evidence:
        evidence = f'  <details class="evidence"><summary>Why these addresses are this device</summary>\n    <ul>\n{evidence}    </ul>\n  </details>\n'
    return (f'<section class="device" id="{id}" aria-labelledby="{id}-h">\n  <h2 id="{id}-h">{name}</h2>\n  <dl class="identity">\n{identity}  </dl>\n'
            f'{evidence}  <h3 id="{id}-b">Bring-up</h3>\n  <ol class="bringup" aria-labelledby="{id}-b">\n{_bring_up(device, number, full)}  </ol>\n'
            + "".join(attempts) + "</section>\n")


def _bring_up(device: DeviceResult, number: int, full: frozenset[tuple[int, int]]) -> str:
    rows = []
    before: AttemptResult | None = None
    numbered = sorted(enumerate(device.attempts, 1), key=lambda row: (words.WORST_FIRST.index(row[1].verdict), row[0]))[:_ATTEMPTS]
    for place, one in sorted(numbered, key=lambda row: (row[1].started, row[0])):
        link = f' href="#d{number}.a{place}"' if (number, place) in full else ""
        since = "" if before is None else f' <span class="since">+{span(one.started - before.started)}</span>'
        said = one.diagnosis and one.verdict != PASS and (len(device.attempts) > 1 or not link)         # a single one says it just below
        why = f'      <span class="why">{inline(one.diagnosis, 600)}</span>\n' if said else ""
        rows.append(f'    <li class="{one.verdict}">\n      <span class="when"><span title="UTC">{day(one.started)} {clock(one.started)}</span>{since}</span>\n'
                    f'      <span class="line"><a{link}>{badge(one.verdict)} {inline(one.procedure, 80)}</a> <span class="title">{inline(one.title, 200)}</span></span>\n'
                    f'      <span class="strip" role="img" aria-label="reached step {step_words(words.furthest(one))}">{_strip(one)}</span>\n{why}    </li>\n')
        before = one
    if len(device.attempts) > len(rows):
        rows.append(f"    <li>… and {len(device.attempts) - len(rows)} more attempts, none worse than these</li>\n")
    return "".join(rows)


def _strip(one: AttemptResult) -> str:
    """A sign for each step."""
    follows = words.follow_on(one)
    return "".join([
        f'<span class="{step.state}{" follow" if step.step in follows else ""}" title="{inline(step.cite, 12)} {inline(step.title or step.step, 120)}: '
        f'{words.state_words(step.state)}">{words.STATE_ICONS.get(step.state, "?")}<small>{inline(step.cite, 12)}</small></span>' for step in one.steps[:80]])


def heading(one: AttemptResult, anchor: str, device: int, body: str, packed: str) -> str:
    """An attempt under its heading: `body` as it is, or `packed` until it is opened."""
    cites = " ".join(sorted({ladder.safe_name(finding.cite) for finding in one.findings}))
    protocols = " ".join(sorted({ladder.safe_name(kind) for kind in {event.kind.partition(".")[0] for event in one.events}}))
    procedure = inline(one.procedure, 80)
    if packed:
        inside = (f'    <div class="body" data-packed="{packed}"><p class="waits">The details of this passed attempt are packed, to keep the report small: '
                  "they open where scripts may run. <code>flowcheck check --json</code> holds them as well.</p></div>\n")
    else:
        inside = f'    <div class="body">{body}</div>\n'
    return (f'  <details class="attempt {one.verdict}" id="{anchor}" data-verdict="{one.verdict}" data-device="d{device}" data-procedure="{procedure}" '
            f'data-steps="{cites}" data-protocols="{protocols}"{"" if one.verdict == PASS else " open"}>\n    <summary>\n'
            f'      <h3>{badge(one.verdict)} {procedure} <span class="title">{inline(one.title, 200)}</span></h3>\n'
            f'      <span class="meta">{clock(one.started)} UTC, {span(max(0, one.ended - one.started))}; reached step '
            f'{step_words(words.furthest(one))}</span>\n    </summary>\n{inside}  </details>\n')


# ---------------------------------------------------------------------------------------------------- the capture's limits

_GRADES = {"good": "✓", "fair": "⚠", "poor": "✗"}


def _limits(report: Report, only: Numbered | None) -> str:
    """What the captures can show; of the traffic that nobody could read, all of it or that of one device."""
    opaque: Sequence[Opaque] = report.result.opaque
    if only is not None:
        hosts = set(only[1].addresses)
        opaque = [one for one in opaque if one.src.address in hosts or one.dst.address in hosts]
    rows = more = ""
    if opaque:
        rows = ('  <h3 id="opaque-h">Traffic that could not be read</h3>\n'
                '  <div class="scroll" role="region" aria-labelledby="opaque-h" tabindex="0">\n  <table>\n'
                '    <thead><tr><th scope="col">Kind</th><th scope="col">From, to (UTC)</th><th scope="col">Hosts</th><th scope="col">Packets</th>'
                '<th scope="col">Octets</th><th scope="col">First and last frame</th></tr></thead>\n    <tbody>\n'
                + "".join(f'    <tr><td>{inline(o.kind, 60)}</td><td>{clock(o.start)} – {clock(o.end)}</td><td>{inline(f"{o.src} → {o.dst}", 200)}</td>'
                          f'<td class="number">{o.packets:,}</td><td class="number">{o.size:,}</td><td>{report.run.frames(o.frames)}</td></tr>\n'
                          for o in opaque[:_OPAQUE]) + "    </tbody>\n  </table>\n  </div>\n")
    if len(opaque) > _OPAQUE:
        more = f"  <p>… and {len(opaque) - _OPAQUE} more.</p>\n"
    return (f'<section id="limits" aria-labelledby="limits-h">\n  <h2 id="limits-h">What the capture can show</h2>\n{report.captures}{rows}{more}'
            f"{_of_nobody(report.result) if only is None else ''}</section>\n")


def _of_nobody(result: Result) -> str:
    """What could not be assigned to any device."""
    told = "".join(f"    <li>{inline(text, 600)}</li>\n" for device in result.devices if device.id == UNKNOWN for text in device.evidence[:100])
    between = ", ".join(inline(address, 100) for device in result.devices if device.id == UNKNOWN for address in device.addresses[:50])
    return f'  <h3 id="unknown">Belonging to no device</h3>\n  <ul>\n{told}  </ul>\n  <p>Hosts: {between}</p>\n' if told else ""


def _capture(capture: CaptureInfo, name: str) -> str:
    length = "" if capture.first is None or capture.last is None else f" ({span(capture.last - capture.first)})"
    undecoded = sorted(capture.undecoded.items(), key=lambda row: (-row[1], row[0]))[:50]
    remarks = "".join(f"      <li>{inline(text, 600)}</li>\n" for text in capture.remarks[:100])
    grade = inline(capture.grade, 20)
    return (f'  <section class="card">\n    <h3>{name} <span class="grade {grade}"><span aria-hidden="true">{_GRADES.get(capture.grade, "?")}</span> '
            f'{grade}</span></h3>\n    <dl class="facts">\n      <div><dt>Window</dt><dd>{iso(capture.first) or "–"} to {iso(capture.last) or "–"}{length}</dd></div>\n'
            f"      <div><dt>Packets</dt><dd>{capture.packets:,}{f', {inline(capture.format, 40)}' if capture.format else ''}</dd></div>\n"
            f'      <div><dt>Ends</dt><dd>{"in the middle of a packet, or damaged" if capture.truncated else "with a whole packet"}</dd></div>\n'
            f'      <div><dt>Not decoded</dt><dd>{", ".join(f"{inline(port, 80)} ({count:,} packets)" for port, count in undecoded) or "nothing"}</dd></div>\n'
            "    </dl>\n" + (f"    <ul>\n{remarks}    </ul>\n" if remarks else "") + "  </section>\n")


def _provenance(result: Result) -> str:
    facts = "".join(f"    <div><dt>{inline(key, 80)}</dt><dd>{inline(value, 300)}</dd></div>\n" for key, value in result.tool.items())
    if result.created is not None:
        facts += f"    <div><dt>written</dt><dd>{iso(result.created)}</dd></div>\n"
    command = f'  <p class="copyline"><span class="label">Command</span> <code>{lines(result.command)}</code></p>\n' if result.command else ""
    files = "".join(f'    <tr><th scope="row">{inline(c.path, 500)}</th><td><code>{inline(c.sha256, 80)}</code></td></tr>\n' for c in result.captures)
    return (f'<section id="provenance" aria-labelledby="provenance-h">\n  <h2 id="provenance-h">Provenance</h2>\n  <dl class="facts">\n{facts}  </dl>\n{command}'
            '  <div class="scroll" role="region" aria-label="Capture files" tabindex="0">\n  <table>\n'
            f'    <thead><tr><th scope="col">Capture</th><th scope="col">SHA-256</th></tr></thead>\n    <tbody>\n{files}    </tbody>\n  </table>\n'
            "  </div>\n</section>\n")
