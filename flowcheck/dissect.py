"""One tap's frames become messages: the stretch of the way where capture/ and decode/ meet.

    Frame ─► Packet ─► datagram ───────────────► decoder.decode / Flow ─► Message, Payload, Opaque
                  └──► TCP segment ─► Tape ────► Conversation          ─► Message, Payload, Inner, Opaque

A Payload or Inner goes round again: what ESP, GTP-U, TLS, SCTP or HTTP carries is decoded by the same code as what
comes straight from the wire. Which protocol a flow speaks is decided once, from its first bytes; ports only say whom
to ask first. Traffic nobody recognises is counted and then costs next to nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from struct import unpack_from
from types import ModuleType
from typing import Any

from . import decode
from .capture.network import Network
from .capture.tcp import Connections, Data, Finished, Handshake, Lost, Opened, Reset
from .decode.wire import Tape
from .model import (Context, Endpoint, Expect, Frame, FrameRef, Gap, Inner, Message, Opaque, Packet, Payload, Secrets,
                    Switch)

TRIES = 8                   # datagrams, or segments of a stream seen from the middle, before a flow is given up
HEAD = 4096                 # octets of a stream that are kept while nobody recognises it
EXPIRE_EVERY = 0xFFF        # packets between two looks for silent connections
NESTING = 16                # Payloads within Payloads; deeper ones are an attack
TAPE_LIMIT = 16 << 20       # unread octets of one direction
TAP_SHIFT = 32
CAPTURE_SHIFT = 40          # frame numbers inside a tap carry the capture's index above this bit
_NUMBER = (1 << CAPTURE_SHIFT) - 1
_REINJECTED = {"ip", "eth", "ppp"}
_PROTOCOL_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 50: "esp", 51: "ah", 58: "icmpv6", 132: "sctp"}


class Dissector:
    """All state of one tap. Feed it the frames of its files in order, then call `finish` once."""

    def __init__(self, secrets: Secrets | None = None, decode_as: dict[tuple[str, int], str] | None = None, tap: int = 0):
        self.opaque: list[Opaque] = []
        self.gaps: list[Gap] = []
        self.undecoded: Counter[str] = Counter()
        self.network = Network()
        self._connections = Connections()
        self._secrets = secrets
        self._forced = {key: decode.decoder(name) for key, name in (decode_as or {}).items()}
        self._flows: dict[Any, _Flow] = {}
        self._streams: dict[int, _Stream] = {}
        self._inner_flows: dict[tuple[int, str], Any] = {}
        self._expected: dict[tuple[str, int], Expect] = {}
        self._next_id = (tap << TAP_SHIFT) + 1         # stream numbers are unique within the observation
        self._by_port, self._datagram, self._stream_modules, self._by_protocol = _tables()
        self._payloads = decode.payload_decoders()
        self._depth = 0
        self._count = 0

    # ------------------------------------------------------------------------------------------ from the wire

    def frame(self, frame: Frame, capture: int = 0) -> Iterator[Message]:
        """Messages that this frame completes. `capture` is the index of its file in the observation."""
        if capture:
            frame = frame._replace(number=frame.number | capture << CAPTURE_SHIFT)
        for packet in self.network.packets(frame):
            yield from self._packet(packet)
        self._count += 1
        if not self._count & EXPIRE_EVERY:
            yield from self._expire(frame.time)

    def finish(self) -> Iterator[Message]:
        """What was still under way when the capture ended."""
        for event in self._connections.finish():
            yield from self._event(event)
        for stream in list(self._streams.values()):
            yield from self._close_stream(stream)
        for flow in self._flows.values():
            yield from self._close_flow(flow)
        for inner in self._inner_flows.values():
            yield from self._items(inner.end(), None)
        self._streams.clear()
        self._flows.clear()
        self._inner_flows.clear()

    def _expire(self, now: int) -> Iterator[Message]:
        """Lets go of what has been silent for long, so that memory grows only with what is under way."""
        for event in self._connections.expire(now):
            yield from self._event(event)
        for number, stream in list(self._streams.items()):
            if stream.connection.closed:
                yield from self._close_stream(stream)
                del self._streams[number]

    def _packet(self, packet: Packet) -> Iterator[Message]:
        protocol = packet.protocol
        if protocol == 17:
            yield from self._udp(packet)
        elif protocol == 6:
            for event in self._connections.segment(packet, _refs(packet.frames)):
                yield from self._event(event)
        elif protocol in self._by_protocol:
            module = self._by_protocol[protocol]
            # an SCTP association may use several addresses (RFC 9260 6.4), so its decoder sees the traffic of all hosts
            key = (protocol,) if protocol == 132 else (protocol, *sorted((packet.src, packet.dst)))
            flow = self._flows.get(key)
            if flow is None:
                flow = self._flows[key] = _Flow(self._identifier(), module)
            name = _PROTOCOL_NAMES.get(protocol)
            context = Context(packet.time, _refs(packet.frames), Endpoint(packet.src), Endpoint(packet.dst),
                              (*packet.layers, name) if name else packet.layers, flow.id, packet.missing,
                              secrets=self._secrets)
            yield from self._datagram_items(flow, packet.data, context)
        else:
            self.undecoded[f"ip/{protocol}" if protocol < 0x10000 else f"ethertype/0x{protocol - 0x10000:04x}"] += 1

    def _udp(self, packet: Packet) -> Iterator[Message]:
        data = packet.data
        if len(data) < 8:
            self.undecoded["udp/cut"] += 1
            return
        sport, dport, length, _ = unpack_from(">HHHH", data)
        payload = data[8:length] if 8 <= length < len(data) else data[8:]
        missing = packet.missing if length == 0 else max(0, length - len(data))
        src, dst = packet.src, packet.dst
        key = (src, sport, dst, dport) if (src, sport) <= (dst, dport) else (dst, dport, src, sport)
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = _Flow(self._identifier(), self._forced.get(("udp", sport)) or self._forced.get(("udp", dport)))
        if flow.module is None:
            if flow.tries >= TRIES:
                self.undecoded[flow.label] += 1
                return
            flow.module = self._recognise(payload, (sport, dport), self._datagram)
            if flow.module is None:
                if payload:
                    flow.tries += 1
                flow.label = f"udp/{min(sport, dport)}"
                self.undecoded[flow.label] += 1
                return
        context = Context(packet.time, _refs(packet.frames), Endpoint(src, sport), Endpoint(dst, dport),
                          (*packet.layers, "udp"), flow.id, missing, secrets=self._secrets)
        yield from self._datagram_items(flow, payload, context)

    def _datagram_items(self, flow: _Flow, data: bytes, context: Context) -> Iterator[Message]:
        module = flow.module
        if flow.state is None and hasattr(module, "Flow"):
            flow.state = module.Flow(context)
        items = flow.state.datagram(data, context) if flow.state is not None else module.decode(data, context)
        yield from self._items(items, None)

    def _close_flow(self, flow: _Flow) -> Iterator[Message]:
        if flow.state is not None:
            yield from self._items(flow.state.end(), None)

    # ------------------------------------------------------------------------------------------ TCP

    def _event(self, event: Any) -> Iterator[Message]:
        connection = event.connection
        if isinstance(event, Data):
            stream = self._streams.get(connection.id)
            if stream is not None and not stream.given_up:
                stream.last = event.time
                yield from self._data(stream, event.side, event.data, event.ref, event.time)
        elif isinstance(event, Opened):
            self._streams[connection.id] = self._open_stream(event)
        elif isinstance(event, Handshake):
            yield self._connection_message(event, "tcp." + event.what)
        elif isinstance(event, Lost):
            stream = self._streams.get(connection.id)
            since = stream.last if stream else event.time      # the hole opened after the last bytes and was noticed now
            self.gaps.append(Gap(min(since, event.time), event.time, f"{event.size} octets of a TCP stream are not in the capture",
                                 stream.context.stream if stream else None))
            if stream is not None and not stream.given_up:
                yield from self._lost(stream, event.side, event.size)
        elif isinstance(event, (Finished, Reset)):
            stream = self._streams.get(connection.id)
            if stream is not None:
                sides = (0, 1) if isinstance(event, Reset) else (event.side,)
                for side in sides:
                    yield from self._end_side(stream, side)
            yield self._connection_message(event, "tcp.reset" if isinstance(event, Reset) else "tcp.fin")
            if stream is not None and stream.ended == {0, 1}:
                yield from self._close_stream(stream)
                self._streams.pop(connection.id, None)

    def _open_stream(self, event: Opened) -> _Stream:
        connection = event.connection
        ends = (connection.client, connection.server)
        context = Context(event.time, (event.ref,), *ends, tuple(connection.layers), self._identifier(), secrets=self._secrets)
        stream = _Stream(context, connection, midway=connection.opened_midway)
        forced = self._forced.get(("tcp", connection.server.port)) or self._forced.get(("tcp", connection.client.port))
        if forced is not None:
            stream.conversation = forced.Conversation(context)
        stream.expected = self._expected.pop((connection.server.address, connection.server.port), None)
        if stream.expected is not None:
            stream.data_connection = decode.decoder("ftp").DataConversation(context.within("ftp"), stream.expected.note)
        return stream

    def _connection_message(self, event: Any, kind: str) -> Message:
        connection = event.connection
        stream = self._streams.get(connection.id)
        side = getattr(event, "side", 0 if kind == "tcp.syn" else 1)
        ends = (connection.client, connection.server)
        fields = {"sequence": getattr(event, "sequence", None)}
        return Message(kind, event.time, (event.ref,), ends[side], ends[1 - side],
                       stream.context.stream if stream else 0, tuple(connection.layers), fields)

    def _data(self, stream: _Stream, side: int, data: bytes, ref: FrameRef, time: int,
              earlier: tuple[FrameRef, ...] = ()) -> Iterator[Message]:
        tape = stream.tapes[side]
        tape.append(data, ref, time, earlier)
        if stream.data_connection is not None and not stream.opened_inside:
            shadow = stream.shadows[side]
            shadow.append(data, ref, time, earlier)
            stream.held += list(stream.data_connection.feed(side, shadow))
        if stream.conversation is None:
            if not self._settle(stream, side) and not self._begins_tls(stream, side, data):
                return
            for other in (0, 1):
                yield from self._feed(stream, other)
        else:
            yield from self._feed(stream, side)

    def _settle(self, stream: _Stream, side: int) -> bool:
        """Decides, if the first bytes allow it, which protocol this stream speaks."""
        tape = stream.tapes[side]
        head = bytes(tape.data[:HEAD])
        ports = (stream.context.src.port, stream.context.dst.port)
        module = self._recognise(head, ports, self._stream_modules)
        if module is not None:
            stream.conversation = module.Conversation(stream.context)
            return True
        stream.tries += 1
        if stream.midway:
            tape.skip(len(tape))       # the next segment may begin a message
        if stream.tries >= 4 * TRIES or len(tape) >= HEAD:
            self._give_up(stream)
        return False

    def _begins_tls(self, stream: _Stream, side: int, data: bytes) -> bool:
        """TLS may begin behind words of a protocol nobody here reads (STARTTLS of SMTP, MySQL, LDAP)."""
        module = decode.decoder("tls")
        ports = (stream.context.src.port, stream.context.dst.port)
        if stream.given_up or data[:1] != b"\x16" or not module.likely(data[:HEAD], ports):
            return False
        stream.conversation = module.Conversation(stream.context)
        stream.tapes[side].skip(len(stream.tapes[side]) - len(data))
        other = stream.tapes[1 - side]
        other.skip(len(other))
        return True

    def _give_up(self, stream: _Stream) -> None:
        stream.given_up = stream.data_connection is None
        for tape in stream.tapes:
            tape.skip(len(tape))
        if stream.connection is not None and stream.given_up:
            stream.connection.dropped = True
            self.undecoded[f"tcp/{stream.context.dst.port}"] += 1

    def _feed(self, stream: _Stream, side: int) -> Iterator[Message]:
        tape = stream.tapes[side]
        while tape:
            before, speaker = len(tape), stream.conversation
            yield from self._items(speaker.feed(side, tape), stream)
            if stream.conversation is speaker or len(tape) == before and stream.conversation is None:
                break
        if len(tape) > TAPE_LIMIT:
            size = len(tape)
            tape.skip(size)
            yield from self._lost(stream, side, size)

    def _lost(self, stream: _Stream, side: int, size: int) -> Iterator[Message]:
        if stream.conversation is None:
            stream.midway = True
            stream.tapes[side].skip(len(stream.tapes[side]))
            return
        yield from self._items(stream.conversation.lost(side, size), stream)
        stream.tapes[side].skip(len(stream.tapes[side]))

    def _end_side(self, stream: _Stream, side: int) -> Iterator[Message]:
        if side in stream.ended:
            return
        stream.ended.add(side)
        if stream.conversation is not None:
            yield from self._items(stream.conversation.end(side), stream)
        if stream.inner is not None:
            yield from self._end_side(stream.inner, side)
        if stream.data_connection is not None:
            stream.held += list(stream.data_connection.end(side))

    def _close_stream(self, stream: _Stream) -> Iterator[Message]:
        for side in (0, 1):
            yield from self._end_side(stream, side)
        if stream.held and not stream.opened_inside:
            yield from self._items(stream.held, stream)
            stream.held = []

    # ------------------------------------------------------------------------------------------ what decoders give

    def _items(self, items: Any, stream: _Stream | None) -> Iterator[Message]:
        for item in items or ():
            if isinstance(item, Message):
                yield item
            elif isinstance(item, Payload):
                yield from self._payload(item)
            elif isinstance(item, Opaque):
                self.opaque.append(item)
            elif isinstance(item, Gap):
                self.gaps.append(item)
            elif isinstance(item, Expect):
                self._expected[(item.endpoint.address, item.endpoint.port)] = item
            elif isinstance(item, Inner) and stream is not None:
                yield from self._inner(stream, item)
            elif isinstance(item, Switch) and stream is not None:
                stream.conversation = decode.decoder(item.protocol).Conversation(stream.context) if item.protocol else None

    def _inner(self, stream: _Stream, item: Inner) -> Iterator[Message]:
        if stream.inner is None:
            ends = (stream.context.src, stream.context.dst)
            context = replace(item.context, src=ends[0], dst=ends[1], exchange=None)
            stream.inner = _Stream(context, None, midway=stream.midway)
            if stream.expected is not None:
                stream.opened_inside = True
                stream.inner.conversation = decode.decoder("ftp").DataConversation(context, stream.expected.note)
        if item.context.missing and not item.data:            # a hole in the sealed stream is one in the clear one
            yield from self._lost(stream.inner, item.side, item.context.missing)
            return
        if stream.inner.given_up:
            return
        frames = item.context.frames
        yield from self._data(stream.inner, item.side, item.data, frames[-1], item.context.time, frames[:-1])

    def _payload(self, item: Payload) -> Iterator[Message]:
        if self._depth >= NESTING:
            return
        self._depth += 1
        try:
            context = item.context
            if item.protocol in _REINJECTED:
                numbers = tuple(ref.number | ref.capture << CAPTURE_SHIFT for ref in context.frames)
                for packet in self.network.inner(item.protocol, item.data, context.time, numbers, 0, context.layers, context.missing):
                    yield from self._packet(packet)
                return
            if item.protocol.startswith("transport:"):          # ESP in transport mode: no IP header inside
                numbers = tuple(ref.number | ref.capture << CAPTURE_SHIFT for ref in context.frames)
                yield from self._packet(Packet(context.time, numbers, 0, context.layers, context.src.address,
                                               context.dst.address, int(item.protocol[10:]), item.data, context.missing))
                return
            module = self._payloads.get(item.protocol)
            if module is None and not item.protocol:
                ports = (context.src.port or 0, context.dst.port or 0)
                module = self._recognise(item.data, ports, self._datagram)
            if module is None:
                return
            if hasattr(module, "Flow"):
                key = (context.stream, module.__name__)
                state = self._inner_flows.get(key)
                if state is None:
                    state = self._inner_flows[key] = module.Flow(context)
                yield from self._items(state.datagram(item.data, context), None)
            elif hasattr(module, "decode"):
                yield from self._items(module.decode(item.data, context), None)
        finally:
            self._depth -= 1

    # ------------------------------------------------------------------------------------------ recognition

    def _recognise(self, head: bytes, ports: tuple[int, int], modules: tuple[ModuleType, ...]) -> ModuleType | None:
        if not head:
            return None
        hinted = [m for port in ports for m in self._by_port.get(port, ()) if m in modules]
        for module in (*hinted, *modules):
            if module.likely(head, ports):
                return module
        return None

    def _identifier(self) -> int:
        self._next_id += 1
        return self._next_id - 1


class _Flow:
    """One UDP flow, or the traffic of one IP protocol between two hosts."""

    __slots__ = ("id", "module", "state", "tries", "label")

    def __init__(self, identifier: int, module: ModuleType | None = None):
        self.id, self.module, self.state, self.tries, self.label = identifier, module, None, 0, ""


class _Stream:
    """One TCP connection, or the clear stream inside a TLS one (then `connection` is None)."""

    __slots__ = ("context", "connection", "tapes", "conversation", "tries", "midway", "given_up", "ended", "inner",
                 "expected", "data_connection", "shadows", "held", "opened_inside", "last")

    def __init__(self, context: Context, connection: Any, midway: bool):
        self.context, self.connection, self.midway = context, connection, midway
        back = replace(context, src=context.dst, dst=context.src)
        self.tapes = (Tape(context), Tape(back))
        self.shadows = (Tape(context), Tape(back))
        self.conversation: Any = None
        self.inner: _Stream | None = None
        self.expected: Expect | None = None
        self.data_connection: Any = None
        self.held: list[Any] = []
        self.opened_inside = False
        self.last = context.time
        self.tries, self.given_up, self.ended = 0, False, set()


def _refs(numbers: tuple[int, ...]) -> tuple[FrameRef, ...]:
    return tuple([FrameRef(number >> CAPTURE_SHIFT, number & _NUMBER) for number in numbers])


def _tables() -> tuple[dict[int, list[ModuleType]], tuple[ModuleType, ...], tuple[ModuleType, ...], dict[int, ModuleType]]:
    by_port: dict[int, list[ModuleType]] = {}
    by_protocol: dict[int, ModuleType] = {}
    modules = decode.decoders()
    for module in modules:
        for port in getattr(module, "PORTS", ()):
            by_port.setdefault(port, []).append(module)
        for number in getattr(module, "PROTOCOLS", ()):
            by_protocol[number] = module
    recognising = [m for m in modules if hasattr(m, "likely")]
    datagram = tuple(m for m in recognising if hasattr(m, "decode") or hasattr(m, "Flow"))
    stream = tuple(m for m in recognising if hasattr(m, "Conversation"))
    return by_port, datagram, stream, by_protocol
