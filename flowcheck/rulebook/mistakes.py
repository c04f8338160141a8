"""Collects what is wrong with a rule or site file, so that all of it is reported at once.

Every mistake is one line, `path:line:column: text`, in the words of docs/rule-language.md; where a name is misspelt the
line says which one was probably meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..errors import FlowcheckError

Mark = tuple[int, int]                   # line and column, 1-based


class Mistakes:
    """The mistakes of one or several files, in the order of file, line and column."""

    def __init__(self) -> None:
        self._found: set[tuple[str, int, int, str]] = set()

    def add(self, path: str, mark: Mark, text: str) -> None:
        self._found.add((path, *mark, text))

    def lines(self) -> list[str]:
        return [f"{path}:{line}:{column}: {text}" for path, line, column, text in self]

    def __iter__(self) -> Iterator[tuple[str, int, int, str]]:
        return iter(sorted(self._found))

    def __len__(self) -> int:
        return len(self._found)

    def __bool__(self) -> bool:
        return bool(self._found)

    def raise_as(self, error: type[FlowcheckError]) -> None:
        """Raises one error with every mistake; does nothing where there is none."""
        if self._found:
            raise error("\n".join(self.lines()))


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The word that was probably meant: alike in spelling, letter case and `-` for `_` aside."""
    from difflib import get_close_matches

    plain = {_plain(known): known for known in words}
    found = get_close_matches(_plain(word), plain, n=1, cutoff=0.6 if len(word) < 6 else 0.72)
    return plain[found[0]] if found else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, or nothing where no known word resembles it."""
    found = nearest(word, words)
    return f" (did you mean '{found}'?)" if found else ""


def listed(words: Iterable[str], limit: int = 12) -> str:
    """`a, b, c`; a long list ends in `...`."""
    words = list(words)
    return ", ".join(words[:limit]) + (", ..." if len(words) > limit else "")


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")
