"""Two runs of a procedure side by side: step by step, and the findings that only one of them has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .model import VERDICTS, AttemptResult, Finding, FrameRef, Result, StepResult
from .report.words import capture_names, frame_list


class Cell(NamedTuple):
    """One step of one run. `after` is seconds since the attempt began, None where the step was not seen."""

    state: str
    frames: str
    after: float | None
    reason: str


class Row(NamedTuple):
    cite: str
    step: str
    title: str
    good: Cell | None           # None: the run has no such step (another version of the rule)
    bad: Cell | None
    differs: bool
    slower: float | None        # seconds by which the step came later in the bad run


class Pair(NamedTuple):
    """One procedure in both runs; an attempt is None where that run has none."""

    procedure: str
    title: str
    good: AttemptResult | None
    bad: AttemptResult | None
    rows: tuple[Row, ...]
    first: Row | None           # the first step that went otherwise
    only_good: tuple[Finding, ...]
    only_bad: tuple[Finding, ...]

    @property
    def differs(self) -> bool:
        return (self.good is None or self.bad is None or self.good.verdict != self.bad.verdict or self.first is not None
                or bool(self.only_good or self.only_bad))


def compare(good: Result, bad: Result, procedures: tuple[str, ...] = ()) -> list[Pair]:
    """A Pair per procedure that either run attempted, in the order in which it was attempted.

    Of several attempts the best of the good run is compared with the worst of the bad one.
    """
    ours, theirs = _attempts(good), _attempts(bad)
    names = [name for name in dict.fromkeys((*ours, *theirs)) if not procedures or name in procedures]
    good_names, bad_names = capture_names(good.captures), capture_names(bad.captures)
    return [_pair(name, min(ours.get(name, ()), key=_badness, default=None),
                  max(theirs.get(name, ()), key=_badness, default=None), good_names, bad_names) for name in names]


def _attempts(result: Result) -> dict[str, list[AttemptResult]]:
    found: dict[str, list[AttemptResult]] = {}
    for attempt in sorted((a for device in result.devices for a in device.attempts), key=lambda a: a.started):
        found.setdefault(attempt.procedure, []).append(attempt)
    return found


def _badness(attempt: AttemptResult) -> int:
    return VERDICTS.index(attempt.verdict)


def _pair(name: str, good: AttemptResult | None, bad: AttemptResult | None, good_names: tuple[str, ...],
          bad_names: tuple[str, ...]) -> Pair:
    left, right = _cells(good, good_names), _cells(bad, bad_names)
    titles = {step.step: step for attempt in (bad, good) if attempt for step in attempt.steps}
    rows = []
    for step in _in_order(good, bad):
        one, other = left.get(step), right.get(step)
        differs = good is not None and bad is not None and (one is None or other is None or one.state != other.state)
        both = one is not None and other is not None and one.after is not None and other.after is not None
        slower = other.after - one.after if both else None
        rows.append(Row(titles[step].cite, step, titles[step].title, one, other, differs, slower))
    codes = [{f.code for f in attempt.findings} if attempt else set() for attempt in (good, bad)]
    return Pair(name, (good or bad).title, good, bad, tuple(rows), next((row for row in rows if row.differs), None),
                tuple(f for f in (good.findings if good else ()) if f.code not in codes[1]),
                tuple(f for f in (bad.findings if bad else ()) if f.code not in codes[0]))


def _in_order(good: AttemptResult | None, bad: AttemptResult | None) -> list[str]:
    """The steps of both in the order of the rule; one that only the second has comes after the one before it there."""
    order = [step.step for step in good.steps] if good else []
    before = ""
    for step in bad.steps if bad else ():
        if step.step not in order:
            order.insert(order.index(before) + 1 if before in order else 0, step.step)
        before = step.step
    return order


def _cells(attempt: AttemptResult | None, names: tuple[str, ...]) -> dict[str, Cell]:
    if attempt is None:
        return {}
    return {step.step: Cell(step.state, frame_list(step.frames, names), _after(step, attempt), step.reason or "")
            for step in attempt.steps}


def _after(step: StepResult, attempt: AttemptResult) -> float | None:
    return None if step.time is None else (step.time - attempt.started) / 1e9


# ---------------------------------------------------------------------------------------------------- shown

def as_json(pairs: list[Pair], good: Result, bad: Result) -> dict[str, Any]:
    names = [capture_names(result.captures) for result in (good, bad)]
    return {"schema": "flowcheck/diff/1", "good": list(names[0]), "bad": list(names[1]), "procedures": [{
        "procedure": pair.procedure, "title": pair.title, "differs": pair.differs,
        "good": _head(pair.good), "bad": _head(pair.bad), "first_difference": pair.first.step if pair.first else None,
        "steps": [{"cite": row.cite, "step": row.step, "title": row.title, "differs": row.differs, "slower": row.slower,
                   "good": row.good and row.good._asdict(), "bad": row.bad and row.bad._asdict()} for row in pair.rows],
        "only_in_good": [_finding(f, names[0]) for f in pair.only_good],
        "only_in_bad": [_finding(f, names[1]) for f in pair.only_bad]} for pair in pairs]}


def _head(attempt: AttemptResult | None) -> Mapping[str, Any] | None:
    return attempt and {"verdict": attempt.verdict, "cause": attempt.cause, "diagnosis": attempt.diagnosis}


def _finding(finding: Finding, names: tuple[str, ...]) -> dict[str, Any]:
    return {"code": finding.code, "severity": finding.severity, "expected": finding.expected,
            "observed": finding.observed, "hint": finding.hint, "frames": _refs(finding.frames, names)}


def _refs(frames: tuple[FrameRef, ...], names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"capture": names[ref.capture], "frame": ref.number} for ref in frames]


def as_text(pairs: list[Pair], good: Result, bad: Result) -> str:
    """The table: a `*` marks steps that went otherwise; times are seconds since the attempt began."""
    names = capture_names(good.captures), capture_names(bad.captures)
    return "\n".join(line for pair in pairs for line in _lines(pair, *names)) + "\n"


def _lines(pair: Pair, good_names: tuple[str, ...], bad_names: tuple[str, ...]) -> list[str]:
    from .report.visible import line
    lines = [f"{pair.procedure}  {line(pair.title, 120)}"]
    for name, attempt in (("good", pair.good), ("bad", pair.bad)):
        said = f"{attempt.verdict.upper():<13}{line(attempt.diagnosis, 300)}" if attempt else "no attempt"
        lines.append(f"  {name:<5}{said}")
    if pair.good is None or pair.bad is None:
        return [*lines, ""]
    table = [("", "step", "", "good", "", "bad", "", "slower by")]
    table += [("*" if row.differs else "", row.cite, row.step, *_cell(row.good), *_cell(row.bad),
               "" if row.slower is None else f"{row.slower:+.3f} s") for row in pair.rows]
    widths = [max(map(len, column)) for column in zip(*table)]
    lines += ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
    if pair.first is not None:
        why = pair.first.bad.reason if pair.first.bad else ""
        said = f": {line(why, 300)}" if why else ""
        lines.append(f"  first difference: step {pair.first.cite} {pair.first.step}{said}")
    for name, findings, names in (("bad", pair.only_bad, bad_names), ("good", pair.only_good, good_names)):
        lines += [f"  only in {name}: {line(f.code, 200)}: expected {line(f.expected, 200)}; "
                  f"observed {line(f.observed, 200)}" + (f" ({frame_list(f.frames, names)})" if f.frames else "")
                  for f in findings]
    return [*lines, ""]


def _cell(cell: Cell | None) -> tuple[str, str]:
    if cell is None:
        return "(no such step)", ""
    frames = cell.frames if len(cell.frames) <= 40 else cell.frames[:37] + "..."
    after = "" if cell.after is None else f"at {cell.after:.3f} s"
    return cell.state.replace("_", " "), f"{frames} {after}".strip()
