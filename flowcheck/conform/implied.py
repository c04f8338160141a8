"""Where what follows shows that a step was done, though it was not seen: the capture, or nothing else, lost it.

Each function gives the places in an attempt where it holds for a step, a bit for each as in `visibility.py`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache, reduce
from itertools import islice
from operator import or_
from typing import TYPE_CHECKING

from ..model import Message
from ..rulebook.rule import Rule, Step
from .checks import holds_all
from .several import is_one

if TYPE_CHECKING:
    from .visibility import Visibility

STREAMS = frozenset(("tls", "http", "cwmp", "ftp", "ssh", "diameter"))
ENDS = frozenset(("tcp.fin", "tcp.reset", "tls.alert", "tls.client_hello", "cwmp.session_end",
                  "sctp.abort", "sctp.shutdown", "sctp.shutdown_complete"))
DATAGRAMS = frozenset(("dns", "ike", "sctp", "hnbap", "s1ap", "rua", "ranap", "gtp", "gtpv2", "coap", "nas",
                       "emm", "gmm"))
SEQUENCED = frozenset(("ike", "sctp"))      # protocols whose later messages cannot be without the earlier ones


def used(view: Visibility, step: Step) -> int:
    """Where the connection that the step should open was used."""
    places, requests = view.requests_of(step)
    beyond = "tls.finished" in step.messages       # the handshake itself says nothing of its own end
    return _behind(view, places, [view.once(("used", id(request), beyond), _connection_was_used, view, request, beyond)
                                  for request in requests])


def _connection_was_used(view: Visibility, request: Message, beyond: bool) -> bool:
    """Was more sent over the connection that the request should open, than its answer and its end?

    `beyond` leaves the TLS handshake out of account.
    """
    return request.protocol in ("tcp", "tls") and any(
        m.time > request.time and m.answers != request.transaction and not (beyond and m.protocol == "tls")
        for m in view.sent_over(request.stream))


def _behind(view: Visibility, places: Sequence[int], holds: Sequence[bool]) -> int:
    """The places behind each request of which it holds, up to the next one."""
    ends = (*places[1:], len(view.messages))
    return sum((2 << end) - (2 << place) for place, end, held in zip(places, ends, holds) if held)


def answered(view: Visibility, step: Step) -> int:
    """Where an answer follows that is tied to no other request."""
    untied, _ = view.once("untied", _untied, view)
    return reduce(or_, (untied.get(kind, 0) for kind in kinds_of_answers(view.rule, step.step)), 0)


def orphaned(view: Visibility, step: Step) -> int:
    """Where such an answer follows that nothing in the capture before it asked for: whose answer it is cannot be told."""
    _, alone = view.once("untied", _untied, view)
    orphans = reduce(or_, (alone.get(kind, 0) for kind in step.messages), 0)
    if not orphans:
        return 0
    requests, _ = view.requests_of(step)
    return (1 << min([orphans.bit_length() - 1, *requests[:1]]) + 1) - 1


def _untied(view: Visibility) -> tuple[dict[str, int], dict[str, int]]:
    """By kind, the places of the messages that answer no request, and of those among them that are none either."""
    untied: dict[str, int] = {}
    alone: dict[str, int] = {}
    for place, message in enumerate(view.messages):
        if message.answers is None:
            untied[message.kind] = untied.get(message.kind, 0) | 1 << place
            if message.transaction is None:
                alone[message.kind] = alone.get(message.kind, 0) | 1 << place
    return untied, alone


def exchange_goes_on(view: Visibility, step: Step) -> int:
    """Where a later message of the same exchange follows, between the same peers, that is no end of it.

    A request whose answer is in the capture has not lost it, whatever that answer is.
    """
    protocol = protocol_of(step)
    last = view.once(("of", protocol), lambda: {
        peers: place for place, m in enumerate(view.messages) if m.protocol == protocol and m.kind not in ENDS
        for peers in (None, _peers(m))})
    done, own = view.answered(), view.once(("between", step.src, step.dst), view.hosts_of, step)

    def goes_on(place: int) -> bool:
        request = view.request(step, place)
        if request is None:
            return not _nothing_between(view, place) and any(
                at >= place and peers is not None and all(peers & one for one in own) for peers, at in last.items())
        return last.get(_peers(request), -1) >= place and request.transaction not in done

    return view.where(goes_on, range(last.get(None, -1) + 1))


def _nothing_between(view: Visibility, place: int) -> bool:
    """Do the numbers of the IKE requests on both sides of the place follow one another (RFC 7296 2.2)?"""
    def request(m: Message) -> bool:
        return m.protocol == "ike" and m.transaction is not None and m.fields.get("message_id") is not None

    after = next((m for m in islice(view.messages, place, None) if request(m)), None)
    before = after and next((m for m in reversed(view.messages[:place]) if request(m)
                             and m.src.address == after.src.address
                             and m.fields.get("spi_i") == after.fields.get("spi_i")), None)
    return before is not None and after.fields["message_id"] == before.fields["message_id"] + 1


def went_on(view: Visibility, step: Step) -> int:
    """Where the procedure goes on as it would after the answer."""
    protocol, asked = protocol_of(step), view.places_of(view.rule.step(step.answers).messages)
    telling = view.once(("telling", protocol), lambda: [place for place, m in enumerate(view.messages)
                                                        if not _proves_nothing(protocol, m.kind)])
    places, requests = view.requests_of(step)
    before = (None, *requests)
    return view.where(lambda place: _shows_answer(view, step, before[bisect_left(places, place)], place),
                      telling[bisect_right(telling, asked[0]):] if asked else ())


def reached(view: Visibility, step: Step) -> int:
    """Where the host whose name was asked for is sent sealed packets, and had been sent none before the question."""
    if "dns.query" not in view.rule.step(step.answers).messages:
        return 0
    places, requests = view.requests_of(step)
    return _behind(view, places, [view.once(("reached", id(request)), _esp_to_it_began, view, request)
                                  for request in requests])


def _esp_to_it_began(view: Visibility, query: Message) -> bool:
    """Does the first ESP between who asked and an address of the name asked for come after the question?"""
    name = _name(query)
    addresses = view.scope.resolved.get(name, frozenset()).union(
        *(host.addresses for host in view.scope.roles.values() if name in host.names))
    times = [*((item.start, item.src, item.dst) for item in view.timeline.opaque if item.kind == "esp"),
             *((m.time, m.src, m.dst) for m in view.timeline.messages if m.kind == "esp.inside")]
    begun = [time for time, *ends in times if query.src.address in (pair := {end.address for end in ends})
             and pair & addresses]
    return bool(begun) and min(begun) > query.time


def _shows_answer(view: Visibility, step: Step, request: Message | None, index: int) -> bool:
    following = view.messages[index]
    if request is not None and request.transaction in view.answered():
        return False
    return not _is_again(following, request) and not _refuses(view, step, following) \
        and not _with_another(view, step, request, following, index)


def _with_another(view: Visibility, step: Step, request: Message | None, following: Message, index: int) -> bool:
    """Did the procedure go on with another host than the one asked, or than the one whose name was asked for?"""
    if request is None or request.protocol != "dns":
        alike = is_one(view.rule, step) or request is not None and request.protocol == following.protocol
        return alike and not _same_peers(following, request)
    open_names = view.once("open names", _open_names, view)[index]
    return bool(open_names) and any({following.src.address, following.dst.address} & addresses
                                    for name, addresses in view.scope.resolved.items() if name not in open_names)


def _open_names(view: Visibility) -> list[frozenset[str]]:
    """For each message the names that were asked for before it and not answered."""
    found, names = [], frozenset[str]()
    asked: dict[int | None, set[str]] = {}
    done: set[int | None] = set()
    for message in view.messages:
        found.append(names)
        if message.kind == "dns.response":
            done.add(message.answers)
            asked.pop(message.answers, None)
        elif message.kind == "dns.query" and message.transaction not in done:
            asked.setdefault(message.transaction, set()).add(_name(message))
        else:
            continue
        names = frozenset().union(*asked.values())
    return found


def _refuses(view: Visibility, step: Step, message: Message) -> bool:
    return any(message.kind in pattern.messages and holds_all(pattern.where, message, view.scope, {}) is not False
               for pattern in step.refused_by)


def protocol_of(step: Step) -> str:
    return step.messages[0].partition(".")[0]


def _peers(message: Message | None) -> frozenset[str] | None:
    return None if message is None else frozenset((message.src.address, message.dst.address))


def _same_peers(message: Message, request: Message | None) -> bool:
    return request is None or _peers(message) == _peers(request)


def _name(query: Message) -> str:
    return str(query.fields.get("qname") or "").lower().rstrip(".")


@lru_cache(maxsize=1024)
def _proves_nothing(protocol: str, kind: str) -> bool:
    """Does such a message come whether or not an answer came before it: an end, another lookup, upkeep of a tunnel?"""
    return (kind in ENDS or kind.endswith(".query") or protocol == "dns" and kind.startswith("dns.")
            or kind.startswith(("ike.informational.", "ike.create_child_sa.")))


@lru_cache(maxsize=1024)
def kinds_of_answers(rule: Rule, name: str) -> frozenset[str]:
    """The message kinds that answer this step."""
    return frozenset(kind for step in rule.steps() if step.answers == name for kind in step.messages)


def _is_again(following: Message, request: Message | None) -> bool:
    """Is it the unanswered request once more, as a base station or a network sends it when its timer expires?"""
    return request is not None and following.kind == request.kind and following.fields == request.fields
