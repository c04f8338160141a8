"""HTTP/1.0 and 1.1 on any port (RFC 9110, RFC 9112): requests, responses, and the bodies they carry.

A message is reported when its body is complete, so its last frame is the one that completed it. Requests and responses
of a stream are numbered as exchanges: a request and its final response share a number, interim responses (100) too. Who
is the client shows in the start lines, not in the ports: a capture that begins midway may have it wrong.

A body whose sender closes the connection before the length it declared is whole as far as it goes; `short_by` says how
many octets it owes (RFC 9112 8). After lost bytes a body of known length is followed to its end, as what is missing was counted; every other message ends
at the hole. Then the stream is read again from a segment that begins with a start line, nothing less is trusted.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from ..model import Context, FrameRef, Message, Payload, Problem, Skip, Switch
from ._http_body import Asked, Direction, astray, read_available, read_body, skip, unwanted
from ._http_head import (LARGEST_HEAD, Head, content_type, cut_head, framing, head_end, inflate, is_envelope,
                         looks_like_start, may_become_start, parse_head, path_and_query)
from .wire import Tape

_COMMON = ("version", "headers", "body_length", "content_length", "short_by", "content_type", "content_encoding",
           "trailers")
KINDS = {
    "http.request": ("method", "target", "path", "query", "host", "authorization_scheme", "referred_by", *_COMMON),
    "http.response": ("status", "reason", "challenge_scheme", "challenge_unmet", "request_method", "request_target",
                      "request_host",
                      *_COMMON),
}
PORTS = {80, 591, 3128, 5357, 7547, 8000, 8008, 8080, 8081, 8088, 8888, 10301, 30005, 58000}

_MOST_OUTSTANDING = 256
_TELLING = 4096                  # octets in which it shows whether a start line begins

Found = Message | Payload | Switch | Skip


def likely(head: bytes, ports: tuple[int, int]) -> bool:
    return looks_like_start(head)


class Conversation:
    """One stream of HTTP."""

    def __init__(self, context: Context):
        self._sides = (Direction(), Direction())
        self._answering = 1                       # the side whose messages are responses
        self._last = 0                            # number of the latest exchange
        self._outstanding: deque[Asked] = deque()
        self._response_lost = False

    def feed(self, side: int, tape: Tape) -> list[Found]:
        """Everything that the bytes on the tape complete."""
        found: list[Found] = []
        here = self._sides[side]
        here.tape = tape
        while tape.data or here.head is not None:
            if here.head is None and not self._begin(here, side):
                break
            if not read_body(here):
                octets = unwanted(here)
                if octets:
                    found.append(Skip(side, octets))
                break
            head, asked = here.head, here.asked
            found += self._emit(here)
            if head.status == 101 or asked.method == "CONNECT" and 200 <= head.status < 300:
                found.append(Switch(""))
                break
        return found

    def skipped(self, side: int, size: int, frames: Sequence[FrameRef], time: int) -> None:
        """Octets of a body that nobody wants."""
        skip(self._sides[side], size, frames, time)

    def lost(self, side: int, size: int) -> Iterator[Found]:
        """A hole of `size` octets follows what was fed."""
        here = self._sides[side]
        if here.head is None:
            yield from self._emit_cut_head(here, side)
            here.synced = False
        else:
            read_available(here)
            inside = here.plan == "close" or size <= here.left
            here.missing += size if inside else max(here.left, 1)
            if inside and here.plan != "close":
                here.left -= size
            if not inside:
                here.synced = False
                yield from self._emit(here, incomplete=True)
            elif here.left == 0 and here.plan == "length":
                yield from self._emit(here, incomplete=True)
            elif here.left == 0 and here.plan == "chunked":
                here.chunk = "gap"
        if here.tape is not None:
            here.tape.skip(len(here.tape))
        here.stray = 0
        if not here.synced and side == self._answering:
            self._response_lost = True

    def end(self, side: int) -> Iterator[Found]:
        here = self._sides[side]
        if here.head is None:
            yield from self._emit_cut_head(here, side)
        else:
            read_available(here)
            whole = here.plan == "close" and here.tape.closed is not None
            if whole:                                           # what says that the body is over (RFC 9112 6.3)
                time, frame = here.tape.closed
                here.time = max(here.time, time)
                here.frames.add((frame,))
            yield from self._emit(here, incomplete=not whole or here.missing > 0, ended=here.tape.closed is not None)

    # ------------------------------------------------------------------------------------------------ heads

    def _begin(self, here: Direction, side: int) -> bool:
        """Reads the head at the beginning of the tape. False: more is needed."""
        tape = here.tape
        data = tape.data
        if not here.synced:
            if not may_become_start(bytes(data[:_TELLING])):
                return astray(here)
            here.synced = True
        if data[0] in b"\r\n":                                   # RFC 9112 2.2: empty lines before a message
            tape.skip(len(data) - len(data.lstrip(b"\r\n")))
            if not data:
                return False
        if not here.started and b"\n" not in data and not may_become_start(bytes(data[:_TELLING])):
            return astray(here)                                 # the capture begins inside a message
        stop, end = head_end(data, max(0, here.scanned - 3))
        if end < 0:
            line_end = data.find(b"\n", 0, LARGEST_HEAD)
            begun = line_end >= 0 and not here.scanned           # the first line has just become whole
            if len(data) > LARGEST_HEAD or begun and parse_head(bytes(data[:line_end])) is None:
                here.stray += 1
                return astray(here)
            here.scanned = len(data) if line_end >= 0 else 0
            return False
        head = parse_head(bytes(data[:stop])) if end <= LARGEST_HEAD else None
        if head is None:
            here.stray += 1
            return astray(here)
        here.at = end
        self._open(here, head, side)
        return True

    def _open(self, here: Direction, head: Head, side: int) -> None:
        self._answering = side if head.status else 1 - side
        here.head, here.started = head, True
        here.asked = asked = self._pair(head)
        here.plan, here.left, problems = framing(head, asked.method if head.status else head.method)
        if here.stray:
            problems.append(Problem(0, "what came before this message is no HTTP"))
            here.stray = 0
        here.problems = [*head.problems, *problems]
        after = bytes(here.tape.data[here.at:here.at + 64])
        if head.status and not asked.method and here.left and looks_like_start(after):
            here.plan, here.left = "none", 0                     # the request was not seen: it must have been a HEAD

    def _pair(self, head: Head) -> Asked:
        """The exchange a message belongs to. A response whose request was lost gets a number of its own."""
        outstanding = self._outstanding
        if not head.status:
            if self._response_lost:                              # the client goes on: it had what the capture has not
                outstanding.clear()
                self._response_lost = False
            self._last += 1
            path, query = path_and_query(head.target)
            asked = Asked(self._last, head.method, head.target, path, _host(head), query)
            outstanding.append(asked)
            if len(outstanding) > _MOST_OUTSTANDING:             # only this direction was captured
                outstanding.popleft()
            return asked
        if not outstanding:
            self._last += 1
            return Asked(self._last)
        return outstanding[0] if head.status < 200 and head.status != 101 else outstanding.popleft()

    # ------------------------------------------------------------------------------------------------ messages

    def _emit_cut_head(self, here: Direction, side: int) -> Iterator[Found]:
        """A head the capture does not hold to its end: its whole lines say what they say."""
        tape = here.tape
        if tape is None or not tape.data or not here.synced:
            return
        upto = tape.data.rfind(b"\n", 0, LARGEST_HEAD) + 1
        head = parse_head(bytes(tape.data[:upto])) if upto else cut_head(bytes(tape.data[:LARGEST_HEAD]))
        if head is None:
            return
        self._open(here, head._replace(problems=()), side)
        here.at, here.cut_head, here.problems = len(tape), True, []
        yield from self._emit(here, incomplete=True)

    def _emit(self, here: Direction, *, incomplete: bool = False, ended: bool = False) -> list[Found]:
        """The message that ends at `at`, then its body. `ended` says that its sender closed the connection there."""
        head, asked, tape = here.head, here.asked, here.tape
        incomplete = incomplete or here.missing > 0
        short = _short_by(here) if ended else 0
        if here.at:
            time, frames = tape.origin(here.at)
            time = max(here.time, time)
            if here.frames:
                here.frames.add(frames)
                frames = here.frames.once()
            tape.skip(here.at)
        else:
            time, frames = here.time, here.frames.once()
        media, headers = content_type(head.headers), head.headers
        fields = _response_fields(head, asked) if head.status else _request_fields(head, asked)
        fields["version"], fields["headers"] = head.version, headers
        fields["body_length"], fields["content_type"] = _body_length(here, incomplete), media
        if here.plan == "length":
            fields["content_length"] = _declared(headers)
        if short:
            fields["body_length"], fields["short_by"] = here.counted, short
        if "content-encoding" in headers:
            fields["content_encoding"] = headers["content-encoding"]
        if here.trailers:
            fields["trailers"] = here.trailers
        problems = here.problems
        body, missing = None, here.missing + (0 if here.plan == "close" else here.left)
        if (here.body or not here.counted) and not here.over and not here.cut_head and here.counted + missing:
            body, worse = inflate(bytes(here.body), headers, not incomplete)
            problems += worse
        here.reset()
        direction = "response" if head.status else "request"
        context = tape.context.but(time=time, frames=frames, exchange=asked.exchange)
        found: list[Found] = [context.message(f"http.{direction}", fields, tuple(problems),
                                              incomplete=incomplete and not short)]
        if body:
            carrier = {"protocol": "http", "direction": direction, "content_type": media, "headers": headers,
                       "method": asked.method, "target": asked.target, "path": asked.path, "host": asked.host}
            if head.status:
                carrier["status"] = head.status
            missing = max(missing, 1) if incomplete else 0
            inside = context.within("http", carrier=carrier, missing=missing)
            found.append(Payload("cwmp" if is_envelope(body) else media, body, inside))
        return found


def _request_fields(head: Head, asked: Asked) -> dict[str, Any]:
    fields: dict[str, Any] = {"method": head.method, "target": head.target, "path": asked.path, "host": asked.host}
    if asked.query:
        fields["query"] = asked.query
    if "authorization" in head.headers:
        fields["authorization_scheme"] = head.headers["authorization"].partition(" ")[0]
    return fields


def _response_fields(head: Head, asked: Asked) -> dict[str, Any]:
    fields: dict[str, Any] = {"status": head.status, "reason": head.reason}
    if asked.method:
        fields |= {"request_method": asked.method, "request_target": asked.target, "request_host": asked.host}
    if "www-authenticate" in head.headers:
        fields["challenge_scheme"] = head.headers["www-authenticate"].partition(" ")[0]
    return fields


def _host(head: Head) -> str:
    return head.headers.get("host", "")


def _declared(headers: dict[str, Any]) -> int:
    said = headers["content-length"]
    digits = re.match(r"\s*0*(\d{1,18})", said, re.ASCII)
    return int(digits[1]) if digits else 0


def _short_by(here: Direction) -> int:
    """Octets of the declared length that were not sent. A body that waits for 100 Continue may rightly not come."""
    unasked = not here.counted and "expect" in here.head.headers
    return 0 if here.plan != "length" or here.missing or here.cut_head or unasked else here.left


def _body_length(here: Direction, incomplete: bool) -> int | None:
    """Octets of the body as sent. What the capture does not show is None, never 0: an empty POST means something."""
    if here.cut_head:
        return None
    if not incomplete:
        return here.counted
    if here.plan == "length":
        return _declared(here.head.headers)
    return here.counted + here.missing if here.plan == "close" and here.tape.closed else None
