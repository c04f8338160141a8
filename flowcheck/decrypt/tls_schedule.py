"""From secrets to keys: the PRF of TLS 1.0 to 1.2 (RFC 2246, 5; RFC 5246, 5) and HKDF of TLS 1.3 (RFC 8446, 7)."""

from __future__ import annotations

import hashlib
import hmac


def _p_hash(name: str, secret: bytes, seed: bytes, size: int) -> bytes:
    out, a = b"", seed
    while len(out) < size:
        a = hmac.digest(secret, a, name)
        out += hmac.digest(secret, a + seed, name)
    return out[:size]


def prf(version: int, name: str, secret: bytes, label: bytes, seed: bytes, size: int) -> bytes:
    """`version` is that of TLS (0x0301 to 0x0303); before 1.2 MD5 and SHA-1 are mixed, `name` is not looked at."""
    if version >= 0x0303:
        return _p_hash(name, secret, label + seed, size)
    half = (len(secret) + 1) // 2
    md5 = _p_hash("md5", secret[:half], label + seed, size)
    sha = _p_hash("sha1", secret[len(secret) - half:], label + seed, size)
    return bytes(a ^ b for a, b in zip(md5, sha))


def master_secret(version: int, name: str, premaster: bytes, randoms: bytes, transcript: bytes | None) -> bytes:
    """48 octets; `transcript` holds the handshake up to ClientKeyExchange where RFC 7627 was negotiated, else None."""
    if transcript is None:
        return prf(version, name, premaster, b"master secret", randoms, 48)
    if version >= 0x0303:
        digest = hashlib.new(name, transcript).digest()
    else:
        digest = hashlib.md5(transcript).digest() + hashlib.sha1(transcript).digest()
    return prf(version, name, premaster, b"extended master secret", digest, 48)


def hkdf_expand_label(name: str, secret: bytes, label: bytes, context: bytes, size: int) -> bytes:
    """RFC 8446, 7.1 over RFC 5869, 2.3."""
    full = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes([len(full)]) + full + bytes([len(context)]) + context
    out = block = b""
    counter = 1
    while len(out) < size:
        block = hmac.digest(secret, block + info + bytes([counter]), name)
        out += block
        counter += 1
    return out[:size]


def traffic_key(name: str, secret: bytes, key: int) -> tuple[bytes, bytes]:
    """Key and IV of a traffic secret (RFC 8446, 7.3)."""
    return hkdf_expand_label(name, secret, b"key", b"", key), hkdf_expand_label(name, secret, b"iv", b"", 12)


def next_secret(name: str, secret: bytes) -> bytes:
    """The traffic secret after a KeyUpdate (RFC 8446, 7.2)."""
    return hkdf_expand_label(name, secret, b"traffic upd", b"", len(secret))
