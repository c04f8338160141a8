"""Counts the protected records of one direction that no key opens, and says when they passed."""

from __future__ import annotations

from typing import Any

from ..model import Context, FrameRef, Opaque

_MOST_BURSTS = 64
_QUIET = 500_000_000          # ns without a record that end a burst of activity


class Sealed:
    """One direction's unreadable application data, folded into one `Opaque` however much there is."""

    __slots__ = ("kind", "context", "start", "end", "packets", "records", "size", "first", "last", "bursts")

    def __init__(self, kind: str):
        self.kind = kind
        self.context: Context | None = None
        self.start = self.end = self.packets = self.records = self.size = 0
        self.first: FrameRef | None = None
        self.last: FrameRef | None = None
        self.bursts: list[list[int]] = []

    def add(self, context: Context, records: int, size: int) -> None:
        frames, time = context.frames, context.time
        if self.context is None:
            self.context, self.start = context, time
            self.first = frames[0] if frames else None
        self.packets += len(frames) - (bool(frames) and frames[0] == self.last)
        self.records += records
        self.size += size
        self.end = max(self.end, time)
        if frames:
            self.last = frames[-1]
        if self.bursts and time - self.bursts[-1][1] <= _QUIET:
            self.bursts[-1][1] = max(time, self.bursts[-1][1])
            return
        self.bursts.append([time, time])
        if len(self.bursts) > _MOST_BURSTS:        # the two that lie closest together become one
            bursts = self.bursts
            i = min(range(1, len(bursts)), key=lambda i: bursts[i][0] - bursts[i - 1][1])
            bursts[i - 1][1] = max(bursts[i - 1][1], bursts.pop(i)[1])

    def opaque(self, **fields: Any) -> Opaque | None:
        """What was counted; None where everything could be read."""
        context = self.context
        if context is None:
            return None
        frames = (self.first, self.last) if self.first and self.last else ()
        return Opaque(self.kind, self.start, self.end, context.src, context.dst, context.layers, self.packets,
                      self.size, context.stream, frames,
                      {"records": self.records, "bursts": tuple(map(tuple, self.bursts)), **fields})
