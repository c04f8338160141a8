"""Which MAC an address belongs to, as DHCP (RFC 2131 `chaddr`, RFC 8415 DUID) and ARP (RFC 826) say.

Frames of everybody behind a router carry the router's MAC, so the MAC of a frame says nothing. DHCP names the client's own
whatever lies between. An ARP sender tells its own address, unless it answers for others: a MAC that speaks for several
addresses at once is a router's or a proxy's and names nobody, and an address that several MACs claim at once names none of
them. Where one MAC follows another at an address, the address has passed to another host.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from ..model import Message
from .graph import Holders

CLAIMING = frozenset(("arp", "dhcp", "dhcpv6"))
_NOBODY = frozenset(("", "0.0.0.0", "255.255.255.255", "::"))


class Claim(NamedTuple):
    """A host said, or was told, that an address is its own."""

    address: str
    mac: str
    message: Message


class Hardware:
    """Who is behind the addresses of the link. `turns` holds since when an address is whose."""

    def __init__(self, messages: Sequence[Message]):
        self.turns = Holders()
        self.claims: list[Claim] = []            # the first of each MAC at each address
        leases: dict[str, list[Claim]] = defaultdict(list)
        spoken: dict[str, list[Claim]] = defaultdict(list)
        for message in messages:
            if message.protocol == "arp":
                for claim in _of_arp(message):
                    spoken[claim.address].append(claim)
            elif message.kind in ("dhcp.ack", "dhcpv6.reply"):
                for claim in _of_lease(message):
                    leases[claim.address].append(claim)
        routers = _speak_for_several(spoken)
        for address, claims in spoken.items():
            if address not in leases and routers.isdisjoint(claim.mac
                                                            for claim in claims) and _one_after_the_other(claims):
                leases[address] = claims
        for address, claims in leases.items():
            for claim in claims:
                if self.turns.at(address, None) != ("mac", claim.mac):
                    self.turns.take(address, claim.message.time, ("mac", claim.mac))
                    self.claims.append(claim)


def mac_of(message: Message) -> str:
    """The client that a DHCP message is about; empty where it says none."""
    return _unicast(message.fields.get("mac")) if message.kind.startswith(("dhcp.", "dhcpv6.")) else ""


def _of_arp(message: Message) -> Iterator[Claim]:
    address, mac = str(message.fields.get("sender_ip") or ""), _unicast(message.fields.get("sender_mac"))
    if mac and address not in _NOBODY:           # a probe tells no address (RFC 5227 2.1.1)
        yield Claim(address, mac, message)


def _of_lease(message: Message) -> Iterator[Claim]:
    mac = _unicast(message.fields.get("mac"))
    given = [message.fields.get("your_address"), *(a.get("address") for a in message.fields.get("addresses") or ())]
    for address in given:
        if mac and address and address not in _NOBODY:
            yield Claim(str(address), mac, message)


def _unicast(mac: object) -> str:
    """The MAC in lower case, empty unless it is that of one host."""
    text = str(mac or "").lower()
    try:
        octets = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        return ""
    return text if len(octets) == 6 and any(octets) and not octets[0] & 1 else ""


def _speak_for_several(spoken: dict[str, list[Claim]]) -> set[str]:
    """MACs with several addresses. A host whose address changed has one after the other, and announces the new one."""
    at: dict[str, list[tuple[int, int, bool]]] = defaultdict(list)
    for claims in spoken.values():
        of_mac: dict[str, list[Claim]] = defaultdict(list)
        for claim in claims:
            of_mac[claim.mac].append(claim)
        for mac, own in of_mac.items():
            at[mac].append((own[0].message.time, own[-1].message.time, bool(own[0].message.fields.get("gratuitous"))))
    return {mac for mac, spans in at.items() if len(spans) > 1 and any(
        later[0] <= earlier[1] or not later[2] for earlier, later in pairwise(sorted(spans)))}


def _one_after_the_other(claims: Sequence[Claim]) -> bool:
    """Does no MAC come back after another has taken the address?"""
    seen: dict[str, None] = {}
    for claim in claims:
        if claim.mac in seen and next(reversed(seen)) != claim.mac:
            return False
        seen[claim.mac] = None
    return True
