"""What `where` and `expect` ask of messages: a field, a parameter or a field of a document, and one test of it.

Every answer has three values. True and False are what the capture shows; None means that it cannot tell: the message is
cut, the field sealed, the reference not yet known. None never becomes a finding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from ..model import Message
from ..rulebook.rule import Check, Reference
from .ages import age
from .fields import ABSENT, document_values, listed, of_message, parameters, part_of, partly_hidden, reader
from .scope import Scope


SHARED = frozenset(("src.shared", "dst.shared"))
NAMES = frozenset(("src.names", "dst.names"))
AROUND = frozenset(("session",))       # of what a message stands in: no part of it that could be cut off


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one check went, in words for the report."""

    check: Check
    holds: bool | None
    target: str                 # the field or parameter the check is about
    expected: str = ""
    observed: str = ""
    absent: bool = False


def evaluate(check: Check, messages: Iterable[Message], scope: Scope, bound: Mapping[str, Any]) -> list[Outcome]:
    """One Outcome per name that the check lists (`fields`), or one for all patterns together (`parameters`)."""
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
        return [_outcome(check, label, value, wanted, blind, found)]
    outcomes = []
    for name in names:
        values = [v for m in messages if (v := _seen_by(scope, m, name)) is not ABSENT]
        value = ABSENT if not values else values[0] if len(values) == 1 else [x for v in values for x in listed(v)]
        outcomes.append(_outcome(check, name, value, wanted, name in NAMES or blind and name not in AROUND, None))
    return outcomes


def not_met(check: Check, message: Message, scope: Scope, bound: Mapping[str, Any]) -> list[Outcome]:
    """The outcomes of a check that do not simply hold. Most checks do, and then nothing is put into words."""
    if (check.asked or _asked(check))(message, scope, bound):
        return []
    return [outcome for outcome in evaluate(check, (message,), scope, bound) if not outcome.holds]


def holds_all(checks: Iterable[Check], message: Message, scope: Scope, bound: Mapping[str, Any]) -> bool | None:
    """Do all of a `where` hold? False wins over unknown."""
    unknown = False
    for check in checks:
        holds = (check.asked or _asked(check))(message, scope, bound)
        if holds is False:
            return False
        unknown |= holds is None
    return None if unknown else True


def _timely(check: Check, label: str, found: Mapping[str, Any], message: Message, seconds: Any) -> Outcome:
    """Are the newest of these times so near to the message? Unknown where there is none."""
    old = age(found.values(), message)
    if old is None or seconds is ABSENT:
        return Outcome(check, None, label)
    return Outcome(check, old <= float(seconds), label, f"no older than {float(seconds):g} s", f"{old:.0f} s old")


def _seen_by(scope: Scope, message: Message, name: str) -> Any:
    """A field of a message; besides those of `of_message`, whether other devices speak from an end's address as well, and
    the names that are known of an end."""
    if name in SHARED:
        return (message.src if name[0] == "s" else message.dst).address in scope.device.shared
    if name in NAMES:
        return list(scope.names((message.src if name[0] == "s" else message.dst).address)) or ABSENT
    return of_message(message, name)


def _document_field(check: Check, names: tuple[str, ...], messages: tuple[Message, ...], scope: Scope, wanted: Any,
                    blind: bool) -> Outcome:
    label = check.names.path[-1] if isinstance(check.names, Reference) else names[0]
    values = [v for m in messages for v in document_values(m, check.names, scope.site)]
    if check.test == "unique":
        return _unique(check, label, values, messages, scope)
    if check.take and values:
        values = [part for v in values if (part := part_of(v, check.take))]
        if not values:
            return Outcome(check, None, label, _expected(check, wanted), "a word that says neither")
    blind = blind or any(m.fields.get("body") is None and not _no_document(m) for m in messages)
    return _outcome(check, label, ABSENT if not values else values[0] if len(values) == 1 else values, wanted,
                    blind, None)


def _no_document(message: Message) -> bool:
    """Is the body all there, and no document? Then it holds nothing."""
    return bool(message.problems) and not partly_hidden(message) and "unread" not in message.fields


def _unique(check: Check, label: str, values: list[Any], messages: tuple[Message, ...], scope: Scope) -> Outcome:
    """Was none of the values given to another device before?"""
    if scope.elsewhere is None or not values:
        return Outcome(check, None, label)
    for value in values:
        first = scope.elsewhere.first(check.names, value, lambda m: document_values(m, check.names, scope.site))
        if first is not None and first.device != scope.device.id and first.time < messages[0].time:
            return Outcome(check, False, label, "a value of its own",
                           f"{value}, given to {first.device} in frame {first.frame} already")
    return Outcome(check, True, label)


def _outcome(check: Check, label: str, value: Any, wanted: Any, blind: bool, found: Mapping[str, Any]
             | None) -> Outcome:
    holds = _holds(check, value, wanted, blind, found)
    if holds is not False:
        return Outcome(check, holds, label)
    empty = value is ABSENT or value is None or value == "" or value == [] or value == {} or (found is not None and not any(
        v not in (None, "") for v in found.values()))
    return Outcome(check, holds, label, _expected(check, wanted), _shown(value, found), empty)


def _holds(check: Check, value: Any, wanted: Any, blind: bool, found: Mapping[str, Any] | None) -> bool | None:
    """`found` are the parameters whose values these are; `blind`: some of the message is out of sight."""
    if value is ABSENT and (blind or check.test == "certifies") or wanted is ABSENT:
        return None
    if found is not None and value is not ABSENT and check.test not in ("present", "at_least", "at_most"):
        results = [TESTS[check.test](v, wanted) for v in found.values()]
        holds = all(results) if check.test == "not" else any(results)
    else:
        holds = TESTS[check.test](value, wanted)
    if holds is False and blind and check.test in ("at_least", "present", "in",
                                                   "equals") and check.target.startswith("param"):
        return None
    return holds


# ------------------------------------------------------------------------------------------------- as functions

def content(check: Check) -> str:
    """What a check asks, wherever it stands: equal ones ask the same."""
    return repr((check.target, check.names, check.test, check.value, check.take))


Asked = Callable[[Message, Scope, Mapping[str, Any]], bool | None]


def _asked(check: Check) -> Asked:
    """The check as a function of one message, made when it is first asked and kept with it.

    A `where` is asked of every message of every device: names, constants and the values of the site profile are looked up
    here, once, and nothing is put into words.
    """
    if check.target in ("field", "fields") and isinstance(check.names, tuple):
        made = _all([_field_asked(check, name) for name in check.names])
    elif check.target in ("parameter", "parameters") and check.test != "no_older_than":
        made = _parameters_asked(check)
    else:
        def made(message: Message, scope: Scope, bound: Mapping[str, Any]) -> bool | None:
            return _together(outcome.holds for outcome in evaluate(check, (message,), scope, bound))
    object.__setattr__(check, "asked", made)
    return made


def _all(parts: list[Asked]) -> Asked:
    if len(parts) == 1:
        return parts[0]
    return lambda message, scope, bound: _together(part(message, scope, bound) for part in parts)


def _together(answers: Iterable[bool | None]) -> bool | None:
    unknown = False
    for answer in answers:
        if answer is False:
            return False
        unknown |= answer is None
    return None if unknown else True


def _field_asked(check: Check, name: str) -> Asked:
    unsure, whole = check.test == "certifies" or name in NAMES, name in AROUND
    if name in SHARED | NAMES:
        def read(message: Message, scope: Scope) -> Any:
            return _seen_by(scope, message, name)
    else:
        of_message = reader(name)

        def read(message: Message, scope: Scope) -> Any:
            return of_message(message)
    if is_constant(check.value):
        test = _test_against(check.test, tuple(check.value) if isinstance(check.value, list) else check.value)

        def asked(message: Message, scope: Scope, bound: Mapping[str, Any]) -> bool | None:
            value = read(message, scope)
            return None if value is ABSENT and (unsure or not whole and partly_hidden(message)) else test(value)
    else:
        wanted_by = _resolver(check.value)

        def asked(message: Message, scope: Scope, bound: Mapping[str, Any]) -> bool | None:
            value = read(message, scope)
            return _holds(check, value, wanted_by(scope, bound),
                          value is ABSENT and (unsure or not whole and partly_hidden(message)), None)
    return asked


def _parameters_asked(check: Check) -> Asked:
    names_by, wanted_by = _resolver(check.names), _resolver(check.value)

    def asked(message: Message, scope: Scope, bound: Mapping[str, Any]) -> bool | None:
        names = names_by(scope, bound)
        if names is ABSENT:
            return None
        found = parameters(message.fields, (names,) if isinstance(names, str) else names)
        value = list(found.values()) if found else ABSENT
        return _holds(check, value, wanted_by(scope, bound), partly_hidden(message), found)
    return asked


def is_constant(value: Any) -> bool:
    """Does a value of a rule stand for itself, and not for something to be looked up?"""
    return not isinstance(value, Reference) and not (isinstance(value, (list, tuple))
                                                     and any(isinstance(v, Reference) for v in value))


def _resolver(value: Any) -> Callable[[Scope, Mapping[str, Any]], Any]:
    """What a value of a rule stands for, as a function. A site profile stays the same for many devices."""
    if is_constant(value):
        constant = tuple(value) if isinstance(value, list) else value
        return lambda scope, bound: constant
    if not isinstance(value, Reference):
        parts = tuple(map(_resolver, value))
        return lambda scope, bound: tuple(part(scope, bound) for part in parts)
    if value.path[0] != "site":
        return lambda scope, bound: scope.resolve(value, bound)
    last: tuple[Any, Any] = (None, None)

    def of_site(scope: Scope, bound: Mapping[str, Any]) -> Any:
        nonlocal last
        site, found = last
        if site is not scope.site:
            found = scope.resolve(value, bound)
            last = scope.site, found
        return found
    return of_site


def _test_against(test: str, wanted: Any) -> Callable[[Any], bool]:
    """One of TESTS against a constant. Most checks compare with words, which are brought into their form here, once."""
    if test not in ("equals", "in", "not") or not all(type(one) is str for one in listed(wanted)):
        return partial(_turned, TESTS[test], wanted)
    forms = frozenset(map(_form, listed(wanted)))

    def same(value: Any) -> bool:
        if type(value) is str:
            return _form(value) in forms
        if type(value) is list:
            return any(_form(one) in forms if type(one) is str else equals((one,), wanted) for one in value)
        return equals(value, wanted)

    return (lambda value: not same(value)) if test == "not" else same


def _turned(test: Callable[[Any, Any], bool], wanted: Any, value: Any) -> bool:
    return test(value, wanted)


# ------------------------------------------------------------------------------------------------- tests

def _present(value: Any, wanted: Any) -> bool:
    there = not (value is ABSENT or value is None or value == "" or value == [] or value == {})
    return there == bool(wanted)


def equals(value: Any, wanted: Any) -> bool:
    """Is one of the values one of those wanted? Letter case, and the form of a number or a truth value, do not count."""
    allowed = listed(wanted)
    return value is not ABSENT and any(_same(v, w) for v in listed(value) for w in allowed)


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
    leaf = next((c for c in listed(chain) if isinstance(c, Mapping)), None)
    if leaf is None:
        return True
    offered = [str(n).lower() for n in leaf.get("san") or [leaf.get("subject_cn")] if n]
    return any(_covers(pattern, str(name).lower()) for name in listed(names) for pattern in offered)


def _covers(pattern: str, name: str) -> bool:
    pattern = pattern.rpartition(":")[2] if pattern.startswith(("dns:", "ip:")) else pattern
    if pattern.startswith("*."):
        return name.partition(".")[2] == pattern[2:]
    return pattern.rstrip(".") == name.rstrip(".")


TESTS = {
    "certifies": _certifies,
    "present": _present,
    "equals": equals,
    "in": equals,
    "not": lambda value, wanted: not equals(value, wanted),
    "matches": lambda value, wanted: value is not ABSENT and any(_regex(wanted).search(str(v)) for v in listed(value)),
    "at_least": lambda value, wanted: _count(value) >= wanted,
    "at_most": lambda value, wanted: _count(value) <= wanted,
}


@lru_cache(maxsize=512)
def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _same(one: Any, other: Any) -> bool:
    if one == other:
        return True
    if isinstance(one, bool) or isinstance(other, bool):
        return str(one).lower() in ("true", "1") and str(other).lower() in ("true", "1") or \
            str(one).lower() in ("false", "0") and str(other).lower() in ("false", "0")
    return _form(one) == _form(other)


def _form(value: Any) -> str:
    """A value as it is compared with others."""
    return str(value).strip().rstrip(".").lower()


def _expected(check: Check, wanted: Any) -> str:
    shown = ", ".join(str(w) for w in listed(wanted)) if wanted is not ABSENT else str(check.value)
    return {"certifies": f"a certificate for {shown}", "present": "present" if wanted else "absent", "equals": shown,
            "in": f"one of {shown}", "not": f"not {shown}",
            "matches": f"matching {shown}", "at_least": f"at least {shown}", "at_most": f"at most {shown}"}[check.test]


def _shown(value: Any, found: Mapping[str, Any] | None) -> str:
    if value is ABSENT:
        return "absent"
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], Mapping) and "subject_cn" in value[0]:
        return f"a certificate for {', '.join(map(str, value[0].get('san') or [value[0].get('subject_cn')]))}"
    if found is not None:
        return ", ".join(f"{name}={v}" for name, v in list(found.items())[:8])
    return ", ".join(str(v) for v in listed(value)) or "empty"
