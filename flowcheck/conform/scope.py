"""What a rule may refer to: the site profile, the device, its roles, and what is remembered of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..model import Device
from ..rulebook.rule import Reference, Site
from .elsewhere import Elsewhere
from .fields import ABSENT, listed


@dataclass(frozen=True, slots=True)
class Host:
    """What is known of a role: names in lower case without the final dot, and addresses."""

    names: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    source: str = ""                     # "site", "inferred", "learned"; empty while nothing is known

    def __bool__(self) -> bool:
        return bool(self.names or self.addresses)


@dataclass(frozen=True, slots=True)
class Scope:
    """Everything a rule may refer to, apart from what an attempt binds on its way."""

    site: Site
    device: Device
    roles: Mapping[str, Host]
    remembered: Mapping[str, Any] = field(default_factory=dict)     # $device.<name>
    expected: frozenset[str] = frozenset()                          # procedures asked for
    now: int | None = None                                          # the time at which a condition is asked
    resolved: Mapping[str, frozenset[str]] = field(default_factory=dict)   # DNS name -> addresses in this capture
    elsewhere: Elsewhere | None = None                              # what other devices were told

    def host(self, role: str, bound: Mapping[str, Any]) -> Host:
        """The role's names and addresses, with what the attempt has bound and the DNS has answered."""
        known = self.roles.get(role, Host())
        names = known.names | _strings(bound.get(f"{role}.name"))
        addresses = known.addresses | _strings(bound.get(f"{role}.address"))
        literal = {name for name in names if _is_address(name)}
        addresses |= literal
        names -= literal
        for name in names:
            addresses |= self.resolved.get(name, frozenset())
        return Host(names, addresses, known.source or ("learned" if names or addresses else ""))

    def resolve(self, reference: Reference, bound: Mapping[str, Any]) -> Any:
        """The value a reference stands for, ABSENT while it is unknown."""
        head, *rest = reference.path
        if head == "site":
            return _site_value(self.site, rest)
        if head == "device":
            return self.remembered.get(".".join(rest), ABSENT)
        dotted = ".".join(reference.path)
        if head in self.roles and rest in (["name"], ["address"]):
            host = self.host(head, bound)
            return tuple(sorted(host.names if rest == ["name"] else host.addresses)) or ABSENT
        return bound.get(dotted, ABSENT)


def _site_value(site: Site, path: list[str]) -> Any:
    value: Any = site
    for part in path:
        value = value.get(part, ABSENT) if isinstance(value, Mapping) else getattr(value, part, ABSENT)
        if value is ABSENT:
            return ABSENT
    return value


def _strings(value: Any) -> frozenset[str]:
    if value is None or value is ABSENT:
        return frozenset()
    return frozenset(str(v).lower().rstrip(".") for v in listed(value))


def _is_address(text: str) -> bool:
    return bool(re.fullmatch(r"\d+(\.\d+){3}", text)) or ":" in text
