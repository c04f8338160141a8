"""What is known of observations that are asked for again with other rules, and which of them these cannot touch."""

from __future__ import annotations

from pathlib import Path

from .inputs import Asked
from .ledger import Known, Ledger, Memory
from .memory import Change, Kept, unpacked
from .work import Settings, report_of, report_shows, stamp, wants_report, worker


class Recall:
    """Of one run. Raises RuleError, SiteError or UsageError where its rules cannot be used."""

    def __init__(self, ledger: Ledger, settings: Settings):
        self._ledger, self._settings, self._worker = ledger, settings, worker(settings)
        ledger.note_book(self._worker.book)
        self._books, self._reports = ledger.books(), ledger.reports()
        self._changes: dict[str, Change] = {}

    def known(self, asked: Asked, content: str) -> Known | None:
        """What the ledger knows of an observation with these contents; None where nothing of it can be used."""
        context = self._worker.context
        found = self._ledger.memory(content, context) if context else None
        if found is None or found[1].book not in self._books:
            return None
        key, memory, verdict = found
        try:
            devices = unpacked(memory.data)
        except ValueError:
            return None                                  # damaged: judged as if nothing was known
        attempts = any(digests for kept in devices.values() for _, digests in kept.said.values())
        report = report_of(asked) if wants_report(self._settings, verdict, attempts) else ""
        known = Known(content, key, self._books[memory.book], memory, verdict, report,
                      not report or self._stands(report, report_shows(memory.shows, asked, self._settings)))
        return known._replace(untouched=known.standing and not self._touched(memory.book, devices))

    def confirmation(self, known: Known) -> Memory:
        """The memory of an untouched observation from now on."""
        return known.memory._replace(book=self._worker.book.digest)

    def _touched(self, book: str, devices: dict[str, Kept]) -> bool:
        if book not in self._changes:
            self._changes[book] = Change(self._books[book], self._worker.book, self._worker.rules)
        return self._changes[book].touches(devices)

    def _stands(self, report: str, shows: str) -> bool:
        written = self._reports.get(report)
        return written is not None and written == (stamp(Path(self._settings.folder) / report), shows)
