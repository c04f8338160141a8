"""Mutants of what is compared with something besides the message: an earlier run, another device, a host named before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..rulebook.rule import Check, Reference, Step
from . import values
from .mutation import Mutant
from .plan import Act, Plan

LATER = 120.0  # s from one run to the next
NEIGHBOUR = "198.51.100.22"
STRANGER = "192.0.2.200"
WRONG = frozenset(("field-wrong",))


def compared(plan: Plan, index: int, act: Act, step: Step) -> Iterator[Mutant]:
    """The run once more with another answer, another device's run with the same one, and a run with another host."""
    for check in step.expect:
        label = values.label(check, "")
        if check.test == "equals" and _is_remembered(check, step):
            made, title = _once_more(plan, act, check), f"{label} is another than before"
        elif check.test == "unique":
            made, title = _by_another(plan), f"{label} is another device's"
        elif check.names in (("src.address",), ("dst.address",)):
            made, title, label = _named_otherwise(plan, index, check), "not the host that was named", check.names[0]
        else:
            continue
        if made:
            steps = frozenset((act.step,))
            yield Mutant(f"{act.step}: {title}", made, steps, WRONG, label, check.severity)


def _is_remembered(check: Check, step: Step) -> bool:
    value = check.value
    if not isinstance(value, Reference) or value.path[0] != "device":
        return False
    return any(binding.name == value.path[1] for binding in step.remember)


def _once_more(plan: Plan, act: Act, check: Check) -> tuple[Act, ...]:
    names = values.names_of(check, plan.resolve)
    changed = replace(act, content={**act.content, "body": {**act.content["body"], names[0]: "another"}})
    second = [changed if one is act else one for one in plan.acts]
    return (*plan.acts, replace(second[0], wait=LATER), *second[1:])


def _by_another(plan: Plan) -> tuple[Act, ...]:
    """A gateway speaks for several; else another device has another address."""
    address = "" if plan.world.device in plan.world.hosts else NEIGHBOUR
    second = [replace(act, at=address, content=_of_another(plan, act)) for act in plan.acts]
    return (*plan.acts, replace(second[0], wait=LATER), *second[1:])


def _of_another(plan: Plan, act: Act) -> dict[str, Any]:
    """What the device says of itself; what it is told stays."""
    content = dict(act.content)
    if act.src == plan.world.device and "body" in content:
        content["body"] = {
            name: f"{value}-2" if isinstance(value, str) else value for name, value in content["body"].items()
        }
    return content


def _named_otherwise(plan: Plan, index: int, check: Check) -> tuple[Act, ...]:
    """An earlier message names another host, by its address, than the one that the run goes on with."""
    if not isinstance(check.value, Reference):
        return ()
    role = check.value.path[0]
    for place, act in enumerate(plan.acts[:index]):
        for binding in plan.rule.step(act.step).bind:
            if binding.name == f"{role}.name" and binding.source == "field" and binding.take == "host":
                name = binding.names[0]
                held = str(act.content.get(name, ""))
                host = held.partition("://")[2].partition("/")[0]
                if host in plan.world.addresses.values():
                    changed = replace(act, content={**act.content, name: held.replace(host, STRANGER)})
                    return (*plan.acts[:place], changed, *plan.acts[place + 1 :])
    return ()
