"""Link layers: from the octets of a frame to the network protocol in it.

Each layer is one small function in `LAYERS`, under the number that announces it (an EtherType) or a name of our own where
no EtherType does. It says what follows and where that begins. LINKTYPE_ values are those of the tcpdump.org registry.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import NamedTuple

IPV4, IPV6 = 0x0800, 0x86DD
ETHERNET = 1                      # LINKTYPE_ETHERNET
_DEEPEST = 32                     # layers of one frame; tags and labels beyond it are hostile

Kind = int | str                  # EtherType, name of a layer, or a sentence that says why nothing follows
_Step = tuple[Kind, bytes, int]

_u16 = Struct("!H").unpack_from
_u32 = Struct("!I").unpack_from


class Found(NamedTuple):
    """What a frame carries: `kind` is the EtherType of what begins at `at`, or words for what is not read."""

    kind: Kind
    data: bytes
    at: int
    layers: tuple[str, ...]
    mac: int                      # where the innermost Ethernet header begins, -1 without one


def strip(kind: Kind, data: bytes, at: int = 0, layers: tuple[str, ...] = ()) -> Found:
    """Takes off layers from `at` on, up to one that is no link layer."""
    mac = -1
    while (layer := LAYERS.get(kind)) is not None:
        name, step = layer
        if len(layers) > _DEEPEST:
            return Found("layers beyond counting", data, at, layers, mac)
        if kind == "eth":
            mac = at
        try:
            kind, data, at = step(data, at)
        except (IndexError, StructError):
            return Found(f"{name or kind} header cut", data, len(data), layers, mac)
        if name:
            layers = (*layers, name)
    return Found(kind, data, at, layers, mac)


def mac_address(data: bytes, at: int) -> str:
    return data[at:at + 6].hex(":")


# ------------------------------------------------------------------------------------------------ Ethernet and its tags

def _ethernet(data: bytes, at: int) -> _Step:
    kind = _u16(data, at + 12)[0]
    if kind >= 0x0600:
        return kind, data, at + 14
    # IEEE 802.3: a length; what follows it is padding
    return "llc", data[:at + 14 + kind] if kind else data, at + 14


def _llc(data: bytes, at: int) -> _Step:
    """IEEE 802.2; SNAP (RFC 1042) where both access points are 0xAA."""
    dsap, ssap, control = data[at], data[at + 1], data[at + 2]
    if dsap == ssap == 0xAA and control == 3:
        organisation, kind = data[at + 3:at + 6], _u16(data, at + 6)[0]
        if organisation in (b"\0\0\0", b"\0\0\xf8") and kind >= 0x0600:
            return kind, data, at + 8
        return f"snap {organisation.hex()}", data, at + 8
    if dsap == ssap == 0x06:
        return IPV4, data, at + 3
    return f"llc 0x{dsap:02x}", data, at + 3


def _tag(data: bytes, at: int) -> _Step:
    kind = _u16(data, at + 2)[0]
    return (kind if kind >= 0x0600 else "llc"), data, at + 4


def _mpls(data: bytes, at: int) -> _Step:
    """RFC 3032; what is below the last label is told by its first nibble (RFC 4928), 0 is a control word (RFC 4448)."""
    while True:
        entry = _u32(data, at)[0]
        at += 4
        if entry & 0x100:
            break
    version = data[at] >> 4
    if version in (4, 6):
        return IPV4 if version == 4 else IPV6, data, at
    if version == 0:
        return "eth", data, at + 4
    return "mpls payload", data, at


def _pppoe(data: bytes, at: int) -> _Step:
    """RFC 2516 4: version and type, code, session, length."""
    if data[at] != 0x11 or data[at + 1]:
        return "pppoe header", data, at
    return "ppp", data[:at + 6 + _u16(data, at + 4)[0]], at + 6


def _etag(data: bytes, at: int) -> _Step:
    return _u16(data, at + 6)[0], data, at + 8


# ------------------------------------------------------------------------------------------------ PPP

_PPP = {0x0021: IPV4, 0x0057: IPV6, 0x0281: 0x8847, 0x0283: 0x8848}


def _ppp(data: bytes, at: int) -> _Step:
    """RFC 1661 2, with or without the address and control octets of RFC 1662, with escapes where it opens with a flag."""
    if data[at] == 0x7E:
        data, at = _unescape(data[at:]), 0
    if data[at] == 0xFF and data[at + 1] == 0x03:
        at += 2
    if data[at] & 1:                                # RFC 1661 6.5: compressed to one octet
        protocol, at = data[at], at + 1
    else:
        protocol, at = _u16(data, at)[0], at + 2
    return _PPP.get(protocol, f"ppp 0x{protocol:04x}"), data, at


def _unescape(data: bytes) -> bytes:
    """One frame of octet-stuffed HDLC framing (RFC 1662 4.2)."""
    first, *rest = data.strip(b"\x7e").partition(b"\x7e")[0].split(b"\x7d")
    return first + b"".join(bytes([piece[0] ^ 0x20]) + piece[1:] for piece in rest if piece)


def _hdlc(data: bytes, at: int) -> _Step:
    """Cisco HDLC (address 0x0F or 0x8F, then an EtherType) or PPP in HDLC framing."""
    if data[at] in (0x0F, 0x8F):
        return _u16(data, at + 2)[0], data, at + 4
    return "ppp", data, at


def _direction_ppp(data: bytes, at: int) -> _Step:
    """A direction octet in front (LINKTYPE_PPP_WITH_DIR), or instead of the address (LINKTYPE_PPP_PPPD)."""
    return "ppp", data, at + (2 if data[at + 1] == 0x03 and data[at] < 2 else 1)


# ------------------------------------------------------------------------------------------------ without a real link

_FAMILIES = {2: IPV4, 10: IPV6, 23: IPV6, 24: IPV6, 28: IPV6, 30: IPV6}     # AF_INET6 differs between systems


def _null(data: bytes, at: int) -> _Step:
    """LINKTYPE_NULL and LINKTYPE_LOOP: an address family in either byte order. Some systems write a Cisco HDLC header here."""
    if data[at:at + 2] == b"\xff\x03":
        return "ppp", data, at
    family = _u32(data, at)[0]
    if family > 0xFFFF:
        family = int.from_bytes(data[at:at + 4], "little")
    if family not in _FAMILIES and (kind := _u16(data, at + 2)[0]) in (IPV4, IPV6):
        return kind, data, at + 4
    return _FAMILIES.get(family, f"address family {family}"), data, at + 4


def _enc(data: bytes, at: int) -> _Step:
    """LINKTYPE_ENC: address family, SPI, flags."""
    kind, data, at = _null(data, at)
    return kind, data, at + 8


def _raw(data: bytes, at: int) -> _Step:
    return {4: IPV4, 6: IPV6}.get(data[at] >> 4, f"ip version {data[at] >> 4}"), data, at


_SLL = {0x0001: "novell 802.3", 0x0004: "llc"}
_SLL_DEVICES = {824: "netlink", 803: "radiotap", 801: "wlan", 802: "prism"}      # ARPHRD_ values


def _sll(data: bytes, at: int) -> _Step:
    device, kind = _u16(data, at + 2)[0], _u16(data, at + 14)[0]
    return _SLL_DEVICES.get(device) or _SLL.get(kind, kind), data, at + 16


def _sll2(data: bytes, at: int) -> _Step:
    kind, device = _u16(data, at)[0], _u16(data, at + 8)[0]
    return _SLL_DEVICES.get(device) or _SLL.get(kind, kind), data, at + 20


# ------------------------------------------------------------------------------------------------ IEEE 802.11

def _wlan(data: bytes, at: int, padded: bool = False) -> _Step:
    """Data frames in clear, IEEE 802.11-2020 9.3.2; everything else has no packet in it for us."""
    control, flags = data[at], data[at + 1]
    if control & 0x0C != 0x08:
        return "wlan management and control", data, at
    if control & 0x40:
        return "wlan without data", data, at
    if flags & 0x40:
        return "wlan protected", data, at
    size = 30 if flags & 3 == 3 else 24             # between access points a fourth address
    if control & 0x80:                              # QoS
        if data[at + size] & 0x80:
            return "wlan A-MSDU", data, at
        size += 6 if flags & 0x80 else 2            # HT control
    return "llc", data, at + (size + 3 & ~3 if padded else size)


def _radiotap(data: bytes, at: int) -> _Step:
    """www.radiotap.org: little-endian; of its fields only Flags matters (check sequence, padding)."""
    size = int.from_bytes(data[at + 2:at + 4], "little")
    present, field = int.from_bytes(data[at + 4:at + 8], "little"), at + 8
    more = present
    while more & 0x80000000 and field < at + size:
        more, field = int.from_bytes(data[field:field + 4], "little"), field + 4
    flags = 0
    if present & 1:
        field = at + (field - at + 7 & ~7) + 8      # TSFT is aligned to its size
    if present & 2 and field < at + size:
        flags = data[field]
    return ("wlan padded" if flags & 0x20 else "wlan"), data, at + size


def _prism(data: bytes, at: int) -> _Step:
    """Prism: message code and length in the byte order of the host; AVS: both big-endian."""
    size = min(_u32(data, at + 4)[0], int.from_bytes(data[at + 4:at + 8], "little"))
    return "wlan", data, at + size


# ------------------------------------------------------------------------------------------------ of capture programs

def _ppi(data: bytes, at: int) -> _Step:
    """LINKTYPE_PPI: version, flags, length of the whole header, link type; little-endian."""
    size, link = int.from_bytes(data[at + 2:at + 4], "little"), int.from_bytes(data[at + 4:at + 8], "little")
    return _linked(link, data, at + max(8, size))


def _pktap(data: bytes, at: int) -> _Step:
    """LINKTYPE_PKTAP, little-endian: length of the header, kind of record, link type of the packet behind it."""
    size, kind, link = (int.from_bytes(data[at + part:at + part + 4], "little") for part in (0, 4, 8))
    return _linked(link, data, at + size) if kind == 1 and size >= 12 else ("pktap record", data, at)


def _nflog(data: bytes, at: int) -> _Step:
    """LINKTYPE_NFLOG: address family, version, resource; then attributes in the host's byte order, one a packet (9)."""
    family, at = data[at], at + 4
    order = "little" if data[at + 3] == 0 else "big"        # no type is as large as 256
    while at + 4 <= len(data):
        size, kind = (int.from_bytes(data[part:part + 2], order) for part in (at, at + 2))
        if kind == 9:
            return _FAMILIES.get(family, f"address family {family}"), data[:at + size], at + 4
        at += max(4, size + 3 & ~3)
    return "nflog without a packet", data, at


def _frame_relay(data: bytes, at: int) -> _Step:
    """RFC 2427 4: an address that ends with a set bit, unnumbered information, then who follows (NLPID)."""
    while not data[at] & 1:
        at += 1
    if data[at + 1] != 0x03:
        return _u16(data, at + 1)[0], data, at + 3          # Cisco's: an EtherType
    at += 3 if data[at + 2] == 0 else 2                     # a pad octet
    if data[at] == 0x80:
        return _u16(data, at + 4)[0], data, at + 6          # SNAP
    return {0xCC: IPV4, 0x8E: IPV6, 0xCF: "ppp"}.get(data[at], f"nlpid 0x{data[at]:02x}"), data, at + 1


def _linked(link: int, data: bytes, at: int) -> _Step:
    return LINKS.get(link, f"link {link}"), data, at


# ------------------------------------------------------------------------------------------------ tables

def _skip(size: int, kind: Kind) -> Callable[[bytes, int], _Step]:
    return lambda data, at: (kind, data, at + size)


def _typed(size: int) -> Callable[[bytes, int], _Step]:
    """A header of `size` octets whose last two are an EtherType."""
    return lambda data, at: (_u16(data, at + size - 2)[0], data, at + size)


LAYERS: dict[Kind, tuple[str, Callable[[bytes, int], _Step]]] = {
    "eth": ("eth", _ethernet), 0x6558: ("", _skip(0, "eth")), "llc": ("", _llc),
    0x8100: ("vlan", _tag), 0x88A8: ("vlan", _tag), 0x9100: ("vlan", _tag), 0x9200: ("vlan", _tag),
    0x9300: ("vlan", _tag),
    0x893F: ("vlan", _etag), 0x8847: ("mpls", _mpls), 0x8848: ("mpls", _mpls), 0x8864: ("pppoe", _pppoe),
    "ppp": ("ppp", _ppp), 0x880B: ("ppp", _ppp), "hdlc": ("", _hdlc), "direction ppp": ("", _direction_ppp),
    "pppoe": ("pppoe", _pppoe), "null": ("null", _null), "enc": ("null", _enc), "raw": ("raw", _raw), "ip": ("", _raw),
    "sll": ("sll", _sll), "sll2": ("sll", _sll2), "wlan": ("wlan", _wlan),
    "wlan padded": ("wlan", lambda data, at: _wlan(data, at, padded=True)), "radiotap": ("", _radiotap),
    "prism": ("", _prism),
    "firewire": ("eth", _typed(18)), "chdlc": ("", _typed(4)), "netanalyzer": ("", _skip(4, "eth")),
    "netanalyzer transparent": ("", _skip(12, "eth")), "mpacket": ("", _skip(8, "eth")),
    0x8909: ("", _typed(8)),                              # Cisco MetaData: a security group tag
    "ppi": ("", _ppi), "pktap": ("", _pktap), "nflog": ("nflog", _nflog), "frame relay": ("", _frame_relay),
}

# LINKTYPE_ value -> the layer that such frames begin with
LINKS: dict[int, Kind] = {
    0: "null", ETHERNET: "eth", 9: "ppp", 12: "raw", 14: "raw", 50: "hdlc", 51: "pppoe", 100: "llc", 101: "raw",
    104: "chdlc", 105: "wlan", 107: "frame relay", 108: "null", 109: "enc", 113: "sll", 119: "prism", 127: "radiotap",
    138: "firewire", 163: "prism", 166: "direction ppp", 192: "ppi", 204: "direction ppp", 219: 0x8847, 228: "raw",
    229: "raw", 239: "nflog", 240: "netanalyzer", 241: "netanalyzer transparent", 258: "pktap", 274: "mpacket",
    276: "sll2",
}
