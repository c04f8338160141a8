"""IKE and ESP over TCP (RFC 8229): the client begins with "IKETCP", then each message has its own length in front."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..model import Context
from . import ike
from .wire import Tape

KINDS: dict[str, tuple[str, ...]] = {}
PORTS = {4500, 500}

_PREFIX = b"IKETCP"
_LENGTH = 2                   # octets of the length field, which counts itself (RFC 8229 3)


def likely(head: bytes, ports: tuple[int, int]) -> bool:
    return head.startswith(_PREFIX) or _framed(head)


def _framed(head: bytes) -> bool:
    """A whole IKE message behind its length and the non-ESP marker, as in a capture that begins later."""
    size = int.from_bytes(head[:_LENGTH], "big")
    return 34 <= size <= len(head) and head[2:6] == bytes(4) and ike.likely(head[6:size], (0, 0))


class Conversation:
    def __init__(self, context: Context):
        self._flow = ike.Flow(context)
        self._trusted = [True, True]          # does the tape begin with a length?

    def feed(self, side: int, tape: Tape) -> Iterator[Any]:
        if tape.data.startswith(_PREFIX):
            tape.skip(len(_PREFIX))
            self._trusted[side] = True
        elif side == 0 and _PREFIX.startswith(bytes(tape.data[:len(_PREFIX)])):
            return
        if not self._trusted[side]:
            if not _framed(bytes(tape.data)):
                tape.skip(len(tape))          # the rest of something whose beginning was lost
                return
            self._trusted[side] = True
        while len(tape) >= _LENGTH:
            size = int.from_bytes(tape.data[:_LENGTH], "big")
            if size < _LENGTH:
                self._trusted[side] = False   # no boundary can be trusted any more
                tape.skip(len(tape))
                return
            if len(tape) < size:
                return
            context = tape.place(size)
            yield from self._flow.datagram(tape.take(size)[_LENGTH:], context)

    def lost(self, side: int, size: int) -> Iterator[Any]:
        self._trusted[side] = False
        return iter(())

    def end(self, side: int) -> Iterator[Any]:
        return self._flow.end()
