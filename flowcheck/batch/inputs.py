"""What a batch is asked to judge: files, folders, globs, lists of them and object stores, put together to observations.

One observation is one file, or all files that `--group-by` says belong together (taps, rotated files). In a folder the
captures are told by content; what is no capture is counted and named, never dropped in silence.
"""

from __future__ import annotations

import glob
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..capture.likely import looks_like_a_capture, named_like_a_capture
from ..errors import CaptureError, UsageError


@dataclass(frozen=True, slots=True)
class Input:
    """One file: where it is, and what tells cheaply whether it changed. `size` is -1 where it is not there."""

    path: str
    size: int
    stamp: str                           # modification time, or what an object store calls ETag


@dataclass(frozen=True, slots=True)
class Asked:
    """One observation. `name` identifies it in the ledger from run to run."""

    name: str
    inputs: tuple[Input, ...]
    tags: dict[str, str] = field(default_factory=dict)


def asked(paths: Iterable[str], files_from: Iterable[str] = (), group_by: str | None = None, tag_from_name: str
          | None = None,
          ) -> tuple[list[Asked], list[str]]:
    """The observations in order of name, and the files below folders that are no captures.

    Raises UsageError for a bad expression, CaptureError for a list that cannot be read.
    """
    found: dict[str, Input] = {}
    others: list[str] = []
    for path in (*paths, *(line for name in files_from for line in _lines(name))):
        for one in _files(path, others):
            found.setdefault(one.path, one)
    key = _grouping(group_by)
    groups: dict[str, list[Input]] = defaultdict(list)
    for one in sorted(found.values(), key=lambda one: one.path):
        groups[key(one.path)].append(one)
    tags = _tagging(tag_from_name)
    return [Asked(name, tuple(group), tags(group[0].path)) for name, group in sorted(groups.items())], others


def is_remote(path: str) -> bool:
    return "://" in path


def file_system(path: str) -> Any:
    """The fsspec file system of a URL. Raises UsageError where the packages for it are not installed."""
    try:
        import fsspec
        return fsspec.core.url_to_fs(path)[0]
    except ImportError as error:
        raise UsageError(f"{path}: {error}; object stores need `pip install 'flowcheck[objectstore]'`") from None
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None


@contextmanager
def asking(url: str) -> Iterator[None]:
    """Makes a CaptureError of whatever a store's client raises; each has exceptions of its own. What is not there stays a
    FileNotFoundError."""
    try:
        yield
    except (FileNotFoundError, MemoryError):
        raise
    except Exception as error:
        raise CaptureError(f"{url}: {error or type(error).__name__}") from None


def _lines(name: str) -> Iterator[str]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise CaptureError(f"--files-from {name}: {error.strerror or error}") from None
    yield from (line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def _files(path: str, others: list[str]) -> Iterator[Input]:
    if is_remote(path):
        yield from _remote(path, others)
    elif os.path.isdir(path):
        yield from _below(path, others)
    elif not os.path.exists(path) and glob.has_magic(path):
        matches = sorted(glob.glob(path, recursive=True))
        if not matches:
            yield Input(path, -1, "no file matches")
        for match in matches:
            yield from _files(match, others)
    else:
        yield _local(path)


def _local(path: str) -> Input:
    try:
        stat = os.stat(path)
    except OSError as error:
        return Input(path, -1, (error.strerror or str(error)).lower())
    return Input(path, stat.st_size, f"{stat.st_mtime_ns}.{stat.st_ino}")


def _below(folder: str, others: list[str]) -> Iterator[Input]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(root, name)
            if not name.startswith(".") and os.path.isfile(path):
                if looks_like_a_capture(path):
                    yield _local(path)
                else:
                    others.append(path)


def _remote(path: str, others: list[str]) -> Iterator[Input]:
    system = file_system(path)
    scheme = path.partition("://")[0]
    try:
        with asking(path):
            if glob.has_magic(path):
                listed = system.glob(path, detail=True)
            elif system.isdir(path):
                listed = system.find(path, detail=True)
            else:
                listed = {path: system.info(path)}
    except FileNotFoundError:
        listed = {}
    rows = [info for info in listed.values() if info.get("type") == "file"]
    if not rows:
        yield Input(path, -1, "no such object")
    single = len(rows) == 1 and not path.endswith("/")
    for info in sorted(rows, key=lambda info: info["name"]):
        url = f"{scheme}://{info['name'].removeprefix(scheme + '://')}"
        if single or named_like_a_capture(url):
            stamp = str(info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("LastModified") or "")
            yield Input(url, int(info.get("size") or 0), stamp)
        else:
            others.append(url)


# ------------------------------------------------------------------------------------------------- names

def _grouping(group_by: str | None) -> Any:
    if group_by is None:
        return lambda path: path
    if group_by == "folder":
        return lambda path: path.rpartition("/")[0] or "."
    pattern = _expression("--group-by", group_by)

    def key(path: str) -> str:
        """The groups of the expression joined, or all it matched; a file it does not match stays alone."""
        match = pattern.search(path)
        if match is None:
            return path
        return "-".join(part or "" for part in match.groups()) if match.groups() else match.group()
    return key


def _tagging(tag_from_name: str | None) -> Any:
    if tag_from_name is None:
        return lambda path: {}
    pattern = _expression("--tag-from-name", tag_from_name)

    def tags(path: str) -> dict[str, str]:
        """A tag per named group; unnamed ones are `tag`, `tag2`, ..."""
        match = pattern.search(path)
        if match is None:
            return {}
        named = {name: value or "" for name, value in match.groupdict().items()}
        return named or {f"tag{number or ''}": value or ""
                         for number, value in zip((0, *range(2, 99)), match.groups() or (match.group(),))}
    return tags


def _expression(option: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(f"{option} {text}: not a regular expression: {error}") from None
