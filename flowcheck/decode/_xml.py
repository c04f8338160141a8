"""Untrusted XML: no DTD, no entities, no network, bounded (lxml). WBXML becomes the same elements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..model import Problem
from ._flat import DEEPEST

LARGEST = 1 << 20                         # octets of a document; a larger one is a file, not a message
_NAME = re.compile(rb"<(?:[A-Za-z_][\w.-]{0,80}:)?([A-Za-z_][\w.-]{0,80})")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SPACE = re.compile(rb"[ \t\r\n]*")
_PROLOG = ((b"<?", b"?>"), (b"<!--", b"-->"), (b"<!", b">"))     # what may stand before the root element


class Node(NamedTuple):
    """An element, whether it came as text or as WBXML."""

    name: str                             # without namespace prefix
    namespace: str = ""
    attributes: dict[str, str] = {}
    children: tuple[Node, ...] = ()
    text: str = ""

    def child(self, name: str) -> Node | None:
        return next((node for node in self.children if node.name == name), None)

    def value(self, *path: str) -> str | None:
        """Text of the element that the names lead to, None where there is none."""
        node: Node | None = self
        for name in path:
            node = node.child(name) if node else None
        return node.text if node else None

    def all(self, *names: str) -> Iterator[Node]:
        return (node for node in self.children if node.name in names)


class Refused(Exception):
    """The document is no XML, or XML that is not read; caught inside the decoder."""

    def __init__(self, problem: Problem):
        super().__init__(problem.text)
        self.problem = problem


def root_name(head: bytes) -> str | None:
    """Local name of the root element by its first bytes, None where there is none to see."""
    found = _NAME.match(head, _prolog(head[:4096]))
    return found.group(1).decode("ascii") if found else None


def _prolog(data: bytes) -> int:
    """Octets before the root element: byte order mark, white space, XML declaration, comments, DOCTYPE."""
    at = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    for _ in range(16):
        at = _SPACE.match(data, at).end()
        closing = next((closing for opening, closing in _PROLOG if data.startswith(opening, at)), None)
        if closing is None:
            return at
        end = data.find(closing, at)
        at = end + len(closing) if end >= 0 else len(data)
    return at


def parse(data: bytes) -> Node:
    """The root element. Raises Refused."""
    from lxml import etree

    prolog = data[:_prolog(data)]
    before, doctype, rest = prolog.partition(b"<!DOCTYPE")
    if b"[" in rest or b"<!ENTITY" in data:
        raise Refused(Problem(len(before), "XML with a DTD of its own is not read"))
    if doctype:                           # the standard's own DTD, by name: not needed, and never to be fetched
        data = before + b" " * (len(prolog) - len(before)) + data[len(prolog):]
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False,
                             dtd_validation=False, collect_ids=False, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(data if data[:2] in _UTF16 else data.strip(b"\0 \t\r\n"), parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        reason = str(error.msg).rpartition(", line ")[0] or str(error.msg)
        raise Refused(Problem(_offset(data, line, column), f"no XML: {reason[:120]}")) from None
    except ValueError as error:
        raise Refused(Problem(0, f"no XML: {str(error)[:120]}")) from None
    if root.getroottree().docinfo.doctype:       # written in another encoding than ASCII's
        raise Refused(Problem(0, "XML with a DTD of its own is not read"))
    return _node(root)


def _node(element: Any) -> Node:
    """lxml's element as ours; libxml2 lets none nest deeper than 256 levels."""
    namespace, _, name = element.tag.rpartition("}")
    attributes = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
    children = tuple(_node(child) for child in element if isinstance(child.tag, str))
    return Node(name, namespace.removeprefix("{"), attributes, children, (element.text or "").strip())


def tree(node: Node, depth: int = 0) -> Any:
    """An element as dict of its attributes and children, or as text where it has neither. Repeated ones are a list."""
    if depth >= DEEPEST or not node.children and not node.attributes:
        return node.text
    found: dict[str, Any] = {}
    for name, value in node.attributes.items():
        _put(found, name, value)
    for child in node.children:
        _put(found, child.name, tree(child, depth + 1))
    if node.text:
        _put(found, "text", node.text)
    return found


def _put(found: dict[str, Any], name: str, value: Any) -> None:
    if name not in found:
        found[name] = value
    elif isinstance(found[name], list):
        found[name].append(value)
    else:
        found[name] = [found[name], value]


def _offset(data: bytes, line: int, column: int) -> int:
    """Octets before a 1-based line and column."""
    at = 0
    for _ in range(line - 1):
        at = data.find(b"\n", at) + 1
        if not at:
            return len(data)
    return min(at + max(column - 1, 0), len(data))
