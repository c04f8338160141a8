"""The deviation report: one HTML file that needs no network, no server and no script, and is better with one.

The templates are in templates/, what they show is prepared by view_page.py, view_devices.py and view_attempt.py. The
page's policy (CSP 3) admits only the style sheet and the script that stand in it, by their hashes. How much is written
depends on size: up to a budget everything stands in the page as it is; beyond it the attempts that passed are packed
(zlib, base64) and unpacked when opened. Of so many that only examples are shown anyway, there are as many as fit one file.
Beyond the ceiling the report becomes an index and a file per device, written one by one.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from flowcheck.model import PASS, DeviceResult, Result
from flowcheck.report import mask, view_attempt, view_devices, view_page
from flowcheck.report.template import render
from flowcheck.report.view_attempt import Detail
from flowcheck.report.view_devices import Device, Heading, Numbered
from flowcheck.report.view_page import Report
from flowcheck.report.whole import write_whole

BUDGET = 1_000_000            # octets of attempts up to which everything stands in a page as it is
CEILING = 10_000_000          # octets no file exceeds
_SAMPLE = 16                  # devices that show whether all of them would fit by far
_EXAMPLES = 0.4               # of the ceiling, for examples: more only takes the browser time
_ROW = 750                    # octets of a device in the index

_LEAST = (Detail(), Detail(messages=200, value=1_024), Detail(messages=40, value=256), Detail(messages=5, value=120))
_LEFT_OUT = b"<p>Left out for size; <code>flowcheck check --json</code> holds this attempt in full.</p>"

Bodies = list[tuple[int, bytes]]      # HTML in UTF-8 of those attempts of a device that are shown in full


def html(result: Result, *, show_secrets: bool = False) -> str:
    """The whole report as one page, however large."""
    report = Report.of(result if show_secrets else mask.masked(result))
    devices = [(entry, _bodies(report, entry)) for entry in _shown(report)]
    return _page(report, _devices(report, devices, _exceeds(devices, BUDGET))).decode()


def write_html(result: Result, path: str | Path, *, show_secrets: bool = False, ceiling: int = CEILING) -> list[Path]:
    """Writes the report to `path`; returns the files written: `path`, then one per device where it was too large."""
    report = _with_fitting_examples(Report.of(result if show_secrets else mask.masked(result)), ceiling)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if len(report.numbered) == 1:
        write_whole(path, (_one_device(report, report.numbered[0], ceiling),))
        return [path]
    devices: list[tuple[Numbered, Bodies]] = []
    folder, written, size = path.parent / f"{path.stem}-devices", [path], 0
    shown = list(_shown(report))
    for entry in shown:
        devices.append((entry, _bodies(report, entry)))
        size += sum(len(body) for place, body in devices[-1][1] if entry[1].attempts[place - 1].verdict != PASS)
        if size > ceiling or len(devices) == _SAMPLE and size * len(shown) > 2 * _SAMPLE * ceiling:
            break
    else:
        whole = _page(report, _devices(report, devices, _exceeds(devices, BUDGET)))
        if len(whole) <= ceiling:
            write_whole(path, (whole,))
            return [path]
    folder.mkdir(exist_ok=True)
    known = {entry[0]: bodies for entry, bodies in devices}
    del devices
    for entry in sorted(shown, key=lambda entry: entry[0]):
        if any((entry[0], place) in report.full for place in range(1, len(entry[1].attempts) + 1)):
            file = folder / f"d{entry[0]}.html"
            write_whole(file, (_one_device(report, entry, ceiling, f"../{path.name}", known.pop(entry[0], None)),))
            written.append(file)
    write_whole(path, (_page(report, (), folder=folder.name),))
    return written


def _with_fitting_examples(report: Report, ceiling: int) -> Report:
    """The report with fewer examples where it would exceed one file; where all attempts are shown none is left out."""
    examples = view_page.chosen(report.result)
    if len(examples) == sum(len(device.attempts) for device in report.result.devices):
        return report
    sample = replace(report, full=frozenset(examples[:_SAMPLE]))
    size = sum(len(body) for entry in _shown(sample) for _, body in _bodies(sample, entry)) / len(sample.full)
    room = 0.9 * ceiling - _ROW * min(len(report.numbered), view_devices.DEVICES)
    fitting = max(int(min(ceiling * _EXAMPLES, room) / size), 1)
    return replace(report, full=frozenset(examples[:fitting]))


def _shown(report: Report) -> Iterator[Numbered]:
    """The devices of which some attempt is shown in full, and those without any attempt."""
    numbers = {number for number, _ in report.full}
    return (entry for entry in report.numbered if entry[0] in numbers or not entry[1].attempts)


def _bodies(report: Report, entry: Numbered, detail: Detail = Detail()) -> Bodies:
    number, device = entry
    report.run.tables.clear()
    return [(place, render("attempt", a=view_attempt.attempt(report.run, one, f"d{number}.a{place}", detail)))
            for place, one in enumerate(device.attempts, 1) if (number, place) in report.full]


def _page(report: Report, devices: Iterable[Device], **of: Any) -> bytes:
    return render("page", **view_page.page(report, devices, **of))


def _devices(report: Report, devices: list[tuple[Numbered, Bodies]], packing: bool) -> Iterator[Device]:
    for (number, device), bodies in devices:
        yield view_devices.device(device, number, report.full, _attempts(device, number, bodies, packing))


def _attempts(device: DeviceResult, number: int, bodies: Bodies, packing: bool) -> Iterator[Heading]:
    for place, body in bodies:
        one = device.attempts[place - 1]
        packed = _packed(body) if packing and one.verdict == PASS else ""
        yield view_devices.heading(one, f"d{number}.a{place}", Markup(body.decode()), packed)


def _one_device(report: Report, entry: Numbered, ceiling: int, back: str = "", bodies: Bodies | None = None) -> bytes:
    """The page, in UTF-8, of one device with as much detail as fits below the ceiling."""
    for detail in _LEAST:
        if bodies is None or detail is not _LEAST[0]:
            bodies = _bodies(report, entry, detail)
        devices = [(entry, bodies)]
        if detail is _LEAST[-1]:
            devices = [(entry, _left_out(bodies, ceiling // 2))]
        text = _page(report, _devices(report, devices, _exceeds(devices, BUDGET)), only=entry, back=back)
        if len(text) <= ceiling:
            break
    return text


def _left_out(bodies: Bodies, room: int) -> Bodies:
    """The last resort: attempts for which there is no room any more keep their heading only."""
    kept = []
    for place, text in bodies:
        room -= len(text)
        kept.append((place, text if room >= 0 else _LEFT_OUT))
    return kept


def _exceeds(devices: list[tuple[Numbered, Bodies]], budget: int) -> bool:
    return sum(len(text) for _, bodies in devices for _, text in bodies) > budget


def _packed(body: bytes) -> str:
    return base64.b64encode(zlib.compress(body, 9)).decode("ascii")
