"""Opens the protected records of a TLS or DTLS connection whose secrets are in the key ring.

`open_session` finds the secrets of a connection by its ClientHello's random; the `Session` it returns is told what the
handshake does (ChangeCipherSpec, Finished, KeyUpdate, missing bytes) and opens records. Nothing is believed unverified:
a record whose tag or MAC does not fit stays closed, and a session none of whose records opens says so in `rejected`.
"""

from __future__ import annotations

from typing import Any

from .tls_records import Aead, Aead13, Block, Protection, Stream
from .tls_schedule import master_secret, next_secret, prf, traffic_key
from .tls_suites import RSA, Suite, suite

_TLS13 = 0x0304
_AS_TLS = {0xFEFF: 0x0302, 0x0100: 0x0302, 0xFEFD: 0x0303}   # DTLS 1.0 is TLS 1.1 over datagrams (RFC 4347, 1)
_MOST_GUESSES = 256        # sequence numbers tried for one record after missing bytes
_BUDGET = 4096             # and for all records of one direction
_MOST_REJECTED = 1000
_HOPELESS = 64             # records of a direction that do not open before the key is given up
_SECRETS13 = (("CLIENT_EARLY_TRAFFIC_SECRET", "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0"),
              ("SERVER_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"))


def open_session(keyring: Any, client_random: bytes, server_random: bytes, version: int,
                 cipher_suite: int) -> Session | None:
    """A session for the connection, None where the key ring holds nothing for it or the suite cannot be opened.

    `keyring.tls` maps (key log label, client random) to a secret, `keyring.rsa_keys` holds servers' private keys;
    `keyring.rejected` is told what does not open.
    """
    version, parts = _AS_TLS.get(version, version), suite(cipher_suite)
    known = keyring.tls
    if parts is None or not 0x0301 <= version <= _TLS13 or not (known or keyring.rsa_keys):
        return None
    if version == _TLS13:
        secrets = [[known.get((label, client_random)) for label in labels] for labels in _SECRETS13]
        if any(map(any, secrets)):
            return Session13(keyring, client_random, parts, secrets)
    else:
        master = known.get(("CLIENT_RANDOM", client_random))
        by_rsa = cipher_suite in RSA and (keyring.rsa_keys or any(label == "RSA" for label, _ in known))
        if master is not None or by_rsa:
            return Session12(keyring, client_random, server_random, parts, version, master)
    _reject(keyring, client_random, "the keys hold no secret for this connection")
    return None


def _reject(keyring: Any, client_random: bytes, why: str) -> None:
    """Kept by the key ring for the report: what was not opened, and why."""
    if len(keyring.rejected) < _MOST_REJECTED:
        keyring.rejected[f"TLS connection {client_random.hex()}"] = why


class _Reader:
    """One direction under one key: which sequence number comes next."""

    __slots__ = ("protection", "sequence", "opened")

    def __init__(self, protection: Protection):
        self.protection, self.sequence, self.opened = protection, 0, 0

    def open(self, record: tuple[int, int, bytes], guesses: int) -> tuple[int, bytes] | None:
        """Tries the next sequence number and so many after it."""
        kind, version, fragment = record
        prepared = self.protection.prepare(fragment)
        for number in range(self.sequence, self.sequence + guesses + 1):
            found = self.protection.finish(prepared, number, kind, version)
            if found is not None:
                self.sequence, self.opened = number + 1, self.opened + 1
                return found
        return None


class Session:
    """What is common to all versions. `rejected` says in a sentence why the key was given up, once it was."""

    encrypt_then_mac = False

    def __init__(self, keyring: Any, client_random: bytes) -> None:
        self.keyring, self.client_random = keyring, client_random
        self.readers: list[list[_Reader]] = [[], []]   # of each direction: the key in use, and those that may follow
        self.rejected = ""
        self.opened = 0                                # records, of both directions
        self.failed = [0, 0]                           # records in a row
        self.slack = [0, 0]                            # records that may be missing before the next one
        self.budget = [_BUDGET, _BUDGET]

    def open(self, side: int, kind: int, version: int, fragment: bytes,
             sequence: int | None = None) -> tuple[int, bytes] | None:
        """Content type and content of a protected record; None where it does not open.

        `sequence` is given where the record carries it (DTLS: epoch and sequence number, 64 bits).
        """
        readers = self.readers[side]
        if not readers:
            return None
        guesses = 0
        if sequence is not None:
            readers[0].sequence = sequence
        elif self.slack[side]:
            guesses = min(self.slack[side], _MOST_GUESSES, self.budget[side])
        for i, reader in enumerate(readers):
            found = reader.open((kind, version, fragment), guesses)
            if found is not None:
                del readers[:i]
                self.opened += 1
                self.failed[side] = self.slack[side] = 0
                self.budget[side] = _BUDGET
                return found
        self.budget[side] -= guesses
        self.failed[side] += 1
        if not self.opened and (self.failed[side] >= _HOPELESS or self._certain(side, sequence)):
            self.rejected = "the secret that the keys hold for this connection does not open it"
            _reject(self.keyring, self.client_random, self.rejected)
        self.slack[side] += 1              # this record may have taken a number under one of these keys
        return None

    def _certain(self, side: int, sequence: int | None) -> bool:
        """Does the failure of the first record prove that the key is wrong? Not where records may be missing."""
        return self.failed[side] > 2 if sequence is not None else not self.slack[side]

    def missed(self, side: int, most: int) -> None:
        """At most that many records of a direction are missing."""
        self.slack[side] += most

    def content_size(self, fragment: int) -> int | None:
        """Octets of content in a record of so many, None where padding makes that unknowable."""
        raise NotImplementedError

    def change_cipher_spec(self, side: int) -> None:
        """From the next record on this direction is under the new keys (up to TLS 1.2)."""

    def client_key_exchange(self, body: bytes, transcript: bytes, extended: bool) -> None:
        """The client's share; with a server's RSA key it gives the master secret (up to TLS 1.2)."""

    def key_update(self, side: int) -> None:
        """This direction goes on with its next keys (TLS 1.3)."""

    def renegotiates(self, old: Session) -> None:
        """Until ChangeCipherSpec the keys of the connection's last handshake stay in use."""
        self.readers, self.opened = [list(each) for each in old.readers], old.opened


class Session12(Session):
    """TLS 1.0 to 1.2, DTLS 1.0 and 1.2: one master secret, new keys at ChangeCipherSpec."""

    def __init__(self, keyring: Any, client_random: bytes, server_random: bytes, parts: Suite, version: int,
                 master: bytes | None):
        super().__init__(keyring, client_random)
        self.server_random, self.suite, self.version, self.master = server_random, parts, version, master

    def change_cipher_spec(self, side: int) -> None:
        if self.master is not None:
            self.readers[side] = [_Reader(self._protection(side))]
        else:
            self.readers[side] = []
        self.slack[side] = 0

    def content_size(self, fragment: int) -> int | None:
        return max(0, fragment - self.suite.explicit - self.suite.tag) if self.suite.tag else None

    def _protection(self, side: int) -> Protection:
        """RFC 5246, 6.3: MAC keys, keys, IVs, each the client's first."""
        parts, mac = self.suite, _MAC_KEYS.get(self.suite.mac, 0)
        iv = parts.salt if parts.tag else parts.block
        size = 2 * (mac + parts.key + iv)
        seed = self.server_random + self.client_random
        block = prf(self.version, parts.prf, self.master or b"", b"key expansion", seed, size)
        at = 0
        pieces = []
        for length in (mac, parts.key, iv):
            pieces.append(block[at + side * length:at + (side + 1) * length])
            at += 2 * length
        mac_key, key, start = pieces
        if parts.tag:
            return Aead(parts, key, start)
        if parts.block:
            return Block(parts, key, start, mac_key, chained=self.version == 0x0301,
                         encrypt_then_mac=self.encrypt_then_mac)
        return Stream(parts, key, mac_key)

    def client_key_exchange(self, body: bytes, transcript: bytes, extended: bool) -> None:
        if self.master is not None:
            return
        size = int.from_bytes(body[:2], "big")
        encrypted = body[2:2 + size] if size == len(body) - 2 else body
        premaster = self.keyring.tls.get(("RSA", encrypted[:8])) or _premaster(self.keyring.rsa_keys, encrypted)
        if premaster:
            randoms = self.client_random + self.server_random
            self.master = master_secret(self.version, self.suite.prf, premaster, randoms,
                                        transcript if extended else None)


_MAC_KEYS = {"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48}


def _premaster(rsa_keys: Any, encrypted: bytes) -> bytes | None:
    """RFC 5246, 7.4.7.1: 48 octets that begin with the version the client offered."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    for key in rsa_keys:
        try:
            premaster = key.decrypt(encrypted, PKCS1v15())
        except ValueError:                 # made for another key
            continue
        if len(premaster) == 48 and premaster[0] in (0x03, 0xFE):
            return premaster
    return None


class Session13(Session):
    """TLS 1.3: early (client only), handshake and application secrets in turn, each counting records from 0.

    Which of them a record is under is found by trying, in that order: early data may be refused, secrets may be
    missing from the key log, and a Finished from the capture.
    """

    def __init__(self, keyring: Any, client_random: bytes, parts: Suite, secrets: list[list[bytes | None]]):
        super().__init__(keyring, client_random)
        self.suite = parts
        self.readers = [[self._reader(secret) for secret in side if secret] for side in secrets]
        self.application = [side[-1] for side in secrets]
        self.handshake_known = secrets[1][0] is not None

    def _reader(self, secret: bytes) -> _Reader:
        return _Reader(Aead13(self.suite, *traffic_key(self.suite.prf, secret, self.suite.key)))

    def content_size(self, fragment: int) -> int | None:
        """Of a record without padding, which is what everybody sends."""
        return max(0, fragment - self.suite.tag - 1)

    def _certain(self, side: int, sequence: int | None) -> bool:
        """A client may begin with early data, a server begins under its handshake secret."""
        return side == 1 and self.handshake_known and super()._certain(side, sequence)

    def key_update(self, side: int) -> None:
        secret = self.application[side]
        if secret is not None:
            self.application[side] = secret = next_secret(self.suite.prf, secret)
            self.readers[side] = [self._reader(secret)]
