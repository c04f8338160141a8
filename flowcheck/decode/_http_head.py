"""The head of an HTTP/1.x message and what it says about its body (RFC 9112 sections 2 to 6, RFC 9110)."""

from __future__ import annotations

import re
import zlib
from typing import Any, NamedTuple

from ..model import Problem
from .wire import remembered

LARGEST_HEAD = 1 << 16
LARGEST_BODY = 8 << 20         # octets of a body that are kept; beyond them it is only counted
_MOST_HEADERS = 500

_METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "PROPFIND",
            "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "NOTIFY", "SUBSCRIBE",
            "UNSUBSCRIBE",
            "M-SEARCH", "M-POST")
_REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) +([^\x00-\x1f\x7f]+?) +HTTP/(1\.\d)[ \t]*\r?\Z")
_RESPONSE = re.compile(rb"HTTP/(1\.\d) +(\d{3})(?: +([^\x00-\x08\x0a-\x1f]*?))?[ \t]*\r?\Z")
_BEGUN_REQUEST = re.compile(rb"(?:" + b"|".join(m.encode() for m in _METHODS)
                            + rb") (?:/|\*|https?://|[\w.-]+:\d)[^\x00-\x1f\x7f]*\r?\Z")
_BEGUN_RESPONSE = re.compile(rb"HTTP/1\.\d \d{3}(?: [^\x00-\x08\x0a-\x1f]*)?\r?\Z")
_CUT_REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) +([^\x00-\x20\x7f]+) +HTT(?:P(?:/(?:1\.?)?)?)?\Z")
_CUT_RESPONSE = re.compile(rb"HTTP/(1\.\d) +(\d{3}) [^\x00-\x08\x0a-\x1f]*\Z")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEX = re.compile(rb"0*[0-9A-Fa-f]{1,15}\Z")
_ENVELOPE = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?.{0,300}?\?>\s*)?(?:<!--.{0,2000}?-->\s*){0,4}"
                       rb"<(?:[A-Za-z_][\w.-]{0,60}:)?Envelope[\s/>]", re.DOTALL)
_STARTS = tuple(m.encode() + b" " for m in _METHODS) + (b"HTTP/1.",)


class Head(NamedTuple):
    """A request or status line and the header fields. `method` is empty in a response, `status` 0 in a request."""

    method: str
    target: str
    status: int
    reason: str
    version: str
    headers: dict[str, Any]      # lower-case name -> value; repeated are joined (RFC 9110 5.3), Set-Cookie is a list
    problems: tuple[Problem, ...]


def text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def looks_like_start(head: bytes) -> bool:
    """Could a stream that begins with these bytes be HTTP/1.x? A whole first line must be one; a cut one may yet be."""
    line, newline, _ = head.lstrip(b"\r\n").partition(b"\n")
    if newline:
        return bool(_REQUEST.match(line) or _RESPONSE.match(line))
    return bool(_BEGUN_REQUEST.match(line) or _BEGUN_RESPONSE.match(line)) or bool(_REQUEST.match(line))


def may_become_start(head: bytes) -> bool:
    """Are these first bytes of a segment a start line, or the beginning of one?"""
    if b"\n" in head:
        return looks_like_start(head)
    return looks_like_start(head) or any(start.startswith(head) or head.startswith(start) for start in _STARTS)


def parse_head(data: bytes) -> Head | None:
    """A head without its closing empty line; the last line may be cut where the capture is. None: no start line."""
    line, _, rest = data.partition(b"\n")
    found = _start(line)
    if found is None:
        return None
    method, target, status, reason, version = found
    headers, problems = _headers(rest, len(line) + 1)
    if not status:
        if " " in target:
            problems.insert(0, Problem(len(method) + 1, "a space inside the request target"))
        if version == "1.1" and "host" not in headers:
            problems.append(Problem(0, "no Host in an HTTP/1.1 request (RFC 9112 3.2)"))
    return Head(method, target, status, reason, version, headers, tuple(problems))


def cut_head(line: bytes) -> Head | None:
    """A head of which the capture holds no whole line, only a start line to its version or its reason."""
    found = _CUT_REQUEST.match(line)
    if found:
        return Head(found[1].decode(), text(found[2]), 0, "", "", {}, ())
    found = _CUT_RESPONSE.match(line)
    return Head("", "", int(found[2]), "", found[1].decode(), {}, ()) if found else None


@remembered(1024)
def _start(line: bytes) -> tuple[str, str, int, str, str] | None:
    """The first five of a Head."""
    found = _RESPONSE.match(line)
    if found:
        version, status, reason = found.groups()
        return "", "", int(status), text(reason or b""), version.decode()
    found = _REQUEST.match(line)
    return (found[1].decode(), text(found[2]), 0, "", found[3].decode()) if found else None


def _headers(data: bytes, offset: int) -> tuple[dict[str, Any], list[Problem]]:
    headers: dict[str, Any] = {}
    problems: list[Problem] = []
    lines, places = data.split(b"\n"), None
    if len(lines) > _MOST_HEADERS or b"\n " in data or b"\n\t" in data:
        lines, places = _unfolded(lines, offset, problems)
    for index, line in enumerate(lines):
        field = _field(line)
        if field is None:
            if line.strip(b"\r"):
                problems.append(Problem(_place(index, lines, places, offset), "not a header field"))
            continue
        key, said, blank = field
        if blank:
            problems.append(Problem(_place(index, lines, places, offset),
                                    "white space before the colon of a header field (RFC 9112 5.1)"))
        if key not in headers:
            headers[key] = said
        elif key == "set-cookie":
            headers[key] = [*(headers[key] if isinstance(headers[key], list) else [headers[key]]), said]
        else:
            headers[key] += ", " + said
    return headers, problems


def _unfolded(lines: list[bytes], offset: int, problems: list[Problem]) -> tuple[list[bytes], list[int]]:
    """The header lines with what is folded in one (RFC 9112 5.2), as many as are read, and where each begins."""
    fields: list[tuple[int, bytes]] = []
    for line in lines:
        if line[:1] in (b" ", b"\t") and fields:
            at, begun = fields.pop()
            fields.append((at, begun.rstrip() + b" " + line.strip()))
        elif line.strip(b"\r"):
            fields.append((offset, line))
        offset += len(line) + 1
    if len(fields) > _MOST_HEADERS:
        at, _ = fields[_MOST_HEADERS]
        problems.append(Problem(at, f"{len(fields)} header fields, of which {_MOST_HEADERS} are read"))
        del fields[_MOST_HEADERS:]
    return [line for _, line in fields], [at for at, _ in fields]


def _place(index: int, lines: list[bytes], places: list[int] | None, offset: int) -> int:
    return places[index] if places is not None else offset + sum(map(len, lines[:index])) + index


@remembered(4096)
def _field(line: bytes) -> tuple[str, str, bool] | None:
    """Lower-case name and value of a header line, and whether the name has a blank behind it. None: it is none."""
    name, colon, value = line.partition(b":")
    if not colon or not _NAME.fullmatch(name.rstrip(b" \t")):
        return None
    return name.strip().decode().lower(), text(value.strip(b" \t\r")), name[-1:] in b" \t"


def framing(head: Head, request_method: str) -> tuple[str, int, list[Problem]]:
    """How the body ends (RFC 9112 6.3): ("none" | "length" | "chunked" | "close", octets, problems)."""
    status, headers = head.status, head.headers
    if status and (request_method == "HEAD" or status < 200 or status in (204, 304)):
        return "none", 0, []
    if request_method == "CONNECT" and 200 <= status < 300:
        return "none", 0, []
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None:
        problems = []
        if length is not None:
            problems.append(Problem(0, "both Transfer-Encoding and Content-Length (RFC 9112 6.3)"))
        if coding.lower().replace(" ", "").split(",")[-1].split(";")[0] == "chunked":
            return "chunked", 0, problems
        if coding.lower().strip() != "identity":
            problems.append(Problem(0, f"Transfer-Encoding {coding!r} that does not end"))
            return ("close" if status else "none"), 0, problems
    if length is not None:
        values = {value.strip() for value in length.split(",")}
        value = values.pop()
        if not values and value.isascii() and value.isdigit() and len(value.lstrip("0")) < 16:
            return "length", int(value.lstrip("0") or 0), []
        return ("close" if status else "none"), 0, [Problem(0, f"Content-Length {length!r} is no number")]
    return ("close" if status else "none"), 0, []


def chunk_size(line: bytes) -> int | None:
    """Octets of the chunk this line announces (RFC 9112 7.1); extensions are not needed."""
    number = line.partition(b";")[0].strip()
    return int(number, 16) if _HEX.match(number) else None


def path_and_query(target: str) -> tuple[str, str]:
    """Path and query of a request target, whichever of its forms it has (RFC 9112 3.2)."""
    scheme, found, rest = target.partition("://")
    if found and "/" not in scheme and "?" not in scheme:
        authority, slash, rest = rest.partition("/")
        target = slash + rest or "/"
    path, _, query = target.partition("?")
    return path, query


def head_end(data: bytes | bytearray, start: int) -> tuple[int, int]:
    """Offsets behind the last line of a head and behind the empty one that ends it; (-1, -1) where there is none.

    It is looked for from `start` on.
    """
    found = data.find(b"\n\r\n", start)
    bare = data.find(b"\n\n", start, found + 1 if found >= 0 else len(data))
    if bare >= 0:
        return bare + 1, bare + 2
    return (found + 1, found + 3) if found >= 0 else (-1, -1)


def content_type(headers: dict[str, Any]) -> str:
    """The media type in lower case and without parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def inflate(body: bytes, headers: dict[str, Any], whole: bool) -> tuple[bytes | None, list[Problem]]:
    """The body as it was before it was compressed; None where that cannot be read. Bounded by LARGEST_BODY."""
    problems: list[Problem] = []
    if "content-encoding" not in headers and "transfer-encoding" not in headers:
        return body, problems
    said = headers.get("content-encoding", "") + "," + headers.get("transfer-encoding", "")
    codings = [c for c in said.lower().replace(" ", "").split(",") if c not in ("", "identity", "chunked")]
    for coding in codings[:4]:
        if coding not in ("gzip", "x-gzip", "deflate"):
            return None, problems
        if not body:
            continue
        try:
            # Said to be gzip or zlib, and in practice either of them, or bare deflate (RFC 9110 8.4.1.2).
            zlib_header = body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
            engine = zlib.decompressobj(47 if zlib_header or body[:2] == b"\x1f\x8b" else -15)
            body = engine.decompress(body, LARGEST_BODY)
        except zlib.error as error:
            return None, [*problems, Problem(0, f"the body is not {coding}: {error}")]
        if engine.unconsumed_tail:
            problems.append(Problem(0, f"the body inflates to more than {LARGEST_BODY} octets"))
        elif whole and not engine.eof:
            problems.append(Problem(0, f"the {coding} body ends early"))
    return body, problems


def is_envelope(body: bytes) -> bool:
    """Does XML with a SOAP envelope begin here? Content types are often wrong about it."""
    return _ENVELOPE.match(body[:4096]) is not None
