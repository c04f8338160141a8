"""One conforming run of a rule: which steps are taken, between which hosts, and what every message says.

The run takes the mandatory steps, the connections below them, the first branch of every choice, and those optional
items and other branches that are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..rulebook.rule import Check, Condition, Group, Pattern, Reference, Rule, Site, Step
from ..rulebook.site import load_site
from . import values
from .content import content_of, give, parameter_value, taken
from .values import MISSING

# what a capture shows of a connection, whether the clause speaks of it or not
CONNECTIONS = ("tcp", "tls", "sctp")
SEGW = "segw"  # the gateway of a tunnel that was there before
OUTER, INNER = "198.51.100.21", "10.61.0.1"  # the device's addresses
PORTS = {"acs": 7547, "dns_server": 53, "sctp_server": 29169}


class Unable(Exception):
    """The rule needs something that nothing here can make; the text says what."""


@dataclass(frozen=True, slots=True)
class Act:
    """One message of the run. `wait` is silence before it, in seconds."""

    step: str
    kind: str
    src: str  # role names
    dst: str
    content: Mapping[str, Any]
    answers: str = ""  # the step whose request this completes
    tunnel: bool = False  # runs inside IPsec
    tls: bool = False
    wait: float = 0.0
    unanswered: bool = False  # its sender waits in vain, and repeats it where the protocol does

    @property
    def protocol(self) -> str:
        return self.kind.partition(".")[0]


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

    def profile(self) -> str:
        """The site profile that goes with the capture."""
        played = {key: role for role, key in self.hosts.items()}
        lines = ["site: synth"] + ["hosts:"] * bool(self.site.hosts)
        for key, host in sorted(self.site.hosts.items()):
            addresses = f", addresses: [{self.addresses[played[key]]}]" if key in played else ""
            lines.append(f"  {key}: {{name: {host.names[0]}{addresses}}}")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Plan:
    rule: Rule
    variant: str  # "", or the optional item or branch that it takes besides
    world: World
    acts: tuple[Act, ...]
    bound: Mapping[str, Any] = field(default_factory=dict)

    def resolve(self, reference: Reference) -> Any:
        return _resolve(reference, self.world, self.bound)


def variants(rule: Rule) -> Iterator[str]:
    """The base run, then one for each further branch of a choice and for each optional item."""
    yield ""
    yield from _alternatives(rule.items)


def _alternatives(items: tuple[Step | Group, ...]) -> Iterator[str]:
    for item in items:
        if item.forbidden:
            continue
        if item.optional and not _is_connection(item) and (not isinstance(item, Step) or item.messages):
            yield _name(item)
        if isinstance(item, Group):
            if item.order == "one_of":
                yield from (_name(branch) for branch in item.items[1:])
            yield from _alternatives(item.items)


def plan(rule: Rule, variant: str = "") -> Plan:
    """The messages of one run. Raises Unable."""
    world = _world(rule)
    wanted = _path_to(rule.items, variant) if variant else frozenset()
    steps = list(_walk(rule.items, world, wanted))
    if not steps:
        raise Unable("no step leaves a trace")
    inside = any(
        step.inside == "ipsec" or rule.role(r) is not None and rule.role(r).path == "tunnel"
        for step in steps
        for r in (step.src, step.dst)
        if r
    )
    world = _placed(rule, replace(world, tunnel=inside or any(_protocol(s) in ("ike", "device") for s in steps)), steps)
    return _filled(rule, replace(world, taken=frozenset(step.step for step in steps)), steps, variant)


# ------------------------------------------------------------------------------------------------- the way


def _walk(items: tuple[Step | Group, ...], world: World, wanted: frozenset[str]) -> Iterator[Step]:
    for item in items:
        if item.forbidden or item.when is not None and truth(item.when, world) is False:
            continue
        if item.optional and _name(item) not in wanted and not _is_connection(item):
            continue
        if isinstance(item, Step):
            if item.messages and item.unchecked is None:
                yield from (item for _ in range(max(1, item.repeat.minimum)))
        elif item.order == "one_of":
            open_to = [b for b in item.items if b.when is None or truth(b.when, world) is not False]
            chosen = next((b for b in open_to if _name(b) in wanted), open_to[0] if open_to else None)
            if chosen is not None:
                yield from _walk((chosen,), world, wanted | {_name(chosen)})
        else:
            for _ in range(max(1, item.repeat.minimum)):
                yield from _walk(item.items, world, wanted)


def _path_to(items: tuple[Step | Group, ...], name: str) -> frozenset[str]:
    """The item of that name with everything around it."""
    for item in items:
        if _name(item) == name:
            return frozenset((name,))
        if isinstance(item, Group) and (below := _path_to(item.items, name)):
            return below | {_name(item)}
    return frozenset()


def _is_connection(item: Step | Group) -> bool:
    if isinstance(item, Step):
        return bool(item.messages) and _protocol(item) == "tcp"
    return all(_is_connection(one) or isinstance(one, Step) and _protocol(one) == "sctp" for one in item.items)


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
            return (
                text.rpartition(".")[2] in world.site.hosts if text.startswith("site.hosts.") else text in world.names
            )
        case "needs_lookup" | "is_name":
            return str(arguments[0]) in world.names
        case "seen":
            return None if world.taken is None else str(arguments[0]) in world.taken
        case "same_host" | "refused" | "past" | "expected":
            return False
        case _:
            return None


def _name(item: Step | Group) -> str:
    return item.step if isinstance(item, Step) else item.group


def _protocol(step: Step) -> str:
    return step.messages[0].partition(".")[0]


# ------------------------------------------------------------------------------------------------- hosts


def _world(rule: Rule) -> World:
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
    import tempfile

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


def _placed(rule: Rule, world: World, steps: list[Step]) -> World:
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


# ------------------------------------------------------------------------------------------------- content


def _filled(rule: Rule, world: World, steps: list[Step], variant: str) -> Plan:
    secured = {
        name
        for step in steps
        for name in (step.src, step.dst)
        if name
        and name != world.device
        and (step.inside == "tls" or _protocol(step) == "tls" or "tls" in step.should_be_inside and not world.tunnel)
    }
    groups = _expectations(rule.items)
    needed = _requirements(rule)
    bound: dict[str, Any] = {}
    acts: list[Act] = []
    for step in steps:
        src, dst = _ends(rule, step, world, acts)
        server = dst if src == world.device else src
        resolve = lambda reference: _resolve(reference, world, bound)  # noqa: E731
        now = replace(world, taken=frozenset(act.step for act in acts))
        content = content_of(step, world, acts, server)
        # what the attempt needs first, so that what makes this message itself is stronger
        checks = [
            *(
                c
                for p in needed
                if set(p.messages) & set(step.messages) and p.src in (None, src) and p.dst in (None, dst)
                for c in p.where
            ),
            *step.where,
            *step.expect,
        ]
        for name, expectations in groups:
            if step.step in name:
                checks += [
                    c
                    for c in expectations
                    if c.target not in ("parameter", "parameters")
                    or "SetParameterValues" in step.messages[0]
                    or "Inform" in step.messages[0]
                ]
        for binding in (*step.bind, *step.remember):
            give(content, binding, world, resolve)
        for check in checks:
            if check.when is not None and truth(check.when, now) is not True:
                continue
            if (
                not values.satisfy(
                    content, check, resolve, lambda pattern: parameter_value(pattern, world, check), world.radio
                )
                and check in step.where
            ):
                raise Unable(f"step {step.step}: no value for {check.target} {check.names} {check.test}")
        for binding in (*step.bind, *step.remember):
            found = taken(content, binding, resolve)
            if found is not MISSING:
                bound[binding.name] = found
        tunnel = world.tunnel and _protocol(step) != "ike" and world.addresses[server].startswith("10.")
        acts.append(Act(step.step, step.messages[0], src, dst, content, step.answers or "", tunnel, server in secured))
    return Plan(rule, variant, world, tuple(acts), bound)


def extra(made: Plan, steps: tuple[Step, ...]) -> tuple[Act, ...]:
    """Messages of further steps, after the run. Raises Unable."""
    acts = list(made.acts)
    for step in steps:
        src, dst = _ends(made.rule, step, made.world, acts)
        server = dst if src == made.world.device else src
        content = content_of(step, made.world, acts, server)
        for check in step.where:
            if not values.satisfy(
                content, check, made.resolve, lambda pattern: parameter_value(pattern, made.world), made.world.radio
            ):
                raise Unable(f"step {step.step}: no value for {check.target} {check.names} {check.test}")
        tunnel = made.world.tunnel and made.world.addresses[server].startswith("10.")
        acts.append(
            Act(
                step.step,
                step.messages[0],
                src,
                dst,
                content,
                step.answers or "",
                tunnel,
                any(a.tls for a in acts if server in (a.src, a.dst)),
            )
        )
    return tuple(acts[len(made.acts) :])


def _requirements(rule: Rule) -> tuple[Pattern, ...]:
    """The first of the messages of which one must occur."""
    return rule.attempt.requires[:1]


def _expectations(items: tuple[Step | Group, ...]) -> list[tuple[frozenset[str], tuple[Check, ...]]]:
    found = []
    for item in items:
        if isinstance(item, Group):
            if item.expect:
                found.append((frozenset(step.step for step in _flat(item)), item.expect))
            found += _expectations(item.items)
    return found


def _flat(group: Group) -> Iterator[Step]:
    for item in group.items:
        if isinstance(item, Step):
            yield item
        else:
            yield from _flat(item)


def _ends(rule: Rule, step: Step, world: World, acts: list[Act]) -> tuple[str, str]:
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
    if meant is None and _protocol(step) in ("http", "ftp") and src == world.device:
        meant = next((role.name for role in rule.roles if role.kind == "file_server"), None)
    before = next(
        (a.dst if a.src == world.device else a.src for a in reversed(acts) if a.protocol == _protocol(step)), None
    )
    server = meant or before or next((r.name for r in rule.roles if r.kind not in ("device", "dns_server")), None)
    if src is None and dst is None:
        src, dst = world.device, server
    src = src or (server if dst == world.device else world.device)
    dst = dst or (server if src == world.device else world.device)
    if src is None or dst is None:
        raise Unable(f"step {step.step}: nobody is at its other end")
    return src, dst


def _resolve(reference: Reference, world: World, bound: Mapping[str, Any]) -> Any:
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
