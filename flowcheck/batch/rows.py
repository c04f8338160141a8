"""A Result as rows of the tables: captures, attempts, findings (the columns of the contract), and the time of each step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from ..model import INCONCLUSIVE, AttemptResult, DeviceResult, FrameRef, Result

IDENTITY = ("manufacturer", "oui", "product_class", "serial_number", "private_id", "imsi", "hnb_id", "enb_id",
            "ike_id", "mac",
            "software_version")
CAPTURES = ("path", "sha256", "bytes", "packets", "first", "last", "status", "reason", "quality", "verdict")
ATTEMPTS = ("path", "device", *IDENTITY, "procedure", "verdict", "started", "ended", "cause", "side", "group")
FINDINGS = ("path", "device", "procedure", "code", "kind", "severity", "step", "cite", "frames", "waived")
STEPS = ("path", "device", "procedure", "started", "step", "cite", "state", "seconds")
TIMES = frozenset(("first", "last", "started", "ended"))             # ns since 1970 until they are written
NUMBERS = frozenset(("bytes", "packets"))
_REASONS = 3                # why attempts of one observation stayed open
_SOFTWARE = ".DeviceInfo.SoftwareVersion"


def rows(result: Result, masked: Result, path: str) -> dict[str, Any]:
    """The rows of one observation, which stands in the tables under `path`; captures are the caller's, who knows their
    size.

    Beside them stand `words`, what each cause means (step, clause, what was expected, what to look at), and `open`, what
    kept attempts from a verdict. No secrets: what is said in words is taken from `masked`, the result without them.
    """
    attempts, findings, steps = [], [], []
    words: dict[str, list[str]] = {}
    undecided: dict[str, None] = {}
    for device, shown in zip(result.devices, masked.devices):
        identity = [identity_of(device).get(name, "") for name in IDENTITY]
        for attempt in device.attempts:
            attempts.append([path, device.id, *identity, attempt.procedure, attempt.verdict, attempt.started,
                             attempt.ended,
                             attempt.cause, attempt.side, group(attempt)])
            findings += [[path, device.id, attempt.procedure, f.code, f.kind, f.severity, f.step, f.cite,
                          _frames(f.frames, result), f.waived] for f in attempt.findings]
            if attempt.cause and attempt.cause not in words:
                words |= _meaning(shown, attempt.cause)
            if attempt.verdict == INCONCLUSIVE and len(undecided) < _REASONS:
                undecided |= dict.fromkeys(_hidden(attempt))
            steps += _steps(path, device.id, attempt)
    return {"attempts": attempts, "findings": findings, "steps": steps, "words": words, "open": list(undecided)}


def _hidden(attempt: AttemptResult) -> list[str]:
    """The first step that was out of sight, and why."""
    return [f"step {step.cite}: {step.reason}" for step in attempt.steps
            if step.state == "not_observable" and step.reason][:1]


def _meaning(device: DeviceResult, cause: str) -> dict[str, list[str]]:
    return {f.code: [f.cite, f.clause, f.expected, f.hint] for attempt in device.attempts
            for f in attempt.findings if f.code == cause}


def identity_of(device: DeviceResult) -> Mapping[str, str]:
    """The device's identity, with the software version its Informs name."""
    return {"software_version": _software_version(device), **device.identity}


def group(attempt: AttemptResult) -> str:
    """Equal for failures of one kind: the same code at the end of the same trace of steps. Empty where nothing failed."""
    if attempt.verdict != "fail":
        return ""
    trace = ";".join(f"{step.step}={step.state}" for step in attempt.steps if step.state != "unchecked")
    return f"{attempt.cause}#{hashlib.sha256(trace.encode()).hexdigest()[:8]}"


def _software_version(device: DeviceResult) -> str:
    for attempt in device.attempts:
        for event in attempt.events:
            listed = event.fields.get("ParameterList") if event.kind == "cwmp.Inform" else None
            if isinstance(listed, Mapping):
                found = next((str(value) for name, value in listed.items() if str(name).endswith(_SOFTWARE)), "")
                if found:
                    return found
    return ""


def _steps(path: str, device: str, attempt: AttemptResult) -> list[list[Any]]:
    """Each step that was seen, with the seconds since the one seen before it; others with their state alone."""
    out = []
    before: int | None = None
    for step in attempt.steps:
        seconds = None
        if step.time is not None:
            seconds = round((step.time - before) / 1e9, 6) if before is not None and step.time >= before else None
            before = max(step.time, before or 0)
        out.append([path, device, attempt.procedure, attempt.started, step.step, step.cite, step.state, seconds])
    return out


def _frames(frames: Sequence[FrameRef], result: Result) -> str:
    """Frame numbers as Wireshark shows them; with the capture's name where the observation has several."""
    if len(result.captures) < 2:
        return " ".join(str(ref.number) for ref in frames)
    names = [info.path.rpartition("/")[2] for info in result.captures]
    return " ".join(f"{names[ref.capture]}:{ref.number}" for ref in frames)
