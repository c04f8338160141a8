"""Against the text of SARIF 2.1.0: the sections named are those of the specification."""

import json
import re
from dataclasses import replace
from urllib.parse import unquote, urlsplit

import pytest

from flowcheck.model import FrameRef
from flowcheck.report import as_sarif

ALL = ["refused", "several", "hidden", "passed", "hostile", "secret", "empty"]


@pytest.mark.parametrize("name", ALL)
def test_structure(name, request):
    log = as_sarif.sarif(request.getfixturevalue(name))
    # 3.13
    assert log["version"] == "2.1.0" and log["$schema"].endswith("sarif-schema-2.1.0.json") and len(log["runs"]) == 1
    run = log["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    # 3.49.3
    assert len({rule["id"] for rule in rules}) == len(rules)
    assert all(rule["shortDescription"]["text"] for rule in rules)
    for result in run["results"]:
        # 3.27.6
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        # 3.27.11
        assert result["message"]["text"]
        # 3.27.9, 3.27.10
        assert result["level"] in (("none",) if result["kind"] != "fail" else ("error", "warning", "note"))
        # 3.27.17
        assert all(re.fullmatch("[0-9a-f]{64}", value) for value in result["partialFingerprints"].values())
        # 3.35.2
        assert all(value["kind"] in ("inSource", "external") for value in result.get("suppressions", ()))
        for location in result["locations"] + [step["location"] for flow in result.get("codeFlows", ())
                                               for thread in flow["threadFlows"]
                                               for step in thread["locations"]]:
            place = location["physicalLocation"]
            # 3.30.5
            assert place["region"]["startLine"] >= 1
            assert run["artifacts"][place["artifactLocation"]["index"]]["location"]["uri"] == place["artifactLocation"]["uri"]
    for artifact in run["artifacts"]:
        uri = artifact["location"]["uri"]
        assert re.fullmatch(r"[A-Za-z0-9._~/%:-]*", uri) and urlsplit(uri).scheme in ("", "file")
    # 3.9
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", i["endTimeUtc"])
               for i in run["invocations"] if "endTimeUtc" in i)
    # 3.20.14
    assert all(isinstance(i["executionSuccessful"], bool) for i in run["invocations"])
    json.loads(as_sarif.dumps(request.getfixturevalue(name)))


def test_a_failure_with_its_ladder(refused):
    run = as_sarif.sarif(refused)["runs"][0]
    first = run["results"][0]
    assert first["ruleId"] == "ts32.583-5.1.1/auth-answer/refused:AUTHENTICATION_FAILED" and first["level"] == "error"
    assert [p["physicalLocation"]["region"]["startLine"] for p in first["locations"]] == [9, 10, 11]
    steps = first["codeFlows"][0]["threadFlows"][0]["locations"]
    assert len(steps) == 6 and steps[-1]["importance"] == "essential"
    assert steps[-1]["location"]["message"]["text"].startswith("SeGW (initial) → HNB: ike.auth.response")
    assert "codeFlows" not in run["results"][1]


def test_inconclusive_is_open(hidden):
    result = as_sarif.sarif(hidden)["runs"][0]["results"][0]
    assert (result["kind"], result["level"], result["ruleId"]) == ("open", "none", "ts32.583-5.1.1/inconclusive")
    assert "ip xfrm state" in result["message"]["text"]


def test_waived_findings_are_suppressed(several):
    waived = [r for r in as_sarif.sarif(several)["runs"][0]["results"] if "suppressions" in r]
    assert [r["suppressions"][0]["justification"] for r in waived] == ["known defect of firmware 4.2, until 2027-01-31"]


def test_fingerprints_do_not_know_frames_or_times(refused):
    attempt = refused.devices[0].attempts[0]
    later = replace(attempt, started=attempt.started + 1,
                    findings=tuple(replace(f, frames=(FrameRef(0, 99),)) for f in attempt.findings))
    moved = replace(refused, devices=(replace(refused.devices[0], attempts=(later,)),))
    prints = [[r["partialFingerprints"] for r in as_sarif.sarif(one)["runs"][0]["results"]] for one in (refused, moved)]
    assert prints[0] == prints[1] and len({str(p) for p in prints[0]}) == 2


def test_paths_become_uris(refused):
    odd = replace(refused, captures=(replace(refused.captures[0], path="/lab x/ü\"<.pcap"), refused.captures[1]))
    uri = as_sarif.sarif(odd)["runs"][0]["artifacts"][0]["location"]["uri"]
    assert uri.startswith("file:///") and unquote(uri) == "file:///lab x/ü\"<.pcap"


def test_limits(refused, monkeypatch):
    monkeypatch.setattr(as_sarif, "RESULTS", 1)
    monkeypatch.setattr(as_sarif, "LOCATIONS", 2)
    run = as_sarif.sarif(refused)["runs"][0]
    assert len(run["results"]) == 1 and len(run["results"][0]["locations"]) == 2
    assert "left out" in run["invocations"][0]["toolExecutionNotifications"][-1]["message"]["text"]


def test_nothing_judged_is_said(empty):
    assert "nothing to judge" in str(as_sarif.sarif(empty)["runs"][0]["invocations"])


def test_secrets_are_masked(secret, secrets):
    text = as_sarif.dumps(secret)
    assert [planted for planted in secrets if planted in text] == []
