"""What the user's way of capturing must not change: clocks that differ, rotated files, unrelated traffic."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from sabotage import write_pcap

from flowcheck.capture.reader import open_capture
from flowcheck.check import check

SAMPLES = Path(__file__).resolve().parent.parent / "samples" / "ts32.583"
RUNS = ["5.1.1/pass", "5.1.1/segw-refuses-authentication", "5.2.1/pass"]
SECOND = 1_000_000_000


def verdicts(paths, folder):
    result, _ = check([str(p) for p in paths], site=str(folder / "site.yaml"), keys=[str(folder / "keys")])
    return [(d.id, a.procedure, a.verdict, a.cause, tuple((s.step, s.state) for s in a.steps))
            for d in result.devices for a in d.attempts]


def taps(run):
    folder = SAMPLES / run
    return folder, sorted(folder.glob("*.pcap"))


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("offset, drift", [(10, 0), (-10, 0), (7.3, 100e-6), (-0.4, -100e-6), (0.02, 0)])
def test_the_clock_of_a_tap_changes_no_verdict(run, offset, drift, tmp_path):
    folder, paths = taps(run)
    shifted = []
    for number, path in enumerate(paths):
        frames = list(open_capture(path))
        if number and frames:
            begun = frames[0].time
            frames = [f._replace(time=f.time + round(offset * SECOND + (f.time - begun) * drift)) for f in frames]
        write_pcap(tmp_path / path.name, frames)
        shifted.append(tmp_path / path.name)
    assert verdicts(shifted, folder) == verdicts(paths, folder)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("parts", [2, 3, 7])
def test_rotated_files_change_nothing(run, parts, tmp_path):
    folder, paths = taps(run)
    rotated = []
    for path in paths:
        frames = list(open_capture(path))
        size = -(-len(frames) // parts) or 1
        for number, at in enumerate(range(0, len(frames), size)):
            piece = tmp_path / f"{path.stem}_{number}.pcap"
            write_pcap(piece, frames[at:at + size])
            rotated.append(piece)
    random.Random(parts).shuffle(rotated)
    assert verdicts(rotated, folder) == verdicts(paths, folder)


def test_unrelated_traffic_changes_nothing(tmp_path):
    folder, paths = taps("5.1.1/pass")
    from scapy.all import DNS, DNSQR, IP, UDP, Ether
    outer = [p for p in paths if "outer" in p.name][0]
    frames = list(open_capture(outer))
    chance = random.Random(5)
    noise = []
    for number in range(200):
        packet = Ether(src="02:00:00:00:00:09", dst="02:00:00:00:00:01") / IP(src=f"203.0.113.{100 + number % 50}", dst="192.0.2.99") / UDP(sport=20000 + number, dport=chance.choice((53, 123, 5060)))
        packet = packet / (DNS(id=number, qd=DNSQR(qname=f"host{number}.example"))
                           if number % 2 else bytes(chance.randbytes(30)))
        at = chance.choice(frames)
        noise.append(at._replace(data=bytes(packet), original_length=len(packet)))
    mixed = sorted([*frames, *noise], key=lambda f: f.time)
    write_pcap(tmp_path / outer.name, mixed)
    others = [p for p in paths if p != outer]
    strip = [(d, p, v, c) for d, p, v, c, _ in verdicts([tmp_path / outer.name, *others], folder)]
    assert strip == [(d, p, v, c) for d, p, v, c, _ in verdicts(paths, folder)]


@pytest.mark.parametrize("run", ["5.1.1/pass", "5.1.2/pass", "5.2.1/hnb-register-reject"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_clock_that_is_set_on_the_way_changes_no_verdict(run, share, tmp_path):
    """A probe without a battery counts from 1970 until it hears of the time."""
    folder, paths = taps(run)
    changed = []
    for path in paths:
        frames = list(open_capture(path))
        at = round(share * len(frames))
        late = frames[0].time - 40 * SECOND if frames else 0
        write_pcap(tmp_path / path.name, [f._replace(time=f.time - late) for f in frames[:at]] + frames[at:])
        changed.append(tmp_path / path.name)
    assert [row[1:4] for row in verdicts(changed, folder)] == [row[1:4] for row in verdicts(paths, folder)]


@pytest.mark.parametrize("run", ["5.6.2/sftp"])
def test_sealed_sessions_move_with_their_tap(run, tmp_path):
    folder, paths = taps(run)
    shifted = []
    for number, path in enumerate(paths):
        write_pcap(tmp_path / path.name, [f._replace(time=f.time + number * 7 * SECOND) for f in open_capture(path)])
        shifted.append(tmp_path / path.name)
    assert verdicts(shifted, folder) == verdicts(paths, folder)
