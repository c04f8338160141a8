"""Checks: true, false, and what the capture cannot tell."""

import pytest
from literals import message, scope

from flowcheck.conform.checks import evaluate, holds_all
from flowcheck.rulebook.rule import Check, Reference


def check(name, test, value, target="field", **more):
    names = name if isinstance(name, Reference) else (name,)
    return Check(target, names, test, value, **more)


def outcome(of, *messages, **more):
    found, = evaluate(of, messages, scope(**more), {})
    return found


@pytest.mark.parametrize("test, wanted, value, expected", [
    ("present", True, "x", True), ("present", True, "", False), ("present", True, [], False),
    ("present", False, "", True), ("present", True, 0, True), ("present", True, False, True),
    ("equals", "NOERROR", "noerror", True), ("equals", 1, "1", True), ("equals", True, "1", True),
    ("equals", True, "false", False), ("equals", "a.example", "A.example.", True), ("equals", 7, [5, 7], True),
    ("in", ("a", "b"), "b", True), ("in", ("a", "b"), "c", False), ("in", ("a",), [], False),
    ("not", "NOERROR", "SERVFAIL", True), ("not", "NOERROR", "NOERROR", False),
    ("matches", "^9\\d{3}$", "9003", True), ("matches", "^9\\d{3}$", 8003, False), ("matches", "^b", ["a", "b"], True),
    ("at_least", 1, ["x"], True), ("at_least", 1, [""], False), ("at_least", 400, 404, True),
    ("at_least", 400, "204", False), ("at_most", 2, [1, 2, 3], False), ("at_most", 2, 2, True),
])
def test_checks(test, wanted, value, expected):
    assert outcome(check("f", test, wanted), message("x.a", f=value)).holds is expected


def test_an_absent_field():
    assert outcome(check("f", "present", True), message("x.a")).absent
    assert outcome(check("f", "equals", 1), message("x.a")).holds is False
    assert outcome(check("f", "not", 1), message("x.a")).holds is True
    assert outcome(check("f", "at_least", 1), message("x.a")).holds is False


@pytest.mark.parametrize("blind", [{"incomplete": True}, {"encrypted": True}, {"decrypted": False}])
def test_a_field_out_of_sight_is_unknown(blind):
    """A cut or sealed message cannot be blamed for what it does not show, but for what it shows."""
    assert outcome(check("f", "present", True), message("x.a", **blind)).holds is None
    assert outcome(check("f", "equals", 1), message("x.a", f=2, **blind)).holds is False


def test_whether_a_cut_message_is_of_a_session_is_known():
    alone = check("session", "present", False)
    assert outcome(alone, message("x.a", incomplete=True)).holds is True
    assert outcome(alone, message("x.a", incomplete=True, session=3)).holds is False


def test_the_names_of_an_end_are_those_it_was_looked_up_by():
    """Nothing is known of the names of a host that nobody looked up."""
    of, asked = check("dst.names", "equals", "store.example"), message("x.a", 1, "hnb", "198.51.100.80")
    for resolved, holds in (({}, None), ({"store.example": frozenset({"198.51.100.80"})}, True),
                            ({"other.example": frozenset({"198.51.100.80"})}, False)):
        known = scope(resolved=resolved)
        found, = evaluate(of, (asked,), known, {})
        assert found.holds is holds and holds_all((of,), asked, known, {}) is holds


def test_a_value_not_known_yet_is_unknown():
    assert outcome(check("f", "equals", Reference(("bound", "later"))), message("x.a", f=1)).holds is None
    assert outcome(check(Reference(("site", "fields", "none")), "present", True), message("x.a", f=1)).holds is None


def test_false_wins_over_unknown():
    checks = [check("f", "equals", Reference(("later",))), check("g", "equals", 1)]
    assert holds_all(checks, message("x.a", f=1, g=1), scope(), {}) is None
    assert holds_all(checks, message("x.a", f=1, g=2), scope(), {}) is False


LISTED = {"Device.FAP.GPS.LockedLatitude": "51", "Device.FAP.GPS.LockedLongitude": "", "Device.X": "1"}


def test_a_parameter_check_is_about_all_that_match():
    assert outcome(check("*.GPS.*", "at_least", 1, "parameters"), message("x.a", ParameterList=LISTED)).holds is True
    empty = outcome(check("*.LockedLongitude", "at_least", 1, "parameters"), message("x.a", ParameterList=LISTED))
    assert empty.holds is False and empty.absent
    cut = message("x.a", ParameterList=LISTED, incomplete=True)
    assert outcome(check("*.Nowhere", "at_least", 1, "parameters"), cut).holds is None


@pytest.mark.parametrize("chain, holds_", [
    ([{"san": ["DNS:segw.example", "other.example"]}], True),
    ([{"san": ["dns:*.example"]}], True),
    ([{"san": ["*.b.example"]}], False),
    ([{"san": [], "subject_cn": "segw.example"}], True),
    ([{"san": ["other.example"], "subject_cn": "segw.example"}], False),     # a SAN takes the CN's place, RFC 6125
    ([{"san": ["other.example"]}, {"san": ["segw.example"]}], False),       # only the leaf speaks for the host
])
def test_certificates_and_names(chain, holds_):
    of = check("certificates", "certifies", "segw.example")
    assert outcome(of, message("x.a", certificates=chain)).holds is holds_


SITE_NAMES = Reference(("site", "parameters", "umts"))
TRIED = [check("f", test, wanted) for test, wanted in (
    ("present", True), ("present", False), ("equals", "a"), ("equals", ["A.", "7"]), ("equals", 7), ("equals", True),
    ("in", ("a", "true")),
    ("in", ("a", Reference(("x", "y")))), ("not", "a"), ("not", ("7", "b")), ("matches", "^a"), ("at_least", 1),
    ("at_most", 1),
    ("equals", Reference(("site", "timers", "dns"))), ("equals", Reference(("x", "y"))), ("certifies", "a.example"))]
TRIED += [Check("fields", ("f", "g"), "present", True), Check("fields", ("src.shared",), "equals", False),
          check("session", "present", False), check("dst.names", "equals", "a"), check("dst.names", "not", Reference(("x", "y"))),
          *(check(names, test, wanted, "parameters") for names in ("*.A", SITE_NAMES, Reference(("x", "z")))
            for test, wanted in (("at_least", 1), ("at_most", 0), ("equals", "a"), ("not", "a"), ("present", False)))]
VALUES = [None, "", "a", " A. ", "b", 7, "7", True, "true", 5, [], ["a"], ("b", "a"), [["a"]], [7, "x"], {}, {"a": 1}]


@pytest.mark.parametrize("of", TRIED, ids=lambda c: f"{c.target} {c.names} {c.test} {c.value}")
def test_as_a_function_a_check_answers_as_it_does_in_words(of):
    """A `where` is asked by the function made of it, an `expect` is evaluated; both are one check."""
    for value in VALUES:
        for more in ({}, {"incomplete": True}, {"g": 1}):
            for listed in ({}, {"ParameterList": {"X.A": value, "X.B": "b"}}):
                asked = message("x.a", f=value, **more, **listed)
                for bound in ({}, {"x.y": "a", "x.z": ("*.A",)}):
                    holds = [found.holds for found in evaluate(of, (asked,), scope(), bound)]
                    wanted = False if False in holds else None if None in holds else True
                    assert holds_all((of,), asked, scope(), bound) is wanted
