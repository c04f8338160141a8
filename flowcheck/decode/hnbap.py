"""HNBAP over SCTP, PPID 20 (3GPP TS 25.469): how a Home NodeB registers itself and its UEs at the HNB-GW.

Element names are those of the ASN.1 (9.3.4); PLMN identities are text ("23415"), area codes and
cell identities numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Context, Message, Payload
from ._aper import (EXTENSIONS, PLMN, Application, Optional, cause, choice, enumerated, imsi,
                    integer, number, octets, sequence, unsigned)

# procedure code -> procedure, initiating message, successful outcome, unsuccessful outcome (TS 25.469 9.3.2)
PROCEDURES = {
    1: ("HNBRegister", "HNBRegisterRequest", "HNBRegisterAccept", "HNBRegisterReject"),
    2: ("HNBDe-Register", "HNBDe-Register"),
    3: ("UERegister", "UERegisterRequest", "UERegisterAccept", "UERegisterReject"),
    4: ("UEDe-Register", "UEDe-Register"),
    5: ("ErrorIndication", "ErrorIndication"),
    6: ("privateMessage", "PrivateMessage"),
    7: ("CSGMembershipUpdate", "CSGMembershipUpdate"),
    9: ("TNLUpdate", "TNLUpdateRequest", "TNLUpdateResponse", "TNLUpdateFailure"),
    10: ("HNBConfigTransfer", "HNBConfigTransferRequest", "HNBConfigTransferResponse"),
    11: ("RelocationComplete", "RelocationComplete"),
    14: ("U-RNTIQuery", "U-RNTIQueryRequest", "U-RNTIQueryResponse"),
}

_RADIO_NETWORK = enumerated(
    "overload", "unauthorised-Location", "unauthorised-HNB", "hNB-parameter-mismatch", "invalid-UE-identity",
    "uE-not-allowed-on-this-HNB", "uE-unauthorised", "connection-with-UE-lost", "ue-RRC-release", "hNB-not-registered",
    "unspecified", "normal", "uE-relocated", "ue-registered-in-another-HNB",
    more=("no-neighbour-information-available", "iurh-connection-to-that-neighbour-not-Allowed"))
_TRANSPORT = enumerated("transport-resource-unavailable", "unspecified", more=())
_PROTOCOL = enumerated(
    "transfer-syntax-error", "abstract-syntax-error-reject", "abstract-syntax-error-ignore-and-notify",
    "message-not-compatible-with-receiver-state", "semantic-error", "unspecified",
    "abstract-syntax-error-falsely-constructed-message", more=())
_MISC = enumerated("processing-overload", "hardware-failure", "o-and-m-intervention", "unspecified", more=())

_UTRAN_CELL = sequence(("lAC", unsigned(2)), ("rAC", unsigned(1)), ("pLMNidentity", PLMN), ("uTRANcellID", number(28)),
                       EXTENSIONS, extensible=False)
_GERAN_CELL = sequence(("pLMNidentity", PLMN), ("lAC", unsigned(2)), ("cI", unsigned(2)), EXTENSIONS, extensible=False)
_MACRO_COVERAGE = sequence(("cellIdentity", choice(("uTRANCellID", _UTRAN_CELL), ("gERANCellID", _GERAN_CELL),
                                                   more=())),
                           EXTENSIONS)
_COORDINATES = sequence(("latitudeSign", enumerated("north", "south")), ("latitude", integer(0, 8388607)),
                        ("longitude", integer(-8388608, 8388607)), EXTENSIONS)
_ALTITUDE = sequence(("directionOfAltitude", enumerated("height", "depth")), ("altitude", integer(0, 32767)))
_GEOGRAPHICAL = sequence(("geographicalCoordinates", _COORDINATES), ("altitudeAndDirection", _ALTITUDE), EXTENSIONS)
_LAI = sequence(("pLMNID", PLMN), ("lAC", unsigned(2)))
_UE_IDENTITY = choice(
    ("iMSI", imsi()), ("tMSILAI", sequence(("tMSI", number(32)), ("lAI", _LAI), extensible=False)),
    ("pTMSIRAI", sequence(("pTMSI", number(32)), ("rAI", sequence(("lAI", _LAI), ("rAC", unsigned(1)))))),
    ("iMEI", number(60)), ("eSN", number(32)), ("iMSIDS41", octets(5, 7)),
    ("iMSIESN", sequence(("iMSIDS41", octets(5, 7)), ("eSN", number(32)), extensible=False)),
    ("tMSIDS41", octets(2, 17)), more=())


def _identity(bits) -> str:
    """HNB-Identity-Info: `0<IMSI>@<realm>` or `1<OUI>-<serial number>@<realm>` (TS 23.003 4.10)."""
    return _IDENTITY(bits)["hNB-Identity-Info"].decode("utf-8", "replace")


_IDENTITY = sequence(("hNB-Identity-Info", octets(1, 255)), EXTENSIONS)

ELEMENTS = {
    1: ("cause", cause(("radioNetwork", _RADIO_NETWORK), ("transport", _TRANSPORT), ("protocol", _PROTOCOL),
                       ("misc", _MISC))),
    3: ("HNB-Identity", _identity),
    4: ("Context-ID", number(24)),
    5: ("UE-Identity", _UE_IDENTITY),
    6: ("LAC", unsigned(2)),
    7: ("RAC", unsigned(1)),
    8: ("HNB-Location-Information", sequence(("macroCoverageInfo", Optional(_MACRO_COVERAGE)),
                                             ("geographicalCoordinates", Optional(_GEOGRAPHICAL)), EXTENSIONS)),
    9: ("PLMNidentity", PLMN),
    10: ("SAC", unsigned(2)),
    11: ("CellIdentity", number(28)),
    12: ("Registration-Cause", enumerated("emergency-call", "normal", more=("ue-relocation",))),
    14: ("RNC-ID", integer(0, 65535)),
    15: ("CSG-ID", number(27)),
    16: ("BackoffTimer", integer(0, 3600)),
}

_HNBAP = Application("hnbap", PROCEDURES, ELEMENTS, ports=frozenset({29169}), setup={1: (3, 14)})

KINDS = _HNBAP.kinds()
PORTS = {29169}
PAYLOADS = ("ppid:20",)


def likely(head: bytes, ports: tuple[int, ...] = ()) -> bool:
    return _HNBAP.likely(head, ports)


def decode(data: bytes, context: Context) -> Iterator[Message | Payload]:
    return _HNBAP.decode(data, context)
