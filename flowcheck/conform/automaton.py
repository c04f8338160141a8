"""A rule as a small state machine.

States are integers. From a state one may go on by a step (a message is seen, or the step is skipped) or by a jump (into an
optional group, past it, back to the start of a repeated one), which costs nothing but may stand under a condition. A rule has
no goto, so the machine is always sound: every state leads to the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from ..rulebook.rule import Condition, Group, Rule, Step


class Jump(NamedTuple):
    target: int
    condition: Condition | None = None
    wanted: bool = True               # the value the condition must have
    optional: bool = False            # counts as an optional part left out
    inside: tuple[Step, ...] = ()     # bypass: the steps that are passed over
    asks: int = -1                    # the number of the condition in the machine


@dataclass(slots=True)
class Automaton:
    rule: Rule
    start: int = 0
    end: int = 1
    steps: dict[int, list[tuple[Step, int]]] = field(default_factory=dict)
    jumps: dict[int, list[Jump]] = field(default_factory=dict)
    size: int = 2
    conditions: list[Condition] = field(default_factory=list)
    kinds: dict[str, frozenset[str]] = field(default_factory=dict)       # step -> what it, or its refusal, may be
    # step -> kinds by which its receiver refuses it
    turning_down: dict[str, frozenset[str]] = field(default_factory=dict)
    # of each group without an order: step -> its item, from 1
    free: list[dict[str, int]] = field(default_factory=list)
    found: dict[Any, Any] = field(default_factory=dict)                  # the readings found so far: see questions.py
    remembered: int = 0                                                  # questions in them

    def node(self) -> int:
        self.size += 1
        return self.size - 1

    def unordered(self, one: Step, other: Step) -> bool:
        """Do they stand in different items of a group that has no order?"""
        return any(a and b and a != b for a, b in ((places.get(one.step), places.get(other.step))
                                                   for places in self.free))

    def add_jump(self, source: int, jump: Jump) -> None:
        self.jumps.setdefault(source, []).append(jump)


@lru_cache(maxsize=64)
def automaton(rule: Rule) -> Automaton:
    """The state machine of a rule; built once and shared."""
    machine = Automaton(rule)
    _sequence(machine, rule.items, machine.start, machine.end)
    return _without_detours(machine)


def _without_detours(machine: Automaton) -> Automaton:
    """The same machine with every way leading past the states that do nothing but lead on."""
    def onward(state: int) -> int:
        passed = set()
        while state not in passed and not machine.steps.get(state) and len(ways := machine.jumps.get(state, ())) == 1 \
                and ways[0] == Jump(ways[0].target):
            passed.add(state)
            state = ways[0].target
        return state

    def once(jumps: list[Jump], state: int) -> list[Jump]:
        led = (jump._replace(target=onward(jump.target)) for jump in jumps)
        return [jump for jump in dict.fromkeys(led) if jump != Jump(state)]

    steps = {state: [(step, onward(target)) for step, target in ways] for state, ways in machine.steps.items()}
    jumps = {state: once(ways, state) for state, ways in machine.jumps.items()}
    conditions = list({id(jump.condition): jump.condition for ways in jumps.values()
                       for jump in ways if jump.condition}.values())
    numbers = {id(condition): number for number, condition in enumerate(conditions)}
    jumps = {state: [jump._replace(asks=numbers.get(id(jump.condition), -1)) for jump in ways]
             for state, ways in jumps.items()}
    kinds = {step.step: frozenset((*step.messages, *(kind for pattern in step.refused_by for kind in pattern.messages)))
             for step in machine.rule.steps()}
    turning_down = {step.step: found for step in machine.rule.steps() if (found := _turning_down(step))}
    return Automaton(machine.rule, onward(machine.start), machine.end, steps, jumps, machine.size, conditions, kinds,
                     turning_down, list(_free(machine.rule.items)))


def _free(items: tuple[Step | Group, ...]) -> Iterator[dict[str, int]]:
    for item in items:
        if isinstance(item, Group):
            if item.order == "any":
                yield {step.step: number for number, one in enumerate(item.items, 1) for step in _steps_of(one)}
            yield from _free(item.items)


def _turning_down(step: Step) -> frozenset[str]:
    """The kinds of message by which the receiver of the step refuses it once it came."""
    return frozenset(kind for pattern in step.refused_by if pattern.src is not None and pattern.src == step.dst
                     for kind in pattern.messages)


def _sequence(machine: Automaton, items: tuple[Step | Group, ...], start: int, end: int) -> None:
    at = start
    for index, item in enumerate(items):
        after = end if index == len(items) - 1 else machine.node()
        _item(machine, item, at, after)
        at = after
    if not items:
        machine.add_jump(start, Jump(end))


def _item(machine: Automaton, item: Step | Group, start: int, end: int, passed_over: bool = True) -> None:
    """One item between two states of its own, so that repeating it cannot repeat a neighbour. Where its `when` is false it is
    `passed_over`, or else closed."""
    if item.forbidden:                                     # no part of the ladder; forbidden.py looks for it
        machine.add_jump(start, Jump(end))
        return
    inner, after = machine.node(), machine.node()
    machine.add_jump(start, Jump(inner, item.when))
    if item.when is not None and passed_over:
        machine.add_jump(start, Jump(end, item.when, wanted=False, inside=_steps_of(item)))
    machine.add_jump(after, Jump(end))
    if isinstance(item, Step):
        if item.unchecked is not None or not item.messages:
            machine.add_jump(inner, Jump(after))
        else:
            machine.steps.setdefault(inner, []).append((item, after))
    else:
        if item.optional:
            machine.add_jump(start, Jump(end, optional=True))
        _group(machine, item, inner, after)
    if item.repeat.maximum > 1:
        machine.add_jump(after, Jump(inner))


def _group(machine: Automaton, group: Group, start: int, end: int) -> None:
    if group.order == "one_of":
        # a branch that does not apply leaves the others, if there are any that always do
        closed = any(item.when is None for item in group.items)
        for item in group.items:
            _item(machine, item, start, end, not closed)
    elif group.order == "any":
        _any_order(machine, group.items, start, end)
    else:
        _sequence(machine, group.items, start, end)


def _any_order(machine: Automaton, items: tuple[Step | Group, ...], start: int, end: int) -> None:
    """One state per set of items done; the loader refuses more than six items, which is 64 states."""
    everything = (1 << len(items)) - 1
    nodes = {0: start, everything: end}
    for done in range(everything):
        here = nodes.setdefault(done, machine.node())
        for index, item in enumerate(items):
            if not done >> index & 1:
                there = nodes.setdefault(done | 1 << index, machine.node())
                _item(machine, item, here, there)


def _steps_of(item: Step | Group) -> tuple[Step, ...]:
    if isinstance(item, Step):
        return (item,)
    return tuple(step for inner in item.items for step in _steps_of(inner))
