"""CoAP over UDP and DTLS (RFC 7252), over TCP and TLS (RFC 8323), bodies in blocks joined (RFC 7959).

A response names its request only by token, so a flow remembers the requests it saw: the response's message then says
which method and path it answers, and so does the body that is handed on. A retransmission is a message again, but its
body is handed on once.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..model import Context, Endpoint, FrameRef, Message, Payload, Problem
from . import _coap, _xml
from .wire import Cursor, Short, Tape

_FIELDS = ("code", "name", "method", "type", "message_id", "token", "uri_host", "uri_port", "uri_path", "uri_query",
           "content_format", "content_type", "accept", "observe", "max_age", "etag", "proxy_uri", "location_path",
           "location_query", "block1", "block2", "q_block1", "q_block2", "options", "payload_length", "diagnostic")
KINDS = {"coap.request": _FIELDS, "coap.response": _FIELDS, "coap.signaling": _FIELDS,
         "coap.empty": ("code", "name", "type", "message_id", "token", "method", "uri_path")}
PORTS = {5683, 5684}

_TYPES = ("CON", "NON", "ACK", "RST")
_LIFETIME = 247 * 10**9                   # EXCHANGE_LIFETIME, RFC 7252 4.8.2: until then a message ID is not used again
_MOST_REQUESTS = 512                      # remembered per flow
_MOST_BODIES, _LARGEST_BODY = 8, 1 << 20
_LARGEST_MESSAGE = 2 << 20                # over TCP; more is a lost place in the stream
_JSON = re.compile(rb"\s*(?:\{\s*[\"}]|\[\s*[\[{\]\"0-9tfn-])")
_REQUEST_OPTIONS = {3, 7, 11, 15, 35, 39}   # Uri-* and Proxy-*: what a request to somewhere has
_RESPONSE_OPTIONS = {4, 6, 8, 12, 14, 23, 27}


class _Parsed(NamedTuple):
    code: int
    fields: dict[str, Any]
    options: list[_coap.Option]
    body: bytes
    short: Problem | None                 # the bytes end before the fields do

    @property
    def whole(self) -> bool:
        return self.short is None


def likely(head: bytes, ports: tuple[int, ...] = ()) -> bool:
    """On its ports a sane header is enough; elsewhere the options have to make sense to the last."""
    at_home = not PORTS.isdisjoint(ports)
    return _likely_datagram(head, at_home) or _likely_stream(head, at_home)


def _likely_datagram(head: bytes, at_home: bool) -> bool:
    if len(head) < 4 or head[0] >> 6 != 1 or head[0] & 15 > 8:
        return False
    kind, code = head[0] >> 4 & 3, head[1]
    if code == 0:
        return at_home and len(head) == 4 and not head[0] & 15
    if code not in _coap.METHODS and code not in _coap.RESPONSES or kind == 3 or kind == 2 and code in _coap.METHODS:
        return False
    problems: list[Problem] = []
    parsed = _parse(Cursor(head, 4), code, head[0] & 15, problems)
    if at_home:
        return parsed.whole or bool(parsed.options)
    if problems or not parsed.whole or not all(option.known for option in parsed.options):
        return False
    telling = _REQUEST_OPTIONS if code in _coap.METHODS else _RESPONSE_OPTIONS
    return any(option.number in telling for option in parsed.options)


def _likely_stream(head: bytes, at_home: bool) -> bool:
    """A stream opens with a Capabilities and Settings Message (RFC 8323 5.3)."""
    try:
        at = Cursor(head)
        size, token, code = _stream_header(at)
        if code != 0xE1 or token or at.left < size:
            return False
        problems: list[Problem] = []
        with at.window(size) as inner:
            parsed = _parse(inner, code, 0, problems)
        # without options it is two octets, which is too little to go by elsewhere
        known = bool(parsed.options) and all(option.known for option in parsed.options)
        return parsed.whole and not problems and (at_home or known)
    except Short:
        return False


def decode(data: bytes, context: Context) -> Iterator[Message | Payload]:
    """One datagram by itself."""
    yield from Flow(context).datagram(data, context)


class Flow:
    """One UDP flow: both directions, whoever asks."""

    def __init__(self, context: Context):
        self._talk = _Talk()

    def datagram(self, data: bytes, context: Context) -> Iterator[Message | Payload]:
        if len(data) < 4 or data[0] >> 6 != 1 or _kind(data[1]) is None:
            return                        # another version is ignored in silence (RFC 7252 3)
        problems: list[Problem] = []
        parsed = _parse(Cursor(data, 4), data[1], data[0] & 15, problems)
        kind = _TYPES[data[0] >> 4 & 3]
        parsed.fields.update(type=kind, message_id=int.from_bytes(data[2:4], "big"))
        if data[1] == 0 and len(data) > 4:
            problems.append(Problem(4, "an Empty message ends after its message ID"))
        yield from self._talk.message(parsed, context, problems, data)

    def end(self) -> Iterator[Message | Payload]:
        return iter(())


class Conversation:
    """One TCP connection (RFC 8323 3.2)."""

    def __init__(self, context: Context):
        self._talk = _Talk()
        self._unsure = [False, False]     # bytes were lost: the next message has to prove itself

    def feed(self, side: int, tape: Tape) -> Iterator[Message | Payload]:
        while tape:
            at = Cursor(bytes(tape.data[:14]))
            try:
                size, token, code = _stream_header(at)
            except Short:
                return
            total = at.offset + token + size
            if token > 8 or total > _LARGEST_MESSAGE or _kind(code) is None:
                self._unsure[side] = True
            elif len(tape) < total:
                return
            problems: list[Problem] = []
            if total <= len(tape):
                data = bytes(tape.data[:total])
                parsed = _parse(Cursor(data, at.offset), code, token, problems)
                if parsed.whole and not problems and code in _coap.NAMES:
                    self._unsure[side] = False
            if self._unsure[side]:
                tape.skip(len(tape))
                return
            context = tape.place(total)
            tape.skip(total)
            yield from self._talk.message(parsed, context, problems, data)

    def lost(self, side: int, size: int) -> Iterator[Message | Payload]:
        self._unsure[side] = True
        return iter(())

    def end(self, side: int) -> Iterator[Message | Payload]:
        return iter(())


def _stream_header(at: Cursor) -> tuple[int, int, int]:
    """(octets of options and payload, octets of token, code)"""
    head = at.u8()
    size = head >> 4
    if size >= 13:
        width = 1 << size - 13
        size = at.uint(width) + (13, 269, 65805)[size - 13]
    return size, head & 15, at.u8()


def _kind(code: int) -> str | None:
    """What a code is (RFC 7252 3); None for the reserved classes."""
    if code == 0:
        return "coap.empty"
    return {0: "coap.request", 2: "coap.response", 4: "coap.response", 5: "coap.response",
            7: "coap.signaling"}.get(code >> 5)


def _parse(at: Cursor, code: int, token: int, problems: list[Problem]) -> _Parsed:
    """Token, options and payload; `at` stands at the token."""
    fields: dict[str, Any] = {"code": _coap.code_text(code)}
    if code in _coap.NAMES:
        fields["name"] = _coap.NAMES[code]
    if code in _coap.METHODS:
        fields["method"] = _coap.METHODS[code]
    options: list[_coap.Option] = []
    body, end = b"", None
    try:
        if token > 8:
            raise Short(at.offset, token)
        fields["token"] = at.octets(token).hex()
        options = _coap.options(at, code, problems) if code else []
        body = at.rest()
    except Short as short:
        end = Problem(short.offset, f"token length {token} is reserved" if token > 8 else str(short))
    if code:
        fields.update(_coap.option_fields(options))
        fields["payload_length"] = len(body)
        if "content_format" in fields:
            content_format = fields["content_format"]
            fields["content_type"] = _coap.CONTENT_FORMATS.get(content_format, f"CONTENT-FORMAT{content_format}")
        elif code >= 0x80 and code < 0xE0 and body:
            fields["diagnostic"] = body[:256].decode("utf-8", "replace")     # RFC 7252 5.5.2
    return _Parsed(code, fields, options, body, end)


class _Request(NamedTuple):
    """What a response has to know of its request."""

    method: str
    uri_path: str
    uri_query: str
    exchange: int


@dataclass(slots=True)
class _Body:
    """A body being joined from its blocks."""

    data: bytearray
    frames: tuple[FrameRef, ...]
    etag: str
    exchange: int | None


class _Talk:
    """What is remembered between two endpoints, bounded."""

    def __init__(self) -> None:
        self._by_token: OrderedDict[tuple[Endpoint, str], _Request] = OrderedDict()
        self._by_id: OrderedDict[tuple[Endpoint, int], _Request] = OrderedDict()
        self._seen: OrderedDict[tuple[Endpoint, int], tuple[int, int]] = OrderedDict()
        self._running: OrderedDict[tuple, int] = OrderedDict()      # operation -> its exchange
        self._bodies: OrderedDict[tuple, _Body] = OrderedDict()
        self._exchanges = 0

    def message(self, parsed: _Parsed, context: Context, problems: list[Problem],
                data: bytes) -> Iterator[Message | Payload]:
        fields, again = parsed.fields, self._again(parsed, context, data)
        kind = _kind(parsed.code)
        request = None
        if kind == "coap.request":
            fields.setdefault("uri_path", "/")
            request = self._request(parsed, context, again)
        elif kind == "coap.response":
            request = self._by_token.get((context.dst, fields.get("token", "")))
        elif kind == "coap.empty" and fields.get("type") in ("ACK", "RST"):
            request = self._by_id.get((context.dst, fields["message_id"]))
        if request and kind != "coap.request":
            fields.setdefault("uri_path", request.uri_path)
            fields["method"] = request.method
        if context.missing:               # what is wrong at the cut is the capture's doing
            problems = [problem for problem in problems if problem.offset < len(data) - 1]
        elif parsed.short and (not problems or problems[-1].offset != parsed.short.offset):
            problems.append(parsed.short)
        here = context.but(exchange=request.exchange) if request else context
        yield here.message(kind, fields, tuple(problems), incomplete=bool(context.missing))
        told = parsed.whole and not context.missing and not again
        if parsed.body and told and kind in ("coap.request", "coap.response"):
            yield from self._body(parsed, here, request, kind)

    def _again(self, parsed: _Parsed, context: Context, data: bytes) -> bool:
        """Whether these are the bytes of a message seen before (RFC 7252 4.5)."""
        if "message_id" not in parsed.fields:
            return False
        key = (context.src, parsed.fields["message_id"])
        before, digest = self._seen.get(key), hash(data)
        _keep(self._seen, key, (digest, context.time), _MOST_REQUESTS)
        return before is not None and before[0] == digest and context.time - before[1] < _LIFETIME

    def _request(self, parsed: _Parsed, context: Context, again: bool) -> _Request:
        fields = parsed.fields
        token = (context.src, fields.get("token", ""))
        if again and token in self._by_token:
            return self._by_token[token]
        method, query = fields.get("method", fields["code"]), fields.get("uri_query", "")
        operation = (context.src, context.dst, method, fields["uri_path"], query)
        later = any(fields.get(block, {}).get("num") for block in ("block1", "block2"))
        exchange = self._running.get(operation) if later else None      # asks for, or brings, the next block
        if exchange is None:
            self._exchanges += 1
            exchange = self._exchanges
        request = _Request(method, fields["uri_path"], query, exchange)
        _keep(self._running, operation, exchange, _MOST_REQUESTS)
        _keep(self._by_token, token, request, _MOST_REQUESTS)
        if "message_id" in fields:
            _keep(self._by_id, (context.src, fields["message_id"]), request, _MOST_REQUESTS)
        return request

    def _body(self, parsed: _Parsed, context: Context, request: _Request | None, kind: str) -> Iterator[Payload]:
        """The body, once it is whole."""
        fields = parsed.fields
        block = fields.get("block1" if kind == "coap.request" else "block2")
        if "q_block1" in fields or "q_block2" in fields:
            return                        # RFC 9177: blocks in any order; a part must not pass for the whole
        body: _Body | None = _Body(bytearray(parsed.body), context.frames, fields.get("etag", ""), context.exchange)
        if block and (block["num"] or block["more"]):
            body = self._join(parsed, context, request, block, kind)
        if body is None:
            return
        data, content_type = bytes(body.data), fields.get("content_type") or _guess(bytes(body.data))
        if not content_type:
            return
        carrier = {"protocol": "coap", "direction": kind.partition(".")[2], "content_type": content_type,
                   "code": fields["code"], "token": fields.get("token", ""), "type": fields.get("type"),
                   "method": request.method if request else None, "uri_path": request.uri_path if request else None,
                   "uri_query": request.uri_query if request else None, "path": request.uri_path if request else None}
        yield Payload(content_type, data, context.within("coap", frames=body.frames, carrier=carrier))

    def _join(self, parsed: _Parsed, context: Context, request: _Request | None, block: dict[str, Any],
              kind: str) -> _Body | None:
        """The body this block completes, if it does. Blocks come in order (RFC 7959 2.4, 2.5: lock-step)."""
        fields = parsed.fields
        operation = (request.exchange, request.method, request.uri_path) if request else (fields.get("token", ""),)
        key = (kind, context.src, context.dst, *operation)
        offset, etag = block["num"] * block["size"], fields.get("etag", "")
        body = self._bodies.pop(key, None)
        if offset == 0:
            body = _Body(bytearray(), (), etag, context.exchange)
        if body is None or len(body.data) != offset or body.etag != etag or offset + len(parsed.body) > _LARGEST_BODY:
            return None                   # a block is missing, or the representation changed on the way
        body.data += parsed.body
        body.frames = tuple(dict.fromkeys((*body.frames, *context.frames)))
        if not block["more"]:
            return body
        _keep(self._bodies, key, body, _MOST_BODIES)
        return None


def _keep(store: OrderedDict, key: Any, value: Any, most: int) -> None:
    store[key] = value
    store.move_to_end(key)
    if len(store) > most:
        store.popitem(last=False)


def _guess(body: bytes) -> str:
    """The type of a body sent without Content-Format, where it begins and ends as a document (RFC 7252 5.5.1)."""
    if _JSON.match(body) and body.rstrip()[-1:] in (b"}", b"]"):
        return "application/json"
    return "application/xml" if body.rstrip()[-1:] == b">" and _xml.root_name(body) else ""
