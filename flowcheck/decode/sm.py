"""Session management of the packet-switched domain (TS 24.008 9.5): PDP contexts."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Context, Message
from ._nas import CAUSE_FIELDS, HALF, LV, TLV, Layout, apn, cause, half, kinds, message, pdp_address
from .wire import Cursor

_NSAPI = half("nsapi", mask=15)
_CAUSE = ((cause, 1),)
_REJECT = {0x37: (None, TLV)}

LAYOUTS = {
    65: Layout("ActivatePDPContextRequest", ((_NSAPI, 1), (None, 1), (None, LV), (pdp_address, LV)),
               {0x28: (apn, TLV), 0xA0: (None, HALF), 0xC0: (None, HALF)}),
    66: Layout("ActivatePDPContextAccept", ((None, 1), (None, LV), (None, 1)),
               {0x2B: (pdp_address, TLV), 0x39: (cause, TLV)}),
    67: Layout("ActivatePDPContextReject", _CAUSE, _REJECT),
    68: Layout("RequestPDPContextActivation", ((pdp_address, LV),), {0x28: (apn, TLV)}),
    69: Layout("RequestPDPContextActivationReject", _CAUSE),
    70: Layout("DeactivatePDPContextRequest", _CAUSE, {0x90: (None, HALF)}),
    71: Layout("DeactivatePDPContextAccept"),
    72: Layout("ModifyPDPContextRequest", ((None, 1), (None, 1), (None, LV)), {0x2B: (pdp_address, TLV)}),
    73: Layout("ModifyPDPContextAccept"),
    74: Layout("ModifyPDPContextRequest", (), {0x32: (None, 1)}),
    75: Layout("ModifyPDPContextAccept", (), {0x32: (None, 1), 0x80: (None, HALF)}),
    76: Layout("ModifyPDPContextReject", _CAUSE, _REJECT),
    77: Layout("ActivateSecondaryPDPContextRequest", ((_NSAPI, 1), (None, 1), (None, LV), (None, LV))),
    78: Layout("ActivateSecondaryPDPContextAccept", ((None, 1), (None, LV), (None, 1))),
    79: Layout("ActivateSecondaryPDPContextReject", _CAUSE, _REJECT),
    85: Layout("Status", _CAUSE),
}

# TS 24.008 10.5.6.6
CAUSES = {
    8: "Operator Determined Barring", 25: "LLC or SNDCP failure", 26: "Insufficient resources",
    27: "Missing or unknown APN", 28: "Unknown PDP address or PDP type", 29: "User authentication failed",
    30: "Activation rejected by GGSN, Serving GW or PDN GW", 31: "Activation rejected, unspecified",
    32: "Service option not supported", 33: "Requested service option not subscribed",
    34: "Service option temporarily out of order", 35: "NSAPI already used", 36: "Regular deactivation",
    37: "QoS not accepted", 38: "Network failure", 39: "Reactivation required", 40: "Feature not supported",
    41: "Semantic error in the TFT operation", 42: "Syntactical error in the TFT operation", 43: "Unknown PDP context",
    44: "Semantic errors in packet filter(s)", 45: "Syntactical errors in packet filter(s)",
    46: "PDP context without TFT already activated", 50: "PDP type IPv4 only allowed", 51: "PDP type IPv6 only allowed",
    52: "Single address bearers only allowed", 56: "Collision with network initiated request",
    81: "Invalid transaction identifier value", 95: "Semantically incorrect message",
    96: "Invalid mandatory information",
    97: "Message type non-existent or not implemented", 98: "Message type not compatible with the protocol state",
    99: "Information element non-existent or not implemented", 100: "Conditional IE error",
    101: "Message not compatible with the protocol state", 111: "Protocol error, unspecified",
    112: "APN restriction value incompatible with active PDP context",
}

KINDS = kinds("sm", LAYOUTS, (*CAUSE_FIELDS, "transaction_identifier", "nsapi", "apn", "pdp_type", "pdp_address"))


def decode(data: bytes, context: Context) -> Iterator[Message]:
    extended = len(data) > 1 and data[0] >> 4 & 7 == 7        # TS 24.007 11.2.3.1.3: an octet of its own
    at = 2 if extended else 1
    if len(data) <= at or data[0] & 15 != 10:
        return
    fields = {"transaction_identifier": data[1] & 0x7F if extended else data[0] >> 4 & 7}
    yield message("sm", LAYOUTS, Cursor(data, at + 1), data[at], fields, context, CAUSES)
