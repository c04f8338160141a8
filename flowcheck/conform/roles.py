"""Which host plays which role: the site profile says it, else the traffic is asked.

A role's `infer` patterns are tried in order over the device's whole timeline; the first that any message fits names the host at
that end of it. What was inferred is said in the report under `assumed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ..model import Device, Message
from ..rulebook.rule import Pattern, Reference, Role, Rule, Site
from .checks import holds_all
from .conditions import holds
from .fields import ABSENT, get_field
from .kinds import Kinds
from .matching import Matcher
from .scope import NOBODY, Host, Scope
from .signs import Clue, Shown, Sign, clue


def find(rule: Rule, site: Site, device: Device, shown: Shown, remembered: Mapping[str, Any],
         resolved: Mapping[str, frozenset[str]], names: Mapping[str, set[str]]) -> tuple[Scope, tuple[str, ...]]:
    """The roles of a rule on one device's timeline, and what had to be assumed about them."""
    messages = shown.messages
    declared = _declared_by(site, rule)
    known = {role.name: declared[role.name] if role.name in declared else _declared(role, site, remembered)
             for role in rule.roles}
    scope = Scope(site, device, dict(known), remembered, resolved=resolved)
    open_roles = [(role, patterns) for role, infer in _inferable(rule) if not known[role.name]
                  and (patterns := [pattern for pattern, clue in infer if clue.sign in shown])]
    assumed: list[str] = []
    failed: set[int] = set()                         # patterns that no message fits as long as no other role is found
    for last_resort in (False, True) if open_roles else ():
        for _ in range(2):                           # a pattern may rest on a role that a later one finds
            before = len(assumed)
            for role, patterns in open_roles:
                if known[role.name]:
                    continue
                host = _inferred(role, patterns, Matcher(rule, scope), messages, names, known, last_resort, failed)
                if host:
                    failed.clear()
                    known[role.name] = host
                    scope = scope.knowing(dict(known))
                    shown = ", ".join(sorted(host.names or host.addresses))
                    assumed.append(f"{role.title or role.name} is {shown}, inferred from the traffic")
            if len(assumed) == before:
                break
    for role in rule.roles:
        if role.several_hosts:
            known[role.name] = _with_all_its_hosts(role, rule, scope, messages)
            scope = scope.knowing(dict(known))
    return scope, tuple(assumed)


def _with_all_its_hosts(role: Role, rule: Rule, scope: Scope, messages: Kinds) -> Host:
    """What is known of the role, and every host that one of its patterns shows to play it."""
    matcher, known = Matcher(rule, scope.knowing({**scope.roles, role.name: NOBODY})), scope.roles[role.name]
    shown = {(m.src if p.src == role.name else m.dst).address for p in role.infer for m in messages.of(p.messages)
             if _fits(p, role.name, matcher, m)}
    return Host(known.names, known.addresses | shown, known.source or ("inferred" if shown else ""))


def is_meant(rule: Rule, scope: Scope, shown: Shown) -> Scope | None:
    """Is the device of the kind that the rule is for? None where not; where a message shows it, the role is then known.

    A role of kind `device` may say by `infer` which messages show it, by `unless` which show another kind, and by `when`
    what decides where neither occurs.
    """
    def occurs(pattern: Pattern, clue: Clue) -> bool:
        return clue.sign in shown and (clue.whole or any(
            Matcher(rule, scope).pattern(pattern, m) for m in shown.messages.of(pattern.messages)))

    for role, infer, unless in _kinds_of_device(rule):
        if any(occurs(*one) for one in infer):
            itself = Host(frozenset((scope.device.id.lower(),)), frozenset(), "inferred")
            scope = scope.knowing({**scope.roles, role.name: itself})
        elif any(occurs(*one) for one in unless):
            return None
        elif role.when is not None and holds(role.when, scope, {}, frozenset()) is False:
            return None
    return scope


def is_another(rule: Rule, shown: Shown) -> bool:
    """Does a message show, whoever plays the other roles, that the device is not of the kind that the rule is for?"""
    return any(not shown.isdisjoint(unless) and shown.isdisjoint(infer) for infer, unless in _shown_by_itself(rule))


_Clues = tuple[tuple[Pattern, Clue], ...]


def _with_clues(rule: Rule, patterns: Iterable[Pattern]) -> _Clues:
    return tuple((pattern, clue(rule, pattern)) for pattern in patterns)


@lru_cache(maxsize=64)
def _kinds_of_device(rule: Rule) -> tuple[tuple[Role, _Clues, _Clues], ...]:
    """The device's roles that are not for every device, with what shows them and what shows others."""
    return tuple((role, _with_clues(rule, role.infer), _with_clues(rule, role.unless)) for role in rule.roles
                 if role.kind == "device" and (role.infer or role.unless or role.when))


@lru_cache(maxsize=64)
def _shown_by_itself(rule: Rule) -> tuple[tuple[tuple[Sign, ...], tuple[Sign, ...]], ...]:
    """What shows the device's roles and what shows others, where that needs no other role."""
    return tuple((tuple(clue.sign for _, clue in infer), tuple(clue.sign for _, clue in unless))
                 for _, infer, unless in _kinds_of_device(rule) if all(clue.whole for _, clue in (*infer, *unless)))


def _declared_by(site: Site, rule: Rule) -> dict[str, Host]:
    """The roles that a site profile and the rule alone say all of, kept as long as devices come with the same profile."""
    last = _of_site(rule)
    if last.get("site") is not site:
        last.update(site=site, hosts={role.name: _declared(role, site, {}) for role in rule.roles if not any(
            isinstance(reference, Reference) and reference.path[0] == "device" for reference in role.hosts)})
    return last["hosts"]


def is_declared(rule: Rule, name: str, site: Site, remembered: Mapping[str, Any]) -> bool:
    """Does the rule, the site profile or an earlier procedure name a host for the role?"""
    known = _declared_by(site, rule)
    return bool(known[name] if name in known else _declared(rule.role(name), site, remembered))


@lru_cache(maxsize=64)
def _inferable(rule: Rule) -> tuple[tuple[Role, _Clues], ...]:
    """The roles that messages can show, with the patterns of these messages."""
    return tuple((role, _with_clues(rule, role.infer)) for role in rule.roles if role.kind != "device" and role.infer)


@lru_cache(maxsize=64)
def _of_site(rule: Rule) -> dict[str, Any]:
    return {}


def unproven(rule: Rule, scope: Scope) -> tuple[str, ...]:
    """What is taken for granted of the device: that it is of the kind the rule is for, where no message and no profile says so."""
    return () if scope.site.hosts else tuple(f"the device is taken for an {role.title or role.name}; nothing in the capture shows what kind it is"
                 for role in rule.roles if role.kind == "device" and role.unless and not scope.roles.get(role.name))


def _declared(role: Role, site: Site, remembered: Mapping[str, Any]) -> Host:
    names: set[str] = set()
    addresses: set[str] = set()
    source = ""
    for reference in role.hosts:
        if not isinstance(reference, Reference):
            names.add(str(reference).lower())
            source = source or "rule"
        elif reference.path[0] == "device":
            value = remembered.get(".".join(reference.path[1:]), ABSENT)
            if value is not ABSENT:
                names.update(str(v).lower() for v in (value if isinstance(value, (tuple, list)) else (value,)))
                source = source or "learned"
        elif reference.path[:2] == ("site", "hosts"):
            host = site.hosts.get(reference.path[2])
            if host is not None:
                names.update(name.lower().rstrip(".") for name in host.names)
                addresses.update(host.addresses)
                source = "site"
    return Host(frozenset(names), frozenset(addresses), source)


def _inferred(role: Role, patterns: Sequence[Pattern], matcher: Matcher, messages: Kinds, names: Mapping[str, set[str]],
              known: Mapping[str, Host], last_resort: bool, failed: set[int]) -> Host:
    """`unless_known` marks what is only believed when nothing better speaks for another role."""
    for pattern in patterns:
        if pattern.unless_known and (not last_resort or any(known.get(other) for other in pattern.unless_known)):
            continue
        found = _first(pattern, role, matcher, messages) if id(pattern) not in failed else None
        if found is None:
            failed.add(id(pattern))
            continue
        if pattern.name_from:
            value = get_field(found.fields, pattern.name_from)
            return Host(frozenset((str(value).lower().rstrip("."),)), frozenset(), "inferred")
        address = (found.src if pattern.src == role.name else found.dst).address
        return Host(frozenset(names.get(address, ())), frozenset((address,)), "inferred")
    return NOBODY


def _first(pattern: Pattern, role: Role, matcher: Matcher, messages: Kinds) -> Message | None:
    """The message that names the role: the first that fits, or the last before the one the pattern says it comes before."""
    until = None
    if pattern.before is not None:
        until = next((m.time for m in messages.of(pattern.before.messages) if _fits(pattern.before, None, matcher, m)),
                     None)
        if until is None:
            return None
    own = messages.of(pattern.messages)
    return next((m for m in (own if until is None else reversed(own))
                 if (until is None or m.time <= until) and _fits(pattern, role.name, matcher, m)), None)


def _certain(name: str, matcher: Matcher) -> frozenset[str]:
    """The addresses that belong to a role and no other: by the site profile, or of a host that its own name shows."""
    host = matcher.scope.roles[name]
    by_name = host.source == "inferred" and host.names and not host.addresses
    return matcher.scope.host(name, {}).addresses if by_name else host.addresses if host.source == "site" else frozenset()


def _fits(pattern: Pattern, free: str | None, matcher: Matcher, message: Message) -> bool:
    """A message of the pattern's kinds: the role that is being looked for is left open, another one has to be known and right."""
    for name, end, other in ((pattern.src, message.src, message.dst), (pattern.dst, message.dst, message.src)):
        if name is None:
            continue
        role = matcher.rule.role(name)
        if name == free:
            taken_by_other = any(end.address in _certain(r, matcher) for r in matcher.scope.roles
                                 if r != name and matcher.rule.role(r).kind == role.kind)
            if taken_by_other or end.address in matcher.scope.device.addresses:
                return False
        elif matcher.plays(name, end, other, {}) is not True:
            return False
    return holds_all(pattern.where, message, matcher.scope, {}) is True
