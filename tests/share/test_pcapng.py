"""What is written is read back by our own reader and, where it is installed, by tshark."""

import io
import shutil
import subprocess

import pytest

from flowcheck.capture.reader import open_capture
from flowcheck.model import Frame
from flowcheck.share import pcapng

INTERFACES = (pcapng.Interface("eth0", 1, 0, "flowcheck recording 0: outer", 7),
              pcapng.Interface("ipsec0", 101, 65535, "flowcheck recording 1: inner"))
FRAMES = [(Frame(1, 1_700_000_000_123_456_789, 1, b"abcdefg" * 3, 99, 0), ["one", "two é"]),
          (Frame(2, 1_700_000_000_123_456_790, 101, b"", 0, 1), []),
          (Frame(3, 1_700_000_001_000_000_001, 1, b"xyz", 3, 0), ["c" * 100_000])]


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "x.pcapng"
    with path.open("wb") as out:
        assert pcapng.write(out, INTERFACES, FRAMES, comment="all", key_log="CLIENT_RANDOM " + "00" * 32 + " "
                            + "11" * 48 + "\n") == 3
    return path


def test_frames_times_interfaces_and_secrets_come_back(written):
    capture = open_capture(str(written))
    assert list(capture) == [frame for frame, _ in FRAMES]
    assert [(i.name, i.link, i.snaplen, i.recording, i.drops)
            for i in capture.interfaces] == [("eth0", 1, 0, 0, 7), ("ipsec0", 101, 65535, 1, None)]
    assert capture.secrets == [(pcapng.TLS_KEY_LOG, b"CLIENT_RANDOM " + b"00" * 32 + b" " + b"11" * 48 + b"\n")]
    assert not capture.truncated


@pytest.mark.parametrize("description, recording", [("flowcheck recording 3: x", 3), ("flowcheck recording ", None),
                                                    ("flowcheck recording -1: x", None),
                                                    ("flowcheck recording 12345: x", None), ("recording 1", None),
                                                    ("", None)])
def test_only_what_was_written_so_is_a_recording(description, recording):
    out = io.BytesIO()
    pcapng.write(out, [pcapng.Interface("a", 1, 0, description)], [])
    out.seek(0)
    capture = open_capture(out)
    assert list(capture) == [] and capture.interfaces[0].recording == recording


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_comments_times_and_names(written):
    run = subprocess.run(["tshark", "-r", str(written), "-T", "fields", "-e", "frame.interface_name", "-e",
                          "frame.time_epoch", "-e", "frame.comment"],
                         capture_output=True, text=True, check=True)
    rows = [row.split("\t") for row in run.stdout.splitlines()]
    assert rows[0] == ["eth0", "1700000000.123456789", "one,two é"] and rows[1][:2] == ["ipsec0", "1700000000.123456790"]
    assert "less" not in run.stderr and "cut short" not in run.stderr
