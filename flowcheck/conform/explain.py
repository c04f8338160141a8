"""The reading of an attempt, said as an engineer would say it: a state for every step, findings, a cause, a verdict.

    skipped step, and the same message extra elsewhere     out-of-order, one finding
    request seen, refused_by seen                          refused, with the code
    everything after some point skipped                    stopped or no-answer: named once, the rest is listed
    skipped step in the middle                             missing, between two frames
    step seen, expectation failed                          field-absent, field-wrong
    step seen after its deadline                           late
    step seen outside the layer it belongs in              wrong-path
    extra message                                          unexpected, a notice

What follows from an earlier failure is not counted again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..model import Finding, FrameRef, Message, StepResult
from ..rulebook.rule import Check, Group, Reference, Rule, Step
from . import codes, phrases
from .align import Move, Reading
from .checks import TESTS, Outcome, evaluate, holds_all
from .conditions import holds
from .describe import STOPPING, display_filter
from .fields import get_field
from .forbidden import breaches
from .matching import Matcher
from .parts import Parts
from .reasons import Evidence, Reason, reason
from .rounds import asked_again, passed_over
from .several import excused, is_one
from .silences import Silent
from .taps import misplaced
from .visibility import Visibility

ANOTHER = "; another host did it"
# ns: who leaves later than this after a request did wait, and the side that owes the answer is at fault
IMPATIENT = 1_000_000_000
LAYERS = {"tls": frozenset(("tls", "dtls")), "ipsec": frozenset(("esp",))}
CODE_FIELDS = ("rcode", "notify", "FaultCode", "status", "description", "code", "cause", "experimental_result.code",
               "result_code")


class Explanation:
    """Collects the step states and findings of one attempt; `explain` fills it."""

    def __init__(self, rule: Rule, reading: Reading, matcher: Matcher, view: Visibility):
        self.rule, self.reading, self.matcher, self.view = rule, reading, matcher, view
        self.parts = Parts(rule, matcher, reading.bound)
        self.findings: list[Finding] = []
        self.moves: dict[str, list[Move]] = defaultdict(list)
        self.reasons: dict[str, str] = {}
        # the steps, each once
        self.read = tuple({m.step.step: m.step for m in reading.moves if m.step is not None}.values())
        self.states: dict[str, str] = {}
        self.assumed: list[str] = []
        self.doubts: list[str] = []                    # what a cut message leaves open
        self.at: dict[int, str] = {}                   # id of message -> step
        self.beyond: list[Message] = []                # messages after the attempt that it forbids
        self._failed = False
        # steps that may have been done when a tap with another clock says
        self._misplaced: dict[str | None, str] = {}
        self._open: tuple[Step, Move] | None = None    # a repeated request at the end that nothing answers
        self._matched_before: list[Message] = []

    # -------------------------------------------------------------------------------------------- findings

    def run(self) -> None:
        moves = self.reading.moves
        last = max((i for i, m in enumerate(moves) if m.what in ("match", "refuse")), default=-1)
        unseen = False                                 # a mandatory step of the trailing run is out of sight
        for position, move in enumerate(moves):
            if move.step is not None:
                self.moves[move.step.step].append(move)
            if move.what == "match":
                self._matched(move)
            elif move.what == "refuse":
                self._refused(move)
            elif move.what == "extra":
                self._extra(move)
            elif move.what == "bypass":
                self._bypassed(move)
            else:
                unseen = self._skipped(move, trailing=position > last, unseen=unseen)
        for group in _groups(self.rule.items):
            self._group_expectations(group)

    def forbid(self, known: Callable[[Message], Mapping[str, Any]]) -> None:
        """What shall not happen; `known` are the facts that hold at a message."""
        for breach in breaches(self.rule, self.reading, self.matcher, self.view, self.states, known):
            last = breach.steps[-1]
            if breach.silent is not None:
                self._silent(last, breach.silent)
                continue
            for step, message in zip(breach.steps, breach.messages):
                self._state(step, "seen", "shall not occur here")
                self.at[id(message)] = step.step
                self.beyond.append(message)
            if breach.messages:
                message = breach.messages[-1]
                self._add("forbidden", last, "", severity=last.severity,
                          expected=f"no {phrases.names(last.messages)} here", hint=last.hint,
                          frames=(ref for m in breach.messages for ref in m.frames),
                          observed=self.parts.way(message))
            else:
                state = ("not_observable", breach.doubt) if breach.doubt else ("not_applicable", "did not happen, as it should be" if
                                                                               breach.reached else "the procedure did not get so far")
                for step in breach.steps:
                    self._state(step, *state)

    def _silent(self, step: Step, silent: Silent) -> None:
        """A message that stayed away for too long; where it came after all, it is late."""
        self._state(step, "late" if silent.came else "missing", f"not seen for {silent.seconds:.0f} s")
        sender = self.parts.at(step.src)
        until = "" if silent.came else f", though {self.parts.way(silent.until)} shows that the sender is alive"
        self._add("late" if silent.came else "missing", step, "", severity="warning" if silent.came else step.severity,
                  frames=(*silent.since.frames, *silent.until.frames), hint=step.hint,
                  expected=f"{step.title or phrases.names(step.messages)}: at least every {silent.allowed:g} s",
                  observed=f"no {phrases.names(step.messages)}{f' from {sender}' if sender else ''} for {silent.seconds:.0f} s{until}")

    def _matched(self, move: Move) -> None:
        step, message = move.step, move.message
        self.states[step.step] = "seen"
        self.at[id(message)] = step.step
        if move.assumed and step.dst:
            self._assume(f"{message.kind} to {message.dst} is taken for step {step.cite}")
        for outcome in move.outcomes:
            if outcome.holds is False:
                self._expectation(step, outcome, message.frames, (message,))
            elif outcome.holds is None and outcome.check.severity == "error" and message.incomplete:
                self.doubts.append(f"{outcome.target} at step {step.cite} is in a part of {message.kind} that the capture does not hold")
        self._path(step, message)
        self._deadline(step, message)
        self._matched_before.append(message)

    def _expectation(self, step: Step, outcome: Outcome, frames: tuple[FrameRef, ...],
                     messages: Sequence[Message]) -> None:
        check = outcome.check
        kind = "field-absent" if outcome.absent else "field-wrong"
        name = phrases.name(messages[0].kind)
        meant = None if outcome.absent else codes.meaning(messages[0].protocol, str(outcome.observed))
        self._add(kind, step, outcome.target, severity=check.severity, frames=frames,
                  expected=f"{outcome.target}: {outcome.expected}",
                  observed=f"{name} without {outcome.target}"
                  if outcome.absent else f"{name} with {outcome.target}: {outcome.observed}",
                  hint=check.hint or step.hint, side=check.side or self._sender(step), clause=check.cite,
                  repair=f"{phrases.article(name)} with {outcome.target}: {outcome.expected}",
                  reason=Reason(meant[0] if meant else ""))

    def _path(self, step: Step, message: Message) -> None:
        if step.should_be_inside and not any(LAYERS[name] & set(message.layers) for name in step.should_be_inside):
            self._add("wrong-path", step, "", severity="warning", frames=message.frames,
                      expected=f"inside {' or '.join(name.upper() for name in step.should_be_inside)}",
                      observed=f"{self.parts.way(message)} runs in clear", side="device",
                      hint="It should run over a secured connection.")
        wanted = step.inside or ("ipsec" if any(r is not None and r.path == "tunnel" for r in (
            self.rule.role(n) for n in (step.src, step.dst) if n)) and step.perhaps_inside is None else None)
        if wanted is None:
            return
        where = path_of(message, self.view)
        if wanted == "ipsec" and where == "direct":
            self._add("wrong-path", step, "", frames=message.frames, expected="inside the IPsec tunnel",
                      observed=f"{self.parts.way(message)} runs outside the tunnel", hint=step.hint, side="device",
                      repair="the same message inside the IPsec tunnel")
        elif wanted == "tls" and not {"tls", "dtls"} & set(message.layers):
            self._add("wrong-path", step, "", frames=message.frames, expected="inside a TLS connection",
                      severity=step.severity,
                      observed=f"{self.parts.way(message)} runs in clear", hint=step.hint, side="device",
                      repair="the same message inside a TLS connection")

    def _deadline(self, step: Step, message: Message) -> None:
        if step.within is None:
            return
        begun = self._last_matched(step.within.after, message) or self._last_matched(step.within.after)
        seconds = self.view.seconds(step)
        if begun is not None and (took := (message.time - begun.time) / 1e9) > seconds:
            self.states[step.step] = "late"
            severity = "error" if step.within.basis == "spec" else "warning"
            self._add("late", step, "", severity=severity, frames=(*begun.frames, *message.frames),
                      expected=f"within {seconds:g} s of step {self.rule.step(step.within.after).cite}",
                      observed=f"after {took:.1f} s", hint=step.hint)

    def _last_matched(self, name: str, answer: Message | None = None) -> Message | None:
        """What was last matched with the step; of an answer, what it answers."""
        return next((m.message for m in reversed(self.moves.get(name, ())) if m.what == "match" and (
            answer is None or answer.answers is None or m.message.transaction == answer.answers)), None)

    def _refused(self, move: Move) -> None:
        step, message, pattern = move.step, move.message, move.pattern
        self.states[step.step] = "refused"
        self.at[id(message)] = step.step
        detail = _detail(message, pattern.where)
        device = message.src.address in self.matcher.scope.device.addresses
        gave_up = message.kind in ("cwmp.session_end", "tcp.fin", "tcp.reset") or (
            message.kind == "sctp.abort" and device and self._sender(step) == "network")
        kind = "no-answer" if gave_up else "refused"
        side = pattern.side or step.side or ("device" if device else "network")
        request = self._last_request(step, message.session)
        if pattern.src or request is not None and request.dst.address == message.src.address:
            sender = self.parts.playing(pattern.src or step.src, message.src, message)
        else:
            sender = self.parts.who(message.src, message)
            if sender == message.src.address and self._sender(step) == "network":      # a host no role is known for
                sender = self.parts.playing(step.src, message.src, message)
        observed = phrases.refusal(message, sender, detail, request)
        if message.kind == "cwmp.session_end":
            observed = self.parts.recast(str(message.fields.get("reason")), message)
            left = "device" if message.fields.get("by") == "device" else "network"
            waited = message.time - request.time if request is not None else 0
            if left != self._sender(step) and waited > IMPATIENT:
                left, observed = self._sender(step), f"{self.parts.in_vain(step, request)} for {waited / 1e9:.1f} s; {observed}"
            side = pattern.side or left
        elif gave_up and request is not None and device:
            observed = f"{self.parts.in_vain(step, request)}; {observed}"
        another = excused(self.rule, self.reading, self.matcher, step, self._last_request(step) or message)
        self._add(kind, step, "" if gave_up else detail, severity="warning" if another else "error",
                  frames=message.frames,
                  expected=_asked_for(step), observed=observed + (ANOTHER if another else ""), hint=pattern.hint
                  or step.hint,
                  side=side, repair=self.parts.needed(step, message), reason=self._why(message, request, detail))
        self._failed = self._failed or not another
        self._matched_before.append(message)

    def _skipped(self, move: Move, trailing: bool, unseen: bool) -> bool:
        step = move.step
        if self.states.get(step.step) in ("seen", "refused", "late") and not self._unanswered_again(step, move):
            if trailing and not move.hidden and not step.optional and self._asked_again(step):
                self._open = step, move                # the cause, should the rest not come either
            return unseen
        if move.hidden and move.hidden.startswith("carried"):
            self._state(step, "not_applicable", move.hidden)
        elif step.optional:
            self._state(step, "not_applicable", "optional, not seen")
        elif not trailing and (asked := self._last_request(step)) is not None and asked_again(self.reading, step, asked):
            return unseen                              # the answer to the same request follows
        elif self._failed:
            self._state(step, "missing", "not reached, after the failure above")
        elif move.hidden:
            self._state(step, "not_observable", move.hidden)
            return unseen or trailing
        elif trailing and unseen:
            self._state(step, "not_observable", "follows a step that the capture cannot show")
        elif trailing and self._open is not None:
            self._missing(*self._open, trailing)
            self._state(step, "missing", "not reached, after the failure above")
        elif why := self._misplaced.get(step.answers) or misplaced(step, move, self.reading, self.view.timeline, self.matcher):
            self._misplaced[step.step] = why           # and so may be its answer
            self._state(step, "not_observable", why)
            return unseen or trailing
        else:
            self._missing(step, move, trailing)
        return unseen

    def _asked_again(self, step: Step) -> bool:
        """Was it asked for once more after its last answer?"""
        places = [[m.index for m in self.moves.get(name or "", ()) if m.what == "match"]
                  for name in (step.answers, step.step)]
        return all(places) and places[0][-1] > places[1][-1]

    def _missing(self, step: Step, move: Move, trailing: bool) -> None:
        elsewhere = [m for m in self.reading.moves if m.what == "extra"
                     and self.matcher.fits(step, m.message, self.reading.bound)]
        request, why = self._last_request(step), Reason()
        if elsewhere and not trailing:
            kind, frames = "out-of-order", elsewhere[0].message.frames
            observed = f"{phrases.name(elsewhere[0].message.kind)} in frame {elsewhere[0].message.frames[-1].number}, out of its place"
        elif step.answers is not None and request is not None:
            kind, frames = "no-answer", (*request.frames, *request.copies)
            observed, why = self.parts.in_vain(step, request), self._why(None, request, "")
        else:
            kind = "stopped" if trailing else "missing"
            frames = self._around(move)
            sender = self.parts.at(step.src)
            observed = f"no {phrases.names(step.messages)}{f' from {sender}' if sender else ''} {'follows' if trailing else 'between these frames'}"
        if trailing and self.view.gave_up:
            observed += f"; {self.parts.recast(self.view.gave_up)}"
        lost = self._lost(request if kind == "no-answer" else self._matched_before[-1] if trailing
                          and self._matched_before else None)
        another = kind == "no-answer" and excused(self.rule, self.reading, self.matcher, step, request)
        severity = "warning" if another else step.severity
        self._state(step, "missing", observed)
        side = "path" if lost else step.side or ("network" if kind == "no-answer"
                                                 and self._sender(step) == "network" else self._sender(step))
        self._add(kind, step, "", severity=severity, frames=frames, expected=_asked_for(step),
                  observed=observed + (ANOTHER if another else ""), hint=step.hint, side=side,
                  repair=self.parts.needed(step, None), reason=Reason(lost) if lost else why)
        if severity == "error":
            self._failed = True

    def _unanswered_again(self, step: Step, move: Move) -> bool:
        """Has the last request brought no answer, after others did: of tries with several hosts, or where who owes it went on?"""
        request = self._last_request(step)
        return request is not None and not move.hidden and not any(
            earlier.message.answers == request.transaction
            for earlier in self.moves[step.step] if earlier.message is not None
        ) and (is_one(self.rule, step) or not step.optional
               and passed_over(self.reading, self.view.timeline, step, request))

    def _lost(self, message: Message | None) -> str:
        """Where a message was lost between two taps; empty where it was not, or where its answer shows that it arrived."""
        taps = self.view.timeline.lost.get(message.frames[-1]) if message is not None else None
        if taps is None or message.answers is None and any(m.answers == message.transaction
                                                           for m in self.view.timeline.messages
                                                           if m.answers is not None):
            return ""
        seen, missed = (self.view.timeline.taps.get(tap, f"tap {tap}") for tap in taps)
        return (f"{phrases.name(message.kind)} came by {seen} in frame {message.frames[-1].number} and never by {missed}, which recorded these "
                "hosts at that time: it was lost between the two")

    def _around(self, move: Move) -> tuple[FrameRef, ...]:
        before = self._matched_before[-1].frames[-1:] if self._matched_before else ()
        messages = self.view.messages
        after = messages[move.index].frames[-1:] if move.index < len(messages) else ()
        return (*before, *after)

    def _extra(self, move: Move) -> None:
        message = move.message
        if message.protocol in ("dns", "tcp", "tls", "http", "ike", "ftp", "ssh"):
            return                                     # lookups, connections and keep-alives come and go as they like
        near = next((step for step in self.read if message.kind in step.messages
                     and holds_all(step.where, message, self.matcher.scope, self.reading.bound) is not False), None)
        if near is not None:
            self._add("unexpected", near, message.kind, severity="notice", frames=message.frames,
                      expected="nothing of the kind here", observed=self.parts.way(message))

    def _bypassed(self, move: Move) -> None:
        if move.step is not None and move.assumed:
            self._assume(f"steps from {move.step.cite} on are not needed here (name cached, or condition unknown)")

    def _group_expectations(self, group: Group) -> None:
        if not group.expect:
            return
        names = [step.step for step in group.steps()]
        matched = [m for m in self.reading.moves if m.what == "match" and m.step.step in names]
        if not matched:
            return
        messages = [m.message for m in matched]
        if any(self.states.get(name) == "not_observable" for name in names):
            return
        first_seen = next((m for m in self.reading.moves if m.what in ("match", "refuse")), None)
        if group.repeat.maximum > 1 and (self.view.entered or self.view.midway and first_seen is matched[0]):
            self.doubts.append(f"the capture began inside step {matched[0].step.cite}; earlier messages of it may be missing")
            return
        cite = group.cite or matched[0].step.cite
        lost = group.repeat.maximum > 1 and self._lost_beside(matched)
        for check in group.expect:
            for outcome in evaluate(check, messages, self.matcher.scope, self.reading.bound):
                if check.when is not None and not self._condition(check):
                    continue
                if outcome.holds is False and outcome.absent and lost:
                    self.doubts.append(f"{outcome.target} may stand in another message of step {cite}: {lost}")
                elif outcome.holds is False:
                    step = matched[0].step
                    frames = tuple(ref for m in messages for ref in m.frames)
                    self._expectation(step if not group.cite else replace(step, cite=cite),
                                      outcome,
                                      frames, messages)

    def _lost_beside(self, matched: Sequence[Move]) -> str | None:
        """What the capture lost where one more of these messages may have stood, in words: since their protocol was first
        spoken, because a later session repeats what an earlier one asked.
        """
        moves = [m for m in self.reading.moves if m.what in ("match", "refuse")]
        spoken = next(m.message for m in moves if m.message.protocol == matched[0].message.protocol)
        following = moves[moves.index(matched[-1]) + 1:]
        return self.view.lost_between(spoken.time, following[0].message.time if following else self.view.limit)

    def _condition(self, check: Check) -> bool:
        seen = frozenset(f"refused:{name}" if state == "refused" else name for name, state in self.states.items()
                         if state in ("seen", "late", "refused"))
        return holds(check.when, self.matcher.scope, self.reading.bound, seen) is True

    # -------------------------------------------------------------------------------------------- small parts

    def _state(self, step: Step, state: str, reason: str) -> None:
        self.states[step.step] = state
        self.reasons[step.step] = reason

    def _assume(self, text: str) -> None:
        if text not in self.assumed:
            self.assumed.append(text)

    def _sender(self, step: Step) -> str:
        role = self.rule.role(step.src) if step.src else None
        if role is None:
            return "unknown"
        return "device" if role.kind == "device" else "network"

    def _last_request(self, step: Step, session: int | None = None) -> Message | None:
        matched = [m.message for m in self.moves.get(step.answers or "", ()) if m.what == "match"
                   and session in (None, m.message.session)]
        return matched[-1] if matched else None

    def _why(self, refusal: Message | None, request: Message | None, code: str) -> Reason:
        return reason(Evidence(refusal, request, self.view.timeline.messages, self.parts.called), code)

    def _add(self, kind: str, step: Step, detail: str, *, severity: str = "error", frames: Iterable[FrameRef],
             expected: str,
             observed: str, hint: str = "", side: str | None = None, clause: str | None = None, repair: str = "",
             reason: Reason = Reason()) -> None:
        code = f"{self.rule.procedure}/{step.step}/{kind}" + (f":{detail}" if detail else "")
        if any(f.code == code for f in self.findings):
            return
        frames = tuple(dict.fromkeys(frames))
        self.findings.append(Finding(code, kind, severity, step.step, step.cite, clause or self.rule.citation,
                                     frames, expected,
                                     observed, hint, side or step.side or self._sender(step),
                                     display_filter(frames), repair,
                                     why=reason.text, also=reason.other))

    def _behind_the_failure(self, step: Step) -> bool:
        stopped = {f.step for f in self.findings if f.severity == "error" and f.kind in STOPPING}
        return bool(stopped) and next(one.step for one in self.rule.steps() if one.step in stopped
                                      or one is step) in stopped

    def steps(self) -> tuple[StepResult, ...]:
        """Every step of the rule with its state, in the order of the file."""
        return tuple(self._step(step) for step in self.rule.steps())

    def _step(self, step: Step) -> StepResult:
        state, reason = self.states.get(step.step), self.reasons.get(step.step)
        matched = [m.message for m in self.moves.get(step.step, ()) if m.what in ("match", "refuse")]
        if step.unchecked is not None:
            state, reason = "unchecked", step.unchecked
            matched = [m for p in step.evidence for m in self.view.timeline.messages if self.matcher.pattern(p, m)][:1]
        elif step.forbidden and state is None:
            state, reason = "not_applicable", "did not happen, as it should be"
        elif state is None:
            state, reason = "not_applicable", "not reached, after the failure" if self._behind_the_failure(step) else "does not apply here"
        title = step.title or _wanted(step)
        frames = tuple(dict.fromkeys(ref for m in matched for ref in m.frames))
        return StepResult(step.step, step.cite, state, title, frames, matched[0].time if matched else None, reason,
                          step.src or "", step.dst or "", " or ".join(step.messages))


def path_of(message: Message, view: Visibility) -> str | None:
    """Did the message run inside the device's tunnel ("tunnel"), beside it ("direct"), or can that not be told (None)?"""
    if "esp" in message.layers:
        return "tunnel"
    device = view.timeline.device
    ends = {message.src.address, message.dst.address}
    if ends & set(device.outer):
        return "direct"
    return "tunnel" if device.outer and ends & set(device.addresses) else None


def _detail(message: Message, where: Sequence[Check]) -> str:
    """The code by which the message refuses: of several values the one that the pattern asks for."""
    asked = [(name, check) for check in where if isinstance(check.names, tuple) for name in check.names]
    for name, check in (*asked, *((name, None) for name in CODE_FIELDS)):
        value = get_field(message.fields, name)
        values = [v for v in value if v] if isinstance(value, (list, tuple)) else [value]
        if check is not None and not isinstance(check.value, Reference):
            values = [v for v in values if TESTS[check.test](v, check.value)]
        code = next(iter(values), None)
        if isinstance(code, (str, int)) and not isinstance(code, bool) and str(code):
            return str(code)
    return ""


def _wanted(step: Step) -> str:
    return " or ".join(step.messages) or step.title


def _asked_for(step: Step) -> str:
    """What the clause asks for and the message it waits for."""
    return f"{step.title} ({phrases.names(step.messages)})" if step.title and step.messages else step.title or phrases.names(step.messages)


def _groups(items: Iterable[Step | Group]) -> Iterable[Group]:
    for item in items:
        if isinstance(item, Group):
            yield item
            yield from _groups(item.items)
