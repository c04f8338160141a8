"""Which limits of the captures touch a verdict: the remarks on them that fall into its time and concern its device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..model import AttemptResult, CaptureInfo, Opaque, Timeline
from .observation import Observation

_MOST = 8               # of an attempt
_HOLES = 2              # told one by one; more are counted
_SEALED = {"esp": "ESP", "tls": "TLS", "dtls": "DTLS", "ssh": "SSH"}


def touching(attempt: AttemptResult, timeline: Timeline, observation: Observation) -> tuple[str, ...]:
    """A sentence for each, at most a handful; those of one capture of several begin with its name."""
    return tuple(list(dict.fromkeys((*_remarks(attempt, timeline, observation), *_holes(attempt, timeline), *_sealed(attempt, timeline), *_losses(attempt, timeline))))[:_MOST])


def _remarks(attempt: AttemptResult, timeline: Timeline, observation: Observation) -> Iterator[str]:
    own, infos = set(timeline.device.addresses), observation.captures
    peers = own | ({end.address for m in timeline.messages if attempt.started <= m.time <= attempt.ended
                    for end in (m.src, m.dst)}
                   if any(limit.hosts for limit in observation.limits) else set())
    for limit in observation.limits:
        before, after = limit.end is not None and limit.end < attempt.started, limit.start is not None and limit.start > attempt.ended
        if limit.own and not before and not after and (not limit.hosts or limit.hosts & peers and limit.hosts & own):
            yield (f"{_name(infos[limit.capture].path)}: " if len(infos) > 1 else "") + limit.text


def _holes(attempt: AttemptResult, timeline: Timeline) -> Iterator[str]:
    near = list(dict.fromkeys(gap.reason for gap in timeline.gaps if gap.start <= attempt.ended
                              and gap.end >= attempt.started
                              and not gap.reason.startswith("the clock")))         # a remark says that already
    if len(near) > _HOLES:
        yield f"{len(near)} holes in its time: {near[0]}, and others"
    else:
        yield from near


def _sealed(attempt: AttemptResult, timeline: Timeline) -> Iterator[str]:
    kinds: dict[str, list[Opaque]] = {}
    for opaque in timeline.opaque:
        if opaque.start <= attempt.ended and opaque.end >= attempt.started:
            kinds.setdefault(opaque.kind, []).append(opaque)
    for kind, rows in kinds.items():
        packets = sum(opaque.packets for opaque in rows)
        yield f"{packets} {_SEALED.get(kind, kind)} packet{'s are' if packets != 1 else ' is'} sealed: what is in them is not known"


def _losses(attempt: AttemptResult, timeline: Timeline) -> Iterator[str]:
    """What another tap never saw, of the messages of this attempt."""
    frames = {ref for event in attempt.events for ref in event.frames} if timeline.lost else set()
    counts = Counter(taps for ref, taps in timeline.lost.items() if ref in frames)
    for (seen, missed), count in counts.items():
        yield f"{count} message{'s' * (count != 1)} seen by {timeline.taps.get(seen)} never came by {timeline.taps.get(missed)}"


def with_losses(observation: Observation, timelines: Sequence[Timeline]) -> tuple[CaptureInfo, ...]:
    """The captures, with what was lost between two of them said at the one that missed it."""
    lost = {ref: taps for timeline in timelines for ref, taps in timeline.lost.items()}
    infos, names = list(observation.captures), tap_names(observation)
    for (seen, missed), count in Counter(lost.values()).items():
        place = observation.taps.index(missed)
        infos[place] = replace(infos[place], grade="fair" if infos[place].grade == "good" else infos[place].grade,
                               remarks=(
            *infos[place].remarks, f"{count} message{'s' * (count != 1)} that {names[seen]} saw never came by here, while others of the same "
                                   "hosts did: lost between the two, or by this capture"))
    return tuple(infos)


def tap_names(observation: Observation) -> dict[int, str]:
    """The file of each tap, the first of several."""
    return {tap: _name(info.path) for tap, info in reversed(list(zip(observation.taps, observation.captures)))}


def _name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2] or path
