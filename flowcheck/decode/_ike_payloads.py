"""The payloads of IKEv2 (RFC 7296 3) and IKEv1 (RFC 2408 3, RFC 2407 4.6) as readable fields."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from socket import AF_INET, AF_INET6, inet_ntop
from struct import Struct
from typing import Any, NamedTuple

from ..model import Problem
from . import _ike_names as names
from . import certificates
from .wire import Cursor, Short, remembered


class Place(NamedTuple):
    """One payload in a message: its type, its critical bit, where its body lies, and the type that follows it."""

    kind: int
    critical: bool
    start: int
    end: int
    following: int


def chain(data: bytes, offset: int, kind: int, end: int) -> Iterator[Place]:
    """The payloads that begin with one of type `kind` at `offset`. Raises Short where one reaches beyond `end`."""
    while kind:
        if offset + 4 > end:
            raise Short(offset, 4)
        following, length = data[offset], int.from_bytes(data[offset + 2:offset + 4], "big")
        if length < 4 or offset + length > end:
            raise Short(offset, max(length, 4))
        yield Place(kind, bool(data[offset + 1] & 0x80), offset + 4, offset + length, following)
        if kind in (names.SK, names.SKF):
            return                                     # the type that follows stands inside (RFC 7296 3.14)
        kind, offset = following, offset + length


def read(data: bytes, place: Place, fields: dict[str, Any], problems: list[Problem]) -> None:
    """Adds what one IKEv2 payload says to `fields`; a payload whose inside is wrong becomes a Problem."""
    reader = _READERS.get(place.kind)
    if reader is None:
        if place.critical and place.kind not in names.PAYLOADS:
            problems.append(Problem(place.start - 4, f"payload {place.kind} is marked critical and not known"))
        return
    try:
        reader(Cursor(data, place.start, place.end), place, fields)
    except Short as short:
        problems.append(Problem(short.offset, f"{names.PAYLOADS[place.kind]} payload ends too early"))
    except ValueError as wrong:
        problems.append(Problem(place.start, f"{names.PAYLOADS[place.kind]} payload: {wrong}"))


def _security_association(cursor: Cursor, place: Place, fields: dict[str, Any]) -> None:
    """RFC 7296 3.3."""
    start = cursor.offset
    found, wrong = _proposals(cursor.rest())
    fields.setdefault("proposals", []).extend(found)
    if wrong is not None:
        offset, wanted = wrong
        raise Short(start + offset, wanted)


@remembered(256)                        # an implementation proposes the same in every IKE_SA_INIT
def _proposals(data: bytes) -> tuple[tuple[dict[str, Any], ...], tuple[int, int] | None]:
    """The proposals, and where octets are missing, how many: what stands before them counts all the same."""
    out: list[dict[str, Any]] = []
    try:
        _read_proposals(data, out)
    except Short as short:
        return tuple(out), (short.offset, short.wanted)
    return tuple(out), None


def _read_proposals(data: bytes, out: list[dict[str, Any]]) -> None:
    offset, end = 0, len(data)
    while offset < end:
        length, number, protocol, spi_size, count = _fixed(_PROPOSAL, data, offset, end)
        upto = offset + length
        if length < _PROPOSAL.size + spi_size or upto > end:
            raise Short(offset, max(length, _PROPOSAL.size))
        offset += _PROPOSAL.size
        proposal: dict[str, Any] = {"number": number, "protocol": _protocol(protocol)}
        if spi_size:
            proposal["spi"] = data[offset:offset + spi_size].hex()
            offset += spi_size
        transforms: dict[str, list[str]] = {}
        for _ in range(count):
            size, kind, code = _fixed(_TRANSFORM, data, offset, upto)
            if size < _TRANSFORM.size or offset + size > upto:
                raise Short(offset, max(size, _TRANSFORM.size))
            start = offset + _TRANSFORM.size
            bits = _key_length(Cursor(data, start, offset + size)) if size > _TRANSFORM.size else None
            words = transforms.setdefault(names.TRANSFORM_TYPES.get(kind) or f"TYPE{kind}", [])
            words.append(names.transform_name(kind, code, bits))
            offset += size
        proposal["transforms"] = transforms
        out.append(proposal)
        offset = upto


_PROPOSAL = Struct(">2xHBBBB")          # length, number, protocol, SPI size, number of transforms
_TRANSFORM = Struct(">2xHBxH")          # length, type, id


def _fixed(layout: Struct, data: bytes, offset: int, end: int) -> tuple[int, ...]:
    if offset + layout.size > end:
        raise Short(offset, layout.size)
    return layout.unpack_from(data, offset)


def _key_length(cursor: Cursor) -> int | None:
    """The Key Length attribute (14), in bits (RFC 7296 3.3.5)."""
    found = None
    while cursor.left:
        kind = cursor.u16()
        if kind & 0x8000:
            value = cursor.u16()
            found = value if kind & 0x7FFF == 14 else found
        else:
            cursor.octets(cursor.u16())
    return found


def _key_exchange(cursor: Cursor, place: Place, fields: dict[str, Any]) -> None:
    fields["key_exchange"] = names.transform_name(4, cursor.u16(), None)


def _identity(cursor: Cursor, place: Place, fields: dict[str, Any]) -> None:
    """RFC 7296 3.5."""
    kind = cursor.u8()
    cursor.octets(3)
    side = "id_i" if place.kind == names.IDI else "id_r"
    fields[side] = identity_text(kind, cursor.rest())
    fields[side + "_type"] = names.ID_TYPES.get(kind) or f"ID{kind}"


def identity_text(kind: int, data: bytes) -> str:
    if kind == 1 and len(data) == 4:
        return inet_ntop(AF_INET, data)
    if kind == 5 and len(data) == 16:
        return inet_ntop(AF_INET6, data)
    if kind == 9:
        return certificates.name(data)
    if kind in (2, 3) or kind == 11 and data.isascii() and data.decode("ascii").isprintable():
        text = data.decode("utf-8", "replace")
        return "".join(c if c.isprintable() else f"\\{ord(c):03o}" for c in text)
    return data.hex()


def _certificate(cursor: Cursor, place: Place, fields: dict[str, Any]) -> None:
    encoding, der = cursor.u8(), cursor.rest()
    entry: dict[str, Any] = {"encoding": names.CERTIFICATE_ENCODINGS.get(encoding) or str(encoding)}
    if encoding == 4:
        entry |= certificates.describe(der)
    elif encoding in (12, 13):
        entry["url"] = der[20:].decode("ascii", "replace")
    fields.setdefault("certificates", []).append(entry)


_MOST_AUTHORITIES = 64


def _certificate_request(cursor: Cursor, place: Place, fields: dict[str, Any]) -> None:
    encoding = cursor.u8()
    entry = {"encoding": names.CERTIFICATE_ENCODINGS.get(encoding) or str(encoding)}
    if encoding == 4 and cursor.left % 20 == 0:
        entry["authorities"] = cursor.left // 20       # SHA-1 of a CA's public key each (RFC 7296 3.7)
        entry["key_sha1"] = [cursor.octets(20).hex() for _ in range(min(entry["authorities"], _MOST_AUTHORITIES))]
    fields.setdefault("certificate_requests", []).append(entry)


def _authentication(cursor: Cursor, place: Place, fields: dict[str, Any]) -> None:
    method = cursor.u8()
    fields["auth_method"] = names.AUTH_METHODS.get(method) or f"AUTH{method}"


def _nonce(cursor: Cursor, place: Place, fields: dict[str, Any]) -> None:
    fields["nonce"] = cursor.rest().hex()


def _notify(cursor: Cursor, place: Place, fields: dict[str, Any]) -> None:
    """RFC 7296 3.10. `errors` names the error types: each, known or not, says that the request failed entirely (3.10.1)."""
    protocol, spi_size, code = cursor.u8(), cursor.u8(), cursor.u16()
    spi, data = cursor.octets(spi_size), cursor.rest()
    name = names.NOTIFIES.get(code) or f"NOTIFY{code}"
    entry: dict[str, Any] = {"type": name, "code": code}
    if protocol:
        entry["protocol"] = _protocol(protocol)
    if spi:
        entry["spi"] = spi.hex()
    if data:
        entry["data"] = data.hex()
    fields["notifies"].append(entry)
    fields["notify"].append(name)
    if code < names.STATUS_TYPES:
        fields.setdefault("errors", []).append(name)
    if code == 16393 and spi:
        fields.setdefault("rekeys", []).append(entry["spi"])
    elif code == 17 and len(data) >= 2:
        entry["group"] = names.transform_name(4, int.from_bytes(data[:2], "big"), None)
    elif code in (16407, 16408) and len(data) >= 2:
        entry["gateway"] = _gateway(data)


def _gateway(data: bytes) -> str:
    """The new gateway of a REDIRECT (RFC 5685 7.2, 7.3)."""
    kind, size = data[0], data[1]
    return identity_text({1: 1, 2: 5, 3: 2}.get(kind, 0), data[2:2 + size])


def _delete(cursor: Cursor, place: Place, fields: dict[str, Any]) -> None:
    """RFC 7296 3.11."""
    protocol, size, count = cursor.u8(), cursor.u8(), cursor.u16()
    spis = [cursor.octets(size).hex() for _ in range(count)] if size else []
    fields.setdefault("deletes", []).append({"protocol": _protocol(protocol), "spis": spis})


def _protocol(number: int) -> str:
    return names.PROTOCOLS.get(number) or str(number)


def _vendor(cursor: Cursor, place: Place, fields: dict[str, Any]) -> None:
    fields.setdefault("vendor_ids", []).append(vendor_name(cursor.rest()))


def vendor_name(data: bytes) -> str:
    known = names.VENDORS.get(data)
    if known:
        return known
    text = data.decode("ascii", "replace")
    return text if len(data) >= 4 and text.isprintable() and text.isascii() else data.hex()


def _selectors(cursor: Cursor, place: Place, fields: dict[str, Any]) -> None:
    """RFC 7296 3.13."""
    count = cursor.u8()
    cursor.octets(3)
    out = fields.setdefault("traffic_selectors", [])
    side = "TSi" if place.kind == names.TSI else "TSr"
    for _ in range(count):
        kind, protocol = cursor.u8(), cursor.u8()
        with cursor.window(cursor.u16() - 4) as inside:
            if kind not in (7, 8):
                out.append({"side": side, "type": kind, "data": inside.rest().hex()})
                continue
            low, high = inside.u16(), inside.u16()
            size, family = (4, AF_INET) if kind == 7 else (16, AF_INET6)
            out.append({"side": side, "start": inet_ntop(family, inside.octets(size)),
                        "end": inet_ntop(family, inside.octets(size)), "protocol": protocol, "ports": [low, high]})


def _configuration(cursor: Cursor, place: Place, fields: dict[str, Any]) -> None:
    """RFC 7296 3.15."""
    kind = cursor.u8()
    cursor.octets(3)
    attributes: dict[str, list] = {}
    while cursor.left:
        code = cursor.u16() & 0x7FFF
        value = cursor.octets(cursor.u16())
        values = attributes.setdefault(names.CONFIGURATION.get(code) or f"ATTRIBUTE{code}", [])
        if value:                                       # empty: asked for
            values.append(_attribute(code, value))
    fields["configuration"] = {"type": names.CONFIGURATION_TYPES.get(kind) or str(kind), "attributes": attributes}


def _attribute(code: int, value: bytes) -> str:
    size = len(value)
    if code in (1, 2, 3, 4, 6, 20) and size == 4:
        return inet_ntop(AF_INET, value)
    if code in (8, 10, 12, 21) and size == 16:
        return inet_ntop(AF_INET6, value)
    if code in (8, 15, 18) and size == 17:
        return f"{inet_ntop(AF_INET6, value[:16])}/{value[16]}"
    if code == 13 and size == 8:
        return str(ipaddress.ip_network((value[:4], inet_ntop(AF_INET, value[4:])), strict=False))
    if code in (7, 25):
        return value.decode("utf-8", "replace")
    return value.hex()


def _eap(cursor: Cursor, place: Place, fields: dict[str, Any]) -> None:
    """RFC 7296 3.16, RFC 3748 4."""
    code, identifier, length = cursor.u8(), cursor.u8(), cursor.u16()
    out: dict[str, Any] = {"code": names.EAP_CODES.get(code) or str(code), "identifier": identifier}
    if length > 4:
        method = cursor.u8()
        out["method"] = names.EAP_METHODS.get(method) or f"EAP{method}"
        if method == 1:
            out["identity"] = cursor.rest().decode("utf-8", "replace")
        elif method in (18, 23, 50) and cursor.left:
            subtype = cursor.u8()
            out["subtype"] = _AKA_SUBTYPES.get(subtype) or str(subtype)
        elif method in (26, 29) and cursor.left:
            operation = cursor.u8()
            out["operation"] = _MSCHAP_OPERATIONS.get(operation) or str(operation)
    fields["eap"] = out


_AKA_SUBTYPES = {1: "Challenge", 2: "Authentication-Reject", 4: "Synchronization-Failure", 5: "Identity", 10: "Start",
                 11: "Challenge", 12: "Notification", 13: "Reauthentication", 14: "Client-Error"}
_MSCHAP_OPERATIONS = {1: "Challenge", 2: "Response", 3: "Success", 4: "Failure", 7: "Change-Password"}

_READERS: dict[int, Callable[[Cursor, Place, dict[str, Any]], None]] = {
    names.SA: _security_association, names.KE: _key_exchange, names.IDI: _identity, names.IDR: _identity,
    names.CERT: _certificate,
    names.CERTREQ: _certificate_request, names.AUTH: _authentication, names.NONCE: _nonce, names.NOTIFY: _notify,
    names.DELETE: _delete, names.VENDOR: _vendor, names.TSI: _selectors, names.TSR: _selectors,
    names.CP: _configuration, names.EAP: _eap}


def read_v1(data: bytes, place: Place, fields: dict[str, Any], problems: list[Problem]) -> None:
    """What an unencrypted IKEv1 payload says about identification: vendors, notifies, identities."""
    cursor = Cursor(data, place.start, place.end)
    try:
        if place.kind == 13:
            _vendor(cursor, place, fields)
        elif place.kind == 11:
            cursor.octets(4)                            # domain of interpretation
            protocol, size, code = cursor.u8(), cursor.u8(), cursor.u16()
            cursor.octets(size)
            name = names.NOTIFIES_V1.get(code) or f"NOTIFY{code}"
            fields["notifies"].append({"type": name, "code": code, "protocol": _protocol(protocol)})
            fields["notify"].append(name)
        elif place.kind == 12:
            cursor.octets(4)
            protocol, size, count = cursor.u8(), cursor.u8(), cursor.u16()
            spis = [cursor.octets(size).hex() for _ in range(count)] if size else []
            fields.setdefault("deletes", []).append({"protocol": _protocol(protocol), "spis": spis})
        elif place.kind == 5:
            kind = cursor.u8()
            cursor.octets(3)
            fields["identity"] = identity_text(kind, cursor.rest())
    except Short as short:
        problems.append(Problem(short.offset, f"{names.PAYLOADS_V1[place.kind]} payload ends too early"))
