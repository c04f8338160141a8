"""Which ways a rule allows.

Its optional items, the branches of its choices, the messages and the protocols it takes one for another, and what its
conditions ask of a message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..rulebook.rule import Binding, Condition, Group, Reference, Rule, Step

WITH = "with "  # begins the name of a run that differs in what its messages are
CARRIERS = ("http", "coap")  # what a document may come by
DOCUMENTS = ("json", "xml")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a run takes besides the mandatory steps."""

    items: frozenset[str] = frozenset()  # the optional item or branch, with everything around it
    message: str = ""  # a kind, or a protocol, that is taken where it is one of several
    given: Mapping[str, Any] = field(default_factory=dict)  # bound name -> value
    carrier: str = ""  # of documents


def variants(rule: Rule) -> Iterator[str]:
    """The base run, then one for each further branch of a choice, for each optional item, for each further message that
    a step may be, and for each value that a condition asks about."""
    yield ""
    items, messages = list(_alternatives(rule.items)), list(dict.fromkeys(_messages(rule)))
    yield from dict.fromkeys([*items, *messages, *_carriers(rule), *_values(rule), *_both(rule, items, messages)])


def choice(rule: Rule, variant: str) -> Choice:
    """What the name of a variant stands for."""
    item, both, message = variant.partition(f" {WITH}")
    if both:
        one, other = choice(rule, item), choice(rule, WITH + message)
        return Choice(one.items | other.items, other.message)
    if not variant.startswith(WITH):
        return Choice(path_to(rule.items, variant) if variant else frozenset())
    wanted = variant.removeprefix(WITH)
    name, equals, text = wanted.partition(" = ")
    if equals:
        step = next(s for s in rule.steps() if any(b.name == name for b in s.bind))
        value = next(v for n, v in _compared(rule) if n == name and str(v) == text)
        return Choice(path_to(rule.items, step.step), given={name: value})
    if wanted in CARRIERS and wanted in _carriers_of(rule):
        return Choice(carrier=wanted)
    steps = [s for s in rule.steps() if any(_is(kind, wanted) for kind in s.messages) and not s.forbidden]
    return Choice(frozenset().union(*(path_to(rule.items, step.step) for step in steps[:1])), message=wanted)


def kind_of(step: Step, wanted: Choice, asked: str = "") -> str:
    """Which of the messages of a step is sent; `asked` is the kind of the request that it answers."""
    for fits in (
        lambda kind: wanted.message and _is(kind, wanted.message),
        lambda kind: asked and kind.startswith(asked),
        lambda kind: asked and kind.partition(".")[0] == asked.partition(".")[0],
    ):
        found = next((kind for kind in step.messages if fits(kind)), None)
        if found is not None:
            return found
    return step.messages[0]


def path_to(items: tuple[Step | Group, ...], name: str) -> frozenset[str]:
    """The item of that name with everything around it."""
    for item in items:
        if name_of(item) == name:
            return frozenset((name,))
        if isinstance(item, Group) and (below := path_to(item.items, name)):
            return below | {name_of(item)}
    return frozenset()


def name_of(item: Step | Group) -> str:
    return item.step if isinstance(item, Step) else item.group


def steps_of(group: Group) -> Iterator[Step]:
    for item in group.items:
        if isinstance(item, Step):
            yield item
        else:
            yield from steps_of(item)


def is_connection(item: Step | Group) -> bool:
    """Does a capture show it whether the clause speaks of it or not?"""
    if isinstance(item, Step):
        return bool(item.messages) and item.messages[0].startswith("tcp.")
    return all(
        is_connection(one) or isinstance(one, Step) and one.messages[:1] and one.messages[0].startswith("sctp.")
        for one in item.items
    )


def _is(kind: str, wanted: str) -> bool:
    return wanted in (kind, kind.partition(".")[0])


def _alternatives(items: tuple[Step | Group, ...]) -> Iterator[str]:
    for item in items:
        if item.forbidden:
            continue
        if item.optional and not is_connection(item) and (not isinstance(item, Step) or item.messages):
            yield name_of(item)
        if isinstance(item, Group):
            if item.order == "one_of":
                yield from (name_of(branch) for branch in item.items[1:])
            yield from _alternatives(item.items)


def _messages(rule: Rule) -> Iterator[str]:
    for step in rule.steps():
        if step.forbidden:
            continue
        first = step.messages[0].partition(".")[0] if step.messages else ""
        for kind in step.messages[1:]:
            protocol = kind.partition(".")[0]
            if protocol != first:
                yield WITH + protocol
            elif step.answers is None or kind_of(step, Choice(), "") != kind and not _follows(rule, step, kind):
                yield WITH + kind


def _both(rule: Rule, items: list[str], messages: list[str]) -> Iterator[str]:
    """The items whose own steps may be one of several messages, with each."""
    for name in items:
        inside = [step for step in rule.steps() if name in path_to(rule.items, step.step)]
        for wanted in messages:
            if name not in choice(rule, wanted).items and any(_is(kind, wanted.removeprefix(WITH)) for step in inside
                                                              for kind in step.messages[1:]):
                yield f"{name} {wanted}"


def _follows(rule: Rule, step: Step, kind: str) -> bool:
    """Is it the answer to one of several requests, and so made with that?"""
    return any(kind.startswith(asked) for asked in rule.step(step.answers or "").messages)


def _carriers_of(rule: Rule) -> list[str]:
    """What else than HTTP documents come by, as far as the rule names how that refuses."""
    return [
        carrier
        for carrier in CARRIERS[1:]
        for step in rule.steps()
        if step.messages and step.messages[0].partition(".")[0] in DOCUMENTS
        if any(kind.startswith(f"{carrier}.") for pattern in step.refused_by for kind in pattern.messages)
    ]


def _carriers(rule: Rule) -> Iterator[str]:
    yield from (WITH + carrier for carrier in _carriers_of(rule))


def _values(rule: Rule) -> Iterator[str]:
    bound = {binding.name for step in rule.steps() for binding in step.bind if _sayable(binding)}
    yield from (f"{WITH}{name} = {value}" for name, value in _compared(rule) if name in bound)


def _sayable(binding: Binding) -> bool:
    return binding.source in ("json", "field") and binding.take in (None, "outcome")


def _compared(rule: Rule) -> Iterator[tuple[str, Any]]:
    """Each name and the value that a condition compares it with."""

    def within(condition: Condition) -> Iterator[tuple[str, Any]]:
        if condition.test in ("not", "all", "any"):
            for part in condition.arguments:
                yield from within(part)
        elif condition.test == "equals":
            names = [a for a in condition.arguments if isinstance(a, Reference)]
            others = [a for a in condition.arguments if not isinstance(a, Reference)]
            if len(names) == 1 and len(others) == 1 and names[0].path[0] not in ("device", "site"):
                yield ".".join(names[0].path), others[0]

    def walk(items: tuple[Step | Group, ...]) -> Iterator[tuple[str, Any]]:
        for item in items:
            if item.when is not None:
                yield from within(item.when)
            if isinstance(item, Group):
                yield from walk(item.items)

    yield from dict.fromkeys(walk(rule.items))
