"""The clocks of several taps, compared by the traffic they both saw.

A message that two taps saw once each (same fingerprint: an IKE message, a DNS question with its id, a TCP connection's
initial sequence number, a TLS hello with its random) left its mark in both clocks. The middle of the differences is the
offset, their trend the drift. The first tap is the reference; a tap that shares nothing with it keeps its own clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..model import Gap, Message, Opaque
from .copies import fingerprint

NOTICEABLE = 5_000_000          # ns; smaller differences are the way between the taps, not their clocks
LEAST = 3                       # messages in common that an offset has to rest on
# hold random numbers of 32 bits and more
STRONG = ("ike.", "tcp.syn", "tls.client_hello", "tls.server_hello", "dtls.client_hello", "sctp.init")
ALIKE = ("dns.", "coap.", "dhcp", "arp.", "icmp", "ftp.")
STEP = 1_000_000_000            # ns by which the differences change where a clock was set
# ns that the clocks may differ by where only such messages show it: devices that start alike ask alike
NEAR = 60_000_000_000
DRIFT_SPAN = 10_000_000_000     # ns between the first and the last of them that a drift has to rest on
DRIFT_LIMIT = 1e-3              # beyond 1000 ppm no clock drifts; the differences have another cause

Pair = tuple[int, int, int]     # time at a tap, what the other clock is ahead by, and what the message is worth


@dataclass(frozen=True, slots=True)
class Correction:
    """What is added to a tap's times: `offset` ns at `origin`, and `drift` ns for each ns after it."""

    offset: int
    drift: float = 0.0
    origin: int = 0
    shared: int = 0             # messages it rests on; 0 for one the user gave
    note: str = ""              # where it comes from, if from neither
    # the clock was set meanwhile: from this time of the tap on another one holds
    later: tuple[tuple[int, Correction], ...] = ()

    def at(self, time: int) -> int:
        for begins, other in reversed(self.later):
            if time >= begins:
                return other.at(time)
        return time + self.offset + round(self.drift * (time - self.origin))

    def __str__(self) -> str:
        if self.note:
            return self.note
        rest = f", drift {self.drift * 1e6:+.0f} ppm" if abs(self.drift) >= 1e-6 else ""
        basis = f" by {self.shared} messages in common" if self.shared else " as given"
        steps = "".join(f"; set while capturing, after that {other.offset / 1e9:+.6f} s" for _, other in self.later)
        return f"clock corrected to that of the first tap: {self.offset / 1e9:+.6f} s{rest}{basis}{steps}"


def corrections(by_tap: Mapping[int, Sequence[Message]], given: Mapping[int, Correction]
                | None = None) -> dict[int, Correction]:
    """The correction of each tap whose clock differs noticeably from that of the first; those `given` stay as they are."""
    found = dict(given or {})
    taps = sorted(by_tap)
    if len(taps) < 2:
        return found
    marks = {tap: _once(by_tap[tap]) for tap in taps}
    known = taps[:1]
    for tap in taps[1:]:
        if tap in found:
            continue
        for reference in known:
            correction = _between(marks[reference], marks[tap], found.get(reference))
            if correction is not None:
                if abs(correction.offset) >= NOTICEABLE or abs(correction.drift) >= 1e-6 or correction.later:
                    found[tap] = correction
                break
        known.append(tap)
    return found


def _once(messages: Sequence[Message]) -> dict[str, int]:
    """Time by fingerprint, of the messages whose fingerprint occurs once."""
    times: dict[str, int] = {}
    twice: set[str] = set()
    for message in messages:
        mark = fingerprint(message)
        if mark in times:
            twice.add(mark)
        times[mark] = message.time
    return {mark: time for mark, time in times.items() if mark not in twice}


def _between(reference: Mapping[str, int], other: Mapping[str, int], shifted: Correction | None) -> Correction | None:
    pairs = sorted((time, (shifted.at(reference[mark]) if shifted else reference[mark]) - time, _weight(mark))
                   for mark, time in other.items() if mark in reference)
    parts = _parts(pairs)
    if not parts:
        return None
    first, *rest = map(_fitted, parts)
    return replace(first, shared=sum(map(len, parts)), later=tuple((part[0][0], each) for part, each in zip(parts[1:], rest)))


def _weight(mark: str) -> int:
    """2: random numbers of 32 bits and more; 0: short identifications, which a device may begin anew with each start."""
    return 2 if mark.startswith(STRONG) else 0 if mark.startswith(ALIKE) else 1


def median(values: Iterable[float]) -> float:
    """That of `statistics`, which is loaded where there are several taps: it takes as long as all of session/."""
    from statistics import median
    return median(values)


def _parts(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """Runs of pairs whose differences agree; a new one begins where the clock was set. What does not fit is chance.

    A run is believed for a message in it that is like no other; beside such a run also for several that are seldom alike;
    and without one where most pairs are in it, and the clocks are near each other.
    """
    runs: list[list[Pair]] = []
    for pair in pairs:
        near = next((run for run in runs[-LEAST:] if abs(pair[1] - median(d for _, d, _ in run[-5:])) < STEP), None)
        if near is not None:
            near.append(pair)
        else:
            runs.append([pair])
    runs = [run for run in runs if len(run) >= LEAST]
    same = any(weight == 2 for run in runs for _, _, weight in run)                     # the two taps saw one event
    found = sorted(run for run in runs if any(weight == 2 for _, _, weight in run) or same
                   and sum(weight > 0 for _, _, weight in run) >= LEAST
                   or not same and 2 * len(run) >= len(pairs) and abs(run[0][1]) <= NEAR)
    # set back: a time may be of either
    if any(before[-1][0] >= after[0][0] for before, after in zip(found, found[1:])):
        return [max(found, key=len)]
    return found


def _fitted(part: Sequence[Pair]) -> Correction:
    pairs = [(time, difference) for time, difference, _ in part]
    origin, span = pairs[0][0], pairs[-1][0] - pairs[0][0]
    drift = 0.0
    if span >= DRIFT_SPAN and len(pairs) >= 2 * LEAST:
        third = max(1, len(pairs) // 3)
        early, late = pairs[:third], pairs[-third:]
        apart = median(t for t, _ in late) - median(t for t, _ in early)
        # else a cluster decides
        drift = (median(d for _, d in late) - median(d for _, d in early)) / apart if apart > span / 4 else 0.0
        if abs(drift) > DRIFT_LIMIT or abs(drift * span) < NOTICEABLE:
            drift = 0.0
    at_origin = median(difference - drift * (time - origin) for time, difference in pairs)
    return Correction(round(at_origin), drift, origin, len(pairs))


def corrected_message(message: Message, correction: Correction) -> Message:
    return message.but(time=correction.at(message.time))


def corrected_opaque(opaque: Opaque, correction: Correction) -> Opaque:
    fields = opaque.fields
    if "bursts" in fields:
        fields = {**fields, "bursts": [_corrected_burst(burst, correction) for burst in fields["bursts"]]}
    return replace(opaque, start=correction.at(opaque.start), end=correction.at(opaque.end), fields=fields)


def _corrected_burst(burst: Any, correction: Correction) -> Any:
    """(start, end, ...) of ESP and TLS, {"start", "end", ...} of SSH."""
    if isinstance(burst, Mapping):
        return {**burst, "start": correction.at(burst["start"]), "end": correction.at(burst["end"])}
    return (correction.at(burst[0]), correction.at(burst[1]), *burst[2:])


def corrected_gap(gap: Gap, correction: Correction) -> Gap:
    return replace(gap, start=correction.at(gap.start), end=correction.at(gap.end))
