"""A decoded observation on disk, so that a changed rule judges an archive again without decoding it.

Format (flowcheck/index/3): a zstd frame around one msgpack array

    ["flowcheck/index/3", captures, endpoints, layers, kinds, fields, messages, opaque, gaps, window, taps, limits,
     windows, joined]

`endpoints`, `layers`, `kinds` and `fields` are tables that messages refer to by position. A message is an array in the
order of MESSAGE, times are ns, frames flat arrays [capture, number, capture, number, ...]; `limits` are in the order of
`Limit`, `windows` rows [tap, first, last]. `messages` and `joined` are msgpack within msgpack, because a reader wants one
of them: `joined` has the timelines of the observation (joined.py), as they are for one tool and site profile. The formats
before lacked it and the table of fields, the first one also limits and windows. Three extension types keep what msgpack
does not tell apart: 1 a tuple, 2 an integer beyond 64 bits (decimal digits), 3 anything else as its text.
Files lie under index/ by the digest of the captures' contents and of what decoded them; each can be deleted at will.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import CaptureError
from ..model import CaptureInfo, Endpoint, FrameRef, Gap, Limit, Message, Opaque, Problem, Timeline
from ..observe.observation import Observation
from ..report.whole import write_whole

FORMAT = "flowcheck/index/3"
MESSAGE = ("kind", "time", "frames", "src", "dst", "stream", "layers", "fields", "exchange", "transaction",
           "answers", "copies",
           "repeats", "problems", "incomplete", "session")
_TUPLE, _INTEGER, _TEXT = 1, 2, 3


def place(folder: Path, content: str, decoding: str) -> Path:
    return folder / "index" / content[:2] / f"{content[:32]}-{decoding[:16]}.mpz"


def store(data: bytes, path: Path) -> None:
    """Writes whole or not at all: another run may be reading."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (data,))


def load(path: Path, context: str = "") -> tuple[Observation, list[Timeline] | None]:
    """The observation; or all of it but its messages, and the timelines, where those of that context are there.

    Raises CaptureError where the file is damaged or of another format.
    """
    try:
        return unpacked(path.read_bytes(), context)
    except OSError as error:
        raise CaptureError(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError, IndexError) as error:
        raise CaptureError(f"{path}: damaged index: {error}") from None


class Writing:
    """The tables while messages are written."""

    def __init__(self) -> None:
        self.endpoints: dict[Endpoint, int] = {}
        self.layers: dict[tuple[str, ...], int] = {}
        self.kinds: dict[str, int] = {}
        self.fields: list[dict[str, Any]] = []
        self._known: dict[int, tuple[Any, int]] = {}     # by identity: a message that was joined keeps its fields

    def rows(self, messages: Iterable[Message]) -> list[list[Any]]:
        endpoints, layers, kinds = self.endpoints, self.layers, self.kinds
        return [[kinds.setdefault(m.kind, len(kinds)), m.time, flat(m.frames),
                 endpoints.setdefault(m.src, len(endpoints)), endpoints.setdefault(m.dst, len(endpoints)), m.stream,
                 layers.setdefault(m.layers, len(layers)), self._fields(m.fields), m.exchange, m.transaction, m.answers,
                 flat(m.copies), m.repeats, [tuple(p) for p in m.problems], m.incomplete, m.session] for m in messages]

    def _fields(self, fields: Mapping[str, Any]) -> int:
        if id(fields) not in self._known:
            self._known[id(fields)] = fields, len(self.fields)
            self.fields.append(dict(fields))
        return self._known[id(fields)][1]


class Reading(NamedTuple):
    """The tables while messages are read."""

    endpoints: list[Endpoint]
    layers: list[tuple[str, ...]]
    kinds: list[str]
    fields: list[dict[str, Any]]

    def messages(self, rows: Iterable[Sequence[Any]]) -> list[Message]:
        endpoints, layers, kinds, fields = self
        return [
            Message(kinds[kind], time, refs(frames), endpoints[src], endpoints[dst], stream, layers[layer],
                    fields[place], exchange, transaction, answers, refs(copies), repeats,
                    tuple([Problem(*p) for p in problems]), incomplete, session)
            for kind, time, frames, src, dst, stream, layer, place, exchange, transaction, answers, copies, repeats,
            problems, incomplete, session in rows]


def packed(observation: Observation, found: Sequence[Timeline] = (), context: str = "") -> bytes:
    """`found` are its timelines in this context."""
    import zstandard
    from . import joined
    tables = Writing()
    messages = tables.rows(observation.messages)
    timelines = joined.rows(found, observation, tables) if context else None
    captures = [[c.path, c.sha256, c.packets, c.first, c.last, c.grade, list(c.remarks), dict(c.undecoded), c.format,
                 c.truncated]
                for c in observation.captures]
    opaque = [[o.kind, o.start, o.end, list(o.src), list(o.dst), list(o.layers), o.packets, o.size, o.stream,
               flat(o.frames),
               dict(o.fields)] for o in observation.opaque]
    gaps = [[g.start, g.end, g.reason, g.stream, g.capture] for g in observation.gaps]
    whole = [FORMAT, captures, [list(e) for e in tables.endpoints], [list(names) for names in tables.layers],
             list(tables.kinds), tables.fields, pack(messages), opaque, gaps,
             list(observation.window) if observation.window else None,
             list(observation.taps), [[*limit[:4], sorted(limit.hosts), limit.own] for limit in observation.limits],
             [[tap, *window] for tap, window in observation.windows.items()],
             None if timelines is None else [context, pack(timelines)]]
    return zstandard.ZstdCompressor(level=3).compress(pack(whole))


def unpacked(data: bytes, context: str = "") -> tuple[Observation, list[Timeline] | None]:
    """As `load`. Raises ValueError, TypeError or IndexError where it is damaged."""
    import zstandard
    from . import joined
    try:
        whole = unpack(zstandard.ZstdDecompressor().decompress(data))
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None
    if not isinstance(whole, list) or whole[0] != FORMAT:
        raise ValueError(f"format {whole[0] if isinstance(whole, list) else type(whole)!r}, {FORMAT} was expected")
    _, captures, ends, layers, kinds, fields, rows, opaque, gaps, window, taps, limits, windows, timelines = whole
    tables = Reading([Endpoint(*end) for end in ends], [tuple(names) for names in layers], kinds, fields)
    wanted = timelines is not None and bool(context) and timelines[0] == context
    observation = Observation(
        tuple(CaptureInfo(*row[:6], tuple(row[6]), *row[7:]) for row in captures),
        () if wanted else tuple(tables.messages(unpack(rows))),
        tuple(Opaque(kind, start, end, Endpoint(*src), Endpoint(*dst), tuple(names), packets, size, stream,
                     refs(frames), fields)
              for kind, start, end, src, dst, names, packets, size, stream, frames, fields in opaque),
        tuple(Gap(*gap) for gap in gaps), tuple(window) if window else None, tuple(taps),
        tuple(Limit(*row[:4], frozenset(row[4]), row[5]) for row in limits),
        {tap: (first, last) for tap, first, last in windows})
    return observation, joined.timelines(unpack(timelines[1]), observation, tables) if wanted else None


def flat(frames: Sequence[FrameRef]) -> list[int]:
    return list(frames[0]) if len(frames) == 1 else [number for ref in frames for number in ref]


def refs(flat: list[int]) -> tuple[FrameRef, ...]:
    if len(flat) == 2:                   # nearly all
        return (FrameRef(flat[0], flat[1]),)
    return tuple([FrameRef(flat[at], flat[at + 1]) for at in range(0, len(flat), 2)])


def pack(value: Any) -> bytes:
    """Values as they stand in the fields of messages, as bytes; `unpack` gives them back."""
    import msgpack
    return msgpack.packb(value, default=unusual, strict_types=True, unicode_errors="surrogatepass")


def unpack(data: bytes) -> Any:
    """Raises ValueError where the bytes are damaged."""
    import msgpack
    try:
        return msgpack.unpackb(data, ext_hook=_usual, strict_map_key=False, unicode_errors="surrogatepass")
    except msgpack.UnpackException as error:
        raise ValueError(str(error)) from None


def unusual(value: Any) -> Any:
    """As msgpack can hold it: a value of a type that it does not know."""
    import msgpack
    if isinstance(value, tuple):
        return msgpack.ExtType(_TUPLE, pack(list(value)))
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, bool):
        return bool(value)
    if isinstance(value, int):
        return int(value) if type(value) is not int else msgpack.ExtType(_INTEGER, str(value).encode())
    if isinstance(value, str):
        return str.__str__(value)
    if hasattr(value, "items"):
        return dict(value.items())
    if isinstance(value, (list, set, frozenset)):
        return sorted(value, key=str) if not isinstance(value, list) else list(value)
    return msgpack.ExtType(_TEXT, str(value).encode("utf-8", "surrogatepass"))


def _usual(code: int, data: bytes) -> Any:
    if code == _TUPLE:
        return tuple(unpack(data))
    if code == _INTEGER:
        return int(data)
    return data.decode("utf-8", "surrogatepass")
