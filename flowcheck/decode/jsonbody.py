"""JSON documents (RFC 8259) in the bodies of HTTP and CoAP messages."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from math import isfinite
from typing import Any

from ..model import Context, Message, Problem
from . import _flat

_FIELDS = ("body", "flat", "names", "unread", "protocol", "content_type", "method", "path", "status", "code", "token")
KINDS = {"json.request": _FIELDS, "json.response": _FIELDS}
PAYLOADS = ("application/json", "text/json", "application/problem+json", "application/vnd.api+json",
            "application/ld+json", "application/hal+json", "application/senml+json", "application/merge-patch+json",
            "application/json-patch+json", "application/vnd.oma.lwm2m+json", "application/3gpphal+json",
            "application/vnd.3gpp.seal-info+json")

_LARGEST = 1 << 20                        # octets; a larger body is named, not read


def decode(data: bytes, context: Context) -> Iterator[Message]:
    """One body. What is no JSON is still a message: without `body`, and with the reason as a problem."""
    if not data.strip():
        return
    fields, body, problems = _flat.carried(context.carrier), None, ()
    if len(data) > _LARGEST:
        fields["unread"] = f"{len(data)} octets"
    elif not context.missing:
        body, problems = _parse(data)
    if body is not None:
        flat, names = _flat.flatten(body)
        fields |= {"body": body, "flat": flat, "names": names}
    yield context.message(f"json.{_flat.direction(context.carrier)}", fields, problems,
                          incomplete=bool(context.missing))


def _parse(data: bytes) -> tuple[Any, tuple[Problem, ...]]:
    problems: list[Problem] = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs) and not problems:
            twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
            problems.append(Problem(0, f"name {twice[:80]!r} given twice in one object"))
        return found

    try:
        text = data.decode(json.detect_encoding(data))
        body = json.loads(text, object_pairs_hook=members, parse_float=_number, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return None, (Problem(len(error.doc[:error.pos].encode("utf-8", "replace")), f"no JSON: {error.msg}"),)
    except UnicodeDecodeError as error:
        return None, (Problem(error.start, f"no JSON: {error.reason}"),)
    except (RecursionError, ValueError) as error:
        return None, (Problem(0, f"no JSON: {str(error)[:80]}"),)
    if _flat.too_deep(body):
        return None, (*problems, Problem(0, f"JSON nests deeper than {_flat.DEEPEST} levels"))
    return (_clean(body) if "\\u" in text else body), tuple(problems)


def _number(text: str) -> float | str:
    """A number beyond a double's range stays as it was written."""
    value = float(text)
    return value if isfinite(value) else text


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON value")


def _clean(value: Any) -> Any:
    """Without lone surrogates, which no encoding can write down again (RFC 8259 8.2)."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_clean(name): _clean(inner) for name, inner in value.items()}
    return [_clean(inner) for inner in value] if isinstance(value, list) else value
