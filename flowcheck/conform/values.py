"""What the words of a rule mean for one message: fields, parameters, references, checks and conditions.

Every answer has three values. True and False are what the capture shows; None means that it cannot tell: the message is
cut, the field sealed, the reference not yet known. None never becomes a finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from ..documents import find_field, find_named
from ..model import Device, Message
from ..rulebook.patterns import any_matches
from ..rulebook.rule import Binding, Check, Condition, Reference, Site
from .ages import age
from .elsewhere import Elsewhere

ABSENT = object()


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


def of_message(message: Message, name: str) -> Any:
    """A field of a message; besides the protocol's own there are `layers`, the CWMP `session`, and of either end the
    `address`, its `scope` and the `port`."""
    if name == "layers":
        return list(message.layers)
    if name == "session":
        return ABSENT if message.session is None else message.session
    end, _, part = name.partition(".")
    if end in ("src", "dst") and part in ("scope", "address", "port"):
        endpoint = message.src if end == "src" else message.dst
        return address_scope(endpoint.address) if part == "scope" else getattr(endpoint, part)
    return get_field(message.fields, name)


@lru_cache(maxsize=4096)
def address_scope(address: str) -> str:
    """"private" for the addresses of RFC 1918, RFC 6598 and RFC 4193 and link-local ones, else "public"."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    return "private" if any(parsed in net for net in _PRIVATE if net.version == parsed.version) else "public"


_PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
                                  "fc00::/7", "fe80::/10")))


def get_field(fields: Mapping[str, Any], name: str) -> Any:
    """A field by its dotted name: as a whole first, then step by step; lists give the list of what their items hold."""
    if name in fields:
        return fields[name]
    value: Any = fields
    for part in name.split("."):
        if isinstance(value, Mapping):
            value = value.get(part, ABSENT)
        elif isinstance(value, (list, tuple)):
            value = [held for item in value if isinstance(item, Mapping) and part in item for held in _listed(item[part])] or ABSENT
        else:
            return ABSENT
        if value is ABSENT:
            return ABSENT
    return value


def parameters(fields: Mapping[str, Any], patterns: Iterable[str]) -> dict[str, Any]:
    """The entries of the message's ParameterList whose names match one of the patterns."""
    listed = fields.get("ParameterList")
    if isinstance(listed, Mapping):
        found = listed
    elif isinstance(listed, (list, tuple)):
        found = {str(item.get("Name") if isinstance(item, Mapping) else item): item for item in listed}
    else:
        return {}
    wanted = tuple(patterns)
    return {name: value for name, value in found.items() if _is_one_of(wanted, name)}


@lru_cache(maxsize=1 << 16)
def _is_one_of(patterns: tuple[str, ...], name: str) -> bool:
    """Devices of one kind name the same parameters, so the answers come again and again."""
    return any_matches(patterns, name)


def partly_hidden(message: Message) -> bool:
    """Is some of the message out of sight, cut off by the capture or sealed? Then an absent field proves nothing."""
    fields = message.fields
    return message.incomplete or fields.get("decrypted") is False or bool(fields.get("encrypted"))


# ------------------------------------------------------------------------------------------------- checks

@dataclass(frozen=True, slots=True)
class Outcome:
    """How one check went, in words for the report."""

    check: Check
    holds: bool | None
    target: str                 # the field or parameter the check is about
    expected: str = ""
    observed: str = ""
    absent: bool = False


def evaluate(check: Check, messages: Iterable[Message], scope: Scope, bound: Mapping[str, Any], in_words: bool = True) -> list[Outcome]:
    """One Outcome per name that the check lists (`fields`), or one for all patterns together (`parameters`).

    Without `in_words` only `holds` is worked out: a `where` is asked of every message and never shown.
    """
    messages = tuple(messages)
    blind = any(partly_hidden(m) for m in messages)
    names = scope.resolve(check.names, bound) if isinstance(check.names, Reference) else check.names
    if names is ABSENT:
        return [Outcome(check, None, str(check.names))]
    if isinstance(names, str):
        names = (names,)
    wanted = scope.resolve(check.value, bound) if isinstance(check.value, Reference) else check.value
    if isinstance(wanted, (list, tuple)):
        wanted = tuple(scope.resolve(w, bound) if isinstance(w, Reference) else w for w in wanted)
    if check.target == "json":
        return [_document_field(check, names, messages, scope, wanted, blind)]
    if check.target in ("parameter", "parameters"):
        found: dict[str, Any] = {}
        for message in messages:
            found.update(parameters(message.fields, names))
        label = check.names.path[-1] if isinstance(check.names, Reference) else ", ".join(names)
        value = list(found.values()) if found else ABSENT
        if check.test == "no_older_than":
            return [_timely(check, label, found, messages[-1], wanted)]
        return [_outcome(check, label, value, wanted, blind, found, in_words)]
    outcomes = []
    for name in names:
        values = [v for m in messages if (v := _seen_by(scope, m, name)) is not ABSENT]
        value = ABSENT if not values else values[0] if len(values) == 1 else [x for v in values for x in _listed(v)]
        outcomes.append(_outcome(check, name, value, wanted, blind, None, in_words))
    return outcomes


def _timely(check: Check, label: str, found: Mapping[str, Any], message: Message, seconds: Any) -> Outcome:
    """Are the newest of these times so near to the message? Unknown where there is none."""
    old = age(found.values(), message)
    if old is None or seconds is ABSENT:
        return Outcome(check, None, label)
    return Outcome(check, old <= float(seconds), label, f"no older than {float(seconds):g} s", f"{old:.0f} s old")


def _seen_by(scope: Scope, message: Message, name: str) -> Any:
    """A field of a message; besides those of `of_message`, whether other devices speak from an end's address as well."""
    if name in ("src.shared", "dst.shared"):
        return (message.src if name[0] == "s" else message.dst).address in scope.device.shared
    return of_message(message, name)


def document_values(message: Message, names: tuple[str, ...] | Reference, scope: Scope) -> list[Any]:
    """The values of a field of a JSON or XML document, by its meaning in the site profile or by its names."""
    body = message.fields.get("body")
    if body is None:
        return []
    if isinstance(names, Reference):
        return find_field(body, scope.site.fields, names.path[-1])
    return find_named(body, scope.site.fields, names)


def _document_field(check: Check, names: tuple[str, ...], messages: tuple[Message, ...], scope: Scope, wanted: Any,
                    blind: bool) -> Outcome:
    label = check.names.path[-1] if isinstance(check.names, Reference) else names[0]
    values = [v for m in messages for v in document_values(m, check.names, scope)]
    if check.test == "unique":
        return _unique(check, label, values, messages, scope)
    if check.take and values:
        values = [part for v in values if (part := _part(v, check.take))]
        if not values:
            return Outcome(check, None, label, _expected(check, wanted), "a word that says neither")
    blind = blind or any(m.fields.get("body") is None for m in messages)
    return _outcome(check, label, ABSENT if not values else values[0] if len(values) == 1 else values, wanted, blind, None)


def _unique(check: Check, label: str, values: list[Any], messages: tuple[Message, ...], scope: Scope) -> Outcome:
    """Was none of the values given to another device before?"""
    if scope.elsewhere is None or not values:
        return Outcome(check, None, label)
    for value in values:
        first = scope.elsewhere.first(check.names, value, lambda m: document_values(m, check.names, scope))
        if first is not None and first.device != scope.device.id and first.time < messages[0].time:
            return Outcome(check, False, label, "a value of its own",
                           f"{value}, given to {first.device} in frame {first.frame} already")
    return Outcome(check, True, label)


def _outcome(check: Check, label: str, value: Any, wanted: Any, blind: bool, found: Mapping[str, Any] | None,
             in_words: bool = True) -> Outcome:
    expected, shown = (_expected(check, wanted), _shown(value, found)) if in_words else ("", "")
    empty = value is ABSENT or value is None or value == "" or value == [] or value == {} or (found is not None and not any(
        v not in (None, "") for v in found.values()))
    if value is ABSENT and (blind or check.test == "certifies"):
        return Outcome(check, None, label, expected, "cut or sealed" if blind else "no certificate")
    if wanted is ABSENT:
        return Outcome(check, None, label, expected, shown)
    if found is not None and value is not ABSENT and check.test not in ("present", "at_least", "at_most"):
        results = [TESTS[check.test](v, wanted) for v in found.values()]
        holds: bool | None = all(results) if check.test == "not" else any(results)
    else:
        holds = TESTS[check.test](value, wanted)
    if holds is False and blind and check.test in ("at_least", "present", "in", "equals") and check.target.startswith("param"):
        return Outcome(check, None, label, expected, "cut or sealed")
    return Outcome(check, holds, label, expected, shown, empty)


def _present(value: Any, wanted: Any) -> bool:
    there = not (value is ABSENT or value is None or value == "" or value == [] or value == {})
    return there == bool(wanted)


def _equals(value: Any, wanted: Any) -> bool:
    allowed = _listed(wanted)
    return value is not ABSENT and any(_same(v, w) for v in _listed(value) for w in allowed)


def _count(value: Any) -> float:
    if value is ABSENT or value is None:
        return 0
    if isinstance(value, (list, tuple)):
        return sum(1 for v in value if v not in (None, ""))
    if isinstance(value, Mapping):
        return len(value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (int, float)):
        return value
    text = str(value)
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else int(text != "")


def _certifies(chain: Any, names: Any) -> bool:
    """Does the first certificate of the chain carry one of the names (RFC 6125: SAN, else CN; one left-most wildcard label)?"""
    leaf = next((c for c in _listed(chain) if isinstance(c, Mapping)), None)
    if leaf is None:
        return True
    offered = [str(n).lower() for n in leaf.get("san") or [leaf.get("subject_cn")] if n]
    return any(_covers(pattern, str(name).lower()) for name in _listed(names) for pattern in offered)


def _covers(pattern: str, name: str) -> bool:
    pattern = pattern.rpartition(":")[2] if pattern.startswith(("dns:", "ip:")) else pattern
    if pattern.startswith("*."):
        return name.partition(".")[2] == pattern[2:]
    return pattern.rstrip(".") == name.rstrip(".")


TESTS = {
    "certifies": _certifies,
    "present": _present,
    "equals": _equals,
    "in": _equals,
    "not": lambda value, wanted: not _equals(value, wanted),
    "matches": lambda value, wanted: value is not ABSENT and any(_regex(wanted).search(str(v)) for v in _listed(value)),
    "at_least": lambda value, wanted: _count(value) >= wanted,
    "at_most": lambda value, wanted: _count(value) <= wanted,
}


@lru_cache(maxsize=512)
def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _listed(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (list, tuple, set, frozenset)) else (value,)


def _same(one: Any, other: Any) -> bool:
    if one == other:
        return True
    if isinstance(one, bool) or isinstance(other, bool):
        return str(one).lower() in ("true", "1") and str(other).lower() in ("true", "1") or \
            str(one).lower() in ("false", "0") and str(other).lower() in ("false", "0")
    return str(one).strip().rstrip(".").lower() == str(other).strip().rstrip(".").lower()


def _expected(check: Check, wanted: Any) -> str:
    shown = ", ".join(str(w) for w in _listed(wanted)) if wanted is not ABSENT else str(check.value)
    return {"certifies": f"a certificate for {shown}", "present": "present" if wanted else "absent", "equals": shown, "in": f"one of {shown}", "not": f"not {shown}",
            "matches": f"matching {shown}", "at_least": f"at least {shown}", "at_most": f"at most {shown}"}[check.test]


def _shown(value: Any, found: Mapping[str, Any] | None) -> str:
    if value is ABSENT:
        return "absent"
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], Mapping) and "subject_cn" in value[0]:
        return f"a certificate for {', '.join(map(str, value[0].get('san') or [value[0].get('subject_cn')]))}"
    if found is not None:
        return ", ".join(f"{name}={v}" for name, v in list(found.items())[:8])
    return ", ".join(str(v) for v in _listed(value)) or "empty"


def holds_all(checks: Iterable[Check], message: Message, scope: Scope, bound: Mapping[str, Any]) -> bool | None:
    """Do all of a `where` hold? False wins over unknown."""
    unknown = False
    for check in checks:
        for outcome in evaluate(check, (message,), scope, bound, in_words=False):
            if outcome.holds is False:
                return False
            unknown |= outcome.holds is None
    return None if unknown else True


# ------------------------------------------------------------------------------------------------- bindings

def taken(binding: Binding, message: Message, scope: Scope, bound: Mapping[str, Any]) -> Any:
    """The value that a `bind` or `remember` takes out of a message, ABSENT if it is not there."""
    if binding.source == "value":
        return scope.resolve(binding.value, bound) if isinstance(binding.value, Reference) else binding.value
    names = scope.resolve(binding.names, bound) if isinstance(binding.names, Reference) else binding.names
    if names is ABSENT:
        return ABSENT
    if binding.source == "json":
        values = [v for v in document_values(message, binding.names, scope) if v not in (None, "")]
    elif binding.source == "parameter":
        values = [v for v in parameters(message.fields, names).values() if v not in (None, "")]
    else:
        values = [v for name in names if (v := get_field(message.fields, name)) is not ABSENT and v not in (None, "")]
        values = [x for v in values for x in _listed(v)]
    if not values:
        return ABSENT
    if binding.take == "host":                 # some parameters list several hosts: S1SigLinkServerList
        values = [part for v in values for part in (v.split(",") if isinstance(v, str) and "://" not in v else (v,))]
    if not binding.take:
        return tuple(map(str, values))
    parts = tuple(part for v in values if (part := _part(v, binding.take)))
    return parts if parts or binding.take != "outcome" else ABSENT       # a word that says neither is no outcome


def parameter_values(binding: Binding, message: Message, scope: Scope) -> Any:
    """The parameters that a binding names, each with its value; ABSENT where the message has none of them."""
    names = scope.resolve(binding.names, {}) if isinstance(binding.names, Reference) else binding.names
    found = {} if names is ABSENT else parameters(message.fields, names)
    return {name: _part(value, binding.take) if binding.take else value for name, value in found.items()} or ABSENT


_SUCCESS = frozenset(("success", "successful", "succeeded", "ok", "true", "yes", "valid", "passed", "pass", "positive", "accepted",
                      "approved", "authorized", "done", "completed", "provisioned"))
_FAILURE = frozenset(("failure", "failed", "fail", "nok", "false", "no", "invalid", "negative", "error", "rejected", "refused",
                      "denied", "unauthorized"))


def _part(value: Any, take: str) -> str:
    """Host, port or path of a URL; a bare host or host:port is understood too. Of a structure its member.

    `outcome` is "success" or "failure" where a status code (HTTP, SyncML) or a word says which.
    """
    if take == "outcome":
        word = str(value).strip().lower()
        code = int(word) if word.isdecimal() and len(word) == 3 else None
        if code is not None:
            return "success" if 200 <= code < 300 else "failure" if code >= 400 else ""
        return "success" if word in _SUCCESS else "failure" if word in _FAILURE else ""
    if isinstance(value, Mapping):
        return str(value.get(take, ""))
    text = str(value).strip()
    if take == "host" and text.count(":") > 1 and not {"[", "/"} & set(text):
        return text.lower()                    # a bare IPv6 address is no host:port
    try:
        parts = urlsplit(text if "//" in text else "//" + text)
        found = {"host": parts.hostname, "port": parts.port, "path": parts.path}.get(take)
    except ValueError:
        return ""
    return str(found).lower() if found not in (None, "") else ""


# ------------------------------------------------------------------------------------------------- conditions

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
        case "known":
            return _is_known(arguments[0], scope, bound)
        case "equals":
            one, other = (scope.resolve(a, bound) if isinstance(a, Reference) else a for a in arguments)
            return None if one is ABSENT or other is ABSENT else _equals(one, other)
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


def _same_host(one: str, other: str, scope: Scope, bound: Mapping[str, Any]) -> bool | None:
    """The order of the decision: site profile, equal names, equal addresses (TS 32.583 5.1.1 step 7)."""
    a, b = scope.host(one, bound), scope.host(other, bound)
    for group in scope.site.same_entity:
        members = {str(name).lower() for name in group}
        if members & a.names and members & b.names:
            return True
    if a.names & b.names or a.addresses & b.addresses:
        return True
    if a and b and (a.names and b.names or a.addresses and b.addresses):
        return False
    return None


def _strings(value: Any) -> frozenset[str]:
    if value is None or value is ABSENT:
        return frozenset()
    return frozenset(str(v).lower().rstrip(".") for v in _listed(value))


def _is_address(text: str) -> bool:
    return bool(re.fullmatch(r"\d+(\.\d+){3}", text)) or ":" in text
