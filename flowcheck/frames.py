"""Where a byte can be looked up: frames of captures, one by one or very many of them. Imports nothing of ours."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

FEW = 32                    # frames up to which a plain tuple is no burden
_CAPTURE = 40               # bit above which a packed place holds the capture


class FrameRef(NamedTuple):
    """Where a byte can be looked up: which capture of the observation, and the frame number in it."""

    capture: int
    number: int


Frames = Sequence[FrameRef]


class FrameRun(Sequence[FrameRef]):
    """The frames of a long message: like their tuple, and equal to it, in 8 octets each instead of a hundred."""

    __slots__ = ("_places",)

    def __init__(self, frames: Iterable[FrameRef]):
        self._places = array("q", [capture << _CAPTURE | number for capture, number in frames])

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[FrameRef]:
        return map(_unpacked, self._places)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return tuple(map(_unpacked, self._places[place]))
        return _unpacked(self._places[place])

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (FrameRun, tuple)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


def compact(frames: tuple[FrameRef, ...]) -> Frames:
    """The same frames in the form that takes least memory to keep."""
    return frames if len(frames) <= FEW else FrameRun(frames)


def _unpacked(place: int) -> FrameRef:
    return FrameRef(place >> _CAPTURE, place & (1 << _CAPTURE) - 1)


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
