"""What one CWMP message can break by itself: schema order and lengths, DeviceId, events, codes (TR-069 A.3, A.4, A.5).

Each is a notice. Stacks in the field break many of these rules and work all the same, so nothing here makes a fact.
"""

from __future__ import annotations

import re
from typing import Any

from ..model import Problem
from ._cwmp_rpcs import ARGUMENTS, DEVICE_ID, LONGEST, REQUIRED
from ._soap import local

_OUI = re.compile(r"[0-9A-F]{6}\Z")
_EVENT = re.compile(r"(?:[0-9]|1[0-4]) [A-Z][A-Z ]*\Z|M [A-Za-z_]\w*\Z|X \S+(?: .*)?\Z")
_DOWNLOAD_TYPE = re.compile(r"(?:[1-5] .+|X \S+ .+)\Z")
_UPLOAD_TYPE = re.compile(r"(?:[1-4] .+|X \S+ .+)\Z")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://\S+\Z")
_SCHEMES = ("http", "https", "ftp", "ftps", "sftp", "tftp")
_DEVICE_ID_FIELDS = ["DeviceId." + name for name in DEVICE_ID]
_MOST_EVENTS = 64
_LONGEST_NAME = 256
_SHORT = 32                    # no limit but that of the OUI, which has a check of its own, is lower


def problems(rpc: str, fields: dict[str, Any], tags: list[str], data: bytes, direction: str | None) -> list[Problem]:
    """`tags` are those of the RPC's children as sent, `direction` that of the HTTP message around it."""
    found: list[str] = []
    if rpc in ARGUMENTS:
        _schema(rpc, tags, found)
    _lengths(fields, found)
    check = _CHECKS.get(rpc)
    if check is not None:
        check(fields, found)
    if rpc == "Fault":
        _fault(fields, direction, found)
    if not found:
        return []
    at = max(0, data.find(rpc.encode()))
    return [Problem(at, text) for text in found]


def _schema(rpc: str, tags: list[str], found: list[str]) -> None:
    if tuple(tags) == ARGUMENTS[rpc]:
        return
    names = tuple(local(tag) for tag in tags)
    if names != ARGUMENTS[rpc]:
        absent = [name for name in REQUIRED[rpc] if name not in names]
        if absent:
            found.append(f"{rpc} without {', '.join(absent)}")
        known = [name for name in ARGUMENTS[rpc] if name in names]
        if [name for name in dict.fromkeys(names) if name in known] != known:
            found.append(f"arguments of {rpc} are not in schema order")
    if any(tag[:1] == "{" for tag in tags):
        found.append(f"arguments of {rpc} are qualified; the schema has them unqualified")


def _lengths(fields: dict[str, Any], found: list[str]) -> None:
    for name, value in fields.items():
        if isinstance(value, str) and len(value) > _SHORT:
            last = name.rpartition(".")[2]
            if len(value) > LONGEST.get(last, 1 << 30):
                found.append(f"{name} has {len(value)} characters, {LONGEST[last]} are allowed")
    parameters = fields.get("ParameterList")
    if parameters:
        longest = max(parameters, key=len)
        if len(longest) > _LONGEST_NAME:
            found.append(f"a parameter name has {len(longest)} characters, {_LONGEST_NAME} are allowed")


def _inform(fields: dict[str, Any], found: list[str]) -> None:
    for name, field in zip(DEVICE_ID, _DEVICE_ID_FIELDS):
        if not fields.get(field) and (name != "ProductClass" or field not in fields):
            found.append(f"DeviceId without {name}")
    known = [field for field in fields if field in _DEVICE_ID_FIELDS]
    if len(known) == len(DEVICE_ID) and known != _DEVICE_ID_FIELDS:
        found.append("members of DeviceId are not in schema order")
    oui = fields.get("DeviceId.OUI")
    if oui and not _OUI.match(oui):
        found.append(f"OUI {oui!r} is not six upper-case hexadecimal digits")
    events = fields.get("Event") or []
    if not events:
        found.append("an Inform without an event")
    if len(events) > _MOST_EVENTS:
        found.append(f"{len(events)} events, {_MOST_EVENTS} are allowed")
    for event in events[:_MOST_EVENTS]:
        member = event if isinstance(event, dict) else {"EventCode": event}
        code, key = member.get("EventCode", ""), member.get("CommandKey", "")
        if not _EVENT.match(code):
            found.append(f"event code {code!r} is none of TR-069's and no vendor's")
        elif key and code[0] not in "MX":
            found.append(f"event {code!r} has a CommandKey")
    _envelopes(fields, found)


def _envelopes(fields: dict[str, Any], found: list[str]) -> None:
    if fields.get("MaxEnvelopes") not in (1, None):
        found.append(f"MaxEnvelopes is {fields['MaxEnvelopes']}, not 1")


def _status(fields: dict[str, Any], found: list[str]) -> None:
    if fields.get("Status") not in (0, 1, None):
        found.append(f"Status is {fields['Status']}, neither 0 nor 1")
    if fields.get("InstanceNumber", 1) == 0:
        found.append("InstanceNumber is 0")


def _object(fields: dict[str, Any], found: list[str]) -> None:
    if not str(fields.get("ObjectName", ".")).endswith("."):
        found.append("ObjectName does not end with a dot")


def _transfer(fields: dict[str, Any], found: list[str], kinds: re.Pattern[str]) -> None:
    if "FileType" in fields and not kinds.match(fields["FileType"]):
        found.append(f"FileType {fields['FileType']!r} is not known")
    url = _URL.match(fields.get("URL", ""))
    if "URL" in fields and (not url or url[1].lower() not in _SCHEMES):
        found.append(f"URL {fields['URL'][:80]!r} is not absolute or of an unknown scheme")


def _fault(fields: dict[str, Any], direction: str | None, found: list[str]) -> None:
    code = fields.get("FaultCode")
    if code is None:
        found.append("a SOAP Fault without a CWMP FaultCode")
        return
    if not isinstance(code, int):
        return
    if not (9000 <= code <= 9899 or 8000 <= code <= 8899):
        found.append(f"FaultCode {code} is outside 8000-8899 and 9000-9899")
    elif direction == "request" and code < 9000 or direction == "response" and code >= 9000:
        found.append(f"FaultCode {code} is not for this side to send")
    if fields.get("faultstring", "CWMP fault") != "CWMP fault":
        found.append(f"faultstring {fields['faultstring'][:60]!r} is not 'CWMP fault'")


_CHECKS = {
    "Inform": _inform, "InformResponse": _envelopes,
    "SetParameterValuesResponse": _status, "AddObjectResponse": _status, "DeleteObjectResponse": _status,
    "DownloadResponse": _status, "UploadResponse": _status, "AddObject": _object, "DeleteObject": _object,
    "Download": lambda fields, found: _transfer(fields, found, _DOWNLOAD_TYPE),
    "Upload": lambda fields, found: _transfer(fields, found, _UPLOAD_TYPE),
}
