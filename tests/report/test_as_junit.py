from dataclasses import replace
from xml.etree import ElementTree

import pytest

from flowcheck.report import as_junit

ALL = ["refused", "several", "hidden", "passed", "hostile", "secret", "empty"]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("inconclusive", ["error", "skipped"])
def test_well_formed_and_counted(name, inconclusive, request):
    text = as_junit.junit(request.getfixturevalue(name), inconclusive=inconclusive)
    root = ElementTree.fromstring(text.encode())
    for element in (root, *root.iter("testsuite")):
        assert int(element.get("tests")) == len(list(element.iter("testcase"))) > 0
        for tag, plural in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert int(element.get(plural)) == len(list(element.iter(tag)))


def test_a_case_per_procedure_and_device(several):
    cases = list(ElementTree.fromstring(as_junit.junit(several)).iter("testcase"))
    assert [case.get("name").split()[0] for case in cases] == ["ts32.583-5.1.1", "ts32.583-5.2.1"]
    assert cases[0].get("classname") == "00193B-HNB-U21-LF21A000101"
    assert cases[0].find("failure").text.startswith("3 attempts: fail, fail, inconclusive\n")
    assert len(cases[1]) == 0


def test_the_essence_stands_in_the_text(refused):
    text = ElementTree.fromstring(as_junit.junit(refused)).find(".//failure").text
    for part in ("FAIL: The SeGW (initial) refused IKE_AUTH", "who should act: the network",
                 "evidence: hnb_outer.pcap frames 9, 10, 11",
                 "cause: ts32.583-5.1.1/auth-answer/refused:AUTHENTICATION_FAILED",
                 "Wireshark filter: frame.number in {9,10,11}"):
        assert part in text


def test_inconclusive_is_never_a_pass(hidden):
    assert "to decide: Give the keys" in ElementTree.fromstring(as_junit.junit(hidden)).find(".//error[@type='inconclusive']").text
    assert ElementTree.fromstring(as_junit.junit(hidden, inconclusive="skipped")).find(".//skipped").text
    with pytest.raises(ValueError):
        as_junit.junit(hidden, inconclusive="pass")


def test_nothing_judged_is_no_pass(empty, refused):
    assert ElementTree.fromstring(as_junit.junit(empty)).find(".//error[@type='nothing-judged']") is not None
    idle = replace(refused, devices=(replace(refused.devices[0], attempts=()),))
    assert ElementTree.fromstring(as_junit.junit(idle)).find(".//error[@type='nothing-judged']") is not None


def test_secrets_are_masked(secret, secrets):
    text = as_junit.junit(secret)
    assert [planted for planted in secrets if planted in text] == []


def test_the_same_result_gives_the_same_bytes(several):
    assert as_junit.junit(several) == as_junit.junit(several)
