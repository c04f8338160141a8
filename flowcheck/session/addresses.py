"""When the address of a device inside its IPsec tunnel changes (3GPP TS 32.583 5.2.2, TS 32.593 5.2.4).

That is no message of its own, so it is added to the device's timeline as `device.address_change`. It shows in two ways:
an IKE SA hands out another address than the SA before it (CFG_REPLY, RFC 7296 3.15.1), or, where IKE cannot be read, the
device sends from another address inside the tunnel.

The first address is no change, nor are an IPv4 and an IPv6 address of one tunnel, nor a new outer address (MOBIKE, NAT
rebinding), nor a second tunnel beside one that stays in use, nor what a device is given that restarted: its next Inform
says so (1 BOOT, 0 BOOTSTRAP) and begins a registration.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import islice

from ..model import Device, Message
from .tunnels import inner_addresses

RESTART = 300_000_000_000       # ns within which a device that restarted informs from its new tunnel
RESTARTED = ("0 BOOTSTRAP", "1 BOOT")
OVERLAP = 10_000_000_000        # ns for which the old address may still be heard: make before break, last FINs
SENDERS = frozenset(("dns.query", "tcp.syn", "sctp.init", "cwmp.Inform", "http.request", "tls.client_hello"))


@dataclass(slots=True)
class _Address:
    text: str
    spi: str | None             # the IKE SA that handed it out, None where only traffic shows it


def with_changes(messages: Sequence[Message], device: Device) -> tuple[Message, ...]:
    """One device's messages in time order, with its changes of address put where they show first."""
    changes = list(_changes(messages, device))
    if not changes:
        return tuple(messages)
    return tuple(sorted((*messages, *changes), key=lambda m: (m.time, m.frames[-1], m.kind in SENDERS)))


def _changes(messages: Sequence[Message], device: Device) -> Iterator[Message]:
    if len(device.addresses) < 2:
        return
    inside = _shown_inside(messages, device)
    last_used = {m.src.address: m.time for m in messages if m.kind in SENDERS}
    informed: dict[str, list[str]] = {}
    current: dict[int, _Address] = {}            # IP version -> address inside
    left: dict[str, int] = {}                    # address -> when the device changed to another one
    for message in messages:
        spi = message.fields.get("spi_i") if message.protocol == "ike" else None
        if spi is not None:
            found = [(text, "ike") for text in inner_addresses(message)]
        elif message.kind in SENDERS and (message.src.address in inside or _inside(message, device)):
            found = [(message.src.address, "traffic")]
        else:
            continue
        for text, via in found:
            version = _version(text)
            if version is None:
                continue
            held = current.get(version)
            if held is None or held.text == text:
                current[version] = _Address(text, spi or (held.spi if held else None))
            elif held.spi == spi and spi is not None:
                continue                         # several addresses of one tunnel
            elif via == "traffic" and message.time - left.get(text, -OVERLAP) < OVERLAP:
                continue                         # the last packets from the address before
            elif last_used.get(held.text, 0) > message.time + OVERLAP:
                continue                         # the old one stays in use: a tunnel beside it
            else:
                if not _restarted(messages, message, text):
                    yield _change(message, held.text, text, via, informed.get(held.text, ()))
                current[version] = _Address(text, spi)
                left[held.text] = message.time
        if message.kind == "cwmp.Inform":
            known = informed.setdefault(message.src.address, [])
            if message.dst.address not in known:
                known.append(message.dst.address)


def _restarted(messages: Sequence[Message], shown_by: Message, new: str) -> bool:
    """Does the device say in its next Inform, in the tunnel that gave it the address, that it has restarted?

    One that tells of the new address as well is the notification all the same.
    """
    spi = shown_by.fields.get("spi_i") if shown_by.protocol == "ike" else None
    for message in islice(messages, bisect_left(messages, shown_by.time, key=lambda m: m.time), None):
        another = message.kind == "ike.sa_init.request" and message.fields.get("spi_i") != spi
        if message.time - shown_by.time > RESTART or another and message.time > shown_by.time:
            return False
        if message.kind == "cwmp.Inform":
            events = message.fields.get("Event.EventCode") or ()
            told = message.fields.get("ParameterList")
            return any(event in RESTARTED for event in ([events] if isinstance(events, str) else events)) and not (
                isinstance(told, dict) and any(str(value) in _spellings(new) for value in told.values()))
    return False


def _inside(message: Message, device: Device) -> bool:
    """Does the device send this inside its tunnel for certain?"""
    address = message.src.address
    if address not in device.addresses or address in device.outer:
        return False
    return "esp" in message.layers or bool(device.outer)


def _shown_inside(messages: Sequence[Message], device: Device) -> frozenset[str]:
    """Where no outer address is known: the addresses that Informs show to be inside the tunnel.

    An Inform may name an address of the device as the tunnel's, rightly or not; and an HMS that is reached from there is
    inside, so whatever else the device informs it from is inside as well.
    """
    if device.outer:
        return frozenset()
    informs = [m for m in messages if m.kind == "cwmp.Inform" and m.src.address in device.addresses]
    named = {address for m in informs for address in _tunnel_addresses(m) if address in device.addresses}
    reached = {m.dst.address for m in informs if m.src.address in named}
    return frozenset(named | {m.src.address for m in informs if m.dst.address in reached})


def _tunnel_addresses(inform: Message) -> Iterator[str]:
    listed = inform.fields.get("ParameterList")
    for name, value in listed.items() if isinstance(listed, dict) else ():
        if ".Tunnel." in name or ".IPsec." in name:
            yield str(value)


def _version(text: str) -> int | None:
    try:
        return ip_address(text).version
    except ValueError:
        return None


def _change(shown_by: Message, old: str, new: str, via: str, acs: Sequence[str]) -> Message:
    fields = {"old": old, "new": new, "spellings": _spellings(new), "via": via, "acs": list(acs)}
    src, dst = (shown_by.src, shown_by.dst) if via == "ike" else (shown_by.dst, shown_by.src)
    return Message("device.address_change", shown_by.time, shown_by.frames, src, dst, shown_by.stream,
                   shown_by.layers, fields)


def _spellings(text: str) -> list[str]:
    """The address as parameters write it: short, in full, and as the hexBinary value of a received attribute."""
    address = ip_address(text)
    return list(dict.fromkeys((text, address.compressed, address.exploded, address.packed.hex())))
