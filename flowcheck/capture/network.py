"""From frames to whole IP datagrams: link layers, IPv4 (RFC 791), IPv6 (RFC 8200), fragments, and tunnels in the clear.

Nearly every packet of a capture is plain: read straight from the frame (plain.py). All others take the general path. What a tunnel carries comes out as a packet of its own, with the tunnel
named in `layers`; opened and decoded tunnels (ESP, GTP-U, VXLAN) come back in through `Network.inner`.
"""

from __future__ import annotations

from collections import Counter
from socket import AF_INET6, inet_ntop
from struct import Struct
from typing import NamedTuple

from ..model import Frame, Packet
from . import plain
from .fragments import Fragments
from .links import IPV4, IPV6, LINKS, Kind, mac_address, strip
from .tunnels import TUNNELS

try:
    from . import _plain as compiled
except ImportError:              # installed without a compiler
    compiled = None
COMPILED = compiled is not None and getattr(compiled, "FORM", 0) == plain.FORM
Plain = compiled.Plain if COMPILED else plain.Plain

# version and header length, total length, identification, fragment, protocol
_IPV4 = Struct("!BxHHHxBxx4s4s").unpack_from
_IPV6 = Struct("!IHBx16s16s").unpack_from         # version, class and flow; payload length; next header; addresses
_u16 = Struct("!H").unpack_from
_u32 = Struct("!I").unpack_from

_NOT_IP = {0x0806, 0x8035, 0x8863}                # ARP, RARP, PPPoE discovery: worth decoding; others are counted
_ETHERTYPE = 0x10000                              # added to an EtherType in Packet.protocol

_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AH, _NO_NEXT, _DESTINATION = 0, 43, 44, 51, 59, 60
_OPTIONED = frozenset({_HOP_BY_HOP, _ROUTING, _DESTINATION})      # next header, length in octets of eight, less one
_MOST_HEADERS = 64                                # extension headers of one packet
_DEEPEST = 24                                     # layers; more tunnels in tunnels than that are hostile
_MOST_ADDRESSES = 1 << 16


class _Addresses(dict[bytes, str]):
    """Text of an address; forgets all when it holds too many, so that a scan cannot fill the memory."""

    def __missing__(self, address: bytes) -> str:
        if len(self) >= _MOST_ADDRESSES:
            self.clear()
        text = "%d.%d.%d.%d" % tuple(address) if len(address) == 4 else inet_ntop(AF_INET6, address)
        self[address] = text
        return text


class _Place(NamedTuple):
    """Where the octets at hand come from."""

    time: int
    frames: tuple[int, ...]
    interface: int


class Network:
    """Takes frames in capture order; holds the fragments that wait for others."""

    def __init__(self) -> None:
        self.undecoded: Counter[str] = Counter()      # what was met and not read, in frames
        self._fragments = Fragments()
        self._texts = _Addresses()
        self._plain = Plain(Packet, self._texts, plain.LAYERS, plain.UPON_IPV4, plain.UPON_IPV6).packet
        self._counts: Counter[str] = Counter()

    @property
    def remarks(self) -> list[str]:
        """One sentence for each thing that limits what could be read."""
        counts = Counter(self._counts)
        counts["{} datagrams are incomplete: a fragment is missing from the capture"] = self._fragments.incomplete
        counts["{} datagrams were not joined: their fragments contradict each other or reach beyond the largest datagram"] = self._fragments.ambiguous
        return [text.format(count) for text, count in counts.items() if count]

    def packets(self, frame: Frame) -> tuple[Packet, ...] | list[Packet]:
        """The packets that `frame` completes: mostly one, none while fragments are missing, several in some tunnels."""
        packet = self._plain(frame)
        if packet is not None:
            return (packet,)
        number, time, link, data, original, interface = frame
        size = len(data)
        kind = LINKS.get(link, f"link {link}")
        return self._layers(kind, data, (), max(0, original - size), _Place(time, (number,), interface))

    def inner(self, kind: str, data: bytes, time: int, frames: tuple[int, ...], interface: int, layers: tuple[str, ...],
              missing: int = 0) -> list[Packet]:
        """The packets in what a tunnel carried: `kind` is "ip", "eth", "ppp" or another name of `links.LAYERS`."""
        return self._layers(kind, data, layers, missing, _Place(time, frames, interface))

    def _layers(self, kind: Kind, data: bytes, layers: tuple[str, ...], missing: int, place: _Place,
                at: int = 0) -> list[Packet]:
        """Takes off link layers from `at` on, then reads what they carried."""
        if len(layers) > _DEEPEST:
            self.undecoded["tunnels beyond counting"] += 1
            return []
        found = strip(kind, data, at, layers)
        if found.kind == IPV4:
            return self._ipv4(found.data, found.at, found.layers, missing, place)
        if found.kind == IPV6:
            return self._ipv6(found.data, found.at, found.layers, missing, place)
        if found.kind in _NOT_IP:
            dst, src = ("", "") if found.mac < 0 else (mac_address(found.data, found.mac),
                                                       mac_address(found.data, found.mac + 6))
            return [Packet(place.time, place.frames, place.interface, found.layers, src, dst, _ETHERTYPE + found.kind,
                           found.data[found.at:], missing)]
        self.undecoded[f"ethertype 0x{found.kind:04x}" if isinstance(found.kind, int) else found.kind] += 1
        return []

    def _ipv4(self, data: bytes, at: int, layers: tuple[str, ...], missing: int, place: _Place) -> list[Packet]:
        held = len(data) - at
        if held < 20:
            self.undecoded["ip header cut"] += 1
            return []
        first, total, identification, fragment, protocol, src, dst = _IPV4(data, at)
        header = (first & 0x0F) * 4
        if first >> 4 != 4 or header < 20:
            self.undecoded["ip header wrong"] += 1
            return []
        total = total or held + missing           # 0: left to the network card (segmentation offload)
        if total < header:
            self.undecoded["ip header wrong"] += 1
            return []
        if held < header:
            self.undecoded["ip header cut"] += 1
            return []
        payload, missing = data[at + header:at + total], max(0, total - held)
        layers = (*layers, "ip")
        source, target = self._texts[src], self._texts[dst]
        if fragment & 0x3FFF:
            key = (4, src, dst, protocol, identification, layers)
            joined = self._fragments.add(key, place.time, place.frames, (fragment & 0x1FFF) * 8,
                                         bool(fragment & 0x2000),
                                         payload, missing, protocol)
            if joined is None:
                return []
            payload, missing, place = joined.data, joined.missing, place._replace(frames=joined.frames)
        return self._upper(protocol, payload, layers, source, target, missing, identification, place)

    def _ipv6(self, data: bytes, at: int, layers: tuple[str, ...], missing: int, place: _Place) -> list[Packet]:
        held = len(data) - at
        if held < 40:
            self.undecoded["ipv6 header cut"] += 1
            return []
        word, length, protocol, src, dst = _IPV6(data, at)
        if word >> 28 != 6:
            self.undecoded["ipv6 header wrong"] += 1
            return []
        if not length:                            # a jumbogram (RFC 2675), or left to the network card
            length = _jumbo_length(data, at + 40) if protocol == _HOP_BY_HOP else held + missing - 40
        end, missing = min(at + 40 + length, len(data)), max(0, length - (held - 40))
        return self._extensions(protocol, data[at + 40:end], (*layers, "ipv6"), src, dst, missing, place)

    def _extensions(self, protocol: int, data: bytes, layers: tuple[str, ...], src: bytes, dst: bytes, missing: int,
                    place: _Place) -> list[Packet]:
        """Walks the extension headers (RFC 8200 4); AH is left to the tunnels, as in IPv4."""
        at = 0
        for _ in range(_MOST_HEADERS):
            if protocol in _OPTIONED:
                if at + 2 > len(data) or at + (data[at + 1] + 1) * 8 > len(data):
                    self.undecoded["ipv6 extension header cut"] += 1
                    return []
                protocol, at = data[at], at + (data[at + 1] + 1) * 8
            elif protocol == _FRAGMENT:
                if at + 8 > len(data):
                    self.undecoded["ipv6 extension header cut"] += 1
                    return []
                protocol, place_and_flag, identification = data[at], _u16(data, at + 2)[0], _u32(data, at + 4)[0]
                start, more, data, at = place_and_flag & 0xFFF8, bool(place_and_flag & 1), data[at + 8:], 0
                if not start and not more:
                    continue                      # atomic (RFC 6946): a datagram in one piece
                joined = self._fragments.add((6, src, dst, identification, layers), place.time, place.frames,
                                             start, more,
                                             data, missing, protocol)
                if joined is None:
                    return []
                data, missing, protocol = joined.data, joined.missing, joined.first
                place = place._replace(frames=joined.frames)
            elif protocol == _NO_NEXT:
                return []
            else:
                return self._upper(protocol, data[at:], layers, self._texts[src], self._texts[dst], missing, -1, place)
        self.undecoded["ipv6 extension headers beyond counting"] += 1
        return []

    def _upper(self, protocol: int, data: bytes, layers: tuple[str, ...], src: str, dst: str, missing: int,
               identification: int,
               place: _Place) -> list[Packet]:
        """A whole datagram: what is in it where it is a tunnel, else a packet."""
        tunnel = TUNNELS.get(protocol)
        if tunnel is None:
            return [_new(Packet, (place.time, place.frames, place.interface, layers, src, dst, protocol, data, missing,
                                  identification))]
        kind, at, layer = tunnel(data)
        if layer:
            layers = (*layers, layer)
        if isinstance(kind, int) and kind < 0:    # an IP protocol follows (AH): its complement
            return self._next(~kind, data[at:], layers, src, dst, missing, identification, place)
        return self._layers(kind, data, layers, missing, place, at)

    def _next(self, protocol: int, data: bytes, layers: tuple[str, ...], src: str, dst: str, missing: int,
              identification: int,
              place: _Place) -> list[Packet]:
        """What stands behind AH: an upper protocol, or in IPv6 another extension header (destination options)."""
        if len(layers) > _DEEPEST:
            self.undecoded["tunnels beyond counting"] += 1
            return []
        if protocol == _DESTINATION and len(data) >= 2:
            protocol, data = data[0], data[(data[1] + 1) * 8:]
        return self._upper(protocol, data, layers, src, dst, missing, identification, place)


_new = tuple.__new__


def _jumbo_length(data: bytes, at: int) -> int:
    """Jumbo Payload of the hop-by-hop options at `at` (RFC 2675 2), 0 where there is none."""
    end = min(len(data), at + (data[at + 1] + 1) * 8) if at + 2 <= len(data) else 0
    at += 2
    while at + 6 <= end:
        kind, size = data[at], data[at + 1]
        if kind == 0xC2 and size == 4:
            return _u32(data, at + 2)[0]
        at += 1 if kind == 0 else 2 + size        # Pad1 has no length
    return 0
