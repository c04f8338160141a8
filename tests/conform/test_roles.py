"""Which host plays which role: the site profile first, then the traffic, and what was inferred is said."""

from dataclasses import replace

from literals import ADDRESSES, HNB, message, rule, timeline

from flowcheck.conform.kinds import Kinds
from flowcheck.conform.roles import find
from flowcheck.conform.signs import Shown
from flowcheck.rulebook.rule import Host as Declared
from flowcheck.rulebook.site import load_site

TEXT = '''
attempt: {opens_at: [a]}
steps: [{step: a, cite: "1", message: cwmp.Inform, from: hnb, to: acs}]
roles:
  hnb: {kind: device}
  segw:
    kind: ike_responder
    host: $site.hosts.segw_initial
    title: SeGW
    infer:
      - {message: ike.sa_init.request, to: segw, before: {message: cwmp.Inform, to: acs}}
      - {message: ike.sa_init.request, to: segw, unless_known: [acs]}
  acs:
    kind: acs
    host: [$site.hosts.hms_initial, $device.acs]
    infer: [{message: cwmp.Inform, to: acs, where: [{field: boot, equals: 1}]}]
  named: {kind: host, infer: [{message: dns.query, name_from: qname, where: [{field: qname, matches: ^acs}]}]}
'''
RULE = rule(TEXT)
IKE = message("ike.sa_init.request", 1, "hnb", "segw")
INFORM = message("cwmp.Inform", 2, "inner", "acs", boot=1)


def roles(*messages, site=None, remembered=None, names=None):
    site = site or load_site()
    found, assumed = find(RULE, site, HNB, Shown(site, HNB, Kinds(timeline(*messages).messages)), remembered or {}, {},
                          names or {})
    return found.roles, assumed


def test_the_site_profile_says_it():
    site = replace(load_site(), hosts={"hms_initial": Declared(("HMS.example.",), ("192.0.2.77",))})
    found, assumed = roles(IKE, INFORM, site=site)
    assert found["acs"].names == {"hms.example"} and found["acs"].addresses == {"192.0.2.77"}
    assert not any("acs" in text for text in assumed)


def test_what_another_procedure_left_behind():
    found, _ = roles(IKE, remembered={"acs": ("acs.example",)})
    assert found["acs"].names == {"acs.example"} and found["acs"].source == "learned"


def test_the_traffic_says_it_and_the_report_says_so():
    found, assumed = roles(IKE, INFORM, names={ADDRESSES["acs"]: {"hms.example"}})
    assert found["acs"].addresses == {ADDRESSES["acs"]} and found["acs"].names == {"hms.example"}
    assert found["segw"].addresses == {ADDRESSES["segw"]}
    assert assumed == ("acs is hms.example, inferred from the traffic",
                       f"SeGW is {ADDRESSES['segw']}, inferred from the traffic")


def test_the_last_one_before():
    later = message("ike.sa_init.request", 1.5, "hnb", "gw")
    after = message("ike.sa_init.request", 3, "hnb", "acs2")
    found, _ = roles(IKE, later, INFORM, after)
    assert found["segw"].addresses == {ADDRESSES["gw"]}


def test_a_last_resort_waits_until_nothing_better_speaks():
    found, _ = roles(IKE)
    assert found["segw"].addresses == {ADDRESSES["segw"]}, "nobody knows the ACS"
    found, _ = roles(replace(IKE, time=5_000_000_000), INFORM)
    assert not found["segw"], "the ACS is known, and no IKE came before it"


def test_a_message_that_does_not_fit_infers_nothing():
    found, assumed = roles(message("cwmp.Inform", 2, "inner", "acs", boot=0))
    assert not found["acs"] and not assumed


def test_a_name_out_of_a_question():
    found, _ = roles(message("dns.query", 1, "hnb", "dns", qname="ACS.example."))
    assert not found["named"]
    found, _ = roles(message("dns.query", 1, "hnb", "dns", qname="acs.Example."))
    assert found["named"].names == {"acs.example"}


def test_the_device_is_never_a_server():
    found, _ = roles(message("cwmp.Inform", 2, "acs", "inner", boot=1))
    assert not found["acs"]
