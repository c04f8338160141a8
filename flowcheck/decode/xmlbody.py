"""XML bodies of HTTP and CoAP messages: handed to the decoder of their root element, else shown as they are."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Context, Message, Payload
from . import _flat, _xml

_FIELDS = ("root", "namespace", "body", "flat", "names", "unread", "protocol", "content_type", "method", "path",
           "status", "code", "token")
KINDS = {"xml.request": _FIELDS, "xml.response": _FIELDS}
PAYLOADS = ("application/xml", "text/xml")

# root element -> the decoder that reads such documents, whatever content type they were sent with
_READERS = {"Envelope": "cwmp", "SyncML": "syncml", "wap-provisioningdoc": "omacp"}


def decode(data: bytes, context: Context) -> Iterator[Message | Payload]:
    """One body."""
    name = _xml.root_name(data)
    if name in _READERS:
        yield Payload(_READERS[name], data, context)
        return
    if not data.strip():
        return
    fields, problems = _flat.carried(context.carrier), ()
    if name:
        fields["root"] = name
    if len(data) > _xml.LARGEST:
        fields["unread"] = f"{len(data)} octets"
    elif not context.missing:
        try:
            root = _xml.parse(data)
            body = {root.name: _xml.tree(root)}
            flat, names = _flat.flatten(body)
            fields |= {"root": root.name, "namespace": root.namespace, "body": body,
                       "flat": flat, "names": names}
        except _xml.Refused as refused:
            problems = (refused.problem,)
    yield context.message(f"xml.{_flat.direction(context.carrier)}", fields, problems,
                          incomplete=bool(context.missing))
