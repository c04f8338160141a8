"""A Result as JSON and back: the shape of `flowcheck check --json`, schema `flowcheck/result/1` (result-schema.json).

A report can be rebuilt from this file without the capture. Reading back what was written gives an equal Result, except
that field values become what JSON knows: octets are hexadecimal digits, anything unusual its text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from flowcheck.errors import UsageError
from flowcheck.model import (AttemptResult, CaptureInfo, DeviceResult, Endpoint, Event, Finding, FrameRef, Opaque,
                             Problem, Result,
                             StepResult)
from flowcheck.report import mask, words
from flowcheck.report.times import from_iso, iso

SCHEMA = "flowcheck/result/1"

Names = tuple[str, ...]


def dumps(result: Result, *, show_secrets: bool = False) -> str:
    """One JSON text ending in a newline, a line per capture and per device; only ASCII, so that it travels anywhere."""
    return "".join(chunks(result, show_secrets=show_secrets))


def chunks(result: Result, *, show_secrets: bool = False) -> Iterator[str]:
    """The same text piece by piece, so that a result of many devices is never held twice."""
    names = words.capture_names(result.captures)
    devices = result.devices if show_secrets else map(mask.masked_device, result.devices)
    whole = _whole(result if show_secrets else mask.masked_frame(result), names)
    yield "{"
    for key, value in whole.items():
        rows = devices if key == "devices" else value if key == "captures" else None
        separator = "\n" if key == "schema" else ",\n"
        if rows is None:
            yield f"{separator}{json.dumps(key)}: {json.dumps(value)}"
            continue
        yield f"{separator}{json.dumps(key)}: ["
        for number, row in enumerate(rows):
            yield (",\n " if number else "\n ") + json.dumps(_device(row, names) if key == "devices" else row)
        yield "]"
    yield "}\n"


def to_json(result: Result, *, show_secrets: bool = False) -> dict[str, Any]:
    """The result as plain dicts, lists, strings and numbers."""
    result = result if show_secrets else mask.masked(result)
    names = words.capture_names(result.captures)
    return {**_whole(result, names), "devices": [_device(device, names) for device in result.devices]}


def loads(text: str) -> Result:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not JSON: {error}") from None
    return from_json(data)


def from_json(data: Mapping[str, Any]) -> Result:
    """The Result that `to_json` wrote as `data`; UsageError where it is something else."""
    schema = data.get("schema") if isinstance(data, Mapping) else None
    if schema != SCHEMA:
        raise UsageError(f"not a result of this version: schema is {schema!r}, {SCHEMA!r} was expected")
    try:
        return _read(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"a damaged result: {type(error).__name__} {error}") from None


# ---------------------------------------------------------------------------------------------------- writing

def _whole(result: Result, names: Names) -> dict[str, Any]:
    """Everything but the devices, whose place is kept."""
    return {"schema": SCHEMA, "tool": dict(result.tool), "command": result.command, "created": iso(result.created),
            "verdict": result.verdict, "counts": words.counts(result),
            "captures": [_capture(capture, name) for capture, name in zip(result.captures, names)],
            "devices": [],
            "opaque": [_opaque(opaque, names) for opaque in result.opaque]}


def _capture(capture: CaptureInfo, name: str) -> dict[str, Any]:
    return {"path": capture.path, "name": name, "sha256": capture.sha256, "packets": capture.packets,
            "first": iso(capture.first),
            "last": iso(capture.last), "quality": {"grade": capture.grade, "remarks": list(capture.remarks)},
            "undecoded": dict(capture.undecoded), "format": capture.format, "truncated": capture.truncated}


def _device(device: DeviceResult, names: Names) -> dict[str, Any]:
    fields: dict[int, Any] = {}              # those of a message, by identity: it stands in every attempt it belongs to
    return {"id": device.id, "identity": dict(device.identity), "addresses": list(device.addresses),
            "evidence": list(device.evidence),
            "lacking": list(device.lacking),
            "attempts": [_attempt(attempt, names, fields) for attempt in device.attempts]}


def _attempt(attempt: AttemptResult, names: Names, fields: dict[int, Any]) -> dict[str, Any]:
    return {"procedure": attempt.procedure, "title": attempt.title, "clause": attempt.clause,
            "verdict": attempt.verdict,
            "started": iso(attempt.started), "ended": iso(attempt.ended), "diagnosis": attempt.diagnosis,
            "side": attempt.side,
            "steps": [_step(step, names) for step in attempt.steps], "cause": attempt.cause,
            "findings": [_finding(finding, names) for finding in attempt.findings], "assumed": list(attempt.assumed),
            "advice": list(attempt.advice), "limits": list(attempt.limits),
            "roles": [{"role": role, "host": host} for role, host in attempt.roles],
            "events": [_event(event, names, fields) for event in attempt.events]}


def _step(step: StepResult, names: Names) -> dict[str, Any]:
    return {"step": step.step, "cite": step.cite, "state": step.state, "frames": _frames(step.frames, names),
            "time": iso(step.time),
            "reason": step.reason, "title": step.title, "src": step.src, "dst": step.dst, "message": step.message}


def _finding(finding: Finding, names: Names) -> dict[str, Any]:
    return {"code": finding.code, "kind": finding.kind, "severity": finding.severity, "step": finding.step,
            "cite": finding.cite,
            "clause": finding.clause, "frames": _frames(finding.frames, names), "expected": finding.expected,
            "observed": finding.observed, "hint": finding.hint, "side": finding.side, "filter": finding.filter,
            "repair": finding.repair, "waived": finding.waived, "why": finding.why, "also": finding.also}


def _event(event: Event, names: Names, fields: dict[int, Any]) -> dict[str, Any]:
    shown = fields.get(id(event.fields))
    if shown is None:
        shown = fields[id(event.fields)] = plain(event.fields)
    return {"time": iso(event.time), "kind": event.kind, "src": event.src, "dst": event.dst,
            "frames": _frames(event.frames, names),
            "copies": _frames(event.copies, names), "layers": list(event.layers), "summary": event.summary,
            "fields": shown, "step": event.step, "finding": event.finding,
            "problems": [{"offset": offset, "text": text} for offset, text in event.problems]}


def _opaque(opaque: Opaque, names: Names) -> dict[str, Any]:
    return {"kind": opaque.kind, "start": iso(opaque.start), "end": iso(opaque.end), "src": opaque.src.address,
            "sport": opaque.src.port,
            "dst": opaque.dst.address, "dport": opaque.dst.port, "layers": list(opaque.layers),
            "packets": opaque.packets,
            "size": opaque.size, "stream": opaque.stream, "frames": _frames(opaque.frames, names),
            "fields": plain(opaque.fields)}


def _frames(frames: Iterable[FrameRef], names: Names) -> list[dict[str, Any]]:
    return [{"capture": names[capture], "frame": number} for capture, number in frames]


_AS_IT_IS = frozenset((str, int, bool, type(None)))


def plain(value: Any, depth: int = 0) -> Any:
    """A field's value as JSON knows it."""
    if type(value) in _AS_IT_IS or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if depth > 32:
        return "(nested too deep)"
    if isinstance(value, (dict, Mapping)):
        return {key if type(key) is str else str(key): item if type(item) in _AS_IT_IS else plain(item, depth + 1)
                for key, item in value.items()}
    if isinstance(value, Endpoint):
        return str(value)
    if isinstance(value, (tuple, list)):
        return [item if type(item) in _AS_IT_IS else plain(item, depth + 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item, depth + 1) for item in value), key=str)
    return str(value)


# ---------------------------------------------------------------------------------------------------- reading

def _read(data: Mapping[str, Any]) -> Result:
    places = {capture["name"] if "name" in capture else capture["path"]: n
              for n, capture in enumerate(data["captures"])}

    def frames(rows: list[Mapping[str, Any]]) -> tuple[FrameRef, ...]:
        return tuple(FrameRef(places[row["capture"]], row["frame"]) for row in rows)

    return Result(captures=tuple(_read_capture(row) for row in data["captures"]),
                  devices=tuple(DeviceResult(id=row["id"], identity=row["identity"], addresses=tuple(row["addresses"]),
                                             attempts=tuple(_read_attempt(attempt, frames) for attempt in row["attempts"]),
                                             evidence=tuple(row.get("evidence", ())),
                                             lacking=tuple(row.get("lacking", ())))
                                 for row in data["devices"]),
                  tool=data["tool"], command=data.get("command", ""), created=from_iso(data.get("created")),
                  opaque=tuple(_read_opaque(row, frames) for row in data.get("opaque", ())))


def _read_capture(row: Mapping[str, Any]) -> CaptureInfo:
    return CaptureInfo(path=row["path"], sha256=row["sha256"], packets=row["packets"], first=from_iso(row["first"]),
                       last=from_iso(row["last"]), grade=row["quality"]["grade"],
                       remarks=tuple(row["quality"]["remarks"]),
                       undecoded=row["undecoded"], format=row.get("format", ""), truncated=row.get("truncated", False))


def _read_attempt(row: Mapping[str, Any], frames: Callable[..., tuple[FrameRef, ...]]) -> AttemptResult:
    if row["verdict"] not in words.WORST_FIRST:
        raise ValueError(f"no such verdict: {row['verdict']!r}")
    return AttemptResult(
        procedure=row["procedure"], title=row["title"], clause=row.get("clause", ""), verdict=row["verdict"],
        started=from_iso(row["started"]), ended=from_iso(row["ended"]),
        steps=tuple(StepResult(**{**step, "frames": frames(step["frames"]), "time": from_iso(step["time"])})
                    for step in row["steps"]),
        findings=tuple(Finding(**{**finding, "frames": frames(finding["frames"])}) for finding in row["findings"]),
        cause=row["cause"], side=row.get("side"), diagnosis=row.get("diagnosis", ""), assumed=tuple(row["assumed"]),
        events=tuple(_read_event(event, frames) for event in row.get("events", ())),
        roles=tuple((role["role"], role["host"]) for role in row.get("roles", ())), advice=tuple(row.get("advice", ())),
        limits=tuple(row.get("limits", ())))


def _read_event(row: Mapping[str, Any], frames: Callable[..., tuple[FrameRef, ...]]) -> Event:
    return Event(**{**row, "time": from_iso(row["time"]), "frames": frames(row["frames"]),
                    "copies": frames(row["copies"]),
                    "layers": tuple(row["layers"]), "fields": _frozen(row["fields"]),
                    "problems": tuple(Problem(problem["offset"], problem["text"]) for problem in row["problems"])})


def _read_opaque(row: Mapping[str, Any], frames: Callable[..., tuple[FrameRef, ...]]) -> Opaque:
    return Opaque(kind=row["kind"], start=from_iso(row["start"]), end=from_iso(row["end"]),
                  src=Endpoint(row["src"], row["sport"]),
                  dst=Endpoint(row["dst"], row["dport"]), layers=tuple(row["layers"]), packets=row["packets"],
                  size=row["size"],
                  stream=row["stream"], frames=frames(row["frames"]), fields=_frozen(row["fields"]))


def _frozen(value: Any) -> Any:
    """Lists as tuples, as the decoders made them."""
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    return {key: _frozen(item) for key, item in value.items()} if isinstance(value, dict) else value
