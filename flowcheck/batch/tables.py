"""The tables of an archive, made from its ledger: CSV and Parquet with the same columns, and the page over them.

Times are ISO 8601 in CSV and timestamps in Parquet. Text that a spreadsheet would take for a formula has an apostrophe in
front in CSV, because the names in it are those that devices gave themselves; Parquet holds it as it is. Every file is
written beside its place and then moved there, so that a reader never sees half of one.
"""

from __future__ import annotations

import csv
import os
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from . import rows
from .ledger import Entry

NAMES = ("captures", "attempts", "findings", "steps")
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
_LAST = (1 << 63) - 1      # ns that a timestamp can hold
_COLUMNS = {"captures": rows.CAPTURES, "attempts": rows.ATTEMPTS, "findings": rows.FINDINGS, "steps": rows.STEPS}


def complete(folder: Path) -> bool:
    """Are all of them there?"""
    return all((folder / f"{name}.{kind}").exists() for name in NAMES
               for kind in ("csv", "parquet")) and (folder / "index.html").exists()


def write(entries: Iterable[Entry], folder: Path) -> None:
    """Writes all tables and index.html."""
    from .page import page
    entries = list(entries)
    columns, tables, reports = gather(entries)
    words = {code: said for entry in entries for code, said in entry.rows.get("words", {}).items()}
    undecided = {path: entry.rows.get("open", []) for entry in entries for path in entry.paths}
    for name in NAMES:
        _csv(folder / f"{name}.csv", columns[name], tables[name])
        _parquet(folder / f"{name}.parquet", columns[name], tables[name])
    shown = page(columns, tables, reports, words, undecided)
    _moved(folder / "index.html", lambda path: path.write_text(shown, "utf-8", "backslashreplace"))


def gather(entries: Iterable[Entry]) -> tuple[dict[str, tuple[str, ...]], dict[str, list[list[Any]]], dict[str, str]]:
    """Columns and rows of every table, and path -> report. Tags are columns of the captures, named as the tags are."""
    entries = list(entries)
    tags = tuple(dict.fromkeys(name for entry in entries for name in entry.tags))
    shown = tuple(f"tag_{name}" if name in rows.CAPTURES else name for name in tags)
    columns = {**_COLUMNS, "captures": (*rows.CAPTURES, *shown)}
    tables: dict[str, list[list[Any]]] = {name: [] for name in NAMES}
    reports: dict[str, str] = {}
    for entry in entries:
        for path, row in zip(entry.paths, entry.rows["captures"]):
            tables["captures"].append([path, *row[1:], *(entry.tags.get(name, "") for name in tags)])
        for name in NAMES[1:]:
            tables[name] += ([entry.paths[0], *row[1:]] for row in entry.rows[name])
        if entry.report:
            reports.update(dict.fromkeys(entry.paths, entry.report))
    return columns, tables, reports


def _csv(path: Path, columns: tuple[str, ...], table: list[list[Any]]) -> None:
    from ..report.times import iso
    times = [at for at, name in enumerate(columns) if name in rows.TIMES]

    def fill(place: Path) -> None:
        with open(place, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            out = csv.writer(file)
            out.writerow(columns)
            for row in table:
                row = list(row)
                for at in times:
                    row[at] = iso(row[at]) if row[at] is not None else ""
                out.writerow(map(harmless, row))
    _moved(path, fill)


def harmless(value: Any) -> Any:
    """A cell of CSV that no spreadsheet calculates."""
    return f"'{value}" if type(value) is str and value.startswith(_FORMULAS) else value


def _parquet(path: Path, columns: tuple[str, ...], table: list[list[Any]]) -> None:
    import pyarrow as arrow
    from pyarrow import parquet
    values = list(zip(*table)) if table else [()] * len(columns)
    data = [_array(name, held) for name, held in zip(columns, values)]
    _moved(path, lambda place: parquet.write_table(arrow.Table.from_arrays(data, names=list(columns)), place,
                                                   compression="zstd"))


def _array(name: str, values: Sequence[Any]) -> Any:
    """A column, made of its buffers as Arrow's columnar format lays them out: `pyarrow.array` would load all of pandas first."""
    import pyarrow as arrow
    if name in rows.TIMES:
        kind, code, values = arrow.timestamp("ns", tz="UTC"), "q", [None if value is None else min(value, _LAST) for value in values]
    elif name in rows.NUMBERS:
        kind, code = arrow.int64(), "q"
    elif name == "seconds":
        kind, code = arrow.float64(), "d"
    else:
        kind, code = arrow.string(), ""
    present = None if None not in values else _bits([value is not None for value in values])
    if code:
        buffers = [array(code, [0 if value is None else value for value in values])]
    else:
        texts = [b"" if value is None else str(value).encode("utf-8", "backslashreplace") for value in values]
        data = b"".join(texts)
        if len(data) >= 1 << 31:
            kind = arrow.large_string()                  # offsets of 32 bits do not reach that far
        buffers = [array("q" if kind == arrow.large_string() else "i", accumulate(map(len, texts), initial=0)), data]
    return arrow.Array.from_buffers(kind, len(values), [present, *map(arrow.py_buffer, buffers)])


def _bits(flags: Sequence[bool]) -> Any:
    """A validity bitmap: least significant bit first."""
    import pyarrow as arrow
    whole = int("".join("1" if flag else "0" for flag in reversed(flags)), 2)
    return arrow.py_buffer(whole.to_bytes((len(flags) + 7) // 8, "little"))


def _moved(path: Path, fill: Callable[[Path], Any]) -> None:
    waiting = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        fill(waiting)
        waiting.replace(path)
    finally:
        waiting.unlink(missing_ok=True)
