"""Requests and their answers, and what was sent more than once.

Every request opens a transaction; its answer carries the same number in `answers`. What belongs together is the
protocol's own matter: a DNS id with its question, an IKE SPI with its message id, an HTTP exchange, a token, a sequence
number. One function a protocol says so. The same request again, word for word, is a retransmission and folded into the
first as a copy; a new id is a new message.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple

from ..model import Message
from .copies import fingerprint


class Part(NamedTuple):
    """What a message is in its transaction."""

    key: Hashable
    request: bool
    again: bool = True        # may the same request be sent again within the transaction?


def _pair(message: Message, request: bool) -> tuple:
    """Both ends of a message, the requesting one first, whichever way it runs."""
    return (message.src, message.dst) if request else (message.dst, message.src)


def _dns(m: Message) -> Part:
    request = m.kind.endswith(".query")
    fields = m.fields
    name = str(fields.get("qname") or "").lower()
    return Part((_pair(m, request), fields.get("id"), name, fields.get("qtype")), request)


def _ike(m: Message) -> Part | None:
    fields = m.fields
    if fields.get("version", "").startswith("1"):
        return None
    request = not fields.get("response")
    by_initiator = bool(fields.get("initiator")) == request
    return Part((fields.get("spi_i"), by_initiator, fields.get("message_id"), fields.get("exchange")), request)


def _http(m: Message) -> Part | None:
    if m.kind == "http.response" and (m.fields.get("status") or 200) < 200:
        return None                                       # 100 Continue answers nothing yet
    return Part((m.stream, m.exchange), m.kind == "http.request", again=False)


def _tcp(m: Message) -> Part | None:
    if m.kind in ("tcp.syn", "tcp.syn_ack", "tcp.refused"):
        return Part((m.stream, "open"), m.kind == "tcp.syn")
    return None


def _tls(m: Message) -> Part | None:
    """The hellos: after a HelloRetryRequest (RFC 8446 4.1.4) or a cookie (RFC 9147 5.1) there are two of the client's."""
    hello = m.kind.partition(".")[2]
    if hello in ("client_hello", "server_hello", "hello_verify_request"):
        return Part((m.stream, "hello"), hello == "client_hello", again=m.protocol == "dtls")
    return None


def _sctp(m: Message) -> Part | None:
    if m.kind in ("sctp.init", "sctp.init_ack", "sctp.abort"):
        request = m.kind == "sctp.init"
        return Part((_pair(m, request), "open"), request)
    return None


def _ftp(m: Message) -> Part | None:
    """A reply says which command it is of; a transfer has two of them (RFC 959 5.4)."""
    if m.kind == "ftp.data" or m.fields.get("command") is None:
        return None
    return Part((m.stream, m.fields["command"], m.fields.get("argument")), m.kind == "ftp.command", again=False)


def _by_pdu(m: Message) -> Part | None:
    """S1AP, HNBAP, RUA, RANAP: an elementary procedure at a time on one association."""
    pdu = m.fields.get("pdu")
    if pdu not in ("initiating", "successful", "unsuccessful"):
        return None
    request = pdu == "initiating"
    return Part((_pair(m, request), m.fields.get("procedure_code")), request, again=False)


def _diameter(m: Message) -> Part:
    return Part((m.stream, m.fields.get("hop_by_hop")), bool(m.fields.get("request")))


def _gtp(m: Message) -> Part | None:
    sequence = m.fields.get("sequence")
    if sequence is None:
        return None
    request = not m.kind.endswith(("Response", "Accept", "Reject"))
    hosts = (m.src.address, m.dst.address) if request else (m.dst.address, m.src.address)
    return Part((hosts, sequence), request)


def _coap(m: Message) -> Part | None:
    if m.kind not in ("coap.request", "coap.response"):
        return None
    request = m.kind == "coap.request"
    if m.exchange is not None:
        # one for all blocks of a body (RFC 7959), whatever their tokens
        return Part((m.stream, m.exchange), request)
    return Part((_pair(m, request), m.fields.get("token")), request)


def _map(m: Message) -> Part | None:
    request = m.kind.endswith(".invoke")
    transaction = m.fields.get("otid" if request else "dtid")
    if transaction is None or m.kind == "map.abort":
        return None
    return Part((frozenset((m.src.address, m.dst.address)), transaction, m.fields.get("invoke_id")), request)


PAIRING: dict[str, Callable[[Message], Part | None]] = {
    "dns": _dns, "ike": _ike, "http": _http, "tcp": _tcp, "tls": _tls, "dtls": _tls, "sctp": _sctp, "s1ap": _by_pdu,
    "hnbap": _by_pdu,
    "diameter": _diameter,
    "gtp": _gtp, "gtpv2": _gtp, "coap": _coap, "ftp": _ftp, "map": _map,
}
BODIES = frozenset(("json", "xml", "syncml", "omacp"))     # part of the HTTP or CoAP message that carries them
CARRIERS = ("http", "coap")


def pair(messages: Iterable[Message]) -> list[Message]:
    """The messages with `transaction` and `answers` filled in and retransmissions folded. CWMP is left to cwmp.py.

    They are in time order, before and after. Only where a key occurs again are messages compared word for word.
    """
    out: list[Message] = []
    open_at: dict[Hashable, int] = {}        # protocol and key -> index in `out` of the request last seen
    answered: dict[Hashable, int] = {}       # ... of the answer last seen
    marks: dict[int, str] = {}               # index in `out` -> fingerprint, where it was needed
    again: dict[int, list[Message]] = {}     # ... -> the same message once more
    number = 0
    for message in _join_ike_fragments(messages):
        protocol = message.protocol
        pairing = PAIRING.get(protocol)
        if pairing is None and protocol in BODIES:
            out.append(_as_its_carrier(message, open_at, out))
            continue
        part = pairing(message) if pairing else None
        if part is None:
            out.append(message)
            continue
        key = (protocol, part.key)
        table = open_at if part.request else answered
        earlier = table.get(key)
        if earlier is not None and part.again and _mark(earlier, out, marks) == fingerprint(message):
            again.setdefault(earlier, []).append(message)
            continue
        if part.request and earlier is not None and protocol == "coap" and message.exchange is not None:
            message = message.but(transaction=out[earlier].transaction)      # the next block
            out.append(message)
            continue
        if part.request:
            number += 1
            message = message.but(transaction=number)
            answered.pop(key, None)
        elif key in open_at:
            message = message.but(answers=out[open_at[key]].transaction)
        table[key] = len(out)
        out.append(message)
    for index, repeated in again.items():
        first = out[index]
        frames = (frame for message in repeated for frame in (*message.frames, *message.copies))
        out[index] = first.but(copies=(*first.copies, *frames), repeats=first.repeats + len(repeated))
    return _with_rounds(out)


def _with_rounds(messages: list[Message]) -> list[Message]:
    """IKE_AUTH requests say in `another_round` whether the answer asks for one more, by EAP (RFC 7296 2.16)."""
    more = {m.answers for m in messages if m.kind == "ike.auth.response"
            and (m.fields.get("eap") or {}).get("code") in ("Request", "Success")}
    for index, message in enumerate(messages):
        if message.kind == "ike.auth.request":
            messages[index] = message.but(fields={**message.fields, "another_round": message.transaction in more})
    return messages


def _mark(index: int, out: list[Message], marks: dict[int, str]) -> str:
    if index not in marks:
        marks[index] = fingerprint(out[index])
    return marks[index]


def _as_its_carrier(message: Message, open_at: dict[Hashable, int], out: list[Message]) -> Message:
    """A body shares the transaction of the request it is part of, or answers it."""
    if message.exchange is None:
        return message
    place = (message.stream, message.exchange)
    carrier = next((out[open_at[key]] for name in CARRIERS if (key := (name, place)) in open_at), None)
    if carrier is None:
        return message
    if carrier.src == message.src:
        return message.but(transaction=carrier.transaction)
    return message.but(answers=carrier.transaction)


def _join_ike_fragments(messages: Iterable[Message]) -> list[Message]:
    """The fragments of an IKE message (RFC 7383) as one message, at the time the last of them came."""
    messages = list(messages)
    if not any(m.protocol == "ike" and "fragment" in m.fields for m in messages):
        return messages
    out: list[Message] = []
    waiting: dict[Hashable, dict[int, Message]] = {}
    for message in messages:
        fields = message.fields if message.protocol == "ike" else {}
        fragment = fields.get("fragment")
        if not fragment:
            out.append(message)
            continue
        key = (message.src, message.dst, fields.get("spi_i"), fields.get("message_id"), fields.get("response"),
               fields.get("exchange"), fragment["total"])
        parts = waiting.setdefault(key, {})
        if fragment["number"] in parts and len(parts) < fragment["total"]:
            held = parts[fragment["number"]]
            parts[fragment["number"]] = held.but(copies=(*held.copies, *message.frames), repeats=held.repeats + 1)
            continue
        parts[fragment["number"]] = message
        if len(parts) == fragment["total"]:
            out.append(_joined(list(parts.values())))
            del waiting[key]
    if waiting:                              # every other one stands where the last of its fragments stood
        out += [_joined(list(parts.values())).but(incomplete=True) for parts in waiting.values()]
        out.sort(key=lambda m: (m.time, m.frames[-1]))
    return out


def _joined(parts: list[Message]) -> Message:
    fullest = max(parts, key=lambda m: (len(m.fields), m.time))
    last = max(parts, key=lambda m: m.time)
    fields = {name: value for name, value in fullest.fields.items() if name != "fragment"}
    frames = tuple(sorted({ref for m in parts for ref in m.frames}))
    copies = tuple(ref for m in parts for ref in m.copies)
    problems = tuple(problem for m in parts for problem in m.problems)
    return fullest.but(time=last.time, frames=frames, copies=copies, fields=fields, problems=problems,
                       repeats=max(m.repeats for m in parts))
