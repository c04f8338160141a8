"""What the search for a reading asks of an attempt, and the readings found for the same answers before.

Nothing but these questions tells the search of the messages, so it is a decision tree: what it asks next follows from the
answers so far, and so does the reading at its end. Each rule keeps the tree as far as it has been walked. An attempt is
led down by its own answers; where it reaches a leaf the reading is known, where the tree ends the search goes on and adds
a branch. The answers themselves always come from the attempt at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from ..model import Message
from ..rulebook.rule import Pattern, Step
from .automaton import Automaton
from .checks import Outcome, not_met
from .conditions import holds
from .matching import Matcher, Tie, referred_to

STEP, HIDDEN, WHEN, FITS = range(4)         # the first item of a question; the others are names and numbers
MOST_MESSAGES = 256         # longer attempts are one of a kind, and their trees large
NOBODY = "nobody"           # stands for a part of a request that nothing refers to
MOST_QUESTIONS = 5_000      # that a rule remembers; a new reading adds some thirty


class View(Protocol):
    """What the capture can show of an attempt: visibility.py."""

    def hidden(self, step: Step, index: int) -> str | None:
        """Why the step cannot be seen where it would stand before this message."""

    def hidden_places(self, step: Step) -> int:
        """Before which messages it cannot be seen, a bit for each, the last one for the end."""


class Consumed(NamedTuple):
    """What it means to take a message for a step or its refusal; `outcomes` are those that do not simply hold."""

    outcomes: tuple[Outcome, ...] = ()
    pattern: Pattern | None = None
    assumed: bool = False


class _Situation(NamedTuple):
    """What has been bound and done so far, and the bits of both together."""

    bound: dict[str, Any]
    seen: frozenset[str]
    bits: int


class Questions:
    """One attempt, as the search sees it. Every question is answered once."""

    def __init__(self, machine: Automaton, messages: Sequence[Message], matcher: Matcher, view: View,
                 carried: frozenset[str]):
        self.machine, self.messages, self.matcher, self.carried = machine, messages, matcher, carried
        self.consumed: dict[tuple[str, int, int], Consumed] = {}
        self._view = view
        self._situations: list[_Situation] = [_Situation({}, frozenset(), 0)]
        self._numbers: dict[int, int] = {0: 0}                # of a situation, by the bits of what is so in it
        self._bits: dict[tuple[str, Any], int] = {}
        self._references: dict[tuple[str, Any], int] | None = None
        self._answers: dict[tuple, Any] = {}                  # in the order in which they were asked

    # ------------------------------------------------------------------------------------------ answers

    def answer(self, question: tuple) -> Any:
        found = self._answers.get(question, self)
        if found is self:                                     # nobody asked before
            found = self._answers[question] = self._ASK[question[0]](self, *question[1:])
        return found

    def why_hidden(self, step: Step, index: int) -> str | None:
        """Why the step, skipped before this message, could not be seen."""
        if step.step in self.carried:
            return "carried over from an earlier attempt"
        return self._view.hidden(step, index)

    def bound(self, situation: int) -> dict[str, Any]:
        return self._situations[situation].bound

    def bound_by(self, moves: Sequence[tuple]) -> dict[str, Any]:
        """What a reading binds, with all of its requests."""
        bound: dict[str, Any] = {}
        for what, step, index, _ in moves:
            if what == "match":
                bound = self.matcher.after(step, self.messages[index], bound)
        return bound

    def _then(self, situation: int, bound: dict[str, Any], done: str) -> int:
        """The number of the situation after that one, with this bound and done as well. Equal ones have the same."""
        before, seen, known = self._situations[situation]
        for name, value in bound.items():
            if (old := before.get(name)) is not value:
                known = (known & ~self._bit(name, old) if name in before else known) | self._bit(name, value)
        known |= self._bit("", done)
        number = self._numbers.setdefault(known, len(self._situations))
        if number == len(self._situations):
            self._situations.append(_Situation(bound, seen | {done}, known))
        return number

    def _bit(self, name: str, value: Any) -> int:
        return 1 << self._bits.setdefault((name, value), len(self._bits))

    def _step(self, name: str, index: int, situation: int) -> tuple[str, int, int, bool] | None:
        """The message as the step or its refusal: "match" or "refuse", failed expectations, the situation then, and whether
        a match is assumed, or a refusal the receiver's."""
        matcher, step, message = self.matcher, self.machine.rule.step(name), self.messages[index]
        bound, seen, _ = self._situations[situation]
        pattern = matcher.refuses(step, message, bound)
        if pattern is not None:
            self.consumed[name, index, situation] = Consumed(pattern=pattern)
            by_receiver = pattern.src is not None and pattern.src == step.dst
            return "refuse", 0, self._then(situation, bound, f"refused:{name}"), by_receiver
        fits = matcher.fits(step, message, bound)
        if fits is False:
            return None
        bound = matcher.after(step, message, bound)
        if (ties := bound.get("tie:" + name)) is not None:
            bound["tie:" + name] = self._still_tied(ties, index + 1)
        outcomes = tuple(outcome for check in step.expect if check.when is None
                         or holds(check.when, matcher.scope, bound, seen)
                         for outcome in not_met(check, message, matcher.scope, bound))
        failed = sum(1 for o in outcomes if o.holds is False and o.check.severity == "error")
        self.consumed[name, index, situation] = Consumed(outcomes, assumed=fits is None)
        return "match", failed, self._then(situation, bound, name), fits is None

    def _still_tied(self, ties: tuple[Tie, ...], index: int) -> tuple[Tie, ...]:
        """What messages from here on could refer to. Requests that nothing tells apart any more are one: of a flood of
        unanswered ones the search need not find out which of them count."""
        last = self._last_reference()
        return tuple(dict.fromkeys(Tie(*(
            value if value is None or last.get((part, value), -1) >= index else NOBODY
            for part, value in zip(Tie._fields, tie))) for tie in ties))

    def _last_reference(self) -> dict[tuple[str, Any], int]:
        """Where in the attempt a part of a request is referred to last."""
        if self._references is None:
            rule = self.machine.rule
            kinds = frozenset().union(*(self.machine.kinds[step.step]
                                        for step in rule.steps() if step.answers is not None))
            self._references = {what: index for index, message in enumerate(self.messages) if message.kind in kinds
                                for what in referred_to(message)}
        return self._references

    def _hidden(self, name: str) -> int:
        """Where the step may have happened out of sight."""
        return self._view.hidden_places(self.machine.rule.step(name))

    def _when(self, number: int, situation: int) -> bool | None:
        bound, seen, _ = self._situations[situation]
        return holds(self.machine.conditions[number], self.matcher.scope, bound, seen)

    def _fits(self, name: str, index: int, situation: int) -> bool:
        """Is there a message still to come that the step is plainly about?"""
        step, bound = self.machine.rule.step(name), self.bound(situation)
        return any(message.kind in step.messages and self.matcher.fits(step, message, bound)
                   for message in self.messages[index:])

    _ASK = (_step, _hidden, _when, _fits)

    # ------------------------------------------------------------------------------------------ readings found before

    def recall(self) -> Any:
        """The reading of an attempt that gave the same answers, None where there was none."""
        node = self.machine.found.get(self._outline())
        while type(node) is _Branch:
            node = node.ways.get(self.answer(node.question))
        return node

    def remember(self, reading: Any) -> None:
        """Keeps the reading under the answers that led to it."""
        if len(self.messages) > MOST_MESSAGES or self.machine.remembered > MOST_QUESTIONS:
            return
        ways, at = self.machine.found, self._outline()
        for question, answer in self._answers.items():
            if at not in ways:
                ways[at] = _Branch(question, {})
                self.machine.remembered += 1
            ways, at = ways[at].ways, answer
        ways[at] = reading

    def _outline(self) -> tuple:
        """What the search sees of an attempt without asking."""
        return self.carried, tuple(m.kind for m in self.messages) if len(self.messages) <= MOST_MESSAGES else None


class _Branch(NamedTuple):
    question: tuple
    ways: dict[Any, Any]           # answer -> the next branch, or the reading
