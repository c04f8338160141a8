"""One attempt as its template shows it: who should act, ladder, steps of the clause, findings with evidence, messages.

Tuples of short text in which all can be seen (visible.py); escaping is the template's. Anchors are stable: below
`d1.a1`, the anchor of an attempt, lie `d1.a1.<step>`, `d1.a1.m4` for a message and `d1.a1.f1` for a finding.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from markupsafe import Markup

from flowcheck.model import (FAIL, INCONCLUSIVE, PASS, AttemptResult, CaptureInfo, Event, Finding, FrameRef, StepResult,
                             frames_filter)
from flowcheck.report import html_fields, ladder, words
from flowcheck.report.times import clock, iso, span
from flowcheck.report.visible import block, line

_CODE = re.compile("`([^`]*)`")
_PROBLEMS = 50                # of one message

Coded = list[tuple[str, bool]]                          # text in parts, and which of them are code
Where = tuple[str, str]                                 # of which capture, and its display filter


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of an attempt is written."""

    messages: int = 1_000     # decoded messages; those with findings are always among them
    value: int = 4_096        # characters of one value


@dataclass(frozen=True, slots=True)
class Run:
    """What all attempts of a report share: the captures, their names as they are and as they are shown.

    `tables` are the fields of messages as HTML, by the identity of the fields and the limit of a value: a message
    stands in every attempt it belongs to. They are of one device, and forgotten with it.
    """

    captures: tuple[CaptureInfo, ...]
    names: tuple[str, ...]
    shown: tuple[str, ...]
    tables: dict[tuple[int, int], Markup] = field(default_factory=dict)

    @classmethod
    def of(cls, captures: tuple[CaptureInfo, ...]) -> Run:
        names = words.capture_names(captures)
        return cls(captures, names, tuple(line(name, 200) for name in names))

    def frames(self, frames: Sequence[FrameRef]) -> str:
        return words.frame_list(frames, self.shown)


class Verdict(NamedTuple):
    """`name` is its class in the style sheet."""

    name: str
    icon: str
    word: str


VERDICTS = {verdict: Verdict(verdict or "none", words.ICONS[verdict], words.WORDS[verdict])
            for verdict in (PASS, FAIL, INCONCLUSIVE, None)}


class Step(NamedTuple):
    id: str
    state: str
    icon: str
    word: str                 # the state in words
    cite: str
    title: str
    ends: str
    message: str              # the anchor of its message; empty without
    frames: str
    clock: str
    reason: str
    findings: list[str]       # their anchors


class Deviation(NamedTuple):
    """A finding."""

    id: str
    severity: str
    icon: str
    kind: str
    is_cause: bool
    cite: str
    clause: str
    expected: str
    observed: str
    why: str
    side: str
    frames: str
    repair: str
    waived: str
    hint: str
    code: str
    numbers: str              # of the frames, to be copied
    filters: list[Where]
    commands: list[str]


class Message(NamedTuple):
    id: str
    number: int
    kind: str
    ends: str
    cite: str
    frames: str
    clock: str
    offset: str               # since the attempt started
    since: str                # since the message before
    times: int                # how often it was seen, where more than once
    tunnel: bool
    failing: bool
    note: str                 # what the finding about it says
    summary: str
    layers: str
    copies: str
    problems: list[tuple[int, str]]
    fields: Markup


class Attempt(NamedTuple):
    id: str
    verdict: Verdict
    diagnosis: str
    side: str
    reached: str
    clause: str
    started: str
    took: str
    advice: list[Coded]
    limits: list[str]
    ladder: Markup
    steps: list[Step]
    findings: list[Deviation]
    messages: list[Message]
    left_out: int             # messages beyond those
    assumed: list[str]
    roles: list[tuple[str, str]]


def attempt(run: Run, one: AttemptResult, anchor: str, detail: Detail = Detail()) -> Attempt:
    """All of it below the attempt's heading."""
    messages = list(_messages(run, one, anchor, detail))
    return Attempt(
        id=anchor, verdict=VERDICTS[one.verdict], diagnosis=line(one.diagnosis, 1_000), side=side(one),
        reached=step_words(words.furthest(one)), clause=line(one.clause, 200), started=iso(one.started) or "",
        took=span(max(0, one.ended - one.started)), advice=[coded(text) for text in one.advice],
        limits=[line(text, 600) for text in one.limits], ladder=Markup(ladder.draw(one, anchor, run.names)),
        steps=_steps(run, one, anchor), findings=_findings(run, one, anchor), messages=messages,
        left_out=len(one.events) - len(messages), assumed=[line(text, 600) for text in one.assumed],
        roles=[(_end(role), line(host, 200)) for role, host in one.roles])


def side(one: AttemptResult) -> str:
    """Who should act; empty where nobody has to, or where an undecided attempt does not tell."""
    if one.verdict == PASS or (one.verdict == INCONCLUSIVE and one.side in (None, "unknown")):
        return ""
    cause = words.cause(one)
    if cause is not None:
        return line(words.side(cause))
    return words.SIDE_WORDS.get(one.side or "unknown", words.SIDE_WORDS["unknown"])


def step_words(step: StepResult | None) -> str:
    if step is None:
        return "none"
    state = "" if step.state == "seen" else f" ({words.state_words(step.state)})"
    return f"{line(step.cite, 20)}, {line(step.title or step.step, 200)}{state}"


def coded(text: str) -> Coded:
    """What stands between backticks is code."""
    return [(part, number % 2 == 1) for number, part in enumerate(_CODE.split(line(text, 600))) if part]


# ---------------------------------------------------------------------------------------------------- steps

def _steps(run: Run, one: AttemptResult, anchor: str) -> list[Step]:
    message_of: dict[str, int] = {}
    for number, event in enumerate(one.events, 1):
        if event.step is not None:
            message_of.setdefault(event.step, number)
    findings: dict[str, list[str]] = {}
    for number, finding in enumerate(one.findings, 1):
        findings.setdefault(finding.step, []).append(f"{anchor}.f{number}")
    follows = words.follow_on(one)
    rows: list[Step] = []
    taken: set[str] = set()
    for step in one.steps:
        name = ladder.safe_name(step.step)
        while name in taken or (name[:1] in "mf" and name[1:].isdigit()):
            name += "-2"
        taken.add(name)
        message, state = message_of.get(step.step), line(step.state, 40)
        rows.append(Step(
            f"{anchor}.{name}", f"{state} follow" if step.step in follows else state,
            words.STATE_ICONS.get(step.state, "?"), words.state_words(step.state), line(step.cite, 20),
            line(step.title or step.step, 300), _ends(step.src, step.dst),
            f"{anchor}.m{message}" if message and step.frames else "", run.frames(step.frames), clock(step.time),
            line(step.reason or "", 600), findings.get(step.step, [])))
    return rows


@lru_cache(1024)
def _ends(src: str, dst: str) -> str:
    return f"{_end(src)} → {_end(dst)}" if src and dst else ""


def _end(role: str) -> str:
    return line(words.role_title(line(role, 80)))


# ---------------------------------------------------------------------------------------------------- findings

def _findings(run: Run, one: AttemptResult, anchor: str) -> list[Deviation]:
    """The cause first, the others in their order."""
    numbered = sorted(enumerate(one.findings, 1), key=lambda row: row[1].code != one.cause)
    return [_finding(run, finding, f"{anchor}.f{number}", finding.code == one.cause) for number, finding in numbered]


def _finding(run: Run, finding: Finding, anchor: str, is_cause: bool) -> Deviation:
    return Deviation(
        id=anchor, severity=line(finding.severity, 20), icon=words.SEVERITY_ICONS.get(finding.severity, ""),
        kind=line(finding.kind, 80), is_cause=is_cause, cite=line(finding.cite, 20), clause=line(finding.clause, 200),
        expected=block(finding.expected), observed=block(finding.observed), why=block(finding.why),
        side=line(words.side(finding)), frames=run.frames(finding.frames), repair=block(finding.repair),
        waived=block(finding.waived), hint=block(finding.hint), code=line(finding.code, 300),
        numbers=", ".join(str(number) for numbers in words.by_capture(finding.frames).values() for number in numbers),
        filters=filters(run, finding), commands=_commands(run.captures, finding))


def filters(run: Run, finding: Finding) -> list[Where]:
    """A filter for each capture: a frame number means something in its own capture only."""
    by_capture = words.by_capture(finding.frames)
    if len(by_capture) < 2:
        place = f" for {run.shown[next(iter(by_capture))]}" if by_capture and len(run.shown) > 1 else ""
        return [(place, line(finding.filter))] if finding.filter else []
    return [(f" for {run.shown[capture]}", frames_filter(numbers)) for capture, numbers in by_capture.items()]


def _commands(captures: tuple[CaptureInfo, ...], finding: Finding) -> list[str]:
    """What opens Wireshark at the evidence, for each capture that holds some of it."""
    by_capture = words.by_capture(finding.frames)
    several = len(by_capture) > 1 or not finding.filter
    return [line(f"wireshark -r {shlex.quote(line(captures[capture].path))} -g {numbers[-1]} -Y "
                 + shlex.quote(frames_filter(numbers) if several else line(finding.filter)), 1 << 20)
            for capture, numbers in by_capture.items()]


# ---------------------------------------------------------------------------------------------------- messages

def _messages(run: Run, one: AttemptResult, anchor: str, detail: Detail) -> Iterator[Message]:
    """All of them; of very many the first, and those about which there is something to say."""
    events = one.events
    wanted: set[int] | range = range(len(events))
    if len(events) > detail.messages:
        noted = [number for number, event in enumerate(events) if event.finding or event.problems]
        wanted = set(range(detail.messages)) | set(noted[:detail.messages])
    cites = {step.step: line(step.cite, 20) for step in one.steps}
    findings = {finding.code: finding for finding in one.findings}
    before = one.started
    for number, event in enumerate(events):
        if number in wanted:
            own = findings.get(event.finding or "")
            yield Message(
                f"{anchor}.m{number + 1}", number + 1, line(event.kind, 120), _ends(event.src, event.dst),
                cites.get(event.step or "", ""), run.frames(event.frames), clock(event.time),
                span(event.time - one.started), f"+{span(event.time - before)}" if number else "",
                len(event.copies) + 1 if event.copies else 0, ladder.in_tunnel(event),
                own is not None and own.severity == "error",
                f"{words.SEVERITY_ICONS.get(own.severity, '')} {line(own.kind, 80)}" if own else "",
                line(event.summary, 400), _layers(event.layers), run.frames(event.copies) if event.copies else "",
                [(offset, line(text, 600)) for offset, text in event.problems[:_PROBLEMS]],
                _table(run, event, _about(one, event), detail.value))
        before = event.time


def _about(one: AttemptResult, event: Event) -> list[Finding]:
    """The findings about this message."""
    return [finding for finding in one.findings if finding.code == event.finding or (
        finding.step == event.step and event.step is not None and not set(finding.frames).isdisjoint(event.frames))]


def _table(run: Run, event: Event, findings: list[Finding], limit: int) -> Markup:
    if findings:
        return Markup(html_fields.table(event.fields, findings, limit))
    key = id(event.fields), limit
    if key not in run.tables:
        run.tables[key] = Markup(html_fields.table(event.fields, (), limit))
    return run.tables[key]


@lru_cache(1024)
def _layers(layers: tuple[str, ...]) -> str:
    return line(" / ".join(layers), 200)
