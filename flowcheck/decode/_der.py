"""A reader for the little of DER (ITU-T X.690) that certificates need: tag, length, content; names; times; OIDs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from .wire import Cursor, Short, remembered

INTEGER, BIT_STRING, OCTET_STRING, OID, SEQUENCE, SET = 0x02, 0x03, 0x04, 0x06, 0x30, 0x31
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:[.,]\d{1,9})?(?:Z|([+-])(\d\d)(\d\d))?", re.ASCII)
_STRINGS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x12: "ascii", 0x1A: "ascii",
            0x1B: "latin-1", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}
_ATTRIBUTES = {"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L",
               "2.5.4.8": "ST", "2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title",
               "2.5.4.42": "GN", "2.5.4.46": "dnQualifier", "2.5.4.97": "organizationIdentifier",
               "0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
               "1.2.840.113549.1.9.1": "emailAddress", "1.2.840.113549.1.9.2": "unstructuredName"}


def element(cursor: Cursor) -> tuple[int, Cursor]:
    """The next element: its tag octet, and a cursor over its content. Long tags and indefinite lengths are refused."""
    start = cursor.offset
    if start + 2 > cursor.end:
        raise Short(min(start + 1, cursor.end), 1)
    tag, size = cursor.data[start], cursor.data[start + 1]
    cursor.offset = start + 2
    if size == 0x80 or tag & 0x1F == 0x1F or size > 0x84:
        raise Short(start, 0)
    if size & 0x80:
        size = cursor.uint(size & 0x7F)
    return tag, cursor.part(size)


def expect(cursor: Cursor, *tags: int) -> Cursor:
    """The content of the next element, which must have one of `tags`."""
    start = cursor.offset
    tag, content = element(cursor)
    if tag not in tags:
        raise Short(start, 0)
    return content


def elements(cursor: Cursor) -> Iterator[tuple[int, Cursor]]:
    while cursor.left:
        yield element(cursor)


@remembered(512, longest=64)
def oid(octets: bytes) -> str:
    """Dotted form (X.690, 8.19): the first two arcs share an octet."""
    arcs, value = [], 0
    for octet in octets[:64]:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(value)
            value = 0
    if not arcs:
        return ""
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def text(tag: int, octets: bytes) -> str:
    return octets.decode(_STRINGS.get(tag, "utf-8"), "backslashreplace")


def attributes(name: Cursor) -> list[tuple[str, str]]:
    """(type, value) of every attribute of an X.501 Name, in the order of the certificate."""
    found = []
    while name.offset < name.end:
        _, relative = element(name)
        while relative.offset < relative.end:
            _, attribute = element(relative)
            kind = oid(expect(attribute, OID).rest())
            tag, value = element(attribute)
            found.append((_ATTRIBUTES.get(kind, kind), text(tag, value.rest())))
    return found


def time(cursor: Cursor) -> str:
    """UTCTime or GeneralizedTime as ISO 8601 in UTC (RFC 5280, 4.1.2.5: years below 50 are of this century)."""
    start = cursor.offset
    tag, content = element(cursor)
    written = content.rest().decode("ascii", "replace")
    if tag == _UTC_TIME:
        written = ("20" if written[:2] < "50" else "19") + written
    elif tag != _GENERALIZED_TIME:
        raise Short(start, 0)
    parts = _TIME.fullmatch(written)
    if parts is None:
        raise Short(start, 0)
    *numbers, sign, hours, minutes = parts.groups(default="0")
    try:
        moment = datetime(*map(int, numbers))
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        utc = moment - offset if sign == "+" else moment + offset
    except (ValueError, OverflowError):
        raise Short(start, 0) from None
    return utc.isoformat(timespec="seconds") + "Z"
