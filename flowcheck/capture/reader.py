"""Opens a capture of any stored form and gives its packets, one after the other, without ever holding the whole file.

pcap and pcapng in all their variants, compressed or not, are told by content. What is wrong with a file that can still be
read is a remark on the `Capture`; only one that cannot be read at all raises `CaptureError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import CaptureError
from ..model import Frame
from . import pcap, pcapng
from .compression import Source
from .reading import RECORDING, Account, Interface

__all__ = ["RECORDING", "Capture", "Interface", "open_capture"]

_OTHERS = ((b"PK\x03\x04", "a ZIP archive; unpack it first"),
           (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
           (b"\x1f\x9d", "compressed with `compress`; unpack it with `uncompress` first"),
           (b"\x02\x21\x4c\x18", "in the legacy lz4 format; unpack it with `lz4 -d` first"),
           (b"snoop\0\0\0", "a snoop capture; convert it with `editcap -F pcapng`"),
           (b"GMBU", "a Network Monitor capture; convert it with `editcap -F pcapng`"),
           (b"RTSS", "a Network Monitor 1 capture; convert it with `editcap -F pcapng`"),
           (b"TRSNIFF data", "a Sniffer capture; convert it with `editcap -F pcapng`"),
           (b"XCP\0", "a NetXRay capture; convert it with `editcap -F pcapng`"),
           (b"\x7fELF", "a program, not a capture"))


class Capture(Account):
    """The packets of one file, to be iterated once. The attributes grow while it is read and are final at its end."""

    def __init__(self, source: Source, path: str):
        super().__init__()
        self.path = path
        self._source = source
        self._sha256 = ""
        self._frames = self._open()

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def _open(self) -> Iterator[Frame]:
        source = self._source
        block = source.read()
        while len(block) < pcapng.LEAST and (piece := source.read()):
            block += piece
        reader = pcapng if pcapng.recognised(block) else pcap if pcap.recognised(block) else None
        if reader is None:
            raise CaptureError(_unknown(block, source))
        return self._guarded(reader.frames(self, source, block))

    def _guarded(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        try:
            yield from frames
        except OSError as error:       # a disk or a network share that fails half way
            self.damaged(f"could not be read to its end: {error.strerror or error}")
        if self._source.remark:
            self.damaged(self._source.remark)
        self._sha256 = self._digest()
        self._source.close()

    def _digest(self) -> str:
        try:
            return self._source.digest()
        except OSError:
            return ""                  # said already: the same read failed

    @property
    def sha256(self) -> str:
        """Hex digest of the file as stored, empty where none is taken."""
        return self._sha256 or self._digest()


def open_capture(source: str | Path | BinaryIO, digest: bool = True) -> Capture:
    """A capture by its path, or a binary file such as standard input. Raises CaptureError where it cannot be read at all.

    Without `digest` no SHA-256 is taken of it.
    """
    path = "standard input" if hasattr(source, "read") else str(source)
    try:
        # closed at its end, by who reads it
        raw = source if hasattr(source, "read") else open(source, "rb", buffering=0)
        return Capture(Source(raw, digest), path)
    except FileNotFoundError:
        raise CaptureError(f"{path}: no such file; check the name") from None
    except IsADirectoryError:
        raise CaptureError(f"{path}: is a directory; name the captures in it, or add --recursive") from None
    except PermissionError:
        raise CaptureError(f"{path}: may not be read; check its permissions") from None
    except OSError as error:
        raise CaptureError(f"{path}: cannot be read: {error.strerror or error}") from None
    except CaptureError as error:
        raise CaptureError(f"{path}: {error}") from None


def _unknown(block: bytes, source: Source) -> str:
    """Why these bytes are not a capture, and what to do."""
    if not block:
        if source.remark:
            return f"{source.remark}, and holds no packet; fetch the file again"
        return "holds nothing when decompressed" if source.compression else "is empty; capture again"
    for magic, what in _OTHERS:
        if block.startswith(magic):
            return f"is {what}"
    if source.compression and block.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh",
                                                b"\x04\x22\x4d\x18")):
        return "is compressed twice; decompress it once"
    if pcap.recognised(block[:4]) or pcapng.recognised(block[:12].ljust(12, b"\0")):
        return "is cut inside its file header and holds no packet; capture again"
    head = block[:512]
    if sum(32 <= octet < 127 or octet in b"\t\r\n" for octet in head) > 0.95 * len(head):
        return "is a text file, not a capture; a hex dump can be turned into one with `text2pcap`"
    return "is of no known capture format; pcap and pcapng are read, others can be converted with `editcap -F pcapng`"
