"""`flowcheck diff`: two runs of a procedure, step by step."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..errors import UsageError
from . import common

HELP = "line two runs of a procedure up step by step"


def arguments(parser: argparse.ArgumentParser) -> None:
    for name, what in (("good", "the run to compare with"), ("bad", "the other run")):
        parser.add_argument(name, metavar=name.upper(),
                            help=f"{what}: a capture, a folder of captures of one observation, or the JSON of a check")
    parser.add_argument("--keys", action="append", default=[], metavar="FILE_OR_DIR", help="keys of either run")
    parser.add_argument("--procedure", action="append", default=[], metavar="ID", help="only this procedure")
    parser.add_argument("--json", action="store_true", help="a JSON object instead of a table")
    parser.add_argument("--show-secrets", action="store_true", help="do not mask passwords and credentials")
    common.rule_options(parser)
    parser.add_argument("--bad-site", metavar="FILE",
                        help="the site profile of BAD, where it was recorded at another site")
    common.output_options(parser)


def run(options: argparse.Namespace) -> int:
    from .. import compare
    good = _result(options.good, options.site, options)
    bad = _result(options.bad, options.bad_site or options.site, options)
    pairs = compare.compare(good, bad, tuple(options.procedure))
    if not pairs:
        wanted = ", ".join(options.procedure) or "any procedure"
        print(f"flowcheck: neither run has an attempt of {wanted}", file=sys.stderr)
        return common.EXIT_NOTHING
    if options.json:
        print(json.dumps(compare.as_json(pairs, good, bad), indent=1))
    else:
        sys.stdout.write(compare.as_text(pairs, good, bad))
    return common.EXIT_FAIL if any(pair.differs for pair in pairs) else common.EXIT_OK


def _result(path: str, site: str | None, options: argparse.Namespace) -> Any:
    from ..report.mask import masked
    saved = _saved(path)
    if saved is None:
        from ..check import check
        captures = common.told_apart([path])[0] if Path(path).is_dir() else [path]
        if not captures:
            raise UsageError(f"{path}: no capture in this folder")
        with common.progress(options) as progress:
            saved, _ = check(captures, rules=options.rules, site=site, keys=options.keys, progress=progress)
    return saved if options.show_secrets else masked(saved)


def _saved(path: str) -> Any:
    """The Result that a check saved as JSON, None for everything else."""
    if path == "-" or not Path(path).is_file():
        return None
    with open(path, "rb") as file:
        head = file.read(64).lstrip()
    if not head.startswith(b"{"):
        return None
    from ..report.as_json import loads
    return loads(Path(path).read_text(encoding="utf-8"))
