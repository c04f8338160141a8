"""Flows that pass by: what the lanes of capture/bypass.py counted comes back to connections and decoders.

Before anything else of a flow takes the full way, its sums are settled, so that whoever reads it next finds everything as
if each packet had come to him. Then its lanes are aimed at what comes next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from ..capture.bypass import Bypass, Key, Lane
from ..capture.lanes import COUNTED, ENDLESS, SEALED, SHUT, STREAM, TUNNEL
from ..capture.tcp import Connection
from ..frames import FrameRun, unpacked
from ..model import Context, Endpoint, Steady

_MASK = 0xFFFFFFFF
_TCP, _UDP, _ESP = 6, 17, 50

class Unread:
    """One UDP flow that was given up: both directions count in one lane."""

    def __init__(self, bypass: Bypass, label: str):
        self._bypass, self._label, self._lane = bypass, label, Lane(COUNTED)
        self._known: set[tuple[str, ...]] = set()
        self._keys: list[Key] = []

    @property
    def last(self) -> int:
        """Time of the latest packet that passed."""
        return self._lane.last

    def open(self, layers: tuple[str, ...], src: str, dst: str, ports: bytes) -> None:
        if layers in self._known:
            return
        self._known.add(layers)
        for key in (self._bypass.key(layers, _UDP, src, dst, ports),
                    self._bypass.key(layers, _UDP, dst, src, ports[2:] + ports[:2])):
            if key is not None and self._bypass.open(key, self._lane):
                self._keys.append(key)

    def close(self) -> None:
        for key in self._keys:
            self._bypass.close(key)
        self._keys.clear()

    def settle(self, undecoded: Counter[str]) -> None:
        if self._lane.packets:
            undecoded[self._label] += self._lane.packets
            self._lane.reset()


_Way = tuple[Endpoint, bytes]          # the receiver, and the SPI where ESP has no ports


def _way(data: bytes, context: Context) -> _Way:
    return context.dst, data[:4] if context.dst.port is None else b""


class Sealed:
    """The ESP of one flow: a lane for each way it takes, aimed at the SA that was last seen there."""

    def __init__(self, bypass: Bypass, state: Any):
        self._bypass, self._state = bypass, state
        self._ways: dict[_Way, dict[tuple[str, ...], Lane]] = {}       # each by layers

    def settle(self, data: bytes, context: Context) -> None:
        """What came before this packet is told to the decoder, and nothing passes until `aim` says so."""
        if not self._ways:                         # no ESP yet: most of what IKE says
            return
        way = _way(data, context)
        for lane in self._ways.get(way, {}).values():
            lane.kind = SHUT                       # so that one SA is never counted in two of them
            self._settle(lane, way)

    def finish(self) -> None:
        for way, lanes in self._ways.items():
            for lane in lanes.values():
                self._settle(lane, way)

    def _settle(self, lane: Any, way: _Way) -> None:
        if lane.packets:
            self._state.passed(lane.spi.to_bytes(4, "big"), way[0].address, lane.packets, lane.octets,
                               lane.missing, lane.last,
                               unpacked(lane.number))
            lane.reset()

    def aim(self, steady: Steady, context: Context) -> None:
        """`steady` is what the decoder expects behind this packet."""
        src, dst, bare = context.src, context.dst, context.src.port is None
        lanes = self._ways.setdefault(_way(steady.spi, context), {})
        lane = lanes.get(context.layers)
        if lane is None:
            lane = lanes[context.layers] = Lane(SHUT)
            ends = steady.spi if bare else src.port.to_bytes(2, "big") + dst.port.to_bytes(2, "big")
            key = self._bypass.key(context.layers[:-1], _ESP if bare else _UDP, src.address, dst.address, ends)
            if key is not None:
                self._bypass.open(key, lane)
        lane.kind, lane.spi = SEALED, int.from_bytes(steady.spi, "big")
        lane.next, lane.last, lane.quiet, lane.holes = steady.sequence, steady.last, steady.quiet, steady.holes


class Tunnel:
    """One UDP flow of GTP-U, whose inner packets may pass by."""

    def __init__(self, bypass: Bypass):
        self._bypass, self._lane = bypass, Lane(TUNNEL)
        self._known: set[tuple[tuple[str, ...], str]] = set()

    def open(self, layers: tuple[str, ...], src: str, dst: str, ports: bytes) -> None:
        if (layers, src) in self._known:
            return
        self._known.add((layers, src))
        key = self._bypass.key(layers, _UDP, src, dst, ports)
        if key is not None:
            self._bypass.open(key, self._lane)


class Stretch:
    """One TCP connection of which octets pass by: all of them where it was given up, else what its decoder left out."""

    def __init__(self, bypass: Bypass, connection: Connection):
        self.connection = connection
        self._bypass = bypass
        self._lanes = (Lane(SHUT), Lane(SHUT))
        self._lanes[0].peer, self._lanes[1].peer = self._lanes[1], self._lanes[0]
        client, server = connection.client, connection.server
        ports = client.port.to_bytes(2, "big"), server.port.to_bytes(2, "big")
        layers = connection.layers[:-1]
        keys = (bypass.key(layers, _TCP, client.address, server.address, ports[0] + ports[1]),
                bypass.key(layers, _TCP, server.address, client.address, ports[1] + ports[0]))
        self._keys = [key for key, lane in zip(keys, self._lanes, strict=True) if key is not None
                      and bypass.open(key, lane)]

    @property
    def busy(self) -> bool:
        """Has anything passed since it was settled?"""
        return self._lanes[0].packets > 0 or self._lanes[1].packets > 0

    def settle(self, told: Callable[[int, int, FrameRun, int], None]) -> None:
        """`told` hears of side, octets, frames and time of what passed."""
        connection = self.connection
        for side, lane in enumerate(self._lanes):
            if lane.packets:
                connection.packets += lane.packets
                connection.last = max(connection.last, lane.last)
                if lane.octets:
                    half = connection.halves[side]
                    half.bytes += lane.octets
                    half.next += lane.octets
                    half.tail = b""
                    told(side, lane.octets, FrameRun.packed(lane.frames()), lane.said)
                lane.reset()
            lane.kind = SHUT

    def aim(self, skips: tuple[int, int] | list[int]) -> bool:
        """Lets pass what is wanted of neither side. False: the connection is over, or nobody could see it pass."""
        connection = self.connection
        if connection.closed or not self._keys:
            return False
        if connection.calm:
            for lane, half, skip in zip(self._lanes, connection.halves, skips, strict=True):
                lane.kind, lane.next = STREAM, half.next & _MASK
                lane.left, lane.keep = (ENDLESS, False) if connection.dropped else (skip, True)
        return True

    def close(self) -> None:
        for key in self._keys:
            self._bypass.close(key)
        self._keys.clear()
