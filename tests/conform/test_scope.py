"""Hosts and references: what is known of them at a point of an attempt."""

from literals import HNB, rule, scope

from flowcheck.conform.fields import ABSENT
from flowcheck.conform.scope import Host
from flowcheck.rulebook.rule import Reference
from flowcheck.rulebook.site import load_site


def test_a_host_grows_with_what_is_bound_and_resolved():
    known = scope({"acs": Host(frozenset({"hms.example"}))}, resolved={"hms.example": frozenset({"192.0.2.9"})})
    assert known.host("acs", {}).addresses == {"192.0.2.9"}
    assert known.host("acs", {"acs.address": ("192.0.2.10",)}).addresses == {"192.0.2.9", "192.0.2.10"}
    literal = known.host("gw", {"gw.name": "192.0.2.11"})
    assert literal.addresses == {"192.0.2.11"} and not literal.names
    assert not known.host("nobody", {})


def test_a_name_that_the_site_profile_has_an_address_for(tmp_path):
    profile = tmp_path / "site.yaml"
    profile.write_text("site: x\nhosts:\n  store: {names: [a.example, b.example], addresses: [192.0.2.7]}\n")
    known = scope({"server": Host(frozenset({"a.example"}))}, site=load_site(str(profile)),
                  resolved={"c.example": frozenset({"192.0.2.7"}), "d.example": frozenset({"192.0.2.8"})})
    assert known.host("server", {}).addresses == {"192.0.2.7"}
    assert known.names("192.0.2.7") == ("a.example", "b.example", "c.example") and known.names("192.0.2.8") == ("d.example",)
    assert scope(site=load_site(str(profile))).names("192.0.2.7") == ()               # nobody looked it up


def test_references():
    known = scope({"acs": Host(frozenset({"b.example", "a.example"}))}, remembered={"hnb_gw": ("gw.example",)})
    assert known.resolve(Reference(("acs", "name")), {}) == ("a.example", "b.example")
    assert known.resolve(Reference(("acs", "address")), {}) is ABSENT
    assert known.resolve(Reference(("device", "hnb_gw")), {}) == ("gw.example",)
    assert known.resolve(Reference(("site", "timers", "dns")), {}) == 5
    assert known.resolve(Reference(("site", "timers", "none")), {}) is ABSENT
    assert known.resolve(Reference(("x", "y")), {"x.y": 1}) == 1


def test_the_device_is_in_the_scope():
    assert scope().device is HNB and rule('steps: [{step: a, cite: "1", message: x.a}]').procedure == "x-1"
