"""A request that the server first answers with a challenge or a redirection (RFC 9110 15.4, 15.5.2) is one request.

What the client sends again, authenticated or to the place it was referred to, stands for the first try, which becomes a
copy of it. Without a second try the first one and its answer stay as they are: then it was refused. Of a request that asks for
something only challenges are folded, so that a rule can say where it was referred to. Where the capture ends
at a challenge, the request is unanswered rather than refused. What the bodies of a try say goes with it, if the next one says the
same; CWMP sessions see to their own challenges.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..model import Message

AGAIN = 30_000_000_000            # ns within which a client comes back with its credentials
RESPITE = 2_000_000_000           # ns in which a client that has them sends its credentials
CHALLENGES, REFERRALS = frozenset((401, 407)), frozenset((301, 302, 307, 308))
UPLOADS = frozenset(("PUT", "POST"))
METHODS = UPLOADS | {"GET", "HEAD"}


class _Tried(NamedTuple):
    """The places of a request and of the answer that asks for another try."""

    request: int
    answer: int


def fold(messages: Sequence[Message], until: int | None = None) -> list[Message]:
    """The messages without the tries that were repeated after a challenge. `until` is when the capture ends, ns."""
    cwmp = {(m.stream, m.exchange) for m in messages if m.protocol == "cwmp"}
    bodies: dict[tuple[int, int], list[int]] = defaultdict(list)     # exchange -> places of what its bodies say
    for place, message in enumerate(messages):
        if message.exchange is not None and message.protocol != "http":
            bodies[message.stream, message.exchange].append(place)
    # client, method, name of the file
    waiting: dict[tuple, _Tried] = {}
    requests: dict[int, int] = {}                        # transaction -> place
    out: list[Message | None] = list(messages)
    for place, message in enumerate(messages):
        if message.kind == "http.request" and message.fields.get("method") in METHODS and message.session is None \
                and (message.stream, message.exchange) not in cwmp:
            held = waiting.pop(_key(message), None)
            if held is not None and _follows(message, out[held.request], messages[held.answer]) \
                    and _said(message, messages, bodies) == _said(out[held.request], messages, bodies):
                first, answer = (out[one] for one in held)
                for gone in (*held, *bodies.get((first.stream, first.exchange), ())):
                    out[gone] = None
                about = {"referred_by": answer.fields["status"]} if answer.fields["status"] in REFERRALS else {}
                out[place] = message = message.but(copies=(*first.copies, *first.frames, *answer.frames,
                                                           *message.copies), fields={**message.fields, **about})
            if message.transaction is not None:
                requests[message.transaction] = place
        elif message.kind == "http.response" and message.answers in requests:
            asked = requests[message.answers]
            status = message.fields.get("status")
            if status in CHALLENGES or status in REFERRALS and messages[asked].fields["method"] in UPLOADS:
                waiting[_key(messages[asked])] = _Tried(asked, place)
    for held in waiting.values():
        if _is_last(held.answer, messages, messages[-1].time if until is None else until):
            out[held.answer] = None
    return [m for m in out if m is not None]


def _follows(again: Message, first: Message, answer: Message) -> bool:
    """Is this the next try? Who was challenged comes back to who challenged it."""
    return again.time - answer.time <= AGAIN \
        and (answer.fields["status"] in REFERRALS or again.dst.address == first.dst.address)


def _said(request: Message, messages: Sequence[Message], bodies: Mapping[tuple[int, int], list[int]]) -> list[Any]:
    """What the body of a request says, where a decoder reads it."""
    places = bodies.get((request.stream, request.exchange), ()) if request.exchange is not None else ()
    return [(m.kind, m.fields.get("body")) for m in (messages[place] for place in places) if m.src == request.src]


def _is_last(place: int, messages: Sequence[Message], until: int) -> bool:
    """Does the capture end at this challenge, before the client took it up, or closed the connection?"""
    answer = messages[place]
    return answer.fields["status"] in CHALLENGES and until - answer.time <= RESPITE and not any(
        m.src.address == answer.dst.address for m in messages[place + 1:])


def _key(message: Message) -> tuple:
    name = str(message.fields.get("path") or "").rpartition("/")[2]
    return message.src.address, message.fields.get("method"), name
