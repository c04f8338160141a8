"""Tunnels told by an IP protocol number: IP in IP (RFC 2003, 4213), GRE (RFC 2784, 2890, 2637), AH (RFC 4302), EtherIP.

Each function looks at the octets behind the IP header and says what follows: an EtherType or the name of a link layer, an
IP protocol as its complement (a negative number), or words for what is not read.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from .links import IPV4, IPV6, Kind

_Entry = tuple[Kind, int, str]         # what follows, where, and the layer's name

_u16 = Struct("!H").unpack_from
_u32 = Struct("!I").unpack_from


def _ah(data: bytes) -> _Entry:
    """RFC 4302 2: next header; payload length in words of four octets, less two."""
    if len(data) < 12 or len(data) < (data[1] + 2) * 4:
        return "ah header cut", 0, ""
    return ~data[0], (data[1] + 2) * 4, "ah"


def _gre(data: bytes) -> _Entry:
    if len(data) < 4:
        return "gre header cut", 0, ""
    flags, kind = _u16(data)[0], _u16(data, 2)[0]
    version = flags & 7
    if version > 1 or flags & 0x4000:              # routing (RFC 1701) is obsolete and was never seen in use
        return "gre header of another version", 0, ""
    at = 4 + 4 * bool(flags & 0x8000) + 4 * bool(flags & 0x2000) + 4 * bool(flags & 0x1000)
    if version:                                    # RFC 2637 4.1: the key holds payload length and call id
        at += 4 * bool(flags & 0x0080)
        if len(data) >= 8 and not _u16(data, 4)[0]:
            return "gre acknowledgement", at, "gre"
    if kind == 0x88BE:                             # ERSPAN: type II has a sequence number and 8 octets, type I neither
        return "eth", at + 8 * bool(flags & 0x1000), "gre"
    if kind == 0x22EB:                             # ERSPAN type III: 12 octets, 8 more where the last bit says so
        return "eth", at + (20 if len(data) >= at + 12 and data[at + 11] & 1 else 12), "gre"
    if kind >> 8 in (0x82, 0x83):                  # Aruba: an IEEE 802.11 frame
        return "wlan", at, "gre"
    return kind, at, "gre"


def _etherip(data: bytes) -> _Entry:
    """RFC 3378 3: version 3 in the first nibble."""
    return ("eth", 2, "") if data[:1] == b"\x30" else ("etherip header", 0, "")


TUNNELS: dict[int, Callable[[bytes], _Entry]] = {
    4: lambda data: (IPV4, 0, ""), 41: lambda data: (IPV6, 0, ""), 47: _gre, 51: _ah, 97: _etherip,
    137: lambda data: (0x8847, 0, "")}
