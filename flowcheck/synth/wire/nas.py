"""NAS messages: EPS mobility (TS 24.301) and GPRS mobility management (TS 24.008), by pycrate.

`content` has the names of the rule language: `imsi`, `rand`, `autn`, `res` (hexadecimal), `cause`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

IMSI = "999990000000001"
PLMN = b"\x99\xf9\x99"  # 999 99
AREA = b"\x00\x01"
GUTI = b"\xf6" + PLMN + b"\x80\x01\x01\xc0\x00\x00\x01"
TMSI = b"\xf4\xc0\x00\x00\x01"
IMSI_WANTED = 1
PDN_REQUEST = bytes.fromhex("0201d011")  # ESM: PDN connectivity request, initial, IPv4
BEARER_REQUEST = bytes.fromhex("5201c101090403 6d326d 05010a2d0007")  # ESM: activate default bearer, APN m2m
Content = Mapping[str, Any]


def message(kind: str, content: Content) -> bytes:
    """The NAS message of a kind in `KINDS`."""
    return _encoded(kind, tuple(sorted((name, str(value)) for name, value in content.items())))


@lru_cache(maxsize=512)
def _encoded(kind: str, content: tuple[tuple[str, str], ...]) -> bytes:
    # it warns of ciphers that it has not, and that are not used
    logging.getLogger("pycrate_mobile.TS24301_EMM").addHandler(logging.NullHandler())
    from pycrate_mobile import TS24008_GMM, TS24301_EMM

    protocol, _, name = kind.partition(".")
    class_name, parts = _PARTS[kind]
    made = getattr(TS24301_EMM if protocol == "emm" else TS24008_GMM, class_name)(val=parts(dict(content)))
    return made.to_bytes()


def digits(kind: int, number: str) -> bytes:
    """A mobile identity of digits (TS 24.008 10.5.1.4)."""
    odd = len(number) % 2
    padded = number[1:] + ("" if odd else "f")
    pairs = bytes(int(padded[i + 1] + padded[i], 16) for i in range(0, len(padded), 2))
    return bytes((int(number[0]) << 4 | odd << 3 | kind,)) + pairs


def _octets(content: Content, name: str) -> bytes:
    return bytes.fromhex(str(content.get(name, "")))


def _cause(name: str) -> Callable[[Content], dict[str, Any]]:
    def parts(content: Content) -> dict[str, Any]:
        return {name: bytes((int(content.get("cause", 17)),))}

    return parts


def _failure(name: str) -> Callable[[Content], dict[str, Any]]:
    """With AUTS where synchronisation failed (cause 21)."""

    def parts(content: Content) -> dict[str, Any]:
        made = _cause(name)(content)
        return made | {"AUTS": bytes(range(14))} if int(content.get("cause", 20)) == 21 else made

    return parts


def _identity(name: str, temporary: bytes) -> Callable[[Content], dict[str, Any]]:
    def parts(content: Content) -> dict[str, Any]:
        temporarily = content.get("identity_type") == "temporary"
        return {name: temporary if temporarily else digits(1, str(content.get("imsi", IMSI)))}

    return parts


def _attach(content: Content) -> dict[str, Any]:
    return {
        **_identity("EPSID", GUTI)(content),
        "EPSAttachType": 1,
        "UENetCap": b"\xe0\xe0",
        "ESMContainer": PDN_REQUEST,
    }


def _attach_gprs(content: Content) -> dict[str, Any]:
    return {
        **_identity("ID", TMSI)(content),
        "MSNetCap": b"\xe5\xe0",
        "AttachType": 1,
        "OldRAI": PLMN + b"\xff\xfe\x00",
    }


def _accepted(content: Content) -> dict[str, Any]:
    return {
        "EPSAttachResult": 1,
        "T3412": b"\x21",
        "TAIList": b"\x00" + PLMN + AREA,
        "ESMContainer": BEARER_REQUEST,
    }


def _accepted_gprs(content: Content) -> dict[str, Any]:
    return {
        "AttachResult": 1,
        "PeriodicRAUpdateTimer": b"\x21",
        "RAI": PLMN + AREA + b"\x01",
    }


def _challenge(content: Content) -> dict[str, Any]:
    return {"NAS_KSI": 0, "RAND": _octets(content, "rand"), "AUTN": _octets(content, "autn")}


def _challenge_gprs(content: Content) -> dict[str, Any]:
    made = {"ACRef": 3, "RAND": _octets(content, "rand"), "CKSN": 0}
    return made | {"AUTN": _octets(content, "autn")} if "autn" in content else made


def _response(content: Content) -> dict[str, Any]:
    return {"RES": _octets(content, "res")}


def _response_gprs(content: Content) -> dict[str, Any]:
    """RES has four octets, the rest is an IE of its own (9.4.10)."""
    res = _octets(content, "res")
    made = {"ACRef": 3}
    return made | {"RES": res[:4], "RESExt": res[4:]} if res else made


def _identity_asked(content: Content) -> dict[str, Any]:
    return {"IDType": IMSI_WANTED}


def _security_mode(content: Content) -> dict[str, Any]:
    return {"NASSecAlgo": b"\x02", "UESecCap": b"\xe0\xe0"}


def _nothing(content: Content) -> dict[str, Any]:
    return {}


_PARTS: dict[str, tuple[str, Callable[[Content], dict[str, Any]]]] = {
    "emm.AttachRequest": ("EMMAttachRequest", _attach),
    "emm.AttachAccept": ("EMMAttachAccept", _accepted),
    "emm.AttachReject": ("EMMAttachReject", _cause("EMMCause")),
    "emm.IdentityRequest": ("EMMIdentityRequest", _identity_asked),
    "emm.IdentityResponse": ("EMMIdentityResponse", _identity("ID", TMSI)),
    "emm.AuthenticationRequest": ("EMMAuthenticationRequest", _challenge),
    "emm.AuthenticationResponse": ("EMMAuthenticationResponse", _response),
    "emm.AuthenticationFailure": ("EMMAuthenticationFailure", _failure("EMMCause")),
    "emm.AuthenticationReject": ("EMMAuthenticationReject", _nothing),
    "emm.SecurityModeCommand": ("EMMSecurityModeCommand", _security_mode),
    "gmm.AttachRequest": ("GMMAttachRequest", _attach_gprs),
    "gmm.AttachAccept": ("GMMAttachAccept", _accepted_gprs),
    "gmm.AttachReject": ("GMMAttachReject", _cause("GMMCause")),
    "gmm.IdentityRequest": ("GMMIdentityRequest", _identity_asked),
    "gmm.IdentityResponse": ("GMMIdentityResponse", _identity("ID", TMSI)),
    "gmm.AuthenticationAndCipheringRequest": ("GMMAuthenticationCipheringRequest", _challenge_gprs),
    "gmm.AuthenticationAndCipheringResponse": ("GMMAuthenticationCipheringResponse", _response_gprs),
    "gmm.AuthenticationAndCipheringFailure": ("GMMAuthenticationCipheringFailure", _failure("GMMCause")),
    "gmm.AuthenticationAndCipheringReject": ("GMMAuthenticationCipheringReject", _nothing),
}
KINDS = frozenset(_PARTS)
