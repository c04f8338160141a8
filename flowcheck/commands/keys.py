"""`flowcheck keys`: what key files hold and what they open in captures. Never prints a secret."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from . import common

HELP = "say what key files hold, and what they open in captures"
_SHOWN = 200                  # SAs and connections of one key file, or without one


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE",
                        help="key files or folders of them, and captures; told apart by content")
    common.output_options(parser)


def run(options: argparse.Namespace) -> int:
    from ..report.visible import line
    captures, files = common.told_apart(options.files)
    ring, lines, wrong = _load(files)
    with common.progress(options) as progress:
        locks = _locks(captures, ring, progress) if captures else []
    for path, text in lines:
        own = [lock for lock in locks if lock.origin == path]
        nothing = captures and not own and path in _sources(ring)
        print(line(text, 400) + ("; opens nothing in these captures" if nothing else ""))
        _print(own)
    for origin in sorted({lock.origin for lock in locks} - {path for path, _ in lines} - {""}):
        print(f"{line(origin, 200)}:")
        _print([lock for lock in locks if lock.origin == origin])
    left = [lock for lock in locks if not lock.origin]
    if left:
        print("not opened:")
        _print(left)
    if captures and not locks and not options.quiet:
        print("flowcheck: nothing in these captures is sealed with IKE, ESP or TLS", file=sys.stderr)
    return common.EXIT_USAGE if wrong else common.EXIT_OK


def _load(files: Sequence[str]) -> tuple[Any, list[tuple[str, str]], bool]:
    """One ring of all keys, a sentence per file, and whether some file cannot be used."""
    from ..decrypt.keys import KeyRing
    from ..errors import KeyFileError
    together, lines, wrong = KeyRing(), [], False
    before: dict[str, frozenset[int]] = {}
    for path in files:
        alone = KeyRing()
        try:
            alone.load(path)
        except KeyFileError as error:
            lines.append((path, str(error)))
            wrong = True
            continue
        together.load(path)
        marks = alone.marks()
        lines.append((path, alone.describe()[0] + _repeated(marks, before)))
        before[path] = marks
    return together, lines, wrong


def _repeated(marks: frozenset[int], before: dict[str, frozenset[int]]) -> str:
    for path, known in before.items():
        if marks and marks <= known:
            return f"; the same keys as {path}" if marks == known else f"; all of them are in {path} too"
    return ""


def _sources(ring: Any) -> set[str]:
    """The files that gave keys at all."""
    return {text.rpartition(": ")[0] for text in ring.describe() if not text.endswith("no keys")}


def _locks(captures: Sequence[str], ring: Any, progress: Any) -> list[Any]:
    from ..decrypt.tally import Tally
    from ..observe.observation import observe
    tally = Tally(ring)
    observe(captures, tally, None, progress, digest=False)
    return tally.locks()


def _print(locks: Sequence[Any]) -> None:
    for text in (*map(_told, locks[:_SHOWN]), *_more(len(locks) - _SHOWN)):
        print(f"    {text}")


def _told(lock: Any) -> str:
    parts = [f"{lock.opened} {lock.unit} opened"] if lock.opened else []
    if lock.closed:
        what = "not" if parts else f"{lock.unit} not opened"
        parts.append(f"{lock.closed} {what}: {lock.reason}")
    return f"{lock.name}: {'; '.join(parts) or lock.reason}"


def _more(count: int) -> Iterator[str]:
    if count > 0:
        yield f"and {count} more"
