"""Why a step that was not seen may have happened all the same.

A missing message is a failure only if the capture could have shown it. Each skipped step is asked, in this order: was it
before the capture began, does a recorded gap cover its place, does the procedure go on as if it had happened, is it inside
a layer that is sealed here, does its deadline lie beyond the capture's end. Each yes is a reason in words.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from operator import or_
from typing import Any, NamedTuple

from ..model import Gap, Message, Timeline
from ..rulebook.rule import Reference, Role, Rule, Step
from . import implied, seals
from .attempts import BEGAN_ANEW, ENDED_BY, TUNNEL_DELETED
from .checks import holds_all
from .fields import ABSENT, partly_hidden
from .implied import DATAGRAMS, ENDS, SEQUENCED, STREAMS, kinds_of_answers, protocol_of
from .order import captures_of, overtaken
from .scope import Scope

# of gaps in which nothing that was recorded is missing
UNCERTAIN, UNCOVERED = "order of messages is not certain", "no capture covers"
RELAYED = frozenset(("emm", "gmm", "mm", "esm", "sm"))   # the device's own, but carried by hosts of the network
PATIENCE = 30.0             # seconds given to an answer that has no deadline of its own


@dataclass(frozen=True, slots=True)
class Visibility:
    """What the capture can show of one attempt. `messages` are the attempt's, in order."""

    rule: Rule
    scope: Scope
    timeline: Timeline
    messages: Sequence[Message]
    midway: bool                # entered at a step that is not an opening one, with nothing of the device before it
    gave_up: str                # how somebody ended the attempt, empty where nobody did
    limit: int                  # the attempt's place in time ends here: the next attempt, or the end of the capture
    entered: bool = False       # the capture started inside the attempt, at a step that neither opens nor resumes it
    _known: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)   # see `once`

    def once(self, question: Hashable, answer: Callable[..., Any], *arguments: Any) -> Any:
        """What does not depend on the step is worked out once for all of them."""
        if question not in self._known:
            self._known[question] = answer(*arguments)
        return self._known[question]

    def hidden(self, step: Step, index: int) -> str | None:
        """Why the step, skipped before message `index`, cannot be expected in the capture; None if it can."""
        for reason, places in zip(self._reasons_for(step), self._places_of(step)):
            if places >> index & 1:
                return reason.words(self, step, index)
        return None

    def hidden_places(self, step: Step) -> int:
        """All places where the step may have happened out of sight. Bit i is the place before message i, the last one the end."""
        return reduce(or_, self._places_of(step), 0)

    def _places_of(self, step: Step) -> list[int]:
        """The places of each reason, up to the one that leaves none open."""
        found = self._known.get(("places", step.step))
        if found is None:
            found = self._known["places", step.step] = []
            hidden, everywhere = 0, self.everywhere()
            for reason in self._reasons_for(step):
                places = reason.places(self, step)
                found.append(places)
                hidden |= places
                if hidden == everywhere:
                    break
        return found

    def _reasons_for(self, step: Step) -> tuple[_Reason, ...]:
        """The reasons that can be about the step, without those that hold nowhere in this capture."""
        return _reasons_for(self.rule, step.step, self.once("captures", lambda: frozenset(
            number for number, reason in enumerate(REASONS) if reason.captures(self))))

    def everywhere(self, condition: object = True) -> int:
        return (1 << len(self.messages) + 1) - 1 if condition else 0

    def where(self, holds: Callable[[int], object], places: Iterable[int]) -> int:
        return sum(1 << place for place in places if holds(place))

    def interval(self, index: int) -> tuple[int, int]:
        """From the message before a place to the one after it."""
        return (self.messages[index - 1].time if index else self.timeline.window[0],
                self.messages[index].time if index < len(self.messages) else self.limit)

    # -------------------------------------------------------------------------------------------- what holds for all
    # steps

    def _unseen(self, step: Step) -> int:
        return self.everywhere(step.messages[0] in self.timeline.unseen)

    def _in_a_gap(self, step: Step) -> int:
        return self.once("gaps", self.where, self._gap, range(len(self.messages) + 1))

    def _gap(self, index: int) -> Gap | None:
        return self._first_gap(*self.interval(index))

    def _first_gap(self, start: int, end: int) -> Gap | None:
        return next((gap for gap in self.timeline.gaps if gap.end >= start and gap.start <= end), None)

    def lost_between(self, start: int, end: int) -> str | None:
        """What is missing from the capture in this time, in words."""
        gap = self._first_gap(start, end)
        return _hole_in_words(gap) if gap is not None else None

    def _has_one_side(self) -> bool:
        """Is there a connection of the attempt with several HTTP messages, all of them going one way?

        Of a connection that only one direction was captured of, no answer and no end can be expected.
        """
        asked = {m.stream for m in self.messages if m.kind == "http.request"} or {m.stream for m in self.messages if m.protocol == "cwmp"}
        for stream in asked:
            sent = [m for m in self.sent_over(stream) if m.protocol in ("http", "cwmp")]
            if len({m.src.address for m in sent}) == 1 and sum(m.kind in ("http.request", "http.response")
                                                               for m in sent) > 1:
                return True
        return False

    def sent_over(self, stream: int) -> Sequence[Message]:
        """What the device's timeline has of a connection: messages of protocols that run over one, without its ends."""
        return self.once("sent over", self._by_stream).get(stream, ())

    def _by_stream(self) -> dict[int, list[Message]]:
        found: dict[int, list[Message]] = {}
        for m in self.timeline.messages:
            if m.kind not in ENDS and m.protocol in STREAMS:
                found.setdefault(m.stream, []).append(m)
        return found

    # -------------------------------------------------------------------------------------------- where it may be

    def _somebody_s(self, step: Step) -> int:
        """At an address that devices share, what carries no name may be anybody's."""
        return self.everywhere(protocol_of(step) in self.timeline.nobodys)

    def _out_of_reach(self, step: Step) -> int:
        return self.everywhere(self._beyond(step))

    def _beyond(self, step: Step) -> str | None:
        """Of a role that may be beyond the taps: is anything of it in the capture, and anything of the link to it?"""
        roles = _ends_of(self.rule, step)
        away = [role for role in roles if role.perhaps_unseen]
        seen = _addresses_of(self.timeline.links)
        for role in away:
            addresses = self.scope.host(role.name, {}).addresses
            if not addresses & seen:
                return f"beyond the capture: nothing of the {role.title or role.name} is in it"
        ends = [self.scope.host(role.name, {}).addresses
                if role.kind != "device" else frozenset(self.scope.device.addresses)
                for role in roles]
        if len(ends) == 2 and any(frozenset((a, b)) in self.timeline.links for a in ends[0] for b in ends[1]):
            return None
        protocols = {kind.partition(".")[0] for kind in step.messages}
        if not protocols & self.timeline.protocols:
            return f"beyond the capture: no {' or '.join(sorted(protocols))} message at all is in it"
        own = any(role.kind == "device" for role in roles) and not protocols & RELAYED
        if own and not seen.intersection(self.scope.device.addresses):
            return "beyond the capture: nothing from the device's own address is in it"
        if len(away) == 2 and self.once(("apart", *ends), lambda: captures_of(self.timeline, ends[0]).isdisjoint(captures_of(self.timeline, ends[1]))):
            return f"beyond the capture: no tap sees both the {away[0].title or away[0].name} and the {away[1].title or away[1].name}"
        return None

    # -------------------------------------------------------------------------------------------- at the end

    def _after_the_capture(self, step: Step) -> int:
        return self._at_the_end(step) if self._cut_off(step) else 0

    def _cut_off(self, step: Step) -> str | None:
        request = self.request(step, len(self.messages))
        if request is not None and request.incomplete \
                and any(gap.stream == request.stream for gap in self.timeline.gaps):
            # when it was over is not known, nor what came by then
            return "what it would answer is not whole in the capture"
        if request is not None and self.gave_up == TUNNEL_DELETED and self._left_open(request):
            return "how the connection ended is not in the capture"
        since, patience = self._patience(step, request)
        left = (self.timeline.window[1] - since) / 1e9
        if left >= patience or self.gave_up and request is not None or self._ended() \
                or request is not None and self.rule.is_reply(step) and request.transaction in self.answered():
            return None
        if request is not None and (request.repeats or self._closed(request)) or request is None and self._overtaken(step):
            return None
        return f"the capture ends {left:.1f} s later, and this may take {patience:.0f} s"

    def _ended(self) -> bool:
        """Did somebody end the attempt, and not just one request of it?"""
        return self.gave_up in (TUNNEL_DELETED, BEGAN_ANEW) or self.gave_up.startswith(ENDED_BY)

    def _overtaken(self, step: Step) -> bool | None:
        """Did the procedure go on without the step (see `overtaken`)? Of an attempt that the capture began in nobody knows."""
        if self.midway or self.entered:
            return None
        return self.once(("overtaken", step.step), overtaken, step, self.rule, self.scope, self.timeline, self.messages)

    def _perhaps_lost(self, step: Step) -> int:
        """Everywhere before its request, where the procedure went on without it, but may have done so out of sight."""
        if self._ended() or self._overtaken(step) is not False:
            return 0
        since, patience = self._patience(step, None)
        if (self.timeline.window[1] - since) / 1e9 >= patience:
            return 0
        until = self.requests_of(step)[0][:1] if step.answers is not None else []
        return (1 << min([len(self.messages) - 1, *until]) + 1) - 1

    def _patience(self, step: Step, request: Message | None) -> tuple[int, float]:
        """Since when the step is waited for (ns), and how many seconds."""
        if request is not None:
            return request.time, self.seconds(step)
        return self._begun(step), self.seconds(step) if step.within else self.scope.site.timers.get("follow_up", 600.0)

    def due(self, step: Step) -> int:
        """When a step that the capture's end hides would have had to come, ns."""
        since, patience = self._patience(step, self.request(step, len(self.messages)))
        return since + round(patience * 1e9)

    def _left_open(self, request: Message) -> bool:
        """Was the request sent over a connection that the capture shows no end of?"""
        return request.protocol in STREAMS and not self._closed(request)

    def _closed(self, request: Message) -> bool:
        """Did the connection of the request end after it? Then no answer comes over it any more."""
        return request.protocol in STREAMS and any(m.stream == request.stream and m.kind in ("tcp.fin", "tcp.reset")
                                                   and m.time >= request.time for m in self.timeline.messages)

    def _begun(self, step: Step) -> int:
        """When the time for a step began to run that answers nothing: at the step its deadline counts from."""
        kinds = self.rule.step(step.within.after).messages if step.within else ()
        return next((m.time for m in reversed(self.messages) if m.kind in kinds), self.messages[-1].time)

    def _at_the_end(self, step: Step) -> int:
        return 1 << len(self.messages)

    def _may_be_refused(self) -> bool:
        """After an answer that may have been a refusal, nothing more can be expected for certain."""
        for message in reversed(self.messages):
            if message.kind == "ike.auth.response":
                return partly_hidden(message) and not any(m.time > message.time and m.protocol != "ike"
                                                          for m in self.messages)
        return False

    def seconds(self, step: Step) -> float:
        if step.within is None:
            return PATIENCE
        value = step.within.seconds
        if isinstance(value, Reference):
            value = self.scope.resolve(value, {})
        return PATIENCE if value is ABSENT else float(value)

    def request(self, step: Step, index: int) -> Message | None:
        """The last message before `index` that the step would answer; one without an answer first."""
        if step.answers is None:
            return None
        places, requests = self.requests_of(step)
        earlier = bisect_left(places, index)
        return requests[earlier - 1] if earlier else None

    def requests_of(self, step: Step) -> tuple[list[int], list[Message]]:
        return self.once(("requests", step.answers), self._requests, self.rule.step(step.answers))

    def hosts_of(self, step: Step) -> list[frozenset[str]]:
        """The addresses of both ends of a step, of those ends that are known."""
        ends = [frozenset(self.scope.device.addresses) if role.kind == "device"
                else self.scope.host(role.name, {}).addresses for role in _ends_of(self.rule, step)]
        return [end for end in ends if end]

    def answered(self) -> Collection[int]:
        """The transactions of the requests that a message of the attempt answers, in whatever way."""
        return self.once("answered", lambda: {m.answers for m in self.messages if m.answers is not None})

    def _requests(self, asked: Step) -> tuple[list[int], list[Message]]:
        """The places of all messages that are this step, and what `request` says after each of them."""
        answered = self.answered()
        places, requests, unanswered = [], [], None
        for place in self.places_of(asked.messages):
            message = self.messages[place]
            if holds_all(asked.where, message, self.scope, {}) is not False:
                if message.transaction not in answered:
                    unanswered = message
                places.append(place)
                requests.append(message if unanswered is None else unanswered)
        return places, requests

    def places_of(self, kinds: Sequence[str]) -> Sequence[int]:
        """The places of the messages of these kinds."""
        by_kind = self.once("by kind", self._by_kind)
        return by_kind.get(kinds[0], ()) if len(kinds) == 1 else sorted(p for kind in set(kinds) for p in by_kind.get(kind, ()))

    def _by_kind(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place, message in enumerate(self.messages):
            found.setdefault(message.kind, []).append(place)
        return found


def _always(*asked: object) -> bool:
    return True


def _is_answer(rule: Rule, step: Step) -> bool:
    return step.answers is not None


def _said(words: str) -> Callable[[Visibility, Step, int], str]:
    return lambda view, step, index: words


class _Reason(NamedTuple):
    """`steps`: which it can be about; `captures`: where it can hold at all; its places, a bit for each; its words."""

    steps: Callable[[Rule, Step], object]
    captures: Callable[[Visibility], object]
    places: Callable[[Visibility, Step], int]
    words: Callable[[Visibility, Step, int], str | None]


# the first that holds is the one given
REASONS = tuple(_Reason(*row) for row in (
    (_always, lambda view: view.timeline.unseen, Visibility._unseen,
     lambda view, step, index: view.timeline.unseen[step.messages[0]]),
    (_always, lambda view: view.midway, lambda view, step: 1,
     _said("before the capture began, or outside what it could see")),
    (_always, lambda view: view.timeline.gaps, Visibility._in_a_gap,
     lambda view, step, index: _hole_in_words(view._gap(index))),
    (lambda rule, step: protocol_of(step) in STREAMS, Visibility._has_one_side, lambda view, step: view.everywhere(),
     _said("only one direction of the connection is in the capture")),
    (_is_answer, _always, implied.used, _said("the connection was used, so the answer was lost by the capture")),
    (lambda rule, step: bool(kinds_of_answers(rule, step.step)), _always, implied.answered,
     _said("its answer is in the capture, so the message itself was lost by the capture")),
    (_is_answer, _always, implied.orphaned, _said("such an answer is in the capture, but not what it answers")),
    (lambda rule, step: protocol_of(step) in SEQUENCED, _always, implied.exchange_goes_on,
     _said("later messages of the same exchange are there, so this one was lost by the capture")),
    (lambda rule, step: _is_answer(rule, step) and protocol_of(step) in DATAGRAMS, _always, implied.went_on,
     _said("the procedure went on, so the answer was lost by the capture")),
    (lambda rule, step: _is_answer(rule, step) and protocol_of(step) == "dns", _always, implied.reached,
     _said("ESP to the host asked for begins after the question, so the answer was lost by the capture")),
    (lambda rule, step: step.inside != "ipsec", lambda view: view.timeline.nobodys, Visibility._somebody_s,
     lambda view, step, index: f"other devices share {', '.join(view.timeline.device.shared)}, and "
                               f"nothing says whose {protocol_of(step).upper()} messages are whose"),
    (lambda rule, step: seals.layers(step), _always, seals.hidden, seals.why_hidden),
    (_always, _always, Visibility._after_the_capture, lambda view, step, index: view._cut_off(step)),
    (_always, Visibility._may_be_refused, Visibility._at_the_end,
     _said("the answer to IKE_AUTH is sealed and may have been a refusal")),
    (lambda rule, step: any(role.perhaps_unseen for role in _ends_of(rule, step)), _always, Visibility._out_of_reach,
     lambda view, step, index: view._beyond(step)),
    (_always, _always, Visibility._perhaps_lost, _said("the procedure went on, and the capture may have lost it")),
))


@lru_cache(maxsize=4096)
def _reasons_for(rule: Rule, name: str, captures: frozenset[int]) -> tuple[_Reason, ...]:
    """The reasons that can be about this step, of those numbered."""
    step = rule.step(name)
    return tuple(reason for number, reason in enumerate(REASONS) if number in captures and reason.steps(rule, step))


def _ends_of(rule: Rule, step: Step) -> list[Role]:
    return [role for name in (step.src, step.dst) if name and (role := rule.role(name)) is not None]


@lru_cache(maxsize=4)
def _addresses_of(links: frozenset[frozenset[str]]) -> frozenset[str]:
    """Every address of an observation: all its devices ask for the same."""
    return frozenset(address for link in links for address in link)


def _hole_in_words(gap: Gap) -> str:
    if UNCERTAIN in gap.reason or gap.reason.startswith(UNCOVERED):
        return gap.reason
    if "not in the capture" in gap.reason:
        return f"{gap.reason}; it may have been there"
    return f"packets are missing from the capture here: {gap.reason}"
