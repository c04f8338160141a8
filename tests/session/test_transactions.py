"""Requests and their answers, retransmissions, and IKE fragments."""

from dataclasses import replace

import pytest
from literals import message

from flowcheck.session.transactions import pair

UP, DOWN = ("hnb", "dns"), ("dns", "hnb")


def ties(messages):
    return [(m.transaction, m.answers, m.repeats) for m in pair(messages)]


def dns(kind, at, number, name="a.example", qtype="A", **more):
    return message(f"dns.{kind}", at, *(UP if kind == "query" else DOWN), id=number, qname=name, qtype=qtype, **more)


def test_an_answer_goes_with_the_question_of_its_id_and_name():
    assert ties([dns("query", 0, 1), dns("query", 1, 2), dns("response", 2, 2), dns("response", 3, 1)]) == [
        (1, None, 0), (2, None, 0), (None, 2, 0), (None, 1, 0)]
    assert ties([dns("query", 0, 1), dns("response", 1, 1, "b.example")])[1] == (None, None, 0)
    assert ties([dns("query", 0, 1), dns("response", 1, 1, qtype="AAAA")])[1] == (None, None, 0)


def test_the_same_question_again_is_a_copy_and_a_new_id_is_a_new_question():
    again, answer = pair([dns("query", 0, 1), dns("query", 5, 1), dns("response", 6, 1)])
    assert again.repeats == 1 and [ref.number for ref in again.copies] == [50] and answer.answers == again.transaction
    assert len(pair([dns("query", 0, 1), dns("query", 5, 2)])) == 2


def test_an_id_used_again_for_another_question_is_another_transaction():
    assert ties([dns("query", 0, 1), dns("response", 1, 1), dns("query", 9, 1, extra=1), dns("response", 10, 1)]) == [
        (1, None, 0), (None, 1, 0), (2, None, 0), (None, 2, 0)]


def ike(at, response=False, initiator=True, number=0, exchange="IKE_SA_INIT", spi="01", **more):
    down = response if initiator else not response
    kind = f"ike.x.{'response' if response else 'request'}"
    from_initiator = initiator if not response else not initiator
    return message(kind, at, *(("segw", "hnb") if down else ("hnb", "segw")), version="2.0", response=response,
                   initiator=from_initiator, message_id=number, exchange=exchange, spi_i=spi, **more)


def test_ike_goes_by_spi_message_id_and_who_began():
    assert ties([ike(0), ike(1, response=True)]) == [(1, None, 0), (None, 1, 0)]
    assert ties([ike(0), ike(1, response=True, spi="02")])[1] == (None, None, 0)
    both = [ike(0, number=5, exchange="INFORMATIONAL"), ike(0.1, number=5, exchange="INFORMATIONAL", initiator=False),
            ike(0.2, True, number=5, exchange="INFORMATIONAL"), ike(0.3, True, False, 5, "INFORMATIONAL")]
    assert [m.answers for m in pair(both)] == [None, None, 1, 2]


def test_ike_sent_again_is_folded_in_both_directions():
    sent, answered = pair([ike(0), ike(4), ike(5, True), ike(5.5), ike(6, True)])
    assert (sent.repeats, answered.repeats) == (2, 1)


def fragment(at, number, total=3, **more):
    return ike(at, number=1, exchange="IKE_AUTH", fragment={"number": number, "total": total}, **more)


def test_ike_fragments_are_one_message_at_the_time_of_the_last():
    one, = pair([fragment(0, 1, payloads=["SKF", "IDi"]), fragment(0.2, 3), fragment(0.1, 2)])
    assert one.time == 200_000_000 and "fragment" not in one.fields and not one.incomplete
    assert [ref.number for ref in one.frames] == [0, 1, 2] and one.fields["payloads"] == ["SKF", "IDi"]


def test_a_fragment_that_never_came_leaves_the_message_incomplete():
    one, = pair([fragment(0, 1), fragment(0.1, 2)])
    assert one.incomplete


@pytest.mark.parametrize("request_, answer", [
    (message("http.request", 0, "hnb", "acs", stream=4, exchange=2, method="GET"),
     message("http.response", 1, "acs", "hnb", stream=4, exchange=2, status=200)),
    (message("tcp.syn", 0, "hnb", "acs", stream=4), message("tcp.syn_ack", 1, "acs", "hnb", stream=4)),
    (message("tcp.syn", 0, "hnb", "acs", stream=4), message("tcp.refused", 1, "acs", "hnb", stream=4)),
    (message("sctp.init", 0, "hnb", "gw"), message("sctp.init_ack", 1, "gw", "hnb")),
    (message("hnbap.HNBRegisterRequest", 0, "hnb", "gw", pdu="initiating", procedure_code=1),
     message("hnbap.HNBRegisterReject", 1, "gw", "hnb", pdu="unsuccessful", procedure_code=1)),
    (message("diameter.Request", 0, "hnb", "gw", stream=1, request=True, hop_by_hop=9),
     message("diameter.Answer", 1, "gw", "hnb", stream=1, request=False, hop_by_hop=9)),
    (message("coap.request", 0, "hnb", "gw", token="a1"), message("coap.response", 1, "gw", "hnb", token="a1")),
])
def test_what_pairs_with_what(request_, answer):
    first, second = pair([request_, answer])
    assert first.transaction == second.answers == 1
    fields = {**answer.fields, "hop_by_hop": 7, "token": "b", "procedure_code": 9}
    other = replace(answer, stream=77, exchange=8, fields=fields, dst=message("x", 0, "hnb", "other:77").dst)
    assert pair([request_, other])[1].answers is None


def test_a_continue_is_no_answer():
    post = message("http.request", 0, "hnb", "acs", stream=4, exchange=2, method="POST")
    go_on = message("http.response", 0.5, "acs", "hnb", stream=4, exchange=2, status=100)
    done = message("http.response", 1, "acs", "hnb", stream=4, exchange=2, status=200)
    assert [m.answers for m in pair([post, go_on, done])] == [None, None, 1]


def test_what_has_no_transactions_is_left_alone():
    other = message("arp.request", 0)
    assert pair([other]) == [other]


def test_a_map_result_goes_with_the_invoke_of_its_transaction():
    ask = message("map.sendAuthenticationInfo.invoke", 0, "acs", "gw", otid="01", invoke_id=1)
    answer = message("map.sendAuthenticationInfo.result", 1, "gw", "acs", dtid="01", invoke_id=1)
    other = message("map.sendAuthenticationInfo.error", 2, "gw", "acs", dtid="02", invoke_id=1)
    assert ties([ask, answer, other]) == [(1, None, 0), (None, 1, 0), (None, None, 0)]


def test_each_hello_of_the_server_answers_the_last_of_the_client():
    up, down = ("hnb", "acs"), ("acs", "hnb")
    hellos = [message("tls.client_hello", 0, *up, stream=3, random="a"),
              message("tls.server_hello", 1, *down, stream=3, hello_retry=True),
              message("tls.client_hello", 2, *up, stream=3, random="a"), message("tls.server_hello", 3, *down, stream=3),
              message("tls.certificate", 4, *down, stream=3)]
    assert ties(hellos) == [(1, None, 0), (None, 1, 0), (2, None, 0), (None, 2, 0), (None, None, 0)]
    assert ties([hellos[0], replace(hellos[3], stream=4)])[1] == (None, None, 0)
