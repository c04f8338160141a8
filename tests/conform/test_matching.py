"""Is this message that step: kind, ends, where, transaction; and what is bound when it is."""

import pytest
from literals import ADDRESSES, matcher, message, rule

TWO = '''
roles: {hnb: {kind: device}, acs: {kind: acs}, dns: {kind: dns_server}}
steps:
  - {step: a, cite: "1", message: [x.a, x.ask], from: hnb, to: acs}
  - step: b
    cite: "2"
    message: x.b
    from: acs
    to: hnb
    answers: a
    refused_by:
      - {message: x.no, where: [{field: code, not: OK}]}
      - {message: cwmp.session_end, where: [{field: complete, equals: false}]}
  - {step: c, cite: "3", message: x.c, where: [{field: name, equals: $acs.name}]}
'''
RULE = rule(TWO)
A, B, C = RULE.steps()


def fits(step, m, bound=None, **known):
    return matcher(RULE, known=known).fits(step, m, bound or {})


@pytest.mark.parametrize("m, expected", [
    (message("x.a", 0, "hnb", "acs"), True), (message("x.ask", 0, "hnb", "acs"), True),
    (message("x.b", 0, "hnb", "acs"), False),            # another kind
    (message("x.a", 0, "acs", "hnb"), False),            # the other way
    (message("x.a", 0, "hnb", "acs2"), False),           # another host
    (message("x.a", 0, "other", "acs"), False),          # another device
])
def test_kind_and_ends(m, expected):
    assert fits(A, m, acs="acs") is expected


def test_an_unknown_role_leaves_it_open_but_is_never_the_device():
    assert fits(A, message("x.a", 0, "hnb", "acs")) is None
    assert fits(A, message("x.a", 0, "hnb", "inner"), acs="acs") is False


def test_a_name_that_nobody_knows_identifies_nothing():
    assert fits(C, message("x.c", name="hms.example")) is False
    assert fits(C, message("x.c", name="hms.example", incomplete=True)) is None


def test_an_answer_needs_the_transaction_of_its_request():
    all_of = matcher(RULE, known={"acs": "acs"})
    bound = all_of.after(A, message("x.a", 0, transaction=4, stream=1), {})
    assert all_of.fits(B, message("x.b", 1, "acs", "hnb", answers=4), bound) is True
    assert all_of.fits(B, message("x.b", 1, "acs", "hnb", answers=5), bound) is False
    assert all_of.fits(B, message("x.b", 1, "acs", "hnb"), bound) is False
    again = all_of.after(A, message("x.a", 2, transaction=5, stream=1), bound)
    assert all_of.fits(B, message("x.b", 3, "acs", "hnb", answers=4), again) is True      # a retry may cross its answer


def test_a_refusal_belongs_to_the_request_too():
    all_of = matcher(RULE, known={"acs": "acs"})
    bound = all_of.after(A, message("x.a", 0, transaction=4, stream=1, session=3), {})
    assert all_of.refuses(B, message("x.no", 1, "acs", "hnb", answers=4, code="BAD"), bound)
    assert not all_of.refuses(B, message("x.no", 1, "acs", "hnb", answers=4, code="OK"), bound)
    assert not all_of.refuses(B, message("x.no", 1, "acs", "hnb", answers=9, code="BAD"), bound)
    ended = {"complete": False, "stream": 7}
    assert all_of.refuses(B, message("cwmp.session_end", 1, session=3, **ended), bound)
    assert not all_of.refuses(B, message("cwmp.session_end", 1, session=8, **ended), bound)
    assert not all_of.refuses(B, message("x.no", 1, "acs", "hnb", answers=4, code="BAD"), {})


def test_a_role_is_learned_from_the_message_that_was_matched():
    all_of = matcher(RULE)
    bound = all_of.after(A, message("x.a", 0, "hnb", "acs"), {})
    assert bound["acs.address"] == (ADDRESSES["acs"],)
    assert all_of.fits(A, message("x.a", 1, "hnb", "acs2"), bound) is False


def test_what_could_ever_be_a_step():
    all_of = matcher(RULE, known={"acs": "acs"})
    assert all_of.could_be(B, message("x.b", 0, "acs", "hnb", answers=99))
    assert all_of.could_be(B, message("x.no", 0, "acs", "hnb"))
    assert not all_of.could_be(B, message("x.b", 0, "acs2", "hnb"))
    assert not all_of.could_be(B, message("x.z", 0, "acs", "hnb"))
