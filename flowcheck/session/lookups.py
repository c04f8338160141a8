"""Name resolution as the user of a name sees it: one question, one outcome.

A resolver asks for A and AAAA side by side, repeats a truncated answer over TCP and may ask several servers. Each is a DNS
transaction of its own, but a procedure needs just one address, so the questions for one name within a moment are judged
together: the lookup succeeded if any of them brought an address, and failed only if none did.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model import Message

TOGETHER = 1_000_000_000    # ns between the questions of one lookup
# ns within which an unanswered question is asked again (RFC 1123 6.1.3.3 wants 5 s at least)
RESOLVER_TIMEOUT = 15_000_000_000
NEIGHBOUR = 60_000_000_000  # ns between a lookup without an address and the one it is folded into
ADDRESS_TYPES = frozenset(("A", "AAAA"))
BEGINNINGS = frozenset(("tcp.syn", "tls.client_hello", "sctp.init", "ike.sa_init.request", "http.request",
                        "coap.request",
                        "cwmp.Inform", "ftp.command", "ssh.version"))


@dataclass(slots=True)
class _Lookup:
    queries: list[Message] = field(default_factory=list)
    responses: list[Message] = field(default_factory=list)
    # transaction of a question without answer -> its type
    waiting: dict[int | None, str] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)                   # types

    def ask(self, query: Message) -> None:
        self.queries.append(query)
        self.waiting[query.transaction] = query.fields["qtype"]

    def answer(self, response: Message) -> None:
        self.responses.append(response)
        if not response.fields.get("truncated") and response.answers in self.waiting:
            self.answered.add(self.waiting.pop(response.answers))


def fold(messages: Sequence[Message]) -> list[Message]:
    """The messages with the parts of each lookup folded into one query and at most one response."""
    lookups: dict[tuple, _Lookup] = {}
    of_transaction: dict[int, _Lookup] = {}
    out: list[Message] = []
    finished: list[_Lookup] = []
    for message in messages:
        if message.protocol != "dns" or message.fields.get("qtype") not in ADDRESS_TYPES:
            out.append(message)
        elif message.kind == "dns.query":
            key = _key(message)
            lookup = lookups.get(key)
            if lookup is None or not _belongs(message, lookup):
                lookup = lookups[key] = _Lookup()
                finished.append(lookup)
            lookup.ask(message)
            of_transaction[message.transaction] = lookup
        elif message.answers in of_transaction:
            of_transaction[message.answers].answer(message)
        else:
            # half of a lookup: that this type has no address says nothing of the other one
            out.append(message.but(incomplete=message.incomplete or not message.fields.get("answers.address")))
    went_on = _last_beginnings(messages)
    asks_for = _types_asked(finished)
    for lookup in _without_empty(finished):
        asker = lookup.queries[0].src.address
        out += _outcome(lookup, len(asks_for[asker]) == 1 and went_on.get(asker, -1) < lookup.queries[0].time)
    out.sort(key=lambda m: (m.time, m.frames[-1]))
    return out


def _last_beginnings(messages: Sequence[Message]) -> dict[str, int]:
    """When each host last began something with another one."""
    return {message.src.address: message.time for message in messages if message.kind in BEGINNINGS}


def _types_asked(lookups: Sequence[_Lookup]) -> dict[str, set[str]]:
    """Which types of address each host ever asks for."""
    types: dict[str, set[str]] = defaultdict(set)
    for lookup in lookups:
        types[lookup.queries[0].src.address].update(str(q.fields.get("qtype")) for q in lookup.queries)
    return types


def _without_empty(lookups: list[_Lookup]) -> list[_Lookup]:
    """Folds the lookups that found the name without an address into a neighbour that brought one: AAAA beside A."""
    good: dict[tuple, list[_Lookup]] = defaultdict(list)
    for lookup in lookups:
        if any(r.fields.get("answers.address") for r in lookup.responses):
            good[_key(lookup.queries[0])].append(lookup)
    kept = []
    for lookup in lookups:
        empty = lookup.responses and all(r.fields.get("rcode") == "NOERROR" and not r.fields.get("answers.address")
                                         for r in lookup.responses)
        home = _nearest(good[_key(lookup.queries[0])], _begun(lookup)) if empty else None
        if home is not None and abs(_begun(home) - _begun(lookup)) <= NEIGHBOUR:
            home.queries += lookup.queries
            home.responses += lookup.responses
        else:
            kept.append(lookup)
    return kept


def _nearest(lookups: Sequence[_Lookup], time: int) -> _Lookup | None:
    """The first of those, in time order, that began next to `time`."""
    after = bisect_left(lookups, time, key=_begun)
    around = [lookups[bisect_left(lookups, _begun(lookups[after - 1]), key=_begun)]] if after else []
    return min([*around, *lookups[after:after + 1]], key=lambda lookup: abs(_begun(lookup) - time), default=None)


def _begun(lookup: _Lookup) -> int:
    return lookup.queries[0].time


def _key(query: Message) -> tuple[str, str]:
    return query.src.address, str(query.fields.get("qname") or "").lower()


def _belongs(query: Message, lookup: _Lookup) -> bool:
    """Is this question part of the lookup? Not after it failed: asking the same again is a new try."""
    if query.fields["qtype"] in lookup.answered:
        return False
    return query.time - lookup.queries[-1].time <= (RESOLVER_TIMEOUT if lookup.waiting else TOGETHER)


def _outcome(lookup: _Lookup, decided: bool) -> list[Message]:
    """The lookup as one query and at most one response.

    `decided`: its asker only ever asks for one type of address, and began nothing afterwards. Then an answer without an
    address is the end of the matter; otherwise the question for the other type may be missing from the capture.
    """
    queries, responses = lookup.queries, lookup.responses
    best = min(responses, key=_rank, default=None)
    asked = next((q for q in queries if best is not None and q.transaction == best.answers), queries[0])
    again = max(sum(q.fields.get("qtype") == kind for q in queries) - 1 for kind in ADDRESS_TYPES)
    query = asked.but(time=queries[0].time, copies=_refs([q for q in queries if q is not asked], asked),
                      repeats=max(again, *(q.repeats for q in queries)))
    answered = {r.answers for r in responses}
    if best is not None and not decided and best.fields.get("rcode") == "NOERROR" and not best.fields.get("answers.address") and len(
            {q.fields.get("qtype") for q in queries}) == 1:
        best = best.but(incomplete=True)
    if best is None or best.fields.get("rcode") == "NOERROR" and not best.fields.get("answers.address") and any(
            q.transaction not in answered for q in queries):
        return [query]                  # the answer that would have decided is missing
    return [query, best.but(copies=_refs([r for r in responses if r is not best], best))]


def _rank(response: Message) -> tuple:
    """Best first: addresses, then one whose end the capture does not hold, an empty one, a truncated or refusing one."""
    fields = response.fields
    return (not fields.get("answers.address"), not response.incomplete,
            fields.get("rcode") != "NOERROR" if not fields.get("truncated") else True,
            fields.get("qtype") != "A", response.time)


def _refs(others: list[Message], kept: Message) -> tuple:
    return (*kept.copies, *(ref for m in others for ref in (*m.frames, *m.copies)))


def names_by_address(messages: Sequence[Message]) -> dict[str, set[str]]:
    """Which names the DNS of this capture gave each address: what turns an address into a host a rule may name.

    A name that was looked up out of its sight is that of the address where it was asked for: Host of HTTP, SNI of TLS.
    A gateway that another one redirects to (RFC 5685) stands in for it.
    """
    names: dict[str, set[str]] = defaultdict(set)
    asked_for: list[tuple[str, str]] = []
    for message in messages:
        if message.kind == "dns.response":
            for address in message.fields.get("answers.address") or ():
                names[str(address)].add(_plain(message.fields.get("qname")))
        elif message.kind == "http.request":
            asked_for.append((_plain(_PORT.sub("", str(message.fields.get("host") or ""))), message.dst.address))
        elif message.kind == "tls.client_hello":
            asked_for.append((_plain(message.fields.get("sni")), message.dst.address))
        elif message.protocol == "ike" and "REDIRECT" in (message.fields.get("notify") or ()):
            for notify in message.fields["notifies"]:
                if notify.get("type") == "REDIRECT" and "gateway" in notify:
                    names[str(notify["gateway"])] |= names[message.src.address]
    looked_up = set().union(*names.values())
    for name, address in asked_for:
        if name and name not in looked_up and not _ADDRESS.fullmatch(name):
            names[address].add(name)
    return names


_PORT = re.compile(r":\d*$")
_ADDRESS = re.compile(r"[\d.]+|\[?[\da-f:.]*:[\da-f:.]*\]?")


def _plain(name: Any) -> str:
    return str(name or "").lower().rstrip(".")
