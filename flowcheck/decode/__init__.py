"""Protocol decoders: bytes in, Messages out. One module per protocol; a module in this folder is a registered decoder.

What a module may define, all optional but `KINDS`:

    KINDS       {message kind: tuple of field names rules may use}
    PORTS       ports where the protocol usually lives: a hint, never a condition
    PAYLOADS    names under which another protocol hands it bytes: content types, SCTP PPIDs as "ppid:20"
    likely(head, ports) -> bool
                could these first bytes of a datagram or of one direction of a stream be this protocol?
                Strict: bytes of another protocol must not pass. `ports` are the two port numbers.
    PROTOCOLS   IP protocol numbers it is found by (SCTP 132, ESP 50); 0x10000 + EtherType for what is not IP (ARP)
    decode(data, context) -> Iterator[Message | Payload | Expect]
                one datagram, or one Payload of another protocol
    Flow(context)
                instead of `decode`, where one message may take several datagrams (IKE fragments, DTLS, SCTP, CoAP
                blocks): made once per UDP flow or SCTP association; `datagram(data, context)` and `end()` yield the
                same as `decode`
    Conversation(context)
                one stream; `feed(side, tape)` takes whole messages from a Tape and yields what it found,
                `lost(side, size)` says that bytes are missing (the tape is empty then: wait for a boundary that can
                be trusted), `end(side)` that no more will come. Side 0 is the client's direction, 1 the server's.
                All three yield Message, Payload, Inner, Switch, Expect or Opaque; `feed` also Skip, where there is
                `skipped(side, size, frames, time)` to be told what was left out.
    TUNNEL      what of a datagram is a plain tunnel header, so that capture/lanes.py may look for the packet inside

A decoder never opens a file, logs, asks the clock or keeps state between streams. Two failures, two meanings: a peer
that broke its protocol is a Problem on the Message; bytes that are missing make the Message `incomplete`.
Neither raises out of a decoder.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from types import ModuleType

_SHARED = {"wire", "certificates"}       # modules of this folder that are not decoders


@cache
def names() -> tuple[str, ...]:
    """The decoders there are: the modules of this folder, by name."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in _SHARED
                        and not m.name.startswith("_")))


@cache
def decoder(name: str) -> ModuleType:
    return import_module(f"{__name__}.{name}")


@cache
def decoders() -> tuple[ModuleType, ...]:
    return tuple(decoder(name) for name in names())


@cache
def kinds() -> dict[str, tuple[str, ...]]:
    """Every message kind a rule may name, with its fields."""
    return {kind: tuple(fields) for module in decoders() for kind, fields in getattr(module, "KINDS", {}).items()}


@cache
def payload_decoders() -> dict[str, ModuleType]:
    """Decoder by payload name (module name, content type, `ppid:20`)."""
    found = {name: decoder(name) for name in names()}
    for module in decoders():
        for name in getattr(module, "PAYLOADS", ()):
            found[name] = module
    return found
