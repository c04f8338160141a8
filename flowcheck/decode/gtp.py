"""GTP version 1: control plane (3GPP TS 29.060), user plane (TS 29.281) and GTP' (TS 32.295); the header of version 0
(GSM 09.60).

A G-PDU is no message: the packet it carries goes back to be decoded like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from struct import unpack_from
from typing import Any

from ..model import Context, Message, Payload, Problem
from ._aper import digits
from ._nas import name_of, pdp_address
from .wire import Cursor, Short

G_PDU = 255
# TS 29.060 7.1, TS 29.281 6.1, TS 32.295 6.2.1
TYPES = {
    1: "EchoRequest", 2: "EchoResponse", 3: "VersionNotSupported", 4: "NodeAliveRequest", 5: "NodeAliveResponse",
    6: "RedirectionRequest", 7: "RedirectionResponse", 16: "CreatePDPContextRequest", 17: "CreatePDPContextResponse",
    18: "UpdatePDPContextRequest", 19: "UpdatePDPContextResponse", 20: "DeletePDPContextRequest",
    21: "DeletePDPContextResponse", 22: "InitiatePDPContextActivationRequest",
    23: "InitiatePDPContextActivationResponse",
    26: "ErrorIndication", 27: "PDUNotificationRequest", 28: "PDUNotificationResponse",
    29: "PDUNotificationRejectRequest",
    30: "PDUNotificationRejectResponse", 31: "SupportedExtensionHeadersNotification",
    32: "SendRoutingInformationForGPRSRequest", 33: "SendRoutingInformationForGPRSResponse", 34: "FailureReportRequest",
    35: "FailureReportResponse", 36: "NoteMSGPRSPresentRequest", 37: "NoteMSGPRSPresentResponse",
    48: "IdentificationRequest",
    49: "IdentificationResponse", 50: "SGSNContextRequest", 51: "SGSNContextResponse", 52: "SGSNContextAcknowledge",
    53: "ForwardRelocationRequest", 54: "ForwardRelocationResponse", 55: "ForwardRelocationComplete",
    56: "RelocationCancelRequest", 57: "RelocationCancelResponse", 58: "ForwardSRNSContext",
    59: "ForwardRelocationCompleteAcknowledge", 60: "ForwardSRNSContextAcknowledge", 61: "UERegistrationQueryRequest",
    62: "UERegistrationQueryResponse", 70: "RANInformationRelay", 96: "MBMSNotificationRequest",
    97: "MBMSNotificationResponse", 98: "MBMSNotificationRejectRequest", 99: "MBMSNotificationRejectResponse",
    100: "CreateMBMSContextRequest", 101: "CreateMBMSContextResponse", 102: "UpdateMBMSContextRequest",
    103: "UpdateMBMSContextResponse", 104: "DeleteMBMSContextRequest", 105: "DeleteMBMSContextResponse",
    112: "MBMSRegistrationRequest", 113: "MBMSRegistrationResponse", 114: "MBMSDeRegistrationRequest",
    115: "MBMSDeRegistrationResponse", 116: "MBMSSessionStartRequest", 117: "MBMSSessionStartResponse",
    118: "MBMSSessionStopRequest", 119: "MBMSSessionStopResponse", 120: "MBMSSessionUpdateRequest",
    121: "MBMSSessionUpdateResponse", 128: "MSInfoChangeNotificationRequest", 129: "MSInfoChangeNotificationResponse",
    240: "DataRecordTransferRequest", 241: "DataRecordTransferResponse", 254: "EndMarker",
}

_FIELDS = ("message_type", "teid", "sequence", "imsi", "cause", "cause_text", "teid_data", "teid_control", "nsapi",
           "recovery",
           "charging_id", "end_user_address", "pdp_type", "apn", "gsn_addresses", "msisdn")
KINDS = {f"gtp.{name}": _FIELDS for name in (*TYPES.values(), "unknown")}
PORTS = {2123, 2152, 3386}
_CHARGING = 3386
TUNNEL = "G-PDU"

# TS 29.060 7.7.1: 192 and above are rejections
CAUSES = {
    0: "Request IMSI", 1: "Request IMEI", 2: "Request IMSI and IMEI", 3: "No identity needed", 4: "MS refuses",
    5: "MS is not GPRS responding", 128: "Request accepted", 129: "New PDP type due to network preference",
    130: "New PDP type due to single address bearer only", 192: "Non-existent", 193: "Invalid message format",
    194: "IMSI/IMEI not known", 195: "MS is GPRS detached", 196: "MS is not GPRS responding", 197: "MS refuses",
    198: "Version not supported", 199: "No resources available", 200: "Service not supported",
    201: "Mandatory IE incorrect", 202: "Mandatory IE missing", 203: "Optional IE incorrect", 204: "System failure",
    205: "Roaming restriction", 206: "P-TMSI signature mismatch", 207: "GPRS connection suspended",
    208: "Authentication failure", 209: "User authentication failed", 210: "Context not found",
    211: "All dynamic PDP addresses are occupied", 212: "No memory is available", 213: "Relocation failure",
    214: "Unknown mandatory extension header", 215: "Semantic error in the TFT operation",
    216: "Syntactic error in the TFT operation", 217: "Semantic errors in packet filter(s)",
    218: "Syntactic errors in packet filter(s)", 219: "Missing or unknown APN", 220: "Unknown PDP address or PDP type",
    221: "PDP context without TFT already activated", 222: "APN access denied - no subscription",
    223: "APN restriction type incompatible with currently active PDP contexts",
    224: "MS MBMS capabilities insufficient",
    225: "Invalid Correlation-ID", 226: "MBMS bearer context superseded", 227: "Bearer control mode violation",
    228: "Collision with network initiated request", 229: "APN congestion", 230: "Bearer handling not supported",
    231: "Target access restricted for the subscriber", 232: "UE is temporarily not reachable due to power saving",
    233: "Relocation failure due to NAS message redirection",
}

# TS 29.060 7.7: octets behind the type of a TV element; from 128 on a length follows
_FIXED = {1: 1, 2: 8, 3: 6, 4: 4, 5: 4, 8: 1, 9: 28, 11: 1, 12: 3, 13: 1, 14: 1, 15: 1, 16: 4, 17: 4, 18: 5, 19: 1,
          20: 1,
          21: 1, 22: 1, 23: 1, 24: 1, 25: 2, 26: 2, 27: 2, 28: 2, 29: 1, 126: 1, 127: 4}


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def _address(value: bytes) -> str:
    return str(ip_address(value)) if len(value) in (4, 16) else value.hex()


def _msisdn(value: bytes) -> str:
    return digits(value[1:])                     # TS 29.002: one octet of numbering plan first


# element type -> field, reader; the first of a type counts, of addresses all
_ELEMENTS = {1: ("cause", _number), 2: ("imsi", digits), 14: ("recovery", _number), 16: ("teid_data", bytes.hex),
             17: ("teid_control", bytes.hex), 20: ("nsapi", lambda value: value[0] & 15), 127: ("charging_id", _number),
             128: ("end_user_address", pdp_address), 131: ("apn", name_of), 133: ("gsn_addresses", _address),
             134: ("msisdn", _msisdn)}


def likely(head: bytes, ports: tuple[int, ...] = ()) -> bool:
    """Version 1, a known type and the right length; where no port says GTP the contents must fit as well."""
    if len(head) < 6:
        return False
    kind, length = head[1], unpack_from(">H", head, 2)[0]
    if _is_prime(head, ports):
        return 0 < kind <= 7 or kind in (240, 241)
    if _is_version_0(head, ports):
        return (kind in TYPES or kind == G_PDU) and len(head) >= 20 and length + 20 >= len(head)
    if len(head) < 8 or head[0] & 0xF8 != 0x30:
        return False
    if kind not in TYPES and kind != G_PDU:
        return False
    if not PORTS.isdisjoint(ports):
        return length + 8 >= len(head)
    if length + 8 != len(head):
        return False
    try:
        cursor, _ = _header(head)
        if kind == G_PDU:
            inner = head[cursor.offset:]
            return (len(inner) >= 20 and inner[0] >> 4 == 4 and unpack_from(">H", inner, 2)[0] == len(inner)
                    or len(inner) >= 40 and inner[0] >> 4 == 6 and unpack_from(">H", inner, 4)[0] + 40 == len(inner))
        return kind in range(16, 22) and len(list(_walk(cursor))) > 0
    except Short:
        return False


def decode(data: bytes, context: Context) -> Iterator[Message | Payload]:
    if not data:
        return
    ports = (context.src.port, context.dst.port)
    prime = _is_prime(data, ports)
    if _is_version_0(data, ports):
        yield from _version_0(data, context)
        return
    if data[0] >> 5 == 2 and not prime:
        yield Payload("gtpv2", data, context)
        return
    if data[0] & 0xF0 != 0x30 and not prime:
        return
    try:
        if prime:
            yield _prime(data, context)
            return
        cursor, sequence = _header(data)
    except Short as error:
        if len(data) >= 2 and data[1] != G_PDU:
            yield context.message(f"gtp.{TYPES.get(data[1], 'unknown')}", {"message_type": data[1]},
                                  () if context.missing else (Problem(error.offset, str(error)),),
                                  incomplete=context.missing > 0)
        return
    kind = data[1]
    if kind == G_PDU:
        inner = data[cursor.offset:cursor.end]
        if inner and inner[0] >> 4 in (4, 6):
            yield Payload("ip", inner, context.within("gtp"))
        return
    fields: dict[str, Any] = {"message_type": kind, "teid": data[4:8].hex()}
    if sequence is not None:
        fields["sequence"] = sequence
    yield _message(kind, cursor, fields, context, len(data) < 8 + unpack_from(">H", data, 2)[0])


def _header(data: bytes) -> tuple[Cursor, int | None]:
    """A cursor at the elements or the carried packet, and the sequence number (TS 29.060 6)."""
    cursor = Cursor(data, 2)
    end = 8 + cursor.u16()
    cursor.u32()
    cursor.end = min(end, cursor.end)
    sequence = None
    if data[0] & 7:
        sequence = cursor.u16()
        cursor.u8()
        following = cursor.u8()
        while following:                         # TS 29.281 5.2.1: length in units of four octets
            cursor.octets(max(4 * cursor.u8(), 4) - 2)
            following = cursor.u8()
        if not data[0] & 2:
            sequence = None
    return cursor, sequence


def _is_version_0(head: bytes, ports: tuple[int | None, ...]) -> bool:
    """GSM 09.60 6: version 0, protocol type 1; both planes have the port that GTP' took over."""
    return head[0] & 0xF0 == 0x10 and _CHARGING in ports


def _version_0(data: bytes, context: Context) -> Iterator[Message | Payload]:
    """Twenty octets of header, the last eight of them the tunnel: an IMSI and, in the upper half of the last, an NSAPI."""
    if len(data) < 20:
        return
    kind, length, sequence = unpack_from(">BHH", data, 1)
    if kind == G_PDU:
        if data[20:21] and data[20] >> 4 in (4, 6):
            yield Payload("ip", data[20:20 + length], context.within("gtp"))
        return
    fields: dict[str, Any] = {"message_type": kind, "sequence": sequence}
    if any(data[12:20]):
        fields["imsi"] = digits(data[12:19] + bytes([data[19] | 0xF0]))
    yield context.message(f"gtp.{TYPES.get(kind, 'unknown')}", fields, incomplete=context.missing > 0)


def _is_prime(head: bytes, ports: tuple[int | None, ...]) -> bool:
    """GTP' has the protocol type bit at 0, which in version 2 means something else: only its port decides."""
    return not head[0] & 0x10 and head[0] >> 5 <= 2 and _CHARGING in ports


def _prime(data: bytes, context: Context) -> Message:
    """GTP': six octets of header, or twenty as version 0 had them. Its records are counted, not read."""
    cursor = Cursor(data, 2)
    length, sequence = cursor.u16(), cursor.u16()
    size = 6 if data[0] & 1 or data[0] >> 5 > 0 else 20
    fields: dict[str, Any] = {"message_type": data[1], "sequence": sequence}
    short = len(data) < size + length
    return context.message(f"gtp.{TYPES.get(data[1], 'unknown')}", fields, incomplete=short and context.missing > 0)


def _message(kind: int, cursor: Cursor, fields: dict[str, Any], context: Context, short: bool) -> Message:
    problems: list[Problem] = []
    try:
        for offset, element, value in _walk(cursor):
            if element not in _ELEMENTS:
                continue
            name, read = _ELEMENTS[element]
            try:
                found = read(value)
            except (IndexError, ValueError) as error:
                problems.append(Problem(offset, f"{name}: {error}"))
                continue
            if name == "gsn_addresses":
                fields.setdefault(name, []).append(found)
            elif name == "end_user_address":
                fields.setdefault("pdp_type", found.get("pdp_type"))
                if "pdp_address" in found:
                    fields.setdefault(name, found["pdp_address"])
            else:
                fields.setdefault(name, found)
    except Short as error:
        if not context.missing:
            problems.append(Problem(error.offset, f"the message ends within an element: {error}"))
    if "cause" in fields:
        fields["cause_text"] = CAUSES.get(fields["cause"], f"CAUSE{fields['cause']}")
    return context.message(f"gtp.{TYPES.get(kind, 'unknown')}", fields, tuple(problems),
                           incomplete=short and context.missing > 0)


def _walk(cursor: Cursor) -> Iterator[tuple[int, int, bytes]]:
    while cursor.left:
        offset, kind = cursor.offset, cursor.u8()
        if kind >= 128:
            yield offset, kind, cursor.octets(cursor.u16())
        elif kind in _FIXED:
            yield offset, kind, cursor.octets(_FIXED[kind])
        else:
            raise Short(offset, 1)               # an unknown TV element hides where the next one begins
