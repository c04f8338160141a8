import gzip

import pytest

from flowcheck.capture.likely import looks_like_a_capture, named_like_a_capture

PCAPNG = bytes.fromhex("0a0d0d0a1c0000004d3c2b1a")


@pytest.mark.parametrize(("name", "content", "is_one"), [
    ("a.pcap", b"", True), ("A.PCAPNG", b"text", True), ("a.pcapng.gz", b"", True), ("trace", PCAPNG, True),
    ("trace.1", bytes.fromhex("d4c3b2a1"), True),
    ("trace", gzip.compress(PCAPNG), True), ("trace.gz", gzip.compress(b""), True),
    ("notes.txt", b"text", False), ("notes.txt.gz", gzip.compress(b"text"), False), ("empty", b"", False)])
def test_told_by_name_or_by_content(tmp_path, name, content, is_one):
    path = tmp_path / name
    path.write_bytes(content)
    assert looks_like_a_capture(str(path)) is is_one


def test_what_cannot_be_opened_may_be_one(tmp_path):
    assert looks_like_a_capture(str(tmp_path / "gone")) and not named_like_a_capture("gone")
