"""What the last judging of an observation found, kept so that changed rules are judged alone.

A rule is judged on a device's messages, with what the rules before it left behind (`conform/memory.py`). Where its text
says the same as then, and what was left behind before it is the same too, it gives the same. So the ledger keeps for each
device the kinds of its messages and, of each rule that said anything, digests of the attempts and what it left behind:

    [kinds, [[device, [places in kinds], [[procedure, left, [digest of an attempt, ...]], ...]], ...]]

Of the rules it keeps a digest of what they mean, in the order in which they were judged. All of it holds for one tool,
site profile, decoding and set of options only (`context`); what was kept with another is not looked at.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

from ..conform.bringup import chain
from ..conform.facts import Entry
from ..conform.fields import ABSENT
from ..conform.judge import concerned_kinds, in_order
from ..conform.memory import NOTHING, Left, Said
from ..model import FrameRef, Result, Timeline
from ..rulebook.rule import Rule, Site
from . import index
from .ledger import Book, Known, Memory
from .recipe import Recipe

# what of a rule no verdict and no report depends on
UNSAID = frozenset(("describe", "samples", "path", "digest", "place"))


class Kept(NamedTuple):
    """What is kept of a device: procedure -> what it left behind, packed, and the digests of its attempts."""

    kinds: frozenset[str]
    said: Mapping[str, tuple[bytes, tuple[bytes, ...]]]


# ----------------------------------------------------------------------------------------- what it depends on

def book_of(rules: Sequence[Rule]) -> Book:
    return Book(tuple((rule.procedure, meaning(rule)) for rule in in_order(rules)),
                _digest(repr(chain(rules))))


def meaning(rule: Rule) -> str:
    """Digest of what a rule says; comments, layout, description and samples are no part of it."""
    return _digest(repr(_said(rule)))


def context(recipe: Recipe, site: Site, today: date) -> str:
    """Digest of all that verdicts depend on besides captures and rules."""
    over = [waiver.finding for waiver in site.waivers if waiver.until and today.isoformat() > waiver.until]
    return _digest(json.dumps([recipe.tool, recipe.site, recipe.options, recipe.decoding, over]))


def _said(value: Any) -> Any:
    if is_dataclass(value):
        return (type(value).__name__, *(_said(getattr(value, name)) for name in _names(type(value))))
    if isinstance(value, Mapping):
        return sorted((name, _said(inner)) for name, inner in value.items())
    if isinstance(value, (tuple, list)):
        return (type(value).__name__, *map(_said, value))
    return sorted(value) if isinstance(value, frozenset) else value


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind) if one.compare and one.name not in UNSAID)


# ----------------------------------------------------------------------------------------- what a change touches

class Change:
    """What the rules of this run say otherwise than those of an earlier one."""

    def __init__(self, old: Book, new: Book, rules: Sequence[Rule]):
        before, now = dict(old.rules), dict(new.rules)
        self.new = [rule for rule in rules if before.get(rule.procedure) != now[rule.procedure]]
        self.gone = {name for name, digest in old.rules if now.get(name) != digest}
        self.same_chain = old.chain == new.chain
        kept = {name for name in now if name in before and name not in self.gone}
        self.same_order = [n for n, _ in old.rules if n in kept] == [n for n, _ in new.rules if n in kept]

    def touches(self, devices: Mapping[str, Kept]) -> bool:
        """Could anything of this observation be judged differently now?"""
        return not self.same_order or any(
            not self.same_chain and any(digests for _, digests in kept.said.values())
            or not self.gone.isdisjoint(kept.said)
            or any(not kept.kinds.isdisjoint(concerned_kinds(rule)) for rule in self.new)
            for kept in devices.values())


# ----------------------------------------------------------------------------------------- judging with it

class Recollection:
    """Of one observation: hands back what is known of its devices, and gathers what is found.

    First only what may have changed is judged, so the attempts are not complete; once `whole` is called they are.
    """

    def __init__(self, book: Book, known: Known | None):
        self.book, self.known, self.complete = book, known, known is None
        self._before: Mapping[str, Kept] = unpacked(known.memory.data) if known else {}
        self._same = frozenset(book.rules) & frozenset(known.book.rules) if known else frozenset()
        self._devices: dict[str, _Device] = {}

    def of(self, timeline: Timeline) -> _Device:
        """The memory of a device, for `judge`."""
        name = timeline.device.id
        earlier = self._devices.get(name)
        before = self._before.get(name)
        made = self._devices[name] = _Device(timeline, before, earlier.judged if earlier else {}, self.complete)
        if before is not None:
            made.expected = _left_before(self.known.book, self._same, before)
        return made

    def confirmed(self) -> bool:
        """Is all that was judged what it was before? Asked once every device was judged."""
        return (self.known.book.chain == self.book.chain
                and self._before == {name: device.kept() for name, device in self._devices.items()})

    def partial(self) -> bool:
        """Are there attempts that were not made again?"""
        return any(device.left_out for device in self._devices.values())

    def whole(self) -> Recollection:
        self.complete = True
        return self

    def memory(self, context: str, shows: str) -> Memory:
        return Memory(context, self.book.digest, shows,
                      packed({name: device.kept() for name, device in self._devices.items()}))

    def shows(self, result: Result) -> str:
        """Digest of what a report of the whole result shows, its provenance apart."""
        lacking = [(device.id, device.lacking) for device in result.devices]
        said = sorted((name, sorted(device.said.items())) for name, device in self._devices.items())
        return _digest(repr((said, lacking)))


class _Device:
    """A `conform.memory.Memory`."""

    def __init__(self, timeline: Timeline, before: Kept | None, judged: dict[str, Said], complete: bool):
        self._kinds = frozenset(message.kind for message in timeline.messages)
        self._before, self._complete = before, complete
        self._left: list[bytes] = []                     # behind, by the rules so far
        # what the rules that say what they said then found left behind
        self.expected: Mapping[str, list[bytes]] = {}
        self.left_out = False                            # attempts that are known and were not made again
        self.judged = judged                             # in this run
        self.said: dict[str, tuple[bytes, tuple[bytes, ...]]] = {}

    def kept(self) -> Kept:
        return Kept(self._kinds, self.said)

    def recall(self, rule: Rule) -> Said | None:
        name = rule.procedure
        if self._complete and name in self.judged:
            self.note(rule, self.judged[name])
            return self.judged[name]
        if self.expected.get(name) != self._left:
            return None
        left, digests = self._before.said.get(name, (b"", ()))
        if digests and self._complete:
            return None
        self.left_out |= bool(digests)
        self._note(name, left, digests)
        return ((), unpack_left(left)) if left else NOTHING

    def note(self, rule: Rule, said: Said) -> None:
        self.judged[rule.procedure] = said
        self._note(rule.procedure, pack_left(said[1]), tuple(map(digest_of, said[0])))

    def _note(self, name: str, left: bytes, digests: tuple[bytes, ...]) -> None:
        if left or digests:
            self.said[name] = left, digests
        if left:
            self._left.append(left)


def _left_before(book: Book, same: Collection[tuple[str, str]], kept: Kept) -> dict[str, list[bytes]]:
    """What had been left behind when each of these rules was judged."""
    so_far: list[bytes] = []
    found = {}
    for rule in book.rules:
        if rule in same:
            found[rule[0]] = so_far
        left = kept.said.get(rule[0], (b"",))[0]
        if left:
            so_far = [*so_far, left]
    return found


# ----------------------------------------------------------------------------------------- as bytes

def digest_of(attempt: Any) -> bytes:
    """Of all that an attempt says."""
    import msgpack
    data = msgpack.packb(attempt, default=_parts, unicode_errors="surrogatepass")
    return hashlib.blake2b(data, digest_size=12).digest()


def _parts(value: Any) -> Any:
    return _values(type(value))(value) if is_dataclass(value) else index.unusual(value)


@cache
def _values(kind: type) -> Any:
    return attrgetter(*(one.name for one in fields(kind)))


def pack_left(left: Left) -> bytes:
    """Equal for what is equal; empty for nothing."""
    if not left:
        return b""
    facts = [[name, entry.time, entry.frame and list(entry.frame), entry.value is not ABSENT,
              None if entry.value is ABSENT else entry.value] for name, entry in left.facts]
    return index.pack([dict(left.remembered), facts, list(left.used), list(map(list, left.done))])


def unpack_left(data: bytes) -> Left:
    remembered, facts, used, done = index.unpack(data)
    return Left(remembered, tuple((name, Entry(time, frame and FrameRef(*frame), value if there else ABSENT))
                                  for name, time, frame, there, value in facts), tuple(used),
                tuple(map(tuple, done)))


def packed(devices: Mapping[str, Kept]) -> bytes:
    kinds: dict[str, int] = {}
    rows = [[name, [kinds.setdefault(kind, len(kinds)) for kind in sorted(kept.kinds)],
             [[procedure, left, list(digests)] for procedure, (left, digests) in kept.said.items()]]
            for name, kept in devices.items()]
    return zlib.compress(index.pack([list(kinds), rows]), 1)


def unpacked(data: bytes) -> dict[str, Kept]:
    """Raises ValueError where the record is damaged."""
    try:
        return dict(_devices(*index.unpack(zlib.decompress(data))))
    except (zlib.error, TypeError, IndexError, AttributeError) as error:
        raise ValueError(str(error)) from None


def _devices(kinds: list[str], rows: list[Any]) -> Iterator[tuple[str, Kept]]:
    for name, places, said in rows:
        yield name, Kept(frozenset([kinds[place] for place in places]),
                         {procedure: (left, tuple(digests)) for procedure, left, digests in said})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
