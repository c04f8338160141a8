"""The extensions of TLS hellos (RFC 6066, 7301, 7366, 7627, 8446 4.2), and what a conversation remembers of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..model import Problem
from . import certificates
from ._tls_names import EXTENSIONS, GROUPS, SIGNATURES, is_grease, name, suite, version
from .wire import Cursor, Short, remembered

TLS13 = 0x0304
Fields = dict[str, Any]


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


Reader = Callable[[Cursor, Fields, Facts], None]      # of one extension


def _newer(number: int) -> int:
    """Orders versions by age: those of DTLS count downwards."""
    return 0x10000 - number if number >> 8 == 0xFE else number


def text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")


def vector(cursor: Cursor, length_size: int) -> bytes:
    return cursor.octets(cursor.uint(length_size))


def numbers(octets: bytes) -> list[int]:
    return [octets[i] << 8 | octets[i + 1] for i in range(0, len(octets) - 1, 2)]


def part(cursor: Cursor, size: int) -> tuple[Cursor, Short | None]:
    """As much as there is of the next `size` octets, and what to raise, once it is read, where that is not all of it."""
    short = Short(cursor.offset, size) if size > cursor.left else None
    return cursor.part(cursor.left if short else size), short


def each_extension(cursor: Cursor, readers: dict[int, Reader], fields: Fields, facts: Facts,
                    problems: list[Problem]) -> None:
    """Names of all, and what the known ones say. One that ends early is a problem of its own and spares the others."""
    names = fields["extensions"] = []
    if not cursor.left:
        return                                    # a hello may end before the extensions (RFC 5246, 7.4.1.2)
    block, cut = part(cursor, cursor.u16())
    while block.offset < block.end:
        number = block.u16()
        content = block.part(block.u16())
        names.append(EXTENSIONS.get(number) or name(EXTENSIONS, number, "EXTENSION"))
        if number in readers:
            try:
                readers[number](content, fields, facts)
            except Short as short:
                problems.append(Problem(short.offset, f"extension {names[-1]} ends before its fields do"))
    if cut:
        raise cut


def _server_name(content: Cursor, fields: Fields, facts: Facts) -> None:
    """RFC 6066, 3: a list, of which host_name (0) is the only type ever defined."""
    with content.window(content.u16()) as names:
        while names.left:
            kind, value = names.u8(), vector(names, 2)
            if kind == 0:
                facts.sni = fields.setdefault("sni", text(value))


def _alpn_offer(content: Cursor, fields: Fields, facts: Facts) -> None:
    with content.window(content.u16()) as names:
        protocols = fields["alpn"] = []
        while names.left:
            protocols.append(text(vector(names, 1)))


def alpn_choice(content: Cursor, fields: Fields, facts: Facts) -> None:
    with content.window(content.u16()) as names:
        facts.alpn = fields["alpn"] = text(vector(names, 1))


def _offered_versions(content: Cursor, fields: Fields, facts: Facts) -> None:
    offered = numbers(vector(content, 1))
    fields["supported_versions"] = [name_of_version(n) for n in offered]
    known = [TLS13 if n >> 8 == 0x7F else n for n in offered if n >> 8 in (0x03, 0x7F, 0xFE)]
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
            vector(shares, 2)


def _offered_psk(content: Cursor, fields: Fields, facts: Facts) -> None:
    with content.window(content.u16()) as identities:
        count = 0
        while identities.left:
            vector(identities, 2)
            identities.u32()
            count += 1
    fields["psk"] = count


def _names_of(key: str, table: dict[int, str], unknown: str) -> Reader:
    @remembered(256)
    def names(octets: bytes) -> tuple[str, ...]:
        return tuple([name(table, n, unknown) for n in numbers(octets)])

    def reader(content: Cursor, fields: Fields, facts: Facts) -> None:
        fields[key] = list(names(vector(content, 2)))
    return reader


def _fact(key: str) -> Reader:
    return lambda content, fields, facts: setattr(facts, key, True)


def authorities(content: Cursor, fields: Fields, facts: Facts) -> None:
    with content.window(content.u16()) as names:
        found = fields["authorities"] = []
        while names.left:
            found.append(certificates.name(vector(names, 2)))


SIGNATURE_LIST = _names_of("signature_algorithms", SIGNATURES, "SIGNATURE")
OFFERS = {0: _server_name, 10: _names_of("supported_groups", GROUPS, "GROUP"), 13: SIGNATURE_LIST, 16: _alpn_offer,
           35: lambda content, fields, facts: fields.__setitem__("ticket", content.left > 0), 41: _offered_psk,
           42: lambda content, fields, facts: fields.__setitem__("early_data", True), 43: _offered_versions,
           51: _offered_shares}
CHOICES = {16: alpn_choice, 22: _fact("encrypt_then_mac"), 23: _fact("extended_master_secret"), 41: _fact("by_psk"),
            43: _chosen_version, 51: lambda content, fields, facts: fields.__setitem__(
                "key_share", name(GROUPS, content.u16(), "GROUP"))}
REQUESTS = {13: SIGNATURE_LIST, 47: authorities}
