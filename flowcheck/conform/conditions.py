"""What `when` asks of the site, the roles and the attempt so far: true, false, or None where the capture cannot tell."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ..rulebook.rule import Condition, Reference
from . import rows
from .checks import equals
from .fields import ABSENT, listed
from .scope import NOBODY, Host, Scope

TICK = 1_000_000_000        # ns: who counts whole seconds may be one short


def holds(condition: Condition, scope: Scope, bound: Mapping[str, Any], seen: frozenset[str]) -> bool | None:
    """Is the condition true, false or unknown here? `seen` names the steps matched so far."""
    arguments = condition.arguments
    match condition.test:
        case "not":
            inner = holds(arguments[0], scope, bound, seen)
            return None if inner is None else not inner
        case "all":
            results = [holds(c, scope, bound, seen) for c in arguments]
            return False if False in results else None if None in results else True
        case "any":
            results = [holds(c, scope, bound, seen) for c in arguments]
            return True if True in results else None if None in results else False
        case "seen":
            return arguments[0] in seen
        case "refused":
            return f"refused:{arguments[0]}" in seen
        case "past":
            moment = scope.resolve(arguments[0], bound) if isinstance(arguments[0], Reference) else arguments[0]
            return False if moment is ABSENT else None if scope.now is None else scope.now >= _nanoseconds(str(moment))
        case "expected":
            return str(arguments[0]) in scope.expected
        case "row":
            return rows.reported(arguments[0], scope)
        case "sooner":
            return _is_sooner(*(scope.resolve(a, bound) if isinstance(a, Reference) else a for a in arguments),
                              now=scope.now)
        case "known":
            return _is_known(arguments[0], scope, bound)
        case "equals":
            one, other = (scope.resolve(a, bound) if isinstance(a, Reference) else a for a in arguments)
            return None if one is ABSENT or other is ABSENT else equals(one, other)
        case "is_name":
            host = scope.host(str(arguments[0]), bound)
            return True if host.names else False if host.addresses else None
        case "needs_lookup":
            return _needs_lookup(str(arguments[0]), scope, bound)
        case "same_host":
            return _same_host(*(str(a) for a in arguments), scope=scope, bound=bound)
    raise ValueError(condition.test)


def _nanoseconds(moment: str) -> int:
    """A time of a site profile, UTC where it names no zone."""
    parsed = datetime.fromisoformat(moment)
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)).timestamp()) * 1_000_000_000


def _is_sooner(moment: Any, seconds: Any, now: int | None) -> bool:
    """Have certainly fewer seconds passed since? Not where one of them is unknown; of several numbers the least counts."""
    try:
        return now is not None and (now - int(moment) + TICK) < min(float(one) for one in listed(seconds)) * 1e9
    except (TypeError, ValueError):
        return False


def _is_known(name: Any, scope: Scope, bound: Mapping[str, Any]) -> bool:
    text = ".".join(name.path) if isinstance(name, Reference) else str(name)
    if text.startswith("device."):
        return text[7:] in scope.remembered
    if text.startswith("site."):
        return scope.resolve(Reference(tuple(text.split("."))), bound) is not ABSENT
    return text in bound or bool(scope.host(text, bound))


def _needs_lookup(role: str, scope: Scope, bound: Mapping[str, Any]) -> bool | None:
    """Must the device look this role's name up here? Not if it is a literal address, or was resolved in this capture."""
    host = scope.host(role, bound)
    if not host.names:
        return False if host.addresses else None
    return None


def _as_assigned(role: str, scope: Scope, bound: Mapping[str, Any]) -> Host:
    """The role's host. What was only inferred gives way to the name that the attempt was told."""
    host = scope.host(role, bound)
    if host.source == "inferred" and bound.get(f"{role}.name"):
        return scope.knowing({**scope.roles, role: NOBODY}).host(role, bound)
    return host


def _same_host(one: str, other: str, scope: Scope, bound: Mapping[str, Any]) -> bool | None:
    """The order of the decision: site profile, equal names, equal addresses (TS 32.583 5.1.1 step 7)."""
    a, b = (_as_assigned(role, scope, bound) for role in (one, other))
    for group in scope.site.same_entity:
        members = {str(name).lower() for name in group}
        if members & a.names and members & b.names:
            return True
    if a.names & b.names or a.addresses & b.addresses:
        return True
    if a and b and (a.names and b.names or a.addresses and b.addresses):
        return False
    return None
