"""Conditions: true, false, and what the capture cannot tell."""

import pytest
from literals import scope

from flowcheck.conform.conditions import holds
from flowcheck.conform.scope import Host
from flowcheck.rulebook.rule import Condition, Reference


A, B = Host(frozenset({"a.example"})), Host(frozenset({"b.example"}))


@pytest.mark.parametrize("condition, value", [
    (Condition("seen", ("a",)), True), (Condition("seen", ("z",)), False),
    (Condition("known", (Reference(("device", "gw")),)), False), (Condition("known", ("one",)), True),
    (Condition("equals", ("x", "X")), True), (Condition("equals", ("x", Reference(("later",)))), None),
    (Condition("is_name", ("one",)), True),
    (Condition("is_name", ("literal",)), False), (Condition("is_name", ("no",)), None),
    (Condition("needs_lookup", ("one",)), None), (Condition("needs_lookup", ("literal",)), False),
    (Condition("same_host", ("one", "one")), True), (Condition("same_host", ("one", "two")), False),
    (Condition("same_host", ("one", "literal")), None), (Condition("same_host", ("one", "no")), None),
])
def test_conditions(condition, value):
    known = scope({"one": A, "two": B, "literal": "192.0.2.7"})
    assert holds(condition, known, {}, frozenset("a")) is value
    assert holds(Condition("not", (condition,)), known, {}, frozenset("a")) is (None if value is None else not value)


T, F, U = Condition("seen", ("a",)), Condition("seen", ("z",)), Condition("is_name", ("no",))


@pytest.mark.parametrize("test, parts, value", [
    ("all", (T, T), True), ("all", (T, U), None), ("all", (F, U), False), ("any", (F, F), False), ("any", (F, U), None),
    ("any", (T, U), True)])
def test_three_valued_logic(test, parts, value):
    assert holds(Condition(test, parts), scope(), {}, frozenset("a")) is value


def test_the_site_says_which_names_are_one_host(tmp_path):
    from flowcheck.rulebook.site import load_site
    profile = tmp_path / "site.yaml"
    profile.write_text("site: s\nhosts: {same_entity: [[a.example, b.example]]}\n")
    known = scope({"one": A, "two": B}, site=load_site(profile))
    assert holds(Condition("same_host", ("one", "two")), known, {}, frozenset())
