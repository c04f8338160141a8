"""The key ring: every key that was given, found by what it opens. Nothing it says about itself contains a secret."""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..errors import KeyFileError
from ..model import Message
from . import _formats
from .esp import Association, EspKey, Opened
from .ike import IkeKey, OpenedIke, open_sealed
from .negotiation import Negotiations
from .suites import Unfit

_LARGEST = 256 << 20          # octets of one key file
_TLS_KEY_LOG = 0x544C534B     # pcapng Decryption Secrets Block, secrets type "TLSK"
_IKE_TRIES = 8                # messages of an IKE SA that no key opened, before keys without SPIs are tried no more
_ASSOCIATIONS = 65536
_REJECTIONS = 1024            # kept for the report
_NO_KEY = "none of the keys given is for it"


_UNKNOWN = Opened(None, refused=_NO_KEY)


class KeyRing:
    """All keys of a run. Decoders see it as `Secrets`."""

    def __init__(self) -> None:
        self.tls: dict[tuple[str, bytes], bytes] = {}          # (key log label, client random) -> secret
        self.tls_origins: dict[bytes, str] = {}                # client random -> where its secrets were read last
        self.rsa_keys: list[Any] = []                          # RSA private keys of servers
        self.rejected: dict[str, str] = {}                     # what the keys are for -> why they do not fit
        self.remarks: list[str] = []
        self._sources: list[str] = []
        self._ike: dict[tuple[bytes, bytes], list[IkeKey]] = {}
        self._ike_anywhere: list[IkeKey] = []
        self._ike_failures: Counter[tuple[bytes, bytes]] = Counter()
        self._esp: dict[int, list[EspKey]] = {}
        self._esp_patterns: list[EspKey] = []
        self._associations: dict[tuple[bytes, str], Association] = {}
        self._strangers: set[tuple[bytes, str]] = set()        # SPIs and receivers there is no key for
        self._negotiations = Negotiations(self._sk_d, self._add_esp)

    # ------------------------------------------------------------------------------------------------ filling

    def load(self, path: str | Path) -> None:
        """Adds the keys of a file, or of all files of a folder. Raises KeyFileError; it never quotes a secret."""
        path = Path(path)
        if not path.is_dir():
            self._load_file(path)
            return
        files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        failures = []
        for file in files:
            try:
                self._load_file(file)
            except KeyFileError as error:
                failures.append(str(error))
        if len(failures) == len(files):
            raise KeyFileError(failures[0] if failures else f"{path}: no key files in this folder")
        self.remarks += failures

    def _load_file(self, path: Path) -> None:
        try:
            if path.stat().st_size > _LARGEST:
                raise KeyFileError(f"{path}: larger than a key file can be")
            raw = path.read_bytes()
        except OSError as error:
            raise KeyFileError(f"{path}: {error.strerror or 'cannot be read'}") from None
        encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        if b"\0" in raw[:4096] and encoding != "utf-16":
            raise KeyFileError(f"{path}: not a key file (binary)")
        text = raw.decode(encoding, "replace").replace("\r\n", "\n")
        self._add(_formats.read(text, str(path)), str(path))

    def add_secrets_block(self, kind: int, data: bytes) -> None:
        """Secrets that a pcapng file brings itself (Decryption Secrets Block)."""
        if kind == _TLS_KEY_LOG:
            self._add(_formats.read_key_log(data.decode("ascii", "replace"), "pcapng secrets"), "pcapng secrets")
        else:
            self.remarks.append(f"pcapng secrets of type 0x{kind:08x} are not used")

    def _add(self, found: _formats.Found, origin: str) -> None:
        self.tls.update(found.tls)
        self.tls_origins.update((random, origin) for _, random in found.tls)
        self.rsa_keys += found.rsa
        for key in found.esp:
            self._add_esp(key)
        for key in found.ike:
            if key.spi_i is None or key.spi_r is None:
                self._ike_anywhere.append(key)
            else:
                self._ike.setdefault((key.spi_i, key.spi_r), []).append(key)
        self._sources.append(f"{origin}: {_summary(found)}")

    def _add_esp(self, key: EspKey) -> None:
        if key.spi is None:
            self._esp_patterns.append(key)
            self._forget()
            return
        rows = self._esp.setdefault(key.spi, [])
        if key not in rows:
            rows.append(key)
            self._strangers.clear()
            spi = key.spi.to_bytes(4, "big")
            for place in [p for p, known in self._associations.items() if p[0] == spi and not known.fits]:
                del self._associations[place]

    def _forget(self) -> None:
        self._associations.clear()
        self._strangers.clear()

    def describe(self) -> list[str]:
        """What there is, a line a file, and what did not fit. No secrets."""
        return [*self._sources, *self.remarks, *(f"{what}: {why}" for what, why in self.rejected.items())]

    def marks(self) -> frozenset[int]:
        """A number per key, the same for the same key wherever it was read; nothing can be learnt from it."""
        esp = (key._replace(origin="", pattern="") for keys in (*self._esp.values(), self._esp_patterns)
               for key in keys)
        ike = (key._replace(origin="") for keys in (*self._ike.values(), self._ike_anywhere) for key in keys)
        rsa = (key.private_numbers() for key in self.rsa_keys)
        return frozenset(hash(key) for keys in (esp, ike, self.tls.items(), rsa) for key in keys)

    def held(self) -> tuple[list[EspKey], list[IkeKey]]:
        """All keys of ESP and of IKE SAs, those derived from others among them; they are secrets."""
        return ([*(key for rows in self._esp.values() for key in rows), *self._esp_patterns],
                [*(key for rows in self._ike.values() for key in rows), *self._ike_anywhere])

    def __bool__(self) -> bool:
        return bool(self.tls or self.rsa_keys or self._ike or self._ike_anywhere or self._esp or self._esp_patterns)

    # ------------------------------------------------------------------------------------------------ opening

    def learn(self, message: Message) -> None:
        """What a decoded IKE message says about the SAs to come."""
        self._negotiations.learn(message)

    def open_ike(self, header: bytes, message: bytes) -> OpenedIke | None:
        """The sealed part of an IKEv2 message; `header` is all before its IV. None: no key for this SA."""
        pair = message[:8], message[8:16]
        keys = self._ike.get(pair)
        bound = keys is not None
        if keys is None:
            keys = self._ike_anywhere if self._ike_failures[pair] < _IKE_TRIES else []
            if not keys and not self._ike:
                return None
        reason, name = _NO_KEY, f"IKE SA {pair[0].hex()} {pair[1].hex()}"
        for key in keys:
            try:
                data = open_sealed(key, header, message)
            except Unfit as unfit:
                reason = str(unfit)
                continue
            if not bound:
                self._ike[pair] = [key._replace(spi_i=pair[0], spi_r=pair[1])]
            self._ike_failures[pair] = -1
            self.rejected.pop(name, None)
            return OpenedIke(data, "", key.origin)
        if self._ike_failures[pair] >= 0:
            self._ike_failures[pair] += 1
            self._reject(name, f"the keys of {keys[0].origin} do not fit: {reason}" if bound else _NO_KEY)
        return OpenedIke(None, reason if bound else _NO_KEY)

    def open_esp(self, src: str, dst: str, data: bytes) -> Opened | None:
        """What an ESP packet carries. None: no key for its SPI."""
        if not self._esp and not self._esp_patterns:
            return None
        place = data[:4], dst
        association = self._associations.get(place)
        if association is None:
            if place in self._strangers:
                return _UNKNOWN
            if len(self._associations) + len(self._strangers) >= _ASSOCIATIONS:
                self._forget()
            spi = int.from_bytes(data[:4], "big")
            keys = self._keys_for(spi, src, dst)
            if not keys:
                self._strangers.add(place)
                self._reject(f"ESP SPI 0x{spi:08x} to {dst}", _NO_KEY)
                return _UNKNOWN
            association = self._associations[place] = Association(f"ESP SPI 0x{spi:08x} to {dst}", keys,
                                                                  self._negotiations.agreed.get(spi))
        opened = association.open(data)
        if opened.data is None and not association.fits:
            self._reject(association.name, f"the keys of {association.origin} do not fit: {opened.refused}")
        elif association.name in self.rejected:
            del self.rejected[association.name]
        return opened

    def way_in(self, dst: str, data: bytes) -> tuple[Any, int | None] | None:
        """How `open_esp` opened this packet just now: what opened it, and the upper half of its sequence number."""
        association = self._associations.get((data[:4], dst))
        return association.way_in() if association is not None and association.fits else None

    def ike_keys(self, message: bytes) -> list[IkeKey]:
        """The keys of the IKE SA that this message belongs to."""
        return self._ike.get((message[:8], message[8:16]), [])

    def _reject(self, what: str, why: str) -> None:
        if what in self.rejected or len(self.rejected) < _REJECTIONS:
            self.rejected[what] = why

    def _keys_for(self, spi: int, src: str, dst: str) -> list[EspKey]:
        """The rows for an SPI, those for this receiver first; then rows with wildcards."""
        exact = sorted(self._esp.get(spi, ()), key=lambda key: (not _fits(dst, key.dst), not _fits(src, key.src)))
        text = f"0x{spi:08x}"
        wild = [key for key in self._esp_patterns
                if fnmatchcase(text, key.pattern) and _fits(dst, key.dst) and _fits(src, key.src)]
        return exact + wild

    def open_tls(self, client_random: bytes, server_random: bytes, version: int, cipher_suite: int) -> Any:
        from .tls import open_session

        return open_session(self, client_random, server_random, version, cipher_suite)

    def _sk_d(self, spi_i: str, spi_r: str) -> tuple[bytes, str] | None:
        for key in self._ike.get((bytes.fromhex(spi_i), bytes.fromhex(spi_r)), ()):
            if key.sk_d:
                return key.sk_d, key.prf
        return None


def _fits(address: str, pattern: str) -> bool:
    """Does an address column of a table fit: equal, with wildcards, or a network?"""
    if pattern in (address, "*", "", "any"):
        return True
    if "*" in pattern or "?" in pattern:
        return fnmatchcase(address, pattern)
    from ipaddress import ip_address, ip_network

    try:
        return ip_address(address) in ip_network(pattern, strict=False)
    except ValueError:
        return False


def _summary(found: _formats.Found) -> str:
    said = []
    if found.esp:
        suites = dict.fromkeys(k.encryption.name if k.encryption.tag else f"{k.encryption.name} {k.integrity.name}"
                               for k in found.esp)
        said.append(f"{len(found.esp)} ESP keys ({', '.join(suites)})")
    if found.ike:
        said.append(f"keys of {len(found.ike)} IKE SAs")
    if found.tls:
        said.append(f"secrets of {len({random for _, random in found.tls})} TLS connections")
    if found.rsa:
        said.append(f"{len(found.rsa)} RSA private keys")
    said += [f"not used: {what}" if count == 1 else f"not used: {count} {what}"
             for what, count in found.passed_over.items()]
    return "; ".join(said) or "no keys"
