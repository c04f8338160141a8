"""Fields, parameters and addresses of a message."""

import pytest

from flowcheck.conform.fields import ABSENT, address_scope, get_field, parameters


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


LISTED = {"Device.FAP.GPS.LockedLatitude": "51", "Device.FAP.GPS.LockedLongitude": "", "Device.X": "1"}


def test_parameters_of_a_mapping_and_of_a_list():
    assert parameters({"ParameterList": LISTED}, ["*.GPS.*"]) == {n: v for n, v in LISTED.items() if "GPS" in n}
    names = parameters({"ParameterList": [{"Name": "Device.FAP.GPS.Y"}, "Device.Z"]}, ["*.GPS.*"])
    assert list(names) == ["Device.FAP.GPS.Y"]
    assert parameters({}, ["*"]) == {}


@pytest.mark.parametrize("address, kind", [
    ("10.1.2.3", "private"), ("100.64.0.1", "private"), ("192.0.2.1", "public"), ("fd00::1", "private"),
    ("2001:db8::1", "public"), ("nonsense", "unknown")])
def test_the_scope_of_an_address(address, kind):
    assert address_scope(address) == kind
