"""SOAP envelopes as devices really send them (SOAP 1.1 sections 4 and 6), read with lxml.

XML from a device is untrusted: no DTD, no entities, no network, no huge trees. A document that is not well-formed is
mended where the defect is known and harmless (a bare ampersand, control characters, Latin-1 said to be UTF-8), and is
otherwise read as far as libxml2 can follow it; either way there is a Problem. A document cut by the capture is read up
to its last whole element, so that no text is taken for more than it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

from ..model import Problem

SOAP_1_1 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_1_2 = "http://www.w3.org/2003/05/soap-envelope"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
ARRAY_TYPE = "{http://schemas.xmlsoap.org/soap/encoding/}arrayType"

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_MOST_ENVELOPES = 64
_ENVELOPE_END = re.compile(rb"</(?:[A-Za-z_][\w.-]*:)?Envelope\s*>")
_LAST_END = re.compile(rb"</[^<>]*>|<[^<>]*/>")
_BARE_AMPERSAND = re.compile(r"&(?!(?:#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6}|amp|lt|gt|quot|apos);)")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_DECLARATION = re.compile(r"^\s*<\?xml.{0,300}?\?>", re.DOTALL)


class Envelope(NamedTuple):
    """`root` is None where nothing could be read. `cut`: the capture does not hold the end of it."""

    root: Any
    problems: list[Problem]
    cut: bool


def envelopes(data: bytes, missing: bool) -> list[Envelope]:
    """The envelopes of one body; usually one. `missing` says that the capture lacks its end."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        return [Envelope(None, [Problem(max(0, data.find(b"<!")), "XML with a DTD is not read")], missing)]
    if data[:2] not in _UTF_16:
        data = data.strip(b"\0 \t\r\n")
    try:
        return [Envelope(_parse(data), [], False)]
    except _syntax_error() as error:
        reason = error
    pieces = _split(data)
    if len(pieces) == 1 and pieces[0] == data:
        return [_salvage(data, missing, reason)]
    found = []
    for number, piece in enumerate(pieces):
        try:
            found.append(Envelope(_parse(piece.strip(b"\0 \t\r\n")), [], False))
        except _syntax_error() as error:
            found.append(_salvage(piece, missing and number == len(pieces) - 1, error))
    if len(pieces) == 1:
        found[0].problems.append(Problem(len(pieces[0]), "the body does not end with the envelope"))
    return found


def local(tag: str) -> str:
    """The name without its namespace."""
    return tag[tag.rfind("}") + 1:] if tag[:1] == "{" else tag


def namespace(tag: str) -> str:
    return tag[1:tag.rfind("}")] if tag[:1] == "{" else ""


def text(element: Any) -> str:
    return (element.text or "").strip()


@cache
def _parser(recover: bool) -> Callable[[bytes], Any]:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False,
                             dtd_validation=False, collect_ids=False, remove_comments=True, remove_pis=True,
                             recover=recover)
    return partial(etree.fromstring, parser=parser)


@cache
def _syntax_error() -> type[Exception]:
    from lxml import etree

    return etree.XMLSyntaxError


def _parse(data: bytes, recover: bool = False) -> Any:
    return _parser(recover)(data)


def _split(data: bytes) -> list[bytes]:
    """One piece for each envelope; what follows the last one counts only if it is the beginning of another."""
    pieces, start = [], 0
    for end in _ENVELOPE_END.finditer(data):
        pieces.append(data[start:end.end()])
        start = end.end()
        if len(pieces) >= _MOST_ENVELOPES:
            return pieces
    if not pieces or b"Envelope" in data[start:]:
        pieces.append(data[start:])
    return pieces


def _salvage(data: bytes, missing: bool, reason: Exception) -> Envelope:
    """What can be read of a document that is cut or not well-formed."""
    if missing:
        last = None
        for last in _LAST_END.finditer(data):
            pass
        root = _recovered(data[:last.end()]) if last else None
        return Envelope(root, [], True)
    line, column = getattr(reason, "position", (1, 1))
    problem = Problem(_offset(data, line, column), f"not well-formed XML: {str(reason)[:120]}")
    try:
        decoded = data.decode()
    except UnicodeDecodeError:
        decoded = data.decode("latin-1")
    mended = _BARE_AMPERSAND.sub("&amp;", _FORBIDDEN.sub("", _DECLARATION.sub("", decoded))).strip()
    try:
        return Envelope(_parse(mended.encode()), [problem], False)
    except _syntax_error():
        return Envelope(_recovered(mended.encode()), [problem], False)


def _recovered(data: bytes) -> Any:
    from lxml import etree

    try:
        root = _parse(data.strip(), recover=True)
    except _syntax_error():
        return None
    if root is not None:
        # entities nobody defined stay as nodes without a name
        etree.strip_elements(root, etree.Entity, with_tail=False)
    return root


def _offset(data: bytes, line: int, column: int) -> int:
    at = 0
    for _ in range(min(line, 100_000) - 1):
        newline = data.find(b"\n", at)
        if newline < 0:
            break
        at = newline + 1
    return min(len(data), at + max(0, column - 1))
