"""How far a run is: a bar with rate, time to go and failures on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from time import monotonic
from typing import Any, TextIO

from ..report.visible import line

_LINE_EVERY = 10.0         # seconds between plain lines
_BAR_EVERY = 0.1


class Progress:
    def __init__(self, quiet: bool = False, verbose: bool = False, out: TextIO | None = None):
        self.out = out or sys.stderr
        self.quiet, self.verbose = quiet, verbose
        self.bar = not quiet and self.out.isatty()
        self.total = self.count = 0
        self.counts: Counter[str] = Counter()
        self.begun = self._shown = monotonic()

    def begin(self, total: int, kept: int) -> None:
        self.total, self.begun = total, monotonic()
        if not self.quiet and total:
            self._say(f"{total} to do, {kept} known already")

    def finished(self, name: str, outcome: dict[str, Any]) -> None:
        self.count += 1
        word = outcome["verdict"] or "nothing to judge" if outcome["status"] == "done" else outcome["status"]
        self.counts[word] += 1
        if self.quiet:
            return
        if self.verbose or outcome["status"] != "done":
            self._clear()
            self._say(f"{name}: {word}" + (f": {outcome['reason']}" if outcome["reason"] else ""))
        now = monotonic()
        if now - self._shown >= (_BAR_EVERY if self.bar else _LINE_EVERY):
            self._shown = now
            if self.bar:
                self._draw(now)
            else:
                self._say(self._words(now))

    def end(self) -> None:
        self._clear()
        if not self.quiet and self.count and not self.bar:
            self._say(self._words(monotonic()))

    def _words(self, now: float) -> str:
        rate = self.count / max(now - self.begun, 1e-6)
        left = (self.total - self.count) / rate
        wrong = self.counts["unreadable"] + self.counts["crashed"] + self.counts["timeout"]
        return (f"{self.count}/{self.total}, {rate:.3g}/s, {_clock(left)} to go, {self.counts['fail']} failed"
                + (f", {wrong} not judged" if wrong else ""))

    def _draw(self, now: float) -> None:
        words = self._words(now)
        width = max(10, min(40, shutil.get_terminal_size().columns - len(words) - 4))
        full = width * self.count // max(self.total, 1)
        self.out.write(f"\r\x1b[K[{'#' * full}{'.' * (width - full)}] {words}")
        self.out.flush()

    def _clear(self) -> None:
        if self.bar:
            self.out.write("\r\x1b[K")
            self.out.flush()

    def _say(self, text: str) -> None:
        print(f"flowcheck: {line(text)}", file=self.out, flush=True)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
