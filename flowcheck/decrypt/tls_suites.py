"""Which cipher suites can be opened, and with what: bulk cipher, MAC and PRF hash of each (IANA "TLS Cipher Suites").

RFC 2246, 5246 (RC4, 3DES, AES-CBC), 5288/5289 (GCM), 6655/7251 (CCM), 7905 (ChaCha20-Poly1305), 5487/5489 (PSK),
8446 (TLS 1.3). How the key was exchanged does not matter here, but for RSA, where a server's private key is enough.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple


class Suite(NamedTuple):
    cipher: str         # AES_CBC, 3DES_CBC, AES_GCM, AES_CCM, CHACHA20, RC4, NULL
    key: int            # octets of the key
    block: int          # octets of a cipher block, 0 where there are none
    salt: int           # octets of the fixed part of the nonce
    explicit: int       # octets of the nonce that TLS 1.2 sends with each record
    tag: int            # octets of the tag of an AEAD cipher, 0 for the others
    mac: str            # hash of the HMAC, empty for an AEAD cipher
    prf: str            # hash of the PRF of TLS 1.2 and of the HKDF of TLS 1.3


_GROUPS = (
    (Suite("NULL", 0, 0, 0, 0, 0, "md5", "sha256"), "0001"),
    (Suite("NULL", 0, 0, 0, 0, 0, "sha1", "sha256"), "0002 002C 002D 002E C001 C006 C00B C010 C015 C039"),
    (Suite("NULL", 0, 0, 0, 0, 0, "sha256", "sha256"), "003B 00B0 00B4 00B8 C03A"),
    (Suite("NULL", 0, 0, 0, 0, 0, "sha384", "sha384"), "00B1 00B5 00B9 C03B"),
    (Suite("RC4", 16, 0, 0, 0, 0, "md5", "sha256"), "0004 0018"),
    (Suite("RC4", 16, 0, 0, 0, 0, "sha1", "sha256"), "0005 0066 008A 008E 0092 C002 C007 C00C C011 C016 C033"),
    (Suite("3DES_CBC", 24, 8, 0, 0, 0, "sha1", "sha256"),
     "000A 000D 0010 0013 0016 001B 008B 008F 0093 C003 C008 C00D C012 C017 C01A C01B C01C C034"),
    (Suite("AES_CBC", 16, 16, 0, 0, 0, "sha1", "sha256"),
     "002F 0030 0031 0032 0033 0034 008C 0090 0094 C004 C009 C00E C013 C018 C01D C01E C01F C035"),
    (Suite("AES_CBC", 16, 16, 0, 0, 0, "sha256", "sha256"),
     "003C 003E 003F 0040 0067 006C 00AE 00B2 00B6 C023 C025 C027 C029 C037"),
    (Suite("AES_CBC", 32, 16, 0, 0, 0, "sha1", "sha256"),
     "0035 0036 0037 0038 0039 003A 008D 0091 0095 C005 C00A C00F C014 C019 C020 C021 C022 C036"),
    (Suite("AES_CBC", 32, 16, 0, 0, 0, "sha256", "sha256"), "003D 0068 0069 006A 006B 006D"),
    (Suite("AES_CBC", 32, 16, 0, 0, 0, "sha384", "sha384"), "00AF 00B3 00B7 C024 C026 C028 C02A C038"),
    (Suite("AES_GCM", 16, 0, 4, 8, 16, "", "sha256"),
     "009C 009E 00A0 00A2 00A4 00A6 00A8 00AA 00AC 1301 C02B C02D C02F C031 C0B0 D001"),
    (Suite("AES_GCM", 32, 0, 4, 8, 16, "", "sha384"),
     "009D 009F 00A1 00A3 00A5 00A7 00A9 00AB 00AD 1302 C02C C02E C030 C032 C0B1 D002"),
    (Suite("AES_CCM", 16, 0, 4, 8, 16, "", "sha256"), "1304 C09C C09E C0A4 C0A6 C0AC C0B2 D005"),
    (Suite("AES_CCM", 16, 0, 4, 8, 8, "", "sha256"), "1305 C0A0 C0A2 C0A8 C0AA C0AE C0FF D003"),
    (Suite("AES_CCM", 32, 0, 4, 8, 16, "", "sha256"), "C09D C09F C0A5 C0A7 C0AD"),
    (Suite("AES_CCM", 32, 0, 4, 8, 16, "", "sha384"), "C0B3"),
    (Suite("AES_CCM", 32, 0, 4, 8, 8, "", "sha256"), "C0A1 C0A3 C0A9 C0AB C0AF"),
    (Suite("CHACHA20", 32, 0, 12, 0, 16, "", "sha256"), "1303 CCA8 CCA9 CCAA CCAB CCAC CCAD CCAE"),
)

# Suites of TLS_RSA_WITH_*: the client sends the premaster secret encrypted with the server's key (RFC 5246, 7.4.7.1).
RSA = frozenset(int(code, 16) for code in
                "0001 0002 0004 0005 000A 002F 0035 003B 003C 003D 009C 009D C09C C09D C0A0 C0A1".split())


@cache
def _table() -> dict[int, Suite]:
    return {int(code, 16): suite for suite, codes in _GROUPS for code in codes.split()}


def suite(number: int) -> Suite | None:
    """What a suite is made of; None for one that cannot be opened."""
    return _table().get(number)
