"""The plots of index.html as inline SVG: no script, no library, and the numbers in words for who cannot see them.

Colours come from the page's style sheet (classes pass, inconclusive, fail), never alone: every mark has a title.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from statistics import quantiles

from ..report.visible import line
from ..report.words import plural

VERDICTS = ("pass", "inconclusive", "fail")
_WIDTH, _ROW, _LABEL = 720, 22, 300
_DAY = 86_400 * 10**9


def over_time(marks: Sequence[tuple[int, str]], bins: int = 40) -> str:
    """(time in ns, verdict) of every attempt as stacked columns from the first to the last."""
    if not marks:
        return ""
    low, high = min(t for t, _ in marks), max(t for t, _ in marks)
    step = max(1, (high - low) // bins + 1)
    counts = [dict.fromkeys(VERDICTS, 0) for _ in range((high - low) // step + 1)]
    for time, verdict in marks:
        counts[(time - low) // step][verdict] += 1
    tallest = max(sum(c.values()) for c in counts)
    wide = _WIDTH / len(counts)
    parts = []
    for place, column in enumerate(counts):
        y = 160.0
        for verdict in VERDICTS:
            if column[verdict]:
                height = 150 * column[verdict] / tallest
                y -= height
                title = f"{_date(low + place * step, step)}: {column[verdict]} {verdict}"
                parts.append(f'<rect class="{verdict}" x="{place * wide:.1f}" y="{y:.1f}" width="{max(wide - 1, 1):.1f}" height="{height:.1f}">'
                             f"<title>{title}</title></rect>")
    axis = (f'<line x1="0" y1="160.5" x2="{_WIDTH}" y2="160.5"/><text x="0" y="176">{_date(low, step)}</text>'
            f'<text x="{_WIDTH}" y="176" text-anchor="end">{_date(high, step)}</text><text x="0" y="9">{tallest}</text>')
    return _legend(marks) + _svg("".join(parts) + axis, 182,
                                 f"Verdicts over time: {len(marks)} attempts from {_date(low, step)} to {_date(high, step)}")


def bars(title: str, counts: Mapping[str, int], totals: Mapping[str, int] | None = None, most: int = 15) -> str:
    """The largest counts as horizontal bars, each with what it is a part of where `totals` says it.

    What is left out is said.
    """
    shown = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
    if not shown:
        return ""
    largest = shown[0][1]
    of = {name: f"{count} of {totals[name]}" if totals else str(count) for name, count in shown}
    parts = []
    room = _WIDTH - _LABEL - 90                          # the numbers stand behind the bars
    for row, (name, count) in enumerate(shown):
        y = row * _ROW
        parts.append(f'<text x="{_LABEL - 6}" y="{y + 15}" text-anchor="end">{escape(_short(name))}<title>{_plain(name)}</title></text>'
                     f'<rect class="fail" x="{_LABEL}" y="{y + 3}" width="{room * count / largest:.1f}" height="{_ROW - 6}">'
                     f"<title>{_plain(name)}: {of[name]}</title></rect>"
                     f'<text x="{_LABEL + 6 + room * count / largest:.1f}" y="{y + 15}">{of[name]}</text>')
    rest = sum(counts.values()) - sum(count for _, count in shown)
    more = _more(f"{rest} in {plural(len(counts) - len(shown), 'other')}") if rest else ""
    words = f"{title}: {', '.join(f'{name} {of[name]}' for name, _ in shown)}" + (f"; {rest} more in others" if rest else "")
    return _svg("".join(parts), len(shown) * _ROW, words) + more


def boxes(title: str, samples: Mapping[str, Sequence[float]], most: int = 30) -> str:
    """Box plots of seconds on a logarithmic axis: whiskers are the extremes, the box the quartiles, the line the median."""
    known = {name: values for name, values in samples.items() if values}
    shown = [(name, sorted(max(v, 1e-4) for v in values)) for name, values in list(known.items())[:most]]
    if not shown:
        return ""
    low = min(values[0] for _, values in shown)
    high = max(values[-1] for _, values in shown)
    span = max(log10(high) - log10(low), 1e-9)

    def x(value: float) -> float:
        return _LABEL + (_WIDTH - _LABEL - 20) * (log10(value) - log10(low)) / span
    parts = []
    for row, (name, values) in enumerate(shown):
        y = row * _ROW + 11
        first, median, third = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
        words = f"{name}: median {median:.3g} s, quartiles {first:.3g} and {third:.3g} s, from {values[0]:.3g} to {values[-1]:.3g} s, {len(values)} times"
        parts.append(f'<g><title>{_plain(words)}</title><text x="{_LABEL - 6}" y="{y + 4}" text-anchor="end">{escape(_short(name))}</text>'
                     f'<line x1="{x(values[0]):.1f}" y1="{y}" x2="{x(values[-1]):.1f}" y2="{y}"/>'
                     f'<rect class="box" x="{x(first):.1f}" y="{y - 6}" width="{max(x(third) - x(first), 2):.1f}" height="12"/>'
                     f'<line class="median" x1="{x(median):.1f}" y1="{y - 6}" x2="{x(median):.1f}" y2="{y + 6}"/></g>')
    y = len(shown) * _ROW
    ticks = [10.0**e for e in range(int(log10(low)) - 1, int(log10(high)) + 2) if low <= 10.0**e <= high]
    parts += [f'<line x1="{x(t):.1f}" y1="0" x2="{x(t):.1f}" y2="{y}" class="tick"/><text x="{x(t):.1f}" y="{y + 14}" text-anchor="middle">{t:g} s</text>'
              for t in ticks]
    more = _more(f"{plural(len(known) - most, 'step')} more in steps.csv") if len(known) > most else ""
    return _svg("".join(parts), y + 20, f"{title}: {len(shown)} steps") + more


def _svg(inside: str, height: int, words: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{_plain(words)}">{inside}</svg>'


def _more(words: str) -> str:
    return f'<p class="soft">and {words}</p>'


def _legend(marks: Sequence[tuple[int, str]]) -> str:
    present = {verdict for _, verdict in marks}
    return '<p class="legend">' + " ".join(f'<span class="v-{verdict}">■ {verdict}</span>'
                                           for verdict in VERDICTS if verdict in present) + "</p>"


def _plain(text: str) -> str:
    return escape(line(text))


def _short(name: str) -> str:
    name = line(name, 400)
    return name if len(name) <= 40 else "…" + name[-39:]


def _date(time: int, step: int) -> str:
    from ..report.times import iso
    text = iso(time) or ""
    return text[:10] if step >= _DAY // 4 else f"{text[:10]} {text[11:19]}"
