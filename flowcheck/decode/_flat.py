"""A nested document as dotted paths, so that a rule can name a field wherever the peer put it. Bounded."""

from __future__ import annotations

from typing import Any

DEEPEST = 64                              # levels of nesting a document may have
_MOST = 4096                              # leaves that are listed


def flatten(body: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """({dotted path: value}, every field name at any level).

    A list does not add to the path: the values below one path are a list where there are several, or where the
    document has a list there. The names keep the spelling and the order of the document.
    """
    flat: dict[str, Any] = {}
    names: dict[str, None] = {}
    todo, leaves = [((), body, False)], 0
    while todo and leaves < _MOST:
        path, value, listed = todo.pop()
        if isinstance(value, dict):
            for name in value:
                names.setdefault(name)
            todo.extend(((*path, name), inner, listed) for name, inner in reversed(value.items()))
        elif isinstance(value, (list, tuple)):
            if not value and path:
                flat.setdefault(".".join(path), [])
            todo.extend((path, inner, True) for inner in reversed(value))
        else:
            leaves += 1
            _add(flat, ".".join(path), value, listed)
    return flat, tuple(names)[:_MOST]


def _add(flat: dict[str, Any], path: str, value: Any, listed: bool) -> None:
    if path not in flat:
        flat[path] = [value] if listed else value
    elif isinstance(flat[path], list):
        flat[path].append(value)
    else:
        flat[path] = [flat[path], value]


def too_deep(body: Any) -> bool:
    """Whether the document nests deeper than is safe for whoever walks it by recursion."""
    level = [body]
    for _ in range(DEEPEST):
        level = [inner for value in level if isinstance(value, (dict, list))
                 for inner in (value.values() if isinstance(value, dict) else value)]
        if not level:
            return False
    return True


def carried(carrier: Any) -> dict[str, Any]:
    """What the carrier of a body says about it, as message fields: who asked what, and what was answered."""
    fields = {"protocol": carrier.get("protocol", ""), "content_type": carrier.get("content_type", "")}
    path = carrier.get("path") or carrier.get("target") or carrier.get("uri_path")
    for name, value in (("method", carrier.get("method")), ("path", path), ("status", carrier.get("status")),
                        ("code", carrier.get("code")), ("token", carrier.get("token"))):
        if value is not None:
            fields[name] = value
    return fields


def direction(carrier: Any) -> str:
    """`request` or `response`, as the carrier says or as its status shows."""
    said = carrier.get("direction")
    if said in ("request", "response"):
        return said
    code = str(carrier.get("code") or "0")
    return "response" if carrier.get("status") is not None or code[:1] in "2345" else "request"
