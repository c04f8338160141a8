"""An upload that the server first answers with a challenge or a redirection (RFC 9110 15.4, 15.5.2) is one upload.

What the client sends again, authenticated or to the place it was referred to, stands for the first try, which becomes a
copy of it. Without a second try the first one and its answer stay as they are: then it was refused. CWMP sessions see to
their own challenges, and requests whose bodies are messages of their own are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Message

AGAIN = 30_000_000_000            # ns within which a client comes back with its credentials
STATUS = frozenset((301, 302, 307, 308, 401, 407))
METHODS = frozenset(("PUT", "POST"))


def fold(messages: Sequence[Message]) -> list[Message]:
    """The messages without the tries that were repeated after a challenge."""
    told = {(m.stream, m.exchange) for m in messages if m.exchange is not None and m.protocol != "http"}
    # client, method, name of the file -> places of request and answer
    waiting: dict[tuple, tuple[int, int]] = {}
    requests: dict[int, int] = {}                        # transaction -> place
    out: list[Message | None] = list(messages)
    for place, message in enumerate(messages):
        if message.kind == "http.request" and message.fields.get("method") in METHODS and message.session is None \
                and (message.stream, message.exchange) not in told:
            held = waiting.pop(_key(message), None)
            if held is not None and message.time - messages[held[1]].time <= AGAIN:
                first, answer = (out[one] for one in held)
                out[held[0]] = out[held[1]] = None
                out[place] = message = message.but(copies=(*first.copies, *first.frames, *answer.frames,
                                                           *message.copies))
            if message.transaction is not None:
                requests[message.transaction] = place
        elif message.kind == "http.response" and message.fields.get("status") in STATUS and message.answers in requests:
            asked = requests[message.answers]
            waiting[_key(messages[asked])] = (asked, place)
    return [m for m in out if m is not None]


def _key(message: Message) -> tuple:
    name = str(message.fields.get("path") or "").rpartition("/")[2]
    return message.src.address, message.fields.get("method"), name
