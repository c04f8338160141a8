"""Joining IP fragments (RFC 791 3.2, RFC 8200 4.5): any order, copies, overlaps, bounded in count, time and memory.

Where fragments overlap with different content the datagram is ambiguous: systems differ in what they keep, and RFC 5722
forbids it for IPv6. Rather than tell one reading as a fact, such a datagram is given up and counted. Copies, and overlaps
that agree, do no harm. A fragment that the snap length cut fills its place, but only the octets in front of the first
one cut away are handed on; the rest is stated as missing. So a first fragment that is cut waits for no other.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

TIMEOUT = 60 * 1_000_000_000     # ns; RFC 8200 4.5. RFC 791 lets a receiver wait between 15 seconds and two minutes
_MOST_DATAGRAMS = 4096           # waited for at once; the oldest is given up
_MOST_OCTETS = 32 << 20          # held at once
_LARGEST = 65535                 # octets of one datagram's data
_MOST_PIECES = 8192              # of one datagram: 65535 octets in pieces of eight
_REMEMBERED = 1024               # joined datagrams whose late copies are recognised


class Joined(NamedTuple):
    data: bytes
    frames: tuple[int, ...]
    first: int                   # the note that came with the fragment at offset 0
    missing: int                 # octets at the end that the capture cut off


_Piece = tuple[int, int, bytes]  # start, end as the header claims it, octets held (fewer where the capture cut them)


@dataclass(slots=True)
class _Datagram:
    time: int                    # of its first fragment seen
    pieces: list[_Piece] = field(default_factory=list)       # disjoint, in order
    frames: list[int] = field(default_factory=list)
    end: int = -1                # of the data; -1 while the last fragment is missing
    covered: int = 0             # octets on the wire that the pieces stand for
    held: int = 0
    first: int = 0
    spoilt: bool = False
    told: bool = False           # its first fragment was cut, and handed on: the others bring nothing


class Fragments:
    """Fragments waiting for the rest of their datagram. The counters say what was given up."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, _Datagram] = {}
        self._done: dict[Hashable, frozenset[tuple[int, int]]] = {}     # place and hash of each piece of joined ones
        self._held = 0
        self._lost = 0
        self.ambiguous = 0           # given up because fragments contradicted each other, or reached too far

    @property
    def incomplete(self) -> int:
        """Datagrams of which a fragment is missing, those still waited for included."""
        return self._lost + sum(not (datagram.spoilt or datagram.told) for datagram in self._waiting.values())

    def add(self, key: Hashable, time: int, frames: tuple[int, ...], start: int, more: bool, data: bytes, missing: int,
            note: int) -> Joined | None:
        """Takes one fragment: `data` at octet `start`, `missing` further octets cut by the capture. The datagram, if whole."""
        datagram = self._waiting.get(key)
        over = datagram is None or datagram.told
        if over and (start, hash(data)) in self._done.get(key, ()):
            return None
        if datagram is None or abs(time - datagram.time) > TIMEOUT or start == 0 and over:
            self._make_room(time)
            self._give_up(key)
            datagram = self._waiting[key] = _Datagram(time)
        end = start + len(data) + missing
        last_end = datagram.end if more else end
        if datagram.spoilt or datagram.told:
            return None
        if start == 0 and missing:
            self._held -= datagram.held
            datagram.told, datagram.held, datagram.pieces = True, 0, []
            self._remember(key, ((start, hash(data)),))
            return Joined(data, frames, note, missing)
        if (end > _LARGEST or end == start or len(datagram.pieces) >= _MOST_PIECES or datagram.end not in (-1, last_end)
                or last_end >= 0 and max(end, datagram.pieces[-1][1] if datagram.pieces else 0) > last_end):
            return self._spoil(datagram)
        datagram.end = last_end
        fresh = _fresh(datagram.pieces, start, end, data)
        if fresh is None:
            return self._spoil(datagram)
        if fresh:
            datagram.frames.extend(frames)
            for piece in fresh:
                insort(datagram.pieces, piece)
                datagram.covered += piece[1] - piece[0]
                datagram.held += len(piece[2])
                self._held += len(piece[2])
        if start == 0:
            datagram.first = note
        return self._join(key, datagram) if datagram.covered == datagram.end else None

    def _join(self, key: Hashable, datagram: _Datagram) -> Joined:
        del self._waiting[key]
        self._held -= datagram.held
        self._remember(key, ((start, hash(data)) for start, _, data in datagram.pieces))
        parts, size = [], 0
        for start, end, data in datagram.pieces:
            parts.append(data)
            size += len(data)
            if len(data) < end - start:
                break
        return Joined(b"".join(parts), tuple(datagram.frames), datagram.first, datagram.end - size)

    def _remember(self, key: Hashable, pieces: Iterable[tuple[int, int]]) -> None:
        """What was handed on, so that its late copies are not taken for a new datagram."""
        if len(self._done) >= _REMEMBERED:
            del self._done[next(iter(self._done))]
        self._done[key] = frozenset(pieces)

    def _spoil(self, datagram: _Datagram) -> None:
        """Keeps the entry, so that its other fragments are not taken for a new datagram, and lets go of the octets."""
        self.ambiguous += 1
        self._held -= datagram.held
        datagram.spoilt, datagram.held, datagram.pieces = True, 0, []

    def _give_up(self, key: Hashable) -> None:
        datagram = self._waiting.pop(key, None)
        if datagram is not None:
            self._held -= datagram.held
            self._lost += not (datagram.spoilt or datagram.told)

    def _make_room(self, time: int) -> None:
        """Gives up the oldest where they are too old, too many or too large; the dictionary is in order of arrival."""
        while self._waiting:
            key, datagram = next(iter(self._waiting.items()))
            if (time - datagram.time <= TIMEOUT and len(self._waiting) < _MOST_DATAGRAMS and self._held < _MOST_OCTETS):
                return
            self._give_up(key)


def _fresh(pieces: list[_Piece], start: int, end: int, data: bytes) -> list[_Piece] | None:
    """The parts of a fragment that no piece covers yet; None where it contradicts one."""
    fresh, at = [], start
    index = max(0, bisect_right(pieces, start, key=_start) - 1)
    while index < len(pieces) and pieces[index][0] < end:
        piece_start, piece_end, held = pieces[index]
        index += 1
        if piece_end <= at:
            continue
        if piece_start > at:
            fresh.append((at, piece_start, data[at - start:piece_start - start]))
            at = piece_start
        upto = min(end, piece_end)
        ours, theirs = data[at - start:upto - start], held[at - piece_start:upto - piece_start]
        shorter = min(len(ours), len(theirs))
        if ours[:shorter] != theirs[:shorter]:
            return None
        at = upto
    if at < end:
        fresh.append((at, end, data[at - start:end - start]))
    return fresh


def _start(piece: _Piece) -> int:
    return piece[0]
