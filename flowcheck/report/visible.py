"""Text from the wire made safe to look at: what cannot be seen, or changes how its neighbours are seen, is spelt out.

Control characters, bidirectional controls (UAX #9), zero-width and other format characters, line separators and lone
surrogates become escapes such as `\\x1b` and `\\u202e`. Nothing here makes text safe for HTML: that is done by the
templates, and by markup.py for what is drawn in Python.
"""

from __future__ import annotations

import re
from functools import lru_cache

LIMIT = 4_096                 # characters of one value that are shown
_SHORT_TEXT = 80              # characters up to which a text is remembered

UNSEEN = ("\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
           "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff")
_IN_BLOCK = re.compile(f"[{UNSEEN}]")
_IN_LINE = re.compile(f"[\t\n{UNSEEN}]")


def line(text: object, limit: int = LIMIT) -> str:
    """`text` in one line: tabs and line ends are spelt out too. A report says the same few words thousands of times."""
    shown = text if type(text) is str else str(text)
    if len(shown) <= limit:
        return _remembered(shown) if len(shown) <= _SHORT_TEXT else _IN_LINE.sub(spelt, shown)
    return _IN_LINE.sub(spelt, elided(shown, limit))


@lru_cache(8192)
def _remembered(text: str) -> str:
    return _IN_LINE.sub(spelt, text)


def block(text: object, limit: int = LIMIT) -> str:
    """`text` with its own line ends and tabs kept."""
    return _IN_BLOCK.sub(spelt, elided(str(text).replace("\r\n", "\n"), limit))


def elided(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]} … ({len(text) - limit} more characters not shown)"


def spelt(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code in _SHORT:
        return _SHORT[code]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_SHORT = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}
