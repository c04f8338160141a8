"""What IKE messages agree on: the suites of SPIs, and the keys of child SAs where SK_d is known (RFC 7296 2.17)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..model import Message
from .esp import EspKey, Negotiated
from .suites import NONE, encryption, integrity, key_bits, prf, prf_plus

_KEPT = 4096            # entries of each table; the oldest goes first


class _Offer(NamedTuple):
    """What a request proposed for a child SA."""

    spi: int | None
    nonce: bytes
    receiver: str           # where packets with that SPI go


class Negotiations:
    """Follows the exchanges of every IKE SA. `secret` gives (SK_d, name of the PRF) of an IKE SA by its SPIs."""

    def __init__(self, secret: Callable[[str, str], tuple[bytes, str] | None], add: Callable[[EspKey], None]):
        self._secret, self._add = secret, add
        self._first_nonce: dict[str, bytes] = {}                    # by initiator's SPI
        self._nonces: dict[tuple[str, str], tuple[bytes, bytes]] = {}
        self._prfs: dict[tuple[str, str], str] = {}
        self._offers: dict[tuple, _Offer] = {}
        self._rekeys: dict[tuple, str] = {}
        self.agreed: dict[int, Negotiated] = {}                     # by SPI

    def learn(self, message: Message) -> None:
        kind, fields = message.kind, message.fields
        pair = (fields["spi_i"], fields["spi_r"])
        if kind == "ike.sa_init.request" and "nonce" in fields:
            _keep(self._first_nonce, fields["spi_i"], bytes.fromhex(fields["nonce"]))
        elif kind == "ike.sa_init.response" and "nonce" in fields:
            _keep(self._nonces, pair, (self._first_nonce.get(fields["spi_i"], b""), bytes.fromhex(fields["nonce"])))
            for proposal in fields.get("proposals", ())[:1]:
                _keep(self._prfs, pair, next(iter(proposal["transforms"].get("PRF", ())), ""))
        elif fields.get("decrypted") and kind.startswith(("ike.auth.", "ike.create_child_sa.")):
            self._child(message, pair)

    def _child(self, message: Message, pair: tuple[str, str]) -> None:
        fields = message.fields
        exchange = "auth" if message.kind.startswith("ike.auth.") else (fields["message_id"], fields["initiator"])
        self._rekeyed(fields, pair, exchange)
        proposals = [p for p in fields.get("proposals", ()) if p["protocol"] == "ESP" and len(p.get("spi", "")) == 8]
        if not proposals:
            return
        nonce = bytes.fromhex(fields.get("nonce", ""))
        spi = int(proposals[0]["spi"], 16)
        if not fields["response"]:
            _keep(self._offers, (pair, exchange), _Offer(spi, nonce, message.src.address))
            return
        asked = exchange if exchange == "auth" else (fields["message_id"], not fields["initiator"])
        offer = self._offers.get((pair, asked))
        agreed, bits = _suite(proposals[0]["transforms"])
        _keep(self.agreed, spi, agreed)
        if offer is None or offer.spi is None:
            return
        _keep(self.agreed, offer.spi, agreed)
        if "key_exchange" not in fields:                            # else the keys depend on a secret never sent
            ni, nr = self._nonces.get(pair, (b"", b"")) if exchange == "auth" else (offer.nonce, nonce)
            self._derive(pair, ni, nr, agreed, bits, (offer, _Offer(spi, b"", message.src.address)))

    def _rekeyed(self, fields: Any, pair: tuple[str, str], exchange: Any) -> None:
        """A new IKE SA in place of this one (RFC 7296 2.18): which PRF its children's keys are made with."""
        for proposal in fields.get("proposals", ())[:1]:
            if proposal["protocol"] == "IKE" and len(proposal.get("spi", "")) == 16 and exchange != "auth":
                if not fields["response"]:
                    _keep(self._rekeys, (pair, exchange), proposal["spi"])
                    continue
                first = self._rekeys.get((pair, (exchange[0], not exchange[1])))
                if first is not None:
                    _keep(self._prfs, (first, proposal["spi"]), next(iter(proposal["transforms"].get("PRF", ())), ""))

    def _derive(self, pair: tuple[str, str], ni: bytes, nr: bytes, agreed: Negotiated, bits: int | None,
                ends: tuple[_Offer, _Offer]) -> None:
        known = self._secret(*pair)
        suite, check = agreed.encryption, agreed.integrity or NONE
        if known is None or suite is None or not ni or not nr:
            return
        function = prf(known[1] or self._prfs.get(pair, ""))
        if function is None:
            return
        size = (bits // 8 if bits else suite.key_sizes[0]) + suite.salt
        check_size = 0 if suite.tag else _MAC_KEYS.get(check.name.rpartition("-")[0], 0)
        material = prf_plus(function, known[0], ni + nr, 2 * (size + check_size))
        halves = material[:size + check_size], material[size + check_size:]
        # The initiator's keys protect what the initiator sends, which carries the responder's SPI.
        for half, receiver, sender in ((halves[0], ends[1], ends[0]), (halves[1], ends[0], ends[1])):
            self._add(EspKey(receiver.spi, sender.receiver, receiver.receiver, suite, half[:size], check, half[size:],
                             "derived from SK_d", agreed.esn))


_MAC_KEYS = {"HMAC-MD5": 16, "HMAC-SHA-1": 20, "HMAC-SHA-256": 32, "HMAC-SHA-384": 48, "HMAC-SHA-512": 64,
             "AES-XCBC": 16, "AES-CMAC": 16}


def _suite(transforms: dict[str, list[str]]) -> tuple[Negotiated, int | None]:
    """The suite of a chosen proposal, and its key length in bits."""
    encr, integ, esn = (next(iter(transforms.get(kind, ())), "") for kind in ("ENCR", "INTEG", "ESN"))
    return Negotiated(encryption(encr) if encr else None, integrity(integ), esn == "ESN"), key_bits(encr)


def _keep(table: dict[Any, Any], key: Any, value: Any) -> None:
    table.pop(key, None)
    table[key] = value
    if len(table) > _KEPT:
        del table[next(iter(table))]
