"""Bad news that what followed overruled, and bad news that stays."""

import pytest
from literals import ADDRESSES, message

from flowcheck.session import transactions
from flowcheck.session.overruled import without

HNB, SEGW, DNS = ADDRESSES["hnb"], ADDRESSES["segw"], ADDRESSES["dns"]


def sa_init(at, spi="a"):
    return message("ike.sa_init.request", at, "hnb:500", "segw", spi_i=spi, initiator=True, message_id=0,
                   exchange="IKE_SA_INIT")


def sa_init_answer(at, spi="a"):
    return message("ike.sa_init.response", at, "segw", "hnb:500", spi_i=spi, initiator=False, message_id=0,
                   response=True, exchange="IKE_SA_INIT")


def unreachable(at, port=500):
    return message("icmp.unreachable", at, "segw", "hnb", quoted_src=HNB, quoted_sport=port, quoted_dst=SEGW,
                   quoted_dport=500)


def query(at, server="dns", number=1, name="segw.example"):
    return message("dns.query", at, "hnb:5300", server, id=number, qname=name, qtype="A")


def answer(at, server="dns", number=1, rcode="NOERROR", name="segw.example"):
    return message("dns.response", at, server, "hnb:5300", id=number, qname=name, qtype="A", rcode=rcode)


OTHER = "198.51.100.54:53"


@pytest.mark.parametrize("messages, dropped", [
    ([sa_init(0), unreachable(0.1), sa_init(4), sa_init_answer(4.1)], ["icmp.unreachable"]),    # sent again
    ([sa_init(0), unreachable(0.1), sa_init(4, "b"), sa_init_answer(4.1, "b")], []),           # another IKE SA
    ([sa_init(0), unreachable(0.1)], []),
    ([sa_init(0), sa_init_answer(0.1), unreachable(0.2)], []),                                 # after the answer
    ([sa_init(0), unreachable(0.1, port=999), sa_init_answer(4.1)], []),                       # about something else
    ([query(0), answer(.1, rcode="SERVFAIL"), query(.2, OTHER, 2), answer(.3, OTHER, 2)], ["dns.response"]),
    ([query(0), answer(.1, rcode="REFUSED"), query(.2, OTHER, 2), answer(.3, OTHER, 2, "NXDOMAIN")], ["dns.response"]),
    ([query(0), answer(.1, rcode="SERVFAIL"), query(.2, number=2), answer(.3, number=2)], []),       # the same server
    ([query(0), answer(.1, rcode="SERVFAIL"), query(9, OTHER, 2), answer(9.3, OTHER, 2)], []),       # another try
    ([query(0), answer(.1, rcode="NXDOMAIN"), query(.2, OTHER, 2), answer(.3, OTHER, 2)], []),       # it could tell
    ([query(0), answer(.1, rcode="SERVFAIL"), query(.2, OTHER, 2, "x"), answer(.3, OTHER, 2, name="x")], []),
])
def test_without(messages, dropped):
    paired = transactions.pair(messages)
    kept = without(paired)
    assert [m.kind for m in paired if m not in kept] == dropped
