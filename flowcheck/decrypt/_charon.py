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
from typing import TYPE_CHECKING, Any

from .esp import EspKey
from .ike import IkeKey
from .suites import NONE, encryption, integrity

if TYPE_CHECKING:
    from ._formats import Found

_LINE = re.compile(r"(?:^|\s)(\d+)\[(\w+)\d?\](?:\s<[^>]*>)?\s(.*)$")
_HEAD = re.compile(r"(.+?) => (\d+) bytes", re.I)
_DUMP = re.compile(r"\s*\d+: ((?:[0-9A-F]{2} ){0,15}[0-9A-F]{2})(?:\s|$)", re.I)
_SPIS = re.compile(r"SPIs:? ([0-9a-f]{16})_i\*? ([0-9a-f]{16})_r", re.I)
_PROPOSAL = re.compile(r"selected proposal: (IKE|ESP):(\S+)")
_SPI = re.compile(r"SPI 0x([0-9a-f]{1,8}), src (\S+?)(?:\[\d+\])? dst (\S+?)(?:\[\d+\])?$", re.I)
_SECRETS = {"sk_d secret": "sk_d", "sk_ai secret": "sk_ai", "sk_ar secret": "sk_ar", "sk_ei secret": "sk_ei",
            "sk_er secret": "sk_er"}
_CHILD = {"encryption initiator key": "ei", "encryption responder key": "er", "integrity initiator key": "ai",
          "integrity responder key": "ar"}


def charon(text: str, origin: str, found: Found) -> None:
    """Adds the IKE and child SA keys of a log to `found`."""
    threads: dict[str, dict[str, Any]] = {}
    for line in text.splitlines():
        match = _LINE.search(line)
        if match is None:
            continue
        state = threads.setdefault(match[1], {"dump": None, "ike": {}, "child": {}, "proposal": {}, "spis": None})
        _take(state, match[3], origin, found)
    for state in threads.values():
        _finish_dump(state)
        _ike(state, origin, found)


def _take(state: dict[str, Any], said: str, origin: str, found: Found) -> None:
    dump = _DUMP.match(said)
    if dump and state["dump"]:
        state["dump"][2].extend(bytes.fromhex(dump[1]))
        return
    _finish_dump(state)
    if head := _HEAD.match(said.strip()):
        name = head[1].strip().lower()
        table, key = ("ike", _SECRETS[name]) if name in _SECRETS else ("child", _CHILD[name]) if name in _CHILD else ("", "")
        if key in state.get(table, {}) or key == "sk_d":
            _ike(state, origin, found) if table == "ike" else None
        state["dump"] = (table, key, bytearray(), int(head[2])) if table else None
    elif proposal := _PROPOSAL.search(said):
        if proposal[1] == "IKE":
            _ike(state, origin, found)
        state["proposal"][proposal[1]] = proposal[2].split("/")
    elif spis := _SPIS.search(said):
        state["spis"] = bytes.fromhex(spis[1]), bytes.fromhex(spis[2])
    elif spi := _SPI.search(said.strip()):
        _child(state, int(spi[1], 16), spi[2], spi[3], origin, found)


def _finish_dump(state: dict[str, Any]) -> None:
    if state["dump"]:
        table, key, data, size = state["dump"]
        state["dump"] = None
        if len(data) >= size:
            state[table][key] = bytes(data[:size])


def _suite(words: list[str]) -> tuple[Any, Any, str]:
    """Encryption, integrity and PRF of `AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/..`."""
    suite = check = None
    prf = ""
    for word in words:
        if word.startswith("PRF_"):
            prf = word[4:]
        elif suite is None and (candidate := encryption(word)) and not word.startswith(("HMAC", "AES_XCBC_96", "AES_CMAC_96")):
            suite = candidate
        elif check is None and word.startswith(("HMAC", "AES_XCBC", "AES_CMAC")):
            check = integrity(word)
    return suite, check or NONE, prf


def _ike(state: dict[str, Any], origin: str, found: Found) -> None:
    keys, words = state["ike"], state["proposal"].get("IKE")
    state["ike"] = {}
    if not words or "sk_ei" not in keys or "sk_er" not in keys:
        return
    suite, check, prf = _suite(words)
    if suite is None or any(len(keys[k]) - suite.salt not in suite.key_sizes for k in ("sk_ei", "sk_er")):
        return
    found.ike.append(IkeKey(None, None, keys["sk_ei"], keys["sk_er"], suite, keys.get("sk_ai", b""), keys.get("sk_ar", b""),
                            check, origin, keys.get("sk_d", b""), prf))


def _child(state: dict[str, Any], spi: int, src: str, dst: str, origin: str, found: Found) -> None:
    """Both directions' keys for the SPI: which of them is its own shows at the first packet."""
    keys, words = state["child"], state["proposal"].get("ESP")
    if not words or "ei" not in keys or "er" not in keys:
        return
    suite, check, _ = _suite(words)
    if suite is None:
        return
    for way in "ir":
        key = keys["e" + way]
        if len(key) - suite.salt in suite.key_sizes:
            found.esp.append(EspKey(spi, src, dst, suite, key, check, keys.get("a" + way, b""), origin,
                                    True if "EXT_SEQ" in words else None))
