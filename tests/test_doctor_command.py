"""`flowcheck doctor`: a line per part; what is missing says what that costs."""

from __future__ import annotations

import json
import re
from importlib import metadata

from flowcheck.cli import main
from flowcheck.commands import doctor

RULE = "rules/ts32.583/5.1.1-discovery-intranet.yaml"


def parts(capsys, *arguments):
    status = main(["doctor", "--json", *arguments])
    found = json.loads(capsys.readouterr().out)
    return status, {part["name"]: part for part in found["parts"]}


def test_every_part_is_found_or_says_what_its_absence_costs(capsys, request):
    status, found = parts(capsys, "--rules", str(request.config.rootpath / RULE))
    assert status == 0 and found["rules"]["found"].startswith("1 in ")
    assert all(part["found"] or part["costs"] for part in found.values())
    assert {name for name, _, _ in doctor.PACKAGES} <= set(found)
    assert {"tshark", "chromium", "python", "cache"} <= set(found)


def test_programs_that_are_not_there(capsys, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    main(["doctor"])
    out = capsys.readouterr().out
    assert "absent   tshark" in out and "apt-get install tshark" in out and "second opinion" in out


def test_a_package_that_a_check_needs(capsys, monkeypatch):
    real = metadata.version

    def version(name):
        if name in ("lxml", "scapy"):
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    assert main(["doctor"]) == 2
    out = capsys.readouterr().out
    assert "MISSING  lxml" in out and "absent   scapy" in out and out.splitlines()[-1].startswith("a check cannot run")


def test_rules_that_are_wrong(capsys, tmp_path):
    (tmp_path / "x.yaml").write_text("procedure: [\n")
    status, found = parts(capsys, "--rules", str(tmp_path))
    assert status == 2 and not found["rules"]["found"] and "x.yaml" in found["rules"]["costs"]


def test_every_package_of_the_project_is_looked_for(request):
    import tomllib
    project = tomllib.loads((request.config.rootpath / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    listed = [*project["dependencies"], *(text for extra in extras for text in extra)]
    wanted = {re.match(r"[A-Za-z0-9_.-]+", text)[0] for text in listed} - {project["name"]}
    assert wanted <= {name for name, _, _ in doctor.PACKAGES}
