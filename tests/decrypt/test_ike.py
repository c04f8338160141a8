"""Sealed IKE messages and the child SAs they agree on: sealed here by RFC 7296, opened through decoder and key ring."""

import hmac
import struct

import pytest

from flowcheck.decode import ike
from flowcheck.decrypt.ike import IkeKey
from flowcheck.decrypt.keys import KeyRing
from flowcheck.decrypt.suites import encryption, integrity, prf, prf_plus
from flowcheck.model import Context, Endpoint, FrameRef

H = bytes.fromhex
I, R = H("1111111111111111"), H("2222222222222222")
HNB, SEGW = Endpoint("198.51.100.21", 4500), Endpoint("203.0.113.10", 4500)


def chain(*payloads):
    kinds = [kind for kind, _ in payloads] + [0]
    return kinds[0], b"".join(struct.pack(">BBH", following, 0, 4 + len(body)) + body
                              for (_, body), following in zip(payloads, kinds[1:]))


def clear(exchange, flags, *payloads, ident=0, pair=(I, R)):
    kind, body = chain(*payloads)
    return pair[0] + pair[1] + struct.pack(">BBBBII", kind, 0x20, exchange, flags, ident, 28 + len(body)) + body


def seal(key, exchange, flags, *payloads, ident=1, fragments=0, pair=(I, R)):
    """The message, or its fragments, sealed with `key`."""
    kind, inner = chain(*payloads)
    if not fragments:
        return [_sealed(key, exchange, flags, 46, kind, b"", inner, ident, pair)]
    size = -(-len(inner) // fragments)
    return [_sealed(key, exchange, flags, 53, kind if n == 1 else 0, struct.pack(">HH", n, fragments),
                    inner[size * (n - 1):size * n], ident, pair) for n in range(1, fragments + 1)]


def _sealed(key, exchange, flags, payload, following, extra, inner, ident, pair):
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

    sk_e, sk_a = (key.sk_ei, key.sk_ai) if flags & 8 else (key.sk_er, key.sk_ar)
    suite = key.encryption
    padding = -(len(inner) + 1) % (suite.block if not suite.tag else 1)
    plain = inner + bytes(padding) + bytes([padding])
    iv = b"\x44" * suite.iv
    body = len(extra) + len(iv) + len(plain) + (suite.tag or key.integrity.size)
    head = (pair[0] + pair[1] + struct.pack(">BBBBII", payload, 0x20, exchange, flags, ident, 32 + body)
            + struct.pack(">BBH", following, 0, 4 + body) + extra)
    if suite.name == "AES-GCM":
        sealed = AESGCM(sk_e[:-4]).encrypt(sk_e[-4:] + iv, plain, head)
        return head + iv + sealed[:len(plain) + suite.tag]
    if suite.name == "AES-CCM":
        return head + iv + AESCCM(sk_e[:-3], suite.tag).encrypt(sk_e[-3:] + iv, plain, head)
    if suite.name == "ChaCha20-Poly1305":
        return head + iv + ChaCha20Poly1305(sk_e[:-4]).encrypt(sk_e[-4:] + iv, plain, head)
    algorithm = algorithms.AES if suite.block == 16 else TripleDES
    out = head + iv + (Cipher(algorithm(sk_e), modes.CBC(iv)).encryptor().update(plain) if suite.iv else plain)
    return out + key.integrity.mac(sk_a, out)[:key.integrity.size]


def key_of(cipher="AES_CBC", size=32, check="HMAC_SHA2_256_128", check_size=32, **more):
    return IkeKey(I, R, bytes(range(size)), bytes(range(1, size + 1)), encryption(cipher), b"a" * check_size,
                  b"b" * check_size,
                  integrity(check), "table", **more)


def ring_of(*keys):
    ring = KeyRing()
    for key in keys:
        if key.spi_i is None:
            ring._ike_anywhere.append(key)
        else:
            ring._ike.setdefault((key.spi_i, key.spi_r), []).append(key)
    return ring


class Line:
    """Both directions of one UDP flow on port 4500."""

    def __init__(self, ring):
        self.ring, self.flow, self.number = ring, None, 0

    def __call__(self, data, back=False):
        self.number += 1
        ends = (SEGW, HNB) if back else (HNB, SEGW)
        context = Context(self.number, (FrameRef(0, self.number),), *ends, ("eth", "ip", "udp"), 1, secrets=self.ring)
        self.flow = self.flow or ike.Flow(context)
        return list(self.flow.datagram(data if data[:4] != I[:4] else bytes(4) + data, context))


IDI = 35, b"\2\0\0\0hnb.example"
DN = 36, b"\x09\0\0\0" + H("301d310b3009060355040613025844310e300c06035504030c057365677731")
NOTIFIES = (41, struct.pack(">BBH", 0, 0, 16396)), (41, struct.pack(">BBH", 3, 4, 16393) + H("c0000001"))
TS = struct.pack(">BBBBBBHHH", 1, 0, 0, 0, 7, 17, 16, 0, 65535) + bytes([10, 0, 0, 1, 10, 0, 0, 9])
CP = 47, b"\2\0\0\0" + struct.pack(">HH", 1, 4) + bytes([10, 61, 0, 1]) + struct.pack(">HH", 3,
                                                                                      4) + bytes([10, 50, 0, 53]) + (
    struct.pack(">HH", 8, 17) + bytes(15) + b"\1\x40") + struct.pack(">HH", 13,
                                                                     8) + bytes([10, 0, 0, 0, 255, 0, 0,
                                                                                 0]) + struct.pack(">HH", 10, 0)
CONTENT = IDI, (39, b"\2\0\0\0" + bytes(20)), CP, (44, TS), (45, TS), (48, b"\1\7\0\6\x17\1"), *NOTIFIES, (
    42, struct.pack(">BBH", 3, 4, 2) + H("c0000001c0000002"))
EXPECTED = {
    "payloads": ["SK", "IDi", "AUTH", "CP", "TSi", "TSr", "EAP", "N", "N", "D"], "decrypted": True,
    "id_i": "hnb.example",
    "id_i_type": "FQDN", "auth_method": "SHARED_KEY", "notify": ["MOBIKE_SUPPORTED", "REKEY_SA"],
    "rekeys": ["c0000001"],
    "deletes": [{"protocol": "ESP", "spis": ["c0000001", "c0000002"]}],
    "eap": {"code": "Request", "identifier": 7, "method": "EAP-AKA", "subtype": "Challenge"},
    "configuration": {"type": "REPLY", "attributes": {
        "INTERNAL_IP4_ADDRESS": ["10.61.0.1"], "INTERNAL_IP4_DNS": ["10.50.0.53"], "INTERNAL_IP6_ADDRESS": ["::1/64"],
        "INTERNAL_IP4_SUBNET": ["10.0.0.0/8"], "INTERNAL_IP6_DNS": []}},
    "traffic_selectors": [{"side": side, "start": "10.0.0.1", "end": "10.0.0.9", "protocol": 17, "ports": [0, 65535]}
                          for side in ("TSi", "TSr")]}
SUITES = [("AES_CBC", 16, "HMAC_SHA1_96", 20), ("AES_CBC", 32, "HMAC_SHA2_256_128", 32),
          ("3DES", 24, "HMAC_MD5_96", 16),
          ("AES_CBC", 16, "AES_XCBC_96", 16), ("AES_CBC", 16, "AES_CMAC_96", 16), ("NULL", 0, "HMAC_SHA2_512_256", 64),
          ("AES_GCM_16", 20, "NONE", 0), ("AES_GCM_8", 36, "NONE", 0), ("AES_GCM_12", 20, "NONE", 0),
          ("AES_CCM_8", 19, "NONE", 0),
          ("AES_CCM_16", 35, "NONE", 0), ("CHACHA20_POLY1305", 36, "NONE", 0)]


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("flags", [0x08, 0x20])
def test_sealed_messages(suite, flags):
    key = key_of(*suite)
    message, = Line(ring_of(key))(seal(key, 35, flags, *CONTENT)[0])
    assert not message.problems and {k: message.fields[k] for k in EXPECTED} == EXPECTED


@pytest.mark.parametrize("suite", SUITES)
def test_fragments_in_any_order(suite):
    key = key_of(*suite)
    for order in ((0, 1, 2), (2, 0, 1), (1, 1, 2, 0)):
        line, parts = Line(ring_of(key)), seal(key, 35, 0x08, *CONTENT, fragments=3)
        messages = [line(parts[n])[0] for n in order]
        assert [m.fields["decrypted"] for m in messages] == [False] * (len(order) - 1) + [True]
        assert messages[-1].fields["configuration"] == EXPECTED["configuration"]
        assert messages[-1].fields["payloads"] == ["SKF", *EXPECTED["payloads"][1:]]
        assert [m.fields["fragment"]["total"] for m in messages] == [3] * len(order)


@pytest.mark.parametrize("suite", SUITES)
def test_wrong_keys_give_no_facts(suite):
    key = key_of(*suite)
    wrong = key._replace(sk_ei=key.sk_er, sk_ai=b"x" * len(key.sk_ai))
    ring = ring_of(wrong)
    message, = Line(ring)(seal(key, 35, 0x08, *CONTENT)[0])
    assert message.fields["payloads"] == ["SK"] and message.fields["keys"] == "do not fit"
    assert "id_i" not in message.fields
    assert not message.problems and list(ring.rejected) == ["IKE SA 1111111111111111 2222222222222222"]


def test_every_altered_octet_is_refused():
    key = key_of()
    sealed = seal(key, 35, 0x08, IDI)[0]
    for place in range(32, len(sealed)):
        message, = Line(ring_of(key))(sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1:])
        assert message.fields["decrypted"] is False and "id_i" not in message.fields


def test_keys_without_spis_find_their_sa():
    key, other = key_of(), key_of()._replace(sk_ai=b"z" * 32)
    ring = ring_of(other._replace(spi_i=None, spi_r=None), key._replace(spi_i=None, spi_r=None))
    line = Line(ring)
    assert line(seal(key, 35, 0x08, IDI)[0])[0].fields["id_i"] == "hnb.example"
    assert line(seal(key, 37, 0x08, ident=2)[0])[0].fields["decrypted"] is True and not ring.rejected
    stranger = key_of()._replace(sk_ai=b"q" * 32)
    for ident in range(20):
        message, = line(seal(stranger, 37, 0x08, ident=ident, pair=(I, I))[0])
        assert message.fields["decrypted"] is False


def test_a_wrong_length_inside_is_a_problem():
    key = key_of()
    kind, inner = chain(IDI)
    broken = inner[:2] + b"\xff\xff" + inner[4:]
    sealed = _sealed(key, 35, 0x08, 46, kind, b"", broken, 1, (I, R))
    message, = Line(ring_of(key))(sealed)
    assert message.fields["decrypted"] and message.problems


def test_names_of_identities():
    key = key_of()
    message, = Line(ring_of(key))(seal(key, 35, 0x20, DN, (35, b"\1\0\0\0" + bytes([192, 0, 2, 1])))[0])
    assert message.fields["id_r"] == "C=XD, CN=segw1" and message.fields["id_i"] == "192.0.2.1"


def sa(protocol, spi, *transforms):
    parts = b"".join(struct.pack(">BBHBBH", 0 if n == len(transforms) - 1 else 3, 0, 12 if bits else 8, kind, 0, code)
                     + (struct.pack(">HH", 0x800E, bits) if bits else b"") for n,
                     (kind, code, bits) in enumerate(transforms))
    inside = struct.pack(">BBBB", 1, protocol, len(spi), len(transforms)) + spi + parts
    return 33, struct.pack(">BBH", 0, 0, 4 + len(inside)) + inside


ESP_CBC = (1, 12, 128), (3, 2, 0), (5, 0, 0)
ESP_GCM = (1, 19, 256), (5, 1, 0)
NI, NR = b"n" * 32, b"r" * 32
INIT = (1, 12, 256), (2, 5, 0), (3, 12, 0), (4, 14, 0)


def agree(line, key, suite, exchange=35, nonces=((), ()), extra=()):
    """SA_INIT and the exchange that makes a child SA with SPIs c0000001 (at the HNB) and d0000001 (at the SeGW)."""
    line(clear(34, 0x08, sa(1, b"", *INIT), (34, struct.pack(">HH", 14, 0) + b"k"), (40, NI), pair=(I, bytes(8))))
    line(clear(34, 0x20, sa(1, b"", *INIT), (34, struct.pack(">HH", 14, 0) + b"k"), (40, NR)), back=True)
    line(seal(key, exchange, 0x08, sa(3, H("c0000001"), *suite), *nonces[0], *extra)[0])
    line(seal(key, exchange, 0x20, sa(3, H("d0000001"), *suite), *nonces[1], *extra)[0], back=True)


def esp(spi, sequence, key, mac, inner):
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    padding = -(len(inner) + 2) % 16
    head = struct.pack(">II", spi, sequence) + bytes(16)
    plain = inner + bytes(range(1, padding + 1)) + bytes([padding, 4])
    body = head + Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor().update(plain)
    return body + hmac.digest(mac, body, "sha1")[:12]


@pytest.mark.parametrize("exchange, nonces, seed", [
    (35, ((), ()), NI + NR), (36, (((40, b"x" * 16),), ((40, b"y" * 16),)), b"x" * 16 + b"y" * 16)])
def test_child_keys_are_derived_from_sk_d(exchange, nonces, seed):
    key = key_of(sk_d=b"d" * 32)
    ring = ring_of(key)
    line = Line(ring)
    agree(line, key, ESP_CBC, exchange, nonces)
    material = prf_plus(prf("HMAC_SHA2_256"), b"d" * 32, seed, 72)
    inner = b"\x45" + bytes(40)
    _, payload = line(esp(0xD0000001, 1, material[:16], material[16:36], inner))
    assert payload.protocol == "ip" and payload.data == inner and payload.context.layers == ("eth", "ip", "udp", "esp")
    _, payload = line(esp(0xC0000001, 1, material[36:52], material[52:72], inner), back=True)
    assert payload.data == inner and not ring.rejected


def test_with_a_new_key_exchange_nothing_is_derived():
    key = key_of(sk_d=b"d" * 32)
    ring = ring_of(key)
    agree(Line(ring), key, ESP_CBC, 36, (((40, b"x" * 16),), ((40, b"y" * 16),)), ((34, struct.pack(">HH", 14, 0)),))
    assert not ring._esp and ring._negotiations.agreed[0xD0000001].integrity.name == "HMAC-SHA-1-96"


def test_negotiation_settles_what_a_row_leaves_open(tmp_path):
    key, secret, mac = key_of(), b"s" * 16, b"m" * 20
    ring = ring_of(key)
    (tmp_path / "esp_sa").write_text(f'"IPv4","*","*","0xd0000001","AES-CBC [RFC3602]","0x{secret.hex()}",'
                                     f'"ANY 256 bit authentication [no checking]",""\n')
    ring.load(tmp_path)
    line = Line(ring)
    agree(line, key, ESP_CBC)
    inner = H("4500001400010000401167d80a0000010a000002")
    total = sum(struct.unpack(">10H", inner[:10] + bytes(2) + inner[12:]))
    inner = inner[:10] + struct.pack(">H", 0xFFFF - ((total & 0xFFFF) + (total >> 16))) + inner[12:]
    _, payload = line(esp(0xD0000001, 1, secret, mac, inner))
    assert payload.data == inner
