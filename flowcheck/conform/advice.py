"""What would decide an inconclusive verdict: which keys, where to capture, with which filter, for how long.

Every reason of visibility.py has its advice here, made concrete from the attempt's own addresses, SPIs and connections.
Filters are those of libpcap (pcap-filter(7)), key files those that `--keys` reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from ipaddress import ip_address
from typing import NamedTuple

from ..model import Opaque, StepResult
from ..rulebook.rule import Step
from . import phrases
from .parts import Parts
from .seals import active
from .visibility import UNCERTAIN, UNCOVERED, Visibility

_MOST = 4                               # SAs, connections or hosts named in one sentence
_PORTS = {"dns": "port 53", "ike": "udp port 500 or udp port 4500 or esp", "s1ap": "sctp", "hnbap": "sctp",
          "rua": "sctp", "sctp": "sctp",
          "diameter": "port 3868", "gtpv2": "udp port 2123", "gtp": "udp port 2123 or udp port 2152",
          "coap": "udp port 5683 or udp port 5684",
          "map": "sctp", "ftp": "tcp", "http": "tcp", "cwmp": "tcp", "tls": "tcp"}
_OUTER = ("dns", "ike")                 # what is spoken beside the tunnel


class _Open(NamedTuple):
    """One step that cannot be judged, and what is known around it."""

    view: Visibility
    parts: Parts
    step: Step
    reason: str


def advice(view: Visibility, parts: Parts, steps: Sequence[StepResult], doubts: Sequence[str],
           complete: bool) -> tuple[str, ...]:
    """One sentence for each thing that would help, the first for the first step that is open."""
    found: dict[str, None] = {}
    for result in steps:
        if result.state == "not_observable":
            one = _Open(view, parts, view.rule.step(result.step), result.reason or "")
            for words, help_with in _HELP:
                if words in one.reason:
                    found.update(dict.fromkeys(filter(None, help_with(one))))
                    break
    for doubt in doubts:
        first = next(iter(view.rule.steps()))
        help_with = _earlier if "began inside" in doubt else _whole
        found.update(dict.fromkeys(help_with(_Open(view, parts, first, doubt))))
    if not complete:
        found["Cut the capture to this attempt (`editcap -A START -B STOP`): it holds too many messages to be read at once."] = None
    if not found and any(result.state == "not_observable" for result in steps):
        found[f"Capture the whole attempt at the interface of {parts.device}: {_command(view)}."] = None
    return tuple(_one_run_on(found))


def to_look_inside(sealed: Sequence[Opaque]) -> tuple[str, ...]:
    """Where a procedure may be hidden as a whole: the keys of all that is sealed."""
    names = _listed(_association(o) for o in sealed if o.kind == "esp") or _listed(f"{o.kind.upper()} {o.src} to {o.dst}" for o in sealed)
    return (f"Give the keys of {names} with --keys, or capture inside the tunnel as well.",) if names else ()


def _one_run_on(found: Iterable[str]) -> Iterable[str]:
    """Of several "let it run on" the one that asks for the longest time."""
    rows = list(found)
    longest = max((row for row in rows if row.startswith(_RUN_ON)),
                  key=lambda row: int(row.removeprefix(_RUN_ON).split()[0]), default=None)
    return [row for row in rows if not row.startswith(_RUN_ON) or row == longest]


# ---------------------------------------------------------------------------------------------------- keys

def _keys(one: _Open) -> list[str]:
    """The SAs and connections that flowed in the attempt and are sealed."""
    view = one.view
    start, end = view.messages[0].time if view.messages else view.timeline.window[0], view.limit
    sealed = [o for o in view.timeline.opaque if active(o, start, end)]
    again = "The keys given are of other SAs. " if "keys given" in one.reason else ""
    kind = next((name for name in ("ESP", "TLS", "DTLS", "SSH") if f"{name} traffic" in one.reason), "ESP").lower()
    rows = [o for o in sealed if o.kind == kind]
    if kind == "ssh":
        ends = sorted({str(o.dst if o.dst.port and o.dst.port < (o.src.port or 0) else o.src) for o in rows})
        return [f"SSH cannot be opened with any key file: look at the log of {_listed(ends) or 'the server'}, or let the transfer run without SSH."]
    if kind in ("tls", "dtls"):
        return [f"{again}Give the secrets of {_listed(_connections(view, rows)) or 'the TLS connection'} with --keys: the lines of an SSLKEYLOGFILE "
                "with that client random, written by either end."]
    if rows and all(o.fields.get("cut") for o in rows):
        return [*_whole(one), f"Or capture inside the tunnel as well, {_inside(view, one.parts)}."]
    names = _listed(_association(o) for o in rows)
    return [f"{again}Give the keys of {f'ESP {names}' if names else 'the ESP SAs'} with --keys: the output of `ip xfrm state` on either end while "
            "the tunnel stands, Wireshark's `esp_sa` table, or charon's log with its keys.",
            f"Or capture inside the tunnel as well, {_inside(view, one.parts)}."]


def _association(opaque: Opaque) -> str:
    spi = opaque.fields.get("spi")
    return f"SPI {spi if str(spi).startswith('0x') else f'0x{spi}'} ({opaque.src.address} to {opaque.dst.address})" if spi else \
        f"{opaque.src.address} to {opaque.dst.address}"


def _connections(view: Visibility, rows: Sequence[Opaque]) -> list[str]:
    found = []
    for stream in dict.fromkeys(o.stream for o in rows):
        hello = next((m for m in view.timeline.messages if m.stream == stream and m.kind.endswith(".client_hello")),
                     None)
        ends = next(o for o in rows if o.stream == stream)
        if hello is not None:
            found.append(f"{hello.src} to {hello.dst} (client random {str(hello.fields.get('random'))[:16]}…)")
        else:
            found.append(f"{ends.src} to {ends.dst}")
    return found


def _ike_keys(one: _Open) -> list[str]:
    sealed = next((m for m in reversed(one.view.messages) if m.protocol == "ike"), None)
    if sealed is None:
        return []
    return [f"Give the keys of the IKE SA {sealed.fields.get('spi_i')}, {sealed.fields.get('spi_r')} with --keys: its line of Wireshark's "
            "`ikev2_decryption_table`, or charon's log at level 4 (`ike = 4`, `chd = 4`)."]


# ---------------------------------------------------------------------------------------------------- where and how

_RUN_ON = "Let the capture run on for "


def _run_on(one: _Open) -> list[str]:
    """The deadline as a time of day: that is what stands in the other logs."""
    due = one.view.due(one.step)
    left = max(1, -(-(due - one.view.timeline.window[1]) // 1_000_000_000))
    sender = one.parts.at(one.step.src)
    what = phrases.names(one.step.messages) + (f" from {sender}" if sender else "")
    return [f"{_RUN_ON}{left} s more, until {_clock(due)}, or until {what} is seen (step {one.step.cite})."]


def _to_the_end(one: _Open) -> list[str]:
    return [f"Let the capture run until the connection is closed: {_command(one.view)}."]


def _lossless(one: _Open) -> list[str]:
    return [f"Capture again without loss, with whole packets and a large buffer: {_command(one.view)}."]


def _steady(one: _Open) -> list[str]:
    return [f"Capture again with a clock that is not set meanwhile (let NTP settle first): {_command(one.view)}."]


def _one_clock(one: _Open) -> list[str]:
    return ["Capture again with the clocks of all taps set by one source (NTP or PTP), and none set while capturing; if the "
            "difference is known, give it as `--clock FILE=SECONDS`."]


def _unbroken(one: _Open) -> list[str]:
    return [f"Capture without a break, in files that follow each other (`-G`, `-C`): {_command(one.view)}."]


def _whole(one: _Open) -> list[str]:
    return [f"Capture whole packets (`-s 0`, no snap length): {_command(one.view)}."]


def _earlier(one: _Open) -> list[str]:
    """Where only the inside of the tunnel was captured the outer address is not known: then by what is spoken there."""
    device, first = one.view.timeline.device, f"Start the capture before {one.parts.device} is switched on"
    if device.outer or not any(kind.startswith("ike.") for step in one.view.rule.steps() for kind in step.messages):
        return [f"{first}, at its outer interface: {_command(one.view)}."]
    outer = " or ".join(_PORTS[name] for name in _OUTER)
    return [f"{first}, at its outer interface, {_command(one.view, outer)}, and inside the tunnel as well, {_command(one.view, '', 'inner.pcap')}."]


def _both_ways(one: _Open) -> list[str]:
    return [f"Capture both directions (mirror port: both RX and TX; tap: both legs): {_command(one.view)}."]


def _in_front(one: _Open) -> list[str]:
    """Behind a NAT, or a router that resolves for all, devices look alike."""
    return [f"Capture in front of what they share, at {one.parts.device} itself, where its own address is seen: `tcpdump -s 0 -w hnb.pcap`."]


def _tunnel(one: _Open) -> list[str]:
    ike = next((m for m in reversed(one.view.messages) if m.protocol == "ike"), None)
    ends = f"host {ike.src.address} and host {ike.dst.address} and " if ike is not None else ""
    return [f"Capture the tunnel's own packets as well: `tcpdump -s 0 -w outer.pcap '{ends}(esp or udp port 4500)'`.",
            f"Or capture inside the tunnel, {_inside(one.view, one.parts)}."]


def _elsewhere(one: _Open) -> list[str]:
    """A role that no tap saw: at its own interface, by its addresses or by what it speaks."""
    rule, scope = one.view.rule, one.view.scope
    away = [role for name in (one.step.src, one.step.dst) if name and (role := rule.role(name)) is not None
            and role.perhaps_unseen]
    found = []
    for role in away[:1]:
        addresses = _valid(scope.host(role.name, {}).addresses)
        ports = " or ".join(dict.fromkeys(filter(None, (_PORTS.get(kind.partition(".")[0]) for kind in one.step.messages))))
        chosen = " or ".join(f"host {a}" for a in addresses[:_MOST]) or ports
        found.append(f"Capture at the {role.title or role.name} as well"
                     + (f": `tcpdump -s 0 -w more.pcap '{chosen}'`." if chosen else "."))
    return found


def _command(view: Visibility, chosen: str = "", file: str = "hnb.pcap") -> str:
    """tcpdump for all traffic of the device, by its outer addresses where those are known; or with the filter chosen."""
    device = view.timeline.device
    addresses = _valid(device.outer) or _valid(device.addresses)
    mac = device.identity.get("mac") if isinstance(device.identity, dict) else None
    chosen = chosen or " or ".join(f"host {a}" for a in addresses[:_MOST]) or (f"ether host {mac}" if mac else "")
    return f"`tcpdump -s 0 -B 65536 -w {file}{f' {chr(39)}{chosen}{chr(39)}' if chosen else ''}`"


def _inside(view: Visibility, parts: Parts) -> str:
    device = view.timeline.device
    inner = _valid(a for a in device.addresses if a not in device.outer)
    at = f"on the tunnel interface of {parts.device} or behind the gateway"
    return at + (f": `tcpdump -s 0 -w inner.pcap '{' or '.join(f'host {a}' for a in inner[:_MOST])}'`" if inner
                 and device.outer else "")


def _valid(addresses: Iterable[str]) -> list[str]:
    """What a filter takes as a host, in a stable order."""
    found = []
    for address in addresses:
        try:
            found.append(ip_address(address))
        except ValueError:
            continue                    # a MAC address, or a name
    return [str(a) for a in sorted(set(found), key=lambda a: (a.version, int(a)))]


def _clock(time: int) -> str:
    seconds = min(max(time // 1_000_000_000, 0), 253_402_300_799)
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%H:%M:%S UTC")


def _listed(values: Iterable[str]) -> str:
    rows = list(dict.fromkeys(values))
    return ", ".join(rows[:_MOST]) + (f" and {len(rows) - _MOST} more" if len(rows) > _MOST else "")


# words of a reason -> what helps; the first that fits
_HELP: tuple[tuple[str, Callable[[_Open], list[str]]], ...] = (
    ("the answer to IKE_AUTH is sealed", _ike_keys),
    ("cannot open", _keys),
    ("no packet of the tunnel", _tunnel),
    ("capture ends", _run_on),
    ("how the connection ended", _to_the_end),
    ("only one direction", _both_ways),
    ("by a tap whose clock", _one_clock), (UNCERTAIN, _steady), (UNCOVERED, _unbroken),
    ("missing from the capture", _lossless), ("not in the capture", _lossless), ("lost by the capture", _lossless),
    ("may have lost it", _lossless), ("but not what it answers", _lossless),
    ("other devices share", _in_front),
    ("before the capture began", _earlier),
    ("beyond the capture", _elsewhere),
)
