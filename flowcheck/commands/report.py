"""`flowcheck report render`: reports from the JSON of a check, without its captures."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from ..errors import UsageError
from ..model import DeviceResult, Result
from . import common

HELP = "write reports again from the JSON of a check, without its captures"


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    render = actions.add_parser("render", help=HELP, description=HELP)
    render.add_argument("result", metavar="RESULT.json",
                        help="what `flowcheck check --json` wrote; - is standard input")
    for name, what in (("html", "report"), ("json", "result"), ("junit", "JUnit result"), ("sarif", "SARIF result")):
        render.add_argument(f"--{name}", metavar="FILE", help=f"write the {what} here, - for standard output")
    render.add_argument("--device", action="append", default=[], metavar="ID",
                        help="of this device only: its id, or one of its addresses or identities")
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
        result = _of_devices(result, options.device)
    write.reports(result, options)
    return common.EXIT_OK


def _of_devices(result: Result, names: list[str]) -> Result:
    """What it says of the devices named. Raises UsageError where one is not in it."""
    chosen: dict[int, DeviceResult] = {}
    for name in names:
        found = [(number, device) for number, device in enumerate(result.devices)
                 if name in (device.id, *device.addresses, *device.identity.values())]
        if not found:
            raise UsageError(f"--device {name}: not in this result")
        chosen.update(found)
    devices = tuple(chosen[number] for number in sorted(chosen))
    hosts = {address for device in devices for address in device.addresses}
    opaque = tuple(one for one in result.opaque if one.src.address in hosts or one.dst.address in hosts)
    return replace(result, devices=devices, opaque=opaque)
