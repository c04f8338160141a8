"""Checks marked data against one of the two JSON Schemas beside this file, in words that say what to write instead.

The schemas (JSON Schema 2020-12) are the single truth about structure, for editors and for this loader. They keep to
few keywords and key every choice on a word that is present, so this small reading of them can put two complaints of one
misspelling into one, and takes milliseconds where a general validator takes longer to import.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .mistakes import Mark, Mistakes, did_you_mean, listed, nearest
from .yamltree import List, Map

Schema = Mapping[str, Any] | bool

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
}
_WORDS = {"object": "a mapping", "array": "a list", "string": "a text", "boolean": "true or false",
          "integer": "a whole number", "number": "a number"}
_ANNOTATIONS = {"$schema", "$defs", "title", "description", "patternErrorMessage"}


@cache
def schema(name: str) -> Mapping[str, Any]:
    """`schema.json` or `site-schema.json`, parsed."""
    return json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def check(data: Any, name: str, path: str, mistakes: Mistakes) -> bool:
    """Adds every structural mistake of `data` to `mistakes`; true where there is none."""
    before = len(mistakes)
    _Check(schema(name), path, mistakes).value(data, schema(name), _At((1, 1), "", "", ""))
    return len(mistakes) == before


class _At:
    """Where a value stands: its mark, what it belongs to ("step 'inform'"), its key, and the key as shown."""

    __slots__ = ("mark", "owner", "key", "shown", "entry")

    def __init__(self, mark: Mark, owner: str, key: str, shown: str, entry: bool = False) -> None:
        self.mark, self.owner, self.key, self.shown, self.entry = mark, owner, key, shown, entry


class _Check:
    def __init__(self, root: Mapping[str, Any], path: str, mistakes: Mistakes) -> None:
        self.root, self.path, self.mistakes = root, path, mistakes

    def value(self, value: Any, rules: Schema, at: _At) -> None:
        rules = self.resolved(rules)
        if "if" in rules:
            branch = "then" if self.holds(value, rules["if"]) else "else"
            self.value(value, rules[branch], at)
            return
        types = rules.get("type")
        if types is not None and not _is_a(value, types):
            self.say(at, _wrong_type(value, types, at))
            return
        if "enum" in rules and value not in rules["enum"]:
            words = [str(word) for word in rules["enum"]]
            self.say(at, f"'{_shown(at, value)}': must be {_alternatives(words)}{did_you_mean(str(value), words)}")
        elif isinstance(value, str):
            self.text(value, rules, at)
        elif isinstance(value, Map):
            self.mapping(value, rules, at)
        elif isinstance(value, List):
            self.items(value, rules, at)
        elif isinstance(value, (int, float)):
            self.number(value, rules, at)

    def resolved(self, rules: Schema) -> Mapping[str, Any]:
        while "$ref" in rules:
            rules = self.root["$defs"][rules["$ref"].rpartition("/")[2]]
        return rules

    def holds(self, value: Any, condition: Mapping[str, Any]) -> bool:
        """The condition of an `if`: a type, and keys that must be there."""
        return _is_a(value, condition["type"]) and all(key in value for key in condition.get("required", ()))

    def say(self, at: _At, text: str) -> None:
        self.mistakes.add(self.path, at.mark, f"{at.owner}: {text}" if at.owner else text)

    def text(self, value: str, rules: Mapping[str, Any], at: _At) -> None:
        if len(value) < rules.get("minLength", 0):
            self.say(at, f"'{at.shown}' is empty")
        elif "pattern" in rules and not re.search(rules["pattern"], value):
            self.say(at, f"'{_shown(at, value)}': {rules['patternErrorMessage']}")

    def number(self, value: float, rules: Mapping[str, Any], at: _At) -> None:
        for word, wrong, text in (("minimum", value < rules.get("minimum", value), "at least"),
                                  ("exclusiveMinimum", value <= rules.get("exclusiveMinimum", value - 1), "more than"),
                                  ("maximum", value > rules.get("maximum", value), "at most")):
            if wrong:
                self.say(at, f"'{_shown(at, value)}': must be {text} {rules[word]}")

    def items(self, value: List, rules: Mapping[str, Any], at: _At) -> None:
        if len(value) < rules.get("minItems", 0) or len(value) > rules.get("maxItems", len(value)):
            least, most = rules.get("minItems", 0), rules.get("maxItems")
            outside = f"at least {least}" if len(value) < least else f"at most {most}"
            wanted = f"exactly {least}" if least == most else outside
            counted = f"{len(value)} {'entry' if len(value) == 1 else 'entries'}"
            self.say(at, f"'{at.shown}' has {counted}, needs {wanted}")
        if "items" in rules:
            for item, mark in zip(value, value.items_at):
                self.value(item, rules["items"], _At(mark, _owner(item, at), at.key, at.shown, True))

    def mapping(self, value: Map, rules: Mapping[str, Any], at: _At) -> None:
        owner = _owner(value, at)
        here = _At(at.mark if at.key else value.mark, owner, at.key, at.shown)
        known = rules.get("properties", {})
        others = rules.get("additionalProperties", False)
        unknown = [key for key in value if key not in known] if others is False else []
        self.absent(value, rules, unknown, _At(value.mark, owner, at.key, at.shown, at.entry))
        if len(value) < rules.get("minProperties", 0):
            self.say(here, f"'{at.shown}' is empty" if not known else f"'{at.shown}' needs one of {listed(known)}")
        if len(value) > rules.get("maxProperties", len(value)):
            self.say(_At(value.keys_at[list(value)[1]], owner, "", ""), f"'{at.shown}' holds one test, this one has "
                     f"{len(value)}: {listed(value)}; join them with 'all' or 'any'")
        for first, excluded in rules.get("dependentSchemas", {}).items():
            for second in excluded["properties"] if first in value else ():
                if second in value:
                    later = max(first, second, key=lambda key: value.keys_at[key])
                    self.say(_At(value.keys_at[later], owner, "", ""), f"'{first}' and '{second}' exclude each other")
        names = self.resolved(rules["propertyNames"]) if "propertyNames" in rules else {}
        for key, item in value.items():
            below = _At(value.keys_at[key], owner, key, key)
            if key in known:
                self.value(item, known[key], below)
            elif others is not False:
                if names and not re.search(names["pattern"], key):
                    self.say(below, f"'{key}': {names['patternErrorMessage']}")
                self.value(item, others, _At(below.mark, _role(at, key) or owner, key, key))

    def absent(self, value: Map, rules: Mapping[str, Any], unknown: list[str], at: _At) -> None:
        """Keys that are missing and keys nobody reads; one line where the second is the first misspelt."""
        wanted = [(key,) for key in rules.get("required", ()) if key not in value]
        for part in (rules, *rules.get("allOf", ())):
            choices = tuple(choice["required"][0] for choice in part.get("anyOf", ()))
            if choices and not any(choice in value for choice in choices):
                wanted.append(choices)
        known = rules.get("properties", {})
        for choices in wanted:
            misspelt = next((key for key in unknown if nearest(key, known) in choices), None)
            text = _absent((nearest(misspelt, choices),) if misspelt else choices, value, at)
            if misspelt:
                unknown.remove(misspelt)
                text += f" (and a key '{misspelt}' nobody reads)"
            self.mistakes.add(self.path, at.mark, text)
        for key in unknown:
            guess = did_you_mean(key, (word for word in known if word not in value))
            text = f"unknown key '{key}'{guess or f'; keys here are {listed(known, 40)}'}"
            self.say(_At(value.keys_at[key], at.owner, "", ""), text)


def _absent(choices: tuple[str, ...], value: Map, at: _At) -> str:
    """`step 'ask-hms' has no 'message'`, `step 'ask-hms': 'within' has no 'after'`, `the file has no 'roles'`."""
    if "step" in choices:                                  # the schema's name for what is neither step nor group
        return f"{at.owner + ': ' if at.owner else ''}an entry of 'steps' has no 'step' (and no 'group')"
    lacks = f"has no '{choices[0]}'" if len(choices) == 1 else f"needs one of {listed(choices)}"
    if at.owner and (_owner(value, at) != at.owner or at.key in ("", "steps") or at.owner == f"role '{at.key}'"):
        return f"{at.owner} {lacks}"
    inner = f"{'an entry of ' if at.entry else ''}'{at.key}' {lacks}" if at.key else f"the file {lacks}"
    return f"{at.owner}: {inner}" if at.owner else inner


def _owner(value: Any, at: _At) -> str:
    if isinstance(value, dict):
        for word in ("step", "group"):
            if isinstance(value.get(word), str):
                return f"{word} '{value[word]}'"
    return at.owner


def _role(at: _At, key: str) -> str:
    return f"role '{key}'" if at.key == "roles" else ""


def _is_a(value: Any, types: str | list[str]) -> bool:
    return any(_TYPES[name](value) for name in ([types] if isinstance(types, str) else types))


def _wrong_type(value: Any, types: str | list[str], at: _At) -> str:
    types = [types] if isinstance(types, str) else types
    wanted = _alternatives([_WORDS[name] for name in types])
    if value is None:
        return f"'{at.shown}' is empty, needs {wanted}"
    if "string" in types and not isinstance(value, (dict, list)):
        return f"'{_shown(at, value)}' is read as {_kind(value)}: put it in quotes"
    found = _kind(value) if isinstance(value, (dict, list)) else f"'{value}'"
    return f"'{at.shown}' must be {wanted}, not {found}" if at.shown else f"must be {wanted}, not {found}"


def _kind(value: Any) -> str:
    return next((_WORDS[name] for name in ("object", "array", "string", "boolean", "integer", "number")
                 if _TYPES[name](value)), "nothing")


def _shown(at: _At, value: Any) -> str:
    if isinstance(value, (dict, list)):
        return at.shown
    value = str(value).lower() if isinstance(value, bool) else value
    return f"{at.shown}: {value}" if at.shown else str(value)


def _alternatives(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
