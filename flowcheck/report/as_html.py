"""The deviation report: one HTML file that needs no network, no server and no script, and is better with one.

The page is written by templates/ with autoescape on; its policy (CSP 3) admits only the style sheet and the script that
stand in it, by their hashes. How much is written depends on size: up to a budget everything stands in the page as it
is; beyond it the attempts that passed are packed (zlib, base64) and unpacked when opened; beyond the ceiling the report
becomes an index and a file per device.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from flowcheck.model import PASS, Result
from flowcheck.report import mask, view

BUDGET = 1_000_000            # octets of a page up to which everything stands in it as it is
CEILING = 10_000_000          # octets no file exceeds

_LEAST = (view.Detail(), view.Detail(messages=200, value=1_024), view.Detail(messages=40, value=256), view.Detail(messages=5, value=120))


def html(result: Result, *, show_secrets: bool = False) -> str:
    """The whole report as one page, however large."""
    return _page(result if show_secrets else mask.masked(result), None) or ""


def write_html(result: Result, path: str | Path, *, show_secrets: bool = False, ceiling: int = CEILING) -> list[Path]:
    """Writes the report to `path` and returns the files written: `path` first, then one per device where it was too large."""
    result = result if show_secrets else mask.masked(result)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    page = _page(result, ceiling, only=1 if len(result.devices) == 1 else None)
    if page is not None:
        _write(path, page)
        return [path]
    folder = path.parent / f"{path.stem}-devices"
    folder.mkdir(exist_ok=True)
    written = [path]
    for number in sorted({number for number, _ in view.chosen(result)}):
        file = folder / f"d{number}.html"
        _write(file, _page(result, ceiling, only=number, back=f"../{path.name}") or "")
        written.append(file)
    _write(path, _render(view.page(result), [], "", folder.name))
    return written


def _page(result: Result, ceiling: int | None, only: int | None = None, back: str = "") -> str | None:
    """The page with as much detail as fits below the ceiling; None where several devices do not. One device always fits."""
    head = view.page(result, only)
    for step, detail in enumerate(_LEAST):
        devices, size, unpacked = [], 0, 0
        for device in _devices(result, detail, only):
            devices.append(device)
            size += sum(_size(attempt["body"]) for attempt in device["full"])
            unpacked += sum(_size(attempt["body"]) for attempt in device["full"] if not attempt["passed"])
            if only is None and ceiling is not None and unpacked > ceiling:
                return None
        if step == 0 and size <= BUDGET:
            return _render(head, devices, back)
        if step == len(_LEAST) - 1 and ceiling is not None:
            _leave_out(devices, ceiling // 2)
        page = _render(head, [_packed(device) for device in devices], back)
        if ceiling is None or _size(page) <= ceiling:
            return page
        if only is None:
            return None
    return page


def _leave_out(devices: list[dict[str, Any]], room: int) -> None:
    """The last resort: attempts for which there is no room any more keep their heading only."""
    for device in devices:
        for attempt in device["full"]:
            room -= _size(attempt["body"])
            if room < 0:
                attempt["body"] = "<p>Left out for size; <code>flowcheck check --json</code> holds this attempt in full.</p>"


def _devices(result: Result, detail: view.Detail, only: int | None) -> Iterator[dict[str, Any]]:
    """The devices of which some attempt is shown in full, each with the HTML of those attempts."""
    full = view.chosen(result)
    numbers = {number for number, _ in full} | {number for number, device in enumerate(result.devices, 1) if not device.attempts}
    for number, device in view.in_order(result):
        if only not in (None, number) or number not in numbers:
            continue
        attempts = [(one.verdict == PASS, view.attempt(result, device, number, place, detail))
                    for place, one in enumerate(device.attempts, 1) if (number, place) in full]
        for passed, attempt in attempts:
            attempt["passed"], attempt["body"], attempt["packed"] = passed, _template("attempt.html").render(a=attempt), ""
            del attempt["ladder"], attempt["messages"]           # they stand in the body now
        yield {**view.overview(device, number, full), "full": [attempt for _, attempt in attempts]}


def _packed(device: dict[str, Any]) -> dict[str, Any]:
    for attempt in device["full"]:
        if attempt["passed"]:
            attempt["packed"] = base64.b64encode(zlib.compress(attempt["body"].encode(), 9)).decode("ascii")
    return device


def _render(head: dict[str, Any], devices: list[dict[str, Any]], back: str, folder: str = "") -> str:
    style, script = _source("style.css"), _source("script.js")
    return _template("report.html").render(p=head, devices=devices, back=back, folder=folder, style=style, script=script,
                                           style_hash=_hash(style), script_hash=_hash(script))


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _size(text: str) -> int:
    return len(text.encode())


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


@cache
def _source(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


@cache
def _template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined     # 60 ms, and only this report needs it

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return environment.get_template(name)
