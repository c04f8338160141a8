"""TLS 1.0 to 1.3 on any TCP port (RFC 2246, 4346, 5246, 8446), SSL 3.0 (RFC 6101), and the ClientHello in SSL 2.0 form.

Handshake messages and alerts in clear become messages. With keys so do the protected ones, and application data is
handed on as `Inner`; without keys it is counted, one `Opaque` a direction. A stream may be joined at any time: after
missing bytes reading goes on at the next record header that can be trusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ..model import Context, FrameRef, Inner, Message, Opaque, Problem, Skip
from ._tls_assembly import Assembly, trustworthy
from ._tls_extensions import Facts
from ._tls_handshake import kinds, read
from ._tls_names import ALERTS, LEVELS, suite, version
from ._tls_sealed import Sealed
from .wire import Cursor, Tape

KINDS = kinds("tls")
PORTS = {443, 465, 636, 853, 989, 990, 993, 995, 5061, 7548, 8443}

_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE, _DATA, _HEARTBEAT = 20, 21, 22, 23, 24
_LARGEST_RECORD = (1 << 14) + 2048         # RFC 5246, 6.2.3
_SMALLEST_RECORD = 5 + 17                  # one protected octet: bounds how many records fit into a hole
_HEADER = re.compile(rb"[\x14-\x18]\x03[\x00-\x04]", re.DOTALL)
_TELLING = (b"\x01", b"\x02", b"\x0b")    # hellos and Certificate: first octet of what is worth reading in part
_UNKNOWN = 1 << 30                         # octets missing inside where their number cannot be known
_KEPT = 4096                               # octets of an unfinished handshake record that are kept for `lost`
_WORTH = 4096                              # octets of application data to come that are worth leaving out

Found = Message | Inner | Opaque | Skip


def likely(head: bytes, ports: tuple[int, ...] = ()) -> bool:
    """A record header, followed by a hello, or by another record header where that can be seen."""
    if len(head) < 5 or not _plausible(head, 0):
        return _is_sslv2_hello(head)
    end = 5 + int.from_bytes(head[3:5], "big")
    if len(head) > end:
        return _begins_record(head, end)
    if head[0] == _HANDSHAKE and len(head) >= 11 and head[5] in (1, 2):
        return head[9] in (0x03, 0x7F)
    return True


def _plausible(data: bytes, at: int) -> bool:
    kind, major, minor = data[at], data[at + 1], data[at + 2]
    size = data[at + 3] << 8 | data[at + 4]
    return (20 <= kind <= 24 and major == 3 and minor <= 4 and size <= _LARGEST_RECORD and (size > 0 or kind == _DATA)
            and (kind != _CHANGE_CIPHER_SPEC or size == 1 or 16 < size < 320)     # longer: sealed, in a renegotiation
            and (kind != _ALERT or size >= 2))


def _begins_record(data: bytes, at: int) -> bool:
    """Do as many octets as there are from `at` on agree with a record header?"""
    if len(data) - at >= 5:
        return _plausible(data, at)
    return 20 <= data[at] <= 24 and data[at + 1:at + 2] in (b"", b"\x03")


def _is_sslv2_hello(head: bytes) -> bool:
    """RFC 5246, E.2: a ClientHello in SSL 2.0 form."""
    if len(head) < 11 or not head[0] & 0x80 or head[2] != 1 or (head[3], head[4]) not in _SSLV2_VERSIONS:
        return False
    suites, session, challenge = (int.from_bytes(head[i:i + 2], "big") for i in (5, 7, 9))
    size = (head[0] & 0x7F) << 8 | head[1]
    return (size == 9 + suites + session + challenge and suites > 0 and suites % 3 == 0 and session in (0, 16)
            and 16 <= challenge <= 32)


_SSLV2_VERSIONS = {(0, 2), (3, 0), (3, 1), (3, 2), (3, 3)}


class _Side:
    """How far one direction has been read."""

    __slots__ = ("handshake", "sealed", "doubtful", "skip", "wanted", "begun", "scanning", "partial", "opaque",
                 "ended", "place", "finished", "spoke", "rest", "frames", "time")

    def __init__(self) -> None:
        self.handshake = Assembly()
        self.sealed = False        # behind ChangeCipherSpec, up to TLS 1.2
        self.doubtful = True       # a ChangeCipherSpec may have been missed
        self.skip = 0              # octets left of a record whose middle is missing
        self.wanted = 0            # octets the record that begins the tape still lacks
        self.begun = (0, 0)        # its content type and size
        self.scanning = False      # no record boundary is known
        self.partial: Tape | None = None                    # at the beginning of an unfinished handshake record
        self.opaque = Sealed("tls")
        self.ended = False
        self.finished = False      # the handshake of TLS 1.3 is over in this direction: data follows
        self.spoke = False         # it has gone on behind the handshake, or may have: not all of it is in the capture
        self.place: Context | None = None                   # of the last record that was read
        self.rest = 0              # octets to come of a record of data that nobody can open, and that is not kept
        self.frames: list[FrameRef] = []                    # these two: of that record so far
        self.time = 0


class Conversation:
    """One stream of TLS, from wherever the capture shows it."""

    def __init__(self, context: Context):
        self.secrets = context.secrets
        self.facts = Facts()
        self.sides = (_Side(), _Side())
        self.session: Any = None           # decrypt.tls.Session, where a key fits
        self.transcript: bytearray | None = bytearray() if context.secrets is not None else None
        self.refused = False
        self.client = 0                    # the side that sent the ClientHello, where the driver's guess was wrong: 1

    # ------------------------------------------------------------------------------------------------ records

    def feed(self, side: int, tape: Tape) -> list[Found]:
        found: list[Found] = []
        self._records(side, tape, found)
        return found

    def _records(self, side: int, tape: Tape, found: list[Found]) -> None:
        one = self.sides[side]
        one.partial, one.wanted = None, 0
        if one.skip:
            step = min(one.skip, len(tape.data))
            tape.skip(step)
            one.skip -= step
        if one.rest:
            _pass(one, tape)
        data = tape.data
        while data and not one.skip and not one.rest:
            if one.scanning and not _synchronise(one, tape):
                return
            if len(data) < 5:
                if _begins_record(data, 0) or _may_be_sslv2(data):
                    return
                one.scanning = True
            elif not _plausible(data, 0):
                if len(data) < 11 and not self.facts.client_random and _may_be_sslv2(data):
                    return
                if side == 0 and not self.facts.client_random and _is_sslv2_hello(data):
                    size = 2 + ((data[0] & 0x7F) << 8 | data[1])
                    if len(data) < size:
                        return
                    place = tape.place(size)
                    found.append(self._sslv2_hello(tape.take(size), place))
                else:
                    one.scanning = one.doubtful = True
                    one.handshake.clear()
            else:
                size = 5 + (data[3] << 8 | data[4])
                if len(data) < size:
                    one.wanted, one.begun = size - len(data), (data[0], size - 5)
                    if data[0] == _HANDSHAKE and not one.sealed:
                        one.partial = tape
                    elif data[0] == _DATA and one.wanted > _WORTH and self.session is None and not self.secrets:
                        one.rest, one.time, one.wanted = size, 0, 0
                        _pass(one, tape)
                        # the last octet is read as ever, and what follows it
                        found.append(Skip(side, one.rest - 1))
                    return
                if data[0] == _DATA and self.session is None:
                    self._count(one, tape)
                    continue
                place = tape.place(size)
                kind, number, fragment = data[0], data[1] << 8 | data[2], bytes(data[5:size])
                tape.skip(size)
                self._record(side, kind, number, fragment, place, found)

    def skipped(self, side: int, size: int, frames: Sequence[FrameRef], time: int) -> None:
        """Octets of a record that nobody can open."""
        one = self.sides[side]
        one.rest -= size
        one.frames += frames
        one.time = max(one.time, time)

    def _count(self, one: _Side, tape: Tape) -> None:
        """Takes all whole records of application data at once."""
        data, at, records, have = tape.data, 0, 0, len(tape.data)
        while at + 5 <= have and data[at] == _DATA and _plausible(data, at):
            end = at + 5 + (data[at + 3] << 8 | data[at + 4])
            if end > have:
                break
            at, records = end, records + 1
        one.opaque.add(tape.place(at), records, at - 5 * records)
        tape.skip(at)

    def lost(self, side: int, size: int) -> Iterator[Found]:
        one = self.sides[side]
        yield from self._unfinished(side)
        again, wanted = bool(one.skip), one.skip or one.rest or one.wanted
        one.wanted = one.rest = 0
        one.frames.clear()
        one.doubtful = one.spoke = True
        if 0 < size <= wanted:             # the hole lies within one record: the next boundary is known
            one.skip = wanted - size
            if self.session and not again:
                self.session.missed(side ^ self.client, 1)
                if one.begun[0] == _DATA:
                    yield from self._hole(side, one.begun[1], one.place)
        else:
            one.skip, one.scanning = 0, True
            if self.session:
                self.session.missed(side ^ self.client, 2 + size // _SMALLEST_RECORD)
                yield from self._hole(side, None, one.place)

    def _hole(self, side: int, fragment: int | None, place: Context | None) -> Iterator[Found]:
        """Tells the stream inside that a record of this size does not reach it, or nobody knows how many."""
        one = self.sides[side]
        if self.facts.is13 and fragment is not None and not one.finished:
            one.finished = True            # one of the handshake's own records, which look like data
            return
        size = None if fragment is None else self.session.content_size(fragment)
        if place and size != 0:
            yield Inner(side, b"", place.within("tls", missing=_UNKNOWN if size is None else size))

    def end(self, side: int) -> Iterator[Found]:
        one = self.sides[side]
        if one.ended:
            return
        one.ended = True
        yield from self._unfinished(side)
        opaque = one.opaque.opaque(**({"keys": "do not fit"} if self.refused else {}))
        if opaque:
            yield opaque

    def _unfinished(self, side: int) -> Iterator[Found]:
        """The handshake message that bytes are missing of, as far as it goes."""
        one = self.sides[side]
        tape, one.partial = one.partial, None
        if tape and (one.handshake.data or not one.doubtful or tape.data[5:6] in _TELLING):
            one.handshake.add(bytes(tape.data[5:_KEPT]), tape.place(len(tape)))
        data = bytes(one.handshake.data)
        if len(data) > 4:
            place = one.handshake.place(len(data))
            facts = Facts() if data[0] < 3 else self.facts
            kind, fields, problems = read(data[0], data, 4, facts, side ^ self.client, place.time, cut=True)
            if fields:
                yield place.message(f"tls.{kind}", fields, problems, incomplete=True)
        one.handshake.clear()

    def _record(self, side: int, kind: int, number: int, fragment: bytes, context: Context, found: list[Found]) -> None:
        one = self.sides[side]
        one.place = context
        if self.session and not one.sealed and not self.facts.is13 and (
                kind == _DATA or (kind == _HANDSHAKE and one.doubtful and not trustworthy(fragment))):
            one.sealed, one.doubtful = True, False      # its ChangeCipherSpec is among the missing bytes
            role = side ^ self.client
            slack = self.session.slack[role]
            self.session.change_cipher_spec(role)
            self.session.missed(role, slack)
        if kind == _CHANGE_CIPHER_SPEC and (len(fragment) == 1 or not one.sealed):
            self._change_cipher_spec(side, fragment, context, found)
        elif self.session and (one.sealed or (self.facts.is13 and kind == _DATA)):
            self._open(side, kind, number, fragment, context, found)
        elif kind == _HANDSHAKE:
            self._handshake(side, fragment, context, found)
        elif kind == _ALERT:
            found.append(self._alert(side, fragment, context))
        elif kind == _DATA:
            one.opaque.add(context, 1, len(fragment))

    def _sender(self, side: int) -> str:
        return ("client", "server")[side ^ self.client]

    def _change_cipher_spec(self, side: int, fragment: bytes, context: Context, found: list[Found]) -> None:
        if fragment != b"\x01":
            return
        one = self.sides[side]
        fields: dict[str, Any] = {"side": self._sender(side)}
        if not self.facts.is13:            # in TLS 1.3 it is there for middleboxes only (RFC 8446, D.4)
            one.sealed, one.doubtful = True, False
            one.handshake.clear()
            if self.session:
                self.session.change_cipher_spec(side ^ self.client)
            if side != self.client and self.facts.version is not None:
                fields["resumed"] = self.facts.resumed
        found.append(context.message("tls.change_cipher_spec", fields))

    # ------------------------------------------------------------------------------------------------ messages

    def _handshake(self, side: int, fragment: bytes, context: Context, found: list[Found]) -> None:
        one = self.sides[side]
        if one.sealed or (one.doubtful and not one.handshake.data):
            if not trustworthy(fragment) or (one.sealed and fragment[0] not in (1, 2)):
                if one.sealed:
                    found.append(context.message("tls.encrypted_handshake",
                                                 {"side": self._sender(side), "size": len(fragment)}))
                return
            one.sealed = one.doubtful = False
        for number, message, place in one.handshake.whole(fragment, context):
            self._message(side, number, message, place, found)

    def _message(self, side: int, number: int, message: bytes, place: Context, found: list[Found]) -> None:
        if number in (1, 2) and not self.facts.client_random:
            self.client = side if number == 1 else 1 - side
        if number == 1 and self.transcript is not None and not self.facts.is13:
            self.transcript.clear()        # a new handshake; after a HelloRetryRequest it is still the old one
        if self.transcript is not None and number != 0 and len(self.transcript) + len(message) <= 1 << 19:
            self.transcript += message
        kind, fields, problems = read(number, message, 4, self.facts, side ^ self.client, place.time)
        found.append(place.message(f"tls.{kind}", fields, problems))
        if number == 2 and not fields.get("hello_retry") and self.secrets is not None and not problems:
            self._unlock()
        elif number == 16 and self.session:
            self.session.client_key_exchange(message[4:], bytes(self.transcript or b""),
                                             self.facts.extended_master_secret)
        elif number == 4:                  # a session ticket: who sends one has accepted the handshake (RFC 8446 4.6.1)
            self.sides[side].spoke = self.facts.is13
        elif number == 20:
            self.sides[side].finished = True
        elif number == 24 and self.session and self.facts.is13:
            self.session.key_update(side ^ self.client)

    def _unlock(self) -> None:
        facts = self.facts
        session = self.secrets.open_tls(facts.client_random, facts.server_random, facts.version, facts.suite)
        if session is None:
            return
        session.encrypt_then_mac = facts.encrypt_then_mac
        if self.session is not None:
            session.renegotiates(self.session)
        self.session = session

    # ------------------------------------------------------------------------------------------------ with keys

    def _open(self, side: int, kind: int, number: int, fragment: bytes, context: Context, found: list[Found]) -> None:
        one = self.sides[side]
        opened = self.session.open(side ^ self.client, kind, number, fragment)
        if opened is None:
            if self.session.rejected and not self.refused:
                self.refused = True
                found.append(context.message("tls.wrong_key", {"reason": self.session.rejected},
                                             (Problem(0, self.session.rejected),)))
            if self.session.rejected:
                self.session = None
            if kind == _DATA:
                one.opaque.add(context, 1, len(fragment))
                if self.session:
                    found += self._hole(side, len(fragment), context)
            elif kind == _ALERT:
                found.append(self._alert(side, fragment, context))
            elif kind == _HANDSHAKE:
                found.append(context.message("tls.encrypted_handshake",
                                             {"side": self._sender(side), "size": len(fragment)}))
            return
        kind, data = opened
        inner = context.within("tls")
        if kind == _HANDSHAKE:
            for message in one.handshake.whole(data, inner):
                self._message(side, *message, found)
        elif kind == _ALERT:
            found.append(self._alert(side, data, inner))
        elif kind == _CHANGE_CIPHER_SPEC:
            self._change_cipher_spec(side, data, inner, found)
        elif kind == _DATA and data:
            one.finished = one.spoke = True
            carrier = {"sni": self.facts.sni, "alpn": self.facts.alpn}
            found.append(Inner(side, data, inner.but(carrier=carrier)))

    def _alert(self, side: int, data: bytes, context: Context) -> Message:
        """An alert of two octets can be read; protected ones are longer (RFC 5246, 7.2).

        `established` stands with one whose sender had, for all the capture shows, gone on behind the handshake before.
        """
        sender = self._sender(side)
        if len(data) != 2 or data[0] not in LEVELS:
            return context.message("tls.encrypted_alert", {"side": sender})
        fields = {"level": LEVELS[data[0]], "side": sender, "description": ALERTS.get(data[1], f"ALERT_{data[1]}")}
        return context.message("tls.alert", {**fields, "established": True} if self.sides[side].spoke else fields)

    def _sslv2_hello(self, record: bytes, place: Context) -> Message:
        cursor = Cursor(record, 3)
        number = cursor.u16()
        suites, session, challenge = cursor.u16(), cursor.u16(), cursor.u16()
        codes = cursor.octets(suites)
        session_id, random = cursor.octets(session), cursor.octets(challenge)
        names = [suite(codes[i + 1] << 8 | codes[i + 2]) for i in range(0, suites, 3) if codes[i] == 0]
        self.facts.client_random, self.facts.offered = random.rjust(32, b"\0"), number
        return place.message("tls.client_hello", {
            "version": version(number), "legacy_version": version(number), "random": self.facts.client_random.hex(),
            "session_id": session_id.hex(), "cipher_suites": names, "extensions": [], "sslv2": True})


def _pass(one: _Side, tape: Tape) -> None:
    """Takes what there is of a record that is not kept off the tape, and counts the record where it is complete."""
    step = min(one.rest, len(tape))
    time, frames = tape.origin(step)
    one.rest -= step
    one.time = max(one.time, time)
    one.frames += frames
    tape.skip(step)
    if not one.rest:
        one.opaque.add(tape.context.but(time=one.time, frames=tuple(sorted(set(one.frames)))), 1, one.begun[1])
        one.frames.clear()


def _may_be_sslv2(data: bytes) -> bool:
    return bool(data[0] & 0x80) and data[2:3] in (b"", b"\x01")


def _synchronise(one: _Side, tape: Tape) -> bool:
    """Moves the tape to the next header that another header, or the end of what is there, confirms."""
    data = bytes(tape.data)
    at, found = _boundary(data)
    tape.skip(at)
    one.scanning = not found
    return found


def _boundary(data: bytes) -> tuple[int, bool]:
    """How many octets can be passed over, and whether a record is known to begin behind them."""
    have = len(data)
    for match in _HEADER.finditer(data):
        at = match.start()
        if at + 5 > have:
            return at, False
        if _plausible(data, at):
            end = at + 5 + (data[at + 3] << 8 | data[at + 4])
            if end > have:                 # wait: what follows the record will tell
                return at, False
            if end == have or _begins_record(data, end):
                return at, True
    return max(have - 2, 0), False
