"""`flowcheck doctor`: what is installed, what is missing, and what that costs."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import NamedTuple

from . import common

HELP = "say what is installed, what is missing, and what that costs"
OLDEST = (3, 11)
PACKAGES = (            # distribution, whether a check needs it, what its absence costs
    ("cryptography", True, "IKE, ESP and TLS stay sealed even with keys, certificates are not read"),
    ("lxml", True, "CWMP and other XML is not read"),
    ("PyYAML", True, "no rule file and no site profile can be read"),
    ("jinja2", True, "no HTML report"),
    ("jsonschema", False, "the tests of the JSON result are skipped"),
    ("zstandard", False, "captures compressed with zstd cannot be read"),
    ("lz4", False, "captures compressed with lz4 cannot be read"),
    ("pycrate", False, "no synthetic HNBAP, S1AP and NAS messages, and their decoders are not compared with it"),
    ("pandas", False, "no tables of a batch"),
    ("pyarrow", False, "a batch writes its tables as CSV only, not as Parquet"),
    ("msgpack", False, "a batch decodes again what it has decoded before"),
    ("distributed", False, "a batch runs on this machine only, not on a Dask cluster"),
    ("duckdb", False, "no questions to an archive of results in SQL"),
    ("fsspec", False, "captures in object stores have to be copied here first"),
    ("s3fs", False, "captures in S3 have to be copied here first"),
    ("pyshark", False, "no second opinion by Wireshark, no rule steps with a Wireshark filter"),
    ("scapy", False, "no redacted captures and no new samples"),
    ("pytest", False, "the tests cannot be run"),
    ("hypothesis", False, "the tests with random bytes cannot be run"),
    ("playwright", False, "the tests that use a report in a browser are skipped"),
    ("moto", False, "the tests of object stores are skipped"),
)
PROGRAMS = (
    (("tshark",), "apt-get install tshark", "no second opinion by Wireshark, no rule steps with a Wireshark filter"),
    (("chromium", "chromium-browser", "google-chrome"), "apt-get install chromium",
     "the tests that open a report in a browser are skipped"),
)


class Part(NamedTuple):
    name: str
    found: str              # version or place; empty where it is missing
    needed: bool
    costs: str              # what its absence means, and how to get it


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="a JSON object instead of lines")
    parser.add_argument("--rules", action="append", default=[], metavar="PATH",
                        help="rules to look at (default: those that ship)")
    common.output_options(parser)


def run(options: argparse.Namespace) -> int:
    parts = [*_python(), *_compiled(), *_packages(), *_programs(), *_compressions(), _rules(options.rules),
             Part("cache", "none but DIR/index of a batch's --output-dir, which may be deleted at any time", False, "")]
    healthy = all(part.found or not part.needed for part in parts)
    if options.json:
        shown = {"schema": "flowcheck/doctor/1", "healthy": healthy, "parts": [part._asdict() for part in parts]}
        print(json.dumps(shown, indent=1))
    else:
        for part in parts:
            print(_line(part))
        print("everything a check needs is here" if healthy else
              "a check cannot run before what is missing above is installed")
    return common.EXIT_OK if healthy else common.EXIT_USAGE


def _line(part: Part) -> str:
    state = "ok" if part.found else "MISSING" if part.needed else "absent"
    return f"{state:<8} {part.name:<22} {part.found or part.costs}"


def _python() -> Iterator[Part]:
    from .. import __version__
    yield Part("flowcheck", __version__, True, "")
    right = sys.version_info >= OLDEST
    yield Part("python", platform.python_version() if right else "", True,
               f"{platform.python_version()} is too old; {'.'.join(map(str, OLDEST))} or later is needed")


def _compiled() -> Iterator[Part]:
    from ..capture import bypass, network
    yield Part("compiled scanner", bypass.compiled.__file__ if bypass.COMPILED else "", False,
               "large captures full of traffic that nobody asks for take about twice as long; install flowcheck again with a C compiler")
    yield Part("compiled headers", network.compiled.__file__ if network.COMPILED else "", False,
               "reading takes a twentieth longer; install flowcheck again with a C compiler")


def _packages() -> Iterator[Part]:
    for name, needed, costs in PACKAGES:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            version = ""
        yield Part(name, version, needed, f"{costs}; pip install {name}")


def _programs() -> Iterator[Part]:
    for names, how, costs in PROGRAMS:
        place = next((found for name in names if (found := shutil.which(name))), "")
        yield Part(names[0], place, False, f"{costs}; {how}")


def _compressions() -> Iterator[Part]:
    """gzip, bzip2 and xz come with Python, unless it was built without their libraries."""
    for module, name in (("zlib", "gzip captures"), ("bz2", "bzip2 captures"), ("lzma", "xz captures")):
        found = _works(lambda: __import__(module))
        yield Part(name, "readable" if found else "", False, f"this Python was built without {module}")


def _works(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except ImportError:
        return False
    return True


def _rules(paths: list[str]) -> Part:
    from ..errors import RuleError
    from ..rulebook.loader import default_rules_dir, load_rules
    try:
        rules = load_rules(paths or None)
        place = ", ".join(paths) or str(default_rules_dir())
        return Part("rules", f"{len(rules)} in {place}", True, "")
    except (RuleError, ImportError) as error:
        return Part("rules", "", True, str(error).splitlines()[0])
