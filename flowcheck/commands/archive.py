"""`flowcheck archive query`: SQL over what batch runs have gathered."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import common

HELP = "ask questions of what batch runs have gathered"


def arguments(parser: argparse.ArgumentParser) -> None:
    query = parser.add_subparsers(metavar="ACTION", required=True).add_parser(
        "query", help="SQL over the tables captures, attempts, findings and steps")
    query.add_argument("sql", metavar="SQL")
    query.add_argument("folder", nargs="?", default="batch", metavar="DIR",
                       help="output directory of `flowcheck batch` (default: batch)")
    query.add_argument("--format", choices=("table", "csv", "json"), default="table")
    common.output_options(query)


def run(options: argparse.Namespace) -> int:
    from ..batch.query import print_rows, query
    columns, rows = query(options.sql, Path(options.folder))
    print_rows(columns, rows, options.format, sys.stdout)
    return common.EXIT_OK
