"""Lookups from an address that several devices share, as behind a NAT.

Nothing in a lookup says who asked. Who then opens a tunnel or a session to an address that an answer brought has asked
before: each such beginning takes the oldest of the lookups just before it, or the latest one. Where several devices asked
at once the frames of one may be shown for another; what was asked and answered is the same. Lookups that brought no
address, and those that nobody went on from, belong to nobody.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence

from ..model import Message
from .graph import Node

AT_ONCE = 2_000_000_000         # ns between the answer and the beginning of who asked first
AGAIN = 15_000_000_000          # ns after which the same question from the same port is another lookup
AT_ALL = 30_000_000_000         # ns after which nobody goes on from a lookup


class _Told:
    """Answers that brought an address, oldest first, until somebody goes there."""

    def __init__(self) -> None:
        self._fresh: deque[tuple[int, Message]] = deque()        # time of the answer, the question
        self._stale: list[tuple[int, Message]] = []

    def add(self, time: int, query: Message) -> None:
        self._fresh.append((time, query))

    def take(self, time: int, found: dict[int, Node]) -> Message | None:
        """The question that whoever begins now has asked: the oldest fresh one, else the latest."""
        while self._fresh and time - self._fresh[0][0] > AT_ONCE:
            self._stale.append(self._fresh.popleft())
        while self._fresh:
            _, query = self._fresh.popleft()
            if id(query) not in found:
                return query
        while self._stale:
            answered, query = self._stale.pop()
            if time - answered > AT_ALL:
                self._stale.clear()
            elif id(query) not in found:
                return query
        return None


def lookups(messages: Sequence[Message], shared: Callable[[str], bool], begins: dict[int, Node]) -> dict[int, Node]:
    """id of a DNS message -> whose it is. `begins`: id of the first message of each tunnel and session -> its node."""
    asked: dict[int, Message] = {}                                       # transaction -> query
    told: dict[tuple[str, str], _Told] = defaultdict(_Told)              # who asked, the address it was told
    together: dict[tuple, list[Message]] = {}                            # one socket and one name: A and AAAA
    found: dict[int, Node] = {}
    for message in messages:
        if message.kind == "dns.query":
            if shared(message.src.address):
                key = (message.src, message.fields.get("qname"))
                if key not in together or message.time - together[key][-1].time > AGAIN:
                    together[key] = []
                together[key].append(message)
                if message.transaction is not None:
                    asked[message.transaction] = message
        elif message.kind == "dns.response":
            query = asked.get(message.answers) if message.answers is not None else None
            if query is not None:
                together.get((query.src, query.fields.get("qname")), []).append(message)
                for address in message.fields.get("answers.address") or ():
                    told[query.src.address, str(address)].add(message.time, query)
        elif id(message) in begins:
            query = told[message.src.address, message.dst.address].take(message.time, found)
            for one in together.pop((query.src, query.fields.get("qname")), (query,)) if query is not None else ():
                found[id(one)] = begins[id(message)]
    return found
