"""A batch run from the options to its exit status: plan, work, record, tables.

What the ledger holds already is not done again: a file whose size and time are those of the last run is taken to be the
same, any other is known by its digest. A rule or site profile that changed makes every observation new, but it is then
judged from its index and not decoded.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic
from typing import Any

from ..report.whole import write_whole
from . import index, tables
from .inputs import Asked, Input, is_remote
from .ledger import Known, Ledger
from .progress import Progress
from .work import Piece, Settings, content_digest, report_of, unread, work_key

_PARTIAL = 30.0            # seconds between two writings of the tables while a run goes on; longer where they take long


@dataclass(slots=True)
class Plan:
    """What is to be done. `same` are observations whose contents another one of the run has."""

    work: list[Piece] = field(default_factory=list)
    same: dict[str, list[Asked]] = field(default_factory=lambda: defaultdict(list))
    kept: int = 0
    untouched: list[tuple[Asked, Known]] = field(default_factory=list)       # by the rules that changed


@dataclass(slots=True)
class Summary:
    """How a run ended. `outcomes` are status and verdict of every observation asked for."""

    done: int
    confirmed: int                       # of them, those that are what they were before the rules changed
    kept: int
    outcomes: dict[str, tuple[str, str | None]]
    seconds: float


def run(wanted: Sequence[Asked], settings: Settings, runner: Any, progress: Progress, retry: bool = False) -> Summary:
    """Judges what is new or changed and writes the tables. `runner` takes pieces of work and yields outcomes.

    An interruption is raised on after the tables are written; the next run goes on from there.
    """
    begun = monotonic()
    folder = Path(settings.folder)
    ledger = Ledger(folder)
    try:
        plan = planned(wanted, ledger, settings, retry)
        done, confirmed = len(plan.work) + len(plan.untouched), len(plan.untouched)
        progress.begin(len(plan.work), plan.kept + len(plan.untouched))
        next_tables = monotonic() + _PARTIAL
        try:
            for asked, outcome in runner(plan.work) if plan.work else ():
                _record(asked, outcome, ledger, settings, folder)
                confirmed += outcome["confirmed"] is not None
                for twin in plan.same.pop(outcome["content"], ()):
                    ledger.point(twin, outcome["key"], outcome["report"])
                progress.finished(asked.name, outcome)
                if monotonic() > next_tables:
                    took = _write(ledger, folder)
                    next_tables = monotonic() + max(_PARTIAL, 20 * took)
        finally:
            progress.end()
            if ledger.changed() or not tables.complete(folder):
                _write(ledger, folder)
        names = {asked.name for asked in wanted}
        return Summary(done, confirmed, plan.kept, {n: o for n, o in ledger.outcomes().items() if n in names},
                       monotonic() - begun)
    finally:
        ledger.close()


def known(folder: Path) -> list[Asked]:
    """Every observation the ledger has an index of: what `--recheck` judges. The files themselves are not looked at."""
    ledger = Ledger(folder)
    try:
        files = ledger.known_digests()
        return [Asked(name, tuple(Input(path, *files.get(path, (-1, "not in the ledger", ""))[:2])
                                  for path in paths), tags)
                for name, paths, tags in ledger.done()]
    finally:
        ledger.close()


def planned(wanted: Sequence[Asked], ledger: Ledger, settings: Settings, retry: bool) -> Plan:
    """What of it has to be done: nothing that the ledger has a result for, or that the changed rules cannot touch."""
    plan, recall = Plan(), None
    files, current = ledger.known_digests(), ledger.current()
    sizes = Counter(one.size for asked in wanted for one in asked.inputs) + Counter(size for size, _, _ in files.values())
    going: set[str] = set()
    untouched: dict[str, Known] = {}
    for asked in wanted:
        content = _content(asked, files, sizes, ledger)
        found = ledger.finished(content or unread(asked), settings.recipe.digest)
        stored = current.get(asked.name)
        again = found is not None and (retry and found[1] in ("crashed", "timeout")
                                       or _overwritten(found, stored, settings))
        if found is not None and not again:
            plan.kept += 1
            if stored is None or stored[0] != found[0] or not _is_current(asked, stored):
                ledger.point(asked, found[0])
        elif content in going:
            plan.same[content].append(asked)
        elif content in untouched:
            plan.untouched.append((asked, untouched[content]))
        else:
            if recall is None:
                from .recall import Recall
                recall = Recall(ledger, settings)
            known = recall.known(asked, content) if content else None
            if known and known.untouched:
                untouched[content] = known
                plan.untouched.append((asked, known))
                continue
            if content:
                going.add(content)
            usable = content and index.place(Path(settings.folder), content, settings.recipe.decoding).exists()
            plan.work.append((asked, content if usable else None, known))
    with ledger.at_once():
        ledger.note_recipe(settings.recipe, _now())
        for asked, known in plan.untouched:
            ledger.confirm(asked, known.report, known, recall.confirmation(known),
                           work_key(known.content, settings.recipe), settings.recipe, _now())
    return plan


def _overwritten(found: tuple[str, str], stored: tuple[str, str, str] | None, settings: Settings) -> bool:
    """Was this result there before the one that stands now, whose report took the place of its own?"""
    return found[1] == "done" and stored is not None and stored[0] != found[0] and settings.reports != "none"


def _is_current(asked: Asked, stored: tuple[str, str, str]) -> bool:
    import json
    return json.loads(stored[1]) == [one.path for one in asked.inputs] and json.loads(stored[2]) == asked.tags


def _content(asked: Asked, files: dict[str, tuple[int, str, str]], sizes: Counter[int], ledger: Ledger) -> str | None:
    """The digest of the files' contents, if it is known or worth finding out; None for what can only be new."""
    digests = []
    for one in asked.inputs:
        size, stamp, digest = files.get(one.path, (-1, "", ""))
        if (size, stamp) != (one.size, one.stamp):
            if one.size < 0 or is_remote(one.path) or sizes[one.size] < 2:
                return None
            digest = _digest(one.path)
            if digest:
                ledger.note_file(one, digest)
        if not digest:
            return None
        digests.append(digest)
    return content_digest(digests)


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _record(asked: Asked, outcome: dict[str, Any], ledger: Ledger, settings: Settings, folder: Path) -> None:
    """Files first, the ledger last: what the ledger names is there."""
    if outcome["confirmed"]:
        with ledger.at_once():
            ledger.confirm(asked, outcome["report"], outcome["confirmed"], outcome["memory"], outcome["key"],
                           settings.recipe, _now())
        return
    if not outcome["report"] and settings.reports != "none":
        (folder / report_of(asked)).unlink(missing_ok=True)                  # of what it was before
    blobs = outcome.pop("blobs")
    if "index" in blobs:
        _put(index.place(folder, outcome["content"], settings.recipe.decoding), blobs["index"])
    if "report" in blobs:
        _put(folder / outcome["report"], blobs["report"].encode())
    ledger.record(asked, outcome, settings.recipe, _now())


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (data,))


def _write(ledger: Ledger, folder: Path) -> float:
    begun = monotonic()
    tables.write(_entries(ledger), folder)
    ledger.settled()
    return monotonic() - begun


def _entries(ledger: Ledger) -> Iterator[Any]:
    return ledger.entries()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
