"""Which files of a folder are captures: told by name, or by the first octets, without reading further."""

from __future__ import annotations

import os

_SUFFIXES = (".pcap", ".pcapng", ".cap", ".dmp", ".trc")      # read even where the content does not look like a capture
_COMPRESSED_SUFFIXES = (".gz", ".zst", ".xz", ".bz2", ".lz4")
_MAGIC = (b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\xcd\x34",
          b"\x34\xcd\xb2\xa1", b"\x0a\x0d\x0d\x0a")
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zX", b"BZh", b"\x04\x22\x4d\x18")


def looks_like_a_capture(path: str) -> bool:
    """By its name or its content. What cannot be opened may be one: who reads it says why it cannot."""
    if named_like_a_capture(path):
        return True
    try:
        with open(path, "rb", buffering=0) as file:
            head = file.read(6)
    except OSError:
        return True
    return head.startswith(_MAGIC) or head.startswith(_COMPRESSED) and "." not in os.path.basename(_uncompressed(path))


def named_like_a_capture(name: str) -> bool:
    """`a.pcap`, `a.pcapng.gz`."""
    return _uncompressed(name).endswith(_SUFFIXES)


def _uncompressed(name: str) -> str:
    low = name.lower()
    return low.removesuffix(next((suffix for suffix in _COMPRESSED_SUFFIXES if low.endswith(suffix)), ""))
