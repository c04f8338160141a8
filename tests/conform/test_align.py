"""The cheapest reading, compared with brute force on small random rules and message sequences.

The brute force below shares nothing with the state machine: it takes the rule apart as a regular expression, one step
at a time. It models both honesty rules: a message that fits a step which could come next without leaving out a
mandatory one is never extra, and hidden steps cost nothing that counts to leave out.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import pytest
import yaml
from literals import codes, judged, matcher, message, rule, states

from flowcheck.conform.align import MAX_STATES, align
from flowcheck.conform.automaton import automaton
from flowcheck.rulebook.rule import Step

CASES = 400
EMPTY = ("seq", ())
NEVER = (99, 0, 0, 0)


@dataclass
class Sight:
    """A view that hides the step before the message where `hidden` gives a reason."""
    hidden: Callable
    messages: int

    def hidden_places(self, step):
        return sum(1 << index for index in range(self.messages + 1) if self.hidden(step, index))


def read(of, messages, hidden=lambda step, index: None, carried=frozenset()):
    return align(automaton(of), messages, matcher(of), Sight(hidden, len(messages)), carried)


def told(reading):
    """The moves in short: "a" seen, "-a" skipped, "!a" refused, "+x.b" extra."""
    marks = {"match": "", "skip": "-", "refuse": "!", "bypass": "~"}
    return [f"+{m.message.kind}" if m.what == "extra" else marks[m.what] + (m.step.step if m.step else "")
            for m in reading.moves]


# ------------------------------------------------------------------------------------------------ brute force

def expression(item):
    if isinstance(item, Step):
        made = ("step", item.step)
    else:
        inside = tuple(expression(i) for i in item.items)
        made = ({"sequence": "seq", "any": "any", "one_of": "one"}[item.order], inside)
    if item.repeat.maximum > 1:
        made = ("rep", made)
    if not isinstance(item, Step) and item.optional:
        made = ("opt", made)
    return made


def sequence(one, other):
    return other if one == EMPTY else one if other == EMPTY else ("seq", (one, other))


@lru_cache(maxsize=None)
def heads(e):
    """Every (next step or None at the end, what is left after it, optional groups left out on the way)."""
    what, inside = e
    if what == "step":
        return [(inside, EMPTY, 0)]
    if what == "seq":
        if not inside:
            return [(None, EMPTY, 0)]
        first, rest = inside[0], inside[1] if len(inside) == 2 else ("seq", inside[1:])
        return [found for step, left, cost in heads(first) for found in
                ([(s, r, cost + c) for s, r, c in heads(rest)] if step is None
                 else [(step, sequence(left, rest), cost)])]
    if what == "opt":
        return [*heads(inside), (None, EMPTY, 1)]
    if what == "rep":
        return [(s, sequence(left, ("more", inside)) if s else EMPTY, c) for s, left, c in heads(inside)]
    if what == "more":
        return [(None, EMPTY, 0), *heads(("rep", inside))]
    if what == "one":
        return [found for one in inside for found in heads(one)]
    if not inside:
        return [(None, EMPTY, 0)]
    return [found for i, one in enumerate(inside)
            for found in heads(("seq", (one, ("any", inside[:i] + inside[i + 1:]))))]


def cheapest(of, messages, hidden):
    steps = {step.step: step for step in of.steps()}

    def fits(step, m):
        return m.kind in step.messages

    def refuses(step, m):
        return any(m.kind in pattern.messages for pattern in step.refused_by)

    def expected(anchor, index):
        todo, visited = [anchor], set()
        while todo:
            e = todo.pop()
            if e in visited:
                continue
            visited.add(e)
            for name, left, _ in heads(e):
                if name is None:
                    continue
                step = steps[name]
                if fits(step, messages[index]) or refuses(step, messages[index]):
                    return True
                if step.optional or hidden(step, index):
                    todo.append(left)
        return False

    def plus(one, *others):
        return tuple(map(sum, zip(one, *others)))

    @lru_cache(maxsize=None)
    def best(index, e, anchor, skips):
        found = NEVER
        for name, left, opted in heads(e):
            if name is None:
                if index == len(messages):
                    found = min(found, (0, 0, 0, opted))
                continue
            step = steps[name]
            if index < len(messages):
                m = messages[index]
                if refuses(step, m):
                    found = min(found, plus((1, 0, 0, opted), best(index + 1, left, left, skips)))
                elif fits(step, m):
                    wrong = sum(m.fields.get(check.names[0]) != check.value for check in step.expect)
                    found = min(found, plus((0, wrong, 0, opted), best(index + 1, left, left, skips)))
            if skips:
                price = (0, 0, 0, 2) if hidden(step, index) else (0, 0, 0, 1) if step.optional else (1, 0, 0, 0)
                found = min(found, plus(price, (0, 0, 0, opted), best(index, left, anchor, skips - 1)))
        if index < len(messages) and not expected(anchor, index):
            found = min(found, plus((0, 0, 1, 0), best(index + 1, e, anchor, skips)))
        return found

    whole = ("seq", tuple(expression(item) for item in of.items))
    return best(0, whole, whole, 7)


def random_rule(chance):
    names = iter("abcde")

    def step():
        name = next(names)
        made = {"step": name, "cite": "1", "message": f"x.{chance.choice('abc')}"}
        if chance.random() < 0.25:
            made["optional"] = True
        elif chance.random() < 0.3:
            made["repeat"] = {"max": 3}
        if chance.random() < 0.3:
            made["expect"] = [{"field": "v", "equals": 1}]
        if chance.random() < 0.2:
            made["refused_by"] = {"message": "x.no"}
        return made

    def group(name, size):
        order = chance.choice(["sequence", "any", "one_of"])
        made = {"group": name, "steps": [step() for _ in range(size)], "order": order}
        if chance.random() < 0.4:
            made["optional"] = True
        elif chance.random() < 0.3 and not any(s.get("optional") for s in made["steps"]):
            made["repeat"] = {"max": 2}
        return made

    items = [step()] + [group("g", chance.randint(1, 3)) if chance.random() < 0.6 else step()]
    chance.shuffle(items)
    return rule(yaml.safe_dump({"steps": items}))


@pytest.mark.parametrize("seed", range(8))
def test_the_cost_is_that_of_brute_force(seed):
    chance = random.Random(seed)
    for _ in range(CASES // 8):
        of = random_rule(chance)
        messages = tuple(message(f"x.{chance.choice(['a', 'b', 'c', 'no'])}", at, v=chance.randint(1, 2))
                         for at in range(chance.randint(0, 4)))
        unseen = {(step.step, index) for step in of.steps() for index in range(5) if chance.random() < 0.1}

        def hidden(step, index):
            return "hidden" if (step.step, index) in unseen else None
        reading = read(of, messages, hidden)
        assert reading.complete
        case = of.items, [m.kind for m in messages], unseen, told(reading)
        assert reading.cost == cheapest(of, messages, hidden), case
        assert [m.message for m in reading.moves if m.message is not None] == list(messages), "each is read once"


@pytest.mark.parametrize("seed", range(4))
def test_a_reading_recalled_is_the_one_that_a_search_would_find(seed):
    """Many attempts of one rule, each read by a machine that remembers all earlier ones and by a new one."""
    chance = random.Random(seed)
    recalled = 0
    for _ in range(8):
        of = random_rule(chance)
        for _ in range(40):
            messages = tuple(message(f"x.{chance.choice(['a', 'b', 'c', 'no'])}", at, v=chance.randint(1, 2))
                             for at in range(chance.randint(0, 4)))
            unseen = {(step.step, index) for step in of.steps() for index in range(5) if chance.random() < 0.1}
            carried = frozenset(step.step for step in of.steps() if chance.random() < 0.1)

            def hidden(step, index):
                return f"hidden at {index}" if (step.step, index) in unseen else None
            remembered = automaton(of).remembered
            reading = read(of, messages, hidden, carried)
            assert reading == align(automaton.__wrapped__(of), messages, matcher(of),
                                    Sight(hidden, len(messages)), carried)
            recalled += automaton(of).remembered == remembered
    assert recalled > 40


# ------------------------------------------------------------------------------------------------ single readings

ABC = '''
steps:
  - {step: a, cite: "1", message: x.a}
  - {step: b, cite: "2", message: x.b}
  - {step: c, cite: "3", message: x.c}
'''


@pytest.mark.parametrize("kinds, expected, cost", [
    ("abc", ["a", "b", "c"], (0, 0, 0, 0)),
    ("ac", ["a", "-b", "c"], (1, 0, 0, 0)),
    ("a", ["a", "-b", "-c"], (2, 0, 0, 0)),
    ("abbc", ["a", "b", "+x.b", "c"], (0, 0, 1, 0)),      # ties go to the earlier message
    ("acb", ["a", "-b", "c", "+x.b"], (1, 0, 1, 0)),
    ("", ["-a", "-b", "-c"], (3, 0, 0, 0)),
])
def test_moves(kinds, expected, cost):
    reading = read(rule(ABC), [message(f"x.{kind}", at) for at, kind in enumerate(kinds)])
    assert (told(reading), reading.cost) == (expected, cost)


def test_steps_carried_over_are_free():
    reading = read(rule(ABC), [message("x.c")], carried=frozenset("ab"))
    assert reading.cost[:3] == (0, 0, 0) and reading.moves[0].hidden == "carried over from an earlier attempt"


def test_a_refusal_in_an_optional_part_is_not_read_away():
    of = rule('''
steps:
  - {step: a, cite: "1", message: x.a}
  - group: g
    optional: true
    steps: [{step: b, cite: "2", message: x.b, refused_by: {message: x.no}}]
  - {step: c, cite: "3", message: x.c}
''')
    reading = read(of, [message("x.a", 0), message("x.no", 1), message("x.c", 2)])
    assert told(reading) == ["a", "!b", "c"] and reading.cost == (1, 0, 0, 0)


def test_what_was_seen_is_not_skipped_over_to_reach_a_hidden_step():
    of = rule(ABC)
    seen = [message("x.a", 0), message("x.c", 1)]
    reading = read(of, seen, lambda step, index: "hidden" if step.step in "ab" else None)
    assert told(reading) == ["a", "-b", "c"]


def test_an_answer_belongs_to_the_retry_that_it_answers():
    """Paired by order alone, an answer to the second request would be taken for one to the first."""
    of = rule('''
steps:
  - group: g
    repeat: {max: 3}
    steps:
      - {step: a, cite: "1", message: x.a}
      - {step: b, cite: "2", message: x.b, answers: a}
''')
    asked = [message("x.a", 0, transaction=1), message("x.a", 1, transaction=2)]
    assert told(read(of, [*asked, message("x.b", 2, answers=2)])) == ["a", "-b", "a", "b"]
    assert told(read(of, [*asked, message("x.b", 2, answers=1)])) == ["a", "+x.a", "b"]
    foreign = read(of, [*asked[:1], message("x.b", 2, answers=7)])
    assert told(foreign) == ["a", "-b", "+x.b"] or told(foreign) == ["a", "+x.b", "-b"]
    assert foreign.cost == (1, 0, 1, 0)


def test_a_group_that_may_come_in_any_order():
    of = rule('''
steps:
  - group: g
    order: any
    steps: [{step: a, cite: "1", message: x.a}, {step: b, cite: "1", message: x.b}, {step: c, cite: "1", message: x.c}]
''')
    for order in ("abc", "cab", "bca"):
        assert read(of, [message(f"x.{kind}", at) for at, kind in enumerate(order)]).cost == (0, 0, 0, 0)
    assert read(of, [message("x.c", 0), message("x.b", 1)]).cost == (1, 0, 0, 0)


def test_an_unknown_condition_takes_the_way_that_the_messages_show():
    of = rule('''
roles: {hnb: {kind: device}, acs: {kind: host}}
steps:
  - {step: a, cite: "1", message: x.a}
  - {step: b, cite: "2", message: x.b, when: {is_name: acs}}
  - {step: c, cite: "3", message: x.c}
''')
    seen = read(of, [message("x.a", 0), message("x.b", 1), message("x.c", 2)])
    assert told(seen) == ["a", "b", "c"]
    unseen = read(of, [message("x.a", 0), message("x.c", 2)])
    assert unseen.cost[:3] == (0, 0, 0) and any(m.what == "bypass" and m.assumed for m in unseen.moves)


def test_the_search_gives_up_at_its_bound(monkeypatch):
    monkeypatch.setattr("flowcheck.conform.align.MAX_STATES", 20)
    monkeypatch.setattr("flowcheck.conform.align.STATES_PER_MESSAGE", 0)
    of = rule(ABC)
    assert MAX_STATES > 20 and not read(of, [message("x.b", at) for at in range(40)]).complete
    attempt, = judged(of, message("x.a", 0), *(message("x.b", at) for at in range(1, 40)), message("x.c", 50))
    assert attempt.verdict == "inconclusive"


def test_a_thousand_messages_are_read_in_a_moment():
    from time import perf_counter
    of = rule(ABC.replace("x.b}", "x.b, repeat: {max: 5000}}"))
    messages = [message("x.a", 0), *(message("x.b", at) for at in range(1, 1000)), message("x.c", 1000)]
    begun = perf_counter()
    assert read(of, messages).cost == (0, 0, 0, 0)
    assert perf_counter() - begun < 5


TURNED = rule("""
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
steps:
  - {step: a, cite: "1", message: x.a, from: hnb, to: acs}
  - step: b
    cite: "2"
    message: x.b
    from: acs
    to: hnb
    answers: a
    refused_by: {message: x.delete, from: hnb, where: [{field: why, equals: failed}]}
  - {step: c, cite: "3", message: x.c, from: hnb, to: acs}
  - {step: d, cite: "4", message: x.delete, from: hnb, to: acs, optional: true}
""")


def test_who_got_the_answer_may_refuse_it():
    before = message("x.a", 10, transaction=1), message("x.b", 11, "acs", "hnb", answers=1)
    attempt, = judged(TURNED, *before, message("x.delete", 12, why="failed", answers=1))
    assert codes(attempt) == ["b/refused:failed"] and states(attempt)["b"] == "refused" and attempt.verdict == "fail"
    assert states(attempt)["d"] == "not_applicable"          # though that is a message of the same kind
    attempt, = judged(TURNED, *before, message("x.c", 12), message("x.delete", 13, why="done", answers=1))
    assert attempt.verdict == "pass" and states(attempt)["d"] == "seen"


def test_a_refusal_in_a_group_without_order_comes_before_what_it_kept_away():
    of = rule("""
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
steps:
  - {step: a, cite: "1", message: x.a, from: hnb, to: acs}
  - group: both
    order: any
    steps:
      - {step: b, cite: "2", message: x.b, from: acs, to: hnb, refused_by: {message: x.no}}
      - {step: c, cite: "3", message: x.c, from: acs, to: hnb}
""")
    attempt, = judged(of, message("x.a", 10), message("x.no", 11, "acs", "hnb"))
    assert attempt.cause.endswith("b/refused") and codes(attempt) == ["b/refused"]
    assert states(attempt)["c"] == "missing"


def test_a_refusal_of_what_is_no_error_to_leave_out_belongs_to_it():
    of = rule("""
roles: {hnb: {kind: device}, acs: {kind: acs, host: 198.51.100.80}}
steps:
  - {step: a, cite: "1", message: x.a, from: hnb, to: acs}
  - {step: b, cite: "2", message: x.b, from: acs, to: hnb, severity: warning, refused_by: {message: x.no}}
  - {step: c, cite: "3", message: x.c, from: acs, to: hnb, refused_by: {message: x.no}}
""")
    attempt, = judged(of, message("x.a", 10), message("x.no", 11, "acs", "hnb"))
    assert codes(attempt) == ["b/refused"]
