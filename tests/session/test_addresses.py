"""Changes of a device's address inside its tunnel, and what is none."""

from dataclasses import replace

import pytest
from literals import ADDRESSES, message

from flowcheck.model import Device, Endpoint
from flowcheck.session.addresses import with_changes

OUTER, FIRST, SECOND_ONE = ADDRESSES["hnb"], "10.0.0.1", "10.0.0.2"
DEVICE = Device("hnb", {}, (OUTER, FIRST, SECOND_ONE, "2001:db8::1", "2001:db8::2"), outer=(OUTER,))
NO_TUNNEL = Device("hnb", {}, (FIRST, SECOND_ONE))


def assigned(at, spi, *addresses, kind="REPLY"):
    """An answer to IKE_AUTH that hands out these addresses."""
    attributes = {f"INTERNAL_IP{6 if ':' in a else 4}_ADDRESS": [a] for a in addresses}
    return message("ike.auth.response", at, "segw", "hnb", spi_i=spi,
                   configuration={"type": kind, "attributes": attributes})


def sent(at, src, kind="dns.query", **fields):
    return replace(message(kind, at, dst="acs", **fields), src=Endpoint(src, 40000))


def inform(at, src, **parameters):
    return sent(at, src, "cwmp.Inform", ParameterList={name.replace("__", "."): value
                                                       for name, value in parameters.items()})


def booted(at, **parameters):
    """The first Inform of a device that has restarted."""
    told = inform(at, SECOND_ONE, **parameters)
    return replace(told, fields={**told.fields, "Event.EventCode": ["1 BOOT"]})


@pytest.mark.parametrize("messages", [
    (booted(20, Device__IP__Interface__1__IPv4Address__1__IPAddress=SECOND_ONE),),    # it tells of it, too
    (booted(20 + 301),),                                                              # long after the change
    (message("ike.sa_init.request", 15, dst="segw", spi_i="c"), booted(20)),          # in another tunnel
    (inform(20, SECOND_ONE), booted(30)),                                             # after another one
])
def test_a_change_before_a_restart(messages):
    assert changes(assigned(0, "a", FIRST), assigned(9, "b", SECOND_ONE), *messages) == [(FIRST, SECOND_ONE)]


def changes(*messages, device=DEVICE):
    return [(m.fields["old"], m.fields["new"]) for m in with_changes(messages, device)
            if m.kind == "device.address_change"]


@pytest.mark.parametrize("messages", [
    (assigned(0, "a", FIRST),),                                                       # the first address
    (assigned(0, "a", FIRST), assigned(9, "b", FIRST)),                               # the same again
    (assigned(0, "a", FIRST, "2001:db8::1"), sent(1, FIRST), sent(2, "2001:db8::1")),  # two families of one tunnel
    (assigned(0, "a", FIRST), assigned(9, "b", SECOND_ONE, kind="REQUEST")),          # asked for, not given
    (sent(0, OUTER), assigned(1, "a", FIRST), sent(2, OUTER)),                        # outside is not inside
    (assigned(0, "a", FIRST), assigned(9, "b", SECOND_ONE), sent(60, FIRST)),         # a second tunnel beside the first
    (assigned(0, "a", FIRST), assigned(9, "b", "not an address")),
    (assigned(0, "a", FIRST), assigned(9, "b", SECOND_ONE), booted(20)),              # it restarted
])
def test_what_is_no_change(messages):
    assert changes(*messages) == []


@pytest.mark.parametrize("messages, expected", [
    ((assigned(0, "a", FIRST), assigned(9, "b", SECOND_ONE)), [(FIRST, SECOND_ONE)]),
    # make before break
    ((assigned(0, "a", FIRST), assigned(9, "b", SECOND_ONE), sent(12, FIRST)), [(FIRST, SECOND_ONE)]),
    ((assigned(0, "a", FIRST), assigned(9, "b", SECOND_ONE), assigned(40, "c", FIRST)),
     [(FIRST, SECOND_ONE), (SECOND_ONE, FIRST)]),
    ((assigned(0, "a", FIRST, "2001:db8::1"), assigned(9, "b", FIRST, "2001:db8::2")),
     [("2001:db8::1", "2001:db8::2")]),
    ((sent(0, FIRST, layers=("esp", "ip")), sent(9, SECOND_ONE, layers=("esp", "ip"))), [(FIRST, SECOND_ONE)]),
])
def test_what_is_a_change(messages, expected):
    assert changes(*messages) == expected


def test_ike_and_traffic_tell_of_one_change_once():
    assert changes(assigned(0, "a", FIRST), sent(1, FIRST), assigned(9, "b", SECOND_ONE),
                   sent(10, SECOND_ONE)) == [(FIRST, SECOND_ONE)]


def test_without_ike_only_the_device_itself_can_say_that_its_address_is_inside_a_tunnel():
    plain = (inform(0, FIRST), inform(9, SECOND_ONE))
    told = (inform(0, FIRST, Device__FAP__Tunnel__IKESA__1__IPAddress=FIRST),
            inform(9, SECOND_ONE, Device__FAP__Tunnel__IKESA__1__IPAddress=SECOND_ONE))
    assert changes(*plain, device=NO_TUNNEL) == []
    assert changes(*told, device=NO_TUNNEL) == [(FIRST, SECOND_ONE)]


@pytest.mark.parametrize("named", [SECOND_ONE, FIRST])
def test_an_hms_that_is_reached_inside_is_inside(named):
    """Only one of two Informs to the same HMS names an address of the tunnel, the new one or still the old one."""
    later = inform(9, SECOND_ONE, Device__FAP__Tunnel__IKESA__1__IPAddress=named)
    assert changes(inform(0, FIRST), later, device=NO_TUNNEL) == [(FIRST, SECOND_ONE)]
    elsewhere = replace(inform(0, FIRST), dst=Endpoint(ADDRESSES["acs2"], 7547))
    assert changes(elsewhere, later, device=NO_TUNNEL) == []


def test_the_change_says_who_was_informed_from_the_old_address_and_how_the_new_one_is_written():
    told = with_changes((assigned(0, "a", FIRST), inform(1, FIRST), assigned(9, "b", SECOND_ONE)), DEVICE)
    change = told[-1]
    assert change.fields["acs"] == [ADDRESSES["acs"]] and change.fields["via"] == "ike"
    assert change.fields["spellings"] == [SECOND_ONE, "0a000002"]
    assert change.frames == told[-2].frames


def test_it_stands_before_what_the_device_sends_from_the_new_address():
    kinds = [m.kind for m in with_changes((sent(0, FIRST, layers=("esp",)),
                                           sent(9, SECOND_ONE, layers=("esp",))), DEVICE)]
    assert kinds == ["dns.query", "device.address_change", "dns.query"]
