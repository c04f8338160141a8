"""CWMP messages as SOAP (TR-069 Amendment 2, Annex A), by lxml, and the HTTP around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SOAP, ENCODING = "http://schemas.xmlsoap.org/soap/envelope/", "http://schemas.xmlsoap.org/soap/encoding/"
CWMP = "urn:dslforum-org:cwmp-1-0"
XSI, XSD = "http://www.w3.org/2001/XMLSchema-instance", "http://www.w3.org/2001/XMLSchema"
DEVICE_ID = ("Manufacturer", "OUI", "ProductClass", "SerialNumber")


def envelope(rpc: str, number: str, content: Mapping[str, Any]) -> bytes:
    """The SOAP envelope of an RPC; `content` uses the names of TR-069, dotted where they are parts."""
    from lxml import etree

    root = etree.Element(
        f"{{{SOAP}}}Envelope", nsmap={"soap": SOAP, "enc": ENCODING, "cwmp": CWMP, "xsi": XSI, "xsd": XSD}
    )
    header = etree.SubElement(etree.SubElement(root, f"{{{SOAP}}}Header"), f"{{{CWMP}}}ID")
    header.text = number
    header.set(f"{{{SOAP}}}mustUnderstand", "1")
    body = etree.SubElement(root, f"{{{SOAP}}}Body")
    if rpc == "Fault":
        _fault(body, content)
    else:
        _CONTENT.get(rpc, _plain)(etree.SubElement(body, f"{{{CWMP}}}{rpc}"), content)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _text(parent: Any, name: str, value: Any) -> Any:
    from lxml import etree

    element = etree.SubElement(parent, name)
    element.text = "" if value is None else str(int(value)) if isinstance(value, bool) else str(value)
    return element


def _plain(element: Any, content: Mapping[str, Any]) -> None:
    """Every part in order; dotted names become nested elements."""
    from lxml import etree

    made: dict[str, Any] = {}
    for name, value in content.items():
        if name in ("session_events", "ParameterList"):
            continue
        *above, leaf = name.split(".")
        parent, path = element, ""
        for part in above:
            path = f"{path}.{part}"
            if path not in made:
                made[path] = etree.SubElement(parent, part)
            parent = made[path]
        _text(parent, leaf, value)


def _listed(element: Any, name: str, kind: str) -> Any:
    from lxml import etree

    found = etree.SubElement(element, name)
    found.set(f"{{{ENCODING}}}arrayType", kind)
    return found


def _parameters(element: Any, content: Mapping[str, Any]) -> None:
    from lxml import etree

    held = content.get("ParameterList") or {}
    listed = _listed(element, "ParameterList", f"cwmp:ParameterValueStruct[{len(held)}]")
    for name, value in held.items():
        item = etree.SubElement(listed, "ParameterValueStruct")
        _text(item, "Name", name)
        _text(item, "Value", value).set(f"{{{XSI}}}type", "xsd:boolean" if isinstance(value, bool) else "xsd:string")


def _inform(element: Any, content: Mapping[str, Any]) -> None:
    from lxml import etree

    device = etree.SubElement(element, "DeviceId")
    for name in DEVICE_ID:
        if f"DeviceId.{name}" in content:
            _text(device, name, content[f"DeviceId.{name}"])
    events = content.get("Event.EventCode") or []
    listed = _listed(element, "Event", f"cwmp:EventStruct[{len(events)}]")
    for code in events if isinstance(events, list) else [events]:
        event = etree.SubElement(listed, "EventStruct")
        _text(event, "EventCode", code)
        _text(event, "CommandKey", content.get("CommandKey", ""))
    _text(element, "MaxEnvelopes", 1)
    _text(element, "CurrentTime", content.get("CurrentTime", "2026-01-01T00:00:00Z"))
    _text(element, "RetryCount", 0)
    _parameters(element, content)


def _set_values(element: Any, content: Mapping[str, Any]) -> None:
    _parameters(element, content)
    _text(element, "ParameterKey", content.get("ParameterKey", "1"))


def _names(element: Any, content: Mapping[str, Any]) -> None:
    names = list(content.get("ParameterList") or ())
    listed = _listed(element, "ParameterNames", f"xsd:string[{len(names)}]")
    for name in names:
        _text(listed, "string", name)


def _fault(body: Any, content: Mapping[str, Any]) -> None:
    from lxml import etree

    fault = etree.SubElement(body, f"{{{SOAP}}}Fault")
    _text(fault, "faultcode", "Client")
    _text(fault, "faultstring", "CWMP fault")
    inner = etree.SubElement(etree.SubElement(fault, "detail"), f"{{{CWMP}}}Fault")
    _text(inner, "FaultCode", content.get("FaultCode", 9001))
    _text(inner, "FaultString", content.get("FaultString", "Request denied"))


_CONTENT = {
    "Inform": _inform,
    "SetParameterValues": _set_values,
    "GetParameterValues": _names,
    "GetParameterValuesResponse": _parameters,
}


def http_request(
    method: str, path: str, host: str, body: bytes, content_type: str = "text/xml; charset=utf-8", headers: str = ""
) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: femto/1.0\r\n{headers}"
    if body:
        head += f"Content-Type: {content_type}\r\n"
    if method != "GET":
        head += f"Content-Length: {len(body)}\r\n"
    return (head + "\r\n").encode() + body


REASONS = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    206: "Partial Content",
    302: "Found",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def http_response(status: int, body: bytes, content_type: str = "text/xml; charset=utf-8", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}\r\nServer: synth/1\r\n{headers}"
    if body:
        head += f"Content-Type: {content_type}\r\n"
    if status != 204:
        head += f"Content-Length: {len(body)}\r\n"
    return (head + "\r\n").encode() + body
