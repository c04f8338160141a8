"""One attempt in full, as HTML: who should act, ladder, steps of the clause, findings with their evidence, decoded messages.

Anchors are stable: below `d1.a1`, the anchor of an attempt, lie `d1.a1.<step>`, `d1.a1.m4` for a message and `d1.a1.f1`
for a finding. Text that is not the report's own passes through markup.py.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from flowcheck.model import INCONCLUSIVE, PASS, AttemptResult, CaptureInfo, Event, Finding, FrameRef, StepResult, frames_filter
from flowcheck.report import html_fields, ladder, words
from flowcheck.report.markup import inline, lines
from flowcheck.report.times import clock, iso, span
from flowcheck.report.visible import line

_CODE = re.compile("`([^`]*)`")
NEEDED = "One message that would have let it go on"


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of an attempt is written."""

    messages: int = 1_000     # decoded messages; those with findings are always among them
    value: int = 4_096        # characters of one value


@dataclass(frozen=True, slots=True)
class Run:
    """What all attempts of a report share: the captures and how they are named, as text and in HTML.

    `tables` are the fields of messages as HTML, by the identity of the fields and the limit of a value: a message stands in
    every attempt it belongs to. They are of one device, and forgotten with it.
    """

    captures: tuple[CaptureInfo, ...]
    names: tuple[str, ...]
    shown: tuple[str, ...]
    tables: dict[tuple[int, int], str] = field(default_factory=dict)

    @classmethod
    def of(cls, captures: tuple[CaptureInfo, ...]) -> Run:
        names = words.capture_names(captures)
        return cls(captures, names, tuple(inline(name, 200) for name in names))

    def frames(self, frames: Sequence[FrameRef]) -> str:
        return words.frame_list(frames, self.shown)


def body(run: Run, one: AttemptResult, anchor: str, detail: Detail = Detail()) -> str:
    """All of it below the attempt's heading."""
    reached = step_words(words.furthest(one))
    acts = side(one)
    diagram = ladder.draw(one, anchor, run.names)
    events, drawn, decoded = _messages(run, one, anchor, detail)
    parts = [
        f'<p class="cause">{inline(one.diagnosis, 1_000)}</p>\n' if one.diagnosis else "",
        '<dl class="facts">\n', f'  <div class="act"><dt>Who should act</dt><dd>{acts}</dd></div>\n' if acts else "",
        f"  <div><dt>Furthest step reached</dt><dd>{reached}</dd></div>\n"
        f"  <div><dt>Clause</dt><dd>{inline(one.clause, 200)}</dd></div>\n"
        f"  <div><dt>Started</dt><dd>{iso(one.started)}, took {span(max(0, one.ended - one.started))}</dd></div>\n</dl>\n",
        _advice(one), _limits(one),
        f'<h4 id="{anchor}-ladder">Ladder</h4>\n<div class="scroll diagram" role="region" aria-labelledby="{anchor}-ladder" tabindex="0">'
        f"{diagram}</div>\n" if diagram else "",
        _ladder_as_table(drawn) if drawn else "",
        f'\n<h4 id="{anchor}-steps">Steps of the clause</h4>\n<div class="scroll" role="region" aria-labelledby="{anchor}-steps" tabindex="0">\n'
        '<table class="steps">\n  <thead><tr><th scope="col">Step</th><th scope="col">What the clause asks</th><th scope="col">State</th>'
        '<th scope="col">Frames</th><th scope="col">Time (UTC)</th><th scope="col">Reason</th></tr></thead>\n  <tbody>\n',
        *_steps(run, one, anchor), f'  </tbody>\n</table>\n</div>\n\n<h4 id="{anchor}-findings">Findings</h4>\n',
        *_findings(run, one, anchor), "\n",
    ]
    if decoded:
        parts += [f'<h4 id="{anchor}-messages">Decoded messages</h4>\n', *decoded]
        if events > len(decoded):
            parts.append(f"<p>{events - len(decoded)} more messages of this attempt are left out here; "
                         "<code>flowcheck check --json</code> lists them all.</p>\n")
    parts += ["\n", _assumed(one)]
    return "".join(parts)


def side(one: AttemptResult) -> str:
    """Who should act; empty where nobody has to, or where an undecided attempt does not tell."""
    if one.verdict == PASS or (one.verdict == INCONCLUSIVE and one.side in (None, "unknown")):
        return ""
    cause = words.cause(one)
    return inline(words.side(cause)) if cause is not None else words.SIDE_WORDS.get(one.side or "unknown", words.SIDE_WORDS["unknown"])


def step_words(step: StepResult | None) -> str:
    if step is None:
        return "none"
    state = "" if step.state == "seen" else f" ({words.state_words(step.state)})"
    return f"{inline(step.cite, 20)}, {inline(step.title or step.step, 200)}{state}"


def _advice(one: AttemptResult) -> str:
    if not one.advice:
        return ""
    rows = "".join(f"    <li>{with_code(text)}</li>\n" for text in one.advice)
    title = "What would decide it" if one.verdict == INCONCLUSIVE else "What would show more"
    return f'<div class="advice"><strong>{title}</strong>\n  <ul>\n{rows}  </ul>\n</div>\n'


def with_code(text: str) -> str:
    """`text` as HTML, what stands between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", inline(text, 600))


def _limits(one: AttemptResult) -> str:
    if not one.limits:
        return ""
    rows = "".join(f"    <li>{inline(text, 600)}</li>\n" for text in one.limits)
    return f'<div class="advice"><strong>What limits this verdict</strong>\n  <ul>\n{rows}  </ul>\n</div>\n'


def _assumed(one: AttemptResult) -> str:
    if not one.assumed and not one.roles:
        return ""
    rows = "".join(f"  <li>{inline(text, 600)}</li>\n" for text in one.assumed) or "  <li>Nothing was assumed.</li>\n"
    hosts = "".join(f"  <div><dt>{_end(role)}</dt><dd>{inline(host, 200)}</dd></div>\n" for role, host in one.roles)
    return f'<h4>Assumed and inferred</h4>\n<ul>\n{rows}</ul>\n<dl class="identity">\n{hosts}</dl>\n'


# ---------------------------------------------------------------------------------------------------- steps

def _steps(run: Run, one: AttemptResult, anchor: str) -> list[str]:
    rows, taken = [], set()
    message_of: dict[str, int] = {}
    for number, event in enumerate(one.events, 1):
        if event.step is not None:
            message_of.setdefault(event.step, number)
    findings: dict[str, str] = {}
    for number, finding in enumerate(one.findings, 1):
        findings[finding.step] = f'{findings.get(finding.step, "")} <a href="#{anchor}.f{number}">finding</a>'
    follows = words.follow_on(one)
    for step in one.steps:
        name = ladder.safe_name(step.step)
        while name in taken or (name[:1] in "mf" and name[1:].isdigit()):
            name += "-2"
        taken.add(name)
        frames, message = run.frames(step.frames), message_of.get(step.step)
        if message and frames:
            frames = f'<a href="#{anchor}.m{message}">{frames}</a>'
        rows.append(
            f'  <tr id="{anchor}.{name}" class="{step.state}{" follow" if step.step in follows else ""}"><th scope="row">{inline(step.cite, 20)}</th>'
            f'<td>{inline(step.title or step.step, 300)} <span class="label">{_ends(step.src, step.dst)}</span></td><td class="state">'
            f'<span aria-hidden="true">{words.STATE_ICONS.get(step.state, "?")}</span> {words.state_words(step.state)}</td><td>{frames}</td>'
            f'<td class="time">{clock(step.time)}</td><td>{inline(step.reason or "", 600)}{findings.get(step.step, "")}</td></tr>\n')
    return rows


@lru_cache(1024)
def _ends(src: str, dst: str) -> str:
    return f"{_end(src)} → {_end(dst)}" if src and dst else ""


def _end(role: str) -> str:
    return inline(words.role_title(line(role, 80)))


# ---------------------------------------------------------------------------------------------------- findings

def _findings(run: Run, one: AttemptResult, anchor: str) -> list[str]:
    """The cause first, the others in their order."""
    numbered = sorted(enumerate(one.findings, 1), key=lambda row: row[1].code != one.cause)
    if not numbered:
        return [f"<p>None: {'nothing deviates from the clause' if one.verdict == PASS else 'what was seen was right'}.</p>\n"]
    return [_finding(run, finding, f"{anchor}.f{number}", finding.code == one.cause) for number, finding in numbered]


def _finding(run: Run, finding: Finding, anchor: str, cause: bool) -> str:
    cite, clause, waived = inline(finding.cite, 20), inline(finding.clause, 200), lines(finding.waived)
    frames = run.frames(finding.frames)
    wire, act = ("", ' class="wire"'), (' class="act"', "")
    facts = [(wire, "Expected", lines(finding.expected)), (wire, "Observed", lines(finding.observed)),
             (wire, "Why", lines(finding.why)), (act, "Who should act", inline(words.side(finding))), (act, "Evidence", frames),
             (("", ""), "Clause", f"{clause}, step {cite}"), (wire, NEEDED, lines(finding.repair)),
             (wire, "Waived because", waived)]
    rows = "".join(f"    <div{of_row}><dt>{name}</dt><dd{of_value}>{value}</dd></div>\n" for (of_row, of_value), name, value in facts
                   if value or name in ("Expected", "Observed"))
    numbers = ", ".join(str(number) for numbers in words.by_capture(finding.frames).values() for number in numbers)
    hint = f'  <p class="hint"><strong>Look at:</strong> {lines(finding.hint)}</p>\n' if finding.hint else ""
    shown = "".join(f'  <p class="copyline"><span class="label">Wireshark filter{place}</span> <code>{filter}</code> {copy(filter, "Copy filter")}</p>\n'
                    for place, filter in filters(run, finding))
    return (
        f'<article class="finding {finding.severity}{" waived" if waived else ""}" id="{anchor}">\n'
        f'  <h5><span class="sign"><span aria-hidden="true">{words.SEVERITY_ICONS.get(finding.severity, "")}</span> {finding.severity}'
        f'{", the cause" if cause else ""}{", waived" if waived else ""}</span> Step {cite}: <span class="kind">{finding.kind}</span></h5>\n'
        f'  <dl class="facts">\n{rows}  </dl>\n{hint}{shown}'
        f'  <p class="copyline"><span class="label">Code</span> <code>{inline(finding.code, 300)}</code>\n'
        + (f"    {copy(numbers, 'Copy frames')}\n" if numbers else "")
        + "".join(f"    {copy(inline(command, 1 << 20), 'Copy Wireshark command')}\n" for command in _commands(run.captures, finding))
        + f'    <button type="button" class="copy" data-link="{anchor}">Copy link</button></p>\n</article>\n')


def filters(run: Run, finding: Finding) -> list[tuple[str, str]]:
    """(which capture, display filter), each as HTML: a frame number means something in its own capture only."""
    by_capture = words.by_capture(finding.frames)
    if len(by_capture) < 2:
        place = f" for {run.shown[next(iter(by_capture))]}" if by_capture and len(run.shown) > 1 else ""
        return [(place, inline(finding.filter))] if finding.filter else []
    return [(f" for {run.shown[capture]}", frames_filter(numbers)) for capture, numbers in by_capture.items()]


def copy(text: str, word: str) -> str:
    """A button that copies `text`, which is HTML already."""
    return f'<button type="button" class="copy" data-copy="{text}">{word}</button>'


def _commands(captures: tuple[CaptureInfo, ...], finding: Finding) -> list[str]:
    """What opens Wireshark at the evidence, for each capture that holds some of it."""
    by_capture = words.by_capture(finding.frames)
    return [f"wireshark -r {shlex.quote(line(captures[capture].path))} -g {numbers[-1]} -Y "
            + shlex.quote(frames_filter(numbers) if len(by_capture) > 1 or not finding.filter else line(finding.filter))
            for capture, numbers in by_capture.items()]


# ---------------------------------------------------------------------------------------------------- messages

def _messages(run: Run, one: AttemptResult, anchor: str, detail: Detail) -> tuple[int, list[str], list[str]]:
    """How many there are, the rows of the ladder's table, and the decoded messages; fewer where there are very many."""
    events = one.events
    wanted: set[int] | range = range(len(events))
    if len(events) > detail.messages:
        wanted = set(range(detail.messages)) | set([n for n, event in enumerate(events) if event.finding or event.problems][:detail.messages])
    cites = {step.step: inline(step.cite, 20) for step in one.steps}
    findings = {finding.code: finding for finding in one.findings}
    rows, decoded, before = [], [], one.started
    for number, event in enumerate(events):
        if number in wanted:
            own = findings.get(event.finding or "")
            failing = own is not None and own.severity == "error"
            mark = ' class="marked"' if failing else ""
            note = f"{words.SEVERITY_ICONS.get(own.severity, '')} {own.kind}" if own else ""
            id, kind, ends, frames, at = f"{anchor}.m{number + 1}", inline(event.kind, 120), _ends(event.src, event.dst), run.frames(event.frames), clock(event.time)
            cite, times = cites.get(event.step or "", ""), f" ×{len(event.copies) + 1}" if event.copies else ""
            since = f"+{span(event.time - before)}" if number else ""
            tunnel = ' <span class="label">in IPsec</span>' if ladder.in_tunnel(event) else ""
            rows.append(
                f'  <tr{mark}><td class="number">{number + 1}</td><td class="time">{at}</td>'
                f'<td class="number">{span(event.time - one.started)}</td><td class="number">{since}</td><td>{ends}</td><td>{cite}</td>'
                f'<td><a href="#{id}">{kind}</a>{times}{tunnel}</td><td>{frames}</td><td>{note}</td></tr>\n')
            head = (f'<details class="message{" failing" if failing else ""}" id="{id}"{" open" if note or event.problems else ""}>\n'
                    f'  <summary><span class="time">{at}</span> <span class="ends">{ends}</span> <span class="kind">{kind}</span>{times}'
                    + (f' <span class="label">step {cite}</span>' if cite else "") + f' <span class="label">{frames}</span>'
                    + (f' <strong class="deviates">{note}</strong>' if note else "") + "</summary>\n")
            decoded.append(f"{head}{_decoded(run, event, _about(one, event), detail.value)}</details>\n")
        before = event.time
    return len(events), rows, decoded


def _ladder_as_table(rows: list[str]) -> str:
    return ('<details class="astable"><summary>The ladder as a table</summary>\n'
            '<div class="scroll" role="region" aria-label="Messages of this attempt" tabindex="0">\n<table>\n'
            '  <thead><tr><th scope="col">#</th><th scope="col">Time (UTC)</th><th scope="col">Since start</th><th scope="col">Delta</th>'
            '<th scope="col">From → to</th><th scope="col">Step</th><th scope="col">Message</th><th scope="col">Frames</th>'
            '<th scope="col">Note</th></tr></thead>\n  <tbody>\n' + "".join(rows) + "  </tbody>\n</table>\n</div>\n</details>\n")


def _about(one: AttemptResult, event: Event) -> list[Finding]:
    """The findings about this message."""
    return [finding for finding in one.findings if finding.code == event.finding
            or (finding.step == event.step and event.step is not None and not set(finding.frames).isdisjoint(event.frames))]


def _decoded(run: Run, event: Event, findings: list[Finding], limit: int) -> str:
    copies = f"; the same again in {run.frames(event.copies)}" if event.copies else ""
    problems = "".join(f'  <p class="deviates">⚠ octet {offset}: {inline(text, 600)}</p>\n' for offset, text in event.problems[:50])
    return (f'  <p>{inline(event.summary, 400)}</p>\n  <p class="label">{_layers(event.layers)}{copies}</p>\n{problems}'
            f"  {_table(run, event, findings, limit)}\n")


def _table(run: Run, event: Event, findings: list[Finding], limit: int) -> str:
    if findings:
        return html_fields.table(event.fields, findings, limit)
    key = id(event.fields), limit
    if key not in run.tables:
        run.tables[key] = html_fields.table(event.fields, (), limit)
    return run.tables[key]


@lru_cache(1024)
def _layers(layers: tuple[str, ...]) -> str:
    return inline(" / ".join(layers), 200)
