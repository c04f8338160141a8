"""A Result as the HTML report shows it: plain dicts of short, visible text, in the order of the page.

Everything from the wire passes through `visible` here; escaping for HTML is the template's. Anchors are stable:
`d1` a device, `d1.a1` its attempt, `d1.a1.<step>`, `d1.a1.m4` a message, `d1.a1.f1` a finding.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flowcheck.model import FAIL, INCONCLUSIVE, PASS, AttemptResult, CaptureInfo, DeviceResult, Event, Finding, FrameRef, Result
from flowcheck.report import ladder, words
from flowcheck.report.as_json import plain
from flowcheck.report.times import clock, day, iso, span
from flowcheck.report.visible import block, line

FULL = 400                    # attempts shown with ladder, steps and messages
_PASSES = 20                  # of each procedure, where there are more attempts than FULL
DEVICES = 10_000              # rows of the index
_ATTEMPTS = 1_000             # rows of a device's bring-up
_OPAQUE = 500
_CAUSES = 500
_ROWS = 400                   # fields of one message that are shown
_DEPTH = 6                    # levels of nested fields that are shown
_SENTENCE = 400               # characters of what stands on the first screen
_TABLES = ("ParameterList", "ParameterListStruct", "headers")

View = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of an attempt is written."""

    messages: int = 1_000     # decoded messages; those with findings are always among them
    value: int = 4_096        # characters of one value


def in_order(result: Result) -> list[tuple[int, DeviceResult]]:
    """The devices with their numbers, those with the worst verdict first; numbers follow the result, not this order."""
    def worst(device: DeviceResult) -> int:
        return min((words.WORST_FIRST.index(attempt.verdict) for attempt in device.attempts), default=len(words.WORST_FIRST))

    return sorted(enumerate(result.devices, 1), key=lambda row: (worst(row[1]), row[0]))


def chosen(result: Result) -> frozenset[tuple[int, int]]:
    """(device, attempt) of those shown in full: all, or of very many the failures, every cause with examples, and a few passes."""
    ranks: dict[str, int] = {}
    order = []
    for number, device in enumerate(result.devices, 1):
        for place, one in enumerate(device.attempts, 1):
            group = f"{one.verdict} {one.cause or one.procedure}"
            ranks[group] = rank = ranks.get(group, -1) + 1
            order.append((words.WORST_FIRST.index(one.verdict), rank, number, place))
    if len(order) > FULL:
        order = sorted(entry for entry in order if entry[0] < words.WORST_FIRST.index(PASS) or entry[1] < _PASSES)[:FULL]
    return frozenset((number, place) for _, _, number, place in order)


def row(device: DeviceResult, number: int, full: frozenset[tuple[int, int]]) -> View:
    """A device as the index lists it; an attempt that is not shown in full has no `id` and says what went wrong itself."""
    verdict = max((one.verdict for one in device.attempts), key=(PASS, INCONCLUSIVE, FAIL).index, default=None)
    attempts = [{**_verdict(one.verdict), "procedure": line(one.procedure, 80), "id": f"d{number}.a{place}" if (number, place) in full else "",
                 "diagnosis": "" if one.verdict == PASS or (number, place) in full else line(one.diagnosis, _SENTENCE)}
                for place, one in enumerate(device.attempts[:_ATTEMPTS], 1)]
    return {"id": f"d{number}", "name": line(device.id, 120) or "unknown", **_verdict(verdict), "attempts": attempts,
            "full": any(attempt["id"] for attempt in attempts)}


def page(result: Result, only: int | None = None) -> View:
    """What stands once: the first screen, the captures, the tool; of one device where `only` gives its number."""
    numbered = [entry for entry in in_order(result) if only in (None, entry[0])]
    full = chosen(result)
    result = replace(result, devices=tuple(device for _, device in numbered))
    names = words.capture_names(result.captures)
    verdict = result.verdict
    worst = next(((number, device, place) for number, device in numbered for place, one in enumerate(device.attempts, 1)
                  if one.verdict == verdict), None)
    head = _headline(result, *worst, names) if worst else None
    return {
        "verdict": verdict or "none", "icon": words.ICONS[verdict], "word": words.WORDS[verdict], "tally": words.tally(result),
        "title": _title(result, head), "head": head, "captures": [_capture(c, n) for c, n in zip(result.captures, names)],
        "opaque": [_opaque(o, names) for o in result.opaque[:_OPAQUE]], "opaque_more": max(0, len(result.opaque) - _OPAQUE),
        "created": iso(result.created), "command": block(result.command), "tool": [(line(k, 80), line(v, 300)) for k, v in result.tool.items()],
        "causes": _causes(numbered, full), "filters": _filters(numbered), "many": sum(len(device.attempts) for _, device in numbered) > 1,
        "devices_count": len(numbered), "index": [row(device, number, full) for number, device in numbered[:DEVICES]],
        "devices_more": max(0, len(numbered) - DEVICES), "attempts_full": len(full), "attempts_all": sum(len(d.attempts) for _, d in numbered),
    }


def overview(device: DeviceResult, number: int, full: frozenset[tuple[int, int]]) -> View:
    """A device in a few lines: who it is, which procedures it tried in which order, how far each got."""
    rows = []
    before: AttemptResult | None = None
    numbered = sorted(enumerate(device.attempts, 1), key=lambda row: (words.WORST_FIRST.index(row[1].verdict), row[0]))[:_ATTEMPTS]
    for place, attempt in sorted(numbered, key=lambda row: (row[1].started, row[0])):
        reached, follows = words.furthest(attempt), words.follow_on(attempt)
        rows.append({"id": f"d{number}.a{place}" if (number, place) in full else "", **_verdict(attempt.verdict), "procedure": line(attempt.procedure, 80),
                     "title": line(attempt.title, 200), "started": clock(attempt.started), "day": day(attempt.started),
                     "since": "" if before is None else span(attempt.started - before.started),
                     "took": span(max(0, attempt.ended - attempt.started)), "reached": _step_words(reached),
                     "diagnosis": line(attempt.diagnosis, 600) if attempt.verdict != PASS else "", "side": _side(attempt),
                     "strip": [{"state": f"{step.state} follow" if step.step in follows else step.state, "icon": words.STATE_ICONS.get(step.state, "?"), "cite": line(step.cite, 12),
                                "title": f"{line(step.cite, 12)} {line(step.title or step.step, 120)}: {words.state_words(step.state)}"}
                               for step in attempt.steps[:80]]})
        before = attempt
    return {"id": f"d{number}", "name": line(device.id, 120) or "unknown", "attempts": rows, "more": len(device.attempts) - len(rows),
            "identity": [(line(key, 60), line(value, 300)) for key, value in device.identity.items()],
            "addresses": [line(address, 100) for address in device.addresses[:50]],
            "evidence": [line(text, 600) for text in device.evidence[:100]]}


def attempt(result: Result, device: DeviceResult, number: int, place: int, detail: Detail = Detail()) -> View:
    """One attempt in full; `number` and `place` count devices and their attempts from 1."""
    names = words.capture_names(result.captures)
    one = device.attempts[place - 1]
    anchor = f"d{number}.a{place}"
    findings = [_finding(result, finding, f"{anchor}.f{count}", names, finding.code == one.cause)
                for count, finding in enumerate(one.findings, 1)]
    findings.sort(key=lambda f: not f["cause"])
    messages, left_out = _messages(one, anchor, names, detail)
    return {
        "id": anchor, **_verdict(one.verdict), "procedure": line(one.procedure, 80), "title": line(one.title, 200), "clause": line(one.clause, 200),
        "diagnosis": line(one.diagnosis, 1_000), "side": _side(one), "started": iso(one.started), "clock": clock(one.started),
        "took": span(max(0, one.ended - one.started)), "reached": _step_words(words.furthest(one)),
        "steps": _steps(one, anchor, names), "findings": findings, "messages": messages, "left_out": left_out,
        "ladder": ladder.draw(one, anchor, names), "assumed": [line(text, 600) for text in one.assumed],
        "advice": [line(text, 600) for text in one.advice],
        "roles": [(words.role_title(line(role, 80)), line(host, 200)) for role, host in one.roles],
        "device": line(device.id, 120), "cites": " ".join(sorted({ladder.safe_name(f.cite) for f in one.findings})),
        "protocols": " ".join(sorted({ladder.safe_name(event.kind.partition(".")[0]) for event in one.events})),
    }


# ---------------------------------------------------------------------------------------------------- the first screen

def _headline(result: Result, number: int, device: DeviceResult, place: int, names: tuple[str, ...]) -> View:
    one = device.attempts[place - 1]
    cause = words.cause(one)
    shown = _finding(result, cause, "", names, True) if cause else None
    if shown:
        shown = {**shown, "expected": line(cause.expected, _SENTENCE), "observed": line(cause.observed, _SENTENCE), "hint": line(cause.hint, _SENTENCE)}
    return {
        "device": line(device.id, 120), "device_id": f"d{number}", "id": f"d{number}.a{place}", "procedure": line(one.procedure, 80),
        "title": line(one.title, 200), "clause": line(one.clause, 200), "diagnosis": line(one.diagnosis, _SENTENCE), "side": _side(one),
        "reached": _step_words(words.furthest(one)), "advice": [line(text, 600) for text in one.advice[:3]] if one.verdict == INCONCLUSIVE else [],
        "cause": shown,
        "others": sum(len(d.attempts) for d in result.devices) - 1,
    }


def _title(result: Result, head: View | None) -> str:
    word = words.WORDS[result.verdict]
    if head is None:
        return word
    return f"{word}: {head['procedure']}, {head['device']}" if len(result.devices) == 1 else f"{word}: {words.tally(result)}"


def _causes(numbered: list[tuple[int, DeviceResult]], full: frozenset[tuple[int, int]]) -> list[View]:
    """Failed attempts that have one cause in common, the commonest first; nothing where there is only one."""
    groups: dict[str, list[tuple[str, str, str]]] = {}
    sides: dict[str, str] = {}
    for d, device in numbered:
        for a, one in enumerate(device.attempts, 1):
            if one.verdict == FAIL:
                code = line(one.cause or one.procedure, 200)
                groups.setdefault(code, []).append((f"d{d}", f"d{d}.a{a}" if (d, a) in full else "", line(device.id, 120)))
                sides.setdefault(code, _side(one))
    if sum(map(len, groups.values())) < 2:
        return []
    ordered = sorted(groups.items(), key=lambda row: (-len(row[1]), row[0]))
    return [{"code": code, "side": sides[code], "count": len(rows), "attempts": rows[:30], "more": max(0, len(rows) - 30)}
            for code, rows in ordered[:_CAUSES]]


def _filters(numbered: list[tuple[int, DeviceResult]]) -> View:
    attempts = [attempt for _, device in numbered for attempt in device.attempts]
    return {"verdicts": [(v, words.WORDS[v]) for v in words.WORST_FIRST if any(a.verdict == v for a in attempts)],
            "devices": [(f"d{n}", line(device.id, 80)) for n, device in numbered[:DEVICES]],
            "procedures": sorted({line(a.procedure, 80) for a in attempts}),
            "cites": sorted({(ladder.safe_name(f.cite), line(f.cite, 20)) for a in attempts for f in a.findings}),
            "protocols": sorted({ladder.safe_name(event.kind.partition(".")[0]) for a in attempts for event in a.events})}


# ---------------------------------------------------------------------------------------------------- parts of an attempt

def _verdict(verdict: str | None) -> View:
    return {"verdict": verdict or "none", "icon": words.ICONS[verdict], "word": words.WORDS[verdict]}


def _side(one: AttemptResult) -> str:
    """Who should act; empty where nobody has to, or where an undecided attempt does not tell."""
    if one.verdict == PASS or (one.verdict == INCONCLUSIVE and one.side in (None, "unknown")):
        return ""
    return words.SIDE_WORDS.get(one.side or "unknown", words.SIDE_WORDS["unknown"])


def _step_words(step: Any) -> str:
    if step is None:
        return "none"
    return f"{line(step.cite, 20)}, {line(step.title or step.step, 200)}" + ("" if step.state == "seen" else f" ({words.state_words(step.state)})")


def _steps(one: AttemptResult, anchor: str, names: tuple[str, ...]) -> list[View]:
    rows, taken = [], set()
    message_of: dict[str, int] = {}
    for number, event in enumerate(one.events, 1):
        if event.step is not None:
            message_of.setdefault(event.step, number)
    findings: dict[str, list[str]] = {}
    for number, finding in enumerate(one.findings, 1):
        findings.setdefault(finding.step, []).append(f"{anchor}.f{number}")
    follows = words.follow_on(one)
    for step in one.steps:
        name = ladder.safe_name(step.step)
        while name in taken or (name[:1] in "mf" and name[1:].isdigit()):
            name += "-2"
        taken.add(name)
        message = message_of.get(step.step)
        rows.append({"id": f"{anchor}.{name}", "cite": line(step.cite, 20), "title": line(step.title or step.step, 300), "name": line(step.step, 80),
                     "state": f"{step.state} follow" if step.step in follows else step.state, "icon": words.STATE_ICONS.get(step.state, "?"), "word": words.state_words(step.state),
                     "frames": words.frame_list(step.frames, names), "time": clock(step.time), "reason": line(step.reason or "", 600),
                     "waits": line(step.message, 120), "ends": _ends(step.src, step.dst), "message": f"{anchor}.m{message}" if message else "",
                     "findings": findings.get(step.step, [])})
    return rows


def _ends(src: str, dst: str) -> str:
    return f"{words.role_title(line(src, 80))} → {words.role_title(line(dst, 80))}" if src and dst else ""


def _finding(result: Result, finding: Finding, anchor: str, names: tuple[str, ...], cause: bool) -> View:
    return {"id": anchor, "code": line(finding.code, 300), "kind": finding.kind, "severity": finding.severity, "cause": cause,
            "icon": words.SEVERITY_ICONS.get(finding.severity, ""), "cite": line(finding.cite, 20), "step": line(finding.step, 80),
            "clause": line(finding.clause, 200), "frames": words.frame_list(finding.frames, names), "expected": block(finding.expected),
            "observed": block(finding.observed), "hint": block(finding.hint), "side": words.SIDE_WORDS.get(finding.side, finding.side),
            "repair": block(finding.repair), "waived": block(finding.waived), "filter": line(finding.filter),
            "numbers": _number_list(finding.frames), "commands": _commands(result.captures, finding)}


def _number_list(frames: tuple[FrameRef, ...]) -> str:
    return ", ".join(str(number) for numbers in words.by_capture(frames).values() for number in numbers)


def _commands(captures: tuple[CaptureInfo, ...], finding: Finding) -> list[str]:
    """What opens Wireshark at the evidence, for each capture that holds some of it."""
    return [f"wireshark -r {shlex.quote(line(captures[capture].path))} -g {numbers[-1]}" +
            (f" -Y {shlex.quote(line(finding.filter))}" if finding.filter else "")
            for capture, numbers in words.by_capture(finding.frames).items()]


def _messages(one: AttemptResult, anchor: str, names: tuple[str, ...], detail: Detail) -> tuple[list[View], int]:
    """The decoded messages and how many were left out for size."""
    cites = {step.step: step.cite for step in one.steps}
    findings = {finding.code: finding for finding in one.findings}
    wanted = set(range(min(len(one.events), detail.messages)))
    wanted |= set([n for n, event in enumerate(one.events) if event.finding or event.problems][:detail.messages])
    rows, before = [], None
    for number, event in enumerate(one.events):
        if number in wanted:
            found = [f for f in one.findings if f.code == event.finding or (f.step == event.step and event.step is not None and _shares(f, event))]
            own = findings.get(event.finding or "")
            rows.append({
                "id": f"{anchor}.m{number + 1}", "number": number + 1, "kind": line(event.kind, 120), "summary": line(event.summary, 400),
                "cite": line(cites.get(event.step or "", ""), 20), "ends": _ends(event.src, event.dst), "time": clock(event.time),
                "since": "" if before is None else span(event.time - before), "offset": span(event.time - one.started),
                "frames": words.frame_list(event.frames, names), "copies": words.frame_list(event.copies, names), "times": len(event.copies) + 1,
                "layers": line(" / ".join(event.layers), 200), "tunnel": ladder.in_tunnel(event),
                "note": f"{words.SEVERITY_ICONS.get(own.severity, '')} {own.kind}" if own else "", "failing": own is not None and own.severity == "error",
                "problems": [(offset, line(text, 600)) for offset, text in event.problems[:50]],
                "fields": _fields(event.fields, found, detail.value)})
        before = event.time
    return rows, len(one.events) - len(rows)


def _shares(finding: Finding, event: Event) -> bool:
    return not set(finding.frames).isdisjoint(event.frames)


# ---------------------------------------------------------------------------------------------------- fields

def _fields(fields: Mapping[str, Any], findings: Iterable[Finding], limit: int) -> list[View]:
    """Rows of name and value; `rows` instead of `value` where a value has parts. `mark` says what a finding found there."""
    marks = {}
    for finding in findings:
        if finding.kind in ("field-absent", "field-wrong"):
            name = finding.code.partition(f"/{finding.kind}:")[2]
            marks[name] = finding
    budget = [_ROWS]
    rows = _rows(plain(fields), marks, limit, budget, 0)
    for name, finding in marks.items():
        if finding.kind == "field-absent" and not any(row["mark"] for row in _flat(rows) if row["name"] == line(name, 200)):
            rows.insert(0, {"name": line(name, 200), "value": "absent", "rows": None, "table": False, "mark": _mark(finding)})
    return rows


def _flat(rows: list[View]) -> Iterable[View]:
    for row in rows:
        yield row
        if row["rows"]:
            yield from _flat(row["rows"])


def _mark(finding: Finding) -> str:
    return f"{words.SEVERITY_ICONS.get(finding.severity, '')} {finding.kind}: expected {line(finding.expected, 300)}"


def _rows(fields: Mapping[str, Any], marks: Mapping[str, Finding], limit: int, budget: list[int], depth: int) -> list[View]:
    rows = []
    for name, value in fields.items():
        if budget[0] <= 0:
            rows.append({"name": "…", "value": f"{len(fields) - len(rows)} more", "rows": None, "table": False, "mark": ""})
            break
        budget[0] -= 1
        finding = marks.get(name)
        row = {"name": line(name, 200), "value": "", "rows": None, "table": name in _TABLES, "mark": _mark(finding) if finding else ""}
        if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
            value = {f"[{number}]": item for number, item in enumerate(value)}
        if isinstance(value, dict) and value and depth < _DEPTH:
            row["rows"] = _rows(value, marks, limit, budget, depth + 1)
        else:
            row["value"] = _value(value, limit)
        rows.append(row)
    return rows


def _value(value: Any, limit: int) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "–"
    if isinstance(value, list):
        return ", ".join(block(item, 400) for item in value[:200]) + (f", … ({len(value) - 200} more)" if len(value) > 200 else "") or "(none)"
    return block(value, limit) if value != "" else "(empty)"


# ---------------------------------------------------------------------------------------------------- the capture's limits

def _capture(capture: CaptureInfo, name: str) -> View:
    length = "" if capture.first is None or capture.last is None else span(capture.last - capture.first)
    return {"name": line(name, 200), "path": line(capture.path, 500), "sha256": line(capture.sha256, 80), "packets": f"{capture.packets:,}",
            "first": iso(capture.first) or "–", "last": iso(capture.last) or "–", "length": length, "grade": line(capture.grade, 20),
            "icon": {"good": "✓", "fair": "⚠", "poor": "✗"}.get(capture.grade, "?"), "remarks": [line(text, 600) for text in capture.remarks[:100]],
            "undecoded": [(line(port, 80), f"{count:,}") for port, count in sorted(capture.undecoded.items(), key=lambda row: (-row[1], row[0]))[:50]],
            "format": line(capture.format, 40), "truncated": capture.truncated}


def _opaque(opaque: Any, names: tuple[str, ...]) -> View:
    return {"kind": line(opaque.kind, 60), "start": clock(opaque.start), "end": clock(opaque.end), "ends": line(f"{opaque.src} → {opaque.dst}", 200),
            "packets": f"{opaque.packets:,}", "size": f"{opaque.size:,}", "frames": words.frame_list(opaque.frames, names)}
