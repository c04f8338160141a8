"""What carries NAS messages between an access node and the core network, by pycrate.

S1AP (TS 36.413) for EMM, RANAP (TS 25.413) in RUA (TS 25.468) for GMM.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from .nas import AREA, PLMN

REJECT, IGNORE = "reject", "ignore"
CELL = (0x0000101, 28)
CONTEXT, MME_UE, ENB_UE = 1, 17, 7
PPIDS = {"emm": 18, "gmm": 19}  # S1AP, RUA
PORTS = {"emm": 36412, "gmm": 29169}
Part = tuple[int, str, str, Any]  # id, criticality, type, value

_TAI: Part = (67, IGNORE, "TAI", {"pLMNidentity": PLMN, "tAC": AREA})
_CELL: Part = (100, IGNORE, "EUTRAN-CGI", {"pLMNidentity": PLMN, "cell-ID": CELL})
_MME_UE: Part = (0, REJECT, "MME-UE-S1AP-ID", MME_UE)
_ENB_UE: Part = (8, REJECT, "ENB-UE-S1AP-ID", ENB_UE)


def _message(pdu: Any, name: str, code: int, parts: list[Part], criticality: str = IGNORE) -> bytes:
    listed = [{"id": number, "criticality": how, "value": (kind, value)} for number, how, kind, value in parts]
    value = {"procedureCode": code, "criticality": criticality, "value": (name, {"protocolIEs": listed})}
    pdu.set_val(("initiatingMessage", value))
    return pdu.to_aper()


@lru_cache(maxsize=256)
def carried(protocol: str, nas: bytes, upwards: bool, first: bool = False, last: bool = False) -> bytes:
    """The message around a NAS message; `first` opens the UE's signalling connection, `last` gives it a bearer."""
    return (_by_s1ap if protocol == "emm" else _by_rua)(nas, upwards, first, last)


def _by_s1ap(nas: bytes, upwards: bool, first: bool, last: bool) -> bytes:
    from pycrate_asn1dir.S1AP import S1AP_PDU_Descriptions

    pdu, content = S1AP_PDU_Descriptions.S1AP_PDU, (26, REJECT, "NAS-PDU", nas)
    if first:
        cause = (134, IGNORE, "RRC-Establishment-Cause", "mo-Signalling")
        return _message(pdu, "InitialUEMessage", 12, [_ENB_UE, content, _TAI, _CELL, cause])
    if upwards:
        return _message(pdu, "UplinkNASTransport", 13, [_MME_UE, _ENB_UE, content, _CELL, _TAI])
    if last:
        return _message(pdu, "InitialContextSetupRequest", 9, [_MME_UE, _ENB_UE, *_bearer(nas)], REJECT)
    return _message(pdu, "DownlinkNASTransport", 11, [_MME_UE, _ENB_UE, content])


def _bearer(nas: bytes) -> list[Part]:
    priority = {
        "priorityLevel": 15,
        "pre-emptionCapability": "shall-not-trigger-pre-emption",
        "pre-emptionVulnerability": "not-pre-emptable",
    }
    bearer = {
        "e-RAB-ID": 5,
        "e-RABlevelQoSParameters": {"qCI": 9, "allocationRetentionPriority": priority},
        "transportLayerAddress": (0xC0000233, 32),
        "gTP-TEID": b"\0\0\x10\1",
        "nAS-PDU": nas,
    }
    rates = {"uEaggregateMaximumBitRateDL": 10_000_000, "uEaggregateMaximumBitRateUL": 5_000_000}
    listed = {"id": 52, "criticality": REJECT, "value": ("E-RABToBeSetupItemCtxtSUReq", bearer)}
    algorithms = {"encryptionAlgorithms": (0xE000, 16), "integrityProtectionAlgorithms": (0xE000, 16)}
    return [
        (66, REJECT, "UEAggregateMaximumBitrate", rates),
        (24, REJECT, "E-RABToBeSetupListCtxtSUReq", [listed]),
        (107, REJECT, "UESecurityCapabilities", algorithms),
        (73, REJECT, "SecurityKey", (0, 256)),
    ]


def _by_rua(nas: bytes, upwards: bool, first: bool, last: bool) -> bytes:
    from pycrate_asn1dir.RANAP import RANAP_PDU_Descriptions
    from pycrate_asn1dir.RUA import RUA_PDU_Descriptions

    ranap, rua, content = RANAP_PDU_Descriptions.RANAP_PDU, RUA_PDU_Descriptions.RUA_PDU, (16, IGNORE, "NAS-PDU", nas)
    ends: list[Part] = [(7, REJECT, "CN-DomainIndicator", "ps-domain"), (3, REJECT, "Context-ID", (CONTEXT, 24))]
    if not first:
        inner = _message(ranap, "DirectTransfer", 20, [content, (59, IGNORE, "SAPI", "sapi-0")])
        return _message(rua, "DirectTransfer", 2, [*ends, (4, REJECT, "RANAP-Message", inner)])
    area = {"pLMNidentity": PLMN, "lAC": AREA}
    parts: list[Part] = [
        (3, IGNORE, "CN-DomainIndicator", "ps-domain"),
        (15, IGNORE, "LAI", area),
        (55, IGNORE, "RAC", b"\x01"),
        (58, IGNORE, "SAI", {**area, "sAC": b"\0\1"}),
        content,
        (79, IGNORE, "IuSignallingConnectionIdentifier", (CONTEXT, 24)),
        (86, IGNORE, "GlobalRNC-ID", {"pLMNidentity": PLMN, "rNC-ID": 1}),
    ]
    inner = _message(ranap, "InitialUE-Message", 19, parts)
    cause: Part = (6, REJECT, "Establishment-Cause", "normal-call")
    return _message(rua, "Connect", 1, [*ends, cause, (4, REJECT, "RANAP-Message", inner)])
