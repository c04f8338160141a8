"""Handshake messages of TLS 1.0 to 1.3 (RFC 2246, 4346, 5246, 8446), SSL 3.0 (RFC 6101) and DTLS (RFC 4347, 6347).

`read` turns one message into fields. What later messages depend on (version, randoms, cipher suite) is kept in `Facts`,
of which every conversation has one. The layout of a message follows the version that the ServerHello settled.
"""

from __future__ import annotations

from ..model import Problem
from . import certificates
from ._tls_extensions import (CHOICES, OFFERS, REQUESTS, SIGNATURE_LIST, TLS13, Facts, Fields, alpn_choice, authorities,
                              each_extension, name_of_version, numbers, part, text, vector)
from ._tls_names import CERTIFICATE_TYPES, GROUPS, HANDSHAKES, KEY_UPDATES, SIGNATURES, name, suite, version
from .wire import Cursor, Short, remembered

_MOST_CERTIFICATES = 32
# RFC 8446, 4.1.3: this random, the SHA-256 of "HelloRetryRequest", makes a ServerHello a HelloRetryRequest.
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


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
    "alert": ("level", "description", "side", "established"),
    "encrypted_alert": ("side",),
    "encrypted_handshake": ("side", "size"),
    "wrong_key": ("reason",),
}


def read(number: int, message: bytes, header: int, facts: Facts, side: int, time: int, *,
         cut: bool = False) -> tuple[str, Fields, tuple[Problem, ...]]:
    """The last part of the message's kind, its fields and what is wrong with it.

    `message` begins with its `header` octets (4 in TLS, 12 in DTLS); `time` is that of the capture, against which
    certificates are held. With `cut` the end of the message is missing from the capture: no problem of the peer.
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


# ---------------------------------------------------------------------------------------------------- messages

def _client_hello(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int, time: int) -> None:
    legacy = cursor.u16()
    fields["legacy_version"] = fields["version"] = version(legacy)
    random = cursor.octets(32)
    fields["random"] = random.hex()
    session_id = vector(cursor, 1)
    fields["session_id"] = session_id.hex()
    if legacy >> 8 in (0xFE, 0x01):               # DTLS (RFC 6347, 4.2.1); 0x0100 is OpenSSL before the RFC
        fields["cookie"] = vector(cursor, 1).hex()
    fields["cipher_suites"] = list(_suites(vector(cursor, 2)))
    vector(cursor, 1)                            # compression methods
    facts.client_random, facts.session_id = random, session_id
    facts.offered, facts.sni = legacy, None
    each_extension(cursor, OFFERS, fields, facts, problems)


@remembered(256)
def _suites(octets: bytes) -> tuple[str, ...]:
    return tuple([suite(n) for n in numbers(octets)])


def _server_hello(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int, time: int) -> None:
    legacy = cursor.u16()
    fields["legacy_version"] = fields["version"] = name_of_version(legacy)
    random = cursor.octets(32)
    fields.update(random=random.hex(), hello_retry=random == _RETRY)
    session_id = vector(cursor, 1) if legacy >> 8 != 0x7F else b""      # left out in drafts before 22
    fields["session_id"] = session_id.hex()
    number = cursor.u16()
    fields["cipher_suite"] = suite(number)
    if legacy >> 8 == 0x7F:
        fields["version"], legacy = "TLS 1.3", TLS13
    else:
        cursor.u8()                               # compression method
    facts.version, facts.suite, facts.server_random, facts.alpn = legacy, number, random, None
    facts.encrypt_then_mac = facts.extended_master_secret = facts.by_psk = False
    each_extension(cursor, CHOICES, fields, facts, problems)
    # Up to TLS 1.2 the server echoes the session ID it resumes (RFC 5246, 7.4.1.3); in TLS 1.3 it always echoes.
    facts.resumed = facts.by_psk if facts.is13 else bool(session_id) and session_id == facts.session_id
    fields["resumed"] = facts.resumed


def _certificate(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int, time: int) -> None:
    fields["side"] = ("client", "server")[side]
    chain = fields["chain"] = []
    if facts.is13:
        vector(cursor, 1)                        # certificate_request_context
    entries, cut = part(cursor, cursor.u24())
    while entries.left:
        der = vector(entries, 3)
        if facts.is13:
            vector(entries, 2)
        if len(chain) < _MOST_CERTIFICATES:
            chain.append(certificates.describe(der))
    if cut:
        raise cut
    if side == 1:
        fields["sni"] = facts.sni
    fields["faults"] = certificates.faults(chain, facts.sni if side == 1 else None, time)


def _certificate_request(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int,
                         time: int) -> None:
    if facts.is13:
        vector(cursor, 1)
        each_extension(cursor, REQUESTS, fields, facts, problems)
        fields.pop("extensions")
        return
    fields["certificate_types"] = [name(CERTIFICATE_TYPES, n, "CERTIFICATE_TYPE") for n in vector(cursor, 1)]
    if facts.version in (0x0303, 0xFEFD):         # RFC 5246, 7.4.4
        SIGNATURE_LIST(cursor, fields, facts)
    authorities(cursor, fields, facts)


def _server_key_exchange(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int,
                         time: int) -> None:
    exchange = facts.suite_name.partition("_WITH_")[0]
    if exchange.endswith("PSK"):                  # RFC 4279, 2 to 4; RFC 5489, 2
        fields["psk_identity_hint"] = text(vector(cursor, 2))
    if "ECDH" in exchange and cursor.u8() == 3:   # named_curve (RFC 8422, 5.4)
        fields["group"] = name(GROUPS, cursor.u16(), "GROUP")
    elif "_DH" in exchange:
        fields["dh_bits"] = int.from_bytes(vector(cursor, 2), "big").bit_length()
    cursor.rest()                                 # public value and signature


def _client_key_exchange(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int,
                         time: int) -> None:
    if facts.suite_name.partition("_WITH_")[0].endswith("PSK"):
        fields["psk_identity"] = text(vector(cursor, 2))
    cursor.rest()


def _certificate_verify(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int,
                        time: int) -> None:
    fields["side"] = ("client", "server")[side]
    if facts.version in (0x0303, TLS13, 0xFEFD):  # RFC 5246, 7.4.8
        fields["signature_algorithm"] = name(SIGNATURES, cursor.u16(), "SIGNATURE")
    vector(cursor, 2)


def _new_session_ticket(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int,
                        time: int) -> None:
    fields["lifetime"] = cursor.u32()
    if facts.is13:
        cursor.u32()                              # ticket_age_add
        vector(cursor, 1)
    vector(cursor, 2)
    if facts.is13:
        vector(cursor, 2)


def _encrypted_extensions(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int,
                          time: int) -> None:
    each_extension(cursor, {16: alpn_choice}, fields, facts, problems)


def _finished(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int, time: int) -> None:
    fields["side"] = ("client", "server")[side]
    cursor.rest()


def _key_update(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int, time: int) -> None:
    fields["side"] = ("client", "server")[side]
    fields["request"] = name(KEY_UPDATES, cursor.u8(), "REQUEST")


def _hello_verify_request(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int,
                          time: int) -> None:
    fields["version"] = version(cursor.u16())
    fields["cookie"] = vector(cursor, 1).hex()


def _compressed_certificate(cursor: Cursor, facts: Facts, fields: Fields, problems: list[Problem], side: int,
                            time: int) -> None:
    """RFC 8879, 4. The chain stays compressed: what devices of this field send is not."""
    fields["side"] = ("client", "server")[side]
    fields["algorithm"] = {1: "zlib", 2: "brotli", 3: "zstd"}.get(algorithm := cursor.u16(), f"ALGORITHM_{algorithm}")
    fields["size"] = cursor.u24()
    vector(cursor, 3)


_READERS = {1: _client_hello, 2: _server_hello, 3: _hello_verify_request, 4: _new_session_ticket,
            8: _encrypted_extensions, 11: _certificate, 12: _server_key_exchange, 13: _certificate_request,
            15: _certificate_verify, 16: _client_key_exchange, 20: _finished, 24: _key_update,
            25: _compressed_certificate}
