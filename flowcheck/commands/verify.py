"""`flowcheck verify`: judges the evidence of a bundle again and says whether its verdicts hold."""

from __future__ import annotations

import argparse

from . import common

HELP = "judge an evidence bundle again and say whether its verdicts hold"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE.zip", help="what `flowcheck check --bundle` wrote")
    parser.add_argument("--keys", action="append", default=[], metavar="FILE_OR_DIR",
                        help="keys, where the bundle has none of its own")
    parser.add_argument("--rules", action="append", default=[], metavar="PATH",
                        help="the rules it was judged by, where they are not those that ship")
    common.output_options(parser)


def run(options: argparse.Namespace) -> int:
    from ..share.bundle import verify
    found = verify(options.bundle, keys=options.keys, rules=options.rules)
    if not options.quiet:
        print("\n".join(found.lines))
    if found.holds is None:
        print("the verdicts could not be checked")
        return common.EXIT_INCONCLUSIVE
    print("the verdicts hold" if found.holds else "the verdicts do not hold")
    return common.EXIT_OK if found.holds else common.EXIT_FAIL
