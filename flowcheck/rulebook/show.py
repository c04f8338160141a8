"""A rule as an engineer at one site reads it: the site's values filled in, with their origins, and the ladder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .rule import Condition, Deadline, Group, Reference, Repeat, Rule, Site, Step
from .site import origins

_SITE_REFERENCE = re.compile(r"\$site\.([a-z_]+)\.([a-z0-9_]+)")
_LONG = 100                              # characters a list may have to stand in the line of its key
_MARGIN = 8                              # columns for the cite
_CLOSEST = 12                            # columns between two roles


def show(rule: Rule, site: Site) -> str:
    """The rule's file with every `$site` value in place and its origin as a comment, then the ladder."""
    return f"{filled(rule, site)}\n\n{ladder(rule, site)}\n"


def filled(rule: Rule, site: Site) -> str:
    """The text of the rule file with the values of `site` in it."""
    sources = origins(site)
    lines = []
    for line in Path(rule.path).read_text(encoding="utf-8-sig").splitlines():
        code = _code(line)
        found = list(_SITE_REFERENCE.finditer(code))
        lines.extend(_filled(line, code, found, site, sources) if found else [line])
    return "\n".join(lines)


def _filled(line: str, code: str, found: list[re.Match[str]], site: Site, sources: dict[str, str]) -> Iterator[str]:
    notes = [_note(match, site, sources) for match in found]
    comment = line[len(code):].strip().lstrip("# ")
    remarks = "   # " + "; ".join([*notes, comment] if comment else notes)
    last = found[-1]
    value = _value(site, last[1], last[2])
    if len(found) == 1 and isinstance(value, list) and code.rstrip().endswith(last[0]) and len(_flow(value)) > _LONG:
        yield code[:last.start()].rstrip() + remarks
        indent = " " * (len(code) - len(code.lstrip(" -")) + 2)
        yield from (f"{indent}- {_flow(item)}" for item in value)
    else:
        yield _SITE_REFERENCE.sub(lambda match: _flow(_value(site, match[1], match[2])), code).rstrip() + remarks


def _code(line: str) -> str:
    """The line without its comment; a `#` within quotes or a word is none."""
    quote = ""
    for index, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#" and (index == 0 or line[index - 1] == " "):
            return line[:index]
    return line


def _value(site: Site, section: str, name: str) -> Any:
    value = (getattr(site, section) or {}).get(name)
    if section == "hosts":
        return value and {"names": list(value.names), "addresses": list(value.addresses)}
    if isinstance(value, tuple):
        return list(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _note(match: re.Match[str], site: Site, sources: dict[str, str]) -> str:
    section, name = match[1], match[2]
    origin = sources.get(f"{section}.{name}")
    if origin is None:
        origin = "not in the profile" + (", inferred from the traffic" if section == "hosts" else "")
    vendors = [f"{vendor.when.names[0]} {vendor.when.test} {vendor.when.value}: "
               f"{'only' if vendor.replace else 'also'} {_flow(list(vendor.parameters[name]))}"
               for vendor in site.vendors if section == "parameters" and name in vendor.parameters]
    return f"{match[0]}, {origin}" + "".join(f", where {vendor}" for vendor in vendors)


def _flow(value: Any) -> str:
    """A value in one line of YAML."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z][\w.-]*", value):
        return "'" + value.replace("'", "''") + "'"
    return str(value)


# ------------------------------------------------------------------------------------------------------- ladder

def ladder(rule: Rule, site: Site) -> str:
    """The procedure as it should go, one arrow a line: cite, arrow between its roles, step and what holds for it."""
    steps = list(rule.steps())
    used = {end for step in steps for end in (step.src, step.dst)}
    roles = [role.name for role in rule.roles if role.name in used]
    columns = _columns(roles, steps)
    width = max(columns.values(), default=_MARGIN) + 6
    lines = [f"{rule.procedure}  {rule.title}  ({rule.citation}, {rule.version})", "",
             *_heads(rule, roles, columns, width)]
    lines.extend(_items(rule.items, columns, width, site, ""))
    if rule.then:
        lines.append(f"{'':{_MARGIN}}then {' or '.join(rule.then)}")
    return "\n".join(line.rstrip() for line in lines)


def _columns(roles: list[str], steps: list[Step]) -> dict[str, int]:
    """The column of each role: as close as its name and the messages to it from the left allow."""
    columns: dict[str, int] = {}
    for index, role in enumerate(roles):
        column = _MARGIN + 2
        if index:
            neighbour = roles[index - 1]
            column = columns[neighbour] + max(_CLOSEST, len(role) // 2 + len(neighbour) // 2 + 2)
        for step in steps:
            ends = {step.src, step.dst}
            other = next(iter(ends - {role}), None) if role in ends else None
            if other in columns:
                column = max(column, columns[other] + len(_label(step)) + 8)
        columns[role] = column
    return columns


def _label(step: Step) -> str:
    """The kind of message, with the number of others that will do as well."""
    if not step.messages or step.wireshark:
        return step.wireshark or ""
    first, *others = step.messages
    if len(others) < 2:
        return " or ".join((first, *others))
    return f"{first} or {len(others)} others"


def _heads(rule: Rule, roles: list[str], columns: dict[str, int], width: int) -> Iterator[str]:
    line = [" "] * (width + 20)
    for role in roles:
        start = max(0, columns[role] - len(role) // 2)
        line[start:start + len(role)] = role
    yield "".join(line)
    for role in roles:
        title = rule.role(role).title
        if title:
            yield f"{'':{_MARGIN}}{role}: {title}"


def _items(items: tuple[Step | Group, ...], columns: dict[str, int], width: int, site: Site,
           indent: str) -> Iterator[str]:
    for item in items:
        if isinstance(item, Group):
            order = {"any": ["in any order"], "one_of": ["one of"]}.get(item.order, [])
            order += ["shall not occur"] if item.forbidden else []
            notes = _joined(order + _notes(item.optional, item.repeat, item.when))
            yield f"{item.cite:{_MARGIN}}{_lifelines(columns, width)}{indent}{item.group}:{notes}"
            yield from _items(item.items, columns, width, site, indent + "  ")
        else:
            notes = _joined(_step_notes(item, site))
            yield f"{item.cite:{_MARGIN}}{_arrow(item, columns, width)}{indent}{item.step}{notes}"


def _lifelines(columns: dict[str, int], width: int) -> str:
    return "".join(_line(columns, width))


def _line(columns: dict[str, int], width: int) -> list[str]:
    line = [" "] * (width - _MARGIN)
    for column in columns.values():
        line[column - _MARGIN] = "|"
    return line


def _arrow(step: Step, columns: dict[str, int], width: int) -> str:
    line = _line(columns, width)
    ends = [columns.get(end) for end in (step.src, step.dst)]
    if None in ends or ends[0] == ends[1]:
        return "".join(line)
    left, right = sorted(column - _MARGIN for column in ends)
    label = f" {_label(step)} "
    room = right - left - 1
    shaft = label.center(room - 2, "-")
    line[left + 1:right] = f"-{shaft}>" if ends[0] < ends[1] else f"<{shaft}-"
    return "".join(line)


def _step_notes(step: Step, site: Site) -> list[str]:
    notes = _notes(step.optional, step.repeat, step.when)
    if step.unchecked:
        notes.append(f"cannot be checked: {step.unchecked}")
    if step.forbidden:
        notes.append(f"shall not stay away for longer than {step.silence.longer_than} s"
                     if step.silence else "shall not occur")
    if step.inside:
        notes.append(f"inside {step.inside}")
    if step.perhaps_inside:
        notes.append(f"perhaps inside {step.perhaps_inside}")
    if step.within:
        notes.append(_deadline(step.within, site))
    return notes


def _deadline(within: Deadline, site: Site) -> str:
    seconds = within.seconds
    if isinstance(seconds, Reference):
        seconds = site.timers[seconds.path[2]]
    return f"within {seconds:g} s of {within.after}"


def _notes(optional: bool, repeat: Repeat, when: Condition | None) -> list[str]:
    notes = ["optional"] if optional else []
    if repeat != Repeat():
        least, most = repeat.minimum, repeat.maximum
        notes.append(f"{least} times" if least == most else f"{least} to {most} times")
    return notes + ([f"when {condition(when)}"] if when else [])


def _joined(notes: list[str]) -> str:
    return f"  ({'; '.join(notes)})" if notes else ""


_PHRASES = {                             # a test that holds, and one that does not
    "same_host": ("{} is the same host as {}", "{} is another host than {}"),
    "is_name": ("{} is known by name", "{} is known by address"),
    "needs_lookup": ("the name of {} has to be looked up", "the name of {} needs no lookup"),
    "known": ("{} is known", "{} is not known"),
    "seen": ("{} was seen", "{} was not seen"),
    "refused": ("{} was refused", "{} was not refused"),
    "equals": ("{} = {}", "{} differs from {}"),
    "row": ("the table says so of {}", "the table does not say so of {}"),
    "sooner": ("less than {1} s after {0}", "{1} s after {0} or later"),
    "past": ("{} has come", "{} has not come"),
    "expected": ("{} was asked for", "{} was not asked for"),
}


def condition(one: Condition, holds: bool = True, inner: bool = False) -> str:
    """A condition in words; its contrary where it shall not hold."""
    if one.test == "not":
        return condition(one.arguments[0], not holds, inner)
    if one.test in ("all", "any"):
        parts = [condition(part, holds, inner=True) for part in one.arguments]
        joined = (" and " if (one.test == "all") is holds else " or ").join(parts)
        return f"({joined})" if inner and len(parts) > 1 else joined
    return _PHRASES[one.test][not holds].format(*one.arguments)
