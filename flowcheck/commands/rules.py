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
                       ("show", "one rule with the site's values and its ladder"),
                       ("synth", "write a conforming capture of a rule, and one with each thing that can go wrong"),
                       ("new", "draft a rule from a good capture")):
        action = actions.add_parser(name, help=what)
        if name == "show":
            action.add_argument("id", metavar="ID")
            action.add_argument("--site", metavar="FILE")
        if name == "test":
            action.add_argument("id", nargs="?", metavar="ID", help="with --mutants: this procedure alone")
            action.add_argument("--mutants", action="store_true",
                                help="judge synthetic captures, right ones and wrong ones, instead")
        if name == "synth":
            action.add_argument("id", metavar="ID")
            action.add_argument("--output-dir", metavar="DIR", default="synth", help="where to write (default: synth)")
        if name in ("synth", "test"):
            action.add_argument("--seed", type=int, default=1, metavar="N",
                                help="of ports, identifiers and keys (default: 1)")
        if name == "new":
            action.add_argument("captures", nargs="+", metavar="CAPTURE")
            action.add_argument("--site", metavar="FILE")
            action.add_argument("--keys", action="append", default=[], metavar="PATH")
            action.add_argument("--procedure", metavar="ID", default="draft", help="its id (default: draft)")
            action.add_argument("--output", metavar="FILE", default="-",
                                help="where to write it (default: standard output)")
        if name == "lint":
            action.add_argument("files", nargs="*", metavar="FILE")
        if name not in ("schema", "new"):
            action.add_argument("--rules", action="append", default=[], metavar="PATH")
        common.output_options(action)
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
    if options.action == "synth":
        from ..synth.files import write_all
        write_all(options.rules or None, options.id, options.output_dir, options.seed, sys.stdout)
        return common.EXIT_OK
    if options.action == "new":
        from ..synth.draft import draft
        text = draft(options.captures, options.procedure, options.site, options.keys)
        if options.output == "-":
            sys.stdout.write(text)
        else:
            from pathlib import Path
            Path(options.output).parent.mkdir(parents=True, exist_ok=True)
            Path(options.output).write_text(text, encoding="utf-8")
        return common.EXIT_OK
    if options.action == "test" and options.mutants:
        from ..synth.score import run_mutants
        return run_mutants(options.rules or None, options.id, sys.stdout, options.seed)
    if options.action == "test":
        from ..samples import run_samples
        return run_samples(options.rules or None, sys.stdout)
    return commands.lint_rules([*options.files, *options.rules] or None, sys.stdout)
