"""OMA Device Management: SyncML messages (OMA-TS-DM_RepPro, OMA-TS-SyncML-RepPro) as XML and WBXML, and package 0.

A body gives one `syncml.message` with its header, then one message per command in the order of the body, so that a
rule can wait for a command and for the Status that names it (MsgRef, CmdRef). Where commands write a DM account
(`./DMAcc`, OMA-TS-DM_Bootstrap 5.4), `syncml.bootstrap` says the same as `omacp.bootstrap` does.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from typing import Any

from ..model import Context, Message, Problem
from . import _flat, _wbxml, _xml, omacp
from .wire import Cursor, Short

_COMMANDS = ("Add", "Alert", "Atomic", "Copy", "Delete", "Exec", "Get", "Map", "Move", "Put", "Replace", "Results",
             "Search", "Sequence", "Status", "Sync")
_CARRIED = ("protocol", "content_type", "method", "path", "status_code", "token")
_HEADER = ("session_id", "msg_id", "source", "target", "ver_proto", "ver_dtd")
_COMMAND = (*_HEADER, "cmd_id", "msg_ref", "cmd_ref", "cmd", "status", "alert", "data", "correlator", "items", "uris",
            "text", "inside", *_CARRIED)
KINDS = {"syncml.message": (*_HEADER, "commands", "final", "cred", "max_msg_size", "unread", *_CARRIED),
         "syncml.bootstrap": (*_HEADER, "dpf", "sho", "mcim", "m2m", "applications", "appids", "parms", "names",
                              *_CARRIED),
         "syncml.notification": ("version", "ui_mode", "initiator", "session_id", "server_id", "digest", *_CARRIED)} \
    | {f"syncml.{command}": _COMMAND for command in _COMMANDS}
_NOTIFICATION = "application/vnd.syncml.notification"
PAYLOADS = ("application/vnd.syncml.dm+xml", "application/vnd.syncml.dm+wbxml", "application/vnd.syncml+xml",
            "application/vnd.syncml+wbxml", "application/vnd.syncml", "application/vnd.syncml.dmddf+xml", _NOTIFICATION)

_MOST = 1000                              # commands of a body
_LONGEST = 1 << 16                        # characters of `text`


def decode(data: bytes, context: Context) -> Iterator[Message]:
    """One body: a SyncML message, or the notification that calls a device to one."""
    carried = _flat.carried(context.carrier)
    if "status" in carried:
        carried["status_code"] = carried.pop("status")     # HTTP's; `status` is the command's own
    carried.pop("code", None)
    if carried["content_type"] == _NOTIFICATION:
        yield _notification(data, context, carried)
        return
    if not data.strip():
        return
    if context.missing:
        yield context.message("syncml.message", carried, incomplete=True)
        return
    if len(data) > _xml.LARGEST:
        yield context.message("syncml.message", carried | {"unread": f"{len(data)} octets"})
        return
    try:
        root = _wbxml.parse(data, _wbxml.SYNCML) if _wbxml.looks_like(data) else _xml.parse(data)
    except _xml.Refused as refused:
        yield context.message("syncml.message", carried, (refused.problem,))
        return
    yield from _message(root, context, carried)


def _message(root: _xml.Node, context: Context, carried: dict[str, Any]) -> Iterator[Message]:
    header, body = root.child("SyncHdr") or _xml.Node(""), root.child("SyncBody") or _xml.Node("")
    problems = tuple(Problem(0, f"{root.name or 'SyncML'} without {name}") for name in ("SyncHdr", "SyncBody")
                     if not root.child(name))
    common = {name: value for name, value in (
        ("session_id", header.value("SessionID")), ("msg_id", header.value("MsgID")),
        ("source", header.value("Source", "LocURI")), ("target", header.value("Target", "LocURI")),
        ("ver_proto", header.value("VerProto")), ("ver_dtd", header.value("VerDTD"))) if value is not None} | carried
    commands = list(_commands(body, "", 0))[:_MOST]
    fields = common | {"commands": tuple(node.name for node, _ in commands), "final": body.child("Final") is not None}
    if header.child("Cred"):
        fields["cred"] = header.value("Cred", "Meta", "Type") or "present"
    if header.value("Meta", "MaxMsgSize"):
        fields["max_msg_size"] = header.value("Meta", "MaxMsgSize")
    yield context.message("syncml.message", fields, problems)
    for node, inside in commands:
        yield context.message(f"syncml.{node.name}", common | _command(node, inside))
    account = _account([node for node, _ in commands])
    if account:
        yield context.message("syncml.bootstrap", common | account)


def _commands(parent: _xml.Node, inside: str, depth: int) -> Iterator[tuple[_xml.Node, str]]:
    """The commands and what they are inside of: Atomic, Sequence and Sync hold commands."""
    for node in parent.all(*_COMMANDS):
        yield node, inside
        if node.name in ("Atomic", "Sequence", "Sync") and depth < 8:
            yield from _commands(node, node.name, depth + 1)


def _command(node: _xml.Node, inside: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, element in (("cmd_id", "CmdID"), ("msg_ref", "MsgRef"), ("cmd_ref", "CmdRef"), ("cmd", "Cmd"),
                          ("data", "Data"), ("correlator", "Correlator")):
        value = node.value(element)
        if value is not None:
            fields[name] = value
    code = fields.get("data", "")
    if node.name in ("Status", "Alert") and code.isascii() and code.isdigit() and len(code) < 10:
        fields["status" if node.name == "Status" else "alert"] = int(code)
    if inside:
        fields["inside"] = inside
    meta = node.child("Meta")
    fields["items"] = items = tuple(_item(item, meta) for item in node.all("Item"))
    uris = [item[end] for item in items for end in ("target", "source") if end in item]
    uris += [ref.text for ref in node.all("TargetRef", "SourceRef")]
    fields["uris"] = tuple(dict.fromkeys(uris))
    content = (piece for item in items for piece in (item.get("type"), item.get("data"), item.get("decoded")) if piece)
    fields["text"] = "\n".join((*fields["uris"], *content))[:_LONGEST]
    return fields


def _item(item: _xml.Node, of_command: _xml.Node | None) -> dict[str, Any]:
    """One Item; a Meta of the command holds for its items (OMA-TS-SyncML-RepPro 6.5.8)."""
    found: dict[str, Any] = {}
    meta = item.child("Meta")
    for name, value in (("target", item.value("Target", "LocURI")), ("source", item.value("Source", "LocURI"))):
        if value is not None:
            found[name] = value
    for name, element in (("format", "Format"), ("type", "Type"), ("size", "Size")):
        value = next((value for where in (meta, of_command) if where
                      for value in (where.value(element) or where.value("MetInf", element),) if value), None)
        if value:
            found[name] = value
    data = item.child("Data")
    if data is not None:
        found["data"] = data.text if not data.children else _xml.tree(data)
        if found.get("format") == "b64" and isinstance(found["data"], str):
            decoded = _decoded(found["data"])
            if decoded:
                found["decoded"] = decoded
        if not isinstance(found["data"], str):
            found["document"], found["data"] = found["data"], ""
    if item.child("MoreData"):
        found["more_data"] = True
    return found


def _decoded(data: str) -> str | None:
    """Base64 content, where it is text."""
    try:
        text = binascii.a2b_base64(data[:_LONGEST].encode("ascii")).decode("utf-8")
    except (binascii.Error, UnicodeError):
        return None
    return text if text.isprintable() or "<" in text and "\0" not in text else None


def _account(commands: list[_xml.Node]) -> dict[str, Any] | None:
    """The DM account and the nodes written beside it, as a bootstrap's parms; None where no account is written."""
    parms: dict[str, list[str]] = {}
    roots: dict[str, dict[str, list[str]]] = {}
    account = False
    for node in commands:
        if node.name not in ("Add", "Replace"):
            continue
        for item in node.all("Item"):
            uri = item.value("Target", "LocURI") or ""
            path = [part for part in uri.split("/") if part not in ("", ".")]
            if path[:1] == ["SyncML"]:    # where DM 1.1 had it
                path = path[1:]
            if not path:
                continue
            account = account or path[0] == "DMAcc"
            leaf, value = path[-1].upper(), item.value("Data") or ""
            parms.setdefault(leaf, []).append(value)
            name = "w7" if path[0] == "DMAcc" else path[0]
            roots.setdefault(name, {"APPID": [name]}).setdefault(leaf, []).append(value)
    if not account:
        return None
    applications = [{"type": "APPLICATION", "parms": found, "characteristics": ()} for found in roots.values()]
    return omacp.summary(applications, parms)


def _notification(data: bytes, context: Context, carried: dict[str, Any]) -> Message:
    """Package 0 (OMA-TS-DM_Notification 6.2): digest, then trigger header and server identifier."""
    fields, problems, at = dict(carried), (), Cursor(data)
    try:
        fields["digest"] = at.octets(16).hex()
        bits = at.uint(5)                 # version 10, ui-mode 2, initiator 1, reserved 27
        fields |= {"version": f"{(bits >> 30) / 10:.1f}",
                   "ui_mode": ("not specified", "background", "informative", "user interaction")[bits >> 28 & 3],
                   "initiator": "server" if bits >> 27 & 1 else "client", "session_id": f"{at.u16():X}"}
        fields["server_id"] = at.octets(at.u8()).decode("utf-8", "replace")
    except Short as short:
        if not context.missing:
            problems = (Problem(short.offset, str(short)),)
    return context.message("syncml.notification", fields, problems, incomplete=bool(context.missing))
