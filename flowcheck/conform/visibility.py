"""Why a step that was not seen may have happened all the same.

A missing message is a failure only if the capture could have shown it. Each skipped step is asked, in this order: was it
before the capture began, does a recorded gap cover its place, does the procedure go on as if it had happened, is it inside
a layer that is sealed here, does its deadline lie beyond the capture's end. Each yes is a reason in words.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ..model import Message, Opaque, Timeline
from ..rulebook.rule import Reference, Rule, Step
from .attempts import BEGAN_ANEW, ENDED_BY, TUNNEL_DELETED
from .checks import holds_all
from .fields import ABSENT, partly_hidden
from .scope import Scope
from .several import is_one

LAYER_KINDS = {"ipsec": ("esp",), "tls": ("tls", "dtls", "ssh")}
DATAGRAMS = frozenset(("dns", "ike", "sctp", "hnbap", "s1ap", "rua", "ranap", "gtp", "gtpv2", "coap", "nas", "emm", "gmm"))
SEQUENCED = frozenset(("ike", "sctp"))      # protocols whose later messages cannot be without the earlier ones
STREAMS = frozenset(("tls", "http", "cwmp", "ftp", "ssh", "diameter"))
ENDS = frozenset(("tcp.fin", "tcp.reset", "tls.alert", "tls.client_hello", "cwmp.session_end",
                  "sctp.abort", "sctp.shutdown", "sctp.shutdown_complete"))
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
    _known: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)   # see `_once`

    def _once(self, question: Hashable, answer: Callable[..., Any], *arguments: Any) -> Any:
        """The search asks of every step in every interval; what does not depend on both is worked out once."""
        if question not in self._known:
            self._known[question] = answer(*arguments)
        return self._known[question]

    def hidden(self, step: Step, index: int) -> str | None:
        """Why the step, skipped before message `index`, cannot be expected in the capture; None if it can."""
        before = self.messages[index - 1].time if index else None
        after = self.messages[index].time if index < len(self.messages) else None
        return (self.timeline.unseen.get(step.messages[0]) or self._before_the_capture(index) or self._in_a_gap(before, after) or self._one_sided(step)
                or self._implied(step, index) or self._somebody_s(step)
                or self.sealed(step, before, after) or self._after_the_capture(step, index)
                or self._outcome_sealed(step, index) or self._out_of_reach(step))

    def _before_the_capture(self, index: int) -> str | None:
        return "before the capture began, or outside what it could see" if index == 0 and self.midway else None

    def _in_a_gap(self, before: int | None, after: int | None) -> str | None:
        if not self.timeline.gaps:
            return None
        return self._once(("gap", before, after), self._gap, *self._interval(before, after))

    def _interval(self, before: int | None, after: int | None) -> tuple[int, int]:
        return self.timeline.window[0] if before is None else before, self.limit if after is None else after

    def _gap(self, start: int, end: int) -> str | None:
        for gap in self.timeline.gaps:
            if gap.end >= start and gap.start <= end:
                return f"packets are missing from the capture here: {gap.reason}"
        return None

    def _one_sided(self, step: Step) -> str | None:
        """Of a connection that only one direction was captured of, no answer and no end can be expected."""
        if step.messages[0].partition(".")[0] not in STREAMS:
            return None
        one_sided = self._once("one sided", self._has_one_side)
        return "only one direction of the connection is in the capture" if one_sided else None

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

    def _implied(self, step: Step, index: int) -> str | None:
        request = self._request(step, index)
        if request is not None and self._once(("used", id(request)), self._connection_was_used, request):
            return "the connection was used, so the answer was lost by the capture"
        if index >= len(self.messages):
            return None
        following = self.messages[index]
        if following.answers is None and following.kind in _kinds_of_answers(self.rule, step.step):
            return "its answer is in the capture, so the message itself was lost by the capture"
        protocol = step.messages[0].partition(".")[0]
        if protocol in SEQUENCED and self._goes_on(protocol, request, index):
            return "later messages of the same exchange are there, so this one was lost by the capture"
        if step.answers is not None and protocol in DATAGRAMS and following.kind not in ENDS \
                and not _proves_nothing(protocol, following) and not _is_again(following, request) \
                and not self._refuses(step, following):
            if self._once(("asked", step.answers), self._first_of, self.rule.step(step.answers).messages) < index \
                    and not self._with_another(step, request, following, index):
                return "the procedure went on, so the answer was lost by the capture"
        return None

    def _connection_was_used(self, request: Message) -> bool:
        """Was more sent over the connection that the request should open, than its answer and its end?"""
        return request.protocol in ("tcp", "tls") and any(
            m.stream == request.stream and m.time > request.time and m.protocol != "dns" and m.protocol in STREAMS
            and m.kind not in ENDS and m.answers != request.transaction for m in self.timeline.messages)

    def _goes_on(self, protocol: str, request: Message | None, index: int) -> bool:
        """Is there a later message of the protocol between the same peers that is no end of it?"""
        places = self._once(("of", protocol), self._places, protocol)
        return any(place >= index and _same_peers(self.messages[place], request) for place in reversed(places))

    def _places(self, protocol: str) -> list[int]:
        return [place for place, m in enumerate(self.messages) if m.protocol == protocol and m.kind not in ENDS]

    def _first_of(self, kinds: Collection[str]) -> int:
        return next((place for place, m in enumerate(self.messages) if m.kind in kinds), len(self.messages))

    def _with_another(self, step: Step, request: Message | None, following: Message, index: int) -> bool:
        """Did the procedure go on with another host than the one asked, or than the one whose name was asked for?"""
        if request is None or request.protocol != "dns":
            alike = is_one(self.rule, step) or request is not None and request.protocol == following.protocol
            return alike and not _same_peers(following, request)
        before = self.messages[:index]
        answered = {m.answers for m in before if m.kind == "dns.response"}
        open_names = {_name(m) for m in before if m.kind == "dns.query" and m.transaction not in answered}
        return bool(open_names) and any({following.src.address, following.dst.address} & addresses
                                        for name, addresses in self.scope.resolved.items() if name not in open_names)

    def _somebody_s(self, step: Step) -> str | None:
        """At an address that devices share, what carries no name may be anybody's."""
        protocol = step.messages[0].partition(".")[0]
        if protocol not in self.timeline.nobodys or step.inside == "ipsec":
            return None
        return f"other devices share {', '.join(self.timeline.device.shared)}, and nothing says whose {protocol.upper()} messages are whose"

    def _out_of_reach(self, step: Step) -> str | None:
        """Of a role that may be beyond the taps: is anything of it in the capture, and anything of the link to it?"""
        roles = [role for name in (step.src, step.dst) if name and (role := self.rule.role(name)) is not None]
        away = [role for role in roles if role.perhaps_unseen]
        if not away:
            return None
        seen = _addresses_of(self.timeline.links)
        for role in away:
            addresses = self.scope.host(role.name, {}).addresses
            if not addresses & seen:
                return f"beyond the capture: nothing of the {role.title or role.name} is in it"
        ends = [self.scope.host(role.name, {}).addresses if role.kind != "device" else set(self.scope.device.addresses) for role in roles]
        if len(ends) == 2 and any(frozenset((a, b)) in self.timeline.links for a in ends[0] for b in ends[1]):
            return None
        protocols = {kind.partition(".")[0] for kind in step.messages}
        if not protocols & self.timeline.protocols:
            return f"beyond the capture: no {' or '.join(sorted(protocols))} message at all is in it"
        own = any(role.kind == "device" for role in roles) and not protocols & RELAYED
        if own and not seen.intersection(self.scope.device.addresses):
            return "beyond the capture: nothing from the device's own address is in it"
        return None

    def sealed(self, step: Step, before: int | None, after: int | None, but: Collection[str] = ()) -> str | None:
        """Which sealed traffic of this interval may hide the step; layers named in `but` were captured in clear as well."""
        layer = step.inside or step.perhaps_inside or next(iter(step.should_be_inside), None)
        if layer is None:
            return None
        layers = (layer,) if layer == "tls" else ("ipsec", "tls")
        return self._once((layers, before, after, *but), self._sealed_in, layers, *self._interval(before, after), but)

    def _sealed_in(self, layers: tuple[str, ...], start: int, end: int, but: Collection[str]) -> str | None:
        if "ipsec" in layers and self._once("empty tunnel", self._tunnel_is_empty):
            return "no packet of the tunnel is in the capture"
        for name in layers:
            if not self.timeline.nobodys.isdisjoint(kind for kind in LAYER_KINDS[name] if kind not in but):
                return f"may be inside {LAYER_KINDS[name][0].upper()} traffic that nothing says whose it is of the devices at this address"
            for opaque in self.timeline.opaque:
                if opaque.kind in LAYER_KINDS[name] and opaque.kind not in but and active(opaque, start, end):
                    why = opaque.fields.get("keys") if isinstance(opaque.fields, dict) else None
                    tail = f"; the keys given {why}" if why else ""
                    return f"may be inside {opaque.kind.upper()} traffic that this capture cannot open{self._sizes(opaque)}{tail}"
        return None

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

    def _after_the_capture(self, step: Step, index: int) -> str | None:
        if index < len(self.messages) or not self.messages:
            return None
        request = self._request(step, index)
        if request is not None and self.gave_up == TUNNEL_DELETED and self._left_open(request):
            return "how the connection ended is not in the capture"
        if self.gave_up and (request is not None or self.gave_up in (TUNNEL_DELETED, BEGAN_ANEW)
                             or self.gave_up.startswith(ENDED_BY)):
            return None
        if request is not None and request.repeats:
            return None
        since, patience = self._patience(step, request)
        left = (self.timeline.window[1] - since) / 1e9
        if left < patience:
            return f"the capture ends {left:.1f} s later, and this may take {patience:.0f} s"
        return None

    def _patience(self, step: Step, request: Message | None) -> tuple[int, float]:
        """Since when the step is waited for (ns), and how many seconds."""
        if request is not None:
            return request.time, self.seconds(step)
        return self._begun(step), self.seconds(step) if step.within else self.scope.site.timers.get("follow_up", 600.0)

    def due(self, step: Step) -> int:
        """When a step that the capture's end hides would have had to come, ns."""
        since, patience = self._patience(step, self._request(step, len(self.messages)))
        return since + round(patience * 1e9)

    def _left_open(self, request: Message) -> bool:
        """Was the request sent over a connection that the capture shows no end of?"""
        return request.protocol in STREAMS and not any(m.stream == request.stream and m.kind in ("tcp.fin", "tcp.reset")
                                                       and m.time >= request.time for m in self.timeline.messages)

    def _begun(self, step: Step) -> int:
        """When the time for a step began to run that answers nothing: at the step its deadline counts from."""
        kinds = self.rule.step(step.within.after).messages if step.within else ()
        return next((m.time for m in reversed(self.messages) if m.kind in kinds), self.messages[-1].time)

    def _outcome_sealed(self, step: Step, index: int) -> str | None:
        """After an answer that may have been a refusal, nothing more can be expected for certain."""
        if index < len(self.messages):
            return None
        for message in reversed(self.messages):
            if message.kind == "ike.auth.response":
                if partly_hidden(message) and not any(m.time > message.time and m.protocol != "ike" for m in self.messages):
                    return "the answer to IKE_AUTH is sealed and may have been a refusal"
                return None
        return None

    def seconds(self, step: Step) -> float:
        if step.within is None:
            return PATIENCE
        value = step.within.seconds
        if isinstance(value, Reference):
            value = self.scope.resolve(value, {})
        return PATIENCE if value is ABSENT else float(value)

    def _refuses(self, step: Step, message: Message) -> bool:
        return any(message.kind in pattern.messages and holds_all(pattern.where, message, self.scope, {}) is not False
                   for pattern in step.refused_by)

    def _request(self, step: Step, index: int) -> Message | None:
        """The last message before `index` that the step would answer; one without an answer first."""
        if step.answers is None:
            return None
        places, requests = self._once(("requests", step.answers), self._requests, self.rule.step(step.answers))
        earlier = bisect_left(places, index)
        return requests[earlier - 1] if earlier else None

    def _requests(self, asked: Step) -> tuple[list[int], list[Message]]:
        """The places of all messages that are this step, and what `_request` says after each of them."""
        answered = {m.answers for m in self.messages if m.answers is not None}
        places, requests, unanswered = [], [], None
        for place, message in enumerate(self.messages):
            if message.kind in asked.messages and holds_all(asked.where, message, self.scope, {}) is not False:
                if message.transaction not in answered:
                    unanswered = message
                places.append(place)
                requests.append(message if unanswered is None else unanswered)
        return places, requests


def _same_peers(message: Message, request: Message | None) -> bool:
    return request is None or {message.src.address, message.dst.address} == {request.src.address, request.dst.address}


def _name(query: Message) -> str:
    return str(query.fields.get("qname") or "").lower().rstrip(".")


def _proves_nothing(protocol: str, following: Message) -> bool:
    """Does this message come whether or not an answer came before it: another lookup, upkeep or the end of a tunnel?"""
    return (following.kind.endswith(".query") or following.protocol == protocol == "dns"
            or following.kind.startswith(("ike.informational.", "ike.create_child_sa.")))


@lru_cache(maxsize=1024)
def _kinds_of_answers(rule: Rule, name: str) -> frozenset[str]:
    """The message kinds that answer this step."""
    return frozenset(kind for step in rule.steps() if step.answers == name for kind in step.messages)


def _is_again(following: Message, request: Message | None) -> bool:
    """Is it the unanswered request once more, as a base station or a network sends it when its timer expires?"""
    return request is not None and following.kind == request.kind and following.fields == request.fields


@lru_cache(maxsize=4)
def _addresses_of(links: frozenset[frozenset[str]]) -> frozenset[str]:
    """Every address of an observation: all its devices ask for the same."""
    return frozenset(address for link in links for address in link)


def active(opaque: Opaque, start: int, end: int) -> bool:
    """Does the sealed traffic flow in this interval?"""
    bursts = opaque.fields.get("bursts") or [(opaque.start, opaque.end)]
    spans = ((burst["start"], burst["end"]) if isinstance(burst, dict) else burst[:2] for burst in bursts)
    return any(first <= end + SLACK and last >= start - SLACK for first, last in spans)
