"""`flowcheck explain`: every kind, every state, and what a rule says about its steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowcheck import explain
from flowcheck.errors import UsageError
from flowcheck.model import FINDING_KINDS, STEP_STATES, VERDICTS
from flowcheck.rulebook.loader import load_rules
from flowcheck.rulebook.site import load_site

RULES = load_rules([Path(__file__).resolve().parent.parent / "rules/ts32.583/5.1.1-discovery-intranet.yaml"])
P = "ts32.583-5.1.1"


def text(code: str) -> str:
    return explain.explain(code, RULES, load_site().timers)


def test_nothing_a_result_can_say_is_without_words():
    assert (set(explain.KINDS), set(explain.STATES), set(explain.OUTCOMES)) == (
        set(FINDING_KINDS), set(STEP_STATES), set(VERDICTS))
    assert set(explain._NEXT) == set(explain.KINDS)


@pytest.mark.parametrize("word", (*FINDING_KINDS, *STEP_STATES, *VERDICTS))
def test_a_word_alone(word):
    assert text(word).startswith(f"{word} (") and len(text(word)) > 60


def test_a_code_gives_kind_detail_clause_step_hint_and_place():
    said = text(f"{P}/segw-address/refused:NXDOMAIN")
    for part in ("refusal", "does not exist (RFC 1035", "3GPP TS 32.583 5.1.1", "step 2.2", "to act    network",
                 "Is it published", "5.1.1-discovery-intranet.yaml:", "5 s after step 'ask-segw' (engineering)"):
        assert part in said, part


def test_a_check_that_failed_is_shown_with_its_own_clause():
    said = text(f"{P}/inform/field-absent:DeviceId.OUI")
    assert "asks for  DeviceId.OUI: present" in said and "TR-069" in said


def test_a_procedure_lists_every_step():
    said = text(P)
    assert all(f" {step.step} " in said for step in RULES[0].steps())


def test_a_step_without_its_procedure():
    assert text("segw-address").startswith(f"{P}/segw-address\n")


@pytest.mark.parametrize("code, told", [
    ("no-anser", "did you mean 'no-answer'"), (f"{P}/segw-adress/missing", "did you mean 'segw-address'"),
    (f"{P}/segw-address/refusd:X", "did you mean 'refused'"), ("", "no procedure, step or kind"),
    ("ts32.583-5.1.7/x", "did you mean 'ts32.583-5.1.1'"),
])
def test_what_it_does_not_know_it_says_with_a_guess(code, told):
    with pytest.raises(UsageError, match=told):
        text(code)
