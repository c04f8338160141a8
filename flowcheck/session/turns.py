"""Which device had an address when: an address pool hands the same address to one device after another (RFC 7296 2.19).

Where the CWMP sessions or tunnels of several devices came from one address, and never at the same time, the devices used
it in turn. What lies between the sessions of two of them (look-ups, connections, uploads) is parted at the longest silence. Devices
whose sessions overlap share the address, as behind a NAT, and take no turns.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter

from ..model import Message
from .graph import Node

_span = itemgetter(0, 1)
SILENCE = 10_000_000_000    # ns: without a silence of this length between them nothing parts two devices


class Turns:
    """For each address that was used in turn: since when it was whose."""

    def __init__(self, messages: Sequence[Message], whose: Callable[[Message], Node | None], addresses: Iterable[str]):
        """`whose` knows the device of the messages that show one, by a session or a tunnel."""
        self._turns: dict[str, tuple[list[int], list[Node]]] = {}
        wanted = frozenset(addresses)
        if not wanted:
            return
        times: dict[str, list[int]] = defaultdict(list)
        spans: dict[str, dict[Node, tuple[int, int]]] = defaultdict(dict)
        for message in messages:
            for address in {message.src.address, message.dst.address} & wanted:
                times[address].append(message.time)
                key = whose(message)
                if key is not None:
                    first, last = spans[address].get(key, (message.time, message.time))
                    spans[address][key] = (min(first, message.time), max(last, message.time))
        for address, of_device in spans.items():
            found = _parted(sorted(((first, last, key) for key, (first, last) in of_device.items()), key=_span),
                            sorted(times[address]))
            if found is not None:
                self._turns[address] = found

    def holder(self, address: str, time: int) -> Node | None:
        """The device that had the address at this time; None where it was shared, or never changed hands."""
        if address not in self._turns:
            return None
        starts, keys = self._turns[address]
        return keys[max(0, bisect_right(starts, time) - 1)]


def _parted(spans: list[tuple[int, int, Node]], times: list[int]) -> tuple[list[int], list[Node]] | None:
    """When each turn begins, and whose it is; None where they overlap or nothing parts them."""
    starts, keys = [times[0]], [spans[0][2]]
    for (_, over, _), (begun, _, key) in zip(spans, spans[1:]):
        if begun <= over:
            return None
        between = [over, *times[bisect_right(times, over):bisect_right(times, begun)]]
        silence, start = max(((later - earlier, later) for earlier, later in zip(between, between[1:])),
                             default=(0, begun))
        if silence < SILENCE:
            return None
        starts.append(start)
        keys.append(key)
    return starts, keys
