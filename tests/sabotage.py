"""Takes things away from captures whose truth is known, or changes how they were taken, and counts the verdicts that become wrong.

    python tests/sabotage.py [--root DIR]... [--variants N] [--seed N] [--only TEXT] [--way TEXT] [--slice I/N]

From a run that is right, nothing that was removed may turn it into a FAIL; from a run that is wrong, no removal may make a
PASS of the procedure that failed. Removed are single packets, stretches, one direction, the beginning, the end, the tail of
every packet (snap length), the keys, one of the taps. Changed are the clock of one tap (up to 10 s and 100 ppm), the clock in
the middle of a capture (back, ahead, or set for the first time), the number of files (rotation), the order of neighbours, the number of copies of
each packet (mirror ports), and the company: unrelated traffic between the packets.

Without --root these are the samples of the rules that ship, each against its verdict as a whole, and, where they are there,
the scenarios of ../shared/captures. A DIR holds folders with captures and a truth.json. Prints every false verdict, every
inconclusive one that gives no advice, and their number; exit status 1 if there is any.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from flowcheck import samples
from flowcheck.capture.reader import open_capture
from flowcheck.check import check
from flowcheck.model import AttemptResult, Frame
from flowcheck.rulebook.lint import samples_dir

HERE = Path(__file__).resolve().parent
Cut = Callable[[list[Frame], random.Random], list[Frame]]


def write_pcap(path: Path, frames: list[Frame]) -> None:
    """The frames as a nanosecond pcap of one link type."""
    link = frames[0].link if frames else 1
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, link))
        for frame in frames:
            file.write(struct.pack("<IIII", *divmod(frame.time, 1_000_000_000), len(frame.data), frame.original_length)
                       + frame.data)


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


def clock_back(frames: list[Frame], dice: random.Random) -> list[Frame]:
    at, by = dice.randrange(len(frames)), round(dice.uniform(1.5, 30) * SECOND)
    return frames[:at] + [frame._replace(time=frame.time - by) for frame in frames[at:]]


def clock_ahead(frames: list[Frame], dice: random.Random) -> list[Frame]:
    """By less than a procedure may rest: a longer jump cannot be told from silence."""
    at, by = dice.randrange(len(frames)), round(dice.choice((2, 20, 60)) * SECOND)
    return frames[:at] + [frame._replace(time=frame.time + by) for frame in frames[at:]]


def clock_set(frames: list[Frame], dice: random.Random) -> list[Frame]:
    """A capturing box without a clock of its own begins in 1970 and learns the time on the way."""
    at = dice.randrange(len(frames))
    begun = frames[0].time - 50 * SECOND
    return [frame._replace(time=frame.time - begun) for frame in frames[:at]] + frames[at:]


def neighbours_swapped(frames: list[Frame], dice: random.Random) -> list[Frame]:
    """Packets that came within a millisecond, in the order in which a card with several queues hands them over."""
    out = list(frames)
    for place in range(len(out) - 1):
        if out[place + 1].time - out[place].time < 1_000_000 and dice.random() < 0.2:
            first, second = out[place], out[place + 1]
            out[place], out[place + 1] = second._replace(time=first.time), first._replace(time=second.time)
    return out


def packets_doubled(frames: list[Frame], dice: random.Random) -> list[Frame]:
    return [copy for frame in frames for copy in (frame, frame._replace(time=frame.time + dice.randrange(50_000)))]


def company(frames: list[Frame], dice: random.Random) -> list[Frame]:
    """Look-ups, time and other datagrams between hosts that have nothing to do with it."""
    if frames[0].link not in _HEADERS:
        return frames
    noise = []
    for number in range(dice.randint(20, 200)):
        port = dice.choice((53, 123, 5060, 1900, 443))
        name = b"\x04host\x07example\0"
        payload = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0,
                              0) + name + b"\0\1\0\1" if port == 53 else dice.randbytes(dice.randint(8, 200))
        datagram = struct.pack(">HHHH", 20_000 + number, port, 8 + len(payload), 0) + payload
        ends = bytes((192, 0, 2, 200 + number % 50)) + bytes((192, 0, 2, 199))
        data = _HEADERS[frames[0].link] + struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(datagram), number, 0, 64, 17,
                                                      0) + ends + datagram
        noise.append(dice.choice(frames)._replace(data=data, original_length=len(data)))
    return sorted([*frames, *noise], key=lambda frame: frame.time)


SECOND = 1_000_000_000
_HEADERS = {1: bytes(12) + b"\x08\0", 101: b"", 12: b""}
CUTS: tuple[Cut, ...] = (one_packet, one_packet, some_packets, a_stretch, the_beginning, the_end, one_direction, snap)
CLOCKS: tuple[Cut, ...] = (clock_back, clock_ahead, clock_set)
CHANGES: tuple[Cut, ...] = (*CLOCKS, neighbours_swapped, packets_doubled, company)


class Scenario(NamedTuple):
    name: str
    captures: list[Path]
    keys: list[Path]
    site: Path | None
    right: bool                         # nothing is known to be wrong in it
    failing: frozenset[str]             # procedures that fail, as is known or as the whole captures show
    passed: Counter[str]                # attempts of each procedure that pass in the whole captures


def scenarios(roots: list[Path], only: str, rules: list[str]) -> Iterator[Scenario]:
    for root in roots:
        for truth_file in sorted(root.glob("*/truth.json")):
            folder = truth_file.parent
            if only in folder.name:
                truth = json.loads(truth_file.read_text())
                keys = [folder / "keys"] if (folder / "keys").is_dir() else []
                captures = [folder / c["file"] for c in truth["captures"]]
                site = folder / "site.yaml" if (folder / "site.yaml").exists() else None
                strict = any(f.get("level", "must") != "should" for f in truth.get("faults", []))
                named = {"ts32.583-" + p if not p.startswith("t") else p
                         for p in str(truth["procedure"]).replace(" ", "").split("+")}
                yield _scenario(folder.name, captures, keys, site, frozenset(named) if strict else frozenset(), rules)
    if roots:
        return
    for trial in samples.trials():
        directory, sample = samples_dir(trial.rule.path), trial.sample
        name = f"{trial.rule.procedure} {os.path.commonpath(sample.captures)}"
        if only in name:
            yield _scenario(name, [directory / p for p in sample.captures], [directory / p for p in sample.keys],
                            directory / sample.site if sample.site else None,
                            frozenset({trial.rule.procedure} if sample.verdict == "fail" else ()), rules)


def _scenario(name: str, captures: list[Path], keys: list[Path], site: Path | None, failing: frozenset[str],
              rules: list[str]) -> Scenario:
    """With what is judged of the whole: a run without a message that is forbidden is a right one, so that one may pass."""
    tries = judged(captures, keys, site, rules)
    forbidden = {a.procedure for a in tries if "/forbidden" in (a.cause or "")}
    passed = Counter(a.procedure for a in tries if a.verdict == "pass") + Counter({procedure: 1000 for procedure in forbidden})
    return Scenario(name, captures, keys, site, not failing,
                    failing | {a.procedure for a in tries if a.verdict == "fail"}, passed)


def judged(captures: list[Path], keys: list[Path], site: Path | None, rules: list[str]) -> list[AttemptResult]:
    result, _ = check([str(p) for p in captures], rules=rules, site=str(site) if site else None,
                      keys=[str(k) for k in keys])
    return [attempt for device in result.devices for attempt in device.attempts]


def sabotaged(captures: list[Path], keys: list[Path], dice: random.Random, folder: Path,
              only: str = "") -> tuple[str, list[Path], list[Path]]:
    """One variant: what was done, the captures left and the keys left. `only` is part of the names of the ways to choose from."""
    ways = [*CUTS, *CHANGES, rotated, *([drop_keys] if keys else []),
            *([drop_tap, other_clock] if len(captures) > 1 else [])]
    ways = [way for way in ways if only in way.__name__]
    if not ways:
        return "nothing", captures, keys
    way = dice.choice(ways)
    if way in (drop_keys, drop_tap):
        return way(captures, keys, dice)
    parts = _parts(captures)
    if way is rotated:
        files = [piece for frames in parts for piece in rotated(frames, dice)]
    elif way is other_clock:
        files = other_clock(parts, dice)
    elif way in CLOCKS:                          # of one tap: nothing happens to the clocks of all at once
        chosen = dice.randrange(len(parts))
        files = [way(frames, dice) if number == chosen else frames for number, frames in enumerate(parts)]
    else:
        files = [way(frames, dice) for frames in parts]
    left = []
    for number, frames in enumerate(files):
        if frames:
            left.append(folder / f"{number:03}.pcap")
            write_pcap(left[-1], frames)
    return way.__name__.replace("_", " "), left, keys


def _parts(captures: list[Path]) -> list[list[Frame]]:
    """A pcap holds one link type: each interface of a pcapng becomes a file."""
    parts = []
    for path in captures:
        frames = list(open_capture(path))
        for at in sorted({(frame.link, frame.interface) for frame in frames}):
            parts.append([frame for frame in frames if (frame.link, frame.interface) == at])
    return parts


def drop_keys(captures: list[Path], keys: list[Path], dice: random.Random) -> tuple[str, list[Path], list[Path]]:
    return "the keys", captures, []


def drop_tap(captures: list[Path], keys: list[Path], dice: random.Random) -> tuple[str, list[Path], list[Path]]:
    gone = dice.randrange(len(captures))
    return f"the tap {captures[gone].name}", captures[:gone] + captures[gone + 1:], keys


def rotated(frames: list[Frame], dice: random.Random) -> list[list[Frame]]:
    places = sorted(dice.sample(range(1, len(frames)), min(dice.randint(1, 6), len(frames) - 1)))
    return [frames[first:last] for first, last in zip([0, *places], [*places, len(frames)])]


def other_clock(parts: list[list[Frame]], dice: random.Random) -> list[list[Frame]]:
    """One tap's clock is wrong by up to 10 s and drifts by up to 100 ppm."""
    chosen, offset, drift = dice.randrange(len(parts)), dice.uniform(-10, 10) * SECOND, dice.uniform(-100e-6, 100e-6)
    begun = parts[chosen][0].time
    return [[frame._replace(time=frame.time + round(offset + (frame.time - begun) * drift)) for frame in frames]
            if number == chosen else frames
            for number, frames in enumerate(parts)]


def wrong_verdicts(scenario: Scenario, attempts: list[AttemptResult]) -> Iterator[str]:
    # attempts that pass in the whole capture may pass in a part of it
    left = Counter(scenario.passed)
    for attempt in attempts:
        false_fail = attempt.verdict == "fail" and scenario.right and attempt.procedure not in scenario.failing
        left[attempt.procedure] -= attempt.verdict == "pass"
        false_pass = attempt.verdict == "pass" and attempt.procedure in scenario.failing and left[attempt.procedure] < 0
        if false_fail or false_pass:
            yield f"false {attempt.verdict.upper()}: {attempt.procedure} {attempt.cause or ''} {attempt.diagnosis[:200]}"
        if attempt.verdict == "inconclusive" and not attempt.advice:
            yield f"no advice: {attempt.procedure} {attempt.diagnosis[:200]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", action="append", type=Path)
    parser.add_argument("--variants", type=int, default=5, help="of each scenario")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--way", default="", help="only such as have this in their name: clock, rotated, snap")
    parser.add_argument("--slice", default="1/1", metavar="I/N", help="every N-th scenario, beginning with the I-th")
    parser.add_argument("--rules", action="append", default=[])
    options = parser.parse_args()
    first, every = map(int, options.slice.split("/"))
    shared = HERE.parent.parent / "shared" / "captures"
    wanted = [[root] for root in options.root] if options.root else [[], *([shared / name] for name in ("lab", "described") if (shared / name).is_dir())]
    tried, wrong = 0, 0
    for scenario in islice((one for roots in wanted for one in scenarios(roots, options.only, options.rules)),
                           first - 1, None, every):
        for number in range(options.variants):
            dice = random.Random(f"{options.seed}/{scenario.name}/{number}")
            with tempfile.TemporaryDirectory() as folder:
                what, captures, keys = sabotaged(scenario.captures, scenario.keys, dice, Path(folder), options.way)
                attempts = judged(captures, keys, scenario.site, options.rules) if captures else []
            tried += 1
            for found in wrong_verdicts(scenario, attempts):
                wrong += 1
                print(f"{scenario.name} #{number} {what}: {found}", flush=True)
    print(f"{tried} variants, {wrong} false verdicts")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
