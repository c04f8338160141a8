"""Takes things away from captures whose truth is known and counts the verdicts that become wrong.

    python tests/sabotage.py [--root DIR]... [--variants N] [--seed N] [--only TEXT]

From a run that is right, nothing that was removed may turn it into a FAIL; from a run that is wrong, no removal may make a
PASS of the procedure that failed. Removed are single packets, stretches, one direction, the beginning, the end, the tail of
every packet (snap length), the keys, one of the taps. Each DIR holds folders with captures and a truth.json or, for the
samples, a verdict known from the rules. Prints every false verdict and their number; exit status 1 if there is any.
"""

from __future__ import annotations

import argparse
import json
import random
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from flowcheck.capture.reader import open_capture
from flowcheck.check import check
from flowcheck.model import Frame

HERE = Path(__file__).resolve().parent
Cut = Callable[[list[Frame], random.Random], list[Frame]]


def write_pcap(path: Path, frames: list[Frame]) -> None:
    """The frames as a nanosecond pcap of one link type."""
    link = frames[0].link if frames else 1
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, link))
        for frame in frames:
            file.write(struct.pack("<IIII", *divmod(frame.time, 1_000_000_000), len(frame.data), frame.original_length) + frame.data)


def one_packet(frames: list[Frame], dice: random.Random) -> list[Frame]:
    gone = dice.randrange(len(frames))
    return frames[:gone] + frames[gone + 1:]


def some_packets(frames: list[Frame], dice: random.Random) -> list[Frame]:
    share = dice.choice((0.02, 0.05, 0.15))
    return [frame for frame in frames if dice.random() >= share]


def a_stretch(frames: list[Frame], dice: random.Random) -> list[Frame]:
    first = dice.randrange(len(frames))
    return frames[:first] + frames[first + dice.randint(2, max(2, len(frames) // 3)):]


def the_beginning(frames: list[Frame], dice: random.Random) -> list[Frame]:
    return frames[dice.randrange(1, len(frames)):]


def the_end(frames: list[Frame], dice: random.Random) -> list[Frame]:
    return frames[:dice.randrange(1, len(frames))]


def snap(frames: list[Frame], dice: random.Random) -> list[Frame]:
    size = dice.choice((64, 96, 128, 200, 300))
    return [frame._replace(data=frame.data[:size]) for frame in frames]


def one_direction(frames: list[Frame], dice: random.Random) -> list[Frame]:
    """Only the packets one host sent: its address is looked for where the IP source stands for the link type."""
    sources = [_source(frame) for frame in frames]
    known = sorted({s for s in sources if s})
    if not known:
        return frames
    host = dice.choice(known)
    return [frame for frame, source in zip(frames, sources) if source is None or source == host]


def _source(frame: Frame) -> bytes | None:
    at = {1: 14, 101: 0, 12: 0, 113: 16, 276: 20}.get(frame.link)
    if at is None or len(frame.data) < at + 40:
        return None
    version = frame.data[at] >> 4
    return frame.data[at + 12:at + 16] if version == 4 else frame.data[at + 8:at + 24] if version == 6 else None


CUTS: tuple[Cut, ...] = (one_packet, one_packet, some_packets, a_stretch, the_beginning, the_end, one_direction, snap)


def scenarios(roots: list[Path], only: str) -> Iterator[tuple[str, list[Path], list[Path], Path, dict]]:
    """Name, captures, keys, site profile and truth of every scenario."""
    for root in roots:
        for truth_file in sorted(root.glob("*/truth.json")):
            folder = truth_file.parent
            if only in folder.name:
                truth = json.loads(truth_file.read_text())
                keys = [folder / "keys"] if (folder / "keys").is_dir() else []
                yield folder.name, [folder / c["file"] for c in truth["captures"]], keys, folder / "site.yaml", truth


def sabotaged(captures: list[Path], keys: list[Path], dice: random.Random, folder: Path) -> tuple[str, list[Path], list[Path]]:
    """One variant: what was done, the captures left and the keys left."""
    choice = dice.randrange(len(CUTS) + 2)
    if choice == len(CUTS) and keys:
        return "the keys", captures, []
    if choice == len(CUTS) + 1 and len(captures) > 1:
        gone = dice.randrange(len(captures))
        return f"the tap {captures[gone].name}", captures[:gone] + captures[gone + 1:], keys
    cut = CUTS[choice % len(CUTS)]
    left = []
    for index, path in enumerate(captures):
        frames = list(open_capture(path))
        links = sorted({frame.link for frame in frames})
        for link in links:                       # a pcap holds one link type; interfaces of a pcapng become files
            for interface in sorted({f.interface for f in frames if f.link == link}):
                part = cut([f for f in frames if f.link == link and f.interface == interface], dice)
                if part:
                    target = folder / f"{index}-{link}-{interface}.pcap"
                    write_pcap(target, part)
                    left.append(target)
    return cut.__name__.replace("_", " "), left, keys


def passes(captures: list[Path], keys: list[Path], site: Path, rules: list[str]) -> tuple[dict[str, int], bool]:
    """How many attempts of each procedure pass in the whole captures, and whether one fails for a forbidden message."""
    result, _ = check([str(p) for p in captures], rules=rules, site=str(site) if site.exists() else None, keys=[str(k) for k in keys])
    tries = [a for d in result.devices for a in d.attempts]
    return Counter(a.procedure for a in tries if a.verdict == "pass"), any("/forbidden" in (a.cause or "") for a in tries)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", action="append", type=Path)
    parser.add_argument("--variants", type=int, default=5, help="of each scenario")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--rules", action="append", default=[])
    options = parser.parse_args()
    shared = HERE.parent.parent / "shared" / "captures"
    roots = options.root or [shared / "lab", shared / "described"]
    tried = wrong = 0
    for name, captures, keys, site, truth in scenarios(roots, options.only):
        strict = [f for f in truth.get("faults", []) if f.get("level", "must") != "should"]
        passed, forbidden = passes(captures, keys, site, options.rules) if strict else ({}, False)
        if forbidden:
            continue        # a run without the forbidden message is a right one
        failing = {"ts32.583-" + p if not p.startswith("t") else p for p in str(truth["procedure"]).replace(" ", "").split("+")}
        for number in range(options.variants):
            dice = random.Random(f"{options.seed}/{name}/{number}")
            with tempfile.TemporaryDirectory() as folder:
                what, left, held = sabotaged(captures, keys, dice, Path(folder))
                if not left:
                    continue
                result, _ = check([str(p) for p in left], rules=options.rules, site=str(site) if site.exists() else None, keys=[str(k) for k in held])
            tried += 1
            left_to_pass = dict(passed)                  # tries that pass in the whole capture may pass in a part of it
            for device in result.devices:
                for attempt in device.attempts:
                    false_fail = not strict and attempt.verdict == "fail"
                    false_pass = False
                    if strict and attempt.procedure in failing and attempt.verdict == "pass":
                        left_to_pass[attempt.procedure] = left_to_pass.get(attempt.procedure, 0) - 1
                        false_pass = left_to_pass[attempt.procedure] < 0
                    if false_fail or false_pass:
                        wrong += 1
                        print(f"false {attempt.verdict.upper()}: {name} #{number} without {what}: {attempt.procedure} {attempt.cause or ''}"
                              f" {attempt.diagnosis[:140]}", flush=True)
    print(f"{tried} variants, {wrong} false verdicts")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
