"""The timelines of an observation within its index, so that joining need not be done again for a changed rule.

An array [messages, shared, timelines]. Messages are rows as in index.py, each once. `shared` is what all timelines have
alike: [links, protocols, torn, lost], and a timeline is

    [device, [places in messages], [places in opaque], [places in gaps], nobodys]

with the device in the order of its type. Names of taps, and what Wireshark could not be asked, are no part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..model import Device, FrameRef, Link, Message, Timeline
from ..observe.observation import Observation
from .index import Reading, Writing, flat, refs


def rows(found: Sequence[Timeline], observation: Observation, tables: Writing) -> list[Any] | None:
    """None where a timeline holds what the observation does not."""
    opaque, gaps = _places(observation.opaque), _places(observation.gaps)
    messages: dict[int, Message] = {id(m): m for timeline in found for m in timeline.messages}
    places = _places(messages.values())
    one = found[0] if found else None                    # what is alike is one object in all
    if not all(_alike(t, one) and all(id(o) in opaque for o in t.opaque) and all(id(g) in gaps for g in t.gaps)
               for t in found):
        return None
    shared = [] if one is None else [
        [sorted(pair) for pair in one.links], sorted(one.protocols), [sorted(pair) for pair in one.torn],
        [[*ref, *taps] for ref, taps in one.lost.items()]]
    return [tables.rows(messages.values()), shared,
            [[_device(t.device), [places[id(m)] for m in t.messages], [opaque[id(o)] for o in t.opaque],
              [gaps[id(g)] for g in t.gaps], sorted(t.nobodys)] for t in found]]


def timelines(data: Sequence[Any], observation: Observation, tables: Reading) -> list[Timeline]:
    """Raises ValueError, TypeError or IndexError where the data is damaged."""
    rows, shared, found = data
    if not found:
        return []
    messages = tables.messages(rows)
    links, protocols, torn, lost = shared
    common = {"links": frozenset(map(frozenset, links)), "protocols": frozenset(protocols),
              "torn": frozenset(map(frozenset, torn)),
              "lost": {FrameRef(capture, number): (seen, missed) for capture, number, seen, missed in lost}}
    return [Timeline(_read_device(device), tuple([messages[place] for place in own]),
                     tuple([observation.opaque[place] for place in hidden]), observation.window,
                     tuple([observation.gaps[place] for place in near]), nobodys=frozenset(nobodys), **common)
            for device, own, hidden, near, nobodys in found]


def _alike(one: Timeline, other: Timeline) -> bool:
    return (one.links, one.protocols, one.torn, one.lost) == (other.links, other.protocols, other.torn, other.lost)


def _places(things: Iterable[Any]) -> dict[int, int]:
    return {id(thing): place for place, thing in enumerate(things)}


def _device(one: Device) -> list[Any]:
    return [one.id, dict(one.identity), list(one.addresses), list(one.evidence), list(one.outer), list(one.assumed),
            list(one.shared), [[*link[:3], flat(link.frames), *link[4:]] for link in one.links], list(one.apart)]


def _read_device(row: Sequence[Any]) -> Device:
    name, identity, addresses, evidence, outer, assumed, shared, links, apart = row
    return Device(name, identity, tuple(addresses), tuple(evidence), tuple(outer), tuple(assumed), tuple(shared),
                  tuple([Link(*link[:3], refs(link[3]), *link[4:]) for link in links]), tuple(apart))
