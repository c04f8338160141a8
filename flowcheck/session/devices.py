"""Which addresses, tunnels and serial numbers are one device, and which messages are its own.

Every message has a node at the device's side: an address, or, where several devices share an address behind a NAT, one
tunnel or one CWMP identity of it. Nodes are then joined by what the traffic proves: the same DeviceId, the inner address
that IKE handed out, the same IKE identity, the same SPI from another address, both sides of a NAT. Two devices are never
merged by guess: the one join that no packet proves (a single tunnel and a single device inside it, without keys) is
listed under `assumed`. A message that names its device (session/named.py) belongs to that one, whatever hosts it runs between.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from ..model import Device, Endpoint, Message, Opaque
from .named import Names
from .turns import Turns

# Message kinds whose sender (or, second table, receiver) is a device for certain; the weak ones count only for hosts that
# serve nobody.
_DEVICE_SENDS = ("cwmp.Inform", "ike.sa_init.request", "hnbap.HNBRegisterRequest", "s1ap.S1SetupRequest")
_DEVICE_RECEIVES = ("cwmp.InformResponse", "ike.sa_init.response", "hnbap.HNBRegisterAccept", "s1ap.S1SetupResponse")
_CLIENT_SENDS = ("dns.query", "tcp.syn", "tls.client_hello", "sctp.init", "http.request", "ike.auth.request", "coap.request",
                 "ftp.command", "dhcp.request", "dhcp.discover", "cwmp.session_end")
_SERVER_SENDS = ("dns.response", "tcp.syn_ack", "tls.server_hello", "sctp.init_ack", "http.response", "coap.response",
                 "ike.sa_init.response", "ike.auth.response", "ftp.reply", "dhcp.offer", "dhcp.ack")
_IDENTITY = {"manufacturer": "DeviceId.Manufacturer", "oui": "DeviceId.OUI", "product_class": "DeviceId.ProductClass",
             "serial_number": "DeviceId.SerialNumber"}


class _Joined:
    """Union-find over nodes, remembering why each pair was joined."""

    def __init__(self) -> None:
        self._parent: dict[Hashable, Hashable] = {}
        self.reasons: dict[Hashable, list[str]] = defaultdict(list)

    def find(self, node: Hashable) -> Hashable:
        parent = self._parent.setdefault(node, node)
        while parent != self._parent[parent]:
            self._parent[node] = parent = self._parent[parent]
        return parent

    def join(self, one: Hashable, other: Hashable, why: str) -> None:
        a, b = self.find(one), self.find(other)
        if a != b:
            self._parent[b] = a
            self.reasons[a] += self.reasons.pop(b, [])
            self.reasons[a].append(why)

    def nodes(self) -> dict[Hashable, list[Hashable]]:
        groups: dict[Hashable, list[Hashable]] = defaultdict(list)
        for node in self._parent:
            groups[self.find(node)].append(node)
        return groups


class Assignment:
    """The devices of an observation, and the one function that says whose a message is."""

    def __init__(self, devices: tuple[Device, ...], by_node: Mapping[Hashable, Device], facts: _Facts):
        self.devices, self._by_node, self._facts = devices, by_node, facts

    def owners(self, message: Message) -> tuple[Device, ...]:
        """Whose message this is: one device; several where they share an address and nothing tells them apart; none."""
        return self._devices(self._facts.nodes_of(message))

    def owners_of_opaque(self, opaque: Opaque) -> tuple[Device, ...]:
        facts = self._facts
        given = [node for end in (opaque.src, opaque.dst) if (node := facts.names.at(end.address, opaque.start)) is not None]
        return self._devices(given or facts.nodes_at(opaque.src) + facts.nodes_at(opaque.dst))

    def _devices(self, nodes: Iterable[Hashable]) -> tuple[Device, ...]:
        found = (self._by_node.get(node) for node in nodes)
        return tuple({device.id: device for device in found if device is not None}.values())


class _Facts:
    """What one pass over the messages tells about the hosts in them."""

    def __init__(self, messages: Sequence[Message], aliases: Mapping[Endpoint, set[Endpoint]],
                 fields: Mapping[str, tuple[str, ...]], bindings: Mapping[str, str]):
        self.device_addresses = _device_addresses(messages)
        self.names = Names(messages, self.device_addresses, fields, bindings)
        self.device_addresses |= self.names.clients_of.keys()
        self.cwmp_of_stream: dict[int, str] = {}
        self.spi_of_end: dict[Endpoint, str] = {}
        self.first_seen: dict[Hashable, int] = {}                # what evidence is about -> the frame it was first seen in
        self.ends_of_spi: dict[str, list[Endpoint]] = defaultdict(list)
        self.cwmp_at: dict[str, set[str]] = defaultdict(set)
        self.streams_of_session: dict[int, set[int]] = defaultdict(set)
        self.identity: dict[str, dict[str, str]] = {}
        self.ike_ids: dict[str, tuple[int, str]] = {}            # SPI -> place of the message that first names it, IKE identity
        for place, message in enumerate(messages):
            self._note(message, place)
        session_of = {stream: session for session, streams in self.streams_of_session.items() for stream in streams}
        key_of_session = {session_of[stream]: key for stream, key in self.cwmp_of_stream.items() if stream in session_of}
        for session, streams in self.streams_of_session.items():
            if session in key_of_session:
                for stream in streams:
                    self.cwmp_of_stream.setdefault(stream, key_of_session[session])
        self.behind = _behind_nat(aliases)
        self.shared = {address for address, keys in self.cwmp_at.items() if len(keys) > 1} | self._shared_by_tunnels()
        self.shared |= {address for address, named in self.names.clients_of.items() if len(named) > 1}
        self.addresses_of_cwmp: dict[str, list[str]] = defaultdict(list)
        for address, keys in self.cwmp_at.items():
            for key in keys:
                self.addresses_of_cwmp[key].append(address)
        self.spis_at: dict[str, dict[str, None]] = defaultdict(dict)
        for spi, ends in self.ends_of_spi.items():
            for end in ends:
                self.spis_at[end.address][spi] = None
        self.turns = Turns(messages, self.cwmp_of_stream, (
            address for address, keys in self.cwmp_at.items()
            if len(keys) > 1 and address not in self.spis_at and address not in self.names.clients_of))

    def _note(self, message: Message, place: int) -> None:
        if message.session is not None:
            self.streams_of_session[message.session].add(message.stream)
        if message.kind == "cwmp.Inform":
            serial = message.fields.get("DeviceId.SerialNumber")
            if serial:
                key = device_key(message.fields)
                self.cwmp_of_stream[message.stream] = key
                self.cwmp_at[message.src.address].add(key)
                self.first_seen.setdefault((message.src.address, key), message.frames[-1].number)
                self.identity.setdefault(key, {name: str(message.fields[field]) for name, field in _IDENTITY.items()
                                               if message.fields.get(field)})
        elif message.protocol == "ike" and message.fields.get("spi_i"):
            end = self._ike_device_end(message)
            spi = message.fields["spi_i"]
            self.first_seen.setdefault(spi, message.frames[-1].number)
            if message.fields.get("id_i"):
                self.ike_ids.setdefault(spi, (place, str(message.fields["id_i"])))
            if end is not None and end not in self.ends_of_spi[spi]:
                self.ends_of_spi[spi].append(end)
            if end is not None:
                self.spi_of_end[end] = spi

    def _ike_device_end(self, message: Message) -> Endpoint | None:
        if message.src.address in self.device_addresses:
            return message.src
        return message.dst if message.dst.address in self.device_addresses else None

    def _shared_by_tunnels(self) -> set[str]:
        """Addresses that tunnels run from at several NATed ports: more than one device is behind them."""
        ports: dict[str, set[int | None]] = defaultdict(set)
        for ends in self.ends_of_spi.values():
            for end in ends:
                if end.port not in (500, 4500):
                    ports[end.address].add(end.port)
        spis: dict[str, set[str]] = defaultdict(set)
        for spi, ends in self.ends_of_spi.items():
            for end in ends:
                spis[end.address].add(spi)
        return {address for address, seen in ports.items() if len(seen) > 2 and len(spis[address]) > 1}

    def nodes_of(self, message: Message) -> list[Hashable]:
        named = list(self.names.of(message))
        if named:
            return named
        if message.stream in self.cwmp_of_stream and message.layers[-1:] != ("udp",):
            return [("cwmp", self.cwmp_of_stream[message.stream])]
        if message.protocol == "ike" and message.fields.get("spi_i") in self.ends_of_spi:
            return [("ike", message.fields["spi_i"])]
        return self.nodes_at(message.src, message.time) + self.nodes_at(message.dst, message.time)

    def nodes_at(self, end: Endpoint, time: int | None = None) -> list[Hashable]:
        end = self.behind.get(end, end)
        if end.address not in self.device_addresses:
            return []
        if end.address in self.shared:
            if end in self.spi_of_end:
                return [("ike", self.spi_of_end[end])]
            holder = self.turns.holder(end.address, time) if time is not None else None
            if holder is not None:
                return [("cwmp", holder)]
            return [("cwmp", key) for key in sorted(self.cwmp_at.get(end.address, ()))] + \
                   list(self.names.clients_of.get(end.address, ())) + \
                   [("ike", spi) for spi in self.spis_at.get(end.address, ())]
        return [("address", end.address)]


def device_key(fields: Mapping[str, Any]) -> str:
    """The name of a CWMP device: OUI-ProductClass-SerialNumber, as TR-069 3.4.4 forms its user name."""
    parts = [str(fields.get(name) or "") for name in ("DeviceId.OUI", "DeviceId.ProductClass", "DeviceId.SerialNumber")]
    return "-".join(part for part in parts if part)


def assign(messages: Sequence[Message], aliases: Mapping[Endpoint, set[Endpoint]] | None = None,
           fields: Mapping[str, tuple[str, ...]] | None = None, bindings: Mapping[str, str] | None = None) -> Assignment:
    """Finds the devices of an observation. `fields` and `bindings` of a site profile say what names one in a document."""
    facts = _Facts(messages, aliases or {}, fields or {}, bindings or {})
    joined = _Joined()
    for address in sorted(facts.device_addresses - facts.shared):
        joined.find(("address", address))
    for key in facts.identity:
        joined.find(("cwmp", key))
    _join_identities(joined, facts)
    _join_names(joined, facts)
    _join_tunnels(joined, facts, messages)
    _join_nat(joined, facts, aliases or {})
    assumed = _join_the_only_tunnel(joined, facts, messages)
    devices, by_node = [], {}
    for root, nodes in joined.nodes().items():
        device = _device(nodes, joined.reasons.get(root, []), facts, assumed.get(root, ()))
        devices.append(device)
        by_node.update(dict.fromkeys(nodes, device))
    return Assignment(tuple(sorted(devices, key=lambda d: d.id)), by_node, facts)


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
        if message.protocol == "ike":
            strong.update(inner_addresses(message))      # whoever has an address inside a tunnel is a device
    for message in messages:                      # who is asked serves, even if it never answers
        if message.kind in ("cwmp.Inform", "ike.sa_init.request", "dns.query", "sctp.init") and (
                message.src.address in strong or message.src.address in weak):
            servers.add(message.dst.address)
    # who asks devices alone is an ACS with a connection request, not a device
    return strong | {address for address, asked in weak.items() if address not in servers and not asked <= strong}


def _behind_nat(aliases: Mapping[Endpoint, set[Endpoint]]) -> dict[Endpoint, Endpoint]:
    """Endpoint on the public side of a NAT -> endpoint behind it, where both sides were captured.

    The public address is the one that stands for several; with a single device behind the NAT either may name it.
    """
    partners: dict[str, set[str]] = defaultdict(set)
    for end, others in aliases.items():
        for other in others:
            if other.address != end.address:
                partners[end.address].add(other.address)
    behind = {}
    for end, others in aliases.items():
        for other in others:
            if len(partners[end.address]) > 1 and len(partners[other.address]) == 1:
                behind[end] = other
    return behind


def _join_identities(joined: _Joined, facts: _Facts) -> None:
    for address, keys in facts.cwmp_at.items():
        if address not in facts.shared:
            for key in keys:
                joined.join(("cwmp", key), ("address", address), f"{address} sent Informs of {key}, first in frame {facts.first_seen[address, key]}")


def _join_names(joined: _Joined, facts: _Facts) -> None:
    """What messages name together is one device, and so is the address that spoke for nobody else."""
    for node in sorted(facts.names.nodes(), key=str):
        joined.find(node)
    for join in facts.names.joins:
        if all(node[0] != "address" or node[1] in facts.device_addresses - facts.shared for node in (join.one, join.other)):
            joined.join(join.one, join.other, join.why)
    for address, named in facts.names.clients_of.items():
        if address not in facts.shared:
            for node in named:
                joined.join(node, ("address", address), f"{address} asked for {node[1]}")


def _join_tunnels(joined: _Joined, facts: _Facts, messages: Sequence[Message]) -> None:
    """IKE SAs join the addresses they run from, the addresses they hand out, and each other by IKE identity."""
    by_identity: dict[str, Hashable] = {}
    named = _Tails(facts.identity)
    for spi, ends in facts.ends_of_spi.items():
        node = ("ike", spi)
        joined.find(node)
        for end in ends:
            end = facts.behind.get(end, end)
            if end.address in facts.device_addresses and end.address not in facts.shared:
                joined.join(("address", end.address), node, f"IKE SA {spi} runs from {end.address}, first in frame {facts.first_seen[spi]}")
    for message in messages:
        if message.protocol != "ike" or message.fields.get("spi_i") not in facts.ends_of_spi:
            continue
        node = ("ike", message.fields["spi_i"])
        frame = message.frames[-1].number
        for address in inner_addresses(message):
            if address in facts.device_addresses and address not in facts.shared:
                joined.join(node, ("address", address), f"IKE handed out {address} in frame {frame}")
        identity = message.fields.get("id_i")
        if identity:
            name = str(identity)
            if name in by_identity:
                joined.join(by_identity[name], node, f"the IKE identity {name} again in frame {frame}")
            by_identity.setdefault(name, node)
            for key in named.within(name):
                joined.join(("cwmp", key), node, f"the IKE identity {name} names {key}")


class _Tails:
    """Which CWMP devices a text names by OUI and serial number, however many devices there are."""

    def __init__(self, identity: Mapping[str, Mapping[str, str]]):
        self._keys: dict[str, list[str]] = defaultdict(list)
        for key, facts in identity.items():
            tail = f"{facts.get('oui', '')}-{facts.get('serial_number', '')}".lower()
            if tail.strip("-"):
                self._keys[tail].append(key)
        self._lengths = sorted({len(tail) for tail in self._keys})

    def within(self, text: str) -> list[str]:
        text = text.lower()
        found = {text[at:at + size]: None for size in self._lengths for at in range(len(text) - size + 1)
                 if text[at:at + size] in self._keys}
        return [key for tail in found for key in self._keys[tail]]


def inner_addresses(message: Message) -> list[str]:
    """The tunnel addresses that a decrypted IKE configuration payload assigns (RFC 7296 3.15.1)."""
    configuration = message.fields.get("configuration") or {}
    if not isinstance(configuration, Mapping) or configuration.get("type") not in ("REPLY", "CFG_REPLY", 2):
        return []
    attributes = configuration.get("attributes") or {}
    found = []
    for name in ("INTERNAL_IP4_ADDRESS", "INTERNAL_IP6_ADDRESS"):
        values = attributes.get(name) or ()
        for value in values if isinstance(values, (list, tuple)) else [values]:
            found.append(str(value).partition("/")[0])
    return [address for address in found if address]


def _join_nat(joined: _Joined, facts: _Facts, aliases: Mapping[Endpoint, set[Endpoint]]) -> None:
    for end, others in aliases.items():
        for other in others:
            pair = (end.address, other.address)
            if all(a in facts.device_addresses and a not in facts.shared for a in pair) and end not in facts.behind \
                    and other not in facts.behind:
                joined.join(("address", end.address), ("address", other.address),
                            f"the same packets came from {end.address} and {other.address}")


def _join_the_only_tunnel(joined: _Joined, facts: _Facts, messages: Sequence[Message]) -> dict[Hashable, tuple[str, ...]]:
    """Without keys nothing says which inner address a tunnel carries; where there is one of each, they belong together."""
    with_tunnel = {joined.find(("ike", spi)) for spi in facts.ends_of_spi}
    if len(with_tunnel) != 1:
        return {}
    inside = {joined.find(node) for node in (*[("address", a) for a in facts.device_addresses - facts.shared],
                                             *[("cwmp", k) for k in facts.identity])} - with_tunnel
    alone = {root for root in with_tunnel if not any(node[0] == "cwmp" for node in joined.nodes()[root])}
    if len(alone) != 1 or len(inside) != 1:
        return {}
    tunnel, inner = alone.pop(), inside.pop()
    first = min((m.time for m in messages if m.protocol == "ike"), default=None)
    starts = [m.time for m in messages if any(joined.find(n) == inner for n in facts.nodes_of(m))]
    if first is None or not starts or min(starts) < first:
        return {}
    why = "the only tunnel of the observation carries the only device inside one"
    joined.join(inner, tunnel, why)
    return {joined.find(inner): (why,)}


def _device(nodes: list[Hashable], reasons: list[str], facts: _Facts, assumed: tuple[str, ...]) -> Device:
    keys = sorted(name for kind, name in nodes if kind == "cwmp")
    spis = [name for kind, name in nodes if kind == "ike"]
    addresses = [name for kind, name in nodes if kind == "address"]
    outer = list(dict.fromkeys(facts.behind.get(end, end).address for spi in spis for end in facts.ends_of_spi[spi]))
    public = list(dict.fromkeys(end.address for spi in spis for end in facts.ends_of_spi[spi]))
    identity = dict(facts.identity[keys[0]]) if keys else {}
    for kind in ("private_id", "imsi", "imei"):
        named = sorted(str(name) for node, name in nodes if node == kind)
        if named:
            identity[kind] = named[0]
    _, ike_id = min((facts.ike_ids[spi] for spi in spis if spi in facts.ike_ids), default=(0, None))
    if ike_id:
        identity["ike_id"] = ike_id
    everything = tuple(dict.fromkeys((*outer, *public, *sorted(addresses), *facts.names.addresses(set(nodes)),
                                      *(a for key in keys for a in facts.addresses_of_cwmp[key]))))
    named = next((identity[kind] for kind in ("private_id", "imsi", "imei") if kind in identity), None)
    name = keys[0] if keys else ike_id or named or (everything[0] if everything else "unknown")
    return Device(name, identity, everything, tuple(dict.fromkeys(reasons)), tuple(dict.fromkeys((*outer, *public))), assumed,
                  tuple(address for address in everything if address in facts.shared))
