"""GTP version 2, control plane (3GPP TS 29.274)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from struct import unpack_from
from typing import Any

from ..model import Context, Message, Payload, Problem
from ._aper import digits, plmn
from ._nas import name_of
from .wire import Cursor, Short

# TS 29.274 table 6.1-1
TYPES = {
    1: "EchoRequest", 2: "EchoResponse", 3: "VersionNotSupportedIndication", 25: "SRVCCPStoCSRequest",
    26: "SRVCCPStoCSResponse",
    27: "SRVCCPStoCSCompleteNotification", 28: "SRVCCPStoCSCompleteAcknowledge", 32: "CreateSessionRequest",
    33: "CreateSessionResponse", 34: "ModifyBearerRequest", 35: "ModifyBearerResponse", 36: "DeleteSessionRequest",
    37: "DeleteSessionResponse", 38: "ChangeNotificationRequest", 39: "ChangeNotificationResponse",
    40: "RemoteUEReportNotification", 41: "RemoteUEReportAcknowledge", 64: "ModifyBearerCommand",
    65: "ModifyBearerFailureIndication", 66: "DeleteBearerCommand", 67: "DeleteBearerFailureIndication",
    68: "BearerResourceCommand", 69: "BearerResourceFailureIndication", 70: "DownlinkDataNotificationFailureIndication",
    71: "TraceSessionActivation", 72: "TraceSessionDeactivation", 73: "StopPagingIndication", 95: "CreateBearerRequest",
    96: "CreateBearerResponse", 97: "UpdateBearerRequest", 98: "UpdateBearerResponse", 99: "DeleteBearerRequest",
    100: "DeleteBearerResponse", 101: "DeletePDNConnectionSetRequest", 102: "DeletePDNConnectionSetResponse",
    103: "PGWDownlinkTriggeringNotification", 104: "PGWDownlinkTriggeringAcknowledge", 128: "IdentificationRequest",
    129: "IdentificationResponse", 130: "ContextRequest", 131: "ContextResponse", 132: "ContextAcknowledge",
    133: "ForwardRelocationRequest", 134: "ForwardRelocationResponse", 135: "ForwardRelocationCompleteNotification",
    136: "ForwardRelocationCompleteAcknowledge", 137: "ForwardAccessContextNotification",
    138: "ForwardAccessContextAcknowledge", 139: "RelocationCancelRequest", 140: "RelocationCancelResponse",
    141: "ConfigurationTransferTunnel", 149: "DetachNotification", 150: "DetachAcknowledge", 151: "CSPagingIndication",
    152: "RANInformationRelay", 153: "AlertMMENotification", 154: "AlertMMEAcknowledge", 155: "UEActivityNotification",
    156: "UEActivityAcknowledge", 157: "ISRStatusIndication", 158: "UERegistrationQueryRequest",
    159: "UERegistrationQueryResponse", 160: "CreateForwardingTunnelRequest", 161: "CreateForwardingTunnelResponse",
    162: "SuspendNotification", 163: "SuspendAcknowledge", 164: "ResumeNotification", 165: "ResumeAcknowledge",
    166: "CreateIndirectDataForwardingTunnelRequest", 167: "CreateIndirectDataForwardingTunnelResponse",
    168: "DeleteIndirectDataForwardingTunnelRequest", 169: "DeleteIndirectDataForwardingTunnelResponse",
    170: "ReleaseAccessBearersRequest", 171: "ReleaseAccessBearersResponse", 176: "DownlinkDataNotification",
    177: "DownlinkDataNotificationAcknowledge", 179: "PGWRestartNotification", 180: "PGWRestartNotificationAcknowledge",
    200: "UpdatePDNConnectionSetRequest", 201: "UpdatePDNConnectionSetResponse", 211: "ModifyAccessBearersRequest",
    212: "ModifyAccessBearersResponse", 231: "MBMSSessionStartRequest", 232: "MBMSSessionStartResponse",
    233: "MBMSSessionUpdateRequest", 234: "MBMSSessionUpdateResponse", 235: "MBMSSessionStopRequest",
    236: "MBMSSessionStopResponse",
}

_FIELDS = ("message_type", "teid", "sequence", "imsi", "msisdn", "mei", "cause", "cause_text", "apn", "paa", "pdn_type",
           "rat_type",
           "serving_network", "recovery", "f_teids", "bearers", "ebi")
KINDS = {f"gtpv2.{name}": _FIELDS for name in (*TYPES.values(), "unknown")}
PORTS = {2123}

# TS 29.274 table 8.4-1: 16 to 63 accept, 64 and above reject
CAUSES = {
    2: "Local Detach", 3: "Complete Detach", 4: "RAT changed from 3GPP to Non-3GPP", 5: "ISR deactivation",
    6: "Error Indication received", 7: "IMSI Detach Only", 8: "Reactivation Requested",
    9: "PDN reconnection to this APN disallowed", 10: "Access changed from Non-3GPP to 3GPP",
    11: "PDN connection inactivity timer expires", 12: "PGW not responding", 13: "Network Failure",
    14: "QoS parameter mismatch", 16: "Request accepted", 17: "Request accepted partially",
    18: "New PDN type due to network preference", 19: "New PDN type due to single address bearer only",
    64: "Context Not Found", 65: "Invalid Message Format", 66: "Version not supported by next peer",
    67: "Invalid length",
    68: "Service not supported", 69: "Mandatory IE incorrect", 70: "Mandatory IE missing", 72: "System failure",
    73: "No resources available", 74: "Semantic error in the TFT operation", 75: "Syntactic error in the TFT operation",
    76: "Semantic errors in packet filter(s)", 77: "Syntactic errors in packet filter(s)", 78: "Missing or unknown APN",
    80: "GRE key not found", 81: "Relocation failure", 82: "Denied in RAT", 83: "Preferred PDN type not supported",
    84: "All dynamic addresses are occupied", 85: "UE context without TFT already activated",
    86: "Protocol type not supported", 87: "UE not responding", 88: "UE refuses", 89: "Service denied",
    90: "Unable to page UE", 91: "No memory available", 92: "User authentication failed",
    93: "APN access denied - no subscription", 94: "Request rejected (reason not specified)",
    95: "P-TMSI Signature mismatch", 96: "IMSI/IMEI not known", 97: "Semantic error in the TAD operation",
    98: "Syntactic error in the TAD operation", 100: "Remote peer not responding",
    101: "Collision with network initiated request", 102: "Unable to page UE due to Suspension",
    103: "Conditional IE missing", 104: "APN restriction type incompatible with currently active PDN connection",
    105: "Invalid overall length of the triggered response message and a piggybacked initial message",
    106: "Data forwarding not supported", 107: "Invalid reply from remote peer", 108: "Fallback to GTPv1",
    109: "Invalid peer", 110: "Temporarily rejected due to handover/TAU/RAU procedure in progress",
    111: "Modifications not limited to S1-U bearers", 112: "Request rejected for a PMIPv6 reason",
    113: "APN congestion",
    114: "Bearer handling not supported", 115: "UE already re-attached",
    116: "Multiple PDN connections for a given APN not allowed", 117: "Target access restricted for the subscriber",
    119: "MME/SGSN refuses due to VPLMN policy", 120: "GTP-C entity congestion", 121: "Late overlapping request",
    122: "Timed out request", 123: "UE is temporarily not reachable due to power saving",
    124: "Relocation failure due to NAS message redirection", 125: "UE not authorised by OCS or external AAA server",
    126: "Multiple accesses to a PDN connection not allowed", 127: "Request rejected due to UE capability",
    128: "S1-U path failure", 129: "5GC not allowed",
}
_RATS = {1: "UTRAN", 2: "GERAN", 3: "WLAN", 4: "GAN", 5: "HSPA Evolution", 6: "EUTRAN", 7: "Virtual",
         8: "EUTRAN-NB-IoT",
         9: "LTE-M", 10: "NR"}
_PDN_TYPES = {1: "IPv4", 2: "IPv6", 3: "IPv4v6", 4: "Non-IP", 5: "Ethernet"}
_BEARER_CONTEXT = 93


def likely(head: bytes, ports: tuple[int, ...] = ()) -> bool:
    """Version 2, a known type and lengths that agree, of the message and of each element."""
    if len(head) < 8 or head[0] & 0xE3 != 0x40 or head[1] not in TYPES:
        return False
    length, piggybacked = unpack_from(">H", head, 2)[0] + 4, head[0] & 0x10
    if length < (12 if head[0] & 8 else 8):
        return False
    if not PORTS.isdisjoint(ports):
        return length >= len(head) or bool(piggybacked)
    if length != len(head):
        return False
    try:
        return len(list(_walk(Cursor(head, 12 if head[0] & 8 else 8)))) > 0
    except Short:
        return False


def decode(data: bytes, context: Context) -> Iterator[Message | Payload]:
    if data and data[0] >> 5 == 1:
        yield Payload("gtp", data, context)
        return
    at = 0
    while len(data) - at >= 8 and data[at] >> 5 == 2:
        end = at + 4 + unpack_from(">H", data, at + 2)[0]
        yield _message(data, at, end, context)
        if not data[at] & 0x10 or end <= at + 4:      # 5.5.1: another message may ride behind
            return
        at = end


def _message(data: bytes, at: int, end: int, context: Context) -> Message:
    kind = data[at + 1]
    cursor = Cursor(data, at + 4, end)
    fields: dict[str, Any] = {"message_type": kind}
    problems: list[Problem] = []
    short = end > len(data)
    try:
        if data[at] & 8:
            fields["teid"] = f"{cursor.u32():08x}"
        fields["sequence"] = cursor.u24()
        cursor.u8()
        _elements(cursor, fields, problems)
    except Short as error:
        short = True
        if not context.missing:
            problems.append(Problem(error.offset, f"the message ends within an element: {error}"))
    if "cause" in fields:
        fields["cause_text"] = CAUSES.get(fields["cause"], f"CAUSE{fields['cause']}")
    return context.message(f"gtpv2.{TYPES.get(kind, 'unknown')}", fields, tuple(problems),
                           incomplete=short and context.missing > 0)


def _elements(cursor: Cursor, fields: dict[str, Any], problems: list[Problem], *, nested: bool = False) -> None:
    for offset, kind, instance, value in _walk(cursor):
        try:
            if kind == _BEARER_CONTEXT:
                if not nested:
                    bearer: dict[str, Any] = {}
                    fields.setdefault("bearers", []).append(bearer)
                    _elements(Cursor(value), bearer, problems, nested=True)
            elif kind == 87:
                fields.setdefault("f_teids", []).append({**_f_teid(value), "instance": instance})
            elif kind in _ELEMENTS:
                name, read = _ELEMENTS[kind]
                fields.setdefault(name, read(value))
        except (IndexError, ValueError, Short) as error:
            problems.append(Problem(offset, f"element {kind}: {error}"))


def _walk(cursor: Cursor) -> Iterator[tuple[int, int, int, bytes]]:
    """(offset, type, instance, value); TS 29.274 8.2.1."""
    while cursor.left:
        offset, kind, size, instance = cursor.offset, cursor.u8(), cursor.u16(), cursor.u8() & 15
        yield offset, kind, instance, cursor.octets(size)


def _paa(value: bytes) -> str:
    """PDN Address Allocation (8.14) without the prefix length: an address, or two, IPv4 first."""
    kind = value[0] & 7
    addresses = []
    if kind in (1, 3):
        addresses.append(str(ip_address(value[1:5] if kind == 1 else value[18:22])))
    if kind in (2, 3):
        addresses.append(str(ip_address(value[2:18])))
    return " ".join(addresses)


def _f_teid(value: bytes) -> dict[str, Any]:
    """8.22."""
    cursor = Cursor(value)
    flags = cursor.u8()
    found: dict[str, Any] = {"interface_type": flags & 63, "teid": f"{cursor.u32():08x}"}
    if flags & 0x80:
        found["ipv4"] = str(ip_address(cursor.octets(4)))
    if flags & 0x40:
        found["ipv6"] = str(ip_address(cursor.octets(16)))
    return found


_ELEMENTS = {
    1: ("imsi", digits), 2: ("cause", lambda value: value[0]), 3: ("recovery", lambda value: value[0]),
    71: ("apn", name_of), 73: ("ebi", lambda value: value[0] & 15), 75: ("mei", digits), 76: ("msisdn", digits),
    79: ("paa", _paa), 82: ("rat_type", lambda value: _RATS.get(value[0], str(value[0]))),
    83: ("serving_network", lambda value: plmn(value[:3])),
    99: ("pdn_type", lambda value: _PDN_TYPES.get(value[0] & 7, str(value[0] & 7))),
}
