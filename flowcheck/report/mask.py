"""Takes secrets out of a Result, once, before any report is written.

What is secret is told by its name: passwords, pre-shared keys and session keys; the user names that go with them (the
credentials of Download and of ManagementServer, TR-069 A.3.2.8 and TR-098 2.4.2); HTTP credentials and cookies (RFC 9110
11.6.2, RFC 6265); FTP PASS and ACCT (RFC 959 4.1.1). A secret found under its name is then taken out wherever else it
stands in the same device's results: summaries, observed values, raw bodies. User names are taken out under their names
only: they are often the serial number, which is no secret.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from functools import cache, lru_cache
from operator import is_
from typing import Any

from flowcheck.model import AttemptResult, DeviceResult, Event, Finding, Problem, Result, StepResult

MASK = "[masked]"

_WHOLE = {"pass", "passwd", "pwd", "psk", "secret", "authorization", "proxyauthorization", "authenticationinfo",
          "cookie", "cookie2",
          "setcookie", "setcookie2", "xapikey", "apikey", "xauthtoken", "accesstoken", "refreshtoken",
          "idtoken", "bearer",
          "clientsecret", "username", "wepkey", "privatekey", "sharedkey", "sessionkey", "masterkey",
          "encryptionkey", "authkey",
          "k", "ki", "op", "opc", "pin", "puk", "community", "ck", "ik", "kasme", "kseaf", "kausf", "xreskey", "skd",
          "skai", "skar", "skei", "sker",
          "skpi", "skpr",
          "msk", "emsk", "keyingmaterial", "mastersecret", "premastersecret", "clienttrafficsecret",
          "servertrafficsecret"}
_ENDINGS = ("password", "passphrase", "passcode", "passwd", "pwd", "psk", "authtoken", "sessiontoken", "apitoken",
            "communitystring", "presharedkey", "username", "secretkey", "privatekey", "wepkey", "sharedsecret",
            "clientsecret",
            "mastersecret", "apikey")
_USER = "username"
_NAMES = ("name", "Name", "key", "parameter", "header")         # of {"name": .., "value": ..} rows
_VALUES = ("value", "Value")
_LEAVES = frozenset((str, int, bool, bytes, float, type(None)))
_FTP_SECRETS = {"PASS", "ACCT"}
_LEAST = 4                                                      # shorter values would blot out ordinary words

_WORD = r"[\w.:-]{0,120}?(?:password|passphrase|passwd|presharedkey|pre-shared-key|username|secret|api[-_]?key|access[-_]?token)"
# in lower case: fast
_TELLTALE = re.compile(r"pass|pwd|secret|authoriz|cookie|username|sharedkey|shared-key|api.?key|token|signature|acct|@")
IN_QUERY = re.compile(
    r"""((?:^|[?&])[\w.~-]{0,60}?(?:token|secret|passwd|password|pwd|api[-_]?key|signature)=)([^&#\s"'<>]+)""", re.I)
_IN_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    # XML: an element, then TR-069's ParameterValueStruct
    (re.compile(rf"(<(?:[\w-]{{1,40}}:)?{_WORD}(?:\s[^<>]{{0,400}})?>)[^<]+(?=<)", re.I), rf"\1{MASK}"),
    (re.compile(rf"(<(?:\w{{1,40}}:)?Name(?:\s[^<>]{{0,400}})?>\s*{_WORD}\s*</(?:\w{{1,40}}:)?Name>\s*<(?:\w{{1,40}}:)?Value(?:\s[^<>]{{0,400}})?>)[^<]+",
                re.I), rf"\1{MASK}"),
    # JSON
    (re.compile(rf"""(["']{_WORD}["']\s{{0,9}}:\s{{0,9}})(?:"(?:[^"\\]|\\.)+"|'(?:[^'\\]|\\.)+')""", re.I),
     rf'\1"{MASK}"'),
    # HTTP header lines, FTP commands
    (re.compile(r"((?:proxy-)?authorization|(?:set-)?cookie2?)(\s{0,9}[:=]\s{0,9}+)(?!\[masked\])[^\r\n]+", re.I),
     rf"\1\2{MASK}"),
    (re.compile(r"^(PASS|ACCT) (?!\[masked\])[^\r\n]+", re.M), rf"\1 {MASK}"),
    # name = value, in prose and in forms; a value ends where a sentence or the next pair may begin
    (re.compile(rf"""(?<![\w.:-])({_WORD})(\s{{0,3}}=\s{{0,3}}|:\s{{1,3}})(?:"[^"]+"|'[^']+'|[^\s"',;&<>]+)""", re.I),
     rf"\1\2{MASK}"),
    # in the query of a URL (RFC 3986 3.4)
    (IN_QUERY, rf"\1{MASK}"),
    # user:password@ in a URL (RFC 3986 3.2.1)
    (re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://)[^\s/?#@\"'<>]+@", re.I), rf"\1{MASK}@"),
)


def masked(result: Result) -> Result:
    """`result` without its secrets. Masking twice changes nothing more."""
    return replace(masked_frame(result), devices=tuple(map(masked_device, result.devices)))


def masked_frame(result: Result) -> Result:
    """Everything around the devices without secrets; the devices as they are, to be masked one by one."""
    return replace(result, command=_without_pairs(result.command),
                   captures=tuple(replace(c, remarks=tuple(map(_without_pairs, c.remarks))) for c in result.captures),
                   opaque=tuple(replace(o, fields=_fields(o.fields, "", _without_pairs)) for o in result.opaque))


def masked_device(device: DeviceResult) -> DeviceResult:
    """`device` without its secrets. What holds none stays the object it is, so that a result and its mask share nearly all."""
    secrets: set[str] = set()
    for event in {id(event.fields): event for attempt in device.attempts for event in attempt.events}.values():
        _gather(event.fields, event.kind, secrets)
    known = {device.id, *device.identity.values(), *device.addresses}
    clean = _cleaner(secrets - known)
    cleaned: dict[int, Mapping[str, Any]] = {}           # a message stands in every attempt it belongs to
    return replace(device, attempts=tuple(_attempt(attempt, clean, cleaned) for attempt in device.attempts),
                   evidence=tuple(map(clean, device.evidence)))


def _attempt(attempt: AttemptResult, clean: Callable[[str], str],
             cleaned: dict[int, Mapping[str, Any]]) -> AttemptResult:
    return replace(attempt, diagnosis=clean(attempt.diagnosis), assumed=tuple(map(clean, attempt.assumed)),
                   advice=tuple(map(clean, attempt.advice)), limits=tuple(map(clean, attempt.limits)),
                   roles=tuple((role, clean(host)) for role, host in attempt.roles),
                   steps=tuple(_step(step, clean) for step in attempt.steps),
                   findings=tuple(_finding(finding, clean) for finding in attempt.findings),
                   events=tuple(_event(event, clean, cleaned) for event in attempt.events))


def _step(step: StepResult, clean: Callable[[str], str]) -> StepResult:
    return step if step.reason is None else _with(step, reason=clean(step.reason))


def _finding(finding: Finding, clean: Callable[[str], str]) -> Finding:
    observed, expected = clean(finding.observed), clean(finding.expected)
    name = finding.code.rpartition(":")[2]
    if finding.kind == "field-wrong" and _is_secret(name):      # the finding is about the secret itself
        observed, expected = MASK, expected if expected.startswith("present") else MASK
        finding = replace(finding, repair="")
    return _with(finding, observed=observed, expected=expected, hint=clean(finding.hint), filter=clean(finding.filter),
                 repair=clean(finding.repair), waived=clean(finding.waived), why=clean(finding.why),
                 also=clean(finding.also))


def _with(one: Any, **texts: str) -> Any:
    """`one` with these texts: itself where they are what it has."""
    return one if all(getattr(one, name) == text for name, text in texts.items()) else replace(one, **texts)


def _event(event: Event, clean: Callable[[str], str], cleaned: dict[int, Mapping[str, Any]]) -> Event:
    fields = cleaned.get(id(event.fields))
    if fields is None:
        fields = cleaned[id(event.fields)] = _fields(event.fields, event.kind, clean)
    summary, problems = clean(event.summary), tuple(Problem(offset, clean(text)) for offset, text in event.problems)
    if fields is event.fields and summary == event.summary and problems == event.problems:
        return event
    return replace(event, summary=summary, fields=fields, problems=problems)


# ---------------------------------------------------------------------------------------------------- what is secret

@lru_cache(8192)
def _is_secret(name: str) -> bool:
    last = re.sub(r"[^a-z0-9]", "", name.rpartition(".")[2].lower())
    return last in _WHOLE or last.endswith(_ENDINGS)


@lru_cache(2048)
def _secret_names(names: tuple[Any, ...]) -> frozenset[Any]:
    """Those of the keys of a structure that name secrets: messages of one kind have the same keys."""
    return frozenset(name for name in names if _is_secret(str(name)))


def _names_user(name: str) -> bool:
    return name.lower().endswith(_USER)


def _secret_keys(fields: Mapping[str, Any], kind: str) -> Set[Any]:
    """The keys whose values are secrets, reading `{name: .., value: ..}` as one named value."""
    keys: Set[Any] = _secret_names(tuple(fields))
    if kind == "ftp.command" and str(fields.get("command", "")).upper() in _FTP_SECRETS:
        keys |= {key for key in ("argument", "line", "text") if key in fields}
    if "value" in fields or "Value" in fields:
        if any(isinstance(fields.get(name), str) and _is_secret(fields[name]) for name in _NAMES):
            keys |= {key for key in _VALUES if key in fields}
    return keys


def _is_pair(value: Any) -> bool:
    """A header or parameter kept as a (name, value) pair."""
    return isinstance(value, (tuple, list)) and len(value) == 2 and isinstance(value[0], str) and not isinstance(value[1], (dict, list, tuple))


def _gather(value: Any, kind: str, secrets: set[str], depth: int = 0) -> None:
    """Adds the secrets in `value` that are distinct enough to be looked for elsewhere."""
    if depth > 12:
        return
    if isinstance(value, Mapping):
        hidden = _secret_keys(value, kind)
        for key, item in value.items():
            if not hidden or key not in hidden:
                if type(item) not in _LEAVES:
                    _gather(item, kind, secrets, depth + 1)
            elif not _names_user(str(key)):
                _add(item, secrets)
    elif _is_pair(value) and _is_secret(value[0]):
        if not _names_user(value[0]):
            _add(value[1], secrets)
    elif isinstance(value, (tuple, list)):
        for item in value:
            if type(item) not in _LEAVES:
                _gather(item, kind, secrets, depth + 1)


def _add(value: Any, secrets: set[str]) -> None:
    if isinstance(value, (bytes, bytearray)):
        secrets.add(bytes(value).hex())
        value = bytes(value).decode("latin-1")
    if isinstance(value, (tuple, list)):
        for item in value:
            _add(item, secrets)
        return
    if not isinstance(value, str) or value == MASK:
        return
    scheme, _, credentials = value.partition(" ")
    if scheme.lower() == "basic":                                # RFC 7617: user-id ":" password
        try:
            secrets.add(base64.b64decode(credentials, validate=True).decode("latin-1").partition(":")[2])
        except (binascii.Error, ValueError):
            secrets.add(credentials)
    secrets.add(credentials if scheme.lower() in ("basic", "digest", "bearer") else value)


# ---------------------------------------------------------------------------------------------------- taking it out

def _cleaner(secrets: set[str]) -> Callable[[str], str]:
    found = [secret for secret in secrets if len(secret) >= _LEAST and secret != MASK]
    if not found:
        return _without_pairs
    forms = {form for secret in found for form in (secret, secret.replace("&", "&amp;").replace("<", "&lt;"))}
    longest_first = sorted(forms, key=lambda form: (-len(form), form))

    @cache
    def anywhere() -> re.Pattern[str]:
        return re.compile("|".join(rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])" for form in longest_first))

    def clean(text: str) -> str:
        # few secrets stand anywhere but under their names: the expression is made where one does
        for form in longest_first:
            if form in text:
                return _without_pairs(anywhere().sub(MASK, text))
        return _without_pairs(text)

    return clean


def _without_pairs(text: str) -> str:
    if len(text) < _LEAST or not _TELLTALE.search(text.lower()):
        return text
    for pattern, put in _IN_TEXT:
        text = pattern.sub(put, text)
    return text


def _fields(fields: Mapping[str, Any], kind: str, clean: Callable[[str], str], depth: int = 0) -> Mapping[str, Any]:
    hidden = _secret_keys(fields, kind)
    changed = {}
    for key, value in fields.items():
        if hidden and key in hidden:
            new = _hidden(value)
        elif type(value) is str:
            new = clean(value)
        elif type(value) is int or value is None:
            continue
        else:
            new = _value(value, kind, clean, depth + 1)
        if new is not value:
            changed[key] = new
    return {**fields, **changed} if changed else fields


def _value(value: Any, kind: str, clean: Callable[[str], str], depth: int) -> Any:
    """The value without secrets: itself where it holds none."""
    if isinstance(value, str):
        return clean(value)
    if value is None or isinstance(value, (int, float)):
        return value
    if depth > 12:
        return MASK
    if isinstance(value, Mapping):
        return _fields(value, kind, clean, depth)
    if isinstance(value, (bytes, bytearray)):
        text = bytes(value).decode("latin-1")
        return value if clean(text) == text else MASK
    if _is_pair(value) and _is_secret(value[0]):
        return (value[0], _hidden(value[1]))
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        items = [_value(item, kind, clean, depth) for item in value]
        return value if all(map(is_, items, value)) else tuple(items)
    return value


def _hidden(value: Any) -> Any:
    """What stands for a secret: an HTTP scheme is kept, nothing is still nothing."""
    if value is None or value == "" or value == () or value == []:
        return value
    scheme, space, _ = value.partition(" ") if isinstance(value, str) else ("", "", "")
    return f"{scheme} {MASK}" if space and scheme.lower() in ("basic", "digest", "bearer", "negotiate") else MASK
