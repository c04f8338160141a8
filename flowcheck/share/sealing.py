"""Seals again what a key opened: ESP packets (RFC 4303) and IKEv2 messages (RFC 7296 3.14), changed but as long.

The same key, IV and sequence number are used again. That would be wrong on the wire; here the one message replaces the
other, and whoever holds both captures holds the content of both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..decrypt.suites import Unfit

Change = Callable[[bytes], bytes]                 # of the same length

_CBC = {"AES-CBC": "AES", "3DES-CBC": "TripleDES", "Camellia-CBC": "Camellia", "CAST5-CBC": "CAST5",
        "Blowfish-CBC": "Blowfish", "DES-CBC": "DES"}


def encrypt(suite: Any, key: bytes, tag: int, iv: bytes, plain: bytes, associated: bytes) -> bytes:
    """The ciphertext, with its tag where the algorithm has one. Raises Unfit where it is none of those known here."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
    if suite.name == "NULL":
        return plain
    if suite.name in _CBC:
        from ..decrypt.suites import _block_cipher
        encryptor = Cipher(_block_cipher(_CBC[suite.name], key), modes.CBC(iv)).encryptor()
    elif suite.name == "AES-CTR":
        encryptor = Cipher(algorithms.AES(key[:-4]), modes.CTR(key[-4:] + iv + b"\0\0\0\1")).encryptor()
    elif suite.name == "AES-GCM":
        sealed = AESGCM(key[:-4]).encrypt(key[-4:] + iv, plain, associated)
        return sealed[:len(plain) + tag]                        # a short tag is the beginning of the long one
    elif suite.name == "AES-CCM":
        return AESCCM(key[:-3], tag_length=tag).encrypt(key[-3:] + iv, plain, associated)
    elif suite.name == "ChaCha20-Poly1305":
        return ChaCha20Poly1305(key[:-4]).encrypt(key[-4:] + iv, plain, associated)
    else:
        raise Unfit(f"{suite.name} is not sealed again")
    return encryptor.update(plain) + encryptor.finalize()


def esp(data: bytes, trial: Any, high: int | None, change: Change) -> bytes:
    """An ESP packet with other content. `trial` is how it was opened, `high` the upper half of its sequence number."""
    suite, size, start = trial.key.encryption, trial.size, 8 + trial.key.encryption.iv
    upper = b"" if high is None else high.to_bytes(4, "big")
    if suite.tag:
        iv = (upper.rjust(4, b"\0") + data[4:8]) if suite.implicit else data[8:start]
        associated = data[:4] + upper + data[4:8]
        plain = trial.opener(iv, data[start:], associated)
        return data[:start] + encrypt(suite, trial.key.key, size, iv, _changed(plain, change), associated)
    end = len(data) - size
    plain = trial.opener(data[8:start], data[start:end], b"")
    sealed = data[:start] + encrypt(suite, trial.key.key, 0, data[8:start], _changed(plain, change), b"")
    if trial.verified:
        return sealed + trial.key.integrity.mac(trial.key.integrity_key, sealed + upper)[:size]
    return sealed + data[end:]                                  # its integrity key is not known; nobody here checks it


def _changed(plain: bytes, change: Change) -> bytes:
    end = len(plain) - 2 - plain[-2]
    return change(plain[:end]) + plain[end:]


def ike(message: bytes, at: int, key: Any, change: Change) -> bytes:
    """An IKE message whose sealed payload's IV begins at `at`, with other content. Raises Unfit where it stays shut."""
    from_initiator = message[19] & 0x08
    suite, secret = key.encryption, key.sk_ei if from_initiator else key.sk_er
    start, tag = at + suite.iv, suite.tag or key.integrity.size
    iv = message[at:start]
    opener = suite.opener(secret, suite.tag)
    if suite.tag:
        plain = opener(iv, message[start:], message[:at])
        return message[:start] + encrypt(suite, secret, suite.tag, iv, _payloads(plain, change), message[:at])
    plain = opener(iv, message[start:-tag], b"")
    sealed = message[:start] + encrypt(suite, secret, 0, iv, _payloads(plain, change), b"")
    return sealed + key.integrity.mac(key.sk_ai if from_initiator else key.sk_ar, sealed)[:tag]


def _payloads(plain: bytes, change: Change) -> bytes:
    end = len(plain) - 1 - plain[-1]
    if end < 0:
        raise Unfit("its padding is longer than the message")
    return change(plain[:end]) + plain[end:]
