"""Fields of JSON and XML documents by their names. Letter case, `_` and `-` do not count, and a name has aliases.

No clause fixes these names, so peers spell them as they like and wrap them as they like. The first alias of the list
that the document has wins, nearest to its top; what stands below a field that was found is its value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

DESCRIPTIONS = ("ue_information", "service_information", "pfc")    # `fields` whose objects have an inside of their own
_MOST = 4096                       # fields of a document that are looked at


def find(body: Any, aliases: Iterable[str], closed: Iterable[str] = ()) -> list[Any]:
    """The values of the field, in the order of the document; empty where it has none.

    A list counts as its entries. What stands inside a field of `closed`, such as the object that describes the device,
    belongs to that field and is not looked at.
    """
    wanted = tuple(map(plain, aliases))
    shut = frozenset(map(plain, closed)) - frozenset(wanted)
    best: list[Any] = []
    rank = len(wanted)
    level, seen = [body], 0
    while level and seen < _MOST:
        here: dict[int, list[Any]] = {}
        below: list[Any] = []
        for value in level:
            if isinstance(value, (list, tuple)):
                below += value
                continue
            if not isinstance(value, dict):
                continue
            for name, inner in value.items():
                seen += 1
                form = plain(name)
                if form in wanted:
                    here.setdefault(wanted.index(form), []).extend(_entries(inner))
                elif form not in shut:
                    below.append(inner)
        if here and (first := min(here)) < rank:
            rank, best = first, here[first]
        level = below
    return best


def find_field(body: Any, fields: Mapping[str, tuple[str, ...]], name: str) -> list[Any]:
    """A field of a site profile's `fields` by its meaning there; what stands inside a description of the device is not it."""
    return find_named(body, fields, fields.get(name, ()))


def find_named(body: Any, fields: Mapping[str, tuple[str, ...]], names: Iterable[str]) -> list[Any]:
    """The same by its names."""
    return find(body, names, (alias for meaning in DESCRIPTIONS for alias in fields.get(meaning, ())))


def holds_name(names: Iterable[str], aliases: Iterable[str]) -> bool:
    """Is one of the aliases among the names of a document?"""
    wanted = set(map(plain, aliases))
    return any(plain(name) in wanted for name in names)


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """The name as it is compared. A namespace prefix of XML does not count either."""
    return str(name).rpartition(":")[2].replace("_", "").replace("-", "").lower()


def _entries(value: Any) -> list[Any]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return [v["text"] if isinstance(v, dict) and "text" in v else v for v in values]      # an element with attributes
