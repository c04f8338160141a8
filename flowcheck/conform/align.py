"""The cheapest way to read an attempt's messages against a rule.

Three moves: a message *is* a step (or its refusal), a step was *skipped*, a message is *extra*. The cost of a reading is a
tuple of integers, compared in order:

    (mandatory steps missing or refused, failed expectations, extra messages, optional parts left out)

The search is Dijkstra's over (message index, machine state, values bound so far); ties go to the earlier message, then to
the order of the rule file, so the same capture always gives the same reading. Two rules keep it honest:

- A message that fits a step reachable without skipping a mandatory one is never called extra. Otherwise a refusal could be
  read away by passing over the optional group it happened in.
- A step known to be hidden costs nothing to skip, and nothing that was seen is ever skipped over to get there.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..model import Message
from ..rulebook.rule import Pattern, Step
from .automaton import Automaton
from .matching import Matcher
from .values import Outcome, evaluate, holds

Cost = tuple[int, int, int, int]
MAX_STATES = 200_000        # a bound against hostile captures; an attempt needs a few hundred


class Move(NamedTuple):
    """`what` is "match", "refuse", "skip" or "extra"; `index` is the message it stands at."""

    what: str
    step: Step | None
    index: int
    message: Message | None = None
    outcomes: tuple[Outcome, ...] = ()
    pattern: Pattern | None = None
    hidden: str | None = None
    assumed: bool = False


class Reading(NamedTuple):
    moves: tuple[Move, ...]
    cost: Cost
    bound: dict[str, Any]
    complete: bool                 # False where the search gave up at its bound


class _Node(NamedTuple):
    index: int
    state: int
    bound: dict[str, Any]
    seen: frozenset[str]
    anchor: int                    # the state in which the last message was consumed
    parent: Any
    move: Move | None


def align(machine: Automaton, messages: Sequence[Message], matcher: Matcher, hidden: Callable[[Step, int], str | None],
          carried: frozenset[str] = frozenset()) -> Reading:
    """Reads `messages` against the machine. `hidden(step, index)` says why a step before message `index` cannot be seen.

    Steps named in `carried` were done by an earlier attempt that this one continues; skipping them is free.
    """
    start = _Node(0, machine.start, {}, frozenset(), machine.start, None, None)
    heap: list[tuple[Cost, int, _Node]] = [((0, 0, 0, 0), 0, start)]
    done: set[tuple] = set()
    order = 0
    last = len(messages)
    best = start
    while heap:
        cost, _, node = heapq.heappop(heap)
        key = (node.index, node.state, node.anchor, _frozen(node.bound), node.seen)
        if key in done:
            continue
        done.add(key)
        best = node
        if node.index == last and node.state == machine.end:
            return Reading(_moves(node), cost, node.bound, True)
        if len(done) > MAX_STATES:
            break
        for extra, following in _next(machine, messages, matcher, hidden, carried, node):
            order += 1
            heapq.heappush(heap, (tuple(map(sum, zip(cost, extra))), order, following))
    return Reading(_moves(best), (0, 0, 0, 0), best.bound, False)


def _next(machine: Automaton, messages: Sequence[Message], matcher: Matcher, hidden: Callable[[Step, int], str | None],
          carried: frozenset[str], node: _Node):
    index = node.index
    message = messages[index] if index < len(messages) else None
    for step, target in machine.steps.get(node.state, ()):
        if message is not None:
            yield from _consume(step, target, message, matcher, node)
        reason = "carried over from an earlier attempt" if step.step in carried else hidden(step, index)
        price = (0, 0, 0, 0) if reason else _price(step)
        yield price, node._replace(state=target, parent=node, move=Move("skip", step, index, hidden=reason))
    for jump in machine.jumps.get(node.state, ()):
        assumed = False
        if jump.condition is not None:
            value = holds(jump.condition, matcher.scope, node.bound, node.seen)
            if value is None:
                if not jump.wanted and _any_fits(jump.inside, messages, index, matcher, node.bound):
                    continue
                assumed = not jump.wanted
            elif value is not jump.wanted:
                continue
        move = Move("bypass", jump.inside[0] if jump.inside else None, index, assumed=assumed) if jump.inside else None
        yield (0, 0, 0, int(jump.optional)), node._replace(state=jump.target, parent=node, move=move)
    if message is not None and not _must_match(machine, message, matcher, hidden, carried, node):
        yield (0, 0, 1, 0), node._replace(index=index + 1, parent=node, move=Move("extra", None, index, message))


def _consume(step: Step, target: int, message: Message, matcher: Matcher, node: _Node):
    pattern = matcher.refuses(step, message, node.bound)
    if pattern is not None:
        move = Move("refuse", step, node.index, message, pattern=pattern)
        seen = node.seen | {f"refused:{step.step}"}
        yield (1, 0, 0, 0), _Node(node.index + 1, target, node.bound, seen, target, node, move)
        return
    fits = matcher.fits(step, message, node.bound)
    if fits is False:
        return
    bound = matcher.after(step, message, node.bound)
    outcomes = tuple(outcome for check in step.expect if check.when is None or holds(check.when, matcher.scope, bound, node.seen)
                     for outcome in evaluate(check, (message,), matcher.scope, bound))
    failed = sum(1 for o in outcomes if o.holds is False and o.check.severity == "error")
    move = Move("match", step, node.index, message, outcomes, assumed=fits is None)
    yield (0, failed, 0, 0), _Node(node.index + 1, target, bound, node.seen | {step.step}, target, node, move)


def _price(step: Step) -> Cost:
    if step.optional:
        return (0, 0, 0, 1)
    return (1, 0, 0, 0) if step.severity == "error" else (0, 1, 0, 0)


def _must_match(machine: Automaton, message: Message, matcher: Matcher, hidden: Callable[[Step, int], str | None],
                carried: frozenset[str], node: _Node) -> bool:
    """Does the message fit a step that could be reached, since the last one seen, without skipping a mandatory one?"""
    todo, visited = [node.anchor], set()
    while todo:
        state = todo.pop()
        if state in visited:
            continue
        visited.add(state)
        for step, target in machine.steps.get(state, ()):
            if matcher.refuses(step, message, node.bound) is not None or matcher.fits(step, message, node.bound):
                return True
            if step.optional or step.step in carried or hidden(step, node.index):    # free to skip
                todo.append(target)
        for jump in machine.jumps.get(state, ()):
            if jump.condition is None or holds(jump.condition, matcher.scope, node.bound, node.seen) in (None, jump.wanted):
                todo.append(jump.target)
    return False


def _any_fits(steps: tuple[Step, ...], messages: Sequence[Message], index: int, matcher: Matcher, bound: dict[str, Any]) -> bool:
    """Is there a message still to come that the passed-over steps are plainly about?"""
    first = steps[:1]
    return any(matcher.fits(step, message, bound) for step in first for message in messages[index:])


def _frozen(bound: dict[str, Any]) -> tuple:
    return tuple(sorted((k, v) for k, v in bound.items()))


def _moves(node: _Node) -> tuple[Move, ...]:
    moves = []
    while node is not None:
        if node.move is not None:
            moves.append(node.move)
        node = node.parent
    return tuple(reversed(moves))
