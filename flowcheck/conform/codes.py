"""What the codes of refusals mean, by protocol: (words, where the code is defined).

Only what a registry or a specification says of the code itself; why a peer sent it is `reasons`.
"""

from __future__ import annotations

Meaning = tuple[str, str]

_DNS = {
    "NXDOMAIN": "the name does not exist", "SERVFAIL": "the server could not find out, often because of its own upstream or DNSSEC",
    "REFUSED": "the server will not answer this client", "FORMERR": "the server does not understand the query",
    "NOTIMP": "the server does not support this kind of query",
}
_IKE = {
    "AUTHENTICATION_FAILED": ("credentials or certificate were not accepted", "RFC 7296 2.21.2"),
    "NO_PROPOSAL_CHOSEN": ("no offered set of algorithms is acceptable", "RFC 7296 2.7"),
    "INVALID_KE_PAYLOAD": ("another Diffie-Hellman group is wanted", "RFC 7296 1.3"),
    "TS_UNACCEPTABLE": ("the traffic selectors do not fit", "RFC 7296 2.9"),
    "INTERNAL_ADDRESS_FAILURE": ("the gateway has no inner address to give", "RFC 7296 3.15.4"),
    "FAILED_CP_REQUIRED": ("the gateway requires a configuration request", "RFC 7296 2.19"),
    "INVALID_SYNTAX": ("the message was malformed, or its keys differ", "RFC 7296 3.10.1"),
    "INVALID_MAJOR_VERSION": ("the responder does not speak this version of IKE", "RFC 7296 2.5"),
    "UNSUPPORTED_CRITICAL_PAYLOAD": ("a payload marked critical is not known to the responder", "RFC 7296 2.5"),
    "SINGLE_PAIR_REQUIRED": ("the gateway wants one pair of addresses per tunnel", "RFC 7296 2.9"),
    "NO_ADDITIONAL_SAS": ("the gateway takes no more tunnels for this IKE SA", "RFC 7296 1.3"),
    "AUTHORIZATION_FAILED": ("the identity is known and has no permission", "TS 24.302 8.1.2.2"),
}
_TLS = {
    "unknown_ca": "the peer's certificate is of an issuer that is not trusted",
    "bad_certificate": "the peer's certificate does not verify",
    "unsupported_certificate": "the peer's certificate is of a kind that is not supported",
    "certificate_expired": "the peer's certificate is out of date, or the clock is wrong",
    "certificate_revoked": "the peer's certificate was revoked by its issuer",
    "certificate_unknown": "the peer's certificate is not accepted for a reason not given",
    "handshake_failure": "no common security parameters", "insufficient_security": "what is offered is too weak",
    "protocol_version": "no common TLS version", "certificate_required": "the server wants a certificate of the client",
    "unrecognized_name": "the server does not know the name asked for (SNI)",
    "decrypt_error": "a signature or Finished does not verify",
    "decode_error": "a message could not be read", "illegal_parameter": "a field has a value it may not have",
    "unexpected_message": "a message came at the wrong place",
    "access_denied": "the certificate is valid and has no permission",
    "no_application_protocol": "no application protocol in common (ALPN)",
    "unknown_psk_identity": "the pre-shared key is not known",
    "internal_error": "the peer failed by itself", "user_canceled": "the peer gave up for a reason of its own",
}
_CWMP = {
    8000: "method not supported", 8001: "request denied", 8002: "internal error", 8003: "invalid arguments",
    8004: "resources exceeded", 8005: "retry request", 8006: "the versions of CWMP do not fit",
    9000: "method not supported", 9001: "request denied", 9002: "internal error", 9003: "invalid arguments",
    9004: "resources exceeded", 9005: "invalid parameter name", 9006: "invalid parameter type",
    9007: "invalid parameter value", 9008: "attempt to set a non-writable parameter",
    9009: "notification request rejected", 9010: "file transfer failure", 9011: "upload failure",
    9012: "file transfer server authentication failure", 9013: "unsupported protocol for file transfer",
    9014: "unable to join the multicast group", 9015: "unable to contact the file server",
    9016: "unable to access the file",
    9017: "unable to complete the download", 9018: "file corrupted", 9019: "file authentication failure",
}
_HTTP = {
    400: ("the server does not understand the request", "RFC 9110 15.5.1"),
    401: ("credentials wanted or not accepted", "RFC 9110 15.5.2"),
    403: ("not allowed", "RFC 9110 15.5.4"), 404: ("nothing there", "RFC 9110 15.5.5"),
    405: ("the method is not allowed there", "RFC 9110 15.5.6"),
    406: ("nothing of the kind asked for", "RFC 9110 15.5.7"),
    408: ("the request did not arrive in time", "RFC 9110 15.5.9"),
    413: ("the body is too large for the server", "RFC 9110 15.5.14"),
    415: ("the server does not take this kind of body", "RFC 9110 15.5.16"),
    500: ("the server failed", "RFC 9110 15.6.1"),
    501: ("the server does not know the method", "RFC 9110 15.6.2"),
    502: ("what stands behind the server failed", "RFC 9110 15.6.3"),
    503: ("the server is overloaded or down", "RFC 9110 15.6.4"),
    504: ("what stands behind the server did not answer", "RFC 9110 15.6.5"),
    507: ("the server has no space left", "RFC 4918 11.5"),
}
_FTP = {
    421: "the service is not available", 425: "the data connection cannot be opened",
    426: "the transfer was broken off",
    450: "the file is busy", 451: "the server failed", 452: "the server has no space left",
    500: "the command is not understood",
    501: "an argument is wrong", 502: "the command is not supported", 503: "the command came at the wrong place",
    530: "not logged in", 532: "an account is needed", 550: "the file is not there, or may not be touched",
    552: "the server has no space left", 553: "the file name is not allowed",
}
_COAP = {
    "4.00": "the server does not understand the request", "4.01": "credentials wanted or not accepted",
    "4.03": "not allowed",
    "4.04": "nothing there", "4.05": "the method is not allowed there", "4.06": "nothing of the kind asked for",
    "4.13": "the body is too large for the server", "4.15": "the server does not take this kind of body",
    "5.00": "the server failed",
    "5.03": "the server is overloaded or down",
}
_NAS = {
    2: "the subscriber is unknown", 3: "the device is illegal here", 6: "the equipment is illegal",
    7: "the service is not allowed",
    8: "neither EPS nor other services are allowed", 11: "the PLMN is not allowed",
    12: "the tracking or location area is not allowed",
    15: "no suitable cell in the area", 17: "the network failed",
    20: "AUTN does not fit: device and network hold different keys",
    21: "the sequence number of AUTN is out of range", 26: "the separation bit of AUTN is not set", 22: "congestion",
}


def _cited(table: dict, clause: str) -> dict[str, Meaning]:
    return {str(code): (text, clause) for code, text in table.items()}


BY_PROTOCOL: dict[str, dict[str, Meaning]] = {
    "dns": _cited(_DNS, "RFC 1035 4.1.1"), "ike": dict(_IKE), "tls": _cited(_TLS, "RFC 8446 6.2"),
    "dtls": _cited(_TLS, "RFC 8446 6.2"),
    "cwmp": _cited(_CWMP, "TR-069 A.5"), "http": {str(code): entry for code, entry in _HTTP.items()},
    "ftp": _cited(_FTP, "RFC 959 4.2"), "coap": _cited(_COAP, "RFC 7252 5.9"),
    "emm": _cited(_NAS, "TS 24.301 9.9.3.9"), "gmm": _cited(_NAS, "TS 24.008 10.5.5.14"),
}


def meaning(protocol: str, code: str) -> Meaning | None:
    """The words and where they stand, None where no table has the code."""
    return BY_PROTOCOL.get(protocol, {}).get(code)
