"""What the commands share: their options, what these options mean, and the exit statuses."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import UsageError

EXIT_OK, EXIT_FAIL, EXIT_USAGE, EXIT_UNREADABLE, EXIT_NOTHING, EXIT_INCONCLUSIVE = range(6)
EXIT_INTERRUPTED = 130


# ---------------------------------------------------------------------------------------------------- options

def inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("captures", nargs="*", metavar="CAPTURE",
                        help="capture files of one observation; - is standard input")
    parser.add_argument("-r", "--read", action="append", default=[], metavar="FILE", help="another capture")
    parser.add_argument("--recursive", action="store_true", help="read the captures below a directory")
    parser.add_argument("--keys", action="append", default=[], metavar="FILE_OR_DIR", help="keys of any known format")
    parser.add_argument("--decode-as", action="append", default=[], metavar="tcp.port==N,PROTOCOL",
                        help="force a protocol on a port")
    parser.add_argument("--clock", action="append", default=[], metavar="NAME=SECONDS",
                        help="what to add to the times of this capture; otherwise estimated from what several taps saw")


def rule_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--site", metavar="FILE", help="site profile: hosts, timers, vendor parameters")
    parser.add_argument("--rules", action="append", default=[], metavar="PATH",
                        help="rule files or directories (default: those that ship)")


def device_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", action="append", default=[], metavar="ID",
                        help="of this device only: its id, or one of its addresses or identities")


def output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="no summary and no progress")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more on standard error")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto")


# ---------------------------------------------------------------------------------------------------- their meaning

def captures(options: argparse.Namespace) -> list[str]:
    from ..observe.observation import expand
    others: list[str] = []
    paths = expand([*options.captures, *options.read], options.recursive, others)
    if others and not options.quiet:
        tell_left_out(others, options.verbose)
    if not paths:
        raise UsageError("no capture named; give one or more files, or - for standard input")
    if paths.count("-") > 1:
        raise UsageError("standard input (-) can be read once only")
    return paths


def tell_left_out(others: Sequence[str], verbose: bool) -> None:
    """Says which files of a folder are no captures: a few of them, or all."""
    from ..report.visible import line
    shown = others if verbose else others[:3]
    names = ", ".join(line(name, 200) for name in shown) + " ..." * (len(shown) < len(others))
    what = "1 file is no capture and is" if len(others) == 1 else f"{len(others)} files are no captures and are"
    print(f"flowcheck: {what} left out: {names}", file=sys.stderr)


def writable(options: argparse.Namespace, read: Sequence[str]) -> None:
    """Raises UsageError for outputs that cannot be, before the work is done that they are to hold."""
    named = {f"--{name}": getattr(options, name) for name in ("html", "json", "junit", "sarif", "bundle")}
    targets = {option: target for option, target in {**named, "-w": options.evidence}.items() if target}
    if list(targets.values()).count("-") > 1:
        raise UsageError("only one output can go to standard output")
    if targets.get("--bundle") == "-":
        raise UsageError("--bundle needs a file: a zip archive is not written in one pass")
    if targets.get("-w") == "-" and sys.stdout.isatty():
        raise UsageError("-w -: standard output is a terminal; a capture goes into a file or a pipe")
    if os.path.exists(targets.get("-w", "")) and not os.path.isfile(targets["-w"]):
        raise UsageError(f"-w {targets['-w']}: is no file; name one, or - for standard output")
    if "-" in read and not {"-w", "--bundle"}.isdisjoint(targets):
        raise UsageError("-w and --bundle read the captures twice, standard input can be read once only; give files")
    files = {option: target for option, target in targets.items() if target != "-"}
    for option, target in files.items():
        if reason := _unwritable(target):
            raise UsageError(f"{option} {target}: cannot be written: {reason}")
    kept = [os.path.realpath(target) for target in files.values()
            if os.path.isfile(target) or not os.path.exists(target)]
    if len(set(kept)) < len(kept):
        raise UsageError("two outputs cannot be one file")
    not_over(files, [*read, options.site, *options.keys, *options.rules])
    folder = options.output_dir or ("" if targets.keys() & {"--html", "--json", "--junit", "--sarif"} else "reports")
    if folder and (reason := _unwritable(os.path.join(folder, "report"))):
        raise UsageError(f"--output-dir {folder}: cannot be written: {reason}")


def not_over(files: Mapping[str, str], sources: Sequence[str | None]) -> None:
    """Raises UsageError where an output, by its option, would be written over what is read."""
    for option, target in files.items():
        for source in filter(None, sources):
            if os.path.isfile(target) and os.path.isfile(source) and os.path.samefile(target, source):
                raise UsageError(f"{option} {target}: would be written over a file that is read".lstrip())


def _unwritable(target: str) -> str:
    """Why this file cannot be written; empty where it can be, its folders made where they are missing."""
    if os.path.isdir(target):
        return "is a directory"
    if os.path.exists(target) and not os.path.isfile(target):        # a device or a pipe
        return "" if os.access(target, os.W_OK) else "may not be written to"
    folder = os.path.dirname(os.path.abspath(target))
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        return f"{folder} is not a directory"
    return "" if os.access(folder, os.W_OK) else f"{folder} may not be written to"


def keys(options: argparse.Namespace) -> Any:
    from ..check import key_ring
    return key_ring(options.keys)


def decode_as(options: argparse.Namespace) -> dict[tuple[str, int], str]:
    from ..decode import names
    found = {}
    for text in options.decode_as:
        where, _, protocol = text.partition(",")
        transport, _, port = where.partition(".port==")
        if transport not in ("tcp", "udp") or not port.isdigit() or protocol not in names():
            raise UsageError(f"--decode-as {text}: write tcp.port==7547,http with one of {', '.join(names())}")
        found[transport, int(port)] = protocol
    return found


def clocks(options: argparse.Namespace) -> dict[str, int]:
    """Offsets in ns by the name of a capture."""
    found = {}
    for text in options.clock:
        name, _, seconds = text.rpartition("=")
        try:
            found[name] = round(float(seconds) * 1e9)
        except ValueError:
            name = ""
        if not name:
            raise UsageError(f"--clock {text}: write the capture's name and seconds, hnb_inner.pcap=+0.35")
    return found


def told_apart(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Captures, and the files that are none; a folder is its files."""
    from ..capture.reader import open_capture
    from ..errors import CaptureError
    captures, files = [], []
    for name in names:
        for path in _inside(Path(name)) if Path(name).is_dir() else [name]:
            try:
                open_capture(path)
                captures.append(path)
            except CaptureError:
                files.append(path)
    return captures, files


def _inside(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def of_devices(result: Any, names: Sequence[str]) -> Any:
    """What a result says of the devices named. Raises UsageError where one is not in it."""
    from dataclasses import replace
    chosen: dict[int, Any] = {}
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


def command_line() -> str:
    import shlex
    return shlex.join(["flowcheck", *sys.argv[1:]])


@contextmanager
def progress(options: argparse.Namespace) -> Iterator[Any]:
    """A line on standard error that counts packets: only on a terminal, for work that takes long, gone afterwards."""
    if options.quiet or not sys.stderr.isatty():
        yield None
        return
    from shutil import get_terminal_size
    from time import monotonic
    from ..report.visible import line
    begun, width = monotonic(), get_terminal_size().columns - 1

    def show(path: str, packets: int) -> None:
        took = monotonic() - begun
        if took > 1:
            text = f"{line(os.path.basename(path), 60)}: {packets:,} packets, {packets / took:,.0f}/s"
            print(f"\r\x1b[K{text[:width]}", end="", file=sys.stderr, flush=True)
    try:
        yield show
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
