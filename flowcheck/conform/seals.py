"""Which traffic that this capture cannot open may hide a step: ESP and TLS without keys, a tunnel nobody recorded."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from ..model import Opaque
from ..rulebook.rule import Step
from .fields import partly_hidden

if TYPE_CHECKING:
    from .visibility import Visibility

LAYER_KINDS = {"ipsec": ("esp",), "tls": ("tls", "dtls", "ssh")}
SLACK = 2_000_000_000       # ns by which a sealed burst may lie outside an interval


def layers(step: Step) -> tuple[str, ...]:
    """The layers that may hide the step: what is in TLS may be in the tunnel as well."""
    layer = step.inside or step.perhaps_inside or next(iter(step.should_be_inside), None)
    return () if layer is None else (layer,) if layer == "tls" else ("ipsec", "tls")


def hidden(view: Visibility, step: Step) -> int:
    """The places where the step may be sealed."""
    over = layers(step)
    return view.once(over, _places, view, over)


def why_hidden(view: Visibility, step: Step, index: int) -> str | None:
    return sealed(view, step, *view.interval(index))


def sealed(view: Visibility, step: Step, start: int, end: int, but: Collection[str] = ()) -> str | None:
    """Which sealed traffic of this interval may hide the step; layers named in `but` were captured in clear as well."""
    hiding = _hiding(view, layers(step), start, end, but)
    return _in_words(view, hiding) if isinstance(hiding, Opaque) else hiding


def _places(view: Visibility, over: tuple[str, ...]) -> int:
    """All places at once for which `_hiding` finds something."""
    kinds = frozenset(kind for name in over for kind in LAYER_KINDS[name])
    if view.timeline.nobodys & kinds or "ipsec" in over and view.once("empty tunnel", _tunnel_is_empty, view):
        return view.everywhere()
    spans = sorted(span for opaque in view.timeline.opaque if opaque.kind in kinds for span in _spans(opaque))
    starts, furthest = [start for start, _ in spans], list(accumulate((end for _, end in spans), max))

    def flows(place: int) -> bool:
        start, end = view.interval(place)
        begun = bisect_right(starts, end + SLACK)
        return begun > 0 and furthest[begun - 1] >= start - SLACK
    return view.where(flows, range(len(view.messages) + 1)) if spans else 0


def _hiding(view: Visibility, over: tuple[str, ...], start: int, end: int, but: Collection[str]) -> Opaque | str | None:
    """The sealed traffic of this interval that may hide a step of these layers, or else what hides it."""
    if "ipsec" in over and view.once("empty tunnel", _tunnel_is_empty, view):
        return "no packet of the tunnel is in the capture"
    for name in over:
        if not view.timeline.nobodys.isdisjoint(kind for kind in LAYER_KINDS[name] if kind not in but):
            return f"may be inside {LAYER_KINDS[name][0].upper()} traffic that nothing says whose it is of the devices at this address"
        for opaque in view.timeline.opaque:
            if opaque.kind in LAYER_KINDS[name] and opaque.kind not in but and active(opaque, start, end):
                return opaque
    return None


def _in_words(view: Visibility, opaque: Opaque) -> str:
    why = opaque.fields.get("keys") if isinstance(opaque.fields, dict) else None
    tail = f"; the keys given {why}" if why else ""
    return f"may be inside {opaque.kind.upper()} traffic that this capture cannot open{_sizes(view, opaque)}{tail}"


def _sizes(view: Visibility, opaque: Opaque) -> str:
    """What a sealed connection carried each way; an upload and a download differ in that."""
    if opaque.kind == "esp":
        return ""
    both = (other for other in view.timeline.opaque if (other.kind, other.stream) == (opaque.kind, opaque.stream))
    return f" ({', '.join(f'{one.size} octets from {one.src}' for one in both)})"


def _tunnel_is_empty(view: Visibility) -> bool:
    """Was a tunnel set up, and not one packet inside it seen, neither sealed nor in clear?"""
    answers = [m for m in view.messages if m.kind == "ike.auth.response"]
    up = not answers or any("SA" in (m.fields.get("payloads") or ()) for m in answers)      # RFC 7296 1.2
    if not up or not any(m.protocol == "ike" for m in view.messages) or any(map(partly_hidden, answers)):
        return False
    outer = set(view.timeline.device.outer)
    return not any(o.kind == "esp" for o in view.timeline.opaque) and not any(
        m.protocol not in ("ike", "arp", "dhcp") and not {m.src.address, m.dst.address} & outer
        or "esp" in m.layers for m in view.timeline.messages)


def active(opaque: Opaque, start: int, end: int) -> bool:
    """Does the sealed traffic flow in this interval?"""
    return any(first <= end + SLACK and last >= start - SLACK for first, last in _spans(opaque))


def _spans(opaque: Opaque) -> Iterator[tuple[int, int]]:
    """The times in which it flows."""
    bursts = opaque.fields.get("bursts") or [(opaque.start, opaque.end)]
    return ((burst["start"], burst["end"]) if isinstance(burst, dict) else tuple(burst[:2]) for burst in bursts)
