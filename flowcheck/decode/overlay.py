"""Tunnels told by a UDP port: VXLAN (RFC 7348), VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe), Geneve (RFC 8926), Teredo
(RFC 4380), L2TP version 2 (RFC 2661).

None of them has a message of its own that anybody asks for: the packet inside goes back to be decoded like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack_from

from ..model import Context, Payload
from .wire import Cursor, Short

KINDS: dict[str, tuple[str, ...]] = {}

_Inside = tuple[str, int]            # name of the layer that follows, and where it begins
_ETHER_TYPES = {0x6558: "eth", 0x0800: "ip", 0x86DD: "ip", 0x880B: "ppp"}
_GPE = {1: "ip", 2: "ip", 3: "eth"}


def _vxlan(at: Cursor) -> _Inside | None:
    """RFC 7348 5: only the I flag has a meaning; what is reserved is ignored on receipt."""
    return ("eth", 8) if at.u64() >> 56 & 0x08 else None


def _vxlan_gpe(at: Cursor) -> _Inside | None:
    word = at.u64()                  # version 0; without the P flag it is VXLAN
    follows = _GPE.get(word >> 32 & 0xFF) if word >> 56 & 0x04 else "eth"
    return (follows, 8) if follows and not word >> 60 & 3 and word >> 56 & 0x0C else None


def _geneve(at: Cursor) -> _Inside | None:
    """RFC 8926 3.4: version 0, length of the options in words of four octets, EtherType, network identifier."""
    word = at.u64()
    follows = _ETHER_TYPES.get(word >> 32 & 0xFFFF)
    return (follows, 8 + 4 * (word >> 56 & 0x3F)) if follows and not word >> 62 else None


def _teredo(at: Cursor) -> _Inside | None:
    """RFC 4380 5.1.1: authentication and origin may stand before the IPv6 packet, which fills the datagram."""
    if at.data[:2] == b"\0\1":
        at.u16()
        at.octets(at.u8() + at.u8() + 9)         # client identifier, authentication value, nonce, confirmation
    if at.data[at.offset:at.offset + 2] == b"\0\0":
        at.octets(8)
    start = at.offset
    first, length = at.u32(), at.u16()
    return ("ip", start) if first >> 28 == 6 and length == len(at.data) - start - 40 else None


def _l2tp(at: Cursor) -> _Inside | None:
    """RFC 2661 3.1: a data message; length, sequence numbers and offset are there as the flags say."""
    flags = at.u16()
    if flags & 0x800F != 2:
        return None
    at.octets(4 + 2 * bool(flags & 0x4000) + 4 * bool(flags & 0x0800))
    if flags & 0x0200:
        at.octets(at.u16())
    return "ppp", at.offset


_TUNNELS = {4789: ("vxlan", _vxlan), 8472: ("vxlan", _vxlan), 4790: ("vxlan", _vxlan_gpe), 6081: ("geneve", _geneve),
            3544: ("teredo", _teredo), 1701: ("l2tp", _l2tp)}
PORTS = set(_TUNNELS)


def likely(head: bytes, ports: tuple[int, ...] = ()) -> bool:
    """The port says which tunnel it is; none of them has a mark of its own by which it could be known elsewhere."""
    return _inside(head, ports) is not None


def decode(data: bytes, context: Context) -> Iterator[Payload]:
    found = _inside(data, (context.dst.port or 0, context.src.port or 0))
    if found is not None:
        layer, follows, at = found
        yield Payload(follows, data[at:], context.within(layer))


def _inside(data: bytes, ports: tuple[int, ...]) -> tuple[str, str, int] | None:
    for port in ports:
        if port in _TUNNELS:
            layer, read = _TUNNELS[port]
            try:
                found = read(Cursor(data))
            except Short:
                return None
            return (layer, *found) if found and _plausible(data, *found) else None
    return None


def _plausible(data: bytes, follows: str, at: int) -> bool:
    """Does such a packet begin there?"""
    if follows == "eth":
        return len(data) >= at + 14 and unpack_from(">H", data, at + 12)[0] >= 0x0600
    return len(data) > at + 2 and (follows != "ip" or data[at] >> 4 in (4, 6))
