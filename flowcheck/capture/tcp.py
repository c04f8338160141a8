"""TCP (RFC 9293): segments find their connection; the bytes of each direction come out in order, with holes named.

A connection is known by its addresses, ports and the tunnel around it. The interface is no part of that: a segment seen
on two of them is a retransmission. A SYN with another number on the same ports is another connection, and so is a
segment far from everything expected. Where the handshake was not captured the lower port is taken for the server's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from struct import Struct

from ..model import Endpoint, FrameRef, Packet, upon
from .assembly import (FAR, HALF_RANGE, MASK, PATIENCE, PATIENCE_TIME, START, Connection, Data, Event, Finished, Half,
                       Handshake, Lost, Opened, Reset, acknowledge, flush, receive, settle, unwrap)

__all__ = ["Connection", "Connections", "Data", "Event", "Finished", "Handshake", "Lost", "Opened", "Reset"]

_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10
_SPECIAL = _FIN | _SYN | _RST
_HEADER = Struct("!4sIIBB").unpack_from   # both ports, sequence, acknowledgement, data offset, flags
_HEADER_READ = 14                         # octets of it; the rest (window, checksum, urgent pointer) is not needed

_SECOND = 1_000_000_000
_NEAR = 1 << 16                # a SYN that the tap saw late, or data in a SYN, is this near
_RESET_BEHIND = 1 << 16        # a RST answers an older segment, or arrives behind a gap of the capture
_RESET_AHEAD = 1 << 24
_CLOSED_IDLE = 60 * _SECOND    # after this a closed connection cannot get stragglers any more (2 MSL)
_UNANSWERED_IDLE = 180 * _SECOND
_IDLE = 4 * 3600 * _SECOND
_SWEEP = 30 * _SECOND
_MOST_CONNECTIONS = 50_000

InOrder = Callable[[Connection, int, bytes, FrameRef, int], None]      # the fields of Data
Ref = Callable[[int], FrameRef]           # of a frame number of Packet.frames
_Way = tuple[Connection, Half, Half]      # a connection as one direction sees it: its own half first


class Connections:
    """All TCP connections of one observation."""

    def __init__(self, bytes_in_order: InOrder | None = None, ref: Ref = partial(FrameRef, 0)) -> None:
        """`bytes_in_order` takes what continues a stream without further ado, in place of a Data event."""
        self._in_order, self._ref = bytes_in_order, ref
        self._ways: dict[tuple, _Way] = {}   # by direction, each with its own key
        self._open: dict[int, Connection] = {}
        self._waiting: dict[int, Connection] = {}                       # those with a hole
        self._count = 0
        self._swept = 0

    def segment(self, packet: Packet) -> Iterable[Event]:
        """What this segment brings: usually its own bytes, sometimes others that were waiting for it."""
        time, frames, _, layers, src, dst, _, data, missing, _ = packet
        if len(data) < _HEADER_READ:
            return ()
        ports, seq, ack, offset, flags = _HEADER(data)
        header = (offset >> 4) << 2
        size = len(data) + missing - header
        if header < 20 or size < 0:
            return ()
        way = self._ways.get((src, dst, ports, layers)) or self._alias(packet, ports)
        if way is not None and not flags & _SPECIAL:
            connection, mine, other = way
            if connection.calm and seq == mine.next & MASK and not missing and (other.next - ack) & MASK < HALF_RANGE:
                connection.packets += 1
                connection.last = time
                if not size:
                    return ()
                mine.bytes += size
                mine.next += size
                if connection.dropped:
                    return ()
                mine.tail = payload = data[header:]
                if self._in_order is None:
                    return (Data(connection, mine.side, payload, self._ref(frames[-1]), time),)
                self._in_order(connection, mine.side, payload, self._ref(frames[-1]), time)
                return ()
        return self._uncommon(packet, self._ref(frames[-1]), way, ports, seq, ack, flags, data[header:], size)

    def expire(self, now: int) -> Iterator[Event]:
        """Give up holes nobody will fill any more, and forget connections long silent. Cheap enough to call often."""
        out: list[Event] = []
        for connection in list(self._waiting.values()):
            if now - connection.last > PATIENCE_TIME:
                self._settle(connection, now, out)
        if now - self._swept >= _SWEEP:
            self._swept = now
            for connection in list(self._open.values()):
                if now - connection.last > _allowed_idle(connection):
                    self._forget(connection, out)
            if len(self._open) > _MOST_CONNECTIONS:
                by_age = sorted(self._open.values(), key=lambda connection: connection.last)
                for connection in by_age[:-_MOST_CONNECTIONS]:
                    self._forget(connection, out)
        yield from out

    def finish(self) -> Iterator[Event]:
        """The capture ends: what is held back comes out, holes in front of it are lost."""
        out: list[Event] = []
        for connection in list(self._open.values()):
            self._forget(connection, out)
        yield from out

    # -------------------------------------------------------------------------------------------- finding connections

    def _alias(self, packet: Packet, ports: bytes) -> _Way | None:
        """The same connection met on another link type is the same connection; through a tunnel it is another one."""
        way = self._ways.get((packet.src, packet.dst, ports, _tunnel(packet.layers)))
        if way is not None:
            key = (packet.src, packet.dst, ports, packet.layers)
            self._ways[key] = way
            way[0].keys.add(key)
        return way

    def _new(self, packet: Packet, ports: bytes, ref: FrameRef, out: list[Event], *, from_client: bool,
             midway: bool = False) -> _Way:
        src = Endpoint(packet.src, int.from_bytes(ports[:2], "big"))
        dst = Endpoint(packet.dst, int.from_bytes(ports[2:], "big"))
        self._count += 1
        client, server = (src, dst) if from_client else (dst, src)
        connection = Connection(self._count, client, server, upon(packet.layers, "tcp"), packet.time, midway)
        mine, other = connection.halves if from_client else connection.halves[::-1]
        tunnel = _tunnel(packet.layers)
        for key, way in (((packet.src, packet.dst, ports, tunnel), (connection, mine, other)),
                         ((packet.dst, packet.src, ports[2:] + ports[:2], tunnel), (connection, other, mine))):
            old = self._ways.get(key)
            if old is not None and old[0] is not connection:
                self._forget(old[0], out)
            self._ways[key] = way
            connection.keys.add(key)
        self._open[connection.id] = connection
        out.append(Opened(connection, packet.time, ref))
        return connection, mine, other

    def _forget(self, connection: Connection, out: list[Event]) -> None:
        if not connection.closed:
            flush(connection, out)
            connection.closed = True
        for key in connection.keys:
            self._ways.pop(key, None)
        self._open.pop(connection.id, None)
        self._waiting.pop(connection.id, None)

    # -------------------------------------------------------------------------------------------- the longer path

    def _uncommon(self, packet: Packet, ref: FrameRef, way: _Way | None, ports: bytes, seq: int,
                  ack: int, flags: int, payload: bytes, size: int) -> list[Event]:
        out: list[Event] = []
        if flags & _SYN and not flags & _RST:
            way = self._syn(packet, ref, way, ports, seq, ack, flags, out)
            seq += 1
            flags &= ~_FIN                                         # no connection ends in the segment that opens it
        elif way is not None and size and _foreign(way, seq, ack, flags):
            way = self._new(packet, ports, ref, out, from_client=way[1].side == 0, midway=True)
        if way is None:
            # The lower port is the server's; between equal ones the first to speak is the client.
            source, target = int.from_bytes(ports[:2], "big"), int.from_bytes(ports[2:], "big")
            way = self._new(packet, ports, ref, out, from_client=source >= target, midway=True)
        connection, mine, other = way
        connection.packets += 1
        mine.packets += 1
        connection.last = packet.time
        silent = mine.next is None
        if silent:
            mine.next, mine.sure = START + (seq & MASK), False
        if flags & _ACK and not connection.closed:
            acknowledge(other, ack, packet.time)
        if flags & _RST:
            refused = silent and other.syn == "syn" and not other.bytes
            self._reset(connection, mine, seq, refused, packet.time, ref, out)
        elif not connection.closed:
            position = unwrap(seq, mine.next)
            if size:
                mine.bytes += size
                receive(connection, mine, position, payload, size, ref, packet.time, out)
            if flags & _FIN and mine.fin is None and abs(position - mine.next) < FAR:
                mine.fin, mine.fin_ref, mine.fin_time = max(position + size, mine.next), ref, packet.time
                mine.since = mine.since if mine.pending else packet.time
                mine.sure = True
            for half in connection.halves:
                half.waited += 1
            self._settle(connection, packet.time, out)
        return out

    def _syn(self, packet: Packet, ref: FrameRef, way: _Way | None, ports: bytes, seq: int,
             ack: int, flags: int, out: list[Event]) -> _Way:
        """The connection a SYN belongs to: one there is, or a new one on the same ports."""
        answer = bool(flags & _ACK)
        what = "syn_ack" if answer else "syn"
        if way is not None:
            connection, mine, other = way
            if mine.isn is not None and mine.isn & MASK == seq:
                if connection.refused:                             # tried again after a RST, with the same number
                    connection.closed = connection.refused = False
                elif mine.syn == what:
                    connection.retransmissions += 1
                    # how often it was asked says how long it was waited for
                    if not answer:
                        out.append(Handshake(connection, what, packet.time, ref, seq))
                    return way
            elif answer and other.isn is not None and not connection.closed and not mine.bytes \
                    and 1 <= (ack - other.isn) & MASK <= _NEAR:
                mine.begin(seq)
            elif not answer and mine.isn is None and other.syn and not connection.closed and not mine.bytes:
                mine.begin(seq)                                    # simultaneous open
            elif not (mine.isn is None and connection.packets < PATIENCE and mine.next is not None
                      and abs(unwrap(seq + 1, mine.next) - mine.next) <= _NEAR):   # else: the tap saw it late
                way = None
        if way is None:
            way = self._new(packet, ports, ref, out, from_client=not answer)
            connection, mine, other = way
            mine.begin(seq)
            if answer:
                other.begin((ack - 1) & MASK)
        mine.syn = what
        if mine.isn is None:
            mine.isn = seq
            connection.opened_midway = False
        out.append(Handshake(connection, what, packet.time, ref, seq))
        return way

    def _reset(self, connection: Connection, mine: Half, seq: int, refused: bool, time: int, ref: FrameRef,
               out: list[Event]) -> None:
        if connection.closed:
            return
        behind = unwrap(seq, mine.next) - mine.next
        whole = mine.sure and behind == 0 and not mine.waiting
        if mine.sure and not -_RESET_BEHIND <= behind <= _RESET_AHEAD:
            return                                                 # RFC 9293 3.10.7.4: outside the window, ignored
        flush(connection, out)
        connection.closed = True
        connection.calm = False
        self._waiting.pop(connection.id, None)
        connection.refused = refused
        if refused:
            mine.next = None                                       # its number says nothing about a stream to come
            out.append(Handshake(connection, "refused", time, ref, seq))
        else:
            out.append(Reset(connection, mine.side, time, ref, whole))

    def _settle(self, connection: Connection, now: int, out: list[Event]) -> None:
        if settle(connection, now, out):
            self._waiting[connection.id] = connection
        else:
            self._waiting.pop(connection.id, None)


def way_key(packet: Packet) -> tuple:
    """By which the connection of a TCP packet is known in this direction: one of `Connection.keys`."""
    return packet.src, packet.dst, packet.data[:4], _tunnel(packet.layers)


@lru_cache(maxsize=4096)
def _tunnel(layers: tuple[str, ...]) -> tuple[str, ...]:
    """The layers from the outermost IP header on: link types, VLAN tags and labels do not tell connections apart."""
    for index, name in enumerate(layers):
        if name.startswith("ip"):
            return layers[index:]
    return layers


def _foreign(way: _Way, seq: int, ack: int, flags: int) -> bool:
    """Do both numbers of a segment lie far from what this connection expects? Then its ports were used again unseen."""
    _, mine, other = way
    if mine.next is None or abs(unwrap(seq, mine.next) - mine.next) < FAR:
        return False
    return not flags & _ACK or other.next is None or abs(unwrap(ack, other.next) - other.next) >= FAR


def _allowed_idle(connection: Connection) -> int:
    if connection.closed:
        return _CLOSED_IDLE
    return _IDLE if all(half.next is not None and half.packets for half in connection.halves) else _UNANSWERED_IDLE
