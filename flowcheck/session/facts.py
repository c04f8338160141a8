"""What one pass over the messages tells about the devices in them: who spoke from where, under which name, and when.

Every message has a node at the device's side (session/graph.py). An address is one as long as it stays with one host; one
that IKE or DHCP hands out again is another node from then on. Where several devices share an address, it is none: there a
message belongs to the tunnel, the session or the name that it carries, else to nobody.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ..model import Endpoint, Message, Opaque
from . import shared
from .graph import Graph, Holders, Node
from .hardware import CLAIMING, Hardware, mac_of
from .named import NAMING, Names
from .tunnels import Tunnels, inner_addresses
from .turns import Turns

# Message kinds whose sender (or, second table, receiver) is a device for certain; the weak ones count only for hosts
# that
# serve nobody.
_DEVICE_SENDS = frozenset(("cwmp.Inform", "ike.sa_init.request", "hnbap.HNBRegisterRequest", "s1ap.S1SetupRequest"))
_DEVICE_RECEIVES = frozenset(("cwmp.InformResponse", "ike.sa_init.response", "hnbap.HNBRegisterAccept",
                              "s1ap.S1SetupResponse"))
_CLIENT_SENDS = frozenset(("dns.query", "tcp.syn", "tls.client_hello", "sctp.init", "http.request", "ike.auth.request",
                           "coap.request", "ftp.command", "dhcp.request", "dhcp.discover", "cwmp.session_end"))
_SERVER_SENDS = frozenset(("dns.response", "tcp.syn_ack", "tls.server_hello", "sctp.init_ack", "http.response",
                           "coap.response",
                           "ike.sa_init.response", "ike.auth.response", "ftp.reply", "dhcp.offer", "dhcp.ack"))
_SERVED = frozenset(("cwmp.Inform", "ike.sa_init.request", "dns.query", "sctp.init"))     # whom they ask is no device
_NOBODY = frozenset(("", "0.0.0.0", "255.255.255.255", "::"))
_IDENTITY = {"manufacturer": "DeviceId.Manufacturer", "oui": "DeviceId.OUI", "product_class": "DeviceId.ProductClass",
             "serial_number": "DeviceId.SerialNumber"}


class Facts:
    """Who spoke from where. `nodes_of` says at which nodes of the graph a message is."""

    def __init__(self, messages: Sequence[Message], aliases: Mapping[Endpoint, set[Endpoint]], opaque: Sequence[Opaque],
                 fields: Mapping[str, tuple[str, ...]], bindings: Mapping[str, str]):
        self.device_addresses = _device_addresses(messages)
        heard = {message.protocol for message in messages}
        naming = [message for message in messages if message.protocol in NAMING] if heard & NAMING else []
        self.names = Names(naming, self.device_addresses, fields, bindings)
        self.device_addresses |= self.names.clients_of.keys()
        self.tunnels = Tunnels(messages, self.device_addresses, opaque)
        self.hardware = Hardware(messages if heard & CLAIMING else ())
        self.behind = _behind_nat(aliases)
        self.granted = _granted(self.tunnels)
        self.name_of_stream: dict[int, Node] = {}                # connection -> the device that named itself on it
        self.first_said: dict[tuple[Node, Node], Message] = {}   # place, name -> the message that said it first
        self.said_at: dict[Node, dict[Node, None]] = defaultdict(dict)       # place -> names said from it
        self.places_of: dict[Node, dict[Node, None]] = defaultdict(dict)     # name -> places
        self.identity: dict[Node, dict[str, str]] = {}           # name -> what it adds to the identity
        # names of two kinds that were said on one connection
        self.one_connection: list[tuple[Node, Node, Message]] = []
        # name in the DNS, the device's address it stands for alone
        self.resolved: list[tuple[str, str, Message]] = []
        self.shared: set[Node] = set()                           # places that several devices speak from
        self.turns: Turns | None = None
        self.lookups: dict[int, Node] = {}
        self.lookups_taken: frozenset[str] = frozenset()         # addresses at which there were any
        streams_of_session: dict[int, set[int]] = defaultdict(set)
        for message in messages:
            if message.session is not None:
                streams_of_session[message.session].add(message.stream)
            name = _NAMES.get(message.kind)
            if name is not None:
                self._note(message, *name(message))
            elif message.kind == "dns.response":
                told = message.fields.get("answers.address") or ()
                if len(told) == 1 and str(told[0]) in self.device_addresses:
                    self.resolved.append((str(message.fields.get("qname") or "").rstrip(".").lower(),
                                          str(told[0]), message))
        for streams in streams_of_session.values():
            known = next((self.name_of_stream[stream] for stream in sorted(streams) if stream in self.name_of_stream),
                         None)
            if known is not None:
                for stream in streams:
                    self.name_of_stream.setdefault(stream, known)

    def _note(self, message: Message, node: Node | None, identity: dict[str, str]) -> None:
        """A device says who it is."""
        if node is None:
            return
        place = self.place(message.src, message.time)
        before = self.name_of_stream.get(message.stream)
        if before is not None and before[0] != node[0]:
            self.one_connection.append((before, node, message))
        self.name_of_stream[message.stream] = node
        self.first_said.setdefault((place, node), message)
        self.said_at[place][node] = None
        self.places_of[node][place] = None
        self.identity.setdefault(node, identity)

    # ------------------------------------------------------------------------------------------------ asking

    def place(self, end: Endpoint, time: int | None = None) -> Node:
        """The node of an address: one for as long as the same host had it."""
        return self._place(self.behind.get(end, end).address, time)

    def _place(self, address: str, time: int | None) -> Node:
        holders = self.granted if self.granted.turns(address) else self.hardware.turns
        if len(holders.turns(address)) < 2:
            return ("address", address)
        return ("address", address, holders.at(address, time))

    def nodes_of(self, message: Message) -> list[Node]:
        named = self.names.of(message)
        if named:
            return list(named)
        if message.stream in self.name_of_stream and message.layers[-1:] != ("udp",):
            return [self.name_of_stream[message.stream]]
        node = self.tunnels.of(message) or self.lookups.get(id(message))
        if node is not None:
            return [node]
        mac = mac_of(message)
        if mac:
            return [("mac", mac)]
        return self.nodes_at(message.src, message.time) + self.nodes_at(message.dst, message.time)

    def nodes_at(self, end: Endpoint, time: int) -> list[Node]:
        """The device's node at one end of a message; none where the address is nobody's, or anybody's."""
        end = self.behind.get(end, end)
        address = end.address
        if address not in self.device_addresses:
            return []
        place = self._place(address, time)
        if place not in self.shared:
            return [place]
        holder = self.turns.holder(address, time) if self.turns is not None else None
        return [holder] if holder else list(self.names.clients_of.get(address, ()))

    def nodes_of_opaque(self, opaque: Opaque) -> list[Node]:
        names, ends = self.names, (opaque.src, opaque.dst)
        node = self.tunnels.of_esp(opaque) if opaque.kind == "esp" else self.name_of_stream.get(opaque.stream)
        given = [node] if node else [node for end in ends if (node := names.at(end.address, opaque.start)) is not None]
        return given or [node for end in ends for node in self.nodes_at(end, opaque.start)]

    # ------------------------------------------------------------------------------------------------ sharing

    def share(self, messages: Sequence[Message], graph: Graph) -> None:
        """Finds the addresses of several devices, once the graph holds what their names and tunnels prove."""
        by_turns: set[str] = set()
        for place in {*self.said_at, *(("address", address)
                                       for address in (*self.tunnels.at_address, *self.names.clients_of))}:
            address, roots = place[1], {graph.find(name) for name in self.said_at.get(place, ())}
            if len(place) == 2:
                roots |= {graph.find(sa) for sa in self.tunnels.at_address.get(address, ())}
            apart = _contradict(graph, roots)
            if apart or len(self.names.clients_of.get(address,
                                                      ())) > 1 or len(place) == 2 and self.tunnels.ports_apart(address):
                self.shared.add(place)
                if apart and len(place) == 2 and address not in self.names.clients_of and not self.tunnels.ports_apart(address):
                    by_turns.add(address)

        def whose(message: Message) -> Node | None:
            node = self.tunnels.of(message)
            if node is None and message.protocol in ("cwmp", "http", "hnbap", "s1ap"):
                node = self.name_of_stream.get(message.stream)
            return graph.find(node) if node is not None else None

        self.turns = Turns(messages, whose, by_turns)
        if self.shared:
            begins: dict[int, Node] = {id(tunnel.first): node for node, tunnel in self.tunnels.all.items()}
            heard = set()
            for message in messages:
                if message.stream in self.name_of_stream and message.stream not in heard and message.layers[-1:] != ("udp",):
                    heard.add(message.stream)
                    begins[id(message)] = self.name_of_stream[message.stream]
            addresses = {place[1] for place in self.shared}
            self.lookups = shared.lookups(messages, addresses.__contains__, begins)
            self.lookups_taken = frozenset(m.src.address for m in messages if id(m) in self.lookups
                                           and m.src.address in addresses)


def device_key(fields: Mapping[str, Any]) -> str:
    """The name of a CWMP device: OUI-ProductClass-SerialNumber, as TR-069 3.4.4 forms its user name."""
    parts = [str(fields.get(name) or "") for name in ("DeviceId.OUI", "DeviceId.ProductClass", "DeviceId.SerialNumber")]
    return "-".join(part for part in parts if part)


# ---------------------------------------------------------------------------------------------------- who names itself

def _of_inform(message: Message) -> tuple[Node | None, dict[str, str]]:
    if not message.fields.get("DeviceId.SerialNumber"):
        return None, {}
    return ("cwmp", device_key(message.fields)), {name: str(message.fields[field]) for name, field in _IDENTITY.items()
                                                  if message.fields.get(field)}


def _of_hnb(message: Message) -> tuple[Node | None, dict[str, str]]:
    """HNB-Identity: `0<IMSI>@<realm>` or `1<OUI>-<serial number>@<realm>` (TS 23.003 4.10), or a name the operator chose."""
    text = str(message.fields.get("HNB-Identity") or "")
    return (("hnb", text) if text else None), {"hnb_id": text}


def _of_enb(message: Message) -> tuple[Node | None, dict[str, str]]:
    """Global eNB ID: PLMN and the number in it (TS 36.413 9.2.1.37)."""
    told = message.fields.get("Global-ENB-ID")
    if not isinstance(told, Mapping) or told.get("eNB-ID") is None:
        return None, {}
    text = f"{told.get('pLMNidentity')}-{told['eNB-ID']}"
    return ("enb", text, str(told.get("type"))), {"enb_id": text}


def _of_certificate(message: Message) -> tuple[Node | None, dict[str, str]]:
    """A TLS client's certificate, if its subject has the form of one device's name and not of a vendor's or a batch's."""
    chain = message.fields.get("chain") or ()
    subject = str(chain[0].get("subject_cn") or "") if chain and message.fields.get("side") == "client" else ""
    return (("certificate", subject) if _ONE_DEVICE.match(subject) else None), {"certificate": subject}


# OUI-[class-]serial number (TR-069 3.4.4), an HNB identity or an NAI with an IMSI (TS 23.003 4.10, 19.3.2), a MAC
_ONE_DEVICE = re.compile(r"(?i)^(?:1?[0-9a-f]{6}-\S*\d|[01]?\d{14,15}(?:@|$)|(?:[0-9a-f]{2}[:-]?){6}(?:[.@]|$))")
_NAMES = {"cwmp.Inform": _of_inform, "tls.certificate": _of_certificate, "hnbap.HNBRegisterRequest": _of_hnb,
          "s1ap.S1SetupRequest": _of_enb}


# ---------------------------------------------------------------------------------------------------- who is a device

def _device_addresses(messages: Sequence[Message]) -> set[str]:
    strong, servers = set(), set()
    weak: dict[str, set[str]] = defaultdict(set)         # who asks somebody -> whom
    ike_pairs: set[frozenset[str]] = set()
    for message in messages:
        kind = message.kind
        if kind in _DEVICE_SENDS:
            pair = frozenset((message.src.address, message.dst.address))
            if kind != "ike.sa_init.request" or pair not in ike_pairs:
                strong.add(message.src.address)
            ike_pairs.add(pair)
        elif kind in _DEVICE_RECEIVES:
            strong.add(message.dst.address)
            servers.add(message.src.address)
        if kind in _CLIENT_SENDS:
            weak[message.src.address].add(message.dst.address)
        elif kind in _SERVER_SENDS:
            servers.add(message.src.address)
            weak[message.dst.address].add(message.src.address)
        if message.protocol == "ike" and "configuration" in message.fields:
            strong.update(inner_addresses(message))      # whoever has an address inside a tunnel is a device
    for message in messages:                      # who is asked serves, even if it never answers
        if message.kind in _SERVED and (
                message.src.address in strong or message.src.address in weak):
            servers.add(message.dst.address)
    # who asks devices alone is an ACS with a connection request, not a device
    asking = {address for address, asked in weak.items() if address not in servers and not asked <= strong}
    return (strong | asking) - _NOBODY


def _behind_nat(aliases: Mapping[Endpoint, set[Endpoint]]) -> dict[Endpoint, Endpoint]:
    """Endpoint on the public side of a NAT -> endpoint behind it, where both sides were captured.

    The public address is the one that stands for several; with a single device behind the NAT either may name it. A port
    that several had one after the other says nothing.
    """
    partners: dict[str, set[str]] = defaultdict(set)
    for end, others in aliases.items():
        for other in others:
            if other.address != end.address:
                partners[end.address].add(other.address)
    behind = {}
    for end, others in aliases.items():
        inside = [other for other in others if len(partners[end.address]) > 1 and len(partners[other.address]) == 1]
        if inside and len({other.address for other in inside}) == 1:
            behind[end] = inside[0]
    return behind


def _granted(tunnels: Tunnels) -> Holders:
    """Inner address -> the IKE SA that was given it last (RFC 7296 2.19: a pool hands addresses out again)."""
    grants = sorted((message.time, address, node) for node, tunnel in tunnels.all.items()
                    for address, message in tunnel.given)
    granted = Holders()
    for time, address, node in grants:
        granted.take(address, time, node)
    return granted


def _contradict(graph: Graph, roots: set[Node]) -> bool:
    """Are there different devices among these by name?"""
    said: dict[str, str] = {}
    return any(said.setdefault(kind, name) != name for root in roots for kind, name in graph.names(root).items())
