"""M3UA (RFC 4666) over SCTP, PPID 3: carries SCCP, and thereby RANAP, BSSAP and MAP."""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack_from

from ..model import Context, Message, Payload
from . import _sigtran
from .wire import Cursor, Short

KINDS = _sigtran.kinds("m3ua")
PORTS = {2905}
PAYLOADS = ("ppid:3",)

_TRANSFER, _DATA, _PROTOCOL_DATA = 1, 1, 0x0210
_USERS = {3: "sccp"}                     # service indicators (Q.704 14.2.1)


def likely(head: bytes, ports: tuple[int, ...] = ()) -> bool:
    return _sigtran.header(head, ports, PORTS, {0, 1, 2, 3, 4, 9})


def decode(data: bytes, context: Context) -> Iterator[Message | Payload]:
    if len(data) < 8 or data[0] != 1:
        return
    if (data[2], data[3]) != (_TRANSFER, _DATA):
        yield from _sigtran.management("m3ua", data, context)
        return
    try:
        for tag, _, value in _sigtran.parameters(Cursor(data, 8)):
            if tag == _PROTOCOL_DATA and len(value) > 12:
                origin, destination, indicator = unpack_from(">IIB", value)
                if indicator in _USERS:
                    carrier = {**context.carrier, "opc": origin, "dpc": destination}
                    yield Payload(_USERS[indicator], value[12:],
                                  context.within("m3ua", missing=0).but(carrier=carrier))
    except Short:
        return                               # cut, or a length that lies: nothing whole is left in it
