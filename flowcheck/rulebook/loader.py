"""Reads rule files into the objects of rule.py, or says everything that is wrong with them at once.

Four passes over each file: YAML into marked data, structure (schema.json), meaning, objects. Only a file without
mistakes becomes a Rule. After all files come the checks across them: procedure names, and what `$device.` names another
rule has to remember.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import RuleError
from . import build, meaning, structure
from .mistakes import Mistakes, did_you_mean, listed
from .names import Names
from .rule import Rule, Site
from .site import known_names
from .yamltree import List, Map, read

SUFFIXES = (".yaml", ".yml")


def load_rules(paths: Sequence[str | Path] | None = None, kinds: Mapping[str, tuple[str, ...]] | None = None,
               site: Site | None = None) -> tuple[Rule, ...]:
    """The rules in these files and directories, in the order of their procedure names.

    Without `paths` the rules that ship. `kinds` are the message kinds with their fields, those of the decoders when not
    given; names that a site profile adds to the defaults are known when it is given. Raises RuleError with every
    mistake of all files, one `path:line:column: text` a line.
    """
    mistakes = Mistakes()
    sources = read_rules(paths, mistakes, kinds, site)
    mistakes.raise_as(RuleError)
    return tuple(sorted((source.rule for source in sources), key=lambda rule: rule.procedure))


def load_rule(path: str | Path, kinds: Mapping[str, tuple[str, ...]] | None = None, site: Site | None = None) -> Rule:
    """The rule in one file."""
    return load_rules([path], kinds, site)[0]


def rule_files(paths: Sequence[str | Path] | None = None) -> list[Path]:
    """The rule files that these paths name, a directory standing for all below it; sorted, each once."""
    found: dict[Path, None] = {}
    for path in [default_rules_dir()] if paths is None else map(Path, paths):
        if path.is_dir():
            inside = files_below(path)
            if not inside:
                raise RuleError(f"{path}: no rule files (*.yaml) in this directory")
            found.update(dict.fromkeys(inside))
        elif path.is_file():
            found[path] = None
        else:
            raise RuleError(f"{path}: no such file or directory")
    return list(found)


def files_below(directory: Path) -> list[Path]:
    """The rule files in a directory and below it, sorted."""
    return sorted(file for file in directory.rglob("*") if file.suffix in SUFFIXES and file.is_file())


def default_rules_dir() -> Path:
    """The rules that ship: inside the installed package, or at the top of a source checkout."""
    package = Path(__file__).resolve().parent.parent
    for directory in (package / "rules", package.parent / "rules"):
        if directory.is_dir():
            return directory
    raise RuleError(f"{package / 'rules'}: the rules that ship with flowcheck are missing; install it again, or name "
                    "rules with --rules")


class Source(NamedTuple):
    """A rule together with the data it was made of, which knows the line of every key."""

    data: Map
    rule: Rule


def read_rules(paths: Sequence[str | Path] | None, mistakes: Mistakes,
               kinds: Mapping[str, tuple[str, ...]] | None = None,
               site: Site | None = None) -> list[Source]:
    """As `load_rules`, but leaves the mistakes in `mistakes` and returns the rules that have none of their own."""
    if kinds is None:
        from ..decode import kinds as declared
        kinds = declared()
    names = known_names(site)
    sources: list[Source] = []
    known: list[Names] = []
    procedures: dict[str, str] = {}
    for file in rule_files(paths):
        path = str(file)
        text, digest = _text(file, mistakes)
        if text is None:
            continue
        data = read(text, path, mistakes)
        if not isinstance(data, Map):
            if data is not None or not text.strip():
                mistakes.add(path, (1, 1), "a rule file is a mapping that begins with 'procedure:'")
            continue
        before = len(mistakes)
        if not structure.check(data, "schema.json", path, mistakes):
            continue
        known.append(meaning.check(data, path, kinds, names, mistakes))
        first = procedures.setdefault(data["procedure"], path)
        if first != path:
            mistakes.add(path, data.keys_at["procedure"],
                         f"procedure '{data['procedure']}' is described in {first} too")
        if len(mistakes) == before:
            sources.append(Source(data, build.rule(data, path, digest)))
    _device_names(known, paths, mistakes)
    return sources


def _text(file: Path, mistakes: Mistakes) -> tuple[str | None, str]:
    try:
        data = file.read_bytes()
        return data.decode("utf-8-sig"), hashlib.sha256(data).hexdigest()
    except OSError as error:
        raise RuleError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        mistakes.add(str(file), (data[:error.start].count(b"\n") + 1, 1), "not UTF-8 text")
        return None, ""


def _device_names(known: list[Names], paths: Sequence[str | Path] | None, mistakes: Mistakes) -> None:
    """Each `$device.x` must be remembered by a step of some rule; those that ship count too."""
    remembered = {name for one in known for name in one.remembered}
    if paths is not None and any(use[0] not in remembered for one in known for use in one.device_uses):
        remembered.update(_remembered_by_default())
    for one in known:
        for name, mark, owner in one.device_uses:
            if name not in remembered:
                guess = did_you_mean(name, remembered) or f"; remembered are {listed(sorted(remembered))}"
                one.say(mark, owner, f"'$device.{name}': no step of any rule remembers it{guess}")


def _remembered_by_default() -> Iterator[str]:
    """The names that `remember` gives values in the rules that ship, whatever else may be wrong with these files."""
    def below(value: Any) -> Iterator[str]:
        inside = value.items() if isinstance(value, Map) else enumerate(value) if isinstance(value, List) else ()
        for key, inner in inside:
            if key == "remember" and isinstance(inner, Map):
                yield from inner
            else:
                yield from below(inner)

    for file in files_below(default_rules_dir()):
        yield from below(read(_text(file, Mistakes())[0] or "", str(file), Mistakes()))
