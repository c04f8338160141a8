"""Writes pcapng (draft-ietf-opsawg-pcapng): one little-endian section, nanosecond times, comments, TLS secrets.

What no reader needs to guess is written out: interface names, where their packets were recorded, packets lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import pack
from typing import BinaryIO, NamedTuple

from ..model import Frame

TLS_KEY_LOG = 0x544C534B                  # secrets type "TLSK"

_SECTION, _INTERFACE, _STATISTICS, _PACKET, _SECRETS = 0x0A0D0D0A, 1, 5, 6, 10
_COMMENT, _IF_NAME, _IF_DESCRIPTION, _IF_TSRESOL, _SHB_USERAPPL, _ISB_IFDROP = 1, 2, 3, 9, 4, 5
_LONGEST = 0xFFFF                         # octets of one option
_NANOSECONDS = b"\x09"


class Interface(NamedTuple):
    name: str
    link: int
    snaplen: int = 0
    description: str = ""
    drops: int | None = None


def write(out: BinaryIO, interfaces: Sequence[Interface], packets: Iterable[tuple[Frame, Sequence[str]]], *,
          application: str = "flowcheck", comment: str = "", key_log: str = "") -> int:
    """Writes the packets, whose `interface` is an index into `interfaces`, each with its comments. Returns their count.

    `key_log` are the lines of a TLS key log; Wireshark uses them by itself.
    """
    head = pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    said = [(_COMMENT, _text(comment)), (_SHB_USERAPPL, _text(application))]
    out.write(_block(_SECTION, head, [option for option in said if option[1]]))
    for each in interfaces:
        said = [(_IF_NAME, _text(each.name)), (_IF_DESCRIPTION, _text(each.description)), (_IF_TSRESOL, _NANOSECONDS)]
        head = pack("<HHI", each.link, 0, each.snaplen)
        out.write(_block(_INTERFACE, head, [option for option in said if option[1]]))
    if key_log:
        secrets = key_log.encode("ascii")
        out.write(_block(_SECRETS, pack("<II", TLS_KEY_LOG, len(secrets)) + _padded(secrets), []))
    count = last = 0
    for frame, comments in packets:
        time = max(frame.time, 0)
        size = len(frame.data)
        head = pack("<5I", frame.interface, time >> 32, time & 0xFFFFFFFF, size, max(frame.original_length, size))
        out.write(_block(_PACKET, head + _padded(frame.data), [(_COMMENT, _text(text)) for text in comments]))
        count, last = count + 1, max(last, time)
    for index, each in enumerate(interfaces):
        if each.drops is not None:
            head = pack("<3I", index, last >> 32, last & 0xFFFFFFFF)
            out.write(_block(_STATISTICS, head, [(_ISB_IFDROP, pack("<Q", each.drops))]))
    return count


def _block(kind: int, body: bytes, options: Sequence[tuple[int, bytes]]) -> bytes:
    if options:
        body += b"".join(pack("<HH", code, len(value)) + _padded(value) for code, value in options) + bytes(4)
    return pack("<II", kind, len(body) + 12) + body + pack("<I", len(body) + 12)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _text(text: str) -> bytes:
    """UTF-8, cut at a character where it is longer than an option can be."""
    return text.encode("utf-8", "replace")[:_LONGEST - 3].decode("utf-8", "ignore").encode()
