"""A conforming run with one thing wrong, and the finding that has to come of it.

Nothing is made that the rule allows: optional steps are not left out, a name that may be remembered need not be asked
for, a check whose `when` is not certain is not broken. What a capture could not show is not made either: a TCP
handshake that is missing under a connection that works was lost by the capture, not left out by the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..rulebook.patterns import any_matches
from ..rulebook.rule import Check, Condition, Group, Pattern, Reference, Rule, Step
from . import values
from .content import DEFAULTS
from .plan import Act, Plan, extra
from .world import Unable, truth
from .stage import encodable

APPLICATION = ("cwmp", "http", "hnbap", "s1ap", "json", "xml", "ftp", "dns")
GAVE_UP = ("cwmp.session_end", "tcp.fin", "tcp.reset")
STOPPED = frozenset(("stopped", "missing"))
MARGIN = 2.0  # s by which a late message is late
MOST = 300.0  # s: a later message is another attempt's


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    acts: tuple[Act, ...]
    steps: frozenset[str]  # the finding is at one of these steps
    kinds: frozenset[str]  # and of one of these kinds
    detail: str = ""  # what its code ends with
    severity: str = "error"

    @property
    def expected(self) -> str:
        return f"{'|'.join(sorted(self.steps))}/{'|'.join(sorted(self.kinds))}" + (
            f":{self.detail}" if self.detail else ""
        )


def mutants(plan: Plan, but: frozenset[str] = frozenset()) -> Iterator[Mutant]:
    """Every mutant of the run; those of the steps `but` were made from another run already."""
    loose = _loose(plan.rule)
    seen: set[str] = set()
    for index, act in enumerate(plan.acts):
        step = plan.rule.step(act.step)
        if act.step in seen or act.step in but:
            continue
        seen.add(act.step)
        if step.refused_by and index and not step.optional:
            yield from _refused(plan, index, act, step)
        if act.answers:
            yield from _unanswered(plan, index, act, step)
        elif index and act.step not in loose:
            yield _stopped(plan, index, act, step)
            yield from _skipped(plan, index, act, step)
        yield from _expectations(plan, index, act, step)
        yield from _late(plan, index, act, step)
        yield from _wrong_path(plan, index, act, step)
    yield from _swapped(plan, loose, but)
    yield from _forbidden(plan, plan.rule.items, but)
    yield from _group_expectations(plan, plan.rule.items, but)


def _loose(rule: Rule) -> frozenset[str]:
    """Steps that may be left out, or whose `when` a capture need not settle."""
    found: set[str] = set()

    def walk(items: tuple[Step | Group, ...], free: bool) -> None:
        for item in items:
            here = free or item.optional or _open(item.when)
            if isinstance(item, Group):
                walk(item.items, here or item.order == "one_of")
            elif here:
                found.add(item.step)

    walk(rule.items, False)
    return frozenset(found)


def _open(condition: Condition | None) -> bool:
    if condition is None:
        return False
    if condition.test in ("not", "all", "any"):
        return any(_open(part) for part in condition.arguments)
    return condition.test in ("needs_lookup", "is_name", "equals")


# ------------------------------------------------------------------------------------------- what does not come


def _unanswered(plan: Plan, index: int, act: Act, step: Step) -> Iterator[Mutant]:
    before = plan.acts[:index]
    if not before or step.optional:
        return
    silent = (*before[:-1], replace(before[-1], unanswered=True))
    yield Mutant(
        f"{act.step}: no answer",
        silent,
        frozenset((act.step, *_twins(plan.rule, step))),
        frozenset(("no-answer",)),
        severity=step.severity,
    )


def _refused(plan: Plan, index: int, act: Act, step: Step) -> Iterator[Mutant]:
    before = plan.acts[:index]
    for pattern in step.refused_by:
        for name, content in _refusals(plan, pattern):
            kind = next((k for k in pattern.messages if encodable(k)), None)
            if kind is None:
                continue
            src = pattern.src or act.src
            dst = act.src if src == act.dst else act.dst
            if kind == "cwmp.session_end":
                by_device = content.get("by", "device" if act.dst == plan.world.device else "acs") == "device"
                content = {"by": "device" if by_device else "acs", **content}
                src, dst = plan.world.device, act.src if act.src != plan.world.device else act.dst
            refusal = Act(act.step, kind, src, dst, content, act.answers, act.tunnel, act.tls)
            # who asked and then refuses the answer has been given it (RFC 7296 2.21.2)
            given = (act,) if pattern.src is not None and pattern.src == act.dst else ()
            gave_up = kind in GAVE_UP or kind == "sctp.abort" and src == plan.world.device
            yield Mutant(
                f"{act.step}: refused by {kind}{' ' + name if name else ''}",
                (*before, *given, refusal),
                frozenset((act.step,)),
                frozenset(("no-answer",) if gave_up else ("refused",)),
            )


def _twins(rule: Rule, step: Step) -> Iterator[str]:
    """Steps whose request looks the same: which of them was meant shows in the answer, which does not come."""
    request = rule.step(step.answers)
    for other in rule.steps():
        if other.answers and other.step != step.step:
            asked = rule.step(other.answers)
            if (asked.messages, asked.src, _bare(asked)) == (
                request.messages,
                request.src,
                _bare(request),
            ) and asked.dst in (None, request.dst):
                yield other.step


def _bare(step: Step) -> list[tuple[Any, ...]]:
    return [(check.target, check.names, check.test, check.value) for check in step.where]


def _refusals(plan: Plan, pattern: Pattern) -> Iterator[tuple[str, dict[str, Any]]]:
    """The contents of a refusing message: one for each value that its `where` lists."""
    kind = pattern.messages[0]
    base: dict[str, Any] = dict(DEFAULTS.get(kind, {}))
    if kind == "tls.alert":
        base = {"description": "handshake_failure", "level": "fatal"}
    elif kind == "cwmp.session_end":
        base = {"complete": False}
    elif kind == "http.response":
        base = {"body_length": 20}
    elif kind == "cwmp.Fault":
        base = {"FaultCode": 8003 if pattern.src != plan.world.device else 9003}
    listed = next((c for c in pattern.where if c.test == "in" and isinstance(c.value, tuple)), None)
    for value in listed.value if listed is not None else ("",):
        content = dict(base)
        if listed is not None:
            content[listed.names[0]] = value
        if all(
            values.satisfy(content, check, plan.resolve, lambda pattern: "1", plan.world.radio)
            for check in pattern.where
        ):
            yield str(value), content


def _stopped(plan: Plan, index: int, act: Act, step: Step) -> Mutant:
    # a session that nobody ends properly is broken off
    broken = (replace(act, content={"complete": False, "by": "device"}),) if act.kind == "cwmp.session_end" else ()
    return Mutant(
        f"{act.step}: nothing from here on",
        (*plan.acts[:index], *broken),
        frozenset((act.step,)),
        STOPPED | {"no-answer"} if broken else STOPPED,
        severity=step.severity,
    )


def _skipped(plan: Plan, index: int, act: Act, step: Step) -> Iterator[Mutant]:
    """The exchange left out, and the rest as if nothing was."""
    if act.protocol not in APPLICATION or act.kind in ("cwmp.Inform", "cwmp.session_end", "dns.query"):
        return
    rest = tuple(a for a in plan.acts[index:] if a.step != act.step and a.answers != act.step)
    if any(a.protocol in APPLICATION for a in rest):
        yield Mutant(
            f"{act.step}: left out",
            (*plan.acts[:index], *rest),
            frozenset((act.step,)),
            STOPPED | {"out-of-order"},
            severity=step.severity,
        )


# ------------------------------------------------------------------------------------------- what comes otherwise


def _expectations(plan: Plan, index: int, act: Act, step: Step) -> Iterator[Mutant]:
    now = replace(plan.world, taken=frozenset(a.step for a in plan.acts[:index]))
    for check in step.expect:
        if check.when is not None and (truth(check.when, now) is not True or _open(check.when)):
            continue
        names = values.names_of(check, plan.resolve) if check.target in ("field", "fields") else ("",)
        for name in names:
            for kind, content in values.spoil(act.content, check, name, plan.resolve, plan.world.radio):
                if not all(_fits(content, where, plan) for where in step.where):
                    continue
                label = values.label(check, name)
                # nobody goes on without an address
                after = () if act.kind == "dns.response" else plan.acts[index + 1 :]
                acts = (*plan.acts[:index], replace(act, content=content), *after)
                yield Mutant(
                    f"{act.step}: {label or name} {kind.partition('-')[2]}",
                    acts,
                    frozenset((act.step,)),
                    frozenset((kind,)),
                    label,
                    check.severity,
                )


def _fits(content: Any, check: Check, plan: Plan) -> bool:
    """Is the message still the one the step means?"""
    wanted, names = values.wanted_value(check, plan.resolve), values.names_of(check, plan.resolve)
    if check.target in ("parameter", "parameters"):
        held = [value for name, value in content.get("ParameterList", {}).items() if any_matches(names, name)]
        return values.holds(check.test, held or values.MISSING, wanted)
    if check.target == "json":
        return values.holds(
            check.test, content.get("body", {}).get(names[0], values.MISSING) if names else values.MISSING, wanted
        )
    return all(
        name in values.STRUCTURAL or values.holds(check.test, content.get(name, values.MISSING), wanted)
        for name in names
    )


def _group_expectations(plan: Plan, items: tuple[Step | Group, ...], but: frozenset[str]) -> Iterator[Mutant]:
    for item in items:
        if not isinstance(item, Group):
            continue
        yield from _group_expectations(plan, item.items, but)
        names = [step.step for step in _flat(item)]
        mine = [act for act in plan.acts if act.step in names]
        if not mine or mine[0].step in but:
            continue
        for check in item.expect:
            if check.when is not None and (truth(check.when, plan.world) is not True or _open(check.when)):
                continue
            for kind in ("field-absent", "field-wrong"):
                acts, changed = [], False
                for act in plan.acts:
                    spoiled = (
                        dict(values.spoil(act.content, check, "", plan.resolve, plan.world.radio))
                        if act in mine
                        else {}
                    )
                    changed |= kind in spoiled
                    acts.append(replace(act, content=spoiled[kind]) if kind in spoiled else act)
                if changed:
                    label = values.label(check, "")
                    yield Mutant(
                        f"{item.group}: {label} {kind.partition('-')[2]}",
                        tuple(acts),
                        frozenset(names),
                        frozenset((kind,)),
                        label,
                        check.severity,
                    )


def _flat(group: Group) -> Iterator[Step]:
    for item in group.items:
        if isinstance(item, Step):
            yield item
        else:
            yield from _flat(item)


def _forbidden(plan: Plan, items: tuple[Step | Group, ...], but: frozenset[str]) -> Iterator[Mutant]:
    """What shall not happen, after the run; only where the run makes it certain that it shall not."""
    for item in items:
        if not item.forbidden:
            yield from _forbidden(plan, item.items, but) if isinstance(item, Group) else ()
            continue
        steps = (item,) if isinstance(item, Step) else tuple(_flat(item))
        now = replace(plan.world, taken=frozenset(act.step for act in plan.acts))
        conditions = [one.when for one in (item, *steps) if one.when is not None]
        after = [s.step for s in plan.rule.steps()][[s.step for s in plan.rule.steps()].index(steps[-1].step) + 1 :]
        if (
            {step.step for step in steps} & but
            or any(act.step in after for act in plan.acts)
            or any(truth(c, now) is not True for c in conditions)
        ):
            continue
        try:
            acts = (*plan.acts, *extra(plan, steps))
        except Unable:
            continue
        yield Mutant(
            f"{steps[-1].step}: although forbidden",
            acts,
            frozenset(step.step for step in steps),
            frozenset(("forbidden",)),
            severity=steps[-1].severity,
        )


# ------------------------------------------------------------------------------------------- when and where


def _late(plan: Plan, index: int, act: Act, step: Step) -> Iterator[Mutant]:
    if step.within is None or not any(a.step == step.within.after for a in plan.acts[:index]):
        return
    seconds = step.within.seconds
    seconds = plan.resolve(seconds) if isinstance(seconds, Reference) else seconds
    if seconds is values.MISSING or seconds + MARGIN > MOST:
        return
    acts = (*plan.acts[:index], replace(act, wait=seconds + MARGIN), *plan.acts[index + 1 :])
    yield Mutant(
        f"{act.step}: late",
        acts,
        frozenset((act.step,)),
        frozenset(("late",)),
        severity="error" if step.within.basis == "spec" else "warning",
    )


def _wrong_path(plan: Plan, index: int, act: Act, step: Step) -> Iterator[Mutant]:
    roles = [plan.rule.role(name) for name in (step.src, step.dst) if name]
    tunnelled = step.inside == "ipsec" or step.perhaps_inside is None and any(r.path == "tunnel" for r in roles)
    server = act.dst if act.src == plan.world.device else act.src
    if act.tunnel and (tunnelled or "ipsec" in step.should_be_inside and not act.tls):
        name, change = "outside the tunnel", {"tunnel": False}
    elif act.tls and (step.inside == "tls" or "tls" in step.should_be_inside):
        name, change = "in clear", {"tls": False}
    else:
        return
    acts = tuple(
        replace(a, **change) if server in (a.src, a.dst) else a
        for a in plan.acts
        if not ("tls" in change and a.protocol == "tls" and server in (a.src, a.dst))
    )
    yield Mutant(
        f"{act.step}: {name}",
        acts,
        frozenset((act.step,)),
        frozenset(("wrong-path",)),
        severity="warning" if step.should_be_inside else "error",
    )


def _swapped(plan: Plan, loose: frozenset[str], but: frozenset[str]) -> Iterator[Mutant]:
    """Two exchanges after each other in the other order. Sessions and lookups have an order by themselves."""
    blocks: list[tuple[int, int]] = []
    for index, act in enumerate(plan.acts):
        if blocks and (act.answers or act.protocol in ("tcp", "tls", "sctp")) and index == blocks[-1][1]:
            if act.answers == plan.acts[blocks[-1][0]].step:
                blocks[-1] = (blocks[-1][0], index + 1)
            continue
        if (
            act.protocol in APPLICATION
            and act.kind not in ("cwmp.Inform", "cwmp.session_end", "dns.query")
            and not act.answers
        ):
            blocks.append((index, index + 1))
    for (a, b), (c, d) in zip(blocks, blocks[1:]):
        first, second = plan.acts[a], plan.acts[c]
        if (
            b != c
            or first.step in loose
            or second.step in loose
            or {first.step, second.step} & but
            or _unordered(plan.rule, first.step, second.step)
        ):
            continue
        acts = (*plan.acts[:a], *plan.acts[c:d], *plan.acts[a:b], *plan.acts[d:])
        yield Mutant(
            f"{first.step} and {second.step}: in the other order",
            acts,
            frozenset((first.step, second.step)),
            STOPPED | {"out-of-order"},
        )


def _unordered(rule: Rule, one: str, other: str) -> bool:
    def groups(items: tuple[Step | Group, ...]) -> Iterator[Group]:
        for item in items:
            if isinstance(item, Group):
                yield item
                yield from groups(item.items)

    return any(g.order == "any" and {one, other} <= {s.step for s in _flat(g)} for g in groups(rule.items))
