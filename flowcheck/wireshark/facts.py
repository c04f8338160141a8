"""What flowcheck and Wireshark can be compared by: one Fact per message, made of either's fields.

`ours` reads a Message, `theirs` the nested fields of a packet as tshark prints them in JSON. Both give the names of the
IANA registries, so that a Fact is equal or not. CWMP is missing: Wireshark has no dissector for it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ..decode._dns_records import RCODES, TYPES
from ..decode._ike_names import EXCHANGES, EXCHANGES_V1
from ..decode._tls_names import ALERTS
from ..model import Message

FILTER = ("(dns or mdns or llmnr or tls or isakmp or http or ftp or s1ap or hnbap or rua or ranap or gsm_a.dtap or "
          "nas-eps or gtp or gtpv2 or diameter or coap) and not icmp and not icmpv6 and not uma")
# An ICMP error quotes somebody else's message; UMA (TS 44.318) carries signalling that flowcheck does not look into.


class Fact(NamedTuple):
    protocol: str
    values: tuple[tuple[str, Any], ...]

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.values if value not in (None, ""))


def _fact(protocol: str, **values: Any) -> Fact:
    return Fact(protocol, tuple(values.items()))


def _name(value: Any) -> str:
    """A DNS or host name: letter case and the final dot do not count."""
    text = str(value or "").lower().rstrip(".")
    return "" if text == "<root>" else text


# ---------------------------------------------------------------------------------------------------- flowcheck's

def ours(message: Message) -> Iterator[Fact]:
    """The facts of a message; none where the capture cut it or Wireshark has nothing to compare it with."""
    if message.incomplete:
        return
    reader = _OURS.get(message.kind) or _OURS.get(message.protocol)
    if reader is not None:
        fact = reader(message, message.fields)
        if fact is not None:
            yield fact


def _our_dns(message: Message, fields: Mapping[str, Any]) -> Fact:
    response = message.kind.endswith(".response")
    addresses = sorted(str(answer["data"]).lower() for answer in fields.get("answers") or ()
                       if answer.get("type") in ("A", "AAAA") and answer.get("data"))
    return _fact("dns", id=fields.get("id"), response=response, rcode=fields.get("rcode") if response else None,
                 qname=_name(fields.get("qname")), qtype=fields.get("qtype") or None, addresses=tuple(addresses))


def _our_certificate(message: Message, fields: Mapping[str, Any]) -> Fact | None:
    chain = fields.get("chain") or ()
    subject = chain[0].get("subject_cn") if chain else None
    return _fact("tls", message="certificate", subject_cn=_first(subject)) if chain else None


def _first(value: Any) -> str:
    return str((value[0] if value else "") if isinstance(value, (list, tuple)) else value or "").lower()


def _our_ike(message: Message, fields: Mapping[str, Any]) -> Fact:
    second = str(fields.get("version") or "").startswith("2")
    return _fact("ike", exchange=fields.get("exchange"), spi_i=fields.get("spi_i"), spi_r=fields.get("spi_r"),
                 message_id=fields.get("message_id"), response=bool(fields.get("response")) if second else None)


def _numbered(protocol: str) -> Callable[[Message, Mapping[str, Any]], Fact | None]:
    def read(message: Message, fields: Mapping[str, Any]) -> Fact | None:
        number = fields.get("message_type")
        return _fact(protocol, message_type=number) if number is not None else None
    return read


def _elementary(protocol: str) -> Callable[[Message, Mapping[str, Any]], Fact]:
    return lambda message, fields: _fact(protocol, procedure=fields.get("procedure_code"), pdu=fields.get("pdu"))


_OURS: dict[str, Callable[[Message, Mapping[str, Any]], Fact | None]] = {
    "dns": _our_dns, "llmnr": _our_dns, "ike": _our_ike,
    "tls.client_hello": lambda m, f: _fact("tls", message="client_hello", sni=_name(f.get("sni"))),
    "tls.server_hello": lambda m, f: _fact("tls", message="server_hello"),
    "tls.certificate": _our_certificate,
    "tls.alert": lambda m, f: _fact("tls", message="alert", description=f.get("description")),
    "http.request": lambda m, f: _fact("http", method=f.get("method"), target=f.get("target")),
    "http.response": lambda m, f: _fact("http", status=f.get("status")),
    "ftp.command": lambda m, f: _fact("ftp", command=str(f.get("command")).upper()),
    "ftp.reply": lambda m, f: _fact("ftp", code=int(f.get("code") or 0)),
    "diameter": lambda m, f: _fact("diameter", command_code=f.get("command_code"), request=bool(f.get("request"))),
    "coap": lambda m, f: _fact("coap", code=f.get("code"), message_id=f.get("message_id")),
    **{name: _elementary(name) for name in ("s1ap", "hnbap", "rua", "ranap")},
    **{name: _numbered(name) for name in ("gmm", "mm", "sm", "emm", "gtp", "gtpv2")},
}


# ---------------------------------------------------------------------------------------------------- Wireshark's

def theirs(layers: Iterable[tuple[str, Any]]) -> Iterator[Fact]:
    """The facts in a packet: every mapping, however deep, that holds one of the fields of `_THEIRS`."""
    for _, fields in layers:
        for node in _nodes(fields):
            for marker in _THEIRS.keys() & node.keys():
                fact = _THEIRS[marker](node)
                if fact is not None:
                    yield fact


def malformed(fields: Any) -> bool:
    return any("_ws.malformed" in node for node in _nodes(fields))


def _nodes(value: Any) -> Iterator[Mapping[str, Any]]:
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, Mapping):
            yield one
            todo += [inner for inner in one.values() if isinstance(inner, (dict, list))]
        elif isinstance(one, list):
            todo += [inner for inner in one if isinstance(inner, (dict, list))]


def values(fields: Any, name: str) -> list[Any]:
    """Every value of a field below `fields`, in no particular order."""
    return [value for node in _nodes(fields) if name in node for value in _list(node[name])]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _items(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, Mapping) else ()


def _number(value: Any) -> int | None:
    text = str(_list(value)[0] if value not in (None, []) else "")
    try:
        return int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        return None


def _true(value: Any) -> bool:
    return str(value).lower() in ("1", "true")


def _their_dns(node: Mapping[str, Any]) -> Fact:
    flags = node.get("dns.flags_tree") or {}
    response = _true(flags.get("dns.flags.response"))
    rcode, question = _number(flags.get("dns.flags.rcode")), {}
    for each in _items(node.get("Queries")):
        question = next((one for one in _list(each) if isinstance(one, Mapping)), {})
        break
    qtype = _number(question.get("dns.qry.type"))
    addresses = [a for name in ("dns.a", "dns.aaaa") for a in values(node.get("Answers"), name)]
    return _fact("dns", id=_number(node.get("dns.id")), response=response,
                 rcode=RCODES.get(rcode, f"RCODE{rcode}") if response else None,
                 qname=_name(question.get("dns.qry.name")),
                 qtype=None if qtype is None else TYPES.get(qtype, f"TYPE{qtype}"),
                 addresses=tuple(sorted(str(a).lower() for a in addresses)))


def _their_handshake(node: Mapping[str, Any]) -> Fact | None:
    kind = _number(node["tls.handshake.type"])
    if kind == 1:
        names = values(node, "tls.handshake.extensions_server_name")
        return _fact("tls", message="client_hello", sni=_name(names[0] if names else ""))
    if kind == 2:
        return _fact("tls", message="server_hello")
    chain = next(iter(values(node, "tls.handshake.certificates")), {}) if kind == 11 else {}
    own = _list(chain.get("tls.handshake.certificate_tree"))[0] if isinstance(chain, Mapping) else None
    return _fact("tls", message="certificate", subject_cn=_common_name(own)) if isinstance(own, Mapping) else None


_STRING = re.compile(r"x509sat\.(?!DirectoryString)\w+String$")


def _common_name(certificate: Any) -> str:
    for subject in (*values(certificate, "x509af.subject_tree"), *values(certificate, "x509af.rdnSequence_tree")):
        for item in _nodes(subject):
            if "2.5.4.3" in (item.get("x509if.oid"), item.get("x509if.id")):
                found = [value for node in _nodes(item) for name, value in node.items() if _STRING.match(name)]
                if found:
                    return str(found[0]).lower()
    return ""


def _their_ike(node: Mapping[str, Any]) -> Fact:
    exchange, version = _number(node["isakmp.exchangetype"]), _number(node.get("isakmp.version")) or 0
    flags = _number(node.get("isakmp.flags")) or 0
    return _fact("ike", exchange=EXCHANGES.get(exchange) or EXCHANGES_V1.get(exchange) or f"EXCHANGE{exchange}",
                 spi_i=_hex(node.get("isakmp.ispi")), spi_r=_hex(node.get("isakmp.rspi")),
                 message_id=_number(node.get("isakmp.messageid")),
                 response=bool(flags & 0x20) if version >> 4 == 2 else None)


def _hex(value: Any) -> str:
    return str(value or "").replace(":", "").lower()


def _their_elementary(protocol: str, outcomes: tuple[str, ...]) -> Callable[[Mapping[str, Any]], Fact | None]:
    def read(node: Mapping[str, Any]) -> Fact | None:
        prefix = f"{protocol}."
        pdu = next(key for key in node if key.startswith(prefix) and key.endswith("_PDU"))
        choice, inside = _number(node[pdu]), node.get(pdu + "_tree")
        message = next((inner for inner in _items(inside) if isinstance(inner, Mapping)), {})
        number = _number(message.get(f"{protocol}.procedureCode"))
        if number is None or choice is None or choice >= len(outcomes):
            return None
        return _fact(protocol, procedure=number, pdu=outcomes[choice])
    return read


_OUTCOMES = ("initiating", "successful", "unsuccessful")


def _their_number(protocol: str, field: str) -> Callable[[Mapping[str, Any]], Fact]:
    return lambda node: _fact(protocol, message_type=_number(node[field]))


_G_PDU = 255                 # user data, no message (TS 29.281 6.1)


def _their_diameter(node: Mapping[str, Any]) -> Fact:
    flags = node.get("diameter.flags_tree") or {}
    return _fact("diameter", command_code=_number(node["diameter.cmd.code"]),
                 request=_true(flags.get("diameter.flags.request")))


def _their_coap(node: Mapping[str, Any]) -> Fact:
    code = _number(node["coap.code"]) or 0
    return _fact("coap", code=f"{code >> 5}.{code & 31:02d}", message_id=_number(node.get("coap.mid")))


_THEIRS: dict[str, Callable[[Mapping[str, Any]], Fact | None]] = {
    "dns.flags_tree": _their_dns,
    "tls.handshake.type": _their_handshake,
    "tls.alert_message.desc": lambda n: _fact("tls", message="alert", description=_alert(n["tls.alert_message.desc"])),
    "isakmp.exchangetype": _their_ike,
    "http.request.method": lambda n: _fact("http", method=_list(n["http.request.method"])[0],
                                           target=_list(n.get("http.request.uri"))[0]),
    "http.response.code": lambda n: _fact("http", status=_number(n["http.response.code"])),
    "ftp.request.command": lambda n: _fact("ftp", command=str(n["ftp.request.command"]).upper()),
    "ftp.response.code": lambda n: _fact("ftp", code=_number(n["ftp.response.code"])),
    "s1ap.S1AP_PDU": _their_elementary("s1ap", _OUTCOMES), "hnbap.HNBAP_PDU": _their_elementary("hnbap", _OUTCOMES),
    "rua.RUA_PDU": _their_elementary("rua", _OUTCOMES),
    "ranap.RANAP_PDU": _their_elementary("ranap", (*_OUTCOMES, "outcome")),
    "gsm_a.dtap.msg_gmm_type": _their_number("gmm", "gsm_a.dtap.msg_gmm_type"),
    "gsm_a.dtap.msg_mm_type": _their_number("mm", "gsm_a.dtap.msg_mm_type"),
    "gsm_a.dtap.msg_sm_type": _their_number("sm", "gsm_a.dtap.msg_sm_type"),
    "nas_eps.nas_msg_emm_type": _their_number("emm", "nas_eps.nas_msg_emm_type"),
    "gtp.message": lambda n: _their_number("gtp", "gtp.message")(n) if _number(n["gtp.message"]) != _G_PDU else None,
    "gtpv2.message_type": _their_number("gtpv2", "gtpv2.message_type"),
    "diameter.cmd.code": _their_diameter,
    "coap.code": _their_coap,
}


def _alert(value: Any) -> str:
    number = _number(value)
    return ALERTS.get(number, f"ALERT{number}")


# ---------------------------------------------------------------------------------------------------- keys

_SPI = re.compile(r"[0-9a-fA-F]{16}$")
_TLS = re.compile(r"[A-Z][A-Z0-9_]+ [0-9a-fA-F]{64} [0-9a-fA-F]+$")
_GCM = "AES-GCM with 16 octet ICV [RFC4106]"       # the one name tshark 4.0 opens AES-GCM by, with NULL authentication


def key_row(line: str) -> tuple[str, str]:
    """The Wireshark table a line of a key file belongs to and the line as Wireshark reads it; empty for other lines."""
    line = line.strip()
    if _TLS.match(line):
        return "tls_keylog", line
    row = [cell.strip() for cell in next(csv.reader([line], skipinitialspace=True), [])] if line.count(",") >= 7 else []
    if len(row) >= 8 and row[0].lower() in ("ipv4", "ipv6"):
        if row[4].upper().startswith("AES-GCM"):
            row[4], row[6], row[7] = _GCM, "NULL", ""
        return "esp_sa", ",".join(f'"{cell}"' for cell in row)
    if len(row) >= 8 and _SPI.match(row[0]) and _SPI.match(row[1]):
        return "ikev2_decryption_table", ",".join((*row[:4], f'"{row[4]}"', *row[5:7], f'"{row[7]}"'))
    return "", ""
