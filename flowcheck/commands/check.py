"""`flowcheck check`: judges one observation and writes reports."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import common

if TYPE_CHECKING:
    from ..model import DeviceResult

MANY = 2_000        # devices whose results are not worth packing
HELP = "judge one observation and write reports"


def arguments(parser: argparse.ArgumentParser) -> None:
    common.inputs(parser)
    common.rule_options(parser)
    parser.add_argument("--procedure", action="append", default=[], metavar="ID",
                        help="this procedure is expected; its absence is a failure")
    common.device_option(parser)
    for name, what in (("html", "report"), ("json", "result"), ("junit", "JUnit result"), ("sarif", "SARIF result")):
        parser.add_argument(f"--{name}", metavar="FILE", help=f"write the {what} here, - for standard output")
    parser.add_argument("-w", dest="evidence", metavar="EVIDENCE.pcapng",
                        help="write the frames the findings stand on, with comments")
    parser.add_argument("--bundle", metavar="FILE.zip",
                        help="write evidence, reports and hashes as one archive for `verify`")
    parser.add_argument("--include-secrets", action="store_true",
                        help="hand on the keys that open the evidence, in it or beside it")
    parser.add_argument("--redact", action="store_true",
                        help="pseudonyms for addresses, names, serial numbers and users in all that is written")
    parser.add_argument("--seed", metavar="TEXT", help="the same seed gives the same pseudonyms (default: new ones each run)")
    parser.add_argument("--created", metavar="TIME", type=created,
                        help="the time of the run that reports show (ISO 8601, UTC)")
    parser.add_argument("--output-dir", metavar="DIR",
                        help="write all of them here, named after the first capture (default: reports)")
    parser.add_argument("--fail-on", choices=("fail", "inconclusive", "warning", "never"), default="fail")
    parser.add_argument("--strict", action="store_true", help="a capture that is cut or damaged ends with status 3")
    parser.add_argument("--show-secrets", action="store_true", help="do not mask passwords and credentials")
    common.output_options(parser)


def created(text: str) -> int:
    from ..report.times import from_iso
    try:
        return from_iso(text) or 0
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(options: argparse.Namespace) -> int:
    from ..check import check, key_ring
    paths = common.captures(options)
    common.writable(options, paths)
    ring = key_ring(options.keys)
    beside = bool(options.evidence or options.bundle or options.redact)      # what wants all messages as they are
    with common.progress(options) as progress:
        result, observation = check(paths, rules=options.rules, site=options.site, keys=options.keys, ring=ring,
                                    procedures=options.procedure, decode_as=common.decode_as(options),
                                    command=common.command_line(), progress=progress, clocks=common.clocks(options),
                                    spend=not beside, keep=None if beside else _kept(options))
    if options.device:
        result = common.of_devices(result, options.device)
    if options.created is not None:
        result = replace(result, created=options.created)
    from ..report import write
    shown, pseudonyms = result, None
    if options.redact:
        from ..share.deliver import redaction
        shown, pseudonyms = redaction(result, observation, options)
    write.reports(shown, options, masked=not beside)
    if options.evidence or options.bundle:
        from ..share.deliver import deliver
        deliver(result, shown, observation, paths, ring, options, pseudonyms)
    if options.strict and any(info.truncated for info in result.captures):
        return common.EXIT_UNREADABLE
    return status(result, options.fail_on)


def _kept(options: argparse.Namespace) -> Callable[[DeviceResult], DeviceResult]:
    """What the reports need of a device: it is masked as soon as it is judged, and packed where there are very many."""
    from ..report.mask import masked_device
    from ..shelf import packed
    count = 0

    def kept(device: DeviceResult) -> DeviceResult:
        nonlocal count
        count += 1
        shown = device if options.show_secrets else masked_device(device)
        return packed(shown) if count > MANY else shown

    return kept


def status(result: Any, fail_on: str) -> int:
    attempts = [a for device in result.devices for a in device.attempts]
    if not attempts:
        return common.EXIT_NOTHING
    if fail_on == "never":
        return common.EXIT_OK
    if result.verdict == "fail" or fail_on == "inconclusive" and result.verdict == "inconclusive":
        return common.EXIT_FAIL
    if fail_on == "warning" and any(f.severity == "warning" and not f.waived for a in attempts for f in a.findings):
        return common.EXIT_FAIL
    return common.EXIT_INCONCLUSIVE if result.verdict == "inconclusive" else common.EXIT_OK
