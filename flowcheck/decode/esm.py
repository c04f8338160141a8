"""EPS session management (TS 24.301 8.3): PDN connections and bearers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..model import Context, Message
from ._nas import CAUSE_FIELDS, HALF, LV, TLV, TLVE, Layout, apn, cause, half, kinds, message, pdn_address
from .wire import Cursor


def _pdn_type(value: bytes) -> dict[str, Any]:
    types = {1: "IPv4", 2: "IPv6", 3: "IPv4v6", 5: "non-IP"}
    return {"request_type": value[0] & 7, "pdn_type": types.get(value[0] >> 4 & 7, str(value[0] >> 4 & 7))}


_HALVES = {key: (None, HALF) for key in (0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0)}
_CAUSE = ((cause, 1),)
_OPTIONS = {**_HALVES, 0x28: (apn, TLV), 0x32: (None, 1), 0x58: (cause, 1), 0x7B: (None, TLVE), 0x27: (None, TLV)}
_LINKED = half("linked_bearer", mask=15)

LAYOUTS = {
    193: Layout("ActivateDefaultEPSBearerContextRequest", ((None, LV), (apn, LV), (pdn_address, LV)), _OPTIONS),
    194: Layout("ActivateDefaultEPSBearerContextAccept", (), _OPTIONS),
    195: Layout("ActivateDefaultEPSBearerContextReject", _CAUSE, _OPTIONS),
    197: Layout("ActivateDedicatedEPSBearerContextRequest", ((_LINKED, 1), (None, LV), (None, LV)), _OPTIONS),
    198: Layout("ActivateDedicatedEPSBearerContextAccept", (), _OPTIONS),
    199: Layout("ActivateDedicatedEPSBearerContextReject", _CAUSE, _OPTIONS),
    201: Layout("ModifyEPSBearerContextRequest", (), _OPTIONS),
    202: Layout("ModifyEPSBearerContextAccept", (), _OPTIONS),
    203: Layout("ModifyEPSBearerContextReject", _CAUSE, _OPTIONS),
    205: Layout("DeactivateEPSBearerContextRequest", _CAUSE, _OPTIONS),
    206: Layout("DeactivateEPSBearerContextAccept", (), _OPTIONS),
    208: Layout("PDNConnectivityRequest", ((_pdn_type, 1),), _OPTIONS),
    209: Layout("PDNConnectivityReject", _CAUSE, _OPTIONS),
    210: Layout("PDNDisconnectRequest", ((_LINKED, 1),), _OPTIONS),
    211: Layout("PDNDisconnectReject", _CAUSE, _OPTIONS),
    212: Layout("BearerResourceAllocationRequest", ((_LINKED, 1), (None, LV), (None, LV)), _OPTIONS),
    213: Layout("BearerResourceAllocationReject", _CAUSE, _OPTIONS),
    214: Layout("BearerResourceModificationRequest", ((_LINKED, 1), (None, LV)), _OPTIONS),
    215: Layout("BearerResourceModificationReject", _CAUSE, _OPTIONS),
    217: Layout("ESMInformationRequest"),
    218: Layout("ESMInformationResponse", (), _OPTIONS),
    219: Layout("Notification", ((None, LV),)),
    220: Layout("ESMDummyMessage"),
    232: Layout("Status", _CAUSE),
    235: Layout("ESMDataTransport", ((None, -2),), {0xF0: (None, HALF)}),
}

# TS 24.301 9.9.4.4
CAUSES = {
    8: "Operator Determined Barring", 26: "Insufficient resources", 27: "Missing or unknown APN",
    28: "Unknown PDN type",
    29: "User authentication failed", 30: "Request rejected by Serving GW or PDN GW",
    31: "Request rejected, unspecified",
    32: "Service option not supported", 33: "Requested service option not subscribed",
    34: "Service option temporarily out of order", 35: "PTI already in use", 36: "Regular deactivation",
    37: "EPS QoS not accepted", 38: "Network failure", 39: "Reactivation requested",
    41: "Semantic error in the TFT operation", 42: "Syntactical error in the TFT operation",
    43: "Invalid EPS bearer identity", 44: "Semantic errors in packet filter(s)",
    45: "Syntactical errors in packet filter(s)",
    47: "PTI mismatch", 49: "Last PDN disconnection not allowed", 50: "PDN type IPv4 only allowed",
    51: "PDN type IPv6 only allowed", 52: "Single address bearers only allowed", 53: "ESM information not received",
    54: "PDN connection does not exist", 55: "Multiple PDN connections for a given APN not allowed",
    56: "Collision with network initiated request", 57: "PDN type IPv4v6 only allowed",
    58: "PDN type non IP only allowed",
    59: "Unsupported QCI value", 60: "Bearer handling not supported", 65: "Maximum number of EPS bearers reached",
    66: "Requested APN not supported in current RAT and PLMN combination", 81: "Invalid PTI value",
    95: "Semantically incorrect message", 96: "Invalid mandatory information",
    97: "Message type non-existent or not implemented", 98: "Message type not compatible with the protocol state",
    99: "Information element non-existent or not implemented", 100: "Conditional IE error",
    101: "Message not compatible with the protocol state", 111: "Protocol error, unspecified",
    112: "APN restriction value incompatible with active EPS bearer context",
}

KINDS = kinds("esm", LAYOUTS, ("security_header", "sequence_number", "bearer", "pti", *CAUSE_FIELDS, "apn", "pdn_type",
                               "pdn_address", "interface_identifier", "request_type", "linked_bearer"))


def decode(data: bytes, context: Context, fields: dict[str, Any] | None = None) -> Iterator[Message]:
    """`fields` are those of the security header that covered the message."""
    if len(data) < 3 or data[0] & 15 != 2:
        return
    found = {**(fields or {}), "bearer": data[0] >> 4, "pti": data[1]}
    yield message("esm", LAYOUTS, Cursor(data, 3), data[2], found, context, CAUSES)


def plausible(data: bytes, context: Context) -> bool:
    """Would ciphertext look like this? The identities must fit the message (7.3) and every element its length."""
    if len(data) < 3 or data[0] & 15 != 2 or data[2] not in LAYOUTS:
        return False
    bearer, transaction, kind = data[0] >> 4, data[1], data[2]
    if kind == 217:
        fits = len(data) == 3 and bearer == 0 and transaction > 0
    elif kind >= 208:
        fits = bearer == 0 or kind in (219, 232)
    else:
        fits = bearer >= 5 and transaction < 255
    return fits and not any(found.problems for found in decode(data, context))
