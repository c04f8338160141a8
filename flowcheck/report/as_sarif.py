"""SARIF 2.1.0 (OASIS, 27 March 2020) for code-scanning views: findings as results, the ladder as a code flow.

SARIF knows files and lines, not captures and frames. A capture is an artifact with its hash; a frame is written as a
line of it, so that viewers show `hnb_outer.pcap:11`, and once more under `properties`. Limits are those that GitHub
documents: 25 000 results, 1 000 locations of a result, 10 000 locations of a code flow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from flowcheck.model import INCONCLUSIVE, AttemptResult, CaptureInfo, DeviceResult, Event, Finding, FrameRef, Result
from flowcheck.report import mask, words
from flowcheck.report.times import iso
from flowcheck.report.visible import block, line

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
RESULTS, LOCATIONS, FLOW = 25_000, 1_000, 10_000
_LEVELS = {"error": "error", "warning": "warning", "notice": "note"}


def dumps(result: Result, *, show_secrets: bool = False) -> str:
    return "".join(chunks(result, show_secrets=show_secrets))


def sarif(result: Result, *, show_secrets: bool = False) -> dict[str, Any]:
    """The log as plain dicts: one run, a result per finding and per inconclusive attempt."""
    result = result if show_secrets else mask.masked(result)
    rules: dict[str, dict[str, Any]] = {}
    rows = list(_rows(result, rules))
    return {**_LOG, "runs": [{"results": rows[:RESULTS], **_run(result, rules, len(rows))}]}


def chunks(result: Result, *, show_secrets: bool = False) -> Iterator[str]:
    """The same log as text piece by piece, a line per result, so that it is never held whole."""
    result = result if show_secrets else mask.masked(result)
    rules: dict[str, dict[str, Any]] = {}
    count = 0
    yield json.dumps(_LOG)[:-1] + ', "runs": [{"results": ['
    for count, row in enumerate(_rows(result, rules), 1):
        if count <= RESULTS:
            yield (",\n " if count > 1 else "\n ") + json.dumps(row)
    for key, value in _run(result, rules, count).items():        # what the results name stands after them
        yield f"{',' if key != 'tool' else '],'}\n{json.dumps(key)}: {json.dumps(value)}"
    yield "}]}\n"


_LOG = {"$schema": SCHEMA, "version": "2.1.0"}


def _rows(result: Result, rules: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The results; what describes their rules is added to `rules`, in the order of `ruleIndex`."""
    flow_left = FLOW
    places = _Places(result)
    numbers: dict[str, int] = {}
    for device, attempt in words.attempts(result):
        rows = []
        for finding in attempt.findings:
            rows.append(_result(places, device, attempt, finding, rules))
            if finding.code == attempt.cause and len(attempt.events) <= flow_left and attempt.events:
                rows[-1]["codeFlows"] = [{"threadFlows": [{"locations": [_flow_location(places, event) for event in attempt.events]}]}]
                flow_left -= len(attempt.events)
        if attempt.verdict == INCONCLUSIVE:
            rows.append(_open(places, device, attempt, rules))
        for row in rows:
            row["ruleIndex"] = numbers.setdefault(row["ruleId"], len(numbers))
            yield row


def _run(result: Result, rules: dict[str, dict[str, Any]], count: int) -> dict[str, Any]:
    """All of the run but its results."""
    return {
        "tool": {"driver": {"name": "flowcheck", "version": line(result.tool.get("version", "0"), 60),
                            "rules": list(rules.values()),
                            "properties": {line(key, 60): line(value, 300) for key, value in result.tool.items()}}},
        "invocations": [_invocation(result, count)],
        "artifacts": [{"location": {"uri": _uri(capture)}, "roles": ["analysisTarget"],
                       **({"hashes": {"sha-256": capture.sha256}} if capture.sha256 else {})}
                       for capture in result.captures],
        "columnKind": "unicodeCodePoints",
    }


def _invocation(result: Result, rows: int) -> dict[str, Any]:
    notes = [f"{capture.path}: {remark}" for capture in result.captures for remark in capture.remarks]
    if result.verdict is None:
        notes.append("nothing to judge: no procedure was found")
    if rows > RESULTS:
        notes.append(f"{rows - RESULTS} results were left out: {RESULTS} is the limit")
    invocation: dict[str, Any] = {"executionSuccessful": True}
    if result.command:
        invocation["commandLine"] = block(result.command)
    if result.created is not None:
        invocation["endTimeUtc"] = iso(result.created)
    if notes:
        invocation["toolExecutionNotifications"] = [{"level": "warning", "message": {"text": line(note, 1_000)}}
                                                    for note in notes[:100]]
    return invocation


def _result(places: _Places, device: DeviceResult, attempt: AttemptResult, finding: Finding,
            rules: dict[str, dict[str, Any]]) -> dict[str, Any]:
    id = line(finding.code, 500)
    rules.setdefault(id, {
        "id": id, "shortDescription": {"text": f"{finding.kind} at step {line(finding.cite, 40)} of {line(attempt.procedure, 80)}"},
        "fullDescription": {"text": f"{line(finding.clause, 200)}, step {line(finding.cite, 40)}: {line(attempt.title, 300)}"},
        "help": {"text": block(finding.hint) or f"flowcheck explain {id}"},
        "defaultConfiguration": {"level": _LEVELS[finding.severity]}})
    observed, expected = block(finding.observed), block(finding.expected)
    row = {"ruleId": id, "kind": "fail", "level": _LEVELS[finding.severity],
           "message": {"text": f"{line(device.id, 200)}: expected {expected}; observed {observed}"
                               f"{f'; {block(finding.why)}' if finding.why else ''} (to act: {words.side(finding)})"},
           "locations": _locations(places, finding.frames), "partialFingerprints": _fingerprint(device, finding.code),
           "properties": {"device": line(device.id, 200), "procedure": line(attempt.procedure, 80),
                          "step": line(finding.step, 80),
                          "cite": line(finding.cite, 40), "side": finding.side, "filter": line(finding.filter),
                          "cause": finding.code == attempt.cause,
                          "frames": [number for _, number in finding.frames[:LOCATIONS]]}}
    if finding.waived:
        row["suppressions"] = [{"kind": "external", "status": "accepted", "justification": block(finding.waived)}]
    return row


def _open(places: _Places, device: DeviceResult, attempt: AttemptResult,
          rules: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """An inconclusive attempt: SARIF's kind `open`, 3.27.9, which asks for the level `none`."""
    id = line(f"{attempt.procedure}/inconclusive", 500)
    rules.setdefault(id, {"id": id, "shortDescription": {"text": f"{line(attempt.procedure, 80)} could not be decided from this capture"},
                          "help": {"text": "What would decide it stands in the result's message."}})
    advice = "".join(f" {block(text)}" for text in attempt.advice)
    frames = tuple(frame for step in attempt.steps for frame in step.frames)
    return {"ruleId": id, "kind": "open", "level": "none",
            "message": {"text": f"{line(device.id, 200)}: {block(attempt.diagnosis)}{advice}"},
            "locations": _locations(places, frames[-1:]), "partialFingerprints": _fingerprint(device, id),
            "properties": {"device": line(device.id, 200), "procedure": line(attempt.procedure, 80)}}


def _fingerprint(device: DeviceResult, code: str) -> dict[str, str]:
    """The same for the same deviation of the same device, whenever and in whichever frame it happens."""
    return {"flowcheckDeviation/v1": hashlib.sha256(f"{device.id}\n{code}".encode("utf-8", "backslashreplace")).hexdigest()}


def _locations(places: _Places, frames: Iterable[FrameRef]) -> list[dict[str, Any]]:
    return [_location(places, frame) for frame in list(dict.fromkeys(frames))[:LOCATIONS]]


class _Places:
    """How the captures of a result are named and where they are, found out once."""

    def __init__(self, result: Result):
        self.names = [line(name, 200) for name in words.capture_names(result.captures)]
        self.artifacts = [{"uri": _uri(capture), "index": index} for index, capture in enumerate(result.captures)]


def _location(places: _Places, frame: FrameRef) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": places.artifacts[frame.capture],
                                 "region": {"startLine": max(1, frame.number)}},
            "message": {"text": f"{places.names[frame.capture]} frame {frame.number}"},
            "properties": {"frame": frame.number}}


def _flow_location(places: _Places, event: Event) -> dict[str, Any]:
    text = f"{words.role_title(line(event.src, 80))} → {words.role_title(line(event.dst, 80))}: {line(event.kind, 80)} {line(event.summary, 300)}"
    location = _location(places, event.frames[-1]) if event.frames else {}
    return {"location": {**location, "message": {"text": text}}, "executionTimeUtc": iso(event.time),
            "importance": "essential" if event.finding else "important" if event.step else "unimportant"}


def _uri(capture: CaptureInfo) -> str:
    """The path as a URI reference (RFC 3986): relative ones stay relative."""
    quoted = quote(capture.path.encode("utf-8", "surrogateescape"), safe="/")
    return f"file://{quoted}" if quoted.startswith("/") else quoted
