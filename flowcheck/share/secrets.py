"""The secrets that open an evidence capture, and no others, in the formats that Wireshark reads.

TLS secrets travel inside the pcapng (Decryption Secrets Block). There is no such block for IPsec, so its keys are
tables beside the capture, `esp_sa` and `ikev2_decryption_table`, to be copied into a Wireshark profile or given to
--keys.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from ..model import Message

# Wireshark's names; its AES-GCM takes the tag's size in the name, and the other combined modes it does not open
_ESP_CIPHERS = {"NULL": "NULL", "3DES-CBC": "TripleDES-CBC [RFC2451]", "AES-CBC": "AES-CBC [RFC3602]",
                "AES-CTR": "AES-CTR [RFC3686]", "DES-CBC": "DES-CBC [RFC2405]", "CAST5-CBC": "CAST5-CBC [RFC2144]",
                "Blowfish-CBC": "BLOWFISH-CBC [RFC2451]", "ChaCha20-Poly1305": "ChaCha20 with Poly1305 [RFC7634]"}
_ESP_MACS = {"NONE": "NULL", "HMAC-SHA-1-96": "HMAC-SHA-1-96 [RFC2404]",
             "HMAC-SHA-256-96": "HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]",
             "HMAC-SHA-256-128": "HMAC-SHA-256-128 [RFC4868]", "HMAC-SHA-384-192": "HMAC-SHA-384-192 [RFC4868]",
             "HMAC-SHA-512-256": "HMAC-SHA-512-256 [RFC4868]", "HMAC-MD5-96": "HMAC-MD5-96 [RFC2403]",
             "MAC-RIPEMD-160-96": "MAC-RIPEMD-160-96 [RFC2857]"}
_IKE_CIPHERS = {"3DES-CBC": "3DES [RFC2451]", "NULL": "NULL [RFC2410]"}
_IKE_MACS = {"HMAC-SHA-1-96": "HMAC_SHA1_96 [RFC2404]", "HMAC-SHA-256-128": "HMAC_SHA2_256_128 [RFC4868]",
             "HMAC-SHA-256-96": "HMAC_SHA2_256_96 [draft-ietf-ipsec-ciph-sha-256-00]",
             "HMAC-SHA-384-192": "HMAC_SHA2_384_192 [RFC4868]", "HMAC-SHA-512-256": "HMAC_SHA2_512_256 [RFC4868]",
             "HMAC-MD5-96": "HMAC_MD5_96 [RFC2403]", "NONE": "NONE [RFC4306]"}


def key_log(ring: Any, messages: Iterable[Message]) -> str:
    """The TLS key log lines of the connections that these messages open; empty where no key is for them."""
    randoms = {m.fields.get("random") for m in messages if m.kind in ("tls.client_hello", "dtls.client_hello")}
    rows = sorted((label, random.hex(), secret.hex()) for (label, random), secret in ring.tls.items()
                  if random.hex() in randoms or label == "RSA")
    return "".join(f"{label} {random} {secret}\n" for label, random, secret in rows)


def tables(ring: Any, spis: Collection[int], messages: Iterable[Message]) -> dict[str, str]:
    """File name and text of each table that has rows: ESP keys of these SPIs, IKE keys of the SAs in these messages."""
    pairs = {(m.fields.get("spi_i"), m.fields.get("spi_r")) for m in messages if m.protocol == "ike"}
    esp, ike = ring.held()
    ike = [key for key in ike if key.spi_i and (key.spi_i.hex(), key.spi_r.hex()) in pairs]
    found = {"esp_sa": sorted({_esp_row(key) for key in esp if key.spi is None or key.spi in spis}),
             "ikev2_decryption_table": sorted({_ike_row(key) for key in ike})}
    return {name: "\n".join(rows) + "\n" for name, rows in found.items() if rows}


def _esp_row(key: Any) -> str:
    suite, spi = key.encryption, key.pattern if key.spi is None else f"0x{key.spi:08x}"
    cipher = _ESP_CIPHERS.get(suite.name, suite.name)
    if suite.name == "AES-GCM":
        cipher = f"AES-GCM with {suite.tag} octet ICV [RFC4106]"
    family = "IPv6" if ":" in key.dst + key.src else "IPv4"
    mac = _ESP_MACS.get(key.integrity.name, key.integrity.name)
    mac = "NULL" if suite.tag else mac
    cells = (family, key.src, key.dst, spi, cipher, _hex(key.key), mac, _hex(key.integrity_key))
    return ",".join(f'"{cell}"' for cell in cells)


def _ike_row(key: Any) -> str:
    suite, bits = key.encryption, 8 * (len(key.sk_ei) - key.encryption.salt)
    if suite.tag:
        cipher = f"{suite.name}-{bits} with {suite.tag} octet ICV [RFC5282]"
    else:
        cipher = _IKE_CIPHERS.get(suite.name) or f"{suite.name}-{bits} [RFC3602]"
    mac = _IKE_MACS.get(key.integrity.name, key.integrity.name)
    cells = (key.spi_i, key.spi_r, key.sk_ei, key.sk_er, f'"{cipher}"', key.sk_ai, key.sk_ar, f'"{mac}"')
    return ",".join(cell if isinstance(cell, str) else cell.hex() for cell in cells)


def _hex(key: bytes) -> str:
    return f"0x{key.hex()}" if key else ""
