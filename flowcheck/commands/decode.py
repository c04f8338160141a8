"""`flowcheck decode`: prints the decoded messages, nothing judged."""

from __future__ import annotations

import argparse

from . import common

HELP = "print the decoded messages, no judging"


def arguments(parser: argparse.ArgumentParser) -> None:
    common.inputs(parser)
    parser.add_argument("--format", choices=("jsonl", "table"), help="default: table on a terminal, jsonl elsewhere")
    parser.add_argument("--kind", action="append", default=[], metavar="KIND",
                        help="only this kind; `dns` or `cwmp.*` for all of a protocol")
    parser.add_argument("--device", metavar="ID",
                        help="only messages of this device: an address, a serial number, a device id")
    parser.add_argument("--between", metavar="FROM,TO", help="only messages in this time span (ISO 8601)")
    common.output_options(parser)


def run(options: argparse.Namespace) -> int:
    from ..listing import listing
    return listing(common.captures(options), options, common.keys(options), common.decode_as(options),
                   common.progress(options))
