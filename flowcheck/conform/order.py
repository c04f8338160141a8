"""Which steps of a rule can only come after which others, and what a later one says of one that was not seen.

A message that never came may be beyond the capture's end, unless the procedure went on without it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache

from ..model import Message, Timeline
from ..rulebook.rule import Group, Rule, Step
from .matching import Matcher
from .scope import Scope

# what runs over TCP in clear
CONNECTED = frozenset(("tcp", "http", "cwmp", "json", "xml", "omacp", "syncml", "ftp"))


@lru_cache(maxsize=64)
def followers(rule: Rule) -> Mapping[str, frozenset[str]]:
    """For each step that every complete run has: those of the same sequence that come after it in every run.

    Nothing is said of the parts of a group in any order, of branches, of what is optional, or of rounds that repeat. What has
    a condition has its place as well: where the condition does not hold, the step is not asked for.
    """
    after: dict[str, frozenset[str]] = {}
    _of_sequence(rule.items, frozenset(), after)
    return after


def _of_sequence(items: tuple[Step | Group, ...], beyond: frozenset[str],
                 after: dict[str, frozenset[str]]) -> frozenset[str]:
    """Notes what follows the steps of these items, of which `beyond` follow all; gives the mandatory ones among them."""
    own: frozenset[str] = frozenset()
    for item in reversed(items):
        own |= _of_item(item, beyond | own, after)
    return own


def _of_item(item: Step | Group, beyond: frozenset[str], after: dict[str, frozenset[str]]) -> frozenset[str]:
    if item.optional or item.forbidden:
        return frozenset()
    if isinstance(item, Step):
        if not item.messages:
            return frozenset()
        after[item.step] = beyond
        return frozenset((item.step,)) if item.severity == "error" else frozenset()
    if item.order == "sequence" and item.repeat.maximum == 1:
        return _of_sequence(item.items, beyond, after)
    inside = [_of_item(part, beyond, after) for part in item.items]
    return frozenset() if item.order == "one_of" else frozenset().union(*inside)


def overtaken(step: Step, rule: Rule, scope: Scope, timeline: Timeline, messages: Sequence[Message]) -> bool | None:
    """Is a message there, after one of the steps before this one, that can only be a later step? None where there is not.

    If there is, this one should have come first; False means that the capture may have lost it. That is ruled out only while
    a tap saw both of its ends, and every connection of that time from its beginning to its end.
    """
    after, steps = followers(rule), rule.steps()
    later, matcher, begun = after.get(step.step, frozenset()), Matcher(rule, scope), None
    behind = frozenset(each.step for each in steps[steps.index(step) + 1:])
    if not later or not {kind.partition(".")[0] for kind in step.messages} <= CONNECTED:
        return None
    for message in messages:
        fits = {each.step: matcher.fits(each, message, {}) for each in steps if message.kind in each.messages}
        possible = {name for name, fit in fits.items() if fit is not False}
        if begun is not None and possible <= behind and any(fits[name] for name in possible & later):
            return _watched(step, rule, scope, timeline, begun) and _whole(timeline, begun, message)
        if begun is None and any(fit and step.step in after.get(name, ()) for name, fit in fits.items()):
            begun = message
    return None


def _watched(step: Step, rule: Rule, scope: Scope, timeline: Timeline, since: Message) -> bool:
    """Does a capture show both ends of the step, this early or earlier, and no connection of theirs cut off?"""
    if step.src is None or step.dst is None:
        return False                               # whoever it is with may be out of sight
    ends = [scope.device.addresses if rule.role(name).kind == "device" else scope.host(name, {}).addresses
            for name in (step.src, step.dst)]
    if any(all(pair.intersection(end) for end in ends) for pair in timeline.torn):
        return False
    seen = [captures_of(timeline, end) for end in ends]
    early = {ref.capture for m in timeline.messages if m.time <= since.time for ref in (*m.frames, *m.copies)}
    return bool(early.intersection(*seen))


def captures_of(timeline: Timeline, addresses: Sequence[str] | frozenset[str]) -> frozenset[int]:
    """The captures in which these hosts are seen with the device's messages."""
    return frozenset(ref.capture for m in timeline.messages if m.src.address in addresses or m.dst.address in addresses
                     for ref in (*m.frames, *m.copies))


def _whole(timeline: Timeline, first: Message, last: Message) -> bool:
    """Was every TCP connection that is used between these messages captured whole? The last one may go on."""
    ways: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for m in timeline.messages:
        if m.protocol == "tcp":
            ways[m.stream].add((m.kind, m.src.address))
    for stream in {m.stream for m in timeline.messages if first.time <= m.time <= last.time
                   and m.protocol in CONNECTED}:
        kinds = [kind for kind, _ in ways[stream]]
        closed = kinds.count("tcp.fin") == 2 or "tcp.reset" in kinds or stream == last.stream
        if not closed or "tcp.syn" not in kinds or "tcp.syn_ack" not in kinds:
            return False
    return True
