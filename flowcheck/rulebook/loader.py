"""Reads rule files into the objects of rule.py, or says everything that is wrong with them at once.

Four passes over each file: YAML into marked data, structure (schema.json), meaning, objects. Only a file without mistakes
becomes a Rule. After all files come the checks across them: procedure names, and what `$device.` names another rule has
to remember.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import RuleError
from . import build, meaning, structure
from .mistakes import Mistakes, did_you_mean, listed
from .rule import Rule, Site
from .site import known_names
from .yamltree import Map, read

SUFFIXES = (".yaml", ".yml")


def load_rules(paths: Sequence[str | Path] | None = None, kinds: Mapping[str, tuple[str, ...]] | None = None,
               site: Site | None = None) -> tuple[Rule, ...]:
    """The rules in these files and directories, in the order of their procedure names.

    Without `paths` the rules that ship. `kinds` are the message kinds with their fields, those of the decoders when not
    given; names that a site profile adds to the defaults are known when it is given. Raises RuleError with every mistake
    of all files, one `path:line:column: text` a line.
    """
    mistakes = Mistakes()
    rules = _load(paths, kinds, site, mistakes)
    mistakes.raise_as(RuleError)
    return tuple(sorted(rules, key=lambda rule: rule.procedure))


def load_rule(path: str | Path, kinds: Mapping[str, tuple[str, ...]] | None = None, site: Site | None = None) -> Rule:
    """The rule in one file."""
    return load_rules([path], kinds, site)[0]


def rule_files(paths: Sequence[str | Path] | None = None) -> list[Path]:
    """The rule files that these paths name, a directory standing for all below it; sorted, each once."""
    found: dict[Path, None] = {}
    for path in [default_rules_dir()] if paths is None else map(Path, paths):
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
            if not inside:
                raise RuleError(f"{path}: no rule files (*.yaml) in this directory")
            found.update(dict.fromkeys(inside))
        elif path.is_file():
            found[path] = None
        else:
            raise RuleError(f"{path}: no such file or directory")
    return list(found)


def default_rules_dir() -> Path:
    """The rules that ship: inside the installed package, or at the top of a source checkout."""
    package = Path(__file__).resolve().parent.parent
    for directory in (package / "rules", package.parent / "rules"):
        if directory.is_dir():
            return directory
    raise RuleError(f"{package / 'rules'}: the rules that ship with flowcheck are missing; install it again, or name "
                    "rules with --rules")


def collect(paths: Sequence[str | Path] | None, kinds: Mapping[str, tuple[str, ...]] | None, site: Site | None,
            mistakes: Mistakes) -> list[Rule]:
    """As `load_rules`, but mistakes are left in `mistakes` and the files without any are returned."""
    return _load(paths, kinds, site, mistakes)


def _load(paths: Sequence[str | Path] | None, kinds: Mapping[str, tuple[str, ...]] | None, site: Site | None,
          mistakes: Mistakes) -> list[Rule]:
    if kinds is None:
        from ..decode import kinds as declared
        kinds = declared()
    names = known_names(site)
    rules: list[Rule] = []
    meanings: list[meaning.Meaning] = []
    procedures: dict[str, str] = {}
    for file in rule_files(paths):
        path = str(file)
        text, digest = _text(file, mistakes)
        data = read(text, path, mistakes)
        if not isinstance(data, Map):
            if text.strip() and data is not None or not text.strip():
                mistakes.add(path, (1, 1), "a rule file is a mapping that begins with 'procedure:'")
            continue
        before = len(mistakes)
        if not structure.check(data, "schema.json", path, mistakes):
            continue
        meanings.append(meaning.check(data, path, kinds, names, mistakes))
        first = procedures.setdefault(data["procedure"], path)
        if first != path:
            mistakes.add(path, data.keys_at["procedure"], f"procedure '{data['procedure']}' is described in {first} too")
        if len(mistakes) == before:
            rules.append(build.rule(data, path, digest))
    _device_names(meanings, paths, kinds, mistakes)
    return rules


def _text(file: Path, mistakes: Mistakes) -> tuple[str, str]:
    try:
        data = file.read_bytes()
        return data.decode("utf-8-sig"), hashlib.sha256(data).hexdigest()
    except OSError as error:
        raise RuleError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        mistakes.add(str(file), (data[:error.start].count(b"\n") + 1, 1), "not UTF-8 text")
        return "", ""


def _device_names(meanings: Iterable[meaning.Meaning], paths: Sequence[str | Path] | None,
                  kinds: Mapping[str, tuple[str, ...]], mistakes: Mistakes) -> None:
    """Each `$device.x` must be part of a device's identity or remembered by a step of some rule, of those that ship too."""
    meanings = list(meanings)
    remembered = {name for one in meanings for name in one.remembered} | set(meaning.IDENTITY)
    unknown = [(one, *use) for one in meanings for use in one.device_uses if use[0] not in remembered]
    if unknown and paths is not None:
        remembered.update(_remembered_by_default(kinds))
    for one, name, mark, owner in unknown:
        if name not in remembered:
            guess = did_you_mean(name, remembered) or f"; remembered are {listed(sorted(remembered - set(meaning.IDENTITY)))}"
            one.say(mark, owner, f"'$device.{name}': no step of any rule remembers it{guess}")


def _remembered_by_default(kinds: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for rule in _load(None, kinds, None, Mistakes()):
        for step in rule.steps():
            yield from (binding.name for binding in step.remember)
