"""Bad news that what followed overruled: it was not the last word, so it is no refusal.

- An ICMP error about a datagram that was answered all the same. Anybody may send such an error, and routes come and go:
  it is a hint (RFC 1122 4.2.3.9, RFC 7296 2.4, RFC 9260 10), and who sent the datagram sends it again.
- A DNS server that cannot tell, where the resolver then asked another server and was told (RFC 1035 7.2, 7.3).

Only where nothing better ever comes do they say why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ..model import Message

UNREACHABLE, RESPONSE = "icmp.unreachable", "dns.response"
CANNOT_TELL = ("SERVFAIL", "REFUSED", "NOTIMP", "FORMERR")
NEXT_SERVER = 5_000_000_000     # ns within which a resolver turns to its next server


def without(messages: Sequence[Message]) -> list[Message]:
    """The messages, paired and in time order, without the bad news that was overruled."""
    if not any(m.kind == UNREACHABLE or m.kind == RESPONSE and m.fields.get("rcode") in CANNOT_TELL for m in messages):
        return list(messages)
    answered = {m.answers: m.time for m in messages if m.answers is not None}
    told: dict[tuple, list[Message]] = defaultdict(list)       # question -> the answers of servers that can tell
    for message in messages:
        if message.kind == RESPONSE and message.fields.get("rcode") not in CANNOT_TELL:
            told[_question(message)].append(message)
    asked: dict[tuple, int] = {}                 # both ends -> transaction of the last request between them
    kept = []
    for message in messages:
        if message.kind == UNREACHABLE:
            transaction = asked.get(_about(message))
            if transaction is not None and answered.get(transaction, message.time) > message.time:
                continue
        elif message.kind == RESPONSE and message.fields.get("rcode") in CANNOT_TELL:
            if any(other.src != message.src and 0 <= other.time - message.time <= NEXT_SERVER
                   for other in told.get(_question(message), ())):
                continue
        elif message.transaction is not None:
            asked[message.src.address, message.src.port, message.dst.address, message.dst.port] = message.transaction
        kept.append(message)
    return kept


def _about(error: Message) -> tuple:
    return tuple(error.fields.get(f"quoted_{name}") for name in ("src", "sport", "dst", "dport"))


def _question(response: Message) -> tuple:
    return response.dst.address, str(response.fields.get("qname")).lower(), response.fields.get("qtype")
