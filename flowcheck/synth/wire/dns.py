"""DNS queries and responses (RFC 1035), by scapy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

RCODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}


@lru_cache(maxsize=4096)
def query(number: int, name: str, kind: str = "A") -> bytes:
    from scapy.layers.dns import DNS, DNSQR

    return bytes(DNS(id=number, rd=1, qd=[DNSQR(qname=name, qtype=kind)]))


@lru_cache(maxsize=4096)
def response(number: int, name: str, rcode: str, addresses: Sequence[str], kind: str = "A") -> bytes:
    from scapy.layers.dns import DNS, DNSQR, DNSRR

    records = [DNSRR(rrname=name, type="A", ttl=300, rdata=address) for address in addresses]
    return bytes(DNS(id=number, qr=1, rd=1, ra=1, rcode=RCODES[rcode], qd=[DNSQR(qname=name, qtype=kind)], an=records))
