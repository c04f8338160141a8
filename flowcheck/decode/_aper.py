"""Aligned PER (ITU-T X.691), as much of it as the signalling protocols of a radio access network are written in.

S1AP, RANAP, RUA and HNBAP share one frame (TS 36.413 9.3, TS 25.413 9.3, TS 25.468 9.3, TS 25.469 9.3): a choice of
initiating message, outcomes, a procedure code, and a list of information elements, each an open type with its id and
length. The frame is walked here, so that a broken or unknown element costs only itself; `Application` says what the
elements of one protocol are. An ASN.1 type is a function from `Bits` to a plain value: `sequence(("lAC", octets(2)))`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any, NamedTuple

from ..model import Context, Message, Payload, Problem
from .wire import Short


class Bits:
    """Reads bit fields from octets. Offsets in `Short` are octets from the start of the whole message."""

    __slots__ = ("data", "at", "end", "base")

    def __init__(self, data: bytes, base: int = 0):
        self.data, self.at, self.end, self.base = data, 0, 8 * len(data), base

    def uint(self, count: int) -> int:
        stop = self.at + count
        if stop > self.end:
            raise Short(self.base + (self.at >> 3), (count + 7) >> 3)
        value = int.from_bytes(self.data[self.at >> 3:(stop + 7) >> 3], "big") >> (-stop & 7)
        self.at = stop
        return value & ((1 << count) - 1)

    def octets(self, count: int) -> bytes:
        """`count` octets from the next octet boundary on."""
        start = (self.at + 7) >> 3
        if 8 * (start + count) > self.end:
            raise Short(self.base + start, count)
        self.at = 8 * (start + count)
        return self.data[start:start + count]

    @property
    def offset(self) -> int:
        return self.base + ((self.at + 7) >> 3)


class Malformed(ValueError):
    """The octets are there, and no value of the type is written like this."""


Reader = Callable[[Bits], Any]


# ------------------------------------------------------------------------------------------------ lengths, integers

def _length(bits: Bits) -> int:
    """An unconstrained length (X.691 10.9.3.5 to 8)."""
    first = bits.octets(1)[0]
    if first < 0x80:
        return first
    if first < 0xC0:
        return (first & 0x3F) << 8 | bits.octets(1)[0]
    raise Malformed("a length in fragments of 16K, which no signalling message needs")


def _whole(bits: Bits, low: int, high: int) -> int:
    """A constrained whole number (X.691 10.5.7)."""
    span = high - low + 1
    if span <= 255:
        value = bits.uint((span - 1).bit_length())
    elif span <= 65536:
        value = int.from_bytes(bits.octets(1 if span == 256 else 2), "big")
    else:
        most = ((span - 1).bit_length() + 7) >> 3
        value = int.from_bytes(bits.octets(bits.uint((most - 1).bit_length()) + 1), "big")
    if value >= span:
        raise Malformed(f"{low + value} where at most {high} is allowed")
    return low + value


def _small(bits: Bits) -> int:
    """A normally small number (X.691 10.6), as extensions are counted with."""
    if not bits.uint(1):
        return bits.uint(6)
    return int.from_bytes(bits.octets(_length(bits)), "big")


def integer(low: int, high: int, *, extensible: bool = False) -> Reader:
    def read(bits: Bits) -> int:
        if extensible and bits.uint(1):
            return int.from_bytes(bits.octets(_length(bits)), "big", signed=True)
        return _whole(bits, low, high)
    return read


def enumerated(*names: str, more: tuple[str, ...] | None = None) -> Reader:
    """`more` are the values behind the extension marker; None where the type has no marker."""
    def read(bits: Bits) -> str:
        if more is not None and bits.uint(1):
            index = _small(bits)
            return more[index] if index < len(more) else f"extension {index}"
        return names[_whole(bits, 0, len(names) - 1)]
    return read


# ------------------------------------------------------------------------------------------------ strings

def _size(bits: Bits, low: int, high: int | None, extensible: bool) -> int:
    if high is None or extensible and bits.uint(1):
        return _length(bits)
    return low if low == high else _whole(bits, low, high)


def octets(low: int = 0, high: int | None = None) -> Reader:
    """OCTET STRING of `low` to `high` octets; `octets(2)` has exactly two, `octets()` any number."""
    if high is None and low:
        high = low

    def read(bits: Bits) -> bytes:
        count = _size(bits, low, high, False)
        if high is not None and low == high <= 2:            # X.691 16.6: up to two octets are not aligned
            return bits.uint(8 * count).to_bytes(count, "big")
        return bits.octets(count)
    return read


def bit_string(low: int, high: int | None = None, *, extensible: bool = False) -> Reader:
    """BIT STRING as (value, count of bits)."""
    top = low if high is None else high

    def read(bits: Bits) -> tuple[int, int]:
        count = _size(bits, low, top, extensible)
        if low != top or count > 16 or extensible:           # X.691 15.9: up to sixteen fixed bits are not aligned
            bits.octets(0)
        return bits.uint(count), count
    return read


def number(count: int) -> Reader:
    """BIT STRING of `count` bits that stands for a number (cell, eNB and CSG identities)."""
    read = bit_string(count)
    return lambda bits: read(bits)[0]


def printable(low: int, high: int, *, extensible: bool = True) -> Reader:
    """PrintableString, eight bits a character in aligned PER."""
    def read(bits: Bits) -> str:
        return bits.octets(_size(bits, low, high, extensible)).decode("latin-1")
    return read


# ------------------------------------------------------------------------------------------------ compositions

class Optional(NamedTuple):
    """A component that may be absent: `("rAC", Optional(octets(1)))`."""

    read: Reader


def sequence(*components: tuple[str, Reader | Optional], extensible: bool = True) -> Reader:
    """SEQUENCE as a dict. `iE-Extensions` are read over; what is behind the extension marker too."""
    optional = [name for name, read in components if isinstance(read, Optional)]

    def read_sequence(bits: Bits) -> dict[str, Any]:
        extended = extensible and bits.uint(1)
        present = {name for name in optional if bits.uint(1)}
        value = {}
        for name, read in components:
            if isinstance(read, Optional):
                if name not in present:
                    continue
                read = read.read
            item = read(bits)
            if read is not _extensions:
                value[name] = item
        if extended:
            count = _small(bits) + 1
            if count > 64:
                raise Malformed(f"{count} extension additions")
            for flag in [bits.uint(1) for _ in range(count)]:
                if flag:
                    bits.octets(_length(bits))
        return value
    return read_sequence


def sequence_of(item: Reader, low: int, high: int) -> Reader:
    def read(bits: Bits) -> list[Any]:
        return [item(bits) for _ in range(_size(bits, low, high, False))]
    return read


def choice(*alternatives: tuple[str, Reader], more: tuple[tuple[str, Reader], ...] | None = None) -> Reader:
    """CHOICE as (name, value); `more` are the alternatives behind the extension marker."""
    def read_choice(bits: Bits) -> tuple[str, Any]:
        if more is not None and bits.uint(1):
            index = _small(bits)
            offset = bits.offset
            content = Bits(bits.octets(_length(bits)), offset + 1)
            if index >= len(more):
                return f"extension {index}", content.data
            name, read = more[index]
            return name, read(content)
        name, read = alternatives[_whole(bits, 0, len(alternatives) - 1)]
        return name, read(bits)
    return read_choice


def _extensions(bits: Bits) -> None:
    """ProtocolExtensionContainer: read over."""
    for _ in range(_whole(bits, 1, 65535)):
        bits.octets(2)
        bits.uint(2)
        bits.octets(_length(bits))


EXTENSIONS = ("iE-Extensions", Optional(_extensions))


def containers(elements: Mapping[int, Reader], low: int = 1, high: int = 256) -> Reader:
    """SEQUENCE OF ProtocolIE-SingleContainer: the values of those whose id is in `elements`."""
    def read(bits: Bits) -> list[Any]:
        values = []
        for _ in range(_whole(bits, low, high)):
            identifier = int.from_bytes(bits.octets(2), "big")
            bits.uint(2)
            size = _length(bits)
            offset = bits.offset
            content = bits.octets(size)
            if identifier in elements:
                values.append(elements[identifier](Bits(content, offset)))
        return values
    return read


# ------------------------------------------------------------------------------------------------ 3GPP types

def digits(value: bytes) -> str:
    """Telephony BCD: low nibble first, 0xF fills."""
    return "".join(f"{octet & 15:x}{octet >> 4:x}" for octet in value).rstrip("f")


def plmn(value: bytes) -> str:
    """MCC and MNC of three octets as five or six digits, written as TR-196 writes PLMNID (TS 24.008 10.5.1.3)."""
    a, b, c = value
    mnc = f"{c & 15:x}{c >> 4:x}" + ("" if b >> 4 == 15 else f"{b >> 4:x}")
    return f"{a & 15:x}{a >> 4:x}{b & 15:x}{mnc}"


def PLMN(bits: Bits) -> str:
    return plmn(bits.octets(3))


def imsi(low: int = 3, high: int = 8) -> Reader:
    read = octets(low, high)
    return lambda bits: digits(read(bits))


def unsigned(size: int) -> Reader:
    """OCTET STRING of `size` octets that stands for a number: LAC, TAC, SAC, MME code."""
    read = octets(size)
    return lambda bits: int.from_bytes(read(bits), "big")


def cause(*groups: tuple[str, Reader], more: tuple[tuple[str, Reader], ...] = ()) -> Reader:
    """The Cause choice as one text: `radioNetwork: unauthorised-HNB`."""
    read = choice(*groups, more=more)

    def read_cause(bits: Bits) -> str:
        group, value = read(bits)
        return f"{group}: {value.hex() if isinstance(value, bytes) else value}"
    return read_cause


def transport_address(bits: Bits) -> str:
    """TransportLayerAddress: IPv4, IPv6, or both (TS 36.414 5.3, TS 25.414 5.2)."""
    value, count = bit_string(1, 160, extensible=True)(bits)
    raw = value.to_bytes((count + 7) // 8, "big")
    if count == 160:
        return f"{ip_address(raw[:4])} {ip_address(raw[4:])}"
    return str(ip_address(raw)) if count in (32, 128) else raw.hex()


# ------------------------------------------------------------------------------------------------ the frame

PDUS = {0x00: "initiating", 0x20: "successful", 0x40: "unsuccessful", 0x60: "outcome"}


class Application(NamedTuple):
    """One protocol of this family."""

    name: str
    procedures: Mapping[int, tuple[str, ...]]     # code -> procedure, then the message for each PDU, "" where none
    elements: Mapping[int, tuple[str, Reader]]    # id -> name, type
    carries: Mapping[str, str] = {}               # element or component that holds another protocol -> payload name
    ports: frozenset[int] = frozenset()
    setup: Mapping[int,
                   tuple[int, ...]] = {}     # procedure that opens an association -> ids of its possible first element
    connection: str = ""                          # element that tells the UEs of one association apart

    def kinds(self) -> dict[str, tuple[str, ...]]:
        """KINDS of the module: every message of the elementary procedures."""
        elements = dict.fromkeys(("cause", *(name for name, _ in self.elements.values())))
        fields = ("procedure", "procedure_code", "pdu", *elements)
        names = [name for _, *messages in self.procedures.values() for name in messages if name]
        return {f"{self.name}.{name}": fields for name in (*names, "unknown")}

    def fits(self, head: bytes) -> int | None:
        """The id of the first element (0xFFFF: there is none), if the frame of a known procedure fits to the octet;
        `head` may be cut."""
        if len(head) < 7 or head[0] not in PDUS or head[1] not in self.procedures or head[2] & 0x3F or head[2] > 0x80:
            return None
        bits = Bits(head)
        bits.octets(3)
        try:
            size = _length(bits)
            if len(head) > bits.offset + size or bits.octets(1)[0] & 0x3F:
                return None
            count = int.from_bytes(bits.octets(2), "big")
            if count == 0:
                return 0xFFFF if size == 3 else None
            return int.from_bytes(bits.octets(2), "big") if count <= 64 else None
        except (Short, Malformed):
            return None

    def likely(self, head: bytes, ports: Any) -> bool:
        """The frame fits, and either a port says which protocol of the family it is or the first element does."""
        first = self.fits(head)
        return first is not None and (not self.ports.isdisjoint(ports) or first in self.setup.get(head[1], ()))

    def decode(self, data: bytes, context: Context) -> Iterator[Message | Payload]:
        """The message, then what it carries."""
        if not data:
            return
        pdu = PDUS.get(data[0] & 0xE0, "")
        code = data[1] if len(data) > 1 else None
        procedure, *messages = self.procedures.get(code, (None,))
        at = tuple(PDUS.values()).index(pdu) if pdu else len(messages)
        kind = messages[at] if at < len(messages) and messages[at] else "unknown"
        fields: dict[str, Any] = {"procedure": procedure or f"PROCEDURE{code}", "procedure_code": code,
                                  "pdu": pdu or f"CHOICE{data[0]}"}
        problems, carried = [], []
        short = False
        try:
            for identifier, offset, value in () if (procedure or "").lower() == "privatemessage" else _elements(data):
                known = self.elements.get(identifier)
                if known is None:
                    continue
                name, read = known
                try:
                    fields[name] = _plain(name, read(Bits(value, offset)), self.carries, carried)
                except (Short, Malformed, IndexError, ValueError) as error:
                    problems.append(Problem(offset, f"{name}: {error}"))
        except Short as error:
            short = True
            if not context.missing:
                problems.append(Problem(error.offset, f"malformed {self.name.upper()}: {error}"))
        except Malformed as error:
            problems.append(Problem(0, f"malformed {self.name.upper()}: {error}"))
        yield context.message(f"{self.name}.{kind}", fields, tuple(problems), incomplete=short and context.missing > 0)
        inner = context.within(self.name, missing=0)
        if self.connection in fields:
            inner = inner.but(carrier={**context.carrier, "ue": f"{self.connection} {fields[self.connection]}"})
        for protocol, content in carried:
            yield Payload(protocol, content, inner)


def _elements(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(id, offset, value) of the information elements of a message."""
    bits = Bits(data)
    bits.octets(3)                                   # choice, procedure code, criticality
    size = _length(bits)
    if bits.offset + size < len(data):
        raise Malformed(f"{len(data) - bits.offset - size} octets behind the message")
    bits.octets(1)                                   # extension bit and, in three of the four, one optional component
    for _ in range(int.from_bytes(bits.octets(2), "big")):
        identifier = int.from_bytes(bits.octets(2), "big")
        bits.octets(1)                               # criticality, then padding
        size = _length(bits)
        offset = bits.offset
        yield identifier, offset, bits.octets(size)


def _plain(name: str, value: Any, carries: Mapping[str, str], carried: list[tuple[str, bytes]]) -> Any:
    """`value` as JSON can hold it; octets that belong to another protocol are noted in `carried` too."""
    if isinstance(value, bytes):
        if name in carries:
            carried.append((carries[name], value))
        return value.hex()
    if isinstance(value, dict):
        return {key: _plain(key, item, carries, carried) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(name, item, carries, carried) for item in value]
    if isinstance(value, tuple):                     # a choice, as {"alternative": value}
        return {value[0]: _plain(value[0], value[1], carries, carried)}
    return value
