"""Files that appear whole or not at all: written beside their place and then moved there; nobody reads half of one.

A link stays a link, to a new file. A device or a pipe (`/dev/null`, `>(jq .)`) may not be replaced: it is written to.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def write_whole(path: Path, pieces: Iterable[bytes]) -> None:
    """Writes the pieces one after the other; whatever goes wrong, what stood at `path` before still does. Raises OSError."""
    if is_special(path):
        with open(path, "wb") as file:
            file.writelines(pieces)
        return
    path = path.resolve()
    waiting = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(waiting, "wb") as file:
            file.writelines(pieces)
        waiting.replace(path)
    finally:
        waiting.unlink(missing_ok=True)


def is_special(path: Path) -> bool:
    """Is it something that is neither a file nor a folder?"""
    return path.exists() and not path.is_file() and not path.is_dir()
