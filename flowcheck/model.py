"""The types that travel from a capture to a verdict. Imports nothing of ours but `frames` and `sealed`.

    Frame -> Packet -> (Tape) -> Message -> Timeline -> Attempt -> Finding -> Result

Times are integer nanoseconds since 1970-01-01 UTC and are formatted only in the report. Everything is frozen and
sequences are tuples, so that a stage can be tested with literals and no later stage can change what an earlier one saw.
Per-packet types are named tuples, because hundreds of thousands of them are made; the rest are slotted dataclasses,
those made for every message or step `sealed` ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from sys import intern
from typing import Any, NamedTuple, Protocol, Self

from .frames import FrameRef, Frames, compact
from .frames import frames_filter as frames_filter          # what is seen of it everywhere
from .sealed import sealed


@lru_cache(maxsize=4096)
def _protocol_of(kind: str) -> str:
    return kind.partition(".")[0]


@lru_cache(maxsize=4096)
def upon(layers: tuple[str, ...], layer: str) -> tuple[str, ...]:
    """These layers with one more on top: the same tuple for all traffic of that kind."""
    return *layers, layer


# ---------------------------------------------------------------------------------------------------- capture

class Frame(NamedTuple):
    """One captured packet as the file holds it."""

    number: int            # as Wireshark shows it: 1-based count of the file's packets
    time: int
    link: int              # LINKTYPE_ value of the interface it was seen on
    data: bytes
    original_length: int   # octets on the wire; more than len(data) where the capture cut the packet
    interface: int = 0     # index within the file (pcapng); 0 in a pcap


class Endpoint(NamedTuple):
    address: str
    port: int | None = None

    def __str__(self) -> str:
        if self.port is None:
            return self.address
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class Packet(NamedTuple):
    """One whole IP datagram (fragments joined), the tunnels around it already taken off."""

    time: int
    frames: tuple[int, ...]       # numbers of the frames that carried it, the completing one last
    interface: int
    layers: tuple[str, ...]       # outermost first: ("eth", "vlan", "ip", "gre", "ip")
    src: str
    dst: str
    protocol: int                 # IANA protocol number of `data`
    data: bytes
    missing: int = 0              # octets of `data` that the capture does not hold (snap length)
    identification: int = -1      # IPv4 identification, -1 where there is none


class Problem(NamedTuple):
    """A peer broke its protocol: where in the message, and how. It is reported, never raised."""

    offset: int
    text: str


# ---------------------------------------------------------------------------------------------------- decode

@sealed
class Context:
    """Where some bytes come from. A decoder reads it and copies it into the messages it makes."""

    time: int                             # when the last of the bytes arrived
    frames: tuple[FrameRef, ...]          # which frames carried them, the completing one last
    src: Endpoint
    dst: Endpoint
    layers: tuple[str, ...] = ()
    stream: int = 0                       # identifies the UDP flow, TCP connection or SCTP association
    missing: int = 0                      # octets cut from the end by the snap length
    exchange: int | None = None           # number of the HTTP exchange that carries the bytes, in its stream
    # what the carrying protocol says: content type, path, PPID
    carrier: Mapping[str, Any] = field(default_factory=dict)
    secrets: Secrets | None = None

    def message(self, kind: str, fields: Mapping[str, Any], problems: tuple[Problem, ...] = (), *,
                incomplete: bool = False) -> Message:
        """A Message of these bytes. `incomplete` marks one whose end the capture does not hold."""
        return Message(intern(kind), self.time, compact(self.frames), self.src, self.dst, self.stream, self.layers, fields,
                       self.exchange, None, None, (), 0, tuple(problems), incomplete)

    def within(self, layer: str, **changes: Any) -> Context:
        """The same place one layer further in."""
        return self.but(layers=upon(self.layers, layer), **changes)

    def but(self, **changes: Any) -> Self: ...            # see `sealed`


@sealed
class Message:
    """One protocol message: `kind` is `protocol.message`, `fields` use the names of the protocol's specification."""

    kind: str
    time: int
    frames: Frames                        # a tuple, or a FrameRun of very many
    src: Endpoint
    dst: Endpoint
    stream: int = 0
    layers: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    exchange: int | None = None
    transaction: int | None = None        # set by session/transactions.py; a request and its answer share one
    answers: int | None = None            # transaction that this message completes
    copies: tuple[FrameRef, ...] = ()     # the same message again: retransmissions, other taps
    repeats: int = 0                      # how often its sender had to send it again
    problems: tuple[Problem, ...] = ()
    incomplete: bool = False
    session: int | None = None            # CWMP session, numbered per observation

    @property
    def protocol(self) -> str:
        return _protocol_of(self.kind)

    def adding(self, **more: Any) -> Self:
        """The same with more fields."""
        return self.but(fields={**self.fields, **more})

    def but(self, **changes: Any) -> Self: ...            # see `sealed`


class Payload(NamedTuple):
    """Bytes that one protocol carries for another: an HTTP body, an SCTP user message, an opened ESP packet.

    `protocol` names the decoder that shall read them (`cwmp`, `hnbap`), `ip` for a whole IP packet, or is empty:
    then the decoders are asked which of them recognises the bytes.
    """

    protocol: str
    data: bytes
    context: Context


class Inner(NamedTuple):
    """In-order bytes of a stream that a stream carries (TLS application data); decoded as a stream of its own."""

    side: int
    data: bytes
    context: Context


class Switch(NamedTuple):
    """From the next byte on this stream speaks another protocol (FTP `AUTH TLS`, HTTP `CONNECT`)."""

    protocol: str


class Skip(NamedTuple):
    """The decoder of a stream wants none of the next octets of `side`, only their number, frames and time.

    Instead of being fed they may be told to its `skipped(side, size, frames, time)`, in as many parts as there are.
    """

    side: int
    octets: int


class Steady(NamedTuple):
    """What a decoder expects of the next packet of ESP if it is to be counted only. It is told to its `passed`."""

    spi: bytes
    sequence: int             # of the next packet
    last: int                 # time of the latest packet
    quiet: int                # ns that may lie between two packets
    holes: bool               # may numbers be left out, which then are counted only?


class Expect(NamedTuple):
    """A connection to `endpoint` announced in another one (FTP passive mode): it speaks `protocol`."""

    endpoint: Endpoint
    protocol: str
    note: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Opaque:
    """Traffic that is there and cannot be read: ESP without keys, TLS application data, an unknown protocol."""

    kind: str                             # "esp", "tls", "ssh", "unknown"
    start: int
    end: int
    src: Endpoint
    dst: Endpoint
    layers: tuple[str, ...] = ()
    packets: int = 0
    size: int = 0                         # octets
    stream: int = 0
    frames: tuple[FrameRef, ...] = ()     # first and last
    fields: Mapping[str, Any] = field(default_factory=dict)   # spi, lowest and highest sequence number, ...


class Secrets(Protocol):
    """What the key ring can open. Implemented in decrypt/; a decoder that meets sealed bytes asks it."""

    def learn(self, message: Message) -> None: ...        # an IKE message: SPIs, suites and nonces of the SAs to come
    def open_ike(self, header: bytes, message: bytes) -> Any: ...
    def open_esp(self, src: str, dst: str, data: bytes) -> Any: ...
    def open_tls(self, client_random: bytes, server_random: bytes, version: int, cipher_suite: int) -> Any: ...


# ---------------------------------------------------------------------------------------------------- session

@dataclass(frozen=True, slots=True)
class Gap:
    """Time in which packets are known to be missing from the capture, and how that is known."""

    start: int
    end: int
    reason: str
    stream: int | None = None
    capture: int | None = None


class Link(NamedTuple):
    """Two things that are one device's, and how that is known: an address, an IKE SA, a serial number, a MAC."""

    one: str
    other: str
    why: str
    frames: tuple[FrameRef, ...] = ()     # what shows it
    since: int | None = None              # when it showed first
    until: int | None = None              # when it ceased to hold, None where nothing in the capture ended it


class Limit(NamedTuple):
    """Something that limits what a capture can show, and which verdicts it touches."""

    text: str
    capture: int                            # index of the capture
    start: int | None = None                # None: from its beginning
    end: int | None = None
    hosts: frozenset[str] = frozenset()     # whose traffic it is about; empty for all
    own: bool = True                        # False: a verdict names what is behind it (its own gaps) instead


@dataclass(frozen=True, slots=True)
class Device:
    """One HNB, HeNB, UE or M2ME. `identity` keys are those of the JSON contract (`oui`, `serial_number`, `imsi`, ...)."""

    id: str
    identity: Mapping[str, str]
    addresses: tuple[str, ...]
    evidence: tuple[str, ...] = ()        # one sentence each: why these addresses are this device
    outer: tuple[str, ...] = ()           # those of the addresses its IPsec tunnels run from
    assumed: tuple[str, ...] = ()         # joins that no packet proves
    shared: tuple[str, ...] = ()          # those of the addresses that other devices speak from as well
    links: tuple[Link, ...] = ()          # what `evidence` says, each with its frame and the time it holds
    apart: tuple[str, ...] = ()           # what would join it with another device, and why it does not


@dataclass(frozen=True, slots=True)
class Timeline:
    """All that is known of one device, in time order."""

    device: Device
    messages: tuple[Message, ...]
    opaque: tuple[Opaque, ...]
    window: tuple[int, int]               # first and last packet of the observation
    gaps: tuple[Gap, ...] = ()
    # every two addresses the observation saw talking, the device's or not
    links: frozenset[frozenset[str]] = frozenset()
    protocols: frozenset[str] = frozenset()   # every protocol it saw
    unseen: Mapping[str, str] = field(default_factory=dict)   # message kinds that nobody could look for, and why
    # last frame of what one tap saw and another never: both taps
    lost: Mapping[FrameRef, tuple[int, int]] = field(default_factory=dict)
    taps: Mapping[int, str] = field(default_factory=dict)     # their names
    # links with a TCP connection of which the capture has the beginning alone
    torn: frozenset[frozenset[str]] = frozenset()
    nobodys: frozenset[str] = frozenset()  # protocols spoken at its shared addresses by who knows whom


# ---------------------------------------------------------------------------------------------------- verdict

PASS, INCONCLUSIVE, FAIL = "pass", "inconclusive", "fail"
VERDICTS = (PASS, INCONCLUSIVE, FAIL)     # from best to worst; verdicts combine to the worst
SEVERITIES = ("notice", "warning", "error")
SIDES = ("device", "network", "path", "unknown")
STEP_STATES = ("seen", "refused", "missing", "late", "not_observable", "not_applicable", "unchecked")
FINDING_KINDS = ("missing", "stopped", "refused", "no-answer", "field-absent", "field-wrong", "late", "out-of-order",
                 "unexpected", "wrong-path", "forbidden", "not-started")


@dataclass(frozen=True, slots=True)
class Finding:
    """One deviation. `code` is `procedure/step/kind[:detail]` and never contains a time or a frame number."""

    code: str
    kind: str
    severity: str
    step: str
    cite: str
    clause: str
    frames: tuple[FrameRef, ...]
    expected: str
    observed: str
    hint: str = ""
    side: str = "unknown"
    filter: str = ""                      # a Wireshark display filter that shows the evidence
    repair: str = ""                      # the one message that would have let the procedure go on
    waived: str = ""                      # the site profile's reason, where it waives this finding
    why: str = ""                         # the reason behind it, as far as the capture shows one
    also: str = ""                        # what may have to change instead of the side: "HNB certificate"


@sealed
class StepResult:
    step: str
    cite: str
    state: str
    title: str = ""                       # what the clause asks, in a few words
    frames: tuple[FrameRef, ...] = ()
    time: int | None = None
    reason: str | None = None
    src: str = ""                         # role names, for the ladder
    dst: str = ""
    message: str = ""                     # the message kind the rule waits for


@sealed
class Event:
    """One arrow of the ladder: a message of the attempt as a reader sees it."""

    time: int
    kind: str
    src: str                              # role name where one is known, else the address
    dst: str
    frames: tuple[FrameRef, ...]
    copies: tuple[FrameRef, ...]
    layers: tuple[str, ...]
    summary: str
    fields: Mapping[str, Any]
    step: str | None = None               # the step it was matched with
    finding: str | None = None            # code of a finding about it
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class AttemptResult:
    procedure: str
    title: str
    clause: str                           # "3GPP TS 32.583 5.1.1"
    verdict: str
    started: int
    ended: int
    steps: tuple[StepResult, ...]
    findings: tuple[Finding, ...]
    cause: str | None
    side: str | None
    diagnosis: str                        # one sentence: where it stopped, by whom, in which frame
    assumed: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    roles: tuple[tuple[str, str], ...] = ()   # (role, host) in the order of the ladder
    advice: tuple[str, ...] = ()          # what would decide an inconclusive verdict
    # what is known to limit this verdict: the remarks on the captures that touch it
    limits: tuple[str, ...] = ()


UNKNOWN = "unknown"                     # id of the entry for what belongs to no device


@dataclass(frozen=True, slots=True)
class DeviceResult:
    id: str
    identity: Mapping[str, str]
    addresses: tuple[str, ...]
    attempts: tuple[AttemptResult, ...]
    evidence: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()       # the procedures it still lacks for service, a line each


@dataclass(frozen=True, slots=True)
class CaptureInfo:
    """What one input file is and how far it can be trusted."""

    path: str
    sha256: str
    packets: int
    first: int | None
    last: int | None
    grade: str = "good"                   # good, fair, poor
    remarks: tuple[str, ...] = ()
    undecoded: Mapping[str, int] = field(default_factory=dict)   # "udp/123" -> packets
    format: str = ""
    truncated: bool = False               # ends in the middle of a packet, or was damaged


@dataclass(frozen=True, slots=True)
class Result:
    """Everything a report needs; the JSON of a check holds the same and can be turned back into this."""

    captures: tuple[CaptureInfo, ...]
    devices: tuple[DeviceResult, ...]
    tool: Mapping[str, str]               # version, rules digest, site name
    command: str = ""
    created: int | None = None
    opaque: tuple[Opaque, ...] = ()

    @property
    def known(self) -> tuple[DeviceResult, ...]:
        """The devices without the entry `unknown`, which holds what could not be assigned to any."""
        return tuple(device for device in self.devices if device.id != UNKNOWN)

    @property
    def verdict(self) -> str | None:
        """The worst verdict of all attempts, None where nothing was judged."""
        return worst(a.verdict for d in self.devices for a in d.attempts)


def worst(verdicts: Any) -> str | None:
    return max(verdicts, key=VERDICTS.index, default=None)
