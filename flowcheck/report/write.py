"""Writes the reports a command asked for, and the short summary."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..model import Result
from . import mask
from .visible import line
from .whole import is_special, write_whole

DEFAULT_DIRECTORY = "reports"
_FORMATS = ("html", "json", "junit", "sarif")
_SUFFIX = {"html": ".html", "json": ".json", "junit": ".junit.xml", "sarif": ".sarif"}


def reports(result: Result, options: Any, masked: bool = False) -> list[Path]:
    """Writes every file named in the options; with none named, all formats into the output directory.

    `masked` says that the devices are without their secrets already.
    `-` is standard output, for one format at a time. Returns the files written. Raises UsageError where one cannot be.
    """
    wanted = {name: getattr(options, name) for name in _FORMATS if getattr(options, name)}
    if list(wanted.values()).count("-") > 1:
        raise UsageError("only one report can go to standard output")
    if options.output_dir or not wanted:
        folder = Path(options.output_dir or DEFAULT_DIRECTORY)
        stem = _stem(result)
        wanted = {name: str(folder / (stem + _SUFFIX[name])) for name in _FORMATS} | wanted
    shown = result if options.show_secrets else mask.masked_frame(result) if masked else mask.masked(result)
    written: list[Path] = []
    for name, target in wanted.items():
        written += _write(name, shown, target)
    if not options.quiet:
        _summary(shown, written, "-" in (*wanted.values(), getattr(options, "evidence", None)), options)
    return written


def _stem(result: Result) -> str:
    first = result.captures[0].path
    return "stdin" if first == "-" else Path(first).name.partition(".")[0] or "capture"


def _write(name: str, result: Result, target: str) -> list[Path]:
    if target == "-":
        try:
            sys.stdout.writelines(_chunks(name)(result, show_secrets=True))
            sys.stdout.flush()
        except BrokenPipeError:                          # who read it had enough; the verdict is the same
            drop_output()
        return []
    path = Path(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == "html" and not is_special(path):
            from .as_html import write_html
            return write_html(result, path, show_secrets=True)
        write_whole(path, (chunk.encode() for chunk in _chunks(name)(result, show_secrets=True)))
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror}") from error
    return [path]


def drop_output() -> None:
    """Nobody reads standard output any more, or it is full: what is still written to it goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _chunks(name: str) -> Callable[..., Iterable[str]]:
    """What writes this format piece by piece; each is imported where it is wanted."""
    if name == "html":
        from .as_html import html
        return lambda result, **options: (html(result, **options),)
    if name == "junit":
        from .as_junit import chunks
    elif name == "sarif":
        from .as_sarif import chunks
    else:
        from .as_json import chunks
    return chunks


def _summary(result: Result, written: list[Path], taken: bool, options: Any) -> None:
    from .text import summary
    out = sys.stderr if taken else sys.stdout
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"           # no-color.org
    colour = options.color == "always" or options.color == "auto" and out.isatty() and not plain
    out.write(summary(result, color=colour, verbose=options.verbose, show_secrets=True))
    for path in written:
        print(f"wrote {line(path)}", file=sys.stderr)
