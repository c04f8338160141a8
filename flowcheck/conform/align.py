"""The cheapest way to read an attempt's messages against a rule.

Three moves: a message *is* a step (or its refusal), a step was *skipped*, a message is *extra*. The cost of a reading is a
tuple of integers, compared in order:

    (mandatory steps missing or refused, failed expectations, extra messages, optional parts left out)

The search is Dijkstra's over (message index, machine state, values bound so far), of equally cheap readings the one that has
explained more messages first: a clean run is replayed from end to end and nothing else is looked at. Ties go to the earlier
message, then to the order of the rule file, so the same capture always gives the same reading. Two rules keep it honest:

- A message that fits a step reachable without skipping a mandatory one is never called extra. Otherwise a refusal could be
  read away by passing over the optional group it happened in.
- A step known to be hidden costs nothing to skip, and nothing that was seen is ever skipped over to get there.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ..model import Message
from ..rulebook.rule import Pattern, Step
from .automaton import Automaton
from .checks import Outcome, evaluate
from .conditions import holds
from .matching import Matcher

Cost = tuple[int, int, int, int]
FREE, MISSED, OPTIONAL = (0, 0, 0, 0, 0), (1, 0, 0, 0, 0), (0, 0, 0, 1, 0)     # the last decides ties: see `following`
HIDDEN = (0, 0, 0, 2, 0)        # a step out of sight costs nothing that counts, but more than leaving out an optional part
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


class _Known:
    """What has been bound and seen on the way to a node; equal situations are one object, compared by identity."""

    __slots__ = ("bound", "seen")

    def __init__(self, bound: dict[str, Any], seen: frozenset[str]):
        self.bound, self.seen = bound, seen


class _Node(NamedTuple):
    index: int
    state: int
    known: _Known
    anchor: int                    # the state in which the last message was consumed
    parent: Any
    move: Move | None


def align(machine: Automaton, messages: Sequence[Message], matcher: Matcher, hidden: Callable[[Step, int], str | None],
          carried: frozenset[str] = frozenset()) -> Reading:
    """Reads `messages` against the machine. `hidden(step, index)` says why a step before message `index` cannot be seen.

    Steps named in `carried` were done by an earlier attempt that this one continues; skipping them is free.
    """
    search = _Search(machine, messages, matcher, hidden, carried)
    best = start = _Node(0, machine.start, search.situation({}, frozenset()), machine.start, None, None)
    heap: list[tuple[tuple[int, ...], int, int, _Node]] = [(FREE, 0, 0, start)]
    done: set[tuple[int, int, _Known, int]] = set()
    order, last = 0, len(messages)
    while heap:
        cost, _, _, node = heapq.heappop(heap)
        key = node[:4]
        if key in done:
            continue
        done.add(key)
        best = node
        if node.index == last and node.state == machine.end:
            return Reading(_moves(node), cost[:4], node.known.bound, True)
        if len(done) > MAX_STATES:
            break
        for extra, following in search.following(node):
            order += 1
            total = tuple(map(sum, zip(cost, extra))) if any(extra) else cost
            heapq.heappush(heap, (total, -following.index, order, following))
    return Reading(_moves(best), (0, 0, 0, 0), best.known.bound, False)


class _Search:
    """What the search asks, answered once: the same question comes up on many ways through the machine."""

    def __init__(self, machine: Automaton, messages: Sequence[Message], matcher: Matcher,
                 hidden: Callable[[Step, int], str | None], carried: frozenset[str]):
        self.machine, self.messages, self.matcher, self.carried = machine, messages, matcher, carried
        self._ask_hidden = hidden
        self._situations: dict[tuple, _Known] = {}
        self._hidden: dict[tuple[str, int], str | None] = {}
        self._musts: dict[tuple[int, int, _Known], bool] = {}
        self._consumed: dict[tuple[str, int, _Known], Any] = {}

    def situation(self, bound: dict[str, Any], seen: frozenset[str]) -> _Known:
        return self._situations.setdefault((tuple(sorted(bound.items())), seen), _Known(bound, seen))

    def following(self, node: _Node) -> Iterator[tuple[tuple[int, ...], _Node]]:
        """The nodes one move away and what the move costs, in the order of the rule file.

        An earlier message left over costs more than a later one, so that ties go to the earlier message.
        """
        index, state, known, anchor, _, _ = node
        message = self.messages[index] if index < len(self.messages) else None
        for step, target in self.machine.steps.get(state, ()):
            if message is not None and (eaten := self._consume(step, index, message, known)) is not None:
                price, then, move = eaten
                yield price, _Node(index + 1, target, then, target, node, move)
            reason = self._why_hidden(step, index)
            yield HIDDEN if reason else _price(step), _Node(index, target, known, anchor, node, Move("skip", step, index, hidden=reason))
        for jump in self.machine.jumps.get(state, ()):
            assumed = False
            if jump.condition is not None:
                value = holds(jump.condition, self.matcher.scope, known.bound, known.seen)
                if value is None:
                    if not jump.wanted and self._any_fits(jump.inside, index, known.bound):
                        continue
                    assumed = not jump.wanted
                elif value is not jump.wanted:
                    continue
            move = Move("bypass", jump.inside[0], index, assumed=assumed) if jump.inside else None
            yield OPTIONAL if jump.optional else FREE, _Node(index, jump.target, known, anchor, node, move)
        if message is not None and not self._must_match(index, anchor, known, message):
            price = (0, 0, 1, 0, len(self.messages) - index)
            yield price, _Node(index + 1, state, known, anchor, node, Move("extra", None, index, message))

    def _consume(self, step: Step, index: int, message: Message, known: _Known) -> tuple[Cost, _Known, Move] | None:
        """The message as this step or its refusal: the price, what is known then, the move."""
        key = (step.step, index, known)
        if key not in self._consumed:
            self._consumed[key] = self._as_step(step, index, message, known)
        return self._consumed[key]

    def _as_step(self, step: Step, index: int, message: Message, known: _Known) -> tuple[Cost, _Known, Move] | None:
        matcher, bound, seen = self.matcher, known.bound, known.seen
        pattern = matcher.refuses(step, message, bound)
        if pattern is not None:
            return MISSED, self.situation(bound, seen | {f"refused:{step.step}"}), Move("refuse", step, index, message, pattern=pattern)
        fits = matcher.fits(step, message, bound)
        if fits is False:
            return None
        bound = matcher.after(step, message, bound)
        outcomes = tuple(outcome for check in step.expect if check.when is None or holds(check.when, matcher.scope, bound, seen)
                         for outcome in evaluate(check, (message,), matcher.scope, bound))
        failed = sum(1 for o in outcomes if o.holds is False and o.check.severity == "error")
        return (0, failed, 0, 0, 0), self.situation(bound, seen | {step.step}), Move("match", step, index, message, outcomes,
                                                                                 assumed=fits is None)

    def _why_hidden(self, step: Step, index: int) -> str | None:
        if step.step in self.carried:
            return "carried over from an earlier attempt"
        key = (step.step, index)
        if key not in self._hidden:
            self._hidden[key] = self._ask_hidden(step, index)
        return self._hidden[key]

    def _must_match(self, index: int, anchor: int, known: _Known, message: Message) -> bool:
        key = (index, anchor, known)
        if key not in self._musts:
            self._musts[key] = self._fits_what_is_due(index, anchor, known, message)
        return self._musts[key]

    def _fits_what_is_due(self, index: int, anchor: int, known: _Known, message: Message) -> bool:
        """Does the message fit a step that could be reached, since the last one seen, without skipping a mandatory one?"""
        matcher, todo, visited = self.matcher, [anchor], set()
        while todo:
            state = todo.pop()
            if state in visited:
                continue
            visited.add(state)
            for step, target in self.machine.steps.get(state, ()):
                if matcher.refuses(step, message, known.bound) is not None or matcher.fits(step, message, known.bound):
                    return True
                if step.optional or self._why_hidden(step, index):                   # free to skip
                    todo.append(target)
            for jump in self.machine.jumps.get(state, ()):
                if jump.condition is None or holds(jump.condition, matcher.scope, known.bound, known.seen) in (None, jump.wanted):
                    todo.append(jump.target)
        return False

    def _any_fits(self, steps: tuple[Step, ...], index: int, bound: dict[str, Any]) -> bool:
        """Is there a message still to come that the passed-over steps are plainly about?"""
        return any(self.matcher.fits(step, message, bound) for step in steps[:1] for message in self.messages[index:])


def _price(step: Step) -> Cost:
    if step.optional:
        return OPTIONAL
    return MISSED if step.severity == "error" else (0, 1, 0, 0, 0)


def _moves(node: _Node) -> tuple[Move, ...]:
    moves = []
    while node is not None:
        if node.move is not None:
            moves.append(node.move)
        node = node.parent
    return tuple(reversed(moves))
