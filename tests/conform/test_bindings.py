"""What `bind` takes out of a message."""

import pytest
from literals import message, scope

from flowcheck.conform.bindings import taken
from flowcheck.conform.fields import ABSENT
from flowcheck.rulebook.rule import Binding


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
    assert taken(Binding("x", "field", ("session",)), message("x.a", session=7), scope(), {}) == ("7",)
