"""DTLS 1.0 and 1.2 over UDP (RFC 4347, RFC 6347): records and handshake fragments, each of which a datagram may lose.

Kinds are those of TLS under `dtls.`. With keys every record of application data is handed on as a Payload of its own.
Retransmitted handshake messages come out again: folding copies is for those who know the conversation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..model import Context, Message, Opaque, Payload, Problem
from ._tls_assembly import LARGEST
from ._tls_extensions import Facts
from ._tls_handshake import kinds, read
from ._tls_names import ALERTS, HANDSHAKES, LEVELS
from ._tls_sealed import Sealed

KINDS = kinds("dtls")
PORTS = {4433, 4740, 5061, 5246, 5247, 5349, 5684, 8883}

_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE, _DATA, _HEARTBEAT = 20, 21, 22, 23, 24
_VERSIONS = {b"\xfe\xff", b"\xfe\xfd", b"\x01\x00"}       # 0x0100: OpenSSL before the RFC
_HEADER = 13
_HANDSHAKE_HEADER = 12
_LARGEST_RECORD = (1 << 14) + 2048
_MOST_PARTIAL = 16                                        # handshake messages of a direction that wait for fragments

Found = Message | Payload | Opaque


def likely(head: bytes, ports: tuple[int, ...] = ()) -> bool:
    """Records from the first octet to the last, as far as the datagram is there."""
    at, count = 0, 0
    while at + _HEADER <= len(head):
        size = head[at + 11] << 8 | head[at + 12]
        if (not _CHANGE_CIPHER_SPEC <= head[at] <= _HEARTBEAT or head[at + 1:at + 3] not in _VERSIONS
                or not 0 < size <= _LARGEST_RECORD):
            return False
        epoch = head[at + 3] << 8 | head[at + 4]
        if epoch == 0 and (head[at] == _DATA or not _plain(head[at], head[at + _HEADER:at + _HEADER + size], size)):
            return False
        at, count = at + _HEADER + size, count + 1
    return count > 0 and (at >= len(head))


def _plain(kind: int, fragment: bytes, size: int) -> bool:
    """Can a record in clear have this content?"""
    if kind == _HANDSHAKE and len(fragment) >= _HANDSHAKE_HEADER:
        whole, offset, part = (int.from_bytes(fragment[i:i + 3], "big") for i in (1, 6, 9))
        return fragment[0] in HANDSHAKES and offset + part <= whole <= LARGEST and part <= size - _HANDSHAKE_HEADER
    return size == {_CHANGE_CIPHER_SPEC: 1, _ALERT: 2}.get(kind, size)


class Flow:
    """One UDP flow, or the DTLS of one SCTP association."""

    def __init__(self, context: Context):
        self.secrets = context.secrets
        self.facts = Facts()
        self.client = context.src           # until a ClientHello says otherwise
        self.sealed = (Sealed("dtls"), Sealed("dtls"))
        self.partial: tuple[dict[int, _Fragments], dict[int, _Fragments]] = ({}, {})
        self.session: Any = None
        self.keyed: set[tuple[int, int]] = set()          # (side, epoch) whose keys are in use
        self.transcript = bytearray()
        self.refused = False

    def datagram(self, data: bytes, context: Context) -> Iterator[Found]:
        at = 0
        while at + _HEADER <= len(data):
            kind, number = data[at], data[at + 1] << 8 | data[at + 2]
            sequence = int.from_bytes(data[at + 3:at + 11], "big")
            size = data[at + 11] << 8 | data[at + 12]
            if data[at + 1:at + 3] not in _VERSIONS or size > _LARGEST_RECORD:
                if data[at] >> 5 == 1 and self.facts.version is not None:    # sealed by DTLS 1.3 (RFC 9147, 4)
                    self.sealed[context.src != self.client].add(context, 1, len(data) - at)
                return
            fragment = data[at + _HEADER:at + _HEADER + size]
            at += _HEADER + size
            yield from self._record(kind, number, sequence, fragment, context, len(fragment) < size)

    def end(self) -> Iterator[Found]:
        for each in self.sealed:
            opaque = each.opaque(**({"keys": "do not fit"} if self.refused else {}))
            if opaque:
                yield opaque

    def _record(self, kind: int, number: int, sequence: int, fragment: bytes, context: Context,
                cut: bool) -> Iterator[Found]:
        side = 0 if context.src == self.client else 1
        epoch, inner = sequence >> 48, context
        if epoch:
            opened = None if cut else self._open(side, kind, number, sequence, fragment)
            if self.session and self.session.rejected:
                self.session, self.refused = None, True
                yield context.message("dtls.wrong_key", {"reason": _WRONG}, (Problem(0, _WRONG),))
            if opened is None:
                yield from self._closed(side, kind, fragment, context)
                return
            kind, fragment = opened
            inner = context.within("dtls")
            if kind == _DATA:
                yield Payload("", fragment, inner)
                return
        if kind == _HANDSHAKE:
            yield from self._handshake(side, fragment, inner, cut, epoch)
        elif kind == _ALERT and not cut:
            yield _alert(("client", "server")[side], fragment, inner)
        elif kind == _CHANGE_CIPHER_SPEC and fragment == b"\x01":
            fields: dict[str, Any] = {"side": ("client", "server")[side]}
            if side == 1 and self.facts.version is not None:
                fields["resumed"] = self.facts.resumed
            yield context.message("dtls.change_cipher_spec", fields)

    def _open(self, side: int, kind: int, number: int, sequence: int, fragment: bytes) -> tuple[int, bytes] | None:
        """Sequence numbers are in the records (RFC 6347, 4.1.2.1), so a lost datagram costs nothing else.

        Keys go with the epoch, not with ChangeCipherSpec: that one may be lost or come late.
        """
        if self.session is None:
            return None
        if (side, sequence >> 48) not in self.keyed:
            self.keyed.add((side, sequence >> 48))
            self.session.change_cipher_spec(side)
        return self.session.open(side, kind, number, fragment, sequence)

    def _closed(self, side: int, kind: int, fragment: bytes, context: Context) -> Iterator[Found]:
        fields = {"side": ("client", "server")[side]}
        if kind == _DATA:
            self.sealed[side].add(context, 1, len(fragment))
        elif kind == _ALERT:
            yield context.message("dtls.encrypted_alert", fields)
        elif kind == _HANDSHAKE:
            yield context.message("dtls.encrypted_handshake", {**fields, "size": len(fragment)})

    # ------------------------------------------------------------------------------------------------ handshake

    def _handshake(self, side: int, record: bytes, context: Context, cut: bool, epoch: int) -> Iterator[Found]:
        """RFC 6347, 4.2.3: a record holds whole messages or fragments, each with the header of its message."""
        at = 0
        while at + _HANDSHAKE_HEADER <= len(record):
            header = record[at:at + _HANDSHAKE_HEADER]
            size, offset, part = (int.from_bytes(header[i:i + 3], "big") for i in (1, 6, 9))
            body = record[at + _HANDSHAKE_HEADER:at + _HANDSHAKE_HEADER + part]
            at += _HANDSHAKE_HEADER + part
            if offset + part > size or size > LARGEST:
                return
            if header[0] == 1:
                self.client, side = context.src, 0
            if part == size and len(body) == part:
                yield from self._message(side, header, body, context)
            elif len(body) < part:
                if offset == 0:
                    yield self._read(side, header, body, context, cut=True)
            else:
                yield from self._fragment(side, header, (size, offset, body), context)

    def _fragment(self, side: int, header: bytes, piece: tuple[int, int, bytes], context: Context) -> Iterator[Found]:
        waiting = self.partial[side]
        number = header[4] << 8 | header[5]
        size = piece[0]
        fragments = waiting.get(number)
        if fragments is None or len(fragments.data) != size or fragments.kind != header[0]:
            while len(waiting) >= _MOST_PARTIAL:
                del waiting[next(iter(waiting))]
            fragments = waiting[number] = _Fragments(header[0], size)
        fragments.add(*piece[1:], context)
        if fragments.missing == 0:
            del waiting[number]
            frames = tuple(sorted(set(fragments.frames)))
            yield from self._message(side, header, bytes(fragments.data), context.but(frames=frames))

    def _message(self, side: int, header: bytes, body: bytes, context: Context) -> Iterator[Found]:
        kind = header[0]
        if kind == 1:
            self.transcript.clear()         # the hello before a HelloVerifyRequest does not count (RFC 6347, 4.2.1)
        if kind not in (0, 3) and len(self.transcript) + len(body) <= 1 << 19:
            # RFC 6347, 4.2.6: hashed as if it had been sent in one fragment.
            self.transcript += header[:6] + bytes(3) + header[1:4] + body
        before = (self.facts.client_random, self.facts.server_random)
        message = self._read(side, header, body, context)
        yield message
        if kind == 2 and not message.problems and self.secrets is not None:
            facts = self.facts
            if self.session is None or before != (facts.client_random, facts.server_random):
                self.keyed.clear()
                self.refused = False
                self.session = self.secrets.open_tls(facts.client_random, facts.server_random, facts.version,
                                                     facts.suite)
                if self.session is not None:
                    self.session.encrypt_then_mac = facts.encrypt_then_mac
        elif kind == 16 and self.session is not None:
            self.session.client_key_exchange(body, bytes(self.transcript), self.facts.extended_master_secret)

    def _read(self, side: int, header: bytes, body: bytes, context: Context, *, cut: bool = False) -> Message:
        facts = Facts() if cut and header[0] < 3 else self.facts
        kind, fields, problems = read(header[0], header + body, _HANDSHAKE_HEADER, facts, side, context.time, cut=cut)
        return context.message(f"dtls.{kind}", fields, problems, incomplete=cut)


class _Fragments:
    """One handshake message of which some fragments are there, in whatever order they came."""

    __slots__ = ("kind", "data", "have", "missing", "frames")

    def __init__(self, kind: int, size: int):
        self.kind, self.data, self.have, self.missing = kind, bytearray(size), bytearray(size), size
        self.frames: list[Any] = []

    def add(self, offset: int, piece: bytes, context: Context) -> None:
        end = offset + len(piece)
        new = self.have.count(0, offset, end)
        if new:
            self.frames += context.frames
            self.data[offset:end] = piece
            self.have[offset:end] = b"\1" * len(piece)
            self.missing -= new


_WRONG = "the secret that the keys hold for this connection does not open it"


def _alert(sender: str, data: bytes, context: Context) -> Message:
    if len(data) != 2 or data[0] not in LEVELS:
        return context.message("dtls.encrypted_alert", {"side": sender})
    return context.message("dtls.alert", {"level": LEVELS[data[0]], "side": sender,
                                          "description": ALERTS.get(data[1], f"ALERT_{data[1]}")})
