"""The names a rule file may use: its roles, steps and bound names, the kinds and fields of messages, `$` references.

Each question is asked with the place where the name stands; an unknown name becomes a mistake there, with the name that
was probably meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .mistakes import Mark, Mistakes, did_you_mean, listed
from .yamltree import List, Map

ATTRIBUTES = ("name", "address")         # what is known of a role once it is known
SITE_SECTIONS = ("hosts", "ports", "timers", "parameters", "fields", "bindings", "deprovisioned")

Kinds = Mapping[str, tuple[str, ...]]
SiteNames = Mapping[str, frozenset[str]]

# what every message has besides its protocol's fields
ANY_MESSAGE = ("layers", "session", *(f"{end}.{part}" for end in ("src", "dst")
                                     for part in ("scope", "address", "port", "shared", "names")))


class Names:
    """Those of one rule file. `bound` grows with the steps that are looked at: what a later one may refer to."""

    def __init__(self, rule: Map, path: str, kinds: Kinds, site_names: SiteNames, mistakes: Mistakes) -> None:
        self.path, self.kinds, self.site_names, self.mistakes = path, kinds, site_names, mistakes
        self.roles: Map = rule["roles"]
        self.order: dict[str, int] = {}                          # step name -> position in the file
        self.steps: dict[str, Map] = {}
        self.binders: dict[str, str] = {}                        # bound name -> first step that binds it
        self.remembered: set[str] = set()
        self.device_uses: list[tuple[str, Mark, str]] = []       # `$device.` names used, for the check across files
        self.bound: set[str] = set()
        self._collect(rule["steps"], set())
        for fact in rule.get("facts", ()):
            self.remembered.update(fact.get("remember", ()))

    def say(self, mark: Mark, owner: str, text: str) -> None:
        self.mistakes.add(self.path, mark, f"{owner}: {text}" if owner else text)

    def _collect(self, items: List, taken: set[str]) -> None:
        """Collects steps and bound names before anything refers to them."""
        for item in items:
            word = "step" if "step" in item else "group"
            name = item[word]
            if name in taken:
                self.say(item.keys_at[word], "",
                         f"the name '{name}' is given to two steps or groups; names are unique in a file")
            taken.add(name)
            if word == "group":
                self._collect(item["steps"], taken)
                continue
            self.order.setdefault(name, len(self.order))
            self.steps.setdefault(name, item)
            for bound in item.get("bind", ()):
                self.binders.setdefault(bound, name)
            self.remembered.update(item.get("remember", ()))

    def passed(self, step: Map) -> None:
        """What is bound behind this step."""
        self.bound.update(step.get("bind", ()))
        self.bound.update(name.removesuffix(".name") + ".address"
                          for name in step.get("bind", ()) if name.endswith(".name"))
        for key in ("from", "to"):                               # a matched message shows where its ends are
            self.bound.add(f"{step.get(key)}.address")

    # ------------------------------------------------------------------------------------------- messages

    def kind(self, kind: str, mark: Mark, owner: str) -> None:
        if self.fields_of(kind) is None:
            protocol = kind.partition(".")[0]
            near = sorted(known for known in self.kinds if known.partition(".")[0] == protocol)
            guess = did_you_mean(kind, self.kinds) or (f"; {protocol} has {listed(near)}" if near
                                                       else "; no decoder makes it")
            self.say(mark, owner, f"unknown message '{kind}'{guess}")

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

    # ------------------------------------------------------------------------------------------- roles and steps

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

    # ------------------------------------------------------------------------------------------- references

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

    def subject(self, text: str, mark: Mark, owner: str, test: str) -> None:
        """What `known` asks for: a role, a bound or a remembered name; with or without `$`."""
        path = text.removeprefix("$").split(".")
        if path[0] in ("site", "device"):
            self.reference("$" + ".".join(path), mark, owner)
        elif path[0] not in self.roles and ".".join(path) not in self.binders:
            names = [*self.roles, *self.binders, *(f"device.{name}" for name in sorted(self.remembered))]
            self.say(mark, owner, f"'{test}: {text}': neither a role nor a bound name{did_you_mean(text, names)}"
                     f"; roles are {listed(self.roles)}")


def entries(values: Any, mark: Mark = (1, 1)) -> Iterator[tuple[Any, Mark]]:
    """The entries of a list with their marks; a value alone stands at `mark`."""
    if isinstance(values, List):
        yield from zip(values, values.items_at)
    elif values is not None:
        yield values, mark
