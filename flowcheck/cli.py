"""The command line. Parses, calls, prints; every decision is made elsewhere.

The commands are modules of commands/. Nothing heavy is imported before the command that needs it, so that --version and
--help answer at once.
"""

from __future__ import annotations

import argparse
import gc
import io
import sys
from importlib import import_module
from typing import Any, NoReturn

from . import __version__
from .commands import NAMES, WITH_ACTIONS
from .commands.common import EXIT_INTERRUPTED, EXIT_OK, EXIT_UNREADABLE, EXIT_USAGE
from .errors import CaptureError, FlowcheckError
from .report.visible import block

# Objects made and still alive before cycles are looked for. Messages, findings and pages hold none, and stay alive:
# with Python's own 700 a third of a run with many devices went into walking them again and again.
COLLECT_AFTER = 500_000


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    gc.set_threshold(COLLECT_AFTER)
    _safe(sys.stdout)
    _safe(sys.stderr)
    try:
        options = _options(sys.argv[1:] if arguments is None else arguments)
        status = options.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        _drop_output()
        return EXIT_OK
    except KeyboardInterrupt:
        print("flowcheck: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except CaptureError as error:
        return _say(str(error), EXIT_UNREADABLE)
    except FlowcheckError as error:
        return _say(str(error), EXIT_USAGE)
    except OSError as error:
        _drop_output()                                   # what could not be written would be tried again at the end
        return _say(f"{error.filename or 'standard output'}: {error.strerror or error}", EXIT_USAGE)
    except Exception:                                    # 1 would say that a device deviates
        import traceback
        traceback.print_exc()
        return _say("this is a fault of flowcheck, nothing is said about the captures", EXIT_UNREADABLE)


def _options(arguments: list[str]) -> argparse.Namespace:
    """What was asked for. A command reads its own options, in any order with its files."""
    name = arguments[0] if arguments else ""
    if name not in NAMES:
        return _parser().parse_args(arguments)
    module = import_module(f".commands.{name}", __package__)
    command = _Parser(prog=f"flowcheck {name}", description=module.HELP)
    module.arguments(command)
    in_order = name in WITH_ACTIONS or "--" in arguments
    parse = command.parse_args if in_order else command.parse_intermixed_args
    return parse(arguments[1:], argparse.Namespace(run=module.run))


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line: the usage of a command with thirty options would hide them."""

    def error(self, message: str) -> NoReturn:
        from difflib import get_close_matches
        wrong = message.removeprefix("unrecognized arguments: ")
        near = get_close_matches(wrong.split("=")[0].split(" ")[0], self._option_string_actions, 1) \
            if wrong != message else []
        hint = f"; did you mean {near[0]}?" if near else f"; see `{self.prog} --help`"
        self.exit(EXIT_USAGE, f"{self.prog}: {message}{hint}\n")


def _parser() -> argparse.ArgumentParser:
    """What stands before a command, and the list of all of them."""
    parser = _Parser(prog="flowcheck", description=(
        "Reads packet captures of a device's bring-up and says at which step of the 3GPP procedure it stopped, "
        "and on whose side."))
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    parser.add_argument("--json", dest="version_json", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(run=lambda options: _version(options) if options.version else _help(parser))
    commands = parser.add_subparsers(metavar="COMMAND")
    for name in NAMES:
        commands.add_parser(name, help=import_module(f".commands.{name}", __package__).HELP)
    return parser


def _safe(stream: Any) -> None:
    """Files and pipes get UTF-8, and what an encoding lacks (a file's name can hold any octet) is spelt out."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


def _drop_output() -> None:
    from .report.write import drop_output
    drop_output()


def _say(text: str, status: int) -> int:
    print("\n".join(f"flowcheck: {block(line)}" for line in text.splitlines()), file=sys.stderr)
    return status


def _help(parser: argparse.ArgumentParser) -> int:
    parser.print_help(sys.stderr)
    return EXIT_USAGE


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
