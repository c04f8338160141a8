"""SSH up to its keys (RFC 4253) and what follows as sealed octets; `disconnect` before them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random

PORT = 22
DISCONNECT, KEXINIT, NEWKEYS, KEX_INIT, KEX_REPLY = 1, 20, 21, 30, 31
LONGEST = 1280
LISTS = (
    "curve25519-sha256",
    "ssh-ed25519",
    "aes256-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-256",
    "none",
    "none",
    "",
    "",
)


def version(software: str) -> bytes:
    return f"SSH-2.0-{software}\r\n".encode()


def _text(data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + data


def _packet(body: bytes, random: Random) -> bytes:
    """A binary packet in clear (6); at least four octets of padding, whole blocks of eight."""
    padding = 8 - (5 + len(body)) % 8
    padding += 8 if padding < 4 else 0
    return struct.pack("!IB", 1 + len(body) + padding, padding) + body + random.randbytes(padding)


def kexinit(random: Random) -> bytes:
    lists = b"".join(_text(names.encode()) for names in LISTS)
    return _packet(bytes((KEXINIT,)) + random.randbytes(16) + lists + bytes(5), random)


def exchange(random: Random) -> bytes:
    """The client's key of ECDH (RFC 5656 4)."""
    return _packet(bytes((KEX_INIT,)) + _text(random.randbytes(32)), random)


def reply(random: Random) -> bytes:
    host = _text(_text(b"ssh-ed25519") + _text(random.randbytes(32)))
    signature = _text(_text(b"ssh-ed25519") + _text(random.randbytes(64)))
    return _packet(bytes((KEX_REPLY,)) + host + _text(random.randbytes(32)) + signature, random)


def newkeys(random: Random) -> bytes:
    return _packet(bytes((NEWKEYS,)), random)


def disconnect(random: Random, reason: int = 3) -> bytes:
    return _packet(struct.pack("!BI", DISCONNECT, reason) + _text(b"no") + _text(b""), random)


def sealed(random: Random, size: int) -> Iterator[bytes]:
    """Packets of AES-GCM with that many octets: their length is in clear, their tag behind them (RFC 5647 7.3)."""
    while size > 0:
        length = min(size + -size % 16, LONGEST)
        yield struct.pack("!I", length) + random.randbytes(length + 16)
        size -= length
