"""Messages in the words their specifications use: what a kind is called, what a refusal says, what was sent in vain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ..model import Message
from ..rulebook.rule import Step

_PROTOCOLS = {"dns": "DNS", "tcp": "TCP", "tls": "TLS", "dtls": "DTLS", "http": "HTTP", "ftp": "FTP", "ssh": "SSH",
              "sctp": "SCTP", "icmp": "ICMP",
              "coap": "CoAP", "syncml": "SyncML", "json": "JSON", "xml": "XML", "map": "MAP", "dhcp": "DHCP",
              "dhcpv6": "DHCPv6",
              "wappush": "WAP Push", "omacp": "OMA CP", "diameter": "Diameter"}
# names that stand alone
_BARE = frozenset(("cwmp", "hnbap", "s1ap", "ranap", "rua", "emm", "esm", "gmm", "mm", "sm", "gtp", "gtpv2"))
_NAMES = {"dns.query": "DNS query", "dns.response": "DNS answer", "cwmp.session_end": "end of the CWMP session",
          "tcp.syn": "TCP SYN",
          "tcp.syn_ack": "TCP SYN ACK", "tcp.fin": "TCP FIN", "tcp.refused": "TCP RST", "tcp.reset": "TCP RST",
          "sctp.init": "SCTP INIT", "sctp.init_ack": "SCTP INIT ACK", "sctp.abort": "SCTP ABORT",
          "icmp.unreachable": "ICMP unreachable"}
_EXCHANGES = {"sa_init": "IKE_SA_INIT", "auth": "IKE_AUTH", "create_child_sa": "CREATE_CHILD_SA",
              "informational": "INFORMATIONAL"}
_SPELLED = ("HTTP", "SCTP", "SSH", "FTP", "HNB", "S1", "XML")     # read letter by letter, from a vowel on
_ACCEPTING = {"dns.response": "with an address", "ike.sa_init.response": "that takes a proposal",
              "ike.auth.response": "without an error",
              "http": "with a status of success", "ftp": "with a code of success", "coap": "with a code of success",
              "diameter": "with a result of success", "gtp": "that accepts", "gtpv2": "that accepts",
              "cwmp.session_end": "in order"}
_WORD = 200                             # characters of a value out of the capture


def name(kind: str) -> str:
    """`ike.auth.response` is "IKE_AUTH response", `tls.client_hello` "TLS ClientHello"."""
    if kind in _NAMES:
        return _NAMES[kind]
    protocol, _, rest = kind.partition(".")
    if protocol == "ike":
        exchange, _, way = rest.rpartition(".")
        return f"{_EXCHANGES.get(exchange, 'IKE ' + exchange)} {way}"
    if protocol in _BARE:
        return rest
    if protocol in ("tls", "dtls"):
        rest = "".join(word.capitalize() for word in rest.split("_")) if "_" in rest or rest == "finished" else rest
    return f"{_PROTOCOLS.get(protocol, protocol)} {rest.replace('_', ' ')}" if protocol in _PROTOCOLS else kind


def names(kinds: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(name(kind) for kind in kinds))


def article(words: str) -> str:
    """"an IKE_AUTH response", "a DNS answer"."""
    return f"{'an' if words[:1].lower() in 'aeio' or words.startswith(_SPELLED) else 'a'} {words}"


def short(identity: str) -> str:
    """An identity that is a host name, by its first label (TS 23.003 28.2: `<OUI>-<serial>.hnb.femto.…`)."""
    label, _, rest = identity.partition(".")
    return label if "-" in label and rest.count(".") >= 2 and not rest.replace(".", "").isdigit() else identity


def asked_for(step: Step) -> str:
    """What the clause asks for and the message it waits for."""
    kinds = names(step.messages)
    return f"{step.title} ({kinds})" if step.title and kinds else step.title or kinds


def accepting(kind: str) -> str:
    """What has to be said of a kind that may refuse as well: " with an address"."""
    return " " + (_ACCEPTING.get(kind) or _ACCEPTING.get(kind.partition(".")[0]) or "that does not refuse")


def request(message: Message) -> str:
    """What was asked: `the DNS query for hms.example (A)`, `POST /acs`, `Inform`."""
    fields = message.fields
    if message.protocol == "dns":
        kind = fields.get("qtype")
        return f"the DNS query for {_text(fields.get('qname'))}" + (f" ({kind})" if kind else "")
    if message.protocol in ("http", "coap", "json", "xml") and fields.get("method"):
        return f"{_text(fields['method'])} {_path(fields)}".rstrip()
    if message.protocol == "ftp":
        return _text(fields.get("command"))
    words = name(message.kind)
    return f"the {words}" if words.endswith((" request", " message")) else words


def refusal(message: Message, who: str, detail: str, asked: Message | None) -> str:
    """One clause: who refused what, and with which code. `detail` is the code; `asked` the request, where it is known."""
    said = _SAID.get(message.protocol)
    text = said(message, who, detail, asked) if said else ""
    if text:
        return text
    shown = ": ".join(filter(None, (detail, _text(message.fields.get("cause_text") or message.fields.get("result") or ""))))
    answered = f"answered {request(asked)} with" if asked is not None else "sent"
    return f"{who} {answered} {name(message.kind)}" + (f" ({shown})" if shown else "")


def _dns(message: Message, who: str, detail: str, asked: Message | None) -> str:
    return f"{who} answered {detail} for {_text(message.fields.get('qname'))}"


def _ike(message: Message, who: str, detail: str, asked: Message | None) -> str:
    exchange = _EXCHANGES.get(message.kind.split(".")[1], "IKE")
    if message.fields.get("response"):
        return f"{who} refused {exchange} with {detail}" if detail else f"{who} refused {exchange}"
    return f"{who} broke off IKE" + (f" with {detail}" if detail else "")


def _tls(message: Message, who: str, detail: str, asked: Message | None) -> str:
    if not message.kind.endswith(".alert"):
        return ""
    return f"{who} ended the TLS handshake with alert {detail}"


def _cwmp(message: Message, who: str, detail: str, asked: Message | None) -> str:
    if message.kind != "cwmp.Fault":
        return ""
    fields = message.fields
    what = f"{who} refused {name(asked.kind)} with Fault {detail}" if asked is not None else f"{who} sent Fault {detail}"
    text = fields.get("FaultString")
    return what + (f" ({_text(text)})" if text else "") + _per_parameter(fields)


def _per_parameter(fields: Mapping) -> str:
    faults = [f for f in fields.get("SetParameterValuesFault") or () if isinstance(f, Mapping)]
    shown = [f"{_text(f.get('ParameterName'))}: {f.get('FaultCode')} {_text(f.get('FaultString') or '')}".strip()
             for f in faults[:3]]
    more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
    return f": {', '.join(shown)}{more}" if shown else ""


def _http(message: Message, who: str, detail: str, asked: Message | None) -> str:
    fields = message.fields
    if message.kind != "http.response":
        return ""
    method = fields.get("request_method")
    what = f"{_text(method)} {_path({'target': fields.get('request_target')})}" if method else request(asked) if asked is not None else "the request"
    return f"{who} answered {what} with {fields.get('status')} {_text(fields.get('reason') or '')}".rstrip()


def _ftp(message: Message, who: str, detail: str, asked: Message | None) -> str:
    fields = message.fields
    if message.kind != "ftp.reply":
        return ""
    command = _text(fields.get("command") or (asked.fields.get("command") if asked is not None else "") or "")
    return f"{who} answered {command or 'the connection'} with {fields.get('code')} {_text(fields.get('text') or '')}".rstrip(" .")


def _tcp(message: Message, who: str, detail: str, asked: Message | None) -> str:
    if message.kind == "tcp.refused":
        return f"{who} refused the TCP connection to port {message.src.port}"
    return f"{who} {'reset' if message.kind == 'tcp.reset' else 'closed'} the connection" if message.kind in ("tcp.reset", "tcp.fin") else ""


def _icmp(message: Message, who: str, detail: str, asked: Message | None) -> str:
    fields = message.fields
    if message.kind != "icmp.unreachable":
        return ""
    port = fields.get("quoted_dport")
    return f"{who} reports that {_text(fields.get('quoted_dst'))}{f' port {port}' if port else ''} cannot be reached ({_text(fields.get('code'))})"


def _sctp(message: Message, who: str, detail: str, asked: Message | None) -> str:
    if message.kind != "sctp.abort":
        return ""
    cause = message.fields.get("cause")
    return f"{who} aborted the SCTP association" + (f": {_text(cause)}" if cause else "")


def _coap(message: Message, who: str, detail: str, asked: Message | None) -> str:
    if message.kind != "coap.response":
        return ""
    fields = message.fields
    what = f"{_text(fields.get('method') or 'the request')} {_text(fields.get('uri_path') or '')}".rstrip()
    return f"{who} answered {request(asked) if asked is not None else what} with {fields.get('code')} {_text(fields.get('name') or '')}".rstrip()


_SAID: dict[str, Callable[[Message, str, str, Message | None], str]] = {
    "dns": _dns, "ike": _ike, "tls": _tls, "dtls": _tls, "cwmp": _cwmp, "http": _http, "ftp": _ftp, "tcp": _tcp,
    "icmp": _icmp,
    "sctp": _sctp, "coap": _coap}


def _path(fields: Mapping) -> str:
    """Without the query, which may hold what is nobody's business."""
    return _text(fields.get("target") or fields.get("path") or fields.get("uri_path") or "").partition("?")[0]


def _text(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= _WORD else text[:_WORD] + "…"
