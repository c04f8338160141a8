"""What a timeline shows before anybody knows who plays which part.

A step or a pattern asks for a kind of message, for its ends and for its content. Which end is the device's own, and what is
compared with a constant or with a value of the site profile, can be told without any role: that is its sign. Where no
message bears the sign, none is that step, whoever plays the parts. Rules have most of their signs in common, and on
each timeline each is looked for once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from ..model import Device, Message
from ..rulebook.rule import Check, Pattern, Reference, Rule, Site, Step
from .checks import content, holds_all
from .kinds import Kinds
from .matching import relayed
from .scope import Scope

_Place = tuple[str, bool, bool]     # a message kind; is the sender, and is the receiver, the device itself?


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Sign:
    """Equal ones are the same object."""

    kinds: tuple[str, ...]
    places: tuple[_Place, ...]      # where such messages are found in `Shown`
    checks: tuple[Check, ...]


class Clue(NamedTuple):
    """A sign, and what has to be known besides for a message to be certainly what the rule asks for."""

    sign: Sign
    roles: frozenset[str]           # whose hosts
    remembered: frozenset[str]      # the names after `$device.`
    whole: bool                     # False: there is more to it than the sign


class Shown:
    """The messages of one device, asked for signs."""

    def __init__(self, site: Site, device: Device, messages: Kinds):
        self.messages = messages
        self.scope = Scope(site, device, {})
        self._found: dict[Sign, bool] = {}
        self._none_of: dict[tuple[Sign, ...], bool] = {}
        self._at: dict[_Place, list[Message]] = {}
        own = device.addresses
        for message in messages.messages:
            anyway = not own or relayed(message)           # then no address says which end is the device
            place = message.kind, anyway or message.src.address in own, anyway or message.dst.address in own
            self._at.setdefault(place, []).append(message)

    def isdisjoint(self, signs: tuple[Sign, ...]) -> bool:
        """Does no message bear any of them? Rules for one kind of device ask of the same ones."""
        found = self._none_of.get(signs)
        if found is None:
            found = self._none_of[signs] = not any(sign in self for sign in signs)
        return found

    def __contains__(self, sign: Sign) -> bool:
        found = self._found.get(sign)
        if found is None:
            found = self._found[sign] = any(holds_all(sign.checks, message, self.scope, {}) is True
                                            for place in sign.places
                                            for message in self._at.get(place, ()))
        return found


# ------------------------------------------------------------------------------------------------- of a rule

def clue(rule: Rule, one: Step | Pattern) -> Clue:
    """The clue of a step or a pattern of the rule."""
    checks = tuple(check for check in one.where if _alone(check))
    played = [role for name in (one.src, one.dst) if name
              and (role := rule.role(name)).kind not in ("device", "dns_server")]
    referred = [value for check in one.where for value in (check.names, check.value) if isinstance(value, Reference)]
    roles = (*(role.name for role in played), *(r.path[0] for r in referred if _is_host(rule, r)))
    remembered = (".".join(r.path[1:]) for r in referred if r.path[0] == "device")
    src, dst = (rule.role(name).kind if name else None for name in (one.src, one.dst))
    return Clue(_sign(one.messages, src, dst, checks), frozenset(roles), frozenset(remembered),
                not played and len(checks) == len(one.where))


def _is_host(rule: Rule, reference: Reference) -> bool:
    role = rule.role(reference.path[0])
    return role is not None and role.kind != "device" and reference.path[1:] in (("name",), ("address",))


def _alone(check: Check) -> bool:
    """Is all that the check compares known before any role is? What other devices were told (`unique`) is not."""
    values = (check.names, *(check.value if isinstance(check.value, (list, tuple))
                             and not isinstance(check.value, Reference)
                             else (check.value,)))
    return check.test != "unique" and all(value.path[0] == "site" for value in values if isinstance(value, Reference))


_SIGNS: WeakValueDictionary[tuple[Any, ...], Sign] = WeakValueDictionary()


def _sign(kinds: tuple[str, ...], src: str | None, dst: str | None, checks: tuple[Check, ...]) -> Sign:
    """The one sign of this content, wherever in the rules it stands. `src` and `dst` are kinds of role."""
    places = tuple((kind, here, there) for kind in kinds for here in (True, False) for there in (True, False)
                   if _may_play(src, here, there) and _may_play(dst, there, here))
    key = (places, *map(content, checks))
    return _SIGNS.setdefault(key, Sign(kinds, places, checks))


def _may_play(role: str | None, here: bool, there: bool) -> bool:
    """Can an end be such a role (see Matcher.plays)? `here` and `there`: is it, and the other end, the device's?"""
    return role is None or (here if role == "device" else there or not here)
