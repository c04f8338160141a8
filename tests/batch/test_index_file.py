"""An index that could not be written whole is not there at all."""

import pytest

from flowcheck.batch import index
from flowcheck.observe.observation import Observation

EMPTY = Observation((), (), (), (), None, ())


def test_it_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = index.place(tmp_path, "ab" * 32, "cd" * 16)
    index.store(EMPTY, path)
    assert index.load(path) == EMPTY and list(path.parent.iterdir()) == [path]
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError):
        index.store(EMPTY, path.with_name("other.mpz"))
    assert list(path.parent.iterdir()) == [path]
