"""One observation: every capture of one event, read once and merged into one sequence of messages.

Files that follow each other in time (rotated files) are one tap and share its streams. Files that overlap are different
taps: each is dissected on its own, and session/copies.py then recognises the message that two of them saw. An evidence
capture holds the packets of several taps in one file and says so; it is read once for each.
"""

from __future__ import annotations

import glob
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from ..capture.artefacts import Artefact, artefacts
from ..capture.likely import looks_like_a_capture
from ..capture.network import Network
from ..capture.reader import open_capture
from ..errors import CaptureError
from ..frames import CAPTURE_SHIFT
from ..model import CaptureInfo, Frame, Gap, Limit, Message, Opaque
from ..session.clocks import Correction, corrected_gap, corrected_message, corrected_opaque
from ..session.clocks import corrections as estimate
from .dissect import Dissector, numbered
from .quality import Facts, Step, graded

ROTATION_SLACK = 1_000_000          # ns: how far packets of a rotated file may lie before the last of the one before
# ns by which time may run backwards without being a step of the clock: cards and buffers turn packets round
CLOCK_STEP = 50_000_000
OPENING = 256                       # packets of a file that are compared with the beginning of others
# ns, 2005-01-01: an earlier clock was never set, it counts from 1970 or from its firmware's date
UNSET = 1_104_537_600_000_000_000
_MOMENT = 1_000_000                  # ns between the last packet before a clock was set and the first after it
_TURN = 1_000_000_000                # ns that may lie between the buffers of two interfaces
_MOST_STEPS = 64                     # of the clock of one file that are noted
_MOST_RECORDINGS = 64               # taps of one evidence capture
# by their last octets, which no link layer and no NAT changes; short packets are too alike
MARK, MARKED = 48, 128
_PROGRESS = 1 << 14                 # packets from one notice to the next
LINK_CHANGE_LIMIT = 60_000_000_000  # ns: files further apart than this are not one rotation


@dataclass(frozen=True, slots=True)
class Observation:
    captures: tuple[CaptureInfo, ...]
    messages: tuple[Message, ...]       # in time order, each tap's own; copies are still separate
    opaque: tuple[Opaque, ...]
    gaps: tuple[Gap, ...]
    window: tuple[int, int] | None      # first and last packet of all captures
    taps: tuple[int, ...]               # tap of each capture
    limits: tuple[Limit, ...] = ()      # what the remarks on the captures are about
    windows: Mapping[int, tuple[int, int]] = field(default_factory=dict)   # first and last packet of each tap


@dataclass(slots=True)
class _File:
    index: int
    path: str
    capture: Any
    frames: Any                 # those after `opening`
    opening: list[Frame]        # the first ones, looked at before it is known whose tap they are
    artefacts: Sequence[Artefact] = ()
    apart: bool = False         # a tap of its own, as the file says

    @property
    def head(self) -> Frame | None:
        return self.opening[0] if self.opening else None


class _Span(NamedTuple):
    packets: int
    first: int | None
    last: int | None
    steps: Sequence[Step]               # of the clock, back in time


@dataclass(slots=True)
class _Tap:
    dissector: Dissector
    link: int
    index: int
    last: int = 0
    opening: set[int] = field(default_factory=set)      # marks of its first packets
    hosts: set[str] = field(default_factory=set)        # addresses in the first packets of its files
    # of a clock that began before UNSET and learnt the time on the way
    set_late: Correction | None = None


def observe(paths: Sequence[str], keys: Any = None, decode_as: dict[tuple[str, int], str] | None = None,
            progress: Any = None, clocks: Mapping[str, int] | None = None, digest: bool = True) -> Observation:
    """Reads all captures. Raises CaptureError where one cannot be read at all; a cut one is read up to the cut.

    `clocks` gives the offset of a capture's clock in ns, by file name; others are estimated from the traffic itself.
    Without `digest` no SHA-256 is taken of the files.
    """
    files = [file for path in paths for file in _open(path, digest)]
    for index, file in enumerate(files):
        file.index = index
    files.sort(key=lambda file: (file.head.time if file.head else 0, file.index))
    taps: list[_Tap] = []
    tap_of: dict[int, int] = {}
    facts: dict[int, _Span] = {}
    undecoded: dict[int, Counter[str]] = {}
    for file in files:
        tap = _tap_for(file, taps, keys, decode_as)
        tap_of[file.index] = tap.index
        before = Counter(tap.dissector.undecoded)
        facts[file.index] = _read(file, tap, keys, progress)
        undecoded[file.index] = tap.dissector.undecoded - before
    for tap in taps:
        tap.dissector.finish()
    named = {tap.index: tap.set_late for tap in taps if tap.set_late is not None}
    named |= {tap_of[file.index]: Correction(offset) for file in files for name, offset in (clocks or {}).items()
              if name in (file.path, Path(file.path).name)}
    corrections = estimate({tap.index: tap.dissector.messages for tap in taps}, named)
    told = tuple(_info(file, facts[file.index], undecoded[file.index], taps[tap_of[file.index]],
                       corrections.get(tap_of[file.index]))
                  for file in sorted(files, key=lambda file: file.index))
    return _merged(taps, corrections, told, [facts[i] for i in range(len(files))],
                   tuple(tap_of[i] for i in range(len(files))))


def _merged(taps: Sequence[_Tap], corrections: Mapping[int, Correction],
            told: Sequence[tuple[CaptureInfo, tuple[Limit, ...]]],
            spans: Sequence[_Span], tap_of: tuple[int, ...]) -> Observation:
    """All taps on the clock of the first."""
    infos = tuple(info for info, _ in told)
    messages: list[Message] = []
    opaque: list[Opaque] = []
    gaps: list[Gap] = []
    for tap in taps:
        correction = corrections.get(tap.index)
        if correction is None:
            messages += tap.dissector.messages
            opaque += tap.dissector.opaque
            gaps += tap.dissector.gaps
        else:
            messages += [corrected_message(m, correction) for m in tap.dissector.messages]
            opaque += [corrected_opaque(o, correction) for o in tap.dissector.opaque]
            gaps += [corrected_gap(g, correction) for g in tap.dissector.gaps]
    messages.sort(key=lambda m: (m.time, m.frames[-1]))
    windows: dict[int, tuple[int, int]] = {}
    for tap, span in zip(tap_of, spans):
        correction = corrections.get(tap)
        times = [correction.at(t) if correction else t for t in (span.first, span.last) if t is not None]
        if times:
            windows[tap] = min(times[0], windows.get(tap, times)[0]), max(times[1], windows.get(tap, times)[1])
    times = [time for window in windows.values() for time in window]
    gaps += _uncovered(windows.values())
    return Observation(infos, tuple(messages), tuple(opaque), tuple(gaps),
                       (min(times), max(times)) if times else None, tap_of,
                       tuple(limit for _, limits in told for limit in limits), windows)


def _uncovered(windows: Iterable[tuple[int, int]]) -> Iterator[Gap]:
    """The times between recordings; rotated files are one, however quiet it was where one ends and the next begins."""
    reach: int | None = None
    for begins, ends in sorted(windows):
        if reach is not None and begins > reach:
            first, last = (datetime.fromtimestamp(time // 1_000_000_000, timezone.utc).strftime("%H:%M:%S")
                           for time in (reach, begins))
            yield Gap(reach, begins, f"no capture covers the time from {first} to {last} UTC")
        reach = max(ends, reach or 0)


def _open(path: str, digest: bool = False) -> list[_File]:
    """The file; one for each tap where it says that it holds several."""
    capture = open_capture(sys.stdin.buffer if path == "-" else path, digest)
    frames = iter(capture)
    file = _File(0, path, capture, frames, list(islice(frames, OPENING)))
    recordings = sorted({each.recording for each in capture.interfaces} - {None})
    if path == "-" or not 1 < len(recordings) <= _MOST_RECORDINGS:
        return [file]
    return [_part(path, recording, digest) for recording in recordings]


def recordings(paths: Sequence[str]) -> list[tuple[Any, Iterable[Frame]]]:
    """Each capture of an observation, in the order of `FrameRef.capture`, with its frames to be read once more."""
    return [(file.capture, chain(file.opening, file.frames)) for path in paths for file in _open(path)]


def _part(path: str, recording: int, digest: bool) -> _File:
    capture = open_capture(path, digest)
    interfaces = capture.interfaces
    frames = (frame for frame in capture if interfaces[frame.interface].recording == recording)
    return _File(0, path, capture, frames, list(islice(frames, OPENING)), apart=True)


def _tap_for(file: _File, taps: list[_Tap], keys: Any, decode_as: Any) -> _Tap:
    """The tap whose files this one continues, else a new one.

    A rotated file goes on where another ended, among the same hosts. A file whose first packets another one holds too,
    or that shows quite other hosts, is a tap of its own, even if its clock puts it behind.
    """
    network, head = Network(), file.head
    opening = [network.packets(numbered(frame, file.index)) for frame in file.opening]
    pairs = [(frame, packet) for frame, packets in zip(file.opening, opening) for packet in packets
             if packet.protocol < 0x10000]
    hosts = {address for _, packet in pairs for address in (packet.src, packet.dst)}
    file.artefacts = artefacts(pairs)
    marks = {hash(frame.data[-MARK:]) for frame in file.opening if len(frame.data) >= MARKED}
    if head is not None and not file.apart:
        continued = [t for t in taps if t.link == head.link
                     and -ROTATION_SLACK <= head.time - t.last <= LINK_CHANGE_LIMIT
                     and (not marks or 2 * len(marks & t.opening) < len(marks))
                     and not (hosts and hosts.isdisjoint(t.hosts))]
        if continued:
            tap = max(continued, key=lambda t: t.last)
            tap.hosts |= hosts
            return tap
    read = (network, opening) if not _unset(file) else ()           # else they get other times
    tap = _Tap(Dissector(keys, decode_as, len(taps), *read), head.link if head else -1, len(taps), opening=marks,
               hosts=hosts)
    taps.append(tap)
    return tap


def _unset(file: _File) -> bool:
    """Was the clock not set when the file began?"""
    return file.head is not None and file.head.time < UNSET


def _read(file: _File, tap: _Tap, keys: Any, progress: Any) -> _Span:
    packets = known = 0
    first = last = file.head.time if file.head is not None else None
    steps: list[Step] = []
    due = _PROGRESS
    dissect, index, scanner = tap.dissector.frame, file.index, tap.dissector.bypass.scanner
    scanner.base, passed = index << CAPTURE_SHIFT, scanner.passed
    frames = chain(file.opening, file.frames)
    if _unset(file):
        frames = _on_one_clock(frames, tap)
    elif not file.apart:
        file.capture.scanner = scanner
    scanner.latest = last or 0
    for frame in frames:
        if keys is not None and len(file.capture.secrets) > known:
            for kind, secret in file.capture.secrets[known:]:
                keys.add_secrets_block(kind, secret)
            known = len(file.capture.secrets)
        packets += 1
        time = frame.time
        if scanner.passed > passed:                  # some went by since the last frame, in order
            packets += scanner.passed - passed
            passed, last = scanner.passed, scanner.latest
        if time > last:
            scanner.latest = last = time
        elif time < last:
            first = min(first, time)
            if time < last - CLOCK_STEP:
                _clock_steps_back(steps, frame, last)
        dissect(frame, index)
        if progress is not None and packets >= due:
            due = packets + _PROGRESS
            progress(file.path, packets)
    if scanner.passed > passed:
        packets += scanner.passed - passed
        last = scanner.latest
    tap.dissector.settle()
    if last is not None:
        tap.last = max(tap.last, last)
    # what several interfaces saw is written in turns, each from its own buffer
    if len(file.capture.interfaces) > 1:
        steps = [step for step in steps if step.back >= _TURN]
    tap.dissector.gaps += [Gap(step.time, step.time + step.back,
                               f"the clock of the capture steps back by {step.back / 1e9:.1f} s at frame "
                               f"{step.frame}, so that the order of messages is not certain", capture=index)
                               for step in steps]
    return _Span(packets, first, last, steps)


def _on_one_clock(frames: Iterable[Frame], tap: _Tap) -> Iterator[Frame]:
    """Of a box whose clock was not set: the times after it learnt the time go on where those before it ended.

    `tap.set_late` then brings all of them to the true time.
    """
    latest = moved = 0
    for frame in frames:
        if not moved and frame.time >= UNSET and latest:
            moved = frame.time - latest - _MOMENT
            tap.set_late = Correction(moved, note=f"the clock of the capture was not set before frame {frame.number}; what came before it is "
                                                  "taken to have come just before")
        time = frame.time - moved if frame.time >= UNSET else frame.time
        latest = max(latest, time)
        yield frame._replace(time=time)


def _clock_steps_back(steps: list[Step], frame: Frame, last: int) -> None:
    """Notes a step once, not every packet until the clock has caught up."""
    if len(steps) < _MOST_STEPS and (not steps or last > steps[-1].time + steps[-1].back
                                     or frame.time < steps[-1].time - CLOCK_STEP):
        steps.append(Step(frame.number, last - frame.time, frame.time))


def _info(file: _File, facts: _Span, undecoded: Counter[str], tap: _Tap,
          correction: Correction | None = None) -> tuple[CaptureInfo, tuple[Limit, ...]]:
    capture = file.capture
    said = (*capture.remarks, *tap.dissector.network.remarks, *((str(correction),) if correction else ()))
    gaps = [gap for gap in tap.dissector.gaps if gap.capture in (None, file.index)]
    grade, limits = graded(Facts(file.index, facts.packets, capture.cut, capture.drops, capture.truncated, facts.steps,
                                 said, file.artefacts, gaps,
                                 tap.dissector.messages))
    if correction is not None:
        limits = tuple(limit._replace(start=limit.start and correction.at(limit.start),
                                      end=limit.end and correction.at(limit.end)) for limit in limits)
    last = facts.last if tap.set_late is None or facts.last is None else tap.set_late.at(facts.last)
    return CaptureInfo(file.path, capture.sha256, facts.packets, facts.first, last, grade,
                       tuple(limit.text for limit in limits),
                       dict(undecoded.most_common(50)), capture.format, capture.truncated), limits


def expand(paths: Iterable[str], recursive: bool, others: list[str] | None = None) -> list[str]:
    """The files meant by the command line: a directory is its captures where `recursive`, an error where not; a pattern
    that no shell has replaced (`'*.pcap'`) is the files that match it.

    Files of a directory that are no captures are added to `others`. Raises CaptureError for one without captures.
    """
    found: list[str] = []
    others = [] if others is None else others
    for path in paths:
        if path != "-" and Path(path).is_dir():
            if not recursive:
                raise CaptureError(f"{path}: is a directory; name its captures, or add --recursive")
            files = [str(p) for p in sorted(Path(path).rglob("*")) if p.is_file() and not p.name.startswith(".")]
            captures = [file for file in files if looks_like_a_capture(file)]
            if not captures:
                raise CaptureError(f"{path}: no capture in this directory")
            found += captures
            others += sorted(set(files).difference(captures))
        else:
            pattern = glob.has_magic(path) and not Path(path).exists()
            found += sorted(glob.glob(path, recursive=True)) or [path] if pattern else [path]
    return found
