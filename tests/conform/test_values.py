"""Fields, references, checks and conditions: true, false, and what the capture cannot tell."""

import pytest
from literals import HNB, message, rule, scope

from flowcheck.conform.values import (ABSENT, Host, address_scope, evaluate, get_field, holds, holds_all, parameters,
                                      taken)
from flowcheck.rulebook.rule import Binding, Check, Condition, Reference


def check(name, test, value, target="field", **more):
    names = name if isinstance(name, Reference) else (name,)
    return Check(target, names, test, value, **more)


def outcome(of, *messages, **more):
    found, = evaluate(of, messages, scope(**more), {})
    return found


@pytest.mark.parametrize("fields, name, value", [
    ({"a": 1}, "a", 1),
    ({"a.b": 1, "a": {"b": 2}}, "a.b", 1),                     # the whole name first
    ({"a": {"b": {"c": 3}}}, "a.b.c", 3),
    ({"answers": [{"address": "x"}, {"name": "n"}, {"address": "y"}]}, "answers.address", ["x", "y"]),
    ({"answers": []}, "answers.address", ABSENT),
    ({"a": 1}, "a.b", ABSENT),
    ({}, "a", ABSENT),
])
def test_a_field_by_its_dotted_name(fields, name, value):
    assert get_field(fields, name) == value


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


def test_a_value_not_known_yet_is_unknown():
    assert outcome(check("f", "equals", Reference(("bound", "later"))), message("x.a", f=1)).holds is None
    assert outcome(check(Reference(("site", "fields", "none")), "present", True), message("x.a", f=1)).holds is None


def test_false_wins_over_unknown():
    checks = [check("f", "equals", Reference(("later",))), check("g", "equals", 1)]
    assert holds_all(checks, message("x.a", f=1, g=1), scope(), {}) is None
    assert holds_all(checks, message("x.a", f=1, g=2), scope(), {}) is False


LISTED = {"Device.FAP.GPS.LockedLatitude": "51", "Device.FAP.GPS.LockedLongitude": "", "Device.X": "1"}


def test_parameters_of_a_mapping_and_of_a_list():
    assert parameters({"ParameterList": LISTED}, ["*.GPS.*"]) == {n: v for n, v in LISTED.items() if "GPS" in n}
    names = parameters({"ParameterList": [{"Name": "Device.FAP.GPS.Y"}, "Device.Z"]}, ["*.GPS.*"])
    assert list(names) == ["Device.FAP.GPS.Y"]
    assert parameters({}, ["*"]) == {}


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


@pytest.mark.parametrize("address, kind", [
    ("10.1.2.3", "private"), ("100.64.0.1", "private"), ("192.0.2.1", "public"), ("fd00::1", "private"),
    ("2001:db8::1", "public"), ("nonsense", "unknown")])
def test_the_scope_of_an_address(address, kind):
    assert address_scope(address) == kind


@pytest.mark.parametrize("url, take, value", [
    ("https://hms.example:7547/acs", "host", ("hms.example",)), ("https://hms.example:7547/acs", "port", ("7547",)),
    ("https://hms.example:7547/acs", "path", ("/acs",)), ("HMS.example", "host", ("hms.example",)),
    ("hms.example:80", "port", ("80",)), ("[2001:db8::1]:80", "host", ("2001:db8::1",)),
    ("http://[broken", "host", ()), ("http://h:99999/", "port", ())])
def test_parts_of_an_address(url, take, value):
    assert taken(Binding("x", "field", ("u",), take), message("x.a", u=url), scope(), {}) in (value, value or ("",))


def test_what_is_bound():
    listed = message("x.a", answers__address=["192.0.2.9", "192.0.2.8"])
    assert taken(Binding("x", "field", ("answers.address",)), listed, scope(), {}) == ("192.0.2.9", "192.0.2.8")
    some = message("x.a", ParameterList={"A.Y": "", "B.Y": "2"})
    assert taken(Binding("x", "parameter", ("*.Y",)), some, scope(), {}) == ("2",)
    assert taken(Binding("x", "field", ("none",)), listed, scope(), {}) is ABSENT


def test_a_host_grows_with_what_is_bound_and_resolved():
    known = scope({"acs": Host(frozenset({"hms.example"}))}, resolved={"hms.example": frozenset({"192.0.2.9"})})
    assert known.host("acs", {}).addresses == {"192.0.2.9"}
    assert known.host("acs", {"acs.address": ("192.0.2.10",)}).addresses == {"192.0.2.9", "192.0.2.10"}
    literal = known.host("gw", {"gw.name": "192.0.2.11"})
    assert literal.addresses == {"192.0.2.11"} and not literal.names
    assert not known.host("nobody", {})


def test_references():
    known = scope({"acs": Host(frozenset({"b.example", "a.example"}))}, remembered={"hnb_gw": ("gw.example",)})
    assert known.resolve(Reference(("acs", "name")), {}) == ("a.example", "b.example")
    assert known.resolve(Reference(("acs", "address")), {}) is ABSENT
    assert known.resolve(Reference(("device", "hnb_gw")), {}) == ("gw.example",)
    assert known.resolve(Reference(("site", "timers", "dns")), {}) == 5
    assert known.resolve(Reference(("site", "timers", "none")), {}) is ABSENT
    assert known.resolve(Reference(("x", "y")), {"x.y": 1}) == 1


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


def test_the_device_is_in_the_scope():
    assert scope().device is HNB and rule('steps: [{step: a, cite: "1", message: x.a}]').procedure == "x-1"
