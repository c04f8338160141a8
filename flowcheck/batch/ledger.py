"""The ledger of an archive: an SQLite file that says which observation was judged with which recipe, and how it ended.

A row is written in one transaction when its observation is finished, so that a run killed at any moment loses what it
had in hand and nothing else. Write-ahead logging lets several runs use one archive at once: the same work done twice
gives the same row.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple

from ..errors import UsageError
from .inputs import Asked, Input

VERSION = 1
PATIENCE = 60.0             # seconds that another run's hold on the ledger is waited for
FINAL = ("done", "unreadable", "crashed", "timeout")
_SCHEMA = """
CREATE TABLE files (path TEXT PRIMARY KEY, size INTEGER, stamp TEXT, sha256 TEXT);
CREATE INDEX files_by_size ON files (size);
CREATE TABLE work (
    key TEXT PRIMARY KEY,        -- digest of contents and recipe
    content TEXT,                -- digest of the capture files' digests
    recipe TEXT,                 -- digest of tool, rules, site and options
    decoding TEXT,               -- the part of it that decides the decoded messages
    status TEXT, reason TEXT, verdict TEXT,
    seconds REAL, finished TEXT,
    rows BLOB                    -- zlib, JSON: what the tables hold of it
);
CREATE TABLE observations (
    name TEXT PRIMARY KEY, paths TEXT, tags TEXT, key TEXT, report TEXT, changed INTEGER
);
CREATE TABLE recipes (recipe TEXT PRIMARY KEY, tool TEXT, rules TEXT, site TEXT, options TEXT, decoding TEXT, first_used TEXT);
CREATE INDEX work_by_content ON work (content, recipe);
"""
# tables that came later: an archive of before has them from its next run on
_LATER = """
CREATE TABLE IF NOT EXISTS memories (
    content TEXT, context TEXT,  -- digests of the captures, and of what verdicts depend on besides them and the rules
    book TEXT,                   -- digest of the rules
    key TEXT,                    -- the work
    shows TEXT, data BLOB,       -- see batch/memory.py
    PRIMARY KEY (content, context)
);
CREATE TABLE IF NOT EXISTS books (book TEXT PRIMARY KEY, rules TEXT, chain TEXT);
CREATE TABLE IF NOT EXISTS reports (
    report TEXT PRIMARY KEY,     -- the file
    stamp TEXT,                  -- by which it is told that it was not written again since
    shows TEXT,                  -- digest of what it shows; empty where that is not certain
    recipe TEXT, written TEXT    -- with which and when it was written
);
"""

# two runs that wrote one file at the same time: the stamp is that of one of them, and nobody knows which
_NOTE_REPORT = """
INSERT INTO reports (report, stamp, shows, recipe, written) VALUES (?, ?, ?, ?, ?) ON CONFLICT (report) DO UPDATE SET
shows = CASE WHEN stamp = excluded.stamp AND shows != excluded.shows THEN '' ELSE excluded.shows END,
stamp = excluded.stamp, recipe = excluded.recipe, written = excluded.written
"""


class Entry(NamedTuple):
    """One observation as it stands."""

    name: str
    paths: list[str]
    tags: dict[str, str]
    key: str
    report: str
    status: str
    reason: str
    verdict: str | None
    rows: dict[str, Any]


class Book(NamedTuple):
    """The rules of a run, as far as tells whether two runs judge the same."""

    rules: tuple[tuple[str, str], ...]       # procedure and digest of its meaning, in the order of judging
    chain: str                               # digest of what is said of procedures that a device still lacks

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self).encode()).hexdigest()[:32]


class Memory(NamedTuple):
    """What is kept of an observation's verdicts; `data` is batch/memory.py's."""

    context: str
    book: str                                # digest
    shows: str                               # digest of what a report of it shows
    data: bytes


class Known(NamedTuple):
    """What is known of an observation that is asked for again."""

    content: str
    key: str                                 # the work that its rows stand in
    book: Book
    memory: Memory
    verdict: str | None
    report: str                              # the file wanted of it; empty for none
    standing: bool                           # and it is there, as the verdicts want it
    untouched: bool = False                  # the rules of this run cannot judge it otherwise


class Ledger:
    """Opens or makes the ledger of a directory. Raises UsageError where that cannot be."""

    def __init__(self, folder: Path):
        self.path = folder / "ledger.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise UsageError(f"{self.path}: cannot be used as a ledger: {error}") from None

    def _write_ahead(self) -> None:
        """Turns write-ahead logging on. SQLite's own time limit does not cover this step, so a run that begins at the same moment
        is waited for here."""
        until = monotonic() + PATIENCE
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if monotonic() > until:
                    raise
                sleep(0.02)

    def _prepare(self) -> None:
        self._write_ahead()
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("BEGIN IMMEDIATE")               # of two runs that begin at once, one makes the tables
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in _SCHEMA.split(";\n"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {VERSION}")
        for statement in _LATER.split(";\n"):
            self._db.execute(statement)
        self._db.execute("COMMIT")
        if version not in (0, VERSION):
            raise UsageError(f"{self.path}: written by another version of flowcheck (format {version}, this one reads {VERSION}); "
                             "use a new directory")

    def close(self) -> None:
        self._db.close()

    # ---------------------------------------------------------------------------------------------- files

    def known_digests(self) -> dict[str, tuple[int, str, str]]:
        """Path -> size, stamp and SHA-256 when it was last read."""
        return {_named(path): (size, stamp, digest)
                for path, size, stamp, digest in self._db.execute("SELECT * FROM files")}

    def note_file(self, one: Input, digest: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
                         (_stored(one.path), one.size, one.stamp, digest))

    # ---------------------------------------------------------------------------------------------- work

    def finished(self, content: str, recipe: str) -> tuple[str, str] | None:
        """Key and status of this work, if it was done before."""
        return self._db.execute("SELECT key, status FROM work WHERE content = ? AND recipe = ?",
                                (content, recipe)).fetchone()

    def current(self) -> dict[str, tuple[str, str, str]]:
        """Name -> key, paths and tags of every observation, as stored."""
        query = "SELECT name, key, paths, tags FROM observations"
        return {_named(name): (key, paths, tags) for name, key, paths, tags in self._db.execute(query)}

    def note_recipe(self, recipe: Any, now: str) -> None:
        self._db.execute("INSERT OR IGNORE INTO recipes VALUES (?, ?, ?, ?, ?, ?, ?)", (recipe.digest, *recipe, now))

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Either all that is recorded within is there, or nothing of it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def record(self, asked: Asked, outcome: dict[str, Any], recipe: Any, now: str) -> None:
        """One finished observation."""
        blob = zlib.compress(json.dumps(outcome["rows"], separators=(",", ":")).encode(), 1)
        with self.at_once():
            for one, digest in zip(asked.inputs, outcome["digests"]):
                if digest:
                    self.note_file(one, digest)
            self._db.execute("INSERT OR REPLACE INTO work VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                             (outcome["key"], outcome["content"], recipe.digest, recipe.decoding, outcome["status"],
                              outcome["reason"].encode("utf-8", "backslashreplace").decode(),
                              outcome["verdict"], outcome["seconds"], now, blob))
            if outcome["memory"]:
                self._remember(outcome["content"], outcome["key"], outcome["memory"])
            if outcome["wrote"]:
                self._db.execute(_NOTE_REPORT, (outcome["report"], *outcome["wrote"], recipe.digest, now))
            self.point(asked, outcome["key"], outcome["report"])

    def confirm(self, asked: Asked, report: str, known: Known, memory: Memory, key: str, recipe: Any, now: str) -> None:
        """With this recipe, as work `key`, the observation is what it is known to be. Belongs inside `at_once`."""
        self._db.execute("INSERT OR REPLACE INTO work SELECT ?, content, ?, ?, status, reason, verdict, seconds, ?, "
                         "rows FROM work WHERE key = ?", (key, recipe.digest, recipe.decoding, now, known.key))
        self._remember(known.content, key, memory)
        only_key = self._db.execute(
            "UPDATE observations SET key = ? WHERE name = ? AND paths = ? AND tags = ? AND key = ? AND report = ?",
            (key, *_identity(asked), known.key, report))
        if not only_key.rowcount:
            self.point(asked, key, report)

    def _remember(self, content: str, key: str, memory: Memory) -> None:
        self._db.execute("INSERT OR REPLACE INTO memories VALUES (?, ?, ?, ?, ?, ?)",
                         (content, memory.context, memory.book, key, memory.shows, memory.data))

    def note_book(self, book: Book) -> None:
        self._db.execute("INSERT OR IGNORE INTO books VALUES (?, ?, ?)",
                         (book.digest, json.dumps(book.rules), book.chain))

    def books(self) -> dict[str, Book]:
        """By digest."""
        return {digest: Book(tuple(map(tuple, json.loads(rules))), chain)
                for digest, rules, chain in self._db.execute("SELECT book, rules, chain FROM books")}

    def memory(self, content: str, context: str) -> tuple[str, Memory, str | None] | None:
        """Work, memory and verdict of these contents, as they were judged last in this context."""
        found = self._db.execute("SELECT key, context, book, shows, data, verdict FROM memories JOIN work USING (key) "
                                 "WHERE memories.content = ? AND context = ?", (content, context)).fetchone()
        return found and (found[0], Memory(*found[1:5]), found[5])

    def reports(self) -> dict[str, tuple[str, str]]:
        """Report file -> stamp, and digest of what it shows."""
        return {report: (stamp, shows) for report, stamp, shows in
                self._db.execute("SELECT report, stamp, shows FROM reports")}

    def point(self, asked: Asked, key: str, report: str | None = None) -> None:
        """This observation's result is the work of that key."""
        if report is None:
            row = self._db.execute("SELECT report FROM observations WHERE key = ? AND report != ''", (key,)).fetchone()
            report = row[0] if row else ""
        self._db.execute("INSERT OR REPLACE INTO observations VALUES (?, ?, ?, ?, ?, 1)",
                         (*_identity(asked), key, report))

    # ---------------------------------------------------------------------------------------------- reading it back

    def changed(self) -> bool:
        """Was anything recorded since the tables were last written?"""
        return self._db.execute("SELECT 1 FROM observations WHERE changed LIMIT 1").fetchone() is not None

    def settled(self) -> None:
        self._db.execute("UPDATE observations SET changed = 0 WHERE changed")

    def done(self) -> Iterator[tuple[str, list[str], dict[str, str]]]:
        """Name, paths and tags of every observation that was judged, in order of name."""
        for name, paths, tags in self._db.execute("SELECT name, paths, tags FROM observations JOIN work USING (key) "
                                                  "WHERE status = 'done' ORDER BY name"):
            yield _named(name), json.loads(paths), json.loads(tags)

    def entries(self, names: Iterable[str] | None = None) -> Iterator[Entry]:
        """Every observation in order of name, or those named."""
        wanted = None if names is None else set(names)
        query = ("SELECT name, paths, tags, observations.key, report, status, reason, verdict, rows "
                 "FROM observations JOIN work USING (key) ORDER BY name")
        for name, paths, tags, key, report, status, reason, verdict, rows in self._db.execute(query):
            name = _named(name)
            if wanted is None or name in wanted:
                yield Entry(name, json.loads(paths), json.loads(tags), key, report, status, reason, verdict,
                            json.loads(zlib.decompress(rows)))

    def outcomes(self) -> dict[str, tuple[str, str | None]]:
        """Name -> status and verdict."""
        query = "SELECT name, status, verdict FROM observations JOIN work USING (key)"
        return {_named(name): (status, verdict) for name, status, verdict in self._db.execute(query)}

    def contents(self) -> dict[str, str]:
        """Name -> digest of contents."""
        query = "SELECT name, content FROM observations JOIN work USING (key) WHERE status = 'done'"
        return {_named(name): content for name, content in self._db.execute(query)}


# ---------------------------------------------------------------------------------------------------- names

def _stored(name: str) -> str | bytes:
    """SQLite's text is UTF-8; the name of a file that is not is kept as its octets."""
    octets = name.encode("utf-8", "surrogateescape")
    return name if octets.isascii() or octets.decode("utf-8", "replace") == name else octets


def _named(stored: str | bytes) -> str:
    return stored if isinstance(stored, str) else stored.decode("utf-8", "surrogateescape")


def _identity(asked: Asked) -> tuple[str | bytes, str, str]:
    return _stored(asked.name), json.dumps([one.path for one in asked.inputs]), json.dumps(asked.tags)
