"""The command line. Parses, calls, prints; every decision is made elsewhere.

The commands are modules of commands/. Nothing heavy is imported before the command that needs it, so that --version and
--help answer at once.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from importlib import import_module

from . import __version__
from .commands import NAMES
from .commands.common import EXIT_INTERRUPTED, EXIT_OK, EXIT_UNREADABLE, EXIT_USAGE
from .errors import CaptureError, FlowcheckError

# Objects made and still alive before cycles are looked for. Messages, findings and pages hold none, and stay alive:
# with
# Python's own 700 a third of a run with many devices went into walking them again and again.
COLLECT_AFTER = 500_000


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    gc.set_threshold(COLLECT_AFTER)
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.version:
            return _version(options)
        if getattr(options, "run", None) is None:
            parser.print_help(sys.stderr)
            return EXIT_USAGE
        status = options.run(options)
        sys.stdout.flush()
        return status
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
        "Reads packet captures of a device's bring-up and says at which step of the 3GPP procedure it stopped, "
        "and on whose side."))
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    parser.add_argument("--json", dest="version_json", action="store_true", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(metavar="COMMAND")
    for name in NAMES:
        module = import_module(f".commands.{name}", __package__)
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        command.set_defaults(run=module.run)
        module.arguments(command)
    return parser


def _version(options: argparse.Namespace) -> int:
    if not options.version_json:
        print(f"flowcheck {__version__}")
        return EXIT_OK
    import hashlib
    import json
    import platform
    from .capture import bypass
    from .decode import names
    from .rulebook.loader import rule_files
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in rule_files()}
    print(json.dumps({"flowcheck": __version__, "python": platform.python_version(), "result": "flowcheck/result/1",
                      "rules": digests, "decoders": list(names()), "scanner": "C" if bypass.COMPILED else "Python"}))
    return EXIT_OK
