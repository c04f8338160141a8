"""Handshake messages of TLS 1.0 to 1.3 (RFC 2246, 4346, 5246, 8446), SSL 3.0 (RFC 6101) and DTLS (RFC 4347, 6347).

`read` turns one message into fields. What later messages depend on (version, randoms, cipher suite) is kept in `Facts`,
of which every conversation has one. The layout of a message follows the version that the ServerHello settled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ..model import Context, Problem
from . import certificates
from ._tls_names import (CERTIFICATE_TYPES, EXTENSIONS, GROUPS, HANDSHAKES, KEY_UPDATES, SIGNATURES, is_grease, name, suite,
                         version)
from .wire import Cursor, Short

LARGEST = 1 << 18            # octets of a handshake message that are kept; real chains stay far below
_MOST_CERTIFICATES = 32
TLS13 = 0x0304
# RFC 8446, 4.1.3: this random, the SHA-256 of "HelloRetryRequest", makes a ServerHello a HelloRetryRequest.
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")

Fields = dict[str, Any]
Reader = Callable[[Cursor, Fields, "Facts"], None]      # of one extension


@dataclass(slots=True)
class Facts:
    """What the two hellos settled, as far as they were seen."""

    version: int | None = None
    suite: int | None = None
    client_random: bytes = b""
    server_random: bytes = b""
    session_id: bytes = b""             # the one the client offered
    sni: str | None = None
    alpn: str | None = None
    offered: int | None = None          # highest version of the ClientHello
    resumed: bool = False
    by_psk: bool = False                # the server took a pre-shared key of TLS 1.3
    encrypt_then_mac: bool = False      # RFC 7366
    extended_master_secret: bool = False   # RFC 7627

    @property
    def is13(self) -> bool:
        return self.version == TLS13

    @property
    def suite_name(self) -> str:
        return "" if self.suite is None else suite(self.suite)


def kinds(protocol: str) -> dict[str, tuple[str, ...]]:
    """Message kinds of `protocol` ("tls" or "dtls") with the fields that rules may name."""
    return {f"{protocol}.{kind}": fields for kind, fields in _FIELDS.items()}


_FIELDS = {
    "client_hello": ("version", "legacy_version", "random", "session_id", "cipher_suites", "extensions", "sni", "alpn",
                     "supported_versions", "supported_groups", "signature_algorithms", "key_share", "ticket", "psk",
                     "early_data", "sslv2", "cookie"),
    "server_hello": ("version", "legacy_version", "random", "session_id", "cipher_suite", "extensions", "alpn",
                     "key_share", "hello_retry", "resumed"),
    "certificate": ("side", "chain", "sni", "faults"),
    "certificate_request": ("certificate_types", "signature_algorithms", "authorities"),
    "server_key_exchange": ("group", "dh_bits", "psk_identity_hint"),
    "client_key_exchange": ("psk_identity",),
    "certificate_verify": ("side", "signature_algorithm"),
    "new_session_ticket": ("lifetime",),
    "encrypted_extensions": ("extensions", "alpn"),
    "finished": ("side",),
    "key_update": ("side", "request"),
    "hello_verify_request": ("version", "cookie"),
    "compressed_certificate": ("side", "algorithm", "size"),
    "handshake": ("type", "size"),
    "hello_request": (), "server_hello_done": (), "end_of_early_data": (), "certificate_status": (),
    "certificate_url": (),
    "change_cipher_spec": ("side", "resumed"),
    "alert": ("level", "description", "side"),
    "encrypted_alert": ("side",),
    "encrypted_handshake": ("side", "size"),
    "wrong_key": ("reason",),
}


def read(number: int, message: bytes, header: int, facts: Facts, side: int, time: int, *,
         cut: bool = False) -> tuple[str, Fields, tuple[Problem, ...]]:
    """The last part of the message's kind, its fields and what is wrong with it.

    `message` begins with its `header` octets (4 in TLS, 12 in DTLS); `time` is that of the capture, against which
    certificates are held. With `cut` the end of the message is missing from the capture, which is no problem of the peer.
    """
    kind, fields, problems = HANDSHAKES.get(number, "handshake"), {}, []
    cursor = Cursor(message, header)
    reader = _READERS.get(number)
    try:
        if reader:
            reader(cursor, facts, fields, problems, side, time)
            if cursor.left and not cut:
                problems.append(Problem(cursor.offset, f"{cursor.left} octets after the end of the {kind}"))
        elif number not in HANDSHAKES:
            fields.update(type=number, size=len(message) - header)
    except Short as short:
        if not cut:
            problems.append(Problem(short.offset, f"{kind} ends before its fields do"))
    if cut:
        _drop_undecided(number, fields)
    return kind, fields, tuple(problems)


def _drop_undecided(number: int, fields: Fields) -> None:
    """Takes out what the missing end might have changed: `supported_versions` overrides the version of a hello."""
    if number in (1, 2) and "supported_versions" not in fields.get("extensions", ()):
        fields.pop("version", None)
        fields.pop("resumed", None)


# ---------------------------------------------------------------------------------------------------- pieces

def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")


def _vector(cursor: Cursor, length_size: int) -> bytes:
    return cursor.octets(cursor.uint(length_size))


def _numbers(octets: bytes) -> list[int]:
    return [octets[i] << 8 | octets[i + 1] for i in range(0, len(octets) - 1, 2)]


@contextmanager
def _part(cursor: Cursor, size: int) -> Iterator[Cursor]:
    """Like `Cursor.window`, but what is there of a part that ends too early is read before the end is complained of."""
    start, left = cursor.offset, cursor.left
    with cursor.window(min(size, left)) as inner:
        yield inner
    if size > left:
        raise Short(start, size)


def _each_extension(cursor: Cursor, readers: dict[int, Reader], fields: Fields, facts: Facts,
                    problems: list[Problem]) -> None:
    """The names of all, and what the known ones say. One that ends early is a problem of its own and spares the others."""
    names = fields["extensions"] = []
    if not cursor.left:
        return                                    # a hello may end before the extensions (RFC 5246, 7.4.1.2)
    with _part(cursor, cursor.u16()) as block:
        while block.left:
            number = block.u16()
            with block.window(block.u16()) as content:
                names.append(name(EXTENSIONS, number, "EXTENSION"))
                try:
                    if number in readers:
                        readers[number](content, fields, facts)
                except Short as short:
                    problems.append(Problem(short.offset, f"extension {names[-1]} ends before its fields do"))


def _server_name(content: Cursor, fields: Fields, facts: Facts) -> None:
    """RFC 6066, 3: a list, of which host_name (0) is the only type ever defined."""
    with content.window(content.u16()) as names:
        while names.left:
            kind, value = names.u8(), _vector(names, 2)
            if kind == 0:
                facts.sni = fields.setdefault("sni", _text(value))


def _alpn_offer(content: Cursor, fields: Fields, facts: Facts) -> None:
    with content.window(content.u16()) as names:
        protocols = fields["alpn"] = []
        while names.left:
            protocols.append(_text(_vector(names, 1)))


def _alpn_choice(content: Cursor, fields: Fields, facts: Facts) -> None:
    with content.window(content.u16()) as names:
        facts.alpn = fields["alpn"] = _text(_vector(names, 1))


def _offered_versions(content: Cursor, fields: Fields, facts: Facts) -> None:
    numbers = _numbers(_vector(content, 1))
    fields["supported_versions"] = [name_of_version(n) for n in numbers]
    known = [TLS13 if n >> 8 == 0x7F else n for n in numbers if n >> 8 in (0x03, 0x7F, 0xFE)]
    if known:
        facts.offered = max(known, key=_newer)
        fields["version"] = version(facts.offered)


def _chosen_version(content: Cursor, fields: Fields, facts: Facts) -> None:
    number = content.u16()
    facts.version = TLS13 if number >> 8 == 0x7F else number
    fields["version"] = version(facts.version)


def name_of_version(number: int) -> str:
    """RFC 8446 drafts used 0x7F and the draft's number."""
    if number >> 8 == 0x7F:
        return f"TLS 1.3 (draft {number & 0xFF})"
    return "GREASE" if is_grease(number) else version(number)


def _offered_shares(content: Cursor, fields: Fields, facts: Facts) -> None:
    with content.window(content.u16()) as shares:
        groups = fields["key_share"] = []
        while shares.left:
            groups.append(name(GROUPS, shares.u16(), "GROUP"))
            _vector(shares, 2)


def _offered_psk(content: Cursor, fields: Fields, facts: Facts) -> None:
    with content.window(content.u16()) as identities:
        count = 0
        while identities.left:
            _vector(identities, 2)
            identities.u32()
            count += 1
    fields["psk"] = count


def _names_of(key: str, table: dict[int, str], unknown: str) -> Reader:
    def reader(content: Cursor, fields: Fields, facts: Facts) -> None:
        fields[key] = [name(table, n, unknown) for n in _numbers(_vector(content, 2))]
    return reader


def _fact(key: str) -> Reader:
    return lambda content, fields, facts: setattr(facts, key, True)


def _authorities(content: Cursor, fields: Fields, facts: Facts) -> None:
    with content.window(content.u16()) as names:
        found = fields["authorities"] = []
        while names.left:
            found.append(certificates.name(_vector(names, 2)))


_SIGNATURE_LIST = _names_of("signature_algorithms", SIGNATURES, "SIGNATURE")
_OFFERS = {0: _server_name, 10: _names_of("supported_groups", GROUPS, "GROUP"), 13: _SIGNATURE_LIST, 16: _alpn_offer,
           35: lambda content, fields, facts: fields.__setitem__("ticket", content.left > 0), 41: _offered_psk,
           42: lambda content, fields, facts: fields.__setitem__("early_data", True), 43: _offered_versions,
           51: _offered_shares}
_CHOICES = {16: _alpn_choice, 22: _fact("encrypt_then_mac"), 23: _fact("extended_master_secret"), 41: _fact("by_psk"),
            43: _chosen_version, 51: lambda content, fields, facts: fields.__setitem__(
                "key_share", name(GROUPS, content.u16(), "GROUP"))}
_REQUESTS = {13: _SIGNATURE_LIST, 47: _authorities}


# ---------------------------------------------------------------------------------------------------- messages

def _newer(number: int) -> int:
    """Orders versions by age: those of DTLS count downwards."""
    return 0x10000 - number if number >> 8 == 0xFE else number


def _client_hello(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int, time: int) -> None:
    legacy = cursor.u16()
    fields["legacy_version"] = fields["version"] = version(legacy)
    random = cursor.octets(32)
    fields["random"] = random.hex()
    session_id = _vector(cursor, 1)
    fields["session_id"] = session_id.hex()
    if legacy >> 8 in (0xFE, 0x01):               # DTLS (RFC 6347, 4.2.1); 0x0100 is OpenSSL before the RFC
        fields["cookie"] = _vector(cursor, 1).hex()
    fields["cipher_suites"] = [suite(n) for n in _numbers(_vector(cursor, 2))]
    _vector(cursor, 1)                            # compression methods
    facts.client_random, facts.session_id = random, session_id
    facts.offered, facts.sni = legacy, None
    _each_extension(cursor, _OFFERS, fields, facts, problems)


def _server_hello(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int, time: int) -> None:
    legacy = cursor.u16()
    fields["legacy_version"] = fields["version"] = name_of_version(legacy)
    random = cursor.octets(32)
    fields.update(random=random.hex(), hello_retry=random == _RETRY)
    session_id = _vector(cursor, 1) if legacy >> 8 != 0x7F else b""      # left out in drafts before 22
    fields["session_id"] = session_id.hex()
    number = cursor.u16()
    fields["cipher_suite"] = suite(number)
    if legacy >> 8 == 0x7F:
        fields["version"], legacy = "TLS 1.3", TLS13
    else:
        cursor.u8()                               # compression method
    facts.version, facts.suite, facts.server_random, facts.alpn = legacy, number, random, None
    facts.encrypt_then_mac = facts.extended_master_secret = facts.by_psk = False
    _each_extension(cursor, _CHOICES, fields, facts, problems)
    # Up to TLS 1.2 the server echoes the session ID it resumes (RFC 5246, 7.4.1.3); in TLS 1.3 it always echoes.
    facts.resumed = facts.by_psk if facts.is13 else bool(session_id) and session_id == facts.session_id
    fields["resumed"] = facts.resumed


def _certificate(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int, time: int) -> None:
    fields["side"] = ("client", "server")[side]
    chain = fields["chain"] = []
    if facts.is13:
        _vector(cursor, 1)                        # certificate_request_context
    with _part(cursor, cursor.u24()) as entries:
        while entries.left:
            der = _vector(entries, 3)
            if facts.is13:
                _vector(entries, 2)
            if len(chain) < _MOST_CERTIFICATES:
                chain.append(certificates.describe(der))
    if side == 1:
        fields["sni"] = facts.sni
    fields["faults"] = certificates.faults(chain, facts.sni if side == 1 else None, time)


def _certificate_request(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int,
                         time: int) -> None:
    if facts.is13:
        _vector(cursor, 1)
        _each_extension(cursor, _REQUESTS, fields, facts, problems)
        fields.pop("extensions")
        return
    fields["certificate_types"] = [name(CERTIFICATE_TYPES, n, "CERTIFICATE_TYPE") for n in _vector(cursor, 1)]
    if facts.version in (0x0303, 0xFEFD):         # RFC 5246, 7.4.4
        _SIGNATURE_LIST(cursor, fields, facts)
    _authorities(cursor, fields, facts)


def _server_key_exchange(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int,
                         time: int) -> None:
    exchange = facts.suite_name.partition("_WITH_")[0]
    if exchange.endswith("PSK"):                  # RFC 4279, 2 to 4; RFC 5489, 2
        fields["psk_identity_hint"] = _text(_vector(cursor, 2))
    if "ECDH" in exchange and cursor.u8() == 3:   # named_curve (RFC 8422, 5.4)
        fields["group"] = name(GROUPS, cursor.u16(), "GROUP")
    elif "_DH" in exchange:
        fields["dh_bits"] = int.from_bytes(_vector(cursor, 2), "big").bit_length()
    cursor.rest()                                 # public value and signature


def _client_key_exchange(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int,
                         time: int) -> None:
    if facts.suite_name.partition("_WITH_")[0].endswith("PSK"):
        fields["psk_identity"] = _text(_vector(cursor, 2))
    cursor.rest()


def _certificate_verify(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int,
                        time: int) -> None:
    fields["side"] = ("client", "server")[side]
    if facts.version in (0x0303, TLS13, 0xFEFD):  # RFC 5246, 7.4.8
        fields["signature_algorithm"] = name(SIGNATURES, cursor.u16(), "SIGNATURE")
    _vector(cursor, 2)


def _new_session_ticket(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int,
                        time: int) -> None:
    fields["lifetime"] = cursor.u32()
    if facts.is13:
        cursor.u32()                              # ticket_age_add
        _vector(cursor, 1)
    _vector(cursor, 2)
    if facts.is13:
        _vector(cursor, 2)


def _encrypted_extensions(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int,
                          time: int) -> None:
    _each_extension(cursor, {16: _alpn_choice}, fields, facts, problems)


def _finished(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int, time: int) -> None:
    fields["side"] = ("client", "server")[side]
    cursor.rest()


def _key_update(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int, time: int) -> None:
    fields["side"] = ("client", "server")[side]
    fields["request"] = name(KEY_UPDATES, cursor.u8(), "REQUEST")


def _hello_verify_request(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int,
                          time: int) -> None:
    fields["version"] = version(cursor.u16())
    fields["cookie"] = _vector(cursor, 1).hex()


def _compressed_certificate(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int,
                            time: int) -> None:
    """RFC 8879, 4. The chain stays compressed: what devices of this field send is not."""
    fields["side"] = ("client", "server")[side]
    fields["algorithm"] = {1: "zlib", 2: "brotli", 3: "zstd"}.get(algorithm := cursor.u16(), f"ALGORITHM_{algorithm}")
    fields["size"] = cursor.u24()
    _vector(cursor, 3)


_READERS = {1: _client_hello, 2: _server_hello, 3: _hello_verify_request, 4: _new_session_ticket,
            8: _encrypted_extensions, 11: _certificate, 12: _server_key_exchange, 13: _certificate_request,
            15: _certificate_verify, 16: _client_key_exchange, 20: _finished, 24: _key_update,
            25: _compressed_certificate}


# ---------------------------------------------------------------------------------------------------- from records

class Assembly:
    """Handshake messages of one direction, put together from the records that carry pieces of them."""

    __slots__ = ("data", "marks")

    def __init__(self) -> None:
        self.data = bytearray()
        self.marks: list[tuple[int, Context]] = []   # (end of the piece in data, where the piece came from)

    def clear(self) -> None:
        self.data.clear()
        self.marks.clear()

    def add(self, piece: bytes, context: Context) -> None:
        self.data += piece
        self.marks.append((len(self.data), context))

    def messages(self) -> Iterator[tuple[int, bytes, Context]]:
        """Type, whole message with its header, and place of each message that is complete."""
        while len(self.data) >= 4:
            size = 4 + int.from_bytes(self.data[1:4], "big")
            if size > LARGEST:                       # no such message exists: what follows cannot be framed either
                self.clear()
                return
            if len(self.data) < size:
                return
            yield self.data[0], bytes(self.data[:size]), self.place(size)
            del self.data[:size]
            self.marks = [(end - size, context) for end, context in self.marks if end > size]

    def place(self, size: int) -> Context:
        """Where the first `size` octets came from."""
        contexts = []
        for end, context in self.marks:
            contexts.append(context)
            if end >= size:
                break
        if len(contexts) == 1:
            return contexts[0]
        frames = sorted({frame for context in contexts for frame in context.frames})
        return replace(contexts[-1], frames=tuple(frames))


# What can stand in a record in clear, and its length where that is fixed. HelloRequest is not among them: the explicit
# nonce of a sealed record often begins with zeros too.
_IN_CLEAR = {1: None, 2: None, 3: None, 4: None, 11: None, 12: None, 13: None, 14: 0, 15: None, 16: None, 22: None}


def trustworthy(fragment: bytes) -> bool:
    """Does a handshake record begin with a message in clear, where it may as well be sealed or the middle of one?"""
    offset, size = 0, len(fragment)
    while offset + 4 <= size:
        number, length = fragment[offset], int.from_bytes(fragment[offset + 1:offset + 4], "big")
        body = offset + 4
        if (_IN_CLEAR.get(number, -1) not in (None, length)
                or (number in (1, 2, 3) and body < size and fragment[body] not in (0x03, 0x7F))):
            return False
        offset = body + length
        if offset > size:    # goes on in the next record: only where its content agrees with its length
            if number == 11:
                return int.from_bytes(fragment[body:body + 3], "big") + 3 == length and length <= LARGEST
            return number in (1, 2) and length <= 0xFFFF
    return offset == size and size > 0
