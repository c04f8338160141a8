"""IKEv2 messages (RFC 7296): header, SA, KE, nonce, notifies, and the SK payload sealed with keys simply chosen.

No Diffie-Hellman is computed: whoever reads the capture is given SK_e and SK_a, as Wireshark's `ikev2_decryption_table`
holds them, so what the key exchange would have given does not matter.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from ipaddress import ip_address
from random import Random

SA_INIT, AUTH, CREATE_CHILD_SA, INFORMATIONAL = 34, 35, 36, 37
SA, KE, IDI, IDR, CERT, AUTHENTICATION, NONCE, NOTIFY, DELETE = 33, 34, 35, 36, 37, 39, 40, 41, 42
TSI, TSR, SK, CP, EAP = 44, 45, 46, 47, 48
EAP_CODES = {"Request": 1, "Response": 2, "Success": 3, "Failure": 4}
NOTIFIES = {
    "UNSUPPORTED_CRITICAL_PAYLOAD": 1,
    "INVALID_MAJOR_VERSION": 5,
    "INVALID_SYNTAX": 7,
    "NO_PROPOSAL_CHOSEN": 14,
    "INVALID_KE_PAYLOAD": 17,
    "AUTHENTICATION_FAILED": 24,
    "SINGLE_PAIR_REQUIRED": 34,
    "NO_ADDITIONAL_SAS": 35,
    "INTERNAL_ADDRESS_FAILURE": 36,
    "FAILED_CP_REQUIRED": 37,
    "TS_UNACCEPTABLE": 38,
    "TEMPORARY_FAILURE": 43,
    "COOKIE": 16390,
}
Payload = tuple[int, bytes]


class Association:
    """An IKE SA, with the keys of both directions."""

    def __init__(self, random: Random):
        self.random = random
        self.spi_i, self.spi_r = random.randbytes(8), random.randbytes(8)
        self.round = 0  # of IKE_AUTH, which is the message number
        self.encryption = (random.randbytes(32), random.randbytes(32))
        self.integrity = (random.randbytes(32), random.randbytes(32))

    def table(self) -> str:
        """Its line of Wireshark's `ikev2_decryption_table`."""
        (ei, er), (ai, ar) = self.encryption, self.integrity
        return (
            f'{self.spi_i.hex()},{self.spi_r.hex()},{ei.hex()},{er.hex()},"AES-CBC-256 [RFC3602]",'
            f'{ai.hex()},{ar.hex()},"HMAC_SHA2_256_128 [RFC4868]"\n'
        )

    def clear(self, exchange: int, number: int, answer: bool, payloads: list[Payload], responder: bool = True) -> bytes:
        first, body = _chain(payloads)
        return self._header(first, exchange, number, answer, len(body), responder) + body

    def sealed(self, exchange: int, number: int, from_initiator: bool, answer: bool, payloads: list[Payload]) -> bytes:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        first, body = _chain(payloads)
        way = 0 if from_initiator else 1
        body += bytes(-(len(body) + 1) % 16) + bytes((-(len(body) + 1) % 16,))
        iv = self.random.randbytes(16)
        encryptor = Cipher(algorithms.AES(self.encryption[way]), modes.CBC(iv)).encryptor()
        content = iv + encryptor.update(body) + encryptor.finalize()
        payload = struct.pack("!BBH", first, 0, 4 + len(content) + 16) + content
        head = self._header(SK, exchange, number, answer, len(payload) + 16, True, from_initiator)
        return head + payload + hmac.new(self.integrity[way], head + payload, hashlib.sha256).digest()[:16]

    def _header(
        self,
        first: int,
        exchange: int,
        number: int,
        answer: bool,
        size: int,
        responder: bool,
        from_initiator: bool | None = None,
    ) -> bytes:
        from_initiator = not answer if from_initiator is None else from_initiator
        flags = (0x08 if from_initiator else 0) | (0x20 if answer else 0)
        return (
            self.spi_i
            + (self.spi_r if responder else bytes(8))
            + struct.pack("!BBBBII", first, 0x20, exchange, flags, number, 28 + size)
        )


def _chain(payloads: list[Payload]) -> tuple[int, bytes]:
    following = [kind for kind, _ in payloads[1:]] + [0]
    body = b"".join(
        struct.pack("!BBH", after, 0, 4 + len(data)) + data for after, (_, data) in zip(following, payloads)
    )
    return (payloads[0][0] if payloads else 0), body


def proposal(protocol: int, spi: bytes = b"") -> Payload:
    """An SA payload with one proposal: AES-CBC-256, HMAC-SHA-256-128, and for IKE the PRF and group 14."""
    transforms = [(1, 12, b"\x80\x0e\x01\x00"), (3, 12, b"")]
    transforms += [(2, 5, b""), (4, 14, b"")] if protocol == 1 else [(5, 0, b"")]
    encoded = b"".join(
        struct.pack("!BBHBBH", 3 if index < len(transforms) - 1 else 0, 0, 8 + len(attribute), kind, 0, number)
        + attribute
        for index, (kind, number, attribute) in enumerate(transforms)
    )
    return (
        SA,
        struct.pack("!BBHBBBB", 0, 0, 8 + len(spi) + len(encoded), 1, protocol, len(spi), len(transforms))
        + spi
        + encoded,
    )


def notify(name: str) -> Payload:
    return NOTIFY, struct.pack("!BBH", 0, 0, NOTIFIES[name])


def key_exchange(random: Random) -> list[Payload]:
    return [(KE, struct.pack("!HH", 14, 0) + random.randbytes(256)), (NONCE, random.randbytes(32))]


def identity(kind: int, name: str) -> Payload:
    return kind, struct.pack("!BBH", 2, 0, 0) + name.encode()


def certificate(der: bytes) -> Payload:
    return CERT, b"\x04" + der


def eap(code: str) -> Payload:
    """An EAP packet (RFC 3748 4): a request has a method, here AKA' (RFC 9048), success and failure have none."""
    method = b"\x32\x01\0\0" if code in ("Request", "Response") else b""
    return EAP, struct.pack("!BBH", EAP_CODES[code], 1, 4 + len(method)) + method


def authentication(random: Random) -> Payload:
    return AUTHENTICATION, struct.pack("!BBH", 1, 0, 0) + random.randbytes(256)


def address_request() -> Payload:
    return CP, struct.pack("!BBHHH", 1, 0, 0, 1, 0)


def address_given(address: str, dns: str) -> Payload:
    """CFG_REPLY with INTERNAL_IP4_ADDRESS and INTERNAL_IP4_DNS."""
    return CP, struct.pack("!BBH", 2, 0, 0) + struct.pack("!HH4s", 1, 4, ip_address(address).packed) + struct.pack(
        "!HH4s", 3, 4, ip_address(dns).packed
    )


def selectors(kind: int, first: str, last: str) -> Payload:
    return kind, struct.pack("!BBH", 1, 0, 0) + struct.pack(
        "!BBHHH4s4s", 7, 0, 16, 0, 65535, ip_address(first).packed, ip_address(last).packed
    )


def delete_ike() -> Payload:
    return DELETE, struct.pack("!BBH", 1, 0, 0)
