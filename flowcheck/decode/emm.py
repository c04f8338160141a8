"""EPS mobility management (TS 24.301 8.2) with its security header (9.1, 9.3).

A message that is integrity protected only, or ciphered with the null algorithm EEA0, reads like a plain one and is
decoded as such, with the header named in `security_header`. One that is really ciphered is an `emm.Ciphered`: since no
octet says which algorithm was used, what stands behind the header must be a whole message without any fault to
count as read.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Context, Message, Payload
from . import esm
from ._nas import (AKA_FIELDS, CAUSE_FIELDS, HALF, IDENTITY_FIELDS, LV, LVE, TLV, TLVE, Layout, auts, autn, cause,
                   eps_identity, half, identity_type, kinds, message, mobile_identity, rand, res, who)
from .wire import Cursor

SECURITY_HEADERS = {0: "plain", 1: "integrity protected", 2: "integrity protected and ciphered",
                    3: "integrity protected, new security context",
                    4: "integrity protected and ciphered, new security context",
                    5: "integrity protected and partially ciphered", 12: "service request"}


def _container(value: bytes) -> dict[str, bytes]:
    return {"esm_container": value}


def _algorithms(value: bytes) -> dict[str, int]:
    return {"eea": value[0] >> 4 & 7, "eia": value[0] & 7}


def _imeisv(value: bytes) -> dict[str, str]:
    return {"imeisv": mobile_identity(value).get("imeisv", "")}


_ATTACH_TYPE = half("attach_type", {1: "EPS attach", 2: "combined EPS/IMSI attach", 3: "EPS RLOS attach",
                                    6: "EPS emergency attach"})
_ATTACH_RESULT = half("attach_result", {1: "EPS only", 2: "combined EPS/IMSI attach"})
_UPDATE_TYPE = half("update_type", ("TA updating", "combined TA/LA updating",
                                    "combined TA/LA updating with IMSI attach",
                                    "periodic updating"))
_DETACH_TYPE = half("detach_type")
_CAUSE = ((cause, 1),)
_HALVES = {key: (None, HALF) for key in (0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0)}
_REQUEST = {**_HALVES, 0x50: (None, TLV), 0x52: (None, 5), 0x5C: (None, 2), 0x13: (None, 5), 0x11: (None, TLV),
            0x19: (None, 3), 0x55: (None, 4)}
_ACCEPT = {**_HALVES, 0x50: (eps_identity, TLV), 0x13: (None, 5), 0x53: (cause, 1), 0x17: (None, 1), 0x59: (None, 1),
           0x5A: (None, 1), 0x12: (None, TLV)}
_REJECT = {**_HALVES, 0x78: (_container, TLVE), 0x5B: (None, 1)}

LAYOUTS = {
    65: Layout("AttachRequest", ((_ATTACH_TYPE, 1), (eps_identity, LV), (None, LV), (_container, LVE)), _REQUEST),
    66: Layout("AttachAccept", ((_ATTACH_RESULT, 1), (None, 1), (None, LV), (_container, LVE)), _ACCEPT),
    67: Layout("AttachComplete", ((_container, LVE),)),
    68: Layout("AttachReject", _CAUSE, _REJECT),
    69: Layout("DetachRequest", ((_DETACH_TYPE, 1), (eps_identity, LV))),
    70: Layout("DetachAccept"),
    72: Layout("TrackingAreaUpdateRequest", ((_UPDATE_TYPE, 1), (eps_identity, LV)), _REQUEST),
    73: Layout("TrackingAreaUpdateAccept", ((None, 1),), _ACCEPT),
    74: Layout("TrackingAreaUpdateComplete"),
    75: Layout("TrackingAreaUpdateReject", _CAUSE, _REJECT),
    76: Layout("ExtendedServiceRequest", ((None, 1), (mobile_identity, LV)), _HALVES),
    77: Layout("ControlPlaneServiceRequest", ((None, 1),), {**_HALVES, 0x78: (_container, TLVE), 0x67: (None, TLV)}),
    78: Layout("ServiceReject", _CAUSE, {**_HALVES, 0x5B: (None, 1)}),
    79: Layout("ServiceAccept"),
    80: Layout("GUTIReallocationCommand", ((eps_identity, LV),)),
    81: Layout("GUTIReallocationComplete"),
    82: Layout("AuthenticationRequest", ((None, 1), (rand, 16), (autn, LV))),
    83: Layout("AuthenticationResponse", ((res, LV),)),
    84: Layout("AuthenticationReject"),
    85: Layout("IdentityRequest", ((identity_type, 1),)),
    86: Layout("IdentityResponse", ((mobile_identity, LV),)),
    92: Layout("AuthenticationFailure", _CAUSE, {0x30: (auts, TLV)}),
    93: Layout("SecurityModeCommand", ((_algorithms, 1), (None, 1), (None, LV)),
               {**_HALVES, 0x55: (None, 4), 0x56: (None, 4)}),
    94: Layout("SecurityModeComplete", (), {0x23: (_imeisv, TLV)}),
    95: Layout("SecurityModeReject", _CAUSE),
    96: Layout("Status", _CAUSE),
    97: Layout("Information", (), {0x46: (None, 1), 0x47: (None, 7)}),
    98: Layout("DownlinkNASTransport", ((None, LV),)),
    99: Layout("UplinkNASTransport", ((None, LV),)),
    100: Layout("CSServiceNotification", ((None, 1),), {0x61: (None, 1), 0x62: (None, 1)}),
    104: Layout("DownlinkGenericNASTransport", ((None, 1), (None, LVE))),
    105: Layout("UplinkGenericNASTransport", ((None, 1), (None, LVE))),
}
_NETWORK_DETACH = {69: Layout("DetachRequest", ((_DETACH_TYPE, 1),),
                              {0x53: (cause, 1)})}     # 8.2.11.2: no identity in it

# TS 24.301 9.9.3.9
CAUSES = {
    2: "IMSI unknown in HSS", 3: "Illegal UE", 5: "IMEI not accepted", 6: "Illegal ME", 7: "EPS services not allowed",
    8: "EPS services and non-EPS services not allowed", 9: "UE identity cannot be derived by the network",
    10: "Implicitly detached", 11: "PLMN not allowed", 12: "Tracking Area not allowed",
    13: "Roaming not allowed in this tracking area", 14: "EPS services not allowed in this PLMN",
    15: "No Suitable Cells In tracking area", 16: "MSC temporarily not reachable", 17: "Network failure",
    18: "CS domain not available", 19: "ESM failure", 20: "MAC failure", 21: "Synch failure", 22: "Congestion",
    23: "UE security capabilities mismatch", 24: "Security mode rejected, unspecified",
    25: "Not authorized for this CSG",
    26: "Non-EPS authentication unacceptable", 31: "Redirection to 5GCN required",
    35: "Requested service option not authorized in this PLMN", 39: "CS service temporarily not available",
    40: "No EPS bearer context activated", 42: "Severe network failure",
    78: "PLMN not allowed to operate at the present UE location",
    95: "Semantically incorrect message", 96: "Invalid mandatory information",
    97: "Message type non-existent or not implemented", 98: "Message type not compatible with the protocol state",
    99: "Information element non-existent or not implemented", 100: "Conditional IE error",
    101: "Message not compatible with the protocol state", 111: "Protocol error, unspecified",
}

_FIELDS = ("security_header", "sequence_number", "ciphered", *IDENTITY_FIELDS, "guti", *CAUSE_FIELDS, *AKA_FIELDS,
           "eea", "eia",
           "attach_type", "attach_result", "update_type", "detach_type")
KINDS = {**kinds("emm", LAYOUTS, _FIELDS), "emm.Ciphered": ("ue", *_FIELDS), "emm.ServiceRequest": ("ue", *_FIELDS)}


def decode(data: bytes, context: Context) -> Iterator[Message | Payload]:
    if len(data) < 2 or data[0] & 15 != 7:
        return
    header = data[0] >> 4
    name = SECURITY_HEADERS.get(header, f"security header {header}")
    if header == 0:
        yield from _plain(data, 0, {"security_header": name}, context)
    elif header >= 12:                               # 8.2.25: four octets, no message type
        fields = {"security_header": name, "sequence_number": data[1] & 31, **who(context)}
        yield context.message("emm.ServiceRequest", fields, incomplete=len(data) < 4)
    elif len(data) >= 7:
        fields = {"security_header": name, "sequence_number": data[5]}
        if header in (1, 3) or _readable(data[6:], context):
            yield from _plain(data, 6, fields, context)
        else:
            yield context.message("emm.Ciphered", {**fields, **who(context), "ciphered": True})
    else:
        yield context.message("emm.unknown", {"security_header": name, **who(context)}, incomplete=True)


def _plain(data: bytes, at: int, fields: dict, context: Context) -> Iterator[Message | Payload]:
    if data[at] & 15 == 2:                           # session management protected as a message of its own
        yield from esm.decode(data[at:], context, fields)
        return
    if data[at] & 15 != 7 or len(data) < at + 2:
        yield context.message("emm.unknown", fields, incomplete=len(data) < at + 2)
        return
    if data[at] >> 4 and at == 6:                    # protected twice: no such thing
        yield context.message("emm.unknown", fields)
        return
    found = _message(data, at, fields, context)
    container = fields.pop("esm_container", None)
    yield found
    if container:
        yield Payload("esm", container, context.within("emm", missing=0))


def _message(data: bytes, at: int, fields: dict, context: Context) -> Message:
    layouts, kind = LAYOUTS, data[at + 1]
    if kind == 69 and (len(data) < at + 4 or data[at + 3] > len(data) - at - 4):
        layouts = _NETWORK_DETACH
    return message("emm", layouts, Cursor(data, at + 2), kind, fields, context, CAUSES)


def _readable(data: bytes, context: Context) -> bool:
    """Is this a whole message in clear, though the header calls it ciphered?"""
    if context.missing or len(data) < 2:
        return False
    if data[0] == 7 and data[1] in LAYOUTS:
        return not _message(data, 0, {}, context).problems
    return esm.plausible(data, context)
