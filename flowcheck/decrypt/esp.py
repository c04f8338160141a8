"""Opens ESP packets (RFC 4303) with the keys of the ring. What does not verify stays closed.

A key belongs to an SPI and the receiver's address. Rows for the SPI are tried whatever their address says, those with
the right one first, because NAT and MOBIKE change addresses; the integrity check decides. Where the integrity key is
not known, padding, next header and the header inside have to fit instead.
"""

from __future__ import annotations

import hmac
from typing import NamedTuple

from .suites import Encryption, Integrity, Opener, Unfit

_GIVE_UP = 16            # packets of an SA that no key opened, before trying ends
_HIGHS = 4               # upper halves of the sequence number tried for an SA seen from its middle (ESN)
_IPV4, _IPV6, _DUMMY = 4, 41, 59


class EspKey(NamedTuple):
    """One row: the keys of one direction of one SA, and where they were read."""

    spi: int | None                # None: for every SPI that `pattern` fits
    src: str
    dst: str
    encryption: Encryption
    key: bytes                     # with the salt behind it
    integrity: Integrity
    integrity_key: bytes
    origin: str
    esn: bool | None = None        # extended sequence numbers; None: not said
    pattern: str = "*"


class Opened(NamedTuple):
    """What an ESP packet carried, or (`data` None) why it stays closed."""

    data: bytes | None
    next_header: int = 0
    refused: str = ""
    origin: str = ""               # where the key that opened it was read


class Negotiated(NamedTuple):
    """What IKE agreed on for an SPI; settles what a key row leaves open."""

    encryption: Encryption | None
    integrity: Integrity | None
    esn: bool


class _Trial(NamedTuple):
    opener: Opener
    key: EspKey
    size: int                      # octets of the ICV
    esn: bool | None
    verified: bool                 # the ICV can be checked


class Association:
    """One direction of one SA at one receiver: the keys that may fit, the one that does, and what it remembers."""

    __slots__ = ("name", "origin", "_trials", "_chosen", "_failures", "_high", "_last", "_reason")

    def __init__(self, name: str, keys: list[EspKey], negotiated: Negotiated | None):
        self.name, self.origin = name, keys[0].origin
        self._trials = [trial for key in keys for trial in _trials(key, negotiated)]
        self._chosen: _Trial | None = None
        self._failures = self._high = self._last = 0
        self._reason = "" if self._trials else "its keys do not have the length their algorithm needs"

    @property
    def fits(self) -> bool:
        return self._chosen is not None

    def way_in(self) -> tuple[_Trial, int | None]:
        """What opened the last packet, and the upper half of its sequence number where that is long."""
        return self._chosen, self._high if self._chosen.esn else None

    def open(self, data: bytes) -> Opened:
        sequence = int.from_bytes(data[4:8], "big")
        if self._chosen is not None:
            for high in self._highs(self._chosen, sequence):
                try:
                    opened = _open(self._chosen, data, high)
                except Unfit:
                    continue
                self._remember(high, sequence)
                return opened
        elif self._failures >= _GIVE_UP:
            return Opened(None, refused=self._reason)
        for trial in self._trials:
            for high in self._highs(trial, sequence):
                try:
                    opened = _open(trial, data, high)
                except Unfit as unfit:
                    self._reason = str(unfit)
                    continue
                self._chosen = trial._replace(esn=high is not None)
                self._remember(high, sequence)
                return opened
        self._failures += 1
        return Opened(None, refused=self._reason)

    def _remember(self, high: int | None, sequence: int) -> None:
        self._last = sequence
        if high is not None:
            self._high = high

    def _highs(self, trial: _Trial, sequence: int) -> list[int | None]:
        """Upper halves of the sequence number worth trying; None is an SA without ESN (RFC 4303 2.2.1)."""
        if not trial.verified:
            return [None]                                       # nothing that is checked depends on it
        if self._chosen is not None:
            if not trial.esn:
                return [None]
            near = self._high
            if sequence < self._last - 0x80000000:
                near += 1
            elif sequence > self._last + 0x80000000 and near:
                near -= 1
            return [near, *(h for h in (near + 1, near - 1) if h >= 0)]
        guesses: list[int | None] = list(range(_HIGHS))
        return guesses if trial.esn else [None] if trial.esn is False else [None, *guesses]


def _trials(key: EspKey, negotiated: Negotiated | None) -> list[_Trial]:
    """The ways to read a packet that a row leaves open: the size of the ICV, and whether sequence numbers are long."""
    suite = key.encryption
    if len(key.key) - suite.salt not in suite.key_sizes:
        return []
    esn = key.esn if key.esn is not None else negotiated.esn if negotiated else None
    if suite.tag:
        agreed = negotiated.encryption.tag if negotiated and negotiated.encryption else 0
        choice = suite.name in ("AES-GCM", "AES-CCM")
        sizes = (suite.tag, agreed, key.integrity.size, 16, 12, 8) if choice else (suite.tag,)
    else:
        agreed = negotiated.integrity.size if negotiated and negotiated.integrity else 0
        sizes = (key.integrity.size, agreed) if key.integrity.mac is None else (key.integrity.size,)
    sizes = [size for size in dict.fromkeys(sizes) if size in (8, 12, 16) or not suite.tag]
    verified = suite.tag > 0 or key.integrity.mac is not None and bool(key.integrity_key)
    out = []
    for size in sizes:
        try:
            out.append(_Trial(suite.opener(key.key, size), key, size, esn, verified))
        except ValueError:                                      # a key the library will not have (weak, wrong size)
            continue
    return out


def _open(trial: _Trial, data: bytes, high: int | None) -> Opened:
    suite, size = trial.key.encryption, trial.size
    start = 8 + suite.iv
    if suite.tag:
        upper = b"" if high is None else high.to_bytes(4, "big")
        iv = (upper.rjust(4, b"\0") + data[4:8]) if suite.implicit else data[8:start]
        if len(data) < start + size:
            raise Unfit("it is too short for its algorithm")
        plain = trial.opener(iv, data[start:], data[:4] + upper + data[4:8])
    else:
        end = len(data) - size
        if end < start:
            raise Unfit("it is too short for its algorithm")
        if trial.verified:
            signed = data[:end] if high is None else data[:end] + high.to_bytes(4, "big")
            mac = trial.key.integrity.mac(trial.key.integrity_key, signed)
            if not hmac.compare_digest(mac[:size], data[end:]):
                raise Unfit("its integrity check value does not verify")
        plain = trial.opener(data[8:start], data[start:end], b"")
    if len(plain) < 2:
        raise Unfit("nothing is inside")
    padding, next_header = plain[-2], plain[-1]
    end = len(plain) - 2 - padding
    if end < 0:
        raise Unfit("its padding is longer than the packet")
    inner = plain[:end]
    if not trial.verified and not (plain[end:-2] == bytes(range(1, padding + 1)) and _plausible(next_header, inner)):
        raise Unfit("what comes out is no packet, and its integrity key is not known")
    return Opened(inner, next_header, "", trial.key.origin)


def _plausible(next_header: int, inner: bytes) -> bool:
    size = len(inner)
    if next_header == _IPV4:
        return (size >= 20 and inner[0] >> 4 == 4 and int.from_bytes(inner[2:4], "big") == size
                and _header_sum_fits(inner))
    if next_header == _IPV6:
        return size >= 40 and inner[0] >> 4 == 6 and int.from_bytes(inner[4:6], "big") == size - 40
    if next_header == 17:
        return size >= 8 and int.from_bytes(inner[4:6], "big") == size
    if next_header == 6:
        return size >= 20 and 20 <= 4 * (inner[12] >> 4) <= size and not inner[12] & 0x0E
    if next_header == 132:
        return size >= 16 and size % 4 == 0
    if next_header in (1, 58):
        return size >= 8
    return next_header == _DUMMY


def _header_sum_fits(inner: bytes) -> bool:
    size = 4 * (inner[0] & 15)
    total = sum(int.from_bytes(inner[at:at + 2], "big") for at in range(0, size, 2))
    return 20 <= size <= len(inner) and (total % 0xFFFF == 0 and total > 0)
