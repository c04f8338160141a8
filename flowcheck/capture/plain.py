"""The plain case, which nearly every packet of a capture is: a whole datagram of IPv4 (RFC 791) without options, or of
IPv6 (RFC 8200) without extension headers, straight on Ethernet or behind one VLAN tag.

Everything else is left to network.py, which would find the same in these. `_plain.c` holds the same in C, for where it
could be compiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct

from ..model import Frame, Packet
from .links import ETHERNET, IPV4, IPV6
from .tunnels import TUNNELS

FORM = 1                         # counts changes that _plain.c has to follow
LAYERS = (("eth", "ip"), ("eth", "vlan", "ip"), ("eth", "ipv6"), ("eth", "vlan", "ipv6"))
# By protocol number: may it follow the IP header at once? In IPv6 it may be that of an extension header.
UPON_IPV4 = bytes(number not in TUNNELS for number in range(256))
UPON_IPV6 = bytes(number in (1, 6, 17, 50, 58, 132) for number in range(256))
_VLAN = 0x8100

# version and header length, total length, identification, fragment, protocol, addresses
_IPV4 = Struct("!BxHHHxBxx4s4s").unpack_from
_IPV6 = Struct("!4xHBx16s16s").unpack_from        # payload length, next header, addresses
_new = tuple.__new__                              # of a named tuple: its own __new__ costs three times as much


class Plain:
    """Reads plain frames; `texts` knows the text of every address."""

    __slots__ = ("_texts",)

    def __init__(self, packet: type[Packet], texts: Mapping[bytes, str], layers: tuple[tuple[str, ...], ...],
                 upon_ipv4: bytes, upon_ipv6: bytes):
        self._texts = texts                       # the rest is for the one in C, which knows nothing of ours

    def packet(self, frame: Frame) -> Packet | None:
        """The packet in it; None where the frame is not plain."""
        number, time, link, data, _, interface = frame
        size = len(data)
        if link != ETHERNET or size < 38:
            return None
        kind, at, tagged = data[12] << 8 | data[13], 14, 0
        if kind == _VLAN:
            kind, at, tagged = data[16] << 8 | data[17], 18, 1
        if kind == IPV4:
            first, total, identification, fragment, protocol, src, dst = _IPV4(data, at)
            if first == 0x45 and not fragment & 0x3FFF and 20 <= total <= size - at and UPON_IPV4[protocol]:
                texts = self._texts
                return _new(Packet, (time, (number,), interface, LAYERS[tagged], texts[src], texts[dst], protocol,
                                     data[at + 20:at + total], 0, identification))
        elif kind == IPV6 and size >= at + 40 and data[at] >> 4 == 6:
            length, protocol, src, dst = _IPV6(data, at)
            if 0 < length <= size - at - 40 and UPON_IPV6[protocol]:
                texts = self._texts
                return _new(Packet, (time, (number,), interface, LAYERS[2 + tagged], texts[src], texts[dst], protocol,
                                     data[at + 40:at + 40 + length], 0, -1))
        return None
