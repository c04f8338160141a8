"""SQL over the tables of an archive, with DuckDB: `flowcheck archive query`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, TextIO

from ..errors import UsageError
from ..report.visible import line
from .tables import NAMES, harmless

_CELL = 200                # characters of a cell in a table for readers


def query(sql: str, folder: Path) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows. The tables are views named captures, attempts, findings and steps.

    The statement sees these tables and no other file. Raises UsageError for a wrong one, or where there is no archive.
    """
    try:
        import duckdb
    except ImportError:
        raise UsageError("archive query needs `pip install 'flowcheck[archive]'`") from None
    missing = [name for name in NAMES if not (folder / f"{name}.parquet").exists()]
    if missing:
        raise UsageError(f"{folder}: no {missing[0]}.parquet; name the output directory of `flowcheck batch`")
    with duckdb.connect(":memory:") as database:
        for name in NAMES:
            place = str(folder / f"{name}.parquet").replace("'", "''")
            database.execute(f"CREATE TABLE {name} AS SELECT * FROM read_parquet('{place}')")
        database.execute("SET TimeZone = 'UTC'")
        database.execute("SET enable_external_access = false")
        try:
            answer = database.execute(sql)
            return [column[0] for column in answer.description or ()], answer.fetchall() if answer.description else []
        except duckdb.Error as error:
            raise UsageError(f"archive query: {error}") from None


def print_rows(columns: list[str], rows: list[tuple[Any, ...]], form: str, out: TextIO) -> None:
    """As a table for readers, CSV, or JSON lines."""
    if form == "csv":
        writer = csv.writer(out)
        writer.writerows([columns, *(["" if v is None else harmless(v) for v in row] for row in rows)])
    elif form == "json":
        for row in rows:
            out.write(json.dumps(dict(zip(columns, row)), default=str) + "\n")
    else:
        cells = [[line("" if value is None else value, _CELL) for value in row] for row in (columns, *rows)]
        widths = [max(len(row[at]) for row in cells) for at in range(len(columns))]
        for number, row in enumerate(cells):
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip(), file=out)
            if number == 0:
                print("  ".join("-" * width for width in widths), file=out)
