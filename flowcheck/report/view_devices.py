"""Many devices, and each of them, as the templates show them: causes they share, filters, the index, bring-up.

Tuples of short text in which all can be seen (visible.py); escaping is the templates'. `d1` is the anchor of a device,
`d1.a1` that of its attempt; devices are numbered as the result has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from flowcheck.model import FAIL, PASS, AttemptResult, DeviceResult, worst
from flowcheck.report import ladder, words
from flowcheck.report.times import clock, day, span
from flowcheck.report.view_attempt import VERDICTS, Verdict, side, step_words
from flowcheck.report.visible import line

DEVICES = 10_000              # rows of the index
_ATTEMPTS = 1_000             # rows of a device's bring-up
_STEPS = 80                   # signs of an attempt there
_CAUSES = 500
_PLACES = 8                   # of a cause
_SENTENCE = 400               # characters

Numbered = tuple[int, DeviceResult]
Full = frozenset[tuple[int, int]]                       # (device, attempt) of those shown in full, counted from 1


class Cause(NamedTuple):
    code: str
    where: str                                          # step and clause
    expected: str
    hint: str
    side: str
    attempts: int
    places: list[tuple[str, str]]                       # device, and where its attempt is shown
    more: int


class Choice(NamedTuple):
    """A filter: `options` are values and their words."""

    label: str
    name: str
    options: Sequence[tuple[str, str]]


class Chip(NamedTuple):
    """An attempt in the index; without `href` it is not shown in full."""

    verdict: Verdict
    href: str
    procedure: str
    cites: str
    diagnosis: str


class Row(NamedTuple):
    id: str
    verdict: Verdict
    name: str
    href: str
    attempts: list[Chip]


class Index(NamedTuple):
    attempts: int
    full: int
    rows: Iterable[Row]
    more: int


class Stage(NamedTuple):
    """An attempt in the bring-up of its device; `strip` is state, title, icon and number of each step."""

    verdict: Verdict
    href: str
    procedure: str
    title: str
    day: str
    clock: str
    since: str
    reached: str
    strip: list[tuple[str, str, str, str]]
    diagnosis: str


class Heading(NamedTuple):
    """An attempt with its heading: `body` as it is, or `packed` until it is opened."""

    id: str
    verdict: Verdict
    procedure: str
    title: str
    cites: str
    protocols: str
    clock: str
    took: str
    reached: str
    body: Markup
    packed: str


class Device(NamedTuple):
    id: str
    name: str
    identity: list[tuple[str, str]]
    addresses: str
    evidence: list[str]
    bring_up: list[Stage]
    more: int                                           # attempts beyond those
    lacking: list[str]
    attempts: Iterable[Heading]


# ---------------------------------------------------------------------------------------------------- all devices

def causes(numbered: Sequence[Numbered], full: Full, folder: str) -> list[Cause]:
    """Failed attempts that have one cause in common, the commonest first; nothing where there is only one."""
    groups: dict[str, list[tuple[int, int, str]]] = {}
    first: dict[str, AttemptResult] = {}
    for number, device in numbered:
        for place, one in enumerate(device.attempts, 1):
            if one.verdict == FAIL:
                code = line(one.cause or one.procedure, 200)
                groups.setdefault(code, []).append((number, place, device.id))
                first.setdefault(code, one)
    if sum(map(len, groups.values())) < 2:
        return []
    ordered = sorted(groups.items(), key=lambda row: (-len(row[1]), row[0]))
    return [Cause(code, *_meaning(first[code]), side(first[code]), len(rows),
                  [(line(name, 120), f"{file(number, folder)}#d{number}.a{place}" if (number, place) in full else "")
                   for number, place, name in rows[:_PLACES]], max(0, len(rows) - _PLACES))
            for code, rows in ordered[:_CAUSES]]


def _meaning(attempt: AttemptResult) -> tuple[str, str, str]:
    """Where its cause lies in the clause, what was expected there, and what to look at."""
    cause = words.cause(attempt)
    if cause is None:
        return line(attempt.clause, 200), "", ""
    where = f"step {line(cause.cite, 20)} of {line(cause.clause, 200)}"
    return where, line(cause.expected, _SENTENCE), line(cause.hint, _SENTENCE)


def file(number: int, folder: str) -> str:
    """Where a device's page lies; empty on that page itself."""
    return f"{folder}/d{number}.html" if folder else ""


def choices(numbered: Sequence[Numbered], back: str, folder: str) -> list[Choice]:
    """What the attempts of a page, or the rows of a mere index, are chosen by."""
    attempts = [attempt for _, device in numbered for attempt in device.attempts]
    verdicts = {one.verdict for one in attempts}
    cites = sorted({(ladder.safe_name(f.cite), line(f.cite, 20)) for one in attempts for f in one.findings})
    found = [Choice("Verdict", "verdict", [(v, words.WORDS[v]) for v in words.WORST_FIRST if v in verdicts])]
    if len(numbered) > 1 and not back:
        named = [(f"d{number}", line(device.id, 80)) for number, device in numbered[:DEVICES]]
        found.append(Choice("Device", "device", named))
    procedures = sorted({line(one.procedure, 80) for one in attempts})
    found.append(Choice("Procedure", "procedure", [(name, name) for name in procedures]))
    if cites:
        found.append(Choice("Deviating step", "step", cites))
    if not folder:
        found.append(Choice("Protocol", "protocol", [(name, name) for name in _protocols(attempts)]))
    return found


def index(numbered: Sequence[Numbered], full: Full, folder: str) -> Index:
    rows = (_row(number, device, full, folder) for number, device in numbered[:DEVICES])     # never all at once
    return Index(sum(len(device.attempts) for _, device in numbered), len(full), rows, max(0, len(numbered) - DEVICES))


def _row(number: int, device: DeviceResult, full: Full, folder: str) -> Row:
    base = f"{file(number, folder)}#d{number}"
    chips = []
    for place, one in enumerate(device.attempts[:_ATTEMPTS], 1):
        shown = (number, place) in full
        chips.append(Chip(VERDICTS[one.verdict], f"{base}.a{place}" if shown else "", line(one.procedure, 80),
                          _cites(one), "" if shown or one.verdict == PASS else line(one.diagnosis, _SENTENCE)))
    return Row(f"d{number}", VERDICTS[worst(one.verdict for one in device.attempts)], _name(device),
               base if any(chip.href for chip in chips) else "", chips)


def _name(device: DeviceResult) -> str:
    return line(device.id, 120) or "unknown"


def _cites(one: AttemptResult) -> str:
    """The steps that deviate, as the filters know them."""
    return " ".join(sorted({ladder.safe_name(finding.cite) for finding in one.findings}))


def _protocols(attempts: Iterable[AttemptResult]) -> list[str]:
    """Those of their messages, likewise."""
    kinds = {event.kind.partition(".")[0] for one in attempts for event in one.events}
    return sorted(set(map(ladder.safe_name, kinds)))


# ---------------------------------------------------------------------------------------------------- one device

def device(one: DeviceResult, number: int, full: Full, attempts: Iterable[Heading]) -> Device:
    """`attempts` are those in full."""
    stages = _bring_up(one, number, full)
    identity = [(line(key, 60).replace("_", " "), line(value, 300)) for key, value in one.identity.items()]
    return Device(
        f"d{number}", _name(one), identity, ", ".join([line(address, 100) for address in one.addresses[:50]]),
        [line(text, 600) for text in one.evidence[:100]], stages, len(one.attempts) - len(stages),
        [line(text, 600) for text in one.lacking[:100]], attempts)


def _bring_up(one: DeviceResult, number: int, full: Full) -> list[Stage]:
    """Its attempts in order of time; of very many the worst."""
    worst_first = sorted(enumerate(one.attempts, 1), key=lambda row: (words.WORST_FIRST.index(row[1].verdict), row[0]))
    stages: list[Stage] = []
    before: AttemptResult | None = None
    for place, attempt in sorted(worst_first[:_ATTEMPTS], key=lambda row: (row[1].started, row[0])):
        href = f"#d{number}.a{place}" if (number, place) in full else ""
        said = attempt.verdict != PASS and (len(one.attempts) > 1 or not href)      # a single one says it just below
        stages.append(Stage(
            VERDICTS[attempt.verdict], href, line(attempt.procedure, 80), line(attempt.title, 200),
            day(attempt.started), clock(attempt.started),
            "" if before is None else span(attempt.started - before.started), step_words(words.furthest(attempt)),
            _strip(attempt), line(attempt.diagnosis, 600) if said else ""))
        before = attempt
    return stages


def _strip(one: AttemptResult) -> list[tuple[str, str, str, str]]:
    """A sign for each step."""
    follows = words.follow_on(one)
    return [(f"{line(step.state, 40)} follow" if step.step in follows else line(step.state, 40),
             f"{line(step.cite, 12)} {line(step.title or step.step, 120)}: {words.state_words(step.state)}",
             words.STATE_ICONS.get(step.state, "?"), line(step.cite, 12)) for step in one.steps[:_STEPS]]


def heading(one: AttemptResult, anchor: str, body: Markup, packed: str) -> Heading:
    return Heading(anchor, VERDICTS[one.verdict], line(one.procedure, 80), line(one.title, 200), _cites(one),
                   " ".join(_protocols((one,))), clock(one.started),
                   span(max(0, one.ended - one.started)), step_words(words.furthest(one)), body, packed)
