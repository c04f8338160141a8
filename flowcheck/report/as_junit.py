"""JUnit XML for CI: one test case per procedure and device, after the conventions that Jenkins and GitLab share.

There is no official schema, and GitLab reads neither properties nor attributes of a failure: the essence stands in the
failure's text. A case takes the worst verdict of the device's attempts. An inconclusive one is never a pass: it becomes
`<error>`, or `<skipped>` where the caller says so. A result in which nothing was judged holds one case that says that.
"""

from __future__ import annotations

from collections.abc import Iterator

from flowcheck.model import FAIL, INCONCLUSIVE, PASS, AttemptResult, DeviceResult, Result, worst
from flowcheck.report import mask, words
from flowcheck.report.times import iso
from flowcheck.report.visible import block, line

_LONG = 2_000                 # characters of one value in a failure's text


def junit(result: Result, *, inconclusive: str = "error", show_secrets: bool = False) -> str:
    """The XML document. `inconclusive` is the element such a case gets: `error` or `skipped`."""
    return "".join(chunks(result, inconclusive=inconclusive, show_secrets=show_secrets))


def chunks(result: Result, *, inconclusive: str = "error", show_secrets: bool = False) -> Iterator[str]:
    """The same document piece by piece, a suite at a time."""
    if inconclusive not in ("error", "skipped"):
        raise ValueError(f"an inconclusive case is an error or skipped, not {inconclusive!r}")
    result = result if show_secrets else mask.masked(result)
    names = words.capture_names(result.captures)
    devices = [(device, groups, _count(groups)) for device in result.devices if (groups := _by_procedure(device))]
    total = {key: sum(count[key] for _, _, count in devices)
             for key in _EMPTY} if devices else {**_EMPTY, "cases": 1, "empty": 1}
    yield ('<?xml version="1.0" encoding="UTF-8"?>\n'
           f'<testsuites name="flowcheck" tests="{total["cases"]}" {_counts(total, inconclusive)}>\n')
    if not devices:
        yield ('<testsuite name="flowcheck" tests="1" failures="0" errors="1" skipped="0" time="0.000">\n<testcase classname="flowcheck" '
               'name="a procedure is found" time="0.000">\n<error type="nothing-judged" message="nothing to judge">no procedure of the rules '
               'was found in the captures</error>\n</testcase>\n</testsuite>\n')
    for device, groups, count in devices:
        yield _suite(device, groups, count, names, inconclusive) + "\n"
    yield "</testsuites>\n"


_EMPTY = {FAIL: 0, INCONCLUSIVE: 0, PASS: 0, "cases": 0, "empty": 0}
_Groups = dict[str, list[AttemptResult]]


def _by_procedure(device: DeviceResult) -> _Groups:
    groups: _Groups = {}
    for attempt in device.attempts:
        groups.setdefault(attempt.procedure, []).append(attempt)
    return groups


def _count(groups: _Groups) -> dict[str, int]:
    count = {**_EMPTY, "cases": len(groups)}
    for attempts in groups.values():
        count[worst(attempt.verdict for attempt in attempts)] += 1
    return count


def _counts(count: dict[str, int], inconclusive: str) -> str:
    errors = count["empty"] + (count[INCONCLUSIVE] if inconclusive == "error" else 0)
    skipped = count[INCONCLUSIVE] if inconclusive == "skipped" else 0
    return f'failures="{count[FAIL]}" errors="{errors}" skipped="{skipped}"'


def _suite(device: DeviceResult, groups: _Groups, count: dict[str, int], names: tuple[str, ...],
           inconclusive: str) -> str:
    cases = [_case(device, procedure, attempts, worst(attempt.verdict for attempt in attempts), names, inconclusive)
             for procedure, attempts in groups.items()]
    started = min(attempt.started for attempt in device.attempts)
    head = (f'<testsuite name={_quoted(line(device.id, 200))} tests="{len(groups)}" {_counts(count, inconclusive)} '
            f'time="{sum(map(_seconds, device.attempts)):.3f}" timestamp="{iso(started)[:19]}">')
    return "\n".join([head, *cases, "</testsuite>"])


def _text(text: str) -> str:
    """Character data; xml.sax.saxutils would do the same, and load the whole of urllib with it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _quoted(text: str) -> str:
    """An attribute's value in its quotes."""
    return f'"{_text(text).replace(chr(34), "&quot;")}"'


def _seconds(attempt: AttemptResult) -> float:
    return max(0, attempt.ended - attempt.started) / 1e9


def _case(device: DeviceResult, procedure: str, attempts: list[AttemptResult], verdict: str | None,
          names: tuple[str, ...],
          inconclusive: str) -> str:
    head = (f'<testcase classname={_quoted(line(device.id, 200))} name={_quoted(line(f"{procedure} {attempts[0].title}", 300))} '
            f'time="{sum(map(_seconds, attempts)):.3f}"')
    if verdict == PASS:
        return head + "/>"
    first = next(attempt for attempt in attempts if attempt.verdict == verdict)
    element, kind = ("failure", "deviation") if verdict == FAIL else (inconclusive, "inconclusive")
    text = "\n\n".join(_essence(attempt, names) for attempt in attempts if attempt.verdict != PASS)
    if len(attempts) > 1:
        text = f"{len(attempts)} attempts: " + ", ".join(attempt.verdict for attempt in attempts) + "\n\n" + text
    cause = words.cause(first)
    message = line(first.diagnosis or (cause.code if cause else first.verdict), 400)
    return f'{head}>\n<{element} type="{kind}" message={_quoted(message)}>{_text(text)}</{element}>\n</testcase>'


def _essence(attempt: AttemptResult, names: tuple[str, ...]) -> str:
    reached, cause = words.furthest(attempt), words.cause(attempt)
    rows = [f"{attempt.verdict.upper()}: {block(attempt.diagnosis, _LONG)}", f"started: {iso(attempt.started)}",
            f"clause: {line(attempt.clause, 200)}"]
    if reached is not None:
        rows.append(f"furthest step reached: {line(reached.cite, 40)} {line(reached.title, 200)}")
    if attempt.verdict == FAIL:
        rows.append(f"who should act: {words.side(cause) if cause is not None else words.SIDE_WORDS[attempt.side or 'unknown']}")
    if cause is not None:
        rows += [f"cause: {line(cause.code, 400)}", f"expected: {block(cause.expected, _LONG)}",
                 f"observed: {block(cause.observed, _LONG)}"]
        rows += [f"{name}: {value}" for name, value in (("why", block(cause.why, _LONG)),
                                                        ("needed", block(cause.repair, _LONG)),
                 ("evidence", words.frame_list(cause.frames, names)), ("Wireshark filter", line(cause.filter, _LONG)),
                 ("look at", block(cause.hint, _LONG))) if value]
    rows += [f"also: {line(finding.code, 400)} ({finding.severity}{', waived' if finding.waived else ''})"
             for finding in attempt.findings
             if finding is not cause][:50]
    rows += [f"to decide: {block(text, _LONG)}" for text in attempt.advice]
    return "\n".join(rows)
