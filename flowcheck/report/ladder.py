"""An attempt as a ladder diagram (message sequence chart, ITU-T Z.120): inline SVG without scripts, styles or references.

Lifelines are the roles in the order the rule gives them. Each row is one of: a message (with its copies folded in), a run
of messages nobody needs to look at, a step that should have been there, or a stretch that the capture hides. Colours come
from the report's style sheet by class; every mark also has a sign and a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from flowcheck.model import AttemptResult, Event, Finding, StepResult
from flowcheck.report import words
from flowcheck.report.markup import escaped, inline
from flowcheck.report.times import clock, span
from flowcheck.report.visible import line

LIFELINES = 9                 # more hosts than these share the last line
ROWS = 200                    # more messages than these are folded around the findings
_NEAR = 12                    # rows kept either side of a finding when folding
_GUTTER, _MARGIN, _HEAD = 136, 12, 52
_EVENT, _MARKED, _MISSING, _FOLD, _BAND = 40, 62, 44, 28, 46
_CHARACTER, _BOLD = 7.0, 7.7   # average width of a 12 px letter of a wide sans-serif (DejaVu Sans)
_LABEL = 64                   # characters above an arrow
OTHERS = "other hosts"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: exactly one of `event`, `step` (missing), `folded`, `hidden` is set."""

    event: Event | None = None
    number: int = 0                               # of the event, for its anchor
    step: StepResult | None = None
    also: tuple[StepResult, ...] = ()             # steps that were not reached after `step`
    folded: tuple[int, int] | None = None         # numbers of the first and the last event
    hidden: tuple[StepResult, ...] = ()


def in_tunnel(event: Event) -> bool:
    return "esp" in event.layers or "ipsec" in event.layers


def draw(attempt: AttemptResult, anchor: str, names: tuple[str, ...]) -> str:
    """The diagram; its arrows link to `#<anchor>.m<number>`, its missing steps to `#<anchor>.<step>`."""
    rows = lay_out(attempt)
    lines = lifelines(attempt, rows)
    if not rows or not lines:
        return ""
    return _Drawing(attempt, anchor, names, rows, lines).svg()


# ---------------------------------------------------------------------------------------------------- what is shown

def lifelines(attempt: AttemptResult, rows: Sequence[Row]) -> list[tuple[str, str]]:
    """(role or address, host) of those that take part, in the order of the rule; strangers after them."""
    used: dict[str, None] = {}
    for row in rows:
        for end in (row.event, row.step):
            if end is not None:
                used.update({end.src: None, end.dst: None})
    used.pop("", None)
    hosts = dict(attempt.roles)
    ordered = [role for role, _ in attempt.roles if role in used] + [end for end in used if end not in hosts]
    if len(ordered) > LIFELINES:
        ordered = [*ordered[:LIFELINES - 1], OTHERS]
    return [(end, hosts.get(end, "")) for end in ordered]


def lay_out(attempt: AttemptResult) -> list[Row]:
    """The rows from top to bottom."""
    after = _absent(attempt)
    rows = list(after.get(-1, ()))
    for run in _runs(attempt):
        first, last = run[0], run[-1]
        if len(run) > 1:
            rows.append(Row(folded=(first, last)))
        else:
            rows.append(Row(event=attempt.events[first], number=first))
        for number in run:
            rows += after.get(number, ())
    return rows


def _runs(attempt: AttemptResult) -> Iterator[list[int]]:
    """Event numbers: alone where the event is worth an arrow, together where a run of them is not."""
    dull = _dull(attempt)
    breaks = _absent(attempt)
    run: list[int] = []
    for number in range(len(attempt.events)):
        if not dull[number]:
            yield from _short(run)
            run = []
            yield [number]
            continue
        run.append(number)
        if number in breaks:
            yield from _short(run)
            run = []
    yield from _short(run)


def _short(run: list[int]) -> Iterator[list[int]]:
    if len(run) >= 3:
        yield run
    else:
        yield from ([number] for number in run)


def _dull(attempt: AttemptResult) -> list[bool]:
    """Which events tell nothing new: first those of no step, then repetitions of a step, then all far from a finding."""
    events = attempt.events
    noted = [bool(event.finding or event.problems) for event in events]
    dull = [event.step is None and not note for event, note in zip(events, noted)]
    if dull.count(False) > 60:
        seen: dict[tuple[str, str | None], int] = {}
        for number, event in enumerate(events):
            key = (event.kind, event.step)
            seen[key] = seen.get(key, 0) + 1
            dull[number] = dull[number] or (seen[key] > 2 and not noted[number])
    if dull.count(False) > ROWS:
        marked = [number for number, note in enumerate(noted) if note][:ROWS // (2 * _NEAR)]
        keep = {near for number in marked for near in range(number - _NEAR, number + _NEAR + 1)}
        keep |= set(range(_NEAR)) | set(range(len(events) - _NEAR, len(events)))
        dull = [is_dull or number not in keep for number, is_dull in enumerate(dull)]
    return dull


def _absent(attempt: AttemptResult) -> dict[int, list[Row]]:
    """Rows of the steps that were not seen, by the number of the event they come after (-1: before all)."""
    place = {}
    for number, event in enumerate(attempt.events):
        if event.step is not None:
            place[event.step] = number
    groups: list[tuple[str, int, list[StepResult]]] = []
    position = -1
    for step in attempt.steps:
        if step.state in ("missing", "not_observable"):
            if groups and groups[-1][:2] == (step.state, position):
                groups[-1][2].append(step)
            else:
                groups.append((step.state, position, [step]))
        elif step.step in place:
            position = max(position, place[step.step])
    rows: dict[int, list[Row]] = {}
    for state, number, steps in groups:
        row = Row(hidden=tuple(steps)) if state == "not_observable" else Row(step=steps[0], also=tuple(steps[1:]))
        rows.setdefault(number, []).append(row)
    return rows


# ---------------------------------------------------------------------------------------------------- how it is drawn

class _Drawing:
    """One diagram being written: the geometry is fixed by the rows and lifelines before the first stroke."""

    def __init__(self, attempt: AttemptResult, anchor: str, names: tuple[str, ...], rows: list[Row],
                 lines: list[tuple[str, str]]):
        self.attempt, self.anchor, self.names, self.rows, self.lines = attempt, anchor, names, rows, lines
        self.column = max(132, min(220, (1_160 - _GUTTER - _MARGIN) // len(lines)))
        self.place = {end: number for number, (end, _) in enumerate(lines)}
        self.right = _GUTTER + self.column * len(lines)
        self.width = self.right + _MARGIN
        self.cite = {step.step: step.cite for step in attempt.steps}
        self.findings: dict[str, Finding] = {finding.code: finding for finding in attempt.findings}
        self.by_step: dict[str, Finding] = {}
        for finding in attempt.findings:
            self.by_step.setdefault(finding.step, finding)
        self.out: list[str] = []

    def svg(self) -> str:
        heights = [self.height(row) for row in self.rows]
        bottom = _HEAD + sum(heights) + 16
        repeated = len(self.rows) > 18
        total = bottom + (_HEAD if repeated else 0)
        top = _HEAD
        tops = []
        for height in heights:
            tops.append(top)
            top += height
        self.tunnels(tops, heights)
        for number in range(len(self.lines)):
            x = self.x(number)
            self.add('<line class="life" x1="{0}" y1="{1}" x2="{0}" y2="{2}"/>', x, _HEAD - 6, bottom)
        self.heads(0)
        if repeated:
            self.heads(bottom - 4)
        before: int | None = None
        for row, y, height in zip(self.rows, tops, heights):
            if row.event is not None:
                self.event(row, y, height, before)
                before = row.event.time
            elif row.step is not None:
                self.missing(row.step, row.also, y)
            elif row.hidden:
                self.hidden(row.hidden, y)
            elif row.folded:
                self.folded(row.folded, y)
                before = self.attempt.events[row.folded[1]].time
        head = ('<svg class="ladder" role="group" aria-label="Ladder diagram; the table after it says the same" '
                f'width="{self.width}" height="{total}" viewBox="0 0 {self.width} {total}">')
        return "\n".join([head, *self.out, "</svg>"])

    def height(self, row: Row) -> int:
        if row.event is not None:
            return _MARKED if row.event.finding or row.event.problems else _EVENT
        return _MISSING + 18 * bool(row.also) if row.step is not None else _BAND if row.hidden else _FOLD

    def add(self, form: str, *values: object) -> None:
        """Texts are escaped, numbers are not; the form itself is ours."""
        self.out.append(form.format(*(value if isinstance(value, (int, float)) else escaped(str(value))
                                      for value in values)))

    def x(self, number: int) -> int:
        return _GUTTER + self.column // 2 + number * self.column

    def of(self, end: str) -> int:
        """The x of a lifeline; of the last one for who has none of their own."""
        return self.x(self.place.get(end, len(self.lines) - 1))

    def fit(self, text: str, width: float) -> str:
        text = line(text, 300)
        room = max(4, int(width / _CHARACTER))
        return text if len(text) <= room else text[:room - 1] + "…"

    def heads(self, y: float) -> None:
        for number, (end, host) in enumerate(self.lines):
            x = self.x(number)
            title = words.role_title(end)
            self.add('<g class="head"><title>{5} {6}</title><rect x="{0}" y="{1}" width="{2}" height="40" rx="6"/>'
                     '<text class="role" x="{3}" y="{4}" text-anchor="middle">{7}</text>', x - self.column // 2 + 5,
                     y + 3, self.column - 10,
                     x, y + 19, line(title, 200), line(host, 200), self.fit(title, self.column - 18))
            self.add('<text class="small" x="{}" y="{}" text-anchor="middle">{}</text></g>', x, y + 35,
                     self.fit(host, (self.column - 14) * 1.12))

    def tunnels(self, tops: list[int], heights: list[int]) -> None:
        """A band behind every run of rows that went through a tunnel."""
        start: int | None = None
        for number in range(len(self.rows) + 1):
            event = self.rows[number].event if number < len(self.rows) else None
            inside = event is not None and in_tunnel(event)
            keeps = number < len(self.rows) and event is None and start is not None
            if inside and start is None:
                start = number
            elif not inside and not keeps and start is not None:
                end = number - 1
                while self.rows[end].event is None:
                    end -= 1
                y, height = tops[start], tops[end] + heights[end] - tops[start]
                self.add('<g class="tunnel"><rect x="{0}" y="{1}" width="{2}" height="{3}" rx="6"/>'
                         '<text class="small" x="{4}" y="{5}" text-anchor="end">in IPsec</text></g>',
                         _GUTTER - 4, y, self.right - _GUTTER + 8, height, self.right, y + 12)
                start = None

    def event(self, row: Row, y: int, height: int, before: int | None) -> None:
        event = row.event
        assert event is not None
        finding = self.findings.get(event.finding or "")
        severity = "" if finding is None else "waived" if finding.waived else line(finding.severity, 20)
        cause = finding is not None and finding.code == self.attempt.cause
        frames = words.frame_list(event.frames, self.names)
        cite = self.cite.get(event.step or "", "")
        text = words.named(event.kind, event.summary)
        label, times = f"{cite}  {text}" if cite else text, f" ×{len(event.copies) + 1}" if event.copies else ""
        # the name of the link, and its tip
        way = f"{words.role_title(event.src)} to {words.role_title(event.dst)}"
        since = "" if before is None else f"  +{span(max(0, event.time - before))}"
        at = clock(event.time)
        self.out.append(
            f'<a class="arrow {escaped(severity)}{" cause" if cause else ""}" href="#{self.anchor}.m{row.number + 1}">\n'
            f'<title>{inline(f"{at}, {way}: {label}{times}, {frames}", 600)}</title>\n'
            f'<rect class="hit" x="0" y="{y}" width="{self.width}" height="{height}"/>\n'
            f'<text class="small" x="4" y="{y + 16}">{at}</text>\n'
            f'<text class="small" x="4" y="{y + 30}">{escaped(self.fit(f"#{_numbers(event)}{since}", _GUTTER * 1.1))}</text>')
        tip = self.arrow(event.src, event.dst, y + 26, "stroke")
        self.label(label, event.src, event.dst, y + 17, times)
        if finding is not None:
            sign = words.SEVERITY_ICONS.get(finding.severity, "")
            word = "waived" if finding.waived else f"cause: {finding.kind}" if cause else finding.kind
            self.mark(f"{sign} {word}: {finding.observed}", tip, y + 34, severity)
        elif event.problems:
            self.mark(f"⚠ {event.problems[0].text}", tip, y + 34, "warning")
        self.out.append("</a>")

    def arrow(self, src: str, dst: str, y: int, css: str) -> float:
        """A line with a head; returns the x where a mark for it is best put."""
        start, end = self.of(src), self.of(dst)
        if start == end:
            self.add('<path class="{}" d="M{},{} h34 v10 h-28"/><path class="tip" d="M{},{} l9,-4 v8 z"/>', css, start,
                     y - 6, start + 2, y + 4)
            return start + 40
        back = -9 if end > start else 9
        self.out.append(f'<line class="{css}" x1="{start}" y1="{y}" x2="{end + back}" y2="{y}"/><path class="tip" d="M{end},{y} l{back},-4.5 v9 z"/>')
        return (start + end) / 2

    def label(self, text: str, src: str, dst: str, y: int, tail: str = "") -> None:
        text = self.fit(text, min(self.right - _GUTTER - 8, _LABEL * _CHARACTER) - len(tail) * _CHARACTER) + tail
        half = len(text) * _CHARACTER / 2
        middle = (self.of(src) + self.of(dst)) / 2
        middle = min(max(middle, _GUTTER + 4 + half), self.right - 4 - half)
        self.out.append(f'<text class="label" x="{middle:.0f}" y="{y}" text-anchor="middle">{escaped(text)}</text>')

    def mark(self, text: str, x: float, y: int, severity: str) -> None:
        text = self.fit(text, min(self.right - _GUTTER - 8, 560) * _CHARACTER / _BOLD)
        width = len(text) * _BOLD + 18
        left = min(max(x - width / 2, _GUTTER + 2), max(_GUTTER + 2, self.right - width))
        self.add('<g class="mark {}"><rect x="{:.0f}" y="{}" width="{:.0f}" height="20" rx="10"/><text x="{:.0f}" y="{}" text-anchor="middle">{}'
                 '</text></g>', severity or "notice", left, y, width, left + width / 2, y + 14, text)

    def missing(self, step: StepResult, also: tuple[StepResult, ...], y: int) -> None:
        finding = self.by_step.get(step.step)
        severity = line(finding.severity, 20) if finding is not None else "follow" if self.attempt.cause else "error"
        sign, word = words.SEVERITY_ICONS.get(severity, "–"), "not reached" if severity == "follow" else "missing"
        self.add('<a class="arrow absent {}" href="#{}.{}">', severity, self.anchor, safe_name(step.step))
        self.add('<title>{}</title><rect class="hit" x="0" y="{}" width="{}" height="{}"/>',
                 line(f"{word}: {step.cite} {step.title}", 400), y,
                 self.width, _MISSING)
        if step.src and step.dst:
            self.arrow(step.src, step.dst, y + 28, "stroke")
        self.label(f"{sign} {word}: {step.cite}  {step.title or step.message or step.step}", step.src, step.dst, y + 18)
        self.out.append("</a>")
        if also:
            cites = list(dict.fromkeys(other.cite for other in also))
            reach = cites[0] if len(cites) == 1 else f"{cites[0]} to {cites[-1]}"
            self.add('<text class="small" x="{}" y="{}">{}</text>', _GUTTER + 6, y + _MISSING + 8,
                     self.fit(f"… and {words.plural(len(also), 'more step')} not seen either: {reach}",
                              self.right - _GUTTER))

    def hidden(self, steps: tuple[StepResult, ...], y: int) -> None:
        cites = list(dict.fromkeys(step.cite for step in steps))
        reach = f"step {cites[0]}" if len(cites) == 1 else f"steps {cites[0]} to {cites[-1]}"
        room = self.right - _GUTTER - 24
        self.add('<a class="hidden-band" href="#{}.{}"><title>{}</title><rect x="{}" y="{}" width="{}" height="{}" rx="6"/>'
                 '<text class="label" x="{}" y="{}">{}</text>', self.anchor, safe_name(steps[0].step),
                 line(steps[0].reason or "", 400), _GUTTER - 2,
                 y + 3, self.right - _GUTTER + 4, _BAND - 6, _GUTTER + 10, y + 20,
                 self.fit(f"? not observable: {reach}", room))
        self.add('<text class="small" x="{}" y="{}">{}</text></a>', _GUTTER + 10, y + 34,
                 self.fit(steps[0].reason or "", room * 1.1))

    def folded(self, run: tuple[int, int], y: int) -> None:
        first, last = run
        kinds = list(dict.fromkeys(event.kind for event in self.attempt.events[first:last + 1]))
        text = f"{last - first + 1} more messages: " + ", ".join(kinds[:4]) + (", …" if len(kinds) > 4 else "")
        self.add('<a class="folded" href="#{}.m{}"><rect x="{}" y="{}" width="{}" height="{}" rx="6"/>'
                 '<text class="small" x="{}" y="{}">{}</text></a>', self.anchor, first + 1, _GUTTER + 2, y + 3,
                 self.right - _GUTTER - 4, _FOLD - 6,
                 _GUTTER + 12, y + 18, self.fit(text, (self.right - _GUTTER - 24) * 1.1))


@lru_cache(1024)
def safe_name(text: str) -> str:
    """`text` as part of an id or of a link to one."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "-" for c in text)[:80] or "-"


def _numbers(event: Event) -> str:
    numbers = [str(number) for _, number in event.frames]
    return ",".join(numbers) if len(numbers) <= 3 else f"{numbers[0]}–{numbers[-1]}"
