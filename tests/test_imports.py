"""Who may import whom, and that asking for help loads nothing heavy.

`model` (but for `frames` and `sealed`), `errors` and `documents` import nothing of ours. Stages see the types and what comes before them: conform/
judges messages and never bytes, report/ sees results only. Modules not named here (cli, check ...) see everything.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import flowcheck

PACKAGE = Path(flowcheck.__file__).parent
MAY_IMPORT = {
    "frames": set(), "sealed": set(), "model": {"frames", "sealed"}, "errors": set(), "documents": set(),
    "capture": {"errors", "model"}, "decode": {"errors", "frames", "model"}, "decrypt": {"errors", "model"},
    "shelf": {"model", "sealed"},
    "observe": {"capture", "decode", "errors", "frames", "model", "session.clocks", "shelf"},
    "observe.recognition": {"decode"},
    "observe.streams": {"capture", "decode", "frames", "model", "observe.passing", "observe.recognition"},
    "rulebook": {"decode", "errors", "model"},                       # the message kinds that decoders declare
    "session": {"documents", "errors", "model", "shelf"},
    "conform": {"documents", "errors", "model", "sealed", "session.lookups", "rulebook.rule", "rulebook.site",
                "rulebook.patterns"},
    "report": {"errors", "model"},
}
HEAVY = ("cryptography", "jinja2", "jsonschema", "lxml", "numpy", "pandas", "pycrate_core", "pyshark", "scapy", "yaml",
         "sqlite3", "asyncio", "multiprocessing")


def imported(path):
    """What a module imports of ours, anywhere in it: `conform.align`, `model`."""
    package = path.relative_to(PACKAGE.parent).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            module = (*package[:len(package) - node.level + 1], *(node.module.split(".") if node.module else ()))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "flowcheck":
            module = tuple(node.module.split("."))
        elif isinstance(node, ast.Import):
            yield from (name.name.partition(".")[2] for name in node.names if name.name.startswith("flowcheck."))
            continue
        else:
            continue
        inside = PACKAGE.joinpath(*module[1:])
        names = {alias.name for alias in node.names
                 if (inside / f"{alias.name}.py").exists() or (inside / alias.name).is_dir()}
        yield from ({".".join((*module[1:], name)) for name in names} or {".".join(module[1:])})


@pytest.mark.parametrize("stage", MAY_IMPORT)
def test_a_stage_sees_only_what_it_may(stage):
    directory = PACKAGE / stage.replace(".", "/")
    files = sorted(directory.rglob("*.py")) if directory.is_dir() else [directory.with_suffix(".py")]
    assert files
    allowed = MAY_IMPORT[stage] | {stage}
    wrong = [f"{file.relative_to(PACKAGE)} imports {name}" for file in files for name in imported(file)
             if name != "__version__" and name not in allowed and name.partition(".")[0] not in allowed]
    assert wrong == []


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["check", "--help"], ["rules", "--help"]])
def test_help_loads_nothing_heavy(arguments):
    program = ("import sys\nfrom flowcheck.cli import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\n"
               "print(*sorted({m.partition('.')[0] for m in sys.modules}), file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout and not set(done.stderr.split()) & set(HEAVY)
