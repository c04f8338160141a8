"""RANAP (3GPP TS 25.413), over SCCP or in RUA: the Iu interface between radio access and core network."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Context, Message, Payload
from ._aper import (EXTENSIONS, PLMN, Application, Bits, cause, choice, enumerated, imsi, integer,
                    number, octets, sequence, unsigned)

# procedure code -> procedure, initiating message, successful, unsuccessful outcome, outcome (TS 25.413 9.3.2)
PROCEDURES = {
    0: ("RAB-Assignment", "RAB-AssignmentRequest", "", "", "RAB-AssignmentResponse"),
    1: ("Iu-Release", "Iu-ReleaseCommand", "Iu-ReleaseComplete"),
    2: ("RelocationPreparation", "RelocationRequired", "RelocationCommand", "RelocationPreparationFailure"),
    3: ("RelocationResourceAllocation", "RelocationRequest", "RelocationRequestAcknowledge", "RelocationFailure"),
    4: ("RelocationCancel", "RelocationCancel", "RelocationCancelAcknowledge"),
    5: ("SRNS-ContextTransfer", "SRNS-ContextRequest", "SRNS-ContextResponse"),
    6: ("SecurityModeControl", "SecurityModeCommand", "SecurityModeComplete", "SecurityModeReject"),
    7: ("DataVolumeReport", "DataVolumeReportRequest", "DataVolumeReport"),
    9: ("Reset", "Reset", "ResetAcknowledge"),
    10: ("RAB-ReleaseRequest", "RAB-ReleaseRequest"),
    11: ("Iu-ReleaseRequest", "Iu-ReleaseRequest"),
    12: ("RelocationDetect", "RelocationDetect"),
    13: ("RelocationComplete", "RelocationComplete"),
    14: ("Paging", "Paging"),
    15: ("CommonID", "CommonID"),
    16: ("CN-InvokeTrace", "CN-InvokeTrace"),
    17: ("LocationReportingControl", "LocationReportingControl"),
    18: ("LocationReport", "LocationReport"),
    19: ("InitialUE-Message", "InitialUE-Message"),
    20: ("DirectTransfer", "DirectTransfer"),
    21: ("OverloadControl", "Overload"),
    22: ("ErrorIndication", "ErrorIndication"),
    23: ("SRNS-DataForward", "SRNS-DataForwardCommand"),
    24: ("ForwardSRNS-Context", "ForwardSRNS-Context"),
    25: ("privateMessage", "PrivateMessage"),
    26: ("CN-DeactivateTrace", "CN-DeactivateTrace"),
    27: ("ResetResource", "ResetResource", "ResetResourceAcknowledge"),
    28: ("RANAP-Relocation", "RANAP-RelocationInformation"),
    29: ("RAB-ModifyRequest", "RAB-ModifyRequest"),
    30: ("LocationRelatedData", "LocationRelatedDataRequest", "LocationRelatedDataResponse",
         "LocationRelatedDataFailure"),
    31: ("InformationTransfer", "InformationTransferIndication", "InformationTransferConfirmation",
         "InformationTransferFailure"),
    32: ("UESpecificInformation", "UESpecificInformationIndication"),
    33: ("UplinkInformationExchange", "UplinkInformationExchangeRequest", "UplinkInformationExchangeResponse",
         "UplinkInformationExchangeFailure"),
    34: ("DirectInformationTransfer", "DirectInformationTransfer"),
    35: ("MBMSSessionStart", "MBMSSessionStart", "MBMSSessionStartResponse", "MBMSSessionStartFailure"),
    36: ("MBMSSessionUpdate", "MBMSSessionUpdate", "MBMSSessionUpdateResponse", "MBMSSessionUpdateFailure"),
    37: ("MBMSSessionStop", "MBMSSessionStop", "MBMSSessionStopResponse"),
    38: ("MBMSUELinking", "MBMSUELinkingRequest", "", "", "MBMSUELinkingResponse"),
    39: ("MBMSRegistration", "MBMSRegistrationRequest", "MBMSRegistrationResponse", "MBMSRegistrationFailure"),
    40: ("MBMSCNDe-Registration", "MBMSCNDe-RegistrationRequest", "MBMSCNDe-RegistrationResponse"),
    41: ("MBMSRABEstablishmentIndication", "MBMSRABEstablishmentIndication"),
    42: ("MBMSRABRelease", "MBMSRABReleaseRequest", "MBMSRABRelease", "MBMSRABReleaseFailure"),
    43: ("enhancedRelocationComplete", "EnhancedRelocationCompleteRequest", "EnhancedRelocationCompleteResponse",
         "EnhancedRelocationCompleteFailure"),
    44: ("enhancedRelocationCompleteConfirm", "EnhancedRelocationCompleteConfirm"),
    45: ("RANAPenhancedRelocation", "RANAP-EnhancedRelocationInformationRequest",
         "RANAP-EnhancedRelocationInformationResponse"),
    46: ("SRVCCPreparation", "SRVCC-CSKeysRequest", "", "", "SRVCC-CSKeysResponse"),
    47: ("UeRadioCapabilityMatch", "UeRadioCapabilityMatchRequest", "", "", "UeRadioCapabilityMatchResponse"),
    48: ("UeRegistrationQuery", "UeRegistrationQueryRequest", "", "", "UeRegistrationQueryResponse"),
    49: ("RerouteNASRequest", "RerouteNASRequest"),
}

# TS 25.413 9.2.1.4; one number space over all groups
CAUSES = {
    1: "rab-pre-empted", 2: "trelocoverall-expiry", 3: "trelocprep-expiry", 4: "treloccomplete-expiry", 5:
    "tqueing-expiry", 6: "relocation-triggered", 7: "trellocalloc-expiry", 8:
    "unable-to-establish-during-relocation", 9: "unknown-target-rnc", 10: "relocation-cancelled", 11:
    "successful-relocation", 12: "requested-ciphering-and-or-integrity-protection-algorithms-not-supported", 13:
    "conflict-with-already-existing-integrity-protection-and-or-ciphering-information", 14:
    "failure-in-the-radio-interface-procedure", 15: "release-due-to-utran-generated-reason", 16: "user-inactivity",
    17: "time-critical-relocation", 18: "requested-traffic-class-not-available", 19: "invalid-rab-parameters-value",
    20: "requested-maximum-bit-rate-not-available", 21: "requested-guaranteed-bit-rate-not-available", 22:
    "requested-transfer-delay-not-achievable", 23: "invalid-rab-parameters-combination", 24:
    "condition-violation-for-sdu-parameters", 25: "condition-violation-for-traffic-handling-priority", 26:
    "condition-violation-for-guaranteed-bit-rate", 27: "user-plane-versions-not-supported", 28: "iu-up-failure", 29:
    "relocation-failure-in-target-CN-RNC-or-target-system", 30: "invalid-RAB-ID", 31: "no-remaining-rab", 32:
    "interaction-with-other-procedure", 33: "requested-maximum-bit-rate-for-dl-not-available", 34:
    "requested-maximum-bit-rate-for-ul-not-available", 35: "requested-guaranteed-bit-rate-for-dl-not-available", 36:
    "requested-guaranteed-bit-rate-for-ul-not-available", 37: "repeated-integrity-checking-failure", 38:
    "requested-request-type-not-supported", 39: "request-superseded", 40:
    "release-due-to-UE-generated-signalling-connection-release", 41: "resource-optimisation-relocation", 42:
    "requested-information-not-available", 43: "relocation-desirable-for-radio-reasons", 44:
    "relocation-not-supported-in-target-RNC-or-target-system", 45: "directed-retry", 46:
    "radio-connection-with-UE-Lost", 47: "rNC-unable-to-establish-all-RFCs", 48: "deciphering-keys-not-available",
    49: "dedicated-assistance-data-not-available", 50: "relocation-target-not-allowed", 51:
    "location-reporting-congestion", 52: "reduce-load-in-serving-cell", 53:
    "no-radio-resources-available-in-target-cell", 54: "gERAN-Iumode-failure", 55:
    "access-restricted-due-to-shared-networks", 56: "incoming-relocation-not-supported-due-to-PUESBINE-feature", 57:
    "traffic-load-in-the-target-cell-higher-than-in-the-source-cell", 58: "mBMS-no-multicast-service-for-this-UE",
    59: "mBMS-unknown-UE-ID", 60: "successful-MBMS-session-start-no-data-bearer-necessary", 61:
    "mBMS-superseded-due-to-NNSF", 62: "mBMS-UE-linking-already-done", 63:
    "mBMS-UE-de-linking-failure-no-existing-UE-linking", 64: "tMGI-unknown", 65:
    "signalling-transport-resource-failure", 66: "iu-transport-connection-failed-to-establish", 81:
    "user-restriction-start-indication", 82: "user-restriction-end-indication", 83: "normal-release", 84:
    "csg-subscription-expiry", 97: "transfer-syntax-error", 98: "semantic-error", 99:
    "message-not-compatible-with-receiver-state", 100: "abstract-syntax-error-reject", 101:
    "abstract-syntax-error-ignore-and-notify", 102: "abstract-syntax-error-falsely-constructed-message", 113:
    "om-intervention", 114: "no-resource-available", 115: "unspecified-failure", 116: "network-optimisation", 257:
    "iP-multicast-address-and-APN-not-valid", 258: "mBMS-de-registration-rejected-due-to-implicit-registration",
    259: "mBMS-request-superseded", 260: "mBMS-de-registration-during-session-not-allowed", 261:
    "mBMS-no-data-bearer-necessary", 262: "periodicLocationInformationNotAvailable", 263:
    "gTP-Resources-Unavailable", 264: "tMGI-inUse-overlapping-MBMS-service-area", 265:
    "mBMS-no-cell-in-MBMS-service-area", 266: "no-Iu-CS-UP-relocation", 267:
    "successful-MBMS-Session-Start-IP-Multicast-Bearer-established", 268: "cS-fallback-triggered", 269:
    "invalid-CSG-Id",
}


def _cause(low: int, high: int):
    read = integer(low, high)

    def text(bits: Bits) -> str:
        value = read(bits)
        return CAUSES.get(value, str(value))
    return text


_LAI = sequence(("pLMNidentity", PLMN), ("lAC", unsigned(2)), EXTENSIONS, extensible=False)
_SAI = sequence(("pLMNidentity", PLMN), ("lAC", unsigned(2)), ("sAC", unsigned(2)), EXTENSIONS, extensible=False)

ELEMENTS = {
    3: ("CN-DomainIndicator", enumerated("cs-domain", "ps-domain")),
    4: ("cause", cause(("radioNetwork", _cause(1, 64)), ("transmissionNetwork", _cause(65, 80)),
                       ("nAS", _cause(81, 96)),
                       ("protocol", _cause(97, 112)), ("misc", _cause(113, 128)), ("non-Standard", _cause(129, 256)),
                       more=(("radioNetworkExtension", _cause(257, 512)),))),
    15: ("LAI", _LAI),
    16: ("NAS-PDU", octets()),
    23: ("PermanentNAS-UE-ID", choice(("iMSI", imsi()), more=())),
    55: ("RAC", unsigned(1)),
    58: ("SAI", _SAI),
    59: ("SAPI", enumerated("sapi-0", "sapi-3", more=())),
    64: ("TemporaryUE-ID", choice(("tMSI", octets(4)), ("p-TMSI", octets(4)), more=())),
    79: ("IuSigConId", number(24)),
    86: ("GlobalRNC-ID", sequence(("pLMNidentity", PLMN), ("rNC-ID", integer(0, 4095)), extensible=False)),
    96: ("GlobalCN-ID", sequence(("pLMNidentity", PLMN), ("cN-ID", integer(0, 4095)), extensible=False)),
}

_RANAP = Application("ranap", PROCEDURES, ELEMENTS, {"NAS-PDU": "nas"})

KINDS = _RANAP.kinds()


def fits(data: bytes) -> bool:
    """Could these bytes, whose carrier does not say what they are, be a whole RANAP message?"""
    return _RANAP.fits(data) is not None


def decode(data: bytes, context: Context) -> Iterator[Message | Payload]:
    return _RANAP.decode(data, context)
