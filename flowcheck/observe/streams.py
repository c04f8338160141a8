"""TCP connections become conversations: the bytes of both directions go to the decoder that recognises them.

    segment ─► capture/tcp.py ─► Tape ─► Conversation ─► Message, Payload, Inner, Opaque

What is carried inside (`Inner`: what TLS sealed) is read like a stream of its own. A stream that nobody recognises is
given up and from then on only counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any

from .. import decode
from ..capture.bypass import Bypass
from ..capture.tcp import Connection, Connections, Data, Finished, Handshake, Lost, Opened, Reset, way_key
from ..decode.wire import Tape
from ..frames import unpacked
from ..model import Context, Expect, FrameRef, Gap, Inner, Message, Packet, Secrets, Skip, Switch
from .passing import Stretch
from .recognition import Recogniser

TRIES = 32                  # segments of a stream seen from the middle, before it is given up
HEAD = 4096                 # octets of a stream that are kept while nobody recognises it
TAPE_LIMIT = 16 << 20       # unread octets of one direction
_KINDS = {"syn": "tcp.syn", "syn_ack": "tcp.syn_ack", "refused": "tcp.refused"}      # of messages, by Handshake.what
# what may begin behind words that nobody reads, and how
_BEHIND = {"tls": re.compile(b"\x16\x03"), "http": re.compile(rb"[A-Z-]{3,12} \S+ HTTP/1\.[01]\r?\n")}


class Streams:
    """All TCP connections of one tap. What is found in them goes to `found`, in order."""

    def __init__(self, recogniser: Recogniser, secrets: Secrets | None, identifier: Callable[[], int],
                 found: Callable[[Any], None], gaps: list[Gap], undecoded: Counter[str], bypass: Bypass):
        self._recogniser, self._secrets, self._identifier = recogniser, secrets, identifier
        self._found, self._gaps, self._undecoded, self._bypass = found, gaps, undecoded, bypass
        self._connections = Connections(self._bytes, unpacked)
        self._streams: dict[int, _Stream] = {}
        self._expected: dict[tuple[str, int | None], Expect] = {}
        self._passing: dict[tuple, _Stream] = {}             # by direction, those of which octets pass by
        self._begun: list[_Stream] = []                      # of which octets shall pass by from the next segment on
        self._events: dict[type, Callable[[Any], None]] = {
            Data: lambda event: self._bytes(*event), Opened: self._opened, Handshake: self._handshake, Lost: self._hole,
            Finished: self._ended, Reset: self._ended}

    def segment(self, packet: Packet) -> None:
        passing = self._passing.get(way_key(packet)) if self._passing else None
        if passing is not None:
            self._settle_passing(passing)
        for event in self._connections.segment(packet):
            self._events[type(event)](event)
        if passing is not None:
            self._aim(passing)
        if self._begun:
            self._begin_passing()

    def expect(self, item: Expect) -> None:
        """A connection that another one announced."""
        self._expected[item.endpoint.address, item.endpoint.port] = item

    def expire(self, now: int) -> None:
        """Lets go of what has been silent for long, so that memory grows only with what is under way."""
        passing = [stream for stream in dict.fromkeys(self._passing.values()) if stream.passing.busy]
        for stream in passing:
            self._settle_passing(stream)
        for event in self._connections.expire(now):
            self._events[type(event)](event)
        for number, stream in list(self._streams.items()):
            if stream.connection.closed:
                self._close(stream)
                del self._streams[number]
        for stream in passing:
            self._aim(stream)

    def finish(self) -> None:
        for stream in dict.fromkeys(self._passing.values()):
            self._settle_passing(stream)
        for event in self._connections.finish():
            self._events[type(event)](event)
        for stream in list(self._streams.values()):
            self._close(stream)
        self._streams.clear()
        self._events.clear()
        del self._connections

    # ------------------------------------------------------------------------------------------ what happens to
    # connections

    def _opened(self, event: Opened) -> None:
        connection = event.connection
        ends = (connection.client, connection.server)
        context = Context(event.time, (event.ref,), *ends, connection.layers, self._identifier(),
                          secrets=self._secrets)
        stream = self._streams[connection.id] = _Stream(context, connection, midway=connection.opened_midway)
        forced = self._recogniser.forced("tcp", (connection.server.port, connection.client.port))
        if forced is not None:
            stream.conversation = forced.Conversation(context)
        stream.expected = self._expected.pop((connection.server.address, connection.server.port), None)
        if stream.expected is not None:
            stream.data_connection = decode.decoder("ftp").DataConversation(context.within("ftp"), stream.expected.note)

    def _handshake(self, event: Handshake) -> None:
        self._tell(event, _KINDS[event.what], 0 if event.what == "syn" else 1, event.sequence)

    def _bytes(self, connection: Connection, side: int, data: bytes, ref: FrameRef, time: int) -> None:
        stream = self._streams.get(connection.id)
        if stream is not None and not stream.given_up:
            stream.last = time
            self._data(stream, side, data, ref, time)

    def _hole(self, event: Lost) -> None:
        stream = self._streams.get(event.connection.id)
        since = stream.last if stream else event.time      # the hole opened after the last bytes and was noticed now
        ends = (event.connection.client, event.connection.server)
        what = f"{event.size} octets from {ends[event.side]} to {ends[1 - event.side]} (TCP) are not in the capture"
        self._gaps.append(Gap(min(since, event.time), event.time, what, stream.context.stream if stream else None))
        if stream is not None and not stream.given_up:
            self._lost(stream, event.side, event.size)

    def _ended(self, event: Finished | Reset) -> None:
        stream = self._streams.get(event.connection.id)
        if stream is not None:
            shown = isinstance(event, Finished) or event.whole
            for side in (0, 1) if isinstance(event, Reset) else (event.side,):
                self._end_side(stream, side, (event.time, event.ref) if shown and side == event.side else None)
        self._tell(event, "tcp.reset" if isinstance(event, Reset) else "tcp.fin", event.side, None)
        if stream is not None and len(stream.ended) == 2:
            self._close(stream)
            self._streams.pop(event.connection.id, None)

    def _tell(self, event: Handshake | Finished | Reset, kind: str, side: int, sequence: int | None) -> None:
        connection = event.connection
        stream = self._streams.get(connection.id)
        ends = (connection.client, connection.server)
        self._found(Message(kind, event.time, (event.ref,), ends[side], ends[1 - side],
                            stream.context.stream if stream else 0, connection.layers, {"sequence": sequence}))

    # ------------------------------------------------------------------------------------------ what passes by

    def _begin_passing(self) -> None:
        for stream in self._begun:
            if stream.passing is None:
                stream.passing = Stretch(self._bypass, stream.connection)
                for key in stream.connection.keys:
                    self._passing[key] = stream
            self._aim(stream)
        self._begun.clear()

    def _settle_passing(self, stream: _Stream) -> None:
        stream.passing.settle(lambda side, size, frames, time: self._passed(stream, side, size, frames, time))

    def _passed(self, stream: _Stream, side: int, size: int, frames: Sequence[FrameRef], time: int) -> None:
        if not stream.given_up:
            stream.last = max(stream.last, time)
            stream.skip[side] -= size
            stream.conversation.skipped(side, size, frames, time)

    def _aim(self, stream: _Stream) -> None:
        if not stream.passing.aim(stream.skip):
            self._end_passing(stream)

    def _end_passing(self, stream: _Stream) -> None:
        stream.passing.close()
        for key in stream.connection.keys:
            if self._passing.get(key) is stream:
                del self._passing[key]

    # ------------------------------------------------------------------------------------------ bytes to decoders

    def _data(self, stream: _Stream, side: int, data: bytes, ref: FrameRef, time: int,
              earlier: tuple[FrameRef, ...] = ()) -> None:
        if stream.skip[side]:
            size = min(len(data), stream.skip[side])
            stream.skip[side] -= size
            stream.conversation.skipped(side, size, (*earlier, ref), time)
            data = data[size:]
            if not data:
                return
        if not stream.tapes:
            stream.begin()
        tape = stream.tapes[side]
        tape.append(data, ref, time, earlier)
        if stream.data_connection is not None and not stream.opened_inside:
            shadow = stream.shadows[side]
            shadow.append(data, ref, time, earlier)
            stream.held += stream.data_connection.feed(side, shadow)
        if stream.conversation is not None:
            self._feed(stream, side)
        elif self._settle(stream, side, len(data)):
            for other in (0, 1):
                self._feed(stream, other)

    def _settle(self, stream: _Stream, side: int, fresh: int) -> bool:
        """Decides, if the first bytes allow it, which protocol this stream speaks; `fresh` octets of them just came."""
        tape = stream.tapes[side]
        module = (self._recogniser.stream(bytes(tape.data[:HEAD]), stream.ports)
                  or self._begun_behind(stream, side, len(tape) - fresh))
        if module is not None:
            stream.conversation = module.Conversation(stream.context)
            return True
        stream.tries += 1
        if stream.midway:
            tape.skip(len(tape))       # the next segment may begin a message
        if stream.tries >= TRIES or len(tape) >= HEAD:
            self._give_up(stream)
        return False

    def _begun_behind(self, stream: _Stream, side: int, at: int) -> ModuleType | None:
        """A protocol may begin behind words of one that nobody here reads: STARTTLS of SMTP, MySQL or LDAP, SOCKS."""
        tape, other = stream.tapes[side], stream.tapes[1 - side]
        head = bytes(tape.data[at:at + HEAD]) if at else b""
        for name, opening in _BEHIND.items():
            module = decode.decoder(name)
            if opening.match(head) and module.likely(head, stream.ports):
                tape.skip(at)
                other.skip(len(other))
                return module
        return None

    def _give_up(self, stream: _Stream) -> None:
        stream.given_up = stream.data_connection is None
        for tape in stream.tapes:
            tape.skip(len(tape))
        if stream.connection is not None and stream.given_up:
            stream.connection.dropped = True
            self._begun.append(stream)
            self._undecoded[f"tcp/{stream.context.dst.port}"] += 1

    def _feed(self, stream: _Stream, side: int) -> None:
        tape = stream.tapes[side]
        while tape.data and (stream.conversation is not None or self._settle(stream, side, len(tape))):
            speaker = stream.conversation
            self._take(speaker.feed(side, tape), stream)
            if stream.conversation is speaker:
                break
        if (size := len(tape.data)) > TAPE_LIMIT:
            tape.skip(size)
            self._lost(stream, side, size)

    def _lost(self, stream: _Stream, side: int, size: int) -> None:
        stream.skip[side] = 0                      # whether more of it is unwanted has to be said anew
        if stream.conversation is None:
            stream.midway = True
        else:
            self._take(stream.conversation.lost(side, size), stream)
        if stream.tapes:
            tape = stream.tapes[side]
            tape.skip(len(tape))

    def _end_side(self, stream: _Stream, side: int, closed: tuple[int, FrameRef] | None = None) -> None:
        """No more of this side comes: where its sender said so, `closed` is when and with which frame."""
        if side in stream.ended:
            return
        stream.ended += (side,)
        if stream.tapes:
            stream.tapes[side].closed = closed
        if stream.conversation is not None:
            self._take(stream.conversation.end(side), stream)
        if stream.inner is not None:
            self._end_side(stream.inner, side, closed)
        if stream.data_connection is not None:
            stream.held += stream.data_connection.end(side)

    def _close(self, stream: _Stream) -> None:
        for side in (0, 1):
            self._end_side(stream, side)
        if stream.held and not stream.opened_inside:
            held, stream.held = stream.held, []
            self._take(held, stream)
        if stream.passing is not None:
            self._end_passing(stream)

    # ------------------------------------------------------------------------------------------ what decoders give

    def _take(self, items: Iterable[Any] | None, stream: _Stream) -> None:
        for item in items or ():
            kind = type(item)
            if kind is Inner:
                self._inner(stream, item)
            elif kind is Skip:
                self._skip(stream, item)
            elif kind is Switch:
                module = decode.decoder(item.protocol) if item.protocol else None
                stream.conversation = module.Conversation(stream.context) if module else None
                stream.skip = [0, 0]
            else:
                self._found(item)

    def _skip(self, stream: _Stream, item: Skip) -> None:
        if stream.data_connection is not None:     # who counts a data connection wants to see all of it
            return
        stream.skip[item.side] = item.octets
        if stream.connection is not None:
            self._begun.append(stream)

    def _inner(self, stream: _Stream, item: Inner) -> None:
        if stream.inner is None:
            ends = (stream.context.src, stream.context.dst)
            context = item.context.but(src=ends[0], dst=ends[1], exchange=None)
            stream.inner = _Stream(context, None, midway=stream.midway)
            if stream.expected is not None:
                stream.opened_inside = True
                stream.inner.conversation = decode.decoder("ftp").DataConversation(context, stream.expected.note)
        if item.context.missing and not item.data:            # a hole in the sealed stream is one in the clear one
            self._lost(stream.inner, item.side, item.context.missing)
        elif not stream.inner.given_up:
            frames = item.context.frames
            self._data(stream.inner, item.side, item.data, frames[-1], item.context.time, frames[:-1])


class _Stream:
    """One TCP connection, or the clear stream inside a TLS one (then `connection` is None)."""

    __slots__ = ("context", "connection", "tapes", "conversation", "tries", "midway", "given_up", "ended", "inner",
                 "expected", "data_connection", "shadows", "held", "opened_inside", "last", "ports", "skip", "passing")

    def __init__(self, context: Context, connection: Any, midway: bool):
        self.context, self.connection, self.midway = context, connection, midway
        self.ports = (context.src.port, context.dst.port)
        # of both sides, from the first octets on: most SYNs of a scan have none
        self.tapes: tuple[Tape, ...] = ()
        self.shadows: tuple[Tape, ...] = ()        # the same once more, for who counts a data connection
        self.conversation: Any = None
        self.inner: _Stream | None = None
        self.expected: Expect | None = None
        self.data_connection: Any = None
        self.held: list[Any] = []
        self.opened_inside = False
        self.skip = [0, 0]                         # octets of each side that its decoder left out
        self.passing: Stretch | None = None
        self.last = context.time
        self.tries, self.given_up = 0, False
        self.ended: tuple[int, ...] = ()           # sides

    def begin(self) -> None:
        back = self.context.but(src=self.context.dst, dst=self.context.src)
        self.tapes = (Tape(self.context), Tape(back))
        if self.data_connection is not None:
            self.shadows = (Tape(self.context), Tape(back))
