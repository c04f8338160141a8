"""A capture that is safe to share, and the proof that it still shows the same.

    judge ─► what is somebody's ─► write pseudonyms ─► judge again, compare ─► look for what remains

Several captures become one pcapng with an interface for each, as evidence does. Secrets, names and comments that the
capture file itself holds are not carried over.
"""

from __future__ import annotations

import heapq
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .. import __version__
from ..capture.reader import RECORDING
from ..errors import UsageError
from ..model import Endpoint, Frame, FrameRef, Message, Result
from ..observe.observation import Observation, recordings
from ..report.whole import is_special
from . import pcapng
from .evidence import outcome
from .pseudonyms import MAC, Pseudonyms
from .rewrite import Rewriter
from .sensitive import gather

# What reports and rules are told apart by: words of the rules, never of the capture
_OURS = frozenset(("procedure", "title", "clause", "verdict", "step", "cite", "state", "kind", "severity", "side",
                   "code",
                   "cause", "message", "sha256",
                   "grade", "format", "layers"))
_REMAINING = 50               # lines about what remains

Judge = Callable[[Sequence[str], str | None], tuple[Result, Observation]]      # captures, site profile -> verdicts


@dataclass(frozen=True, slots=True)
class Redaction:
    frames: int
    replaced: int                        # different values
    same: bool                           # judged again it gives the same verdicts and causes
    differences: tuple[str, ...]
    left: Mapping[str, int]              # what could not be rewritten, in packets
    remaining: tuple[str, ...]           # values that can still be read, by where


def redact(captures: Sequence[str], target: str | Path, judge: Judge, ring: Any, *, site: str | None = None,
           pseudonyms: Pseudonyms | None = None, comments: Sequence[Sequence[str]] = ()) -> Redaction:
    """Writes `target`, with `comments` on the frames of a single capture. Raises UsageError and CaptureError.

    `judge` is called with the captures first and with what was written afterwards; `ring` is the key ring it uses.
    """
    if "-" in captures:
        raise UsageError("redact reads captures several times, and standard input can be read once only; give files")
    pseudonyms = Pseudonyms() if pseudonyms is None else pseudonyms
    result, observation = judge(captures, site)
    learn(pseudonyms, result, observation, site)
    _stations(pseudonyms, captures)
    rewriter = Rewriter(pseudonyms, ring, _dns_ports(observation.messages))
    if is_special(Path(target)):
        raise UsageError(f"{target}: is a device or a pipe; name a file")
    target = Path(target).resolve()
    waiting = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        count = _write(waiting, captures, observation, rewriter, comments)
        with TemporaryDirectory(prefix="flowcheck-") as folder:
            again, shown = judge([str(waiting)], redacted_site(pseudonyms, site, Path(folder)))
        os.replace(waiting, target)
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        waiting.unlink(missing_ok=True)
    differences = _differences(result, again, pseudonyms)
    left = Counter(rewriter.left)
    sealed = len({m.stream for m in observation.messages if m.kind in ("tls.server_hello", "dtls.server_hello")})
    if sealed:
        left["TLS and DTLS connections: what their keys open is left as it was"] = sealed
    return Redaction(count, len(pseudonyms.table()), not differences, differences, dict(sorted(left.items())),
                     _remaining(pseudonyms, shown.messages))


def learn(pseudonyms: Pseudonyms, result: Result, observation: Observation, site: str | None = None) -> None:
    """Tells `pseudonyms` what is somebody's in a judged observation."""
    from ..rulebook.site import load_site
    gather(pseudonyms, observation.messages, result, load_site(site) if site else None)


def redacted_site(pseudonyms: Pseudonyms, site: str | None, folder: Path) -> str | None:
    """The site profile with pseudonyms, as a file in `folder`; None where there is no profile."""
    if site is None:
        return None
    path = folder / "site.yaml"
    path.write_text(pseudonyms.text(Path(site).read_text(encoding="utf-8-sig")), encoding="utf-8")
    return str(path)


def redacted(result: Result, pseudonyms: Pseudonyms) -> Result:
    """A result with pseudonyms in every text that comes from the capture, and without the paths of this machine."""
    shown = _through(result, pseudonyms.text)
    names = [f"capture-{number}{Path(info.path).suffix}" for number, info in enumerate(result.captures, 1)]
    captures = tuple(replace(info, path=name) for info, name in zip(shown.captures, names))
    return replace(shown, captures=captures, command="flowcheck check " + " ".join(names), tool=dict(result.tool))


def _through(value: Any, text: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, (bytes, bytearray)):
        return text(bytes(value).decode("latin-1")).encode("latin-1", "replace")
    if isinstance(value, (FrameRef, int, float)) or value is None:
        return value
    if is_dataclass(value):
        return replace(value, **{field.name: _through(getattr(value, field.name), text) for field in fields(value)
                                 if field.name not in _OURS})
    if isinstance(value, Endpoint):
        return Endpoint(text(value.address), value.port)
    if isinstance(value, Mapping):
        return {key: _through(item, text) for key, item in value.items()}
    if isinstance(value, tuple):
        items = [_through(item, text) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return [_through(item, text) for item in value] if isinstance(value, list) else value


# ------------------------------------------------------------------------------------------------------------ writing

def _write(path: Path, captures: Sequence[str], observation: Observation, rewriter: Rewriter,
           comments: Sequence[Sequence[str]]) -> int:
    for _, frames in recordings(captures):
        for frame in frames:
            rewriter.collect(frame)
    opened = recordings(captures)
    packets = list(heapq.merge(*(_numbered(index, frames) for index, (_, frames) in enumerate(opened)),
                               key=lambda item: item[1].time))
    places: dict[tuple[int, int], int] = {}
    interfaces = []
    for index, (capture, _) in enumerate(opened):
        for number, interface in enumerate(capture.interfaces):
            places[index, number] = len(interfaces)
            description = f"{RECORDING}{observation.taps[index]}: redacted"
            interfaces.append(pcapng.Interface(f"interface-{len(interfaces)}", interface.link, interface.snaplen,
                                               description, interface.drops))

    def written() -> Iterator[tuple[Frame, Sequence[str]]]:
        for index, frame in packets:
            texts = comments[frame.number - 1] if frame.number <= len(comments) else ()
            yield rewriter.frame(frame)._replace(interface=places[index, frame.interface]), texts

    with path.open("wb") as out:
        return pcapng.write(out, interfaces, written(), application=f"flowcheck {__version__}",
                            comment="Redacted: addresses, names, serial numbers and credentials are pseudonyms.")


def _numbered(index: int, frames: Any) -> Iterator[tuple[int, Frame]]:
    return ((index, frame) for frame in frames)


def _stations(pseudonyms: Pseudonyms, captures: Sequence[str]) -> None:
    """The MAC addresses of Ethernet headers; no decoder tells them."""
    for _, frames in recordings(captures):
        for octets in {frame.data[at:at + 6] for frame in frames if frame.link == 1 for at in (0, 6)}:
            if len(octets) == 6:
                pseudonyms.add(MAC, octets.hex(":"))


def _dns_ports(messages: Sequence[Message]) -> tuple[int, ...]:
    return (53, 5353, *sorted({m.dst.port for m in messages if m.kind == "dns.query" and m.dst.port} - {53, 5353}))


# ------------------------------------------------------------------------------------------------------------- proving

def _differences(before: Result, after: Result, pseudonyms: Pseudonyms) -> tuple[str, ...]:
    """By verdicts and causes, device by device; a device whose name stayed sealed goes by what it did."""
    one = sorted((str(rows), pseudonyms.text(device)) for device, rows in outcome(before).items())
    other = sorted((str(rows), device) for device, rows in outcome(after).items())
    lost = Counter(rows for rows, _ in one) - Counter(rows for rows, _ in other)
    new = Counter(rows for rows, _ in other) - Counter(rows for rows, _ in one)
    return (*(f"before: {rows}" for rows in lost.elements()), *(f"redacted: {rows}" for rows in new.elements()))


def _remaining(pseudonyms: Pseudonyms, messages: Sequence[Message]) -> tuple[str, ...]:
    """Where a value that should have been replaced can still be read, with and without keys."""
    found: Counter[tuple[str, str]] = Counter()
    ours = {pseudonyms.of(value).lower() for value in pseudonyms.table()}
    for message in messages:
        texts: list[str] = []
        whole = [message.src.address, message.dst.address, dict(message.fields)]
        _through(whole, lambda text: texts.append(text) or text)
        for text in texts:
            for value in pseudonyms.found_in(text):
                if value.lower() not in ours:
                    found[value, message.kind] += 1
    return tuple(f"{value} in {kind} ({count})" for (value, kind), count in sorted(found.items()))[:_REMAINING]
