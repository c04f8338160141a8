"""Feeds damaged and random bytes to every decoder there is: they may find problems, they may not raise.

    python tests/fuzz_decoders.py [CAPTURE_OR_FOLDER...] [--rounds N] [--seconds N] [--seed N]

Seeds are the datagrams and stream pieces of the captures named, and random bytes. Each is mutated and given to the
decoders that say they know the original, and to one chosen at random. Prints a row per decoder; exit 1 on any failure.
The same seed gives the same run. A short form of it is tests/decode/test_every_decoder.py.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import traceback
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

from flowcheck import decode
from flowcheck.decode.wire import Tape
from flowcheck.model import Context, Endpoint, Expect, FrameRef, Inner, Message, Opaque, Payload, Problem, Switch

SLOW = 2.0                                # seconds that one piece of data may take, through every door of a decoder
_DEEPEST = 4                              # payloads within payloads that are followed
_SUFFIXES = (".pcap", ".pcapng", ".cap")


def context(ports: tuple[int, int] = (40112, 53), time_: int = 1, **more) -> Context:
    src, dst = Endpoint("198.51.100.21", ports[0]), Endpoint("192.0.2.53", ports[1])
    return Context(time_, (FrameRef(0, 1),), src, dst, ("eth", "ip"), 1, **more)


@cache
def protocols() -> frozenset[str]:
    return frozenset(kind.partition(".")[0] for kind in decode.kinds())


def check(found, depth: int = 0) -> int:
    """Looks at what a decoder yielded, follows its payloads, counts. Raises AssertionError on what is no result."""
    count = 0
    for item in found or ():
        count += 1
        assert isinstance(item, (Message, Payload, Inner, Switch, Expect, Opaque)), f"yields {type(item).__name__}"
        if isinstance(item, Message):
            # a procedure call of a peer's own invention is a kind nobody could declare
            assert item.kind in decode.kinds() or item.protocol in protocols(), f"{item.kind} is in no KINDS"
            assert isinstance(item.frames, tuple) and item.frames, f"{item.kind} without frames"
            assert all(isinstance(name, str) for name in item.fields), f"{item.kind}: field names are text"
            sane = all(isinstance(p, Problem) and p.offset >= 0 and p.text for p in item.problems)
            assert sane, f"{item.kind}: {item.problems}"
            json.dumps(item.fields, default=str).encode()
        elif isinstance(item, Payload) and depth < _DEEPEST:
            module = decode.payload_decoders().get(item.protocol)
            if module is not None:
                count += give(module, item.data, item.context, depth + 1)
    return count


def give(module: ModuleType, data: bytes, where: Context, depth: int = 0) -> int:
    """One datagram or payload, to `decode` or to a fresh Flow."""
    if hasattr(module, "Flow"):
        flow = module.Flow(where)
        return check(flow.datagram(data, where), depth) + check(flow.end(), depth)
    return check(module.decode(data, where), depth) if hasattr(module, "decode") else 0


def converse(module: ModuleType, pieces: list[tuple[int, bytes]], where: Context, lose: int | None = None) -> int:
    """Pieces of a stream, by side; before piece number `lose` some bytes are missing."""
    tapes = (Tape(where), Tape(replace(where, src=where.dst, dst=where.src)))
    talk, count = module.Conversation(where), 0
    for number, (side, data) in enumerate(pieces, 1):
        if number - 1 == lose:
            count += check(talk.lost(side, 100))
            tapes[side].skip(len(tapes[side]))
        tapes[side].append(data, FrameRef(0, number), number)
        count += check(talk.feed(side, tapes[side]))
    return count + check(talk.end(0)) + check(talk.end(1))


def exercise(module: ModuleType, data: bytes, where: Context, rng: random.Random) -> int:
    """Every door of one decoder, for one piece of data."""
    count = 0
    if hasattr(module, "likely"):
        assert module.likely(data, (where.src.port or 0, where.dst.port or 0)) in (True, False), "likely gives a bool"
    count += give(module, data, where)
    count += give(module, data, replace(where, missing=rng.randrange(1, 500)))
    if hasattr(module, "Conversation"):
        pieces, at = [], 0
        while at < len(data):
            size = rng.choice((1, 2, 7, 100, 1400, len(data)))
            pieces.append((rng.randrange(2) if rng.random() < 0.2 else 0, data[at:at + size]))
            at += size
        count += converse(module, pieces, where)
        count += converse(module, [(1 - side, part) for side, part in pieces], where, rng.randrange(len(pieces) + 1))
    return count


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four damages: flipped bits, lying lengths, cuts, repetitions, insertions."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(out) + 1)
        damage = rng.randrange(6)
        if damage == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif damage == 1 and at < len(out):
            out[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif damage == 2:
            del out[at:]
        elif damage == 3:
            out[at:at] = out[at:at + rng.randrange(64)]
        elif damage == 4:
            out[at:at] = rng.randbytes(rng.randrange(8))
        else:
            del out[at:at + rng.randrange(8)]
    return bytes(out[:1 << 16])


def seeds(paths: list[Path], most: int = 4000) -> list[tuple[bytes, tuple[int, int]]]:
    """(bytes, ports) of what the captures carry: UDP and other IP payloads, and TCP pieces, joined by direction."""
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.utils import PcapReader

    found: dict[tuple[bytes, tuple[int, int]], None] = {}
    streams: dict[tuple, bytearray] = {}
    files = (file for path in paths for file in (path.rglob("*") if path.is_dir() else (path,)))
    for path in sorted(file for file in files if file.suffix in _SUFFIXES):
        try:
            with PcapReader(str(path)) as reader:
                for packet, _ in zip(reader, range(2000)):
                    ip = packet.getlayer(IP) or packet.getlayer(IPv6)
                    if ip is None:
                        continue
                    if TCP in packet:
                        key = (path, ip.src, ip.dst, packet[TCP].sport, packet[TCP].dport)
                        stream = streams.setdefault(key, bytearray())
                        stream += bytes(packet[TCP].payload)[:8192 - len(stream)] if len(stream) < 8192 else b""
                    elif UDP in packet:
                        found[bytes(packet[UDP].payload), (packet[UDP].sport, packet[UDP].dport)] = None
                    else:
                        found[bytes(ip.payload), (0, 0)] = None
        except Exception as error:        # a capture that scapy cannot read is no seed, and says so
            print(f"{path.name}: not used ({type(error).__name__})", file=sys.stderr)
    found.update({(bytes(data), key[3:]): None for key, data in streams.items() if data})
    everything = list(found)
    return everything if len(everything) <= most else random.Random(0).sample(everything, most)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captures", nargs="*", type=Path, default=[Path(__file__).parent.parent / "samples"])
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng, known = random.Random(args.seed), seeds(args.captures)
    modules = decode.decoders()
    calls, results, failures, slowest = Counter(), Counter(), Counter(), Counter()
    ends = time.monotonic() + args.seconds
    rounds = 0
    while rounds < args.rounds and time.monotonic() < ends:
        rounds += 1
        noise = rng.randbytes(rng.randrange(300)), (rng.randrange(65536), 53)
        data, ports = rng.choice(known) if known and rng.random() < 0.9 else noise
        takers = [m for m in modules if hasattr(m, "likely") and m.likely(data, ports)] + [rng.choice(modules)]
        damaged = mutate(data, rng)
        for module in takers:
            name = module.__name__.rpartition(".")[2]
            began = time.perf_counter()
            try:
                results[name] += exercise(module, damaged, context(ports), rng)
            except Exception:             # what this script is for: tell which bytes, go on with the others
                failures[name] += 1
                print(f"--- {name}, {len(damaged)} octets: {damaged[:200].hex()}", file=sys.stderr)
                traceback.print_exc(limit=-4)
            taken = time.perf_counter() - began
            slowest[name] = max(slowest[name], taken)
            if taken > SLOW:
                failures[name] += 1
                print(f"--- {name}, {taken:.1f} s for {len(damaged)} octets: {damaged[:200].hex()}", file=sys.stderr)
            calls[name] += 1
    print(f"{rounds} rounds, {len(known)} seeds, seed {args.seed}")
    print(f"{'decoder':<14}{'runs':>8}{'results':>10}{'failures':>10}{'slowest':>11}")
    for name in sorted(calls):
        print(f"{name:<14}{calls[name]:>8}{results[name]:>10}{failures[name]:>10}{slowest[name] * 1000:>8.1f} ms")
    return 1 if sum(failures.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
