"""Where a byte can be looked up: frames of captures, one by one or very many of them. Imports nothing of ours."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

FEW = 32                    # frames up to which a plain tuple is no burden
CAPTURE_SHIFT = 40          # bit above which a packed place holds the capture
_NUMBER = (1 << CAPTURE_SHIFT) - 1
_new = tuple.__new__        # of a named tuple: its own __new__ costs three times as much


class FrameRef(NamedTuple):
    """Where a byte can be looked up: which capture of the observation, and the frame number in it."""

    capture: int
    number: int


Frames = Sequence[FrameRef]


class FrameRun(Sequence[FrameRef]):
    """The frames of a long message: like their tuple, and equal to it, in 8 octets each instead of a hundred."""

    __slots__ = ("_places",)

    def __init__(self, frames: Iterable[FrameRef]):
        self._places = array("q", _packed(frames))

    @classmethod
    def packed(cls, places: Iterable[int]) -> FrameRun:
        """Of frames that are packed already."""
        run = cls(())
        run._places.extend(places)
        return run

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[FrameRef]:
        return map(unpacked, self._places)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return tuple(map(unpacked, self._places[place]))
        return unpacked(self._places[place])

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (FrameRun, tuple)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


class Gathered:
    """The frames of a message that is still under way, packed as they come."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places = array("q")

    def __len__(self) -> int:
        return len(self._places)

    def add(self, frames: Iterable[FrameRef]) -> None:
        self._places.extend(frames._places if isinstance(frames, FrameRun) else _packed(frames))

    def once(self) -> Frames:
        """Each of them, in order."""
        places = sorted(set(self._places))
        return FrameRun.packed(places) if len(places) > FEW else tuple(map(unpacked, places))


def compact(frames: Frames) -> Frames:
    """The same frames in the form that takes least memory to keep."""
    return frames if len(frames) <= FEW or isinstance(frames, FrameRun) else FrameRun(frames)


def _packed(frames: Iterable[FrameRef]) -> list[int]:
    return [capture << CAPTURE_SHIFT | number for capture, number in frames]


def unpacked(place: int) -> FrameRef:
    """The frame that a number stands for which also tells the capture: as those do that travel inside a tap."""
    return _new(FrameRef, (place >> CAPTURE_SHIFT, place & _NUMBER))


def frames_filter(numbers: Iterable[int]) -> str:
    """The Wireshark display filter that selects exactly these frames of one capture; empty for none."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    shown = [",".join(map(str, run)) if len(run) < 4 else f"{run[0]}..{run[-1]}" for run in parts]
    return "frame.number in {%s}" % ",".join(shown) if shown else ""
