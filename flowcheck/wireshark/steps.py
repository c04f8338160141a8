"""Rule steps that name a Wireshark display filter instead of a message: packets it selects become messages.

A step `wireshark: gtpv2.message_type == 32` waits for messages of the kind `wireshark.gtpv2.message_type == 32`. tshark
is asked once per filter and capture, and only where a rule has such a step. The fields of such a message are
Wireshark's own, by their Wireshark names; numbers are numbers, everything else is the text tshark prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import FlowcheckError
from ..model import Endpoint, FrameRef, Message
from ..rulebook.rule import Rule
from . import crosscheck as wireshark

KIND = "wireshark."
STREAM = -1                    # these messages belong to no stream of ours
FIELDS = 2000                  # of one packet
_CARRIERS = frozenset(("frame", "eth", "sll", "raw", "vlan", "ip", "ipv6", "udp", "tcp", "sctp", "udpencap", "esp"))
_LAYERS = {"ipv6": "ip"} | {name: name for name in ("eth", "ip", "udp", "tcp", "sctp", "esp", "tls")}


def kinds(book: Iterable[Rule]) -> tuple[str, ...]:
    """The message kinds of these rules that only Wireshark can make."""
    return tuple(dict.fromkeys(kind for rule in book for step in rule.steps() for kind in step.messages
                               if kind.startswith(KIND)))


def messages(captures: Sequence[str], book: Iterable[Rule],
             keys: Sequence[str] = ()) -> tuple[list[Message], dict[str, str]]:
    """The messages of every such kind, and for those that could not be looked for the reason why."""
    found: list[Message] = []
    unseen: dict[str, str] = {}
    for kind in kinds(book):
        reason = wireshark.unavailable()
        for index, path in enumerate(captures if reason is None else ()):
            if path in captures[:index]:
                continue                     # one file that holds the packets of several taps
            try:
                packets = wireshark.ask(path, kind.removeprefix(KIND), keys=keys)
                found += [_message(kind, index, packet) for packet in packets]
            except FlowcheckError as error:
                reason = str(error)
                break
        if reason is not None:
            unseen[kind] = f"only Wireshark can see this step: {reason}"
    return found, unseen


def _message(kind: str, capture: int, packet: wireshark.Seen) -> Message:
    ends = [(f"{name}.src", f"{name}.dst", fields) for name, fields in packet.layers if name in ("ip", "ipv6")]
    src, dst = (str(ends[-1][2].get(ends[-1][side], "")) if ends else "" for side in (0, 1))
    ports = [(name, fields) for name, fields in packet.layers
             if name in ("udp", "tcp", "sctp") and isinstance(fields, Mapping)]
    sport, dport = (_port(ports[-1][1].get(f"{ports[-1][0]}.{side}port")) if ports else None for side in ("src", "dst"))
    layers = tuple(_LAYERS[name] for name, _ in packet.layers if name in _LAYERS)
    fields = _flat(fields for name, fields in packet.layers if name not in _CARRIERS)
    frames = (FrameRef(capture, packet.frame),)
    return Message(kind, packet.time, frames, Endpoint(src, sport), Endpoint(dst, dport), STREAM, layers, fields)


def _port(value: Any) -> int | None:
    return int(value) if isinstance(value, str) and value.isdigit() else None


def _flat(layers: Iterable[Any]) -> dict[str, Any]:
    """Wireshark's nested fields by their own names; a name that occurs several times has a list."""
    flat: dict[str, Any] = {}
    todo = list(layers)[::-1]
    while todo and len(flat) < FIELDS:
        value = todo.pop()
        items = value.items() if isinstance(value, Mapping) else ()
        todo += [item for item in value if isinstance(item, (dict, list))][::-1] if isinstance(value, list) else []
        for name, inner in items:
            if isinstance(inner, Mapping) or isinstance(inner, list) and inner and isinstance(inner[0], (dict, list)):
                todo.append(inner)
                continue
            for one in inner if isinstance(inner, list) else [inner]:
                one = int(one) if isinstance(one, str) and one.isdecimal() and len(one) < 20 else one
                if name in flat:
                    flat[name] = [*flat[name], one] if isinstance(flat[name], list) else [flat[name], one]
                else:
                    flat[name] = one
    return flat
