import json
from dataclasses import replace

import pytest

from flowcheck.report import as_json, mask, text

from dataclasses import asdict


def test_no_planted_secret_is_left_anywhere(secret, secrets):
    everything = repr(asdict(mask.masked(secret)))
    assert [planted for planted in secrets if planted in everything or planted.encode().hex() in everything] == []


def test_no_planted_secret_in_json_or_text(secret, secrets):
    out = as_json.dumps(secret) + text.summary(secret, verbose=True)
    assert [planted for planted in secrets if planted in out] == []


def test_shown_when_asked(secret, secrets):
    out = as_json.dumps(secret, show_secrets=True)
    assert all(planted in out for planted in secrets if planted not in ("pskPlanted99",)) and "pskPlanted99" in out


def test_what_is_no_secret_stays(several):
    masked = mask.masked(several)
    assert masked.devices[0].identity == several.devices[0].identity
    assert masked.devices[0].attempts[0] == several.devices[0].attempts[0]
    parameters = masked.devices[0].attempts[1].events[10].fields["ParameterList"]
    assert parameters["Device.ManagementServer.URL"] == "http://hms-serv.oam.example:7547/acs"
    assert parameters["Device.ManagementServer.Password"] == "[masked]"


def test_masking_twice_changes_nothing(secret):
    once = mask.masked(secret)
    assert mask.masked(once) == once


@pytest.mark.parametrize("fields", [
    {"Username": "00193B-LF21A000101"}, {"CommandKey": "job-7", "ParameterKey": "k"}, {"token": "a1b2", "tokens": 3},
    {"ParameterKey": "x"}, {"qname": "pass.example"}, {"Password": ""}, {"passed": "yes"},
    {"PasswordChangeUseCount": "5"}, {"Device.Kit": "a", "Device.PINs": "3", "Device.Community.Name": "x"}])
def test_names_that_only_look_secret(fields, refused):
    attempt = refused.devices[0].attempts[0]
    event = replace(attempt.events[0], fields=fields)
    device = replace(refused.devices[0], attempts=(replace(attempt, events=(event,),
                                                           diagnosis="LF21A000101 says job-7"),))
    masked = mask.masked_device(device)
    assert masked.attempts[0].diagnosis == "LF21A000101 says job-7"
    if "Username" not in fields:
        assert masked.attempts[0].events[0].fields == fields


@pytest.mark.parametrize("before, after", [
    ("<Password>abc</Password>", "<Password>[masked]</Password>"),
    ("<c:ConnectionRequestPassword xsi:type='x'>abc</c:ConnectionRequestPassword>",
     "<c:ConnectionRequestPassword xsi:type='x'>[masked]</c:ConnectionRequestPassword>"),
    ("<Name>A.Password</Name>\n<Value xsi:type=\"xsd:string\">abc</Value>",
     "<Name>A.Password</Name>\n<Value xsi:type=\"xsd:string\">[masked]</Value>"),
    ('{"password": "a\\"bc", "x": 1}', '{"password": "[masked]", "x": 1}'),
    ("Authorization: Digest username=\"a\", response=\"b\"", "Authorization: [masked]"),
    ("PASS abc\r\n230 ok", "PASS [masked]\r\n230 ok"),
    ("ftp://u:p@files.example/x", "ftp://[masked]@files.example/x"),
    ("password=abc&x=1", "password=[masked]&x=1"),
    ("POST /acs?a=1&token=abc%3D&b=2 HTTP/1.1", "POST /acs?a=1&token=[masked]&b=2 HTTP/1.1"),
    ("https://h/f?X-Amz-Signature=abc#x", "https://h/f?X-Amz-Signature=[masked]#x"),
    ("token=abc&b=2", "token=[masked]&b=2"), ("/acs?tokens=3&key=a", "/acs?tokens=3&key=a"),
    ("PASSED: all", "PASSED: all"),
    ("the password was wrong", "the password was wrong"),
    ("a@b.example", "a@b.example"),
])
def test_secrets_in_prose(before, after):
    assert mask._without_pairs(before) == after
    assert mask._without_pairs(after) == after


def test_masking_hostile_text_takes_linear_time(refused):
    attempt = refused.devices[0].attempts[0]
    for unit in ("password", "<Name>", "<a ", "Password=", "://", "x@", "\"password\" :", "cookie:", "a.",
                 "<Password "):
        event = replace(attempt.events[0], fields={"body": unit * (200_000 // len(unit))})
        mask.masked_device(replace(refused.devices[0], attempts=(replace(attempt, events=(event,)),)))


def test_json_keeps_the_scheme(secret):
    data = json.loads(as_json.dumps(secret))
    headers = data["devices"][0]["attempts"][0]["events"][2]["fields"]["headers"]
    assert headers == {"Authorization": "Basic [masked]", "Cookie": "[masked]", "Host": "hms.example"}


@pytest.mark.parametrize("name", [
    "Device.X_0019_USIM.K", "Device.USIM.OPc", "Device.USIM.PIN", "Device.SNMP.Community", "Device.X_VENDOR.AdminPwd",
    "Device.SelfTest.AuthToken", "Device.X_VENDOR.Passcode", "Device.IKE.1.PSK", "Device.SNMP.CommunityString"])
def test_parameters_that_hold_secrets(name, refused):
    attempt = refused.devices[0].attempts[0]
    event = replace(attempt.events[0], fields={"ParameterList": {name: "0F1122334455", "Device.Name": "0F1122334455 left"}})
    device = replace(refused.devices[0], attempts=(replace(attempt, events=(event,)),))
    assert mask.masked_device(device).attempts[0].events[0].fields == {
        "ParameterList": {name: "[masked]", "Device.Name": "[masked] left"}}
