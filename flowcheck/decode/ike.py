"""IKEv2 (RFC 7296; fragments RFC 7383) and IKEv1 (RFC 2408) over UDP, and the ESP that shares port 4500 (RFC 3948).

Each datagram gives one message. Where the key ring opens the sealed part, its payloads are decoded like the others; of
a message in fragments the one that completes the set carries what was sealed. `decrypted` says whether that happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Any

from ..model import Context, Message, Opaque, Payload, Problem, Steady
from . import _ike_names as names
from . import esp
from ._ike_payloads import Place, chain, read, read_v1
from .wire import Short

_FIELDS = ("version", "exchange", "spi_i", "spi_r", "message_id", "initiator", "response", "payloads", "notifies",
           "notify", "errors", "proposals", "key_exchange", "nonce", "vendor_ids", "fragment", "length", "decrypted",
           "keys", "keys_reason", "id_i", "id_r", "id_i_type", "id_r_type", "certificates", "certificate_requests",
           "auth_method", "configuration", "traffic_selectors", "eap", "deletes", "rekeys",
           "another_round")        # of an IKE_AUTH request: does its answer ask for one more by EAP? session/ says so
_FIELDS_V1 = ("version", "exchange", "spi_i", "spi_r", "message_id", "initiator", "response", "payloads", "notifies",
              "notify", "vendor_ids", "length", "encrypted", "identity", "deletes")
_KINDS = {34: "sa_init", 35: "auth", 36: "create_child_sa", 37: "informational", 38: "session_resume", 39: "gsa_auth",
          40: "gsa_registration", 41: "gsa_rekey", 43: "intermediate", 44: "followup_ke"}
_KINDS_V1 = {code: name.lower() for code, name in names.EXCHANGES_V1.items()}

KINDS = {**{f"ike.{kind}.{way}": _FIELDS for kind in (*_KINDS.values(), "unknown") for way in ("request", "response")},
         **{f"ike.v1.{kind}": _FIELDS_V1 for kind in (*_KINDS_V1.values(), "unknown")}}
PORTS = {500, 4500}

HEADER = Struct(">8s8sBBBBII")
_RESPONSE, _INITIATOR, _ENCRYPTED_V1 = 0x20, 0x08, 0x01
_MARKER = bytes(4)              # the non-ESP marker (RFC 3948 2.2)
_KEEPALIVE = b"\xff"            # RFC 3948 2.3
_SETS = 64                      # fragmented messages of one flow that may be under way at a time


def likely(head: bytes, ports: tuple[int, int]) -> bool:
    """On port 500 a header, on 4500 a header behind the marker, a keepalive or ESP; elsewhere a whole exact message."""
    if 4500 in ports:
        if head == _KEEPALIVE or head[:4] == _MARKER and _header_fits(head, 4) or _exact(head, 0):
            return True
        return min(ports) >= 500 and _plausible_esp(head, behind_nat=ports != (4500, 4500))
    if 500 in ports and (_header_fits(head, 0) or head[:4] == _MARKER and _header_fits(head, 4)):
        return True
    return _exact(head, 0) or head[:4] == _MARKER and _exact(head, 4)


def _header_fits(data: bytes, offset: int) -> bool:
    """A version there is, and an initiator's SPI, or else the right length."""
    if len(data) < offset + 28 or data[offset + 17] >> 4 not in (1, 2, 3):
        return False
    return any(data[offset:offset + 8]) or int.from_bytes(data[offset + 24:offset + 28], "big") == len(data) - offset


def _plausible_esp(data: bytes, behind_nat: bool) -> bool:
    """RFC 4303 2: SPIs below 256 are reserved, the parts end on four octets. Readable text and STUN are no ESP.

    Where one port is not 4500 something else may be using that port: then the sequence number must not be huge.
    """
    sequence = int.from_bytes(data[4:8], "big")
    return (len(data) >= 20 and len(data) % 4 == 0 and int.from_bytes(data[:4], "big") > 255
            and 0 < sequence != 0x2112A442 and not (behind_nat and sequence >> 24)
            and not all(0x20 <= octet < 0x7F for octet in data[:8]))


def _exact(data: bytes, offset: int) -> bool:
    """A header whose every part is plausible, whose length is that of the datagram, with payloads that fill it."""
    if len(data) < offset + 28:
        return False
    spi_i, _, kind, version, exchange, flags, _, length = HEADER.unpack_from(data, offset)
    if version not in (0x10, 0x20) or length != len(data) - offset or not any(spi_i):
        return False
    if version == 0x10:
        if exchange not in names.EXCHANGES_V1 or flags & 0xF8 or kind not in names.PAYLOADS_V1:
            return False
        if flags & _ENCRYPTED_V1:
            return length > 28
    elif exchange not in names.EXCHANGES or flags & 0xC7 or kind not in names.PAYLOADS:
        return False
    try:
        end = offset + 28
        for place in chain(data, offset + 28, kind, len(data)):
            end = place.end
    except Short:
        return False
    return end == len(data)


class Flow:
    """One UDP flow: IKE in both directions, and ESP where it shares the ports."""

    def __init__(self, context: Context):
        self._parts: dict[tuple, dict[int, tuple[int, bytes]]] = {}
        self._esp = esp.Flow(context, carried=True)

    def datagram(self, data: bytes, context: Context) -> Iterable[Message | Payload]:
        ports = (context.src.port, context.dst.port)
        if data[:4] == _MARKER and len(data) >= 32 and (4500 in ports or not _header_fits(data, 0)):
            return (message(data[4:], context, self._parts),)
        if len(data) < 28 or 500 not in ports and not _exact(data, 0):
            return self._esp.datagram(data, context) if len(data) >= 8 else iter(())
        return (message(data, context, self._parts),)

    def steady(self, data: bytes, context: Context) -> Steady | None:
        return None if 500 in (context.src.port, context.dst.port) else self._esp.steady(data, context)

    def passed(self, spi: bytes, dst: str, *counted: Any) -> None:
        self._esp.passed(spi, dst, *counted)

    def end(self) -> Iterator[Opaque]:
        return self._esp.end()



def message(data: bytes, context: Context, parts: dict[tuple, dict[int, tuple[int, bytes]]]) -> Message:
    """The message of one datagram without its marker, at least 28 octets. `parts` keeps the flow's opened fragments."""
    spi_i, spi_r, kind, version, exchange, flags, ident, length = HEADER.unpack_from(data)
    problems: list[Problem] = []
    first = version >> 4 == 1
    response = not first and flags & _RESPONSE != 0
    table = names.EXCHANGES_V1 if first else names.EXCHANGES
    fields: dict[str, Any] = {
        "version": f"{version >> 4}.{version & 15}", "exchange": table.get(exchange) or f"EXCHANGE{exchange}",
        "spi_i": spi_i.hex(), "spi_r": spi_r.hex(), "message_id": ident, "initiator": flags & _INITIATOR != 0,
        "response": response, "payloads": [], "notifies": [], "notify": [], "length": length}
    end = min(length, len(data))
    if not any(spi_i):
        problems.append(Problem(0, "the initiator's SPI is zero (RFC 7296 3.1)"))
    if length > len(data) + context.missing or length < 28:
        problems.append(Problem(24, f"length {length} in a message of {len(data) + context.missing} octets"))
    elif length < len(data):
        problems.append(Problem(length, f"{len(data) - length} octets behind the message"))
    incomplete = False
    try:
        if first:
            _payloads_v1(data, kind, flags, end, fields, problems)
        else:
            _payloads(data, kind, end, fields, problems, context, parts)
    except Short as short:
        incomplete = context.missing > 0
        if not incomplete:
            problems.append(Problem(short.offset, "payload reaches beyond the message"))
    incomplete = incomplete or length > len(data) and context.missing > 0
    if first:
        name = f"ike.v1.{_KINDS_V1.get(exchange, 'unknown')}"
        return context.message(name, fields, tuple(problems), incomplete=incomplete)
    if version >> 4 != 2:
        problems.append(Problem(17, f"major version {version >> 4}"))
    name = f"ike.{_KINDS.get(exchange, 'unknown')}.{'response' if response else 'request'}"
    out = context.message(name, fields, tuple(problems), incomplete=incomplete)
    if context.secrets is not None and not incomplete:
        context.secrets.learn(out)
    return out


def _payloads_v1(data: bytes, kind: int, flags: int, end: int, fields: dict[str, Any], problems: list[Problem]) -> None:
    if flags & _ENCRYPTED_V1:
        fields["encrypted"] = True
        return
    for place in chain(data, 28, kind, end):
        fields["payloads"].append(names.PAYLOADS_V1.get(place.kind) or f"PAYLOAD{place.kind}")
        read_v1(data, place, fields, problems)


def _payloads(data: bytes, kind: int, end: int, fields: dict[str, Any], problems: list[Problem], context: Context,
              parts: dict) -> None:
    try:
        for place in chain(data, 28, kind, end):
            _name(place.kind, fields)
            kind = place.following
            if place.kind in (names.SK, names.SKF):
                _sealed(data, place, fields, problems, context, parts)
            else:
                read(data, place, fields, problems)
    except Short as short:
        if context.missing and kind and len(data) >= short.offset + 4:      # what the cut one was can still be said
            _name(kind, fields)
            if kind in (names.SK, names.SKF):
                fields["decrypted"] = False
            if kind == names.SKF and len(data) >= short.offset + 8:
                _fragment(data, short.offset + 4, fields)
        raise


def _fragment(data: bytes, start: int, fields: dict[str, Any]) -> None:
    number, total = (int.from_bytes(data[at:at + 2], "big") for at in (start, start + 2))
    fields["fragment"] = {"number": number, "total": total}


def _sealed(data: bytes, place: Place, fields: dict[str, Any], problems: list[Problem], context: Context,
            parts: dict) -> None:
    """An Encrypted payload, or one fragment of it, opened where the keys allow."""
    start, following = place.start, place.following
    fields["decrypted"] = False
    if place.kind == names.SKF:
        if place.end - start < 4:
            problems.append(Problem(start, "SKF payload ends too early"))
            return
        _fragment(data, start, fields)
        start += 4
    if context.secrets is None or context.missing:
        return
    opened = context.secrets.open_ike(data[:start], data[:place.end])
    if opened is None:
        return
    if opened.data is None:
        fields |= {"keys": "do not fit", "keys_reason": opened.refused}
        return
    inner = opened.data
    if place.kind == names.SKF:
        following, inner = _join(parts, fields, following, inner)
    if inner is not None:
        fields["decrypted"] = True
        _opened(inner, following, fields, problems)


def _opened(inner: bytes, kind: int, fields: dict[str, Any], problems: list[Problem]) -> None:
    try:
        for place in chain(inner, 0, kind, len(inner)):
            _name(place.kind, fields)
            read(inner, place, fields, problems)
    except Short as short:
        problems.append(Problem(short.offset, "a sealed payload reaches beyond the sealed part"))


def _name(kind: int, fields: dict[str, Any]) -> None:
    if kind == names.NONCE:                                 # named after the sender's part in this exchange
        name = "Nr" if fields["response"] else "Ni"
    else:
        name = names.PAYLOADS.get(kind) or f"PAYLOAD{kind}"
    fields["payloads"].append(name)


def _join(parts: dict[tuple, dict[int, tuple[int, bytes]]], fields: dict[str, Any], following: int,
          inner: bytes) -> tuple[int, bytes | None]:
    """The whole of a fragmented message once its last missing fragment is opened (RFC 7383 2.6)."""
    number, total = fields["fragment"]["number"], fields["fragment"]["total"]
    if not 0 < number <= total:
        return 0, None
    key = (fields["spi_i"], fields["initiator"], fields["message_id"], fields["response"], total)
    held = parts.setdefault(key, {})
    held[number] = following, inner
    if len(held) < total:
        if len(parts) > _SETS:
            del parts[next(iter(parts))]
        return 0, None
    del parts[key]
    return held[1][0], b"".join(held[index][1] for index in range(1, total + 1))
