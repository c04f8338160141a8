"""ARP (RFC 826) for IPv4: which address has which MAC on the link of the tap."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from ..model import Context, Endpoint, Message, Problem
from .wire import Cursor, Short

_FIELDS = ("sender_mac", "sender_ip", "target_mac", "target_ip", "gratuitous", "probe")
KINDS = {"arp.request": _FIELDS, "arp.reply": _FIELDS}
PROTOCOLS = {0x10806}

_OPERATIONS = {1: "arp.request", 2: "arp.reply"}
_IPV4 = 0x0800


def decode(data: bytes, context: Context) -> Iterator[Message]:
    """One frame's content after the EtherType; padding behind it is no matter."""
    at = Cursor(data)
    try:
        _, protocol, mac_size, ip_size, operation = at.u16(), at.u16(), at.u8(), at.u8(), at.u16()
        if operation not in _OPERATIONS or protocol != _IPV4:
            return
        if ip_size != 4:
            yield context.message(_OPERATIONS[operation], {}, (Problem(5, f"IPv4 address of {ip_size} octets"),))
            return
        sender_mac, sender_ip = at.octets(mac_size).hex(":"), str(IPv4Address(at.octets(4)))
        target_mac, target_ip = at.octets(mac_size).hex(":"), str(IPv4Address(at.octets(4)))
    except Short as short:
        yield context.message("arp.request", {}, () if context.missing else (Problem(short.offset, str(short)),),
                              incomplete=bool(context.missing))
        return
    fields = {"sender_mac": sender_mac, "sender_ip": sender_ip, "target_mac": target_mac, "target_ip": target_ip,
              "gratuitous": sender_ip == target_ip,         # RFC 5227 3: an announcement
              "probe": sender_ip == "0.0.0.0"}              # RFC 5227 2.1.1: is this address free?
    here = context.but(src=Endpoint(sender_ip), dst=Endpoint(target_ip))
    yield here.message(_OPERATIONS[operation], fields)
