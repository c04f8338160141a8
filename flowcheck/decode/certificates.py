"""X.509 certificates (RFC 5280) as TLS and IKE carry them: what one says, and what is wrong with a chain.

`describe` reads the DER itself. It wants a few fields of certificates that may be cut, odd or old, and a library that
refuses a whole certificate for one of its extensions would lose the name and the dates that a verdict needs.
Signatures are not verified here: that needs the trust anchors of the peer, which a capture does not hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from . import _der
from .wire import Cursor, Short, remembered

_LARGEST = 1 << 17

_SIGNATURES = {   # RFC 3279, 4055, 5758, 8410
    "1.2.840.113549.1.1.2": "md2WithRSAEncryption", "1.2.840.113549.1.1.4": "md5WithRSAEncryption",
    "1.2.840.113549.1.1.5": "sha1WithRSAEncryption", "1.2.840.113549.1.1.10": "rsassaPss",
    "1.2.840.113549.1.1.11": "sha256WithRSAEncryption", "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
    "1.2.840.113549.1.1.13": "sha512WithRSAEncryption", "1.2.840.113549.1.1.14": "sha224WithRSAEncryption",
    "1.2.840.10040.4.3": "dsa-with-sha1", "2.16.840.1.101.3.4.3.2": "dsa-with-sha256",
    "1.2.840.10045.4.1": "ecdsa-with-SHA1", "1.2.840.10045.4.3.1": "ecdsa-with-SHA224",
    "1.2.840.10045.4.3.2": "ecdsa-with-SHA256", "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
    "1.2.840.10045.4.3.4": "ecdsa-with-SHA512", "1.3.101.112": "Ed25519", "1.3.101.113": "Ed448"}
_KEYS = {"1.2.840.113549.1.1.1": "RSA", "1.2.840.113549.1.1.10": "RSA-PSS", "1.2.840.10045.2.1": "EC",
         "1.2.840.10040.4.1": "DSA", "1.3.101.110": "X25519", "1.3.101.112": "Ed25519", "1.3.101.113": "Ed448"}
_CURVES = {"1.2.840.10045.3.1.1": ("secp192r1", 192), "1.3.132.0.33": ("secp224r1", 224),
           "1.2.840.10045.3.1.7": ("secp256r1", 256), "1.3.132.0.10": ("secp256k1", 256),
           "1.3.132.0.34": ("secp384r1", 384), "1.3.132.0.35": ("secp521r1", 521),
           "1.3.36.3.3.2.8.1.1.7": ("brainpoolP256r1", 256), "1.3.36.3.3.2.8.1.1.11": ("brainpoolP384r1", 384),
           "1.3.36.3.3.2.8.1.1.13": ("brainpoolP512r1", 512)}
_KEY_USAGE = ("digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
              "keyCertSign", "cRLSign", "encipherOnly", "decipherOnly")
_EXTENDED_USAGE = {"1.3.6.1.5.5.7.3.1": "serverAuth", "1.3.6.1.5.5.7.3.2": "clientAuth",
                   "1.3.6.1.5.5.7.3.3": "codeSigning", "1.3.6.1.5.5.7.3.4": "emailProtection",
                   "1.3.6.1.5.5.7.3.5": "ipsecEndSystem", "1.3.6.1.5.5.7.3.6": "ipsecTunnel",
                   "1.3.6.1.5.5.7.3.7": "ipsecUser", "1.3.6.1.5.5.7.3.8": "timeStamping",
                   "1.3.6.1.5.5.7.3.9": "OCSPSigning", "1.3.6.1.5.5.7.3.17": "ipsecIKE",
                   "2.5.29.37.0": "anyExtendedKeyUsage"}
_WEAK_HASHES = ("md2", "md5", "sha1", "SHA1")
_SMALLEST_KEY = {"RSA": 2048, "RSA-PSS": 2048, "DSA": 2048, "EC": 224}   # bits; NIST SP 800-131A


def describe(der: bytes) -> dict[str, Any]:
    """What a certificate says, in values that JSON can hold; {"error": text, ...} with what was read, where it is odd.

    `serial` is hexadecimal without leading zeros; `not_before` and `not_after` are ISO 8601 in UTC; `san` lists DNS
    names, addresses, URIs and mail addresses as text; `key` is the key's algorithm and `key_size` its bits; `key_sha1` is
    the SHA-1 of SubjectPublicKeyInfo, by which an IKE CERTREQ names a CA (RFC 7296 3.7).
    """
    if len(der) > _LARGEST:
        return {"error": "larger than a certificate may be", "size": len(der)}
    return dict(_described(bytes(der)))


@lru_cache(maxsize=256)
def _described(der: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {"subject_cn": None, "issuer_cn": None, "san": []}
    try:
        _read(_der.expect(Cursor(der), _der.SEQUENCE), found)
    except Short as short:
        found["error"] = f"not DER of a certificate at octet {short.offset}"
    found["sha256"] = hashlib.sha256(der).hexdigest()
    return found


def name(der: bytes) -> str:
    """An X.501 Name in DER as text, in the order of the certificate: `C=AA, O=Example, CN=host`."""
    try:
        return _text(_der.attributes(_der.expect(Cursor(der), _der.SEQUENCE)))
    except Short:
        return der[:256].hex()


def _text(attributes: list[tuple[str, str]]) -> str:
    return ", ".join(f"{kind}={value}" for kind, value in attributes)


def _party(der: bytes, at: int) -> tuple[str, str | None]:
    """Issuer or subject, found at octet `at`, and its last CN, which is the most specific one."""
    try:
        return _text_and_common(der)
    except Short as short:
        raise Short(at + short.offset, short.wanted) from None


@remembered(256)
def _text_and_common(der: bytes) -> tuple[str, str | None]:
    attributes = _der.attributes(_der.expect(Cursor(der), _der.SEQUENCE))
    return _text(attributes), next((value for kind, value in reversed(attributes) if kind == "CN"), None)


def _read(certificate: Cursor, found: dict[str, Any]) -> None:
    """RFC 5280, 4.1. Fields are put into `found` one by one, so that those before an odd one survive."""
    body = _der.expect(certificate, _der.SEQUENCE)
    tag, content = _der.element(body)
    found["version"] = 1
    if tag == 0xA0:
        found["version"] = _integer(_der.expect(content, _der.INTEGER)) + 1
        content = _der.expect(body, _der.INTEGER)
    found["serial"] = f"{abs(_integer(content)):x}"
    algorithm = _der.oid(_der.expect(_der.expect(body, _der.SEQUENCE), _der.OID).rest())
    found["signature_algorithm"] = _SIGNATURES.get(algorithm, algorithm)
    issuer_at = body.offset
    _der.expect(body, _der.SEQUENCE)
    issuer = body.data[issuer_at:body.offset]
    found["issuer"], found["issuer_cn"] = _party(issuer, issuer_at)
    validity = _der.expect(body, _der.SEQUENCE)
    found["not_before"] = _der.time(validity)
    found["not_after"] = _der.time(validity)
    subject_at = body.offset
    _der.expect(body, _der.SEQUENCE)
    subject = body.data[subject_at:body.offset]
    found["self_signed"] = subject == issuer
    found["subject"], found["subject_cn"] = _party(subject, subject_at)
    key_at = body.offset
    info = _der.expect(body, _der.SEQUENCE)
    found["key_sha1"] = hashlib.sha1(body.data[key_at:body.offset], usedforsecurity=False).hexdigest()
    _key(info, found)
    found["is_ca"] = False
    for tag, content in _der.elements(body):
        if tag == 0xA3:
            _extensions(_der.expect(content, _der.SEQUENCE), found)


def _integer(content: Cursor) -> int:
    return int.from_bytes(content.rest()[:4096], "big", signed=True)


def _key(info: Cursor, found: dict[str, Any]) -> None:
    algorithm = _der.expect(info, _der.SEQUENCE)
    kind = _der.oid(_der.expect(algorithm, _der.OID).rest())
    found["key"] = _KEYS.get(kind, kind)
    bits = _der.expect(info, _der.BIT_STRING)
    bits.u8()
    if found["key"] in ("RSA", "RSA-PSS"):
        modulus = _der.expect(_der.expect(bits, _der.SEQUENCE), _der.INTEGER)
        found["key_size"] = _integer(modulus).bit_length()
    elif found["key"] == "EC" and algorithm.left:
        tag, curve = _der.element(algorithm)
        if tag == _der.OID:
            number = _der.oid(curve.rest())
            found["curve"], found["key_size"] = _CURVES.get(number, (number, None))
    elif found["key"] == "DSA" and algorithm.left:
        found["key_size"] = _integer(_der.expect(_der.expect(algorithm, _der.SEQUENCE), _der.INTEGER)).bit_length()


def _extensions(block: Cursor, found: dict[str, Any]) -> None:
    for _, extension in _der.elements(block):
        number = _der.oid(_der.expect(extension, _der.OID).rest())
        tag, value = _der.element(extension)
        if tag == 0x01:                           # critical
            tag, value = _der.element(extension)
        reader = _EXTENSIONS.get(number)
        if reader:
            try:
                reader(value, found)
            except Short as short:
                found.setdefault("error", f"extension {number} is not readable at octet {short.offset}")


def _alternative_names(value: Cursor, found: dict[str, Any]) -> None:
    names = found["san"]
    for tag, content in _der.elements(_der.expect(value, _der.SEQUENCE)):
        octets = content.rest()
        if tag in (0x81, 0x82, 0x86):             # rfc822Name, dNSName, uniformResourceIdentifier
            names.append(_der.text(0x16, octets))
        elif tag == 0x87 and len(octets) in (4, 16):
            names.append(str(ip_address(octets)))


def _constraints(value: Cursor, found: dict[str, Any]) -> None:
    content = _der.expect(value, _der.SEQUENCE)
    if content.left:
        tag, flag = _der.element(content)
        found["is_ca"] = tag == 0x01 and any(flag.rest())


def _usage(value: Cursor, found: dict[str, Any]) -> None:
    bits = _der.expect(value, _der.BIT_STRING)
    bits.u8()
    octets = bits.rest()
    found["key_usage"] = [use for i, use in enumerate(_KEY_USAGE)
                          if i // 8 < len(octets) and octets[i // 8] & 0x80 >> i % 8]


def _extended(value: Cursor, found: dict[str, Any]) -> None:
    numbers = [_der.oid(content.rest()) for _, content in _der.elements(_der.expect(value, _der.SEQUENCE))]
    found["extended_key_usage"] = [_EXTENDED_USAGE.get(n, n) for n in numbers]


_EXTENSIONS = {"2.5.29.15": _usage, "2.5.29.17": _alternative_names, "2.5.29.19": _constraints, "2.5.29.37": _extended}


# ---------------------------------------------------------------------------------------------------- a chain

def faults(chain: Sequence[dict[str, Any]], name: str | None, at: int) -> list[dict[str, Any]]:
    """What is wrong with a chain of `describe`d certificates, leaf first, for a host name at a time (ns).

    Each is {"fault", "certificate" (index in the chain), "text"}, where `fault` is one of `unreadable`,
    `name_mismatch`, `expired`, `not_yet_valid`, `self_signed`, `chain_order`, `weak_key`, `weak_signature`,
    `no_server_auth`. A chain that leaves out its root is in order (RFC 5246, 7.4.2). Without a name, names are not
    looked at.
    """
    found = []

    def add(fault: str, index: int, text: str) -> None:
        found.append({"fault": fault, "certificate": index, "text": text})

    now = _iso(at)
    for i, each in enumerate(chain):
        if "not_after" not in each:
            add("unreadable", i, each.get("error", "not readable"))
            continue
        if each["not_after"] < now:
            add("expired", i, f"valid until {each['not_after']}")
        if each["not_before"] > now:
            add("not_yet_valid", i, f"valid from {each['not_before']}")
        size, smallest = each.get("key_size"), _SMALLEST_KEY.get(each.get("key", ""))
        if size and smallest and size < smallest:
            add("weak_key", i, f"{each['key']} of {size} bits")
        anchor = each.get("self_signed") and i > 0       # nobody relies on the signature of a root
        if not anchor and any(weak in each.get("signature_algorithm", "") for weak in _WEAK_HASHES):
            add("weak_signature", i, each["signature_algorithm"])
        if i and each.get("subject") and chain[i - 1].get("issuer") not in (None, each["subject"]):
            add("chain_order", i, f"{each['subject']} did not issue the certificate before it")
    if chain and "subject" in chain[0]:
        leaf = chain[0]
        if leaf.get("self_signed"):
            add("self_signed", 0, f"{leaf['subject']} is its own issuer")
        if name and not matches(leaf, name):
            add("name_mismatch", 0, f"{name} is not among {', '.join(_names(leaf)) or 'no names'}")
        usage = leaf.get("extended_key_usage")
        if name and usage is not None and not {"serverAuth", "anyExtendedKeyUsage"} & set(usage):
            add("no_server_auth", 0, "extended key usage: " + ", ".join(usage))
    return found


def _iso(at: int) -> str:
    """A capture's clock can say anything; what no calendar has is put at its nearer end."""
    return _second(min(max(at // 1_000_000_000, 0), 253_402_300_799))


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _names(certificate: dict[str, Any]) -> list[str]:
    """Names to hold a host against: the SAN, and the CN only where there is no SAN (RFC 6125, 6.4.4)."""
    return list(certificate.get("san") or filter(None, [certificate.get("subject_cn")]))


def matches(certificate: dict[str, Any], host: str) -> bool:
    """Is the certificate for this name or address? A wildcard is one whole left-most label (RFC 6125, 6.4.3)."""
    host = host.strip("[]").rstrip(".").lower()
    try:
        address = ip_address(host)
    except ValueError:
        return any(_same(pattern.rstrip(".").lower(), host) for pattern in _names(certificate))
    return any(_address(each) == address for each in _names(certificate))


def _address(text: str) -> Any:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _same(pattern: str, host: str) -> bool:
    if pattern == host:
        return True
    label, _, parent = host.partition(".")
    return bool(label) and "." in parent and pattern == "*." + parent
