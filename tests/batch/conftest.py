"""A small archive of the shipped samples: two that fail, one that passes with its keys, one that is no capture."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "samples" / "ts32.583" / "5.1.2"
COMMAND = [sys.executable, "-c", "import sys; from flowcheck.cli import main; sys.exit(main())"]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "captures"
    for name in ("tls-unknown-ca", "tls-protocol-version", "pass"):
        (folder / name).mkdir(parents=True)
        shutil.copy(SAMPLES / name / "hnb_outer.pcap", folder / name / "fw1.2-outer.pcap")
    (folder / "notes.txt").write_text("not a capture")
    (folder / "broken.pcap").write_text("nor is this, whatever its name says")
    return folder


@pytest.fixture
def batch(tmp_path: Path):
    """Runs `flowcheck batch` with these arguments into tmp_path/out."""
    def run(*arguments: object, **more: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*COMMAND, "batch", *map(str, arguments), "--output-dir", str(tmp_path / "out")],
                              capture_output=True,
                              text=True, cwd=tmp_path, timeout=120, **more)
    return run
