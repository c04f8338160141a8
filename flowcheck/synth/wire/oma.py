"""OMA Client Provisioning documents and OMA DM messages (SyncML), by lxml.

`content` has the names of the rule language: `dpf`, `sho`, `mcim`, `m2m` of a bootstrap; `cmd_id`, `msg_id`, `cmd`,
`cmd_ref`, `msg_ref`, `status`, `alert`, `items.data`, `text` of a command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CONNECTIVITY, DM = "text/vnd.wap.connectivity-xml", "application/vnd.syncml.dm+xml"
SYNCML, META = "SYNCML:SYNCML1.2", "syncml:metinf"
SESSION, DEVICE = "1F", "IMEI:990000862471854"
OBJECT = "./M2MSIM/M2MSIMMobj"
MOBJ = "TUNJTSBzeW50aA=="
CONTEXTS = (("mcim", "MCIM"), ("m2m", "M2M"))
Content = Mapping[str, Any]


def connectivity(content: Content) -> bytes:
    """A bootstrap as OMA CP: the DM account (w7), the contexts of the applications, the SHO."""
    from lxml import etree

    root = etree.Element("wap-provisioningdoc", version="1.1")
    applications: list[dict[str, str]] = [{"APPID": "w7", "PROVIDER-ID": "ro"}]
    if content.get("dpf"):
        applications[0]["ADDR"] = str(content["dpf"])
    applications += [{"APPID": name, "CONTEXT": name.lower()} for key, name in CONTEXTS if content.get(key)]
    if content.get("sho"):
        applications[-1]["SHO"] = str(content["sho"])
    for parms in applications:
        listed = etree.SubElement(root, "characteristic", type="APPLICATION")
        for name, value in parms.items():
            etree.SubElement(listed, "parm", name=name, value=value)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def bootstrap(content: Content) -> bytes:
    """The same as DM commands that write the account (OMA-TS-DM_Bootstrap 5.4)."""
    nodes = [("./DMAcc/ro/AppID", "w7")]
    nodes += [("./DMAcc/ro/AppAddr/1/Addr", str(content["dpf"]))] if content.get("dpf") else []
    nodes += [(f"./{name}/context", key) for key, name in CONTEXTS if content.get(key)]
    nodes += [("./MCIM/SHO" if content.get("mcim") else "./RO/SHO", str(content["sho"]))] if content.get("sho") else []
    commands = [
        ("Add", {"cmd_id": str(number), "target": uri, "items.data": value})
        for number, (uri, value) in enumerate(nodes, 1)
    ]
    return message(commands, "1", "http://ro/dm", from_device=False)


def message(commands: Sequence[tuple[str, Content]], number: str, server: str, from_device: bool) -> bytes:
    """A SyncML message with its commands."""
    from lxml import etree

    root = etree.Element("SyncML", nsmap={None: SYNCML})
    header = etree.SubElement(root, "SyncHdr")
    for name, value in (("VerDTD", "1.2"), ("VerProto", "DM/1.2"), ("SessionID", SESSION), ("MsgID", number)):
        etree.SubElement(header, name).text = value
    target, source = (server, DEVICE) if from_device else (DEVICE, server)
    for name, value in (("Target", target), ("Source", source)):
        etree.SubElement(etree.SubElement(header, name), "LocURI").text = value
    body = etree.SubElement(root, "SyncBody")
    for name, content in commands:
        _command(etree.SubElement(body, name), name, content)
    etree.SubElement(body, "Final")
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _command(element: Any, name: str, content: Content) -> None:
    from lxml import etree

    def part(tag: str, value: Any) -> None:
        etree.SubElement(element, tag).text = str(value)

    part("CmdID", content.get("cmd_id", "1"))
    if name == "Status":
        for tag, key in (("MsgRef", "msg_ref"), ("CmdRef", "cmd_ref"), ("Cmd", "cmd"), ("Data", "status")):
            part(tag, content.get(key, ""))
        return
    if name == "Alert":
        part("Data", content.get("alert", 1201))
    data = content.get("items.data")
    if data is None:
        return
    item = etree.SubElement(element, "Item")
    end = "Source" if name == "Alert" else "Target"
    etree.SubElement(etree.SubElement(item, end), "LocURI").text = str(content.get("target", OBJECT))
    meta = etree.SubElement(item, "Meta")
    etree.SubElement(meta, f"{{{META}}}Format").text = "chr"
    etree.SubElement(meta, f"{{{META}}}Type").text = str(content.get("type", "text/plain"))
    etree.SubElement(item, "Data").text = str(data)
