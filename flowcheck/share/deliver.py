"""What `flowcheck check` hands on besides reports: evidence captures and bundles, redacted where its options say so."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import UsageError
from ..model import Result
from ..observe.observation import Observation
from ..report import visible
from .evidence import Evidence, write_evidence
from .pseudonyms import Pseudonyms


def redaction(result: Result, observation: Observation, options: Any) -> tuple[Result, Pseudonyms | None]:
    """The result as reports shall show it, and the pseudonyms in it where --redact asks for them."""
    if not options.redact:
        return result, None
    from .redact import learn, redacted
    pseudonyms = Pseudonyms(options.seed)
    learn(pseudonyms, result, observation, options.site)
    return redacted(result, pseudonyms), pseudonyms


def deliver(result: Result, shown: Result, observation: Observation, paths: Sequence[str], ring: Any, options: Any,
            pseudonyms: Pseudonyms | None = None) -> None:
    """Writes the capture that -w names and the archive that --bundle names, and says what is in them.

    `shown` is the result as the reports have it. Raises UsageError where redacting would change the verdict.
    """
    with TemporaryDirectory(prefix="flowcheck-") as name:
        folder = Path(name)
        capture = Path(options.evidence) if options.evidence not in (None, "-") else folder / "evidence.pcapng"
        original = folder / "original.pcapng" if pseudonyms else capture
        judge = _judge(options)
        written = write_evidence(original, result, observation, paths, ring,
                                 lambda path: judge([path], options.site)[0],
                                 include_secrets=options.include_secrets, shown=shown)
        site = options.site
        if pseudonyms:
            site = _redacted(written, original, capture, ring, options, pseudonyms, folder)
        if options.evidence == "-":                      # a file first, because it is judged again before it goes out
            _say(options, f"wrote standard output: {written}",
                 *(f"not handed on: {key.name}; name a file with -w for keys of IPsec" for key in written.keys))
            with open(capture, "rb") as file:
                copyfileobj(file, sys.stdout.buffer)
        elif options.evidence:
            _say(options, f"wrote {capture}: {written}",
                 *(f"wrote {capture.with_name(capture.name + '.keys') / key.name}" for key in written.keys))
        if options.bundle:
            from ..report.mask import masked
            from .bundle import write_bundle
            target = write_bundle(options.bundle, masked(shown), written, capture, site=site, keys_used=bool(ring),
                                  procedures=options.procedure, decode_as=options.decode_as)
            _say(options, f"wrote {target}: {written}")


def _redacted(written: Evidence, original: Path, capture: Path, ring: Any, options: Any, pseudonyms: Pseudonyms,
              folder: Path) -> str | None:
    """Writes the evidence with pseudonyms; returns the site profile that belongs to it."""
    from .redact import redact, redacted_site
    found = redact([str(original)], capture, _judge(options, ring), ring, site=options.site, pseudonyms=pseudonyms,
                   comments=written.comments)
    if not found.same:
        capture.unlink(missing_ok=True)
        raise UsageError(f"{capture}: not written: redacted it would be judged otherwise; "
                         + "; ".join(found.differences))
    for path in written.keys:
        path.write_text(pseudonyms.text(path.read_text(encoding="ascii")), encoding="ascii")
    if options.evidence not in (None, "-") and written.keys:
        beside = capture.with_name(capture.name + ".keys")
        beside.mkdir(exist_ok=True)
        for path in written.keys:
            kept = beside / path.name
            kept.touch(mode=0o600)
            kept.write_bytes(path.read_bytes())
    _say(options, *(f"left: {what}: {count}" for what, count in found.left.items()),
         *(f"still readable with keys: {text}" for text in found.remaining))
    return redacted_site(pseudonyms, options.site, folder)


def _judge(options: Any, ring: Any = None) -> Any:
    """Judges captures as the options say, with another site profile."""
    from ..check import check
    from ..commands import common

    def judge(captures: Sequence[str], site: str | None) -> Any:
        return check(captures, rules=options.rules, site=site, keys=options.keys, procedures=options.procedure,
                     decode_as=common.decode_as(options), ring=ring)
    return judge


def _say(options: Any, *lines: str) -> None:
    if not options.quiet:
        for line in lines:
            print(visible.line(line), file=sys.stderr)
