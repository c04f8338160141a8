"""The outer capture and the keys alone tell the same as the captures inside and outside the tunnel together.

Everything that runs inside the tunnel is seen twice where both captures are given: once opened out of ESP, once in
clear. Verdicts, causes and step states must not depend on that, and no message may be counted twice.

The samples of the repository are always tried; the captures of a lab beside the repository only where they are there.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest

from flowcheck.check import judged, key_ring
from flowcheck.observe.observation import Observation, observe
from flowcheck.rulebook.loader import load_rules
from flowcheck.rulebook.site import load_site
from flowcheck.session.timeline import sequence

ROOT = Path(__file__).resolve().parent.parent
LAB = ROOT.parent / "shared" / "captures" / "lab"
COUNTED = ("cwmp", "http", "dns", "ftp", "hnbap", "s1ap")


class Place(NamedTuple):
    folder: Path
    outer: tuple[str, ...]
    inner: tuple[str, ...]


def places() -> list[Place]:
    """Folders with captures from both sides of a tunnel and its keys."""
    found = []
    for inner in sorted((ROOT / "samples").rglob("*_inner.pcap*")):
        outer = tuple(str(path) for path in sorted(inner.parent.glob("*_outer.pcap*")))
        if outer and (inner.parent / "keys").is_dir():
            found.append(Place(inner.parent, outer, (str(inner),)))
    lab = []
    for truth in sorted(LAB.glob("*/truth.json")):
        captures = json.loads(truth.read_text())["captures"]
        files = {side: [str(truth.parent / each["file"]) for each in captures if bool(each.get("inside")) is side]
                 for side in (False, True)}
        if files[False] and files[True] and (truth.parent / "keys").is_dir():
            lab.append(Place(truth.parent, tuple(files[False]), tuple(files[True])))
    return found + lab


@lru_cache(maxsize=1)
def book():
    return load_rules()


def seen(place: Place, captures: tuple[str, ...]) -> tuple[Observation, list]:
    """What was observed, and every attempt as it was judged."""
    site = place.folder / "site.yaml"
    profile = load_site(str(site) if site.exists() else None)
    observation = observe(list(captures), key_ring([str(place.folder / "keys")]))
    result = judged(observation, book(), profile)
    judgement = [(device.id, attempt.procedure, attempt.verdict, attempt.cause,
                  [(step.step, step.state) for step in attempt.steps])
                 for device in result.devices for attempt in device.attempts]
    return observation, judgement


def counted(observation: Observation) -> Counter[str]:
    ordered = sequence(observation.messages, observation.taps, observation.gaps)[0]
    return Counter(message.kind for message in ordered if message.protocol in COUNTED)


@pytest.mark.parametrize("place", places(), ids=lambda place: "/".join(place.folder.parts[-2:]))
def test_outer_alone_is_judged_as_both_together(place):
    alone, of_alone = seen(place, place.outer)
    both, of_both = seen(place, (*place.outer, *place.inner))
    assert of_alone == of_both and counted(alone)
    more = counted(both) - counted(alone)
    assert not more, f"counted twice: {dict(more)}"


def test_there_are_places_to_try():
    assert len(places()) >= 5


@pytest.mark.skipif(not LAB.is_dir(), reason="the lab's captures (../shared/captures/lab) are not there")
def test_places_of_the_lab_are_among_them():
    assert any(LAB in place.folder.parents for place in places())
