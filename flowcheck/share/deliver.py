"""What `flowcheck check` hands on besides reports: evidence captures and bundles, as its options say."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..model import Result
from ..observation import Observation
from .evidence import write_evidence


def evidence(result: Result, observation: Observation, paths: Sequence[str], ring: Any, options: Any) -> None:
    """Writes the capture that -w names and says what is in it."""
    if options.evidence == "-":
        from ..errors import UsageError
        raise UsageError("-w needs a file: the capture is judged again before it is handed on")
    written = write_evidence(options.evidence, result, observation, paths, ring, judge(options), include_secrets=options.include_secrets)
    if not options.quiet:
        for path, text in ((options.evidence, f": {written}"), *((key, "") for key in written.keys)):
            print(f"wrote {path}{text}", file=sys.stderr)


def judge(options: Any) -> Callable[[str], Result]:
    """Judges another capture in the same way: rules, site, keys and procedures as the options name them."""
    from ..check import check
    from ..commands import common

    def again(path: str) -> Result:
        return check([path], rules=options.rules, site=options.site, keys=options.keys, procedures=options.procedure,
                     decode_as=common.decode_as(options))[0]
    return again
