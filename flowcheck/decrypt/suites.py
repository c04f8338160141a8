"""The algorithms of IPsec by whatever name a key file or a negotiation gives them, and how each opens its bytes.

Encryption: RFC 2410 NULL, RFC 2451 3DES-CBC, RFC 2405 DES-CBC, RFC 3602 AES-CBC, RFC 3686 AES-CTR, RFC 4106 and 5282
AES-GCM, RFC 4309 AES-CCM, RFC 4543 GMAC, RFC 5529 Camellia-CBC, RFC 7634 ChaCha20-Poly1305, RFC 8750 implicit IVs.
Integrity: RFC 2403, 2404, 4868 HMAC, RFC 3566 AES-XCBC, RFC 4494 AES-CMAC. `cryptography` is imported at the first use.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from typing import NamedTuple


class Unfit(Exception):
    """The bytes do not open with this key."""


Opener = Callable[[bytes, bytes, bytes], bytes]      # (iv, ciphertext with tag, associated data) -> plaintext, or Unfit


class Encryption(NamedTuple):
    name: str
    key_sizes: tuple[int, ...]        # octets, without salt
    salt: int                         # octets of the key that are not the cipher's (nonce, salt)
    iv: int
    block: int
    tag: int                          # octets of the tag; 0 where another algorithm protects the packet
    opener: Callable[[bytes, int], Opener]     # (key with salt, tag) -> what opens packets; ValueError on a bad key
    implicit: bool = False            # the IV is the sequence number and not sent (RFC 8750)


class Integrity(NamedTuple):
    name: str
    size: int                         # octets sent with the packet
    mac: Callable[[bytes, bytes], bytes] | None     # (key, data) -> the whole MAC; None: cannot be checked


# ------------------------------------------------------------------------------------------------ encryption

def _null(key: bytes, tag: int) -> Opener:
    return lambda iv, data, aad: data


def _blocks(algorithm: str) -> Callable[[bytes, int], Opener]:
    def opener(key: bytes, tag: int) -> Opener:
        from cryptography.hazmat.primitives.ciphers import Cipher, modes

        cipher_key = _block_cipher(algorithm, key)

        def open_(iv: bytes, data: bytes, aad: bytes) -> bytes:
            if not data or len(data) % len(iv):
                raise Unfit("the sealed part is not a whole number of cipher blocks")
            decryptor = Cipher(cipher_key, modes.CBC(iv)).decryptor()
            return decryptor.update(data) + decryptor.finalize()
        return open_
    return opener


def _block_cipher(algorithm: str, key: bytes):
    from cryptography.hazmat.primitives.ciphers import algorithms

    if algorithm == "AES":
        return algorithms.AES(key)
    from cryptography.hazmat.decrepit.ciphers import algorithms as old

    if algorithm == "DES":
        return old.TripleDES(key * 3)
    if algorithm == "Camellia":
        return getattr(old, "Camellia", None)(key) if hasattr(old, "Camellia") else algorithms.Camellia(key)
    return getattr(old, algorithm)(key)


def _counter(key: bytes, tag: int) -> Opener:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    cipher_key, nonce = algorithms.AES(key[:-4]), key[-4:]

    def open_(iv: bytes, data: bytes, aad: bytes) -> bytes:
        decryptor = Cipher(cipher_key, modes.CTR(nonce + iv + b"\0\0\0\1")).decryptor()      # RFC 3686 4
        return decryptor.update(data) + decryptor.finalize()
    return open_


def _gcm(key: bytes, tag: int) -> Opener:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    whole, cipher_key, salt = AESGCM(key[:-4]), algorithms.AES(key[:-4]), key[-4:]

    def open_(iv: bytes, data: bytes, aad: bytes) -> bytes:
        try:
            if tag == 16:
                return whole.decrypt(salt + iv, data, aad)
            decryptor = Cipher(cipher_key, modes.GCM(salt + iv, data[-tag:], min_tag_length=8)).decryptor()
            decryptor.authenticate_additional_data(aad)
            return decryptor.update(data[:-tag]) + decryptor.finalize()
        except InvalidTag:
            raise Unfit("its tag does not verify") from None
    return open_


def _gmac(key: bytes, tag: int) -> Opener:
    whole = _gcm(key, tag)

    def open_(iv: bytes, data: bytes, aad: bytes) -> bytes:
        whole(iv, data[-tag:], aad + iv + data[:-tag])                                       # RFC 4543 3.3
        return data[:-tag]
    return open_


def _ccm(key: bytes, tag: int) -> Opener:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM

    whole, salt = AESCCM(key[:-3], tag_length=tag), key[-3:]

    def open_(iv: bytes, data: bytes, aad: bytes) -> bytes:
        try:
            return whole.decrypt(salt + iv, data, aad)
        except InvalidTag:
            raise Unfit("its tag does not verify") from None
    return open_


def _chacha(key: bytes, tag: int) -> Opener:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    whole, salt = ChaCha20Poly1305(key[:-4]), key[-4:]

    def open_(iv: bytes, data: bytes, aad: bytes) -> bytes:
        try:
            return whole.decrypt(salt + iv, data, aad)
        except InvalidTag:
            raise Unfit("its tag does not verify") from None
    return open_


_AES = (16, 24, 32)
NULL = Encryption("NULL", (0,), 0, 0, 4, 0, _null)
_CIPHERS = (      # the first pattern found in the name decides
    (r"gmac|rfc4543", Encryption("AES-GMAC", _AES, 4, 8, 4, 16, _gmac)),
    (r"gcm|rfc4106", Encryption("AES-GCM", _AES, 4, 8, 4, 16, _gcm)),
    (r"ccm|rfc4309", Encryption("AES-CCM", _AES, 3, 8, 4, 16, _ccm)),
    (r"chacha", Encryption("ChaCha20-Poly1305", (32,), 4, 8, 4, 16, _chacha)),
    (r"^(?:encr_)?null|cipher_null|^none$", NULL),
    (r"3des|tripledes|des3|des_ede", Encryption("3DES-CBC", (24,), 0, 8, 8, 0, _blocks("TripleDES"))),
    (r"camellia(?!.*ctr)", Encryption("Camellia-CBC", _AES, 0, 16, 16, 0, _blocks("Camellia"))),
    (r"cast", Encryption("CAST5-CBC", tuple(range(5, 17)), 0, 8, 8, 0, _blocks("CAST5"))),
    (r"blowfish", Encryption("Blowfish-CBC", tuple(range(4, 57)), 0, 8, 8, 0, _blocks("Blowfish"))),
    (r"ctr|rfc3686", Encryption("AES-CTR", _AES, 4, 8, 4, 0, _counter)),
    (r"aes|rijndael", Encryption("AES-CBC", _AES, 0, 16, 16, 0, _blocks("AES"))),
    (r"^(?:cbc\()?des", Encryption("DES-CBC", (8,), 0, 8, 8, 0, _blocks("DES"))))
_TAG = re.compile(r"(?:gcm|ccm)[_-](8|12|16)\b|with (8|12|16) octet|icv(8|12|16)\b|(?:gcm|ccm)_(8|12|16)_")


def encryption(name: str, tag: int | None = None) -> Encryption | None:
    """The algorithm of that name, None where it is not one of ours. `tag` overrules the tag size the name gives."""
    text = re.sub(r"\[.*?]", "", name).strip().lower()
    for pattern, found in _CIPHERS:
        if re.search(pattern, text):
            break
    else:
        return None
    if found.tag and found.name != "ChaCha20-Poly1305":
        said = _TAG.search(text)
        size = tag or (int(next(filter(None, said.groups()))) if said else found.tag)
        found = found._replace(tag=size)
    return found._replace(iv=0, implicit=True) if found.tag and "iiv" in text else found


def key_bits(name: str) -> int | None:
    """The key length that a name such as `AES_CBC_256` or `AES-GCM-128 with 16 octet ICV` tells."""
    found = re.search(r"(?<!\d)(128|192|256)(?!\d)", re.sub(r"\[.*?]", "", name))
    return int(found[1]) if found else None


# ------------------------------------------------------------------------------------------------- integrity

def _hmac(digest: str) -> Callable[[bytes, bytes], bytes]:
    return lambda key, data: hmac.digest(key, data, digest)


def _cmac(key: bytes, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.cmac import CMAC

    mac = CMAC(AES(key))
    mac.update(data)
    return mac.finalize()


def _xcbc(key: bytes, data: bytes) -> bytes:
    """RFC 3566 4: CBC-MAC with a key of its own, its last block under one of two others."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    def encrypt(under: bytes, text: bytes, mode=None) -> bytes:
        encryptor = Cipher(algorithms.AES(under), mode or modes.ECB()).encryptor()
        return encryptor.update(text) + encryptor.finalize()

    first, second, third = (encrypt(key, bytes([n]) * 16) for n in (1, 2, 3))
    whole = data and len(data) % 16 == 0
    padded = data if whole else data + b"\x80" + bytes(-(len(data) + 1) % 16)
    last = bytes(a ^ b for a, b in zip(padded[-16:], second if whole else third))
    return encrypt(first, padded[:-16] + last, modes.CBC(bytes(16)))[-16:]


NONE = Integrity("NONE", 0, None)
_MACS = (      # pattern, sizes on the wire by the number in the name, default first
    (r"xcbc", "AES-XCBC", _xcbc, (12,)), (r"cmac", "AES-CMAC", _cmac, (12, 16)),
    (r"md5", "HMAC-MD5", _hmac("md5"), (12, 16)),
    (r"sha2?[-_ ]?256", "HMAC-SHA-256", _hmac("sha256"), (16, 12)),
    (r"sha2?[-_ ]?384", "HMAC-SHA-384", _hmac("sha384"), (24,)),
    (r"sha2?[-_ ]?512", "HMAC-SHA-512", _hmac("sha512"), (32,)),
    (r"sha", "HMAC-SHA-1", _hmac("sha1"), (12, 20)))


def integrity(name: str, size: int | None = None) -> Integrity | None:
    """The algorithm of that name, None where it is not one of ours. `size` (octets) overrules what the name says."""
    text = re.sub(r"\[.*?]", "", name).strip().lower().removeprefix("auth_").removeprefix("hmac_sha2_prf")
    if text in ("", "null", "none"):
        return NONE
    unchecked = re.search(r"any[ _-]*(\d+)", text)
    if unchecked:
        return Integrity(f"ANY {unchecked[1]} bit", int(unchecked[1]) // 8, None)
    if re.search(r"ripemd|rmd160", text):
        return Integrity("MAC-RIPEMD-160-96", 12, None)         # not in every OpenSSL: as if its key were unknown
    for pattern, label, mac, sizes in _MACS:
        if re.search(pattern, text):
            named = [s for s in sizes if re.search(rf"(?<!\d){s * 8}$", text)]
            octets = size or (named or sizes)[0]
            return Integrity(f"{label}-{octets * 8}", octets, mac)
    return None


# ------------------------------------------------------------------------------------------- key derivation

_PRFS = ((r"xcbc", lambda key, data: _xcbc(_prf_key(key, _xcbc_short), data)),
         (r"cmac", lambda key, data: _cmac(_prf_key(key, _cmac_short), data)), (r"md5", _hmac("md5")),
         (r"256", _hmac("sha256")), (r"384", _hmac("sha384")), (r"512", _hmac("sha512")),
         (r"sha", _hmac("sha1")))


def _xcbc_short(key: bytes) -> bytes:
    return _xcbc(bytes(16), key)


def _cmac_short(key: bytes) -> bytes:
    return _cmac(bytes(16), key)


def _prf_key(key: bytes, shorten: Callable[[bytes], bytes]) -> bytes:
    """Keys of another length than the cipher's: padded or hashed (RFC 4434 2, RFC 4615 3)."""
    if len(key) == 16:
        return key
    return key.ljust(16, b"\0") if len(key) < 16 and shorten is _xcbc_short else shorten(key)


def prf(name: str) -> Callable[[bytes, bytes], bytes] | None:
    text = name.lower()
    return next((function for pattern, function in _PRFS if re.search(pattern, text)), None)


def prf_plus(function: Callable[[bytes, bytes], bytes], key: bytes, seed: bytes, size: int) -> bytes:
    """RFC 7296 2.13; at most 255 rounds."""
    out = block = b""
    for round_ in range(1, 256):
        if len(out) >= size:
            break
        block = function(key, block + seed + bytes([round_]))
        out += block
    return out[:size]
