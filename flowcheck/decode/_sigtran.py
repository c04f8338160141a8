"""What the SIGTRAN adaptation layers share: a header and tagged parameters (RFC 4666 3.1, RFC 3868 3.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..model import Context, Message, Problem
from .wire import Cursor, Short

# (class, type) -> name; what keeps an association going is not of interest, what sets it up or fails is
MANAGEMENT = {(0, 0): "ERR", (0, 1): "NTFY", (3, 1): "ASPUP", (3, 2): "ASPDN", (3, 4): "ASPUP_ACK", (3, 5): "ASPDN_ACK",
              (4, 1): "ASPAC", (4, 2): "ASPIA", (4, 3): "ASPAC_ACK", (4, 4): "ASPIA_ACK"}
FIELDS = ("message_class", "message_type", "error_code", "status", "routing_context")


def header(head: bytes, ports: tuple[int, ...], own: set[int], classes: set[int]) -> bool:
    """Could this be one whole message of the layer that lives on the ports `own`?"""
    return (len(head) >= 8 and head[0] == 1 and head[1] == 0 and head[2] in classes and not own.isdisjoint(ports)
            and 8 <= int.from_bytes(head[4:8], "big") >= len(head) - 3)


def parameters(cursor: Cursor) -> Iterator[tuple[int, int, bytes]]:
    """(tag, offset, value)"""
    while cursor.left >= 4:
        tag, size = cursor.u16(), cursor.u16()
        if size < 4:
            raise Short(cursor.offset - 2, 4)
        offset = cursor.offset
        yield tag, offset, cursor.octets(size - 4)
        cursor.octets(min(-size & 3, cursor.left))


def management(protocol: str, data: bytes, context: Context) -> Iterator[Message]:
    """A message of the table above."""
    name = MANAGEMENT.get((data[2], data[3]))
    if name is None:
        return
    fields: dict[str, Any] = {"message_class": data[2], "message_type": data[3]}
    problems: tuple[Problem, ...] = ()
    try:
        for tag, _, value in parameters(Cursor(data, 8)):
            if tag in _PLAIN:
                fields[_PLAIN[tag]] = int.from_bytes(value, "big")
    except Short as error:
        problems = () if context.missing else (Problem(error.offset, str(error)),)
    yield context.message(f"{protocol}.{name}", fields, problems, incomplete=context.missing > 0)


_PLAIN: Mapping[int, str] = {0x0006: "routing_context", 0x000C: "error_code", 0x000D: "status"}


def kinds(protocol: str) -> dict[str, tuple[str, ...]]:
    return {f"{protocol}.{name}": FIELDS for name in MANAGEMENT.values()}
