"""An index says all that an observation does, and one that could not be written whole is not there at all."""

from dataclasses import replace
from pathlib import Path

import pytest

from flowcheck.batch import index
from flowcheck.check import joined, key_ring, labelled
from flowcheck.errors import CaptureError
from flowcheck.model import Limit
from flowcheck.observe.observation import Observation, observe
from flowcheck.rulebook.site import load_site

SAMPLES = Path(__file__).parents[2] / "samples" / "ts32.583"
EMPTY = Observation((), (), (), (), None, ())


def test_it_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = index.place(tmp_path, "ab" * 32, "cd" * 16)
    index.store(index.packed(EMPTY), path)
    assert index.load(path) == (EMPTY, None) and list(path.parent.iterdir()) == [path]
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_
                                                            for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError):
        index.store(b"", path.with_name("other.mpz"))
    assert list(path.parent.iterdir()) == [path]


def test_limits_and_the_windows_of_taps_come_back():
    limits = (Limit("half of it is there twice", 1, 5, None, frozenset({"10.0.0.2", "10.0.0.1"})),
              Limit("its own", 0, own=False))
    told = replace(EMPTY, window=(5, 90), taps=(0, 1), limits=limits, windows={0: (5, 80), 1: (7, 90)})
    assert index.unpacked(index.packed(told)) == (told, None)


def test_another_format_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "old.mpz"
    monkeypatch.setattr(index, "FORMAT", "flowcheck/index/1")
    path.write_bytes(index.packed(EMPTY))
    monkeypatch.undo()
    with pytest.raises(CaptureError, match="flowcheck/index/1"):
        index.load(path)


@pytest.mark.parametrize("name", ["5.1.1/segw-servfail-then-pass", "5.2.2/pass", "5.6.2/pass-ftp"])
def test_timelines_come_back_for_the_context_they_were_joined_in(name):
    folder = SAMPLES / name
    seen = observe([str(path) for path in sorted(folder.glob("*.pcap"))], key_ring([str(folder / "keys")]))
    found = joined(seen, (), load_site())
    data = index.packed(seen, found, "here")
    told, timelines = index.unpacked(data, "here")
    assert labelled(timelines, told) == found and told == replace(seen, messages=())
    for context in ("", "elsewhere"):
        assert index.unpacked(data, context) == (seen, None)
    assert index.unpacked(index.packed(seen), "here") == (seen, None)


def test_two_taps_with_losses_between_them_come_back():
    folder = SAMPLES / "5.1.1" / "frames-lost"
    paths = [str(path) for path in sorted(folder.glob("*.pcap"))]
    seen = observe(paths * 2, key_ring([str(folder / "keys")]))
    found = joined(seen, (), load_site())
    told, timelines = index.unpacked(index.packed(seen, found, "here"), "here")
    assert labelled(timelines, told) == found and any(t.gaps or t.opaque for t in found)
