"""A step that was seen, and not as it should be: its fields, its path, its time, and what a group holds together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..model import FrameRef, Message
from ..rulebook.rule import Check, Group, Step
from . import codes, phrases
from .account import Account
from .align import Move
from .checks import Outcome, evaluate
from .conditions import holds
from .fields import partly_hidden
from .reasons import Reason
from .visibility import Visibility

LAYERS = {"tls": frozenset(("tls", "dtls")), "ipsec": frozenset(("esp",))}


def matched(told: Account, move: Move) -> None:
    """The message of a move as its step."""
    step, message = move.step, move.message
    told.take(step, "seen", message)
    if move.assumed and step.dst and not partly_hidden(message):
        told.assume(f"{message.kind} to {message.dst} is taken for step {step.cite}")
    for outcome in move.outcomes:
        if outcome.holds is False:
            _broken(told, step, outcome, message.frames, (message,))
        elif outcome.holds is None and outcome.check.severity == "error" and message.incomplete:
            told.doubts.append(f"{outcome.target} at step {step.cite} is in a part of {message.kind} that the capture does not hold")
    _path(told, step, message)
    _deadline(told, step, message)
    told.seen.append(message)


def _broken(told: Account, step: Step, outcome: Outcome, frames: tuple[FrameRef, ...],
            messages: Sequence[Message]) -> None:
    check = outcome.check
    kind = "field-absent" if outcome.absent else "field-wrong"
    name = phrases.name(messages[0].kind)
    meant = None if outcome.absent else codes.meaning(messages[0].protocol, str(outcome.observed))
    told.add(kind, step, outcome.target, severity=check.severity, frames=frames,
             expected=f"{outcome.target}: {outcome.expected}",
             observed=f"{name} without {outcome.target}" if outcome.absent
             else f"{name} with {outcome.target}: {outcome.observed}",
             hint=check.hint or step.hint, side=check.side or told.sender(step), clause=check.cite,
             repair=f"{phrases.article(name)} with {outcome.target}: {outcome.expected}",
             reason=Reason(meant[0] if meant else ""))


def _path(told: Account, step: Step, message: Message) -> None:
    if step.should_be_inside and not any(LAYERS[name] & set(message.layers) for name in step.should_be_inside):
        told.add("wrong-path", step, "", severity="warning", frames=message.frames,
                 expected=f"inside {' or '.join(name.upper() for name in step.should_be_inside)}",
                 observed=f"{told.parts.way(message)} runs in clear", side="device",
                 hint="It should run over a secured connection.")
    wanted = step.inside or ("ipsec" if any(r is not None and r.path == "tunnel" for r in (
        told.rule.role(n) for n in (step.src, step.dst) if n)) and step.perhaps_inside is None else None)
    if wanted == "ipsec" and path_of(message, told.view) == "direct":
        told.add("wrong-path", step, "", frames=message.frames, expected="inside the IPsec tunnel",
                 observed=f"{told.parts.way(message)} runs outside the tunnel", hint=step.hint, side="device",
                 repair="the same message inside the IPsec tunnel")
    elif wanted == "tls" and not LAYERS["tls"] & set(message.layers):
        told.add("wrong-path", step, "", frames=message.frames, expected="inside a TLS connection",
                 severity=step.severity, observed=f"{told.parts.way(message)} runs in clear", hint=step.hint,
                 side="device", repair="the same message inside a TLS connection")


def path_of(message: Message, view: Visibility) -> str | None:
    """Did the message run inside the device's tunnel ("tunnel"), beside it ("direct"), or can that not be told (None)?"""
    if "esp" in message.layers:
        return "tunnel"
    device = view.timeline.device
    ends = {message.src.address, message.dst.address}
    if ends & set(device.outer):
        return "direct"
    return "tunnel" if device.outer and ends & set(device.addresses) else None


def _deadline(told: Account, step: Step, message: Message) -> None:
    if step.within is None:
        return
    begun = _last_matched(told, step.within.after, message) or _last_matched(told, step.within.after)
    seconds = told.view.seconds(step)
    if begun is not None and (took := (message.time - begun.time) / 1e9) > seconds:
        told.states[step.step] = "late"
        severity = "error" if step.within.basis == "spec" else "warning"
        told.add("late", step, "", severity=severity, frames=(*begun.frames, *message.frames),
                 expected=f"within {seconds:g} s of step {told.rule.step(step.within.after).cite}",
                 observed=f"after {took:.1f} s", hint=step.hint)


def _last_matched(told: Account, name: str, answer: Message | None = None) -> Message | None:
    """What was last matched with the step; of an answer, what it answers."""
    return next((m.message for m in reversed(told.moves.get(name, ())) if m.what == "match" and (
        answer is None or answer.answers is None or m.message.transaction == answer.answers)), None)


# ------------------------------------------------------------------------------------------------- groups

def groups(told: Account) -> None:
    """What each group expects of all its messages together."""
    of_steps, told.findings = told.findings, []
    for group in told.rule.groups():
        if group.expect:
            _together(told, group)
    lacking, told.findings = told.findings, of_steps
    place = {step.step: number for number, step in enumerate(told.rule.steps())}
    for finding in lacking:                            # before what came of it: the findings at later steps of the rule
        if all(other.code != finding.code for other in of_steps):
            later = (i for i, other in enumerate(of_steps) if place[other.step] > place[finding.step])
            of_steps.insert(next(later, len(of_steps)), finding)


def _together(told: Account, group: Group) -> None:
    names = [step.step for step in group.steps()]
    done = [m for m in told.reading.moves if m.what == "match" and m.step.step in names]
    if not done or any(told.states.get(name) == "not_observable" for name in names):
        return
    messages, step = [m.message for m in done], done[0].step
    first_seen = next((m for m in told.reading.moves if m.what in ("match", "refuse")), None)
    if group.repeat.maximum > 1 and (told.view.entered or told.view.midway and first_seen is done[0]):
        told.doubts.append(f"the capture began inside step {step.cite}; earlier messages of it may be missing")
        return
    cite = group.cite or step.cite
    lost = group.repeat.maximum > 1 and _lost_beside(told, done)
    for check in group.expect:
        for outcome in evaluate(check, messages, told.matcher.scope, told.reading.bound):
            if check.when is not None and not _condition(told, check):
                continue
            if outcome.holds is False and outcome.absent and lost:
                told.doubts.append(f"{outcome.target} may stand in another message of step {cite}: {lost}")
            elif outcome.holds is False:
                _broken(told, replace(step, cite=cite) if group.cite else step, outcome,
                        tuple(ref for m in messages for ref in m.frames), messages)


def _lost_beside(told: Account, done: Sequence[Move]) -> str | None:
    """What the capture lost where one more of these messages may have stood, in words: since their protocol was first
    spoken, because a later session repeats what an earlier one asked.
    """
    moves = [m for m in told.reading.moves if m.what in ("match", "refuse")]
    spoken = next(m.message for m in moves if m.message.protocol == done[0].message.protocol)
    following = moves[moves.index(done[-1]) + 1:]
    return told.view.lost_between(spoken.time, following[0].message.time if following else told.view.limit)


def _condition(told: Account, check: Check) -> bool:
    seen = frozenset(f"refused:{name}" if state == "refused" else name for name, state in told.states.items()
                     if state in ("seen", "late", "refused"))
    return holds(check.when, told.matcher.scope, told.reading.bound, seen) is True
