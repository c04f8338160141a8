"""One name, one outcome: A beside AAAA, retries, several servers."""

import pytest
from literals import ADDRESSES, message

from flowcheck.session.lookups import fold, names_by_address
from flowcheck.session.transactions import pair


def asked(at, number, qtype="A", name="a.example", server="dns"):
    return message("dns.query", at, "hnb", server, id=number, qname=name, qtype=qtype)


def told(at, number, qtype="A", name="a.example", rcode="NOERROR", address=None, server="dns", **more):
    found = {"answers__address": [address]} if address else {}
    return message("dns.response", at, server, "hnb", id=number, qname=name, qtype=qtype, rcode=rcode, **found, **more)


def outcomes(*messages):
    """(what, rcode or None, addresses, incomplete) of everything left after folding."""
    return [(m.kind[4:], m.fields.get("rcode"), m.fields.get("answers.address"), m.incomplete)
            for m in fold(pair(sorted(messages, key=lambda m: m.time)))]


GOOD = [("query", None, None, False), ("response", "NOERROR", ["192.0.2.9"], False)]
REFUSED = [("query", None, None, False), ("response", "NXDOMAIN", None, False)]
EMPTY = [("query", None, None, False), ("response", "NOERROR", None, False)]
UNANSWERED = [("query", None, None, False)]


@pytest.mark.parametrize("messages, expected", [
    ([asked(0, 1), told(1, 1, address="192.0.2.9")], GOOD),
    ([asked(0, 1), asked(0, 2, "AAAA"), told(.1, 1, address="192.0.2.9"), told(.2, 2, "AAAA")], GOOD),
    ([asked(0, 1), asked(0, 2, "AAAA"), told(.1, 2, "AAAA"), told(.2, 1, address="192.0.2.9")], GOOD),
    ([asked(0, 1), asked(0, 2, "AAAA"), told(.1, 2, "AAAA", rcode="SERVFAIL"), told(.2, 1, address="192.0.2.9")], GOOD),
    ([asked(0, 1), asked(0, 2, "AAAA"), told(.1, 1, rcode="NXDOMAIN"), told(.2, 2, "AAAA", rcode="NXDOMAIN")], REFUSED),
    ([asked(0, 1), told(.1, 1, address="192.0.2.9"), asked(.5, 2, "AAAA"), told(.6, 2, "AAAA", rcode="SERVFAIL")],
     GOOD),
    ([asked(0, 1), asked(5, 1), asked(10, 1)], UNANSWERED),
    ([asked(0, 1), asked(5, 7), asked(10, 9)], UNANSWERED),                       # asked again with new ids
    ([asked(0, 1), asked(5, 2, server="gw"), told(6, 2, server="gw", address="192.0.2.9")], GOOD),
    ([asked(0, 1), told(1, 1, truncated=True), asked(1.1, 2), told(1.2, 2, address="192.0.2.9")], GOOD),
    ([asked(0, 1), asked(0, 2, "AAAA"), told(.1, 2, "AAAA")], UNANSWERED),        # the deciding answer is missing
    ([asked(0, 1), told(1, 1)], EMPTY),
])
def test_outcomes(messages, expected):
    assert outcomes(*messages) == expected


@pytest.mark.parametrize("more", [
    [message("tcp.syn", 2, "hnb", "acs")],                                                      # it has an address
    [asked(40, 2, "AAAA", "b.example"), told(41, 2, "AAAA", "b.example", address="2001:db8::1")],    # it knows AAAA too
])
def test_of_one_type_alone_an_empty_answer_may_be_half_the_truth(more):
    _, response = outcomes(asked(0, 1), told(1, 1), *more)[:2]
    assert response == ("response", "NOERROR", None, True)


def test_to_ask_again_after_a_failure_is_a_new_try():
    found = outcomes(asked(0, 1), told(.1, 1, rcode="SERVFAIL"), asked(6, 2), told(6.1, 2, address="192.0.2.9"))
    assert [f[1] for f in found if f[0] == "response"] == ["SERVFAIL", "NOERROR"]


def test_two_names_are_two_lookups():
    found = fold(pair([asked(0, 1), asked(0.1, 2, name="b.example"), told(1, 1, address="192.0.2.9")]))
    assert [(m.kind, m.fields["qname"]) for m in found] == [
        ("dns.query", "a.example"), ("dns.query", "b.example"), ("dns.response", "a.example")]


def test_other_record_types_are_left_alone():
    messages = pair([asked(0, 1, "NAPTR"), told(1, 1, "NAPTR")])
    assert fold(messages) == messages


def test_frames_and_repetitions_are_kept():
    query, answer = fold(pair([asked(0, 1), asked(0.1, 2, "AAAA"), asked(5, 3), told(6, 3, address="192.0.2.9")]))
    assert sorted(ref.number for ref in (*query.frames, *query.copies)) == [0, 1, 50]
    assert query.repeats == 1 and query.time == 0 and answer.answers == query.transaction


def test_names_of_addresses():
    messages = [told(1, 1, name=name, address=ADDRESSES["acs"]) for name in ("A.Example.", "b.example")]
    assert names_by_address(messages) == {ADDRESSES["acs"]: {"a.example", "b.example"}}


def test_a_name_that_was_looked_up_out_of_sight_is_where_it_was_asked_for():
    answer = message("dns.response", 0, "dns", "hnb", qname="One.Example.", **{"answers.address": ["192.0.2.7"]})
    web = message("http.request", 1, "hnb", "acs", host="two.example:8080")
    hello = message("tls.client_hello", 2, "hnb", "acs", sni="Three.Example")
    known = message("http.request", 3, "hnb", "acs2", host="one.example")            # the DNS says where that is
    plain = [message("http.request", 4, "hnb", "acs2", host=host) for host in ("10.0.0.1:80", "[2001:db8::1]:80", "", None)]
    assert names_by_address([answer, web, hello, known, *plain]) == {
        "192.0.2.7": {"one.example"}, ADDRESSES["acs"]: {"two.example", "three.example"}}


@pytest.mark.parametrize("at, home", [(5, 0), (95, 100), (60, 100), (50, 0), (161, None)])
def test_a_lookup_without_an_address_goes_to_the_nearest_that_brought_one(at, home):
    """Not farther than a minute; between two as near as each other, to the earlier."""
    good = [m for start in (0, 100) for m in (asked(start, start), told(start + .1, start, address="192.0.2.9"))]
    empty = [asked(at, 7, "AAAA"), told(at + .1, 7, "AAAA")]
    found = [m for m in fold(pair(sorted([*good, *empty], key=lambda m: m.time))) if m.kind == "dns.query"]
    assert [len(m.copies) for m in found] == {0: [1, 0], 100: [0, 1], None: [0, 0, 0]}[home]


def test_a_question_asked_without_end_costs_no_more_each_time():
    """Each is looked at once: the fields of a message are read a bounded number of times."""
    reads = 0

    class Counted(dict):
        def get(self, *key):
            nonlocal reads
            reads += 1
            return super().get(*key)

    questions = [message("dns.query", at / 1000, "hnb", "dns", id=at, qname="a.example", qtype="A").but(transaction=at)
                 for at in range(2000)]
    query, = fold([m.but(fields=Counted(m.fields)) for m in questions])
    assert query.repeats == 1999 and reads < 20 * len(questions)
