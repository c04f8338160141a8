"""TCP reassembly of one connection (RFC 9293 3.4, 3.10.7.4): what a tap saw of a stream becomes what its receiver saw.

A hole is waited for while it may still be filled. Once the peer has acknowledged it the bytes did travel, so only
disorder of the tap itself could still bring them, and a little patience is enough; without acknowledgements the wait is
bounded by what is held back. Where copies of a byte differ the first one wins, as it does in most receivers, and the
difference is counted.

The two directions are kept in step: bytes sent after a hole of the other direction had been received wait until that
hole is filled or lost. So a question is handed on, or known to be lost, before the answer to it.

Sequence numbers are unwrapped to integers that only grow, so nothing here has to think of 2**32 again.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from ..model import Endpoint, FrameRef

MASK, HALF_RANGE = 0xFFFFFFFF, 1 << 31
START = 1 << 32                # added to the first number of a direction, so that none below it is negative
FAR = 1 << 26                  # no window is as large as this in practice

_SECOND = 1_000_000_000
PATIENCE = 8                   # packets of the connection that may pass before an acknowledged hole is called lost
PATIENCE_TIME = _SECOND
_LONGEST_WAIT = 120 * _SECOND  # for a hole nobody acknowledged; RFC 6298 2.4 lets a retransmission timer grow beyond 60
_HELD_BYTES = 1 << 20          # behind one hole; a larger window than this is not waited for
_HELD_PIECES = 2048
_UNSEEN_PEER_PIECES = 64       # the same where only one direction was captured, so that nothing is ever acknowledged
_UNSEEN_PEER_TIME = 5 * _SECOND


class Half:
    """One direction: what came, what is next, what is held back."""

    __slots__ = ("side", "isn", "syn", "next", "sure", "pending", "held", "acked", "acked_at", "waited", "since", "cut",
                 "fin", "fin_ref", "fin_time", "finished", "packets", "bytes", "tail")

    def __init__(self, side: int):
        self.side = side
        self.isn: int | None = None          # initial sequence number
        self.syn = ""                        # what it opened with, as far as that was seen: "syn" or "syn_ack"
        self.next: int | None = None         # sequence number of the next byte to hand on
        self.sure = False                    # `next` is more than a guess from the peer's acknowledgement
        # (position, bytes, frame, time, what of the other direction comes first), disjoint and sorted
        self.pending: list[tuple[int, bytes, FrameRef, int, int]] = []
        self.held = 0
        self.acked = 0                       # highest acknowledgement, kept only where it is beyond `next`
        self.acked_at = self.waited = 0      # time of it, and packets since
        self.since = 0                       # time the hole at `next` was noticed
        self.cut = 0                         # end of the last segment that the snap length cut
        self.fin: int | None = None          # position of the FIN
        self.fin_ref: FrameRef | None = None
        self.fin_time = 0
        self.finished = False
        self.packets = self.bytes = 0
        self.tail = b""                      # last bytes handed on, to compare a retransmission with

    def begin(self, isn: int) -> None:
        self.isn, self.next, self.sure = isn, START + isn + 1, True

    @property
    def calm(self) -> bool:
        """Everything there was has been handed on, and more may come."""
        begun = self.sure or self.packets > PATIENCE
        return begun and not self.pending and self.fin is None and self.acked <= self.next

    @property
    def hole(self) -> int:
        """Where the hole at `next` ends as far as is known; `next` itself where there is none."""
        if self.pending:
            return self.pending[0][0]
        if self.fin is not None:
            return self.next if self.finished else self.fin
        # Nothing but an acknowledgement of one number more: the FIN that the capture lost, not a byte.
        return self.acked if self.acked > self.next + 1 else self.next

    @property
    def waiting(self) -> bool:
        """Is there a hole at `next`?"""
        if self.next is None:
            return False
        if self.pending:
            return self.pending[0][0] > self.next
        if self.fin is not None:
            return not self.finished and self.fin > self.next
        return self.acked > self.next + 1


class Connection:
    """One TCP connection. `dropped` may be set by who reads the events: from then on its data is only counted."""

    __slots__ = ("id", "client", "server", "layers", "opened_midway", "opened", "last", "packets", "retransmissions",
                 "conflicts", "closed", "dropped", "refused", "halves", "calm", "keys")

    def __init__(self, number: int, client: Endpoint, server: Endpoint, layers: tuple[str, ...], time: int,
                 midway: bool):
        self.id = number
        self.client, self.server = client, server
        self.layers = layers
        self.opened_midway = midway
        self.opened = self.last = time
        self.packets = self.retransmissions = 0
        self.conflicts = 0                   # copies of a byte that differ
        self.closed = self.dropped = self.refused = False
        self.halves = (Half(0), Half(1))
        self.calm = False                    # neither direction has a hole or a guess: the short path may be taken
        self.keys: set[tuple] = set()        # under which it is found

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
    sequence: int = 0          # initial sequence number, which a NAT leaves alone


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
    time: int                  # when the hole was noticed


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
    whole: bool = False        # it came right behind the sender's last octet that is in the capture


Event = Opened | Handshake | Data | Lost | Finished | Reset


def unwrap(number: int, near: int) -> int:
    """The unwrapped sequence number with these low 32 bits that is nearest to `near`."""
    return near + ((number - near + HALF_RANGE) & MASK) - HALF_RANGE


def acknowledge(half: Half, ack: int, time: int) -> None:
    """`ack` came from the peer of `half`: it has everything before it, whether the capture has it or not."""
    if half.next is None:
        half.next, half.sure = START + ack, False
        return
    position = unwrap(ack, half.next)
    # a peer that still has an older connection on these ports answers a SYN with its numbers (RFC 9293 3.5.1)
    if position - half.next > (HALF_RANGE >> 1 if half.bytes or half.isn is None else FAR):
        return
    if half.acked <= half.next < position:
        half.acked_at, half.waited = time, 0
        if not half.waiting:
            half.since = time
    half.acked = max(half.acked, position)


def receive(connection: Connection, half: Half, position: int, payload: bytes, size: int, ref: FrameRef, time: int,
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
    if size > len(payload):
        half.cut = max(half.cut, end)
    if connection.dropped:
        half.next = max(half.next, end)
        half.pending.clear()
        half.held = 0
        return
    if position < half.next:
        if size > 1 or end < half.next:                            # else a keep-alive, RFC 9293 3.8.4
            connection.retransmissions += 1
            _compare(connection, half, position, payload)
        payload = payload[half.next - position:]
        position = half.next
    if not payload:
        return
    peer = connection.halves[1 - half.side]
    first = peer.acked if peer.packets and peer.next is not None and peer.acked > peer.next + 1 else 0
    if position == half.next and not half.pending and not first:
        half.next += len(payload)
        half.tail = payload
        out.append(Data(connection, half.side, payload, ref, time))
        return
    if not half.waiting:
        half.since = time
    _hold(connection, half, position, payload, ref, time, first)


def settle(connection: Connection, now: int, out: list[Event]) -> bool:
    """After a segment: hand on what nothing stands in front of any more, give up what will not come, finish.

    True where a hole is waited for.
    """
    first, second = connection.halves
    going, waiting = True, False
    while going:
        going = waiting = False
        for half, peer in ((first, second), (second, first)):
            if half.pending:
                going |= _drain(connection, half, peer, out, now)
            if not half.waiting:
                continue
            waiting = True
            if _hopeless(half, peer, now):
                _give_up(connection, half, out, wholly=False)
                going = True
    for half in (first, second):
        _maybe_finish(connection, half, out)
    if first.finished and second.finished:
        connection.closed = True
        first.tail = second.tail = b""
    connection.calm = first.calm and second.calm
    return waiting


def flush(connection: Connection, out: list[Event]) -> None:
    """Nothing more will come: everything held back is handed on, each hole in front of it lost."""
    halves = connection.halves
    while True:
        if _drain(connection, halves[0], halves[1], out) | _drain(connection, halves[1], halves[0], out):
            continue
        holes = [half for half in halves if half.waiting]
        if holes:
            _give_up(connection, min(holes, key=lambda half: half.since), out, wholly=True)
        elif any(half.pending for half in halves):                 # each waits for bytes the other will not bring
            for half in halves:
                half.pending = [(*piece[:4], 0) for piece in half.pending]
        else:
            break
    for half in halves:
        if half.next is not None:
            _maybe_finish(connection, half, out)


def _compare(connection: Connection, half: Half, position: int, payload: bytes) -> None:
    """Count a copy that differs from what was handed on, as far back as is remembered."""
    start = half.next - len(half.tail)
    low, high = max(position, start), min(position + len(payload), half.next)
    if low < high and payload[low - position:high - position] != half.tail[low - start:high - start]:
        connection.conflicts += 1


def _hold(connection: Connection, half: Half, position: int, payload: bytes, ref: FrameRef, time: int,
          first: int) -> None:
    """Keep those bytes of `payload` that are not held yet: the first copy wins."""
    pending, end = half.pending, position + len(payload)
    index = bisect_right(pending, position, key=_position)
    if index and pending[index - 1][0] + len(pending[index - 1][1]) > position:
        index -= 1
    fresh, here, last = [], position, index
    while last < len(pending) and pending[last][0] < end:
        at, held = pending[last][:2]
        if here < at:
            fresh.append((here, payload[here - position:at - position], ref, time, first))
        low, high = max(at, position), min(at + len(held), end)
        if held[low - at:high - at] != payload[low - position:high - position]:
            connection.conflicts += 1
        here = max(here, high)
        last += 1
    if here < end:
        fresh.append((here, payload[here - position:], ref, time, first))
    if last > index:
        connection.retransmissions += 1
    if fresh:
        half.held += sum(len(piece[1]) for piece in fresh)
        pending[index:last] = sorted([*pending[index:last], *fresh], key=_position)


def _position(piece: tuple) -> int:
    return piece[0]


def _drain(connection: Connection, half: Half, peer: Half, out: list[Event], now: int = 0) -> bool:
    """Hand on what stands behind no hole, of this direction or of the other. True where there was something.

    What waited for bytes of the other direction, because the tap turned the two round, came after them, whatever its time says.
    """
    too_much = half.held > _HELD_BYTES or len(half.pending) > _HELD_PIECES
    done = 0
    for position, payload, ref, time, first in half.pending:
        if position != half.next or not too_much and peer.next is not None and first > peer.next + 1:
            break
        half.next += len(payload)
        half.held -= len(payload)
        half.tail = payload
        if not connection.dropped:
            out.append(Data(connection, half.side, payload, ref, max(time, now + 1) if first else time))
        done += 1
    if done:
        half.since = half.pending[done][3] if done < len(half.pending) else half.pending[-1][3]
        half.acked_at = max(half.acked_at, half.pending[done - 1][3])
        half.waited = 0
        del half.pending[:done]
    return done > 0


def _hopeless(half: Half, peer: Half, now: int) -> bool:
    """Will the hole at `next` stay one?"""
    if half.acked > half.next:
        return half.cut > half.next or half.waited > PATIENCE or now - half.acked_at >= PATIENCE_TIME
    if half.held > _HELD_BYTES or len(half.pending) > _HELD_PIECES or now - half.since >= _LONGEST_WAIT:
        return True
    return not peer.packets and (len(half.pending) > _UNSEEN_PEER_PIECES or now - half.since >= _UNSEEN_PEER_TIME)


def _give_up(connection: Connection, half: Half, out: list[Event], *, wholly: bool) -> None:
    """The hole at `next` is lost: as much of it as was acknowledged, or all of it."""
    end = half.hole
    if not wholly and half.acked > half.next:
        end = min(end, half.acked)
    if not connection.dropped:
        out.append(Lost(connection, half.side, end - half.next, half.since))
    half.next, half.tail = end, b""
    half.waited = 0


def _maybe_finish(connection: Connection, half: Half, out: list[Event]) -> None:
    if half.fin is not None and not half.finished and half.next >= half.fin and not half.pending:
        half.finished = True
        half.next = half.fin + 1                                   # a FIN takes one sequence number
        out.append(Finished(connection, half.side, half.fin_time, half.fin_ref))
