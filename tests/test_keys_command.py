"""`flowcheck keys`: one clear line for every kind of key file, what it opens, and never a secret."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flowcheck.cli import main

SAMPLE = Path(__file__).resolve().parent.parent / "samples/ts32.583/5.1.1/pass-nat-tls"
OTHER = Path(__file__).resolve().parent.parent / "samples/ts32.583/5.1.1/pass-ipv6"
CAPTURE = str(next(SAMPLE.glob("*.pcap*")))


def keys(capsys, *arguments) -> tuple[int, str]:
    status = main(["keys", *map(str, arguments)])
    return status, capsys.readouterr().out


def secrets() -> set[str]:
    """Every run of 32 or more hexadecimal digits in the key files that is no identifier of an SA or connection."""
    found = set()
    for file in (*SAMPLE.glob("keys/*"), *OTHER.glob("keys/*")):
        for line in file.read_text().splitlines():
            words = re.findall(r"[0-9a-fA-F]{32,}", line)
            found.update(words[1:] if file.name.startswith("tls") else words)
    return found


def test_every_file_says_what_it_opened(capsys):
    status, out = keys(capsys, SAMPLE / "keys", CAPTURE)
    assert status == 0
    assert re.search(r"esp_sa: \d+ ESP keys \(.*\n +ESP SPI 0x[0-9a-f]{8} to \S+: \d+ packets opened\n", out)
    assert re.search(r"ikev2_decryption_table: keys of \d+ IKE SAs\n"
                     r" +IKE SA [0-9a-f]{16} [0-9a-f]{16}: \d+ messages opened", out)
    assert re.search(r"tls_keylog.txt: secrets of \d+ TLS connections\n"
                     r" +TLS connection [0-9a-f]{64}: \d+ records opened", out)
    assert "not opened" not in out


def test_no_secret_is_ever_printed(capsys):
    assert len(secrets()) > 5
    out = keys(capsys, SAMPLE / "keys", OTHER / "keys", CAPTURE)[1] + keys(capsys, SAMPLE / "keys")[1]
    assert not [secret for secret in secrets() if secret.lower() in out.lower()]


def test_a_file_for_something_else_opens_nothing_and_what_stays_closed_is_listed(capsys):
    status, out = keys(capsys, OTHER / "keys/esp_sa", CAPTURE)
    assert status == 0 and "opens nothing in these captures" in out
    assert re.search(r"not opened:\n(.*\n)*? +ESP SPI 0x[0-9a-f]{8} to \S+: \d+ packets not opened: none of the keys",
                     out)


def test_wrong_keys_are_told_from_absent_ones(capsys, tmp_path):
    wrong = tmp_path / "esp_sa"
    text = (SAMPLE / "keys/esp_sa").read_text()
    wrong.write_text(re.sub(r"0x([0-9a-f]{32,})", lambda match: "0x" + "11" * (len(match[1]) // 2), text))
    out = keys(capsys, wrong, CAPTURE)[1]
    assert "not opened: its integrity check value does not verify" in out and "11111111" not in out


GOOD = "CLIENT_RANDOM " + "ab" * 32 + " " + "cd" * 48 + "\n"


@pytest.mark.parametrize("content, status, told", [
    (b"", 0, "no keys"),
    (b"what is this\n", 2, "no known key format"),
    (bytes(range(200)), 2, "not a key file (binary)"),
    (GOOD.encode(), 0, "secrets of 1 TLS connections"),
    (GOOD.encode() + GOOD.encode()[:-30], 0, "secrets of 1 TLS connections"),
    (GOOD.encode() + GOOD.encode()[:100], 0, "lines not understood, the first in line 2"),
    (b'"IPv4","192.0.2.1","192.0.2.2","0x1","AES-CBC [RFC3602]","0xabcd","NULL",""\n', 2, ":1: a key of 2 octets"),
    (None, 2, "No such file"),
], ids=["empty", "text", "binary", "good", "cut key", "cut line", "short key", "absent"])
def test_one_clear_line_for_every_kind_of_file(capsys, tmp_path, content, status, told):
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    found, out = keys(capsys, path)
    assert found == status and len(out.splitlines()) == 1
    assert out.startswith(f"{path}:") and told in out.replace(str(path), "")


def test_a_copy_and_a_part_of_another_file_are_named(capsys, tmp_path):
    whole, copy, part = (tmp_path / name for name in "abc")
    whole.write_text(GOOD + GOOD.replace("ab", "12"))
    copy.write_text("# another comment\n" + GOOD.replace("ab", "12") + GOOD)
    part.write_text(GOOD)
    out = keys(capsys, tmp_path)[1].splitlines()
    assert out[1].endswith(f"the same keys as {whole}") and out[2].endswith(f"all of them are in {whole} too")
