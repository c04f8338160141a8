"""From captures to a Result: the whole way in one function.

    observe ─► timelines ─► judge ─► Result
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from . import __version__
from .conform.bringup import lacking
from .conform.elsewhere import Elsewhere
from .conform.judge import judge
from .conform.memory import Memory
from .errors import UsageError
from .model import UNKNOWN, DeviceResult, Message, Result, Timeline
from .observe.limits import tap_names, touching, with_losses
from .observe.observation import Observation, observe
from .rulebook.loader import load_rules
from .rulebook.rule import Rule
from .rulebook.site import load_site
from .session import nobody
from .session.timeline import timelines
from .shelf import opened


def check(captures: Sequence[str], *, rules: Sequence[str] = (), site: str | None = None, keys: Sequence[str] = (),
          procedures: Sequence[str] = (), decode_as: dict[tuple[str, int], str] | None = None, command: str = "",
          progress: Any = None, clocks: Mapping[str, int] | None = None,
          ring: Any = None, spend: bool = False,
          keep: Callable[[DeviceResult], DeviceResult] | None = None) -> tuple[Result, Observation]:
    """Judges one observation. Raises CaptureError, RuleError, SiteError, KeyFileError or UsageError.

    `ring` is the key ring to use where the caller has made one of `keys` already. With `spend` the observation that is
    returned has no messages any more. `keep` makes of each device's result what is to be kept of it.
    """
    profile = load_site(site)
    book = load_rules(rules or None, site=profile)
    unknown = [name for name in procedures if name not in {rule.procedure for rule in book}]
    if unknown:
        known = ", ".join(rule.procedure for rule in book)
        raise UsageError(f"--procedure {unknown[0]}: no rule describes it; the rules are {known}")
    ring = key_ring(keys) if ring is None else ring
    observation = observe(captures, ring, decode_as, progress, clocks)
    messages = None
    if spend:
        messages, observation = list(observation.messages), replace(observation, messages=())
    found = joined(observation, book, profile, keys, messages)
    return judged(observation, book, profile, procedures, command, found=found, keep=keep, spend=spend), observation


def judged(observation: Observation, book: Sequence[Rule], profile: Any, procedures: Sequence[str] = (),
           command: str = "",
           keys: Sequence[str] = (), found: Sequence[Timeline] | None = None,
           memory: Callable[[Timeline], Memory] | None = None,
           keep: Callable[[DeviceResult], DeviceResult] | None = None, spend: bool = False) -> Result:
    """The verdicts of an observation that has been read already; `keys` are for rule steps that ask Wireshark.

    `found` are its timelines where the caller has joined them; `memory` makes of each what is known of its verdicts.
    `keep` makes of the result of a device what is to be kept of it until all have been judged. With `spend` the list
    `found` is empty afterwards: a timeline goes when it has been judged.
    """
    today = datetime.now(timezone.utc)
    if found is None:
        found = joined(observation, book, profile, keys)
    elsewhere, captures = Elsewhere(found), with_losses(observation, found)
    devices: dict[int, DeviceResult] = {}                  # by place in `found`
    waiting = sorted(enumerate(found), key=_begins, reverse=True)      # what is packed lies in this order
    if spend:
        found.clear()
    while waiting:
        place, timeline = waiting.pop()
        device = timeline.device
        if device.id == UNKNOWN:
            devices[place] = DeviceResult(UNKNOWN, {}, tuple(nobody.hosts(timeline)), (), nobody.sentences(timeline))
            continue
        with opened(timeline.messages):
            attempts = judge(book, profile, timeline, procedures, today.date(), elsewhere, memory and memory(timeline))
            attempts = tuple(replace(attempt, limits=touching(attempt, timeline, observation)) for attempt in attempts)
        if attempts or device.identity:
            result = DeviceResult(device.id, device.identity, device.addresses, attempts, device.evidence,
                                  lacking(book, attempts))
            devices[place] = keep(result) if keep else result
    digest = hashlib.sha256("".join(sorted(rule.digest for rule in book)).encode()).hexdigest()
    tool = {"version": __version__, "rules": f"sha256:{digest}", "site": profile.name}
    return Result(captures, tuple(devices[place] for place in sorted(devices)), tool, command,
                  int(today.timestamp() * 1e9), observation.opaque)


def _begins(placed: tuple[int, Timeline]) -> int:
    timeline = placed[1]
    return timeline.messages[0].time if timeline.messages else 0


def joined(observation: Observation, book: Sequence[Rule], profile: Any, keys: Sequence[str] = (),
           messages: list[Message] | None = None) -> list[Timeline]:
    """The timelines of an observation, with what Wireshark sees for the steps of these rules that ask it.

    `messages` are its messages where the caller has taken them out of it, to be let go as soon as may be.
    """
    spend, unseen = messages is not None, {}
    if messages is None:
        messages = observation.messages
    if asks_wireshark(book):
        from .wireshark import steps
        more, unseen = steps.messages([info.path for info in observation.captures], book, keys)
        messages = sorted((*messages, *more), key=lambda m: (m.time, m.frames[-1]))
    found = timelines(messages, observation.opaque, observation.gaps, observation.window, observation.taps,
                      profile.fields, profile.bindings, observation.windows, spend)
    return labelled(found, observation, unseen)


def labelled(found: Sequence[Timeline], observation: Observation, unseen: Mapping[str, str] = {}) -> list[Timeline]:
    """The timelines with the names of the taps, and the kinds of message that nobody could look for."""
    taps = tap_names(observation)
    return [replace(timeline, unseen=unseen, taps=taps) for timeline in found]


def asks_wireshark(book: Sequence[Rule]) -> bool:
    return any(step.wireshark for rule in book for step in rule.steps())


def key_ring(paths: Sequence[str]) -> Any:
    """The keys of all files and directories named; secrets inside a pcapng join it while reading."""
    from .decrypt.keys import KeyRing
    ring = KeyRing()
    for path in paths:
        ring.load(path)
    return ring
