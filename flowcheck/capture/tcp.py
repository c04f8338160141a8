"""TCP (RFC 9293): segments in capture order in, the bytes of each direction in stream order out.

What an endpoint saw is rebuilt from what a tap saw, and the two differ: segments come out of order, twice (sent again, or
seen on two interfaces), cut by the snap length, or not at all. A hole is waited for while it may still be filled. Once the
peer has acknowledged it the bytes did travel, so only disorder of the tap itself could still bring them, and a little
patience (`_PATIENCE`) is enough; without acknowledgements the wait is bounded by what is held back. Where copies of a byte
differ the first one wins, as it does in most receivers, and the difference is counted.

Sequence numbers are unwrapped to integers that only grow, so nothing below has to think of 2**32 again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import NamedTuple

from ..model import Endpoint, FrameRef, Packet

_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10
_SPECIAL = _FIN | _SYN | _RST
_HEADER = Struct("!4sIIBB").unpack_from   # both ports, sequence, acknowledgement, data offset, flags
_HEADER_READ = 14                         # octets of it; the rest (window, checksum, urgent pointer) is not needed
_MASK, _HALF_RANGE = 0xFFFFFFFF, 1 << 31
_START = 1 << 32               # added to the first number of a direction, so that none below it is negative

_SECOND = 1_000_000_000
_PATIENCE = 8                  # packets of the connection that may pass before an acknowledged hole is called lost
_PATIENCE_TIME = _SECOND
_HELD_BYTES = 1 << 20          # behind one hole; a larger window than this is not waited for
_HELD_PIECES = 2048
_UNSEEN_PEER_PIECES = 64       # the same where only one direction was captured, so that nothing is ever acknowledged
_UNSEEN_PEER_TIME = 5 * _SECOND
_LONGEST_WAIT = 120 * _SECOND  # RFC 6298 2.4 lets a retransmission timer grow to 60 seconds and beyond
_STRAY = 1 << 26               # a segment this far from what is expected, in both numbers, is of another connection
_RESET_BEHIND = 1 << 16        # a RST answers an older segment, or arrives behind a gap of the capture
_RESET_AHEAD = 1 << 24
_CLOSED_IDLE = 60 * _SECOND    # after this a closed connection cannot get stragglers any more (2 MSL)
_UNANSWERED_IDLE = 180 * _SECOND
_IDLE = 4 * 3600 * _SECOND
_SWEEP = 30 * _SECOND
_MOST_CONNECTIONS = 50_000


class _Half:
    """One direction: what came, what is next, what is held back behind a hole."""

    __slots__ = ("side", "isn", "syn", "next", "sure", "pending", "held", "acked", "acked_at", "waited", "since", "cut",
                 "fin", "fin_ref", "fin_time", "finished", "packets", "bytes", "tail")

    def __init__(self, side: int):
        self.side = side
        self.isn: int | None = None          # initial sequence number
        self.syn = ""                        # what it opened with, as far as that was seen: "syn" or "syn_ack"
        self.next: int | None = None         # sequence number of the next byte to hand on
        self.sure = False                    # `next` is more than a guess from the peer's acknowledgement
        self.pending: list[tuple[int, bytes, FrameRef, int]] = []   # (position, bytes, frame, time), disjoint, sorted
        self.held = 0
        self.acked = 0                       # highest acknowledgement, kept only where it is beyond `next`
        self.acked_at = self.waited = 0      # time of it, and packets since
        self.since = 0                       # time the hole in front of `pending` was noticed
        self.cut = 0                         # end of the last segment that the snap length cut
        self.fin: int | None = None          # position of the FIN
        self.fin_ref: FrameRef | None = None
        self.fin_time = 0
        self.finished = False
        self.packets = self.bytes = 0
        self.tail = b""                      # last bytes handed on, to compare a retransmission with

    def begin(self, isn: int) -> None:
        self.isn, self.next, self.sure = isn, _START + isn + 1, True

    @property
    def calm(self) -> bool:
        """Everything there was has been handed on, and more may come."""
        return self.sure and not self.pending and self.fin is None and self.acked <= self.next

    @property
    def waiting(self) -> bool:
        return self.next is not None and self.hole > self.next

    @property
    def hole(self) -> int:
        """Where the hole at `next` ends as far as is known; `next` itself where there is none."""
        if self.pending:
            return self.pending[0][0]
        if self.fin is not None and not self.finished:
            return self.fin
        # Nothing but an acknowledgement of one number more: the FIN that the capture lost, not a byte.
        return self.acked if self.acked > self.next + 1 else self.next


class Connection:
    """One TCP connection. `dropped` may be set by who reads the events: from then on its data is only counted."""

    __slots__ = ("id", "client", "server", "layers", "opened_midway", "opened", "last", "packets", "retransmissions",
                 "conflicts", "closed", "dropped", "refused", "halves", "calm", "_keys")

    def __init__(self, number: int, client: Endpoint, server: Endpoint, layers: tuple[str, ...], time: int, midway: bool):
        self.id = number
        self.client, self.server = client, server
        self.layers = layers
        self.opened_midway = midway
        self.opened = self.last = time
        self.packets = self.retransmissions = 0
        self.conflicts = 0                   # copies of a byte that differ
        self.closed = self.dropped = self.refused = False
        self.halves = (_Half(0), _Half(1))
        self.calm = False                    # neither direction has a hole or a guess: the short path may be taken
        self._keys: set[tuple] = set()

    @property
    def bytes(self) -> tuple[int, int]:
        """Payload octets each side sent on the wire, retransmissions included."""
        return self.halves[0].bytes, self.halves[1].bytes


class Opened(NamedTuple):
    connection: Connection
    time: int
    ref: FrameRef


class Handshake(NamedTuple):
    connection: Connection
    what: str                  # "syn", "syn_ack", "refused": a RST answered the SYN
    time: int
    ref: FrameRef


class Data(NamedTuple):
    connection: Connection
    side: int                  # 0: from the client
    data: bytes
    ref: FrameRef
    time: int                  # when these bytes came, which may be before the hole in front of them was filled


class Lost(NamedTuple):
    connection: Connection
    side: int
    size: int
    time: int


class Finished(NamedTuple):
    connection: Connection
    side: int
    time: int
    ref: FrameRef


class Reset(NamedTuple):
    connection: Connection
    side: int                  # who sent it
    time: int
    ref: FrameRef


Event = Opened | Handshake | Data | Lost | Finished | Reset


class Connections:
    """All TCP connections of one observation."""

    def __init__(self) -> None:
        self._ways: dict[tuple, tuple[Connection, _Half, _Half]] = {}   # by direction, each with its own key
        self._open: dict[int, Connection] = {}
        self._waiting: dict[int, Connection] = {}                       # those with a hole
        self._count = 0
        self._swept = 0

    def segment(self, packet: Packet, refs: tuple[FrameRef, ...]) -> Iterable[Event]:
        """What this segment brings: usually its own bytes, sometimes others that were waiting for it."""
        data = packet.data
        if len(data) < _HEADER_READ:
            return ()
        ports, seq, ack, offset, flags = _HEADER(data)
        header = (offset >> 4) << 2
        size = len(data) + packet.missing - header
        if header < 20 or size < 0:
            return ()
        way = self._ways.get((packet.src, packet.dst, ports, packet.layers)) or self._alias(packet, ports)
        if way is not None and not flags & _SPECIAL:
            connection, mine, other = way
            if connection.calm and seq == mine.next & _MASK and not packet.missing \
                    and (other.next - ack) & _MASK < _HALF_RANGE:
                connection.packets += 1
                connection.last = packet.time
                if not size:
                    return ()
                mine.bytes += size
                mine.next += size
                if connection.dropped:
                    return ()
                mine.tail = payload = data[header:]
                return (Data(connection, mine.side, payload, refs[-1], packet.time),)
        return self._uncommon(packet, refs[-1], way, ports, seq, ack, flags, data[header:], size)

    def expire(self, now: int) -> Iterator[Event]:
        """Give up holes nobody will fill any more, and forget connections long silent. Cheap enough to call often."""
        out: list[Event] = []
        for connection in list(self._waiting.values()):
            if now - connection.last > _PATIENCE_TIME:
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

    def _alias(self, packet: Packet, ports: bytes) -> tuple[Connection, _Half, _Half] | None:
        """The same connection met on another link type is the same connection; through a tunnel it is another one."""
        way = self._ways.get((packet.src, packet.dst, ports, _tunnel(packet.layers)))
        if way is not None:
            key = (packet.src, packet.dst, ports, packet.layers)
            self._ways[key] = way
            way[0]._keys.add(key)
        return way

    def _new(self, packet: Packet, ports: bytes, ref: FrameRef, out: list[Event], *, from_client: bool,
             midway: bool = False) -> tuple[Connection, _Half, _Half]:
        src = Endpoint(packet.src, int.from_bytes(ports[:2], "big"))
        dst = Endpoint(packet.dst, int.from_bytes(ports[2:], "big"))
        self._count += 1
        client, server = (src, dst) if from_client else (dst, src)
        connection = Connection(self._count, client, server, (*packet.layers, "tcp"), packet.time, midway)
        mine, other = connection.halves if from_client else connection.halves[::-1]
        tunnel = _tunnel(packet.layers)
        for key, way in (((packet.src, packet.dst, ports, tunnel), (connection, mine, other)),
                         ((packet.dst, packet.src, ports[2:] + ports[:2], tunnel), (connection, other, mine))):
            old = self._ways.get(key)
            if old is not None and old[0] is not connection:
                self._forget(old[0], out)
            self._ways[key] = way
            connection._keys.add(key)
        self._open[connection.id] = connection
        out.append(Opened(connection, packet.time, ref))
        return connection, mine, other

    def _forget(self, connection: Connection, out: list[Event]) -> None:
        for half in connection.halves:
            _flush(connection, half, connection.last, out)
        connection.closed = True
        for key in connection._keys:
            self._ways.pop(key, None)
        self._open.pop(connection.id, None)
        self._waiting.pop(connection.id, None)

    # -------------------------------------------------------------------------------------------- the longer path

    def _uncommon(self, packet: Packet, ref: FrameRef, way: tuple[Connection, _Half, _Half] | None, ports: bytes, seq: int,
                  ack: int, flags: int, payload: bytes, size: int) -> list[Event]:
        out: list[Event] = []
        if flags & _SYN and not flags & _RST:
            way = self._syn(packet, ref, way, ports, seq, ack, flags, out)
            seq += 1
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
            mine.next, mine.sure = _START + (seq & _MASK), False
        if flags & _ACK:
            _acknowledge(other, ack, packet.time)
        if flags & _RST:
            refused = silent and other.syn == "syn" and not other.bytes
            self._reset(connection, mine, seq, refused, packet.time, ref, out)
        elif not connection.closed:
            position = _unwrap(seq, mine.next)
            if size:
                mine.bytes += size
                _receive(connection, mine, position, payload, size, ref, packet.time, out)
            if flags & _FIN and mine.fin is None and abs(position - mine.next) < _STRAY:
                mine.fin, mine.fin_ref, mine.fin_time = max(position + size, mine.next), ref, packet.time
                mine.since = mine.since if mine.pending else packet.time
            self._settle(connection, packet.time, out)
        return out

    def _syn(self, packet: Packet, ref: FrameRef, way: tuple[Connection, _Half, _Half] | None, ports: bytes, seq: int,
             ack: int, flags: int, out: list[Event]) -> tuple[Connection, _Half, _Half]:
        """The connection a SYN belongs to: one there is, or a new one on the same ports."""
        answer = bool(flags & _ACK)
        what = "syn_ack" if answer else "syn"
        if way is not None:
            connection, mine, other = way
            if mine.isn is not None and mine.isn & _MASK == seq:
                if connection.refused:                             # tried again after a RST, with the same number
                    connection.closed = connection.refused = False
                elif mine.syn == what:
                    connection.retransmissions += 1
                    return way
            elif answer and other.isn is not None and not connection.closed and not mine.bytes \
                    and 1 <= (ack - other.isn) & _MASK <= 0x10000:
                mine.begin(seq)
            elif not answer and mine.isn is None and other.syn and not connection.closed and not mine.bytes:
                mine.begin(seq)                                    # simultaneous open
            elif not (mine.isn is None and connection.packets < _PATIENCE and mine.next is not None
                      and abs(_unwrap(seq + 1, mine.next) - mine.next) <= 0x10000):   # else: the tap saw it late
                way = None
        if way is None:
            way = self._new(packet, ports, ref, out, from_client=not answer)
            connection, mine, other = way
            mine.begin(seq)
            if answer:
                other.begin((ack - 1) & _MASK)
        mine.syn = what
        if mine.isn is None:
            mine.isn = seq
            connection.opened_midway = False
        out.append(Handshake(connection, what, packet.time, ref))
        return way

    def _reset(self, connection: Connection, mine: _Half, seq: int, refused: bool, time: int, ref: FrameRef,
               out: list[Event]) -> None:
        if connection.closed:
            return
        behind = _unwrap(seq, mine.next) - mine.next
        if mine.sure and not -_RESET_BEHIND <= behind <= _RESET_AHEAD:
            return                                                 # RFC 9293 3.10.7.4: outside the window, ignored
        for half in connection.halves:
            _flush(connection, half, time, out)
        connection.closed = True
        connection.calm = False
        self._waiting.pop(connection.id, None)
        connection.refused = refused
        if refused:
            mine.next = None                                       # its number says nothing about a stream to come
            out.append(Handshake(connection, "refused", time, ref))
        else:
            out.append(Reset(connection, mine.side, time, ref))

    def _settle(self, connection: Connection, now: int, out: list[Event]) -> None:
        """After a segment: finish what is complete, give up what will not come, and see whether all is calm again."""
        first, second = connection.halves
        for half, peer in ((first, second), (second, first)):
            while half.waiting and _hopeless(half, peer, now):
                _give_up(connection, half, now, out)
            _maybe_finish(connection, half, out)
        if first.finished and second.finished:
            connection.closed = True
            first.tail = second.tail = b""
        connection.calm = first.calm and second.calm
        if not connection.calm and (first.waiting or second.waiting):
            self._waiting[connection.id] = connection
        else:
            self._waiting.pop(connection.id, None)


def _tunnel(layers: tuple[str, ...]) -> tuple[str, ...]:
    """The layers from the outermost IP header on: link types, VLAN tags and labels do not tell connections apart."""
    for index, name in enumerate(layers):
        if name.startswith("ip"):
            return layers[index:]
    return layers


def _unwrap(number: int, near: int) -> int:
    """The unwrapped sequence number with these low 32 bits that is nearest to `near`."""
    return near + ((number - near + _HALF_RANGE) & _MASK) - _HALF_RANGE


def _foreign(way: tuple[Connection, _Half, _Half], seq: int, ack: int, flags: int) -> bool:
    """Do both numbers of a segment lie far from what this connection expects? Then its ports were used again unseen."""
    _, mine, other = way
    if mine.next is None or abs(_unwrap(seq, mine.next) - mine.next) < _STRAY:
        return False
    return not flags & _ACK or other.next is None or abs(_unwrap(ack, other.next) - other.next) >= _STRAY


def _allowed_idle(connection: Connection) -> int:
    if connection.closed:
        return _CLOSED_IDLE
    return _IDLE if all(half.next is not None and half.packets for half in connection.halves) else _UNANSWERED_IDLE


def _acknowledge(half: _Half, ack: int, time: int) -> None:
    """`ack` came from the peer of `half`: it has everything before it, whether the capture has it or not."""
    if half.next is None:
        half.next, half.sure = _START + ack, False
        return
    position = _unwrap(ack, half.next)
    if position - half.next > _HALF_RANGE >> 1:
        return
    if half.acked <= half.next < position:
        half.acked_at, half.waited = time, 0
    half.acked = max(half.acked, position)


def _receive(connection: Connection, half: _Half, position: int, payload: bytes, size: int, ref: FrameRef, time: int,
             out: list[Event]) -> None:
    """Bytes of one segment; `size` counts those on the wire, of which `payload` may hold only the first."""
    if not half.sure:
        # The first bytes of this direction. `next` was guessed from the peer, or from a keep-alive one before it.
        if position < half.next or position == half.next + 1:
            half.next = position
        half.sure = True
    if half.fin is not None:                                       # nothing comes after a FIN
        size = min(size, max(0, half.fin - position))
        payload = payload[:size]
    end = position + size
    if end > position + len(payload):
        half.cut = max(half.cut, end)
    if connection.dropped:
        half.next = max(half.next, end)
        half.pending.clear()
        half.held = 0
        return
    if position < half.next:
        keep_alive = size <= 1 and end == half.next                # RFC 9293 3.8.4
        if not keep_alive:
            connection.retransmissions += 1
            _compare(connection, half, position, payload)
        payload = payload[half.next - position:]
        position = half.next
        if end <= position:
            return
    if not payload:
        return
    if position == half.next and not half.pending:
        half.next += len(payload)
        half.tail = payload
        out.append(Data(connection, half.side, payload, ref, time))
        return
    if not half.pending:
        half.since = time
    _hold(connection, half, position, payload, ref, time)
    _drain(connection, half, time, out)


def _compare(connection: Connection, half: _Half, position: int, payload: bytes) -> None:
    """Count a copy that differs from what was handed on, as far back as is remembered."""
    start = half.next - len(half.tail)
    low, high = max(position, start), min(position + len(payload), half.next)
    if low < high and payload[low - position:high - position] != half.tail[low - start:high - start]:
        connection.conflicts += 1


def _hold(connection: Connection, half: _Half, position: int, payload: bytes, ref: FrameRef, time: int) -> None:
    """Keep those bytes of `payload` that are not held yet: the first copy wins."""
    pending, end = half.pending, position + len(payload)
    index = bisect_right(pending, position, key=lambda piece: piece[0])
    if index and pending[index - 1][0] + len(pending[index - 1][1]) > position:
        index -= 1
    fresh, here = [], position
    last = index
    while last < len(pending) and pending[last][0] < end:
        at, held, _, _ = pending[last]
        if here < at:
            fresh.append((here, payload[here - position:at - position], ref, time))
        low, high = max(at, position), min(at + len(held), end)
        if held[low - at:high - at] != payload[low - position:high - position]:
            connection.conflicts += 1
        here = max(here, high)
        last += 1
    if here < end:
        fresh.append((here, payload[here - position:], ref, time))
    if last > index:
        connection.retransmissions += 1
    if fresh:
        half.held += sum(len(piece[1]) for piece in fresh)
        pending[index:last] = sorted([*pending[index:last], *fresh], key=lambda piece: piece[0])


def _drain(connection: Connection, half: _Half, now: int, out: list[Event]) -> None:
    """Hand on what is no longer behind a hole."""
    done = 0
    for position, payload, ref, time in half.pending:
        if position != half.next:
            break
        half.next += len(payload)
        half.held -= len(payload)
        half.tail = payload
        if not connection.dropped:
            out.append(Data(connection, half.side, payload, ref, time))
        done += 1
    if done:
        del half.pending[:done]
        half.acked_at = half.since = now
        half.waited = 0


def _hopeless(half: _Half, peer: _Half, now: int) -> bool:
    """Will the hole at `next` stay one?"""
    if half.acked > half.next:
        half.waited += 1
        return half.cut > half.next or half.waited > _PATIENCE or now - half.acked_at >= _PATIENCE_TIME
    if half.held > _HELD_BYTES or len(half.pending) > _HELD_PIECES:
        return True
    if now - half.since >= _LONGEST_WAIT:
        return True
    return not peer.packets and (len(half.pending) > _UNSEEN_PEER_PIECES or now - half.since >= _UNSEEN_PEER_TIME)


def _give_up(connection: Connection, half: _Half, now: int, out: list[Event], *, wholly: bool = False) -> None:
    """The hole at `next` is lost: as much of it as was acknowledged, or all of it."""
    end = half.hole
    if not wholly and half.acked > half.next:
        end = min(end, half.acked)
    if not connection.dropped:
        out.append(Lost(connection, half.side, end - half.next, now))
    half.next, half.tail = end, b""
    half.acked_at = half.since = now
    half.waited = 0
    _drain(connection, half, now, out)


def _maybe_finish(connection: Connection, half: _Half, out: list[Event]) -> None:
    if half.fin is not None and not half.finished and half.next >= half.fin and not half.pending:
        half.finished = True
        half.next = half.fin + 1                                   # a FIN takes one sequence number
        out.append(Finished(connection, half.side, half.fin_time, half.fin_ref))


def _flush(connection: Connection, half: _Half, now: int, out: list[Event]) -> None:
    """Nothing more will come: everything held back is handed on, each hole in front of it lost."""
    while half.waiting:
        _give_up(connection, half, now, out, wholly=True)
    _maybe_finish(connection, half, out)
