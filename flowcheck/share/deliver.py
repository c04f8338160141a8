"""What `flowcheck check` hands on besides reports: evidence captures and bundles, as its options say."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import UsageError
from ..model import Result
from ..observation import Observation
from .evidence import Evidence, write_evidence


def deliver(result: Result, observation: Observation, paths: Sequence[str], ring: Any, options: Any) -> None:
    """Writes the capture that -w names and the archive that --bundle names, and says what is in them."""
    for name, target in (("-w", options.evidence), ("--bundle", options.bundle)):
        if target == "-":
            raise UsageError(f"{name} needs a file: the capture is judged again before it is handed on")
    with TemporaryDirectory(prefix="flowcheck-") as folder:
        capture = Path(options.evidence or Path(folder) / "evidence.pcapng")
        written = write_evidence(capture, result, observation, paths, ring, judge(options),
                                 include_secrets=options.include_secrets)
        if options.evidence:
            _say(options, f"wrote {capture}: {written}", *(f"wrote {key}" for key in written.keys))
        if options.bundle:
            _say(options, f"wrote {_bundle(result, written, capture, ring, options)}: {written}")


def _bundle(result: Result, evidence: Evidence, capture: Path, ring: Any, options: Any) -> Path:
    from ..report.mask import masked
    from .bundle import write_bundle
    return write_bundle(options.bundle, masked(result), evidence, capture, site=options.site,
                        procedures=options.procedure, decode_as=options.decode_as, keys_used=bool(ring))


def judge(options: Any) -> Callable[[str], Result]:
    """Judges another capture in the same way: rules, site, keys and procedures as the options name them."""
    from ..check import check
    from ..commands import common

    def again(path: str) -> Result:
        return check([path], rules=options.rules, site=options.site, keys=options.keys, procedures=options.procedure,
                     decode_as=common.decode_as(options))[0]
    return again


def _say(options: Any, *lines: str) -> None:
    if not options.quiet:
        for line in lines:
            print(line, file=sys.stderr)
