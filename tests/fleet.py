"""Many devices in one capture, made from the samples' bring-ups.

Each recording becomes as many devices as are wanted: their addresses, ports, MACs and serial numbers, the SPIs and nonces of
IKE_SA_INIT and the checksums are rewritten, and all frames are put in one file in the order of time. Text is only replaced
by text of the same length, so that lengths and sequence numbers stay right. What is sealed stays as it was recorded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha1
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

from flowcheck.capture.reader import open_capture

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
SECOND = 1_000_000_000
BEGIN = 1_777_636_800 * SECOND                    # 2026-05-01T12:00:00Z
ROUTER = bytes.fromhex("020000fffffe")
RAW_IP, ETHERNET = 101, 1
UDP, TCP = 17, 6


class Recorded(NamedTuple):
    """A frame of a recording without its link layer."""

    time: int                                     # since the first
    data: bytes                                   # from the IPv4 header on


@dataclass(slots=True)
class Guise:
    """What a device is called instead."""

    addresses: Mapping[str, str]
    texts: Mapping[bytes, bytes] = field(default_factory=dict)
    mac: bytes = ROUTER
    spi: bytes = b""                              # of the initiator
    number: int = 0                               # makes the responder's SPI and the nonces its own
    port: Callable[[int], int] | None = None      # what a NAT makes of the device's ports


def recorded(name: str) -> list[Recorded]:
    """The IPv4 packets of a sample's capture, `ts32.583/5.3.2/pass/hnb_inner.pcap`."""
    out, first = [], None
    for frame in open_capture(str(SAMPLES / name)):
        data = frame.data if frame.link == RAW_IP else frame.data[14:] if frame.data[12:14] == b"\x08\0" else b""
        if data and data[0] >> 4 == 4:
            first = frame.time if first is None else first
            out.append(Recorded(frame.time - first, data[:int.from_bytes(data[2:4], "big")]))
    return out


def disguised(packets: Iterable[Recorded], guise: Guise, at: float = 0.0) -> Iterator[tuple[int, bytes]]:
    """(time in ns, Ethernet frame) of a recording as another device's, beginning `at` seconds after the capture."""
    own = {IPv4Address(old).packed: IPv4Address(new).packed for old, new in guise.addresses.items()}
    for packet in packets:
        old_src, old_dst, protocol = packet.data[12:16], packet.data[16:20], packet.data[9]
        src, dst = own.get(old_src, old_src), own.get(old_dst, old_dst)
        header = packet.data[:(packet.data[0] & 15) * 4]
        body = packet.data[len(header):]
        if protocol in (UDP, TCP):
            body = _transport(body, protocol, guise, old_src in own, old_dst in own, (old_src, old_dst), (src, dst))
        header = header[:10] + bytes(2) + src + dst + header[20:]
        header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
        macs = (ROUTER, guise.mac) if old_src in own else (guise.mac, ROUTER)
        yield BEGIN + round(at * SECOND) + packet.time, b"".join((*macs, b"\x08\0", header, body))


def _transport(body: bytes, protocol: int, guise: Guise, from_it: bool, to_it: bool, was: tuple[bytes, bytes],
               now: tuple[bytes, bytes]) -> bytes:
    ports = struct.unpack_from("!HH", body)
    new = tuple(guise.port(port) if its and guise.port else port for port, its in zip(ports, (from_it, to_it)))
    size = 8 if protocol == UDP else (body[12] >> 4) * 4
    head, payload = struct.pack("!HH", *new) + body[4:size], body[size:]
    for old_text, new_text in guise.texts.items():
        payload = payload.replace(old_text, new_text)
    if protocol == UDP and guise.spi and {500, 4500} & set(ports):
        payload = _ike(payload, guise, (was, ports), (now, new))
    place = 6 if protocol == UDP else 16
    if protocol == UDP and body[6:8] == b"\0\0":
        return head + payload
    head = head[:place] + bytes(2) + head[place + 2:]
    value = checksum(b"".join((*now, struct.pack("!BBH", 0, protocol, len(head) + len(payload)), head,
                               payload))) or 0xFFFF
    return head[:place] + value.to_bytes(2, "big") + head[place + 2:] + payload


def _ike(payload: bytes, guise: Guise, was: tuple, now: tuple) -> bytes:
    """The message with SPIs, nonces and the hashes of NAT detection (RFC 7296 2.23) of its own; ESP with an SPI of its own."""
    marker = payload[:4] == bytes(4)
    message = payload[4:] if marker else payload
    if len(message) < 28 or not marker and 4500 in was[1]:
        return payload[:2] + guise.number.to_bytes(2, "big") + payload[4:] if len(payload) > 8 else payload
    spi_r, following, exchange = message[8:16], message[16], message[18]
    own_r = bytes(4) + struct.pack("!I", guise.number) if any(spi_r) else bytes(8)
    own_r = bytes(a ^ b for a, b in zip(spi_r, own_r))
    if exchange == 34:
        at = 28
        while following:
            kind, size = following, int.from_bytes(message[at + 2:at + 4], "big")
            if kind == 40:
                nonce = bytes(a ^ b for a, b in zip(message[at + 4:at + 8], struct.pack("!I", guise.number)))
                message = message[:at + 4] + nonce + message[at + 8:]
            elif kind == 41 and message[at + 6:at + 8] in (b"\x40\x04", b"\x40\x05"):
                side = message[at + 7] - 4                       # NAT_DETECTION_SOURCE_IP, NAT_DETECTION_DESTINATION_IP
                seen = was if guise.port else now                # the host knows nothing of its NAT
                told = sha1(guise.spi + own_r + seen[0][side] + seen[1][side].to_bytes(2, "big")).digest()
                message = message[:at + 8] + told + message[at + 28:]
            following, at = message[at], at + size
    return payload[:4 * marker] + guise.spi + own_r + message[16:]


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) & 1)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp(src: str, dst: str, sport: int, dport: int, data: bytes, macs: tuple[bytes, bytes]) -> bytes:
    """An Ethernet frame: destination MAC, source MAC, IPv4, UDP."""
    ends = IPv4Address(src).packed + IPv4Address(dst).packed
    body = struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, UDP, 0) + ends
    return b"".join((*macs, b"\x08\0", header[:10], checksum(header).to_bytes(2, "big"), header[12:], body))


def dhcp_ack(address: str, mac: bytes, server: str = "192.168.0.1") -> bytes:
    """A server leases an address (RFC 2131)."""
    given, by = IPv4Address(address).packed, IPv4Address(server).packed
    data = b"".join((b"\2\1\6\0", mac[2:], bytes(8), given, by, bytes(4), mac, bytes(10 + 64 + 128),
                     b"\x63\x82\x53\x63",
                     b"\x35\1\5", b"\x36\4", by, b"\x33\4\0\0\x0e\x10", b"\xff"))
    return udp(server, address, 67, 68, data, (mac, ROUTER))


def arp(mac: bytes, address: str, target: str = "192.168.0.1", announced: bool = False) -> bytes:
    """A request (RFC 826); with `announced` for its own address (RFC 5227 2.3)."""
    mine = IPv4Address(address).packed
    asked = mine if announced else IPv4Address(target).packed
    return b"".join((b"\xff" * 6, mac, b"\x08\x06\0\1\x08\0\6\4\0\1", mac, mine, bytes(6), asked))


def write(path: Path, frames: Iterable[tuple[int, bytes]]) -> str:
    """A pcap with nanoseconds, in the order of time."""
    parts = [struct.pack("!IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 0x40000, ETHERNET)]
    for time, data in sorted(frames, key=lambda frame: frame[0]):
        parts += (struct.pack("!IIII", *divmod(time, SECOND), len(data), len(data)), data)
    path.write_bytes(b"".join(parts))
    return str(path)
