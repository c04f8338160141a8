"""One observation: every capture of one event, read once and merged into one sequence of messages.

Files that follow each other in time (rotated files) are one tap and share its streams. Files that overlap are different
taps: each is dissected on its own, and session/copies.py then recognises the message that two of them saw.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .capture.reader import open_capture
from .dissect import Dissector
from .errors import CaptureError
from .model import CaptureInfo, Frame, Gap, Message, Opaque

ROTATION_SLACK = 1_000_000          # ns: how far packets of a rotated file may lie before the last of the one before
LINK_CHANGE_LIMIT = 60_000_000_000  # ns: files further apart than this are not one rotation


@dataclass(frozen=True, slots=True)
class Observation:
    captures: tuple[CaptureInfo, ...]
    messages: tuple[Message, ...]       # in time order, each tap's own; copies are still separate
    opaque: tuple[Opaque, ...]
    gaps: tuple[Gap, ...]
    window: tuple[int, int] | None      # first and last packet of all captures
    taps: tuple[int, ...]               # tap of each capture


@dataclass(slots=True)
class _File:
    index: int
    path: str
    capture: Any
    frames: Any
    head: Frame | None


@dataclass(slots=True)
class _Tap:
    dissector: Dissector
    link: int
    last: int
    index: int


def observe(paths: Sequence[str], keys: Any = None, decode_as: dict[tuple[str, int], str] | None = None,
            progress: Any = None) -> Observation:
    """Reads all captures. Raises CaptureError where one cannot be read at all; a cut one is read up to the cut."""
    files = [_open(index, path, keys) for index, path in enumerate(paths)]
    files.sort(key=lambda file: (file.head.time if file.head else 0, file.index))
    taps: list[_Tap] = []
    messages: list[Message] = []
    tap_of: dict[int, int] = {}
    facts: dict[int, tuple[int, int | None, int | None]] = {}
    undecoded: dict[int, Counter[str]] = {}
    for file in files:
        tap = _tap_for(file, taps, keys, decode_as)
        tap_of[file.index] = tap.index
        before = Counter(tap.dissector.undecoded)
        facts[file.index] = _read(file, tap, messages, keys, progress)
        undecoded[file.index] = tap.dissector.undecoded - before
    for tap in taps:
        messages.extend(tap.dissector.finish())
    messages.sort(key=lambda m: (m.time, m.frames[-1]))
    infos = tuple(_info(file, facts[file.index], undecoded[file.index], taps[tap_of[file.index]])
                  for file in sorted(files, key=lambda file: file.index))
    starts = [i.first for i in infos if i.first is not None]
    ends = [i.last for i in infos if i.last is not None]
    return Observation(infos, tuple(messages), tuple(o for t in taps for o in t.dissector.opaque),
                       tuple(g for t in taps for g in t.dissector.gaps),
                       (min(starts), max(ends)) if starts else None,
                       tuple(tap_of[i] for i in range(len(files))))


def _open(index: int, path: str, keys: Any) -> _File:
    capture = open_capture(sys.stdin.buffer if path == "-" else path)
    frames = iter(capture)
    head = next(frames, None)
    return _File(index, path, capture, frames, head)


def _tap_for(file: _File, taps: list[_Tap], keys: Any, decode_as: Any) -> _Tap:
    """The tap whose files this one continues, else a new one."""
    head = file.head
    if head is not None:
        continued = [t for t in taps if t.link == head.link and -ROTATION_SLACK <= head.time - t.last <= LINK_CHANGE_LIMIT]
        if continued:
            return max(continued, key=lambda t: t.last)
    tap = _Tap(Dissector(keys, decode_as, len(taps)), head.link if head else -1, 0, len(taps))
    taps.append(tap)
    return tap


def _read(file: _File, tap: _Tap, messages: list[Message], keys: Any, progress: Any) -> tuple[int, int | None, int | None]:
    packets, first, last = 0, None, None
    dissect, index, known = tap.dissector.frame, file.index, 0
    frame = file.head
    while frame is not None:
        if keys is not None and len(file.capture.secrets) > known:
            for kind, secret in file.capture.secrets[known:]:
                keys.add_secrets_block(kind, secret)
            known = len(file.capture.secrets)
        packets += 1
        time = frame.time
        if first is None:
            first = last = time
        elif time > last:
            last = time
        elif time < first:
            first = time
        messages.extend(dissect(frame, index))
        if progress is not None and not packets & 0x3FFF:
            progress(file.path, packets)
        frame = next(file.frames, None)
    if last is not None:
        tap.last = max(tap.last, last)
    return packets, first, last


def _info(file: _File, facts: tuple[int, int | None, int | None], undecoded: Counter[str], tap: _Tap) -> CaptureInfo:
    packets, first, last = facts
    capture = file.capture
    remarks = tuple(dict.fromkeys((*capture.remarks, *tap.dissector.network.remarks)))
    lost = [g for g in tap.dissector.gaps]
    if lost:
        remarks += (f"{len(lost)} holes in TCP streams: packets are missing from the capture",)
    grade = "poor" if len(lost) > max(3, packets // 50) else "fair" if remarks else "good"
    return CaptureInfo(file.path, capture.sha256, packets, first, last, grade, remarks, dict(undecoded.most_common(50)),
                       capture.format, capture.truncated)


def expand(paths: Iterable[str], recursive: bool) -> list[str]:
    """The files meant by the command line: a directory is its files where `recursive`, an error where not."""
    found: list[str] = []
    for path in paths:
        if path != "-" and Path(path).is_dir():
            if not recursive:
                raise CaptureError(f"{path}: is a directory; name its captures, or add --recursive")
            found += [str(p) for p in sorted(Path(path).rglob("*")) if p.is_file() and not p.name.startswith(".")]
        else:
            found.append(path)
    return found


def digest_of(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
