"""The tables of an archive, made from its ledger: CSV and Parquet with the same columns, and the page over them.

Times are ISO 8601 in CSV and timestamps in Parquet. Every file is written beside its place and then moved there, so that a
reader never sees half of one.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from . import rows
from .ledger import Entry

NAMES = ("captures", "attempts", "findings", "steps")
_LAST = (1 << 63) - 1      # ns that a timestamp can hold
_COLUMNS = {"captures": rows.CAPTURES, "attempts": rows.ATTEMPTS, "findings": rows.FINDINGS, "steps": rows.STEPS}


def complete(folder: Path) -> bool:
    """Are all of them there?"""
    return all((folder / f"{name}.{kind}").exists() for name in NAMES for kind in ("csv", "parquet")) and (folder / "index.html").exists()


def write(entries: Iterable[Entry], folder: Path) -> None:
    """Writes all tables and index.html."""
    from .page import page
    columns, tables, reports = gather(entries)
    for name in NAMES:
        _csv(folder / f"{name}.csv", columns[name], tables[name])
        _parquet(folder / f"{name}.parquet", columns[name], tables[name])
    _moved(folder / "index.html", lambda path: path.write_text(page(columns, tables, reports), encoding="utf-8"))


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
                out.writerow(row)
    _moved(path, fill)


def _parquet(path: Path, columns: tuple[str, ...], table: list[list[Any]]) -> None:
    import pyarrow as arrow
    from pyarrow import parquet
    values = list(zip(*table)) if table else [()] * len(columns)
    data = {name: arrow.array([_value(name, v) for v in held], _kind(name) or arrow.string()) for name, held in zip(columns, values)}
    _moved(path, lambda place: parquet.write_table(arrow.table(data), place, compression="zstd"))


def _kind(name: str) -> Any:
    import pyarrow as arrow
    if name in rows.TIMES:
        return arrow.timestamp("ns", tz="UTC")
    return arrow.int64() if name in rows.NUMBERS else arrow.float64() if name == "seconds" else None


def _value(name: str, value: Any) -> Any:
    if value is None or name in rows.NUMBERS or name == "seconds":
        return value
    if name in rows.TIMES:
        return min(value, _LAST)
    return str(value).encode("utf-8", "backslashreplace").decode()


def _moved(path: Path, fill: Callable[[Path], Any]) -> None:
    waiting = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        fill(waiting)
        waiting.replace(path)
    finally:
        waiting.unlink(missing_ok=True)
