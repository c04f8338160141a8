"""Messages that name the subscriber or device they are about, whatever hosts they run between.

A Home NodeB is known by its own addresses. A UE behind a base station, or one that two servers talk about, is not: its
messages carry its IMSI (EMM, GMM, Diameter, MAP, GTP-C), its IMEI (OMA DM) or its Private ID (MSGin5G), or they go on with
a transaction, an exchange or a UE context in which one was named. Which messages name whom stands in tables.

Nodes are pairs: ("private_id", "00:00:5E:00:53:11"), ("imsi", "99999..."), ("imei", ..), ("guti", ..), ("ue", number of a UE context).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..documents import find_field, holds_name
from ..model import Message

# protocol -> the field that holds an IMSI (TS 23.003 2.2); Diameter's User-Name may be an NAI built from it (23.003
# 19.3)
_IMSI_FIELDS = {"emm": "imsi", "gmm": "imsi", "mm": "imsi", "diameter": "user_name", "gtpv2": "imsi", "gtp": "imsi",
                "map": "imsi"}
# what assigns an address to the UE that the message, its transaction or its UE context names
_ADDRESS_FIELDS = {
    "gtpv2.CreateSessionResponse": "paa", "gtp.CreatePDPContextResponse": "end_user_address",
    "esm.ActivateDefaultEPSBearerContextRequest": "pdn_address", "sm.ActivatePDPContextAccept": "pdp_address",
}
_ATTACHES = ("emm.AttachRequest", "gmm.AttachRequest")
# the network does not know who attaches, or does not want it: such a UE may leave without ever telling its IMSI
_TURNED_AWAY = ("emm.IdentityRequest", "gmm.IdentityRequest", "emm.AttachReject", "gmm.AttachReject")
_NAS = frozenset(("emm", "gmm", "mm", "esm", "sm"))
NAMING = frozenset((*_IMSI_FIELDS, *_NAS, "json", "xml", "syncml"))          # whose messages can name somebody
_IMSI = re.compile(r"(?:^|[/:])(?:[0-8](?=\d{15}@))?(\d{14,15})(?:@|$)")     # in an NAI a digit says which kind it is
_IMEI = re.compile(r"(?i)^(?:urn:)?imei(?:sv)?:([\d-]{14,18})$")


class Document(NamedTuple):
    """A JSON or XML document that names a device: which documents, by site profile, and where in them."""

    path: str                      # `bindings` of the site profile: the path it is sent to
    holds: str | None              # `fields`: without such a field some other document is meant
    lacks: str | None              # `fields`: with it too
    name: str                      # `fields`: what names the device
    identity: str                  # node of that name; "m2me" may be an IMSI or an IMEI


DOCUMENTS = (
    Document("msgin5g_path", None, "mcim_object", "private_id", "private_id"),
    Document("mcim_object_path", "mcim_object", None, "m2me_id", "m2me"),
    Document("mcim_register_path", None, None, "m2me_id", "m2me"),
    Document("mcim_validate_path", None, None, "m2me_id", "m2me"),
    Document("mcim_status_path", None, None, "m2me_id", "m2me"),
    Document("mcim_object_path", None, None, "m2me_id", "m2me"),      # last: one without the object it should hold
)
_BESIDE = {"m2me": (("imei", "imei"), ("m2me_address", "address"))}     # further fields of such a document -> node

Node = tuple[str, Any]


@dataclass(slots=True)
class Join:
    one: Node
    other: Node
    why: str
    shown_by: Message


class Names:
    """Who is named by which message, on which stream and at which address. `of` is the one question asked of it.

    `messages` are those of the protocols of NAMING, in time order.
    """

    def __init__(self, messages: Sequence[Message], clients: Collection[str], fields: Mapping[str, tuple[str, ...]],
                 bindings: Mapping[str, str]):
        self._fields, self._bindings, self._clients = fields, bindings, clients
        self.joins: list[Join] = []
        self.clients_of: dict[str, dict[Node, None]] = defaultdict(dict)     # address -> Private IDs it speaks for
        self._given: dict[str, list[tuple[int, Node]]] = defaultdict(list)   # address -> (since, who has it)
        self._by_message: dict[int, list[Node]] = defaultdict(list)
        self._of_transaction: dict[int, dict[Node, None]] = defaultdict(dict)
        self._of_stream: dict[int, dict[Node, None]] = defaultdict(dict)
        self._contexts: dict[tuple[int, str], tuple[int, str | None]] = {}   # UE context -> its number and identity
        self._context_count = 0
        # UE context -> temporary identity, what said so
        self._turned_away: dict[Node, tuple[str, Message]] = {}
        self._nameless: list[Message] = []               # documents that should name a machine and do not
        # node -> its addresses, in the order of noting
        self._places: dict[Node, dict[int, str]] | None = None
        for message in messages:
            self._note(message)
        self._name_the_nameless()
        self._settle_m2me()
        self._give_to_the_only_one()
        for message in messages:
            self._note_address(message)

    # ------------------------------------------------------------------------------------------------ asking

    def of(self, message: Message) -> Collection[Node]:
        """Who the message is about: as it says, else its transaction, the owner of its address, its connection."""
        if not self._by_message and not self._given:                         # nobody was named at all
            return ()
        found = self._own(message)
        if found:
            return found
        for end in (message.src, message.dst):
            node = self.at(end.address, message.time)
            if node is not None:
                return (node,)
        return self._of_stream.get(message.stream, ())

    def at(self, address: str, time: int) -> Node | None:
        """Who was given this address by then."""
        given = self._given.get(address)
        if not given:
            return None
        place = bisect_right(given, time, key=lambda entry: entry[0])
        return given[max(place - 1, 0)][1]

    def addresses(self, nodes: Collection[Node]) -> list[str]:
        """The addresses these nodes were given, and those that spoke for them."""
        if self._places is None:
            self._places = defaultdict(dict)
            for order, (address, held) in enumerate((*((a, [node for _, node in given])
                                                       for a, given in self._given.items()),
                                                     *self.clients_of.items())):
                for node in held:
                    self._places[node][order] = address
        return [address for _, address in sorted({place for node in nodes
                                                  for place in self._places.get(node, {}).items()})]

    def _own(self, message: Message) -> Collection[Node]:
        found = self._by_message.get(id(message))
        if found:
            return found
        number = message.transaction if message.transaction is not None else message.answers
        return self._of_transaction.get(number, ()) if number is not None else ()

    # ------------------------------------------------------------------------------------------------ noting

    def _note(self, message: Message) -> None:
        named = self._named(message)
        if "ue" in message.fields and message.protocol in _NAS:
            context = ("ue", self._context(message))
            for node in named:
                self._join(context, node, f"{message.kind} names {node[1]}", message)
            temporary = self._contexts[message.stream, str(message.fields["ue"])][1]
            if message.kind in _TURNED_AWAY and temporary:
                self._turned_away.setdefault(context, (temporary, message))
            named = [*named, context]
        if not named:
            return
        self._by_message[id(message)] += named
        number = message.transaction if message.transaction is not None else message.answers
        if number is not None:
            self._of_transaction[number].update(dict.fromkeys(named))
        if message.exchange is not None:
            self._of_stream[message.stream].update(dict.fromkeys(named))

    def _named(self, message: Message) -> list[Node]:
        protocol, fields = message.protocol, message.fields
        if protocol in _IMSI_FIELDS:
            found = _IMSI.search(str(fields.get(_IMSI_FIELDS[protocol]) or ""))
            return [("imsi", found[1])] if found else []
        if protocol in ("json", "xml"):
            return self._in_document(message)
        if protocol == "syncml":
            ends = (_IMEI.match(str(fields.get(name) or "")) for name in ("source", "target"))
            return [("imei", found[1].replace("-", "")) for found in ends if found]
        return []

    def _in_document(self, message: Message) -> list[Node]:
        body, path = message.fields.get("body"), str(message.fields.get("path") or "")
        if body is None:
            return []
        meant: Document | None = None
        for document in DOCUMENTS:
            if not re.search(self._bindings.get(document.path, r"(?!)"), path):
                continue
            if document.holds and not self._holds(message, document.holds):
                continue
            if document.lacks and self._holds(message, document.lacks):
                continue
            meant = meant or document
            names = [(document.identity, str(value)) for value in self._values(body, document.name)[:1]
                     if str(value).strip()]
            for name in names:
                self._beside(name, body, message)
                if document.identity == "private_id":
                    self._speaks_for(message, name)
            if names:
                return names
        if meant is not None and meant.identity == "m2me" and message.kind.endswith(".request"):
            self._nameless.append(message)
        return []

    def _beside(self, name: Node, body: Any, message: Message) -> None:
        for field, kind in _BESIDE.get(name[0], ()):
            for value in self._values(body, field)[:1]:
                if kind != "address" or str(value) in self._clients:
                    self._join(name, (kind, str(value)), f"{message.kind} names {value} beside {name[1]}", message)

    def _speaks_for(self, message: Message, name: Node) -> None:
        """The device's side of a provisioning: who asks, or who is told a service ID, by an answer or by a request of its own."""
        asks = message.kind.endswith(".request") and not self._holds(message, "service_id")
        self.clients_of[(message.src if asks else message.dst).address][name] = None

    def _values(self, body: Any, field: str) -> list[Any]:
        return [v for v in find_field(body, self._fields, field) if isinstance(v, (str, int))
                and not isinstance(v, bool)]

    def _holds(self, message: Message, field: str) -> bool:
        return holds_name(message.fields.get("names") or (), self._fields.get(field, ()))

    def _context(self, message: Message) -> int:
        """The UE context of a NAS message. Its number on the interface is used again for the next UE, which attaches anew."""
        key = (message.stream, str(message.fields["ue"]))
        number, identity = self._contexts.get(key, (None, None))
        said = str(message.fields.get("imsi") or message.fields.get("guti") or message.fields.get("tmsi") or "")
        if number is None or message.kind in _ATTACHES and identity is not None and said != identity:
            self._context_count += 1
            number, identity = self._context_count, None
        if message.kind in _ATTACHES:
            identity = said
        self._contexts[key] = (number, identity)
        return number

    def _note_address(self, message: Message) -> None:
        """Addresses that the network assigns, and other names used from them."""
        field = _ADDRESS_FIELDS.get(message.kind)
        value = str(message.fields.get(field) or "") if field else ""
        owner = next(iter(self._own(message)), None)
        if value and value not in ("0.0.0.0", "::") and owner is not None:
            given = self._given[value]
            if not given or given[-1][1] != owner:
                given.append((message.time, owner))
        if message.protocol == "syncml" and owner is not None:
            end = next((e for e in (message.src, message.dst) if e.address in self._clients), None)
            if end is not None:
                holder = self.at(end.address, message.time) or ("address", end.address)
                self._join(holder, owner, f"{message.kind} from {end.address} names {owner[1]}", message)

    def _name_the_nameless(self) -> None:
        """A UE that the network turned away before it gave its IMSI goes by its temporary identity."""
        known = {join.one for join in self.joins if join.other[0] == "imsi"}
        for context, (temporary, message) in self._turned_away.items():
            if context not in known:
                self._join(context, ("guti", temporary), f"{message.kind} to {temporary}", message)

    def _settle_m2me(self) -> None:
        """A name in a document is an IMEI where something else used it as one, else the PCID, which has an IMSI's form."""
        known = {node for nodes in self._by_message.values() for node in nodes} | {join.other for join in self.joins}

        def settled(node: Node) -> Node:
            if node[0] != "m2me":
                return node
            return ("imei", node[1]) if ("imei", node[1]) in known and ("imsi", node[1]) not in known else ("imsi", node[1])

        for table in (self._of_transaction, self._of_stream):
            for key, nodes in table.items():
                table[key] = dict.fromkeys(map(settled, nodes))
        for key, nodes in self._by_message.items():
            self._by_message[key] = list(map(settled, nodes))
        self.joins = [Join(settled(join.one), settled(join.other), join.why, join.shown_by) for join in self.joins]

    def _give_to_the_only_one(self) -> None:
        """A document that names no machine is about the only one that the others name."""
        everybody = {node for nodes in self._by_message.values() for node in nodes if node[0] == "imsi"}
        if len(everybody) != 1:
            return
        for message in self._nameless:
            node = next(iter(everybody))
            self._by_message[id(message)].append(node)
            if message.transaction is not None:
                self._of_transaction[message.transaction][node] = None
            self._of_stream[message.stream][node] = None

    def _join(self, one: Node, other: Node, why: str, message: Message) -> None:
        if one != other:
            self.joins.append(Join(one, other, f"{why} (frame {message.frames[-1].number})", message))

    def nodes(self) -> set[Hashable]:
        """Everybody that was named."""
        return {node for nodes in self._by_message.values() for node in nodes}
