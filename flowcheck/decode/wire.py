"""How decoders read bytes: a bounds-checked cursor, and a tape of one direction of a stream.

A decoder never indexes into a buffer by hand. Reading past the end raises `Short`, which says whether the bytes are
missing from the capture (wait for more, or call the message incomplete) or whether a length inside the message lies.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from ..model import Context, FrameRef

T = TypeVar("T")


class Short(Exception):
    """The bytes end before the field does. Caught inside the decoder that raised it, never seen outside decode/."""

    def __init__(self, offset: int, wanted: int):
        super().__init__(f"{wanted} octets wanted at offset {offset}")
        self.offset, self.wanted = offset, wanted


def remembered(most: int, longest: int = 256) -> Callable[[Callable[[bytes], T]], Callable[[bytes], T]]:
    """For a function of octets alone: the last `most` answers are kept, as stacks say the same in every message.

    Octets longer than `longest` are read anew each time, so that nobody can fill the memory with them.
    """
    def decorated(read: Callable[[bytes], T]) -> Callable[[bytes], T]:
        known = lru_cache(maxsize=most)(read)
        return lambda octets: known(octets) if len(octets) <= longest else read(octets)
    return decorated


class Cursor:
    """Reads big-endian integers and octets from `data[offset:end]`; `offset` is always relative to the whole message."""

    __slots__ = ("data", "offset", "end")

    def __init__(self, data: bytes, offset: int = 0, end: int | None = None):
        self.data, self.offset = data, offset
        self.end = end if end is not None and end <= len(data) else len(data)

    @property
    def left(self) -> int:
        return self.end - self.offset

    def octets(self, count: int) -> bytes:
        start = self.offset
        if count < 0 or start + count > self.end:
            raise Short(start, count)
        self.offset = start + count
        return self.data[start:start + count]

    def u8(self) -> int:
        start = self.offset
        if start >= self.end:
            raise Short(start, 1)
        self.offset = start + 1
        return self.data[start]

    def uint(self, size: int) -> int:
        return int.from_bytes(self.octets(size), "big")

    def u16(self) -> int:
        start = self.offset
        if start + 2 > self.end:
            raise Short(start, 2)
        self.offset = start + 2
        return self.data[start] << 8 | self.data[start + 1]

    def u24(self) -> int:
        return self.uint(3)

    def u32(self) -> int:
        return self.uint(4)

    def u64(self) -> int:
        return self.uint(8)

    def rest(self) -> bytes:
        return self.octets(self.end - self.offset)

    def part(self, size: int) -> Cursor:
        """A cursor over the next `size` octets; this one stands behind them."""
        start = self.offset
        if size < 0 or start + size > self.end:
            raise Short(start, size)
        self.offset = start + size
        return Cursor(self.data, start, start + size)

    def window(self, size: int) -> _Window:
        """For a `with`: the same, but this one moves on only afterwards, and not where the inside ends too early."""
        if size < 0 or self.offset + size > self.end:
            raise Short(self.offset, size)
        return _Window(self, Cursor(self.data, self.offset, self.offset + size))


class _Window:
    __slots__ = ("outer", "inner")

    def __init__(self, outer: Cursor, inner: Cursor):
        self.outer, self.inner = outer, inner

    def __enter__(self) -> Cursor:
        return self.inner

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.outer.offset = self.inner.end


class Tape:
    """Unread in-order bytes of one direction of a stream, each knowing the frame that brought it.

    `context` describes the stream: its endpoints are those of this direction; time and frames are filled in by
    `take` and `place` for the very bytes asked for. `closed` says when and with which frame the sender ended them.
    """

    __slots__ = ("data", "context", "closed", "_marks", "_base", "_place")

    def __init__(self, context: Context):
        self.data = bytearray()
        self.context = self._place = context
        self.closed: tuple[int, FrameRef] | None = None
        self._marks: list[tuple[int, tuple[FrameRef, ...], int]] = []   # (absolute end offset, frames, time)
        self._base = 0                                                  # absolute offset of data[0]

    def __len__(self) -> int:
        return len(self.data)

    def append(self, data: bytes, frame: FrameRef, time: int, earlier: tuple[FrameRef, ...] = ()) -> None:
        """More bytes, completed by `frame`; `earlier` frames carried parts of them (a TLS record over several segments)."""
        self.data += data
        self._marks.append((self._base + len(self.data), (*earlier, frame) if earlier else (frame,), time))

    def place(self, count: int) -> Context:
        """Where the next `count` bytes came from."""
        time, frames = self.origin(count)
        last = self._place
        if last.frames is not frames or last.time != time:      # a segment often holds several records
            last = self._place = self.context.but(time=time, frames=frames)
        return last

    def origin(self, count: int) -> tuple[int, tuple[FrameRef, ...]]:
        """When the last of the next `count` bytes arrived, and the frames that carried them."""
        marks, end = self._marks, self._base + count
        if not marks:
            return self.context.time, ()
        upto, refs, time = marks[0]
        if upto >= end and len(refs) == 1:             # as a rule one segment holds them all
            return time, refs
        frames: list[FrameRef] = []
        for upto, refs, when in marks:
            frames += refs
            time = max(time, when)
            if upto >= end:
                break
        return time, tuple(sorted(set(frames)))

    def take(self, count: int) -> bytes:
        """The next `count` bytes, which are then behind us."""
        if count > len(self.data):
            raise Short(self._base, count)
        out = bytes(self.data[:count])
        self.skip(count)
        return out

    def skip(self, count: int) -> None:
        data, marks = self.data, self._marks
        if count >= len(data):
            self._base += len(data)
            data.clear()
            marks.clear()
            return
        del data[:count]
        self._base = base = self._base + count
        gone = 0
        while marks[gone][0] <= base:                  # the last one ends where the data does
            gone += 1
        if gone:
            del marks[:gone]
