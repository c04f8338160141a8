"""`flowcheck devices`: which devices a capture shows, their identities and addresses, and how that is known."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import Any

from . import common

HELP = "list the devices of an observation: identities, addresses, and the evidence for them"


def arguments(parser: argparse.ArgumentParser) -> None:
    common.inputs(parser)
    parser.add_argument("--json", action="store_true", help="a JSON object instead of a table")
    common.output_options(parser)


def run(options: argparse.Namespace) -> int:
    from ..observation import observe
    from ..session.timeline import timelines
    observation = observe(common.captures(options), common.keys(options), common.decode_as(options),
                          common.progress(options), digest=False)
    found = timelines(observation.messages, observation.opaque, observation.gaps, observation.window, observation.taps)
    names = [info.path for info in observation.captures]
    devices = [_device(timeline, names) for timeline in found if timeline.device.id != "unknown"]
    unknown = next((_unknown(timeline) for timeline in found if timeline.device.id == "unknown"), None)
    if options.json:
        shown = {"schema": "flowcheck/devices/1", "captures": names, "devices": devices, "unknown": unknown}
        print(json.dumps(shown, indent=1))
    else:
        _table(devices, unknown)
    return common.EXIT_OK if devices else common.EXIT_NOTHING


def _device(timeline: Any, names: list[str]) -> dict[str, Any]:
    device = timeline.device
    outer = [address for address in device.addresses if address in device.outer]
    inner = [address for address in device.addresses if address not in device.outer] if outer else []
    kinds = Counter(message.protocol for message in timeline.messages)
    return {"id": device.id, "identity": dict(device.identity), "addresses": list(device.addresses), "outer": outer,
            "inner": inner, "evidence": list(device.evidence), "assumed": list(device.assumed),
            "messages": dict(kinds.most_common()), "first_frame": _frame(timeline.messages[0], names),
            "last_frame": _frame(timeline.messages[-1], names), "sealed": _sealed(timeline)}


def _frame(message: Any, names: list[str]) -> dict[str, Any]:
    ref = message.frames[-1]
    return {"capture": names[ref.capture], "frame": ref.number}


def _sealed(timeline: Any) -> dict[str, int]:
    packets: Counter[str] = Counter()
    for opaque in timeline.opaque:
        packets[opaque.kind] += opaque.packets
    return dict(packets)


def _unknown(timeline: Any) -> dict[str, Any]:
    """What belongs to no device: hosts that only ever served, and traffic nothing ties to anybody."""
    hosts: Counter[str] = Counter()
    for message in timeline.messages:
        hosts.update({message.src.address, message.dst.address})
    return {"messages": dict(Counter(m.protocol for m in timeline.messages).most_common()),
            "hosts": dict(hosts.most_common(50)), "sealed": _sealed(timeline)}


def _table(devices: list[dict[str, Any]], unknown: dict[str, Any] | None) -> None:
    from ..report.visible import line
    for device in devices:
        print(line(device["id"], 120))
        rows = [("identity", ", ".join(f"{key} {value}" for key, value in device["identity"].items())),
                ("outer", ", ".join(device["outer"])), ("inner", ", ".join(device["inner"])),
                ("addresses", "" if device["outer"] else ", ".join(device["addresses"])),
                ("messages", _counts(device["messages"])), ("sealed", _counts(device["sealed"], " packets")),
                ("frames", f"{device['first_frame']['frame']} to {device['last_frame']['frame']}")]
        rows += [("evidence", text) for text in device["evidence"]] + [("assumed", text) for text in device["assumed"]]
        for name, value in rows:
            if value:
                print(f"    {name:<10}{line(value, 300)}")
    if unknown is not None:
        print("unknown (belongs to no device that can be named)")
        print(f"    {'messages':<10}{_counts(unknown['messages'])}")
        print(f"    {'hosts':<10}{line(', '.join(unknown['hosts']), 300)}")


def _counts(counts: dict[str, int], unit: str = "") -> str:
    return ", ".join(f"{name} {count}{unit}" for name, count in counts.items())
