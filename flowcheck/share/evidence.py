"""An evidence capture: the frames that a result stands on, as pcapng with a comment on each one that is cited.

Original bytes, times and interface names; every capture of the observation is an interface of its own, so that two taps
stay two taps. What is written is judged again, and where that gives another verdict or cause more is kept, in the end
every frame: evidence never says less than the report it belongs to.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..capture.reader import RECORDING
from ..errors import UsageError
from ..model import FAIL, Frame, FrameRef, Result
from ..observe.observation import Observation, recordings
from ..report import mask
from ..report.visible import line
from ..report.whole import is_special
from ..report.words import capture_names
from . import pcapng, secrets, selection

_COMMENT = 1_000                  # characters of one comment
_COMMENTS = 20                    # on one frame

Judge = Callable[[str], Result]       # a capture's path -> its result, with the rules, keys and site of the first run


@dataclass(frozen=True, slots=True)
class Evidence:
    frames: int
    of: int
    level: int                     # of selection.LEVELS
    holds: bool                    # judged again it gives the same verdicts and causes
    keys: tuple[Path, ...] = ()    # tables of IPsec keys written beside it
    comments: tuple[tuple[str, ...], ...] = ()     # of each frame written

    def __str__(self) -> str:
        text = f"{self.frames} of {self.of} frames: {selection.LEVEL_WORDS[self.level]}"
        return text if self.holds else f"{text}; judged again it does not give the same verdicts"


def write_evidence(target: str | Path, result: Result, observation: Observation, paths: Sequence[str], ring: Any,
                   judge: Judge, *, include_secrets: bool = False, shown: Result | None = None) -> Evidence:
    """Writes `target` with as few frames as give the same verdicts. Raises UsageError, CaptureError.

    The comments are those of `shown`, where that says the result in other words.

    With `include_secrets` TLS secrets go into the capture and IPsec keys into a folder `<target>.keys` beside it.
    """
    if "-" in paths:
        raise UsageError("-w reads its captures twice, and standard input can be read once only; give files")
    if is_special(Path(target)):
        raise UsageError(f"{target}: is a device or a pipe; name a file, or - for standard output")
    target, wanted = Path(target).resolve(), outcome(result, selection.devices_of_interest(result))
    waiting = target.with_name(target.name + ".part")
    comments, names = frame_comments(shown or result), capture_names((shown or result).captures)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        alone = True                                 # does nobody else fail in what was written?
        for level, edges in ((level, edges) for level in selection.LEVELS for edges in (True, False)):
            if alone and not edges:
                continue
            chosen = selection.chosen(result, observation, paths, ring, level, edges)
            messages = [m for m in observation.messages if not chosen.frames.isdisjoint(m.frames)]
            log = secrets.key_log(ring, messages) if include_secrets else ""
            told = _write(waiting, observation, paths, chosen.frames, comments, names, log)
            again = judge(str(waiting))
            devices = {device.id for device in selection.devices_of_interest(result)}
            holds = outcome(again, [d for d in again.devices if d.id in devices]) == wanted
            # the first or last packet of a capture may be a request of somebody whose answer is left out
            alone = not any(a.verdict == FAIL for d in again.devices if d.id not in devices for a in d.attempts)
            if holds and (alone or level == selection.EVERYTHING):
                break
        os.replace(waiting, target)
        tables = secrets.tables(ring, chosen.spis, messages) if include_secrets else {}
        written = _write_keys(target.with_name(target.name + ".keys"), tables)
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        waiting.unlink(missing_ok=True)
    return Evidence(len(told), sum(info.packets for info in result.captures), level, holds, written, told)


def outcome(result: Result, devices: Sequence[Any] | None = None) -> dict[str, list[tuple[str, str, str | None]]]:
    """What has to come out again: procedure, verdict and cause of every attempt, in order, by device."""
    return {device.id: [(attempt.procedure, attempt.verdict, attempt.cause)
                        for attempt in sorted(device.attempts, key=lambda each: (each.started, each.procedure))]
            for device in (result.devices if devices is None else devices) if device.attempts}


def frame_comments(result: Result) -> dict[FrameRef, list[str]]:
    """What the result says of each frame: step, clause, state and verdict; then what was found there. No secrets."""
    found: dict[FrameRef, list[str]] = {}
    for device in mask.masked(result).devices:
        for attempt in device.attempts:
            head = f"{attempt.clause or attempt.procedure}, {device.id}, {attempt.verdict.upper()}"
            for step in attempt.steps:
                reason = f", {step.reason}" if step.reason else ""
                text = f"{head}: step {step.cite} ({step.step}) {step.state.replace('_', ' ')}{reason}"
                for ref in step.frames:
                    found.setdefault(ref, []).append(text)
            for finding in attempt.findings:
                word = "cause" if finding.code == attempt.cause else finding.severity
                text = (f"{head}: {word} {finding.code} at step {finding.cite} of {finding.clause}; "
                        f"expected {finding.expected}; observed {finding.observed}")
                for ref in finding.frames:
                    found.setdefault(ref, []).append(text)
    return {ref: [line(text, _COMMENT) for text in dict.fromkeys(texts)][:_COMMENTS] for ref, texts in found.items()}


def _write(path: Path, observation: Observation, paths: Sequence[str], frames: frozenset[FrameRef],
           comments: Mapping[FrameRef, Sequence[str]], names: Sequence[str],
           key_log: str) -> tuple[tuple[str, ...], ...]:
    """Writes the frames and returns the comments of each."""
    opened = recordings(paths)
    if len(names) != len(opened):
        raise UsageError("the captures changed while they were read")
    kept = [_kept(index, source, frames) for index, (_, source) in enumerate(opened)]
    # all packets are read before the interfaces are known: a file may describe them at any place
    places: dict[tuple[int, int], int] = {}
    packets = []
    for index, frame in heapq.merge(*kept, key=lambda item: item[1].time):
        packets.append((index, frame))
        places.setdefault((index, frame.interface), 0)
    interfaces = []
    for index, (capture, _) in enumerate(opened):
        for number in sorted({0} | {n for i, n in places if i == index}):
            if number >= len(capture.interfaces):
                continue
            places[index, number] = len(interfaces)
            interfaces.append(_interface(capture.interfaces[number], names[index], observation, index))
    several = len(names) > 1

    told: list[tuple[str, ...]] = []

    def written() -> Iterator[tuple[Frame, tuple[str, ...]]]:
        for index, frame in packets:
            texts = tuple(comments.get(FrameRef(index, frame.number), ()))
            if texts:
                texts += (f"frame {frame.number} of {names[index] if several else 'the capture'}",)
            told.append(texts)
            yield frame._replace(interface=places[index, frame.interface]), texts

    with path.open("wb") as out:
        pcapng.write(out, interfaces, written(), application=f"flowcheck {__version__}", key_log=key_log,
                     comment="Evidence: the frames that a report stands on. Comments name step, clause and verdict.")
    return tuple(told)


def _kept(index: int, source: Any, frames: frozenset[FrameRef]) -> Iterator[tuple[int, Frame]]:
    return ((index, frame) for frame in source if FrameRef(index, frame.number) in frames)


def _interface(interface: Any, name: str, observation: Observation, index: int) -> pcapng.Interface:
    """The interface as it was; a pcap has no name for it, so it gets the capture's."""
    said = interface.description if interface.recording is None else interface.description.partition(": ")[2]
    description = f"{RECORDING}{observation.taps[index]}: {said or name}"
    return pcapng.Interface(interface.name or Path(name).stem, interface.link, interface.snaplen, description,
                            interface.drops)


def _write_keys(folder: Path, tables: Mapping[str, str]) -> tuple[Path, ...]:
    if tables:
        folder.mkdir(exist_ok=True)
    written = []
    for name, text in tables.items():
        file = folder / name
        file.touch(mode=0o600)
        file.write_text(text, encoding="ascii")
        written.append(file)
    return tuple(written)
