"""What waits in memory, packed: messages until they are judged, results until they are written.

Devices are told apart by what the whole of a capture says, so until it has been read to its end its messages lie in
memory. Two thirds of that are fields, and those of one kind of message are much alike. Where there are very many, all
but the latest are put away in blocks (marshal, zstd): a thirtieth of the room, for about 1 µs a message. Such a message
is a Message like any other: who asks for its `fields` gets them, out of a block that is opened and soon forgotten. That
is cheap for who goes through the messages of a kind in their order. For who wants those of one device, they are put into
blocks of their own first (`together`). Results of very many devices are packed one by one (`packed`): who asks for steps
or events opens them again.
"""

from __future__ import annotations

import marshal
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, Self

from .model import AttemptResult, DeviceResult, Message
from .sealed import methods

BLOCK = 128                 # messages packed together: more take less room, and longer to find one among them
_OPEN = 32                  # blocks that are kept open
_UNDER_WAY = 4096           # messages that `together` holds at once
_UNSEALED = Message.__mro__[1]
_STORED = _UNSEALED.__dict__["fields"]
_store, _become = _STORED.__set__, object.__setattr__
_values = attrgetter(*_UNSEALED.__dataclass_fields__)


class Shelved(Message):
    """A message whose fields are packed. `stored` says where: (block, place in it, fields added later)."""

    __slots__ = ()
    stored = _STORED
    but = methods(_UNSEALED, fields="stored")["but"]

    @property
    def fields(self) -> Mapping[str, Any]:
        stored = self.stored
        if type(stored) is not tuple:                     # `but` was given others
            return stored
        block, place, more = stored
        found = _opened(block)[place]
        return found if more is None else {**found, **more}

    def __eq__(self, other: object) -> bool:
        return _values(self) == _values(other) if isinstance(other, Message) else NotImplemented

    __hash__ = Message.__hash__

    def adding(self, **more: Any) -> Self:
        stored = self.stored
        if type(stored) is not tuple:
            return Message.adding(self, **more)
        block, place, before = stored
        return self.but(fields=(block, place, {**before, **more} if before else more))


class Shelf(list[Message]):
    """Messages in the order in which they come. `tidy` packs all but the latest; it may be called again and again."""

    __slots__ = ("_seen", "_waiting")
    KEPT = 100_000          # messages, about 120 MB: up to there time is worth more than room

    def __init__(self) -> None:
        self._seen = 0
        self._waiting: dict[str, list[Message]] = defaultdict(list)          # kind -> those that make no block yet

    def tidy(self) -> None:
        for message in self[self._seen:-self.KEPT]:
            waiting = self._waiting[message.kind]
            waiting.append(message)
            if len(waiting) == BLOCK:
                _pack(waiting, [one.fields for one in waiting])
                waiting.clear()
        self._seen = max(self._seen, len(self) - self.KEPT)


def together(messages: Iterable[tuple[Hashable, Message]]) -> None:
    """Packs shelved messages anew, so that those with one key share a block. They come in order, each with its key."""
    waiting: dict[Hashable, list[tuple[Message, Mapping[str, Any]]]] = {}
    held = 0
    for key, message in messages:
        if type(message) is Shelved:
            waiting.setdefault(key, []).append((message, message.fields))
            held += 1
            if held == _UNDER_WAY:
                held -= _put_away(waiting)
    while waiting:
        _put_away(waiting)


def _put_away(waiting: dict[Hashable, list[tuple[Message, Mapping[str, Any]]]]) -> int:
    """Packs a block, and more where one key has more: of those who began first, as they have ended first as a rule."""
    done: list[tuple[Message, Mapping[str, Any]]] = []
    while waiting and len(done) < BLOCK:
        done += waiting.pop(next(iter(waiting)))
    for start in range(0, len(done), 2 * BLOCK):
        _pack(*zip(*done[start:start + 2 * BLOCK]))
    return len(done)


@contextmanager
def opened(messages: Iterable[Message]) -> Iterator[None]:
    """For who asks for their fields again and again: as long as it lasts these messages are as if never packed."""
    shelved = [(message, message.stored) for message in messages if type(message) is Shelved]
    for message, _ in shelved:
        _put(message, message.fields, Message)
    try:
        yield
    finally:
        for message, stored in shelved:
            _put(message, stored, Shelved)


def _pack(messages: Sequence[Message], fields: Sequence[Mapping[str, Any]]) -> None:
    """Puts the fields of these messages into one block. Nobody sees the difference but who looks at the memory."""
    try:
        # unlike pickle it keeps names interned, so that what was opened shares them with everything else
        octets = marshal.dumps(list(fields))
    except ValueError:                                   # something in them is of a type of its own
        return
    block = _compressed(octets)
    for place, message in enumerate(messages):
        _put(message, (block, place, None), Shelved)


def _put(message: Message, stored: Any, kind: type) -> None:
    _store(message, stored)
    _become(message, "__class__", kind)


# ---------------------------------------------------------------------------------------------------- results

class _Part(Sequence[Any]):
    """The steps, or the events, of one attempt: `block` holds those of all attempts of its device."""

    __slots__ = ("_block", "_place", "_length")

    def __init__(self, block: bytes, place: int, length: int):
        self._block, self._place, self._length = block, place, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, place: Any) -> Any:
        return _parts(self._block)[self._place][place]

    def __iter__(self) -> Iterator[Any]:
        return iter(_parts(self._block)[self._place])

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (_Part, tuple)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))


def packed(device: DeviceResult) -> DeviceResult:
    """The same with the steps and events of its attempts packed, which is nearly all of it.

    Apart, because steps are asked for more often. The events of all attempts share a block, as they share their fields.
    """
    steps, events = (_packed_parts([getattr(attempt, name) for attempt in device.attempts])
                     for name in ("steps", "events"))
    return replace(device, attempts=tuple(map(_with_parts, device.attempts, steps, events)))


def _packed_parts(parts: Sequence[Sequence[Any]]) -> list[_Part]:
    import pickle
    block = _compressed(pickle.dumps(parts, pickle.HIGHEST_PROTOCOL))
    return [_Part(block, place, len(part)) for place, part in enumerate(parts)]


def _with_parts(attempt: AttemptResult, steps: _Part, events: _Part) -> AttemptResult:
    return replace(attempt, steps=steps, events=events)


@lru_cache(maxsize=4)
def _parts(block: bytes) -> list[Sequence[Any]]:
    import pickle
    return pickle.loads(_decompressor()(block))


# ---------------------------------------------------------------------------------------------------- blocks

@lru_cache(maxsize=_OPEN)
def _opened(block: bytes) -> list[Mapping[str, Any]]:
    return marshal.loads(_decompressor()(block))


def _compressed(octets: bytes) -> bytes:
    """A copy of what zstandard returns, which keeps all the room that it might have needed."""
    return bytes(memoryview(_compressor()(octets)))


@cache
def _compressor() -> Any:
    import zstandard
    return zstandard.ZstdCompressor(level=1).compress


@cache
def _decompressor() -> Any:
    import zstandard
    return zstandard.ZstdDecompressor().decompress
