"""IKE SAs (RFC 7296): which messages are one SA, where it runs from, whom it names and which addresses it hands out.

An SA is known by the SPIs of both sides. An initiator's SPI that comes again with another nonce, once the SA before it
stood, is another SA: so are SPIs told apart that two devices use, at once or one after the other. An SA keeps its device
when its address or port changes (a NAT's rebinding, MOBIKE) and hands it on when it is rekeyed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from ipaddress import ip_address
from operator import itemgetter
from typing import Any

from ..model import Endpoint, Message, Opaque
from .graph import Holders, Node

MAPPING = 120_000_000_000       # ns for which a NAT keeps the port of a silent UDP flow at least (RFC 4787 REQ-5)


@dataclass(slots=True)
class _Span:
    """From where an SA ran, when, and which port of the SeGW it ran to."""

    first: int
    last: int
    peer_port: int | None


@dataclass(slots=True)
class Tunnel:
    """One IKE SA."""

    node: Node
    first: Message                                                            # the first of its messages
    ends: dict[Endpoint, _Span] = field(default_factory=dict)                 # at the device's side
    identities: dict[str, Message] = field(default_factory=dict)              # IDi -> where it was first said
    subjects: dict[str, Message] = field(default_factory=dict)                # of the device's certificates
    given: list[tuple[str, Message]] = field(default_factory=list)            # inner addresses
    goes_on: tuple[Node, Message, str] | None = None                          # the SA it follows, and how that shows
    deleted: int | None = None
    nonce: str | None = None
    responder: str | None = None                                              # SPI of the SeGW

    @property
    def last(self) -> int:
        return max((span.last for span in self.ends.values()), default=self.first.time)


class Tunnels:
    """All IKE SAs of an observation. `of` says which one a message belongs to."""

    def __init__(self, messages: Sequence[Message], device_addresses: Collection[str], opaque: Sequence[Opaque] = ()):
        self.all: dict[Node, Tunnel] = {}
        self.called: dict[str, Node] = {}                        # IDi in lower case -> the first SA of that name
        self.at_port = Holders()                                 # endpoint -> whose it was
        self.at_address: dict[str, dict[Node, None]] = defaultdict(dict)
        self._of: dict[int, Node] = {}
        # end of opened ESP without IKE -> inner address -> first seen
        self.carries: dict[str, dict[str, Message]] = defaultdict(dict)
        self._devices = device_addresses
        self._by_pair: dict[tuple[str, str], Node] = {}
        self._open: dict[tuple[str, Endpoint | str], Node] = {}
        self._count: dict[str, int] = defaultdict(int)
        self._children: dict[tuple[str, str], Node] = {}         # who receives, ESP SPI -> IKE SA that negotiated it
        self._asked: dict[int | None, str] = {}                  # transaction of a rekeying -> the new initiator's SPI
        self._rekeyed: dict[tuple[str, str], tuple[Node, Message]] = {}       # SPIs of the new SA -> the old one
        for message in messages:
            if message.protocol == "ike":
                fields = message.fields
                if fields.get("spi_i"):
                    self._note(message, fields)
            elif message.kind == "esp.inside":
                self._note_inside(message)
        for item in opaque:
            if item.kind == "esp":
                self._note_traffic(item)

    def of(self, message: Message) -> Node | None:
        return self._of.get(id(message))

    def of_esp(self, item: Opaque) -> Node | None:
        """The IKE SA that negotiated this ESP SA, where that could be read, else the one that ran at its UDP port."""
        spi = str((item.fields or {}).get("spi") or "").removeprefix("0x")
        node = self._children.get((item.dst.address, spi))
        if node is None and item.src.port is not None:
            node = self.at_port.at(item.src, item.start) or self.at_port.at(item.dst, item.start)
        return node

    def natted(self, address: str) -> bool:
        """Did a NAT write this address on an IKE_SA_INIT request?"""
        return any(_translated(self.all[node].first) for node in self.at_address.get(address, ())
                   if self.all[node].first.src.address == address)

    def ports_apart(self, address: str) -> bool:
        """Do tunnels run from this address at different ports at once? Then several devices are behind it.

        A NAT keeps one port for one socket, so two ports towards the same service are two sockets, and IKE has one.
        """
        services: dict[int | None, list[tuple[int, int, int | None, Tunnel]]] = defaultdict(list)
        for node in self.at_address.get(address, ()):
            for end, span in self.all[node].ends.items():
                if end.address == address:
                    services[span.peer_port].append((span.first, span.last, end.port, self.all[node]))
        return any(_apart(address, sorted(spans, key=itemgetter(0))) for spans in services.values())

    # ------------------------------------------------------------------------------------------------ noting

    def _note(self, message: Message, fields: Mapping[str, Any]) -> None:
        end, peer = self._ends(message, fields)
        node = self._sa(message, fields, end)
        self._of[id(message)] = node
        tunnel = self.all[node]
        span = tunnel.ends.get(end)
        if span is None:
            tunnel.ends[end] = _Span(message.time, message.time, peer.port)
            self.at_address[end.address][node] = None
        else:
            span.last = message.time
        self.at_port.take(end, message.time, node)
        if fields.get("id_i"):
            tunnel.identities.setdefault(str(fields["id_i"]), message)
            self.called.setdefault(str(fields["id_i"]).lower(), node)
            subject = next((c.get("subject_cn") for c in fields.get("certificates") or () if c.get("subject_cn")), None)
            if subject and subject not in tunnel.identities:
                tunnel.subjects.setdefault(str(subject), message)
        tunnel.given += [(address, message) for address in inner_addresses(message)] if fields.get("configuration") else ()
        for proposal in fields.get("proposals") or ():
            spi = proposal.get("spi")
            if not spi:
                continue
            if proposal.get("protocol") == "ESP":
                self._children[message.src.address, spi] = tunnel.node
            elif fields.get("response"):
                if message.answers in self._asked:
                    self._rekeyed[self._asked[message.answers], spi] = (tunnel.node, message)
            elif message.transaction is not None:
                self._asked[message.transaction] = spi
        if any(deleted.get("protocol") == "IKE" for deleted in fields.get("deletes") or ()):
            tunnel.deleted = message.time

    def _note_inside(self, message: Message) -> None:
        """An opened packet tells the inner address where the IKE message that handed it out is hidden."""
        inner = [(end, message.fields.get(side)) for side, end in (("src", message.src), ("dst", message.dst))
                 if message.fields.get(side) in self._devices]
        if len(inner) != 1:
            return
        end, address = inner[0]
        node = self.at_port.at(end, message.time) if end.port is not None else next(reversed(self.at_address.get(end.address, {})), None)
        if node is None:
            self.carries[end.address].setdefault(str(address), message)
        elif all(address != given for given, _ in self.all[node].given):
            self.all[node].given.append((str(address), message))

    def _ends(self, message: Message, fields: Mapping[str, Any]) -> tuple[Endpoint, Endpoint]:
        """The device's end and the other one; where neither is known, the device is the one that began the SA."""
        here = message.src.address in self._devices or (message.dst.address not in self._devices
                                                        and fields.get("initiator"))
        return (message.src, message.dst) if here else (message.dst, message.src)

    def _sa(self, message: Message, fields: Mapping[str, Any], end: Endpoint) -> Node:
        spi_i, spi_r = fields["spi_i"], fields.get("spi_r") or ""
        if not spi_r.strip("0"):
            spi_r = ""
        begins = message.kind == "ike.sa_init.request"
        if spi_r and (node := self._by_pair.get((spi_i, spi_r))) is not None:
            return node
        node = self._open.get((spi_i, end))
        if node is None:
            node = self._open.get((spi_i, end.address))
            if begins and node is not None and self.all[node].nonce != fields.get("nonce"):
                node = None
        known = self.all.get(node) if node is not None else None
        if known is not None and known.responder is not None and (
                begins and known.nonce != fields.get("nonce") or spi_r and spi_r != known.responder):
            known = None
        if known is None:
            known = self._new(message, spi_i, spi_r, end)
        if begins:
            known.nonce = fields.get("nonce")
        elif spi_r and (message.kind != "ike.sa_init.response" or "KE" in fields.get("payloads", ("KE",))):   # no refusal
            known.responder = spi_r
            self._by_pair[spi_i, spi_r] = known.node
        return known.node

    def _new(self, message: Message, spi_i: str, spi_r: str, end: Endpoint) -> Tunnel:
        number = self._count[spi_i]
        self._count[spi_i] = number + 1
        node = ("ike", spi_i, number) if number else ("ike", spi_i)
        tunnel = self.all[node] = Tunnel(node, message)
        if spi_r and not message.kind.startswith(("ike.sa_init", "ike.v1")):
            before, rekeyed = self.at_port.at(end, message.time), self._rekeyed.get((spi_i, spi_r))
            if rekeyed is not None:
                tunnel.goes_on = (*rekeyed, f"IKE SA {rekeyed[0][1]} was rekeyed")
            elif before is not None and message.time - self.all[before].last <= MAPPING:
                tunnel.goes_on = (before, message, f"IKE SA {spi_i} goes on from {end}, where {before[1]} ran, without a new IKE_SA_INIT")
        for key in (end, end.address):
            self._open[spi_i, key] = node
        return tunnel

    def _note_traffic(self, item: Opaque) -> None:
        """ESP in UDP shows that the tunnel of its port still runs."""
        for end in (item.src, item.dst):
            node = self.at_port.at(end, item.start) if end.port is not None else None
            span = self.all[node].ends.get(end) if node is not None else None
            if span is not None and self.at_port.at(end, item.end) == node:
                span.last = max(span.last, item.end)


def _translated(message: Message) -> bool:
    """Does the sender's NAT_DETECTION_SOURCE_IP not fit the address it comes from (RFC 7296 2.23)?"""
    told = [n.get("data") for n in message.fields.get("notifies") or () if n.get("type") == "NAT_DETECTION_SOURCE_IP"]
    if not told or message.src.port is None:
        return False
    try:
        seen = bytes.fromhex(message.fields["spi_i"] + message.fields["spi_r"]) + ip_address(message.src.address).packed
    except (KeyError, ValueError):
        return False
    return sha1(seen + message.src.port.to_bytes(2, "big"), usedforsecurity=False).hexdigest() not in told


def _apart(address: str, spans: Sequence[tuple[int, int, int | None, Tunnel]]) -> bool:
    """Does an SA begin at one port while a NAT still holds another port, at which this SA never ran, for another SA?"""
    held: dict[int | None, list[tuple[int, Tunnel]]] = {}        # port -> the SAs there, until when
    for first, last, port, tunnel in spans:
        held = {other: kept for other, sas in held.items() if (kept := [sa for sa in sas if first - sa[0] < MAPPING])}
        if any(other != port and sa is not tunnel and Endpoint(address, port) not in sa.ends
               for other, sas in held.items() for _, sa in sas):
            return True
        held[port] = [*held.get(port, ())[-1:], (last, tunnel)]
    return False


def inner_addresses(message: Message) -> list[str]:
    """The tunnel addresses that a decrypted IKE configuration payload assigns (RFC 7296 3.15.1)."""
    configuration = message.fields.get("configuration") or {}
    if not isinstance(configuration, Mapping) or configuration.get("type") not in ("REPLY", "CFG_REPLY", 2):
        return []
    attributes = configuration.get("attributes") or {}
    found = []
    for name in ("INTERNAL_IP4_ADDRESS", "INTERNAL_IP6_ADDRESS"):
        values: Iterable = attributes.get(name) or ()
        for value in values if isinstance(values, (list, tuple)) else [values]:
            found.append(str(value).partition("/")[0])
    return [address for address in found if address]
