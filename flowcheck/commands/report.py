"""`flowcheck report render`: reports from the JSON of a check, without its captures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import UsageError
from . import common

HELP = "write reports again from the JSON of a check, without its captures"


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    render = actions.add_parser("render", help=HELP, description=HELP)
    render.add_argument("result", metavar="RESULT.json",
                        help="what `flowcheck check --json` wrote; - is standard input")
    for name, what in (("html", "report"), ("json", "result"), ("junit", "JUnit result"), ("sarif", "SARIF result")):
        render.add_argument(f"--{name}", metavar="FILE", help=f"write the {what} here, - for standard output")
    common.device_option(render)
    render.add_argument("--output-dir", metavar="DIR", help="write all of them here (default: reports)")
    render.add_argument("--show-secrets", action="store_true", help="do not mask what the JSON has not masked")
    common.output_options(render)


def run(options: argparse.Namespace) -> int:
    from ..report import as_json, write
    try:
        text = sys.stdin.read() if options.result == "-" else Path(options.result).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UsageError(f"{options.result}: cannot be read: {why}") from None
    try:
        result = as_json.loads(text)
    except UsageError as error:
        raise UsageError(f"{options.result}: {error}") from None
    if options.device:
        result = common.of_devices(result, options.device)
    write.reports(result, options)
    return common.EXIT_OK
