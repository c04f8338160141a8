"""NAS messages by their protocol discriminator (TS 24.007 11.2.3.1.1)."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Context, Payload

KINDS: dict[str, tuple[str, ...]] = {}

_DISCRIMINATORS = {2: "esm", 5: "mm", 7: "emm", 8: "gmm", 10: "sm"}      # call control, SMS and others are not decoded


def decode(data: bytes, context: Context) -> Iterator[Payload]:
    protocol = _DISCRIMINATORS.get(data[0] & 15) if data else None
    if protocol:
        yield Payload(protocol, data, context)
