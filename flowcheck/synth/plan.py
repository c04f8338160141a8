"""One conforming run of a rule: which steps are taken, between which hosts, and what every message says.

The run takes the mandatory steps, the connections below them, the first branch of every choice, and what a variant of
choices.py asks for besides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..model import INCONCLUSIVE, PASS
from ..rulebook.rule import Check, Group, Pattern, Reference, Rule, Step
from . import values
from .choices import CARRIERS, DOCUMENTS, Choice, choice, is_connection, kind_of, name_of, steps_of
from .content import content_of, give, parameter_value, say, taken
from .values import MISSING
from .world import Unable, World, ends, placed, resolved, truth, world_of


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
    sealed: bool = False  # runs inside what no key that can be given opens
    at: str = ""  # the device's address, where it is another device's act
    astray: bool = False  # an answer with the number of another request
    wait: float = 0.0
    unanswered: bool = False  # its sender waits in vain, and repeats it where the protocol does

    @property
    def protocol(self) -> str:
        return self.kind.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Plan:
    rule: Rule
    variant: str  # "", or what it takes besides, as choices.py names it
    world: World
    acts: tuple[Act, ...]
    bound: Mapping[str, Any] = field(default_factory=dict)

    def resolve(self, reference: Reference) -> Any:
        return resolved(reference, self.world, self.bound)

    @property
    def verdict(self) -> str:
        """What the run has to be judged: what nobody can open settles nothing."""
        return INCONCLUSIVE if any(act.sealed for act in self.acts) else PASS


def plan(rule: Rule, variant: str = "") -> Plan:
    """The messages of one run. Raises Unable."""
    chosen = choice(rule, variant)
    world = replace(world_of(rule), given=chosen.given)
    steps = list(_walk(rule.items, world, chosen.items))
    if not steps:
        raise Unable("no step leaves a trace")
    inside = any(
        step.inside == "ipsec" or rule.role(r) is not None and rule.role(r).path == "tunnel"
        for step in steps
        for r in (step.src, step.dst)
        if r
    )
    tunnel = inside or any(_protocol(step.messages[0]) in ("ike", "device") for step in steps)
    world = placed(rule, replace(world, tunnel=tunnel), steps)
    world = replace(world, taken=frozenset(step.step for step in steps))
    return _Filling(rule, world, chosen).plan(steps, variant)


def extra(made: Plan, steps: Sequence[Step]) -> tuple[Act, ...]:
    """Messages of further steps, after the run. Raises Unable."""
    filling = _Filling(made.rule, made.world, choice(made.rule, made.variant), dict(made.bound), list(made.acts))
    for step in steps:
        filling.add(step, judged=False)
    return tuple(filling.acts[len(made.acts) :])


def _walk(items: tuple[Step | Group, ...], world: World, wanted: frozenset[str]) -> Iterator[Step]:
    for item in items:
        if item.forbidden or item.when is not None and truth(item.when, world) is False:
            continue
        if item.optional and name_of(item) not in wanted and not is_connection(item):
            continue
        if isinstance(item, Step):
            if item.messages and item.unchecked is None:
                yield from (item for _ in range(max(1, item.repeat.minimum)))
        elif item.order == "one_of":
            open_to = [b for b in item.items if b.when is None or truth(b.when, world) is not False]
            chosen = next((b for b in open_to if name_of(b) in wanted), open_to[0] if open_to else None)
            if chosen is not None:
                yield from _walk((chosen,), world, wanted | {name_of(chosen)})
        else:
            for _ in range(max(1, item.repeat.minimum)):
                yield from _walk(item.items, world, wanted)


class _Filling:
    """The messages of a run, one after another, with what earlier ones told."""

    def __init__(
        self,
        rule: Rule,
        world: World,
        chosen: Choice,
        bound: dict[str, Any] | None = None,
        acts: list[Act] | None = None,
    ):
        self.rule, self.world, self.chosen = rule, world, chosen
        self.bound: dict[str, Any] = {} if bound is None else bound
        self.acts: list[Act] = [] if acts is None else acts
        self.groups = _expectations(rule.items)
        self.named = self._identity()
        self.secured = frozenset(role for act in self.acts if act.tls for role in (act.src, act.dst))

    def plan(self, steps: Sequence[Step], variant: str) -> Plan:
        self.secured = self._secured(steps)
        for step in steps:
            self.add(step)
        world = replace(self.world, given={**self.bound, **self.chosen.given})
        return Plan(self.rule, variant, world, tuple(self.acts), self.bound)

    def resolve(self, reference: Reference) -> Any:
        return resolved(reference, self.world, self.bound)

    def add(self, step: Step, judged: bool = True) -> None:
        request = next((a for a in reversed(self.acts) if a.step == step.answers), None)
        kind = kind_of(step, self.chosen, request.kind if request else "")
        src, dst = ends(self.rule, step, kind, self.world, self.acts)
        server = dst if src == self.world.device else src
        content = self._content(step, kind, src, dst, judged)
        if judged:
            for binding in (*step.bind, *step.remember):
                found = taken(content, binding, self.resolve)
                if found is not MISSING:
                    self.bound[binding.name] = found
        tunnel = (
            self.world.tunnel and _protocol(kind) != "ike" and self.world.addresses[server].startswith("10.")
        )
        tls = bool(self.secured & {src, dst} - {self.world.device}) and content.get("protocol") != "coap"
        sealed = _protocol(kind) == "ftp" and any(a.protocol == "ssh" for a in self.acts)
        self.acts.append(Act(step.step, kind, src, dst, content, step.answers or "", tunnel, tls, sealed))

    def _content(self, step: Step, kind: str, src: str, dst: str, judged: bool) -> dict[str, Any]:
        server = dst if src == self.world.device else src
        now = replace(self.world, taken=frozenset(act.step for act in self.acts))
        content = content_of(kind, step.answers or "", self.world, self.acts, server)
        if _protocol(kind) in DOCUMENTS:
            content["protocol"] = self.chosen.carrier or CARRIERS[0]
            content["body"] |= self.named if kind.endswith(".request") else {}
        for binding in (*step.bind, *step.remember) if judged else ():
            if binding.name in self.chosen.given:
                say(content, binding, self.chosen.given[binding.name], self.resolve)
            give(content, binding, self.world, self.resolve)
        for check in self._checks(step, kind, src, dst) if judged else step.where:
            if check.when is not None and truth(check.when, now) is not True:
                continue
            default = lambda pattern: parameter_value(pattern, self.world, check)  # noqa: E731
            fits = values.satisfy(content, check, self.resolve, default, self.world.radio)
            if not fits and check in step.where:
                raise Unable(f"step {step.step}: no value for {check.target} {check.names} {check.test}")
        return content

    def _checks(self, step: Step, kind: str, src: str, dst: str) -> list[Check]:
        """What the attempt needs comes first, so that what makes this message itself is stronger."""
        found = [
            check
            for pattern in _requirements(self.rule)
            if kind in pattern.messages and pattern.src in (None, src) and pattern.dst in (None, dst)
            for check in pattern.where
        ]
        found += [*step.where, *step.expect]
        holds_parameters = "SetParameterValues" in kind or "Inform" in kind
        for names, expectations in self.groups:
            if step.step in names:
                found += [c for c in expectations if holds_parameters or c.target not in ("parameter", "parameters")]
        return found

    def _identity(self) -> dict[str, str]:
        """What documents name the device by: where one has to, the others do as well."""
        checks = [check for step in self.rule.steps() for check in step.expect if check.target == "json"]
        names = {name for check in checks for name in values.names_of(check, self.resolve)[:1]}
        return {name: values.FIELDS[name] for name in names & values.FIELDS.keys()}

    def _secured(self, steps: Sequence[Step]) -> frozenset[str]:
        """The servers that are spoken to by TLS."""
        return frozenset(
            name
            for step in steps
            for name in (step.src, step.dst)
            if name
            and name != self.world.device
            and (
                step.inside == "tls"
                or _protocol(kind_of(step, self.chosen)) == "tls"
                or "tls" in step.should_be_inside
                and not self.world.tunnel
            )
        )


def _protocol(kind: str) -> str:
    return kind.partition(".")[0]


def _requirements(rule: Rule) -> tuple[Pattern, ...]:
    """The first of the messages of which one must occur."""
    return rule.attempt.requires[:1]


def _expectations(items: tuple[Step | Group, ...]) -> list[tuple[frozenset[str], tuple[Check, ...]]]:
    found = []
    for item in items:
        if isinstance(item, Group):
            if item.expect:
                found.append((frozenset(step.step for step in steps_of(item)), item.expect))
            found += _expectations(item.items)
    return found
