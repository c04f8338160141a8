"""The second opinion: what Wireshark sees in a capture, asked through pyshark.

    ask         packets that a display filter selects, with their dissected fields (a process of its own)
    crosscheck  the facts flowcheck and Wireshark both decode, and where they disagree

pyshark takes over asyncio's child watcher for good, so it runs in a child process: `python -m flowcheck.wireshark.crosscheck`
reads one request from its standard input and writes a line of JSON per packet. Keys are never put on a command line:
they go to Wireshark as the tables of a private configuration directory. Nothing here is needed to judge a capture.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import CaptureError, UsageError
from ..model import Message
from ..observe.observation import Observation
from . import facts
from .facts import Fact

TIMEOUT = 600                # seconds for one capture
PREFERENCES = {"tcp.reassemble_out_of_order": "TRUE",     # without it tshark loses messages
               "esp.enable_encryption_decode": "TRUE", "esp.enable_null_encryption_decode_heuristic": "FALSE"}
COSTS = ("tshark is not installed: no second opinion by Wireshark (crosscheck) and no rule steps with a Wireshark "
         "filter; install it with `apt-get install tshark`")


class Seen(NamedTuple):
    """One packet as Wireshark dissected it: `layers` are (name, fields), outermost first; fields may be nested."""

    frame: int
    time: int
    layers: tuple[tuple[str, Any], ...]


class Disagreement(NamedTuple):
    """`field` names what differs; it is empty where only one of the two saw the message at all."""

    frame: int
    protocol: str
    field: str
    flowcheck: str
    wireshark: str

    def __str__(self) -> str:
        what = f"{self.protocol}.{self.field}" if self.field else self.protocol
        return f"frame {self.frame}: {what}: flowcheck {self.flowcheck}; Wireshark {self.wireshark}"


class Comparison(NamedTuple):
    agreed: Mapping[str, int]                    # protocol -> facts both saw
    disagreements: tuple[Disagreement, ...]
    remarks: tuple[str, ...]                     # what could not be compared, and why


def unavailable() -> str | None:
    """Why Wireshark cannot be asked and what to do about it; None where it can."""
    from importlib.util import find_spec
    if shutil.which("tshark") is None:
        return COSTS
    if find_spec("pyshark") is None:
        return "pyshark is not installed: no second opinion by Wireshark; `pip install pyshark`"
    return None


# ---------------------------------------------------------------------------------------------------- asking

def ask(path: str, display_filter: str, *, keys: Sequence[str] = (),
        decode_as: Mapping[str, str] | None = None, without: str | None = None) -> list[Seen]:
    """The packets of a capture that a display filter selects; `without` names a protocol that shall not be looked for.

    Raises UsageError or CaptureError in tshark's words.
    """
    reason = unavailable()
    if reason:
        raise UsageError(reason)
    if path == "-":
        raise UsageError("Wireshark cannot be asked about standard input; name a file")
    with _configuration(keys) as (directory, preferences):
        answer = Path(directory, "answer")         # a file: pyshark makes the pipes of its process non-blocking
        request = {"path": os.path.abspath(path), "filter": display_filter, "decode_as": dict(decode_as or {}),
                   "preferences": {**PREFERENCES, **preferences}, "without": without, "answer": str(answer)}
        environment = {**os.environ, "WIRESHARK_CONFIG_DIR": directory,
                       "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        try:
            done = subprocess.run([sys.executable, "-m", "flowcheck.wireshark.crosscheck"], env=environment,
                                  timeout=TIMEOUT,
                                  input=json.dumps(request), capture_output=True, encoding="utf-8", errors="replace")
        except subprocess.TimeoutExpired:
            raise CaptureError(f"{path}: tshark did not finish within {TIMEOUT} s") from None
        if done.returncode:
            raise _error(path, display_filter, done.stderr)
        with answer.open(encoding="ascii") as lines:
            return [Seen(row["frame"], row["time"], tuple((name, fields) for name, fields in row["layers"]))
                    for row in map(json.loads, lines)]


def _error(path: str, display_filter: str, said: str) -> Exception:
    lines = [line.strip() for line in said.splitlines() if line.strip() and "Running as user" not in line]
    own = [line.removeprefix("tshark: ") for line in lines if line.startswith("tshark: ")]
    if own and not own[0].startswith("The file"):
        return UsageError(f"Wireshark does not take the display filter '{display_filter}': {own[0]}")
    return CaptureError(f"{path}: tshark cannot read it: {(own or lines[-1:] or ['it gives no reason'])[0]}")


@contextmanager
def _configuration(keys: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """A private Wireshark configuration directory holding the keys that are in Wireshark's own formats."""
    with tempfile.TemporaryDirectory(prefix="flowcheck-") as directory:
        preferences = {}
        for name, lines in key_tables(keys).items():
            target = Path(directory, name)
            target.write_text("\n".join(lines) + "\n", encoding="utf-8")
            target.chmod(0o600)
            if name == "tls_keylog":
                preferences["tls.keylog_file"] = str(target)
        yield directory, preferences


def key_tables(keys: Sequence[str]) -> dict[str, list[str]]:
    """The lines of key files that Wireshark reads itself, by table. Other formats stay flowcheck's own."""
    tables: dict[str, list[str]] = defaultdict(list)
    for path in map(Path, keys):
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            for line in file.read_text(encoding="utf-8-sig", errors="replace").splitlines():
                table, row = facts.key_row(line)
                if table and row not in tables[table]:
                    tables[table].append(row)
    return dict(tables)


def _child() -> int:
    """The child process: one request in, a line per packet into the file it names."""
    request = json.load(sys.stdin)
    import pyshark
    from pyshark.capture.capture import TSharkCrashException
    _read_any_text()
    capture = pyshark.FileCapture(request["path"], display_filter=request["filter"], use_json=True, keep_packets=False,
                                  override_prefs=request["preferences"], decode_as=request["decode_as"],
                                  disable_protocol=request["without"], custom_parameters=["-n"])
    packets = 0
    with open(request["answer"], "w", encoding="ascii") as answer:
        try:
            for packet in capture:
                packets += 1
                answer.write(json.dumps({"frame": int(packet.number), "time": _nanoseconds(packet.frame_info),
                                         "layers": [layer for each in packet.layers for layer in _plain(each)]}) + "\n")
            capture.close()
        except TSharkCrashException as error:
            words = _own_words(request) or str(error)
            if not packets and "cut short" not in words:      # a cut capture is read up to the cut
                print(words, file=sys.stderr)
                return 1
    return 0


def _own_words(request: Mapping[str, Any]) -> str:
    """What tshark says itself; pyshark keeps only the number it ended with."""
    done = subprocess.run(["tshark", "-n", "-r", request["path"], "-Y", request["filter"]], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, errors="replace")
    return done.stderr if done.returncode else ""


def _read_any_text() -> None:
    """pyshark takes tshark's output for UTF-8, but texts of the capture are in it as they came."""
    from pyshark.tshark.output_parser import tshark_json
    strict = tshark_json.packet_from_json_packet

    def lenient(data: bytes, **options: Any) -> Any:
        return strict(data.decode("utf-8", "replace").encode(), **options)

    tshark_json.packet_from_json_packet = lenient


def _plain(layer: Any) -> list[tuple[str, Any]]:
    fields = layer._all_fields or getattr(layer, "value", None)
    return [(layer.layer_name, fields), *((each.layer_name, each._all_fields) for each in layer.duplicate_layers)]


def _nanoseconds(frame_info: Any) -> int:
    whole, _, rest = str(frame_info._all_fields["frame.time_epoch"]).partition(".")
    return int(whole) * 1_000_000_000 + int((rest + "000000000")[:9])


# ---------------------------------------------------------------------------------------------------- comparing

def crosscheck(path: str, observation: Observation, *, keys: Sequence[str] = ()) -> Comparison:
    """Compares what flowcheck observed in one capture with Wireshark's view of the same file."""
    messages = observation.messages
    hints = decode_as(messages)
    seen = ask(path, facts.FILTER, keys=keys, decode_as=hints, without=_IN_THE_WAY)
    malformed = {packet.frame for packet in seen
                 if any(facts.malformed(fields) for _, fields in packet.layers)}
    pairs = [(m, fact) for m in messages for fact in facts.ours(m)
             if not malformed.intersection(ref.number for ref in m.frames)]
    ours = [(tuple(ref.number for ref in m.frames), fact) for m, fact in pairs]
    theirs = _theirs(seen, malformed)
    agreed, left, alone = _pair(ours, theirs)
    if left and hints:                      # a hint may hide what Wireshark finds by itself: that counts too
        by_itself = _theirs(ask(path, facts.FILTER, keys=keys), malformed)
        more, still, _ = _pair([ours[i] for i in left], by_itself)
        agreed, left = dict(Counter(agreed) + Counter(more)), [left[i] for i in still]
    cut = {(ref.number, m.protocol) for m in messages if m.incomplete for ref in m.frames}
    again = _seen_again(pairs, left)
    holed = {i for i in left if any(gap.stream == pairs[i][0].stream and gap.start <= pairs[i][0].time
                                    for gap in observation.gaps)}
    remarks = [(len(malformed), "frames that Wireshark calls malformed"),
               (len(again), "messages of TCP connections that the file holds twice (two interfaces; Wireshark takes the "
                            "second copy for retransmissions)"),
               (len(holed), "messages behind a hole in their TCP stream, where Wireshark does not read on"),
               (len(cut), "messages that the capture cut")]
    left = [i for i in left if i not in again | holed]
    alone = [(frame, fact) for frame, fact in alone if (frame, fact.protocol) not in cut]
    return Comparison(agreed, tuple(_disagreements([ours[i] for i in left], alone)),
                      tuple(f"left out: {count} {what}" for count, what in remarks if count))


_IN_THE_WAY = "ftp-data"     # takes a data connection for a file, even where TLS is spoken on it (RFC 4217)


def _theirs(seen: Iterable[Seen], malformed: set[int]) -> list[tuple[int, Fact]]:
    return [(packet.frame, fact) for packet in seen if packet.frame not in malformed
            for fact in facts.theirs(packet.layers)]


def _seen_again(pairs: Sequence[tuple[Message, Fact]], left: Sequence[int]) -> set[int]:
    """Those left over whose like was agreed on in another stream between the same ends: a file of two interfaces."""
    streams = defaultdict(set)
    unpaired = set(left)
    for index, (message, fact) in enumerate(pairs):
        if index not in unpaired:
            streams[fact, message.src, message.dst].add(message.stream)
    return {index for index in left if (message := pairs[index][0]) and "tcp" in message.layers
            and streams[pairs[index][1], message.src, message.dst] - {message.stream}}


def decode_as(messages: Iterable[Message]) -> dict[str, str]:
    """Protocols that flowcheck found where Wireshark may not look for them: `tcp.port==7547` -> `http`."""
    messages = [m for m in messages if m.kind in _HINTED]
    sealed = {m.dst.port for m in messages if m.kind == "tls.client_hello"}
    clear = {m.dst.port for m in messages if m.kind in ("http.request", "ftp.command") and m.layers[-1:] == ("tcp",)}
    found: dict[str, str] = {}
    for message in messages:
        transport, protocol = message.layers[-1:], _HINTED[message.kind]
        port = message.dst.port
        if transport == ("tls",) and protocol == "http":
            found[f"tls.port=={port}"] = protocol
        elif transport == ("tcp",) and port not in (clear if protocol == "tls" else sealed) and protocol:
            found[f"tcp.port=={port}"] = protocol
        elif transport == ("udp",) and protocol == "coap":
            found[f"udp.port=={port}"] = protocol
    return found


_HINTED = {"http.request": "http", "tls.client_hello": "tls", "coap.request": "coap", "ftp.command": ""}


def compare(ours: Sequence[tuple[tuple[int, ...], Fact]], theirs: Sequence[tuple[int, Fact]]) -> Comparison:
    """The comparison itself: frames and fact of every message, frame and fact of every one of Wireshark's."""
    agreed, left, alone = _pair(ours, theirs)
    return Comparison(agreed, tuple(_disagreements([ours[index] for index in left], alone)), ())


def _pair(ours: Sequence[tuple[tuple[int, ...], Fact]], theirs: Sequence[tuple[int, Fact]],
          ) -> tuple[dict[str, int], list[int], list[tuple[int, Fact]]]:
    """Pairs equal facts at the same frame one to one: counts of pairs, what is left of ours (indices) and of theirs."""
    waiting: dict[tuple[int, Fact], list[int]] = defaultdict(list)           # frame and fact -> indices of ours
    for index, (frames, fact) in enumerate(ours):
        for frame in dict.fromkeys(frames):
            waiting[frame, fact].append(index)
    agreed: Counter[str] = Counter()
    paired: set[int] = set()
    alone = []
    for frame, fact in theirs:
        pair = next((index for index in waiting.get((frame, fact), ()) if index not in paired), None)
        if pair is None and fact.protocol == "ftp" and (frame, fact) in waiting:
            continue                        # Wireshark repeats the code at the lines of one reply (RFC 959 4.2)
        if pair is None:
            alone.append((frame, fact))
        else:
            paired.add(pair)
            agreed[fact.protocol] += 1
    return dict(agreed), [index for index in range(len(ours)) if index not in paired], alone


def _disagreements(ours: list[tuple[tuple[int, ...], Fact]], theirs: list[tuple[int, Fact]]) -> list[Disagreement]:
    """Leftovers of one protocol at one frame are the same message read differently, the most alike first."""
    found = []
    for frame, fact in theirs:
        same = [item for item in ours if frame in item[0] and item[1].protocol == fact.protocol]
        if not same:
            found.append(Disagreement(frame, fact.protocol, "", "sees nothing", f"sees {fact}"))
            continue
        nearest = max(same, key=lambda item: len(set(item[1].values) & set(fact.values)))
        ours.remove(nearest)
        mine, other = dict(nearest[1].values), dict(fact.values)
        found += [Disagreement(frame, fact.protocol, name, str(mine.get(name)), str(other.get(name)))
                  for name in {**mine, **other} if mine.get(name) != other.get(name)]
    found += [Disagreement(frames[-1], fact.protocol, "", f"sees {fact}", "sees nothing") for frames, fact in ours]
    return sorted(found)


if __name__ == "__main__":
    sys.exit(_child())
