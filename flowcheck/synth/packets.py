"""IP datagrams, TCP connections and an ESP tunnel, written as a raw-IP pcap (RFC 791, 792, 768, 9293, 4303).

TCP has a handshake, sequence numbers, segments of at most `MSS` octets, an acknowledgement for each burst and a close.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from random import Random

MSS = 1360
TCP, UDP, ICMP, ESP, SCTP = 6, 17, 1, 50, 132
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
LINKTYPE_RAW = 101
STEP = 2_000_000  # ns between two packets
START = 1_767_225_600_000_000_000


def checksum(data: bytes) -> int:
    """The Internet checksum, RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram(src: str, dst: str, protocol: int, payload: bytes, identification: int) -> bytes:
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x45,
        0,
        20 + len(payload),
        identification & 0xFFFF,
        0x4000,
        64,
        protocol,
        0,
        ip_address(src).packed,
        ip_address(dst).packed,
    )
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def _pseudo(src: str, dst: str, protocol: int, segment: bytes) -> bytes:
    return ip_address(src).packed + ip_address(dst).packed + struct.pack("!BBH", 0, protocol, len(segment)) + segment


@dataclass(slots=True)
class Tunnel:
    """One pair of ESP SAs in tunnel mode, AES-CBC with HMAC-SHA-256-128."""

    device: str  # outer addresses
    gateway: str
    inner: str  # the device's address inside
    spis: tuple[int, int]  # towards the gateway, towards the device
    keys: tuple[bytes, bytes]
    mac_keys: tuple[bytes, bytes]
    sequence: list[int] = field(default_factory=lambda: [0, 0])

    def seal(self, packet: bytes, to_gateway: bool, random: Random) -> bytes:
        """The ESP payload around an IP datagram."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        way = 0 if to_gateway else 1
        self.sequence[way] += 1
        padding = -(len(packet) + 2) % 16
        plain = packet + bytes(range(1, padding + 1)) + bytes((padding, 4))
        iv = random.randbytes(16)
        encryptor = Cipher(algorithms.AES(self.keys[way]), modes.CBC(iv)).encryptor()
        sealed = (
            struct.pack("!II", self.spis[way], self.sequence[way]) + iv + encryptor.update(plain) + encryptor.finalize()
        )
        return sealed + hmac.new(self.mac_keys[way], sealed, hashlib.sha256).digest()[:16]

    def table(self) -> str:
        """Its lines of Wireshark's `esp_sa`."""
        ends = ((self.device, self.gateway), (self.gateway, self.device))
        return "".join(
            f'"IPv4","{src}","{dst}","0x{spi:08x}","AES-CBC [RFC3602]","0x{key.hex()}",'
            f'"HMAC-SHA-256-128 [RFC4868]","0x{mac.hex()}"\n'
            for (src, dst), spi, key, mac in zip(ends, self.spis, self.keys, self.mac_keys)
        )


class Net:
    """The wire: what is sent is recorded, with a clock that goes on by itself."""

    def __init__(self, seed: int):
        self.random = Random(seed)
        self.now = START
        self.frames: list[tuple[int, bytes]] = []
        self.tunnel: Tunnel | None = None
        self.tunnels: list[Tunnel] = []
        self._identification = 0

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)

    def send(self, src: str, dst: str, protocol: int, payload: bytes) -> None:
        """One datagram; an address inside a tunnel sends and receives through it."""
        self._identification += 1
        packet = datagram(src, dst, protocol, payload, self._identification)
        tunnel = next((t for t in reversed(self.tunnels) if t.inner in (src, dst)), None)
        if tunnel is not None:
            out = src == tunnel.inner
            ends = (tunnel.device, tunnel.gateway) if out else (tunnel.gateway, tunnel.device)
            packet = datagram(*ends, ESP, tunnel.seal(packet, out, self.random), self._identification)
        self.frames.append((self.now, packet))
        self.now += STEP

    def udp(self, src: tuple[str, int], dst: tuple[str, int], payload: bytes) -> None:
        segment = struct.pack("!HHHH", src[1], dst[1], 8 + len(payload), 0) + payload
        value = checksum(_pseudo(src[0], dst[0], UDP, segment)) or 0xFFFF
        self.send(src[0], dst[0], UDP, segment[:6] + struct.pack("!H", value) + payload)

    def unreachable(self, src: tuple[str, int], dst: tuple[str, int], protocol: int, by: str = "") -> None:
        """The host at `dst` says that nothing listens there (ICMP type 3 code 3), about a datagram of `src`."""
        quoted = datagram(src[0], dst[0], protocol, struct.pack("!HHHH", src[1], dst[1], 8, 0), 1)
        body = b"\x03\x03\0\0\0\0\0\0" + quoted
        self.send(by or dst[0], src[0], ICMP, body[:2] + struct.pack("!H", checksum(body)) + body[4:])

    def pcap(self) -> bytes:
        """The packets in order of time, as a pcap with nanoseconds."""
        out = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, LINKTYPE_RAW)]
        for time, packet in sorted(self.frames, key=lambda frame: frame[0]):
            out.append(struct.pack("<IIII", time // 10**9, time % 10**9, len(packet), len(packet)) + packet)
        return b"".join(out)


class Tcp:
    """A TCP connection; side 0 is the client."""

    def __init__(self, net: Net, client: tuple[str, int], server: tuple[str, int]):
        self.net, self.ends = net, (client, server)
        self.sequence = [net.random.getrandbits(32), net.random.getrandbits(32)]
        self.opened = self.accepted = self.closed = False
        self.seal: Callable[[int, bytes], bytes] | None = None  # what TLS makes of application data

    def _packet(self, side: int, flags: int, data: bytes = b"", options: bytes = b"") -> None:
        src, dst = self.ends[side], self.ends[1 - side]
        acknowledged = self.sequence[1 - side] if flags & ACK else 0
        head = (
            struct.pack(
                "!HHIIBBHHH",
                src[1],
                dst[1],
                self.sequence[side],
                acknowledged,
                (20 + len(options)) << 2,
                flags,
                64240,
                0,
                0,
            )
            + options
        )
        value = checksum(_pseudo(src[0], dst[0], TCP, head + data))
        self.net.send(src[0], dst[0], TCP, head[:16] + struct.pack("!H", value) + head[18:] + data)
        self.sequence[side] = (self.sequence[side] + len(data) + bool(flags & (SYN | FIN))) & 0xFFFFFFFF

    def syn(self) -> None:
        if self.opened:  # again, unanswered so far
            self.sequence[0] = (self.sequence[0] - 1) & 0xFFFFFFFF
        self.opened = True
        self._packet(0, SYN, options=struct.pack("!BBH", 2, 4, MSS))

    def accept(self) -> None:
        """SYN ACK and ACK."""
        self.accepted = True
        self._packet(1, SYN | ACK, options=struct.pack("!BBH", 2, 4, MSS))
        self._packet(0, ACK)

    def refuse(self) -> None:
        self.sequence[1] = 0
        self._packet(1, RST | ACK)
        self.closed = True

    def open(self) -> None:
        if not self.opened:
            self.syn()
        if not self.accepted:
            self.accept()

    def send(self, side: int, data: bytes) -> None:
        """Application data, sealed where the connection is."""
        self.raw(side, self.seal(side, data) if self.seal else data)

    def raw(self, side: int, data: bytes) -> None:
        for start in range(0, len(data), MSS):
            part = data[start : start + MSS]
            self._packet(side, ACK | (PSH if start + MSS >= len(data) else 0), part)
        self._packet(1 - side, ACK)

    def close(self, side: int) -> None:
        if self.closed or not self.accepted:
            return
        self.closed = True
        self._packet(side, FIN | ACK)
        self._packet(1 - side, FIN | ACK)
        self._packet(side, ACK)
