"""Why a peer refused or stayed silent, as far as the capture shows it.

A refusal carries a code; the reason for it lies in what was asked: the certificate, the proposals, the name, the
credentials. Each function here looks at one kind of refusal and says what the evidence shows as a fact; where it shows
nothing, what may have been the reason is called possible. What is ruled out by the evidence is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ..model import Message
from . import codes
from .phrases import short

_MOST = 4                               # of anything listed in a sentence
# words beside the code
_SAYS_ITSELF = {"http": "reason", "ftp": "text", "coap": "name", "cwmp": "FaultString", "diameter": "result"}
# names in an error's body
_TELLING = ("error", "message", "reason", "detail", "title", "description", "error_description", "cause")


class Reason(NamedTuple):
    text: str = ""                      # a clause that can follow a semicolon
    # what else may have to be changed than the side that is named: "device certificate"
    other: str = ""


class Evidence(NamedTuple):
    """What a reason may be looked for in."""

    refusal: Message | None             # None: nobody answered
    request: Message | None
    messages: Sequence[Message]         # of the device, in time order
    who: Callable[[Any], str]           # an endpoint's part in the procedure: "SeGW (initial)"


def reason(evidence: Evidence, code: str) -> Reason:
    """Empty where neither the evidence nor the code says anything."""
    refusal = evidence.refusal
    if refusal is None:
        return _silence(evidence)
    protocol = refusal.protocol
    found = _READERS[protocol](evidence, code) if protocol in _READERS else Reason()
    if found.text or refusal.fields.get(_SAYS_ITSELF.get(protocol, "")):
        return found
    meant = codes.meaning(protocol, code)
    return Reason(meant[0]) if meant else found


# ---------------------------------------------------------------------------------------------------- IKE

def _ike(evidence: Evidence, code: str) -> Reason:
    reader = _NOTIFIES.get(code)
    return reader(evidence) if reader else Reason()


def _proposals(evidence: Evidence) -> Reason:
    """RFC 7296 2.7, 3.3: the responder takes one of the proposals as a whole or none."""
    refusal, sent = evidence.refusal, _sent(evidence)
    offered = [text for m in sent[-1:] for text in map(_proposal, m.fields.get("proposals") or ())]
    if not offered:
        return Reason("none of the offered proposals is acceptable; the offer is not readable in this capture")
    text = f"none of what was offered is acceptable: {_listed(offered)}"
    taken = next((m for m in evidence.messages if m.kind == refusal.kind and m.src.address == refusal.src.address
                  and m.fields.get("proposals")), None)
    if taken is not None:
        text += f"; it took {_proposal(taken.fields['proposals'][0])} in frame {taken.frames[-1].number}"
    return Reason(text, f"the proposals of the {_offerer(evidence)}")


def _proposal(proposal: Mapping) -> str:
    transforms = proposal.get("transforms") or {}
    return "/".join("+".join(dict.fromkeys(map(str, values))) for name, values in transforms.items() if name != "ESN")


def _group(evidence: Evidence) -> Reason:
    """RFC 7296 1.3: the notify's data are the number of the group wanted."""
    asked = next((m.fields.get("key_exchange") for m in reversed(_sent(evidence))), None)
    return Reason(f"it wants another Diffie-Hellman group than {asked}") if asked else Reason()


def _selectors(evidence: Evidence) -> Reason:
    rows = [row for m in _sent(evidence) for row in m.fields.get("traffic_selectors") or ()]
    shown = [f"{row.get('side')} {row.get('start')} to {row.get('end')}" for row in rows]
    return Reason("the traffic selectors asked for do not fit its policy" + (f": {_listed(shown)}" if shown else ""),
                  f"the traffic selectors of the {_offerer(evidence)}")


def _address(evidence: Evidence) -> Reason:
    asked = next((m.fields["configuration"].get("attributes") or {}
                  for m in reversed(_sent(evidence)) if m.fields.get("configuration")), {})
    wanted = [name for name in asked if name.startswith("INTERNAL_IP")]
    return Reason("possible: its address pool is used up, or it has none for this identity"
                  + (f"; asked for were {_listed(wanted)}" if wanted else ""))


def _no_configuration(evidence: Evidence) -> Reason:
    return Reason("it hands out an inner address, and none was asked for (no CFG_REQUEST)",
                  "the configuration of the device")


def _authentication(evidence: Evidence) -> Reason:
    """RFC 7296 2.21.2: one code for everything; what the peer was shown narrows it down."""
    refusal = evidence.refusal
    if not refusal.fields.get("response"):                    # the initiator does not accept the responder
        shown = [m for m in _same_sa(evidence) if m.src.address != refusal.src.address and m.time <= refusal.time]
    else:
        shown = _sent(evidence)
    owner = evidence.who(shown[-1].src) if shown else "the peer"
    chain = [c for m in shown for c in m.fields.get("certificates") or () if "not_after" in c or "error" in c]
    identity = next((m.fields[key] for m in reversed(shown) for key in ("id_i", "id_r") if m.fields.get(key)
                     and (key == "id_i") == bool(m.fields.get("initiator"))), None)
    if any(m.fields.get("eap") for m in shown):                # which proves the initiator (RFC 7296 2.16)
        initiator = next((m.fields["id_i"] for m in _same_sa(evidence) if m.fields.get("id_i")), None)
        return Reason(f"possible: a wrong EAP identity or password of {short(initiator or 'the initiator')}",
                      "the credentials of the device")
    if not chain:
        if shown and all(m.fields.get("decrypted") is False for m in shown):
            return Reason(f"the certificate of the {owner} is sealed in this capture; possible: an issuer that is not trusted, dates, name or "
                          "a wrong pre-shared key", f"the certificate of the {owner}")
        return Reason(f"no certificate was sent; possible: a wrong pre-shared key, or the identity {short(identity or owner)} is not known")
    wrong = _wrong_with(chain, refusal.time, identity, owner) or _not_asked_for(chain, evidence)
    if wrong:
        return Reason(wrong, f"the certificate of the {owner}")
    if other := _another_name(shown, evidence):
        return Reason(other, f"the name of the peer set in the {owner}")
    top = _top(chain)
    issuer = top.get("issuer_cn") or top.get("issuer") or "its issuer"
    return Reason(f"the certificate of the {owner} is right in dates and name; possible: its CA \"{issuer}\" is not trusted there, it was revoked, "
                  f"or the identity {short(identity or owner)} is not known", f"the certificate of the {owner}")


def _another_name(shown: Sequence[Message], evidence: Evidence) -> str:
    """Did the initiator ask (IDr, RFC 7296 2.9) for another name than the one by which it found the responder?"""
    wanted = next((m.fields["id_r"] for m in reversed(shown) if m.fields.get("id_r") and m.fields.get("initiator")),
                  None)
    found = {str(m.fields.get("qname")).lower() for m in evidence.messages if m.kind == "dns.response"
             and evidence.refusal.src.address in (m.fields.get("answers.address") or ())}
    if not wanted or not found or wanted.lower() in found:
        return ""
    return f"possible: it is not the {short(wanted)} that was asked for (IDr); it was found as {_listed(sorted(found))}"


def _wrong_with(chain: Sequence[Mapping], at: int, identity: str | None, owner: str) -> str:
    """The first thing that is certainly wrong with a certificate chain at a time."""
    now = datetime.fromtimestamp(at // 1_000_000_000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    for number, each in enumerate(chain):
        what = f"the certificate of the {owner}" if not number else f"the CA certificate \"{each.get('subject_cn') or each.get('subject')}\""
        if each.get("error") and "not_after" not in each:
            return f"{what} is not readable"
        if (each.get("not_after") or now) < now:
            return f"{what} expired on {each['not_after'][:10]}"
        if (each.get("not_before") or now) > now:
            return f"{what} is not valid before {each['not_before'][:10]}"
    leaf = chain[0]
    names = [*leaf.get("san", ()), leaf.get("subject"), leaf.get("subject_cn")]
    if identity and "=" not in identity and identity.lower() not in [str(n).lower() for n in names if n]:
        return f"the certificate of the {owner} does not carry its identity {identity}"
    if leaf.get("self_signed"):
        return f"the certificate of the {owner} is self-signed"
    return ""


def _not_asked_for(chain: Sequence[Mapping], evidence: Evidence) -> str:
    """RFC 7296 3.7: a CERTREQ names the trusted CAs by the SHA-1 of their keys. Known only where the chain holds its root."""
    refusal = evidence.refusal
    asked = {key for m in _same_sa(evidence) if m.src.address == refusal.src.address
             for entry in m.fields.get("certificate_requests") or () for key in entry.get("key_sha1") or ()}
    top = _top(chain)
    if not asked or not top.get("self_signed") or any(each.get("key_sha1") in asked for each in chain):
        return ""
    return f"its CA \"{top.get('subject_cn') or top.get('subject')}\" is not among those that {evidence.who(refusal.src)} names in CERTREQ"


def _top(chain: Sequence[Mapping]) -> Mapping:
    """The last certificate on the way from the leaf to its root; IKE puts the others in any order (RFC 7296 3.6)."""
    top, left = chain[0], list(chain[1:])
    while issuer := next((c for c in left if c.get("subject") == top.get("issuer") and not top.get("self_signed")),
                         None):
        top = issuer
        left.remove(issuer)
    return top


def _sent(evidence: Evidence) -> list[Message]:
    """What the other side sent in the exchange before the refusal, on the same IKE SA."""
    refusal = evidence.refusal
    exchange = refusal.kind.rpartition(".")[0]
    return [m for m in _same_sa(evidence) if m.time <= refusal.time and m.kind == f"{exchange}.request"
            and m.src.address != refusal.src.address]


def _same_sa(evidence: Evidence) -> list[Message]:
    spi = evidence.refusal.fields.get("spi_i")
    return [m for m in evidence.messages if m.protocol == "ike" and m.fields.get("spi_i") == spi]


def _offerer(evidence: Evidence) -> str:
    sent = _sent(evidence)
    return evidence.who(sent[-1].src) if sent else "device"


_NOTIFIES: dict[str, Callable[[Evidence], Reason]] = {
    "NO_PROPOSAL_CHOSEN": _proposals, "INVALID_KE_PAYLOAD": _group, "TS_UNACCEPTABLE": _selectors,
    "SINGLE_PAIR_REQUIRED": _selectors,
    "INTERNAL_ADDRESS_FAILURE": _address, "FAILED_CP_REQUIRED": _no_configuration,
    "AUTHENTICATION_FAILED": _authentication,
    "AUTHENTICATION-FAILED": _authentication, "NO-PROPOSAL-CHOSEN": _proposals}


# ---------------------------------------------------------------------------------------------------- TLS

_ABOUT_CERTIFICATE = frozenset(("unknown_ca", "bad_certificate", "unsupported_certificate", "certificate_expired",
                                "certificate_revoked",
                                "certificate_unknown"))


def _tls(evidence: Evidence, code: str) -> Reason:
    refusal = evidence.refusal
    connection = [m for m in evidence.messages if m.stream == refusal.stream and m.protocol in ("tls", "dtls")
                  and m.time <= refusal.time]
    if code in _ABOUT_CERTIFICATE:
        return _certificate(evidence, code, connection)
    hello = next((m for m in connection if m.kind.endswith(".client_hello")), None)
    if hello is None:
        return Reason()
    offered = hello.fields
    if code == "protocol_version":
        versions = offered.get("supported_versions") or [f"up to {offered.get('version')}"]
        return Reason(f"offered was {_listed(map(str, versions))}",
                      f"the TLS versions of the {evidence.who(hello.src)}")
    if code == "certificate_required" or code == "handshake_failure" and _sent_no_certificate(connection):
        return Reason(f"the {evidence.who(hello.src)} sent no certificate",
                      f"the certificate of the {evidence.who(hello.src)}")
    if code in ("handshake_failure", "insufficient_security"):
        suites = [s for s in offered.get("cipher_suites") or () if not str(s).endswith("_SCSV")]
        asks = any(m.kind.endswith(".certificate_request") for m in connection)
        certificate = "; a client certificate was asked for" if asks else ""
        return Reason(f"offered were {len(suites)} cipher suites for {offered.get('version')} ({_listed(suites, 3)}){certificate}",
                      f"the TLS settings of the {evidence.who(hello.src)}")
    if code == "unrecognized_name":
        return Reason(f"the name asked for is {offered.get('sni') or 'missing'}",
                      f"the name of the server set in the {evidence.who(hello.src)}")
    return Reason()


def _sent_no_certificate(connection: Sequence[Message]) -> bool:
    """Was a client certificate asked for, and an empty list sent? TLS 1.2 has no alert of its own for it (RFC 5246 7.4.6)."""
    return any(m.kind.endswith(".certificate") and m.fields.get("side") == "client" and not m.fields.get("chain")
               for m in connection)


def _certificate(evidence: Evidence, code: str, connection: Sequence[Message]) -> Reason:
    refusal = evidence.refusal
    shown = next((m for m in reversed(connection) if m.kind.endswith(".certificate")
                  and m.src.address != refusal.src.address), None)
    chain = shown.fields.get("chain") or () if shown is not None else ()
    if not chain:
        return Reason("the certificate it does not accept is not readable in this capture")
    owner, leaf, last = evidence.who(shown.src), chain[0], _top(chain)
    other = f"the certificate of the {owner}"
    wrong = _wrong_with(chain, refusal.time, None, owner)
    for fault in shown.fields.get("faults") or ():
        if fault.get("fault") in ("name_mismatch", "chain_order", "weak_key", "weak_signature", "no_server_auth"):
            wrong = wrong or f"the certificate of the {owner}: {fault.get('text')}"
            break
    if code == "certificate_expired" and not wrong:
        return Reason(f"by the capture's clock the certificate of the {owner} is valid until {str(leaf.get('not_after'))[:10]}: "
                      f"the clock of the {evidence.who(refusal.src)} may be wrong", other)
    if code == "unknown_ca" and not (wrong and leaf.get("self_signed")):
        issuer = last.get("subject_cn") if last.get("self_signed") else last.get("issuer_cn") or last.get("issuer")
        sent = "" if last.get("self_signed") or len(chain) > 1 else "; no other CA certificate was sent with it"
        return Reason(f"it does not know the CA \"{issuer}\" of the certificate of the {owner}{sent}", other)
    if wrong:
        return Reason(wrong, other)
    return Reason(f"dates and name of the certificate are right; possible: its issuer \"{last.get('issuer_cn') or last.get('issuer')}\" is not trusted, "
                  "or it was revoked", other)


# ---------------------------------------------------------------------------------------------------- the others

def _dns(evidence: Evidence, code: str) -> Reason:
    fields = evidence.refusal.fields
    if code == "NXDOMAIN":
        zone = next((row.get("name") for row in fields.get("authorities") or () if row.get("type") == "SOA"), None)
        by = "the server answers for the zone itself" if fields.get("authoritative") else ""
        return Reason("the name does not exist" + (f" in the zone {zone}" if zone else "") + (f"; {by}" if by else ""),
                      "the name set in the device")
    return Reason()


def _http(evidence: Evidence, code: str) -> Reason:
    refusal = evidence.refusal
    if code == "401":
        same = [m for m in evidence.messages if m.kind == "http.request" and m.stream == refusal.stream
                and m.time <= refusal.time]
        sent = any("authorization" in {str(k).lower() for k in m.fields.get("headers") or ()} for m in same[-1:])
        return Reason("the credentials sent were not accepted" if sent else "no credentials were sent",
                      "the credentials")
    if code.startswith("3") and len(code) == 3:
        place = next((v for k, v in (refusal.fields.get("headers") or {}).items() if str(k).lower() == "location"),
                     None)
        return Reason(f"it points to {place}" if place else "")
    if code.startswith("2") and len(code) == 3:
        kind = refusal.fields.get("content_type")
        return Reason(f"the body is {kind or 'empty'}, {refusal.fields.get('body_length', 0)} octets")
    return _body(evidence, code)


def _body(evidence: Evidence, code: str) -> Reason:
    """What the body of an error says of itself (RFC 9457 and its relatives)."""
    refusal = evidence.refusal
    for m in evidence.messages:
        if m.protocol in ("json", "xml") and m.frames == refusal.frames and isinstance(m.fields.get("flat"), Mapping):
            said = [f"{key}: {str(value)[:120]}" for key, value in m.fields["flat"].items()
                    if str(key).rpartition(".")[2].lower() in _TELLING]
            if said:
                return Reason(f"the answer says {_listed(said, 2)}")
    return Reason()


def _tcp(evidence: Evidence, code: str) -> Reason:
    if evidence.refusal.kind == "tcp.refused":
        return Reason("nothing listens there, or a firewall answers for it")
    return Reason()


def _sctp(evidence: Evidence, code: str) -> Reason:
    request = evidence.request
    if request is not None and request.repeats and evidence.refusal.src.address == request.src.address:
        return _silence(evidence._replace(refusal=None))
    return Reason()


def _silence(evidence: Evidence) -> Reason:
    """Was the host there at all? An ICMP error about it, another answer of it, or nothing."""
    request = evidence.request
    if request is None:
        return Reason()
    host = request.dst.address
    for m in evidence.messages:
        if m.kind == "icmp.unreachable" and m.time >= request.time and m.fields.get("quoted_dst") == host:
            return Reason(f"{m.src.address} reports it as unreachable (ICMP {m.fields.get('code')}) in frame {m.frames[-1].number}")
    after = next((m for m in evidence.messages if m.src.address == host and m.time > request.time), None)
    if after is not None:
        return Reason(f"it is alive: it sent something else in frame {after.frames[-1].number}")
    before = next((m for m in reversed(evidence.messages) if m.src.address == host and m.time < request.time), None)
    if before is not None:
        return Reason(f"it was last heard in frame {before.frames[-1].number}")
    return Reason(f"nothing from {host} is in the capture; possible: it is down, or packets are lost or blocked on the way")


_READERS: dict[str, Callable[[Evidence, str], Reason]] = {
    "ike": _ike, "tls": _tls, "dtls": _tls, "dns": _dns, "http": _http, "tcp": _tcp, "sctp": _sctp,
    "coap": _body}


def _listed(values: Iterable[str], most: int = _MOST) -> str:
    rows = list(dict.fromkeys(values))
    return ", ".join(rows[:most]) + (f" and {len(rows) - most} more" if len(rows) > most else "")
