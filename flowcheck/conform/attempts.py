"""A timeline cut into attempts of one procedure.

Cutting comes before matching and is greedy and local: what happens later never changes a closed attempt. Without it the
matcher would assemble one perfect run out of two failed ones.

A message of an opening step opens an attempt when none is open, when the open one was refused, given up or is complete, or
when it carries another value of the rule's `key` (a new IKE SPI). A message of a resuming step does the same, but the new
attempt takes over what the earlier one had achieved. Silence longer than `quiet` closes an attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model import Message, Timeline
from ..rulebook.rule import Group, Pattern, Reference, Rule, Step
from .bykind import ENDS, beginnings, concerned, deciding, giving_up, named_by_kind, refusals_by_kind, steps_by_kind
from .checks import holds_all
from .conditions import holds
from .fields import ABSENT, get_field
from .matching import Matcher
from .several import is_one, side_by_side

# why an attempt ended before it was complete
BEGAN_ANEW = "the device began anew"
ENDED_BY = "ended by"       # and the message of the rule's `given_up_by`
TUNNEL_DELETED = "the tunnel was deleted"


@dataclass(slots=True)
class Attempt:
    messages: list[Message] = field(default_factory=list)
    opened_by: str = ""
    midway: bool = False
    entered: bool = False           # begun by no opening or resuming message: the capture started inside it
    carried: frozenset[str] = frozenset()
    gave_up: str = ""
    given_up_by: Message | None = None  # the message of the rule's `given_up_by`
    refused: set[str] = field(default_factory=set)      # the steps that were, and were not done since
    refused_by: str = ""            # the address of who refused last
    seen: set[str] = field(default_factory=set)
    last: set[str] = field(default_factory=set)     # the steps that the latest message of a step may be
    key: object = None
    limit: int = 0                  # its time ends here: the next attempt, or the end of the capture
    after: int = 0                  # the attempt before it ended here

    @property
    def started(self) -> int:
        return self.messages[0].time

    @property
    def ended(self) -> int:
        return self.messages[-1].time


def attempts(rule: Rule, timeline: Timeline, matcher: Matcher,
             known: Callable[[Message], Mapping[str, Any]] = lambda message: {},
             earlier: Sequence[tuple[int, int]] = ()) -> list[Attempt]:
    """The attempts of one procedure on one device's timeline, in order.

    `known` are the facts that hold at a message; `earlier` says from when until when (ns) a procedure was done that
    hands over to this one.
    """
    cutter = _Cutter(rule, matcher, timeline, known, earlier)
    kinds = concerned(rule)
    for message in timeline.messages:
        if message.kind in kinds:
            cutter.take(message)
    return cutter.finish()


class _Cutter:
    def __init__(self, rule: Rule, matcher: Matcher, timeline: Timeline, known: Callable[[Message], Mapping[str, Any]],
                 earlier: Sequence[tuple[int, int]]):
        self.rule, self.matcher, self.timeline, self.known, self.earlier = rule, matcher, timeline, known, earlier
        self.steps = [step for step in rule.steps() if step.messages and not step.forbidden]
        self.steps_for = steps_by_kind(rule)
        self.quiet = int(_seconds(rule, matcher) * 1e9)
        self.beginnings = beginnings(rule)
        self.opening = named_by_kind(rule, rule.attempt.opens_at)
        self.resuming = named_by_kind(rule, rule.attempt.resumes_at)
        self.refusals, self.given_up_by = refusals_by_kind(rule), giving_up(rule)
        self.relevant: dict[tuple[str, str, str] | None, list[Step]] = {}
        self.open: Attempt | None = None
        self.closed: list[Attempt] = []
        # of the whole timeline, by transaction; made when asked for
        self.requests: dict[int, Message] | None = None

    def take(self, message: Message) -> None:
        if self.open is None and message.kind not in self.beginnings:
            return
        relevant = self._relevant(message)
        if not relevant and not self._ends(message) or self._ends_another(message):
            return
        opener = self._definite(self.opening[message.kind], message) if message.kind in self.opening else None
        now = self.open
        resumer = self._resumer(now, message) if message.kind in self.resuming else None
        if now is not None and message.time - now.ended > self.quiet:
            self._close("")
            now = None
        if now is not None and (opener or resumer and not self._complete(now)) and self._begins_anew(message, opener):
            self._close("" if self._complete(now) else BEGAN_ANEW)
            now = None
        if resumer and not opener and now is None and self.closed and self._complete(self.closed[-1]):
            resumer = None                         # nothing is left to resume
        if now is not None and not opener and self._goes_back(now, relevant, message):
            return
        if now is None:
            if opener or resumer:
                now = self._start(opener or resumer, message, resumed=opener is None)
            elif relevant and not self.closed and not self._is_earlier(message) and any(
                    self._sure(step, message) for step in relevant):
                inside = not self._led_up_to(message)
                now = self.open = Attempt(opened_by=relevant[0].step, midway=inside, entered=inside)
            else:
                return
        now.messages.append(message)
        fits = self._may_be(relevant, message)
        now.seen |= fits
        now.last = fits or now.last
        self._note_refusal(now, message, relevant, fits)
        self._note_end(now, message)

    def _may_be(self, steps: list[Step], message: Message) -> set[str]:
        return {step.step for step in steps if message.kind in step.messages
                and holds_all(step.where, message, self.matcher.scope, {}) is not False}

    def _goes_back(self, now: Attempt, steps: list[Step], message: Message) -> bool:
        """Is it a step before one of `unless_last` that the attempt stands at? It belongs to what came of that, if to anything."""
        held = self._last_of_another(now)
        fits = self._may_be(steps, message) if held else set()
        return bool(fits) and all(fits <= self._before(name) for name in held)

    def _resumer(self, now: Attempt | None, message: Message) -> Step | None:
        """The step at which the message goes on with what was refused; the next of several hosts is no new try."""
        found = self._definite(self.resuming[message.kind], message)
        if now is None or not now.refused_by:
            return found
        again = message.dst.address == now.refused_by
        if found is None and again:                # of a role that only the messages of the attempt tell about
            return next((step for step in self.resuming[message.kind] if self.matcher.could_be(step, message)), None)
        return found if again or found is None or not is_one(self.rule, found) else None

    def _relevant(self, message: Message) -> list[Step]:
        """The steps that the message could be, or could refuse. Its kind and its ends decide, which many have in common."""
        key = None if "ue" in message.fields else (message.kind, message.src.address, message.dst.address)
        found = self.relevant.get(key)
        if found is None:
            found = [step for step in self.steps_for.get(message.kind, ()) if self.matcher.could_be(step, message)]
            if key is not None:
                self.relevant[key] = found
        return found

    def finish(self) -> list[Attempt]:
        if self.open is not None:
            self._close("")
        for earlier, later in zip(self.closed, self.closed[1:]):
            later.after = earlier.ended
        real = [attempt for attempt in self.closed if self._is_one(attempt)]
        for attempt, following in zip(self.closed, self.closed[1:]):
            if attempt.gave_up == TUNNEL_DELETED and following.started - attempt.ended <= self.quiet \
                    and not self._proven(following):
                attempt.gave_up = ""               # the tunnel was only rebuilt, and something else went on in it
        for attempt, following in zip(real, [*real[1:], None]):
            attempt.limit = following.started if following else self.timeline.window[1]
            if following is None and attempt.gave_up == BEGAN_ANEW:
                attempt.gave_up = ""               # what began was not this procedure after all
        return real

    def _start(self, step: Step, message: Message, resumed: bool) -> Attempt:
        attempt = Attempt(opened_by=step.step, key=self._key(message))
        earlier = self.closed[-1] if self.closed else None
        first = self.rule.attempt.opens_at[:1] == (step.step,)
        if not first and earlier is not None and earlier.gave_up != TUNNEL_DELETED:
            attempt.carried = frozenset(self._before(step.step) & (earlier.seen | earlier.carried))
        if resumed:
            attempt.midway = True
        elif not first:                            # what the capture did not show of the attempt before, it cannot show of this one
            attempt.midway = earlier.midway if earlier is not None else not self._anything_before(message)
        self.open = attempt
        return attempt

    def _anything_before(self, message: Message) -> bool:
        """Was the device seen at all, well before this message? Then the capture could have shown what precedes it."""
        return message.time - self.timeline.messages[0].time > 1_000_000_000 or self._led_up_to(message)

    def _led_up_to(self, message: Message) -> bool:
        """Was a procedure done before this message that hands over to this one?"""
        return any(until <= message.time for _, until in self.earlier)

    def _is_earlier(self, message: Message) -> bool:
        """Does it lie within a procedure that hands over to this one? Then this one cannot have begun before."""
        return any(since <= message.time <= until for since, until in self.earlier)

    def _before(self, name: str) -> set[str]:
        names = [step.step for step in self.steps]
        return set(names[:names.index(name)]) if name in names else set()

    def _begins_anew(self, message: Message, opener: Step | None) -> bool:
        now = self.open
        if now.refused or now.gave_up or self._complete(now):
            return True
        if opener is not None and any(opener.step in self._before(name) for name in self._last_of_another(now)):
            return True
        key = self._key(message)
        return key is not None and now.key is not None and key != now.key

    def _complete(self, attempt: Attempt) -> bool:
        done = attempt.seen | attempt.carried
        return bool(_finished(self.rule.items, done))

    def _key(self, message: Message) -> object:
        name = self.rule.attempt.key
        if name is None:
            return None
        value = get_field(message.fields, name)
        return None if value is ABSENT else value

    def _definite(self, steps: list[Step], message: Message) -> Step | None:
        for step in steps:
            if self.matcher.fits(step, message, {}) is True and self._applies(step, message):
                return step
        return None

    def _applies(self, step: Step, message: Message) -> bool:
        """A step that its `when` rules out opens nothing."""
        if step.when is None:
            return True
        scope = self.matcher.scope.but(now=message.time, remembered=self.known(message))
        return holds(step.when, scope, {}, frozenset()) is not False

    def _sure(self, step: Step, message: Message) -> bool:
        """Is the message this step for certain? An answer is not where its request, or that this applies, says otherwise."""
        if step.src is None or step.dst is None or self.matcher.fits(step, message, {}) is not True:
            return False
        if step.answers is None:
            return self._applies(step, message)
        asked = self.rule.step(step.answers)
        if self.requests is None:
            self.requests = {m.transaction: m for m in self.timeline.messages if m.transaction is not None}
        request = self.requests.get(message.answers)
        return self._applies(step, message) and self._applies(asked, message) and (
            request is None or self.matcher.fits(asked, request, {}) is not False)

    def _ends(self, message: Message) -> bool:
        return self.open is not None and message.kind in ENDS and any(
            message.stream == m.stream for m in self.open.messages[-8:])

    def _ends_another(self, message: Message) -> bool:
        """Is it the end of a CWMP session that began in an earlier attempt? A session outlives its tunnel unnoticed."""
        return message.kind == "cwmp.session_end" and self.open is not None and bool(self.closed) and not any(
            m.session == message.session for m in self.open.messages)

    def _note_refusal(self, now: Attempt, message: Message, relevant: list[Step], fits: set[str]) -> None:
        """What was refused and is done on the next try, with another address of a name for one, refuses nothing any more."""
        if any(self.matcher.pattern(pattern, message) for pattern in self.refusals.get(message.kind, ())):
            now.refused_by = message.src.address
            now.refused |= {step.step for step in relevant if any(message.kind in pattern.messages
                                                                  for pattern in step.refused_by)}
        elif now.refused:
            now.refused -= fits

    def _note_end(self, now: Attempt, message: Message) -> None:
        if now.key is None:
            now.key = self._key(message)
        if any(self.matcher.pattern(p, message) for p in self.rule.attempt.given_up_by) and not _all_answered(now, message):
            now.gave_up = f"{ENDED_BY} {message.kind} in frame {message.frames[-1].number}"
            now.given_up_by = message
        elif message.kind == "cwmp.session_end" and message.fields.get("complete") is False:
            now.gave_up = str(message.fields.get("reason") or "the session was broken off")
        elif message.kind == "ike.informational.request" and self._deletes_tunnel(message):
            now.gave_up = now.gave_up or TUNNEL_DELETED
        elif now.gave_up == TUNNEL_DELETED and message.kind.startswith("ike.sa_init"):
            now.gave_up = ""                       # only rebuilt
        elif now.gave_up and not now.refused and message.protocol not in ("tcp", "ike") and not _follows(now.given_up_by, message):
            now.gave_up = ""                       # it went on after all

    def _deletes_tunnel(self, message: Message) -> bool:
        """A Delete of the IKE SA itself (RFC 7296 1.4.1), and not of one that was rekeyed before."""
        if not any(d.get("protocol") == "IKE" for d in message.fields.get("deletes") or ()):
            return False
        spi = message.fields.get("spi_i")
        return not any(m.kind == "ike.create_child_sa.request" and m.fields.get("spi_i") == spi
                       and m.time < message.time
                       for m in self.timeline.messages)

    def _close(self, reason: str) -> None:
        if reason and not self.open.gave_up:
            self.open.gave_up = reason
        self.closed.append(self.open)
        self.open = None

    def _proven(self, attempt: Attempt) -> bool:
        """Does a message of the attempt prove that it is one of this procedure?"""
        return any(self.matcher.pattern(p, m) for p in self.rule.attempt.requires for m in attempt.messages)

    def _last_of_another(self, attempt: Attempt) -> set[str]:
        """The steps of `unless_last` that the attempt ended with, or stands at: so far it may be one of another procedure."""
        return attempt.last.intersection(self.rule.attempt.unless_last)

    def _is_one(self, attempt: Attempt) -> bool:
        """A message of `requires` proves that this procedure is meant; without one, `unless` and `unless_last` deny it."""
        opening = self.rule.attempt
        since = max(attempt.started - self.quiet, attempt.after)
        until, kinds = attempt.ended, deciding(self.rule)
        near = [m for m in self.timeline.messages if m.kind in kinds and since <= m.time <= until]
        if any(self._decides(p, m, attempt) for p in opening.requires for m in near):
            return True
        return not self._last_of_another(attempt) and not any(
            self._decides(p, m, attempt) for p in opening.unless for m in near)

    def _decides(self, pattern: Pattern, message: Message, attempt: Attempt) -> bool:
        """Is the message one of the pattern, and did the attempt not have before it what the pattern comes `before`?"""
        if not self.matcher.pattern(pattern, message):
            return False
        return pattern.before is None or not any(
            m.time < message.time and self.matcher.pattern(pattern.before, m) for m in attempt.messages)


def _follows(end: Message | None, message: Message) -> bool:
    """Does the message only answer the one that ended the attempt, or close the session in which that was said?"""
    return end is not None and (message.session is not None and message.session == end.session
                                or message.answers is not None and message.answers == end.transaction)


def _finished(items: tuple[Step | Group, ...], done: Collection[str]) -> bool | None:
    """Was the last of what every complete run has been seen? None where nothing is mandatory."""
    for item in reversed(items):
        if item.optional or item.when is not None or item.forbidden:
            continue
        if isinstance(item, Step):
            if item.messages:
                return item.step in done
        elif item.order == "one_of":
            branches = [_finished((branch,), done) for branch in item.items]
            if any(branch is not None for branch in branches):
                return any(branches)
        elif (found := _finished(item.items, done)) is not None:
            return found
    return None


def _all_answered(now: Attempt, message: Message) -> bool:
    """The end of a connection gives up what is open on it, and nothing where every request has been answered.

    A connection that was used was set up, whether the capture has all of its handshake or not.
    """
    if message.protocol != "tcp":
        return False
    here = [m for m in now.messages if m.stream == message.stream]
    here = [m for m in here if m.protocol != "tcp"] or here
    return {m.transaction for m in here if m.transaction is not None} <= {m.answers for m in here}


def _seconds(rule: Rule, matcher: Matcher) -> float:
    quiet = rule.attempt.quiet
    if isinstance(quiet, Reference):
        quiet = matcher.scope.resolve(quiet, {})
    return 300.0 if quiet is ABSENT else float(quiet)


def relevant(attempt: Attempt, rule: Rule, matcher: Matcher) -> Sequence[Message]:
    """The attempt's messages that some step could ever match; the others were never in the sequence."""
    steps = steps_by_kind(rule, True)
    own = tuple(m for m in attempt.messages if any(matcher.could_be(step, m) for step in steps.get(m.kind, ())))
    return side_by_side(own, rule, matcher)
