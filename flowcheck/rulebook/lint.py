"""What is not wrong with a rule but should be looked at: `flowcheck rules lint`.

The loader's mistakes are errors here too. Beyond them each function of `ISSUES` looks for one thing and yields
(severity, mark, sentence). `warning`: the rule probably does not do what its author meant. `notice`: it could be
better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .build import texts
from .loader import Source, default_rules_dir, files_below, read_rules
from .mistakes import Mark, Mistakes, did_you_mean, listed
from .rule import Site
from .yamltree import List, Map

Issue = tuple[str, Mark, str]
ERROR, WARNING, NOTICE = "error", "warning", "notice"
_ROOTS = ("*.", "Device.", "InternetGatewayDevice.")


class Remark(NamedTuple):
    path: str
    line: int
    column: int
    severity: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.severity}: {self.text}"


def lint(paths: Sequence[str | Path] | None = None, kinds: Mapping[str, tuple[str, ...]] | None = None,
         site: Site | None = None) -> list[Remark]:
    """Every remark about these rule files (those that ship, without `paths`), in the order of file and line."""
    mistakes = Mistakes()
    sources = read_rules(paths, mistakes, kinds, site)
    remarks = [Remark(path, line, column, ERROR, text) for path, line, column, text in mistakes]
    for source in sources:
        for issue in ISSUES:
            remarks.extend(Remark(source.rule.path, *mark, severity, text) for severity, mark, text in issue(source))
    remarks.extend(_unknown_followers(sources, paths))
    return sorted(set(remarks))


# ------------------------------------------------------------------------------------------------------- samples

def missing_samples(source: Source) -> Iterator[Issue]:
    """A rule proves itself with a capture that passes and one that fails."""
    verdicts = {sample.verdict for sample in source.rule.samples}
    mark = source.data.keys_at.get("samples", (1, 1))
    for verdict in ("pass", "fail"):
        if verdict not in verdicts:
            yield WARNING, mark, f"no sample with 'verdict: {verdict}'"


def missing_captures(source: Source) -> Iterator[Issue]:
    """Captures, keys and site profiles that `samples` names and that are not there."""
    directory = samples_dir(source.rule.path)
    for sample in source.data.get("samples", ()):
        for key in ("capture", "keys", "site"):
            for name in texts(sample.get(key)):
                if not (directory / name).exists():
                    yield ERROR, sample.keys_at[key], f"sample '{name}' is not in {directory}"


def failing_samples_without_finding(source: Source) -> Iterator[Issue]:
    for sample in source.data.get("samples", ()):
        if sample["verdict"] == "fail" and not sample.get("findings"):
            yield NOTICE, sample.mark, "a failing sample should say in 'findings' how it fails"


def samples_dir(rule_path: str | Path) -> Path:
    """`samples/` beside the nearest folder above the rule that has one; else beside `rules/`."""
    parents = Path(rule_path).resolve().parents
    found = next((parent / "samples" for parent in parents if (parent / "samples").is_dir()), None)
    return found or next((parent.parent / "samples" for parent in parents if parent.name == "rules"),
                         parents[0] / "samples")


# ------------------------------------------------------------------------------------------------------- roles, names

def unused_roles(source: Source) -> Iterator[Issue]:
    used = set(_words(source.data["steps"])) | set(_words(source.data["attempt"]))
    for name, role in source.data["roles"].items():
        used.update(_words(role))
    for name, mark in source.data["roles"].keys_at.items():
        if name not in used:
            yield WARNING, mark, f"role '{name}' takes no part in any step"


def unused_bindings(source: Source) -> Iterator[Issue]:
    """A bound name nobody asks for; names of roles (`segw_serving.address`) settle who is meant and need no asking."""
    used = set(_words(source.data["steps"]))
    for step in _steps(source.data["steps"]):
        for name, mark in getattr(step.get("bind"), "keys_at", {}).items():
            if "." not in name and name not in used:
                yield NOTICE, mark, f"step '{step['step']}' binds '{name}', which nothing uses"


def names_of_this_site(source: Source) -> Iterator[Issue]:
    """A rule never names a host or a vendor's parameter: it asks the site profile."""
    for name, role in source.data["roles"].items():
        for host in texts(role.get("host")):
            if not host.startswith("$"):
                yield NOTICE, role.keys_at["host"], f"role '{name}' names the host '{host}'; write '$site.hosts.{name}'"
    for check in _mappings(source.data["steps"]):
        for key in ("parameter", "parameters"):
            for pattern in texts(check.get(key)) if not isinstance(check.get(key), Map) else ():
                if ".X_" in pattern or pattern.startswith("X_"):
                    yield WARNING, check.keys_at[key], (f"'{pattern}' is one vendor's parameter; it belongs into a "
                                                        "site profile")
                elif not pattern.startswith(("$", *_ROOTS)):
                    yield WARNING, check.keys_at[key], (f"'{pattern}' matches no parameter: names begin with "
                                                        "'Device.' or 'InternetGatewayDevice.', so begin the pattern "
                                                        "with '*.'")


# ------------------------------------------------------------------------------------------------------- steps

def steps_without_hint(source: Source) -> Iterator[Issue]:
    for step in _required(source.data["steps"]):
        if "unchecked" not in step and step.get("severity", "error") == "error" and "hint" not in step:
            yield NOTICE, step.mark, (f"step '{step['step']}' has no hint: what should an engineer look at when it "
                                      "goes wrong?")


def steps_without_ends(source: Source) -> Iterator[Issue]:
    for step in _steps(source.data["steps"]):
        lacking = [key for key in ("from", "to") if key not in step]
        if "unchecked" not in step and lacking:
            yield NOTICE, step.mark, f"step '{step['step']}' does not say {listed(lacking)}: anybody's message will do"


def loose_answers(source: Source) -> Iterator[Issue]:
    """An answer without `answers` may be taken from another try, and two failures read as one success."""
    for step in _steps(source.data["steps"]):
        kinds = texts(step.get("message"))
        is_answer = bool(kinds) and all(kind.lower().endswith("response") for kind in kinds)
        if is_answer and "answers" not in step and not step.get("forbidden"):
            yield WARNING, step.keys_at["message"], (f"step '{step['step']}' is an answer and does not say which step "
                                                     "it 'answers'")
        if "refused_by" in step and "answers" not in step and not is_answer:
            yield NOTICE, step.keys_at["refused_by"], (f"step '{step['step']}' can be refused but answers no step: "
                                                       "any such message between these roles will count as the refusal")


def crossed_answers(source: Source) -> Iterator[Issue]:
    """An answer goes between the ends of its request: back, or on in the same stream (an Inform after a handshake)."""
    steps = {step["step"]: step for step in _steps(source.data["steps"])}
    for step in steps.values():
        request = steps.get(step.get("answers", ""))
        if request and {"from", "to"} <= step.keys() & request.keys():
            if {step["from"], step["to"]} != {request["to"], request["from"]}:
                yield WARNING, step.keys_at["answers"], (
                    f"step '{step['step']}' goes from {step['from']} to {step['to']}, but the request it answers went "
                    f"from {request['from']} to {request['to']}")


def engineering_numbers(source: Source) -> Iterator[Issue]:
    """A number of the specification is written in the rule and cited; a site's number is engineering."""
    for step in _steps(source.data["steps"]):
        within = step.get("within", {})
        if within.get("basis") == "spec" and isinstance(within["seconds"], str):
            yield WARNING, within.keys_at["basis"], (f"step '{step['step']}': 'basis: spec' for "
                                                     f"'{within['seconds']}', which every site may change; write "
                                                     "the specification's number")
        for check in step.get("expect", ()):
            if check.get("basis") == "engineering" and check.get("severity", "error") == "error":
                yield NOTICE, check.keys_at["basis"], (f"step '{step['step']}': a check of ours is an error; "
                                                       "'severity: warning' says that no specification asks for it")


def unreachable(source: Source) -> Iterator[Issue]:
    """Items whose `when` cannot be true where they stand, and branches an earlier branch always takes."""
    seen: list[str] = []

    def never(condition: Map | None) -> str | None:
        if condition is None:
            return None
        (test, value), = condition.items()
        if test == "all":
            return next(filter(None, map(never, value)), None)
        if test == "any":
            reasons = [never(part) for part in value]
            return reasons[0] if all(reasons) else None
        if test == "equals" and value[0] != value[1] and not any(str(part).startswith("$") for part in value):
            return f"{value[0]!r} never equals {value[1]!r}"
        if test == "seen" and value not in seen:
            return f"step '{value}' comes later"
        return None

    def walk(items: List) -> Iterator[Issue]:
        for item in items:
            name = item.get("step", item.get("group"))
            reason = never(item.get("when"))
            if reason:
                yield WARNING, item.keys_at["when"], f"'{name}' can never be reached: {reason}"
            if "step" in item:
                seen.append(name)
                continue
            if item.get("order") == "one_of":
                yield from hidden_branches(item)
            yield from walk(item["steps"])

    def hidden_branches(group: Map) -> Iterator[Issue]:
        first: dict[Any, str] = {}
        for branch in group["steps"]:
            start = next(_steps([branch]))
            signature = repr([start.get(key) for key in ("message", "from", "to", "where", "wireshark")]
                             + [branch.get("when"), len(list(_steps([branch]))) > 1 and branch])
            name = branch.get("step", branch.get("group"))
            if signature in first:
                yield WARNING, branch.mark, (f"'{name}' can never be reached: '{first[signature]}' before it waits for "
                                             "the same")
            first.setdefault(signature, name)

    yield from walk(source.data["steps"])


ISSUES: tuple[Callable[[Source], Iterable[Issue]], ...] = (
    missing_samples, missing_captures, failing_samples_without_finding, unused_roles, unused_bindings,
    names_of_this_site, steps_without_hint, steps_without_ends, loose_answers, crossed_answers, engineering_numbers,
    unreachable)


def _unknown_followers(sources: list[Source], paths: Sequence[str | Path] | None) -> Iterator[Remark]:
    """`then` names a procedure some rule describes, among those given or those that ship."""
    known = {source.rule.procedure for source in sources}
    if paths is not None and any(set(source.rule.then) - known for source in sources):
        known |= {name for name in map(_procedure, files_below(default_rules_dir())) if name}
    for source in sources:
        for name in source.rule.then:
            if name not in known:
                yield Remark(source.rule.path, *source.data.keys_at["then"], WARNING,
                             f"'then: {name}': no rule describes this procedure{did_you_mean(name, known)}")


def _procedure(file: Path) -> str | None:
    """The `procedure:` line of a rule file, without reading the rest."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    found = next((line for line in lines if line.startswith("procedure:")), "")
    return found.partition(":")[2].partition("#")[0].strip().strip("'\"") or None


def _steps(items: Iterable[Map]) -> Iterator[Map]:
    for item in items:
        if "step" in item:
            yield item
        else:
            yield from _steps(item["steps"])


def _required(items: Iterable[Map]) -> Iterator[Map]:
    """The steps whose absence is a finding: those that are not optional, nor in a group that is."""
    for item in items:
        if not item.get("optional"):
            yield from [item] if "step" in item else _required(item["steps"])


def _mappings(value: Any) -> Iterator[Map]:
    if isinstance(value, Map):
        yield value
    for inner in value.values() if isinstance(value, Map) else value if isinstance(value, List) else ():
        yield from _mappings(inner)


def _words(value: Any) -> Iterator[str]:
    """Every text of some data, references by their first part and whole: where a name is used at all."""
    if isinstance(value, str):
        plain = value.removeprefix("$")
        yield plain
        yield plain.partition(".")[0]
    elif isinstance(value, Map):
        for key, inner in value.items():
            if key in ("bind", "remember"):
                yield from (name.partition(".")[0] for name in inner if "." in name)
            yield from _words(inner)
    elif isinstance(value, List):
        for inner in value:
            yield from _words(inner)
