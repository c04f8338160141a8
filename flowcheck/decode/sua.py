"""SUA (RFC 3868) over SCTP, PPID 4: the services of SCCP without SCCP."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Context, Message, Payload
from . import _sigtran
from .sccp import Connections, protocol
from .wire import Cursor, Short

KINDS = _sigtran.kinds("sua")
PORTS = {14001}
PAYLOADS = ("ppid:4",)

_CONNECTIONLESS, _CONNECTION = 7, 8
_CORE, _COAK = 1, 2
_DATA, _SOURCE_REFERENCE, _REFERENCE = 0x010B, 0x0104, 0x0105
_ADDRESSES = (0x0103, 0x0102)                # destination first: whoever is asked says what is spoken
_SUBSYSTEM = 0x8003


def likely(head: bytes, ports: tuple[int, ...] = ()) -> bool:
    return _sigtran.header(head, ports, PORTS, {0, 2, 3, 4, 7, 8, 9})


class Flow:
    """One association."""

    def __init__(self, context: Context):
        self._connections = Connections()

    def datagram(self, data: bytes, context: Context) -> Iterator[Message | Payload]:
        if len(data) < 8 or data[0] != 1:
            return
        if data[2] not in (_CONNECTIONLESS, _CONNECTION):
            yield from _sigtran.management("sua", data, context)
            return
        found: dict[int, bytes] = {}
        try:
            for tag, _, value in _sigtran.parameters(Cursor(data, 8)):
                found.setdefault(tag, value)
        except Short:
            return                           # cut, or a length that lies: nothing whole is left in it
        subsystem = next((number for tag in _ADDRESSES if (number := _subsystem(found.get(tag, b"")))), 0)
        name = ""
        if data[2] == _CONNECTION:
            local, remote = found.get(_SOURCE_REFERENCE), found.get(_REFERENCE)
            here, there = context.src.address, context.dst.address
            if data[3] == _CORE and local:
                name = local.hex()
                self._connections.remember((here, local), subsystem, name)
            elif remote:
                subsystem, name = self._connections.of((there, remote))
                if data[3] == _COAK and local and name:
                    self._connections.remember((here, local), subsystem, name)
        content = found.get(_DATA)
        if content:
            inner = context.within("sua", missing=0)
            if name:
                inner = inner.but(carrier={**context.carrier, "ue": f"connection {name}"})
            yield Payload(protocol(subsystem, content), content, inner)

    def end(self) -> Iterator[Message | Payload]:
        return iter(())


def _subsystem(address: bytes) -> int:
    """Subsystem number of an address parameter (RFC 3868 3.10.2), 0 where it has none."""
    try:
        for tag, _, value in _sigtran.parameters(Cursor(address, 4)):
            if tag == _SUBSYSTEM and len(value) == 4:
                return value[3]
    except Short:
        return 0
    return 0
