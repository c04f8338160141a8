"""`flowcheck decode`: the messages of captures as JSON lines or as a table, nothing judged."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Any

from .errors import UsageError
from .model import Message
from .observe.observation import observe
from .report.visible import line as visible_line
from .session.cwmp import sessions
from .session.transactions import pair


def listing(paths: list[str], options: Any, keys: Any, decode_as: Any, progress: Any) -> int:
    """Prints the messages; what was seen and not decoded is counted on standard error. Returns the exit status."""
    span = _span(options.between)
    with progress as shown:
        observation = observe(paths, keys, decode_as, shown, digest=False)
    messages: Iterable[Message] = [*observation.messages, *_session_ends(observation.messages)]
    messages = sorted(messages, key=lambda m: (m.time, m.frames[-1]))
    messages = [m for m in messages if _wanted(m, options.kind, span)]
    if options.device:
        messages = _of_device(messages, options.device, observation)
    as_table = options.format == "table" or options.format is None and sys.stdout.isatty()
    names = [info.path for info in observation.captures]
    write = sys.stdout.write
    line: Callable[[Message, list[str]], str] = _row if as_table else _json_line
    for message in messages:
        write(line(message, names) + "\n")
    if not options.quiet:
        _tell(observation)
    return 0


def _session_ends(messages: Iterable[Message]) -> list[Message]:
    return [m for m in sessions(pair(messages)) if m.kind == "cwmp.session_end"]


def _json_line(message: Message, names: list[str]) -> str:
    capture = message.frames[-1].capture
    shown = {
        "kind": message.kind, "time": iso(message.time),
        "frames": [r.number for r in message.frames if r.capture == capture],
        "capture": names[capture], "src": message.src.address, "sport": message.src.port, "dst": message.dst.address,
        "dport": message.dst.port, "layers": message.layers, "fields": message.fields,
        "problems": [{"offset": p.offset, "text": p.text} for p in message.problems],
    }
    if message.incomplete:
        shown["incomplete"] = True
    return json.dumps(shown, ensure_ascii=False, default=_plain)


def _row(message: Message, names: list[str]) -> str:
    from .conform.describe import summary
    frame = str(message.frames[-1].number)
    where = f"{names[message.frames[-1].capture].rpartition('/')[2]}:{frame}" if len(names) > 1 else frame
    text = f"{iso(message.time)[11:23]} {where:>8} {str(message.src):>24} > {str(message.dst):<24} {message.kind:<28} {summary(message)}"
    return visible_line(text)


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)


def iso(time: int) -> str:
    """ISO 8601 in UTC with nine digits."""
    whole, rest = divmod(time, 1_000_000_000)
    if not 0 <= whole <= 253_402_300_799:                  # what a damaged or odd capture may claim
        return f"{whole}.{rest:09d}"
    return datetime.fromtimestamp(whole, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:09d}Z"


def _wanted(message: Message, kinds: list[str], span: tuple[int, int] | None) -> bool:
    if span is not None and not span[0] <= message.time <= span[1]:
        return False
    return not kinds or any(message.kind == k or message.kind.startswith(k.removesuffix("*").removesuffix(".") + ".")
                            for k in kinds)


def _span(text: str | None) -> tuple[int, int] | None:
    if not text:
        return None
    try:
        first, last = (int(datetime.fromisoformat(part.strip()).timestamp() * 1e9) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--between {text}: write two times, 2026-05-01T12:00:00Z,2026-05-01T12:05:00Z") from None
    return first, last


def _of_device(messages: list[Message], wanted: str, observation: Any) -> list[Message]:
    from .session.timeline import timelines
    lines = timelines(observation.messages, observation.opaque, observation.gaps, observation.window, observation.taps)
    chosen = [t for t in lines if wanted in (t.device.id, *t.device.addresses, *t.device.identity.values())]
    if not chosen:
        known = ", ".join(t.device.id for t in lines) or "none"
        raise UsageError(f"--device {wanted}: not in these captures; the devices are {known}")
    frames = {ref for t in chosen for m in t.messages for ref in (*m.frames, *m.copies)}
    return [m for m in messages if frames.intersection(m.frames)]


def _tell(observation: Any) -> None:
    for info in observation.captures:
        for remark in info.remarks:
            print(f"flowcheck: {visible_line(info.path)}: {visible_line(remark)}", file=sys.stderr)
    total: Counter[str] = Counter()
    for info in observation.captures:
        total.update(info.undecoded)
    if total:
        print("flowcheck: seen and not decoded (packets): " + ", ".join(f"{k} {n}" for k, n in total.most_common(12)),
              file=sys.stderr)
