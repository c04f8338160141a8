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
from typing import Any

from ..model import Gap, Message, Opaque, Timeline
from ..rulebook.rule import Reference, Role, Rule, Step
from . import implied
from .attempts import BEGAN_ANEW, ENDED_BY, TUNNEL_DELETED
from .checks import holds_all
from .fields import ABSENT, partly_hidden
from .implied import DATAGRAMS, SEQUENCED, STREAMS, kinds_of_answers, protocol_of
from .order import captures_of, overtaken
from .scope import Scope

# of gaps in which nothing that was recorded is missing
UNCERTAIN, UNCOVERED = "order of messages is not certain", "no capture covers"
LAYER_KINDS = {"ipsec": ("esp",), "tls": ("tls", "dtls", "ssh")}
RELAYED = frozenset(("emm", "gmm", "mm", "esm", "sm"))   # the device's own, but carried by hosts of the network
PATIENCE = 30.0             # seconds given to an answer that has no deadline of its own
SLACK = 2_000_000_000       # ns by which a sealed burst may lie outside an interval


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
        for (_, why), places in zip(_reasons_for(self.rule, step.step), self._places_of(step)):
            if places >> index & 1:
                return why(self, step, index)
        return None

    def hidden_places(self, step: Step) -> int:
        """All places where the step may have happened out of sight. Bit i is the place before message i, the last one the end."""
        return reduce(or_, self._places_of(step))

    def _places_of(self, step: Step) -> list[int]:
        """The places of each reason, up to the one that leaves none open."""
        found = self._known.get(("places", step.step))
        if found is None:
            found = self._known["places", step.step] = []
            hidden, everywhere = 0, self._everywhere()
            for places, _ in _reasons_for(self.rule, step.step):
                found.append(places(self, step))
                hidden |= found[-1]
                if hidden == everywhere:
                    break
        return found

    def _everywhere(self, condition: object = True) -> int:
        return (1 << len(self.messages) + 1) - 1 if condition else 0

    def where(self, holds: Callable[[int], object], places: Iterable[int]) -> int:
        return sum(1 << place for place in places if holds(place))

    def _interval(self, index: int) -> tuple[int, int]:
        """From the message before a place to the one after it."""
        return (self.messages[index - 1].time if index else self.timeline.window[0],
                self.messages[index].time if index < len(self.messages) else self.limit)

    # -------------------------------------------------------------------------------------------- what holds for all
    # steps

    def _unseen(self, step: Step) -> int:
        return self._everywhere(step.messages[0] in self.timeline.unseen)

    def _before_the_capture(self, step: Step) -> int:
        return 1 if self.midway else 0

    def _in_a_gap(self, step: Step) -> int:
        return self.once("gaps", self.where, self._gap, range(len(self.messages) + 1)) if self.timeline.gaps else 0

    def _gap(self, index: int) -> Gap | None:
        return self._first_gap(*self._interval(index))

    def _first_gap(self, start: int, end: int) -> Gap | None:
        return next((gap for gap in self.timeline.gaps if gap.end >= start and gap.start <= end), None)

    def lost_between(self, start: int, end: int) -> str | None:
        """What is missing from the capture in this time, in words."""
        gap = self._first_gap(start, end)
        return _hole_in_words(gap) if gap is not None else None

    def _one_sided(self, step: Step) -> int:
        """Of a connection that only one direction was captured of, no answer and no end can be expected."""
        return self._everywhere(self.once("one sided", self._has_one_side))

    def _has_one_side(self) -> bool:
        """Is there a connection of the attempt with several HTTP messages, all of them going one way?"""
        asked = {m.stream for m in self.messages if m.kind == "http.request"} or {m.stream for m in self.messages if m.protocol == "cwmp"}
        ways: dict[int, set[str]] = {stream: set() for stream in asked}
        counts = dict.fromkeys(asked, 0)
        for m in self.timeline.messages:
            if m.stream in ways and m.protocol in ("http", "cwmp") and m.kind != "cwmp.session_end":
                ways[m.stream].add(m.src.address)
                counts[m.stream] += m.kind in ("http.request", "http.response")
        return any(len(ways[stream]) == 1 and counts[stream] > 1 for stream in asked)

    # -------------------------------------------------------------------------------------------- where it may be

    def _somebody_s(self, step: Step) -> int:
        """At an address that devices share, what carries no name may be anybody's."""
        return self._everywhere(self.timeline.nobodys and protocol_of(step) in self.timeline.nobodys)

    def _out_of_reach(self, step: Step) -> int:
        return self._everywhere(self._beyond(step))

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

    def sealed(self, step: Step, start: int, end: int, but: Collection[str] = ()) -> str | None:
        """Which sealed traffic of this interval may hide the step; layers named in `but` were captured in clear as well."""
        layers = _layers(step)
        return self._in_words(self._hiding(layers, start, end, but)) if layers else None

    def _sealed(self, step: Step) -> int:
        layers = _layers(step)
        return self.once(layers, self.where, lambda place: self._sealed_at(layers, place),
                         range(len(self.messages) + 1))

    def _sealed_at(self, layers: tuple[str, ...], index: int) -> Opaque | str | None:
        return self.once((layers, index), self._hiding, layers, *self._interval(index), ())

    def _hiding(self, layers: tuple[str, ...], start: int, end: int, but: Collection[str]) -> Opaque | str | None:
        """The sealed traffic of this interval that may hide a step of these layers, or else what hides it."""
        if "ipsec" in layers and self.once("empty tunnel", self._tunnel_is_empty):
            return "no packet of the tunnel is in the capture"
        for name in layers:
            if not self.timeline.nobodys.isdisjoint(kind for kind in LAYER_KINDS[name] if kind not in but):
                return f"may be inside {LAYER_KINDS[name][0].upper()} traffic that nothing says whose it is of the devices at this address"
            for opaque in self.timeline.opaque:
                if opaque.kind in LAYER_KINDS[name] and opaque.kind not in but and active(opaque, start, end):
                    return opaque
        return None

    def _in_words(self, hiding: Opaque | str | None) -> str | None:
        if not isinstance(hiding, Opaque):
            return hiding
        why = hiding.fields.get("keys") if isinstance(hiding.fields, dict) else None
        tail = f"; the keys given {why}" if why else ""
        return f"may be inside {hiding.kind.upper()} traffic that this capture cannot open{self._sizes(hiding)}{tail}"

    def _sizes(self, opaque: Opaque) -> str:
        """What a sealed connection carried each way; an upload and a download differ in that."""
        if opaque.kind == "esp":
            return ""
        both = (other for other in self.timeline.opaque if (other.kind, other.stream) == (opaque.kind, opaque.stream))
        return f" ({', '.join(f'{one.size} octets from {one.src}' for one in both)})"

    def _tunnel_is_empty(self) -> bool:
        """Was a tunnel set up, and not one packet inside it seen, neither sealed nor in clear?"""
        up = next((m for m in reversed(self.messages) if m.protocol == "ike"), None)
        if up is None or any(m.kind == "ike.auth.response" and partly_hidden(m) for m in self.messages):
            return False
        outer = set(self.timeline.device.outer)
        return not any(o.kind == "esp" for o in self.timeline.opaque) and not any(
            m.protocol not in ("ike", "arp", "dhcp") and not {m.src.address, m.dst.address} & outer
            or "esp" in m.layers for m in self.timeline.messages)

    # -------------------------------------------------------------------------------------------- at the end

    def _after_the_capture(self, step: Step) -> int:
        return 1 << len(self.messages) if self._cut_off(step) else 0

    def _cut_off(self, step: Step) -> str | None:
        request = self.request(step, len(self.messages))
        if request is not None and self.gave_up == TUNNEL_DELETED and self._left_open(request):
            return "how the connection ended is not in the capture"
        if self.gave_up and request is not None or self._ended():
            return None
        if request is not None and request.repeats or request is None and self._overtaken(step):
            return None
        since, patience = self._patience(step, request)
        left = (self.timeline.window[1] - since) / 1e9
        if left < patience:
            return f"the capture ends {left:.1f} s later, and this may take {patience:.0f} s"
        return None

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
        return request.protocol in STREAMS and not any(m.stream == request.stream and m.kind in ("tcp.fin", "tcp.reset")
                                                       and m.time >= request.time for m in self.timeline.messages)

    def _begun(self, step: Step) -> int:
        """When the time for a step began to run that answers nothing: at the step its deadline counts from."""
        kinds = self.rule.step(step.within.after).messages if step.within else ()
        return next((m.time for m in reversed(self.messages) if m.kind in kinds), self.messages[-1].time)

    def _outcome_sealed(self, step: Step) -> int:
        return 1 << len(self.messages) if self.once("refused", self._may_be_refused) else 0

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

    def _requests(self, asked: Step) -> tuple[list[int], list[Message]]:
        """The places of all messages that are this step, and what `request` says after each of them."""
        answered = self.once("answered", lambda: {m.answers for m in self.messages if m.answers is not None})
        places, requests, unanswered = [], [], None
        for place, message in enumerate(self.messages):
            if message.kind in asked.messages and holds_all(asked.where, message, self.scope, {}) is not False:
                if message.transaction not in answered:
                    unanswered = message
                places.append(place)
                requests.append(message if unanswered is None else unanswered)
        return places, requests


def _always(rule: Rule, step: Step) -> bool:
    return True


def _is_answer(rule: Rule, step: Step) -> bool:
    return step.answers is not None


def _said(words: str) -> Callable[[Visibility, Step, int], str]:
    return lambda view, step, index: words


# which steps each reason can be about, where it holds, and its words; the first that holds is the one given
REASONS = (
    (_always, Visibility._unseen, lambda view, step, index: view.timeline.unseen[step.messages[0]]),
    (_always, Visibility._before_the_capture, _said("before the capture began, or outside what it could see")),
    (_always, Visibility._in_a_gap, lambda view, step, index: _hole_in_words(view._gap(index))),
    (lambda rule, step: protocol_of(step) in STREAMS, Visibility._one_sided,
     _said("only one direction of the connection is in the capture")),
    (_is_answer, implied.used, _said("the connection was used, so the answer was lost by the capture")),
    (lambda rule, step: bool(kinds_of_answers(rule, step.step)), implied.answered,
     _said("its answer is in the capture, so the message itself was lost by the capture")),
    (_is_answer, implied.orphaned, _said("such an answer is in the capture, but not what it answers")),
    (lambda rule, step: protocol_of(step) in SEQUENCED, implied.exchange_goes_on,
     _said("later messages of the same exchange are there, so this one was lost by the capture")),
    (lambda rule, step: _is_answer(rule, step) and protocol_of(step) in DATAGRAMS, implied.went_on,
     _said("the procedure went on, so the answer was lost by the capture")),
    (lambda rule, step: _is_answer(rule, step) and protocol_of(step) == "dns", implied.reached,
     _said("ESP to the host asked for begins after the question, so the answer was lost by the capture")),
    (lambda rule, step: step.inside != "ipsec", Visibility._somebody_s,
     lambda view, step, index: f"other devices share {', '.join(view.timeline.device.shared)}, and "
                               f"nothing says whose {protocol_of(step).upper()} messages are whose"),
    (lambda rule, step: bool(_layers(step)), Visibility._sealed,
     lambda view, step, index: view._in_words(view._sealed_at(_layers(step), index))),
    (_always, Visibility._after_the_capture, lambda view, step, index: view._cut_off(step)),
    (_always, Visibility._outcome_sealed, _said("the answer to IKE_AUTH is sealed and may have been a refusal")),
    (lambda rule, step: any(role.perhaps_unseen for role in _ends_of(rule, step)), Visibility._out_of_reach,
     lambda view, step, index: view._beyond(step)),
    (_always, Visibility._perhaps_lost, _said("the procedure went on, and the capture may have lost it")),
)


@lru_cache(maxsize=4096)
def _reasons_for(rule: Rule, name: str) -> tuple[tuple[Callable[..., int], Callable[..., str]], ...]:
    """The reasons that can be about this step."""
    step = rule.step(name)
    return tuple((places, why) for concerns, places, why in REASONS if concerns(rule, step))


def _ends_of(rule: Rule, step: Step) -> list[Role]:
    return [role for name in (step.src, step.dst) if name and (role := rule.role(name)) is not None]


def _layers(step: Step) -> tuple[str, ...]:
    """The layers that may hide the step: what is in TLS may be in the tunnel as well."""
    layer = step.inside or step.perhaps_inside or next(iter(step.should_be_inside), None)
    return () if layer is None else (layer,) if layer == "tls" else ("ipsec", "tls")


@lru_cache(maxsize=4)
def _addresses_of(links: frozenset[frozenset[str]]) -> frozenset[str]:
    """Every address of an observation: all its devices ask for the same."""
    return frozenset(address for link in links for address in link)


def active(opaque: Opaque, start: int, end: int) -> bool:
    """Does the sealed traffic flow in this interval?"""
    bursts = opaque.fields.get("bursts") or [(opaque.start, opaque.end)]
    spans = ((burst["start"], burst["end"]) if isinstance(burst, dict) else burst[:2] for burst in bursts)
    return any(first <= end + SLACK and last >= start - SLACK for first, last in spans)


def _hole_in_words(gap: Gap) -> str:
    if UNCERTAIN in gap.reason or gap.reason.startswith(UNCOVERED):
        return gap.reason
    if "not in the capture" in gap.reason:
        return f"{gap.reason}; it may have been there"
    return f"packets are missing from the capture here: {gap.reason}"
