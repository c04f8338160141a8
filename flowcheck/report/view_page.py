"""A page of the HTML report around its devices, as its template shows it: the first screen, limits, provenance.

Tuples of short text in which all can be seen (visible.py); escaping is the templates'. What stands on many pages is
prepared once, when a `Report` is. Devices are numbered as the result has them, and shown with the worst verdict first.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

from flowcheck.model import (FAIL, INCONCLUSIVE, PASS, UNKNOWN, AttemptResult, CaptureInfo, DeviceResult,
                             Finding, Opaque,
                             Result)
from flowcheck.report import view_devices, words
from flowcheck.report.template import source
from flowcheck.report.times import clock, iso, span
from flowcheck.report.view_attempt import VERDICTS, Coded, Run, Where, coded, filters, side, step_words
from flowcheck.report.view_devices import Full, Numbered
from flowcheck.report.visible import block, line

FULL = 200                    # attempts shown with ladder, steps and messages; the others have their row of the index
_EXAMPLES = 20                # where there are more: of every cause, and of each procedure that passed or stayed open
_OPAQUE = 500
_SENTENCE = 400               # characters of what stands on the first screen
_GRADES = {"good": "✓", "fair": "⚠", "poor": "✗"}

Found = tuple[int, DeviceResult, int]                   # a device's number, the device, and which of its attempts


class Explanation(NamedTuple):
    """The finding that explains the others, in short."""

    cite: str
    frames: str
    expected: str
    observed: str
    why: str
    repair: str
    hint: str
    filters: list[Where]


class First(NamedTuple):
    """The attempt on the first screen; `file` is where its device's page lies."""

    id: str
    leading: str                # why this one of many
    file: str
    device_id: str
    device: str
    procedure: str
    title: str
    diagnosis: str
    side: str
    reached: str
    clause: str
    advice: list[Coded]
    cause: Explanation | None


class Capture(NamedTuple):
    name: str
    grade: str
    icon: str
    start: str
    end: str
    length: str
    packets: str
    format: str
    truncated: bool
    undecoded: list[tuple[str, str]]
    remarks: list[str]


class Unread(NamedTuple):
    """Traffic nobody could read: kind, from, to, hosts, packets, octets, frames."""

    rows: list[tuple[str, str, str, str, str, str, str]]
    more: int


class Nobody(NamedTuple):
    """What could not be assigned to any device."""

    told: list[str]
    hosts: str


class Provenance(NamedTuple):
    tool: list[tuple[str, str]]
    created: str
    command: str
    files: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Report:
    """A result with what all its pages share."""

    result: Result
    run: Run
    numbered: list[Numbered]                    # those with the worst verdict first; numbers follow the result
    full: Full
    captures: list[Capture]
    unread: dict[str, list[int]]                # which traffic nobody could read, by the address of either end
    provenance: Provenance

    @classmethod
    def of(cls, result: Result) -> Report:
        run = Run.of(result.captures)
        captures = list(map(_capture, result.captures, run.shown))
        unread: dict[str, list[int]] = {}
        for place, one in enumerate(result.opaque):
            for address in {one.src.address, one.dst.address}:
                unread.setdefault(address, []).append(place)
        return cls(result, run, in_order(result), frozenset(chosen(result)), captures, unread, _provenance(result))


def in_order(result: Result) -> list[Numbered]:
    """The devices with their numbers, those with the worst verdict first."""
    def rank(device: DeviceResult) -> int:
        return min((words.WORST_FIRST.index(one.verdict) for one in device.attempts), default=len(words.WORST_FIRST))

    known = ((number, device) for number, device in enumerate(result.devices, 1) if device.id != UNKNOWN)
    return sorted(known, key=lambda row: (rank(row[1]), row[0]))


def chosen(result: Result) -> list[tuple[int, int]]:
    """(device, attempt) of those shown in full: all; or of very many some of every cause and verdict, then the worst.

    The first are the last that may be left out.

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
    return [(number, place) for *_, number, place in order]


def page(report: Report, devices: Iterable[view_devices.Device], only: Numbered | None = None, back: str = "",
         folder: str = "") -> dict[str, Any]:
    """All that `page.html` shows.

    `only` makes it a page of a single device, `back` is then the way to the others; `folder` makes it their index.
    """
    numbered = report.numbered if only is None else [only]
    result = report.result if only is None else replace(report.result, devices=(only[1],))
    verdict = result.verdict
    found, alike = _shown_first(numbered, verdict)
    many = sum(len(device.attempts) for _, device in numbered) > 1
    back, folder = line(back), line(folder)
    return {
        "style": source("style.css"), "style_hash": _hash("style.css"),
        "script": source("script.js"), "script_hash": _hash("script.js"),
        "title": _title(result, found), "back": back, "folder": folder,
        "verdict": VERDICTS[verdict], "tally": words.tally(result) if many else "",
        "first": found and _first(report.run, found, alike, folder),
        "causes": [] if back else view_devices.causes(numbered, report.full, folder),
        "choices": view_devices.choices(numbered, back, folder) if many else [],
        "index": view_devices.index(numbered, report.full, folder) if len(numbered) > 1 and not back else None,
        "devices": devices, "captures": report.captures, "opaque": _opaque(report, only if back else None),
        "nobody": Nobody([], "") if back else _nobody(report.result), "provenance": report.provenance,
    }


def _shown_first(numbered: Sequence[Numbered], verdict: str | None) -> tuple[Found | None, int]:
    """The first attempt with this verdict; of several devices one that failed for the commonest cause, and how many did."""
    found = [(number, device, place) for number, device in numbered for place, one in enumerate(device.attempts, 1)
             if one.verdict == verdict]
    if verdict == FAIL and len(numbered) > 1:
        codes = [device.attempts[place - 1].cause for _, device, place in found]
        (code, alike), = Counter(codes).most_common(1)
        return found[codes.index(code)], alike
    return next(iter(found), None), 1


@cache
def _hash(name: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source(name).encode()).digest()).decode("ascii")


def _title(result: Result, found: Found | None) -> str:
    word = words.WORDS[result.verdict]
    if found is None:
        return word
    _, device, place = found
    if len(result.known) > 1:
        return f"{word}: {words.tally(result)}"
    return f"{word}: {line(device.attempts[place - 1].procedure, 80)}, {line(device.id, 120)}"


# ---------------------------------------------------------------------------------------------------- the first screen

def _first(run: Run, found: Found, alike: int, folder: str) -> First:
    number, device, place = found
    one: AttemptResult = device.attempts[place - 1]
    cause = words.cause(one)
    return First(
        id=f"d{number}.a{place}",
        leading=f"{alike:,} failed for one cause, the first of them:" if alike > 1 else "The first that did not pass:",
        file=view_devices.file(number, folder), device_id=f"d{number}",
        device=line(device.id, 120), procedure=line(one.procedure, 80), title=line(one.title, 200),
        diagnosis=line(one.diagnosis, _SENTENCE), side=side(one), reached=step_words(words.furthest(one)),
        clause=line(one.clause, 200),
        advice=[coded(text) for text in one.advice[:3]] if one.verdict == INCONCLUSIVE else [],
        cause=cause and _explanation(run, cause))


def _explanation(run: Run, cause: Finding) -> Explanation:
    expected, observed, why, repair, hint = (
        line(text, _SENTENCE) for text in (cause.expected, cause.observed, cause.why, cause.repair, cause.hint))
    return Explanation(line(cause.cite, 20), run.frames(cause.frames), expected, observed, why, repair, hint,
                       filters(run, cause))


# ------------------------------------------------------------------------------------------------- the capture's limits

def _capture(capture: CaptureInfo, name: str) -> Capture:
    undecoded = sorted(capture.undecoded.items(), key=lambda row: (-row[1], row[0]))[:50]
    return Capture(
        name=name, grade=line(capture.grade, 20), icon=_GRADES.get(capture.grade, "?"), start=iso(capture.first) or "–",
        end=iso(capture.last) or "–",
        length="" if capture.first is None or capture.last is None else span(capture.last - capture.first),
        packets=f"{capture.packets:,}", format=line(capture.format, 40), truncated=capture.truncated,
        undecoded=[(line(port, 80), f"{count:,}") for port, count in undecoded],
        remarks=[line(text, 600) for text in capture.remarks[:100]])


def _opaque(report: Report, only: Numbered | None) -> Unread:
    """All of it, or that of one device."""
    found: Sequence[Opaque] = report.result.opaque
    if only is not None:
        places = {place for address in only[1].addresses for place in report.unread.get(address, ())}
        found = [found[place] for place in sorted(places)]
    rows = [(line(one.kind, 60), clock(one.start), clock(one.end), line(f"{one.src} → {one.dst}", 200),
             f"{one.packets:,}", f"{one.size:,}", report.run.frames(one.frames)) for one in found[:_OPAQUE]]
    return Unread(rows, len(found) - len(rows))


def _nobody(result: Result) -> Nobody:
    unknown = [device for device in result.devices if device.id == UNKNOWN]
    return Nobody([line(text, 600) for device in unknown for text in device.evidence[:100]],
                  ", ".join(line(address, 100) for device in unknown for address in device.addresses[:50]))


def _provenance(result: Result) -> Provenance:
    return Provenance(
        tool=[(line(key, 80), line(value, 300)) for key, value in result.tool.items()],
        created=iso(result.created) or "", command=block(result.command),
        files=[(line(info.path, 500), line(info.sha256, 80)) for info in result.captures])
