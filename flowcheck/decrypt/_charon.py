"""Keys in a strongSwan log: charon writes them as hex dumps at level 4 of `ike`, `chd` (private level).

    09[IKE] Sk_d secret => 32 bytes @ 0x7f3f2c003b50
    09[IKE]    0: 4D 5B 0A 21 ..
    11[CHD] encryption initiator key => 32 bytes @ 0x7f3f28001d30
    11[CHD]   SPI 0xc35f6e21, src 192.0.2.1 dst 198.51.100.1

Threads write side by side, so lines are kept apart by thread. What the log leaves open (which SPI a key is for, which
SPIs an IKE SA has) is found by trying: a key is believed only where the integrity check verifies.
"""

from __future__ import annotations

import re

from ._found import Found
from .esp import EspKey
from .ike import IkeKey
from .suites import NONE, Encryption, Integrity, encryption, integrity

_LINE = re.compile(r"(?:^|\s)(\d+)\[\w+\](?:\s<[^>]*>)?\s(.*)$")
_HEAD = re.compile(r"(.+?) => (\d+) bytes", re.I)
_DUMP = re.compile(r"\s*\d+: ((?:[0-9A-F]{2} ){0,15}[0-9A-F]{2})(?:\s|$)", re.I)
_PROPOSAL = re.compile(r"selected proposal: (IKE|ESP):(\S+)")
_SPI = re.compile(r"SPI 0x([0-9a-f]{1,8}), src (\S+?)(?:\[\d+\])? dst (\S+?)(?:\[\d+\])?$", re.I)
_SECRETS = {"sk_d secret": "sk_d", "sk_ai secret": "sk_ai", "sk_ar secret": "sk_ar", "sk_ei secret": "sk_ei",
            "sk_er secret": "sk_er"}
_CHILD = {"encryption initiator key": "ei", "encryption responder key": "er", "integrity initiator key": "ai",
          "integrity responder key": "ar"}


class _Thread:
    """What one thread of charon has written so far."""

    def __init__(self, origin: str, found: Found):
        self.origin, self.found = origin, found
        self.dump: tuple[dict[str, bytes], str, bytearray, int] | None = None     # table, name, octets so far, size
        self.ike: dict[str, bytes] = {}
        self.child: dict[str, bytes] = {}
        self.used = False                          # the child keys went to an SPI
        self.proposal: dict[str, list[str]] = {}

    def line(self, said: str) -> None:
        dump = _DUMP.match(said)
        if dump and self.dump:
            self.dump[2].extend(bytes.fromhex(dump[1]))
            return
        self.end_of_dump()
        said = said.strip()
        if head := _HEAD.match(said):
            self.begin_dump(head[1].strip().lower(), int(head[2]))
        elif proposal := _PROPOSAL.search(said):
            self.finish() if proposal[1] == "IKE" else self.finish_child()
            self.proposal[proposal[1]] = proposal[2].split("/")
        elif spi := _SPI.search(said):
            self.add_child(int(spi[1], 16), spi[2], spi[3])

    def begin_dump(self, name: str, size: int) -> None:
        if name == "sk_d secret":
            self.finish()
        elif name == "encryption initiator key":
            self.finish_child()
        table = self.ike if name in _SECRETS else self.child if name in _CHILD else None
        if table is not None:
            self.dump = table, _SECRETS.get(name) or _CHILD[name], bytearray(), size

    def end_of_dump(self) -> None:
        if self.dump:
            table, name, octets, size = self.dump
            self.dump = None
            if len(octets) >= size:
                table[name] = bytes(octets[:size])

    def finish(self) -> None:
        """The keys of an IKE SA are complete, as far as they were logged."""
        keys, self.ike = self.ike, {}
        if "sk_ei" in keys and "sk_er" in keys:
            for suite, check, prf in _suites(self.proposal.get("IKE"), keys["sk_ei"], keys.get("sk_ai", b"")):
                self.found.ike.append(IkeKey(None, None, keys["sk_ei"], keys["sk_er"], suite, keys.get("sk_ai", b""),
                                             keys.get("sk_ar", b""), check, self.origin, keys.get("sk_d", b""), prf))
        self.finish_child()

    def finish_child(self) -> None:
        """Child keys whose SPI the log does not say are tried for every SPI."""
        if self.child and not self.used:
            self.add_child(None, "*", "*")
        self.child, self.used = {}, False

    def add_child(self, spi: int | None, src: str, dst: str) -> None:
        """Both directions' keys for the SPI: which of them is its own shows at the first packet."""
        keys = self.child
        if "ei" not in keys or "er" not in keys:
            return
        self.used = True
        words = self.proposal.get("ESP")
        for way in "ir":
            for suite, check, _ in _suites(words, keys["e" + way], keys.get("a" + way, b"")):
                self.found.esp.append(EspKey(spi, src, dst, suite, keys["e" + way], check, keys.get("a" + way, b""),
                                             self.origin, True if words and "EXT_SEQ" in words else None))


def charon(text: str, origin: str, found: Found) -> None:
    """Adds the IKE and child SA keys of a log to `found`."""
    threads: dict[str, _Thread] = {}
    for line in text.splitlines():
        if match := _LINE.search(line):
            if match[1] not in threads:
                threads[match[1]] = _Thread(origin, found)
            threads[match[1]].line(match[2])
    for thread in threads.values():
        thread.end_of_dump()
        thread.finish()


def _suites(words: list[str] | None, key: bytes, mac_key: bytes) -> list[tuple[Encryption, Integrity, str]]:
    """Encryption, integrity and PRF of `AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/..`.

    Where the log does not say, whatever the lengths of the keys allow.
    """
    if not words:
        names = _BY_LENGTH.get(len(mac_key), ())
        prf = {20: "HMAC_SHA1", 32: "HMAC_SHA2_256", 48: "HMAC_SHA2_384", 64: "HMAC_SHA2_512"}.get(len(mac_key), "")
        guesses = [(encryption(cipher), integrity(check), prf) for cipher, check in names]
        return [g for g in guesses if len(key) - g[0].salt in g[0].key_sizes]
    suite = check = None
    prf = ""
    for word in words:
        if word.startswith("PRF_"):
            prf = word[4:]
        elif word.startswith(("HMAC", "AES_XCBC", "AES_CMAC")):
            check = check or integrity(word)
        elif suite is None:
            suite = encryption(word)
    return [(suite, check or NONE, prf)] if suite is not None and len(key) - suite.salt in suite.key_sizes else []


_BY_LENGTH = {       # octets of the integrity key -> suites that have such a key
              0: (("AES_GCM_16", "NONE"), ("CHACHA20_POLY1305", "NONE"), ("AES_CCM_16", "NONE")),
              16: (("AES_CBC", "HMAC_MD5_96"), ("AES_CBC", "AES_XCBC_96"), ("3DES", "HMAC_MD5_96")),
              20: (("AES_CBC", "HMAC_SHA1_96"), ("3DES", "HMAC_SHA1_96")), 32: (("AES_CBC", "HMAC_SHA2_256_128"),),
              48: (("AES_CBC", "HMAC_SHA2_384_192"),), 64: (("AES_CBC", "HMAC_SHA2_512_256"),)}
