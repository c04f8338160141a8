"""Which addresses, tunnels and names are one device, and which messages are its own.

Every message has a node at the device's side: an address, or, where several devices share an address behind a NAT, a tunnel
or a session (session/facts.py). Nodes are then joined by what the traffic proves: the same DeviceId, the inner address that
IKE handed out, the same IKE identity, the same SA from another address, an HNB identity that holds the serial number, the
MAC that DHCP served, both sides of a NAT. Two devices are never merged by guess, and never against their names: what would
join them is refused, and both say so. The one join that no packet proves (a single tunnel and a single device inside it,
without keys) is listed under `assumed`. A message that names its device (session/named.py) belongs to that one, whatever
hosts it runs between; one that nothing assigns belongs to nobody.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..model import Device, Endpoint, Link, Message, Opaque
from .facts import Facts
from .graph import Graph, Node
from .tunnels import Tunnel

# who a text names: an IMSI in an NAI (TS 23.003 19.3.2, 4.10), a serial number in an HNB identity (4.10)
_IMSI = re.compile(r"^[01]?(\d{14,15})@")
_OF_CPE = re.compile(r"(?i)^[0-9a-f]{6}-")                       # OUI-[class-]serial number (TR-069 3.4.4)
_OUI_SERIAL = re.compile(r"(?i)^1([0-9a-f]{6}-[^@]+)@")


class Assignment:
    """The devices of an observation, and the one function that says whose a message is."""

    def __init__(self, devices: tuple[Device, ...], by_node: Mapping[Node, Device], facts: Facts):
        self.devices, self._by_node, self._facts = devices, by_node, facts
        self.shared = frozenset(place[1] for place in facts.shared)       # addresses at which a message may be nobody's
        # those at which lookups went to who began next
        self.lookups_taken = facts.lookups_taken

    def owners(self, message: Message) -> tuple[Device, ...]:
        """Whose message this is: one device, the several that a gateway speaks for, or none."""
        return self._devices(self._facts.nodes_of(message))

    def owners_of_opaque(self, opaque: Opaque) -> tuple[Device, ...]:
        return self._devices(self._facts.nodes_of_opaque(opaque))

    def _devices(self, nodes: Iterable[Node]) -> tuple[Device, ...]:
        found = [self._by_node.get(node) for node in nodes]
        if len(found) == 1:
            return (found[0],) if found[0] is not None else ()
        return tuple({device.id: device for device in found if device is not None}.values())


def assign(messages: Sequence[Message], aliases: Mapping[Endpoint, set[Endpoint]] | None = None,
           fields: Mapping[str, tuple[str, ...]] | None = None, bindings: Mapping[str, str] | None = None,
           opaque: Sequence[Opaque] = ()) -> Assignment:
    """Finds the devices of an observation. `fields` and `bindings` of a site profile say what names one in a document."""
    facts, graph = Facts(messages, aliases or {}, opaque, fields or {}, bindings or {}), Graph()
    for name, identity in facts.identity.items():
        graph.add(name, **_own_names(name, identity))
    _join_identities(graph, facts)
    facts.share(messages, graph)
    for address in sorted(facts.device_addresses):
        if ("address", address) not in facts.shared and facts.place(Endpoint(address)) == ("address", address):
            graph.add(("address", address))
    _join_places(graph, facts)
    _join_carried(graph, facts)
    _join_subscribers(graph, facts)
    _join_hardware(graph, facts)
    _join_nat(graph, facts, aliases or {})
    assumed = _join_the_only_tunnel(graph, facts, messages)
    by_node, made = {}, []
    for root, nodes in graph.devices().items():
        if any(node[0] != "mac" for node in nodes):              # a MAC alone is a router, or a server
            made.append((nodes, _device(nodes, root, graph, facts, assumed.get(root, ()))))
    for (nodes, _), device in zip(made, devices := _apart([device for _, device in made])):
        by_node.update(dict.fromkeys(nodes, device))
    return Assignment(tuple(sorted(devices, key=lambda d: d.id)), by_node, facts)


# ---------------------------------------------------------------------------------------------------- joins

def _own_names(name: Node, identity: Mapping[str, str]) -> dict[str, str]:
    """What a device has but one of: the kind of name, and the name."""
    if name[0] == "cwmp":
        # what an Inform leaves out tells nothing apart
        return {kind: identity[kind].lower() for kind in ("oui", "serial_number") if identity.get(kind)}
    if name[0] == "hnb":
        form = name[1][0] if _IMSI.match(name[1]) or _OUI_SERIAL.match(name[1]) else ""
        return {f"hnb_id {form}": name[1].partition("@")[0].lower()}
    if name[0] == "certificate":
        return {"certificate": name[1].lower()}
    return {}


def _join_identities(graph: Graph, facts: Facts) -> None:
    """IKE SAs by the identity they were set up with and the address they were given; identities by what is in them."""
    named, spoken = _Tails(facts.identity), {}
    for name in facts.identity:
        if name[0] == "hnb":
            _join_text(graph, name[1], name, f"the HNB identity {name[1]}",
                       facts.first_said[next(iter(facts.places_of[name])), name], named)
        if name[0] == "certificate":
            _join_text(graph, name[1], name, f"the TLS certificate of {name[1]}",
                       facts.first_said[next(iter(facts.places_of[name])), name], named)
    for one, other, shown_by in facts.one_connection:
        graph.join(other, one, f"{one[1]} and {other[1]} on one connection, in frame {shown_by.frames[-1].number}",
                   shown_by)
    for name in facts.identity:
        if name[0] == "certificate" and _OF_CPE.match(name[1]) and "serial_number" not in graph.names(name):
            # it names a device, and none of those that said their number
            graph.add(name, serial_number=name[1].lower())
    for node, tunnel in facts.tunnels.all.items():
        graph.add(node)
        for text, shown_by in tunnel.identities.items():
            if text in spoken:
                graph.join(spoken[text], node, f"the IKE identity {text} again in frame {shown_by.frames[-1].number}",
                           shown_by)
            spoken.setdefault(text, node)
            _join_text(graph, text, node, f"the IKE identity {text}", shown_by, named)
        if tunnel.goes_on is not None:
            before, shown_by, why = tunnel.goes_on
            graph.join(before, node, f"{why} in frame {shown_by.frames[-1].number}", shown_by)
        for text, shown_by in tunnel.subjects.items():
            _join_text(graph, text, node, f"the IKE certificate of {text}", shown_by, named)
    for place, names in facts.said_at.items():
        if len(place) == 3 and place[2][0] == "ike":             # before the tunnels' own addresses are looked at
            _join_said(graph, facts, place, names)
    for node, tunnel in facts.tunnels.all.items():
        for address, shown_by in tunnel.given:
            place = facts.place(Endpoint(address), shown_by.time)
            if len(facts.said_at.get(place, ())) < 2:
                _join_said(graph, facts, place, facts.said_at.get(place, ()))
                frame = shown_by.frames[-1].number
                told = f"IKE handed out {address} in frame {frame}"
                if shown_by.protocol == "esp":
                    told = f"the tunnel of IKE SA {node[1]} carries {address}, first in frame {frame}"
                graph.join(node, place, told, shown_by,
                           _first(_passed_on(facts, address, shown_by.time), tunnel.deleted))


def _join_text(graph: Graph, text: str, node: Node, what: str, shown_by: Message, named: _Tails) -> None:
    """A text that names a device: it holds its OUI and serial number, or its IMSI."""
    for key in named.within(text):
        graph.join(key, node, f"{what} names {key[1]}", shown_by)
    if imsi := _IMSI.match(text):
        graph.join(("hosting", imsi[1]), node, f"{what} names IMSI {imsi[1]}", shown_by)


def _join_said(graph: Graph, facts: Facts, place: Node, names: Iterable[Node]) -> None:
    for name in names:
        shown_by, address = facts.first_said[place, name], place[1]
        what = {"cwmp": "sent Informs of", "certificate": "showed the certificate of"}.get(name[0], "registered as")
        graph.join(name, place, f"{address} {what} {name[1]}, first in frame {shown_by.frames[-1].number}", shown_by,
                   _passed_on(facts, address, shown_by.time))


def _passed_on(facts: Facts, address: str, time: int) -> int | None:
    """When somebody else got the address."""
    for holders in (facts.granted, facts.hardware.turns):
        turns = holders.turns(address)
        if turns:
            return next((since for since, _ in turns[1:] if since > time), None)
    return None


def _first(*times: int | None) -> int | None:
    return min((time for time in times if time is not None), default=None)


def _join_places(graph: Graph, facts: Facts) -> None:
    """An address is whoever said a name from it, or ran a tunnel from it, if nobody else did."""
    for place, names in facts.said_at.items():
        if place not in facts.shared:
            _join_said(graph, facts, place, names)
    for node, tunnel in facts.tunnels.all.items():
        for end, span in tunnel.ends.items():
            place = facts.place(end, span.first)
            if place[1] in facts.device_addresses and place not in facts.shared:
                frame = tunnel.first.frames[-1].number
                left = span.last if any(other.first > span.last and at.address != end.address
                                        for at, other in tunnel.ends.items()) else None
                graph.join(place, node, f"IKE SA {node[1]} runs from {place[1]}, first in frame {frame}", tunnel.first,
                           _first(_passed_on(facts, place[1], span.first), left, tunnel.deleted))


def _join_carried(graph: Graph, facts: Facts) -> None:
    """ESP that was opened says who is inside, where the capture has nothing of the IKE that set it up."""
    alone = facts.device_addresses - {place[1] for place in facts.shared}
    for outer, carried in facts.tunnels.carries.items():
        if len(carried) == 1 and outer in alone:
            (inner, shown_by), = carried.items()
            places = [facts.place(Endpoint(address), shown_by.time) for address in (outer, inner)]
            if inner in alone and facts.place(Endpoint(inner)) == ("address", inner):
                graph.join(*places, f"ESP of {outer} carries {inner}, first in frame {shown_by.frames[-1].number}",
                           shown_by)


def _join_subscribers(graph: Graph, facts: Facts) -> None:
    """What messages name together is one device, and so is the address that spoke for nobody else."""
    for node in sorted(facts.names.nodes(), key=str):
        graph.add(node)
    alone = facts.device_addresses - {place[1] for place in facts.shared}
    for name, address, shown_by in facts.resolved:
        place = facts.place(Endpoint(address), shown_by.time)
        if name in facts.tunnels.called and place not in facts.shared:
            graph.join(facts.tunnels.called[name], place,
                       f"DNS gives {name}, an IKE identity, the address {address} in frame "
                       f"{shown_by.frames[-1].number}", shown_by)
    for join in facts.names.joins:
        if all(node[0] != "address" or node[1] in alone and facts.place(Endpoint(node[1])) == node
               for node in (join.one, join.other)):
            graph.join(join.one, join.other, join.why, join.shown_by)
    for address, named in facts.names.clients_of.items():
        if address in alone and facts.place(Endpoint(address)) == ("address", address):
            for node in named:
                graph.join(node, ("address", address), f"{address} asked for {node[1]}")


def _join_hardware(graph: Graph, facts: Facts) -> None:
    """The MAC of an address that is one device's own: not of a NAT's public side, and not of one that several speak from."""
    public = {end.address for end in facts.behind}
    for claim in facts.hardware.claims:
        place = facts.place(Endpoint(claim.address), claim.message.time)
        if claim.address in facts.device_addresses and place not in facts.shared and claim.address not in public \
                and not facts.tunnels.natted(claim.address):
            told = f"{claim.mac} says in ARP that it has" if claim.message.protocol == "arp" else f"{claim.mac} was given by DHCP"
            graph.join(place, ("mac", claim.mac), f"{told} {claim.address}, first in frame {claim.message.frames[-1].number}",
                       claim.message, _passed_on(facts, claim.address, claim.message.time))


def _join_nat(graph: Graph, facts: Facts, aliases: Mapping[Endpoint, set[Endpoint]]) -> None:
    for end, others in aliases.items():
        for other in others:
            places = [("address", one.address) for one in (end, other)]
            if all(place[1] in facts.device_addresses and place not in facts.shared
                   and facts.place(Endpoint(place[1])) == place
                   for place in places) and end not in facts.behind and other not in facts.behind:
                graph.join(*places, f"the same packets came from {end.address} and {other.address}")


def _join_the_only_tunnel(graph: Graph, facts: Facts, messages: Sequence[Message]) -> dict[Node, tuple[str, ...]]:
    """Without keys nothing says which inner address a tunnel carries; where there is one of each, they belong together."""
    with_tunnel = {graph.find(node) for node in facts.tunnels.all}
    if len(with_tunnel) != 1:
        return {}
    groups = graph.devices()
    inside = {root for root, nodes in groups.items() if any(node[0] in ("address", "cwmp")
                                                            for node in nodes)} - with_tunnel
    alone = {root for root in with_tunnel if not any(node[0] == "cwmp" for node in groups[root])}
    if len(alone) != 1 or len(inside) != 1:
        return {}
    tunnel, inner = alone.pop(), inside.pop()
    first = min((m.time for m in messages if m.protocol == "ike"), default=None)
    starts = [m.time for m in messages if any(graph.find(n) == inner for n in facts.nodes_of(m))]
    if first is None or not starts or min(starts) < first:
        return {}
    why = "the only tunnel of the observation carries the only device inside one"
    if not graph.join(inner, tunnel, why):
        return {}
    return {graph.find(inner): (why,)}


class _Tails:
    """Which devices a text names by OUI and serial number, however many devices there are."""

    def __init__(self, identity: Mapping[Node, Mapping[str, str]]):
        self._keys: dict[str, list[Node]] = defaultdict(list)
        for key, facts in identity.items():
            tail = f"{facts.get('oui', '')}-{facts.get('serial_number', '')}".lower()
            if key[0] == "cwmp" and tail.strip("-"):
                self._keys[tail].append(key)
                if key[1].lower() != tail:
                    self._keys[key[1].lower()].append(key)
        self._lengths = sorted({len(tail) for tail in self._keys})

    def within(self, text: str) -> list[Node]:
        text = text.lower()
        found = {text[at:at + size]: None for size in self._lengths for at in range(len(text) - size + 1)
                 if text[at:at + size] in self._keys}
        return [key for tail in found for key in self._keys[tail]]


# ---------------------------------------------------------------------------------------------------- devices

def _device(nodes: list[Node], root: Node, graph: Graph, facts: Facts, assumed: tuple[str, ...]) -> Device:
    of_kind: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        of_kind[node[0]].append(node)
    keys = sorted(of_kind["cwmp"])
    tunnels = [facts.tunnels.all[node] for node in of_kind["ike"]]
    ends = [end for tunnel in tunnels for end in tunnel.ends]
    outer = [facts.behind.get(end, end).address for end in ends]
    public = [end.address for end in ends]
    identity = _identity(of_kind, keys, tunnels, facts)
    everything = tuple(dict.fromkeys((*outer, *public, *sorted(node[1] for node in of_kind["address"]),
                                      *facts.names.addresses(set(nodes)),
                                      *(place[1] for key in (*keys, *of_kind["hnb"], *of_kind["enb"], *of_kind["certificate"]) for place in facts.places_of[key]))))
    named = next((identity[kind] for kind in ("private_id", "imsi", "imei", "guti", "hnb_id", "enb_id", "certificate")
                  if kind in identity), None)
    shared = tuple(address for address in everything if any(place[1] == address
                                                            for place in _places(address, of_kind, facts)))
    name = keys[0][1] if keys else identity.get("ike_id") or named or _by_address(everything, shared, ends)
    links: tuple[Link, ...] = graph.links(root)
    apart = graph.refused(root)
    evidence = (*(link.why for link in links), *apart)
    return Device(name, identity, everything, tuple(dict.fromkeys(evidence)),
                  tuple(dict.fromkeys((*outer, *public))), assumed,
                  shared, links, apart)


def _places(address: str, of_kind: Mapping[str, list[Node]], facts: Facts) -> list[Node]:
    return [place for place in (("address", address), *(p for name in (*of_kind["cwmp"], *of_kind["hnb"], *of_kind["enb"], *of_kind["certificate"])
                                                        for p in facts.places_of[name] if p[1] == address))
                                                        if place in facts.shared]


def _by_address(addresses: Sequence[str], shared: Sequence[str], ends: Sequence[Endpoint]) -> str:
    """The name of a device that is known by its address alone, with its port where it shares the address."""
    if not addresses:
        return "unknown"
    if addresses[0] in shared and ends:
        return str(next((end for end in reversed(ends) if end.address == addresses[0]), addresses[0]))
    return addresses[0]


def _identity(of_kind: Mapping[str, list[Node]], keys: Sequence[Node], tunnels: Sequence[Tunnel],
              facts: Facts) -> dict[str, str]:
    identity = dict(facts.identity[keys[0]]) if keys else {}
    for kind, node in (("private_id", "private_id"), ("imsi", "imsi"), ("imsi", "hosting"), ("imei", "imei"),
                       ("guti", "guti"),
                       ("hnb_id", "hnb"), ("enb_id", "enb"), ("mac", "mac"), ("certificate", "certificate")):
        found = sorted(str(name[1]) for name in of_kind[node])
        if found:
            identity.setdefault(kind, found[0])
    said = [(message.time, message.frames[-1], text) for tunnel in tunnels
            for text, message in tunnel.identities.items()]
    if said:
        identity["ike_id"] = min(said)[2]
    return identity


def _apart(devices: Sequence[Device]) -> list[Device]:
    """The devices under names that no two share."""
    total, count, out = Counter(device.id for device in devices), Counter(), []
    for device in devices:
        count[device.id] += 1
        out.append(device if total[device.id] == 1 else replace(device, id=f"{device.id} ({count[device.id]})"))
    return out
