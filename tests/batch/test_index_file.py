"""An index says all that an observation does, and one that could not be written whole is not there at all."""

from dataclasses import replace

import pytest

from flowcheck.batch import index
from flowcheck.errors import CaptureError
from flowcheck.model import Limit
from flowcheck.observe.observation import Observation

EMPTY = Observation((), (), (), (), None, ())


def test_it_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = index.place(tmp_path, "ab" * 32, "cd" * 16)
    index.store(EMPTY, path)
    assert index.load(path) == EMPTY and list(path.parent.iterdir()) == [path]
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_
                                                            for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError):
        index.store(EMPTY, path.with_name("other.mpz"))
    assert list(path.parent.iterdir()) == [path]


def test_limits_and_the_windows_of_taps_come_back():
    limits = (Limit("half of it is there twice", 1, 5, None, frozenset({"10.0.0.2", "10.0.0.1"})),
              Limit("its own", 0, own=False))
    told = replace(EMPTY, window=(5, 90), taps=(0, 1), limits=limits, windows={0: (5, 80), 1: (7, 90)})
    assert index.unpacked(index.packed(told)) == told


def test_another_format_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "old.mpz"
    monkeypatch.setattr(index, "FORMAT", "flowcheck/index/1")
    path.write_bytes(index.packed(EMPTY))
    monkeypatch.undo()
    with pytest.raises(CaptureError, match="flowcheck/index/1"):
        index.load(path)
