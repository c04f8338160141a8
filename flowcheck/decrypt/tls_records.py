"""Takes the protection off one record: AEAD, block and stream ciphers (RFC 5246, 6.2.3; RFC 8446, 5.2).

A protection has two calls, because after missing bytes the sequence number has to be guessed: `prepare` does what
depends on the order of records only and is called once a record; `finish` checks one sequence number.
"""

from __future__ import annotations

import hmac
from typing import Any, Protocol

from .tls_suites import Suite


class Protection(Protocol):
    def prepare(self, fragment: bytes) -> Any: ...

    def finish(self, prepared: Any, sequence: int, kind: int, version: int) -> tuple[int, bytes] | None:
        """Content type and content of the record; None where the tag or MAC does not fit this sequence number."""


def _aead(suite: Suite, key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
    if suite.cipher == "AES_CCM":
        return AESCCM(key, suite.tag)
    return AESGCM(key) if suite.cipher == "AES_GCM" else ChaCha20Poly1305(key)


def _nonce(iv: bytes, sequence: int) -> bytes:
    """RFC 7905, 2 and RFC 8446, 5.3: the IV with the sequence number laid over its end."""
    return (int.from_bytes(iv, "big") ^ sequence).to_bytes(12, "big")


class Aead:
    """TLS 1.2 and DTLS 1.2 (RFC 5288, RFC 6655, RFC 7905)."""

    def __init__(self, suite: Suite, key: bytes, salt: bytes):
        from cryptography.exceptions import InvalidTag
        self.cipher, self.suite, self.salt, self.wrong = _aead(suite, key), suite, salt, InvalidTag

    def prepare(self, fragment: bytes) -> bytes:
        return fragment

    def finish(self, fragment: bytes, sequence: int, kind: int, version: int) -> tuple[int, bytes] | None:
        explicit = self.suite.explicit
        size = len(fragment) - explicit - self.suite.tag
        if size < 0:
            return None
        nonce = self.salt + fragment[:explicit] if explicit else _nonce(self.salt, sequence)
        associated = sequence.to_bytes(8, "big") + bytes((kind, version >> 8, version & 0xFF)) + size.to_bytes(2, "big")
        try:
            return kind, self.cipher.decrypt(nonce, fragment[explicit:], associated)
        except self.wrong:
            return None


class Aead13:
    """TLS 1.3: the content type is behind the content, zeros for padding behind that (RFC 8446, 5.4)."""

    def __init__(self, suite: Suite, key: bytes, iv: bytes):
        from cryptography.exceptions import InvalidTag
        self.cipher, self.tag, self.iv, self.wrong = _aead(suite, key), suite.tag, iv, InvalidTag

    def prepare(self, fragment: bytes) -> bytes:
        return fragment

    def finish(self, fragment: bytes, sequence: int, kind: int, version: int) -> tuple[int, bytes] | None:
        if len(fragment) <= self.tag:
            return None
        associated = bytes((kind, version >> 8, version & 0xFF)) + len(fragment).to_bytes(2, "big")
        try:
            inner = self.cipher.decrypt(_nonce(self.iv, sequence), fragment, associated).rstrip(b"\0")
        except self.wrong:
            return None
        return (inner[-1], inner[:-1]) if inner else None


class _Mac:
    """HMAC over sequence number, header and content (RFC 5246, 6.2.3.1)."""

    def __init__(self, name: str, key: bytes):
        self.name, self.key = name, key
        self.size = hmac.new(key, digestmod=name).digest_size

    def fits(self, mac: bytes, sequence: int, kind: int, version: int, content: bytes) -> bool:
        header = (sequence.to_bytes(8, "big") + bytes((kind, version >> 8, version & 0xFF))
                  + len(content).to_bytes(2, "big"))
        return hmac.compare_digest(mac, hmac.digest(self.key, header + content, self.name))


def _old_cipher(name: str) -> Any:
    """3DES and RC4 have moved within the library."""
    from cryptography.hazmat.primitives.ciphers import algorithms
    try:
        from cryptography.hazmat.decrepit.ciphers import algorithms as old
    except ImportError:
        return getattr(algorithms, name)
    return getattr(old, name, None) or getattr(algorithms, name)


class Block:
    """CBC. TLS 1.0 chains records (RFC 2246, 6.2.3.2); later each brings its IV. MAC inside, or around (RFC 7366)."""

    def __init__(self, suite: Suite, key: bytes, iv: bytes, mac_key: bytes, *, chained: bool, encrypt_then_mac: bool):
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        algorithm = algorithms.AES(key) if suite.cipher == "AES_CBC" else _old_cipher("TripleDES")(key)
        self.decryptor = lambda iv: Cipher(algorithm, modes.CBC(iv)).decryptor()
        self.block, self.chain = suite.block, iv if chained else None
        self.mac, self.outside = _Mac(suite.mac, mac_key), encrypt_then_mac
        self.verified = -1                 # sequence number of the last record whose outer MAC fitted

    def prepare(self, fragment: bytes) -> tuple[bytes, bytes | None, bytes]:
        """What an outer MAC covers, that MAC, and the decrypted octets with their padding."""
        sealed, mac = fragment, None
        if self.outside:
            sealed, mac = fragment[:-self.mac.size], fragment[-self.mac.size:]
        if self.chain is None:
            iv, blocks = sealed[:self.block], sealed[self.block:]
        else:
            iv, blocks = self.chain, sealed
            self.chain = blocks[-self.block:] if len(blocks) >= self.block else self.chain
        if not blocks or len(blocks) % self.block or len(iv) != self.block:
            return sealed, mac, b""
        decryptor = self.decryptor(iv)
        return sealed, mac, decryptor.update(blocks) + decryptor.finalize()

    def finish(self, prepared: tuple[bytes, bytes | None, bytes], sequence: int, kind: int,
               version: int) -> tuple[int, bytes] | None:
        sealed, mac, plain = prepared
        if mac is not None and not self._fits_outside(mac, sequence, kind, version, sealed):
            return None
        padding = plain[-1] + 1 if plain else 0
        if not plain or padding > len(plain) or plain[-padding:] != plain[-1:] * padding:
            return None
        content = plain[:-padding]
        return (kind, content) if mac is not None else _inside(self.mac, content, sequence, kind, version)

    def _fits_outside(self, mac: bytes, sequence: int, kind: int, version: int, sealed: bytes) -> bool:
        """An outer MAC does not cover a chained IV: it is only known where the record before was there."""
        if not self.mac.fits(mac, sequence, kind, version, sealed):
            return False
        follows, self.verified = sequence == self.verified + 1, sequence
        return follows or self.chain is None


def _inside(mac: _Mac, content: bytes, sequence: int, kind: int, version: int) -> tuple[int, bytes] | None:
    size = len(content) - mac.size
    if size < 0 or not mac.fits(content[size:], sequence, kind, version, content[:size]):
        return None
    return kind, content[:size]


class Stream:
    """RC4, and the suites without encryption."""

    def __init__(self, suite: Suite, key: bytes, mac_key: bytes):
        self.mac, self.decryptor = _Mac(suite.mac, mac_key), None
        if suite.cipher == "RC4":
            from cryptography.hazmat.primitives.ciphers import Cipher
            self.decryptor = Cipher(_old_cipher("ARC4")(key), None).decryptor()

    def prepare(self, fragment: bytes) -> bytes:
        return self.decryptor.update(fragment) if self.decryptor else fragment

    def finish(self, plain: bytes, sequence: int, kind: int, version: int) -> tuple[int, bytes] | None:
        return _inside(self.mac, plain, sequence, kind, version)
