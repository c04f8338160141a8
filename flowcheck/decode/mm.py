"""Mobility management of the circuit-switched domain (TS 24.008 9.2)."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Context, Message
from ._nas import (AKA_FIELDS, CAUSE_FIELDS, HALF, IDENTITY_FIELDS, LV, TLV, Layout, auts, autn, cause, half,
                   identity_type,
                   kinds, location_area, message, mobile_identity, rand, res)
from .wire import Cursor

_UPDATE_TYPE = half("update_type", ("normal", "periodic", "IMSI attach"), mask=3)
_CAUSE = ((cause, 1),)


def _extension(value: bytes) -> dict[str, str]:
    return {"res_extension": value.hex()}


LAYOUTS = {
    1: Layout("IMSIDetachIndication", ((None, 1), (mobile_identity, LV))),
    2: Layout("LocationUpdatingAccept", ((location_area, 5),),
              {0x17: (mobile_identity, TLV), 0xA1: (None, 0), 0xA2: (None, 0)}),
    4: Layout("LocationUpdatingReject", _CAUSE, {0x36: (None, TLV)}),
    8: Layout("LocationUpdatingRequest", ((_UPDATE_TYPE, 1), (location_area, 5), (None, 1), (mobile_identity, LV)),
              {0xC0: (None, HALF), 0xE0: (None, HALF)}),
    17: Layout("AuthenticationReject"),
    18: Layout("AuthenticationRequest", ((None, 1), (rand, 16)), {0x20: (autn, TLV)}),
    20: Layout("AuthenticationResponse", ((res, 4),), {0x21: (_extension, TLV)}),
    24: Layout("IdentityRequest", ((identity_type, 1),)),
    25: Layout("IdentityResponse", ((mobile_identity, LV),)),
    26: Layout("TMSIReallocationCommand", ((location_area, 5), (mobile_identity, LV))),
    27: Layout("TMSIReallocationComplete"),
    28: Layout("AuthenticationFailure", _CAUSE, {0x22: (auts, TLV)}),
    33: Layout("CMServiceAccept"),
    34: Layout("CMServiceReject", _CAUSE),
    35: Layout("CMServiceAbort"),
    36: Layout("CMServiceRequest", ((None, 1), (None, LV), (mobile_identity, LV)), {0x80: (None, HALF)}),
    37: Layout("CMServicePrompt"),
    40: Layout("CMReestablishmentRequest", ((None, 1), (None, LV), (mobile_identity, LV)), {0x13: (location_area, 5)}),
    41: Layout("Abort", _CAUSE),
    48: Layout("Null"),
    49: Layout("Status", _CAUSE),
    50: Layout("Information", (), {0x46: (None, 1), 0x47: (None, 7)}),
}

# TS 24.008 10.5.3.6
CAUSES = {
    2: "IMSI unknown in HLR", 3: "Illegal MS", 4: "IMSI unknown in VLR", 5: "IMEI not accepted", 6: "Illegal ME",
    11: "PLMN not allowed", 12: "Location Area not allowed", 13: "Roaming not allowed in this location area",
    15: "No Suitable Cells In Location Area", 17: "Network failure", 20: "MAC failure", 21: "Synch failure",
    22: "Congestion",
    23: "GSM authentication unacceptable", 25: "Not authorized for this CSG", 32: "Service option not supported",
    33: "Requested service option not subscribed", 34: "Service option temporarily out of order",
    38: "Call cannot be identified", 95: "Semantically incorrect message", 96: "Invalid mandatory information",
    97: "Message type non-existent or not implemented", 98: "Message type not compatible with the protocol state",
    99: "Information element non-existent or not implemented", 100: "Conditional IE error",
    101: "Message not compatible with the protocol state", 111: "Protocol error, unspecified",
}

KINDS = kinds("mm", LAYOUTS, (*IDENTITY_FIELDS, *CAUSE_FIELDS, *AKA_FIELDS, "update_type", "plmn", "lac"))


def decode(data: bytes, context: Context) -> Iterator[Message]:
    if len(data) < 2 or data[0] & 15 != 5:
        return
    fields: dict = {}
    kind = data[1] & 0x3F                            # bits 7 and 8 are a counter (TS 24.007 11.2.3.2.3)
    found = message("mm", LAYOUTS, Cursor(data, 2), kind, fields, context, CAUSES)
    if "res_extension" in fields:
        fields["res"] = fields.get("res", "") + fields.pop("res_extension")
    yield found
