"""Which decoder reads a flow: decided once, from its first bytes; ports only say whom to ask first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import ModuleType

from .. import decode

Ports = tuple[int, int]


class Recogniser:
    """The decoders there are, by the ways they are found. `decode_as` names one for a ("udp", port) or ("tcp", port)."""

    def __init__(self, decode_as: Mapping[tuple[str, int], str] | None = None):
        self.by_protocol = _by_protocol()
        self.payloads = decode.payload_decoders()
        self._forced = {key: decode.decoder(name) for key, name in (decode_as or {}).items()}

    def forced(self, transport: str, ports: Ports) -> ModuleType | None:
        return self._forced.get((transport, ports[0])) or self._forced.get((transport, ports[1]))

    def datagram(self, head: bytes, ports: Ports) -> ModuleType | None:
        return _of_datagrams().first(head, ports)

    def stream(self, head: bytes, ports: Ports) -> ModuleType | None:
        return _of_streams().first(head, ports)


class _Known:
    """Decoders that recognise what they read, in the order in which they are asked."""

    def __init__(self, modules: Sequence[ModuleType]):
        self._modules = modules
        self._by_port: dict[int, list[ModuleType]] = {}
        for module in modules:
            for port in getattr(module, "PORTS", ()):
                self._by_port.setdefault(port, []).append(module)

    def first(self, head: bytes, ports: Ports) -> ModuleType | None:
        """The first that says yes: those of the ports are asked before all others."""
        if not head:
            return None
        for port in ports:
            for module in self._by_port.get(port, ()):
                if module.likely(head, ports):
                    return module
        for module in self._modules:
            if module.likely(head, ports):
                return module
        return None


@cache
def _by_protocol() -> dict[int, ModuleType]:
    return {number: module for module in decode.decoders() for number in getattr(module, "PROTOCOLS", ())}


@cache
def _of_datagrams() -> _Known:
    return _Known([module for module in decode.decoders()
                   if hasattr(module, "likely") and (hasattr(module, "decode") or hasattr(module, "Flow"))])


@cache
def _of_streams() -> _Known:
    return _Known([module for module in decode.decoders()
                   if hasattr(module, "likely") and hasattr(module, "Conversation")])
