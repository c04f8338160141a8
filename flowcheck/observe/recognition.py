"""Which decoder reads a flow: decided once, from its first bytes; ports only say whom to ask first."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from .. import decode

Ports = tuple[int, int]


class Recogniser:
    """The decoders there are, by the ways they are found. `decode_as` names one for a ("udp", port) or ("tcp", port)."""

    def __init__(self, decode_as: Mapping[tuple[str, int], str] | None = None):
        self.by_protocol: dict[int, ModuleType] = {}
        self.payloads = decode.payload_decoders()
        self._forced = {key: decode.decoder(name) for key, name in (decode_as or {}).items()}
        self._by_port: dict[int, list[ModuleType]] = {}
        modules = decode.decoders()
        for module in modules:
            for port in getattr(module, "PORTS", ()):
                self._by_port.setdefault(port, []).append(module)
            for number in getattr(module, "PROTOCOLS", ()):
                self.by_protocol[number] = module
        recognising = [m for m in modules if hasattr(m, "likely")]
        self._datagrams = tuple(m for m in recognising if hasattr(m, "decode") or hasattr(m, "Flow"))
        self._streams = tuple(m for m in recognising if hasattr(m, "Conversation"))

    def forced(self, transport: str, ports: Ports) -> ModuleType | None:
        return self._forced.get((transport, ports[0])) or self._forced.get((transport, ports[1]))

    def datagram(self, head: bytes, ports: Ports) -> ModuleType | None:
        return self._first(head, ports, self._datagrams)

    def stream(self, head: bytes, ports: Ports) -> ModuleType | None:
        return self._first(head, ports, self._streams)

    def _first(self, head: bytes, ports: Ports, modules: tuple[ModuleType, ...]) -> ModuleType | None:
        if not head:
            return None
        hinted = [m for port in ports for m in self._by_port.get(port, ()) if m in modules]
        for module in (*hinted, *modules):
            if module.likely(head, ports):
                return module
        return None
