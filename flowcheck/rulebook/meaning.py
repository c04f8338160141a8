"""Checks what a rule means: names, references used before they are bound, message kinds and fields, cited numbers.

It works on the marked data of a file whose structure is right, so that every mistake is reported at its key. A
condition or reference that could never hold would be a silent false verdict later; here it is a line with what to write
instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..model import FINDING_KINDS
from .build import is_reference
from .cites import skipped_numbers
from .mistakes import Mark, Mistakes, did_you_mean
from .names import Kinds, Names, SiteNames, entries
from .yamltree import List, Map

ANY_ORDER_LIMIT = 6                      # items of an `order: any` group; their orders double with each


def check(rule: Map, path: str, kinds: Kinds, site_names: SiteNames, mistakes: Mistakes) -> Names:
    """Adds every mistake of meaning; returns the names of the file, of which other files need to know."""
    names = Names(rule, path, kinds, site_names, mistakes)
    Meaning(rule, names).whole()
    return names


class Meaning:
    """Walks through a rule file from its roles to its last step."""

    def __init__(self, rule: Map, names: Names) -> None:
        self.rule, self.names = rule, names

    # ------------------------------------------------------------------------------------------- the whole file

    def whole(self) -> None:
        for name, role in self.names.roles.items():
            self.role(name, role)
        self.items(self.rule["steps"])
        self.facts(self.rule.get("facts", ()))
        self.attempt(self.rule["attempt"])
        self.cites()
        for sample in self.rule.get("samples", ()):
            self.sample(sample)

    def facts(self, facts: Iterable[Map]) -> None:
        for fact in facts:
            kinds = _listed(fact["message"])
            self.patterns(fact, "facts")
            self.patterns(fact.get("answered_by"), "facts")
            for name, source in fact.get("remember", {}).items():
                self.binding(name, source, fact["remember"].keys_at[name], "facts", "remember", kinds)
            for name, mark in entries(fact.get("forget"), fact.keys_at.get("forget", fact.mark)):
                self.names.device_uses.append((name, mark, "facts"))

    def role(self, name: str, role: Map) -> None:
        owner = f"role '{name}'"
        if name in ("site", "device"):
            self.names.say(self.names.roles.keys_at[name], "",
                           f"a role cannot be called '{name}': '${name}' has a meaning of its own")
        hosts = role.get("host", ())
        for host in [hosts] if isinstance(hosts, str) else hosts:
            if not host.startswith("$"):
                continue
            if not host.startswith(("$site.hosts.", "$device.")):
                self.names.say(role.keys_at["host"], owner,
                               f"'host: {host}': a host is '$site.hosts.x', '$device.x' or a name")
            else:
                self.names.reference(host, role.keys_at["host"], owner)
        self.patterns(role.get("infer"), owner)
        self.patterns(role.get("unless"), owner)
        self.condition(role.get("when"), owner)
        for key in ("unless", "when"):
            if key in role and role["kind"] != "device":
                self.names.say(role.keys_at[key], owner,
                               f"'{key}' says what kind of device is meant; this role is no device")

    def attempt(self, attempt: Map) -> None:
        for key in ("opens_at", "resumes_at", "unless_last"):
            for name, mark in entries(attempt.get(key)):
                step = self.names.steps.get(name)
                if step is None:
                    self.names.no_step(key, name, mark, "attempt")
                elif "unchecked" in step:
                    self.names.say(mark, "attempt",
                                   f"'{key}: {name}': an unchecked step has no message an attempt could {'end' if key == 'unless_last' else 'begin'} with")
        self.seconds(attempt, "quiet", "attempt")
        for key in ("unless", "requires", "given_up_by"):
            self.patterns(attempt.get(key), "attempt")
        if "key" in attempt:
            everything = [kind for step in self.names.steps.values() for kind in _listed(step.get("message"))]
            self.names.field(attempt["key"], attempt.keys_at["key"], "attempt", "key", everything)

    def cites(self) -> None:
        places = [(step["cite"], step.keys_at["cite"]) for step in self.names.steps.values()]
        for index, text in skipped_numbers([cite for cite, _ in places]):
            self.names.say(places[index][1], f"step '{list(self.names.steps)[index]}'", text)

    def sample(self, sample: Map) -> None:
        for code, mark in entries(sample.get("findings")):
            parts = code.removeprefix(self.rule["procedure"] + "/").split("/")
            kind = parts[1].partition(":")[0] if len(parts) > 1 else ""
            if len(parts) != 2:
                self.names.say(mark, "samples", f"'{code}': a finding is written 'step/kind' or 'step/kind:detail'")
            elif parts[0] not in self.names.steps and parts[0] not in {name for name, _ in _groups(self.rule["steps"])}:
                self.names.no_step("findings", parts[0], mark, "samples")
            elif kind not in FINDING_KINDS:
                self.names.say(mark, "samples", f"'{code}': no such kind of finding{did_you_mean(kind, FINDING_KINDS)}")

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
            self.names.say(group.keys_at["order"], owner, f"'order: any' over {len(group['steps'])} items; at most "
                           f"{ANY_ORDER_LIMIT} can be tried in every order, so say which of them belong together")
        self.items(group["steps"])
        if "one_of_several" in group:
            several = group["one_of_several"]
            if several["shown_by"] not in self.names.steps:
                self.names.no_step("shown_by", several["shown_by"], several.keys_at["shown_by"], owner)
            self.condition(several.get("when"), owner)
        inside = [kind for _, step in _steps(group["steps"]) for kind in _listed(step.get("message"))]
        self.checks(group.get("expect"), owner, inside)

    def step(self, step: Map) -> None:
        owner = f"step '{step['step']}'"
        kinds = None if "wireshark" in step else _listed(step.get("message"))
        for kind in kinds or ():
            self.names.kind(kind, step.keys_at["message"], owner)
        for key in ("from", "to"):
            if key in step:
                self.names.role_name(step[key], step.keys_at[key], owner, key)
        self.repeat(step, owner)
        self.condition(step.get("when"), owner)
        self.checks(step.get("where"), owner, kinds)
        if "answers" in step:
            self.names.earlier(step["answers"], step, step.keys_at["answers"], owner, "answers")
        if "within" in step:
            within = step["within"]
            self.names.earlier(within["after"], step, within.keys_at["after"], owner, "after")
            self.seconds(within, "seconds", owner)
        if "silence" in step:
            self.silence(step, owner)
        self.patterns(step.get("refused_by"), owner)
        self.patterns(step.get("evidence"), owner)
        for key in ("bind", "remember"):
            for name, source in step.get(key, {}).items():
                self.binding(name, source, step[key].keys_at[name], owner, key, kinds)
        self.names.passed(step)
        self.checks(step.get("expect"), owner, kinds)

    def repeat(self, item: Map, owner: str) -> None:
        repeat = item.get("repeat")
        if repeat and repeat.get("min", 1) > repeat.get("max", max(1, repeat.get("min", 1))):
            self.names.say(item.keys_at["repeat"], owner,
                           f"'repeat': min {repeat['min']} is more than max {repeat['max']}")

    def seconds(self, container: Map, key: str, owner: str) -> None:
        if key in container:
            self.value(container[key], container.keys_at[key], owner)

    def silence(self, step: Map, owner: str) -> None:
        silence = step["silence"]
        if not step.get("forbidden"):
            self.names.say(step.keys_at["silence"], owner, "'silence' is what shall not be: it needs 'forbidden: true'")
        for key in ("longer_than", "slack"):
            self.seconds(silence, key, owner)
        self.patterns(silence.get("unless"), owner)

    def binding(self, name: str, source: Any, mark: Mark, owner: str, key: str, kinds: list[str] | None) -> None:
        first, dot, _ = name.partition(".")
        if key == "bind" and dot and first not in self.names.roles:
            self.names.no_role("bind", name, first, mark, owner)
        if key == "bind" and not dot and first in self.names.roles:
            self.names.say(mark, owner,
                           f"'bind: {name}' is a role; bind one of its attributes, such as '{name}.address'")
        if isinstance(source, str):
            self.names.field(source, mark, owner, key, kinds)
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
                for value, mark in entries(check.get(key), check.keys_at.get(key, check.mark)):
                    self.value(value, mark, owner)
            if check.get("matches", "").startswith("$site.bindings."):
                self.names.reference(check["matches"], check.keys_at["matches"], owner)
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
                    self.names.say(mark, owner, f"'{key}: {names}': names come from '$site.{section}.x' or stand here")
                else:
                    self.names.reference(names, mark, owner)
                continue
            for name, place in entries(names, mark):
                if name.startswith("$"):
                    self.names.say(place, owner,
                                   f"'{name}': a list of names cannot hold a reference; give it a name of its own in the "
                                   "site profile")
                elif section == "fields" and key != "json":      # names of documents are nobody's to declare
                    self.names.field(name, place, owner, key, kinds)

    def value(self, value: Any, mark: Mark, owner: str) -> None:
        if is_reference(value):
            self.names.reference(value, mark, owner)
            if value.startswith("$site.hosts.") and value.count(".") == 2:
                self.names.say(mark, owner, f"'{value}' is a host; write '{value}.names' or '{value}.addresses'")

    def expression(self, text: str, mark: Mark, owner: str) -> None:
        try:
            re.compile(text)
        except re.error as error:
            self.names.say(mark, owner, f"'matches: {text}' is not a regular expression: {error}")

    def patterns(self, patterns: Any, owner: str) -> None:
        for pattern in [patterns] if isinstance(patterns, Map) else patterns or ():
            kinds = _listed(pattern["message"])
            for kind in kinds:
                self.names.kind(kind, pattern.keys_at["message"], owner)
            for key in ("from", "to"):
                if key in pattern:
                    self.names.role_name(pattern[key], pattern.keys_at[key], owner, key)
            self.checks(pattern.get("where"), owner, kinds)
            self.patterns(pattern.get("before"), owner)
            if "name_from" in pattern:
                self.names.field(pattern["name_from"], pattern.keys_at["name_from"], owner, "name_from", kinds)
            for name, mark in entries(pattern.get("unless_known"), pattern.keys_at.get("unless_known", pattern.mark)):
                self.names.role_name(name, mark, owner, "unless_known")

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
            if value not in self.names.steps:
                self.names.no_step(test, value, mark, owner)
        elif test in ("equals", "sooner"):
            for part, place in entries(value):
                self.value(part, place, owner)
        elif test == "past":
            self.value(value, mark, owner)
        elif test == "row":
            self.target(value, owner, None)
            self.names.reference(value["table"], value.keys_at["table"], owner)
        elif test == "expected":                                 # any procedure may be asked for
            pass
        elif test == "known":
            self.names.subject(value, mark, owner, test)
        else:                                                    # same_host, is_name, needs_lookup
            for part, place in entries(value, mark):
                self.names.role_name(part, place, owner, test)


def _listed(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


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
