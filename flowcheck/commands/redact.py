"""`flowcheck redact`: writes a capture that is safe to share, and proves that its verdicts did not change."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..errors import UsageError
from . import common

HELP = "write a capture safe to share, and prove that the verdict did not change"


def arguments(parser: argparse.ArgumentParser) -> None:
    common.inputs(parser)
    common.rule_options(parser)
    parser.add_argument("--procedure", action="append", default=[], metavar="ID", help="this procedure is expected")
    parser.add_argument("--seed", metavar="TEXT", help="the same seed gives the same pseudonyms (default: new ones each run)")
    parser.add_argument("--table", metavar="FILE.json",
                        help="write which value became which pseudonym; keep it to yourself")
    common.output_options(parser)


def run(options: argparse.Namespace) -> int:
    from ..share.pseudonyms import Pseudonyms
    from ..share.redact import redact
    *captures, target = common.captures(options)
    if not captures:
        raise UsageError("redact needs a capture and the file to write: flowcheck redact IN OUT")
    if target == "-":
        raise UsageError("redact needs a file to write: it is judged again before it is handed on")
    files = {"": target, "--table": options.table or ""}
    common.not_over(files, [*captures, options.site, *options.keys, *options.rules])
    ring, judge = judging(options)
    pseudonyms = Pseudonyms(options.seed)
    found = redact(captures, target, judge, ring, site=options.site, pseudonyms=pseudonyms)
    if options.table:
        _table(options.table, pseudonyms)
    return tell(found, target, options)


def judging(options: Any) -> tuple[Any, Any]:
    """The key ring, and what judges captures with it as the options say."""
    from ..check import check, key_ring
    ring = key_ring(options.keys)

    def judge(captures: Any, site: str | None) -> Any:
        return check(captures, rules=options.rules, site=site, keys=options.keys, procedures=options.procedure,
                     decode_as=common.decode_as(options), clocks=common.clocks(options), ring=ring)
    return ring, judge


def tell(found: Any, target: str, options: Any) -> int:
    """Says what was done, what is left and whether the verdict held. The exit status: 1 where it did not."""
    from ..report.visible import line
    if not options.quiet:
        print(f"wrote {target}: {found.frames} frames, {found.replaced} values replaced")
        for what, count in found.left.items():
            print(f"left: {line(what, 200)}: {count}")
        for text in found.remaining:
            print(f"still readable: {line(text, 200)}")
    for text in found.differences:
        print(f"differs: {line(text, 400)}", file=sys.stderr)
    print("the verdict did not change" if found.same else "the verdict changed: do not share this in its place")
    return common.EXIT_OK if found.same else common.EXIT_FAIL


def _table(path: str, pseudonyms: Any) -> None:
    import json
    try:
        Path(path).touch(mode=0o600)
        Path(path).write_text(json.dumps(pseudonyms.table(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
