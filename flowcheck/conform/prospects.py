"""May there be an attempt at all? Asked before the roles are found, which costs more than most timelines are worth to a rule.

An attempt begins with a message that is certainly an opening or resuming step, or one of those with both ends named that
a capture which started inside an attempt may show first. To be certain it has to bear the step's sign, and something has to
be known of every host that the step names: the site profile or an earlier procedure says it, or a message bears the sign of
a pattern that infers it. Where a message like that denies the attempt (`unless`), another has to prove it (`requires`).
A No is certain, a Yes is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from ..rulebook.rule import Reference, Rule, Site
from .bykind import first_steps
from .roles import is_declared
from .signs import Clue, Shown, clue


def may_begin(rule: Rule, site: Site, shown: Shown, remembered: Mapping[str, Any]) -> bool:
    """Could an attempt of the rule begin with any message? `remembered` is what is known of the device."""
    asked = _Prospects(rule, site, shown, remembered)
    denied = _denied(rule)
    if not denied or asked.any_of(_proofs(rule)):
        denied = frozenset()
    return asked.any_of(_first_clues(rule), denied)


def may_learn(rule: Rule, site: Site, shown: Shown, remembered: Mapping[str, Any]) -> bool:
    """Could any message establish one of the rule's facts?"""
    return _Prospects(rule, site, shown, remembered).any_of(_fact_clues(rule))


class _Prospects:
    def __init__(self, rule: Rule, site: Site, shown: Shown, remembered: Mapping[str, Any]):
        self.rule, self.site, self.shown, self.remembered = rule, site, shown, remembered
        self._knowable: dict[str, bool] = {}

    def any_of(self, asked: Mapping[str, Iterable[Clue]], but: frozenset[str] = frozenset()) -> bool:
        """Is there a message for one of these clues, sorted by message kind?"""
        return any(self._may_be(clue) for kind in asked.keys() & self.shown.messages.kinds if kind not in but
                   for clue in asked[kind])

    def _may_be(self, clue: Clue) -> bool:
        return clue.sign in self.shown and all(name in self.remembered for name in clue.remembered) \
            and all(map(self._is_knowable, clue.roles))

    def _is_knowable(self, role: str) -> bool:
        """May anything be known of the host that plays the role?"""
        known = self._knowable.get(role)
        if known is None:
            # as long as it is being asked: patterns may rest on each other's roles
            self._knowable[role] = True
            known = self._knowable[role] = is_declared(self.rule, role, self.site, self.remembered) \
                or self._is_inferable(role)
        return known

    def _is_inferable(self, role: str) -> bool:
        kinds, patterns = _inferring(self.rule)[role]
        return self.shown.messages.any_of(kinds) and any(all(map(self._may_be, both)) for both in patterns)


@lru_cache(maxsize=64)
def _first_clues(rule: Rule) -> Mapping[str, Iterable[Clue]]:
    return _by_kind(clue(rule, step) for step in first_steps(rule))


@lru_cache(maxsize=64)
def _denied(rule: Rule) -> frozenset[str]:
    """The kinds of message that are no attempt of the rule unless something proves it: `unless` names the kind and no more."""
    return frozenset(kind for pattern in rule.attempt.unless
                     if not (pattern.src or pattern.dst or pattern.where or pattern.before)
                     for kind in pattern.messages)


@lru_cache(maxsize=64)
def _proofs(rule: Rule) -> Mapping[str, Iterable[Clue]]:
    return _by_kind(clue(rule, pattern) for pattern in rule.attempt.requires)


@lru_cache(maxsize=64)
def _fact_clues(rule: Rule) -> Mapping[str, Iterable[Clue]]:
    return _by_kind(clue(rule, fact.pattern) for fact in rule.facts)


def _by_kind(found: Iterable[Clue]) -> Mapping[str, Iterable[Clue]]:
    table: dict[str, dict[Clue, None]] = {}
    for one in found:
        for kind in one.sign.kinds:
            table.setdefault(kind, {})[one] = None
    return table


@lru_cache(maxsize=64)
def needs_roles(rule: Rule) -> bool:
    """Do the rule's facts depend on who plays which part?"""
    patterns = [pattern for fact in rule.facts for pattern in (fact.pattern, fact.answered_by) if pattern is not None]
    taken = [value for fact in rule.facts for binding in fact.remember for value in (binding.names, binding.value)]
    return not all(clue(rule, pattern).whole for pattern in patterns) \
        or any(isinstance(value, Reference) and value.path[0] != "site" for value in taken)


@lru_cache(maxsize=64)
def _inferring(rule: Rule) -> dict[str, tuple[frozenset[str], tuple[tuple[Clue, ...], ...]]]:
    """Role -> the kinds of message that infer its host, and the clues of each pattern, with what it says it comes before."""
    return {role.name: (frozenset(kind for pattern in role.infer for kind in pattern.messages),
                        tuple(tuple(clue(rule, one) for one in (pattern, pattern.before) if one is not None)
                              for pattern in role.infer)) for role in rule.roles}
