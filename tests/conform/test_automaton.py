"""The state machine of a rule: which sequences it takes without leaving anything out."""

import pytest
from literals import rule

from flowcheck.conform.automaton import automaton


def walks(of, longest=6):
    """Every sequence of steps up to this length from the start to the end, unconditional jumps only."""
    machine, found = automaton(of), set()
    todo = {((), machine.start)}
    seen = set()
    while todo:
        path, state = todo.pop()
        if (path, state) in seen or len(path) > longest:
            continue
        seen.add((path, state))
        if state == machine.end:
            found.add("".join(path))
        for step, target in machine.steps.get(state, ()):
            todo.add(((*path, step.step), target))
        for jump in machine.jumps.get(state, ()):
            if jump.condition is None:
                todo.add((path, jump.target))
    return found


def items(*lines):
    return rule("steps:\n" + "\n".join(f"  - {line}" for line in lines))


def step(name, more=""):
    return f"{{step: {name}, cite: '1', message: x.{name}{more}}}"


@pytest.mark.parametrize("lines, taken", [
    ([step("a"), step("b")], {"ab"}),
    ([step("a", ", repeat: {max: 9}"), step("b")], {"ab", "aab", "aaab", "aaaab", "aaaaab"}),
    ([step("a"), f"{{group: g, optional: true, steps: [{step('b')}, {step('c')}]}}", step("d")], {"ad", "abcd"}),
    ([f"{{group: g, order: one_of, steps: [{step('a')}, {step('b')}]}}"], {"a", "b"}),
    ([f"{{group: g, order: any, steps: [{step('a')}, {step('b')}, {step('c')}]}}"],
     {"abc", "acb", "bac", "bca", "cab", "cba"}),
    ([f"{{group: g, repeat: {{max: 3}}, steps: [{step('a')}, {step('b')}]}}", step("c")], {"abc", "ababc"}),
    ([step("a"), "{step: b, cite: '2', unchecked: no capture shows it}", step("c")], {"ac"}),
    ([step("a"), step("b", ", forbidden: true"), step("c")], {"ac"}),
])
def test_the_sequences_a_rule_takes(lines, taken):
    assert {walk for walk in walks(items(*lines)) if len(walk) < 7} == taken


def test_a_condition_stands_on_the_way_in_and_on_the_way_past():
    machine = automaton(items(step("a", ", when: {known: acs}"), step("b")))
    jumps = [jump for all_from in machine.jumps.values() for jump in all_from if jump.condition is not None]
    assert {jump.wanted for jump in jumps} == {True, False}
    past = next(jump for jump in jumps if not jump.wanted)
    assert [s.step for s in past.inside] == ["a"]


@pytest.mark.parametrize("always, past", [(step("b"), 0), (step("b", ", when: {known: gw}"), 2)])
def test_a_branch_that_does_not_apply_opens_no_way_past_the_others(always, past):
    """Only where no branch applies is there nothing to do."""
    conditional = step("a", ", when: {known: acs}")
    machine = automaton(items(f"{{group: g, order: one_of, steps: [{always}, {conditional}]}}"))
    assert sum(not jump.wanted for ways in machine.jumps.values() for jump in ways if jump.condition is not None) == past


def test_repeating_an_item_does_not_repeat_its_neighbour():
    taken = walks(items(step("a"), step("b", ", repeat: {max: 5}"), step("c")))
    assert "abbc" in taken and not any(walk.count("a") > 1 or walk.count("c") > 1 for walk in taken)


def test_every_state_leads_to_the_end():
    inner = f"{{group: h, order: one_of, steps: [{step('c')}, {step('d')}]}}"
    machine = automaton(items(step("a"), f"{{group: g, order: any, optional: true, repeat: {{max: 2}}, "
                                         f"steps: [{step('b')}, {inner}]}}"))
    reaches = {machine.end}
    while True:
        more = {state for state in range(machine.size) if state not in reaches and (
            any(target in reaches for _, target in machine.steps.get(state, ()))
            or any(jump.target in reaches for jump in machine.jumps.get(state, ())))}
        if not more:
            break
        reaches |= more
    used = {machine.start, *machine.steps, *machine.jumps}
    assert used <= reaches


def test_it_is_built_once():
    of = items(step("a"))
    assert automaton(of) is automaton(of)
