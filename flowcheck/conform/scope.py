"""What a rule may refer to: the site profile, the device, its roles, and what is remembered of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ..model import Device, Message
from ..rulebook.rule import Reference, Site
from ..sealed import sealed
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


NOBODY = Host()


@sealed
class Scope:
    """Everything a rule may refer to, apart from what an attempt binds on its way."""

    site: Site
    device: Device
    roles: Mapping[str, Host]
    remembered: Mapping[str, Any] = field(default_factory=dict)     # $device.<name>
    expected: frozenset[str] = frozenset()                          # procedures asked for
    now: int | None = None                                          # the time at which a condition is asked
    asking: Message | None = None                                   # the message of which it is asked, where it is one
    resolved: Mapping[str, frozenset[str]] = field(default_factory=dict)   # DNS name -> addresses in this capture
    elsewhere: Elsewhere | None = None                              # what other devices were told
    # what was found for the roles as they are here: by `host`, and by the matcher of their rule for the ends of
    # messages
    hosts: dict[Any, Host] = field(default_factory=dict, repr=False, compare=False)
    ends: dict[tuple, bool | None] = field(default_factory=dict, repr=False, compare=False)

    def knowing(self, roles: Mapping[str, Host]) -> Scope:
        """The same with other roles."""
        return self.but(roles=roles, hosts={}, ends={})

    def host(self, role: str, bound: Mapping[str, Any]) -> Host:
        """The role's names and addresses, with what the attempt has bound and the DNS has answered."""
        key = (role, bound.get(f"{role}.name"), bound.get(f"{role}.address")) if bound else role
        found = self.hosts.get(key)
        if found is None:
            found = self.hosts[key] = self._host(role, bound.get(f"{role}.name"), bound.get(f"{role}.address"))
        return found

    def _host(self, role: str, name: Any, address: Any) -> Host:
        known = self.roles.get(role, NOBODY)
        if name and known.source == "inferred" and not known.names & _strings(name):
            known = NOBODY                     # what a message says of it is more than what the traffic lets one think
        names, addresses = known.names | _strings(name), known.addresses | _strings(address)
        literal = {name for name in names if _is_address(name)}
        addresses |= literal
        names -= literal
        for name in names:
            addresses |= self.resolved.get(name, frozenset()) | self._by_profile(name)
        return Host(names, addresses, known.source or ("learned" if names or addresses else ""))

    def _by_profile(self, name: str) -> frozenset[str]:
        """The addresses that the site profile gives the host of this name."""
        return frozenset(address for host in self.site.hosts.values() if name in host.names
                         for address in host.addresses)

    def names(self, address: str) -> tuple[str, ...]:
        """The names of a host that was looked up: as the DNS of this capture knows it, and the site profile."""
        looked_up = {name for name, addresses in self.resolved.items() if address in addresses}
        also = {name for host in self.site.hosts.values() if address in host.addresses for name in host.names}
        return tuple(sorted(looked_up | also)) if looked_up else ()

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


@lru_cache(maxsize=4096)
def _is_address(text: str) -> bool:
    return bool(re.fullmatch(r"\d+(\.\d+){3}", text)) or ":" in text
