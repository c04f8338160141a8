"""DNS over UDP and TCP (RFC 1035; over TCP each message has a length in front, 4.2.2), EDNS (RFC 6891), NOTIFY, UPDATE.

Multicast DNS (RFC 6762, port 5353) has the same kinds and says `mdns: true`; LLMNR (RFC 4795, port 5355) has kinds of
its own, because its flags mean other things.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from ..model import Context, Message, Problem
from . import _dns_records as records
from ._dns_records import BadName, class_name, name_at, type_name
from .wire import Short, Tape

_FIELDS = ("id", "opcode", "truncated", "qname", "qtype", "questions", "answers", "authorities", "additionals",
           "recursion_desired", "edns", "mdns", "transport")
_ANSWER_FIELDS = (*_FIELDS, "rcode", "authoritative", "recursion_available", "answers.address", "answers.ttl",
                  "answers.name")

KINDS = {"dns.query": _FIELDS, "dns.response": _ANSWER_FIELDS, "llmnr.query": _FIELDS, "llmnr.response": _ANSWER_FIELDS}
PORTS = {53, 5353, 5355}

_HEADER = Struct(">6H")
_TWO = Struct(">HH")
_RECORD = Struct(">HHIH")
_SECTIONS = ("answers", "authorities", "additionals")
_ADDRESSES = 16                 # of one answer that a rule may compare with
_OPT = 41
_NETBIOS = frozenset({137, 138})   # NetBIOS names travel in the same message format (RFC 1002 4.2)


def likely(head: bytes, ports: tuple[int, int]) -> bool:
    """On a port of DNS the header must be one; elsewhere a whole message must fit, with a name as hosts have them."""
    if not PORTS.isdisjoint(ports):
        if len(head) < 12:
            return len(head) >= 2 and int.from_bytes(head[:2], "big") >= 12      # a length sent before its message
        return (_header_fits(head, 0) or int.from_bytes(head[:2], "big") >= 12 and _header_fits(head, 2)
                or _reads_well(head))
    if not _NETBIOS.isdisjoint(ports):
        return False
    if _whole_message(head):
        return True
    size = int.from_bytes(head[:2], "big")
    return 12 <= size <= len(head) - 2 and _whole_message(head[2:2 + size])


def _header_fits(head: bytes, offset: int) -> bool:
    """A known opcode, and the reserved bit clear (RFC 1035 4.1.1)."""
    flags = int.from_bytes(head[offset + 2:offset + 4], "big")
    return flags >> 11 & 15 in records.OPCODES and not flags & 0x40


def _reads_well(data: bytes) -> bool:
    """A question and all that follows it, with nothing over: then the reserved bit may be set."""
    fields, problems, short = _parse(data)
    return bool(fields["questions"]) and not problems and short is None


def _whole_message(data: bytes) -> bool:
    if len(data) < 17:
        return False
    _, flags, questions, *counts = _HEADER.unpack_from(data)
    if questions != 1 or not _header_fits(data, 0) or flags >> 11 & 15 not in (0, 4, 5):
        return False
    if not flags & 0x8000 and (flags & 0x800F or counts[0] and flags >> 11 & 15 == 0 or counts[2] > 2):
        return False
    fields, problems, _ = _parse(data)
    question = fields["questions"][0] if fields["questions"] else None
    return (question is not None and not problems and question.get("class", "IN") == "IN"
            and not question["type"].startswith("TYPE")
            and all(c.isalnum() or c in "-_.*" for c in question["name"]) and "." in question["name"])


def decode(data: bytes, context: Context) -> Iterator[Message]:
    if len(data) >= 12 or context.missing and len(data) >= 4:      # less says nothing, not even that it is DNS
        yield _message(data, context, "udp")


class Conversation:
    """One TCP connection; either side may send several messages, each behind its length."""

    def __init__(self, context: Context):
        self._trusted = [True, True]       # does the tape begin with a length?
        self._tapes: list[Tape | None] = [None, None]

    def feed(self, side: int, tape: Tape) -> Iterator[Message]:
        self._tapes[side] = tape
        if not self._trusted[side]:
            if not likely(bytes(tape.data[:4096]), (0, 0)):
                tape.skip(len(tape))       # the rest of a message whose beginning was lost
                return
            self._trusted[side] = True
        while len(tape) >= 2:
            size = int.from_bytes(tape.data[:2], "big")
            if len(tape) < 2 + size:
                return
            context = tape.place(2 + size)
            data = tape.take(2 + size)[2:]
            if size >= 12:
                yield _message(data, context, "tcp")
            else:
                yield _runt(data, size, context)

    def lost(self, side: int, size: int) -> Iterator[Message]:
        self._trusted[side] = False
        return iter(())

    def end(self, side: int) -> Iterator[Message]:
        tape = self._tapes[side]
        if tape is not None and self._trusted[side] and len(tape) >= 2 + 12:
            context = tape.place(len(tape)).but(missing=1)
            yield _message(tape.take(len(tape))[2:], context, "tcp")


def _runt(data: bytes, size: int, context: Context) -> Message:
    problem = Problem(0, f"length {size} is less than a DNS header")
    return context.message("dns.response" if context.src.port == 53 else "dns.query", {"transport": "tcp"}, (problem,))


def _message(data: bytes, context: Context, transport: str) -> Message:
    fields, problems, short = _parse(data)
    incomplete = False
    if short is not None:
        incomplete = context.missing > 0
        if not incomplete:
            problems.append(Problem(short.offset, f"ends where {short.wanted} more octets should follow"))
    ports = (context.src.port, context.dst.port)
    protocol = "llmnr" if 5355 in ports else "dns"
    if 5353 in ports:
        fields["mdns"] = True
    if transport == "tcp":
        fields["transport"] = "tcp"
    kind = f"{protocol}.response" if "rcode" in fields else f"{protocol}.query"
    return context.message(kind, fields, tuple(problems), incomplete=incomplete)


def _parse(data: bytes) -> tuple[dict, list[Problem], Short | None]:
    """Fields, what is wrong, and where the bytes ended too early. What was read up to there is in the fields."""
    problems: list[Problem] = []
    ident, flags = _TWO.unpack_from(data)
    opcode = flags >> 11 & 15
    questions: list[dict] = []
    fields: dict = {"id": ident, "opcode": records.OPCODES.get(opcode) or f"OPCODE{opcode}",
                    "truncated": flags & 0x200 != 0, "qname": None, "qtype": None, "questions": questions,
                    "answers": [], "recursion_desired": flags & 0x100 != 0}
    response, rcode, short = flags & 0x8000, flags & 15, None
    try:
        if len(data) < 12:
            raise Short(len(data), 12 - len(data))
        _, _, asked, *counts = _HEADER.unpack_from(data)
        known: dict[int, tuple[str, int]] = {}
        offset = _questions(data, asked, known, questions)
        for section, count in zip(_SECTIONS, counts):
            if count:
                fields[section] = found = []
                offset = _section(data, offset, count, known, found, fields, problems)
        if offset < len(data):
            problems.append(Problem(offset, f"{len(data) - offset} octets behind the last record"))
    except Short as ended:
        short = ended
    except BadName as bad:
        problems.append(Problem(bad.offset, bad.text))
    if questions:
        fields["qname"], fields["qtype"] = questions[0]["name"], questions[0]["type"]
    if response:
        rcode |= fields.pop("_rcode", 0) << 4                                    # RFC 6891 6.1.3
        fields["rcode"] = records.RCODES.get(rcode) or f"RCODE{rcode}"
        fields["authoritative"], fields["recursion_available"] = flags & 0x400 != 0, flags & 0x80 != 0
        if fields["answers"]:
            _conclude(fields)
    else:
        fields.pop("_rcode", None)
    return fields, problems, short


def _questions(data: bytes, count: int, known: dict, out: list[dict]) -> int:
    offset = 12
    for _ in range(count):
        name, offset = name_at(data, offset, known)
        if offset + 4 > len(data):
            raise Short(offset, 4)
        kind, group = _TWO.unpack_from(data, offset)
        offset += 4
        question = {"name": name, "type": type_name(kind)}
        if group & 0x7FFF != 1:                          # the upper bit is multicast DNS's QU (RFC 6762 5.4)
            question["class"] = class_name(group)
        out.append(question)
    return offset


def _section(data: bytes, offset: int, count: int, known: dict, out: list[dict], fields: dict,
             problems: list[Problem]) -> int:
    """Reads `count` records into `out`; a record whose inside is wrong is kept as hexadecimal, and reading goes on."""
    end = len(data)
    for _ in range(count):
        name, offset = name_at(data, offset, known)
        if offset + 10 > end:
            raise Short(offset, 10)
        kind, group, ttl, size = _RECORD.unpack_from(data, offset)
        offset += 10
        if offset + size > end:
            raise Short(offset, size)
        try:
            if kind == _OPT:
                fields["edns"] = records.edns(group, ttl, data, offset, size)
                fields["_rcode"] = ttl >> 24
                offset += size
                continue
            text = records.rdata(kind, data, offset, size, known) if size else ""
        except (Short, BadName) as wrong:
            what = f"record of type {type_name(kind)}" if isinstance(wrong, Short) else wrong.text
            problems.append(Problem(wrong.offset, f"{what} does not fit its length {size}"
                                    if isinstance(wrong, Short) else what))
            if kind == _OPT:
                offset += size
                continue
            text = data[offset:offset + size].hex()
        offset += size
        record = {"name": name, "type": type_name(kind), "ttl": ttl, "data": text}
        if group & 0x7FFF != 1:                          # the upper bit is multicast DNS's cache-flush (RFC 6762 10.2)
            record["class"] = class_name(group)
        out.append(record)
    return offset


def _conclude(fields: dict) -> None:
    """What the asked name resolves to in the end, along the CNAMEs of the answer in whatever order they stand."""
    aliases: dict[str, dict] = {}
    hosts: dict[str, list[dict]] = {}
    for record in fields["answers"]:
        name, kind = record["name"].lower(), record["type"]
        if kind == "CNAME":
            aliases.setdefault(name, record)
        elif kind in ("A", "AAAA"):
            hosts.setdefault(name, []).append(record)
    name = (fields["qname"] or "").lower()
    used: list[dict] = []
    final = fields["qname"]
    while name in aliases:                               # each alias is taken once, so a ring of them ends
        record = aliases.pop(name)
        used.append(record)
        final = record["data"]
        name = final.lower()
    found = hosts.get(name, [])
    if found:
        fields["answers.address"] = list(dict.fromkeys(r["data"] for r in found))[:_ADDRESSES]
        fields["answers.name"] = final
    fields["answers.ttl"] = min(r["ttl"] for r in (used + found or fields["answers"]))
