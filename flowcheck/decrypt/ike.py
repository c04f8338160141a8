"""Opens the sealed part of IKEv2 messages (RFC 7296 3.14, RFC 5282 for combined modes, RFC 7383 for fragments)."""

from __future__ import annotations

import hmac
from typing import NamedTuple

from .suites import Encryption, Integrity, Opener, Unfit

_FROM_INITIATOR = 0x08      # flag octet 19 of the header: sent by the original initiator


class IkeKey(NamedTuple):
    """The keys of one IKE SA. SPIs are None where a log names the keys only; then the integrity check finds the SA."""

    spi_i: bytes | None
    spi_r: bytes | None
    sk_ei: bytes                 # with the salt behind it
    sk_er: bytes
    encryption: Encryption
    sk_ai: bytes
    sk_ar: bytes
    integrity: Integrity
    origin: str
    sk_d: bytes = b""
    prf: str = ""


class OpenedIke(NamedTuple):
    """The payloads that were sealed, or (`data` None) why they stay so."""

    data: bytes | None
    refused: str = ""
    origin: str = ""            # where the key that opened it was read


def open_sealed(key: IkeKey, header: bytes, message: bytes) -> bytes:
    """The payloads inside. `header` is the message up to where the IV begins. Raises Unfit.

    Nothing is decrypted before its integrity check value verifies.
    """
    from_initiator = message[19] & _FROM_INITIATOR
    suite, cipher_key = key.encryption, key.sk_ei if from_initiator else key.sk_er
    start = len(header) + suite.iv
    tag = suite.tag or key.integrity.size
    if len(message) < start + tag + 1:
        raise Unfit("it is too short for its algorithm")
    iv = message[len(header):start]
    if suite.implicit:
        raise Unfit("implicit IVs are not for IKE")
    if suite.tag:
        plain = _opener(suite, cipher_key)(iv, message[start:], header)
    else:
        if key.integrity.mac is None:
            raise Unfit("the keys name no integrity algorithm to verify it with")
        mac = key.integrity.mac(key.sk_ai if from_initiator else key.sk_ar, message[:-tag])[:tag]
        if not hmac.compare_digest(mac, message[-tag:]):
            raise Unfit("its integrity check value does not verify")
        plain = _opener(suite, cipher_key)(iv, message[start:-tag], b"")
    size = len(plain) - 1 - plain[-1] if plain else -1
    if size < 0:
        raise Unfit("its padding is longer than the message")
    return plain[:size]


def _opener(suite: Encryption, key: bytes) -> Opener:
    if len(key) - suite.salt not in suite.key_sizes:
        raise Unfit(f"the key does not have the length {suite.name} needs")
    return suite.opener(key, suite.tag)
