"""`flowcheck rules`: works on rule files."""

from __future__ import annotations

import argparse
import sys

from . import common

HELP = "work on rule files"


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, what in (("list", "the rules there are"), ("lint", "what is wrong or weak in rule files"),
                       ("test", "whether the rules' samples are judged as the rules say"),
                       ("schema", "the JSON Schema of rule files"),
                       ("show", "one rule with the site's values and its ladder")):
        action = actions.add_parser(name, help=what)
        if name == "show":
            action.add_argument("id", metavar="ID")
            action.add_argument("--site", metavar="FILE")
        if name == "lint":
            action.add_argument("files", nargs="*", metavar="FILE")
        if name != "schema":
            action.add_argument("--rules", action="append", default=[], metavar="PATH")
        action.set_defaults(action=name)


def run(options: argparse.Namespace) -> int:
    from ..rulebook import commands
    if options.action == "schema":
        commands.print_schema(sys.stdout)
        return common.EXIT_OK
    if options.action == "list":
        commands.list_rules(options.rules or None, sys.stdout)
        return common.EXIT_OK
    if options.action == "show":
        commands.show_rule(options.id, options.site, sys.stdout, options.rules or None)
        return common.EXIT_OK
    if options.action == "test":
        from ..samples import run_samples
        return run_samples(options.rules or None, sys.stdout)
    return commands.lint_rules([*options.files, *options.rules] or None, sys.stdout)
