"""What the messages of a run say before a rule has its say: defaults by kind, plausible parameters, bound values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..rulebook.patterns import any_matches
from ..rulebook.rule import Binding, Check, Reference
from . import values
from .values import MISSING
from .world import World


# two, so that a step may be about the second
VECTORS: Mapping[str, Any] = {
    "vectors": 2,
    "vectors.rand": ["64caee3bf1159a4f66f8f00c2743b26a", "adcd03f5ca56785de998c859489452c2"],
    "vectors.autn": ["9d7a64c3192780007932219efcf79ba1", "7c049f8e6129800010715df079d82844"],
    "vectors.xres": ["fbe1b38aa4fdadd5", "2e057cb801fbee25"],
}
DOWNLOADED: Mapping[str, Any] = {"cmd_id": "3", "msg_id": "1", "items.data": "TUNJTSBzeW50aA=="}
FTP_CODES = {"": 220, "USER": 230, "PASS": 230, "RETR": 226, "STOR": 226, "STOU": 226, "APPE": 226}  # by command
ACCOUNT = ("omacp.bootstrap", "syncml.bootstrap")

DEFAULTS: dict[str, Mapping[str, Any]] = {
    "cwmp.Inform": {
        "DeviceId.Manufacturer": "Synth Femto",
        "DeviceId.OUI": "00193B",
        "DeviceId.ProductClass": "Femto",
        "DeviceId.SerialNumber": "SY0000001",
        "Event.EventCode": "1 BOOT",
    },
    "cwmp.InformResponse": {"MaxEnvelopes": 1},
    "cwmp.SetParameterValuesResponse": {"Status": 0},
    "cwmp.Download": {
        "CommandKey": "cm-1",
        "FileType": "3 Vendor Configuration File",
        "URL": "",
        "Username": "",
        "Password": "",
        "FileSize": 0,
        "TargetFileName": "",
        "DelaySeconds": 0,
        "SuccessURL": "",
        "FailureURL": "",
    },
    "cwmp.DownloadResponse": {"Status": 1, "StartTime": "0001-01-01T00:00:00Z", "CompleteTime": "0001-01-01T00:00:00Z"},
    "cwmp.TransferComplete": {
        "CommandKey": "cm-1",
        "FaultStruct.FaultCode": 0,
        "FaultStruct.FaultString": "",
        "StartTime": "2026-01-01T00:00:00Z",
        "CompleteTime": "2026-01-01T00:00:01Z",
    },
    "dns.response": {"rcode": "NOERROR"},
    "http.request": {"method": "GET", "path": "/"},
    "http.response": {"status": 200},
    "json.request": {"method": "POST", "path": "/", "body": {}},
    "json.response": {"status": 200, "body": {}},
    "tls.certificate": {"chain": ""},
    "ftp.command": {"command": "USER", "argument": "cm.xml"},
    "ftp.reply": {"code": 226},
    "ftp.data": {"bytes": 1000, "direction": "download"},
    "device.address_change": {"spellings": "10.61.0.77"},
    "s1ap.S1SetupRequest": {"Global-ENB-ID": "1"},
    "xml.request": {"method": "POST", "path": "/", "body": {}},
    "xml.response": {"status": 200, "body": {}},
    "coap.request": {"path": "/bootstrap"},
    "coap.response": {"code": "2.05"},
    "emm.AuthenticationFailure": {"cause": 20},
    "gmm.AuthenticationAndCipheringFailure": {"cause": 20},
    "diameter.AIA": VECTORS,
    "map.sendAuthenticationInfo.result": VECTORS,
    "gtpv2.CreateSessionResponse": {"cause": 16},
    "gtp.CreatePDPContextResponse": {"cause": 128},
    "omacp.bootstrap": {"mcim": "1", "m2m": "1"},
    "syncml.bootstrap": {"mcim": "1", "m2m": "1"},
    "syncml.Add": DOWNLOADED,
    "syncml.Replace": DOWNLOADED,
    "syncml.Exec": DOWNLOADED,
    "syncml.Status": {"cmd": "Add", "status": 200},
    "syncml.Alert": {"alert": 1226, "items.data": "success"},
}


def content_of(kind: str, answers: str, world: World, acts: Sequence[Any], server: str) -> dict[str, Any]:
    """What a message of the kind says by itself; `answers` is the step that it answers."""
    content = {
        name: dict(value) if isinstance(value, dict) else value for name, value in DEFAULTS.get(kind, {}).items()
    }
    if kind in ("cwmp.Inform", "cwmp.SetParameterValues", "cwmp.GetParameterValuesResponse"):
        content["ParameterList"] = (
            {"Device.DeviceInfo.SoftwareVersion": "1.0"}
            if kind != "cwmp.SetParameterValues"
            else {values.instance("*.CellConfig.*.RAN.Common.Mark", world.radio): "1"}
        )
    if kind == "cwmp.Download":
        host = next((r for r, k in world.kinds.items() if k == "file_server"), server)
        content["URL"] = f"http://{world.names[host]}/cm/config.xml"
    if kind == "dns.response":
        asked = next((a.content.get("qname") for a in reversed(acts) if a.step == answers), None)
        content["answers.address"] = [
            world.addresses[r] for r, name in world.names.items() if name == asked and r in world.addresses
        ]
    if kind == "ike.auth.response":
        content["certificates"] = world.names[server]
    if kind == "ftp.reply":
        asked = next((a.content["command"] for a in reversed(acts) if a.kind == "ftp.command"), "")
        content["code"] = FTP_CODES.get(asked, 250)
    if kind in ACCOUNT:
        servers = [role for role in world.addresses if role not in (server, world.device)]
        for name in ("dpf", "sho"):
            content[name] = f"http://{world.addresses[name if name in servers else server]}/dm"
    if kind == "tls.certificate":
        content["chain"] = world.names[server]
    return content


PLAUSIBLE = {
    "PLMNID": "23415",
    "TAC": "1",
    "AdminState": "Locked",
    "ReportingMechanism": "0 Expedited",
    "LockedLatitude": "51500000",
    "LockedLongitude": "-120000",
}


def parameter_value(pattern: str, world: World, check: Check | None = None) -> Any:
    """A plausible value for a parameter; one that names a server names a host of the run."""
    meaning = check.names.path[-1] if check is not None and isinstance(check.names, Reference) else ""
    leaf = pattern.rpartition(".")[2]
    if leaf in PLAUSIBLE:
        return PLAUSIBLE[leaf]
    if meaning in world.names:
        return _locator(leaf, world.names[meaning])
    if leaf.endswith("URL"):
        return f"https://{meaning.replace('_', '-') or 'host'}.synth.example:7547/acs"
    if "Server" in leaf:
        return f"{meaning.replace('_', '-') or 'host'}.synth.example"
    return True if leaf.endswith("Enable") else "10.61.0.1" if leaf.endswith("Address") else "1"


def _locator(leaf: str, name: str) -> str:
    return f"https://{name}:7547/acs" if leaf.endswith("URL") else name


def give(content: dict[str, Any], binding: Binding, world: World, resolve: values.Resolve) -> None:
    """Puts what a binding takes into the message, where it is not there."""
    if binding.source == "json" and "body" in content:
        names = resolve(binding.names) if isinstance(binding.names, Reference) else binding.names
        if names is not MISSING and names and names[0] not in content["body"]:
            content["body"][names[0]] = "success" if binding.take == "outcome" else f"synth-{names[0]}"
        return
    if binding.source not in ("parameter", "parameters") or "ParameterList" not in content:
        return
    patterns = resolve(binding.names) if isinstance(binding.names, Reference) else binding.names
    role = binding.name.partition(".")[0]
    if (
        patterns is MISSING
        or not patterns
        or any(any_matches(tuple(patterns), name) for name in content["ParameterList"])
    ):
        return
    leaf = patterns[0].rpartition(".")[2]
    value = _locator(leaf, world.names[role]) if role in world.names else parameter_value(patterns[0], world)
    content["ParameterList"][values.instance(patterns[0], world.radio)] = value


def say(content: dict[str, Any], binding: Binding, value: Any, resolve: values.Resolve) -> None:
    """Makes the message say that value where the binding takes it."""
    names = resolve(binding.names) if isinstance(binding.names, Reference) else binding.names
    where = content["body"] if binding.source == "json" else content
    told = isinstance(where.get(names[0]), int) and binding.take == "outcome"
    where[names[0]] = (200 if value == "success" else 500) if told else value


def taken(content: Mapping[str, Any], binding: Binding, resolve: values.Resolve) -> Any:
    names = resolve(binding.names) if isinstance(binding.names, Reference) else binding.names
    if names is MISSING or names is None:
        return MISSING
    if binding.source in ("parameter", "parameters"):
        found = [v for name, v in content.get("ParameterList", {}).items() if any_matches(tuple(names), name)]
    elif binding.source == "json":
        found = [content["body"][name] for name in names if name in content.get("body", {})]
    else:
        found = [content[name] for name in names if name in content]
    if not found:
        return MISSING
    if binding.take == "host":
        return str(found[0]).partition("://")[2].partition("/")[0].partition(":")[0] or str(found[0])
    if binding.take == "path":
        return "/" + str(found[0]).partition("://")[2].partition("/")[2]
    if binding.take == "outcome" and isinstance(found[0], int):
        return "success" if found[0] < 300 else "failure"
    return found[0]
