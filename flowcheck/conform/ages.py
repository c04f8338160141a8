"""How old what a message reports is, by the clock of its sender where the message shows it (an Inform's CurrentTime)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from ..model import Message

UNKNOWN_TIME = 1                     # TR-069 writes a time it does not know as one in the year 1
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def age(times: Iterable[Any], message: Message) -> float | None:
    """Seconds from the newest of these times to the message; None where no time can be read."""
    known = [seconds for one in times if (seconds := _seconds(one)) is not None]
    if not known:
        return None
    now = _seconds(message.fields.get("CurrentTime"))
    return (message.time / 1e9 if now is None else now) - max(known)


def moment(time: Any, message: Message) -> int | None:
    """When that was, in ns of the capture's clock; None where the time cannot be read."""
    old = age((time,), message)
    return None if old is None else message.time - round(old * 1e9)


def _seconds(text: Any) -> float | None:
    """A dateTime of XML Schema as seconds since 1970; UTC where it names no zone."""
    try:
        parsed = datetime.fromisoformat(str(text).strip())
        if parsed.year <= UNKNOWN_TIME:
            return None
        return ((parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)) - _EPOCH).total_seconds()
    except (ValueError, OverflowError):
        return None
