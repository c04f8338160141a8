"""Times as a reader sees them: the only place where nanoseconds since 1970 become text (ISO 8601, RFC 3339)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = (("ns", 1), ("µs", 1_000), ("ms", 1_000_000), ("s", _SECOND))
_LAST_SECOND = 253_402_300_799           # 9999-12-31T23:59:59Z, the last that ISO 8601 writes with four digits


def iso(time: int | None) -> str | None:
    """`2026-05-01T12:00:00.123456789Z`; times a calendar cannot hold are clamped to its ends."""
    if time is None:
        return None
    seconds, nanoseconds = divmod(time, _SECOND)
    if not 0 <= seconds <= _LAST_SECOND:
        seconds, nanoseconds = (0, 0) if seconds < 0 else (_LAST_SECOND, _SECOND - 1)
    return f"{_calendar(seconds)}.{nanoseconds:09d}Z"


@lru_cache(1024)
def _calendar(seconds: int) -> str:
    """Up to the second; messages share their seconds, and all else is cheap."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}".rjust(19, "0")


def from_iso(text: str | None) -> int | None:
    """The nanoseconds that `iso` wrote as `text`; raises ValueError where it is no such time."""
    if text is None:
        return None
    whole, dot, fraction = text.removesuffix("Z").partition(".")
    if not text.endswith("Z") or (dot and not (fraction.isascii() and fraction.isdigit() and len(fraction) <= 9)):
        raise ValueError(f"not a UTC time with up to nine digits: {text!r}")
    since = datetime.fromisoformat(whole).replace(tzinfo=UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * _SECOND + int(fraction.ljust(9, "0") or 0)


def clock(time: int | None) -> str:
    """`12:00:00.123456`: the time of day in UTC."""
    return "" if time is None else iso(time)[11:26]


def day(time: int | None) -> str:
    """`2026-05-01`."""
    return "" if time is None else iso(time)[:10]


def span(nanoseconds: int) -> str:
    """A duration with the unit that suits it: `0 s`, `35 µs`, `1.234 ms`, `12.5 s`, `3 min 20 s`."""
    sign, size = ("−", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if not size:
        return "0 s"
    if size < 60 * _SECOND:
        for unit, scale in _UNITS:
            if size < 1_000 * scale:
                return f"{sign}{_three_digits(size / scale)} {unit}"
    minutes, seconds = divmod(size // _SECOND, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours} h {minutes} min" if hours else f"{sign}{minutes} min {seconds} s"


def _three_digits(value: float) -> str:
    text = f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
