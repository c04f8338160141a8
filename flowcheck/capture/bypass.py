"""Opens lanes for flows of which only sums are wanted: the way past everything that lies between file and decoder.

What a lane is says lanes.py. Here is who may open one: a flow in one of the plain shapes that a `Scanner` reads.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_pton

from . import lanes
from .lanes import INSIDE, OUTER

try:
    from . import _lanes as compiled
except ImportError:              # installed without a compiler
    compiled = None
COMPILED = compiled is not None and getattr(compiled, "FORM", 0) == lanes.FORM
Lane, Scanner = (compiled.Lane, compiled.Scanner) if COMPILED else (lanes.Lane, lanes.Scanner)

_MOST = 1 << 18                  # lanes open at once; other flows take the full way
_FAMILIES = {"ip": 0, "ipv6": 1}

SHAPES = {(*layers, family): 2 * place + number for place, layers in enumerate(OUTER)
          for family, number in _FAMILIES.items()}
SHAPES |= {(*layers, "udp", "gtp", family): INSIDE + 2 * shape + number
           for layers, shape in tuple(SHAPES.items()) for family, number in _FAMILIES.items()}

Key = tuple[int, int, bytes]     # shape, protocol, addresses and ports (or SPI)


class Bypass:
    """The lanes of one tap."""

    def __init__(self) -> None:
        self.scanner = Scanner()

    def key(self, layers: tuple[str, ...], protocol: int, src: str, dst: str, ends: bytes) -> Key | None:
        """Where packets of these layers, from `src` to `dst`, are found; None where no scanner reads such ones."""
        shape = SHAPES.get(layers)
        if shape is None:
            return None
        family = AF_INET6 if shape & 1 else AF_INET
        return shape, protocol, inet_pton(family, src) + inet_pton(family, dst) + ends

    def open(self, key: Key, lane: Lane) -> bool:
        if len(self.scanner) >= _MOST:
            return False
        self.scanner.put(*key, lane)
        return True

    def close(self, key: Key) -> None:
        self.scanner.drop(*key)
