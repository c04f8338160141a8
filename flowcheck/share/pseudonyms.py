"""Stable pseudonyms of the same length and form: the same value gives the same pseudonym wherever it stands.

Letters stay letters and digits digits, so that lengths, offsets and formats hold; addresses keep which prefixes they
share; the parts of a name are replaced one by one, so that a serial number within a host name stays the same serial
number. Kept are the parts that say what something is and not whose: OUI, manufacturer, product class, the public part
of a name, the words in it for what a host does (without a site profile nothing else says so), reserved address blocks
(RFC 6890), MCC and MNC of an IMSI. The key is random for each run, or a seed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Iterable
from functools import cache
from ipaddress import IPv6Address, ip_address
from itertools import cycle

WORD, NAME, IMSI, ADDRESS, MAC, BASIC = "word", "name", "imsi", "address", "mac", "basic"

_LEAST = 4                    # characters of a value that is looked for in running text
_LONG = 10                    # from here on a value is not part of a word by chance
_TOKEN = re.compile(r"[A-Za-z0-9]+")
_NETWORK_CODE = re.compile(r"(mnc|mcc)(\d{3})$", re.I)      # 3GPP TS 23.003, 19.2
_PUBLIC = frozenset(("3gppnetwork", "pub", "org", "com", "net", "arpa", "addr", "in", "ip6", "tcp", "udp", "sctp",
                     "local", "lan", "example", "test", "invalid", "www", "http", "https", "ims", "epc"))
# what a host does, said by a part of its name; a number may follow (`segw01`, `hms-serving`)
_FUNCTION = re.compile(r"(?<![A-Za-z0-9])((?:sec|se)-?gw|sg|gw|epdg|ipsec|h?e?ms|acs|cwmp|tr-?0?69|mgmt|oam|oss"
                       r"|hnbgw|mme|dns|ns|ftp|init|initial|serv|server|serving|service|prov|provision|provisioning|msgin5g)"
                       r"(?=[0-9]*(?![A-Za-z0-9]))", re.I)
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)")
_RESERVED = ((10,), (127,), (0,), (169, 254), (192, 168), (192, 0), (198, 18), (198, 19), (198, 51), (203, 0),
             *((172, second) for second in range(16, 32)), *((100, second) for second in range(64, 128)))
_SPECIAL_FIRST = frozenset(prefix[0] for prefix in _RESERVED)


class Pseudonyms:
    """What is known to be somebody's, and what stands for it."""

    def __init__(self, seed: str | bytes | None = None):
        self._key = secrets.token_bytes(32) if seed is None else seed.encode() if isinstance(seed, str) else seed
        self._known: dict[str, str] = {}                  # value in lower case -> what it is
        self._kept: set[str] = set()                      # tokens that stay
        self._tokens: dict[str, str] = {}
        self._taken: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.address = cache(self._address)

    # --------------------------------------------------------------------------------------------------- what is known

    def keep(self, *values: str) -> None:
        """These words say what something is, not whose."""
        self._kept.update(token.lower() for value in values for token in _TOKEN.findall(value))

    def add(self, kind: str, value: str) -> None:
        value = value.strip()
        if kind in (NAME, ADDRESS, MAC, BASIC) and value or len(value) >= _LEAST:
            if kind == NAME:
                value = value.rstrip(".")
            if self._known.setdefault(value if kind == BASIC else value.lower(), kind) and value:
                self._pattern = None

    def known(self, *kinds: str) -> list[str]:
        return sorted(value for value, kind in self._known.items() if kind in kinds)

    # ------------------------------------------------------------------------------------------------------- replacing

    def text(self, text: str) -> str:
        """Every known value in it replaced, and whatever reads as an IPv4 address."""
        return self._matcher().sub(lambda match: self.of(match[0]), text)

    def found_in(self, text: str) -> set[str]:
        """The known values in a text whose pseudonyms differ from them."""
        return {match[0] for match in self._matcher().finditer(text)
                if match[0].lower() in self._known and self.of(match[0]) != match[0]}

    def _matcher(self) -> re.Pattern[str]:
        if self._pattern is None:
            self._pattern = _any_of(self._known)
        return self._pattern

    def of(self, value: str) -> str:
        """The pseudonym of one value."""
        kind = self._known.get(value) or self._known.get(value.lower()) or (ADDRESS if _IPV4.fullmatch(value) else WORD)
        return _MAPS[kind](self, value)

    def table(self) -> dict[str, str]:
        """All known values with their pseudonyms: what turns a redacted capture back. Keep it to yourself."""
        return {value: self.of(value) for value in sorted(self._known)}

    # ----------------------------------------------------------------------------------------------------- by its kind

    def word(self, value: str) -> str:
        return _TOKEN.sub(lambda match: self._token(match[0]), value)

    def name(self, value: str) -> str:
        labels = value.split(".")
        return ".".join(label if len(labels) > 1 and place == len(labels) - 1 else self.label(label)
                        for place, label in enumerate(labels))

    def label(self, label: str) -> str:
        return "".join(part if kept else _TOKEN.sub(self._unless_public, part)
                       for kept, part in zip(cycle((False, True)), _FUNCTION.split(label)))

    def _unless_public(self, match: re.Match[str]) -> str:
        return match[0] if match[0].lower() in _PUBLIC else self._token(match[0])

    def imsi(self, value: str) -> str:
        return value[:5] + self._token(value[5:]) if len(value) > 5 else value

    def mac(self, value: str) -> str:
        """The station's half of an address; groups and the vendor's half stay (IEEE 802)."""
        octets = bytes.fromhex(re.sub(r"[^0-9a-fA-F]", "", value))
        if len(octets) != 6 or octets[0] & 1 or not any(octets):
            return value
        new = (octets[:3] + self._digest(f"mac {octets.hex()}")[:3]).hex()
        digits = iter(new.upper() if value.upper() == value else new)
        return re.sub(r"[0-9a-fA-F]", lambda _: next(digits), value)

    def _address(self, value: str) -> str:
        try:
            parsed = ip_address(value)
        except ValueError:
            return value
        return self._ipv6(parsed) if isinstance(parsed, IPv6Address) else self._ipv4(value)

    def basic(self, value: str) -> str:
        """User and password of HTTP's Basic scheme (RFC 7617)."""
        try:
            plain = base64.b64decode(value, validate=True).decode("latin-1")
        except (binascii.Error, ValueError):
            return self.word(value)
        return base64.b64encode(self.word(plain).encode("latin-1")).decode()

    # ---------------------------------------------------------------------------------------------------------- inside

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode("utf-8", "replace"), "sha256")

    def _token(self, token: str) -> str:
        low = token.lower()
        if low in self._kept:
            return token
        code = _NETWORK_CODE.fullmatch(token)
        if code:
            return code[1] + self._token(code[2])
        new = self._tokens.get(low)
        if new is None:
            new = self._tokens[low] = self._fresh(low)
        return "".join(c.upper() if old.isupper() else c for old, c in zip(token, new))

    def _fresh(self, low: str) -> str:
        hexadecimal = len(low) >= 6 and all(c in "0123456789abcdef" for c in low) and any(c.isdigit() for c in low)
        letters = "abcdef" if hexadecimal else "abcdefghijklmnopqrstuvwxyz"
        for attempt in range(64):
            stream = b"".join(self._digest(f"{attempt} {part} {low}") for part in range(len(low) // 32 + 1))
            new = "".join(_alike(c, octet, letters, first=not place and len(low) > 1)
                          for place, (c, octet) in enumerate(zip(low, stream)))
            if new not in self._taken and new != low:
                break
        self._taken.add(new)
        return new

    def _ipv4(self, value: str) -> str:
        octets = [int(part) for part in value.split(".")]
        if octets[0] >= 224 or octets[0] in (0, 127) or len(octets) != 4:
            return value
        kept = max((len(prefix) for prefix in _RESERVED if tuple(octets[:len(prefix)]) == prefix), default=0)
        new = octets[:kept]
        for place in range(kept, 4):
            avoid = _SPECIAL_FIRST if place == 0 else _seconds(octets[0]) if place == 1 else frozenset()
            if place == 0 and octets[0] in _SPECIAL_FIRST:
                new.append(octets[0])
            else:
                new.append(self._octet(tuple(octets[:place]), octets[place], avoid, place))
        return ".".join(map(str, new))

    def _octet(self, prefix: tuple[int, ...], octet: int, avoid: frozenset[int], place: int) -> int:
        """A permutation of the octets with as many digits; 0 and 255 stay, they mean something."""
        low, high = (1, 9) if octet < 10 else (10, 99) if octet < 100 else (100, 223 if place == 0 else 254)
        if not low <= octet <= high:
            return octet
        return _shuffled(self, prefix, low, high, avoid)[octet]

    def _ipv6(self, address: IPv6Address) -> str:
        """Every group but the first becomes one of as many digits; nothing stays nothing."""
        groups = [int(group, 16) for group in address.exploded.split(":")]
        kept = 2 if groups[:2] == [0x2001, 0xDB8] else 1
        if groups[0] >> 8 == 0xFF or not any(groups[:-1]):
            return str(address)
        new = groups[:kept]
        for place in range(kept, 8):
            digits = len(f"{groups[place]:x}")
            low, high = 16 ** (digits - 1), 16 ** digits - 1
            size = int.from_bytes(self._digest(f"group {groups[:place + 1]}")[:4], "big")
            new.append(low + size % (high - low + 1) if groups[place] else 0)
        return str(IPv6Address(":".join(f"{group:x}" for group in new)))


def _alike(character: str, octet: int, letters: str, first: bool) -> str:
    """A digit for a digit, a letter for a letter; no number begins with 0 that did not."""
    if not character.isdigit():
        return letters[octet % len(letters)]
    return str(1 + octet % 9) if first and character != "0" else str(octet % 10)


def _any_of(known: Iterable[str]) -> re.Pattern[str]:
    longest = sorted(known, key=lambda value: (-len(value), value))
    # in DER a name stands between octets that may be letters too, so a long one is taken wherever it stands
    forms = [re.escape(value) if len(value) >= _LONG else rf"(?<![A-Za-z0-9]){re.escape(value)}(?![A-Za-z0-9])"
             for value in longest]
    return re.compile("|".join((*forms, _IPV4.pattern)), re.I)


def _seconds(first: int) -> frozenset[int]:
    return frozenset(prefix[1] for prefix in _RESERVED if len(prefix) > 1 and prefix[0] == first)


@cache
def _shuffled(owner: Pseudonyms, prefix: tuple[int, ...], low: int, high: int, avoid: frozenset[int]) -> dict[int, int]:
    values = [value for value in range(low, high + 1) if value not in avoid]
    order = sorted(values, key=lambda value: owner._digest(f"octet {prefix} {value}"))
    return {**{value: value for value in avoid}, **dict(zip(values, order))}


_MAPS = {WORD: Pseudonyms.word, NAME: Pseudonyms.name, IMSI: Pseudonyms.imsi, MAC: Pseudonyms.mac,
         BASIC: Pseudonyms.basic, ADDRESS: lambda self, value: self.address(value)}
