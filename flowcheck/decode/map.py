"""MAP (3GPP TS 29.002) in TCAP (ITU-T Q.773), as far as the operations say who they are about and whether they succeed.

sendAuthenticationInfo is read to its vectors. A result or an error does not repeat the operation, so the invokes of an
association are remembered by transaction and invoke number.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from ..model import Context, Message, Problem
from ._aper import digits
from .wire import Cursor, Short

# local operation codes, TS 29.002 17.5
OPERATIONS = {
    2: "updateLocation", 3: "cancelLocation", 4: "provideRoamingNumber", 7: "insertSubscriberData",
    8: "deleteSubscriberData",
    15: "authenticationFailureReport", 22: "sendRoutingInfo", 23: "updateGprsLocation", 24: "sendRoutingInfoForGprs",
    25: "failureReport", 26: "noteMsPresentForGprs", 37: "reset", 43: "checkIMEI", 44: "mt-ForwardSM",
    45: "sendRoutingInfoForSM", 46: "mo-ForwardSM", 55: "sendIdentification", 56: "sendAuthenticationInfo",
    57: "restoreData", 58: "sendIMSI", 59: "processUnstructuredSS-Request", 60: "unstructuredSS-Request",
    61: "unstructuredSS-Notify", 63: "informServiceCentre", 64: "alertServiceCentre", 66: "readyForSM", 67: "purgeMS",
    68: "prepareHandover", 70: "provideSubscriberInfo", 71: "anyTimeInterrogation",
}
# local error codes, TS 29.002 17.6
ERRORS = {
    1: "unknownSubscriber", 3: "unknownMSC", 5: "unidentifiedSubscriber", 6: "absentSubscriberSM",
    7: "unknownEquipment",
    8: "roamingNotAllowed", 9: "illegalSubscriber", 10: "bearerServiceNotProvisioned", 11: "teleserviceNotProvisioned",
    12: "illegalEquipment", 13: "callBarred", 21: "facilityNotSupported", 27: "absentSubscriber",
    31: "subscriberBusyForMT-SMS",
    32: "sm-DeliveryFailure", 34: "systemFailure", 35: "dataMissing", 36: "unexpectedDataValue", 44: "numberChanged",
}
_SEND_AUTHENTICATION_INFO = 56
_IMSI_FIRST = {2, 15, 23, 24, 56, 57, 67, 7}             # operations whose argument begins with the IMSI

_FIELDS = ("operation_code", "invoke_id", "otid", "dtid", "imsi", "error_code", "error", "vectors")
KINDS = {f"map.{name}.{what}": _FIELDS
         for name in (*OPERATIONS.values(), "operation") for what in ("invoke", "result", "error", "reject")}
KINDS["map.abort"] = ("otid", "dtid")
PAYLOADS = ("tcap",)

_ABORT, _COMPONENTS = 0x67, 0x6C
_TRANSACTIONS = (0x61, 0x62, 0x64, 0x65, _ABORT)
_KINDS = {0xA1: "invoke", 0xA2: "result", 0xA7: "result", 0xA3: "error", 0xA4: "reject"}
_REMEMBERED = 8192
_MOST = 64                                               # components of a message, vectors of a result


class Flow:
    """One association."""

    def __init__(self, context: Context):
        self._invokes: dict[Hashable, int] = {}

    def datagram(self, data: bytes, context: Context) -> Iterator[Message]:
        if not data or data[0] not in _TRANSACTIONS:
            return
        identities: dict[str, Any] = {}
        try:
            for tag, value in _tlv(next(_tlv(Cursor(data)))[1]):
                if tag in (0x48, 0x49):
                    identities["otid" if tag == 0x48 else "dtid"] = value.rest().hex()
                elif tag == _COMPONENTS:
                    for count, (kind, component) in enumerate(_tlv(value)):
                        if kind in _KINDS and count < _MOST:
                            yield self._component(_KINDS[kind], component, dict(identities), context)
        except Short:
            return                                       # cut or broken: what was whole has been told
        if data[0] == _ABORT:
            yield context.message("map.abort", identities)

    def end(self) -> Iterator[Message]:
        return iter(())

    def _component(self, what: str, cursor: Cursor, fields: dict[str, Any], context: Context) -> Message:
        problems: tuple[Problem, ...] = ()
        operation = None
        try:
            tag, value = next(_tlv(cursor))
            fields["invoke_id"] = _number(value) if tag == 2 else None
            if what == "invoke":
                operation = self._invoke(cursor, fields)
            else:
                operation = self._invokes.get((fields.get("dtid"), fields["invoke_id"]))
                self._answer(what, operation, cursor, fields)
        except (Short, StopIteration) as error:
            problems = (Problem(cursor.offset, f"malformed component: {error}"),)
        if operation is not None:
            fields["operation_code"] = operation
        return context.message(f"map.{OPERATIONS.get(operation, 'operation')}.{what}", fields, problems)

    def _invoke(self, cursor: Cursor, fields: dict[str, Any]) -> int | None:
        tag, value = next(_tlv(cursor))
        if tag == 0x80:                                  # linked to another invoke
            tag, value = next(_tlv(cursor))
        if tag != 2:
            return None                                  # a global code: not MAP
        operation = _number(value)
        if len(self._invokes) >= _REMEMBERED:
            del self._invokes[next(iter(self._invokes))]
        self._invokes[(fields.get("otid"), fields["invoke_id"])] = operation
        if operation in _IMSI_FIRST and cursor.left:
            imsi = _imsi(*next(_tlv(cursor)))
            if imsi:
                fields["imsi"] = imsi
        return operation

    @staticmethod
    def _answer(what: str, operation: int | None, cursor: Cursor, fields: dict[str, Any]) -> None:
        if not cursor.left:
            return
        tag, value = next(_tlv(cursor))
        if what == "error" and tag == 2:
            fields["error_code"] = _number(value)
            fields["error"] = ERRORS.get(fields["error_code"], f"ERROR{fields['error_code']}")
        elif what == "result" and tag == 0x30:
            _, code = next(_tlv(value))
            fields["operation_code"] = _number(code)
            if fields["operation_code"] == _SEND_AUTHENTICATION_INFO and value.left:
                fields["vectors"] = _vectors(*next(_tlv(value)))


def _tlv(cursor: Cursor) -> Iterator[tuple[int, Cursor]]:
    """(tag, contents) of BER elements; the indefinite form ends where its container does (X.690 8.1)."""
    while cursor.left:
        tag = cursor.u8()
        if tag & 0x1F == 0x1F:                           # the tags of more than one octet stand in extensions only
            while cursor.u8() & 0x80:
                pass
        size = cursor.u8()
        if tag == 0 and size == 0:
            return
        if size == 0x80:
            yield tag, _indefinite(cursor)
            continue
        if size & 0x80:
            size = cursor.uint(size & 0x7F) if size & 0x7F <= 4 else cursor.end
        start = cursor.offset
        cursor.octets(size)
        yield tag, Cursor(cursor.data, start, start + size)


def _indefinite(cursor: Cursor) -> Cursor:
    """The contents up to the end-of-contents octets that close them."""
    start, depth = cursor.offset, 1
    while depth:
        tag, size = cursor.u8(), cursor.u8()
        if tag == 0 and size == 0:
            depth -= 1
        elif size == 0x80:
            depth += 1
        elif size & 0x80:
            cursor.octets(cursor.uint(size & 0x7F))
        else:
            cursor.octets(size)
    return Cursor(cursor.data, start, cursor.offset - 2)


def _number(cursor: Cursor) -> int:
    return int.from_bytes(cursor.rest(), "big", signed=True)


def _imsi(tag: int, cursor: Cursor) -> str:
    """The IMSI where it stands alone (version 2) or first in the argument (version 3: `[0]` or OCTET STRING)."""
    if tag in (0x30, 0xA3) and cursor.left:
        tag, cursor = next(_tlv(cursor))
    return digits(cursor.rest()) if tag in (0x04, 0x80) and 3 <= cursor.left <= 8 else ""


def _vectors(tag: int, cursor: Cursor) -> list[dict[str, str]]:
    """SendAuthenticationInfoRes (TS 29.002 17.7.1): quintuplets `[1]`, EPS vectors `[2]`, triplets `[0]` or bare."""
    found: list[dict[str, str]] = []
    if tag == 0x30:
        _sets("triplet", cursor, found)
        return found
    for inner, value in _tlv(cursor):
        kind = {0xA0: "triplet", 0xA1: "quintuplet", 0xA2: "eps"}.get(inner)
        if kind:
            _sets(kind, value, found)
    return found


_PARTS = {"triplet": ("rand", "sres", None), "quintuplet": ("rand", "xres", None, None, "autn"),
          "eps": ("rand", "xres", "autn", None)}


def _sets(kind: str, cursor: Cursor, found: list[dict[str, str]]) -> None:
    for _, value in _tlv(cursor):
        if len(found) >= _MOST:
            return
        parts = [part.rest().hex() for _, part in _tlv(value)]
        found.append({"type": kind, **{name: part for name, part in zip(_PARTS[kind], parts) if name}})
