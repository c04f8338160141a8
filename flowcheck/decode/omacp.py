"""OMA Client Provisioning documents (WAP-183-ProvCont, OMA-TS-ProvCont), as XML and as WBXML.

The bootstrap that tells a device where its device management server is: an APPLICATION characteristic with APPID w7
(OMA-TS-DM_Bootstrap 5.3) whose ADDR is the server. What else it provisions is listed by APPID or characteristic type.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..model import Context, Message
from . import _flat, _wbxml, _xml

_FIELDS = ("version", "dpf", "sho", "mcim", "m2m", "applications", "appids", "parms", "characteristics", "names",
           "unread", "protocol", "content_type", "method", "path", "status", "code", "token")
KINDS = {"omacp.bootstrap": _FIELDS}
PAYLOADS = ("text/vnd.wap.connectivity-xml", "application/vnd.wap.connectivity-wbxml")

_MOST = 2000                              # parms of a document
_DM_ACCOUNT = "w7"


def decode(data: bytes, context: Context) -> Iterator[Message]:
    """One document."""
    fields, problems = _flat.carried(context.carrier), ()
    if len(data) > _xml.LARGEST:
        fields["unread"] = f"{len(data)} octets"
    elif not context.missing:
        try:
            root = _wbxml.parse(data, _wbxml.PROV) if _wbxml.looks_like(data) else _xml.parse(data)
            fields |= _document(root)
        except _xml.Refused as refused:
            problems = (refused.problem,)
    yield context.message("omacp.bootstrap", fields, problems, incomplete=bool(context.missing))


def _document(root: _xml.Node) -> dict[str, Any]:
    parms: dict[str, list[str]] = {}
    trees = tuple(_characteristic(node, parms, 0) for node in root.all("characteristic"))
    for node in root.all("parm"):
        _parm(node, parms)
    fields = {"version": root.attributes.get("version", ""), "characteristics": trees,
              **summary([tree for tree in trees if tree["type"].upper() == "APPLICATION"], parms)}
    for name in ("mcim", "m2m"):          # a characteristic of that type, where it is no APPLICATION
        found = next((tree["parms"] for tree in trees if tree["type"].lower() == name), None)
        if found is not None:
            fields.setdefault(name, found)
    return fields


def _characteristic(node: _xml.Node, parms: dict[str, list[str]], depth: int) -> dict[str, Any]:
    own: dict[str, list[str]] = {}
    for parm in node.all("parm"):
        name = _parm(parm, parms)
        own.setdefault(name, []).append(parm.attributes.get("value", ""))
    below = () if depth > _flat.DEEPEST else tuple(_characteristic(child, parms, depth + 1)
                                                   for child in node.all("characteristic"))
    return {"type": node.attributes.get("type", ""), "parms": own, "characteristics": below}


def _parm(node: _xml.Node, parms: dict[str, list[str]]) -> str:
    name = node.attributes.get("name", "").upper()
    if len(parms) < _MOST or name in parms:
        parms.setdefault(name, []).append(node.attributes.get("value", ""))
    return name


def summary(applications: list[dict[str, Any]], parms: dict[str, list[str]]) -> dict[str, Any]:
    """What a rule asks of a bootstrap: `dpf` (addresses of the DM server), `sho`, and the contexts it provisions.

    `mcim` and `m2m` are there only where the bootstrap has such an application; their value is its parms.
    """
    listed, servers, contexts = [], [], {}
    for application in applications:
        everything = _gathered(application)
        appid = (everything.get("APPID") or [""])[0]
        listed.append({"appid": appid, **{name.lower(): values[0] if len(values) == 1 else values
                                          for name, values in everything.items() if name != "APPID"}})
        if appid.lower() == _DM_ACCOUNT:
            servers += [address for address in everything.get("ADDR", ()) if address]
        elif appid:
            contexts.setdefault(appid.lower(), everything)
    fields: dict[str, Any] = {"applications": tuple(listed), "parms": parms, "names": tuple(parms),
                              "appids": tuple(entry["appid"] for entry in listed)}
    if servers:
        fields["dpf"] = tuple(dict.fromkeys(servers))
    if any(parms.get("SHO", ())):
        fields["sho"] = tuple(value for value in dict.fromkeys(parms["SHO"]) if value)
    fields |= {name: contexts[name] for name in ("mcim", "m2m") if name in contexts}
    return fields


def _gathered(tree: dict[str, Any]) -> dict[str, list[str]]:
    """The parms of a characteristic and of those within it: ADDR may stand in an APPADDR below."""
    found = {name: list(values) for name, values in tree["parms"].items()}
    for below in tree["characteristics"]:
        for name, values in _gathered(below).items():
            found.setdefault(name, []).extend(values)
    return found
