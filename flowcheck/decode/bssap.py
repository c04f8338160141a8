"""BSSAP (3GPP TS 48.006 9.3, 48.008): takes the NAS messages out of DTAP and of Complete Layer 3 Information."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Context, Payload
from .wire import Cursor, Short

KINDS: dict[str, tuple[str, ...]] = {}

_COMPLETE_LAYER_3, _CELL_IDENTIFIER, _LAYER_3 = 0x57, 0x05, 0x17


def decode(data: bytes, context: Context) -> Iterator[Payload]:
    kind = data[:1]
    try:
        content = _dtap(Cursor(data, 1)) if kind == b"\1" else _bssmap(Cursor(data, 1)) if kind == b"\0" else b""
    except Short:
        return
    if content:
        yield Payload("nas", content, context.within("bssap"))


def _dtap(cursor: Cursor) -> bytes:
    cursor.u8()                                  # DLCI
    return cursor.octets(cursor.u8())


def _bssmap(cursor: Cursor) -> bytes:
    with cursor.window(cursor.u8()) as inside:
        if inside.u8() != _COMPLETE_LAYER_3:
            return b""
        while inside.left:
            kind = inside.u8()
            if kind == 0x21:                     # Chosen Channel, the one element here without a length (3.2.2.33)
                inside.u8()
                continue
            value = inside.octets(inside.u8())
            if kind == _LAYER_3:
                return value
    return b""
