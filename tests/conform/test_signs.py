"""What can be told of a message before anybody knows who plays which part."""

from dataclasses import replace

import pytest
from literals import HNB, message, rule

from flowcheck.conform.kinds import Kinds
from flowcheck.conform.signs import Shown, clue as clue_of
from flowcheck.rulebook.rule import Host
from flowcheck.rulebook.site import load_site

TEXT = '''
roles: {hnb: {kind: device}, acs: {kind: acs}, dns: {kind: dns_server}}
steps:
  - {step: a, cite: "1", message: cwmp.Inform, from: hnb, to: acs, where: [{field: boot, equals: 1}]}
  - {step: b, cite: "2", message: cwmp.GetParameterValues, from: acs, to: hnb}
  - {step: c, cite: "3", message: dns.query, from: hnb, to: dns, where: [{field: qname, equals: $acs.name}]}
  - {step: d, cite: "4", message: tcp.syn, to: hnb, where: [{field: src.address, in: $site.hosts.hms_initial.addresses}]}
  - {step: e, cite: "5", message: cwmp.Inform, from: hnb, where: [{field: url, equals: $device.acs}]}
'''
RULE = rule(TEXT)


def clue(step, of=RULE):
    return clue_of(of, of.step(step))


def shown(*messages, device=HNB, site=None):
    return Shown(site or load_site(), device, Kinds(messages))


@pytest.mark.parametrize("step, one, bears", [
    ("a", message("cwmp.Inform", boot=1), True),
    ("a", message("cwmp.Inform", boot=0), False),
    ("a", message("cwmp.Inform"), False),
    ("a", message("cwmp.Inform", boot=1, incomplete=True), True),
    ("a", message("cwmp.Inform", incomplete=True), False),
    ("a", message("cwmp.Inform", src="acs", dst="hnb", boot=1), False),
    ("a", message("cwmp.Inform", src="inner", boot=1), True),
    ("a", message("cwmp.Inform", dst="inner", boot=1), True),        # both ends are the device's: it talks to itself
    ("a", message("cwmp.Other", boot=1), False),
    ("b", message("cwmp.GetParameterValues", src="acs", dst="hnb"), True),
    ("b", message("cwmp.GetParameterValues"), False),
    ("c", message("dns.query", dst="dns", qname="whatever"), True),  # the name is a role's
])
def test_a_sign_is_what_needs_no_role(step, one, bears):
    assert (clue(step).sign in shown(one)) is bears


def test_values_of_the_site_profile_are_part_of_it():
    one = message("tcp.syn", src="acs", dst="hnb")
    assert clue("d").sign not in shown(one)
    site = replace(load_site(), hosts={"hms_initial": Host((), (one.src.address,))})
    assert clue("d").sign in shown(one, site=site)


def test_what_carries_the_messages_of_a_device_has_addresses_of_its_own():
    attach = rule('roles: {ue: {kind: device}}\nsteps: [{step: a, cite: "1", message: emm.attach_request, from: ue}]')
    relayed = message("emm.attach_request", src="gw", ue=1)
    assert clue("a", attach).sign in shown(relayed) and clue("a", attach).sign not in shown(message("emm.attach_request", src="gw"))
    assert clue("a", attach).sign in shown(message("emm.attach_request", src="gw"), device=replace(HNB, addresses=()))


def test_what_more_has_to_be_known():
    assert clue("a")[1:] == (frozenset(("acs",)), frozenset(), False)
    assert clue("c")[1:] == (frozenset(("acs",)), frozenset(), False), "a DNS server need not be known, the name has to"
    assert clue("d")[1:] == (frozenset(), frozenset(), True)
    assert clue("e")[1:] == (frozenset(), frozenset(("acs",)), False)


def test_rules_have_signs_in_common():
    other = rule(TEXT.replace("{kind: acs}", "{kind: host}"), "x-2")
    assert clue("a", other).sign is clue("a").sign, "which part the peer plays is no part of the sign"
    assert clue("a").sign is not clue("e").sign
