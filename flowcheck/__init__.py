"""flowcheck: packet captures of a device's bring-up, judged against the 3GPP procedures they should follow.

Two functions are the interface for other programs (docs/api.md); what they need is imported when they are called.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .model import Result
    from .results import LoadedResult

__version__ = "0.1.0"
__all__ = ["__version__", "judge", "load_result"]


def judge(captures: Sequence[str | PathLike[str]], *, site: str | PathLike[str] | None = None,
          keys: Sequence[str | PathLike[str]] = (), rules: Sequence[str | PathLike[str]] = (),
          procedures: Sequence[str] = ()) -> Result:
    """Judges captures as one observation, as `flowcheck check` does. Raises an error of flowcheck.errors."""
    from .check import check as run
    result, _ = run([fspath(path) for path in captures], site=None if site is None else fspath(site),
                    keys=[fspath(path) for path in keys], rules=[fspath(path) for path in rules], procedures=procedures)
    return result


def load_result(path: str | PathLike[str]) -> LoadedResult:
    """Reads the JSON that `flowcheck check --json` wrote; `.to_frame()` and `.findings_frame()` give pandas tables."""
    from .results import load_result as load
    return load(path)
