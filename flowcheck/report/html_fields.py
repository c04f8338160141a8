"""The decoded fields of a message as an HTML table of names and values, nested where a value has parts.

What a finding says of a field is marked there. Rows, depth and length of a value are bounded: fields come from the
wire. Made here and not by a template, because a report has tens of thousands of such rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowcheck.model import Finding
from flowcheck.report import words
from flowcheck.report.as_json import plain
from flowcheck.report.markup import inline, lines

_ROWS = 400                   # fields of one message that are shown
_DEPTH = 6                    # levels of nested fields that are shown
_ITEMS = 200                  # of a list of plain values
_TABLES = ("ParameterList", "ParameterListStruct", "headers")
_END = "</tbody></table>\n"
_BEGIN = '<table class="fields"><tbody>\n'
_PLAIN = '<tr><th scope="row">'
_MARKED = '<tr class="marked"><th scope="row">'


def table(fields: Mapping[str, Any], findings: Sequence[Finding], limit: int) -> str:
    """The whole table; `limit` is for the characters of one value, `findings` are those about this message."""
    marks = {finding.code.partition(f"/{finding.kind}:")[2]: finding
             for finding in findings if finding.kind in ("field-absent", "field-wrong")}
    marked: set[str] = set()
    rows: list[str] = []
    _rows(plain(fields), marks, marked, limit, _ROWS, 0, rows)
    absent = [f'{_MARKED}{inline(name, 200)}</th><td><span class="value">absent</span>{_mark(finding)}</td></tr>\n'
              for name, finding in reversed(marks.items()) if finding.kind == "field-absent" and name not in marked]
    return "".join((_BEGIN, *absent, *rows, _END))


def _rows(fields: Mapping[str, Any], marks: Mapping[str, Finding], marked: set[str], limit: int, left: int, depth: int,
          out: list[str]) -> tuple[int, int]:
    """Writes the rows of these fields; returns how many they are, and how many more the message may have."""
    count = 0
    for name, value in fields.items():
        count += 1
        if left <= 0:
            out.append(f'{_PLAIN}…</th><td><span class="value">{len(fields) - count + 1} more</span></td></tr>\n')
            break
        left -= 1
        mark = ""
        if name in marks:
            mark = _mark(marks[name])
            marked.add(name)
        head = f"{_MARKED if mark else _PLAIN}{inline(name, 200)}</th><td>"
        if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
            value = {f"[{number}]": item for number, item in enumerate(value)}
        if not isinstance(value, dict) or not value or depth >= _DEPTH:
            out.append(f'{head}<span class="value">{_value(value, limit)}</span>{mark}</td></tr>\n')
            continue
        place = len(out)
        inside, left = _rows(value, marks, marked, limit, left, depth + 1, out)
        label = f'<span class="label">{inside} entries</span>' if name in _TABLES else ""
        out.insert(place, f"{head}{label}{_BEGIN}")
        out.append(f"{_END}{mark}</td></tr>\n")
    return count, left


def _mark(finding: Finding) -> str:
    sign = words.SEVERITY_ICONS.get(finding.severity, "")
    return f' <strong class="deviates">{sign} {finding.kind}: expected {inline(finding.expected, 300)}</strong>'


def _value(value: Any, limit: int) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        shown = ", ".join([lines(item, 400) for item in value[:_ITEMS]])
        return shown + (f", … ({len(value) - _ITEMS} more)" if len(value) > _ITEMS else "") or "(none)"
    return lines(value, limit) if value != "" else "(empty)"
