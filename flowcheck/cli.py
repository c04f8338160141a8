"""The command line. Parses, calls, prints; every decision is made elsewhere.

Nothing heavy is imported before the command that needs it, so that --version and --help answer at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from . import __version__
from .errors import CaptureError, FlowcheckError, UsageError

EXIT_OK, EXIT_FAIL, EXIT_USAGE, EXIT_UNREADABLE, EXIT_NOTHING, EXIT_INCONCLUSIVE, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if getattr(options, "version", False):
        return _version(options)
    if not getattr(options, "run", None):
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    try:
        return options.run(options)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except KeyboardInterrupt:
        print("flowcheck: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except CaptureError as error:
        print(f"flowcheck: {error}", file=sys.stderr)
        return EXIT_UNREADABLE
    except FlowcheckError as error:
        print("\n".join(f"flowcheck: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return EXIT_USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="flowcheck", description=(
        "Reads packet captures of a device's bring-up and says at which step of the 3GPP procedure it stopped, and on whose side."))
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    parser.add_argument("--json", dest="version_json", action="store_true", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(metavar="COMMAND")

    check = commands.add_parser("check", help="judge one observation and write reports")
    _inputs(check)
    _rule_options(check)
    check.add_argument("--procedure", action="append", default=[], metavar="ID", help="this procedure is expected; its absence is a failure")
    for name, what in (("html", "report"), ("json", "result"), ("junit", "JUnit result"), ("sarif", "SARIF result")):
        check.add_argument(f"--{name}", metavar="FILE", help=f"write the {what} here, - for standard output")
    check.add_argument("--output-dir", metavar="DIR", help="write all of them here, named after the first capture (default: reports)")
    check.add_argument("--fail-on", choices=("fail", "inconclusive", "warning", "never"), default="fail")
    check.add_argument("--strict", action="store_true", help="a capture that is cut or damaged ends with status 3")
    check.add_argument("--show-secrets", action="store_true", help="do not mask passwords and credentials")
    _output_options(check)
    check.set_defaults(run=_check)

    decode = commands.add_parser("decode", help="print the decoded messages, no judging")
    _inputs(decode)
    decode.add_argument("--format", choices=("jsonl", "table"), help="default: table on a terminal, jsonl elsewhere")
    decode.add_argument("--kind", action="append", default=[], metavar="KIND", help="only this kind; `dns` or `cwmp.*` for all of a protocol")
    decode.add_argument("--device", metavar="ID", help="only messages of this device: an address, a serial number, a device id")
    decode.add_argument("--between", metavar="FROM,TO", help="only messages in this time span (ISO 8601)")
    _output_options(decode)
    decode.set_defaults(run=_decode)

    rules = commands.add_parser("rules", help="work on rule files").add_subparsers(metavar="ACTION", required=True)
    for name, what in (("list", "the rules there are"), ("lint", "what is wrong or weak in rule files"),
                       ("test", "whether the rules' samples are judged as the rules say"),
                       ("schema", "the JSON Schema of rule files"), ("show", "one rule with the site's values and its ladder")):
        action = rules.add_parser(name, help=what)
        if name == "show":
            action.add_argument("id", metavar="ID")
            action.add_argument("--site", metavar="FILE")
        if name == "lint":
            action.add_argument("files", nargs="*", metavar="FILE")
        if name != "schema":
            action.add_argument("--rules", action="append", default=[], metavar="PATH")
        action.set_defaults(run=_rules, action=name)
    return parser


def _inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("captures", nargs="*", metavar="CAPTURE", help="capture files of one observation; - is standard input")
    parser.add_argument("-r", "--read", action="append", default=[], metavar="FILE", help="another capture")
    parser.add_argument("--recursive", action="store_true", help="read the captures below a directory")
    parser.add_argument("--keys", action="append", default=[], metavar="FILE_OR_DIR", help="keys of any known format")
    parser.add_argument("--decode-as", action="append", default=[], metavar="tcp.port==N,PROTOCOL", help="force a protocol on a port")


def _rule_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--site", metavar="FILE", help="site profile: hosts, timers, vendor parameters")
    parser.add_argument("--rules", action="append", default=[], metavar="PATH", help="rule files or directories (default: those that ship)")


def _output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="no summary and no progress")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more on standard error")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto")


def _version(options: argparse.Namespace) -> int:
    if not options.version_json:
        print(f"flowcheck {__version__}")
        return EXIT_OK
    import json
    import platform
    from .decode import names
    print(json.dumps({"flowcheck": __version__, "python": platform.python_version(), "decoders": list(names())}))
    return EXIT_OK


# ---------------------------------------------------------------------------------------------------- commands

def _check(options: argparse.Namespace) -> int:
    from .check import check
    paths = _captures(options)
    progress = _progress(options)
    result, grade = check(paths, rules=options.rules, site=options.site, keys=options.keys, procedures=options.procedure,
                          decode_as=_decode_as(options), command=_command_line(), progress=progress)
    from .report import write
    write.reports(result, options)
    if options.strict and any(info.truncated for info in result.captures):
        return EXIT_UNREADABLE
    return _status(result, options.fail_on)


def _status(result: Any, fail_on: str) -> int:
    attempts = [a for device in result.devices for a in device.attempts]
    if not attempts:
        return EXIT_NOTHING
    if fail_on == "never":
        return EXIT_OK
    if result.verdict == "fail" or fail_on == "inconclusive" and result.verdict == "inconclusive":
        return EXIT_FAIL
    if fail_on == "warning" and any(f.severity == "warning" and not f.waived for a in attempts for f in a.findings):
        return EXIT_FAIL
    return EXIT_INCONCLUSIVE if result.verdict == "inconclusive" else EXIT_OK


def _decode(options: argparse.Namespace) -> int:
    from .listing import listing
    return listing(_captures(options), options, _keys(options), _decode_as(options), _progress(options))


def _rules(options: argparse.Namespace) -> int:
    from .rulebook import commands
    if options.action == "schema":
        commands.print_schema(sys.stdout)
        return EXIT_OK
    if options.action == "list":
        commands.list_rules(options.rules or None, sys.stdout)
        return EXIT_OK
    if options.action == "show":
        commands.show_rule(options.id, options.site, sys.stdout, options.rules or None)
        return EXIT_OK
    if options.action == "test":
        from .samples import run_samples
        return run_samples(options.rules or None, sys.stdout)
    return commands.lint_rules([*options.files, *options.rules] or None, sys.stdout)


# ---------------------------------------------------------------------------------------------------- inputs

def _captures(options: argparse.Namespace) -> list[str]:
    from .observation import expand
    paths = expand([*options.captures, *options.read], options.recursive)
    if not paths:
        raise UsageError("no capture named; give one or more files, or - for standard input")
    return paths


def _keys(options: argparse.Namespace) -> Any:
    from .check import key_ring
    return key_ring(options.keys)


def _decode_as(options: argparse.Namespace) -> dict[tuple[str, int], str]:
    from .decode import names
    found = {}
    for text in options.decode_as:
        where, _, protocol = text.partition(",")
        transport, _, port = where.partition(".port==")
        if transport not in ("tcp", "udp") or not port.isdigit() or protocol not in names():
            raise UsageError(f"--decode-as {text}: write tcp.port==7547,http with one of {', '.join(names())}")
        found[transport, int(port)] = protocol
    return found


def _command_line() -> str:
    import shlex
    return shlex.join(["flowcheck", *sys.argv[1:]])


def _progress(options: argparse.Namespace) -> Any:
    """A line on standard error that counts packets; only on a terminal, only for work that takes long."""
    if options.quiet or not sys.stderr.isatty():
        return None
    from time import monotonic
    begun = monotonic()

    def show(path: str, packets: int) -> None:
        took = monotonic() - begun
        if took > 1:
            print(f"\r{os.path.basename(path)}: {packets:,} packets, {packets / took:,.0f}/s ", end="", file=sys.stderr, flush=True)
    return show
