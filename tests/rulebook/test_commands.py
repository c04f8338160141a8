import io
import json

import pytest

from flowcheck.errors import UsageError
from flowcheck.rulebook import commands, loader
from flowcheck.rulebook.site import load_site


@pytest.fixture(autouse=True)
def known_kinds(kinds, monkeypatch):
    monkeypatch.setattr("flowcheck.decode.kinds", lambda: kinds)


def test_list(discovery):
    out = io.StringIO()
    commands.list_rules([discovery], out)
    assert out.getvalue() == ("ts32.583-5.1.1  3GPP TS 32.583 5.1.1  mandatory  20 steps  5 samples  HNB-GW discovery "
                              "via HMS "
                              "(initial) on the MNO Intranet\n")


def test_show(discovery):
    out = io.StringIO()
    commands.show_rule("ts32.583-5.1.1", load_site(), out, [discovery])
    assert "# $site.timers.dns, default" in out.getvalue() and "|<-- dns.response --|" in out.getvalue()


def test_show_of_no_procedure(discovery):
    with pytest.raises(UsageError, match="did you mean 'ts32.583-5.1.1'"):
        commands.show_rule("ts32.583-5.1.2", load_site(), io.StringIO(), [discovery])


def test_lint_status(discovery, broken, tmp_path):
    (tmp_path / "samples").mkdir()
    path, text = broken("\nsamples:", "\n# samples:")
    path.write_text(text.partition("\n# samples:")[0] + "\n")
    out = io.StringIO()
    assert commands.lint_rules([path], out) == 0 and out.getvalue().splitlines()[-1].startswith("0 errors, ")
    assert commands.lint_rules([path], io.StringIO(), strict=True) == 2
    path, _ = broken("message: dns.response", "message: dns.respnse")
    out = io.StringIO()
    assert commands.lint_rules([path], out) == 2 and "unknown message 'dns.respnse'" in out.getvalue()


@pytest.mark.parametrize("name, title", [("rule", "flowcheck rule"), ("site", "flowcheck site profile")])
def test_schema(name, title):
    out = io.StringIO()
    commands.print_schema(out, name)
    assert json.loads(out.getvalue())["title"] == title


def test_the_schema_is_where_rules_look_for_it():
    """Rules name the schema for editors by its path from their own folder."""
    for file in loader.files_below(loader.default_rules_dir()):
        line = file.read_text().splitlines()[0]
        if "$schema=" in line:
            assert (file.parent / line.partition("$schema=")[2].strip()).is_file()
