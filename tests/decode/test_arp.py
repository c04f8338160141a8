"""ARP: requests, replies, announcements; cut at every length."""

import struct
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import arp
from flowcheck.model import Context, Endpoint, FrameRef

CONTEXT = Context(5, (FrameRef(0, 1),), Endpoint("00:19:3b:00:01:02"), Endpoint("ff:ff:ff:ff:ff:ff"), ("eth",))
HNB, NOBODY = bytes.fromhex("00193b000102"), bytes(6)


def frame(operation, mac, sender, other, target, protocol=0x0800, size=4):
    return (struct.pack(">HHBBH", 1, protocol, 6, size,
                        operation) + mac + IPv4Address(sender).packed + other + IPv4Address(target).packed)


WHO_HAS = frame(1, HNB, "192.0.2.7", NOBODY, "192.0.2.1")


@pytest.mark.parametrize("data, kind, gratuitous, probe", [
    (WHO_HAS + bytes(18), "arp.request", False, False),
    (frame(2, HNB, "192.0.2.7", HNB, "192.0.2.1"), "arp.reply", False, False),
    (frame(1, HNB, "192.0.2.7", NOBODY, "192.0.2.7"), "arp.request", True, False),
    (frame(1, HNB, "0.0.0.0", NOBODY, "192.0.2.7"), "arp.request", False, True)])
def test_message(data, kind, gratuitous, probe):
    (found,) = arp.decode(data, CONTEXT)
    assert found.kind == kind and (found.fields["gratuitous"], found.fields["probe"]) == (gratuitous, probe)
    assert found.fields["sender_mac"] == "00:19:3b:00:01:02" and found.src == Endpoint(found.fields["sender_ip"])
    assert found.dst == Endpoint(found.fields["target_ip"]) and not found.problems


def test_others_are_left_alone():
    assert not list(arp.decode(frame(3, HNB, "0.0.0.0", HNB, "0.0.0.0"), CONTEXT))
    assert not list(arp.decode(frame(1, HNB, "0.0.0.0", HNB, "0.0.0.0", 0x86DD), CONTEXT))
    assert next(arp.decode(frame(1, HNB, "0.0.0.0", HNB, "0.0.0.0", size=16), CONTEXT)).problems


def test_cut_at_every_length():
    for size in range(len(WHO_HAS)):
        (found,) = arp.decode(WHO_HAS[:size], replace(CONTEXT, missing=1))
        assert found.incomplete and not found.problems and not found.fields
        (found,) = arp.decode(WHO_HAS[:size], CONTEXT)
        assert found.problems


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=40))
def test_noise(data):
    list(arp.decode(data, CONTEXT))
    list(arp.decode(WHO_HAS[:8] + data, CONTEXT))
