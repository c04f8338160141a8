"""Certificates: our reader against the cryptography library's, odd and hostile DER, and what is wrong with chains."""

import json
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.decode import _der, certificates
from flowcheck.decode.wire import Cursor

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
NOW = int(datetime(2026, 6, 1, tzinfo=timezone.utc).timestamp()) * 1_000_000_000
CA_KEY, LEAF_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())


def named(common, organisation="Example"):
    return x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "AA"),
                      x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
                      x509.NameAttribute(NameOID.COMMON_NAME, common)])


def make(subject="hms.example", issuer="Root", key=LEAF_KEY, signer=CA_KEY, names=("hms.example",),
         begin=BEGIN, days=365,
         extensions=(), algorithm=None):
    builder = (x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named(issuer)).serial_number(0xFE0457)
               .public_key(key.public_key()).not_valid_before(begin).not_valid_after(begin + timedelta(days=days)))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([
            x509.IPAddress(ip_address(n)) if n[0].isdigit() or ":" in n else x509.DNSName(n) for n in names]), False)
    for extension in extensions:
        builder = builder.add_extension(extension, True)
    edwards = isinstance(signer, ed25519.Ed25519PrivateKey)
    return builder.sign(signer, None if edwards else algorithm or hashes.SHA256()).public_bytes(Encoding.DER)


ROOT = make("Root", "Root", CA_KEY, names=(), extensions=(x509.BasicConstraints(True, None),))
LEAF = make()


def chain(*ders):
    return [certificates.describe(der) for der in ders]


def found(ders, name="hms.example", at=NOW):
    faults = certificates.faults(chain(*ders), name, at)
    assert json.loads(json.dumps(faults)) == faults
    return [(fault["fault"], fault["certificate"]) for fault in faults]


def test_fields():
    usage = x509.KeyUsage(True, False, True, False, False, False, False, False, False)
    der = make(names=("hms.example", "192.0.2.80", "2001:db8::1"), extensions=(
        usage, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.IPSEC_IKE])))
    fields = certificates.describe(der)
    expected = {"subject_cn": "hms.example", "issuer_cn": "Root", "subject": "C=AA, O=Example, CN=hms.example",
                "issuer": "C=AA, O=Example, CN=Root", "san": ["hms.example", "192.0.2.80", "2001:db8::1"], "version": 3,
                "not_before": "2026-01-01T00:00:00Z", "not_after": "2027-01-01T00:00:00Z", "serial": "fe0457",
                "key": "EC", "curve": "secp384r1", "key_size": 384, "signature_algorithm": "ecdsa-with-SHA256",
                "self_signed": False, "is_ca": False, "key_usage": ["digitalSignature", "keyEncipherment"],
                "extended_key_usage": ["serverAuth", "ipsecIKE"]}
    assert {key: fields.get(key) for key in expected} == expected and "error" not in fields
    assert json.loads(json.dumps(fields)) == fields


@pytest.mark.parametrize("key", [rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate(),
                                 ec.generate_private_key(ec.SECP521R1())])
def test_agrees_with_the_library(key):
    der = make("Ünder lab", "Ünder lab", key, key)
    fields, other = certificates.describe(der), x509.load_der_x509_certificate(der)
    assert fields["subject_cn"] == other.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    assert int(fields["serial"], 16) == other.serial_number
    assert fields["not_after"] == other.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert fields["self_signed"] and fields.get("key_size", 256) == getattr(other.public_key(), "key_size", 256)


def test_a_root_is_a_ca():
    assert certificates.describe(ROOT)["is_ca"] and certificates.describe(ROOT)["self_signed"]


def test_cut_at_every_length_keeps_what_was_read():
    whole = certificates.describe(LEAF)
    for size in range(len(LEAF)):
        fields = certificates.describe(LEAF[:size])
        assert "error" in fields
        assert all(whole[key] == value for key, value in fields.items() if key not in ("error", "sha256") and value)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(LEAF) - 1), st.binary(min_size=1, max_size=4))
def test_damage_never_raises(at, octets):
    der = LEAF[:at] + octets + LEAF[at + len(octets):]
    fields = certificates.describe(der)
    json.dumps(fields)
    certificates.faults([fields, fields], "hms.example", NOW)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=60))
def test_noise(data):
    assert "error" in certificates.describe(data)
    assert isinstance(certificates.name(data), str)


@pytest.mark.parametrize("written, read", [
    (b"\x17\x0d260101000000Z", "2026-01-01T00:00:00Z"), (b"\x17\x0d500101000000Z", "1950-01-01T00:00:00Z"),
    (b"\x17\x0b9912312359Z", "1999-12-31T23:59:00Z"), (b"\x18\x0f20500101000000Z", "2050-01-01T00:00:00Z"),
    (b"\x17\x11260101020000+0200", "2026-01-01T00:00:00Z")])
def test_times(written, read):
    assert _der.time(Cursor(written)) == read


@pytest.mark.parametrize("ders, name, expected", [
    ([LEAF, ROOT], "hms.example", []),
    ([LEAF], "hms.example", []),                                  # the root may be left out
    ([LEAF], None, []),
    ([LEAF], "HMS.Example.", []),
    ([LEAF], "other.example", [("name_mismatch", 0)]),
    ([make(names=("*.example.net",))], "a.example.net", []),
    ([make(names=("*.example.net",))], "a.b.example.net", [("name_mismatch", 0)]),
    ([make(names=("*.example.net",))], "example.net", [("name_mismatch", 0)]),
    ([make(names=("*.net",))], "example.net", [("name_mismatch", 0)]),
    ([make(names=())], "hms.example", []),                        # no SAN: the CN counts
    ([make(names=("a.example",))], "hms.example", [("name_mismatch", 0)]),
    ([make(names=("192.0.2.80",))], "192.0.2.80", []),
    ([make(names=("2001:db8::1",))], "[2001:0db8::0001]", []),
    ([make(names=("hms.example",))], "192.0.2.80", [("name_mismatch", 0)]),
    ([make(days=30)], "hms.example", [("expired", 0)]),
    ([make(begin=BEGIN + timedelta(days=300))], "hms.example", [("not_yet_valid", 0)]),
    ([make(issuer="hms.example", signer=LEAF_KEY)], "hms.example", [("self_signed", 0)]),
    ([LEAF, make("Other", "Other", CA_KEY, names=())], "hms.example", [("chain_order", 1)]),
    ([make(key=rsa.generate_private_key(65537, 1024))], "hms.example", [("weak_key", 0)]),
    ([make(extensions=(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),))], "hms.example",
     [("no_server_auth", 0)]),
    ([LEAF[:200]], "hms.example", [("unreadable", 0)]),
    ([], "hms.example", []),
])
def test_faults(ders, name, expected):
    assert found(ders, name) == expected


def test_a_sha1_signature_is_weak_on_a_leaf_and_does_not_matter_on_a_root():
    sha1 = {**certificates.describe(LEAF), "signature_algorithm": "ecdsa-with-SHA1"}
    root = {**certificates.describe(ROOT), "signature_algorithm": "sha1WithRSAEncryption"}
    assert [(f["fault"], f["certificate"]) for f in certificates.faults([sha1, root], None, NOW)] == [("weak_signature", 0)]


def test_the_cache_hands_out_copies():
    certificates.describe(LEAF)["subject_cn"] = "changed"
    assert certificates.describe(LEAF)["subject_cn"] == "hms.example"
