"""What the layer 3 messages of TS 24.008 and TS 24.301 have in common: their elements and how these are laid out.

A message type is described as `Layout(name, mandatory, optional)`. Mandatory parts come in order: `(part, size)` with
size LV or LVE where a length precedes. Optional ones begin with their identifier (TS 24.007 11.2.1):
`{iei: (part, size)}` with size TLV, TLVE, or the count of octets behind the identifier (0: the identifier is all, HALF:
its low half is the value). A part is a function of its octets to fields, None where nobody asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any, NamedTuple

from ..model import Context, Message, Problem
from ._aper import plmn
from .wire import Cursor, Short

LV, LVE, TLV, TLVE, HALF = -1, -2, -1, -2, -3
Part = Callable[[bytes], dict[str, Any]] | None


class Layout(NamedTuple):
    name: str
    mandatory: tuple[tuple[Part, int], ...] = ()
    optional: Mapping[int, tuple[Part, int]] = {}


def kinds(protocol: str, layouts: Mapping[int, Layout], fields: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """KINDS of a NAS module."""
    return {f"{protocol}.{name}": ("message_type", "ue",
                                   *fields) for name in (*dict.fromkeys(l.name for l in layouts.values()), "unknown")}


def message(protocol: str, layouts: Mapping[int, Layout], cursor: Cursor, message_type: int, fields: dict[str, Any],
            context: Context, causes: Mapping[int, str]) -> Message:
    """The Message whose elements follow at `cursor`."""
    layout = layouts.get(message_type)
    fields["message_type"] = message_type
    fields.update(who(context))
    problems: list[Problem] = []
    if layout is not None:
        try:
            for offset, part, value in elements(cursor, layout):
                if part is None:
                    continue
                try:
                    fields.update(part(value))
                except (IndexError, ValueError, Short) as error:
                    problems.append(Problem(offset, f"{part.__name__}: {error}"))
        except Short as error:
            if not context.missing:
                problems.append(Problem(error.offset, f"the message ends within an element: {error}"))
    if "cause" in fields:
        fields["cause_text"] = causes.get(fields["cause"], f"CAUSE{fields['cause']}")
    return context.message(f"{protocol}.{layout.name if layout else 'unknown'}", fields, tuple(problems),
                           incomplete=context.missing > 0)


def who(context: Context) -> dict[str, str]:
    """`ue`: which of the UEs that share an association, where the carrier says so."""
    return {"ue": context.carrier["ue"]} if "ue" in context.carrier else {}


def elements(cursor: Cursor, layout: Layout) -> Iterator[tuple[int, Part, bytes]]:
    for part, size in layout.mandatory:
        yield cursor.offset, part, _value(cursor, size)
    while cursor.left:
        offset, identifier = cursor.offset, cursor.u8()
        found = layout.optional.get(identifier)
        if found is None and identifier & 0x80:
            found = layout.optional.get(identifier & 0xF0)
        part, size = found or (None, None)
        if size is None:                              # TS 24.007 11.2.4: what an unknown element looks like
            size = 0 if identifier & 0x80 else TLVE if identifier & 0xF8 == 0x78 else TLV
        if size == HALF:
            yield offset, part, bytes((identifier & 15,))
        else:
            yield offset, part, _value(cursor, size)


def _value(cursor: Cursor, size: int) -> bytes:
    if size == LV:
        return cursor.octets(cursor.u8())
    return cursor.octets(cursor.u16() if size == LVE else size)


# ------------------------------------------------------------------------------------------------ parts

def cause(value: bytes) -> dict[str, Any]:
    return {"cause": value[0]}


def rand(value: bytes) -> dict[str, Any]:
    return {"rand": value.hex()}


def autn(value: bytes) -> dict[str, Any]:
    return {"autn": value.hex()}


def auts(value: bytes) -> dict[str, Any]:
    return {"auts": value.hex()}


def res(value: bytes) -> dict[str, Any]:
    return {"res": value.hex()}


_IDENTITIES = {1: "imsi", 2: "imei", 3: "imeisv", 4: "tmsi", 5: "tmgi", 6: "guti"}


def mobile_identity(value: bytes) -> dict[str, Any]:
    """TS 24.008 10.5.1.4: one identity, named by its type."""
    kind = value[0] & 7
    if kind == 4:
        return {"identity_type": "tmsi", "tmsi": value[1:5].hex()}
    if kind in (1, 2, 3):
        name = _IDENTITIES[kind]
        number = f"{value[0] >> 4:x}" + "".join(f"{octet & 15:x}{octet >> 4:x}" for octet in value[1:])
        if not value[0] & 8 and number:
            number = number[:-1]                      # an even count: the last half octet fills
        return {"identity_type": name, name: number}
    return {"identity_type": _IDENTITIES.get(kind, "none" if kind == 0 else str(kind))}


def eps_identity(value: bytes) -> dict[str, Any]:
    """TS 24.301 9.9.3.12: IMSI, IMEI or GUTI."""
    if value[0] & 7 == 6:
        if len(value) < 11:
            raise ValueError("a GUTI has 11 octets")
        guti = f"{plmn(value[1:4])}-{value[4:6].hex()}-{value[6]:02x}-{value[7:11].hex()}"
        return {"identity_type": "guti", "guti": guti}
    if value[0] & 7 == 3:                             # 3 is IMEI here, IMEISV in TS 24.008
        return {"identity_type": "imei", "imei": mobile_identity(value)["imeisv"]}
    return mobile_identity(value)


def identity_type(value: bytes) -> dict[str, Any]:
    kind = value[0] & 7
    return {"identity_type": {**_IDENTITIES, 0: "none"}.get(kind, str(kind))}


def location_area(value: bytes) -> dict[str, Any]:
    return {"plmn": plmn(value[:3]), "lac": int.from_bytes(value[3:5], "big")}


def routing_area(value: bytes) -> dict[str, Any]:
    return {**location_area(value), "rac": value[5]}


def apn(value: bytes) -> dict[str, Any]:
    return {"apn": name_of(value)}


def name_of(value: bytes) -> str:
    """An access point name: length-prefixed labels (TS 23.003 9.1)."""
    labels, at = [], 0
    while at < len(value):
        size = value[at]
        labels.append(value[at + 1:at + 1 + size].decode("latin-1"))
        at += 1 + size
    return ".".join(labels)


def pdp_address(value: bytes) -> dict[str, Any]:
    """TS 24.008 10.5.6.4."""
    types = {0x21: "IPv4", 0x57: "IPv6", 0x8D: "IPv4v6", 1: "PPP"}
    kind = value[1] if len(value) > 1 else None
    found: dict[str, Any] = {"pdp_type": types.get(kind, str(kind))}
    rest = value[2:]
    if kind == 0x21 and len(rest) == 4 or kind == 0x57 and len(rest) == 16:
        found["pdp_address"] = str(ip_address(rest))
    elif kind == 0x8D and len(rest) == 20:
        found["pdp_address"] = f"{ip_address(rest[:4])} {ip_address(rest[4:])}"
    return found


def pdn_address(value: bytes) -> dict[str, Any]:
    """TS 24.301 9.9.4.9; of an IPv6 address only the interface identifier is known here."""
    kind = value[0] & 7
    found: dict[str, Any] = {"pdn_type": {1: "IPv4", 2: "IPv6", 3: "IPv4v6"}.get(kind, str(kind))}
    if kind == 1 and len(value) >= 5:
        found["pdn_address"] = str(ip_address(value[1:5]))
    elif kind == 3 and len(value) >= 13:
        found["pdn_address"] = str(ip_address(value[9:13]))
    if kind in (2, 3) and len(value) >= 9:
        found["interface_identifier"] = value[1:9].hex()
    return found


IDENTITY_FIELDS = ("identity_type", "imsi", "imei", "imeisv", "tmsi")
CAUSE_FIELDS = ("cause", "cause_text")
AKA_FIELDS = ("rand", "autn", "res", "auts")


def half(name: str, values: Mapping[int, str] | Iterable[str] = (), *, high: bool = False, mask: int = 7) -> Part:
    """A part that holds a value in one half octet, by name where `values` knows it."""
    table = dict(values) if isinstance(values, Mapping) else dict(enumerate(values))

    def read(value: bytes) -> dict[str, Any]:
        number = (value[0] >> 4 if high else value[0]) & mask
        return {name: table.get(number, number)}
    read.__name__ = name
    return read
