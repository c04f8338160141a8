"""What a rule was found to say of a device, kept so that it need not be judged again.

A rule is judged on a device's timeline, with what the rules before it left behind. Where neither has changed, the rule
says the same again: whoever has kept what it said hands it back to `judge` instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ..model import AttemptResult
from ..rulebook.rule import Rule
from .facts import Entry


class Left(NamedTuple):
    """What a rule leaves behind for those after it."""

    remembered: Mapping[str, Any] = {}                   # values of `remember`, by name
    facts: Sequence[tuple[str, Entry]] = ()              # names of `facts`, each with a value and when it holds
    used: Sequence[int] = ()                             # places of messages that the procedures in `then` may not use
    done: Sequence[tuple[int, int]] = ()                 # when it was done: from and until (ns), for those in `then`

    def __bool__(self) -> bool:
        return bool(self.remembered or self.facts or self.used)


Said = tuple[Sequence[AttemptResult], Left]
NOTHING: Said = ((), Left())


class Memory(Protocol):
    """Of one device. Rules are asked for and noted in the order in which they are judged."""

    def recall(self, rule: Rule) -> Said | None: ...     # None: it has to be judged
    def note(self, rule: Rule, said: Said) -> None: ...
