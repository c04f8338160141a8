"""GPRS mobility management (TS 24.008 9.4): a UE attaches to an SGSN and both prove who they are."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Context, Message
from ._nas import (AKA_FIELDS, CAUSE_FIELDS, HALF, IDENTITY_FIELDS, LV, TLV, Layout, auts, autn, cause, half,
                   identity_type,
                   kinds, message, mobile_identity, rand, res, routing_area)
from .wire import Cursor

_ATTACH_TYPE = half("attach_type", {1: "GPRS attach", 2: "GPRS attach while IMSI attached",
                                    3: "combined GPRS/IMSI attach",
                                    4: "emergency attach"})
_ATTACH_RESULT = half("attach_result", {1: "GPRS only attached", 3: "combined GPRS/IMSI attached"})
_UPDATE_TYPE = half("update_type", ("RA updating", "combined RA/LA updating",
                                    "combined RA/LA updating with IMSI attach",
                                    "periodic updating"))
_DETACH_TYPE = half("detach_type")
_SERVICE_TYPE = half("service_type", ("signalling", "data", "paging response"), high=True)
_CAUSE = ((cause, 1),)


def _extension(value: bytes) -> dict[str, str]:
    return {"res_extension": value.hex()}


def _imeisv(value: bytes) -> dict[str, str]:
    return {"imeisv": mobile_identity(value).get("imeisv", "")}


_REQUEST = {0x19: (None, 3), 0x17: (None, 1), 0x90: (None, HALF), 0x27: (None, 2), 0x18: (mobile_identity, TLV),
            0xC0: (None, HALF), 0xD0: (None, HALF), 0xE0: (None, HALF), 0x80: (None, HALF)}
_ACCEPT = {0x19: (None, 3), 0x17: (None, 1), 0x18: (mobile_identity, TLV), 0x25: (cause, 1), 0x8C: (None, 0),
           0xB0: (None, HALF), 0xA0: (None, HALF), 0xE0: (None, HALF)}

LAYOUTS = {
    1: Layout("AttachRequest", ((None, LV), (_ATTACH_TYPE, 1), (None, 2), (mobile_identity, LV), (routing_area, 6),
                                (None, LV)),
              {key: value for key, value in _REQUEST.items() if key != 0x18}),
    2: Layout("AttachAccept", ((_ATTACH_RESULT, 1), (None, 1), (None, 1), (routing_area, 6)), _ACCEPT),
    3: Layout("AttachComplete"),
    4: Layout("AttachReject", _CAUSE),
    5: Layout("DetachRequest", ((_DETACH_TYPE, 1),), {0x18: (mobile_identity, TLV), 0x25: (cause, 1)}),
    6: Layout("DetachAccept"),
    8: Layout("RoutingAreaUpdateRequest", ((_UPDATE_TYPE, 1), (routing_area, 6), (None, LV)), _REQUEST),
    9: Layout("RoutingAreaUpdateAccept", ((None, 1), (None, 1), (routing_area, 6)), _ACCEPT),
    10: Layout("RoutingAreaUpdateComplete"),
    11: Layout("RoutingAreaUpdateReject", ((cause, 1), (None, 1))),
    12: Layout("ServiceRequest", ((_SERVICE_TYPE, 1), (mobile_identity, LV))),
    13: Layout("ServiceAccept"),
    14: Layout("ServiceReject", _CAUSE),
    16: Layout("PTMSIReallocationCommand", ((mobile_identity, LV), (routing_area, 6), (None, 1)), {0x19: (None, 3)}),
    17: Layout("PTMSIReallocationComplete"),
    18: Layout("AuthenticationAndCipheringRequest", ((None, 1), (None, 1)),
               {0x21: (rand, 16), 0x80: (None, HALF), 0x28: (autn, TLV)}),
    19: Layout("AuthenticationAndCipheringResponse", ((None, 1),),
               {0x22: (res, 4), 0x23: (_imeisv, TLV), 0x29: (_extension, TLV)}),
    20: Layout("AuthenticationAndCipheringReject"),
    21: Layout("IdentityRequest", ((identity_type, 1),)),
    22: Layout("IdentityResponse", ((mobile_identity, LV),)),
    28: Layout("AuthenticationAndCipheringFailure", _CAUSE, {0x30: (auts, TLV)}),
    32: Layout("Status", _CAUSE),
    33: Layout("Information", (), {0x46: (None, 1), 0x47: (None, 7)}),
}

# TS 24.008 10.5.5.14
CAUSES = {
    2: "IMSI unknown in HLR", 3: "Illegal MS", 5: "IMEI not accepted", 6: "Illegal ME", 7: "GPRS services not allowed",
    8: "GPRS services and non-GPRS services not allowed", 9: "MS identity cannot be derived by the network",
    10: "Implicitly detached", 11: "PLMN not allowed", 12: "Location Area not allowed",
    13: "Roaming not allowed in this location area", 14: "GPRS services not allowed in this PLMN",
    15: "No Suitable Cells In Location Area", 16: "MSC temporarily not reachable", 17: "Network failure",
    20: "MAC failure",
    21: "Synch failure", 22: "Congestion", 23: "GSM authentication unacceptable", 25: "Not authorized for this CSG",
    28: "SMS provided via GPRS in this routing area", 40: "No PDP context activated",
    95: "Semantically incorrect message",
    96: "Invalid mandatory information", 97: "Message type non-existent or not implemented",
    98: "Message type not compatible with the protocol state",
    99: "Information element non-existent or not implemented",
    100: "Conditional IE error", 101: "Message not compatible with the protocol state",
    111: "Protocol error, unspecified",
}

KINDS = kinds("gmm", LAYOUTS, (*IDENTITY_FIELDS, *CAUSE_FIELDS, *AKA_FIELDS, "attach_type", "attach_result",
                               "update_type",
                               "detach_type", "service_type", "plmn", "lac", "rac"))


def decode(data: bytes, context: Context) -> Iterator[Message]:
    if len(data) < 2 or data[0] & 15 != 8:
        return
    fields: dict = {}
    found = message("gmm", LAYOUTS, Cursor(data, 2), data[1], fields, context, CAUSES)
    if "res_extension" in fields:                    # TS 24.008 9.4.10.3: RES behind its first four octets
        fields["res"] = fields.get("res", "") + fields.pop("res_extension")
    yield found
