"""Algorithms against published vectors: RFC 3566, RFC 4231, RFC 4493, RFC 3602 and the GCM-ESP test cases."""

import hmac
import struct

import pytest

from flowcheck.decrypt.esp import Association, EspKey
from flowcheck.decrypt.suites import NONE, Unfit, encryption, integrity, key_bits, prf, prf_plus

H = bytes.fromhex


@pytest.mark.parametrize("name, label, sizes", [
    ("AES-CBC [RFC3602]", "AES-CBC", (16, 0)), ("TripleDes-CBC [RFC2451]", "3DES-CBC", (8, 0)),
    ("TripleDES-CBC [RFC2451]", "3DES-CBC", (8, 0)), ("DES-CBC [RFC2405]", "DES-CBC", (8, 0)),
    ("AES-CTR [RFC3686]", "AES-CTR", (8, 0)), ("AES-GCM [RFC4106]", "AES-GCM", (8, 16)),
    ("AES-GCM with 8 octet ICV [RFC4106]", "AES-GCM", (8, 8)),
    ("AES-GCM-128 with 12 octet ICV [RFC5282]", "AES-GCM", (8, 12)),
    ("AES-CCM-256 with 16 octet ICV [RFC5282]", "AES-CCM", (8, 16)), ("rfc4106(gcm(aes))", "AES-GCM", (8, 16)),
    ("rfc7539esp(chacha20,poly1305)", "ChaCha20-Poly1305", (8, 16)),
    ("ChaCha20 with Poly1305 [RFC7634]", "ChaCha20-Poly1305", (8, 16)),
    ("cbc(des3_ede)", "3DES-CBC", (8, 0)), ("cbc(aes)", "AES-CBC", (16, 0)), ("ecb(cipher_null)", "NULL", (0, 0)),
    ("NULL", "NULL", (0, 0)), ("AES_GCM_16_256", "AES-GCM", (8, 16)), ("AES_GCM_8", "AES-GCM", (8, 8)),
    ("AES_GCM_16_IIV_128", "AES-GCM", (0, 16)), ("NULL_AUTH_AES_GMAC_128", "AES-GMAC", (8, 16)),
    ("CAMELLIA_CBC_256", "Camellia-CBC", (16, 0)),
])
def test_encryption_names(name, label, sizes):
    found = encryption(name)
    assert (found.name, (found.iv, found.tag)) == (label, sizes)


@pytest.mark.parametrize("name, label", [
    ("HMAC-SHA-256-128 [RFC4868]", "HMAC-SHA-256-128"),
    ("HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]", "HMAC-SHA-256-96"),
    ("HMAC_SHA2_256_128 [RFC4868]", "HMAC-SHA-256-128"), ("HMAC-SHA-1-96 [RFC2404]", "HMAC-SHA-1-96"),
    ("HMAC_SHA1_160 [RFC4595]", "HMAC-SHA-1-160"), ("HMAC_MD5_128 [RFC4595]", "HMAC-MD5-128"), ("NULL", "NONE"),
    ("", "NONE"),
    ("ANY 96 bit authentication [no checking]", "ANY 96 bit"), ("hmac(sha512)", "HMAC-SHA-512-256"),
    ("xcbc(aes)", "AES-XCBC-96"),
    ("HMAC-SHA-384-192 [RFC4868]", "HMAC-SHA-384-192"), ("AES_CMAC_96", "AES-CMAC-96"), ("NONE [RFC4306]", "NONE"),
])
def test_integrity_names(name, label):
    assert integrity(name).name == label


def test_unknown_names():
    assert encryption("ROT13") is None and integrity("CRC32") is None
    assert key_bits("AES_CBC_256") == 256 and key_bits("AES_CBC") is None


@pytest.mark.parametrize("size, mac", [(0, "75f0251d528ac01c4573dfd584d79f29"), (3, "5b376580ae2f19afe7219ceef172756f"),
                                       (16, "d2a246fa349b68a79998a4394ff7a263"),
                                       (20, "47f51b4564966215b8985c63055ed308")])
def test_xcbc_of_rfc_3566(size, mac):
    assert integrity("AES_XCBC_96").mac(bytes(range(16)), bytes(range(size))) == H(mac)


def test_cmac_of_rfc_4493():
    check = integrity("AES_CMAC_96").mac
    assert check(H("2b7e151628aed2a6abf7158809cf4f3c"), b"") == H("bb1d6929e95937287fa37d129b756746")


def test_hmac_of_rfc_4231():
    assert integrity("HMAC_SHA2_256_128").mac(b"\x0b" * 20,
                                              b"Hi There").hex().startswith("b0344c61d8db38535ca8afceaf0bf12b")


def test_prf_plus_is_rfc_7296_2_13():
    key, seed = b"k" * 32, b"seed"
    first = hmac.digest(key, seed + b"\1", "sha256")
    second = hmac.digest(key, first + seed + b"\2", "sha256")
    third = hmac.digest(key, second + seed + b"\3", "sha256")
    assert prf_plus(prf("HMAC_SHA2_256"), key, seed, 80) == (first + second + third)[:80]


def test_xcbc_prf_of_rfc_4434():
    function = prf("AES128_XCBC")
    assert function(H("00010203040506070809"), bytes(range(20))) == H("0fa087af7d866e7653434e602fdde835")
    assert function(H("000102030405060708090a0b0c0d0e0fedcb"),
                    bytes(range(20))) == H("8cd3c93ae598a9803006ffb67c40e9e4")


def test_cbc_esp_packet_of_rfc_3602():
    """Section 4, case 5: an ICMP echo in transport mode, without integrity."""
    packet = H("0000432100000001e96e8c08ab465763fd098d45dd3ff893"
               "f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856"
               "a4699e523a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874a"
               "a269add047ad2d5913ac19b7cfbad4a6")
    key = EspKey(0x4321, "192.168.123.3", "192.168.123.100", encryption("AES-CBC"),
                 H("90d382b410eeba7ad938c46cec1a82bf"), NONE, b"", "t")
    opened = Association("t", [key], None).open(packet)
    assert opened.next_header == 1 and opened.data[:8] == H("08000ebda70a0000") and len(opened.data) == 64


def test_gcm_esp_packet_with_long_sequence_numbers():
    """First of the published GCM-ESP test cases: AAD with SPI, upper and lower sequence number."""
    aad, iv = H("000043218765432100000000"), H("4956ed7e3b244cfe")
    sealed = H("fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34cfa2436f14a3f3cf65925bf1f4a13c5d"
               "15b21e1884f5ff6247aeabb786b93bce61bc17d768fd9732459018148f6cbe722fd04796562dfdb4")
    opener = encryption("AES-GCM").opener(H("4c80cdefbb5d10da906ac73c3613a6342e443b68"), 16)
    plain = opener(iv, sealed, aad)
    assert plain[:20] == H("45000048699a000080114db7c0a80102c0a80101") and plain[-2:] == H("0201")
    with pytest.raises(Unfit):
        opener(iv, sealed, aad[:-1] + b"\1")


def seal(name, key, check, check_key, payload, next_header, sequence=1, high=None, spi=0x1001, tag=None):
    """An ESP packet made by the rules of RFC 4303, independent of what opens it."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

    head = struct.pack(">II", spi, sequence)
    block = {"AES-CBC": 16, "3DES-CBC": 8}.get(name, 4)
    padding = -(len(payload) + 2) % block
    plain = payload + bytes(range(1, padding + 1)) + bytes([padding, next_header])
    aad = head if high is None else struct.pack(">III", spi, high, sequence)
    if name in ("AES-GCM", "ChaCha20-Poly1305", "AES-CCM"):
        iv = b"\x11" * 8
        salt = 3 if name == "AES-CCM" else 4
        cipher = (AESCCM(key[:-salt], tag or 16) if name == "AES-CCM" else AESGCM(key[:-salt]) if name == "AES-GCM"
                  else ChaCha20Poly1305(key[:-salt]))
        sealed = cipher.encrypt(key[-salt:] + iv, plain, aad)
        if name == "AES-GCM" and tag:
            sealed = sealed[:len(sealed) - 16 + tag]
        return head + iv + sealed
    if name == "NULL":
        body = plain
    elif name == "AES-CTR":
        iv = b"\x22" * 8
        body = iv + Cipher(algorithms.AES(key[:-4]), modes.CTR(key[-4:] + iv + b"\0\0\0\1")).encryptor().update(plain)
    else:
        from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
        iv = b"\x33" * block
        body = iv + Cipher((algorithms.AES if block == 16 else TripleDES)(key), modes.CBC(iv)).encryptor().update(plain)
    mac = b""
    if check != "NONE":
        digest = {"HMAC-SHA-1-96": "sha1", "HMAC-SHA-256-128": "sha256", "HMAC-SHA-512-256": "sha512",
                  "HMAC-MD5-96": "md5"}[check]
        signed = head + body + (b"" if high is None else struct.pack(">I", high))
        mac = hmac.digest(check_key, signed, digest)[:integrity(check).size]
    return head + body + mac


SUITES = [("AES-CBC", 16, "HMAC-SHA-1-96", 20), ("AES-CBC", 32, "HMAC-SHA-256-128", 32),
          ("AES-CBC", 24, "HMAC-SHA-512-256", 64),
          ("3DES-CBC", 24, "HMAC-MD5-96", 16), ("AES-CTR", 20, "HMAC-SHA-1-96", 20), ("NULL", 0, "HMAC-SHA-1-96", 20),
          ("AES-GCM", 20, "NONE", 0), ("AES-GCM", 36, "NONE", 0), ("AES-CCM", 19, "NONE", 0),
          ("ChaCha20-Poly1305", 36, "NONE", 0)]
INNER = H("450000280001000040110000c0000201c0000202") + struct.pack(">HHHH", 1, 2, 20, 0) + bytes(12)


def key_of(name, size, check, check_size, **more):
    return EspKey(0x1001, "192.0.2.1", "192.0.2.2", encryption(name), bytes(range(1, size + 1)), integrity(check),
                  bytes(range(100, 100 + check_size)), "table", **more)


@pytest.mark.parametrize("name, size, check, check_size", SUITES)
@pytest.mark.parametrize("high", [None, 0, 3])
def test_suites_open_what_was_sealed(name, size, check, check_size, high):
    key = key_of(name, size, check, check_size)
    association = Association("SA", [key], None)
    for sequence in (5, 6, 0xFFFFFFFF) if high is None else (0xFFFFFFF0, 0xFFFFFFFF):
        packet = seal(name, key.key, check, key.integrity_key, INNER, 4, sequence, high)
        opened = association.open(packet)
        assert opened.data == INNER and opened.next_header == 4
        broken = packet[:-1] + bytes([packet[-1] ^ 1])
        assert association.open(broken).data is None
    if high is not None:                                    # the upper half goes on when the lower one wraps
        packet = seal(name, key.key, check, key.integrity_key, INNER, 4, 2, high + 1)
        assert association.open(packet).data == INNER


@pytest.mark.parametrize("tag", [8, 12, 16])
def test_gcm_tags_of_every_size_whatever_the_row_says(tag):
    key = key_of("AES-GCM [RFC4106]", 20, "ANY 64 bit authentication [no checking]", 0)
    assert Association("SA", [key], None).open(seal("AES-GCM", key.key, "NONE", b"", INNER, 4, tag=tag)).data == INNER


@pytest.mark.parametrize("name, size, check, check_size", SUITES)
def test_wrong_keys_open_nothing(name, size, check, check_size):
    key = key_of(name, size, check, check_size)
    wrong = key._replace(key=bytes(len(key.key)) if name != "3DES-CBC" else bytes(range(50, 74)),
                         integrity_key=b"x" * check_size)
    association = Association("SA", [wrong], None)
    for sequence in range(1, 40):
        opened = association.open(seal(name, key.key, check, key.integrity_key, INNER, 4, sequence))
        assert opened.data is None and "verif" in opened.refused
    assert not association.fits


def test_unknown_integrity_key_asks_for_a_packet_inside():
    key = key_of("AES-CBC", 32, "HMAC-SHA-256-128", 32)
    unknown = key._replace(integrity=integrity("ANY 128 bit authentication"), integrity_key=b"")
    inner = H("4500001400010000401100 00c0000201c0000202".replace(" ", ""))
    total = sum(struct.unpack(">10H", inner))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    inner = inner[:10] + struct.pack(">H", 0xFFFF - total) + inner[12:]
    packet = seal("AES-CBC", key.key, "HMAC-SHA-256-128", key.integrity_key, inner, 4)
    assert Association("SA", [unknown], None).open(packet).data == inner
    other = unknown._replace(key=bytes(32))
    association = Association("SA", [other], None)
    assert all(association.open(packet[:8] + bytes([n]) + packet[9:]).data is None for n in range(40))


def test_every_length_is_safe():
    for name, size, check, check_size in SUITES:
        key = key_of(name, size, check, check_size)
        packet = seal(name, key.key, check, key.integrity_key, INNER, 4)
        for cut in range(8, len(packet)):
            opened = Association("SA", [key], None).open(packet[:cut]).data
            assert opened is None or name == "AES-GCM" and cut in (len(packet) - 4, len(packet) - 8)   # a shorter tag
