"""`flowcheck batch`: judges many observations into one directory, and never the same twice."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from ..errors import UsageError
from . import common

HELP = "judge many observations, one per file; resumable; local processes or a Dask cluster"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", metavar="PATH",
                        help="files, folders (with all below), globs, URLs such as s3://bucket/folder")
    parser.add_argument("-r", "--read", action="append", default=[], metavar="PATH", help="another path")
    parser.add_argument("--recursive", action="store_true",
                        help="folders stand for all below them, with and without it")
    parser.add_argument("--files-from", action="append", default=[], metavar="FILE",
                        help="more paths, one a line; - is standard input")
    parser.add_argument("--output-dir", default="batch", metavar="DIR",
                        help="ledger, tables, index.html and reports (default: batch)")
    parser.add_argument("--group-by", metavar="folder|REGEX",
                        help="files of one folder, or with the same groups of REGEX in their path, "
                                                                  "are one observation")
    parser.add_argument("--tag-from-name", metavar="REGEX", help="named groups become columns of the captures table")
    common.rule_options(parser)
    parser.add_argument("--keys", action="append", default=[], metavar="FILE_OR_DIR", help="keys of any known format")
    parser.add_argument("--decode-as", action="append", default=[], metavar="tcp.port==N,PROTOCOL",
                        help="force a protocol on a port")
    parser.add_argument("--procedure", action="append", default=[], metavar="ID",
                        help="this procedure is expected in every observation")
    parser.add_argument("--reports", choices=("all", "failures", "none"), default="failures",
                        help="an HTML report for all, for those that did not simply pass (default), or for none")
    parser.add_argument("--show-secrets", action="store_true", help="do not mask passwords and credentials in reports")
    parser.add_argument("--jobs", type=int, default=0, metavar="N",
                        help="worker processes (default: one per processor)")
    parser.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS",
                        help="for one observation (default: 600)")
    parser.add_argument("--memory", type=int, default=2048, metavar="MB",
                        help="for one observation (default: 2048, 0 is no limit)")
    parser.add_argument("--recheck", action="store_true",
                        help="judge again from the index what the archive holds, with the rules as they are now")
    parser.add_argument("--retry", action="store_true", help="try again what crashed or ran out of time")
    parser.add_argument("--no-index", action="store_true",
                        help="keep no decoded observations; a changed rule then needs the captures again")
    parser.add_argument("--dask", metavar="tcp://HOST:PORT",
                        help="run on this Dask cluster instead of processes of this machine")
    parser.add_argument("--compare", nargs=2, metavar=("OLD", "NEW"),
                        help="list what changed between two output directories")
    parser.add_argument("--fail-on", choices=("fail", "inconclusive", "warning", "never"), default="fail")
    common.output_options(parser)


def run(options: argparse.Namespace) -> int:
    if options.compare:
        return _compare(options)
    from ..batch import run as batch
    from ..batch.inputs import asked
    from ..batch.progress import Progress
    wanted, others = asked([*options.paths, *options.read], options.files_from, options.group_by, options.tag_from_name)
    folder = Path(options.output_dir)
    if options.recheck and not wanted and (folder / "ledger.sqlite").exists():
        wanted = batch.known(folder)
    if not wanted:
        named = options.paths or options.read or options.files_from
        raise UsageError("no capture found; name files, folders, globs or URLs" if named
                         else f"{folder}: holds no archive to judge again"
                         if options.recheck else "no capture named; give files, folders, globs or URLs")
    if others and not options.quiet:
        common.tell_left_out(others, options.verbose)
    settings = _settings(options, folder)
    summary = batch.run(wanted, settings, _runner(options, settings), Progress(options.quiet, options.verbose),
                        options.retry)
    if not options.quiet:
        _say(summary, folder)
    return _status(summary.outcomes, options, folder)


def _settings(options: argparse.Namespace, folder: Path) -> Any:
    from ..batch.recipe import recipe
    from ..batch.work import Settings
    missing = next((path for path in options.keys if not os.path.exists(path)), None)
    if missing:
        raise UsageError(f"--keys {missing}: no such file or directory")
    decode_as = common.decode_as(options)
    return Settings(recipe(options.rules, options.site, options.keys, options.procedure, decode_as),
                    tuple(map(os.path.abspath, options.rules)),
                    options.site and os.path.abspath(options.site), tuple(map(os.path.abspath, options.keys)),
                    tuple(options.procedure),
                    tuple(decode_as.items()), options.reports, options.show_secrets, str(folder), not options.no_index)


def _runner(options: argparse.Namespace, settings: Any) -> Any:
    if options.dask:
        from ..batch import cluster
        return lambda work: cluster.run(options.dask, settings, work)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    jobs = options.jobs if options.jobs > 0 else processors

    def local(work: Any) -> Any:
        from ..batch.pool import Pool
        return Pool(settings, min(jobs, len(work)), options.timeout, options.memory << 20).run(work)
    return local


def _say(summary: Any, folder: Path) -> None:
    from collections import Counter
    from ..report.words import plural
    words = Counter(verdict or "nothing to judge" if status == "done" else status
                    for status, verdict in summary.outcomes.values())
    shown = ", ".join(f"{count} {word}" for word, count in words.most_common())
    same = f" ({summary.confirmed} of them stay what they were)" if summary.confirmed else ""
    print(f"{plural(len(summary.outcomes), 'observation')}: {shown}\n{summary.done} done{same} in {summary.seconds:.1f} s, "
          f"{summary.kept} known already; see {folder / 'index.html'}")


def _status(outcomes: dict[str, tuple[str, str | None]], options: argparse.Namespace, folder: Path) -> int:
    verdicts = {verdict for _, verdict in outcomes.values()}
    unread = any(status != "done" for status, _ in outcomes.values())
    if options.fail_on != "never":
        if "fail" in verdicts or options.fail_on == "inconclusive" and "inconclusive" in verdicts:
            return common.EXIT_FAIL
        if options.fail_on == "warning" and _warned(outcomes, folder):
            return common.EXIT_FAIL
    if unread:
        return common.EXIT_UNREADABLE
    if verdicts <= {None}:
        return common.EXIT_NOTHING
    return common.EXIT_INCONCLUSIVE if "inconclusive" in verdicts and options.fail_on != "never" else common.EXIT_OK


def _warned(names: Any, folder: Path) -> bool:
    from ..batch.ledger import Ledger
    ledger = Ledger(folder)
    try:
        return any(row[5] == "warning" and not row[9] for entry in ledger.entries(names)
                   for row in entry.rows["findings"])
    finally:
        ledger.close()


def _compare(options: argparse.Namespace) -> int:
    """1 where something became worse, 0 where nothing did."""
    from ..batch.compare import changes, print_changes
    found = changes(*map(Path, options.compare))
    print_changes(found, sys.stdout)
    return common.EXIT_FAIL if any(change.worse for change in found) and options.fail_on != "never" else common.EXIT_OK
