"""The hosts of a run: which there are, what they are called, where they are, and what holds among them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..rulebook.rule import Condition, Reference, Rule, Site, Step
from ..rulebook.site import load_site
from .values import MISSING

OUTER, INNER = "198.51.100.21", "10.61.0.1"  # the device's addresses


class Unable(Exception):
    """The rule needs something that nothing here can make; the text says what."""


@dataclass(frozen=True, slots=True)
class World:
    """The hosts of a run."""

    site: Site
    device: str  # role name
    names: Mapping[str, str]  # role -> host name
    addresses: Mapping[str, str]
    kinds: Mapping[str, str]  # role -> kind
    tunnel: bool  # is there an IPsec tunnel
    radio: str
    hosts: Mapping[str, str]  # role -> its name in the site profile
    taken: frozenset[str] | None = None  # the steps of the run, None while they are being chosen
    given: Mapping[str, Any] = field(default_factory=dict)  # what its messages say, as far as that is known

    def profile(self) -> str:
        """The site profile that goes with the capture."""
        played = {key: role for role, key in self.hosts.items()}
        lines = ["site: synth"] + ["hosts:"] * bool(self.site.hosts)
        for key, host in sorted(self.site.hosts.items()):
            addresses = f", addresses: [{self.addresses[played[key]]}]" if key in played else ""
            lines.append(f"  {key}: {{name: {host.names[0]}{addresses}}}")
        return "\n".join(lines) + "\n"


def truth(condition: Condition, world: World) -> bool | None:
    """The condition in the world of a run, where every host is known by a name of its own and nothing came before."""
    arguments = condition.arguments
    match condition.test:
        case "not":
            inner = truth(arguments[0], world)
            return None if inner is None else not inner
        case "all" | "any":
            results = [truth(c, world) for c in arguments]
            decisive = condition.test == "any"
            return decisive if decisive in results else None if None in results else not decisive
        case "known":
            text = ".".join(arguments[0].path) if isinstance(arguments[0], Reference) else str(arguments[0])
            if text.startswith("device."):
                return False
            if text.startswith("site.hosts."):
                return text.rpartition(".")[2] in world.site.hosts
            return text in world.names or text in world.given
        case "equals":
            both = [_given(argument, world) for argument in arguments]
            return None if MISSING in both else str(both[0]).lower() == str(both[1]).lower()
        case "needs_lookup" | "is_name":
            return str(arguments[0]) in world.names
        case "seen":
            return None if world.taken is None else str(arguments[0]) in world.taken
        case "same_host" | "refused" | "past" | "expected":
            return False
        case _:
            return None



def _given(argument: Any, world: World) -> Any:
    if isinstance(argument, Reference):
        return world.given.get(".".join(argument.path), MISSING)
    return argument


def world_of(rule: Rule) -> World:
    device = next((role for role in rule.roles if role.kind == "device"), None)
    if device is None:
        raise Unable("no role is the device")
    hosts: dict[str, str] = {}
    for role in rule.roles:
        for reference in role.hosts:
            if isinstance(reference, Reference) and reference.path[:2] == ("site", "hosts"):
                hosts.setdefault(role.name, reference.path[2])
    asked = set(_asked_for(device.when)) if device.when is not None else set()
    own = next(
        (
            check.value.path[2]
            for pattern in device.infer
            for check in pattern.where
            if check.names == ("src.address",)
            and isinstance(check.value, Reference)
            and check.value.path[:2] == ("site", "hosts")
        ),
        None,
    )
    if own is not None:
        hosts[device.name] = own
    names = {role.name: f"{role.name.replace('_', '-')}.synth.example" for role in rule.roles if role.kind != "device"}
    lines = ["site: synth", "hosts:"]
    for key in sorted({*hosts.values(), *asked}):
        lines.append(f"  {key}: {{name: {key.replace('_', '-')}.synth.example}}")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n" if len(lines) > 2 else "site: synth\n")
        file.flush()
        site = load_site(file.name)
    names.update({role: f"{key.replace('_', '-')}.synth.example" for role, key in hosts.items() if role != device.name})
    return World(
        site, device.name, names, {}, {role.name: role.kind for role in rule.roles}, False, _radio(device), hosts
    )


def _asked_for(condition: Condition) -> Iterator[str]:
    if condition.test == "known" and "site" in str(condition.arguments[0]):
        yield str(condition.arguments[0]).rpartition(".")[2]
    elif condition.test in ("all", "any"):
        for part in condition.arguments:
            yield from _asked_for(part)


def _radio(device: Any) -> str:
    """The radio of the kind of device that the rule is for, as its data model says it."""
    shown = [
        check.names.path[-1]
        for pattern in device.infer
        for check in pattern.where
        if isinstance(check.names, Reference)
    ]
    return "LTE" if "lte" in shown else "UMTS"


def placed(rule: Rule, world: World, steps: Sequence[Step]) -> World:
    """Addresses: private ones for what is reached through the tunnel, public ones for the rest."""
    inside = {
        name
        for step in steps
        for name in (step.src, step.dst)
        if name
        and world.tunnel
        and (step.inside == "ipsec" or step.perhaps_inside == "ipsec" or "ipsec" in step.should_be_inside)
    }
    inside |= {role.name for role in rule.roles if role.path == "tunnel"}
    addresses = {}
    for number, role in enumerate(rule.roles, 1):
        if role.kind != "device":
            private = role.name in inside or world.tunnel and role.kind in ("acs", "file_server", "sctp_server")
            found = f"10.50.0.{number}" if private and role.kind != "ike_responder" else f"203.0.113.{number}"
            same = next(
                (r for r in addresses if r in world.hosts and world.hosts[r] == world.hosts.get(role.name)), None
            )
            addresses[role.name] = addresses[same] if same else found
    addresses[world.device] = INNER if world.tunnel else OUTER
    return replace(world, addresses=addresses)


def ends(rule: Rule, step: Step, kind: str, world: World, acts: Sequence[Any]) -> tuple[str, str]:
    """Both ends; one that the rule leaves open is the other end of what is answered, or of what went before."""
    src, dst = step.src, step.dst
    request = next((a for a in reversed(acts) if a.step == step.answers), None)
    if request is not None:
        return src or request.dst, dst or request.src
    meant = next(
        (
            check.value.path[0]
            for check in step.expect
            if check.names == ("dst.address",) and isinstance(check.value, Reference)
        ),
        None,
    )
    if meant is None and kind.partition(".")[0] in ("http", "ftp") and src == world.device:
        meant = next((role.name for role in rule.roles if role.kind == "file_server"), None)
    protocol = kind.partition(".")[0]
    others = (a.dst if a.src == world.device else a.src for a in reversed(acts) if a.protocol == protocol)
    before = next(others, None)
    server = meant or before or next((r.name for r in rule.roles if r.kind not in ("device", "dns_server")), None)
    if src is None and dst is None:
        src, dst = world.device, server
    src = src or (server if dst == world.device else world.device)
    dst = dst or (server if src == world.device else world.device)
    if src is None or dst is None:
        raise Unable(f"step {step.step}: nobody is at its other end")
    return src, dst


def resolved(reference: Reference, world: World, bound: Mapping[str, Any]) -> Any:
    head, *rest = reference.path
    if head == "site":
        value: Any = world.site
        for part in rest:
            value = value.get(part, MISSING) if isinstance(value, Mapping) else getattr(value, part, MISSING)
            if value is MISSING:
                return MISSING
        return value
    if rest == ["name"] and head in world.names:
        return world.names[head]
    if rest == ["address"] and head in world.addresses:
        return world.addresses[head]
    return bound.get(".".join(reference.path), MISSING)
