"""A conforming run with one thing wrong, and the finding that has to come of it.

Nothing is made that the rule allows: optional steps are not left out, a name that may be remembered need not be asked
for, a check whose `when` is not certain is not broken. What a capture could not show is not made either: a TCP
handshake that is missing under a connection that works was lost by the capture, not left out by the device.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from .absent import astray, skipped, stopped, unanswered
from .contents import expectations, forbidden, group_expectations
from .memory import compared
from .mutation import Form, Mutant, form, loose_steps, optional_steps
from .plan import Plan
from .refusals import refused
from .ways import late, swapped, twice, wrong_path


def mutants(plan: Plan, but: Collection[Form] = ()) -> Iterator[Mutant]:
    """Every mutant of the run; those of the forms `but` were made from another run already."""
    loose, optional = loose_steps(plan.rule), optional_steps(plan.rule)
    seen: set[Form] = set()
    for index, act in enumerate(plan.acts):
        step = plan.rule.step(act.step)
        if form(act) in seen or form(act) in but or act.sealed:
            continue
        seen.add(form(act))
        if step.refused_by and index and not step.optional and (act.answers or act.step not in optional):
            yield from refused(plan, index, act, step)
        if act.answers:
            yield from unanswered(plan, index, act, step)
            yield from astray(plan, index, act, step)
        elif index and act.step not in loose:
            yield stopped(plan, index, act, step)
            yield from skipped(plan, index, act, step)
        yield from expectations(plan, index, act, step)
        yield from compared(plan, index, act, step)
        yield from late(plan, index, act, step)
        yield from wrong_path(plan, index, act, step)
    yield from swapped(plan, loose, but)
    yield from twice(plan, but)
    yield from forbidden(plan, plan.rule.items, but)
    yield from group_expectations(plan, plan.rule.items, but)
