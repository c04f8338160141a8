"""Names and resource records of DNS as text (RFC 1035 3 and 4.1.4), with the words of the IANA registry."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from socket import AF_INET, AF_INET6, inet_ntop
from struct import Struct

from .wire import Cursor, Short

OPCODES = {0: "QUERY", 1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE", 6: "DSO"}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN",
          7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 11: "DSOTYPENI", 16: "BADVERS", 17: "BADKEY",
          18: "BADTIME", 19: "BADMODE", 20: "BADNAME", 21: "BADALG", 22: "BADTRUNC", 23: "BADCOOKIE"}
TYPES = {1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL", 11: "WKS",
         12: "PTR", 13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 19: "X25", 20: "ISDN",
         21: "RT", 22: "NSAP", 23: "NSAP-PTR", 24: "SIG", 25: "KEY", 26: "PX", 27: "GPOS", 28: "AAAA", 29: "LOC",
         30: "NXT", 33: "SRV", 35: "NAPTR", 36: "KX", 37: "CERT", 38: "A6", 39: "DNAME", 41: "OPT", 42: "APL",
         43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID", 50: "NSEC3",
         51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 55: "HIP", 59: "CDS", 60: "CDNSKEY", 61: "OPENPGPKEY",
         62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS", 99: "SPF", 108: "EUI48", 109: "EUI64", 249: "TKEY",
         250: "TSIG", 251: "IXFR", 252: "AXFR", 253: "MAILB", 254: "MAILA", 255: "ANY", 256: "URI", 257: "CAA"}
CLASSES = {1: "IN", 3: "CH", 4: "HS", 254: "NONE", 255: "ANY"}
EDNS_OPTIONS = {3: "NSID", 5: "DAU", 6: "DHU", 7: "N3U", 8: "ECS", 9: "EXPIRE", 10: "COOKIE", 11: "KEEPALIVE",
                12: "PADDING", 13: "CHAIN", 14: "KEY-TAG", 15: "EDE", 18: "REPORT-CHANNEL"}
EXTENDED_ERRORS = {0: "Other", 1: "Unsupported DNSKEY Algorithm", 2: "Unsupported DS Digest Type", 3: "Stale Answer",
                   4: "Forged Answer", 5: "DNSSEC Indeterminate", 6: "DNSSEC Bogus", 7: "Signature Expired",
                   8: "Signature Not Yet Valid", 9: "DNSKEY Missing", 10: "RRSIGs Missing", 11: "No Zone Key Bit Set",
                   12: "NSEC Missing", 13: "Cached Error", 14: "Not Ready", 15: "Blocked", 16: "Censored",
                   17: "Filtered", 18: "Prohibited", 19: "Stale NXDOMAIN Answer", 20: "Not Authoritative",
                   21: "Not Supported", 22: "No Reachable Authority", 23: "Network Error", 24: "Invalid Data"}

_LONGEST_NAME = 255          # octets on the wire, RFC 1035 2.3.4
_MOST_POINTERS = 127         # no honest name needs more: a pointer saves at least one label
_SOA = Struct(">5I")
_SRV = Struct(">3H")
_SIGNATURE = Struct(">HBBIIIH")
_NOT_PRINTED = {code: f"\\{code:03o}" for code in (*range(32), 127)}   # as Wireshark prints them


class BadName(Exception):
    """A name that breaks RFC 1035 4.1.4: too long, a pointer that leads nowhere, a reserved label type."""

    def __init__(self, offset: int, text: str):
        super().__init__(text)
        self.offset, self.text = offset, text


def type_name(code: int) -> str:
    return TYPES.get(code) or f"TYPE{code}"


def class_name(code: int) -> str:
    return CLASSES.get(code) or f"CLASS{code}"


def printable(octets: bytes) -> str:
    """Octets as text: UTF-8 (RFC 6762 16) with what is not printable as a backslash and three octal digits."""
    text = octets.decode("utf-8", "replace")
    return text if text.isprintable() else text.translate(_NOT_PRINTED)


def name_at(data: bytes, offset: int, known: dict[int, tuple[str, int]]) -> tuple[str, int]:
    """The name that starts at `offset` and the offset behind it. `known` keeps the names of this message by offset.

    Pointers may only lead to an earlier place (RFC 1035 4.1.4 "prior occurance"), so no loop can exist.
    """
    labels: list[str] = []
    start, lowest, size, tail, behind, end, jumps = offset, offset, 0, "", 0, len(data), 0
    while True:
        if offset >= end:
            raise Short(offset, 1)
        length = data[offset]
        if length == 0:
            behind = behind or offset + 1
            break
        if length < 0x40:
            upto = offset + 1 + length
            if upto > end:
                raise Short(offset + 1, length)
            label = data[offset + 1:upto]
            labels.append(label.decode() if label.isalnum() else printable(label))
            size += length + 1
            if size > _LONGEST_NAME:
                raise BadName(start, "name longer than 255 octets")
            offset = upto
        elif length >= 0xC0:
            if offset + 2 > end:
                raise Short(offset, 2)
            target = (length & 0x3F) << 8 | data[offset + 1]
            behind = behind or offset + 2
            if target >= lowest:
                raise BadName(offset, f"compression pointer to offset {target}, which does not lie before it")
            if target in known:
                tail, more = known[target]
                size += more
                if size > _LONGEST_NAME:
                    raise BadName(start, "name longer than 255 octets")
                break
            jumps += 1
            if jumps > _MOST_POINTERS:
                raise BadName(start, "name of more than 127 compression pointers")
            offset = lowest = target
        else:
            raise BadName(offset, f"label of the reserved type 0x{length & 0xC0:02x}")
    if tail:
        labels.append(tail)
    name = ".".join(labels)
    known[start] = name, size
    return name or "<Root>", behind


class Rdata:
    """RDATA of one record, read in order; names may point anywhere before in the message."""

    __slots__ = ("cursor", "known")

    def __init__(self, data: bytes, offset: int, size: int, known: dict[int, tuple[str, int]]):
        self.cursor, self.known = Cursor(data, offset, offset + size), known

    def name(self) -> str:
        cursor = self.cursor
        name, cursor.offset = name_at(cursor.data, cursor.offset, self.known)
        if cursor.offset > cursor.end:
            raise Short(cursor.end, cursor.offset - cursor.end)
        return name

    def string(self) -> str:
        """A character-string (RFC 1035 3.3)."""
        return printable(self.cursor.octets(self.cursor.u8()))

    def hex(self) -> str:
        return self.cursor.rest().hex()

    def base64(self) -> str:
        return base64.b64encode(self.cursor.rest()).decode()

    def unpack(self, layout: Struct) -> tuple[int, ...]:
        return layout.unpack(self.cursor.octets(layout.size))


def _address(r: Rdata) -> str:
    return inet_ntop(AF_INET, r.cursor.octets(4))


def _address6(r: Rdata) -> str:
    return inet_ntop(AF_INET6, r.cursor.octets(16))


def _soa(r: Rdata) -> str:
    return " ".join((r.name(), r.name(), *map(str, r.unpack(_SOA))))


def _mx(r: Rdata) -> str:
    return f"{r.cursor.u16()} {r.name()}"


def _strings(r: Rdata) -> str:
    out = []
    while r.cursor.left:
        out.append(r.string())
    return " ".join(f'"{text}"' for text in out) if len(out) > 1 else "".join(out)


def _srv(r: Rdata) -> str:
    priority, weight, port = r.unpack(_SRV)
    return f"{priority} {weight} {port} {r.name()}"


def _naptr(r: Rdata) -> str:
    order, preference = r.cursor.u16(), r.cursor.u16()
    return f'{order} {preference} "{r.string()}" "{r.string()}" "{r.string()}" {r.name()}'


def _ds(r: Rdata) -> str:
    return f"{r.cursor.u16()} {r.cursor.u8()} {r.cursor.u8()} {r.hex()}"


def _dnskey(r: Rdata) -> str:
    return f"{r.cursor.u16()} {r.cursor.u8()} {r.cursor.u8()} {r.base64()}"


def _rrsig(r: Rdata) -> str:
    covered, algorithm, labels, ttl, until, since, tag = r.unpack(_SIGNATURE)
    stamps = " ".join(time.strftime("%Y%m%d%H%M%S", time.gmtime(stamp)) for stamp in (until, since))
    return f"{type_name(covered)} {algorithm} {labels} {ttl} {stamps} {tag} {r.name()} {r.base64()}"


def _type_list(r: Rdata) -> str:
    """Type bit maps (RFC 4034 4.1.2)."""
    out = []
    while r.cursor.left:
        block, bits = r.cursor.u8(), r.cursor.octets(r.cursor.u8())
        out += [type_name(block << 8 | i << 3 | bit) for i, octet in enumerate(bits) for bit in range(8)
                if octet & 0x80 >> bit]
    return " ".join(out)


def _nsec(r: Rdata) -> str:
    return f"{r.name()} {_type_list(r)}"


def _nsec3_head(r: Rdata) -> str:
    algorithm, flags, iterations = r.cursor.u8(), r.cursor.u8(), r.cursor.u16()
    return f"{algorithm} {flags} {iterations} {r.cursor.octets(r.cursor.u8()).hex() or '-'}"


def _nsec3(r: Rdata) -> str:
    head, digest = _nsec3_head(r), r.cursor.octets(r.cursor.u8())
    return f"{head} {base64.b32hexencode(digest).decode().rstrip('=')} {_type_list(r)}"


def _tlsa(r: Rdata) -> str:
    return f"{r.cursor.u8()} {r.cursor.u8()} {r.cursor.u8()} {r.hex()}"


def _sshfp(r: Rdata) -> str:
    return f"{r.cursor.u8()} {r.cursor.u8()} {r.hex()}"


def _caa(r: Rdata) -> str:
    return f'{r.cursor.u8()} {r.string()} "{printable(r.cursor.rest())}"'


def _uri(r: Rdata) -> str:
    return f'{r.cursor.u16()} {r.cursor.u16()} "{printable(r.cursor.rest())}"'


_SERVICE_PARAMETERS = {0: "mandatory", 1: "alpn", 2: "no-default-alpn", 3: "port", 4: "ipv4hint", 5: "ech",
                       6: "ipv6hint", 7: "dohpath"}


def _service_value(key: int, value: bytes) -> str:
    inner = Rdata(value, 0, len(value), {})
    cursor = inner.cursor
    items: list[str] = []
    if key == 0:
        while cursor.left:
            code = cursor.u16()
            items.append(_SERVICE_PARAMETERS.get(code) or f"key{code}")
    elif key == 1:
        while cursor.left:
            items.append(inner.string())
    elif key == 3:
        items.append(str(cursor.u16()))
    elif key in (4, 6):
        while cursor.left:
            items.append(_address(inner) if key == 4 else _address6(inner))
    else:
        return printable(value) if key == 7 else value.hex()
    return ",".join(items)


def _svcb(r: Rdata) -> str:
    """RFC 9460 2.2."""
    out = [str(r.cursor.u16()), r.name()]
    while r.cursor.left:
        key, value = r.cursor.u16(), r.cursor.octets(r.cursor.u16())
        name = _SERVICE_PARAMETERS.get(key) or f"key{key}"
        out.append(f"{name}={_service_value(key, value)}" if value else name)
    return " ".join(out)


def _tsig(r: Rdata) -> str:
    """RFC 8945 4.2: algorithm, time signed, fudge, original id, error; the MAC itself says nothing to a reader."""
    algorithm, signed, fudge = r.name(), r.cursor.uint(6), r.cursor.u16()
    r.cursor.octets(r.cursor.u16())
    original, error = r.cursor.u16(), r.cursor.u16()
    r.cursor.octets(r.cursor.u16())
    return f"{algorithm} {signed} {fudge} {original} {RCODES.get(error) or f'RCODE{error}'}"


_READERS: dict[int, Callable[[Rdata], str]] = {
    1: _address, 28: _address6, 6: _soa, 15: _mx, 18: _mx, 36: _mx, 21: _mx, 13: _strings, 16: _strings, 99: _strings,
    33: _srv, 35: _naptr, 43: _ds, 59: _ds, 48: _dnskey, 60: _dnskey, 25: _dnskey, 46: _rrsig, 24: _rrsig, 47: _nsec,
    50: _nsec3, 51: _nsec3_head, 52: _tlsa, 53: _tlsa, 44: _sshfp, 257: _caa, 256: _uri, 64: _svcb, 65: _svcb,
    250: _tsig, 61: Rdata.base64, 49: Rdata.base64,
    **dict.fromkeys((2, 3, 4, 5, 7, 8, 9, 12, 23, 39), Rdata.name)}


def rdata(kind: int, data: bytes, offset: int, size: int, known: dict[int, tuple[str, int]]) -> str:
    """RDATA of type `kind` in the usual presentation form; hexadecimal where the type is not known.

    Raises Short or BadName where it does not hold what its type asks for, or holds more.
    """
    reader = _READERS.get(kind)
    if reader is None:
        return data[offset:offset + size].hex()
    record = Rdata(data, offset, size, known)
    text = reader(record)
    if record.cursor.left:
        left = record.cursor.left
        raise BadName(record.cursor.offset, f"{left} octets too many in a record of type {type_name(kind)}")
    return text


def edns(size: int, ttl: int, data: bytes, offset: int, length: int) -> dict:
    """An OPT pseudo-record (RFC 6891 6.1): `size` and `ttl` are the record's class and TTL. Raises Short."""
    out: dict = {"udp_size": size, "version": ttl >> 16 & 0xFF, "do": bool(ttl & 0x8000)}
    cursor, options, errors = Cursor(data, offset, offset + length), [], []
    while cursor.left:
        code, value = cursor.u16(), cursor.octets(cursor.u16())
        options.append({"option": EDNS_OPTIONS.get(code) or f"OPTION{code}", "data": value.hex()})
        if code == 15 and len(value) >= 2:                                          # RFC 8914 2
            info = int.from_bytes(value[:2], "big")
            name = EXTENDED_ERRORS.get(info) or f"EDE{info}"
            errors.append({"code": info, "name": name, "text": printable(value[2:])})
    if options:
        out["options"] = options
    if errors:
        out["errors"] = errors
    return out
