"""Files that appear whole or not at all: written beside their place and then moved there, so that nobody reads half of one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def write_whole(path: Path, pieces: Iterable[bytes]) -> None:
    """Writes the pieces one after the other; whatever goes wrong, what stood at `path` before still does. Raises OSError."""
    waiting = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(waiting, "wb") as file:
            file.writelines(pieces)
        waiting.replace(path)
    finally:
        waiting.unlink(missing_ok=True)
