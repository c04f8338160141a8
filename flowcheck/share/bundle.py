"""An evidence bundle: one ZIP with the report, the frames it stands on, and what is needed to judge them again.

    manifest.json    versions, options, verdicts, SHA-256 of every other member
    report.html      result.json    evidence.pcapng    site.yaml
    keys/            only with --include-secrets

A bundle comes from somebody else, so nothing in it is trusted: no path of it is used, only members of these names are
read, each up to a limit that holds for what comes out of the decompressor, not for what the archive says.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from .. import __version__
from ..errors import CaptureError, UsageError
from ..model import Result
from .evidence import Evidence, outcome
from .selection import devices_of_interest

SCHEMA = "flowcheck/bundle/1"
MANIFEST, REPORT, RESULT, EVIDENCE, SITE = "manifest.json", "report.html", "result.json", "evidence.pcapng", "site.yaml"
KEYS = ("keys/esp_sa", "keys/ikev2_decryption_table")

_LIMITS = {MANIFEST: 4 << 20, REPORT: 64 << 20, RESULT: 256 << 20, EVIDENCE: 512 << 20, SITE: 4 << 20,
           **dict.fromkeys(KEYS, 16 << 20)}
_MEMBERS = 32                    # of an archive; more is none of ours
_EPOCH = (1980, 1, 1, 0, 0, 0)   # of every member, so that the same run gives the same bytes


class Verified(NamedTuple):
    """What verifying found out. `holds` is None where it cannot be said without keys."""

    holds: bool | None
    lines: tuple[str, ...]


# ------------------------------------------------------------------------------------------------------------ writing

def write_bundle(target: str | Path, result: Result, evidence: Evidence, capture: Path, *, site: str | None = None,
                 procedures: Sequence[str] = (), decode_as: Sequence[str] = (), keys_used: bool = False) -> Path:
    """Packs an evidence capture with its reports. `result` is masked already. Raises UsageError."""
    from ..report import as_html, as_json
    members = {REPORT: as_html.html(result, show_secrets=True).encode(),
               RESULT: as_json.dumps(result, show_secrets=True).encode()}
    try:
        members[EVIDENCE] = capture.read_bytes()
        if site:
            members[SITE] = Path(site).read_bytes()
        members |= {f"keys/{path.name}": path.read_bytes() for path in evidence.keys}
        manifest = {"schema": SCHEMA, "tool": {"version": __version__, "rules": result.tool.get("rules", "")},
                    "procedures": list(procedures), "decode_as": list(decode_as), "keys_used": keys_used,
                    "secrets_included": bool(evidence.keys) or _carries_secrets(capture),
                    "captures": [{"name": Path(info.path).name, "sha256": info.sha256, "packets": info.packets}
                                 for info in result.captures],
                    "evidence": {"frames": evidence.frames, "of": evidence.of, "holds": evidence.holds},
                    "verdicts": _verdicts(result),
                    "members": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(members.items())}}
        members[MANIFEST] = (json.dumps(manifest, indent=1) + "\n").encode()
        target = Path(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, data in sorted(members.items(), key=lambda item: (item[0] != MANIFEST, item[0])):
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
                archive.writestr(entry, data)
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror}") from error
    return target


def _carries_secrets(capture: Path) -> bool:
    from ..capture.reader import open_capture
    opened = open_capture(str(capture))
    next(iter(opened), None)
    return bool(opened.secrets)


def _verdicts(result: Result) -> dict[str, Any]:
    verdicts = outcome(result, devices_of_interest(result))
    return {device: [list(row) for row in rows] for device, rows in verdicts.items()}


# ---------------------------------------------------------------------------------------------------------- verifying

def verify(path: str | Path, *, keys: Sequence[str] = (), rules: Sequence[str] = ()) -> Verified:
    """Judges the evidence of a bundle again and compares. Raises CaptureError where the file is no bundle."""
    members = _members(path)
    manifest = _manifest(members, path)
    lines, sound = _hashes(members, manifest)
    from ..report import as_json
    try:
        result = as_json.loads(members[RESULT].decode("utf-8"))
    except (UsageError, UnicodeDecodeError, RecursionError) as error:
        raise CaptureError(f"{path}: {RESULT}: {error}") from None
    claimed = _verdicts(result)
    if claimed != manifest["verdicts"]:
        lines.append("the manifest and result.json name different verdicts")
        sound = False
    report, same_report = _same_report(members, result, manifest)
    again, rules_now = _judged_again(members, manifest, keys, rules, path)
    found = {device.id: rows for device in again.devices if device.id in claimed
             for rows in _verdicts_of(again, device).values()}
    agreed = found == claimed
    for device, rows in claimed.items():
        for place, row in enumerate(rows):
            now = found.get(device, [])[place:place + 1] or [None]
            lines.append(_compared(device, row, now[0]))
    if rules_now != manifest["tool"].get("rules"):
        lines.append(f"judged by other rules: the bundle says {manifest['tool'].get('rules')}, these are {rules_now}")
    lines.append(report)
    if agreed:
        return Verified(sound and same_report is not False, tuple(lines))
    if manifest.get("keys_used") and not manifest.get("secrets_included") and not keys:
        lines.append("the run had keys and the bundle holds none: give them with --keys")
        return Verified(None if sound else False, tuple(lines))
    return Verified(False, tuple(lines))


def _verdicts_of(result: Result, device: Any) -> dict[str, Any]:
    return {name: [list(row) for row in rows] for name, rows in outcome(result, [device]).items()}


def _compared(device: str, then: Sequence[Any], now: Sequence[Any] | None) -> str:
    from ..report.visible import line
    head = line(f"{then[0]} of {device}: {then[1]}", 200)
    if now == list(then):
        return f"holds    {head}"
    return f"differs  {head}, {line(str(then[2]), 200)}; now " + (
        "not found" if now is None else line(f"{now[0]} {now[1]}, {now[2]}", 300))


def _members(path: str | Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if len(entries) > _MEMBERS or len(set(names)) != len(names):
                raise CaptureError(f"{path}: not a bundle: too many members, or two of one name")
            found = {}
            for entry in entries:
                limit = _LIMITS.get(entry.filename)
                if limit is None:
                    continue                                    # named in what verify says, never opened
                with archive.open(entry) as file:
                    data = file.read(limit + 1)
                if len(data) > limit:
                    raise CaptureError(f"{path}: {entry.filename} is larger than {limit} octets")
                found[entry.filename] = data
    except CaptureError:
        raise
    except OSError as error:
        raise CaptureError(f"{path}: {error.strerror or error}") from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zipfile.zlib.error) as error:
        raise CaptureError(f"{path}: not a ZIP archive that can be read: {error}") from None
    missing = [name for name in (MANIFEST, RESULT, EVIDENCE, REPORT) if name not in found]
    if missing:
        raise CaptureError(f"{path}: not a bundle: {missing[0]} is not in it")
    return found


def _manifest(members: Mapping[str, bytes], path: str | Path) -> dict[str, Any]:
    try:
        data = json.loads(members[MANIFEST])
    except (ValueError, RecursionError):
        data = None
    shapes = {"tool": dict, "members": dict, "verdicts": dict, "procedures": list, "decode_as": list}
    if not isinstance(data, dict) or data.get("schema") != SCHEMA or not all(
            isinstance(data.get(name), kind) for name, kind in shapes.items()):
        raise CaptureError(f"{path}: not a bundle of this version: the manifest is no {SCHEMA}")
    return data


def _hashes(members: Mapping[str, bytes], manifest: Mapping[str, Any]) -> tuple[list[str], bool]:
    said = manifest["members"]
    wrong = sorted(name for name in {*members, *said} - {MANIFEST}
                   if name not in members or said.get(name) != hashlib.sha256(members[name]).hexdigest())
    if not wrong:
        return [f"intact   {len(members) - 1} members have the hashes of the manifest"], True
    from ..report.visible import line
    return [f"changed  {line(str(name), 80)} is not what the manifest says" for name in wrong[:_MEMBERS]], False


def _same_report(members: Mapping[str, bytes], result: Result, manifest: Mapping[str, Any]) -> tuple[str, bool | None]:
    """Does the page say what result.json says? Only the version that wrote it can tell."""
    from ..report import as_html
    if manifest["tool"].get("version") != __version__:
        return "report.html was written by another version and was not compared with result.json", None
    same = as_html.html(result, show_secrets=True).encode() == members[REPORT]
    return ("intact   report.html says what result.json says" if same
            else "changed  report.html does not say what result.json says"), same


def _judged_again(members: Mapping[str, bytes], manifest: Mapping[str, Any], keys: Sequence[str], rules: Sequence[str],
                  path: str | Path) -> tuple[Result, str]:
    from argparse import Namespace

    from ..check import check
    from ..commands import common
    texts = lambda name: [text for text in manifest[name] if isinstance(text, str)]                       # noqa: E731
    with TemporaryDirectory(prefix="flowcheck-") as folder:
        own = Path(folder)
        (own / EVIDENCE).write_bytes(members[EVIDENCE])
        if SITE in members:
            (own / SITE).write_bytes(members[SITE])
        held = [name for name in KEYS if name in members]
        for name in held:
            (own / name.rpartition("/")[2]).write_bytes(members[name])
        result, _ = check([str(own / EVIDENCE)], rules=rules, site=str(own / SITE) if SITE in members else None,
                          keys=[*(str(own / name.rpartition("/")[2]) for name in held), *keys],
                          procedures=texts("procedures"),
                          decode_as=common.decode_as(Namespace(decode_as=texts("decode_as"))))
    return result, result.tool.get("rules", "")
