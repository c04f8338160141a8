"""The result in a few plain lines for a terminal: each attempt with its diagnosis, worst first.

Where there are many, what they have in common is told once: some examples of each cause, and how many more there are.
"""

from __future__ import annotations

from collections import Counter

from flowcheck.model import FAIL, INCONCLUSIVE, PASS, AttemptResult, DeviceResult, Result
from flowcheck.report import mask, words
from flowcheck.report.visible import line

_COLOURS = {PASS: "32", FAIL: "31", INCONCLUSIVE: "33"}
_LINE = 400                              # characters of one sentence
_MANY = 20                               # attempts; of more only
_EXAMPLES = 3                            # of each cause, and of each procedure that passed or stayed open


def summary(result: Result, *, color: bool = False, verbose: bool = False, show_secrets: bool = False) -> str:
    """Lines ending in a newline. `verbose` tells every attempt: its findings, what was assumed and what would decide."""
    names = words.capture_names(result.captures)
    lines: list[str] = []
    most = _EXAMPLES if sum(words.counts(result).values()) > _MANY and not verbose else None
    for verdict in words.WORST_FIRST:
        told: Counter[str] = Counter()                       # attempts by what they have in common
        for device in result.devices:
            shown = device if show_secrets or (verdict == PASS and not verbose) else None
            for number, attempt in enumerate(device.attempts):
                if attempt.verdict != verdict:
                    continue
                alike = attempt.cause or attempt.procedure
                told[alike] += 1
                if most is None or told[alike] <= most:
                    shown = shown or mask.masked_device(device)
                    lines += _attempt(shown, shown.attempts[number], names, color, verbose)
        lines += [f"{_word(verdict, color)}  and {count - most:,} more like these: {line(alike, 200)}"
                  for alike, count in told.items() if most is not None and count > most]
    for capture, name in zip(result.captures, names):
        if capture.grade != "good" or capture.truncated:
            lines.append(f"capture {line(name, 120)} is {capture.grade}: {line('; '.join(capture.remarks), _LINE) or 'cut short'}")
    lines.append(words.tally(result))
    return "\n".join(lines) + "\n"


def _word(verdict: str, color: bool) -> str:
    word = f"{verdict.upper():<12}"
    return f"\x1b[{_COLOURS[verdict]}m{word}\x1b[0m" if color else word


def _attempt(device: DeviceResult, attempt: AttemptResult, names: tuple[str, ...], color: bool,
             verbose: bool) -> list[str]:
    word = _word(attempt.verdict, color)
    head = f"{word}  {line(attempt.procedure, 60)}  {line(device.id, 80)}"
    if attempt.verdict == PASS and not verbose:
        return [head]
    diagnosis = line(attempt.diagnosis or attempt.title, _LINE)
    if line(device.id, 80) in diagnosis:                     # said once
        head = f"{word}  {line(attempt.procedure, 60)}"
    lines = [f"{head}  {diagnosis}"]
    indent = " " * 14
    cause = words.cause(attempt)
    if cause is not None:
        where = words.frame_list(cause.frames, names)
        facts = [f"to act: {words.side(cause)}", line(where, _LINE),
                 f"needed: {line(cause.repair, _LINE)}" if cause.repair else "", line(cause.code, 200)]
        lines.append(indent + "; ".join(fact for fact in facts if fact))
    if verbose:
        lines += [f"{indent}{words.SEVERITY_ICONS.get(f.severity, '')} {f.severity} at step {line(f.cite, 20)}: expected "
                  f"{line(f.expected, _LINE)}; observed {line(f.observed, _LINE)}"
                  + f" (waived: {line(f.waived, _LINE)})" * bool(f.waived)
                  for f in attempt.findings]
        lines += [f"{indent}assumed: {line(text, _LINE)}" for text in attempt.assumed]
        lines += [f"{indent}limited by: {line(text, _LINE)}" for text in attempt.limits]
    if attempt.verdict == INCONCLUSIVE:
        lines += [f"{indent}to decide: {line(text, _LINE)}" for text in attempt.advice[:None if verbose else 1]]
    return lines
