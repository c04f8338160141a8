"""Real TLS 1.2 between two ends in memory, by Python's ssl; its secrets as a key log. Certificates by cryptography."""

from __future__ import annotations

import ssl
import struct
import tempfile
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path

ALERTS = {
    "handshake_failure": 40,
    "bad_certificate": 42,
    "certificate_expired": 45,
    "unknown_ca": 48,
    "protocol_version": 70,
}


@lru_cache(maxsize=64)
def certificate(name: str) -> tuple[bytes, bytes, bytes]:
    """A self-signed certificate for the name: DER, PEM and its key's PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])])
    begin = datetime(2025, 1, 1, tzinfo=timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1000 + len(name))
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return (
        made.public_bytes(serialization.Encoding.DER),
        made.public_bytes(pem),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def alert(name: str) -> bytes:
    """A fatal alert in clear."""
    return struct.pack("!BHHBB", 21, 0x0303, 2, 2, ALERTS[name])


class Session:
    """Both ends of a TLS connection; every method returns the bytes that go over the wire."""

    def __init__(self, server_name: str, certified: str):
        self._folder = tempfile.TemporaryDirectory(prefix="flowcheck-tls-")
        folder = Path(self._folder.name)
        _, pem, key = certificate(certified)
        (folder / "certificate").write_bytes(pem + key)
        self._log = folder / "keys"
        server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        client.keylog_filename = str(self._log)
        server.load_cert_chain(folder / "certificate")
        self._in, self._out = (ssl.MemoryBIO(), ssl.MemoryBIO()), (ssl.MemoryBIO(), ssl.MemoryBIO())
        self._ends = (
            client.wrap_bio(self._in[0], self._out[0], server_hostname=server_name),
            server.wrap_bio(self._in[1], self._out[1], server_side=True),
        )

    def flight(self, side: int) -> bytes:
        """The next flight of the handshake from this side, already taken in by the other."""
        try:
            self._ends[side].do_handshake()
        except ssl.SSLWantReadError:
            pass  # it waits for the other side, as it should
        sent = self._out[side].read()
        self._in[1 - side].write(sent)
        return sent

    def seal(self, side: int, data: bytes) -> bytes:
        self._ends[side].write(data)
        sent = self._out[side].read()
        self._in[1 - side].write(sent)
        self._ends[1 - side].read(len(data))
        return sent

    def secrets(self) -> str:
        return self._log.read_text() if self._log.exists() else ""
