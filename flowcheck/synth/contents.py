"""Mutants in which a message says something else than it should, or should not be there."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from ..rulebook.rule import Check, Group, Step
from . import values
from .choices import steps_of
from .mutation import Form, Mutant, fits, form, is_open
from .plan import Act, Plan, extra
from .world import Unable, truth

TEXT = ("cwmp", "json", "xml")  # protocols in which an element may be there and empty


def expectations(plan: Plan, index: int, act: Act, step: Step) -> Iterator[Mutant]:
    """Each check of `expect` broken: what it is about left out, empty, or wrong."""
    now = replace(plan.world, taken=frozenset(a.step for a in plan.acts[:index]))
    # nobody goes on without an address
    after = () if act.kind == "dns.response" else plan.acts[index + 1 :]
    for check in step.expect:
        if check.when is not None and (truth(check.when, now) is not True or is_open(check.when)):
            continue
        names = values.names_of(check, plan.resolve) if check.target in ("field", "fields") else ("",)
        for name in names:
            label = values.label(check, name)
            for what, kinds, content in _broken(plan, act, check, name):
                if all(fits(content, where, plan) for where in step.where):
                    acts = (*plan.acts[:index], replace(act, content=content), *after)
                    title = f"{act.step}: {label or name} {what}"
                    yield Mutant(title, acts, frozenset((act.step,)), kinds, label, check.severity)


def _broken(plan: Plan, act: Act, check: Check, name: str) -> Iterator[tuple[str, frozenset[str], dict[str, Any]]]:
    for kind, content in values.spoil(act.content, check, name, plan.resolve, plan.world.radio):
        yield kind.partition("-")[2], frozenset((kind,)), content
    content = values.emptied(act.content, check, name, plan.resolve) if act.protocol in TEXT else None
    if content is not None:
        yield "empty", frozenset(("field-absent", "field-wrong")), content


def group_expectations(plan: Plan, items: tuple[Step | Group, ...], but: Collection[Form]) -> Iterator[Mutant]:
    for item in items:
        if not isinstance(item, Group):
            continue
        yield from group_expectations(plan, item.items, but)
        names = [step.step for step in steps_of(item)]
        mine = [act for act in plan.acts if act.step in names]
        if not mine or form(mine[0]) in but:
            continue
        for check in item.expect:
            if check.when is not None and (truth(check.when, plan.world) is not True or is_open(check.when)):
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


def forbidden(plan: Plan, items: tuple[Step | Group, ...], but: Collection[Form]) -> Iterator[Mutant]:
    """What shall not happen, after the run; only where the run makes it certain that it shall not."""
    for item in items:
        if not item.forbidden:
            yield from forbidden(plan, item.items, but) if isinstance(item, Group) else ()
            continue
        steps = (item,) if isinstance(item, Step) else tuple(steps_of(item))
        if any(step.silence for step in steps):            # a message more does not break it
            continue
        now = replace(plan.world, taken=frozenset(act.step for act in plan.acts))
        conditions = [one.when for one in (item, *steps) if one.when is not None]
        after = [s.step for s in plan.rule.steps()][[s.step for s in plan.rule.steps()].index(steps[-1].step) + 1 :]
        if (
            {step.step for step in steps} & {done[0] for done in but}
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
