"""Values that pass a rule's checks, and values that do not.

`content` of a message is a mapping with the names of the rule language: fields by their dotted names, data-model
parameters in `ParameterList`, fields of a JSON document in `body`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from ..rulebook.patterns import matches
from ..rulebook.rule import Check, Reference

MISSING = object()
# they follow from other things: a wrong value is possible, none is not
DERIVED = ("protocol", "body_length", "session_events", "SupportedTAs.tAC", "SupportedTAs.broadcastPLMNs")
Resolve = Callable[[Reference], Any]
LISTS = ("Event.EventCode",)  # several at a time
STRUCTURAL = (
    "layers",
    "session",
    "src.address",
    "dst.address",
    "src.scope",
    "dst.scope",
    "src.shared",
    "dst.shared",
    "src.names",
    "dst.names",
)

OUTCOMES = ("success", "failure")
FIELDS = {"m2meId": "999990000000001"}  # of documents: the identity that the device attached with
# What a field may be where a check only says what it must not be, or asks for it to be there.
CHOICES: dict[str, tuple[Any, ...]] = {
    "rcode": ("NXDOMAIN", "SERVFAIL", "NOERROR"),
    "notify": ("NO_PROPOSAL_CHOSEN", "AUTHENTICATION_FAILED"),
    "errors": ("TEMPORARY_FAILURE",),
    "eap.code": ("Request",),
    "description": ("handshake_failure",),
    "level": ("fatal",),
    "Event.EventCode": ("1 BOOT", "2 PERIODIC", "6 CONNECTION REQUEST", "4 VALUE CHANGE"),
    "session_events": ("6 CONNECTION REQUEST", "1 BOOT"),
    "status": (200, 204, 403, 503, 301),
    "command": ("CWD", "RETR", "STOR", "USER"),
    "method": ("POST", "GET", "PUT"),
    "protocol": ("http", "coap"),
    "content_type": ("text/html",),
    "cause": (20, 17, 8, 73, 201),
    "code": (226, 150, 230, 550, "4.03"),
    "FileType": ("3 Vendor Configuration File", "1 Firmware Upgrade Image"),
    "FaultStruct.FaultCode": (0, 9010),
    "Status": (0, 1, 7),
    "DeviceId.Manufacturer": ("Synth Femto",),
    "DeviceId.OUI": ("00193B",),
    "DeviceId.ProductClass": ("Femto",),
    "DeviceId.SerialNumber": ("SY0000001",),
}


def wanted_value(check: Check, resolve: Resolve) -> Any:
    """What the check compares with, references filled in; MISSING where one is not known."""
    value = check.value
    if isinstance(value, Reference):
        return resolve(value)
    if isinstance(value, (list, tuple)):
        return tuple(resolve(v) if isinstance(v, Reference) else v for v in value)
    return value


def names_of(check: Check, resolve: Resolve) -> tuple[str, ...]:
    names = resolve(check.names) if isinstance(check.names, Reference) else check.names
    return () if names is MISSING else (names,) if isinstance(names, str) else tuple(names)


def label(check: Check, name: str) -> str:
    """How a finding calls what the check is about."""
    if check.target in ("parameter", "parameters", "json"):
        return check.names.path[-1] if isinstance(check.names, Reference) else ""
    return name


def holds(test: str, value: Any, wanted: Any) -> bool:
    """Does the value pass the test of a check?"""
    held = () if value is MISSING else tuple(value) if isinstance(value, (list, tuple)) else (value,)
    listed = wanted if isinstance(wanted, (list, tuple)) else (wanted,)
    if test == "present":
        return bool(wanted) == (any(v not in (None, "") for v in held))
    if test in ("equals", "in"):
        return any(str(v).lower() == str(w).lower() for v in held for w in listed)
    if test == "not":
        return not any(str(v).lower() == str(w).lower() for v in held for w in listed)
    if test == "matches":
        return any(re.search(wanted, str(v)) for v in held)
    if test in ("at_least", "at_most"):
        number = (
            value if isinstance(value, int) and not isinstance(value, bool) else sum(v not in (None, "") for v in held)
        )
        return number >= wanted if test == "at_least" else number <= wanted
    return True  # certifies, unique: by construction


def satisfy(
    content: MutableMapping[str, Any],
    check: Check,
    resolve: Resolve,
    default: Callable[[str], Any],
    radio: str = "UMTS",
) -> bool:
    """Makes the message pass the check; `default` is a value for a parameter.

    False where nothing is known that would.
    """
    wanted = wanted_value(check, resolve)
    if wanted is MISSING and check.test != "present":
        return check.target == "field" and set(names_of(check, resolve)) <= set(STRUCTURAL)
    if check.target in ("parameter", "parameters"):
        return _satisfy_parameters(content, check, names_of(check, resolve), wanted, default, radio)
    if check.target == "json":
        return _satisfy_document(content, check, names_of(check, resolve), wanted)
    for name in names_of(check, resolve):
        if name in STRUCTURAL or name == "ParameterList" and content.get("ParameterList"):
            continue
        held = content.get(name, MISSING)
        if not holds(check.test, held, wanted):
            found = next(candidates(check.test, name, wanted), MISSING)
            if found is MISSING:
                return False
            # a list that another check filled keeps what it has; a default gives way
            content[name] = (
                [*held, found]
                if name in LISTS and isinstance(held, list) and check.test in ("equals", "in")
                else [found] if name in LISTS else found
            )
    return True


def _satisfy_document(content: MutableMapping[str, Any], check: Check, names: Sequence[str], wanted: Any) -> bool:
    body = content.setdefault("body", {})
    if not names:
        return False
    held = body.get(names[0], MISSING)
    if check.take == "outcome":
        if held not in OUTCOMES:
            body[names[0]] = wanted if isinstance(wanted, str) else OUTCOMES[0]
    elif check.test == "present" and wanted and held is MISSING or check.test == "unique" and held is MISSING:
        body[names[0]] = FIELDS.get(names[0], f"synth-{names[0]}")
    elif not holds(check.test, held, wanted):
        if check.test == "at_least":
            body[names[0]] = [f"{names[0]}-{number}.synth.example" for number in range(wanted)]
        else:
            body[names[0]] = next(candidates(check.test, "", wanted), "")
    return True


def candidates(test: str, name: str, wanted: Any) -> Iterator[Any]:
    """Values of the field that pass the test."""
    if test in ("equals", "in"):
        yield from wanted if isinstance(wanted, (list, tuple)) else (wanted,)
    for value in CHOICES.get(name, ()):
        if holds(test, value, wanted):
            yield value
    if test == "at_least":
        yield wanted
    elif test == "at_most":
        yield wanted
    elif test == "matches":
        found = example(wanted)
        yield f"/{found}" if name == "path" and re.search(wanted, f"/{found}") else found
    elif test == "present" and wanted:
        yield "1"
    elif test == "not":
        yield "other"


def _satisfy_parameters(
    content: MutableMapping[str, Any],
    check: Check,
    patterns: Sequence[str],
    wanted: Any,
    default: Callable[[str], Any],
    radio: str,
) -> bool:
    held = content.setdefault("ParameterList", {})
    mine = {name: value for name, value in held.items() if any(matches(p, name) for p in patterns)}
    if holds(check.test, list(mine.values()) if mine else MISSING, wanted):
        return True
    if check.test == "present" and not wanted or check.test == "at_most" and wanted == 0:
        for name in mine:
            del held[name]
        return True
    if check.test in ("present", "at_least"):
        for pattern in patterns[: wanted if check.test == "at_least" else 1]:
            held[instance(pattern, radio)] = default(pattern)
        return bool(patterns)
    if check.test in ("equals", "in") and patterns:
        found = next(candidates(check.test, "", wanted), MISSING)
        if found is MISSING:
            return False
        held[instance(patterns[0], radio)] = found
        return True
    if check.test == "not":
        for name in mine:
            held[name] = True
        return True
    return False


def spoil(
    content: Mapping[str, Any], check: Check, name: str, resolve: Resolve, radio: str = "UMTS"
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The message with the check broken: what should be there left out, and a wrong value; each after its kind."""
    wanted = wanted_value(check, resolve)
    changed = (
        {**content, "ParameterList": dict(content["ParameterList"])} if "ParameterList" in content else dict(content)
    )
    if check.target in ("parameter", "parameters"):
        yield from _spoil_parameters(changed, check, names_of(check, resolve), wanted, radio)
        return
    if check.target == "json":
        names, body = names_of(check, resolve), content.get("body", {})
        if names and names[0] in body and check.test in ("present", "equals", "in", "at_least") and wanted is not False:
            yield "field-absent", {**content, "body": {key: value for key, value in body.items() if key != names[0]}}
        if names and names[0] in body and check.test in ("equals", "in") and wanted is not MISSING and not check.take:
            yield "field-wrong", {**content, "body": {**body, names[0]: "another"}}
        return
    if name in STRUCTURAL or wanted is MISSING:
        return
    if check.test in ("present", "equals", "in", "matches", "at_least") and name in content and wanted is not False:
        absent = {key: value for key, value in changed.items() if key != name}
        if name not in DERIVED and not (check.test == "at_least" and wanted == 0):
            yield "field-absent", absent
    held = content.get(name, MISSING)
    rest = [v for v in held if not holds(check.test, v, wanted)] if isinstance(held, list) and name in LISTS else []
    wrong = rest or _wrong(check, name, wanted, held)
    if wrong is not MISSING:
        yield "field-wrong", {**changed, name: wrong}


def emptied(content: Mapping[str, Any], check: Check, name: str, resolve: Resolve) -> dict[str, Any] | None:
    """The message with nothing in what the check wants to be there, where that is text; None for another check."""
    if check.test not in ("present", "at_least") or wanted_value(check, resolve) in (False, 0, MISSING):
        return None
    names = names_of(check, resolve)
    if check.target in ("parameter", "parameters"):
        held = content.get("ParameterList", {})
        mine = {key: "" for key in held if any(matches(p, key) for p in names)}
        return {**content, "ParameterList": {**held, **mine}} if mine else None
    inside, key = ("body", names[0]) if check.target == "json" and names else ("", name)
    held = content.get(inside, {}) if inside else content
    if key in STRUCTURAL or not isinstance(held.get(key), (str, list)):
        return None
    nothing: Any = [] if isinstance(held[key], list) else ""
    return {**content, inside: {**held, key: nothing}} if inside else {**content, key: nothing}


def _spoil_parameters(
    changed: dict[str, Any], check: Check, patterns: Sequence[str], wanted: Any, radio: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    held = changed.get("ParameterList", {})
    mine = [name for name in held if any(matches(p, name) for p in patterns)]
    rest = {name: value for name, value in held.items() if name not in mine}
    if check.test in ("present", "at_least", "equals", "in") and mine and wanted not in (False, 0):
        yield "field-absent", {**changed, "ParameterList": rest}
    if check.test in ("equals", "in") and mine:
        yield "field-wrong", {**changed, "ParameterList": {**rest, **{name: "999" for name in mine}}}
    elif (check.test == "present" and wanted is False or check.test == "at_most" and wanted == 0) and patterns:
        yield "field-wrong", {**changed, "ParameterList": {**held, instance(patterns[0], radio): "1"}}


def _wrong(check: Check, name: str, wanted: Any, held: Any) -> Any:
    listed = wanted if isinstance(wanted, (list, tuple)) else (wanted,)
    if check.test == "certifies":
        return "another.example"
    if check.test == "not":
        return listed[0]
    if check.test in ("equals", "in", "matches"):
        options = [
            *CHOICES.get(name, ()),
            999 if isinstance(held, int) else _another(str(held)),
        ]
        return next((v for v in options if not holds(check.test, v, wanted)), MISSING)
    if check.test == "at_least" and isinstance(held, int) and wanted > 1:  # none at all is absence
        return wanted - 1
    if check.test == "at_most" and isinstance(held, int):
        return wanted + 1
    return MISSING


def _another(text: str) -> str:
    """A text of the same form: digits, octets in hexadecimal, or words."""
    if text.isdecimal():
        return "9" * len(text)
    return "a5" * (len(text) // 2) if re.fullmatch("([0-9a-f]{2}){4,}", text) else "wrong"


# ------------------------------------------------------------------------------------------------- data model

_TABLES = ("ExpeditedEvent", "QueuedEvent", "CurrentAlarm", "HistoryEvent", "SupportedAlarm")
_RADIO_PARENTS = ("FAPControl", "CellConfig", "AccessMgmt")


def instance(pattern: str, radio: str = "UMTS") -> str:
    """A data-model name that the pattern finds: a mount, a radio or an instance number for each `*`."""
    if pattern == "*":
        return "Device.IP.Interface.1.IPv4Address.1.IPAddress"
    parts: list[str] = []
    given = pattern.split(".")
    for index, part in enumerate(given):
        if part != "*":
            parts.append(part.replace("*", "1"))
        elif not index:
            parts += (
                ["Device"]
                if given[1] in ("ManagementServer", "DeviceInfo", "FaultMgmt")
                else ["Device", "Services", "FAPService", "1"]
            )
        elif parts[-1] in _RADIO_PARENTS:
            parts.append(radio)
        elif index == len(given) - 1 and parts[-1] in _TABLES:
            parts += ["1", "EventType" if parts[-1] != "CurrentAlarm" else "AlarmIdentifier"]
        elif index == len(given) - 1 and parts[-1] == "Cell":
            parts += ["1", "RF", "PhyCellID"]
        else:
            parts.append("1")
    return ".".join(parts)


# ------------------------------------------------------------------------------------------------- expressions


def example(expression: str) -> str:
    """A short text that the expression finds; look-aheads are not followed. Raises ValueError where it fails."""
    import re._parser as parser

    text = "".join(_examples(parser.parse(expression)))
    if not re.search(expression, text):
        raise ValueError(f"no example of {expression!r}")
    return text


def _examples(parsed: Any) -> Iterator[str]:
    for what, argument in parsed:
        word = str(what)
        if word == "LITERAL":
            yield chr(argument)
        elif word == "NOT_LITERAL" or word == "ANY":
            yield "x"
        elif word == "IN":
            yield _member(argument)
        elif word == "BRANCH":
            yield from _examples(argument[1][0])
        elif word == "SUBPATTERN":
            yield from _examples(argument[-1])
        elif word in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            for _ in range(argument[0]):
                yield from _examples(argument[2])
        elif word == "ATOMIC_GROUP":
            yield from _examples(argument)


def _member(choices: Any) -> str:
    negated = any(str(what) == "NEGATE" for what, _ in choices)
    if negated:
        return "x"
    what, argument = choices[0]
    if str(what) == "LITERAL":
        return chr(argument)
    if str(what) == "RANGE":
        return chr(argument[0])
    return "1" if "DIGIT" in str(argument) else "a"
