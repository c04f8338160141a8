#!/usr/bin/env python3
"""Measures flowcheck beside tshark in one run: CPU of the whole process tree (user + system), wall, peak memory, ratios.

    run.py [--folder DIR] [--runs 5] [--small] [--only start control bulk scaling many]

Captures are made first where DIR has none. Commands take turns, so that a machine that slows down slows all of them; the
medians are printed, and every verdict is compared with the truth beside the capture.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
FLOWCHECK = [sys.executable, "-c", "import sys; from flowcheck.cli import main; sys.exit(main())"]
IN_PYTHON = [sys.executable, "-c", "import sys; sys.modules['flowcheck.capture._lanes'] = None; from flowcheck.cli import main; sys.exit(main())"]
PARTS = ("start", "control", "bulk", "scaling", "many")
UNNEEDED = ("-o tcp.reassemble_out_of_order:TRUE -d tcp.port==7547,http --disable-protocol gtp --disable-protocol udpencap --disable-protocol esp").split()
WANTED = "dns or isakmp or http or tls.handshake"
# of what the captures hold
PREFILTER = "port 53 or port 500 or (udp port 4500 and udp[8:4] = 0) or port 443 or port 7547"


def tshark(path: Path) -> list[str]:
    return ["tshark", "-n", "-r", str(path), *UNNEEDED, "-Y", WANTED, "-T", "fields", "-e", "frame.number", "-e",
            "http.file_data"]


def prefiltered(path: Path) -> list[str]:
    """What an expert does who knows the ports: tcpdump picks the packets, tshark reads those."""
    return ["sh", "-c", f"tcpdump -n -r '{path}' -w - '{PREFILTER}' | {shlex.join(tshark(Path('-')))}"]


def measured(command: list[str]) -> tuple[float, float, float]:
    """CPU seconds with all descendants, wall seconds, MB of the largest process."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - begun, usage.ru_maxrss / 1024


def compare(title: str, commands: dict[str, list[str]], runs: int, times: dict[str, int] | None = None) -> None:
    """Medians of the commands in turn; `times` multiplies a command that stands for many."""
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            if name == "batch":
                shutil.rmtree(command[command.index("--output-dir") + 1], ignore_errors=True)
            one = measured(command)
            if turn:                                 # the first one warms the page cache
                rows[name].append(one)
    median = {name: tuple(statistics.median(column) for column in zip(*held)) for name, held in rows.items()}
    base = median.get("tshark", (0.0,))[0] * (times or {}).get("tshark", 1)
    print(f"\n{title}\n{'':24}  CPU s    wall s   peak MB  tshark / this")
    for name, (cpu, wall, peak) in median.items():
        factor = (times or {}).get(name, 1)
        print(f"{name:24}{cpu * factor:8.3f} {wall * factor:8.3f} {peak:8.0f}  {base / (cpu * factor) if base else 0:8.2f}")


def right(path: Path, site: Path) -> str:
    truth = json.loads(path.with_name(path.name + ".truth.json").read_text())
    done = subprocess.run([*FLOWCHECK, "check", str(path), "--site", str(site), "--json", "-", "--quiet"],
                          capture_output=True, text=True)
    found = {device["id"]: max((a["verdict"] for a in device["attempts"] if a["procedure"] == truth["procedure"]),
                               key=("pass", "inconclusive", "fail").index,
                               default="none") for device in json.loads(done.stdout)["devices"]}
    wrong = [name for name, verdict in truth["verdicts"].items() if found.get(name) != verdict]
    return f"{path.name}: {len(truth['verdicts']) - len(wrong)} of {len(truth['verdicts'])} verdicts right" + (f", first wrong {wrong[0]}" if wrong else "")


def made(folder: Path, name: str, *arguments: str) -> Path:
    path = folder / name
    if not path.exists():
        subprocess.run([sys.executable, str(HERE / "make_captures.py"), arguments[0], str(path),
                        *arguments[1:]], check=True)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("benchmark-captures"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="a tenth of everything, to see that it works")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    folder, part = options.folder, 10 if options.small else 1
    folder.mkdir(parents=True, exist_ok=True)
    count, files, sizes = 2000 // part, 500 // part, (200 // part, 1000 // part)
    small_files = made(folder, f"many-{files}", "many", "--files", str(files))
    site, out = folder / "site.yaml", folder / "out"

    def check(path: Path, program: list[str] = FLOWCHECK) -> list[str]:
        return [*program, "check", str(path), "--site", str(site), "--json", str(out / "r.json"), "--html",
                str(out / "r.html"), "--quiet"]

    def decode(path: Path) -> list[str]:
        return [*FLOWCHECK, "decode", str(path), "--format", "jsonl"]
    if "start" in options.only:
        compare("start", {"flowcheck --version": [*FLOWCHECK, "--version"],
                          "check of one small file": check(min(small_files.glob("*.pcap")))}, options.runs)
    if "control" in options.only:
        path = made(folder, f"control-{count}.pcap", "control", "--devices", str(count))
        print("\n" + right(path, site))
        compare(path.name, {"tshark": tshark(path), "flowcheck check": check(path), "flowcheck decode": decode(path)},
                options.runs)
    if "bulk" in options.only:
        for size in sizes:
            path = made(folder, f"bulk-{size}.pcap", "bulk", "--megabytes", str(size))
            print("\n" + right(path, site))
            peers = {"tshark": tshark(path)} | ({"tcpdump | tshark": prefiltered(path)}
                                                if shutil.which("tcpdump") else {})
            compare(path.name, {**peers, "flowcheck check": check(path),
                                "check, scan in Python": check(path, IN_PYTHON),
                                "flowcheck decode": decode(path)}, options.runs)
    if "scaling" in options.only:
        for number in (200 // part, 2000 // part, 20000 // part):
            path = made(folder, f"control-{number}.pcap", "control", "--devices", str(number))
            cpu, _, peak = measured(check(path))
            print(f"{number} devices: {1000 * cpu / number:.2f} ms CPU a device, {peak:.0f} MB")
    if "many" in options.only:
        batch = [*FLOWCHECK, "batch", str(small_files), "--site", str(site), "--output-dir",
                 str(out / "batch"), "--quiet"]
        compare(f"{files} files", {"tshark": tshark(min(small_files.glob("*.pcap"))), "batch": batch}, options.runs,
                {"tshark": files})
        again = measured(batch)
        print(f"second run with nothing new: {again[0]:.2f} s CPU, {again[1]:.2f} s wall")


if __name__ == "__main__":
    main()
