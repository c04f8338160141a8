import random
import re
from pathlib import Path

import pytest

from flowcheck.rulebook import structure
from flowcheck.rulebook.mistakes import Mistakes
from flowcheck.rulebook.yamltree import Map, read

SITE = """
site: lab
hosts:
  segw_initial: {name: a.example, addresses: [192.0.2.1]}
  mme: {names: [m.example]}
  same_entity: [[a.example, b.example]]
ports: {cwmp: [7547, 8080], iuh: 29169}
timers: {dns: 5, ike: 2.5}
capture_point: wan
parameters: {location: ["*.X"], hnb_gw: "*.Y"}
fields: {result: [result]}
bindings: {mcim_status_path: status}
vendors: [{when: {field: DeviceId.Manufacturer, equals: Example}, parameters: {location: ["*.Z"]}, replace: true}]
waive: [{finding: a/b/late, reason: slow, until: 2027-01-31}]
deprovisioned: {lifted_at: "2026-05-01T12:00:00Z"}
"""


def documents(discovery):
    return {"schema.json": discovery.read_text(), "site-schema.json": SITE}


def places(value, path=()):
    """Every place in some data, as the keys and indexes that lead to it."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def changed(text, path, change):
    """The data of `text` with one change made at `path`."""
    data = read(text, "", Mistakes())
    holder = data
    for key in path[:-1]:
        holder = holder[key]
    if change == "remove":
        del holder[path[-1]]
        if isinstance(holder, list):
            del holder.items_at[path[-1]]
    elif change == "rename":
        if not isinstance(holder, dict):
            return None
        holder["unheard_of"] = holder.pop(path[-1])
        holder.keys_at["unheard_of"] = (1, 1)
    elif change == "add":
        target = holder[path[-1]]
        if not isinstance(target, dict):
            return None
        target["message"] = "dns.query"
        target.keys_at["message"] = (1, 1)
    else:
        holder[path[-1]] = Map((1, 1)) if change == {} else change
    return data


@pytest.mark.parametrize("name", ["schema.json", "site-schema.json"])
def test_agrees_with_a_json_schema_validator(name, discovery):
    """On the right file and on hundreds of damaged ones: right for one is right for the other."""
    validator = pytest.importorskip("jsonschema").Draft202012Validator(structure.schema(name))
    text = documents(discovery)[name]
    right = read(text, "", Mistakes())
    assert validator.is_valid(right) and structure.check(right, name, "", Mistakes())
    changes = ["remove", "rename", "add", {}, "x", "$a.b", "", 0, -1, 2.5, True, None]
    cases = [(path, change) for path in places(right) if path for change in changes]
    verdicts = set()
    for path, change in random.Random(583).sample(cases, min(600, len(cases))):
        data = changed(text, path, change)
        if data is not None:
            verdict = validator.is_valid(data)
            assert structure.check(data, name, "", Mistakes()) == verdict, (path, change)
            verdicts.add(verdict)
    assert verdicts == {True, False}


@pytest.mark.parametrize("name", ["schema.json", "site-schema.json"])
def test_the_schemas_keep_to_the_words_that_are_read(name):
    """A keyword that structure.py does not know would be checked by editors and not by the loader."""
    pytest.importorskip("jsonschema").Draft202012Validator.check_schema(structure.schema(name))
    known = {"$schema", "$defs", "$ref", "title", "description", "patternErrorMessage", "type", "enum", "if", "then",
             "else",
             "required", "properties", "additionalProperties", "propertyNames", "dependentSchemas", "anyOf", "allOf",
             "minProperties", "maxProperties", "items", "minItems", "maxItems", "minLength", "pattern", "minimum",
             "maximum",
             "exclusiveMinimum"}

    def walk(rules):
        if isinstance(rules, bool):
            return
        assert rules.keys() <= known, rules.keys() - known
        assert "pattern" not in rules or "patternErrorMessage" in rules
        for word in ("properties", "$defs", "dependentSchemas"):
            for inner in rules.get(word, {}).values():
                walk(inner)
        for word in ("if", "then", "else", "items", "additionalProperties", "propertyNames"):
            if word in rules:
                walk(rules[word])
        for inner in (*rules.get("anyOf", ()), *rules.get("allOf", ())):
            walk(inner)

    walk(structure.schema(name))


PAGE = Path(__file__).resolve().parents[2] / "docs" / "rule-language.md"


def test_the_examples_of_the_language_page_are_right():
    rule, profile = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for text, name in ((rule, "schema.json"), (profile, "site-schema.json")):
        mistakes = Mistakes()
        structure.check(read(text, name, mistakes), name, name, mistakes)
        assert mistakes.lines() == []


def test_the_language_page_explains_every_key():
    """docs/rule-language.md is kept in step with the schemas: every key and every word of a choice stands in it."""
    page = PAGE.read_text()
    words = set()

    def walk(rules):
        if isinstance(rules, dict):
            words.update(rules.get("properties", {}))
            words.update(rules.get("enum", ()))
            for inner in rules.values():
                walk(inner)
        elif isinstance(rules, list):
            for inner in rules:
                walk(inner)

    for name in ("schema.json", "site-schema.json"):
        walk(structure.schema(name))
    missing = sorted(word for word in words
                     if not any(form in page for form in (f"`{word}`", f"`{word}:", f"`{{{word}:")))
    assert not missing
