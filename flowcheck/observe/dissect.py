"""One tap's frames become messages: the stretch of the way where capture/ and decode/ meet.

    Frame ─► Packet ─► datagram ──► decoder.decode / Flow ──► Message, Payload, Opaque
                  └──► TCP segment ─► streams.py ───────────► Message, Payload, Opaque

A Payload goes round again: what ESP, GTP-U, TLS, SCTP or HTTP carries is decoded by the same code as what comes straight
from the wire. Which protocol a flow speaks is decided once, from its first bytes (recognition.py). Traffic nobody
recognises is counted and then costs next to nothing.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from struct import Struct
from types import ModuleType
from typing import Any

from ..capture.bypass import Bypass
from ..capture.network import Network
from ..frames import CAPTURE_SHIFT, unpacked
from ..model import Context, Endpoint, Expect, Frame, FrameRef, Gap, Message, Opaque, Packet, Payload, Secrets, upon
from ..shelf import Shelf
from .passing import Sealed, Tunnel, Unread
from .recognition import Recogniser
from .streams import Streams

TRIES = 8                   # datagrams, before a flow is given up
LOOK_EVERY = 4096           # packets between two looks for what is over, those counted that pass by
MOST_FLOWS = 50_000         # more come of scans and floods only
NESTING = 16                # Payloads within Payloads; deeper ones are an attack
TAP_SHIFT = 32
_UDP = Struct("!HHH").unpack_from    # ports, length
_REINJECTED = {"ip", "eth", "ppp"}
_endpoint = lru_cache(maxsize=1 << 14)(Endpoint)     # those of a flow are made once
_new = tuple.__new__        # of a named tuple: its own __new__ costs three times as much
_PROTOCOL_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 50: "esp", 51: "ah", 58: "icmpv6", 132: "sctp"}


class Dissector:
    """All state of one tap. Feed it the frames of its files in order, then call `finish` once; `messages` grows meanwhile.

    `opening` are the packets of its first frames, where somebody has read them already with `network`.
    """

    def __init__(self, secrets: Secrets | None = None, decode_as: dict[tuple[str, int], str] | None = None,
                 tap: int = 0, network: Network | None = None, opening: Sequence[Sequence[Packet]] = ()):
        self.messages = Shelf()
        self.opaque: list[Opaque] = []
        self.gaps: list[Gap] = []
        self.undecoded: Counter[str] = Counter()
        self.network = network or Network()
        self._opening = deque(opening)
        self._packets = self._known if opening else self.network.packets
        self.bypass = Bypass()
        self._scanner = self.bypass.scanner
        self._secrets = secrets
        self._recogniser = Recogniser(decode_as)
        self._streams = Streams(self._recogniser, secrets, self._identifier, self._found, self.gaps, self.undecoded,
                                self.bypass)
        self._flows: dict[Any, _Flow] = {}
        self._most_flows = MOST_FLOWS
        self._inner_flows: dict[tuple[int, str], Any] = {}
        self._unread: dict[Any, Unread] = {}           # flows that were given up
        self._next_id = (tap << TAP_SHIFT) + 1         # stream numbers are unique within the observation
        self._depth = 0
        self._limit = LOOK_EVERY - 1                   # how many may have passed by before the next look
        self._takers: dict[type, Callable[[Any], None]] = {
            Message: self.messages.append, Payload: self._payload, Opaque: self.opaque.append, Gap: self.gaps.append,
            Expect: self._streams.expect}

    # ------------------------------------------------------------------------------------------ from the wire

    def frame(self, frame: Frame, capture: int = 0) -> None:
        """The next frame. `capture` is the index of its file in the observation."""
        for packet in self._packets(numbered(frame, capture) if capture else frame):
            self._packet(packet)
        scanner, self._limit = self._scanner, self._limit - 1
        scanner.limit = self._limit
        if scanner.passed > self._limit:
            scanner.limit = self._limit = self._limit + LOOK_EVERY
            self._look(frame.time)

    def _look(self, now: int) -> None:
        """Lets go of what is over, so that memory grows only with what is under way."""
        self._streams.expire(now)
        self.messages.tidy()
        if len(self._flows) > self._most_flows:
            self._forget_flows()

    def _known(self, frame: Frame) -> Sequence[Packet]:
        """The packets of a frame of the opening."""
        packets = self._opening.popleft()
        if not self._opening:
            self._packets = self.network.packets
        return packets

    def settle(self) -> None:
        """Counts what passed by so far, as far as that is nobody's but the dissector's."""
        for unread in self._unread.values():
            unread.settle(self.undecoded)

    def _forget_flows(self) -> None:
        """Of the flows of which no decoder holds anything, the half that has been silent longest is let go."""
        heard = {key: flow.last for key, flow in self._flows.items() if flow.state is None and flow.passing is None}
        heard |= {key: max(self._flows[key].last, unread.last) for key, unread in self._unread.items()}
        for key in sorted(heard, key=heard.__getitem__)[:len(heard) // 2]:
            del self._flows[key]
            if (unread := self._unread.pop(key, None)) is not None:
                unread.settle(self.undecoded)
                unread.close()
        self._most_flows = max(MOST_FLOWS, 2 * len(self._flows))

    def finish(self) -> None:
        """What was still under way when the capture ended."""
        self.settle()
        self._streams.finish()
        for flow in self._flows.values():
            if flow.state is not None:
                if flow.passing is not None:
                    flow.passing.finish()
                self._take(flow.state.end())
        for inner in self._inner_flows.values():
            self._take(inner.end())
        self._flows.clear()
        self._inner_flows.clear()
        # what leads back here would keep all messages until the next search for cycles
        self._takers.clear()
        del self._streams, self._packets

    def _packet(self, packet: Packet) -> None:
        protocol = packet.protocol
        if protocol == 6:
            self._streams.segment(packet)
        elif protocol == 17:
            self._udp(packet)
        elif protocol in self._recogniser.by_protocol:
            # an SCTP association may use several addresses (RFC 9260 6.4), so its decoder sees the traffic of all hosts
            key = (protocol,) if protocol == 132 else (protocol, *sorted((packet.src, packet.dst)))
            flow = self._flows.get(key)
            if flow is None:
                flow = self._flows[key] = _Flow(self._identifier(), self._recogniser.by_protocol[protocol])
            flow.last = packet.time
            name = _PROTOCOL_NAMES.get(protocol)
            context = Context(packet.time, _refs(packet.frames), _endpoint(packet.src), _endpoint(packet.dst),
                              upon(packet.layers, name) if name else packet.layers, flow.id, packet.missing,
                              secrets=self._secrets)
            self._datagram(flow, packet.data, context)
        else:
            self.undecoded[f"ip/{protocol}" if protocol < 0x10000 else f"ethertype/0x{protocol - 0x10000:04x}"] += 1

    def _udp(self, packet: Packet) -> None:
        time, frames, _, layers, src, dst, _, data, missing, _ = packet
        if len(data) < 8:
            self.undecoded["udp/cut"] += 1
            return
        sport, dport, length = _UDP(data)
        key = (src, sport, dst, dport) if src < dst or src == dst and sport <= dport else (dst, dport, src, sport)
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = _Flow(self._identifier(), self._recogniser.forced("udp", (sport, dport)))
        flow.last = time
        if flow.tries >= TRIES:
            self.undecoded[flow.label] += 1
            if flow.passing is None:
                flow.passing = self._unread[key] = Unread(self.bypass, flow.label)
            flow.passing.open(layers, src, dst, data[:4])
            return
        payload = data[8:length] if 8 <= length < len(data) else data[8:]
        if flow.module is None:
            flow.module = self._recogniser.datagram(payload, (sport, dport))
            if flow.module is None:
                if payload:
                    flow.tries += 1
                flow.label = f"udp/{min(sport, dport)}"
                self.undecoded[flow.label] += 1
                return
            flow.tries = 0
        if length:
            missing = max(0, length - len(data))
        context = Context(time, _refs(frames), _endpoint(src, sport), _endpoint(dst, dport),
                          upon(layers, "udp"), flow.id,
                          missing, secrets=self._secrets)
        self._datagram(flow, payload, context)
        if _offered(flow.module, "TUNNEL"):
            if flow.passing is None:
                flow.passing = Tunnel(self.bypass)
            flow.passing.open(layers, src, dst, data[:4])

    def _datagram(self, flow: _Flow, data: bytes, context: Context) -> None:
        state = flow.state
        if state is None:
            make = _offered(flow.module, "Flow")
            if make is None:
                self._take(flow.module.decode(data, context))
                return
            state = flow.state = make(context)
            if hasattr(state, "steady") and not self._secrets:        # keys could open what comes
                flow.passing = Sealed(self.bypass, state)
        passing = flow.passing
        if passing is not None:
            passing.settle(data, context)
        self._take(state.datagram(data, context))
        if passing is not None:
            steady = state.steady(data, context)
            if steady is not None:
                passing.aim(steady, context)

    # ------------------------------------------------------------------------------------------ what decoders give

    def _take(self, items: Iterable[Any] | None) -> None:
        takers = self._takers
        for item in items or ():
            taker = takers.get(type(item))         # Inner and Switch have a meaning in streams only
            if taker is not None:
                taker(item)

    def _found(self, item: Any) -> None:
        taker = self._takers.get(type(item))
        if taker is not None:
            taker(item)

    def _payload(self, item: Payload) -> None:
        if self._depth >= NESTING:
            return
        self._depth += 1
        try:
            self._carried(item.protocol, item.data, item.context)
        finally:
            self._depth -= 1

    def _carried(self, protocol: str, data: bytes, context: Context) -> None:
        if protocol in _REINJECTED:
            for packet in self.network.inner(protocol, data, context.time, _numbers(context), 0, context.layers,
                                             context.missing):
                self._packet(packet)
            return
        if protocol.startswith("transport:"):          # ESP in transport mode: no IP header inside
            self._packet(Packet(context.time, _numbers(context), 0, context.layers, context.src.address,
                                context.dst.address,
                                int(protocol[10:]), data, context.missing))
            return
        module = self._recogniser.payloads.get(protocol)
        if module is None and not protocol:
            module = self._recogniser.datagram(data, (context.src.port or 0, context.dst.port or 0))
        if module is None:
            return
        make, read = _offered(module, "Flow"), _offered(module, "decode")
        if make is not None:
            key = (context.stream, module.__name__)
            state = self._inner_flows.get(key)
            if state is None:
                state = self._inner_flows[key] = make(context)
            self._take(state.datagram(data, context))
        elif read is not None:
            self._take(read(data, context))

    def _identifier(self) -> int:
        self._next_id += 1
        return self._next_id - 1


def numbered(frame: Frame, capture: int) -> Frame:
    """The same with a number that tells also of which capture of the observation it is."""
    return _new(Frame, (frame.number | capture << CAPTURE_SHIFT, *frame[1:])) if capture else frame


class _Flow:
    """One UDP flow, or the traffic of one IP protocol between two hosts."""

    __slots__ = ("id", "module", "state", "tries", "label", "passing", "last")

    def __init__(self, identifier: int, module: ModuleType | None = None):
        self.id, self.module, self.state, self.tries, self.label = identifier, module, None, 0, ""
        self.passing: Any = None         # what becomes of its packets that pass by: Unread, Sealed, Tunnel
        self.last = 0                    # time of the latest packet that took the full way


@lru_cache(maxsize=None)             # a module answers slowly where it has none
def _offered(module: ModuleType, name: str) -> Any:
    """What a decoder has of the optional names; None where it lacks it."""
    return getattr(module, name, None)


def _refs(numbers: tuple[int, ...]) -> tuple[FrameRef, ...]:
    return (unpacked(numbers[0]),) if len(numbers) == 1 else tuple(map(unpacked, numbers))


def _numbers(context: Context) -> tuple[int, ...]:
    return tuple([ref.number | ref.capture << CAPTURE_SHIFT for ref in context.frames])
