"""What is known of a rule's verdicts takes the place of judging it, and nothing else changes by that."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowcheck.check import joined, key_ring
from flowcheck.conform.judge import in_order, judge
from flowcheck.conform.memory import Left
from flowcheck.observe.observation import observe
from flowcheck.rulebook.loader import load_rules
from flowcheck.rulebook.site import load_site

SAMPLES = Path(__file__).parents[2] / "samples" / "ts32.583"
SITE = load_site()
RULES = load_rules()


class Kept:
    """Keeps what was said, and hands it back for the rules of `known`."""

    def __init__(self, known):
        self.known, self.noted = known, {}

    def recall(self, rule):
        return self.known.get(rule.procedure)

    def note(self, rule, said):
        self.noted[rule.procedure] = said


def timeline_of(name):
    folder = SAMPLES / name
    seen = observe([str(path) for path in sorted(folder.glob("*.pcap"))], key_ring([str(folder / "keys")]))
    return max(joined(seen, RULES, SITE), key=lambda one: len(one.messages))


@pytest.mark.parametrize("name", ["5.2.1/hnb-gw-never-provided", "5.2.2/pass", "5.6.1/upload-while-off"])
def test_each_rule_says_the_same_beside_what_is_remembered_of_the_others(name):
    timeline, whole = timeline_of(name), Kept({})
    told = judge(RULES, SITE, timeline, memory=whole)
    assert told and told == judge(RULES, SITE, timeline)
    assert list(whole.noted) == [rule.procedure for rule in in_order(RULES)]
    for rule in RULES:
        known = {name: said for name, said in whole.noted.items() if name != rule.procedure}
        again = Kept(known)
        assert judge(RULES, SITE, timeline, memory=again) == told
        assert again.noted == {rule.procedure: whole.noted[rule.procedure]}


@pytest.mark.parametrize("name, giver", [("5.6.1/upload-while-off", "ts32.583-5.6.1"),
                                         ("5.2.1/hnb-gw-never-provided", "ts32.583-5.1.1")])
def test_what_is_left_behind_reaches_the_rules_after_it(name, giver):
    """What was switched off, which host was named and which messages are used up: rules after it say something else without."""
    timeline, whole = timeline_of(name), Kept({})
    judge(RULES, SITE, timeline, memory=whole)
    attempts, left = whole.noted.pop(giver)
    told, silent = Kept({giver: (attempts, left)}), Kept({giver: (attempts, Left())})
    judge(RULES, SITE, timeline, memory=told)
    judge(RULES, SITE, timeline, memory=silent)
    assert left and told.noted == whole.noted != silent.noted
