"""S1AP over SCTP, PPID 18 (3GPP TS 36.413): eNodeB or HeNB to MME.

Element names are those of the ASN.1 (9.3.4); PLMN identities are text ("00101"), area codes and identities numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Context, Message, Payload
from ._aper import (EXTENSIONS, PLMN, Application, Bits, Optional, cause, choice, containers, enumerated, imsi, integer,
                    number, octets, printable, sequence, sequence_of, transport_address, unsigned)

# procedure code -> procedure, initiating message, successful outcome, unsuccessful outcome (TS 36.413 9.3.2)
PROCEDURES = {
    0: ("HandoverPreparation", "HandoverRequired", "HandoverCommand", "HandoverPreparationFailure"),
    1: ("HandoverResourceAllocation", "HandoverRequest", "HandoverRequestAcknowledge", "HandoverFailure"),
    2: ("HandoverNotification", "HandoverNotify"),
    3: ("PathSwitchRequest", "PathSwitchRequest", "PathSwitchRequestAcknowledge", "PathSwitchRequestFailure"),
    4: ("HandoverCancel", "HandoverCancel", "HandoverCancelAcknowledge"),
    5: ("E-RABSetup", "E-RABSetupRequest", "E-RABSetupResponse"),
    6: ("E-RABModify", "E-RABModifyRequest", "E-RABModifyResponse"),
    7: ("E-RABRelease", "E-RABReleaseCommand", "E-RABReleaseResponse"),
    8: ("E-RABReleaseIndication", "E-RABReleaseIndication"),
    9: ("InitialContextSetup", "InitialContextSetupRequest", "InitialContextSetupResponse",
        "InitialContextSetupFailure"),
    10: ("Paging", "Paging"),
    11: ("downlinkNASTransport", "DownlinkNASTransport"),
    12: ("initialUEMessage", "InitialUEMessage"),
    13: ("uplinkNASTransport", "UplinkNASTransport"),
    14: ("Reset", "Reset", "ResetAcknowledge"),
    15: ("ErrorIndication", "ErrorIndication"),
    16: ("NASNonDeliveryIndication", "NASNonDeliveryIndication"),
    17: ("S1Setup", "S1SetupRequest", "S1SetupResponse", "S1SetupFailure"),
    18: ("UEContextReleaseRequest", "UEContextReleaseRequest"),
    19: ("DownlinkS1cdma2000tunnelling", "DownlinkS1cdma2000tunnelling"),
    20: ("UplinkS1cdma2000tunnelling", "UplinkS1cdma2000tunnelling"),
    21: ("UEContextModification", "UEContextModificationRequest", "UEContextModificationResponse",
         "UEContextModificationFailure"),
    22: ("UECapabilityInfoIndication", "UECapabilityInfoIndication"),
    23: ("UEContextRelease", "UEContextReleaseCommand", "UEContextReleaseComplete"),
    24: ("eNBStatusTransfer", "ENBStatusTransfer"),
    25: ("MMEStatusTransfer", "MMEStatusTransfer"),
    26: ("DeactivateTrace", "DeactivateTrace"),
    27: ("TraceStart", "TraceStart"),
    28: ("TraceFailureIndication", "TraceFailureIndication"),
    29: ("ENBConfigurationUpdate", "ENBConfigurationUpdate", "ENBConfigurationUpdateAcknowledge",
         "ENBConfigurationUpdateFailure"),
    30: ("MMEConfigurationUpdate", "MMEConfigurationUpdate", "MMEConfigurationUpdateAcknowledge",
         "MMEConfigurationUpdateFailure"),
    31: ("LocationReportingControl", "LocationReportingControl"),
    32: ("LocationReportingFailureIndication", "LocationReportingFailureIndication"),
    33: ("LocationReport", "LocationReport"),
    34: ("OverloadStart", "OverloadStart"),
    35: ("OverloadStop", "OverloadStop"),
    36: ("WriteReplaceWarning", "WriteReplaceWarningRequest", "WriteReplaceWarningResponse"),
    37: ("eNBDirectInformationTransfer", "ENBDirectInformationTransfer"),
    38: ("MMEDirectInformationTransfer", "MMEDirectInformationTransfer"),
    39: ("PrivateMessage", "PrivateMessage"),
    40: ("eNBConfigurationTransfer", "ENBConfigurationTransfer"),
    41: ("MMEConfigurationTransfer", "MMEConfigurationTransfer"),
    42: ("CellTrafficTrace", "CellTrafficTrace"),
    43: ("Kill", "KillRequest", "KillResponse"),
    44: ("downlinkUEAssociatedLPPaTransport", "DownlinkUEAssociatedLPPaTransport"),
    45: ("uplinkUEAssociatedLPPaTransport", "UplinkUEAssociatedLPPaTransport"),
    46: ("downlinkNonUEAssociatedLPPaTransport", "DownlinkNonUEAssociatedLPPaTransport"),
    47: ("uplinkNonUEAssociatedLPPaTransport", "UplinkNonUEAssociatedLPPaTransport"),
    48: ("UERadioCapabilityMatch", "UERadioCapabilityMatchRequest", "UERadioCapabilityMatchResponse"),
    49: ("PWSRestartIndication", "PWSRestartIndication"),
    50: ("E-RABModificationIndication", "E-RABModificationIndication", "E-RABModificationConfirm"),
    51: ("PWSFailureIndication", "PWSFailureIndication"),
    52: ("RerouteNASRequest", "RerouteNASRequest"),
    53: ("UEContextModificationIndication", "UEContextModificationIndication", "UEContextModificationConfirm"),
    54: ("ConnectionEstablishmentIndication", "ConnectionEstablishmentIndication"),
    55: ("UEContextSuspend", "UEContextSuspendRequest", "UEContextSuspendResponse"),
    56: ("UEContextResume", "UEContextResumeRequest", "UEContextResumeResponse", "UEContextResumeFailure"),
    57: ("NASDeliveryIndication", "NASDeliveryIndication"),
    58: ("RetrieveUEInformation", "RetrieveUEInformation"),
    59: ("UEInformationTransfer", "UEInformationTransfer"),
    60: ("eNBCPRelocationIndication", "ENBCPRelocationIndication"),
    61: ("MMECPRelocationIndication", "MMECPRelocationIndication"),
    62: ("SecondaryRATDataUsageReport", "SecondaryRATDataUsageReport"),
    63: ("UERadioCapabilityIDMapping", "UERadioCapabilityIDMappingRequest", "UERadioCapabilityIDMappingResponse"),
    64: ("HandoverSuccess", "HandoverSuccess"),
    65: ("eNBEarlyStatusTransfer", "ENBEarlyStatusTransfer"),
    66: ("MMEEarlyStatusTransfer", "MMEEarlyStatusTransfer"),
}

_RADIO_NETWORK = enumerated(
    "unspecified", "tx2relocoverall-expiry", "successful-handover", "release-due-to-eutran-generated-reason",
    "handover-cancelled", "partial-handover", "ho-failure-in-target-EPC-eNB-or-target-system",
    "ho-target-not-allowed", "tS1relocoverall-expiry", "tS1relocprep-expiry", "cell-not-available",
    "unknown-targetID", "no-radio-resources-available-in-target-cell", "unknown-mme-ue-s1ap-id",
    "unknown-enb-ue-s1ap-id", "unknown-pair-ue-s1ap-id", "handover-desirable-for-radio-reason",
    "time-critical-handover", "resource-optimisation-handover", "reduce-load-in-serving-cell",
    "user-inactivity", "radio-connection-with-ue-lost", "load-balancing-tau-required", "cs-fallback-triggered",
    "ue-not-available-for-ps-service", "radio-resources-not-available", "failure-in-radio-interface-procedure",
    "invalid-qos-combination", "interrat-redirection", "interaction-with-other-procedure", "unknown-E-RAB-ID",
    "multiple-E-RAB-ID-instances", "encryption-and-or-integrity-protection-algorithms-not-supported",
    "s1-intra-system-handover-triggered", "s1-inter-system-handover-triggered", "x2-handover-triggered",
    more=("redirection-towards-1xRTT", "not-supported-QCI-value", "invalid-CSG-Id", "release-due-to-pre-emption",
    "n26-interface-not-available", "insufficient-ue-capabilities", "maximum-bearer-pre-emption-rate-exceeded",
    "up-integrity-protection-not-possible", "release-due-to-discontinuous-coverage"))
_TRANSPORT = enumerated("transport-resource-unavailable", "unspecified", more=())
_NAS = enumerated("normal-release", "authentication-failure", "detach", "unspecified",
                  more=("csg-subscription-expiry", "uE-not-in-PLMN-serving-area", "iab-not-authorized"))
_PROTOCOL = enumerated(
    "transfer-syntax-error", "abstract-syntax-error-reject", "abstract-syntax-error-ignore-and-notify",
    "message-not-compatible-with-receiver-state", "semantic-error", "abstract-syntax-error-falsely-constructed-message",
    "unspecified", more=())
_MISC = enumerated("control-processing-overload", "not-enough-user-plane-processing-resources", "hardware-failure",
                   "om-intervention", "unspecified", "unknown-PLMN", more=())

_MME_UE_ID, _ENB_UE_ID = integer(0, 4294967295), integer(0, 16777215)
_BIT_RATE = integer(0, 10000000000)
_ENB_ID = choice(("macroENB-ID", number(20)), ("homeENB-ID", number(28)),
                 more=(("short-macroENB-ID", number(18)), ("long-macroENB-ID", number(21))))
_ARP = sequence(("priorityLevel", integer(0, 15)),
                ("pre-emptionCapability", enumerated("shall-not-trigger-pre-emption", "may-trigger-pre-emption")),
                ("pre-emptionVulnerability", enumerated("not-pre-emptable", "pre-emptable")), EXTENSIONS)
_GBR = sequence(("e-RAB-MaximumBitrateDL", _BIT_RATE), ("e-RAB-MaximumBitrateUL", _BIT_RATE),
                ("e-RAB-GuaranteedBitrateDL", _BIT_RATE), ("e-RAB-GuaranteedBitrateUL", _BIT_RATE), EXTENSIONS)
_QOS = sequence(("qCI", integer(0, 255)), ("allocationRetentionPriority", _ARP), ("gbrQosInformation", Optional(_GBR)),
                EXTENSIONS)
_ENDPOINT = (("transportLayerAddress", transport_address), ("gTP-TEID", octets(4)))
_E_RAB_ID = ("e-RAB-ID", integer(0, 15, extensible=True))
_TO_BE_SETUP = containers({
    52: sequence(_E_RAB_ID, ("e-RABlevelQoSParameters", _QOS), *_ENDPOINT, ("nAS-PDU", Optional(octets())), EXTENSIONS),
    17: sequence(_E_RAB_ID, ("e-RABlevelQoSParameters", _QOS), *_ENDPOINT, ("nAS-PDU", octets()), EXTENSIONS)})
_SETUP = containers({item: sequence(_E_RAB_ID, *_ENDPOINT, EXTENSIONS) for item in (39, 50)})
_TAI = sequence(("pLMNidentity", PLMN), ("tAC", unsigned(2)), EXTENSIONS)
_S_TMSI = sequence(("mMEC", unsigned(1)), ("m-TMSI", octets(4)), EXTENSIONS)
_UE_IDS = choice(("uE-S1AP-ID-pair", sequence(("mME-UE-S1AP-ID", _MME_UE_ID), ("eNB-UE-S1AP-ID", _ENB_UE_ID),
                                              EXTENSIONS)),
                 ("mME-UE-S1AP-ID", _MME_UE_ID), more=())
_GUMMEIS = sequence_of(sequence(("servedPLMNs", sequence_of(PLMN, 1, 32)),
                                ("servedGroupIDs", sequence_of(unsigned(2), 1, 65535)),
                                ("servedMMECs", sequence_of(unsigned(1), 1, 256)), EXTENSIONS), 1, 8)
_TA = sequence(("tAC", unsigned(2)), ("broadcastPLMNs", sequence_of(PLMN, 1, 6)), EXTENSIONS)
_SUPPORTED_TAS = sequence_of(_TA, 1, 256)


def _global_enb(bits: Bits) -> dict:
    """Global-ENB-ID with the kind of eNB beside its number: `{"pLMNidentity", "type": "homeENB-ID", "eNB-ID"}`."""
    value = _GLOBAL_ENB_ID(bits)
    kind, identity = value.pop("eNB-ID")
    return {**value, "type": kind, "eNB-ID": identity}


_GLOBAL_ENB_ID = sequence(("pLMNidentity", PLMN), ("eNB-ID", _ENB_ID), EXTENSIONS)
_WAIT = enumerated("1", "2", "5", "10", "20", "60", more=())


def _time_to_wait(bits: Bits) -> int | str:
    """Seconds."""
    value = _WAIT(bits)
    return int(value) if value.isdigit() else value


ELEMENTS = {
    0: ("MME-UE-S1AP-ID", _MME_UE_ID),
    2: ("cause", cause(("radioNetwork", _RADIO_NETWORK), ("transport", _TRANSPORT), ("nas", _NAS),
                       ("protocol", _PROTOCOL),
                       ("misc", _MISC))),
    8: ("eNB-UE-S1AP-ID", _ENB_UE_ID),
    16: ("E-RABToBeSetupListBearerSUReq", _TO_BE_SETUP),
    24: ("E-RABToBeSetupListCtxtSUReq", _TO_BE_SETUP),
    26: ("NAS-PDU", octets()),
    28: ("E-RABSetupListBearerSURes", _SETUP),
    43: ("UEPagingID", choice(("s-TMSI", _S_TMSI), ("iMSI", imsi()), more=())),
    51: ("E-RABSetupListCtxtSURes", _SETUP),
    59: ("Global-ENB-ID", _global_enb),
    60: ("eNBname", printable(1, 150)),
    61: ("MMEname", printable(1, 150)),
    64: ("SupportedTAs", _SUPPORTED_TAS),
    65: ("TimeToWait", _time_to_wait),
    66: ("uEaggregateMaximumBitrate", sequence(("uEaggregateMaximumBitRateDL", _BIT_RATE),
                                               ("uEaggregateMaximumBitRateUL", _BIT_RATE), EXTENSIONS)),
    67: ("TAI", _TAI),
    75: ("GUMMEI-ID", sequence(("pLMN-Identity", PLMN), ("mME-Group-ID", unsigned(2)), ("mME-Code", unsigned(1)),
                               EXTENSIONS)),
    87: ("RelativeMMECapacity", integer(0, 255)),
    96: ("S-TMSI", _S_TMSI),
    99: ("UE-S1AP-IDs", _UE_IDS),
    100: ("EUTRAN-CGI", sequence(("pLMNidentity", PLMN), ("cell-ID", number(28)), EXTENSIONS)),
    105: ("ServedGUMMEIs", _GUMMEIS),
    109: ("CNDomain", enumerated("ps", "cs")),
    127: ("CSG-Id", number(27)),
    128: ("CSG-IdList", sequence_of(sequence(("cSG-Id", number(27)), EXTENSIONS), 1, 256)),
    134: ("RRC-Establishment-Cause", enumerated("emergency", "highPriorityAccess", "mt-Access", "mo-Signalling",
                                                "mo-Data",
                                                more=("delay-TolerantAccess", "mo-VoiceCall", "mo-ExceptionData"))),
    137: ("DefaultPagingDRX", enumerated("v32", "v64", "v128", "v256", more=())),
}

_S1AP = Application("s1ap", PROCEDURES, ELEMENTS, {"NAS-PDU": "nas", "nAS-PDU": "nas"}, ports=frozenset({36412}),
                    setup={17: (59, 105, 61)}, connection="eNB-UE-S1AP-ID")

KINDS = _S1AP.kinds()
PORTS = {36412}
PAYLOADS = ("ppid:18",)


def likely(head: bytes, ports: tuple[int, ...] = ()) -> bool:
    return _S1AP.likely(head, ports)


def decode(data: bytes, context: Context) -> Iterator[Message | Payload]:
    return _S1AP.decode(data, context)
