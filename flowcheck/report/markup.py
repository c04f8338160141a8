"""Text from the wire as text of an HTML page: what cannot be seen is spelt out (visible.py), what HTML reads is escaped.

Both in one pass and once for each text, where it enters the page: every module that writes HTML takes what is not its own
through `inline` or `lines`. A report says the same few words thousands of times, so that short ones are remembered.
"""

from __future__ import annotations

import re
from functools import lru_cache

from flowcheck.report.visible import LIMIT, UNSEEN, elided, spelt

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;"}
_MEANT = re.compile("[&<>'\"]")
_IN_LINES = re.compile(f"[&<>'\"{UNSEEN}]")
_INLINE = re.compile(f"[&<>'\"\t\n{UNSEEN}]")
_SHORT = 80


def inline(text: object, limit: int = LIMIT) -> str:
    """`text` in one line, as the content or a quoted attribute of an element."""
    shown = text if type(text) is str else str(text)
    if len(shown) <= limit:
        return _remembered(shown) if len(shown) <= _SHORT else _INLINE.sub(_put, shown)
    return _INLINE.sub(_put, elided(shown, limit))


def lines(text: object, limit: int = LIMIT) -> str:
    """`text` with its own line ends and tabs kept."""
    if type(text) is int:
        return str(text)
    shown = str(text)
    return _IN_LINES.sub(_put, elided(shown.replace("\r\n", "\n"), limit)) if shown else shown


def escaped(text: str) -> str:
    """Text that passed `visible.line` or `visible.block` before, as HTML."""
    return _remembered_escaped(text) if len(text) <= _SHORT else _MEANT.sub(_put, text)


@lru_cache(8192)
def _remembered_escaped(text: str) -> str:
    return _MEANT.sub(_put, text)


@lru_cache(8192)
def _remembered(text: str) -> str:
    return _INLINE.sub(_put, text)


def _put(match: re.Match[str]) -> str:
    return _ESCAPES.get(match.group()) or spelt(match)
