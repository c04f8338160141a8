"""One observation, from its files to an outcome. Runs in a worker process, here or on another machine.

Whatever goes wrong with a file becomes the outcome's status and reason; nothing of it reaches the run.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cached_property, lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any

from ..errors import CaptureError, UsageError
from ..model import Result, Timeline
from ..observe.observation import Observation
from . import index
from .inputs import Asked, asking, file_system, is_remote
from .ledger import Book, Known
from .recipe import Recipe
from .rows import rows

Piece = tuple[Asked, str | None, Known | None]           # of work: what `Worker.run` takes
REPORTS = ("all", "failures", "none")
KEPT = "judged again with other rules and found the same, a report stays as it is; ledger.sqlite names the later ones"


@dataclass(frozen=True, slots=True)
class Settings:
    """What all observations of a run share. `folder` is None on a machine that does not see the archive's directory."""

    recipe: Recipe
    rules: tuple[str, ...] = ()
    site: str | None = None
    keys: tuple[str, ...] = ()
    procedures: tuple[str, ...] = ()
    decode_as: tuple[tuple[tuple[str, int], str], ...] = ()
    reports: str = "failures"
    show_secrets: bool = False
    folder: str | None = None
    keep_index: bool = True


class Worker:
    """Rules and site, read once and used for every observation of the process."""

    def __init__(self, settings: Settings):
        from ..rulebook.loader import load_rules
        from ..rulebook.site import load_site
        self.settings = settings
        self.site = load_site(settings.site)
        self.rules = load_rules(settings.rules or None, site=self.site)
        known = [rule.procedure for rule in self.rules]
        unknown = [name for name in settings.procedures if name not in known]
        if unknown:
            raise UsageError(f"--procedure {unknown[0]}: no rule describes it; the rules are {', '.join(known)}")

    @cached_property
    def book(self) -> Book:
        from .memory import book_of
        return book_of(self.rules)

    @cached_property
    def context(self) -> str | None:
        """What verdicts depend on besides captures and rules; None where they depend on more than a memory knows of."""
        from ..check import asks_wireshark
        from .memory import context
        if self.settings.procedures or asks_wireshark(self.rules):
            return None
        return context(self.settings.recipe, self.site, datetime.now(timezone.utc).date())

    def run(self, asked: Asked, content: str | None = None, known: Known | None = None) -> dict[str, Any]:
        """The outcome of one observation. `content` names an index to judge from instead of reading the files.

        Where all is as `known`, it is only `confirmed`: it has no rows.
        """
        begun = perf_counter()
        outcome: dict[str, Any] = {"status": "done", "reason": "", "verdict": None, "digests": [""] * len(asked.inputs),
                                   "content": content or "",
                                   "rows": {"captures": [], "attempts": [], "findings": [], "steps": []}, "report": "",
                                   "confirmed": None, "memory": None, "wrote": None, "blobs": {}}
        try:
            self._judge(asked, content, known, outcome)
        except CaptureError as error:
            outcome.update(status="unreadable", reason=_plain(error, asked))
        except MemoryError:
            outcome.update(status="crashed", reason="needs more memory than the limit allows (--memory)")
        except RecursionError:
            outcome.update(status="crashed", reason="nested too deep")
        except Exception as error:                       # a defect of ours must not cost the rest of the archive
            where = error.__traceback__
            while where.tb_next is not None:
                where = where.tb_next
            place = f"{Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}"
            outcome.update(status="crashed", reason=f"{type(error).__name__} in {place}: {error}"[:500])
        return finished(asked, outcome, self.settings.recipe, perf_counter() - begun)

    def _judge(self, asked: Asked, content: str | None, known: Known | None, outcome: dict[str, Any]) -> None:
        observation, found = self._observed(asked, content, outcome)
        if known is not None and known.content != outcome["content"]:
            known = None                                 # the files are others than when they were asked for
        result = self._result(asked, observation, found, known, outcome)
        if result is not None:
            self._tell(asked, observation, result, outcome)

    def _observed(self, asked: Asked, content: str | None,
                  outcome: dict[str, Any]) -> tuple[Observation, Sequence[Timeline]]:
        """The observation and its timelines: from the index, or made and then indexed."""
        from ..check import joined, labelled
        observation, found = self._indexed(content) if content else (None, None)
        fresh = observation is None
        if fresh:
            missing = next((one for one in asked.inputs if one.size < 0), None)
            if missing is not None:
                raise CaptureError(f"{missing.path}: {missing.stamp}")
            observation = self._decoded(asked)
        infos = tuple(replace(info, path=one.path) for info, one in zip(observation.captures, asked.inputs))
        observation = replace(observation, captures=infos)
        outcome["digests"] = [info.sha256 for info in infos]
        outcome["content"] = content_digest(outcome["digests"])
        if found is not None:
            return observation, labelled(found, observation)
        found = joined(observation, self.rules, self.site, self.settings.keys)
        if self.settings.keep_index and (fresh or self.context):
            self._keep(index.packed(observation, found, self.context or ""), outcome)
        return observation, found

    def _keep(self, data: bytes, outcome: dict[str, Any]) -> None:
        """Stores an index, or has it stored where the archive is."""
        if self.settings.folder:
            index.store(data, index.place(Path(self.settings.folder), outcome["content"],
                                          self.settings.recipe.decoding))
        else:
            outcome["blobs"]["index"] = data

    def _result(self, asked: Asked, observation: Observation, found: Sequence[Timeline], known: Known | None,
                outcome: dict[str, Any]) -> Result | None:
        """The verdicts; None where they are those that are known, which is then the outcome."""
        from ..check import judged
        from .memory import Recollection
        settings = self.settings

        def judging(memory: Any) -> Result:
            return judged(observation, self.rules, self.site, settings.procedures, f"flowcheck batch, {asked.name}",
                          settings.keys, found, memory)
        if self.context is None:
            return judging(None)
        recollection = Recollection(self.book, known)
        result, shows = judging(recollection.of), ""
        if known is not None and known.standing and recollection.confirmed():
            shows = known.memory.shows
        else:
            if recollection.partial():
                result = judging(recollection.whole().of)
            shows = recollection.shows(result)
        outcome["memory"] = recollection.memory(self.context, shows)
        if known is None or not known.standing or shows != known.memory.shows:
            return result
        outcome.update(confirmed=known, verdict=known.verdict, report=known.report)
        return None

    def _tell(self, asked: Asked, observation: Observation, result: Result, outcome: dict[str, Any]) -> None:
        """Rows and report."""
        from ..report.mask import masked
        settings = self.settings
        result = replace(result, tool={**result.tool, "archive": KEPT})
        attempts = [attempt for device in result.devices for attempt in device.attempts]
        wanted = wants_report(settings, result.verdict, bool(attempts))
        shown = masked(result) if wanted or any(a.cause for a in attempts) else result       # once, for both
        outcome["verdict"] = result.verdict
        outcome["rows"] = rows(result, shown, asked.inputs[0].path)
        outcome["rows"]["captures"] = [
            [one.path, info.sha256, one.size, info.packets, info.first, info.last, "done", "; ".join(info.remarks),
             info.grade, result.verdict]
            for one, info in zip(asked.inputs, observation.captures)]
        if wanted:
            self._report(asked, result if settings.show_secrets else shown, outcome)

    def _indexed(self, content: str) -> tuple[Observation | None, Sequence[Timeline] | None]:
        """What `index.load` gives, None where there is none that can be used."""
        if not self.settings.folder:
            return None, None
        path = index.place(Path(self.settings.folder), content, self.settings.recipe.decoding)
        try:
            return index.load(path, self.context or "") if path.exists() else (None, None)
        except CaptureError:
            path.unlink(missing_ok=True)                 # damaged: it is made again
            return None, None

    def _decoded(self, asked: Asked) -> Observation:
        from ..check import key_ring
        from ..observe.observation import observe
        with ExitStack() as stack:
            paths = [stack.enter_context(_fetched(one.path)) if is_remote(one.path) else one.path
                     for one in asked.inputs]
            return observe(paths, key_ring(self.settings.keys), dict(self.settings.decode_as))

    def _report(self, asked: Asked, result: Result, outcome: dict[str, Any]) -> None:
        settings = self.settings
        from ..report.as_html import html, write_html
        outcome["report"] = report_of(asked)
        if settings.folder:
            place = Path(settings.folder) / outcome["report"]
            files = write_html(result, place, show_secrets=True)             # those that shall not be seen are gone
            if outcome["memory"] and len(files) == 1:
                outcome["wrote"] = stamp(place), report_shows(outcome["memory"].shows, asked, settings)
        else:
            outcome["blobs"]["report"] = html(result, show_secrets=True)


@lru_cache(maxsize=1)
def worker(settings: Settings) -> Worker:
    """The process's own. Raises RuleError, SiteError or UsageError."""
    return Worker(settings)


def finished(asked: Asked, outcome: dict[str, Any], recipe: Recipe, seconds: float) -> dict[str, Any]:
    """Completes an outcome: the rows of files that could not be judged, and the key under which the ledger keeps it."""
    if outcome["status"] != "done" and not outcome["rows"]["captures"]:
        outcome["rows"]["captures"] = [[one.path, digest, max(one.size, 0), None, None, None, outcome["status"],
                                        outcome["reason"], "", None]
                                       for one, digest in zip(asked.inputs, outcome["digests"])]
    if not outcome["content"]:                           # never read to its end: known by place, size and time instead
        outcome["content"] = unread(asked)
    outcome["key"] = work_key(outcome["content"], recipe)
    outcome["seconds"] = round(seconds, 4)
    return outcome


def failure(asked: Asked, status: str, reason: str, recipe: Recipe, seconds: float) -> dict[str, Any]:
    """The outcome of an observation whose worker died or was stopped."""
    empty = {"captures": [], "attempts": [], "findings": [], "steps": []}
    return finished(asked, {"status": status, "reason": reason, "verdict": None, "digests": [""] * len(asked.inputs),
                            "content": "", "rows": empty, "confirmed": None, "memory": None, "wrote": None,
                            "report": "", "blobs": {}}, recipe, seconds)


def work_key(content: str, recipe: Recipe) -> str:
    """Under which the ledger keeps the work on these contents with this recipe."""
    return _hash(f"{content}\0{recipe.digest}")


def content_digest(digests: Sequence[str]) -> str:
    """One digest of all files of an observation."""
    return _hash("".join(digests))


def unread(asked: Asked) -> str:
    """Stands for the content of files that could not be read to their end: the same files again are the same failure."""
    return "unread:" + _hash(repr([(one.path, one.size, one.stamp) for one in asked.inputs]))


def wants_report(settings: Settings, verdict: str | None, attempts: bool) -> bool:
    return settings.reports == "all" or settings.reports == "failures" and verdict != "pass" and attempts


def report_of(asked: Asked) -> str:
    """The report's path within the archive."""
    return f"reports/{report_name(asked.name)}"


def report_shows(verdicts: str, asked: Asked, settings: Settings) -> str:
    """Digest of what a report of these verdicts shows of an observation, its provenance apart."""
    return _hash(repr((verdicts, settings.recipe.tool, settings.recipe.site, settings.show_secrets, asked.name,
                       [one.path for one in asked.inputs])))


def stamp(path: Path) -> str:
    """By which a file is told from one that was written in its place; empty where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return ""
    return f"{stat.st_mtime_ns}.{stat.st_ino}.{stat.st_size}"


def report_name(name: str) -> str:
    """A file name for the report of an observation: readable, and of its own for each name."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", name.rpartition("://")[2].rstrip("/"))[-80:].strip("._") or "report"
    return f"{stem}-{_hash(name)[:8]}.html"


class _fetched:
    """A remote capture as a local file for as long as it is read."""

    def __init__(self, url: str):
        self.url, self.path = url, ""

    def __enter__(self) -> str:
        handle, self.path = tempfile.mkstemp(prefix="flowcheck-")
        try:
            with (os.fdopen(handle, "wb") as local, asking(self.url),
                  file_system(self.url).open(self.url, "rb") as remote):
                shutil.copyfileobj(remote, local, 1 << 20)
        except FileNotFoundError:
            self.__exit__()
            raise CaptureError(f"{self.url}: no such object") from None
        except BaseException:
            self.__exit__()
            raise
        return self.path

    def __exit__(self, *_: object) -> None:
        Path(self.path).unlink(missing_ok=True)


def _plain(error: CaptureError, asked: Asked) -> str:
    """The reason without the path, which the row names already."""
    text = str(error)
    return text.removeprefix(f"{asked.inputs[0].path}: ") if len(asked.inputs) == 1 else text


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
