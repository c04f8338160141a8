"""The reading of an attempt, said as an engineer would say it: a state for every step, findings, a cause, a verdict.

    skipped step, and the same message extra elsewhere     out-of-order, one finding         absences.py
    everything after some point skipped                    stopped or no-answer: named once, the rest is listed
    skipped step in the middle                             missing, between two frames
    request seen, refused_by seen                          refused, with the code            refusals.py
    step seen, expectation failed                          field-absent, field-wrong         expectations.py
    step seen after its deadline                           late
    step seen outside the layer it belongs in              wrong-path
    a message where it may not be, or stays away           forbidden, missing, late          forbidden.py, silences.py
    extra message                                          unexpected, a notice

What follows from an earlier failure is not counted again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..model import Message
from ..rulebook.rule import Rule, Step
from . import expectations, phrases
from .absences import skipped
from .account import Account
from .align import Move, Reading
from .checks import holds_all
from .forbidden import Breach, breaches
from .matching import Matcher
from .refusals import refused
from .silences import Silent
from .visibility import UNCERTAIN, Visibility

# lookups, connections and keep-alives come and go as they like
PASSING = frozenset(("dns", "tcp", "tls", "http", "ike", "ftp", "ssh"))


def explain(rule: Rule, reading: Reading, matcher: Matcher, view: Visibility,
            known: Callable[[Message], Mapping[str, Any]]) -> Account:
    """All that is to be said of the attempt; `known` are the facts that hold at a message."""
    told = Account(rule, reading, matcher, view)
    _run(told)
    expectations.groups(told)
    for breach in breaches(rule, reading, matcher, view, told.states, known):
        _forbidden(told, breach)
    _order_in_doubt(told)
    return told


def _order_in_doubt(told: Account) -> None:
    """What was seen while a clock was set back may have come in another order than the times say."""
    for gap in told.view.timeline.gaps:
        if UNCERTAIN in gap.reason and any(gap.start <= message.time <= gap.end for message in told.seen):
            told.doubts.append(gap.reason)


def _run(told: Account) -> None:
    moves = told.reading.moves
    last = max((i for i, m in enumerate(moves) if m.what in ("match", "refuse")), default=-1)
    steps = tuple({move.step.step: move.step for move in moves if move.step is not None}.values())
    unseen = False                                     # a mandatory step of the trailing run is out of sight
    for position, move in enumerate(moves):
        if move.step is not None:
            told.moves[move.step.step].append(move)
        match move.what:
            case "match":
                expectations.matched(told, move)
            case "refuse":
                refused(told, move)
            case "extra":
                _extra(told, move, steps)
            case "bypass":
                if move.step is not None and move.assumed:
                    told.assume(f"steps from {move.step.cite} on are not needed here (name cached, or condition unknown)")
            case "skip":
                unseen = skipped(told, move, trailing=position > last, unseen=unseen)


def _extra(told: Account, move: Move, steps: Sequence[Step]) -> None:
    message = move.message
    if message.protocol in PASSING:
        return
    near = next((step for step in steps if message.kind in step.messages
                 and holds_all(step.where, message, told.matcher.scope, told.reading.bound) is not False), None)
    if near is not None:
        told.add("unexpected", near, message.kind, severity="notice", frames=message.frames,
                 expected="nothing of the kind here", observed=told.parts.way(message))


def _forbidden(told: Account, breach: Breach) -> None:
    last = breach.steps[-1]
    if breach.silent is not None:
        _silent(told, last, breach.silent)
        return
    for step, message in zip(breach.steps, breach.messages):
        told.state(step, "seen", "shall not occur here")
        told.at[id(message)] = step.step
        told.beyond.append(message)
    if breach.messages:
        told.add("forbidden", last, "", severity=last.severity, expected=f"no {phrases.names(last.messages)} here",
                 hint=last.hint, frames=(ref for m in breach.messages for ref in m.frames),
                 observed=told.parts.way(breach.messages[-1]))
        return
    state, reason = "not_applicable", "the procedure did not get so far"
    if breach.doubt:
        state, reason = "not_observable", breach.doubt
    elif breach.reached:
        reason = "did not happen, as it should be"
    for step in breach.steps:
        told.state(step, state, reason)


def _silent(told: Account, step: Step, silent: Silent) -> None:
    """A message that stayed away for too long; where it came after all, it is late."""
    told.state(step, "late" if silent.came else "missing", f"not seen for {silent.seconds:.0f} s")
    sender = told.parts.at(step.src)
    until = "" if silent.came else f", though {told.parts.way(silent.until)} shows that the sender is alive"
    told.add("late" if silent.came else "missing", step, "", severity="warning" if silent.came else step.severity,
             frames=(*silent.since.frames, *silent.until.frames), hint=step.hint,
             expected=f"{step.title or phrases.names(step.messages)}: at least every {silent.allowed:g} s",
             observed=f"no {phrases.names(step.messages)}{f' from {sender}' if sender else ''} for {silent.seconds:.0f} s{until}")
