import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.rulebook.mistakes import Mistakes
from flowcheck.rulebook.yamltree import Map, read


def good(text):
    mistakes = Mistakes()
    data = read(text, "f", mistakes)
    assert mistakes.lines() == []
    return data


def bad(text):
    mistakes = Mistakes()
    read(text, "f", mistakes)
    return mistakes.lines()


@pytest.mark.parametrize("text, value", [
    ("no", "no"), ("yes", "yes"), ("on", "on"), ("off", "off"), ("NO", "NO"), ("y", "y"),
    ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
    ("2027-01-31", "2027-01-31"), ("2026-05-01T12:00:00Z", "2026-05-01T12:00:00Z"), ("12:30:45", "12:30:45"),
    ("7", 7), ("-7", -7), ("0", 0), ("2.1", 2.1), ("0x10", "0x10"), ("00193", "00193"), ("1_000", "1_000"),
    ("1e5", "1e5"), (".inf", ".inf"), ("9" * 30, "9" * 30), ("5.1.1", "5.1.1"), ("'7'", "7"), ('"true"', "true"),
])
def test_scalars(text, value):
    found = good(f"a: {text}\n")["a"]
    assert found == value and type(found) is type(value)


def test_every_key_and_item_has_its_place():
    data = good("a:\n  - {b: 1, c: [x,\n     y]}\nd: >\n  text\n  more\n")
    assert data.mark == (1, 1) and data.keys_at == {"a": (1, 1), "d": (4, 1)}
    inner = data["a"][0]
    assert data["a"].items_at == [(2, 5)] and inner.keys_at == {"b": (2, 6), "c": (2, 12)}
    assert inner["c"].items_at == [(2, 16), (3, 6)] and data["d"] == "text more\n"


@pytest.mark.parametrize("text, line", [
    ("a: 1\nb: 2\na: 3\n", "f:3:1: 'a' is given twice; the first stands in line 1"),
    ("a: &x 1\nb: *x\n",
     "f:2:4: '*x' is a YAML alias, which is not read; write the value out, and put a pattern that begins "
                         "with '*' in quotes"),
    ("a: *.GPS.X\n", "f:1:5: a value that begins with '*' must be in quotes"),
    ("a: !!str 5\n", "f:1:4: 'tag:yaml.org,2002:str' is a YAML tag, which is not read; put a text in quotes instead"),
    ("a: 1\n---\nb: 2\n", "f:2:1: a second document begins here; write one file for each"),
    ("a: x: y\n", "f:1:5: not YAML: a second ': ' on the line; put the text after the first one in quotes"),
    ("? [1]\n: 2\n", "f:1:3: a key must be a word"),
])
def test_what_is_refused(text, line):
    assert bad(text) == [line]


def test_an_alias_bomb_costs_nothing():
    text = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghijk", "bcdefghijkl"))
    assert "alias" in bad(text)[0]


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab:-[]{}#&*!|>'\"\n ,?%@\t1.", max_size=60))
def test_noise_is_data_or_a_mistake(text):
    mistakes = Mistakes()
    data = read(text, "f", mistakes)
    assert mistakes or data is None or isinstance(data, (Map, list, str, int, float, bool))
