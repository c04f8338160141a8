"""`flowcheck crosscheck`: Wireshark's second opinion about what is in a capture."""

from __future__ import annotations

import argparse
import json
import sys

from . import common

HELP = "ask Wireshark for a second opinion and list where it disagrees"


def arguments(parser: argparse.ArgumentParser) -> None:
    common.inputs(parser)
    parser.add_argument("--json", action="store_true", help="a JSON object instead of lines")
    common.output_options(parser)


def run(options: argparse.Namespace) -> int:
    from ..observe.observation import observe
    from ..wireshark import crosscheck as wireshark
    reason = wireshark.unavailable()
    if reason:
        print(f"flowcheck: {reason}", file=sys.stderr)
        return common.EXIT_USAGE
    paths = common.captures(options)
    shown, disagreements = [], 0
    for path in paths:
        with common.progress(options) as progress:
            observation = observe([path], common.keys(options), common.decode_as(options), progress, digest=False)
        found = wireshark.crosscheck(path, observation, keys=options.keys)
        disagreements += len(found.disagreements)
        shown.append({"capture": path, "agreed": dict(sorted(found.agreed.items())), "remarks": list(found.remarks),
                      "disagreements": [each._asdict() for each in found.disagreements]})
        if not options.json:
            _tell(path, found, options.quiet)
    if options.json:
        json.dump({"schema": "flowcheck/crosscheck/1", "captures": shown}, sys.stdout, indent=1)
        print()
    return common.EXIT_FAIL if disagreements else common.EXIT_OK


def _tell(path: str, found: object, quiet: bool) -> None:
    from ..report.visible import line
    for each in found.disagreements:
        print(f"{path}: {line(str(each), 400)}")
    if not quiet:
        same = ", ".join(f"{protocol} {count}" for protocol, count in sorted(found.agreed.items()))
        print(f"flowcheck: {path}: agreed on {same or 'nothing both decode'}; {len(found.disagreements)} disagreements",
              file=sys.stderr)
        for remark in found.remarks:
            print(f"flowcheck: {path}: {remark}", file=sys.stderr)
