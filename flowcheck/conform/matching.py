"""Does this message stand for that step? Kind, ends, `where` and transaction, each true, false or unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from ..model import Endpoint, Message
from ..rulebook.rule import Pattern, Rule, Step
from .bindings import taken
from .checks import holds_all
from .fields import ABSENT, partly_hidden
from .scope import Host, Scope


class Tie(NamedTuple):
    """What ties an answer to the request that was matched for a step."""

    transaction: int | None
    stream: int
    exchange: int | None
    session: int | None
    dst: str


MOST_TIES = 8               # requests of a step whose answers are waited for; earlier ones are given up


@lru_cache(maxsize=64)
def answered_steps(rule: Rule) -> frozenset[str]:
    """The steps that others answer."""
    return frozenset(step.answers for step in rule.steps() if step.answers is not None)


@dataclass(frozen=True, slots=True)
class Matcher:
    rule: Rule
    scope: Scope

    def fits(self, step: Step, message: Message, bound: Mapping[str, Any]) -> bool | None:
        """Is the message this step, given what has been bound so far?"""
        if message.kind not in step.messages:
            return False
        ends = self._ends(step.src, step.dst, message, bound)
        if ends is False:
            return False
        if step.answers is not None:
            ties = bound.get("tie:" + step.answers, ())
            if not _answers(message, ties) or not ties and not self._about(step, message, bound):
                return False
        where = holds_all(step.where, message, self.scope, bound) if step.where else True
        if where is False or where is None and not partly_hidden(message):
            return False                    # a name nobody knows identifies nothing
        return True if ends and where else None

    def _about(self, step: Step, message: Message, bound: Mapping[str, Any]) -> bool:
        """An answer whose request is not in the capture: is it about what the request would have asked?"""
        request = self.rule.step(step.answers)
        return not request.where or holds_all(request.where, message, self.scope, bound) is True

    def refuses(self, step: Step, message: Message, bound: Mapping[str, Any]) -> Pattern | None:
        """The `refused_by` of the step that the message is, if it belongs to the request that was matched."""
        for pattern in step.refused_by:
            if message.kind not in pattern.messages:
                continue
            ties = bound.get("tie:" + step.answers, ()) if step.answers else ()
            if step.answers is not None and not any(_belongs(message, tie) for tie in ties):
                continue
            if self.pattern(pattern, message, bound):
                return pattern
        return None

    def pattern(self, pattern: Pattern, message: Message, bound: Mapping[str, Any] | None = None) -> bool:
        """Is the message certainly one of this pattern?"""
        bound = bound or {}
        if message.kind not in pattern.messages or not self._ends(pattern.src, pattern.dst, message, bound, unknown=True):
            return False
        return holds_all(pattern.where, message, self.scope, bound) is True

    def could_be(self, step: Step, message: Message) -> bool:
        """Could the message ever be this step, or its refusal? What is bound later is left open."""
        if message.kind in step.messages and self._ends(step.src, step.dst, message, {}) is not False:
            return True
        return any(message.kind in pattern.messages and self._ends(pattern.src, pattern.dst, message, {}) is not False
                   for pattern in step.refused_by)

    def after(self, step: Step, message: Message, bound: Mapping[str, Any]) -> dict[str, Any]:
        """What is bound once the message has been matched with the step."""
        new = dict(bound)
        if step.step in answered_steps(self.rule):
            ties = (*bound.get("tie:" + step.step, ()), Tie(message.transaction, message.stream, message.exchange,
                                                           message.session, message.dst.address))
            new["tie:" + step.step] = ties[-MOST_TIES:]
        for role, end in ((step.src, message.src), (step.dst, message.dst)):
            declared = self.rule.role(role) if role else None
            if declared is not None and declared.kind not in ("device",
                                                              "dns_server") and not self.scope.host(role, bound):
                new[f"{role}.address"] = (end.address,)
        for binding in step.bind:
            value = taken(binding, message, self.scope, bound)
            if value is not ABSENT:
                new[binding.name] = value
        return new

    def _ends(self, src: str | None, dst: str | None, message: Message, bound: Mapping[str, Any],
              unknown: bool | None = None) -> bool | None:
        """Do both hosts play these roles? `unknown` where nothing is known of one."""
        if bound or "ue" in message.fields:
            found = self._play(src, dst, message, bound)
        else:                                    # then the addresses alone decide
            key, known = (src, dst, message.src.address, message.dst.address), self.scope.ends
            found = known[key] if key in known else known.setdefault(key, self._play(src, dst, message, bound))
        return unknown if found is None else found

    def _play(self, src: str | None, dst: str | None, message: Message, bound: Mapping[str, Any]) -> bool | None:
        result: bool | None = True
        for role, end, other in ((src, message.src, message.dst), (dst, message.dst, message.src)):
            if role is None or self.rule.role(role).kind == "device" and relayed(message):
                continue
            plays = self.plays(role, end, other, bound)
            if plays is False:
                return False
            if plays is None:
                result = None
        return result

    def plays(self, name: str, end: Endpoint, other: Endpoint, bound: Mapping[str, Any]) -> bool | None:
        """Is the host at this end the role? None while nothing is known of the role."""
        role = self.rule.role(name)
        device = self.scope.device
        if role.kind == "device":
            return end.address in device.addresses or (not device.addresses and other.address not in device.addresses)
        if end.address in device.addresses and other.address not in device.addresses:
            return False
        if role.kind == "dns_server":            # which server was asked is judged, it does not identify the message
            return True
        host: Host = self.scope.host(name, bound)
        if end.address in host.addresses:
            return True
        return False if host.addresses else None


def relayed(message: Message) -> bool:
    """Does a base station carry it for a UE that it names? Then the UE has no address of its own in it."""
    return "ue" in message.fields and message.protocol in ("emm", "gmm", "mm", "esm", "sm")


def _answers(message: Message, ties: tuple[Tie, ...]) -> bool:
    if message.answers is not None:
        return any(tie.transaction == message.answers for tie in ties)
    if not ties:
        return True                     # the request itself is not in the capture
    return any(tie.transaction is None and tie.stream == message.stream for tie in ties) or \
        any(tie.stream == message.stream and message.kind.startswith(("tls.", "ssh.")) for tie in ties)


# what carries, or ends, the exchange of another protocol: an HTTP response, an SCTP ABORT
CARRIERS = frozenset(("http.response", "sctp.abort"))


def _belongs(message: Message, tie: Tie) -> bool:
    if message.answers is not None and (message.answers == tie.transaction or message.kind not in CARRIERS):
        return message.answers == tie.transaction
    if message.session is not None and tie.session is not None:
        return message.session == tie.session and (message.exchange is None or message.exchange == tie.exchange
                                                   or message.kind == "cwmp.session_end")
    if message.kind == "icmp.unreachable":
        return tie.dst in _unreachable(message)
    return message.stream == tie.stream and (message.exchange is None or tie.exchange is None
                                             or message.exchange == tie.exchange)


def _unreachable(message: Message) -> tuple[Any, str]:
    return message.fields.get("dst"), str(message.fields.get("quoted_dst", ""))


def referred_to(message: Message) -> Iterator[tuple[str, Any]]:
    """By which parts of a tie, and with what in them, the message may be the answer of a request or its refusal.

    These are all that `_answers` and `_belongs` compare.
    """
    yield from (("transaction", message.answers), ("stream", message.stream), ("exchange", message.exchange),
                ("session", message.session))
    if message.kind == "icmp.unreachable":
        yield from (("dst", address) for address in _unreachable(message))
