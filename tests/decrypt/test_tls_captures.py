"""Recorded TLS and DTLS with key logs: what we open is what tshark opens, message for message."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from flowcheck.decode._tls_names import ALERTS, HANDSHAKES

CAPTURES = Path(__file__).parents[3] / "shared" / "captures"
NUMBER = {name: str(number) for number, name in HANDSHAKES.items()}
ALERT = {name: str(number) for number, name in ALERTS.items()}
CASES = [   # capture, its keys
    ("lab/A02_512_discovery_internet_ok/hnb_outer.pcap", "keys/tls_keylog.txt"),
    ("lab/A05_512_tls12_digest_ok/hnb_outer.pcap", "keys/tls_keylog.txt"),
    ("lab/B07_512_libcurl_digest_chunked_gzip_ok/hnb_outer.pcap", "keys/tls_keylog.txt"),
    ("lab/C21_512_ipv6_ok/hnb_outer.pcap", "keys/tls_keylog.txt"),
    ("described/M02_613_http_alias_names_chunked_ok/access.pcap", "keys/tls_keylog.txt"),
    ("public/scapy/tls_nss_example.pcap", "tls_nss_example.pcap.keylog"),
    ("public/zeek/tls/tls12-decryption.pcap", "tls12-decryption.pcap.keylog"),
]


def decoded(capture, keys):
    from flowcheck.decrypt.keys import KeyRing
    from flowcheck.observe.observation import observe

    assert keys.exists()
    ring = KeyRing()
    ring.load(keys)
    return observe([str(capture)], ring)


def ours(messages):
    facts = Counter()
    for message in messages:
        protocol, _, kind = message.kind.partition(".")
        if protocol == "tls" and kind in NUMBER:
            facts["handshake", NUMBER[kind]] += 1
        elif message.kind == "tls.alert":
            facts["alert", ALERT[message.fields["description"]]] += 1
        elif message.kind == "http.request":
            facts["request", message.fields["method"]] += 1
        elif message.kind == "http.response":
            facts["response", str(message.fields["status"])] += 1
    return facts


def tsharks(capture, keys):
    fields = ("tls.handshake.type", "tls.alert_message.desc", "http.request.method", "http.response.code")
    out = subprocess.run(
        ["tshark", "-n", "-r", str(capture), "-o", "tcp.reassemble_out_of_order:TRUE", "-o", f"tls.keylog_file:{keys}",
         "-T", "fields", *(x for field in fields for x in ("-e", field)), "-Y", "tls || http"],
        capture_output=True, text=True, check=True).stdout
    facts = Counter()
    for line in out.splitlines():
        for what, values in zip(("handshake", "alert", "request", "response"), line.split("\t")):
            for value in filter(None, values.split(",")):
                facts[what, value] += 1
    return facts


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="the captures beside the repository are not here")
@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
@pytest.mark.parametrize("capture, keys", CASES)
def test_as_tshark_decrypts_it(capture, keys):
    capture = CAPTURES / capture
    observation = decoded(capture, capture.parent / keys)
    expected = tsharks(capture, capture.parent / keys)
    assert expected["request", "POST"] + expected["request", "GET"]
    found = ours(observation.messages)
    assert expected <= found           # tshark does not take "HTTP/1.0 200 ok" before a line without a length for HTTP
    assert all(what == "response" for what, _ in found - expected)
    assert not [opaque for opaque in observation.opaque if opaque.kind == "tls"]


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="the captures beside the repository are not here")
def test_coap_in_dtls():
    folder = CAPTURES / "described/M05_613_coap_dtls_ok"
    observation = decoded(folder / "access.pcap", folder / "keys/tls_keylog.txt")
    coap = [m for m in observation.messages if m.kind.startswith("coap.")]
    assert [m.fields["code"] for m in coap] == ["0.02", "2.01"]
    assert all("dtls" in m.layers for m in coap)
    assert [m.kind for m in observation.messages].count("dtls.finished") == 2


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="the captures beside the repository are not here")
def test_a_capture_with_losses_says_nothing_that_the_whole_one_does_not():
    """The lossy capture was made from another recording, frame by frame: what it shows must be in that one too."""
    whole = CAPTURES / "lab/A02_512_discovery_internet_ok"
    lossy = CAPTURES / "lab/A82_512_capture_loss_4pct"
    messages = decoded(lossy / "hnb_outer.pcap", lossy / "keys/tls_keylog.txt").messages
    assert "tls.wrong_key" not in {m.kind for m in messages} and any(m.kind == "tls.client_hello" for m in messages)
    assert ours([m for m in messages if not m.incomplete]) <= ours(
        decoded(whole / "hnb_outer.pcap", whole / "keys/tls_keylog.txt").messages)
