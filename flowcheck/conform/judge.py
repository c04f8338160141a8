"""Judges one device's timeline against rules: the public function of conform/.

    timeline ─► roles ─► attempts ─► align ─► explain ─► AttemptResult

Rules are judged in an order in which what one procedure leaves behind (`remember`) is known to those that ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from dataclasses import replace

from ..model import (FAIL, INCONCLUSIVE, PASS, AttemptResult, Event, Finding, Message, StepResult, Timeline)
from ..rulebook.rule import Reference, Rule, Site, Step
from ..rulebook.site import effective
from ..session import lookups
from . import attempts as cutting
from .account import Account
from .advice import advice, to_look_inside
from .align import align
from .automaton import automaton
from .bindings import taken
from .checks import evaluate
from .bykind import beginnings
from .describe import diagnosis, summary
from .elsewhere import Elsewhere
from .explain import explain
from .facts import Entry, History, learn
from .fields import ABSENT
from .kinds import Kinds
from .matching import Matcher
from .memory import NOTHING, Left, Memory, Said
from .parts import role_at
from .prospects import may_begin, may_learn, needs_roles
from .roles import find as find_roles, is_another, is_meant, unproven
from .scope import Scope
from .signs import Shown
from .visibility import Visibility


def judge(rules: Sequence[Rule], site: Site, timeline: Timeline, expected: Iterable[str] = (),
          today: date | None = None,
          elsewhere: Elsewhere | None = None, memory: Memory | None = None) -> tuple[AttemptResult, ...]:
    """The attempts of every procedure on this timeline, in order of time.

    `expected` names procedures that have to be there: their absence is a finding. Waivers of the site profile end after
    `today`. What `memory` has of a rule is taken from there.
    """
    timeline = replace(timeline, messages=tuple(lookups.fold(timeline.messages)))
    case = _Case(site, timeline, frozenset(expected), today, elsewhere)
    results: list[AttemptResult] = []
    for rule in in_order(rules):
        said = memory.recall(rule) if memory is not None else None
        if said is None:
            said = case.said_by(rule)
            if memory is not None:
                memory.note(rule, said)
        else:
            case.take(rule, said[1])
        results += said[0]
    found = {result.procedure for result in results}
    results += [_not_started(rule, timeline) for rule in rules if rule.procedure in case.expected
                and rule.procedure not in found]
    return tuple(sorted(results, key=lambda r: (r.started, r.procedure)))


class _Case:
    """One device: what all rules find on its timeline, and what those judged so far leave to the next."""

    def __init__(self, site: Site, timeline: Timeline, expected: frozenset[str], today: date | None,
                 elsewhere: Elsewhere | None):
        inform = next((m for m in timeline.messages if m.kind == "cwmp.Inform"), None)
        self.site = effective(site, inform.fields if inform is not None else {})
        self.timeline, self.expected, self.today, self.elsewhere = timeline, expected, today, elsewhere
        self.names = lookups.names_by_address(timeline.messages)
        self.resolved: dict[str, frozenset[str]] = {}
        for address, found in self.names.items():
            for name in found:
                self.resolved[name] = self.resolved.get(name, frozenset()) | {address}
        self.shown = Shown(self.site, timeline.device, Kinds(timeline.messages))
        self.history = History()
        self.remembered: dict[str, Any] = {}
        self.ever: dict[str, Any] = {}             # of both, every value there ever is
        # procedure -> places of the messages that those before it are made of
        self.taken: dict[str, set[int]] = {}
        # procedure -> when those before it in the chain were done, from and until (ns)
        self.done: dict[str, list[tuple[int, int]]] = {}

    def said_by(self, rule: Rule) -> Said:
        """Judges one rule. What it leaves behind is known from then on."""
        if not self.shown.messages.any_of(concerned_kinds(rule)):
            return NOTHING
        learned = self._learned(rule)
        if learned:
            self.take(rule, Left(facts=learned))
        if is_another(rule, self.shown) or not may_begin(rule, self.site, self.shown, self.ever):
            return (), Left(facts=learned)
        scope, assumed = self._roles(rule)
        scope = is_meant(rule, scope, self.shown)
        if scope is None or not _can_open(rule, scope):
            return (), Left(facts=learned)
        assumed = (*assumed, *unproven(rule, scope))
        scope = scope.but(remembered=self.remembered, expected=self.expected, elsewhere=self.elsewhere)
        timeline, results, own, used, done = self._without_taken(rule), [], {}, set(), []
        for attempt in cutting.attempts(rule, timeline, Matcher(rule, scope), self.known,
                                        self.done.get(rule.procedure, ())):
            then = scope.but(remembered=self.known(attempt.messages[0]))
            result, left, matched = _judge_attempt(rule, attempt, timeline, Matcher(rule, then), assumed,
                                                   self.known, self.today)
            if result is not None:
                self.remembered.update(left)
                own.update(left)
                results.append(result)
                used.update(map(id, matched))
                if result.verdict == PASS and matched:
                    done.append((result.started, max(m.time for m in matched)))
        places = [place for place, m in enumerate(self.timeline.messages) if id(m) in used] if rule.then else []
        done = done if rule.then else []
        self.take(rule, Left(own, used=places, done=done))
        return results, Left(own, learned, places, done)

    def take(self, rule: Rule, left: Left) -> None:
        """What the rule left behind counts from now on."""
        self.remembered.update(left.remembered)
        self.history.add(left.facts)
        if left.remembered or left.facts:
            self.ever = {**self.history.ever(), **self.remembered}
        for following in rule.then if left.used else ():
            self.taken.setdefault(following, set()).update(left.used)
            self.done.setdefault(following, []).extend(left.done)

    def known(self, message: Message) -> dict[str, Any]:
        """What is known of the device when the message begins."""
        return {**self.history.at(message), **self.remembered}

    def _learned(self, rule: Rule) -> Sequence[tuple[str, Entry]]:
        """What the rule's facts find."""
        if not rule.facts or not may_learn(rule, self.site, self.shown, self.ever):
            return ()
        scope = self._roles(rule)[0] if needs_roles(rule) else self.shown.scope
        return learn(rule, self.shown.messages, Matcher(rule, scope))

    def _roles(self, rule: Rule) -> tuple[Scope, tuple[str, ...]]:
        return find_roles(rule, self.site, self.timeline.device, self.shown, self.ever, self.resolved, self.names)

    def _without_taken(self, rule: Rule) -> Timeline:
        """What an earlier procedure of the chain is made of cannot be the next one as well."""
        gone = self.taken.get(rule.procedure)
        if not gone:
            return self.timeline
        return replace(self.timeline, messages=tuple(m for place, m in enumerate(self.timeline.messages)
                                                     if place not in gone))


@lru_cache(maxsize=64)
def concerned_kinds(rule: Rule) -> frozenset[str]:
    """The kinds of message of which a device has to have one, or the rule says nothing of it."""
    return beginnings(rule) | {kind for fact in rule.facts for kind in fact.pattern.messages}


def in_order(rules: Sequence[Rule]) -> Sequence[Rule]:
    """Those that remember something before those that refer to it."""
    return _in_order(tuple(rules))


@lru_cache(maxsize=8)
def _in_order(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    gives = {rule.procedure: {b.name for one in (*rule.steps(), *rule.facts) for b in one.remember} for rule in rules}
    takes = {rule.procedure: set(_device_references(rule)) for rule in rules}
    left, ordered = list(rules), []
    while left:
        ready = [r for r in left if not any(gives[o.procedure] & takes[r.procedure]
                                            for o in left if o is not r)] or left[:1]
        ordered += ready
        left = [r for r in left if r not in ready]
    return tuple(ordered)


def _device_references(rule: Rule) -> Iterable[str]:
    def walk(value: Any) -> Iterable[str]:
        if isinstance(value, Reference):
            if value.path[0] == "device":
                yield ".".join(value.path[1:])
        elif isinstance(value, (tuple, list)):
            for item in value:
                yield from walk(item)
        elif hasattr(value, "__dataclass_fields__"):
            for name in value.__dataclass_fields__:
                yield from walk(getattr(value, name))
        elif isinstance(value, str) and value.startswith("device."):
            yield value[7:]
    yield from walk((rule.roles, rule.attempt, rule.items, rule.facts))


def _can_open(rule: Rule, scope: Scope) -> bool:
    """Is enough known of the roles to recognise an opening step at all?"""
    for name in (*rule.attempt.opens_at, *rule.attempt.resumes_at):
        step = rule.step(name)
        ends = [rule.role(n) for n in (step.src, step.dst) if n]
        if all(role.kind in ("device", "dns_server", "any") or scope.roles.get(role.name) for role in ends):
            return True
    return False


def _judge_attempt(rule: Rule, attempt: cutting.Attempt, timeline: Timeline, matcher: Matcher, assumed: tuple[str, ...],
                   known: Callable[[Message], Mapping[str, Any]], today: date | None,
                   ) -> tuple[AttemptResult | None, dict[str, Any], list[Message]]:
    messages = cutting.relevant(attempt, rule, matcher)
    if not messages:
        return None, {}, []
    view = Visibility(rule, matcher.scope, timeline, messages, attempt.midway, attempt.gave_up, attempt.limit,
                      attempt.entered)
    reading = align(automaton(rule), messages, matcher, view, attempt.carried)
    if not any(move.what in ("match", "refuse") for move in reading.moves):
        return None, {}, []
    told = explain(rule, reading, matcher, view, known)
    findings = tuple(_waive(f, matcher.scope.site, today) for f in told.findings)
    steps = told.steps()
    errors = [f for f in findings if f.severity == "error" and not f.waived]
    hidden = [s for s in steps if s.state == "not_observable"]
    verdict = FAIL if errors else INCONCLUSIVE if hidden or told.doubts or not reading.complete else PASS
    cause = errors[0] if errors else None
    events = _events(rule, attempt, reading, matcher, told, findings)
    result = AttemptResult(rule.procedure, rule.title, rule.citation, verdict, attempt.started, attempt.ended,
                           steps, findings,
                           cause.code if cause else None, cause.side if cause else None,
                           diagnosis(rule, timeline.device, verdict, steps, cause),
                           tuple(dict.fromkeys((*assumed, *told.assumed, *told.doubts, *timeline.device.assumed))),
                           events,
                           _hosts(rule, matcher, reading.bound),
                           advice(view, told.parts, steps, told.doubts, reading.complete))
    return result, _left_behind(reading, matcher), _used(rule, reading, matcher)


def _used(rule: Rule, reading: Any, matcher: Matcher) -> list[Message]:
    """The messages that the attempt is made of, lookups and connections apart.

    A further round of a group, with nothing of what the group has to bring, may as well be the next procedure's.
    """
    moves = [m for m in reading.moves if m.what in ("match", "refuse")
             and m.message.protocol not in ("dns", "ike", "tcp", "tls")]
    spare: set[int | None] = set()
    for group in rule.groups():
        asked = [check for check in group.expect if check.severity == "error"]
        steps = {step.step for step in group.steps()}
        rounds = [m.message for m in moves if m.step.step in steps and m.step.answers is None] if asked else []
        spare.update(m.transaction for m in rounds[1:] if all(
            outcome.holds is False for check in asked
            for outcome in evaluate(check, (m,), matcher.scope, reading.bound)))
    spare.discard(None)
    return [m.message for m in moves if spare.isdisjoint((m.message.answers, m.message.transaction))]


def _left_behind(reading: Any, matcher: Matcher) -> dict[str, Any]:
    left: dict[str, Any] = {}
    for move in reading.moves:
        if move.what == "match":
            for binding in move.step.remember:
                value = taken(binding, move.message, matcher.scope, reading.bound)
                if value is not ABSENT:
                    left[binding.name] = value
    return left


def _waive(finding: Finding, site: Site, today: date | None) -> Finding:
    for waiver in site.waivers:
        if fnmatchcase(finding.code, waiver.finding):
            if waiver.until and today and today.isoformat() > waiver.until:
                continue
            return replace(finding, waived=waiver.reason)
    return finding


def _events(rule: Rule, attempt: cutting.Attempt, reading: Any, matcher: Matcher, told: Account,
            findings: Sequence[Finding]) -> tuple[Event, ...]:
    blamed = {ref: f.code for f in reversed(findings) if f.severity != "notice" for ref in f.frames}
    events = []
    # the parts of both ends: most messages of an attempt go between a few hosts; of DNS the ports and the step count as
    # well
    ends: dict[tuple, tuple[str, str]] = {}
    for message in sorted((*attempt.messages, *told.beyond), key=lambda m: m.time):
        step = told.at.get(id(message))
        between = (message.src.address, message.dst.address, "esp" in message.layers,
                   (message.src.port, message.dst.port, step) if message.protocol == "dns" else None)
        if between not in ends:
            ends[between] = tuple(role_at(rule, end, message, matcher, reading.bound, rule.step(step) if step else None)
                                  for end in (message.src, message.dst))
        src, dst = ends[between]
        finding = next((blamed[ref] for ref in message.frames if ref in blamed), None) if step else None
        events.append(Event(message.time, message.kind, src, dst, message.frames, message.copies, message.layers,
                            summary(message), message.fields, step, finding, message.problems))
    return tuple(events)


def _hosts(rule: Rule, matcher: Matcher, bound: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    shown = []
    for role in rule.roles:
        if role.kind == "device":
            shown.append((role.name, ", ".join(matcher.scope.device.addresses)))
        else:
            host = matcher.scope.host(role.name, bound)
            shown.append((role.name, ", ".join((*sorted(host.names), *sorted(host.addresses)))))
    return tuple(shown)


def _not_started(rule: Rule, timeline: Timeline) -> AttemptResult:
    first: Step = next(step for step in rule.steps() if step.messages)
    sealed = bool(timeline.opaque)
    code = f"{rule.procedure}/{first.step}/not-started"
    finding = Finding(code, "not-started", "error", first.step, first.cite, rule.citation, (),
                      "an attempt of this procedure",
                      "none in the capture", first.hint, "unknown")
    steps = tuple(StepResult(s.step, s.cite, "unchecked" if s.unchecked else "not_observable" if sealed else "missing",
                             s.title, reason=s.unchecked
                             or ("may be inside traffic that this capture cannot open" if sealed
                                                             else "the procedure was expected and did not start"))
                  for s in rule.steps())
    verdict = INCONCLUSIVE if sealed else FAIL
    return AttemptResult(rule.procedure, rule.title, rule.citation, verdict, timeline.window[0],
                         timeline.window[1], steps,
                         () if sealed else (finding,), None if sealed else code, None if sealed else "unknown",
                         diagnosis(rule, timeline.device, verdict, steps, None if sealed else finding),
                         advice=to_look_inside(timeline.opaque))
