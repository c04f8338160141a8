"""CWMP: every RPC, the quirks of real stacks, what is cut, and what is refused."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from flowcheck.decode import cwmp
from flowcheck.model import Context, Endpoint, FrameRef

PUBLIC = Path(__file__).parents[3] / "shared" / "captures" / "public" / "cwmp-messages"
CONTEXT = Context(5, (FrameRef(0, 9),), Endpoint("192.0.2.1", 40000), Endpoint("198.51.100.2", 7547),
                  ("eth", "ip", "tcp", "http"), 7,
                  exchange=3)

INFORM = """<cwmp:Inform>
 <DeviceId><Manufacturer>Example</Manufacturer><OUI>00193B</OUI><ProductClass>HNB</ProductClass><SerialNumber>A1</SerialNumber></DeviceId>
 <Event soap-enc:arrayType="cwmp:EventStruct[2]"><EventStruct><EventCode>1 BOOT</EventCode><CommandKey/></EventStruct>
  <EventStruct><EventCode>M Reboot</EventCode><CommandKey>k1</CommandKey></EventStruct></Event>
 <MaxEnvelopes>1</MaxEnvelopes><CurrentTime>2026-05-01T12:00:00Z</CurrentTime><RetryCount>2</RetryCount>
 <ParameterList soap-enc:arrayType="cwmp:ParameterValueStruct[2]">
  <ParameterValueStruct><Name>Device.DeviceInfo.SoftwareVersion</Name><Value xsi:type="xsd:string"> 1.0 </Value></ParameterValueStruct>
  <ParameterValueStruct><Name>Device.ManagementServer.ParameterKey</Name><Value xsi:type="xsd:string"/></ParameterValueStruct>
 </ParameterList></cwmp:Inform>"""


def envelope(body, header="<cwmp:ID soap-env:mustUnderstand=\"1\">42</cwmp:ID>", version="1-0",
             soap="http://schemas.xmlsoap.org/soap/envelope/"):
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<soap-env:Envelope xmlns:soap-env="{soap}" xmlns:soap-enc="http://schemas.xmlsoap.org/soap/encoding/"
 xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xmlns:cwmp="urn:dslforum-org:cwmp-{version}"><soap-env:Header>{header}</soap-env:Header>
<soap-env:Body>{body}</soap-env:Body></soap-env:Envelope>""".encode()


def decode(data, missing=0, **carrier):
    from dataclasses import replace
    return list(cwmp.decode(data, replace(CONTEXT, missing=missing, carrier=carrier)))


def one(body, **more):
    [message] = decode(envelope(body, **more))
    return message


def texts(message):
    return [problem.text for problem in message.problems]


def test_inform():
    message = one(INFORM)
    assert message.kind == "cwmp.Inform" and not message.problems and not message.incomplete
    assert (message.frames, message.time, message.exchange, message.layers) == (CONTEXT.frames, 5, 3, CONTEXT.layers)
    assert message.fields == {
        "id": "42", "cwmp_version": "1.0", "DeviceId.Manufacturer": "Example", "DeviceId.OUI": "00193B",
        "DeviceId.ProductClass": "HNB",
        "DeviceId.SerialNumber": "A1", "MaxEnvelopes": 1, "CurrentTime": "2026-05-01T12:00:00Z", "RetryCount": 2,
        "Event": [{"EventCode": "1 BOOT", "CommandKey": ""}, {"EventCode": "M Reboot", "CommandKey": "k1"}],
        "Event.EventCode": ["1 BOOT", "M Reboot"], "Event.CommandKey": ["", "k1"],
        "ParameterList": {"Device.DeviceInfo.SoftwareVersion": "1.0", "Device.ManagementServer.ParameterKey": ""}}


RPCS = [
    ("GetRPCMethodsResponse", "<MethodList><string>Inform</string><string>Reboot</string></MethodList>",
     {"MethodList": ["Inform", "Reboot"]}),
    ("SetParameterValues", "<ParameterList><ParameterValueStruct><Name>A.B</Name><Value>1</Value></ParameterValueStruct></ParameterList>"
     "<ParameterKey>k</ParameterKey>", {"ParameterList": {"A.B": "1"}, "ParameterKey": "k"}),
    ("SetParameterValuesResponse", "<Status>1</Status>", {"Status": 1}),
    ("GetParameterValues", "<ParameterNames><string>A.</string></ParameterNames>", {"ParameterNames": ["A."]}),
    ("GetParameterValues", "<ParameterNames/>", {"ParameterNames": []}),
    ("GetParameterNames", "<ParameterPath>A.</ParameterPath><NextLevel>true</NextLevel>",
     {"ParameterPath": "A.", "NextLevel": True}),
    ("GetParameterNamesResponse", "<ParameterList><ParameterInfoStruct><Name>A.B</Name><Writable>0</Writable></ParameterInfoStruct>"
     "</ParameterList>", {"ParameterList": {"A.B": False}}),
    ("SetParameterAttributes", "<ParameterList><SetParameterAttributesStruct><Name>A</Name><NotificationChange>1</NotificationChange>"
     "<Notification>2</Notification><AccessListChange>false</AccessListChange><AccessList><string>Subscriber</string></AccessList>"
     "</SetParameterAttributesStruct></ParameterList>",
     {"ParameterList": {"A": {"NotificationChange": True, "Notification": 2, "AccessListChange": False,
                              "AccessList": ["Subscriber"]}}}),
    ("GetParameterAttributesResponse", "<ParameterList><ParameterAttributeStruct><Name>A</Name><Notification>0</Notification><AccessList/>"
     "</ParameterAttributeStruct></ParameterList>", {"ParameterList": {"A": {"Notification": 0, "AccessList": []}}}),
    ("AddObjectResponse", "<InstanceNumber>3</InstanceNumber><Status>0</Status>", {"InstanceNumber": 3, "Status": 0}),
    ("Download", "<CommandKey>c</CommandKey><FileType>3 Vendor Configuration File</FileType><URL>http://h.example/f</URL><Username>u</Username>"
     "<Password>p</Password><FileSize>10</FileSize><TargetFileName/><DelaySeconds>0</DelaySeconds><SuccessURL/><FailureURL/>",
     {"CommandKey": "c", "FileType": "3 Vendor Configuration File", "URL": "http://h.example/f", "Username": "u",
      "Password": "p",
      "FileSize": 10, "TargetFileName": "", "DelaySeconds": 0, "SuccessURL": "", "FailureURL": ""}),
    ("FactoryReset", "", {}),
    ("TransferComplete", "<CommandKey>c</CommandKey><FaultStruct><FaultCode>9010</FaultCode><FaultString>no</FaultString></FaultStruct>"
     "<StartTime>s</StartTime><CompleteTime>e</CompleteTime>", {"CommandKey": "c", "FaultStruct.FaultCode": 9010,
                                                                "FaultStruct.FaultString": "no", "StartTime": "s",
                                                                "CompleteTime": "e"}),
    ("GetAllQueuedTransfersResponse", "<TransferList><AllQueuedTransferStruct><CommandKey>c</CommandKey><State>2</State>"
     "<IsDownload>1</IsDownload></AllQueuedTransferStruct></TransferList>",
     {"TransferList": [{"CommandKey": "c", "State": 2, "IsDownload": True}], "TransferList.CommandKey": ["c"],
      "TransferList.State": [2], "TransferList.IsDownload": [True]}),
    ("ChangeDUState", '<Operations><x xsi:type="cwmp:UninstallOpStruct"><UUID>u</UUID></x></Operations><CommandKey>c</CommandKey>',
     {"Operations": [{"type": "UninstallOpStruct", "UUID": "u"}], "Operations.type": ["UninstallOpStruct"],
      "Operations.UUID": ["u"],
      "CommandKey": "c"}),
    ("DUStateChangeComplete", "<Results><UUID>u</UUID><Resolved>1</Resolved><Fault><FaultCode>0</FaultCode></Fault></Results>"
     "<CommandKey>c</CommandKey>", {"Results": [{"UUID": "u", "Resolved": True, "Fault.FaultCode": 0}],
                                    "CommandKey": "c"}),
    ("X_00193B_Dance", "<Steps>3</Steps><Where><Floor>2</Floor></Where>", {"Steps": "3", "Where.Floor": "2"}),
]


@pytest.mark.parametrize("name, arguments, expected", RPCS, ids=[f"{n}-{i}" for i, (n, *_) in enumerate(RPCS)])
def test_rpcs(name, arguments, expected):
    message = one(f"<cwmp:{name}>{arguments}</cwmp:{name}>")
    assert message.kind == "cwmp." + name
    fields = {k: v for k, v in message.fields.items() if k not in ("id", "cwmp_version")}
    assert {k: v for k, v in fields.items() if k in expected} == expected
    assert name == "DUStateChangeComplete" or fields.keys() == expected.keys()
    assert not any("schema order" in t or "without" in t for t in texts(message))


FAULT = """<soap-env:Fault><faultcode>Client</faultcode><faultstring>CWMP fault</faultstring><detail><cwmp:Fault><FaultCode>9003</FaultCode>
<FaultString>Invalid arguments</FaultString>%s</cwmp:Fault></detail></soap-env:Fault>"""
ONE_FAULT = ("<SetParameterValuesFault><ParameterName>A.%d</ParameterName><FaultCode>9007</FaultCode><FaultString>bad</FaultString>"
             "</SetParameterValuesFault>")


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fault(count):
    message = one(FAULT % "".join(ONE_FAULT % i for i in range(count)))
    assert message.kind == "cwmp.Fault" and not message.problems
    assert (message.fields["faultcode"], message.fields["FaultCode"],
            message.fields["FaultString"]) == ("Client", 9003, "Invalid arguments")
    assert message.fields.get("SetParameterValuesFault", []) == \
        [{"ParameterName": f"A.{i}", "FaultCode": 9007, "FaultString": "bad"} for i in range(count)]
    assert message.fields.get("SetParameterValuesFault.FaultCode", []) == [9007] * count


@pytest.mark.parametrize("version, header, expected", [
    ("1-0", "", "1.0"), ("1-1", "", "1.1"), ("1-2", "", "1.2"),
    ("1-2", "<cwmp:SessionTimeout>30</cwmp:SessionTimeout>", "1.3"),
    ("1-2", "<cwmp:SupportedCWMPVersions>1.0,1.2, 1.4</cwmp:SupportedCWMPVersions>", "1.4"),
    ("1-2", "<cwmp:UseCWMPVersion>1.3</cwmp:UseCWMPVersion>", "1.3")])
def test_versions(version, header, expected):
    for body in ("<cwmp:Reboot><CommandKey/></cwmp:Reboot>", FAULT % ""):
        assert one(body, version=version, header=header).fields["cwmp_version"] == expected


def test_header():
    fields = one("<cwmp:FactoryReset/>", header="<cwmp:ID> 1 </cwmp:ID><cwmp:HoldRequests>true</cwmp:HoldRequests>"
                 "<cwmp:NoMoreRequests>0</cwmp:NoMoreRequests><cwmp:SessionTimeout>40</cwmp:SessionTimeout>").fields
    assert (fields["id"], fields["HoldRequests"], fields["NoMoreRequests"],
            fields["SessionTimeout"]) == (" 1 ", True, False, 40)
    assert one("<cwmp:FactoryReset/>", header="").fields["id"] is None


def test_empty_body_and_other_soap():
    assert one("").kind == "cwmp.empty" and one("", header="<cwmp:HoldRequests>1</cwmp:HoldRequests>").fields["HoldRequests"] is True
    upnp = b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>%s</s:Body></s:Envelope>'
    for body in (b'<u:GetStatus xmlns:u="urn:schemas-upnp-org:service:X:1"/>',
                 b"<s:Fault><faultcode>s:Client</faultcode></s:Fault>", b""):
        assert not decode(upnp % body)
    assert not decode(b"<SyncML><SyncHdr/></SyncML>") and not decode(b"<html><body>busy</body></html>") and not decode(b"")


def test_several_envelopes_and_what_follows_one():
    found = decode(envelope("<cwmp:Reboot><CommandKey/></cwmp:Reboot>") + b"\n" + envelope("<cwmp:FactoryReset/>"))
    assert [m.kind for m in found] == ["cwmp.Reboot", "cwmp.FactoryReset"] and texts(found[1]) == ["several envelopes in one HTTP message"]
    assert [m.kind for m in decode(envelope("<cwmp:FactoryReset/>") + b"\0\0 \r\n")] == ["cwmp.FactoryReset"]
    [message] = decode(envelope("<cwmp:FactoryReset/>") + b"trailing text")
    assert message.kind == "cwmp.FactoryReset" and texts(message) == ["the body does not end with the envelope"]


def test_prefixes_and_qualified_children():
    data = envelope(INFORM).decode()
    other = data.replace("soap-env:", "SOAP:").replace("xmlns:soap-env",
                                                       "xmlns:SOAP").replace("cwmp:", "ns4:").replace(":cwmp=", ":ns4=")
    other = other.replace("urn:dslforum-org:ns4", "urn:dslforum-org:cwmp").encode()
    assert decode(other)[0].fields == decode(envelope(INFORM))[0].fields
    qualified = re.sub(r"<(/?)(?!cwmp:|soap-env:|\?)(\w)", r"<\1cwmp:\2", INFORM)
    message = one(qualified)
    assert message.fields == one(INFORM).fields
    assert texts(message) == ["arguments of Inform are qualified; the schema has them unqualified"]


@pytest.mark.parametrize("old, new, text", [
    (">00193B<", ">00193b<", "OUI '00193b'"), ("[2]\"><EventStruct>", "[3]\"><EventStruct>", "has 2 entries"),
    ("<SerialNumber>A1</SerialNumber>", "", "DeviceId without SerialNumber"),
    ("<RetryCount>2</RetryCount>", "", "Inform without RetryCount"),
    ("<MaxEnvelopes>1<", "<MaxEnvelopes>2<", "MaxEnvelopes is 2"),
    ("<RetryCount>2<", "<RetryCount>two<", "RetryCount 'two' is no number"),
    ("M Reboot", "BOOT", "event code 'BOOT'"), ("<CommandKey/>", "<CommandKey>k</CommandKey>", "has a CommandKey"),
    ("Device.ManagementServer.ParameterKey", "Device.DeviceInfo.SoftwareVersion", "is twice"),
    ("<Manufacturer>Example</Manufacturer><OUI>00193B</OUI>", "<OUI>00193B</OUI><Manufacturer>Example</Manufacturer>",
     "schema order"),
    (">k1<", f">{'k' * 40}<", None), ("Example", "E" * 70, "70 characters"), ("Example", "A & B", "not well-formed"),
])
def test_problems_of_an_inform(old, new, text):
    assert old in INFORM
    message = one(INFORM.replace(old, new, 1))
    assert message.kind == "cwmp.Inform" and message.fields["DeviceId.ProductClass"] == "HNB" and not message.incomplete
    assert text is None or any(text in t for t in texts(message)), texts(message)
    if new == "A & B":
        assert message.fields["DeviceId.Manufacturer"] == "A & B"


@pytest.mark.parametrize("body, text", [
    ("<cwmp:SetParameterValuesResponse><Status>2</Status></cwmp:SetParameterValuesResponse>", "neither 0 nor 1"),
    ("<cwmp:AddObject><ObjectName>A.B</ObjectName><ParameterKey/></cwmp:AddObject>", "end with a dot"),
    ("<cwmp:Upload><CommandKey/><FileType>1 Vendor Configuration File</FileType><URL>/x</URL></cwmp:Upload>",
     "URL '/x'"),
    ("<cwmp:Reboot><CommandKey/></cwmp:Reboot><cwmp:FactoryReset/>", "2 RPCs"),
    ("<Reboot><CommandKey/></Reboot>", "no CWMP namespace"),
    ("<cwmp:GetParameterNames><ParameterPath/><NextLevel>yes</NextLevel></cwmp:GetParameterNames>", "no boolean"),
    (FAULT.replace("9003", "12") % "", "outside"), (FAULT.replace("CWMP fault", "oops") % "", "is not 'CWMP fault'"),
    ("<soap-env:Fault><faultcode>Client</faultcode></soap-env:Fault>", "without a CWMP FaultCode")])
def test_problems_of_others(body, text):
    found = decode(envelope(body))
    assert found and any(text in t for t in texts(found[0])), texts(found[0])


def test_fault_codes_by_side():
    assert not decode(envelope(FAULT % ""), direction="request")[0].problems
    assert "not for this side" in texts(decode(envelope(FAULT % ""), direction="response")[0])[0]


def test_soap_1_2():
    message = one(INFORM, soap="http://www.w3.org/2003/05/soap-envelope")
    assert message.kind == "cwmp.Inform" and texts(message) == ["a SOAP 1.2 envelope; CWMP uses 1.1"]


def test_entities_are_refused():
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY f SYSTEM "file:///etc/hostname">]>' + envelope(INFORM).split(b"?>", 1)[1]
    [message] = decode(bomb)
    assert message.kind == "cwmp.malformed" and "DTD" in texts(message)[0] and not message.fields


def test_wrong_encoding_and_control_characters():
    data = envelope(INFORM.replace("Example", "Soci\u00e9t\u00e9 \x01"))
    [message] = decode(data.decode().encode("latin-1"))
    assert message.fields["DeviceId.Manufacturer"] == "Soci\u00e9t\u00e9" and "not well-formed" in texts(message)[0]
    assert decode(envelope(INFORM).decode().replace("UTF-8",
                                                    "UTF-16").encode("utf-16"))[0].fields["DeviceId.OUI"] == "00193B"


def test_entities_that_nobody_defined_in_a_cut_body():
    body = (b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:cwmp="urn:dslforum-org:cwmp-1-0"><s:Body>&foo;'
            b'<cwmp:Inform><DeviceId><OUI>00&bar;5E</OUI>&foo;<SerialNumber>1</SerialNumber></DeviceId>&foo;<MaxEnv')
    inform, = decode(body, missing=100)
    assert inform.incomplete and inform.kind == "cwmp.Inform" and inform.fields["DeviceId.SerialNumber"] == "1"


def test_cut_at_every_length():
    whole = envelope(INFORM)
    [full] = decode(whole)
    closed = whole.rindex(b">")
    for length in range(0, len(whole), 1):
        for message in decode(whole[:length], missing=len(whole) - length):
            assert message.incomplete and length <= closed
            if message.kind == "cwmp.Inform":
                for name, value in message.fields.items():
                    expected = full.fields[name]
                    if isinstance(value, dict):
                        assert value.items() <= expected.items()
                    elif isinstance(value, list):
                        assert all(v in expected or isinstance(v, dict)
                                   and any(v.items() <= e.items() for e in expected) for v in value)
                    else:
                        assert value == expected
                assert not message.problems


def test_every_kind_declares_its_fields():
    assert {"DeviceId.SerialNumber", "Event.EventCode", "ParameterList", "id"} <= set(cwmp.KINDS["cwmp.Inform"])
    assert {"cwmp.Download", "cwmp.ChangeDUStateResponse", "cwmp.Fault", "cwmp.empty",
            "cwmp.session_end"} <= set(cwmp.KINDS)
    rpcs = {kind for kind in cwmp.KINDS if kind[5].isupper() and kind != "cwmp.Fault"}
    assert {kind for kind in rpcs if not kind.endswith("Response")} == {kind.removesuffix("Response") for kind in rpcs}


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the public CWMP messages are not here")
def test_public_messages():
    files = sorted(PUBLIC.rglob("*.xml"))
    assert files
    for path in files:
        data = path.read_bytes()
        found = decode(data)
        assert found, path.name
        text = data.decode("utf-8", "replace")
        bare = re.sub(r"<(/?)[\w.-]+:", r"<\1", re.sub(r"<!--.*?-->", "", text, flags=re.S))
        for message in found:
            rpc = message.kind.partition(".")[2]
            assert re.search(rf"<{rpc}[\s/>]", bare), path.name
        fields = found[0].fields
        if found[0].kind == "cwmp.Inform":
            for member in ("Manufacturer", "OUI", "ProductClass", "SerialNumber"):
                assert fields["DeviceId." + member] == re.search(rf"<{member}(?:\s*/>|[^>]*>([^<]*))",
                                                                 bare)[1], path.name
            assert fields["Event.EventCode"] == re.findall(r"<EventCode[^>]*>([^<]*)", bare), path.name
        if "ParameterList" in fields:
            names = re.findall(r"<Name[^>]*>\s*([^<]*?)\s*</Name>", bare)
            assert list(fields["ParameterList"]) == list(dict.fromkeys(names)), path.name


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_noise(data):
    whole = bytearray(envelope(INFORM))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at:at + data.draw(st.integers(0, 30))] = data.draw(st.one_of(st.binary(max_size=5), st.sampled_from([b"<", b">", b"&", b"</", b"<a/>"])))
    for message in decode(bytes(whole), missing=data.draw(st.integers(0, 1))):
        assert message.kind.startswith("cwmp.")
    assert decode(data.draw(st.binary(max_size=200))) == []
