"""The key ring: every format by its content, no secret in any word it says, and what it makes of late or wrong keys."""

import hmac
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decrypt import _formats
from flowcheck.decrypt.keys import KeyRing
from flowcheck.errors import KeyFileError

KEY, MAC = "40b162def3499288c8b320229e075840", "3ba2da403ebbc861d1e0654176f9cb154a5099d257ccd49ad1532c32c23e7743"
SALTED = "f6635cf169c633d82e2e485d1d5c993ce6c2f8b2"
ESP_SA = (f'# comment\n"IPv4","198.51.100.21","203.0.113.10","0xe6dfdec9","AES-CBC [RFC3602]","0x{KEY}","HMAC-SHA-256-128 [RFC4868]","0x{MAC}"\n'
          f'"IPv4","203.0.113.10","198.51.100.21","0x0b1607e1","AES-GCM with 16 octet ICV [RFC4106]","0x{SALTED}","NULL",""\n')
IKE_TABLE = (f'5f48f5dbb761ee78,c64aea7182bc3147,{KEY},{KEY},"AES-CBC-128 [RFC3602]",{MAC},{MAC},"HMAC_SHA2_256_128 [RFC4868]"\n')
XFRM = f"""src 192.0.2.1 dst 192.0.2.2
\tproto esp spi 0xc0c1c2c3 reqid 1 mode tunnel
\treplay-window 32 flag af-unspec
\tauth-trunc hmac(sha256) 0x{MAC} 128
\tenc cbc(aes) 0x{KEY}
\tencap type espinudp sport 4500 dport 4500 addr 0.0.0.0
src 192.0.2.2 dst 192.0.2.1
\tproto esp spi 0xc3c2c1c0 reqid 1 mode tunnel
\treplay-window 0 flag esn
\taead rfc4106(gcm(aes)) 0x{SALTED} 96
src 192.0.2.2 dst 192.0.2.1
\tproto ah spi 0x00001234 reqid 1 mode tunnel
"""
XFRM_S = f"""src 192.0.2.1 dst 192.0.2.2
\tproto esp spi 0xc0c1c2c3(3233923779) reqid 1(0x00000001) mode tunnel
\treplay-window 32 seq 0x00000000 flag af-unspec (0x00100000)
\tauth-trunc hmac(sha1) 0x{MAC[:40]} (160 bits) 96
\tenc cbc(aes) 0x{KEY} (128 bits)
\tlifetime config:
\t  limit: soft (INF)(bytes), hard (INF)(bytes)
"""
TCPDUMP = f"0x12345678@192.1.2.45 3des-cbc-hmac96:0x{'01' * 24}\n"
NOTES = f"""ESP SPI 0xd1234567 to 192.1.2.45
encryption: AES-128-CBC
encryption key: {KEY}
integrity: 12 octet ICV, key not published
IKEv2 SA
initiator SPI: 0001020304050607
responder SPI: c02e7a3031a03188
encryption: AES-128-CBC; integrity: HMAC-SHA1-96
SK_ei: {KEY}
SK_er: {KEY}
SK_ai: {MAC[:40]}
SK_ar: {MAC[:40]}
"""
KEYLOG = (f"# SSL/TLS secrets log file\nCLIENT_RANDOM {'ab' * 32} {'cd' * 48}\nSERVER_TRAFFIC_SECRET_0 {'ef' * 32} {'12' * 32}\n"
          f"RSA {'ab' * 8} {'03' * 48}\nCLIENT_RANDOM {'ac' * 32} {'cd' * 20}c")
CHARON = """Nov 20 12:00:00 segw charon: 09[CFG] selected proposal: IKE:AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048
Nov 20 12:00:00 segw charon: 09[IKE] <1> Sk_d secret => 20 bytes @ 0x7f3f2c003b50
Nov 20 12:00:00 segw charon: 09[IKE] <1>    0: 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10  ................
Nov 20 12:00:00 segw charon: 09[IKE] <1>   16: 11 12 13 14                                      ....
Nov 20 12:00:00 segw charon: 10[NET] received packet
Nov 20 12:00:00 segw charon: 09[IKE] <1> Sk_ai secret => 16 bytes @ 0x7f3f2c003b50
Nov 20 12:00:00 segw charon: 09[IKE] <1>    0: 21 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10  ................
Nov 20 12:00:00 segw charon: 09[IKE] <1> Sk_ar secret => 16 bytes @ 0x7f3f2c003b50
Nov 20 12:00:00 segw charon: 09[IKE] <1>    0: 31 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10  ................
Nov 20 12:00:00 segw charon: 09[IKE] <1> Sk_ei secret => 16 bytes @ 0x7f3f2c003b50
Nov 20 12:00:00 segw charon: 09[IKE] <1>    0: 41 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10  ................
Nov 20 12:00:00 segw charon: 09[IKE] <1> Sk_er secret => 16 bytes @ 0x7f3f2c003b50
Nov 20 12:00:00 segw charon: 09[IKE] <1>    0: 51 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10  ................
Nov 20 12:00:01 segw charon: 11[CFG] selected proposal: ESP:AES_CBC_128/HMAC_SHA1_96/NO_EXT_SEQ
Nov 20 12:00:01 segw charon: 11[CHD] encryption initiator key => 16 bytes @ 0x7f3f28001d30
Nov 20 12:00:01 segw charon: 11[CHD]    0: 61 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10  ................
Nov 20 12:00:01 segw charon: 11[CHD] encryption responder key => 16 bytes @ 0x7f3f28001d30
Nov 20 12:00:01 segw charon: 11[CHD]    0: 71 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10  ................
Nov 20 12:00:01 segw charon: 11[CHD] integrity initiator key => 20 bytes @ 0x7f3f28001d30
Nov 20 12:00:01 segw charon: 11[CHD]    0: 81 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10  ................
Nov 20 12:00:01 segw charon: 11[CHD]   16: 11 12 13 14                                      ....
Nov 20 12:00:01 segw charon: 11[CHD] integrity responder key => 20 bytes @ 0x7f3f28001d30
Nov 20 12:00:01 segw charon: 11[CHD]    0: 91 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10  ................
Nov 20 12:00:01 segw charon: 11[CHD]   16: 11 12 13 14                                      ....
Nov 20 12:00:01 segw charon: 11[CHD] adding inbound ESP SA
Nov 20 12:00:01 segw charon: 11[CHD]   SPI 0xc35f6e21, src 192.0.2.1 dst 198.51.100.1
"""
FILES = {"esp_sa": ESP_SA, "ikev2_decryption_table": IKE_TABLE, "xfrm": XFRM, "xfrm-s": XFRM_S, "secrets": TCPDUMP,
         "notes": NOTES, "keylog": KEYLOG, "charon.log": CHARON}


def load(tmp_path, text, name="keys"):
    path = tmp_path / name
    path.write_text(text)
    ring = KeyRing()
    ring.load(path)
    return ring


@pytest.mark.parametrize("name, said", [
    ("esp_sa", "2 ESP keys (AES-CBC HMAC-SHA-256-128, AES-GCM)"), ("ikev2_decryption_table", "keys of 1 IKE SAs"),
    ("xfrm", "2 ESP keys (AES-CBC HMAC-SHA-256-128, AES-GCM)"), ("xfrm-s", "1 ESP keys (AES-CBC HMAC-SHA-1-96)"),
    ("secrets", "1 ESP keys (3DES-CBC ANY 96 bit)"), ("notes", "1 ESP keys (AES-CBC ANY 96 bit); keys of 1 IKE SAs"),
    ("keylog", "secrets of 3 TLS connections"), ("charon.log", "2 ESP keys (AES-CBC HMAC-SHA-1-96); keys of 1 IKE SAs"),
])
def test_formats_are_known_by_content(tmp_path, name, said):
    ring = load(tmp_path, FILES[name])
    assert ring and said in ring.describe()[0]


@pytest.mark.parametrize("name", FILES)
def test_windows_line_ends_and_byte_order_marks(tmp_path, name):
    plain = load(tmp_path, FILES[name]).describe()
    path = tmp_path / "keys"
    path.write_bytes(b"\xef\xbb\xbf" + FILES[name].replace("\n", "\r\n").encode())
    ring = KeyRing()
    ring.load(path)
    assert ring.describe() == plain


def test_nothing_said_holds_a_secret(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    ring = KeyRing()
    ring.load(tmp_path)
    said = " ".join(ring.describe()).lower()
    assert not any(secret in said for secret in (KEY, MAC, SALTED, "ab" * 16, "cd" * 16, "4102030405"))


def test_tls_secrets_by_label_and_random(tmp_path):
    ring = load(tmp_path, KEYLOG)
    assert ring.tls == {("CLIENT_RANDOM", b"\xab" * 32): b"\xcd" * 48,
                        ("SERVER_TRAFFIC_SECRET_0", b"\xef" * 32): b"\x12" * 32,
                        ("RSA", b"\xab" * 8): b"\x03" * 48}


def test_secrets_of_a_pcapng(tmp_path):
    ring = KeyRing()
    ring.add_secrets_block(0x544C534B, KEYLOG.encode())
    ring.add_secrets_block(0x57474B4C, b"?")
    assert ("CLIENT_RANDOM", b"\xab" * 32) in ring.tls and "0x57474b4c" in ring.describe()[-1]


def test_rsa_keys(tmp_path):
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    pem = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.TraditionalOpenSSL, s.NoEncryption()).decode()
    ring = load(tmp_path, pem)
    assert ring.rsa_keys[0].private_numbers() == key.private_numbers()
    sealed = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"x")).decode()
    with pytest.raises(KeyFileError, match="password"):
        load(tmp_path, sealed)


@pytest.mark.parametrize("text, said", [
    ("just some text\nof no format\n", "no known key format"),
    (ESP_SA.replace(KEY, KEY[:-2]), ":2: a key of 15 octets does not suit AES-CBC"),
    (ESP_SA.replace(KEY, KEY[:-1] + "g"), ":2: the encryption key is not hexadecimal"),
    (ESP_SA.replace("AES-CBC", "ROT13"), ":2: unknown encryption algorithm"),
    (IKE_TABLE.replace("HMAC_SHA2_256_128", "CRC"), ":1: unknown algorithm"),
    ("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "cannot be read"),
])
def test_wrong_files_are_named_and_not_quoted(tmp_path, text, said):
    with pytest.raises(KeyFileError) as error:
        load(tmp_path, text)
    assert said in str(error.value) and "\n" not in str(error.value)
    assert not any(secret[:20] in str(error.value) for secret in (KEY, MAC, SALTED))


def test_missing_binary_and_empty_files(tmp_path):
    with pytest.raises(KeyFileError, match="No such file"):
        KeyRing().load(tmp_path / "absent")
    (tmp_path / "capture.pcap").write_bytes(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    with pytest.raises(KeyFileError, match="binary"):
        KeyRing().load(tmp_path / "capture.pcap")
    ring = load(tmp_path, "# only a comment\n")
    assert not ring and "no keys" in ring.describe()[0]


def test_a_strongswan_log_without_keys_is_no_mistake(tmp_path):
    ring = load(tmp_path, "2026-11-21T06:31:02 07[IKE] initiating IKE_SA segw[1] to 203.0.113.10\n"
                          "2026-11-21T06:31:02 07[NET] sending packet: from 198.51.100.21[500] to 203.0.113.10[500]\n")
    assert not ring and "strongSwan log without keys" in ring.describe()[0] and "level 4" in ring.describe()[0]


def test_a_folder_keeps_what_is_good_and_remarks_on_the_rest(tmp_path):
    (tmp_path / "a").write_text("nonsense")
    (tmp_path / "b").write_text(ESP_SA)
    ring = KeyRing()
    ring.load(tmp_path)
    assert ring and any("no known key format" in line for line in ring.describe())
    (tmp_path / "b").unlink()
    with pytest.raises(KeyFileError):
        KeyRing().load(tmp_path)


def test_ikev1_tables_are_passed_over(tmp_path):
    assert "not used: IKEv1 keys" in load(tmp_path, f"0011223344556677,{KEY}\n").describe()[0]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.integers(0, 2000),
       st.text(alphabet="0123456789abcdef\",*:=>[] \nIPv4srcdtESP", max_size=40))
def test_damaged_files_raise_nothing_else(name, place, text):
    whole = FILES[name]
    place %= len(whole)
    try:
        _formats.read(whole[:place] + text + whole[place + len(text):], "file")
    except KeyFileError as error:
        assert "\n" not in str(error)


# ------------------------------------------------------------------------------------------------- matching

def esp_packet(spi, sequence, key, mac, payload=bytes(20)):
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    plain = payload + bytes(range(1, 11)) + bytes([10, 4])
    head = struct.pack(">II", spi, sequence) + bytes(16)
    body = head + Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor().update(plain)
    return body + hmac.digest(mac, body, "sha256")[:16]


def row(spi, key, mac, src="*", dst="*"):
    return f'"IPv4","{src}","{dst}","{spi}","AES-CBC [RFC3602]","0x{key.hex()}","HMAC-SHA-256-128 [RFC4868]","0x{mac.hex()}"\n'


K1, K2, M = b"1" * 16, b"2" * 16, b"m" * 32


def test_several_rows_for_an_spi_are_all_tried(tmp_path):
    for dst in ("192.0.2.2", "192.0.2.77"):               # at the row's address, and behind a NAT
        for key in (K1, K2):
            ring = load(tmp_path, row("0x1001", K1, M, dst="192.0.2.9") + row("0x1001", K2, M, dst="192.0.2.2"))
            assert ring.open_esp("192.0.2.1", dst, esp_packet(0x1001, 1, key, M)).data == bytes(20)
            assert not ring.rejected


@pytest.mark.parametrize("spi, dst, opens", [("*", "*", True), ("0x0000100?", "192.0.2.*", True), ("0x2*", "*", False),
                                             ("*", "198.51.100.*", False), ("*", "192.0.2.0/24", True),
                                             ("4097", "*", True)])
def test_wildcards(tmp_path, spi, dst, opens):
    ring = load(tmp_path, row(spi, K1, M, dst=dst))
    opened = ring.open_esp("192.0.2.1", "192.0.2.2", esp_packet(0x1001, 1, K1, M))
    assert (opened.data == bytes(20)) == opens


def test_wrong_keys_are_reported_once_for_an_sa(tmp_path):
    ring = load(tmp_path, row("0x1001", K1, M))
    for sequence in range(1, 30):
        assert ring.open_esp("192.0.2.1", "192.0.2.2", esp_packet(0x1001, sequence, K1, b"x" * 32)).data is None
    assert ring.open_esp("192.0.2.1", "192.0.2.2", esp_packet(0x3003, 1, K1, M)).data is None
    assert [what for what in ring.rejected] == ["ESP SPI 0x00001001 to 192.0.2.2", "ESP SPI 0x00003003 to 192.0.2.2"]
    assert "do not fit" in ring.rejected["ESP SPI 0x00001001 to 192.0.2.2"]


def test_a_ring_without_esp_keys_says_nothing_about_esp(tmp_path):
    ring = load(tmp_path, KEYLOG)
    assert ring.open_esp("192.0.2.1", "192.0.2.2", esp_packet(0x1001, 1, K1, M)) is None and not ring.rejected


def test_an_altered_packet_does_not_discredit_the_key(tmp_path):
    ring = load(tmp_path, row("0x1001", K1, M))
    assert ring.open_esp("192.0.2.1", "192.0.2.2", esp_packet(0x1001, 1, K1, M)).data is not None
    assert ring.open_esp("192.0.2.1", "192.0.2.2", esp_packet(0x1001, 2, K1, M)[:-1] + b"?").data is None
    assert ring.open_esp("192.0.2.1", "192.0.2.2", esp_packet(0x1001, 3, K1, M)).data is not None and not ring.rejected


def test_a_log_without_proposals_and_spis_is_enough(tmp_path):
    text = "\n".join(line for line in CHARON.splitlines() if "proposal" not in line and "SPI" not in line)
    ring = load(tmp_path, text)
    packet = esp_packet(0x77777777, 1, b"\x61" + bytes(range(2, 17)), b"")[:-16]
    packet += hmac.digest(b"\x81" + bytes(range(2, 21)), packet, "sha1")[:12]
    assert ring.open_esp("192.0.2.1", "198.51.100.1", packet).data == bytes(20)
    assert ring.open_esp("192.0.2.1", "198.51.100.1", packet[:-1] + b"?").data is None


def test_algorithms_without_a_reader_are_passed_over(tmp_path):
    ring = load(tmp_path, ESP_SA.replace("AES-CBC [RFC3602]", "TWOFISH-CBC"))
    assert "1 ESP keys (AES-GCM); not used: ESP keys for TWOFISH-CBC" in ring.describe()[0]


def test_keys_of_a_log_fit_either_direction(tmp_path):
    tail = bytes(range(2, 17))
    for first, mac in ((0x61, 0x81), (0x71, 0x91)):
        ring = load(tmp_path, CHARON)
        packet = esp_packet(0xC35F6E21, 1, bytes([first]) + tail, b"")[:-16]
        packet += hmac.digest(bytes([mac]) + bytes(range(2, 21)), packet, "sha1")[:12]
        assert ring.open_esp("192.0.2.1", "198.51.100.1", packet).data == bytes(20)
