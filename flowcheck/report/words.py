"""What all reports say in the same words: verdicts with their signs, sides, names of captures, how far an attempt got."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from flowcheck.model import FAIL, INCONCLUSIVE, PASS, AttemptResult, CaptureInfo, DeviceResult, Finding, FrameRef, Result, StepResult
from flowcheck.report.visible import line

ICONS = {PASS: "✓", FAIL: "✗", INCONCLUSIVE: "?", None: "–"}
WORDS = {PASS: "Pass", FAIL: "Fail", INCONCLUSIVE: "Inconclusive", None: "Nothing judged"}
WORST_FIRST = (FAIL, INCONCLUSIVE, PASS)
STATE_ICONS = {"seen": "✓", "refused": "✗", "missing": "✗", "late": "⚠", "not_observable": "?", "not_applicable": "–",
               "unchecked": "–"}
STATE_WORDS = {"not_observable": "not observable", "not_applicable": "not applicable"}
SEVERITY_ICONS = {"error": "✗", "warning": "⚠", "notice": "ℹ"}
REACHED = ("seen", "late", "refused")
SIDE_WORDS = {"device": "the device", "network": "the network", "path": "the path between device and network",
              "unknown": "not known from this capture"}


def side(finding: Finding) -> str:
    """Who should act on it, and what else may have to change."""
    return SIDE_WORDS.get(finding.side, finding.side) + (f", or {line(finding.also, 200)}" if finding.also else "")


def capture_names(captures: tuple[CaptureInfo, ...]) -> tuple[str, ...]:
    """How the frames of each capture are named: by base name where that tells them apart, else by path, else numbered."""
    for name in (_base_name, lambda capture: capture.path):
        names = tuple(name(capture) for capture in captures)
        if len(set(names)) == len(names):
            return names
    return tuple(f"{capture.path}#{number}" for number, capture in enumerate(captures, 1))


def _base_name(capture: CaptureInfo) -> str:
    return capture.path.replace("\\", "/").rstrip("/").rpartition("/")[2] or capture.path


def by_capture(frames: Iterable[FrameRef]) -> dict[int, list[int]]:
    """Frame numbers, without repetition and in order, by capture."""
    found: dict[int, set[int]] = {}
    for capture, number in frames:
        found.setdefault(capture, set()).add(number)
    return {capture: sorted(found[capture]) for capture in sorted(found)}


def frame_list(frames: Sequence[FrameRef], names: tuple[str, ...]) -> str:
    """`hnb_outer.pcap frames 9, 10, 11`; the name is left out where there is one capture only."""
    if len(names) == 1 and frames:
        numbers = sorted({number for _, number in frames})
        return f"frame {numbers[0]}" if len(numbers) == 1 else f"frames {', '.join(map(str, numbers))}"
    return "; ".join((f"{names[capture]} " if len(names) > 1 else "") + ("frame " if len(numbers) == 1 else "frames ")
                     + ", ".join(map(str, numbers)) for capture, numbers in by_capture(frames).items())


def attempts(result: Result) -> Iterator[tuple[DeviceResult, AttemptResult]]:
    for device in result.devices:
        for attempt in device.attempts:
            yield device, attempt


_STOPPING = ("refused", "missing", "stopped", "no-answer", "not-started")


def furthest(attempt: AttemptResult) -> StepResult | None:
    """The last step of the clause that was reached; what a failed attempt still did after it was stopped is not progress."""
    steps = attempt.steps
    finding = cause(attempt)
    if finding is not None and finding.kind in _STOPPING:
        end = next((number for number, step in enumerate(steps, 1) if step.step == finding.step), len(steps))
        steps = steps[:end]
    return next((step for step in reversed(steps) if step.state in REACHED), None)


_SIGNS = re.compile(r"[\W_]+")


def named(kind: str, summary: str) -> str:
    """The summary of a message, led by its kind where it does not name it itself."""
    if not summary:
        return kind
    name = kind.partition(".")[2] or kind
    if _bare(name.partition(".")[0]) in _bare(summary):
        return summary
    return f"{name if name != name.lower() else kind} {summary}"


def _bare(text: str) -> str:
    return _SIGNS.sub("", text.lower())


def follow_on(attempt: AttemptResult) -> set[str]:
    """Steps that are missing because of the cause: they have no finding of their own."""
    if attempt.cause is None:
        return set()
    return {step.step for step in attempt.steps if step.state == "missing"} - {finding.step for finding in attempt.findings}


def cause(attempt: AttemptResult) -> Finding | None:
    """The finding that explains the others."""
    return next((finding for finding in attempt.findings if finding.code == attempt.cause), None)


def counts(result: Result) -> dict[str, int]:
    found = dict.fromkeys(WORST_FIRST, 0)
    for _, attempt in attempts(result):
        found[attempt.verdict] += 1
    return found


def tally(result: Result) -> str:
    """`3 attempts of 2 devices: 1 fail, 1 inconclusive, 1 pass`."""
    found = counts(result)
    total, devices = sum(found.values()), len(result.known)
    if not total:
        return "nothing to judge: no procedure was found"
    parts = ", ".join(f"{count} {verdict}" for verdict, count in found.items() if count)
    return f"{plural(total, 'attempt')} of {plural(devices, 'device')}: {parts}"


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + "s" * (count != 1)


_ROLE_WORDS = {"hnb": "HNB", "henb": "HeNB", "segw": "SeGW", "hms": "HMS", "hems": "HeMS", "dns": "DNS", "gw": "GW",
               "mme": "MME", "ue": "UE",
               "m2me": "M2ME", "vno": "VNO", "icf": "ICF", "pgw": "PGW", "drf": "DRF", "dpf": "DPF", "sho": "SHO",
               "pva": "PVA", "msgin5g": "MSGin5G"}
_QUALIFIERS = {"initial", "serving", "outer", "inner"}


@lru_cache(1024)
def role_title(role: str) -> str:
    """A role as the ladder writes it: `segw_initial` is `SeGW (initial)`, `hnb_gw` is `HNB-GW`; a host stays as it is."""
    if not role.replace("_", "").isalnum() or role != role.lower() or not role[:1].isalpha():
        return role
    parts = role.split("_")
    if role == "hnb_gw":
        return "HNB-GW"
    qualifier = parts.pop() if len(parts) > 1 and parts[-1] in _QUALIFIERS else ""
    title = " ".join(_ROLE_WORDS.get(part, part) for part in parts)
    return title[:1].upper() + title[1:] + (f" ({qualifier})" if qualifier else "")


def state_words(state: str) -> str:
    return STATE_WORDS.get(state) or line(state, 40)
