"""Checks what a rule means: names, references used before they are bound, message kinds and fields, cited numbers.

It works on the marked data of a file whose structure is right, so that every mistake is reported at its key. A
condition or reference that could never hold would be a silent false verdict later; here it is a line with what to write
instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..model import FINDING_KINDS
from .build import is_reference
from .cites import skipped_numbers
from .mistakes import Mark, Mistakes, did_you_mean, listed
from .yamltree import List, Map

ANY_ORDER_LIMIT = 6                      # items of an `order: any` group; their orders double with each
ATTRIBUTES = ("name", "address")         # what is known of a role once it is known
SITE_SECTIONS = ("hosts", "ports", "timers", "parameters", "fields", "bindings", "deprovisioned")

Kinds = Mapping[str, tuple[str, ...]]
SiteNames = Mapping[str, frozenset[str]]


# what every message has besides its protocol's fields
ANY_MESSAGE = ("layers", "session", *(f"{end}.{part}" for end in ("src", "dst")
                                     for part in ("scope", "address", "port", "shared")))


def check(rule: Map, path: str, kinds: Kinds, site_names: SiteNames, mistakes: Mistakes) -> Meaning:
    """Adds every mistake of meaning; returns what other files need to know of this one."""
    meaning = Meaning(rule, path, kinds, site_names, mistakes)
    meaning.whole()
    return meaning


class Meaning:
    def __init__(self, rule: Map, path: str, kinds: Kinds, site_names: SiteNames, mistakes: Mistakes) -> None:
        self.rule, self.path, self.kinds, self.site_names, self.mistakes = rule, path, kinds, site_names, mistakes
        self.roles: Map = rule["roles"]
        self.order: dict[str, int] = {}                          # step name -> position in the file
        self.steps: dict[str, Map] = {}
        self.binders: dict[str, str] = {}                        # bound name -> first step that binds it
        self.remembered: set[str] = set()
        self.device_uses: list[tuple[str, Mark, str]] = []       # `$device.` names used, for the check across files
        self.bound: set[str] = set()                             # bound before the step that is being looked at

    def say(self, mark: Mark, owner: str, text: str) -> None:
        self.mistakes.add(self.path, mark, f"{owner}: {text}" if owner else text)

    # ------------------------------------------------------------------------------------------- the whole file

    def whole(self) -> None:
        self.names(self.rule["steps"], set())
        for name, role in self.roles.items():
            self.role(name, role)
        self.items(self.rule["steps"])
        self.facts(self.rule.get("facts", ()))
        self.attempt(self.rule["attempt"])
        self.cites()
        for sample in self.rule.get("samples", ()):
            self.sample(sample)

    def names(self, items: List, taken: set[str]) -> None:
        """Collects steps and bound names before anything refers to them."""
        for item in items:
            word = "step" if "step" in item else "group"
            name = item[word]
            if name in taken:
                self.say(item.keys_at[word], "",
                         f"the name '{name}' is given to two steps or groups; names are unique in a file")
            taken.add(name)
            if word == "group":
                self.names(item["steps"], taken)
                continue
            self.order.setdefault(name, len(self.order))
            self.steps.setdefault(name, item)
            for bound in item.get("bind", ()):
                self.binders.setdefault(bound, name)
            self.remembered.update(item.get("remember", ()))
        for fact in self.rule.get("facts", ()):
            self.remembered.update(fact.get("remember", ()))

    def facts(self, facts: Iterable[Map]) -> None:
        for fact in facts:
            kinds = _listed(fact["message"])
            self.patterns(fact, "facts")
            self.patterns(fact.get("answered_by"), "facts")
            for name, source in fact.get("remember", {}).items():
                self.binding(name, source, fact["remember"].keys_at[name], "facts", "remember", kinds)
            for name, mark in _entries(fact.get("forget"), fact.keys_at.get("forget", fact.mark)):
                self.device_uses.append((name, mark, "facts"))

    def role(self, name: str, role: Map) -> None:
        owner = f"role '{name}'"
        if name in ("site", "device"):
            self.say(self.roles.keys_at[name], "",
                     f"a role cannot be called '{name}': '${name}' has a meaning of its own")
        hosts = role.get("host", ())
        for host in [hosts] if isinstance(hosts, str) else hosts:
            if not host.startswith("$"):
                continue
            if not host.startswith(("$site.hosts.", "$device.")):
                self.say(role.keys_at["host"], owner,
                         f"'host: {host}': a host is '$site.hosts.x', '$device.x' or a name")
            else:
                self.reference(host, role.keys_at["host"], owner)
        self.patterns(role.get("infer"), owner)
        self.patterns(role.get("unless"), owner)
        self.condition(role.get("when"), owner)
        for key in ("unless", "when"):
            if key in role and role["kind"] != "device":
                self.say(role.keys_at[key], owner, f"'{key}' says what kind of device is meant; this role is no device")

    def attempt(self, attempt: Map) -> None:
        for key in ("opens_at", "resumes_at"):
            for name, mark in _entries(attempt.get(key)):
                step = self.steps.get(name)
                if step is None:
                    self.no_step(key, name, mark, "attempt")
                elif "unchecked" in step:
                    self.say(mark, "attempt",
                             f"'{key}: {name}': an unchecked step has no message an attempt could begin with")
        self.seconds(attempt, "quiet", "attempt")
        for key in ("unless", "requires", "given_up_by"):
            self.patterns(attempt.get(key), "attempt")
        if "key" in attempt:
            everything = [kind for step in self.steps.values() for kind in _listed(step.get("message"))]
            self.field(attempt["key"], attempt.keys_at["key"], "attempt", "key", everything)

    def cites(self) -> None:
        places = [(step["cite"], step.keys_at["cite"]) for step in self.steps.values()]
        for index, text in skipped_numbers([cite for cite, _ in places]):
            self.say(places[index][1], f"step '{list(self.steps)[index]}'", text)

    def sample(self, sample: Map) -> None:
        for code, mark in _entries(sample.get("findings")):
            parts = code.removeprefix(self.rule["procedure"] + "/").split("/")
            kind = parts[1].partition(":")[0] if len(parts) > 1 else ""
            if len(parts) != 2:
                self.say(mark, "samples", f"'{code}': a finding is written 'step/kind' or 'step/kind:detail'")
            elif parts[0] not in self.steps and parts[0] not in {name for name, _ in _groups(self.rule["steps"])}:
                self.no_step("findings", parts[0], mark, "samples")
            elif kind not in FINDING_KINDS:
                self.say(mark, "samples", f"'{code}': no such kind of finding{did_you_mean(kind, FINDING_KINDS)}")

    # ------------------------------------------------------------------------------------------- steps and groups

    def items(self, items: List) -> None:
        for item in items:
            if "step" in item:
                self.step(item)
            else:
                self.group(item)

    def group(self, group: Map) -> None:
        owner = f"group '{group['group']}'"
        self.repeat(group, owner)
        self.condition(group.get("when"), owner)
        if group.get("order") == "any" and len(group["steps"]) > ANY_ORDER_LIMIT:
            self.say(group.keys_at["order"], owner, f"'order: any' over {len(group['steps'])} items; at most "
                     f"{ANY_ORDER_LIMIT} can be tried in every order, so say which of them belong together")
        self.items(group["steps"])
        if "one_of_several" in group:
            several = group["one_of_several"]
            if several["shown_by"] not in self.steps:
                self.no_step("shown_by", several["shown_by"], several.keys_at["shown_by"], owner)
            self.condition(several.get("when"), owner)
        inside = [kind for _, step in _steps(group["steps"]) for kind in _listed(step.get("message"))]
        self.checks(group.get("expect"), owner, inside)

    def step(self, step: Map) -> None:
        owner = f"step '{step['step']}'"
        kinds = None if "wireshark" in step else _listed(step.get("message"))
        for kind in kinds or ():
            self.kind(kind, step.keys_at["message"], owner)
        for key in ("from", "to"):
            if key in step:
                self.role_name(step[key], step.keys_at[key], owner, key)
        self.repeat(step, owner)
        self.condition(step.get("when"), owner)
        self.checks(step.get("where"), owner, kinds)
        if "answers" in step:
            self.earlier(step["answers"], step, step.keys_at["answers"], owner, "answers")
        if "within" in step:
            within = step["within"]
            self.earlier(within["after"], step, within.keys_at["after"], owner, "after")
            self.seconds(within, "seconds", owner)
        if "silence" in step:
            self.silence(step, owner)
        self.patterns(step.get("refused_by"), owner)
        self.patterns(step.get("evidence"), owner)
        for key in ("bind", "remember"):
            for name, source in step.get(key, {}).items():
                self.binding(name, source, step[key].keys_at[name], owner, key, kinds)
        self.bound.update(step.get("bind", ()))
        self.bound.update(name.removesuffix(".name") + ".address"
                          for name in step.get("bind", ()) if name.endswith(".name"))
        for key in ("from", "to"):                               # a matched message shows where its ends are
            self.bound.add(f"{step.get(key)}.address")
        self.checks(step.get("expect"), owner, kinds)

    def repeat(self, item: Map, owner: str) -> None:
        repeat = item.get("repeat")
        if repeat and repeat.get("min", 1) > repeat.get("max", max(1, repeat.get("min", 1))):
            self.say(item.keys_at["repeat"], owner, f"'repeat': min {repeat['min']} is more than max {repeat['max']}")

    def seconds(self, container: Map, key: str, owner: str) -> None:
        if key in container:
            self.value(container[key], container.keys_at[key], owner)

    def silence(self, step: Map, owner: str) -> None:
        silence = step["silence"]
        if not step.get("forbidden"):
            self.say(step.keys_at["silence"], owner, "'silence' is what shall not be: it needs 'forbidden: true'")
        for key in ("longer_than", "slack"):
            self.seconds(silence, key, owner)
        self.patterns(silence.get("unless"), owner)

    def binding(self, name: str, source: Any, mark: Mark, owner: str, key: str, kinds: list[str] | None) -> None:
        first, dot, _ = name.partition(".")
        if key == "bind" and dot and first not in self.roles:
            self.no_role("bind", name, first, mark, owner)
        if key == "bind" and not dot and first in self.roles:
            self.say(mark, owner, f"'bind: {name}' is a role; bind one of its attributes, such as '{name}.address'")
        if isinstance(source, str):
            self.field(source, mark, owner, key, kinds)
        elif "value" in source:
            self.value(source["value"], mark, owner)
        elif "time" in source:
            pass
        else:
            self.target(source, owner, kinds)

    # ------------------------------------------------------------------------------------------- checks

    def checks(self, checks: List | None, owner: str, kinds: list[str] | None) -> None:
        for check in checks or ():
            self.target(check, owner, kinds)
            self.condition(check.get("when"), owner)
            self.seconds(check, "no_older_than", owner)
            for key in ("equals", "not", "in", "certifies"):
                for value, mark in _entries(check.get(key), check.keys_at.get(key, check.mark)):
                    self.value(value, mark, owner)
            if check.get("matches", "").startswith("$site.bindings."):
                self.reference(check["matches"], check.keys_at["matches"], owner)
            elif "matches" in check:
                self.expression(check["matches"], check.keys_at["matches"], owner)

    def target(self, check: Map, owner: str, kinds: list[str] | None) -> None:
        """The `field`, `fields`, `parameter` or `parameters` of a check or a binding."""
        for key, section in (("field", "fields"), ("fields", "fields"), ("parameter", "parameters"),
                             ("parameters", "parameters"), ("json", "fields")):
            if key not in check:
                continue
            names, mark = check[key], check.keys_at[key]
            if isinstance(names, str) and names.startswith("$"):
                if not names.startswith(f"$site.{section}."):
                    self.say(mark, owner, f"'{key}: {names}': names come from '$site.{section}.x' or stand here")
                else:
                    self.reference(names, mark, owner)
                continue
            for name, place in _entries(names, mark):
                if name.startswith("$"):
                    self.say(place, owner,
                             f"'{name}': a list of names cannot hold a reference; give it a name of its own in the "
                             "site profile")
                elif section == "fields" and key != "json":      # names of documents are nobody's to declare
                    self.field(name, place, owner, key, kinds)

    def value(self, value: Any, mark: Mark, owner: str) -> None:
        if is_reference(value):
            self.reference(value, mark, owner)
            if value.startswith("$site.hosts.") and value.count(".") == 2:
                self.say(mark, owner, f"'{value}' is a host; write '{value}.names' or '{value}.addresses'")

    def expression(self, text: str, mark: Mark, owner: str) -> None:
        try:
            re.compile(text)
        except re.error as error:
            self.say(mark, owner, f"'matches: {text}' is not a regular expression: {error}")

    def field(self, name: str, mark: Mark, owner: str, key: str, kinds: list[str] | None) -> None:
        """A field some of these kinds declare, or a part of one. None: Wireshark's own names, not ours to check."""
        if kinds is None:
            return
        if name in ANY_MESSAGE:
            return
        declared = [self.fields_of(kind) for kind in kinds]
        if any(fields is None for fields in declared):           # an unknown kind is reported where it stands
            return
        fields = {field for known in declared for field in known}
        first = name.partition(".")[0].partition("[")[0]
        if "*" in fields or name in fields or first in fields or any(field.startswith(name + ".") for field in fields):
            return
        parts = {field.partition(".")[0] for field in fields}
        guess = did_you_mean(name, fields) or did_you_mean(first, parts)
        known = guess or (f"; its fields are {listed(sorted(fields))}" if fields else "")
        self.say(mark, owner, f"'{key}: {name}': {listed(dict.fromkeys(kinds))} has no such field{known}")

    def fields_of(self, kind: str) -> tuple[str, ...] | None:
        if kind in self.kinds:
            return self.kinds[kind]
        return self.kinds.get(kind.partition(".")[0] + ".*")     # a protocol whose messages are too many to list

    def kind(self, kind: str, mark: Mark, owner: str) -> None:
        if self.fields_of(kind) is None:
            protocol = kind.partition(".")[0]
            near = sorted(known for known in self.kinds if known.partition(".")[0] == protocol)
            guess = did_you_mean(kind, self.kinds) or (f"; {protocol} has {listed(near)}" if near
                                                       else "; no decoder makes it")
            self.say(mark, owner, f"unknown message '{kind}'{guess}")

    def patterns(self, patterns: Any, owner: str) -> None:
        for pattern in [patterns] if isinstance(patterns, Map) else patterns or ():
            kinds = _listed(pattern["message"])
            for kind in kinds:
                self.kind(kind, pattern.keys_at["message"], owner)
            for key in ("from", "to"):
                if key in pattern:
                    self.role_name(pattern[key], pattern.keys_at[key], owner, key)
            self.checks(pattern.get("where"), owner, kinds)
            self.patterns(pattern.get("before"), owner)
            if "name_from" in pattern:
                self.field(pattern["name_from"], pattern.keys_at["name_from"], owner, "name_from", kinds)
            for name, mark in _entries(pattern.get("unless_known"), pattern.keys_at.get("unless_known", pattern.mark)):
                self.role_name(name, mark, owner, "unless_known")

    # ------------------------------------------------------------------------------------------- conditions

    def condition(self, condition: Map | None, owner: str) -> None:
        if condition is None:
            return
        (test, value), = condition.items()
        mark = condition.keys_at[test]
        if test in ("all", "any"):
            for part in value:
                self.condition(part, owner)
        elif test == "not":
            self.condition(value, owner)
        elif test in ("seen", "refused"):
            if value not in self.steps:
                self.no_step(test, value, mark, owner)
        elif test in ("equals", "sooner"):
            for part, place in _entries(value):
                self.value(part, place, owner)
        elif test == "past":
            self.value(value, mark, owner)
        elif test == "row":
            self.target(value, owner, None)
            self.reference(value["table"], value.keys_at["table"], owner)
        elif test == "expected":                                 # any procedure may be asked for
            pass
        elif test == "known":
            self.subject(value, mark, owner, test)
        else:                                                    # same_host, is_name, needs_lookup
            for part, place in _entries(value, mark):
                self.role_name(part, place, owner, test)

    def subject(self, text: str, mark: Mark, owner: str, test: str) -> None:
        """What `known` asks for: a role, a bound or a remembered name; with or without `$`."""
        path = text.removeprefix("$").split(".")
        if path[0] in ("site", "device"):
            self.reference("$" + ".".join(path), mark, owner)
        elif path[0] not in self.roles and ".".join(path) not in self.binders:
            names = [*self.roles, *self.binders, *(f"device.{name}" for name in sorted(self.remembered))]
            self.say(mark, owner, f"'{test}: {text}': neither a role nor a bound name{did_you_mean(text, names)}"
                     f"; roles are {listed(self.roles)}")

    def reference(self, text: str, mark: Mark, owner: str) -> None:
        path = text[1:].split(".")
        if path[0] == "site":
            self.site_reference(text, path[1:], mark, owner)
        elif path[0] == "device":
            self.device_uses.append((".".join(path[1:]), mark, owner))
        else:
            self.bound_reference(text, path, mark, owner)

    def site_reference(self, text: str, path: list[str], mark: Mark, owner: str) -> None:
        section = path[0] if path else ""
        if section not in SITE_SECTIONS:
            self.say(mark, owner, f"'{text}': a site profile has no '{section}'{did_you_mean(section, SITE_SECTIONS)}; "
                     f"it has {listed(SITE_SECTIONS)}")
            return
        names = self.site_names.get(section, frozenset()) | (set(self.roles) if section == "hosts" else set())
        if len(path) < 2 or path[1] not in names:
            name = path[1] if len(path) > 1 else ""
            guess = did_you_mean(name, names) or f"; {section} are {listed(sorted(names))}"
            self.say(mark, owner, f"'{text}': no site profile default is called '{name}'{guess}")
        elif len(path) > 2 and (section != "hosts" or path[2] not in ("names", "addresses") or len(path) > 3):
            within = "'names' and 'addresses'" if section == "hosts" else "nothing"
            self.say(mark, owner, f"'{text}': '$site.{section}.{path[1]}' has {within} inside")

    def bound_reference(self, text: str, path: list[str], mark: Mark, owner: str) -> None:
        name = ".".join(path)
        if name in self.bound:
            return
        role = self.roles.get(path[0])
        if role is not None and len(path) < 3:
            if len(path) == 1:
                self.say(mark, owner, f"'{text}' is a role; write one of its attributes, such as '{text}.address'")
            elif path[1] not in ATTRIBUTES and name not in self.binders:
                self.say(mark, owner, f"'{text}': a role has no '{path[1]}'{did_you_mean(path[1], ATTRIBUTES)}; it has "
                         f"{listed(ATTRIBUTES)}, and what steps bind")
            elif not ("host" in role or "infer" in role or role["kind"] == "device"):
                self.unbound(text, name, mark, owner)
        elif name in self.binders:
            self.unbound(text, name, mark, owner)
        else:
            names = [*self.binders, *(f"{role}.{attribute}" for role in self.roles for attribute in ATTRIBUTES), "site",
                     "device"]
            self.say(mark, owner, f"'{text}': no step binds it, and it is no role{did_you_mean(name, names)}")

    def unbound(self, text: str, name: str, mark: Mark, owner: str) -> None:
        binder = self.binders.get(name)
        never = "no step binds it, and its role has no 'host' and no 'infer'"
        remedy = f"step '{binder}' binds it later" if binder else never
        self.say(mark, owner, f"'{text}' is used before it is bound: {remedy}")

    # ------------------------------------------------------------------------------------------- names

    def role_name(self, name: str, mark: Mark, owner: str, key: str) -> None:
        if name not in self.roles:
            self.no_role(key, name, name, mark, owner)

    def no_role(self, key: str, shown: str, name: str, mark: Mark, owner: str) -> None:
        self.say(mark, owner,
                 f"'{key}: {shown}': no such role{did_you_mean(name, self.roles)}; roles are {listed(self.roles)}")

    def no_step(self, key: str, name: str, mark: Mark, owner: str) -> None:
        guess = did_you_mean(name, self.steps) or f"; steps are {listed(self.steps)}"
        self.say(mark, owner, f"'{key}: {name}': no such step{guess}")

    def earlier(self, name: str, step: Map, mark: Mark, owner: str, key: str) -> None:
        if name not in self.steps:
            self.no_step(key, name, mark, owner)
        elif self.order[name] >= self.order[step["step"]]:
            self.say(mark, owner, f"'{key}: {name}': that is not an earlier step")
        elif "unchecked" in self.steps[name]:
            self.say(mark, owner, f"'{key}: {name}': that step is unchecked and has no message")


def _listed(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _entries(values: Any, mark: Mark = (1, 1)) -> Iterator[tuple[Any, Mark]]:
    """The entries of a list with their marks; a value alone stands at `mark`."""
    if isinstance(values, List):
        yield from zip(values, values.items_at)
    elif values is not None:
        yield values, mark


def _steps(items: List) -> Iterator[tuple[str, Map]]:
    for item in items:
        if "step" in item:
            yield item["step"], item
        else:
            yield from _steps(item["steps"])


def _groups(items: List) -> Iterator[tuple[str, Map]]:
    for item in items:
        if "group" in item:
            yield item["group"], item
            yield from _groups(item["steps"])
