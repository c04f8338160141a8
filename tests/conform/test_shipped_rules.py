"""What the shipped rules make of traffic that little is known of: no site profile, no keys, hardly any messages."""

import pytest
from literals import HNB, judged, message, scope

from flowcheck.conform.conditions import holds
from flowcheck.conform.scope import Host
from flowcheck.model import Device
from flowcheck.rulebook.loader import load_rules
from flowcheck.rulebook.rule import Condition

BOOK = load_rules()
PUBLIC, PRIVATE = "198.51.100.53", "10.0.0.53"
INSIDE = Device("hnb", {}, ("10.0.0.9",))


def lookup(name, server, layers, rcode="NXDOMAIN", src="hnb"):
    about = {"qname": name, "qtype": "A", "layers": layers, "stream": 5}
    return [message("dns.query", 1, src, server + ":53", transaction=1, **about),
            message("dns.response", 1.1, server + ":53", src, answers=1, rcode=rcode, **about)]


@pytest.mark.parametrize("messages, device, cause", [
    (lookup("acs1.operator.example", PUBLIC, ("eth", "ip", "udp")), HNB, "ts32.583-5.1.2/hms-address/refused:NXDOMAIN"),
    (lookup("acs1.operator.example", PUBLIC, ("eth", "ip", "udp"), "NOERROR"), HNB,
     "ts32.583-5.1.2/hms-address/field-absent:answers.address"),
    (lookup("hems-init.operator.example", PUBLIC, ("raw", "ip", "udp")), HNB,
     "ts32.583-5.1.2/hms-address/refused:NXDOMAIN"),
    (lookup("hms.operator.example", PRIVATE, ("raw", "ip", "udp"), src="10.0.0.9"), INSIDE,
     "ts32.583-5.1.1/hms-address/refused:NXDOMAIN"),
    (lookup("sg-init.operator.example", PUBLIC, ("eth", "ip", "udp")), HNB,
     "ts32.583-5.1.1/segw-address/refused:NXDOMAIN"),
    (lookup("segw-serv.operator.example", PUBLIC, ("eth", "ip", "udp")), HNB,
     "ts32.583-5.2.1/segw-address/refused:NXDOMAIN"),
    (lookup("hms-serv.operator.example", PRIVATE, ("raw", "ip", "udp"), src="10.0.0.9"), INSIDE,
     "ts32.583-5.2.1/hms-address/refused:NXDOMAIN"),
])
def test_a_name_that_does_not_resolve_says_what_was_tried(messages, device, cause):
    attempt, = judged(BOOK, *messages, device=device)
    assert attempt.verdict == "fail" and attempt.cause == cause


def test_what_kind_of_device_it_is_is_said_to_be_taken_for_granted():
    attempt, = judged(BOOK, *lookup("sg-init.operator.example", PUBLIC, ("eth", "ip", "udp")))
    assert [text for text in attempt.assumed if "taken for an HNB" in text]
    umts = message("hnbap.HNBRegisterRequest", 2, "hnb", "gw")
    shown = judged(BOOK, *lookup("sg-init.operator.example", PUBLIC, ("eth", "ip", "udp")), umts)
    assert shown and not [text for attempt in shown for text in attempt.assumed if "taken for an HNB" in text]


@pytest.mark.parametrize("name", ["files.oam.operator.example", "www.example", "programs.example",
                                  "system.hms-info.example"])
def test_another_name_says_nothing(name):
    assert judged(BOOK, *lookup(name, PUBLIC, ("eth", "ip", "udp"))) == ()


def test_an_attach_alone_is_no_provisioning_of_a_machine():
    of = {"src": "hnb", "dst": "acs"}
    attach = [message("emm.AttachRequest", 1, transaction=1, **of),
              message("emm.AttachAccept", 3, "acs", "hnb", answers=1)]
    asked = [message("diameter.AIR", 1.5, "acs", "gw", transaction=2),
             message("diameter.AIA", 1.6, "gw", "acs", answers=2, vectors=[{}])]
    assert judged(BOOK, *attach, *asked) == ()
    bootstrap = message("omacp.bootstrap", 5, "gw", "hnb", dpf=["d"], sho=["s"])
    assert [a.procedure for a in judged(BOOK, *attach, *asked, bootstrap)] == ["tr33.812-5.1.3.7.3.x"]


def test_what_was_inferred_gives_way_to_what_the_device_is_told():
    """An HMS that is taken for the serving one too is not the host it assigns."""
    first = Host(frozenset({"hms-a.example"}), frozenset({"198.51.100.80"}), "inferred")
    known = scope({"hms_initial": first, "hms_serving": first})
    same = Condition("same_host", ("hms_initial", "hms_serving"))
    assert holds(same, known, {}, frozenset()) is True
    assert holds(same, known, {"hms_serving.name": ("hms-b.example",)}, frozenset()) is False
    assert holds(same, known, {"hms_serving.name": ("hms-a.example",)}, frozenset()) is True
