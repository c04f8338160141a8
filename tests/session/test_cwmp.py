"""CWMP sessions: what belongs to one, what answers what, how one ended."""

from dataclasses import replace

import pytest
from literals import SECOND, message

from flowcheck.session.cwmp import sessions

INFORM = {"id": "1", "DeviceId.SerialNumber": "S1", "Event.EventCode": ["1 BOOT"], "CurrentTime": "t"}


def session(*exchanges, start=0.0, stream=1, src="hnb", dst="acs", serial="S1"):
    """Each exchange is (what the device posts, what the ACS answers): a RPC, "" for an empty body, or a status."""
    made = []
    for number, (up, down) in enumerate(exchanges, 1):
        place = {"stream": stream, "exchange": number}
        at = start + number
        made.append(message("http.request", at, src, dst, method="POST", body_length=len(up), **place))
        if up:
            fields = {**INFORM, "DeviceId.SerialNumber": serial} if up == "Inform" else {"id": f"a{number - 1}"}
            made.append(replace(message(f"cwmp.{up}", at, src, dst, **place), fields=fields))
        if down is None:
            continue
        status = down if isinstance(down, int) else 200
        body = 0 if isinstance(down, int) or not down else 100
        made.append(message("http.response", at + 0.5, dst, src, status=status, body_length=body, **place))
        if body:
            reply = {"id": "1"} if down == "InformResponse" else {"id": f"a{number}"}
            made.append(replace(message(f"cwmp.{down}", at + 0.5, dst, src, **place), fields=reply))
    return made


def fin(at, src="hnb", dst="acs", stream=1, kind="tcp.fin"):
    return message(kind, at, src, dst, stream=stream)


def with_pages(messages):
    """The same with a body that is no SOAP in each HTTP response."""
    return [replace(m, fields={**m.fields, "body_length": 44}) if m.kind == "http.response" else m for m in messages]


GOOD = (("Inform", "InformResponse"), ("", "SetParameterValues"), ("SetParameterValuesResponse", 204))


def ends(found):
    return [(m.fields["complete"], m.fields["by"]) for m in found if m.kind == "cwmp.session_end"]


def rpcs(found):
    return [(m.kind[5:], m.transaction, m.answers, m.session) for m in found if m.protocol == "cwmp"]


def test_a_whole_session():
    found = sessions(session(*GOOD))
    assert rpcs(found) == [("Inform", 1, None, 1), ("InformResponse", None, 1, 1), ("SetParameterValues", 2, None, 1),
                           ("SetParameterValuesResponse", None, 2, 1), ("session_end", None, None, 1)]
    assert ends(found) == [(True, "acs")]


def test_an_empty_200_ends_it_too():
    assert ends(sessions(session(*GOOD[:2], ("SetParameterValuesResponse", "")))) == [(True, "acs")]


@pytest.mark.parametrize("messages, by, words", [
    ([*session(*GOOD[:2]), fin(9, kind="tcp.reset")], "device", "before SetParameterValues was answered"),
    ([*session(("Inform", None)), fin(9, "acs", "hnb")], "acs", "before Inform was answered"),
    ([*session(*GOOD[:2]), fin(9), fin(9.1, "acs", "hnb")], "device", "the device closed the connection before SetP"),
    (session(("Inform", 503)), "acs", "HTTP 503"),
    ([*with_pages(session(("Inform", 503))), fin(9), fin(9.1, "acs", "hnb")], "acs", "answered Inform with HTTP 503"),
    (session(("Inform", 204)), "acs", "HTTP 204"),
    ([*session(("Inform", "InformResponse")), fin(9)], "device", "closed the connection"),
])
def test_a_session_that_was_broken_off(messages, by, words):
    found = sessions(messages)
    assert ends(found) == [(False, by)]
    assert words in next(m for m in found if m.kind == "cwmp.session_end").fields["reason"]


def test_a_session_that_still_goes_on_has_no_end():
    assert ends(sessions(session(*GOOD[:2]))) == []


def test_where_packets_are_missing_the_end_is_not_known():
    found = sessions([*session(*GOOD[:2]), fin(9)], frozenset({1}))
    assert ends(found) == [(None, "device")]
    assert ends(sessions(session(*GOOD), frozenset({1}))) == [(True, "acs")]


def test_the_401_round_is_part_of_the_inform():
    challenged = session(("Inform", 401))
    again = session(*GOOD, start=1)
    for number, m in enumerate(again):
        again[number] = replace(m, exchange=m.exchange + 1)
    found = sessions([*challenged, *again])
    inform, = (m for m in found if m.kind == "cwmp.Inform")
    assert [ref.number for ref in inform.copies] == [10] and inform.frames[-1].number == 20
    assert ends(found) == [(True, "acs")]


def test_a_new_inform_begins_a_new_session():
    found = sessions([*session(*GOOD[:2]), *session(*GOOD, start=20, stream=2, serial="S2")])
    assert {m.session for m in found if m.protocol == "cwmp" and m.time > 20 * SECOND} == {2}
    found = sessions([*session(*GOOD), *session(*GOOD, start=20, stream=2)])
    assert ends(found) == [(True, "acs"), (True, "acs")]


def test_a_connection_for_each_request_is_one_session():
    first, second, third = (session(one) for one in GOOD)
    third = [replace(m, time=m.time + 2 * SECOND, stream=3) for m in third]
    second = [replace(m, time=m.time + SECOND, stream=2) for m in second]
    found = sessions([*first, fin(1.6), *second, fin(2.6, stream=2), *third])
    assert {m.session for m in found if m.protocol == "cwmp"} == {1} and ends(found) == [(True, "acs")]
    assert [m.answers for m in found if m.kind == "cwmp.SetParameterValuesResponse"] == [2]


def test_two_devices_at_once_stay_apart():
    one, two = session(*GOOD), session(*GOOD, start=0.1, stream=2, src="other", serial="S2")
    found = sessions(sorted([*one, *two], key=lambda m: m.time))
    by_stream = {m.stream: m.session for m in found if m.protocol == "cwmp"}
    assert by_stream[1] != by_stream[2] and ends(found) == [(True, "acs")] * 2


def test_an_answer_with_the_wrong_id_is_paired_and_said():
    messages = session(*GOOD)
    index = next(i for i, m in enumerate(messages) if m.kind == "cwmp.SetParameterValuesResponse")
    messages[index] = replace(messages[index], fields={"id": "other"})
    answer, = (m for m in sessions(messages) if m.kind == "cwmp.SetParameterValuesResponse")
    assert answer.answers == 2 and "'other'" in answer.problems[0].text


def test_a_fault_answers_the_open_request_of_the_other_side():
    found = sessions(session(*GOOD[:2], ("Fault", 204)))
    assert next(m for m in found if m.kind == "cwmp.Fault").answers == 2
    found = sessions(session(("Inform", "Fault")))
    assert next(m for m in found if m.kind == "cwmp.Fault").answers == 1


def test_connections_of_several_devices_behind_one_address_are_not_taken_for_one_session():
    """A new connection from the NAT goes on with nobody's session, and an Inform in it ends no other device's."""
    def opened(at, serial, stream, exchange=1):
        request = message("http.request", at, f"nat:{1000 + stream}", "acs", stream=stream, exchange=exchange,
                          method="POST")
        told = message("cwmp.Inform", at, f"nat:{1000 + stream}", "acs", stream=stream, exchange=exchange,
                       DeviceId__SerialNumber=serial, id="1")
        return [request, told]

    closed = message("tcp.fin", 2, "nat:1001", "acs", stream=1)
    out = sessions([*opened(1, "S1", 1), closed, *opened(3, "S2", 2)])
    assert {m.fields["DeviceId.SerialNumber"]: m.session for m in out if m.kind == "cwmp.Inform"} == {"S1": 1, "S2": 2}
    assert not [m for m in out if m.kind == "cwmp.session_end"
                and m.fields["reason"] == "the device began a new session"]
    goes_on = message("http.request", 4, "nat:1003", "acs", stream=3, exchange=1, method="POST")
    out = sessions([*opened(1, "S1", 1), *opened(1.5, "S2", 2), closed, goes_on])
    assert [m.session for m in out if m.stream == 3] == [None]


def test_a_session_from_before_the_capture_is_no_second_device():
    """It names nobody, so a device with a connection for each request goes on all the same."""
    def posted(at, stream, **more):
        return message("http.request", at, "hnb", "acs", stream=stream, exchange=1, method="POST", **more)

    before = [posted(0, 1), message("cwmp.GetParameterValuesResponse", 0, "hnb", "acs", stream=1, exchange=1, id="9")]
    begun = [posted(10, 2), message("cwmp.Inform", 10, "hnb", "acs", stream=2, exchange=1,
                                    DeviceId__SerialNumber="S1", id="1"),
             message("tcp.fin", 11, "hnb", "acs", stream=2)]
    out = sessions([*before, *begun, posted(12, 3)])
    assert [m.session for m in out if m.stream == 3] == [next(m.session for m in out if m.kind == "cwmp.Inform")]


def test_a_session_that_the_next_one_ends_has_ended_before_it():
    first = session(("Inform", None), start=0)
    again = [replace(m, fields={**m.fields, "id": "2", "CurrentTime": "u"}) if m.kind == "cwmp.Inform" else m
             for m in session(("Inform", "InformResponse"), start=60, stream=2)]
    out = [m for m in sessions([*first, fin(30), *again]) if m.protocol == "cwmp"]
    assert [m.kind.partition(".")[2] for m in out][:3] == ["Inform", "session_end", "Inform"]
    assert [(m.session, m.stream) for m in out[:3]] == [(1, 1), (1, 1), (2, 2)]
    assert out[1].fields["complete"] is False and out[1].frames == out[2].frames


def last_end(found):
    return [m for m in found if m.kind == "cwmp.session_end"][-1].fields


def test_who_left_a_post_unanswered_owes_the_answer():
    asked = session(("Inform", "InformResponse"), ("", None))
    end = last_end(sessions([*asked, fin(10)]))
    assert (end["by"], end["owing"], end["waited"]) == ("device", "acs", 8 * SECOND)
    assert end["reason"] == "the device closed the connection before its POST was answered"
    end = last_end(sessions([*asked, fin(2.1, "acs", "hnb", kind="tcp.reset")]))
    assert end["by"] == "acs" and end["reason"] == "the ACS reset the connection instead of answering a POST"


def test_nobody_owes_an_answer_to_who_leaves_unasked():
    end = last_end(sessions([*session(("Inform", "InformResponse")), fin(9)]))
    assert end["by"] == "device" and "owing" not in end


def test_a_challenge_with_the_last_word_is_unmet():
    refused = [*session(("Inform", 401), ("Inform", 401)), fin(9)]
    assert [m.fields.get("challenge_unmet") for m in sessions(refused) if m.kind == "http.response"] == [None, True]
    met = session(("Inform", 401), *GOOD)
    assert not any(m.fields.get("challenge_unmet") for m in sessions(met))


def test_a_session_without_an_end_is_over_when_the_device_begins_the_next():
    """How it ended is not known; nothing is said of a device that does not name itself."""
    left = session(("Inform", "InformResponse"), ("", "FactoryReset"), ("FactoryResetResponse", None))
    later = [replace(m, fields={**m.fields, "CurrentTime": "later"}) if m.kind == "cwmp.Inform" else m
             for m in session(*GOOD, start=30, stream=2)]
    assert ends(sessions([*left, *later])) == [(None, "device"), (True, "acs")]
    nameless = [replace(m, fields={**m.fields, "DeviceId.SerialNumber": ""}) if m.kind == "cwmp.Inform" else m for m in (*left, *later)]
    assert ends(sessions(nameless)) == [(True, "acs")]


def test_an_inform_repeated_over_another_open_connection_is_the_same_inform():
    challenged = session(("Inform", 401))
    found = sessions([*challenged, *session(*GOOD, start=3, stream=2)])
    assert [kind for kind, *_ in rpcs(found)].count("Inform") == 1 and ends(found) == [(True, "acs")]
