from dataclasses import replace

import pytest

from flowcheck.report import text


def test_worst_first_one_line_per_attempt(several):
    lines = text.summary(several).splitlines()
    assert [line.split()[0] for line in lines if line[0] != " "] == ["FAIL", "FAIL", "INCONCLUSIVE", "PASS", "capture", "4"]
    assert lines[-1] == "4 attempts of 1 device: 2 fail, 1 inconclusive, 1 pass"


def test_a_failure_names_cause_side_and_frame(refused):
    lines = text.summary(refused).splitlines()
    assert "ts32.583-5.1.1  00193B-HNB-U21-LF21A000101  The SeGW (initial) refused IKE_AUTH" in lines[0]
    assert "to act: the network; hnb_outer.pcap frames 9, 10, 11; needed: " in lines[1]


def test_inconclusive_says_what_would_decide(hidden):
    assert "to decide: Give the keys" in text.summary(hidden)


def test_nothing_found(empty):
    assert text.summary(empty) == "nothing to judge: no procedure was found\n"


def test_verbose_lists_findings_and_waivers(several):
    out = text.summary(several, verbose=True)
    assert "expected DeviceId.SerialNumber present; observed an Inform without" in out
    assert "(waived: known defect of firmware 4.2" in out


def test_colour_only_when_asked(refused):
    assert "\x1b[31mFAIL" in text.summary(refused, color=True)
    assert "\x1b" not in text.summary(refused)


@pytest.mark.parametrize("verbose", [False, True])
def test_nothing_from_the_wire_moves_the_terminal(hostile, verbose):
    out = text.summary(hostile, verbose=verbose)
    assert not set(out) & {"\x1b", "\x00", "\r", "\u202e", "\u2066"}
    assert "\\x1b[31m" in text.summary(hostile) and "\\u202e" in out
    assert max(map(len, out.splitlines())) < 2_000
    out.encode()


def test_what_many_did_alike_is_told_once(refused):
    many = replace(refused, devices=refused.devices * 50)
    lines = text.summary(many).splitlines()
    assert len(lines) < 12 and "and 47 more like these: ts32.583-5.1.1/auth-answer/refused" in lines[6]
    assert lines[-1] == "50 attempts of 50 devices: 50 fail"
    assert len(text.summary(many, verbose=True).splitlines()) > 150
