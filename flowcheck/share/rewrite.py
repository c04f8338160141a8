"""Writes pseudonyms into packets: headers, and what they carry, without a change of any length.

Two passes over the same frames. The first collects what runs over several packets, TCP streams and IKE fragments, so
that a value cut by a packet boundary is found; the second writes packets. Checksums are corrected by what changed
(RFC 1624), so one that was wrong, or left to the network card, stays so. What a key opens is changed inside and sealed
again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_address
from struct import pack_into, unpack_from
from typing import Any

from ..capture.links import IPV4, IPV6, LINKS, strip
from ..decrypt.suites import Unfit
from ..model import Frame
from . import sealing
from .pseudonyms import ADDRESS, IMSI, MAC, NAME, WORD, Pseudonyms

_ICMP, _TCP, _UDP, _ESP, _SCTP = 1, 6, 17, 50, 132
_CHECKSUM = {_TCP: 16, _UDP: 6}                  # where it stands
_EXTENSIONS = frozenset((0, 43, 60))
_GTP_U, _IKE, _NAT_T = 2152, 500, 4500
_SK, _SKF = 46, 53                               # IKE payloads that are sealed
_NESTED = 6
_OCTETS = re.compile(r"[0-9a-f]{15,64}")


class Rewriter:
    """Feed all frames to `collect`, then each to `frame` again."""

    def __init__(self, pseudonyms: Pseudonyms, ring: Any = None, dns_ports: Sequence[int] = (53, 5353)):
        self.pseudonyms, self.ring = pseudonyms, ring
        self.left: Counter[str] = Counter()       # what was not rewritten, in packets
        self._dns = frozenset(dns_ports)
        self._binary = _binary(pseudonyms)
        self._labels = _labels(pseudonyms)
        self._texts = _Texts(self._replace)
        self._writing = False

    def collect(self, frame: Frame) -> None:
        self._writing = False
        self._frame(frame)

    def frame(self, frame: Frame) -> Frame:
        if not self._writing:
            self._texts.finish()
            self._writing = True
        return frame._replace(data=self._frame(frame))

    # ----------------------------------------------------------------------------------------------------- headers

    def _frame(self, frame: Frame) -> bytes:
        found = strip(LINKS.get(frame.link, f"link {frame.link}"), frame.data, 0, ())
        if found.data[:found.at] != frame.data[:found.at] or found.kind not in (IPV4, IPV6):
            return self._octets(frame.data)               # ARP and whatever else has no IP header
        return self._octets(frame.data[:found.at]) + self._ip(frame.data[found.at:], 0)

    def _ip(self, packet: bytes, depth: int) -> bytes:
        if not packet or depth > _NESTED:
            return self._replace(packet, False)
        if packet[0] >> 4 == 4 and len(packet) >= 20:
            return self._ipv4(packet, depth)
        if packet[0] >> 4 == 6 and len(packet) >= 40:
            return self._ipv6(packet, depth)
        return self._replace(packet, False)

    def _ipv4(self, packet: bytes, depth: int) -> bytes:
        header, total = 4 * (packet[0] & 15), int.from_bytes(packet[2:4], "big")
        end = total if header <= total <= len(packet) else len(packet)
        new = bytearray(packet[:header])
        new[12:16], new[16:20] = self._address(packet[12:16]), self._address(packet[16:20])
        _correct(new, 10, packet[12:20], bytes(new[12:20]))
        fragment = int.from_bytes(packet[6:8], "big")
        addresses = packet[12:20], bytes(new[12:20])
        if fragment & 0x3FFF:
            if fragment & 0x1FFF:
                return bytes(new) + self._replace(packet[header:end], False) + packet[end:]
            self.left["IP fragments: what a fragment boundary cuts"] += self._writing
        return bytes(new) + self._transport(packet[9], packet[header:end], addresses, depth) + packet[end:]

    def _ipv6(self, packet: bytes, depth: int) -> bytes:
        new = bytearray(packet[:40])
        new[8:24], new[24:40] = self._address(packet[8:24]), self._address(packet[24:40])
        kind, at = packet[6], 40
        while kind in _EXTENSIONS and at + 2 <= len(packet):
            kind, at = packet[at], at + 8 * (packet[at + 1] + 1)
        length = int.from_bytes(packet[4:6], "big")
        end = 40 + length if length and 40 + length <= len(packet) else len(packet)
        if kind == 44 or at > end:
            return bytes(new) + self._replace(packet[40:], False)
        addresses = packet[8:40], bytes(new[8:40])
        return bytes(new) + packet[40:at] + self._transport(kind, packet[at:end], addresses, depth) + packet[end:]

    def _transport(self, kind: int, data: bytes, addresses: tuple[bytes, bytes], depth: int) -> bytes:
        old, new = addresses
        ends = old[:len(old) // 2], old[len(old) // 2:]
        if kind == _TCP and len(data) >= 20:
            header = 4 * (data[12] >> 4)
            sequence = int.from_bytes(data[4:8], "big") + bool(data[13] & 2)
            key = ("tcp", depth, *ends, data[:4])
            changed = data[:header] + self._stream(key, sequence, data[header:], self._ports(data))
        elif kind == _UDP and len(data) >= 8:
            changed = data[:8] + self._datagram(data, ends, depth)
        elif kind == _ESP:
            return self._esp(data, ends, depth)
        elif kind in (4, 41):
            return self._ip(data, depth + 1)
        elif kind == _SCTP and len(data) >= 12:
            changed = self._replace(data, False)
            if changed != data and int.from_bytes(data[8:12], "little") == _crc32c(data[:8] + bytes(4) + data[12:]):
                crc = _crc32c(changed[:8] + bytes(4) + changed[12:])
                changed = changed[:8] + crc.to_bytes(4, "little") + changed[12:]
            return changed
        else:
            changed = bytearray(self._replace(data, False))
            if kind in (_ICMP, 58) and len(data) >= 8:           # only that of ICMPv6 covers the addresses
                heads = (old, new) if kind == 58 else (b"", b"")
                _correct(changed, 2, heads[0] + data[4:], heads[1] + bytes(changed[4:]))
            return bytes(changed)
        place = _CHECKSUM[kind]
        result = bytearray(changed)
        if kind == _TCP or any(data[6:8]):                       # UDP without a checksum stays without
            _correct(result, place, old + data, new + bytes(changed))
        return bytes(result)

    def _ports(self, data: bytes) -> bool:
        """Is this DNS, by its ports?"""
        return not self._dns.isdisjoint(unpack_from(">HH", data))

    # ------------------------------------------------------------------------------------------------ what they carry

    def _datagram(self, data: bytes, ends: tuple[bytes, bytes], depth: int) -> bytes:
        ports, payload = unpack_from(">HH", data), data[8:]
        if _NAT_T in ports and len(payload) >= 16 and any(payload[:4]):
            return self._esp(payload, ends, depth)
        if _NAT_T in ports and payload[:4] == bytes(4):
            return payload[:4] + self._ike(payload[4:])
        if _IKE in ports:
            return self._ike(payload)
        if _GTP_U in ports and len(payload) > 12 and payload[0] >> 5 == 1 and payload[1] == 255:
            at = 8 + 4 * bool(payload[0] & 7)
            extension = payload[11] if payload[0] & 4 else 0
            while extension and at < len(payload) and payload[at]:
                at += 4 * payload[at]
                extension = payload[at - 1] if at <= len(payload) else 0
            return payload[:at] + self._ip(payload[at:], depth + 1)
        return self._replace(payload, self._ports(data))

    def _stream(self, key: tuple, sequence: int, payload: bytes, dns: bool) -> bytes:
        if not payload:
            return payload
        if self._writing:
            return self._texts.piece(key, sequence, payload)
        self._texts.add(key, sequence, payload, dns)
        return payload

    def _esp(self, data: bytes, ends: tuple[bytes, bytes], depth: int) -> bytes:
        src, dst = (str(ip_address(end)) for end in ends)
        opened = self.ring.open_esp(src, dst, data) if self.ring is not None else None
        way = self.ring.way_in(dst, data) if opened is not None and opened.data is not None else None
        if way is None:
            self.left["ESP packets that no key opens: left sealed"] += self._writing
            return data
        change = (lambda inner: self._ip(inner, depth + 1)) if opened.next_header in (4, 41) else (
            lambda inner: self._transport(opened.next_header, inner, (b"".join(ends), b"".join(ends)), depth + 1))
        try:
            return sealing.esp(data, *way, change)
        except (Unfit, ValueError) as reason:
            self.left[f"ESP packets left as they are: {reason}"] += self._writing
            return data

    def _ike(self, message: bytes) -> bytes:
        """The sealed payload is the last one; what stands in clear before it names nobody but by address."""
        if len(message) < 28 or message[17] >> 4 != 2:
            return self._replace(message, False)
        kind, at = message[16], 28
        for _ in range(64):
            if kind in (_SK, _SKF) or not kind or at + 4 > len(message):
                break
            kind, at = message[at], at + max(4, int.from_bytes(message[at + 2:at + 4], "big"))
        if kind not in (_SK, _SKF):
            return self._replace(message, False)
        start = at + (8 if kind == _SKF else 4)
        number = int.from_bytes(message[at + 4:at + 6], "big") if kind == _SKF else 1
        key = ("ike", message[:8], message[19:24])              # SPI, flags, message id: one message, or its fragments
        for keys in self.ring.ike_keys(message) if self.ring is not None else ():
            try:
                return sealing.ike(message, start, keys, lambda inner: self._stream(key, number, inner, False))
            except (Unfit, ValueError):
                continue
        self.left["IKE messages that no key opens: left sealed"] += self._writing
        return message

    # ----------------------------------------------------------------------------------------------------- replacing

    def _address(self, octets: bytes) -> bytes:
        return ip_address(self.pseudonyms.address(str(ip_address(octets)))).packed

    def _octets(self, data: bytes) -> bytes:
        return self._binary[0].sub(lambda match: self._binary[1][match[0]], data)

    def _replace(self, data: bytes, dns: bool) -> bytes:
        if dns:
            data = self._labels.sub(lambda match: match[0][:1] + self.pseudonyms.label(
                match[0][1:].decode("latin-1")).encode("latin-1"), data)
        text = self.pseudonyms.text(data.decode("latin-1")).encode("latin-1", "replace")
        if len(text) != len(data):
            self.left["payloads whose pseudonyms have another length: left as they are"] += self._writing
            text = data
        return self._octets(text)


class _Texts:
    """Octets that several packets carry, put together, replaced once, and cut up again."""

    def __init__(self, replace: Any):
        self._replace = replace
        self._pieces: dict[tuple, dict[int, bytes]] = {}
        self._dns: dict[tuple, bool] = {}
        self._done: dict[tuple, list[tuple[int, bytes]]] = {}
        self._sizes: dict[tuple, dict[int, int]] = {}            # where each numbered fragment begins

    def add(self, key: tuple, place: int, data: bytes, dns: bool) -> None:
        pieces = self._pieces.setdefault(key, {})
        if len(data) > len(pieces.get(place, b"")):
            pieces[place] = data
        self._dns[key] = dns

    def finish(self) -> None:
        for key, pieces in self._pieces.items():
            runs: list[tuple[int, bytearray]] = []
            for place in sorted(pieces):
                data = pieces[place]
                if key[0] == "ike":                              # fragments are numbered, not placed
                    place = runs[-1][0] + len(runs[-1][1]) if runs else 0
                if not runs or place > runs[-1][0] + len(runs[-1][1]):
                    runs.append((place, bytearray(data)))
                else:
                    runs[-1][1].extend(data[max(0, runs[-1][0] + len(runs[-1][1]) - place):])
            self._done[key] = [(place, self._replace(bytes(run), self._dns[key])) for place, run in runs]
        self._sizes = {key: {n: sum(len(pieces[m]) for m in pieces if m < n) for n in pieces}
                       for key, pieces in self._pieces.items() if key[0] == "ike"}
        self._pieces.clear()

    def piece(self, key: tuple, place: int, data: bytes) -> bytes:
        if key[0] == "ike":
            place = self._sizes.get(key, {}).get(place, -1)
        for start, run in self._done.get(key, ()):
            if start <= place and place + len(data) <= start + len(run):
                return run[place - start:place - start + len(data)]
        return self._replace(data, self._dns.get(key, False))


# --------------------------------------------------------------------------------------------------- what is looked for

def _binary(pseudonyms: Pseudonyms) -> tuple[re.Pattern[bytes], dict[bytes, bytes]]:
    """Addresses and subscribers as octets."""
    table: dict[bytes, bytes] = {}
    for value in pseudonyms.known(ADDRESS):
        try:
            old, new = ip_address(value).packed, ip_address(pseudonyms.of(value)).packed
        except ValueError:
            continue
        if any(old[:-1]):
            table[old] = new
    for value in pseudonyms.known(MAC):
        table[_hexadecimal(value)] = _hexadecimal(pseudonyms.of(value))
    for value in pseudonyms.known(IMSI):
        table.update(zip(_digits(value), _digits(pseudonyms.of(value))))
    for value in pseudonyms.known(WORD):
        if _OCTETS.fullmatch(value):                              # serial numbers of certificates are integers there
            odd = "0" * (len(value) % 2)
            table[bytes.fromhex(odd + value)] = bytes.fromhex(odd + pseudonyms.of(value))
    table = {old: new for old, new in table.items() if old != new}
    longest = sorted(table, key=lambda octets: (-len(octets), octets))
    return re.compile(b"|".join(map(re.escape, longest)) or b"(?!)", re.S), table


def _hexadecimal(value: str) -> bytes:
    return bytes.fromhex(re.sub("[^0-9a-fA-F]", "", value))


def _digits(value: str) -> list[bytes]:
    """TBCD (3GPP TS 29.002) and the mobile identity (TS 24.008 10.5.1.4), whose first half octet is its own."""
    padded = value + "f" * (len(value) % 2)
    plain = bytes(int(padded[at + 1] + padded[at], 16) for at in range(0, len(padded), 2))
    rest = value[1:] + "f" * ((len(value) - 1) % 2)
    identity = bytes(int(rest[at + 1] + rest[at], 16) for at in range(0, len(rest), 2))
    return [plain, identity]


def _labels(pseudonyms: Pseudonyms) -> re.Pattern[bytes]:
    """The labels of all names as DNS writes them: a length and the octets (RFC 1035 3.1)."""
    labels = {label for name in pseudonyms.known(NAME) for label in name.split(".")[:-1] if label}
    written = sorted((bytes((len(label),)) + label.encode("latin-1") for label in labels if len(label) < 64),
                     key=lambda octets: (-len(octets), octets))
    return re.compile(b"|".join(map(re.escape, written)) or b"(?!)", re.S | re.I)


# ---------------------------------------------------------------------------------------------------------- checksums

def _correct(packet: bytearray, at: int, old: bytes, new: bytes) -> None:
    """RFC 1624: the one's complement sum at `at`, by what changed among the octets it covers."""
    if old == new or at + 2 > len(packet):
        return
    total = (~int.from_bytes(packet[at:at + 2], "big") & 0xFFFF) - _sum(old) + _sum(new)
    pack_into(">H", packet, at, ~(total % 0xFFFF) & 0xFFFF)


def _sum(data: bytes) -> int:
    return int.from_bytes(data + bytes(len(data) % 2), "big") % 0xFFFF      # 2**16 is 1 modulo 0xFFFF


def _crc32c(data: bytes) -> int:
    """RFC 9260, appendix A."""
    crc = 0xFFFFFFFF
    for octet in data:
        crc = _CRC[(crc ^ octet) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _crc_table() -> tuple[int, ...]:
    table = []
    for octet in range(256):
        for _ in range(8):
            octet = octet >> 1 ^ (0x82F63B78 if octet & 1 else 0)
        table.append(octet)
    return tuple(table)


_CRC = _crc_table()
