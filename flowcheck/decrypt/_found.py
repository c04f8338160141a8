"""What a key file was found to hold, whatever its format."""

from __future__ import annotations

from typing import Any, NamedTuple

from .esp import EspKey
from .ike import IkeKey


class Found(NamedTuple):
    """What a file holds."""

    esp: list[EspKey]
    ike: list[IkeKey]
    tls: dict[tuple[str, bytes], bytes]
    rsa: list[Any]
    passed_over: dict[str, int]       # kinds of entries that are of no use here -> how many
