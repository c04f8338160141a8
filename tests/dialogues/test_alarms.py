"""TS 32.583 5.5.2: which alarms may open a session, and by which table of TR-196 FaultMgmt they are reported."""

import pytest
from dialogue import Line, asked_for, clock, inform_response, listed, over, rpc, session
from packets import post, reply

RULE = "ts32.583-5.5.2"
TABLES = "Device.FaultMgmt."


def attributes(line, name, notification, changed="true"):
    told = (f"<ParameterList><SetParameterAttributesStruct><Name>{name}</Name><NotificationChange>{changed}</NotificationChange>"
            f"<Notification>{notification}</Notification></SetParameterAttributesStruct></ParameterList>")
    over(asked_for(line).down(reply(rpc("SetParameterAttributes", arguments=told))).up(post(rpc("SetParameterAttributesResponse"))))
    line.wait(60)


def table_read(line, mechanism):
    """The manager reads the table of supported alarms, which has one row."""
    row = {"EventType": "Equipment", "ProbableCause": "Failure", "SpecificProblem": "", "PerceivedSeverity": "*",
           "ReportingMechanism": mechanism}
    asked = f"<ParameterNames><string>{TABLES}SupportedAlarm.</string></ParameterNames>"
    connection = asked_for(line).down(reply(rpc("GetParameterValues", arguments=asked)))
    shown = listed({f"{TABLES}SupportedAlarm.1.{name}": value for name, value in row.items()})
    over(connection.up(post(rpc("GetParameterValuesResponse", arguments=shown))))
    line.wait(60)


def alarm(line, table, *events):
    told = {"EventTime": clock(line), "EventType": "Equipment", "ProbableCause": "Failure", "SpecificProblem": "x",
            "PerceivedSeverity": "Major"}
    connection = session(line, *events, accepted=False, number="v1",
                         parameters={f"{TABLES}{table}.1.{name}": value for name, value in told.items()})
    over(connection.down(reply(inform_response("v1"))).up(post()))


def judged(line, tmp_path):
    return [(verdict, cause and cause.partition("/")[2]) for rule, verdict, cause in line.verdicts(tmp_path) if rule == RULE]


@pytest.mark.parametrize("name, notification, table, expected", [
    ("QueuedEvent.", 1, "QueuedEvent", ("fail", "passive-alarm-alone/forbidden")),
    ("QueuedEvent.", 0, "QueuedEvent", ("fail", "passive-alarm-alone/forbidden")),
    ("", 1, "QueuedEvent", ("fail", "passive-alarm-alone/forbidden")),              # the whole of FaultMgmt
    ("QueuedEvent.", 2, "QueuedEvent", ("pass", None)),
    ("ExpeditedEvent.", 1, "ExpeditedEvent", ("fail", "passive-expedited-alone/forbidden")),
    ("ExpeditedEvent.", 0, "ExpeditedEvent", ("fail", "passive-expedited-alone/forbidden")),
    ("ExpeditedEvent.", 2, "ExpeditedEvent", ("pass", None)),
    ("QueuedEvent.", 1, "ExpeditedEvent", ("pass", None)),
])
def test_a_notification_that_is_not_active_opens_no_session(name, notification, table, expected, tmp_path):
    line = Line()
    attributes(line, TABLES + name, notification)
    alarm(line, table, "4 VALUE CHANGE")
    assert judged(line, tmp_path) == [expected]


def test_attributes_that_are_not_changed_say_nothing(tmp_path):
    line = Line()
    attributes(line, TABLES + "ExpeditedEvent.", 0, changed="false")
    alarm(line, "ExpeditedEvent", "4 VALUE CHANGE")
    assert judged(line, tmp_path) == [("pass", None)]


@pytest.mark.parametrize("mechanism, table, events, expected", [
    ("0 Expedited", "QueuedEvent", ("2 PERIODIC", "4 VALUE CHANGE"), ("fail", "queued-though-expedited/forbidden")),
    ("1 Queued", "ExpeditedEvent", ("4 VALUE CHANGE",), ("fail", "expedited-though-queued/forbidden")),
    ("1 Queued", "QueuedEvent", ("2 PERIODIC", "4 VALUE CHANGE"), ("pass", None)),
    ("0 Expedited", "ExpeditedEvent", ("4 VALUE CHANGE",), ("pass", None)),
])
def test_an_alarm_is_reported_by_the_table_of_its_mechanism(mechanism, table, events, expected, tmp_path):
    line = Line()
    table_read(line, mechanism)
    alarm(line, table, *events)
    assert judged(line, tmp_path) == [expected]
