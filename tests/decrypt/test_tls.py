"""Opening TLS: published key schedule vectors, and connections of this machine's own TLS library under every suite it has."""

import hmac
import os
import random
import ssl
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID

from flowcheck.decode import tls
from flowcheck.decode.wire import Tape
from flowcheck.decrypt import tls_schedule
from flowcheck.decrypt.tls import open_session
from flowcheck.decrypt.tls_records import _old_cipher
from flowcheck.model import Context, Endpoint, FrameRef, Inner, Message, Opaque

REQUEST = b"POST /acs HTTP/1.1\r\nHost: hms.example\r\n\r\n" + b"x" * 3000
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n" + bytes(range(250)) * 160
TLS10, TLS11, TLS12, TLS13 = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2,
                              ssl.TLSVersion.TLSv1_3)
NO_ENCRYPT_THEN_MAC = 1 << 19        # SSL_OP_NO_ENCRYPT_THEN_MAC, which the ssl module has no name for


# ---------------------------------------------------------------------------------------------------- schedule

def test_prf_of_tls12():
    """The vector of the TLS working group's list for P_SHA256 (2009)."""
    out = tls_schedule.prf(0x0303, "sha256", bytes.fromhex("9bbe436ba940f017b17652849a71db35"), b"test label",
                           bytes.fromhex("a0ba9f936cda311827a6f796ffd5198c"), 100)
    assert out.hex() == ("e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af"
                         "0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701"
                         "87347b66")


@pytest.mark.parametrize("secret, key, iv", [
    ("b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21", "dbfaa693d1762c5b666af5d950258d01",
     "5bd3c71b836e0b76bb73265f"),
    ("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38", "3fce516009c21727d0f2e4e86ee403bc",
     "5d313eb2671276ee13000b30")])
def test_traffic_keys_of_rfc_8448(secret, key, iv):
    """RFC 8448, 3: the client's and the server's handshake traffic secrets."""
    made = tls_schedule.traffic_key("sha256", bytes.fromhex(secret), 16)
    assert (made[0].hex(), made[1].hex()) == (key, iv)


# ---------------------------------------------------------------------------------------------------- connections

@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An RSA key and its certificate, on disk and in memory."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hms.example")])
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(77).not_valid_before(now).not_valid_after(now + timedelta(days=3650))
                   .add_extension(x509.SubjectAlternativeName([x509.DNSName("hms.example")]), False)
                   .sign(key, hashes.SHA256()))
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                       serialization.NoEncryption())
                     + certificate.public_bytes(serialization.Encoding.PEM))
    return SimpleNamespace(path=path, key=key)


def connection(server, path, version, suite=None, options=0, session=None):
    """What both sides send, as [(side, bytes)], and the key log; the handshake, a request, an answer, close_notify."""
    ends = []
    log = path / f"{random.getrandbits(64):x}.log"
    for side in (0, 1):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if side else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = context.maximum_version = version
        if suite and version != TLS13:
            context.set_ciphers(suite + ":@SECLEVEL=0")
        context.options |= options
        if side:
            context.load_cert_chain(server.path)
        else:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.keylog_filename = str(log)
        ends.append(context)
    wires = [(ssl.MemoryBIO(), ssl.MemoryBIO()) for _ in ends]
    peers = [ends[0].wrap_bio(*wires[0], server_hostname="hms.example"), ends[1].wrap_bio(*wires[1], server_side=True)]
    sent = []

    def carry():
        for side in (0, 1):
            if data := wires[side][1].read():
                sent.append((side, data))
                wires[1 - side][0].write(data)

    done = set()
    for _ in range(20):
        for side in {0, 1} - done:
            try:
                peers[side].do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                pass
            carry()
    assert done == {0, 1}
    for side, data in ((0, REQUEST), (1, ANSWER)):
        peers[side].write(data)
        carry()
        got = b""
        while len(got) < len(data):
            got += peers[1 - side].read(65536)
    try:
        peers[0].unwrap()
    except ssl.SSLError:
        pass
    carry()
    return sent, log, peers[0].cipher()[0]


def ring(log=None, rsa_keys=()):
    secrets = {}
    for line in log.read_text().splitlines() if log else ():
        if line.startswith("#"):
            continue
        label, client_random, secret = line.split()
        secrets[label, bytes.fromhex(client_random)] = bytes.fromhex(secret)
    keys = SimpleNamespace(tls=secrets, rsa_keys=list(rsa_keys), rejected={})
    keys.open_tls = lambda *facts: open_session(keys, *facts)
    return keys


def decode(sent, secrets, lose=()):
    """Everything a Conversation gives for pieces of a connection; pieces whose number is in `lose` are not captured."""
    client, host = Endpoint("198.51.100.21", 40000), Endpoint("192.0.2.80", 443)
    context = Context(0, (), client, host, ("eth", "ip", "tcp"), 1, secrets=secrets)
    tapes = (Tape(context), Tape(Context(0, (), host, client, ("eth", "ip", "tcp"), 1, secrets=secrets)))
    speaker = tls.Conversation(context)
    out = []
    for number, (side, data) in enumerate(sent, 1):
        if number in lose:
            out += speaker.lost(side, len(data))
            tapes[side].skip(len(tapes[side]))
        else:
            tapes[side].append(data, FrameRef(0, number), number * 1000)
            out += speaker.feed(side, tapes[side])
    for side in (0, 1):
        out += speaker.end(side)
    return out


def clear(out, side):
    return b"".join(item.data for item in out if isinstance(item, Inner) and item.side == side)


def kinds(out):
    return [item.kind for item in out if isinstance(item, Message)]


SUITES = [
    (TLS13, None, 0),
    (TLS12, "ECDHE-RSA-AES128-GCM-SHA256", 0), (TLS12, "ECDHE-RSA-AES256-GCM-SHA384", 0),
    (TLS12, "ECDHE-RSA-CHACHA20-POLY1305", 0), (TLS12, "AES128-CCM", 0), (TLS12, "AES256-CCM8", 0),
    (TLS12, "AES128-SHA", 0), (TLS12, "AES128-SHA", NO_ENCRYPT_THEN_MAC),
    (TLS12, "AES256-SHA256", 0), (TLS12, "AES256-SHA256", NO_ENCRYPT_THEN_MAC),
    (TLS12, "ECDHE-RSA-AES256-SHA384", 0), (TLS12, "ECDHE-RSA-AES256-SHA384", NO_ENCRYPT_THEN_MAC),
    (TLS12, "NULL-SHA256", 0), (TLS12, "NULL-SHA", 0),
    (TLS11, "ECDHE-RSA-AES128-SHA", 0), (TLS11, "AES256-SHA", NO_ENCRYPT_THEN_MAC),
    (TLS10, "ECDHE-RSA-AES128-SHA", 0), (TLS10, "AES256-SHA", NO_ENCRYPT_THEN_MAC),
]


pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")


@pytest.mark.parametrize("version, suite, options", SUITES)
def test_every_suite_opens(server, tmp_path, version, suite, options):
    try:
        sent, log, _ = connection(server, tmp_path, version, suite, options)
    except ssl.SSLError as refused:
        pytest.skip(f"this machine's TLS library refuses: {refused.reason}")
    out = decode(sent, ring(log))
    assert clear(out, 0) == REQUEST and clear(out, 1) == ANSWER
    assert kinds(out).count("tls.finished") == 2 and "tls.alert" in kinds(out)
    assert "tls.certificate" in kinds(out)
    assert not [item for item in out if isinstance(item, Opaque)]
    assert all("tls" in item.context.layers for item in out if isinstance(item, Inner))


@pytest.mark.parametrize("version, suite", [(TLS12, "AES128-GCM-SHA256"), (TLS11, "AES128-SHA"), (TLS10, "AES256-SHA")])
def test_the_servers_rsa_key_is_enough(server, tmp_path, version, suite):
    """With and without the extended master secret: OpenSSL negotiates it, so the transcript must be right."""
    try:
        sent, _, _ = connection(server, tmp_path, version, suite)
    except ssl.SSLError as refused:
        pytest.skip(f"this machine's TLS library refuses: {refused.reason}")
    out = decode(sent, ring(rsa_keys=[rsa.generate_private_key(65537, 1024), server.key]))
    assert clear(out, 0) == REQUEST and clear(out, 1) == ANSWER


@pytest.mark.parametrize("version", [TLS13, TLS12])
def test_a_wrong_secret_is_refused_and_said_once(server, tmp_path, version):
    sent, log, _ = connection(server, tmp_path, version)
    secrets = ring(log)
    secrets.tls = {key: bytes(len(value)) for key, value in secrets.tls.items()}
    out = decode(sent, secrets)
    assert kinds(out).count("tls.wrong_key") == 1
    assert not [item for item in out if isinstance(item, Inner)]
    closed = [item for item in out if isinstance(item, Opaque)]
    assert {item.fields["keys"] for item in closed} == {"do not fit"} and sum(item.size for item in closed) > 20000
    assert all(m.problems for m in out if isinstance(m, Message) and m.kind == "tls.wrong_key")
    assert len(secrets.rejected) == 1 and "does not open" in str(secrets.rejected)


def test_secrets_of_another_connection_open_nothing(server, tmp_path):
    sent, _, _ = connection(server, tmp_path, TLS13)
    _, log, _ = connection(server, tmp_path, TLS13)
    secrets = ring(log)
    out = decode(sent, secrets)
    assert "tls.wrong_key" not in kinds(out) and "tls.certificate" not in kinds(out)
    assert list(secrets.rejected.values()) == ["the keys hold no secret for this connection"]
    assert len([item for item in out if isinstance(item, Opaque)]) == 2


def test_application_secrets_alone_open_the_data(server, tmp_path):
    """Some key logs lack the handshake secrets; what they protect stays closed and does not disturb the rest."""
    sent, log, _ = connection(server, tmp_path, TLS13)
    secrets = ring(log)
    secrets.tls = {key: value for key, value in secrets.tls.items() if "HANDSHAKE" not in key[0]}
    out = decode(sent, secrets)
    assert clear(out, 0) == REQUEST and clear(out, 1) == ANSWER
    assert "tls.certificate" not in kinds(out) and "tls.wrong_key" not in kinds(out)


def records(sent):
    """One piece a record, so that records can be lost."""
    streams, out = [b"", b""], []
    for side, data in sent:
        streams[side] += data
        while len(streams[side]) >= 5:
            size = 5 + int.from_bytes(streams[side][3:5], "big")
            out.append((side, streams[side][:size]))
            streams[side] = streams[side][size:]
    assert streams == [b"", b""]
    return out


@pytest.mark.parametrize("version, suite", [(TLS13, None), (TLS12, "ECDHE-RSA-AES128-GCM-SHA256"),
                                            (TLS12, "AES128-SHA"),
                                            (TLS10, "AES128-SHA")])
def test_a_lost_record_costs_no_other(server, tmp_path, version, suite):
    """The answer takes three records. Its first one is lost, the rest opens, and the stream inside is told of the hole.

    In TLS 1.0 the record behind the hole cannot be opened either: its IV is the end of the one before.
    """
    try:
        sent, log, _ = connection(server, tmp_path, version, suite, NO_ENCRYPT_THEN_MAC)
    except ssl.SSLError as refused:
        pytest.skip(f"this machine's TLS library refuses: {refused.reason}")
    pieces = records(sent)
    number = max(range(len(pieces)), key=lambda i: len(pieces[i][1])) + 1
    out = decode(pieces, ring(log), lose={number})
    assert clear(out, 0) == REQUEST
    assert clear(out, 1) and ANSWER.endswith(clear(out, 1))
    holes = [item for item in out if isinstance(item, Inner) and item.context.missing]
    assert [item.side for item in holes][:1] == [1]
    after = out.index(holes[0])
    assert clear(out[:after], 1) == b"" and kinds(out).count("tls.wrong_key") == 0


def test_a_chained_iv_that_is_not_known_is_not_guessed(server, tmp_path):
    """TLS 1.0 with the MAC outside: behind a lost record the MAC fits, yet the first block would come out wrong."""
    try:
        sent, log, _ = connection(server, tmp_path, TLS10, "AES128-SHA")
    except ssl.SSLError as refused:
        pytest.skip(f"this machine's TLS library refuses: {refused.reason}")
    pieces = records(sent)
    number = max(range(len(pieces)), key=lambda i: len(pieces[i][1])) + 1
    out = decode(pieces, ring(log), lose={number})
    assert clear(out, 1) and ANSWER.endswith(clear(out, 1))


def test_a_record_cut_in_its_middle_leaves_the_boundary_known(server, tmp_path):
    sent, log, _ = connection(server, tmp_path, TLS13)
    pieces = records(sent)
    number = max(range(len(pieces)), key=lambda i: len(pieces[i][1]))
    side, data = pieces[number]
    pieces[number:number + 1] = [(side, data[:100]), (side, data[100:1500]), (side, data[1500:])]
    out = decode(pieces, ring(log), lose={number + 2})
    assert clear(out, 0) == REQUEST and clear(out, 1) == ANSWER[-len(clear(out, 1)):] != b""
    hole, = [item.context.missing for item in out if isinstance(item, Inner) and item.context.missing]
    assert hole + len(clear(out, 1)) == len(ANSWER)


@pytest.mark.parametrize("version", [TLS13, TLS12])
def test_any_one_piece_may_be_missing(server, tmp_path, version):
    """Never an exception, never bytes that were not sent; only the hellos are needed to open the rest."""
    sent, log, _ = connection(server, tmp_path, version)
    pieces = records(sent)
    for number in range(1, len(pieces) + 1):
        out = decode(pieces, ring(log), lose={number})
        assert "tls.wrong_key" not in kinds(out)
        for side, whole in ((0, REQUEST), (1, ANSWER)):
            for item in out:
                if isinstance(item, Inner) and item.side == side:
                    assert item.data in whole
        kind = pieces[number - 1][1][0]
        if not (kind == 22 and pieces[number - 1][1][5] in (1, 2)):
            assert clear(out, 0) or clear(out, 1)


@pytest.mark.parametrize("version", [TLS13, TLS12])
def test_cut_anywhere_and_byte_by_byte(server, tmp_path, version):
    sent, log, _ = connection(server, tmp_path, version)
    whole = decode(sent, ring(log))
    single = decode([(side, data[i:i + 7]) for side, data in sent for i in range(0, len(data), 7)], ring(log))
    assert kinds(single) == kinds(whole) and clear(single, 1) == clear(whole, 1) == ANSWER


def test_hostile_records_cost_little(server, tmp_path):
    """After a hole many sequence numbers are tried: the number of tries has a bound."""
    sent, log, _ = connection(server, tmp_path, TLS13)
    session_keys = ring(log)
    pieces = records(sent)
    junk = [(1, b"\x17\x03\x03\x00\x40" + os.urandom(64)) for _ in range(2000)]
    calls = []
    from flowcheck.decrypt import tls_records
    original = tls_records.Aead13.finish

    def counted(self, *arguments):
        calls.append(1)
        return original(self, *arguments)

    tls_records.Aead13.finish = counted
    try:
        out = decode([*pieces[:6], (1, b"\x17" * 100000), *junk], session_keys, lose={7})
    finally:
        tls_records.Aead13.finish = original
    assert len(calls) < 16000
    assert not any(item.data for item in out if isinstance(item, Inner) and item.side == 1 and item.data not in ANSWER)


def sealed13(secret, sequence, kind, content, padding=0):
    """One record of TLS_AES_128_GCM_SHA256, protected by the library (RFC 8446, 5.2)."""
    key, iv = tls_schedule.traffic_key("sha256", secret, 16)
    inner = content + bytes([kind]) + bytes(padding)
    header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
    nonce = (int.from_bytes(iv, "big") ^ sequence).to_bytes(12, "big")
    return AESGCM(key).encrypt(nonce, inner, header)


def test_early_data_key_updates_and_padding_of_tls13():
    secrets = {(label, b"r" * 32): bytes([n]) * 32 for n, label in enumerate((
        "CLIENT_EARLY_TRAFFIC_SECRET", "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0"))}
    early, handshake, application = secrets.values()
    session = open_session(SimpleNamespace(tls=secrets, rsa_keys=[], rejected={}), b"r" * 32, b"s" * 32, 0x0304, 0x1301)

    def opened(*arguments, **more):
        return session.open(0, 23, 0x0303, sealed13(*arguments, **more))

    assert opened(early, 0, 23, b"GET /") == (23, b"GET /")
    assert opened(early, 1, 22, b"\5\0\0\0") == (22, b"\5\0\0\0")
    assert opened(handshake, 0, 22, b"finished", padding=100) == (22, b"finished")
    assert opened(application, 0, 23, b"one") == (23, b"one")
    assert opened(application, 1, 24, b"") == (24, b"")
    session.key_update(0)
    updated = tls_schedule.next_secret("sha256", application)
    assert opened(updated, 0, 23, b"two") == (23, b"two")
    assert opened(application, 2, 23, b"old") is None and not session.rejected
    assert opened(updated, 1, 23, b"three") == (23, b"three")


@pytest.mark.parametrize("number, seal", [
    (0x0005, lambda key, iv, data: Cipher(_old_cipher("ARC4")(key), None).encryptor().update(data)),
    (0x000A, lambda key, iv, data: iv + Cipher(_old_cipher("TripleDES")(key), modes.CBC(iv)).encryptor().update(data))])
def test_suites_that_libraries_have_dropped(number, seal):
    """RC4 and 3DES with SHA-1, under TLS 1.2, from the server (side 1): its keys are the second ones of the key block."""
    master, randoms = b"m" * 48, (b"c" * 32, b"s" * 32)
    key_size, block = (16, 0) if number == 5 else (24, 8)
    keys = tls_schedule.prf(0x0303, "sha256", master, b"key expansion", randoms[1] + randoms[0], 40 + 2 * key_size)
    mac = hmac.digest(keys[20:40], bytes(8) + b"\x17\x03\x03\0\5hello", "sha1")
    padding = bytes([-(len(mac) + 6) % 8]) * (-(len(mac) + 6) % 8 + 1) if block else b""
    fragment = seal(keys[40 + key_size:40 + 2 * key_size], b"initvect", b"hello" + mac + padding)
    ring = SimpleNamespace(tls={("CLIENT_RANDOM", randoms[0]): master}, rsa_keys=[], rejected={})
    session = open_session(ring, *randoms, 0x0303, number)
    session.change_cipher_spec(1)
    assert session.open(1, 23, 0x0303, fragment) == (23, b"hello")


@pytest.mark.parametrize("number, expected", [(0x1301, ("AES_GCM", 16)), (0xC0A8, ("AES_CCM", 16)),
                                              (0x002F, ("AES_CBC", 16)),
                                              (0xC030, ("AES_GCM", 32)), (0x0A0A, None), (0x00FF, None)])
def test_suite_table(number, expected):
    from flowcheck.decrypt.tls_suites import suite
    found = suite(number)
    assert (found and (found.cipher, found.key)) == expected


def test_suite_table_agrees_with_the_registered_names():
    """Two tables of the same registry, written for different purposes."""
    from flowcheck.decode._tls_names import suite as name_of
    from flowcheck.decrypt.tls_suites import RSA, suite
    for number in range(0x10000):
        parts = suite(number)
        if parts is None:
            continue
        name = name_of(number)
        cipher = {"3DES_CBC": "3DES_EDE_CBC", "CHACHA20": "CHACHA20_POLY1305", "RC4": "RC4_128"}.get(
            parts.cipher, parts.cipher.replace("AES_", f"AES_{parts.key * 8}_"))
        assert f"_{cipher}" in name and (("CCM_8" in name) == (parts.tag == 8))
        assert parts.prf == ("sha384" if name.endswith("SHA384") else "sha256")
        if parts.mac:
            assert name.rpartition("_")[2] == {"sha1": "SHA"}.get(parts.mac, parts.mac.upper())
    assert all(name_of(number).startswith("TLS_RSA_WITH_") for number in RSA)
