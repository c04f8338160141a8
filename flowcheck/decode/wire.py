"""How decoders read bytes: a bounds-checked cursor, and a tape of one direction of a stream.

A decoder never indexes into a buffer by hand. Reading past the end raises `Short`, which says whether the bytes are
missing from the capture (wait for more, or call the message incomplete) or whether a length inside the message lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..model import Context, FrameRef


class Short(Exception):
    """The bytes end before the field does. Caught inside the decoder that raised it, never seen outside decode/."""

    def __init__(self, offset: int, wanted: int):
        super().__init__(f"{wanted} octets wanted at offset {offset}")
        self.offset, self.wanted = offset, wanted


class Cursor:
    """Reads big-endian integers and octets from `data[offset:end]`; `offset` is always relative to the whole message."""

    __slots__ = ("data", "offset", "end")

    def __init__(self, data: bytes, offset: int = 0, end: int | None = None):
        self.data, self.offset = data, offset
        self.end = len(data) if end is None else min(end, len(data))

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
        return self.uint(2)

    def u24(self) -> int:
        return self.uint(3)

    def u32(self) -> int:
        return self.uint(4)

    def u64(self) -> int:
        return self.uint(8)

    def rest(self) -> bytes:
        return self.octets(self.end - self.offset)

    @contextmanager
    def window(self, size: int) -> Iterator[Cursor]:
        """A cursor over the next `size` octets; afterwards this one stands behind them, however many were read."""
        if size < 0 or self.offset + size > self.end:
            raise Short(self.offset, size)
        inner = Cursor(self.data, self.offset, self.offset + size)
        yield inner
        self.offset = inner.end


class Tape:
    """Unread in-order bytes of one direction of a stream, each knowing the frame that brought it.

    `context` describes the stream: its endpoints are those of this direction; time and frames are filled in by
    `take` and `place` for the very bytes asked for.
    """

    __slots__ = ("data", "context", "_marks", "_base")

    def __init__(self, context: Context):
        self.data = bytearray()
        self.context = context
        self._marks: list[tuple[int, tuple[FrameRef, ...], int]] = []   # (absolute end offset, frames, time)
        self._base = 0                                                  # absolute offset of data[0]

    def __len__(self) -> int:
        return len(self.data)

    def append(self, data: bytes, frame: FrameRef, time: int, earlier: tuple[FrameRef, ...] = ()) -> None:
        """More bytes, completed by `frame`; `earlier` frames carried parts of them (a TLS record over several segments)."""
        self.data += data
        self._marks.append((self._base + len(self.data), (*earlier, frame), time))

    def place(self, count: int) -> Context:
        """Where the next `count` bytes came from: the frames that carried them, and the time the last one arrived."""
        end = self._base + count
        frames: list[FrameRef] = []
        time = self.context.time
        for index, (upto, refs, when) in enumerate(self._marks):
            frames += refs
            time = max(time, when) if index else when
            if upto >= end:
                break
        return self.context.but(time=time, frames=tuple(sorted(set(frames))))

    def take(self, count: int) -> bytes:
        """The next `count` bytes, which are then behind us."""
        if count > len(self.data):
            raise Short(self._base, count)
        out = bytes(self.data[:count])
        self.skip(count)
        return out

    def skip(self, count: int) -> None:
        del self.data[:count]
        self._base += count
        gone = 0
        for upto, _, _ in self._marks:
            if upto > self._base:
                break
            gone += 1
        if gone:
            del self._marks[:gone]
