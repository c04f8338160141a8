"""The cheapest way to read an attempt's messages against a rule.

Three moves: a message *is* a step (or refuses it, in its place or once it came), a step was *skipped*, a message is
*extra*. The cost of a reading is a tuple of integers, compared in order:

    (mandatory steps missing or refused, failed expectations, extra messages, optional parts left out)

The search is Dijkstra's over (message index, machine state, values bound so far), of equally cheap readings the one that has
explained more messages first: a clean run is replayed from end to end and nothing else is looked at. Ties go to the earlier
message, then to the order of the rule file, so the same capture always gives the same reading. Two rules keep it honest:

- A message that fits a step reachable without skipping a mandatory one is never called extra. Otherwise a refusal could be
  read away by passing over the optional group it happened in.
- A step known to be hidden costs nothing to skip, and nothing that was seen is ever skipped over to get there.

Many devices do the same. The search knows an attempt only by the answers to its questions (`questions.py`), so an attempt
that gives the same answers as an earlier one is read as that one was, without a search.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any, NamedTuple

from ..model import Message
from ..rulebook.rule import Pattern, Step
from .automaton import Automaton
from .checks import Outcome
from .matching import Matcher
from .questions import FITS, HIDDEN, STEP, WHEN, Questions, View

Cost = tuple[int, int, int, int]
# a bound against hostile captures: an attempt needs a few hundred states, the worst damaged one some thousands
MAX_STATES = 40_000
STATES_PER_MESSAGE = 100
_PART = 40                  # bits of a price that each of its parts has


class Move(NamedTuple):
    """`what` is "match", "refuse", "skip", "bypass" or "extra"; `index` is the message it stands at."""

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


class Way(NamedTuple):
    """A reading as the search leaves it: (what, step, index, situation or mark) for each move."""

    moves: tuple[tuple, ...]
    price: int


class _Node(NamedTuple):
    index: int
    state: int
    situation: int                 # what has been bound and seen on the way here, by its number in `Questions`
    anchor: int                    # the state in which the last message was consumed
    parent: Any
    move: tuple | None


def align(machine: Automaton, messages: Sequence[Message], matcher: Matcher, view: View,
          carried: frozenset[str] = frozenset(),
          ) -> Reading:
    """Reads `messages` against the machine. `view` says which steps cannot be seen, and why.

    Steps named in `carried` were done by an earlier attempt that this one continues; skipping them is free.
    """
    asked = Questions(machine, messages, matcher, view, carried)
    way = asked.recall()
    if way is None:
        way, complete = _search(machine, asked)
        if not complete:
            return _reading(way, asked, False)
        asked.remember(way)
    return _reading(way, asked, True)


def _search(machine: Automaton, asked: Questions) -> tuple[Way, bool]:
    best = _Node(0, machine.start, 0, machine.start, None, None)
    heap: list[tuple[int, int, int, _Node]] = [(0, 0, 0, best)]
    done: set[tuple[int, int, int, int]] = set()
    cheapest: dict[tuple[int, int, int, int], int] = {best[:4]: 0}
    order, last = 0, len(asked.messages)
    most = MAX_STATES + STATES_PER_MESSAGE * last
    search = _Search(machine, asked)
    while heap:
        price, _, _, node = heappop(heap)
        key = node[:4]
        if key in done:
            continue
        done.add(key)
        best = node
        if node.index == last and node.state == machine.end:
            return _way(node, price), True
        if len(done) > most:
            break
        for extra, index, state, situation, anchor, move in search.following(node):
            key, total = (index, state, situation, anchor), price + extra
            if cheapest.get(key, total + 1) > total:       # what was there before at this price goes first
                cheapest[key] = total
                order += 1
                heappush(heap, (total, -index, order, _Node(index, state, situation, anchor, node, move)))
    return _way(best, 0), False


def _price(missed: int = 0, failed: int = 0, extra: int = 0, optional: int = 0, late: int = 0) -> int:
    """A cost as one number, which compares and adds up like the tuple. The last part decides ties: see `following`."""
    return (((missed << _PART | failed) << _PART | extra) << _PART | optional) << _PART | late


FREE, MISSED, FAILED, EXTRA, OPTIONAL = 0, _price(1), _price(0, 1), _price(0, 0, 1), _price(0, 0, 0, 1)
# a step out of sight costs nothing that counts, but more than leaving out an optional part
UNSEEN = _price(0, 0, 0, 2)


class _Search:
    """Which moves a node has, and what they cost."""

    def __init__(self, machine: Automaton, asked: Questions):
        self.machine, self.asked, self.messages, self.carried = machine, asked, asked.messages, asked.carried
        self._musts: dict[tuple[int, int, int], bool] = {}
        self._turning = frozenset().union(*machine.turning_down.values())
        self._hidden: dict[str, int] = {}

    def following(self, node: _Node) -> list[tuple[int, int, int, int, int, tuple | None]]:
        """What a move costs and the node it leads to, in the order of the rule file.

        An earlier message left over costs more than a later one, so that ties go to the earlier message.
        """
        index, state, situation, anchor, _, _ = node
        found: list[tuple[int, int, int, int, int, tuple | None]] = []
        message = self.messages[index] if index < len(self.messages) else None
        if message is not None and message.kind in self._turning and (turned := self._turned_down(node, message)) is not None:
            return [turned]                            # it is that and nothing else
        for step, target in self.machine.steps.get(state, ()):
            if message is not None and (eaten := self._as_step(step, index, situation, message)) is not None:
                what, failed, then, _ = eaten
                price = _refused(step) if what == "refuse" else failed * FAILED
                found.append((price, index + 1, target, then, target, (what, step, index, situation)))
            price = UNSEEN if self._is_hidden(step, index) else _skipped(step)
            found.append((price, index, target, situation, anchor, ("skip", step, index, None)))
        for jump in self.machine.jumps.get(state, ()):
            assumed = False
            if jump.condition is not None:
                value = self.asked.answer((WHEN, jump.asks, situation))
                if value is None:
                    if not jump.wanted and jump.inside and self.asked.answer((FITS, jump.inside[0].step, index, situation)):
                        continue
                    assumed = not jump.wanted
                elif value is not jump.wanted:
                    continue
            move = ("bypass", jump.inside[0], index, assumed) if jump.inside else None
            found.append((OPTIONAL if jump.optional else FREE, index, jump.target, situation, anchor, move))
        if message is not None and not self._must_match(index, anchor, situation, message):
            price = EXTRA + len(self.messages) - index
            found.append((price, index + 1, state, situation, anchor, ("extra", None, index, None)))
        return found

    def _turned_down(self, node: _Node, message: Message) -> tuple[int, int, int, int, int, tuple] | None:
        """A step refused once it came, by who received it and has sent nothing since (RFC 7296 2.21.2, RFC 8446 6.2)."""
        index, state, situation, anchor, _, _ = node
        last: Any = node
        while last is not None:
            if last.move is not None and last.move[0] == "match":
                step = last.move[1]
                if message.kind in self.machine.turning_down.get(step.step, ()):
                    break
                said = self.messages[last.move[2]]
                if said.stream != message.stream or said.src != message.dst or any(
                        other.answers == step.step and message.kind in self.machine.kinds[other.step]
                        for other in self.machine.rule.steps()):
                    return None                        # something else was heard, or this may refuse what was said last
            last = last.parent
        else:
            return None
        eaten = self._as_step(step, index, situation, message)
        if eaten is None or eaten[0] != "refuse" or not eaten[3]:
            return None
        return _refused(step), index + 1, state, eaten[2], anchor, ("refuse", step, index, situation)

    def _as_step(self, step: Step, index: int, situation: int, message: Message) -> tuple[str, int, int, bool] | None:
        """The message as this step or its refusal: which of them, failed expectations, the situation then, assumed."""
        return self.asked.answer((STEP, step.step, index,
                                  situation)) if message.kind in self.machine.kinds[step.step] else None

    def _is_hidden(self, step: Step, index: int) -> bool:
        places = self._hidden.get(step.step)
        if places is None:
            places = self._hidden[step.step] = -1 if step.step in self.carried else self.asked.answer((HIDDEN, step.step))
        return bool(places >> index & 1)

    def _must_match(self, index: int, anchor: int, situation: int, message: Message) -> bool:
        key = (index, anchor, situation)
        if key not in self._musts:
            self._musts[key] = self._fits_what_is_due(index, anchor, situation, message)
        return self._musts[key]

    def _fits_what_is_due(self, index: int, anchor: int, situation: int, message: Message) -> bool:
        """Does the message fit a step that could be reached, since the last one seen, without skipping a mandatory one?"""
        todo, visited = [anchor], set()
        while todo:
            state = todo.pop()
            if state in visited:
                continue
            visited.add(state)
            for step, target in self.machine.steps.get(state, ()):
                eaten = self._as_step(step, index, situation, message)
                if eaten is not None and (eaten[0] == "refuse" or not eaten[3]):
                    return True
                if step.optional or self._is_hidden(step, index):                   # free to skip
                    todo.append(target)
            for jump in self.machine.jumps.get(state, ()):
                if jump.condition is None or self.asked.answer((WHEN, jump.asks, situation)) in (None, jump.wanted):
                    todo.append(jump.target)
        return False


def _skipped(step: Step) -> int:
    if step.optional:
        return OPTIONAL
    return MISSED if step.severity == "error" else FAILED


def _refused(step: Step) -> int:
    """What would be no error to leave out is none to refuse; nobody refuses a step for being optional."""
    return MISSED if step.optional else _skipped(step)


def _way(node: _Node, price: int) -> Way:
    moves = []
    while node is not None:
        if node.move is not None:
            moves.append(node.move)
        node = node.parent
    return Way(tuple(reversed(moves)), price)


def _reading(way: Way, asked: Questions, complete: bool) -> Reading:
    cost = tuple(way.price >> _PART * place & (1 << _PART) - 1 for place in (4, 3, 2, 1))
    moves = _refusals_first(way.moves, asked.machine)
    return Reading(tuple(_move(asked, *move) for move in moves), cost, asked.bound_by(way.moves), complete)


def _refusals_first(moves: Sequence[tuple], machine: Automaton) -> Sequence[tuple]:
    """Where steps have no order, what was skipped at a refusal did not come because of it."""
    found = list(moves)
    for place, (what, step, *_) in enumerate(moves):
        if what == "refuse":
            at = first = place
            while at and (found[at - 1][0] == "extra" or found[at - 1][0] in ("skip", "bypass")
                          and machine.unordered(found[at - 1][1], step)):
                at -= 1
                first = first if found[at][0] == "extra" else at
            found.insert(first, found.pop(place))
    return found


def _move(asked: Questions, what: str, step: Step | None, index: int, rest: Any) -> Move:
    match what:
        case "skip":
            return Move(what, step, index, hidden=asked.why_hidden(step, index))
        case "bypass":
            return Move(what, step, index, assumed=rest)
        case "extra":
            return Move(what, None, index, asked.messages[index])
    found = asked.consumed[step.step, index, rest]
    return Move(what, step, index, asked.messages[index], found.outcomes, found.pattern, assumed=found.assumed)
