"""Counts what a key ring opens: every question of a decoder is passed on, and what came of it is remembered.

Nothing kept here is a secret: SAs are named by their SPIs, TLS connections by the random of their ClientHello.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from ..model import Message
from .esp import Opened
from .ike import OpenedIke
from .keys import KeyRing

NO_KEY = "none of the keys given is for it"


class Lock(NamedTuple):
    """One SA or connection of a capture: by which file it was opened, how often, and how often it was not and why."""

    name: str
    origin: str                 # key file; empty where nothing opened it
    unit: str                   # "packets", "messages", "records"
    opened: int
    closed: int
    reason: str


class Tally:
    """Stands in for the key ring (`Secrets`) while captures are read."""

    def __init__(self, ring: KeyRing) -> None:
        self.ring = ring
        self._opened: Counter[tuple[str, str, str]] = Counter()           # name, unit, origin
        self._closed: dict[tuple[str, str], tuple[int, str]] = {}         # name, unit -> how often, the last reason
        self._sessions: list[tuple[str, str, Any]] = []

    def learn(self, message: Message) -> None:
        self.ring.learn(message)

    def add_secrets_block(self, kind: int, data: bytes) -> None:
        self.ring.add_secrets_block(kind, data)

    def open_ike(self, header: bytes, message: bytes) -> OpenedIke | None:
        found = self.ring.open_ike(header, message)
        self._count(f"IKE SA {message[:8].hex()} {message[8:16].hex()}", "messages", found)
        return found

    def open_esp(self, src: str, dst: str, data: bytes) -> Opened | None:
        found = self.ring.open_esp(src, dst, data)
        self._count(f"ESP SPI 0x{data[:4].hex()} to {dst}", "packets", found)
        return found

    def open_tls(self, client_random: bytes, server_random: bytes, version: int, cipher_suite: int) -> Any:
        session = self.ring.open_tls(client_random, server_random, version, cipher_suite)
        name = f"TLS connection {client_random.hex()}"
        if session is None:
            self._note(name, "records", self.ring.rejected.get(name, NO_KEY), 0)
        else:
            self._sessions.append((name, self.ring.tls_origins.get(client_random, "an RSA private key"), session))
        return session

    def locks(self) -> list[Lock]:
        """All SAs and connections that were met, by name."""
        opened, closed = Counter(self._opened), dict(self._closed)
        for name, origin, session in self._sessions:
            if session.opened:
                opened[name, "records", origin] += session.opened
            else:
                closed[name, "records"] = (0, session.rejected or "no record of it opened")
        places = dict.fromkeys([*((name, unit) for name, unit, _ in opened), *closed])
        found = []
        for name, unit in places:
            count, reason = closed.get((name, unit), (0, ""))
            origins = [origin for n, u, origin in opened if (n, u) == (name, unit)]
            found += [Lock(name, origin, unit, opened[name, unit, origin],
                           count if origin == origins[-1] else 0, reason)
                      for origin in origins] or [Lock(name, "", unit, 0, count, reason)]
        return sorted(found)

    def _count(self, name: str, unit: str, found: Any) -> None:
        if found is not None and found.data is not None:
            self._opened[name, unit, found.origin] += 1
        else:
            self._note(name, unit, found.refused if found is not None else NO_KEY, 1)

    def _note(self, name: str, unit: str, reason: str, count: int) -> None:
        before = self._closed.get((name, unit), (0, ""))[0]
        self._closed[name, unit] = before + count, reason
