"""What other devices of the observation were told: the memory that `unique` asks.

Devices are judged one by one, but a value that has to be given to one device only can be compared only over all of them.
For each field asked about, the first message of the observation that holds a value says whose it is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

from ..model import Message, Timeline


DOCUMENTS = frozenset(("json", "xml"))      # protocols whose messages hold the fields that are asked about


class First(NamedTuple):
    """Who was given a value first, and in which frame."""

    time: int
    device: str
    frame: int


class Elsewhere:
    """The documents of an observation, asked by value. `read` takes the values of a field out of a message."""

    def __init__(self, timelines: Sequence[Timeline]):
        self._told = [(timeline.device.id, message) for timeline in timelines for message in timeline.messages
                      if message.protocol in DOCUMENTS]
        self._known: dict[Hashable, dict[str, First]] = {}

    def first(self, field: Hashable, value: Any, read: Callable[[Message], Iterable[Any]]) -> First | None:
        """The first time any device was given this value of the field, None where none was."""
        if field not in self._known:
            self._known[field] = self._index(read)
        return self._known[field].get(str(value))

    def _index(self, read: Callable[[Message], Iterable[Any]]) -> dict[str, First]:
        found: dict[str, First] = {}
        for device, message in self._told:
            for value in read(message):
                here = First(message.time, device, message.frames[-1].number)
                if str(value) not in found or here < found[str(value)]:
                    found[str(value)] = here
        return found
