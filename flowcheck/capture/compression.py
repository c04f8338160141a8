"""The bytes of a stored capture, decompressed on the way: gzip, zstd, xz, bzip2 and lz4 frames, told by their first octets.

A `Source` is read once, front to back, in small pieces, so that standard input works like a file and memory
stays flat. The SHA-256 is that of the file as stored, taken while reading where it will be asked for: it costs
more than all else that traffic costs which only passes by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, BinaryIO

PIECE = 1 << 17               # octets asked for at a time; what is copied on stays in the processor's cache

# A compressed file of a few kilobytes can unfold to terabytes. Captures of real traffic shrink 2 to 20 times, padded
# lab traffic up to about 100; so what unfolds more than MOST_RATIO times is hostile, or not worth the hours. Below
# ALWAYS_FINE nothing is asked, because it is read in a second; MOST_OCTETS bounds the time of one capture in any case.
MOST_RATIO = 250
ALWAYS_FINE = 256 << 20
MOST_OCTETS = 64 << 30
_MOST_WINDOW = 128 << 20      # memory a decompressor may ask for: what `xz -9` and `zstd --long` need

_MAGICS = (("gzip", b"\x1f\x8b"), ("zstd", b"\x28\xb5\x2f\xfd"), ("xz", b"\xfd7zXZ\0"), ("bzip2", b"BZh"),
           ("lz4", b"\x04\x22\x4d\x18"))


def compression(head: bytes) -> str:
    """Name of the compression that bytes beginning with `head` are in, or an empty string."""
    return next((name for name, magic in _MAGICS if head.startswith(magic)), "")


class Source:
    """The decompressed bytes of `raw`; `remark` says why they ended early, where they did."""

    def __init__(self, raw: BinaryIO, digest: bool = True):
        self._read_some: Callable[[int], bytes] = getattr(raw, "read1", raw.read)   # a pipe gives what it has
        self._raw = raw
        self._hash = hashlib.sha256() if digest else None
        self.stored = 0               # octets of the file read so far
        self.remark = ""
        first = self._stored()
        while len(first) < 6 and (more := self._stored()):
            first += more
        self.compression = compression(first)
        self._first: bytes | None = first
        if self.compression:
            self._pieces = _unfold(self, _DECOMPRESSORS[self.compression], first)

    def read(self) -> bytes:
        """The next piece, empty at the end."""
        if not self.compression:
            piece, self._first = self._first, None
            return self._stored() if piece is None else piece
        return next(self._pieces, b"")

    def _stored(self) -> bytes:
        piece = self._read_some(PIECE) or b""
        if self._hash is not None:
            self._hash.update(piece)
        self.stored += len(piece)
        return piece

    def digest(self) -> str:
        """SHA-256 of the whole file as stored; reads on to its end where that was not needed so far. Empty where it is not
        taken."""
        if self._hash is None:
            return ""
        if not self._raw.closed:
            while self._stored():
                pass
        return self._hash.hexdigest()

    def close(self) -> None:
        self._raw.close()


def _unfold(source: Source, make: Callable[[], Any], stored: bytes) -> Any:
    """Yields decompressed pieces of all members or frames that `stored` and the rest of the file hold."""
    step, out = make(), 0
    while True:
        try:
            piece = step.decompress(stored, PIECE)
        except Exception as broken:      # each library has its own exception; all of them mean the same here
            source.remark = f"the {source.compression} data is damaged ({broken}): what came before it is read"
            return
        if piece:
            out += len(piece)
            yield piece
            if out > ALWAYS_FINE and out > source.stored * MOST_RATIO or out > MOST_OCTETS:
                source.remark = (f"decompression stopped at {out} octets: more than {MOST_RATIO} times the "
                                 f"{source.stored} octets stored" if out <= MOST_OCTETS else
                                 f"decompression stopped at the limit of {MOST_OCTETS} octets")
                return
        if step.eof:
            stored = step.unused_data or b""
            while len(stored) < 6 and (more := source._stored()):
                stored += more
            if compression(stored) != source.compression:
                if stored.strip(b"\0"):
                    source.remark = f"bytes that are not {source.compression} follow the compressed capture: not read"
                return
            step = make()
        elif step.needs_input:
            stored = source._stored()
            if not stored:
                source.remark = f"the {source.compression} data ends in the middle: what came before is read"
                return
        else:
            stored = b""


class _Gzip:
    """zlib's decompressor behind the interface that the standard library's other ones share."""

    def __init__(self) -> None:
        import zlib
        self._zlib = zlib.decompressobj(31)      # 16 + 15: gzip wrapper, largest window

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data if self._zlib.unconsumed_tail else data, most)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._zlib.eof and not self._zlib.unconsumed_tail


class _Zstd:
    """zstandard's decompressor behind the same interface: input goes in by slices small enough to bound the output."""

    _SLICE = 512      # an RLE block of four octets gives 128 KiB, so that 512 give 16 MiB at most

    def __init__(self) -> None:
        import zstandard
        self._zstd = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW).decompressobj()
        self._waiting = b""

    def decompress(self, data: bytes, most: int) -> bytes:
        waiting = memoryview(self._waiting + data if self._waiting else data)
        out, at, size = [], 0, 0
        while at < len(waiting) and size < most and not self._zstd.eof:
            piece = self._zstd.decompress(waiting[at:at + self._SLICE])
            at += self._SLICE
            size += len(piece)
            out.append(piece)
        self._waiting = bytes(waiting[at:])
        return b"".join(out)

    @property
    def eof(self) -> bool:
        return self._zstd.eof

    @property
    def unused_data(self) -> bytes:
        return self._zstd.unused_data + self._waiting

    @property
    def needs_input(self) -> bool:
        return not self._zstd.eof and not self._waiting


def _bzip2() -> Any:
    import bz2
    return bz2.BZ2Decompressor()


def _xz() -> Any:
    import lzma
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_WINDOW)


def _lz4() -> Any:
    import lz4.frame
    return lz4.frame.LZ4FrameDecompressor()


_DECOMPRESSORS: dict[str, Callable[[], Any]] = {"gzip": _Gzip, "zstd": _Zstd, "xz": _xz, "bzip2": _bzip2, "lz4": _lz4}
