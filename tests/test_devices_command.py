"""`flowcheck devices`: the table and the JSON of who is in a capture."""

from __future__ import annotations

import json
from pathlib import Path

from flowcheck.cli import main

SAMPLE = Path(__file__).resolve().parent.parent / "samples/ts32.583/5.1.1/pass-nat-tls"
CAPTURES = [str(path) for path in sorted(SAMPLE.glob("*.pcap*"))]


def test_json_holds_identity_addresses_and_evidence(capsys):
    assert main(["devices", *CAPTURES, "--keys", str(SAMPLE / "keys"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "flowcheck/devices/1"
    device, = found["devices"]
    assert device["identity"]["serial_number"] in device["id"]
    assert device["outer"] and device["inner"]
    assert set(device["outer"]) | set(device["inner"]) == set(device["addresses"])
    assert any("in frame" in text for text in device["evidence"])


def test_without_keys_what_is_sealed_is_said(capsys):
    assert main(["devices", *CAPTURES]) == 0
    out = capsys.readouterr().out
    assert "sealed" in out and "esp" in out


def test_the_table_names_every_address(capsys):
    main(["devices", *CAPTURES, "--keys", str(SAMPLE / "keys"), "--json"])
    device, = json.loads(capsys.readouterr().out)["devices"]
    main(["devices", *CAPTURES, "--keys", str(SAMPLE / "keys")])
    out = capsys.readouterr().out
    assert out.startswith(device["id"] + "\n") and all(address in out for address in device["addresses"])
