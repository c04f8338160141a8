"""`flowcheck devices`: the table and the JSON of who is in a capture."""

from __future__ import annotations

import json
from pathlib import Path

import fleet
from fleet import Guise

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


def test_links_have_frames_and_the_time_they_hold(capsys):
    main(["devices", *CAPTURES, "--keys", str(SAMPLE / "keys"), "--json"])
    device, = json.loads(capsys.readouterr().out)["devices"]
    assert [link["why"] for link in device["links"]] == device["evidence"] and not device["apart"]
    for link in device["links"]:
        assert link["frames"][0]["capture"] in CAPTURES and link["since"].endswith("Z")
        assert link["until"] is None or link["until"] > link["since"]
    assert {one["address"] for one in device["seen"]} <= set(device["addresses"])
    assert all(one["since"] <= one["until"] for one in device["seen"])


def test_a_link_ends_with_its_tunnel(capsys):
    sample = SAMPLE.parent / "pass"
    main(["devices", *map(str, sorted(sample.glob("*.pcap"))), "--keys", str(sample / "keys"), "--json"])
    device, = json.loads(capsys.readouterr().out)["devices"]
    ends = {link["why"].split()[1]: link["until"] for link in device["links"]}
    assert ends["SA"] == ends["handed"] and ends["SA"] is not None, "the capture holds the Delete of the IKE SA"


def test_hundreds_behind_one_address_and_what_is_nobody_s(tmp_path, capsys):
    """Lookups that were refused have no follower: they are nobody's, and shown."""
    frames, nat = [], "203.0.113.99"
    for number in range(1, 31):
        tunnel = Guise({"198.51.100.21": nat}, spi=b"\x5e" * 7 + bytes([number]), number=number,
                       port=lambda port, own=20_000 + 10 * number: own + {500: 0, 4500: 1}.get(port, 2))
        frames += fleet.disguised(fleet.recorded("ts32.583/5.1.1/pass/hnb_outer.pcap"), tunnel, number * 0.01)
    refused = Guise({"198.51.100.21": nat}, port=lambda port: 60_000)
    frames += fleet.disguised(fleet.recorded("ts32.583/5.1.1/segw-nxdomain/hnb_outer.pcap"), refused, 0.1)
    assert main(["devices", fleet.write(tmp_path / "nat.pcap", frames), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["devices"]) == 30 and all(device["shared"] == [nat] for device in found["devices"])
    assert all(device["messages"]["ike"] == found["devices"][0]["messages"]["ike"] for device in found["devices"])
    assert found["unknown"]["messages"]["dns"] >= 2 and nat in found["unknown"]["hosts"]
    main(["devices", str(tmp_path / "nat.pcap")])
    out = capsys.readouterr().out
    assert "shared with other devices" in out and out.count(f"\n{nat}:") + out.startswith(f"{nat}:") == 30
    unknown = out[out.index("\nunknown ("):]
    assert "of DNS about" in unknown
