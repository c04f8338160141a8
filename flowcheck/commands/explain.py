"""`flowcheck explain`: what a finding code means, the clause behind it, what to look at next."""

from __future__ import annotations

import argparse

from . import common

HELP = "what a finding code means, the clause behind it, what to look at next"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("codes", nargs="+", metavar="CODE",
                        help="procedure/step/kind[:detail], or a procedure, a step, a kind of finding, a state, "
                             "a verdict")
    common.rule_options(parser)
    common.output_options(parser)


def run(options: argparse.Namespace) -> int:
    from ..explain import explain
    from ..rulebook.loader import load_rules
    from ..rulebook.site import load_site
    site = load_site(options.site)
    rules = load_rules(options.rules or None, site=site)
    print("\n\n".join(explain(code, rules, site.timers) for code in options.codes))
    return common.EXIT_OK
