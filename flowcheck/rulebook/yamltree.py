"""Reads the YAML of a rule or site file into plain data that remembers where each value stands.

The YAML is the small part of YAML 1.2 that a reader expects: mappings, lists and scalars. `true` and `false` are the
only booleans (`no` and `on` are words), a date is a text, a number with a leading zero is a text. Refused, because each
of them hides a mistake: a key given twice, aliases (`*name`), tags (`!!str`), a second document.
"""

from __future__ import annotations

import re
from typing import Any

from .mistakes import Mark, Mistakes

LARGEST_FILE = 1 << 20                   # octets; the longest rule that ships has some 30,000
DEEPEST = 40                             # levels of nesting

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})?\.[0-9]{1,17}")
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None,
          "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class Map(dict):
    """A mapping; `mark` is where it begins, `keys_at[key]` where a key stands."""

    __slots__ = ("mark", "keys_at")

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.keys_at: dict[str, Mark] = {}


class List(list):
    """A list; `mark` is where it begins, `items_at[index]` where an item stands."""

    __slots__ = ("mark", "items_at")

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.items_at: list[Mark] = []


def read(text: str, path: str, mistakes: Mistakes) -> Any:
    """The document in `text`. What is wrong goes to `mistakes`; None where nothing can be made of it."""
    import yaml

    if len(text) > LARGEST_FILE:
        mistakes.add(path, (1, 1), f"the file is larger than {LARGEST_FILE} characters; no rule or site profile is")
        return None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _tree(yaml.parse(text, Loader=loader), path, mistakes)
    except yaml.YAMLError as error:
        mistakes.add(path, _error_mark(error), _error_text(error))
        return None
    except _Unreadable as error:
        mistakes.add(path, error.mark, str(error))
        return None


class _Unreadable(Exception):
    def __init__(self, mark: Mark, text: str) -> None:
        super().__init__(text)
        self.mark = mark


def _tree(events: Any, path: str, mistakes: Mistakes) -> Any:
    """Builds the tree without recursion: `open_` holds the containers not yet ended, each with the key it waits for."""
    root: Any = None
    documents = 0
    open_: list[tuple[Any, str | None]] = []
    key: str | None = None                         # the key of the innermost mapping whose value comes next
    for event in events:
        name = type(event).__name__
        if name in ("MappingEndEvent", "SequenceEndEvent"):
            _, key = open_.pop()
            key = None
            continue
        if name == "DocumentStartEvent":
            documents += 1
            if documents > 1:
                raise _Unreadable(_mark(event), "a second document begins here; write one file for each")
            continue
        if name in ("StreamStartEvent", "StreamEndEvent", "DocumentEndEvent"):
            continue
        mark = _mark(event)
        if name == "AliasEvent":
            raise _Unreadable(mark, f"'*{event.anchor}' is a YAML alias, which is not read; write the value out, "
                                    "and put a pattern that begins with '*' in quotes")
        container = open_[-1][0] if open_ else None
        if isinstance(container, Map) and key is None:
            key = _key(event, name, mark, container, path, mistakes)
            continue
        if name == "ScalarEvent":
            value = _scalar(event, path, mark, mistakes)
        else:
            value = Map(mark) if name == "MappingStartEvent" else List(mark)
        if container is None:
            root = value
        elif isinstance(container, Map):
            container[key] = value
        else:
            container.append(value)
            container.items_at.append(mark)
        if name != "ScalarEvent":
            if len(open_) >= DEEPEST:
                raise _Unreadable(mark, f"nested more than {DEEPEST} levels deep")
            open_.append((value, key))
        key = None
    return root


def _key(event: Any, name: str, mark: Mark, container: Map, path: str, mistakes: Mistakes) -> str:
    if name != "ScalarEvent":
        raise _Unreadable(mark, "a key must be a word")
    key = event.value
    if key in container.keys_at:
        mistakes.add(path, mark, f"'{key}' is given twice; the first stands in line {container.keys_at[key][0]}")
    else:
        container.keys_at[key] = mark
    return key


def _scalar(event: Any, path: str, mark: Mark, mistakes: Mistakes) -> Any:
    if event.tag not in (None, "!"):
        mistakes.add(path, mark, f"'{event.tag}' is a YAML tag, which is not read; put a text in quotes instead")
    text = event.value
    if not event.implicit[0]:                      # quoted, or a block
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _mark(event: Any) -> Mark:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _error_mark(error: Any) -> Mark:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _error_text(error: Any) -> str:
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    context = getattr(error, "context", None) or ""
    if "alias" in context:
        return "a value that begins with '*' must be in quotes"
    if "cannot start any token" in problem:
        return f"not YAML: {problem}; put a value that begins with a special character (@, `, %, tab) in quotes"
    if "mapping values are not allowed" in problem:
        return "not YAML: a second ': ' on the line; put the text after the first one in quotes"
    return f"not YAML: {problem}" + (f" ({context})" if context else "")
