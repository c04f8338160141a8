"""What a result depends on besides the capture: tool, rules, site profile, keys, options. Digests, so that the ledger can compare.

`decoding` is the part of it that decides what the decoded messages are; as long as it stays the same, an indexed
observation need not be decoded again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from .. import __version__

_PACKAGE = Path(__file__).parent.parent
_TEXT = frozenset((".py", ".c", ".yaml", ".json", ".html", ".css", ".js"))
_DECODING = (
    "capture", "decode", "decrypt", "observe", "session/clocks.py", "session/copies.py", "model.py", "sealed.py",
    "batch/index.py")


class Recipe(NamedTuple):
    tool: str                            # version and digest of the program text
    rules: str
    site: str
    options: str                         # --procedure, --decode-as
    decoding: str                        # program text of the decoders, keys, --decode-as

    @property
    def digest(self) -> str:
        return _short(json.dumps(self))


def recipe(rules: Sequence[str], site: str | None, keys: Iterable[str], procedures: Iterable[str],
           decode_as: Any) -> Recipe:
    """The recipe of rule, site and key files, all by their content; nothing is parsed, so that a run without news is quick.

    Raises RuleError or SiteError where a file is not there.
    """
    from ..errors import SiteError
    from ..rulebook.loader import rule_files
    book = _short("".join(sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in rule_files(rules or None))))
    try:
        profile = hashlib.sha256(Path(site).read_bytes()).hexdigest() if site else "defaults"
    except OSError as error:
        raise SiteError(f"{site}: {error.strerror}") from None
    options = _short(json.dumps([sorted(procedures), sorted(map(str, (decode_as or {}).items()))]))
    decoding = _short(json.dumps([program(_DECODING), _of_files(keys), sorted(map(str, (decode_as or {}).items()))]))
    return Recipe(f"{__version__}+{program(('',))}", book, profile, options, decoding)


@cache
def program(parts: tuple[str, ...]) -> str:
    """Digest of the program text of these parts of the package: with templates and defaults, without the rules."""
    digest = hashlib.sha256()
    for part in parts:
        place = _PACKAGE / part
        files = sorted(f for f in place.rglob("*.*") if f.suffix in _TEXT) if place.is_dir() else [place]
        for file in files:
            if _PACKAGE / "rules" in file.parents:
                continue
            digest.update(str(file.relative_to(_PACKAGE)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _of_files(paths: Iterable[str]) -> list[str]:
    found = []
    for path in paths:
        files = sorted(str(p) for p in Path(path).rglob("*") if p.is_file()) if os.path.isdir(path) else [path]
        found += [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files if os.path.isfile(file)]
    return found


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
