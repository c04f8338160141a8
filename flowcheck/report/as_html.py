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
    return _page(result if show_secrets else mask.masked(result), CEILING)


def write_html(result: Result, path: str | Path, *, show_secrets: bool = False, ceiling: int = CEILING) -> list[Path]:
    """Writes the report to `path` and returns the files written: `path` first, then one per device where it was too large."""
    result = result if show_secrets else mask.masked(result)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    page = _page(result, ceiling) if sum(len(device.attempts) for device in result.devices) <= 20_000 else ""
    if page and (_size(page) <= ceiling or not result.devices):
        _write(path, page)
        return [path]
    folder = path.parent / f"{path.stem}-devices"
    folder.mkdir(exist_ok=True)
    written = [path]
    for number in range(1, len(result.devices) + 1):
        file = folder / f"d{number}.html"
        _write(file, _page(result, ceiling, only=number, back=f"../{path.name}"))
        written.append(file)
    _write(path, _index(result, folder.name))
    return written


def _page(result: Result, ceiling: int, only: int | None = None, back: str = "") -> str:
    """The page with as much detail as fits; the scantest one where none does."""
    head = view.page(result)
    page = ""
    for step, detail in enumerate(_LEAST):
        devices = list(_devices(result, detail, only))
        if step == 0 and sum(device["size"] for device in devices) <= BUDGET:
            return _render(head, devices, back)
        page = _render(head, [_packed(device) for device in devices], back)
        if _size(page) <= ceiling or only is None:               # a page of many devices is split before it is thinned
            return page
    return page


def _index(result: Result, folder: str) -> str:
    devices = [{**view.overview(device, number), "full": [], "href": f"{folder}/d{number}.html"}
               for number, device in enumerate(result.devices, 1)]
    return _render(view.page(result), devices, "", folder)


def _devices(result: Result, detail: view.Detail, only: int | None) -> Iterator[dict[str, Any]]:
    for number, device in enumerate(result.devices, 1):
        if only is not None and number != only:
            continue
        full = [(one.verdict == PASS, view.attempt(result, device, number, place, detail)) for place, one in enumerate(device.attempts, 1)]
        for passed, attempt in full:
            attempt["passed"], attempt["body"], attempt["packed"] = passed, _template("attempt.html").render(a=attempt), ""
            del attempt["ladder"], attempt["messages"]           # they stand in the body now
        yield {**view.overview(device, number), "full": [attempt for _, attempt in full], "href": "",
               "size": sum(_size(attempt["body"]) for _, attempt in full)}


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
