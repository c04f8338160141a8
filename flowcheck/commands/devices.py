"""`flowcheck devices`: which devices a capture shows, their identities and addresses, and how that is known."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import Any

from ..model import UNKNOWN
from ..report.times import iso
from ..session import nobody
from . import common

HELP = "list the devices of an observation: identities, addresses, and the evidence for them"


def arguments(parser: argparse.ArgumentParser) -> None:
    common.inputs(parser)
    parser.add_argument("--json", action="store_true", help="a JSON object instead of a table")
    common.output_options(parser)


def run(options: argparse.Namespace) -> int:
    from ..observe.observation import observe
    from ..session.timeline import timelines
    with common.progress(options) as progress:
        observation = observe(common.captures(options), common.keys(options), common.decode_as(options), progress,
                              digest=False)
    found = timelines(observation.messages, observation.opaque, observation.gaps, observation.window, observation.taps)
    names = [info.path for info in observation.captures]
    devices = [_device(timeline, names) for timeline in found if timeline.device.id != UNKNOWN]
    unknown = next((_unknown(timeline) for timeline in found if timeline.device.id == UNKNOWN), None)
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
            "inner": inner, "shared": list(device.shared), "seen": _seen(timeline, names),
            "evidence": list(device.evidence),
            "links": [_link(link, names) for link in device.links], "apart": list(device.apart),
            "assumed": list(device.assumed),
            "messages": dict(kinds.most_common()), "first_frame": _frame(timeline.messages[0], names),
            "last_frame": _frame(timeline.messages[-1], names), "sealed": _sealed(timeline)}


def _seen(timeline: Any, names: list[str]) -> list[dict[str, Any]]:
    """When each of its addresses was seen as the device's, first and last."""
    ends: dict[str, list[Any]] = {}
    for message in timeline.messages:
        for address in {message.src.address, message.dst.address}.intersection(timeline.device.addresses):
            ends.setdefault(address, [message, message])[1] = message
    return [{"address": address, "since": iso(ends[address][0].time), "until": iso(ends[address][1].time),
             "first_frame": _frame(ends[address][0], names), "last_frame": _frame(ends[address][1], names)}
            for address in timeline.device.addresses if address in ends]


def _link(link: Any, names: list[str]) -> dict[str, Any]:
    return {"one": link.one, "other": link.other, "why": link.why, "since": iso(link.since), "until": iso(link.until),
            "frames": [{"capture": names[ref.capture], "frame": ref.number} for ref in link.frames]}


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
    return {"messages": dict(Counter(m.protocol for m in timeline.messages).most_common()),
            "hosts": nobody.hosts(timeline), "sealed": _sealed(timeline), "evidence": list(nobody.sentences(timeline))}


def _table(devices: list[dict[str, Any]], unknown: dict[str, Any] | None) -> None:
    from ..report.visible import line
    for device in devices:
        print(line(device["id"], 120))
        rows = [("identity", ", ".join(f"{key} {value}" for key, value in device["identity"].items())),
                ("outer", ", ".join(device["outer"])), ("inner", ", ".join(device["inner"])),
                ("addresses", "" if device["outer"] else ", ".join(device["addresses"])),
                ("messages", _counts(device["messages"])), ("sealed", _counts(device["sealed"], " packets")),
                ("frames", f"{device['first_frame']['frame']} to {device['last_frame']['frame']}")]
        if len(device["seen"]) > 1 or device["shared"]:
            rows += [("seen", f"{one['address']} from {one['since']} to {one['until']}{_shared(one, device)}")
                     for one in device["seen"]]
        rows += [("evidence", link["why"] + (f"; until {link['until']}" if link["until"] else ""))
                 for link in device["links"]]
        rows += [("apart", text) for text in device["apart"]] + [("assumed", text) for text in device["assumed"]]
        for name, value in rows:
            if value:
                print(f"    {name:<10}{line(value, 300)}")
    if unknown is not None:
        print("unknown (belongs to no device that can be named)")
        for name, value in (("messages", _counts(unknown["messages"])),
                            ("sealed", _counts(unknown["sealed"], " packets")),
                            ("hosts", ", ".join(unknown["hosts"])),
                            *(("evidence", text) for text in unknown["evidence"])):
            if value:
                print(f"    {name:<10}{line(value, 300)}")


def _shared(seen: dict[str, Any], device: dict[str, Any]) -> str:
    return ", shared with other devices" if seen["address"] in device["shared"] else ""


def _counts(counts: dict[str, int], unit: str = "") -> str:
    return ", ".join(f"{name} {count}{unit}" for name, count in counts.items())
