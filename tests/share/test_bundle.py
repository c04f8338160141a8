"""Bundles verify, notice what was changed in them, and cannot do harm."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from flowcheck.cli import main
from flowcheck.errors import CaptureError
from flowcheck.share import bundle

SAMPLES = Path(__file__).parents[2] / "samples" / "ts32.583"


def made(folder, tmp_path, *more):
    """The bundle of a sample, written by the command."""
    folder, target = SAMPLES / folder, tmp_path / "b.zip"
    arguments = ["check", *map(str, sorted(folder.glob("*.pcap*"))), "--site", str(folder / "site.yaml"), "--quiet",
                 "--json", str(tmp_path / "r.json"), "--bundle", str(target), *more]
    main([*arguments, *(["--keys", str(folder / "keys")] if (folder / "keys").is_dir() else [])])
    return target


def changed(path, **members):
    """The archive with some members replaced; None leaves one out. `evil` adds one of that name."""
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    for name, data in members.items():
        held[name] = data
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in held.items():
            if data is not None:
                archive.writestr(name, data)
    return path


@pytest.mark.parametrize("name", ["5.1.1/segw-refuses-authentication", "5.1.1/spv-fault", "5.1.1/pass-nat-tls",
                                  "5.1.2/pass",
                                  "5.2.1/hnb-register-reject", "5.1.1/frames-lost"])
def test_a_bundle_with_secrets_verifies_alone(name, tmp_path, capsys):
    target = made(name, tmp_path, "--include-secrets")
    assert main(["verify", str(target)]) == 0
    said = capsys.readouterr().out
    assert "the verdicts hold" in said and "holds    " in said and "differs" not in said


def test_without_keys_it_says_what_is_missing(tmp_path, capsys):
    target = made("5.1.1/segw-refuses-authentication", tmp_path)
    assert main(["verify", str(target)]) == 5
    assert "give them with --keys" in capsys.readouterr().out
    assert main(["verify", str(target), "--keys", str(SAMPLES / "5.1.1/segw-refuses-authentication/keys")]) == 0


def test_secrets_are_in_it_only_where_asked_for(tmp_path):
    with zipfile.ZipFile(made("5.1.1/spv-fault", tmp_path)) as archive:
        assert sorted(archive.namelist()) == ["evidence.pcapng", "manifest.json", "report.html", "result.json",
                                              "site.yaml"]
        assert json.loads(archive.read("manifest.json"))["secrets_included"] is False


def test_another_verdict_in_it_is_noticed(tmp_path, capsys):
    target = made("5.1.1/segw-nxdomain", tmp_path)
    with zipfile.ZipFile(target) as archive:
        result = json.loads(archive.read("result.json"))
        manifest = json.loads(archive.read("manifest.json"))
    attempt = result["devices"][0]["attempts"][0]
    attempt["verdict"] = "pass"
    forged = json.dumps(result).encode()
    manifest["members"]["result.json"] = bundle.hashlib.sha256(forged).hexdigest()
    device = next(iter(manifest["verdicts"]))
    manifest["verdicts"][device][0][1] = "pass"
    changed(target, **{"result.json": forged, "manifest.json": json.dumps(manifest).encode()})
    assert main(["verify", str(target)]) == 1
    assert "differs" in (said := capsys.readouterr().out) and "report.html does not say" in said


@pytest.mark.parametrize("name", ["report.html", "evidence.pcapng", "result.json", "site.yaml"])
def test_a_changed_member_is_noticed(name, tmp_path, capsys):
    target = made("5.1.1/segw-nxdomain", tmp_path)
    with zipfile.ZipFile(target) as archive:
        data = archive.read(name)
    changed(target, **{name: data + b"\n"})
    assert main(["verify", str(target), "--quiet"]) == 1
    assert f"changed  {name}" in "\n".join(bundle.verify(target).lines)


def test_paths_in_an_archive_are_never_used(tmp_path, monkeypatch):
    target = made("5.1.1/segw-nxdomain", tmp_path)
    changed(target, **{"../../escaped": b"x", "/tmp/escaped": b"x", "keys/../../x": b"x"})
    before = {p for p in tmp_path.parent.rglob("*")}
    assert bundle.verify(target).holds
    assert {p for p in tmp_path.parent.rglob("*")} == before


def test_members_are_bounded_whatever_the_archive_says(tmp_path, monkeypatch):
    target = made("5.1.1/segw-nxdomain", tmp_path)
    monkeypatch.setitem(bundle._LIMITS, "report.html", 1000)
    with pytest.raises(CaptureError, match="larger than 1000"):
        bundle.verify(target)


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{}", b"[" * 100_000, b'{"schema": "flowcheck/bundle/1"}', b"\xff",
                                      b'{"schema": "flowcheck/bundle/1", "tool": 1, "members": {}, "verdicts": {}, '
                                      b'"procedures": [], "decode_as": []}'])
def test_a_manifest_that_is_none(manifest, tmp_path):
    target = changed(made("5.1.1/segw-nxdomain", tmp_path), **{"manifest.json": manifest})
    with pytest.raises(CaptureError, match="not a bundle"):
        bundle.verify(target)


def test_what_is_no_archive(tmp_path):
    path = tmp_path / "x.zip"
    for data in (b"", b"PK\x03\x04" + bytes(100), b"not a zip"):
        path.write_bytes(data)
        with pytest.raises(CaptureError):
            bundle.verify(path)
    with pytest.raises(CaptureError):
        bundle.verify(tmp_path / "absent.zip")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(100):
            archive.writestr(f"m{number}", b"")
    path.write_bytes(out.getvalue())
    with pytest.raises(CaptureError, match="too many"):
        bundle.verify(path)


def test_the_same_run_gives_the_same_bytes(tmp_path):
    from flowcheck.check import check
    from flowcheck.share.evidence import Evidence
    capture = SAMPLES / "5.1.1/segw-nxdomain/hnb_outer.pcap"
    result, _ = check([str(capture)])
    told = Evidence(1, 1, 0, True)
    one = bundle.write_bundle(tmp_path / "1.zip", result, told, capture).read_bytes()
    assert one == bundle.write_bundle(tmp_path / "2.zip", result, told, capture).read_bytes()
