"""The key file formats there are, each recognised by its content, not its name.

TLS key log (SSLKEYLOGFILE), PEM private keys, Wireshark's `esp_sa`, `ikev2_decryption_table` and
`ikev1_decryption_table` (as strongSwan's save-keys writes them too), `ip xfrm state`, tcpdump's ESP secrets, charon's
log at level 4, and notes of the kind "encryption key: 40ab..". Errors name file and line and never quote the line: it
holds secrets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import KeyFileError
from ._charon import charon
from ._found import Found
from .esp import EspKey
from .ike import IkeKey
from .suites import NONE, NULL, Integrity, encryption, integrity


def read(text: str, origin: str) -> Found:
    """All keys of one file. Raises KeyFileError where a line of a known format is wrong, or no format is known."""
    found = Found([], [], {}, [], {})
    if "-----BEGIN " in text:
        _pem(text, origin, found)
    elif _XFRM.search(text):
        _xfrm(text, origin, found)
    elif _CHARON.search(text):
        charon(text, origin, found)
    elif _QUIET_CHARON.search(text):             # a daemon that never got as far as keys, or was not told to write them
        found.passed_over["strongSwan log without keys (it writes them with ike and chd at level 4)"] = 1
    elif _NOTES.search(text):
        _notes(text, origin, found)
    else:
        _lines(text, origin, found)
    return found


def read_key_log(text: str, origin: str) -> Found:
    """A TLS key log that is known to be one; lines that are not understood are counted."""
    found = Found([], [], {}, [], {})
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line and not line.startswith("#") and not _tls_line(line, origin, number, found):
            found.passed_over["lines not understood"] = found.passed_over.get("lines not understood", 0) + 1
    return found


def wrong(origin: str, line: int, what: str) -> KeyFileError:
    return KeyFileError(f"{origin}:{line}: {what}")


_XFRM = re.compile(r"^src \S+ dst \S+\s*\n\s+proto \w+ spi", re.M)
_CHARON = re.compile(r"\bSk_(?:d|ai|ar|ei|er) secret => \d+ bytes"
                     r"|\b(?:encryption|integrity) (?:initiator|responder) key => \d+ bytes", re.I)
_QUIET_CHARON = re.compile(r"^(?:.*\s)?\d\d\[(?:DMN|LIB|CFG|NET|ENC|IKE|KNL|CHD|JOB|MGR)\] ", re.M)
_NOTES = re.compile(r"^(?:ESP SPI 0x[0-9a-f]+|IKEv2 SA)\b", re.M | re.I)


# ---------------------------------------------------------------------------------------------- line by line

_TLS = re.compile(r"([A-Z][A-Z0-9_]+) ([0-9a-fA-F]{64}) ([0-9a-fA-F]{2,})$")
_TLS_RSA = re.compile(r"RSA ([0-9a-fA-F]{16}) ([0-9a-fA-F]{96})$")
_TLS_SESSION = re.compile(r"RSA Session-ID:[0-9a-fA-F]* Master-Key:[0-9a-fA-F]+$")
_SPI16 = re.compile(r"[0-9a-fA-F]{16}$")
_TCPDUMP = re.compile(r"(0x[0-9a-fA-F]+)@(\S+)\s+([\w-]+):(?:0x)?([0-9a-fA-F]*)$")
_UAT = re.compile(r'^"?(?:-o\s+)?"?uat:\w+:')


def _lines(text: str, origin: str, found: Found) -> None:
    understood, first_unknown = 0, 0
    for number, line in enumerate(text.splitlines(), 1):
        line = _UAT.sub("", line.strip())
        if not line or line.startswith("#"):
            continue
        for reader in _LINE_READERS:
            if reader(line, origin, number, found):
                understood += 1
                break
        else:
            first_unknown = first_unknown or number
    if first_unknown and not understood:
        raise KeyFileError(f"{origin}: no known key format (SSLKEYLOGFILE, PEM, esp_sa, ikev2_decryption_table, "
                           f"ip xfrm state, charon log)")
    if first_unknown:
        found.passed_over[f"lines not understood, the first in line {first_unknown}"] = 1


def _tls_line(line: str, origin: str, number: int, found: Found) -> bool:
    match = _TLS.match(line)
    if match:
        if len(match[3]) % 2:
            return False                        # cut while it was being written
        found.tls[match[1], bytes.fromhex(match[2])] = bytes.fromhex(match[3])
        return True
    match = _TLS_RSA.match(line)
    if match:
        found.tls["RSA", bytes.fromhex(match[1])] = bytes.fromhex(match[2])
    elif _TLS_SESSION.match(line):
        found.passed_over["TLS secrets by session id"] = found.passed_over.get("TLS secrets by session id", 0) + 1
    else:
        return False
    return True


def _table_line(line: str, origin: str, number: int, found: Found) -> bool:
    """A line of one of Wireshark's tables."""
    if line.count(",") == 0:
        return False
    import csv
    try:
        row = [cell.strip() for cell in next(csv.reader([line], skipinitialspace=True))]
    except csv.Error:
        return False
    if len(row) >= 8 and row[0].lower() in ("ipv4", "ipv6", "*", "any"):
        if "twofish" in row[4].lower():
            found.passed_over["ESP keys for TWOFISH-CBC"] = found.passed_over.get("ESP keys for TWOFISH-CBC", 0) + 1
            return True
        found.esp.append(_esp_row(row, origin, number))
    elif len(row) >= 8 and _SPI16.match(row[0]) and _SPI16.match(row[1]):
        found.ike.append(_ike_row(row, origin, number))
    elif len(row) == 2 and _SPI16.match(row[0]):
        found.passed_over["IKEv1 keys"] = found.passed_over.get("IKEv1 keys", 0) + 1
    else:
        return False
    return True


def _hex(cell: str, origin: str, number: int, what: str) -> bytes:
    """A key cell: hexadecimal, with or without 0x."""
    digits = cell.removeprefix("0x").removeprefix("0X")
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise wrong(origin, number, f"{what} is not hexadecimal") from None


def _esp_row(row: list[str], origin: str, number: int) -> EspKey:
    _, src, dst, spi, cipher, key, mac, mac_key, *more = row
    suite, check = encryption(cipher or "NULL"), integrity(mac)
    if suite is None:
        raise wrong(origin, number, f"unknown encryption algorithm {cipher!r}")
    if check is None:
        raise wrong(origin, number, f"unknown authentication algorithm {mac!r}")
    number_spi, pattern = _spi(spi, origin, number)
    esn = True if more and "64" in more[0] else None
    secret = _hex(key, origin, number, "the encryption key")
    mac_secret = _hex(mac_key, origin, number, "the authentication key")
    return esp_key(EspKey(number_spi, src, dst, suite, secret, check, mac_secret, origin, esn, pattern), origin, number)


def esp_key(key: EspKey, origin: str, number: int) -> EspKey:
    """`key` itself, its length checked. NULL encryption takes whatever stands in the key column."""
    if key.encryption.name == NULL.name:
        return key._replace(key=b"")
    if len(key.key) - key.encryption.salt not in key.encryption.key_sizes:
        raise wrong(origin, number, f"a key of {len(key.key)} octets does not suit {key.encryption.name}"
                    + (f" (key and {key.encryption.salt} octets of salt)" if key.encryption.salt else ""))
    return key


def _spi(cell: str, origin: str, number: int) -> tuple[int | None, str]:
    text = cell.strip().lower()
    if "*" in text or "?" in text:
        return None, text
    try:
        spi = int(text, 16 if text.startswith("0x") else 10)
    except ValueError:
        raise wrong(origin, number, "the SPI is not a number") from None
    if not 0 <= spi <= 0xFFFFFFFF:
        raise wrong(origin, number, "the SPI has more than 32 bits")
    return spi, text


def _ike_row(row: list[str], origin: str, number: int) -> IkeKey:
    spi_i, spi_r, sk_ei, sk_er, cipher, sk_ai, sk_ar, mac = row[:8]
    suite, check = encryption(cipher), integrity(mac)
    if suite is None or check is None:
        raise wrong(origin, number, f"unknown algorithm {cipher if suite is None else mac!r}")
    cells = ((sk_ei, "SK_ei"), (sk_er, "SK_er"), (sk_ai, "SK_ai"), (sk_ar, "SK_ar"))
    keys = [_hex(cell, origin, number, what) for cell, what in cells]
    if any(len(key) - suite.salt not in suite.key_sizes for key in keys[:2]):
        raise wrong(origin, number, f"SK_ei or SK_er does not have the length {suite.name} needs")
    return IkeKey(bytes.fromhex(spi_i), bytes.fromhex(spi_r), keys[0], keys[1], suite, keys[2], keys[3], check, origin)


def _tcpdump_line(line: str, origin: str, number: int, found: Found) -> bool:
    """`0x12345678@192.0.2.1 3des-cbc-hmac96:0x..` (tcpdump -E); the integrity key is not in it."""
    match = _TCPDUMP.match(line)
    if match is None:
        return False
    suite = encryption(match[3].removesuffix("-hmac96"))
    if suite is None:
        raise wrong(origin, number, f"unknown encryption algorithm {match[3]!r}")
    check = Integrity("ANY 96 bit", 12, None) if match[3].endswith("-hmac96") else NONE
    found.esp.append(esp_key(EspKey(_spi(match[1], origin, number)[0], "*", match[2], suite,
                                    _hex(match[4], origin, number, "the key"), check, b"", origin), origin, number))
    return True


_LINE_READERS: tuple[Callable[[str, str, int, Found], bool], ...] = (_tls_line, _table_line, _tcpdump_line)


# -------------------------------------------------------------------------------------------- ip xfrm state

def _xfrm(text: str, origin: str, found: Found) -> None:
    """`ip xfrm state`, with or without `-s`: an entry begins in the first column, what belongs to it is indented."""
    entry: dict[str, Any] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if line.startswith("src ") and len(words) >= 4:
            _xfrm_entry(entry, origin, found)
            entry = {"src": words[1].partition("/")[0], "dst": words[3].partition("/")[0], "line": number}
        elif entry and words:
            if words[0] == "proto":
                entry["proto"] = words[1]
                if "spi" in words[:-1]:
                    entry["spi"] = _spi(words[words.index("spi") + 1].partition("(")[0], origin, number)[0]
            elif words[0] in ("enc", "auth", "auth-trunc", "aead") and len(words) >= 2:
                entry[words[0]] = words[1:]
            if words[0] == "replay-window" or words[0] == "flag" or "esn" in words:
                entry["esn"] = entry.get("esn", False) or any(word.rstrip(":") == "esn" for word in words)
    _xfrm_entry(entry, origin, found)


def _xfrm_entry(entry: dict[str, Any], origin: str, found: Found) -> None:
    if entry.get("proto") != "esp" or entry.get("spi") is None or not any(k in entry for k in ("enc", "aead")):
        return
    number = entry["line"]
    words = entry.get("aead") or entry["enc"]
    bits = int(words[-1]) // 8 if "aead" in entry and words[-1].isdigit() else None
    suite = encryption(words[0], bits)
    if suite is None:
        raise wrong(origin, number, f"unknown encryption algorithm {words[0]!r}")
    key = _hex(words[1], origin, number, "the encryption key") if len(words) > 1 and words[1].startswith("0x") else b""
    mac = entry.get("auth-trunc") or entry.get("auth")
    check, mac_key = NONE, b""
    if mac:
        size = int(mac[-1]) // 8 if "auth-trunc" in entry and mac[-1].isdigit() else None
        check = integrity(mac[0], size)
        if check is None:
            raise wrong(origin, number, f"unknown authentication algorithm {mac[0]!r}")
        if len(mac) > 1 and mac[1].startswith("0x"):
            mac_key = _hex(mac[1], origin, number, "the authentication key")
    found.esp.append(esp_key(EspKey(entry["spi"], entry["src"], entry["dst"], suite, key, check, mac_key, origin,
                                    entry.get("esn") or None), origin, number))


# -------------------------------------------------------------------------------------- notes, private keys

_PAIR = re.compile(r"\s*([A-Za-z_ ]+?)\s*[:=]\s*(.*)")


def _notes(text: str, origin: str, found: Found) -> None:
    """Blocks that begin with "ESP SPI 0x.. to ADDRESS" or "IKEv2 SA", and `name: value` lines under them."""
    blocks: list[tuple[int, str, dict[str, str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if _NOTES.match(line):
            blocks.append((number, line, {}))
        elif blocks and _PAIR.match(line):
            for part in re.split(r";\s*(?=\w+:)", line):
                if pair := _PAIR.match(part):
                    blocks[-1][2][pair[1].lower()] = pair[2].strip()
    for number, head, pairs in blocks:
        (_esp_note if head[:3].upper() == "ESP" else _ike_note)(number, head, pairs, origin, found)


def _esp_note(number: int, head: str, pairs: dict[str, str], origin: str, found: Found) -> None:
    spi, to = re.search(r"0x[0-9a-fA-F]+", head), re.search(r"\bto\s+(\S+)", head)
    suite = encryption(pairs.get("encryption", "").partition(",")[0])
    if suite is None or spi is None:
        raise wrong(origin, number, "an ESP entry without SPI or known encryption algorithm")
    said = pairs.get("integrity", "none")
    key = pairs.get("integrity key", "")
    octets = re.search(r"(\d+) octet", said)
    check = (Integrity(f"ANY {int(octets[1]) * 8} bit", int(octets[1]), None) if octets and not key
             else integrity(said.partition(",")[0])) or NONE
    found.esp.append(esp_key(EspKey(_spi(spi[0], origin, number)[0], "*", to[1] if to else "*", suite,
                                    _hex(pairs.get("encryption key", ""), origin, number, "the encryption key"), check,
                                    _hex(key, origin, number, "the integrity key"), origin), origin, number))


def _ike_note(number: int, head: str, pairs: dict[str, str], origin: str, found: Found) -> None:
    names = ("initiator spi", "responder spi", "sk_ei", "sk_er", "encryption", "sk_ai", "sk_ar", "integrity")
    row = [pairs.get(name, "") for name in names]
    if not (_SPI16.match(row[0]) and _SPI16.match(row[1])):
        raise wrong(origin, number, "an IKE SA without its two SPIs")
    found.ike.append(_ike_row(row, origin, number))


def _pem(text: str, origin: str, found: Found) -> None:
    """RSA private keys open TLS connections without forward secrecy; other PEM objects are passed over."""
    for kind, block in _pem_blocks(text):
        if not kind.endswith("PRIVATE KEY"):
            found.passed_over[kind.lower()] = found.passed_over.get(kind.lower(), 0) + 1
            continue
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(block.encode(), None)
        except TypeError:
            raise KeyFileError(f"{origin}: the private key is protected by a password; give it without") from None
        except ValueError:
            raise KeyFileError(f"{origin}: the private key cannot be read") from None
        if isinstance(key, RSAPrivateKey):
            found.rsa.append(key)
        else:
            found.passed_over["private keys that open no TLS (not RSA)"] = 1


def _pem_blocks(text: str) -> Iterator[tuple[str, str]]:
    for match in re.finditer(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", text, re.S):
        yield match[1], match[0]
