"""Results for notebooks: what `flowcheck check --json` wrote, as an object with tables (pandas).

The tables have the columns of a batch's `attempts.csv` and `findings.csv` where both have them, so that one result and
thousands can be looked at alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UsageError
from .model import AttemptResult, DeviceResult, Finding, FrameRef, Result

if TYPE_CHECKING:
    import pandas

IDENTITY = ("manufacturer", "oui", "product_class", "serial_number", "private_id", "imsi", "hnb_id", "enb_id")
ATTEMPTS = ("path", "device", *IDENTITY, "procedure", "title", "verdict", "started", "ended", "seconds",
            "cause", "side",
            "diagnosis", "findings")
FINDINGS = ("path", "device", "procedure", "code", "kind", "severity", "step", "cite", "clause", "side", "frames",
            "expected", "observed", "hint", "waived")


@dataclass(frozen=True, slots=True)
class LoadedResult:
    """A result and where it was read. `result` is the whole of it, as flowcheck.model describes it."""

    path: str
    result: Result

    @property
    def verdict(self) -> str | None:
        """The worst verdict of all attempts: `pass`, `inconclusive`, `fail`; None where nothing was judged."""
        return self.result.verdict

    @property
    def attempts(self) -> Iterator[tuple[DeviceResult, AttemptResult]]:
        """Every attempt with its device, as they stand in the file."""
        return ((device, attempt) for device in self.result.devices for attempt in device.attempts)

    def to_frame(self) -> pandas.DataFrame:
        """A row per attempt; `started` and `ended` are times in UTC, `findings` is the number of those not waived."""
        return _frame(ATTEMPTS, (self._attempt(device, attempt) for device, attempt in self.attempts))

    def findings_frame(self) -> pandas.DataFrame:
        """A row per finding; `frames` reads as `capture:frame` with spaces between."""
        names = _names(self.result)
        return _frame(FINDINGS, (self._finding(device, attempt, finding, names) for device, attempt in self.attempts
                                 for finding in attempt.findings))

    def _attempt(self, device: DeviceResult, attempt: AttemptResult) -> dict[str, Any]:
        times = _time(attempt.started), _time(attempt.ended)
        return {"path": self.path, "device": device.id, **{name: device.identity.get(name) for name in IDENTITY},
                "procedure": attempt.procedure, "title": attempt.title, "verdict": attempt.verdict, "started": times[0],
                "ended": times[1], "seconds": (attempt.ended - attempt.started) / 1e9, "cause": attempt.cause,
                "side": attempt.side, "diagnosis": attempt.diagnosis,
                "findings": sum(1 for finding in attempt.findings if not finding.waived)}

    def _finding(self, device: DeviceResult, attempt: AttemptResult, finding: Finding,
                 names: tuple[str, ...]) -> dict[str, Any]:
        row = {name: getattr(finding, name) for name in FINDINGS[3:] if name != "frames"}
        return {"path": self.path, "device": device.id, "procedure": attempt.procedure, **row,
                "frames": _frames(finding.frames, names)}


def load_result(path: str | PathLike[str]) -> LoadedResult:
    """Reads the JSON of a check. Raises UsageError where the file is none, or cannot be read."""
    from .report import as_json
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
    try:
        return LoadedResult(str(path), as_json.loads(text))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _frame(columns: tuple[str, ...], rows: Iterable[dict[str, Any]]) -> pandas.DataFrame:
    import pandas
    return pandas.DataFrame(list(rows), columns=list(columns))


def _time(nanoseconds: int) -> Any:
    import pandas
    return pandas.Timestamp(nanoseconds, unit="ns", tz="UTC")


def _names(result: Result) -> tuple[str, ...]:
    from .report.words import capture_names
    return capture_names(result.captures)


def _frames(frames: tuple[FrameRef, ...], names: tuple[str, ...]) -> str:
    return " ".join(f"{names[capture]}:{number}" for capture, number in frames)
