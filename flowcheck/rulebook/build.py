"""Makes the typed objects of rule.py out of marked data that has been checked; it complains about nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .mistakes import Mark
from .rule import (
    Binding,
    Check,
    Condition,
    Deadline,
    Fact,
    Group,
    OneOfSeveral,
    Opening,
    Pattern,
    Place,
    Reference,
    Repeat,
    Role,
    Row,
    Rule,
    Sample,
    Silence,
    Step,
)
from .yamltree import List, Map

_TARGETS = ("field", "fields", "parameter", "parameters", "json")
_TESTS = ("present", "equals", "in", "matches", "not", "at_least", "at_most", "certifies", "unique", "no_older_than")


def is_reference(value: Any) -> bool:
    """A text that begins with `$`; `$$` writes a plain `$`."""
    return isinstance(value, str) and value.startswith("$") and not value.startswith("$$")


def reference(value: Any) -> Any:
    """`$a.b` as a Reference, lists as tuples, everything else as it stands."""
    if is_reference(value):
        return Reference(tuple(value[1:].split(".")))
    if isinstance(value, list):
        return tuple(reference(item) for item in value)
    return value[1:] if isinstance(value, str) and value.startswith("$$") else value


def rule(data: Map, path: str, digest: str) -> Rule:
    make = _Builder(path)
    spec = data["spec"]
    return Rule(
        procedure=data["procedure"], title=data["title"], document=spec["document"], version=spec["version"],
        clause=spec["clause"], status=spec["status"], describe=data["describe"].strip(),
        roles=tuple(make.role(name, role) for name, role in data["roles"].items()),
        attempt=make.opening(data["attempt"]), items=make.items(data["steps"]),
        facts=tuple(make.fact(fact) for fact in data.get("facts", ())), then=texts(data.get("then")),
        samples=tuple(_sample(sample) for sample in data.get("samples", ())), path=path, digest=digest)


def check(data: Map, path: str) -> Check:
    """One check, for a site profile's vendors."""
    return _Builder(path).check(data)


def texts(value: Any) -> tuple[str, ...]:
    """One text or a list of them."""
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)


class _Builder:
    def __init__(self, path: str) -> None:
        self.path = path

    def place(self, mark: Mark) -> Place:
        return Place(self.path, *mark)

    def role(self, name: str, data: Map) -> Role:
        return Role(name, data["kind"], data.get("path"), tuple(reference(host) for host in texts(data.get("host"))),
                    self.patterns(data.get("infer")), data.get("title", ""), self.patterns(data.get("unless")),
                    self.condition(data.get("when")), several_hosts=data.get("several_hosts", False),
                    perhaps_unseen=data.get("perhaps_unseen", False))

    def opening(self, data: Map) -> Opening:
        return Opening(tuple(data["opens_at"]), tuple(data.get("resumes_at", ())), _seconds(data.get("quiet", 300.0)),
                       self.patterns(data.get("unless")), self.patterns(data.get("requires")), data.get("key"),
                       self.patterns(data.get("given_up_by")), tuple(data.get("unless_last", ())))

    def fact(self, data: Map) -> Fact:
        answer = data.get("answered_by")
        return Fact(self.pattern(data), answer and self.pattern(answer), _bindings(data.get("remember")),
                    texts(data.get("forget")))

    def items(self, data: List) -> tuple[Step | Group, ...]:
        return tuple(self.step(item) if "step" in item else self.group(item) for item in data)

    def group(self, data: Map) -> Group:
        items = self.items(data["steps"])
        if data.get("forbidden"):                      # what is in it is no part of the ladder either
            items = tuple(replace(item, forbidden=True) for item in items)
        return Group(
            data["group"], items, data.get("order", "sequence"), data.get("optional", False),
            _repeat(data.get("repeat")), self.condition(data.get("when")), self.checks(data.get("expect")),
            data.get("forbidden", False), data.get("cite", ""), _line(data.get("hint", "")), self.place(data.mark),
            self.several(data.get("one_of_several")))

    def several(self, data: Map | None) -> OneOfSeveral | None:
        return data and OneOfSeveral(data["shown_by"], self.condition(data.get("when")))

    def step(self, data: Map) -> Step:
        return Step(
            step=data["step"], cite=data["cite"], title=data.get("title", ""), messages=_messages(data),
            src=data.get("from"), dst=data.get("to"), where=self.checks(data.get("where")), answers=data.get("answers"),
            refused_by=self.patterns(data.get("refused_by")), bind=_bindings(data.get("bind")),
            remember=_bindings(data.get("remember")), expect=self.checks(data.get("expect")),
            within=_deadline(data.get("within")), inside=data.get("inside"), perhaps_inside=data.get("perhaps_inside"),
            should_be_inside=texts(data.get("should_be_inside")),
            optional=data.get("optional", False), repeat=_repeat(data.get("repeat")),
            when=self.condition(data.get("when")),
            severity=data.get("severity", "error"), hint=_line(data.get("hint", "")), side=data.get("side"),
            unchecked=_line(data.get("unchecked")), evidence=self.patterns(data.get("evidence")),
            wireshark=data.get("wireshark"), forbidden=data.get("forbidden", False),
            silence=self.silence(data.get("silence")), place=self.place(data.mark))

    def silence(self, data: Map | None) -> Silence | None:
        return data and Silence(_seconds(data["longer_than"]), _seconds(data.get("slack", 0.0)),
                                self.patterns(data.get("unless")))

    def checks(self, data: List | None) -> tuple[Check, ...]:
        return tuple(self.check(item) for item in data or ())

    def check(self, data: Map) -> Check:
        target = next(word for word in _TARGETS if word in data)
        test = next(word for word in _TESTS if word in data)
        value = data[test]
        if test == "matches" and not value.startswith("$site."):
            literal = value                                    # a `$` in a regular expression is the end of the text
        else:
            literal = reference(value)
        return Check(target, _names(data[target]), test, literal, data.get("severity", "error"), data.get("cite"),
                     _line(data.get("hint", "")), data.get("basis", "spec"), data.get("side"),
                     self.condition(data.get("when")), data.get("take"), self.place(data.mark))

    def patterns(self, data: Map | List | None) -> tuple[Pattern, ...]:
        return tuple(self.pattern(item) for item in ([data] if isinstance(data, Map) else data or ()))

    def pattern(self, data: Map) -> Pattern:
        return Pattern(
            texts(data["message"]), data.get("from"), data.get("to"), self.checks(data.get("where")),
            _line(data.get("hint", "")), data.get("side"), self.place(data.mark),
            self.pattern(data["before"]) if "before" in data else None, data.get("name_from"),
            texts(data.get("unless_known")))

    def condition(self, data: Map | None) -> Condition | None:
        if data is None:
            return None
        (test, value), = data.items()
        if test == "not":
            arguments: tuple[Any, ...] = (self.condition(value),)
        elif test in ("all", "any"):
            arguments = tuple(self.condition(part) for part in value)
        elif test == "row":
            arguments = (
                Row(_names(value["parameters"]), reference(value["table"]), tuple(value["by"]), value["column"],
                    reference(value["in"]), value["since"]),
            )
        else:
            arguments = tuple(reference(part) for part in (value if isinstance(value, list) else [value]))
        return Condition(test, arguments, self.place(data.mark))


def _names(value: Any) -> tuple[str, ...] | Reference:
    return reference(value) if is_reference(value) else texts(value)


def _bindings(data: Map | None) -> tuple[Binding, ...]:
    return tuple(_binding(name, source) for name, source in (data or {}).items())


def _binding(name: str, source: Any) -> Binding:
    if isinstance(source, str):
        return Binding(name, "field", (source,))
    if "value" in source:
        return Binding(name, "value", (), value=reference(source["value"]))
    if "time" in source:
        return Binding(name, "time", ())
    target = next(word for word in _TARGETS if word in source)
    return Binding(name, target.removesuffix("s"), _names(source[target]), source.get("take"),
                   source.get("each", False))


def _messages(data: Map) -> tuple[str, ...]:
    """The kinds a step waits for; a Wireshark filter is a kind of its own (wireshark/steps.py)."""
    return ("wireshark." + data["wireshark"],) if "wireshark" in data else texts(data.get("message"))


def _deadline(data: Map | None) -> Deadline | None:
    return data and Deadline(data["after"], _seconds(data["seconds"]), data.get("basis", "engineering"))


def _repeat(data: Map | None) -> Repeat:
    """`{max: 5}` is one to five times; `{min: 2}` alone is exactly that."""
    if data is None:
        return Repeat()
    least = data.get("min", 1)
    return Repeat(least, data.get("max", least))


def _seconds(value: Any) -> float | Reference:
    return reference(value) if isinstance(value, str) else float(value)


def _sample(data: Map) -> Sample:
    return Sample(texts(data["capture"]), data["verdict"], tuple(data.get("findings", ())), texts(data.get("keys")),
                  data.get("site"))


def _line(text: str | None) -> str | None:
    """A folded text as one line."""
    return None if text is None else " ".join(text.split())
