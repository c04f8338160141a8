"""What would decide an inconclusive attempt, with the attempt's own addresses, SPIs and connections."""

import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from literals import HNB, SECOND, judged, message, rule, sealed

from flowcheck import samples
from flowcheck.model import Gap

RULE = rule('''
attempt: {opens_at: [a]}
roles: {hnb: {kind: device, title: HNB}, acs: {kind: acs, title: HMS, host: 198.51.100.80}}
steps:
  - {step: a, cite: "1", message: x.a, from: hnb, to: acs}
  - {step: b, cite: "2", message: x.b, from: acs, to: hnb, answers: a, within: {after: a, seconds: 5}, perhaps_inside: ipsec}
  - {step: c, cite: "3", message: tls.finished, from: hnb, to: acs, perhaps_inside: tls}
''')
A = message("x.a", 10, "hnb", "acs", transaction=1)
B = message("x.b", 11, "acs", "hnb", answers=1)
C = message("tls.finished", 12, "hnb", "acs")


def advised(*messages, **more):
    attempt, = judged(RULE, *messages, **more)
    assert attempt.verdict == "inconclusive", attempt.findings
    return attempt.advice


def test_sealed_esp_names_its_sas_and_the_inner_address():
    first, second = advised(A, C, opaque=[sealed(9, 13, spi="0x0000abcd")])
    assert "ESP SPI 0x0000abcd (192.0.2.1 to 203.0.113.10)" in first and "ip xfrm state" in first and "esp_sa" in first
    assert "inside the tunnel" in second and "'host 10.0.0.1'" in second


def test_keys_do_not_open_packets_that_were_cut():
    first, *_ = advised(A, C, opaque=[sealed(9, 13, spi="0x0000abcd", cut=9)])
    assert "whole packets" in first and "keys" not in first


def test_sealed_tls_names_the_client_random():
    hello = message("tls.client_hello", 10.5, "hnb", "acs", stream=7, random="ab" * 32)
    first, = advised(A, hello, B, opaque=[replace(sealed(9, 13, "tls", dst="acs"), stream=7)])
    assert "client random abababababababab" in first and "SSLKEYLOGFILE" in first and "192.0.2.1:40000 to 198.51.100.80:7547" in first


def test_a_capture_that_ends_too_early_says_until_when():
    first, = advised(A, ends=12)
    assert first.startswith("Let the capture run on for") and "UTC" in first


def test_only_the_longest_wait_is_asked_for():
    assert [text for text in advised(A, ends=12) if "run on" in text] == [
        "Let the capture run on for 598 s more, until 00:10:10 UTC, or until TLS Finished from the HNB is seen (step 3)."]


def test_a_lossy_capture_is_to_be_taken_again_with_the_devices_filter():
    first, *_ = advised(A, C, gaps=[Gap(10 * SECOND, 12 * SECOND, "5 octets of a TCP stream are not in the capture")])
    assert "without loss" in first and "'host 192.0.2.1'" in first


def test_an_uncertain_order_asks_for_a_steady_clock():
    gap = Gap(10 * SECOND, 12 * SECOND, "the clock of the capture steps back by 2.0 s at frame 9, so that the order of messages is not certain")
    attempt, = judged(RULE, A, C, gaps=[gap])
    assert "clock that is not set meanwhile" in attempt.advice[0] and "missing from" not in attempt.diagnosis


def test_addresses_that_no_filter_takes_are_left_out():
    attempt, = judged(RULE, A, C, device=replace(HNB, addresses=("192.0.2.1", "not an address"), outer=()),
                      gaps=[Gap(10 * SECOND, 12 * SECOND, "5 octets of a TCP stream are not in the capture")])
    assert "'host 192.0.2.1'" in attempt.advice[0] and "not an" not in "".join(attempt.advice)


INCONCLUSIVE = [trial for trial in samples.trials() if trial.sample.verdict == "inconclusive"]


@pytest.mark.parametrize("trial", INCONCLUSIVE, ids=lambda trial: " ".join(trial.name.split()))
def test_every_inconclusive_sample_says_what_would_decide_and_its_filters_are_filters(trial):
    result = samples.result(trial)
    attempts = [a for d in result.devices for a in d.attempts if a.verdict == "inconclusive"]
    assert attempts
    for attempt in attempts:
        assert attempt.advice
        for filter in re.findall(r"tcpdump [^']*'([^']*)'", " ".join(attempt.advice)):
            if shutil.which("tcpdump"):
                subprocess.run(["tcpdump", "-y", "EN10MB", "-d", filter], check=True, capture_output=True)
