"""HNBAP (TS 25.469) and S1AP (TS 36.413) messages, by pycrate."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

PLMN = b"\x32\xf4\x51"  # 234 15
REJECT, ACCEPT = "reject", "ignore"


def message(kind: str, content: Mapping[str, Any]) -> bytes:
    """The PDU of a kind that `PPIDS` lists."""
    return _encoded(kind, tuple(sorted((name, str(value)) for name, value in content.items())))


@lru_cache(maxsize=64)
def _encoded(kind: str, content: tuple[tuple[str, str], ...]) -> bytes:
    return _MAKERS[kind](dict(content))


def _ies(entries: list[tuple[int, str, str, Any]]) -> list[dict[str, Any]]:
    return [
        {"id": number, "criticality": criticality, "value": (name, value)}
        for number, criticality, name, value in entries
    ]


def _hnbap(outcome: str, name: str, code: int, ies: list[dict[str, Any]]) -> bytes:
    from pycrate_asn1dir.HNBAP import HNBAP_PDU_Descriptions

    pdu = HNBAP_PDU_Descriptions.HNBAP_PDU
    pdu.set_val((outcome, {"procedureCode": code, "criticality": "reject", "value": (name, {"protocolIEs": ies})}))
    return pdu.to_aper()


def _register_request(content: Mapping[str, str]) -> bytes:
    return _hnbap(
        "initiatingMessage",
        "HNBRegisterRequest",
        1,
        _ies(
            [
                (3, REJECT, "HNB-Identity", {"hNB-Identity-Info": b"001122-000001@femto.example"}),
                (8, REJECT, "HNB-Location-Information", {}),
                (9, REJECT, "PLMNidentity", PLMN),
                (11, REJECT, "CellIdentity", (0x0000101, 28)),
                (6, REJECT, "LAC", b"\x00\x01"),
                (7, REJECT, "RAC", b"\x01"),
                (10, REJECT, "SAC", b"\x00\x01"),
            ]
        ),
    )


def _register_accept(content: Mapping[str, str]) -> bytes:
    return _hnbap("successfulOutcome", "HNBRegisterAccept", 1, _ies([(13, REJECT, "RNC-ID", 1)]))


def _register_reject(content: Mapping[str, str]) -> bytes:
    return _hnbap(
        "unsuccessfulOutcome",
        "HNBRegisterReject",
        1,
        _ies([(1, ACCEPT, "Cause", ("radioNetwork", "unauthorised-Location"))]),
    )


def _s1ap(outcome: str, name: str, ies: list[dict[str, Any]]) -> bytes:
    from pycrate_asn1dir.S1AP import S1AP_PDU_Descriptions

    pdu = S1AP_PDU_Descriptions.S1AP_PDU
    pdu.set_val((outcome, {"procedureCode": 17, "criticality": "reject", "value": (name, {"protocolIEs": ies})}))
    return pdu.to_aper()


def _setup_request(content: Mapping[str, str]) -> bytes:
    entries = []
    if "Global-ENB-ID" in content:
        entries.append((59, REJECT, "Global-ENB-ID", {"pLMNidentity": PLMN, "eNB-ID": ("homeENB-ID", (0x101, 28))}))
    area = int(content.get("SupportedTAs.tAC", "1"))
    plmn = _bcd(content.get("SupportedTAs.broadcastPLMNs", "23415"))
    entries += [
        (64, REJECT, "SupportedTAs", [{"tAC": area.to_bytes(2, "big"), "broadcastPLMNs": [plmn]}]),
        (137, ACCEPT, "PagingDRX", "v128"),
    ]
    return _s1ap("initiatingMessage", "S1SetupRequest", _ies(entries))


def _bcd(text: str) -> bytes:
    """A PLMN identity of TS 24.008: MCC and MNC as swapped digits."""
    digits = "".join(c for c in text if c.isdecimal()).ljust(5, "0")
    third = digits[5] if len(digits) > 5 else "f"
    return bytes.fromhex(digits[1] + digits[0] + third + digits[2] + digits[4] + digits[3])


def _setup_response(content: Mapping[str, str]) -> bytes:
    return _s1ap(
        "successfulOutcome",
        "S1SetupResponse",
        _ies(
            [
                (
                    105,
                    REJECT,
                    "ServedGUMMEIs",
                    [{"servedPLMNs": [PLMN], "servedGroupIDs": [b"\x00\x01"], "servedMMECs": [b"\x01"]}],
                ),
                (87, ACCEPT, "RelativeMMECapacity", 100),
            ]
        ),
    )


def _setup_failure(content: Mapping[str, str]) -> bytes:
    return _s1ap("unsuccessfulOutcome", "S1SetupFailure", _ies([(2, ACCEPT, "Cause", ("misc", "unknown-PLMN"))]))


_MAKERS = {
    "hnbap.HNBRegisterRequest": _register_request,
    "hnbap.HNBRegisterAccept": _register_accept,
    "hnbap.HNBRegisterReject": _register_reject,
    "s1ap.S1SetupRequest": _setup_request,
    "s1ap.S1SetupResponse": _setup_response,
    "s1ap.S1SetupFailure": _setup_failure,
}
KINDS = frozenset(_MAKERS)
PPIDS = {"hnbap": 20, "s1ap": 18}
PORTS = {"hnbap": 29169, "s1ap": 36412}
