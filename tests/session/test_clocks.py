"""Clocks of taps by what they both saw."""

import pytest
from literals import SECOND, message

from flowcheck.session.clocks import Correction, corrections


def tap(shift=0.0, kind="tcp.syn", times=range(10), jump_at=99.0, jump=0.0, drift=0.0, first=0):
    return [message(kind, n + shift + n * drift + (jump if n >= jump_at else 0), n=first + n) for n in times]


def correction(one, other):
    return corrections({0: one, 1: other}).get(1)


@pytest.mark.parametrize("shift", [9.0, -9.0, 900.0, 0.5])
def test_an_offset(shift):
    found = correction(tap(), tap(shift))
    assert found.offset == -round(shift * SECOND) and not found.later and "first tap" in str(found)


def test_clocks_that_agree_need_none():
    assert correction(tap(), tap(0.001)) is None


def test_two_messages_are_no_basis():
    assert correction(tap(times=range(2)), tap(5, times=range(2))) is None


def test_drift():
    found = correction(tap(times=range(0, 100, 3)), tap(times=range(0, 100, 3), drift=200e-6))
    assert abs(found.drift + 200e-6) < 2e-6


def test_a_clock_that_was_set_back_keeps_one_correction():
    assert correction(tap(times=range(12)), tap(3, times=range(12), jump_at=8, jump=-5)).later == ()


@pytest.mark.parametrize("jump", [20.0, 2.0])
def test_a_clock_that_was_set_while_capturing(jump):
    found = correction(tap(), tap(jump_at=5, jump=jump))
    (begins, later), = found.later
    assert found.offset == 0 and later.offset == -round(jump * SECOND) and begins == round((5 + jump) * SECOND)
    assert found.at(4 * SECOND) == 4 * SECOND and found.at(round((7 + jump) * SECOND)) == 7 * SECOND
    assert "set while capturing" in str(found)


def test_one_that_does_not_fit_changes_nothing():
    odd = message("tcp.syn", 50, n=4)
    found = correction(tap(), sorted([*(m for m in tap(3) if m.fields["n"] != 4), odd], key=lambda m: m.time))
    assert found.offset == -3 * SECOND and not found.later


def test_devices_that_start_alike_are_not_one():
    """Two bring-ups a quarter of an hour apart whose look-ups have the same identifications."""
    assert correction(tap(kind="dns.query"), tap(900, kind="dns.query")) is None
    assert correction(tap(kind="dns.query"), tap(9, kind="dns.query")).offset == -9 * SECOND


def test_messages_that_only_look_alike_and_do_not_agree_are_no_basis():
    other = [message("dns.query", (n * 7919) % 41 / 2, n=n) for n in range(10)]
    assert correction(tap(kind="dns.query"), other) is None


def test_a_correction_with_steps_in_words():
    assert str(Correction(5, note="because")) == "because"


def test_beside_strong_evidence_weaker_one_counts_too():
    """The handshake before the clock was set, only requests after it."""
    def at(shift, jump):
        return [*tap(shift, times=range(4)), *tap(shift, "http.request", range(5, 9), jump_at=5, jump=jump)]
    (_, later), = correction(at(0, 0), at(0, 20)).later
    assert later.offset == -20 * SECOND
    assert correction(at(0, 0), [*tap(times=range(4)), *tap(0, "dns.query", range(5, 9), jump_at=5, jump=20)]) is None
