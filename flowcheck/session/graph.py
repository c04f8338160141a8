"""What is one device, as a graph: nodes are addresses, tunnels and names, links are what the traffic proves of two of them.

A link carries its evidence, the frame that shows it, and since when until when it holds. Linked nodes are one device. A
link between two devices that are told apart by names of their own is not drawn: the names stand, both sides remain, and
what contradicts them is kept as a sentence for each.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Hashable, Mapping
from operator import itemgetter
from typing import Any

from ..model import Link, Message

_since = itemgetter(0)
# (kind, value, ...): ("address", "10.0.0.1"), ("ike", SPI), ("cwmp", OUI-class-serial number)
Node = tuple[Any, ...]


class Graph:
    """Union-find over nodes that remembers its links. `names` maps a node to what no other device can have as well."""

    def __init__(self) -> None:
        self._parent: dict[Node, Node] = {}
        self._names: dict[Node, dict[str, str]] = {}          # root -> kind of name -> the name
        self._links: dict[Node, dict[tuple[Node, Node], Link]] = defaultdict(dict)
        self._refused: dict[Node, dict[str, None]] = defaultdict(dict)

    def add(self, node: Node, **names: str) -> None:
        """A node; `names` are kinds of names of which a device has one at most, and the one it has."""
        root = self.find(node)
        if names:
            self._names[root] = {**self._names.get(root, {}), **names}

    def find(self, node: Node) -> Node:
        parent = self._parent.setdefault(node, node)
        while parent != self._parent[parent]:
            self._parent[node] = parent = self._parent[parent]
        return parent

    def join(self, one: Node, other: Node, why: str, shown_by: Message | None = None, until: int | None = None) -> bool:
        """Draws the link, unless the two are different devices by name; True where they are one afterwards."""
        a, b = self.find(one), self.find(other)
        against = self.contradiction(a, b) if a != b else ""
        if against:
            for root in (a, b):
                self._refused[root][f"{why}, but {against}: kept apart"] = None
            return False
        if a != b:
            self._parent[b] = a
            if b in self._names:
                self._names[a] = {**self._names.get(a, {}), **self._names.pop(b)}
            if b in self._links:
                self._links[a] |= self._links.pop(b)
            if b in self._refused:
                self._refused[a] |= self._refused.pop(b)
        if (one, other) not in self._links[a]:
            self._links[a][one, other] = Link(_text(one), _text(other), why, shown_by.frames[-1:] if shown_by else (),
                                              shown_by.time if shown_by else None, until)
        return True

    def contradiction(self, one: Node, other: Node) -> str:
        """What tells two nodes apart for certain, empty where nothing does."""
        a, b = self._names.get(self.find(one)), self._names.get(self.find(other))
        if not a or not b:
            return ""
        return next((f"{a[kind]} is not {b[kind]}" for kind in a if b.get(kind, a[kind]) != a[kind]), "")

    def names(self, node: Node) -> Mapping[str, str]:
        return self._names.get(self.find(node), {})

    def links(self, root: Node) -> tuple[Link, ...]:
        return tuple(self._links[root].values()) if root in self._links else ()

    def refused(self, root: Node) -> tuple[str, ...]:
        return tuple(self._refused.get(root, ()))

    def devices(self) -> dict[Node, list[Node]]:
        """Root -> its nodes, in the order they were added."""
        groups: dict[Node, list[Node]] = defaultdict(list)
        for node in self._parent:
            groups[self.find(node)].append(node)
        return groups


_KINDS = {"ike": "IKE SA ", "mac": "MAC ", "hnb": "HNB ", "enb": "eNB ", "imsi": "IMSI ", "hosting": "IMSI ",
          "imei": "IMEI ", "guti": "temporary identity ", "private_id": "Private ID ",
          "certificate": "certificate of ", "ue": "UE context "}


def _text(node: Node) -> str:
    return f"{_KINDS.get(node[0], '')}{node[1]}"


class Holders:
    """Who had something when: an address, a port behind a NAT. Given in time order; asked with `at`."""

    def __init__(self) -> None:
        self._held: dict[Hashable, list[tuple[int, Node]]] = {}

    def take(self, what: Hashable, time: int, who: Node) -> None:
        """From now on it is theirs."""
        held = self._held.setdefault(what, [])
        if not held or held[-1][1] != who:
            held.append((time, who))

    def at(self, what: Hashable, time: int | None) -> Node | None:
        """Whose it was: before the first one had it, the first one's too. Without a time, the last one's."""
        held = self._held.get(what)
        if held is None:
            return None
        if len(held) == 1:
            return held[0][1]
        if time is None:
            return held[-1][1]
        return held[max(bisect_right(held, time, key=_since) - 1, 0)][1]

    def turns(self, what: Hashable) -> list[tuple[int, Node]]:
        return self._held.get(what, [])
