"""A device's messages by their kind: a rule looks only at those that it could be about."""

from __future__ import annotations

from collections.abc import Collection, KeysView, Sequence

from ..model import Message


class Kinds:
    """The messages of one timeline, in its order."""

    def __init__(self, messages: Sequence[Message]):
        self.messages = messages
        self._places: dict[str, list[int]] = {}
        self._of: dict[Collection[str], Sequence[Message]] = {}
        for place, message in enumerate(messages):
            self._places.setdefault(message.kind, []).append(place)

    @property
    def kinds(self) -> KeysView[str]:
        return self._places.keys()

    def any_of(self, kinds: Collection[str]) -> bool:
        """Is there a message of one of these kinds?"""
        return not self._places.keys().isdisjoint(kinds)

    def of(self, kinds: Collection[str]) -> Sequence[Message]:
        """The messages of these kinds (a tuple or a frozenset), in order."""
        found = self._of.get(kinds)
        if found is None:
            places = [place for kind in frozenset(kinds) for place in self._places.get(kind, ())]
            found = self._of[kinds] = [self.messages[place] for place in sorted(places)]
        return found
