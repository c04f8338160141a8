"""RUA over SCTP, PPID 19 (3GPP TS 25.468): carries RANAP between a Home NodeB and the HNB-GW."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Context, Message, Payload
from ._aper import Application, cause, enumerated, number, octets

# procedure code -> procedure, initiating message (TS 25.468 9.3.2); no procedure has an outcome
PROCEDURES = {
    1: ("Connect", "Connect"),
    2: ("DirectTransfer", "DirectTransfer"),
    3: ("Disconnect", "Disconnect"),
    4: ("ConnectionlessTransfer", "ConnectionlessTransfer"),
    5: ("ErrorIndication", "ErrorIndication"),
    6: ("privateMessage", "PrivateMessage"),
}

_RADIO_NETWORK = enumerated("normal", "connect-failed", "network-release", "unspecified", more=())
_TRANSPORT = enumerated("transport-resource-unavailable", "unspecified", more=())
_PROTOCOL = enumerated(
    "transfer-syntax-error", "abstract-syntax-error-reject", "abstract-syntax-error-ignore-and-notify",
    "message-not-compatible-with-receiver-state", "semantic-error", "unspecified",
    "abstract-syntax-error-falsely-constructed-message", more=())
_MISC = enumerated("processing-overload", "hardware-failure", "o-and-m-intervention", "unspecified", more=())

ELEMENTS = {
    1: ("cause", cause(("radioNetwork", _RADIO_NETWORK), ("transport", _TRANSPORT), ("protocol", _PROTOCOL),
                       ("misc", _MISC))),
    3: ("Context-ID", number(24)),
    4: ("RANAP-Message", octets()),
    6: ("Establishment-Cause", enumerated("emergency-call", "normal-call", more=())),
    7: ("CN-DomainIndicator", enumerated("cs-domain", "ps-domain")),
}

_RUA = Application("rua", PROCEDURES, ELEMENTS, {"RANAP-Message": "ranap"}, connection="Context-ID")

KINDS = _RUA.kinds()
PAYLOADS = ("ppid:19",)


def decode(data: bytes, context: Context) -> Iterator[Message | Payload]:
    return _RUA.decode(data, context)
