"""What a device still lacks for service, by the chain that the rules name."""

from dataclasses import replace

import pytest

from flowcheck.conform.bringup import lacking
from flowcheck.model import FAIL, INCONCLUSIVE, PASS, AttemptResult, Finding
from flowcheck.rulebook.loader import load_rules

RULES = load_rules()
DISCOVERY, REGISTRATION, ALARMS = "ts32.583-5.1.1", "ts32.583-5.2.1", "ts32.583-5.5.1"
TITLES = {rule.procedure: rule.title for rule in RULES}


def attempt(procedure, verdict, cause=None):
    return AttemptResult(procedure, TITLES[procedure], "", verdict, 0, 1, (), (cause,) if cause else (),
                         cause.code if cause else None,
                         None, "", (), (), (), ())


@pytest.mark.parametrize("tried, says", [
    ([], []),
    ([(ALARMS, PASS)], []),                                     # no part of a chain
    ([(DISCOVERY, PASS)], [f"{TITLES[REGISTRATION]} (5.2.1): nothing of it was seen"]),
    ([(DISCOVERY, PASS), (REGISTRATION, PASS)], []),
    ([(DISCOVERY, FAIL), (REGISTRATION, PASS)], []),            # it went on all the same
    ([(REGISTRATION, PASS), (ALARMS, FAIL)], []),
    ([(REGISTRATION, FAIL), (DISCOVERY, PASS)], [f"{TITLES[REGISTRATION]} (5.2.1): nothing of it was seen"]),
    ([(REGISTRATION, INCONCLUSIVE)], [f"{TITLES[REGISTRATION]} (5.2.1): not decided"]),
    ([(DISCOVERY, INCONCLUSIVE)], [f"{TITLES[DISCOVERY]} (5.1.1): not decided", f"{TITLES[REGISTRATION]} (5.2.1): nothing of it was seen"]),
])
def test_counts_from_what_was_tried_last(tried, says):
    assert list(lacking(RULES, [attempt(*one) for one in tried])) == says


def test_names_the_step_that_failed():
    finding = Finding("x/y/refused", "refused", "error", "y", "2.3", "", (), "", "", "", "network")
    assert lacking(RULES, [attempt(REGISTRATION, FAIL, finding)]) == (f"{TITLES[REGISTRATION]} (5.2.1): failed at step 2.3",)


def test_a_chain_that_runs_in_a_circle_ends():
    circle = [replace(r, then=(DISCOVERY,)) if r.procedure == REGISTRATION else r for r in RULES]
    assert len(lacking(circle, [attempt(DISCOVERY, PASS)])) == 1
