"""The report in a real browser: its own policy lets its script run, and nothing else; filters and packed attempts work."""

import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from flowcheck.report import as_html

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")


@pytest.fixture
def visit(tmp_path):
    """Opens a result's report at an address within it; returns the page as it then stands and what the console said."""
    def visit(result, hash="", **options):
        path = as_html.write_html(result, tmp_path / "report.html", **options)[0]
        run = subprocess.run([BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                              "--disable-background-networking",
                              "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}",
                              "--virtual-time-budget=5000", "--dump-dom",
                              f"file://{path}{hash}"], capture_output=True, timeout=120)
        return run.stdout.decode(), re.findall(r"CONSOLE.*", run.stderr.decode(errors="replace"))
    return visit


def hidden_attempts(page):
    return sum(" hidden" in tag for tag in re.findall(r'<details class="attempt[^>]*>', page))


def test_the_policy_is_not_broken_even_by_hostile_text(visit, hostile):
    page, console = visit(hostile)
    assert console == []
    assert 'class="scripted"' in page and "<img" not in page


def rows_shown(page):
    return sum(" hidden" not in tag for tag in re.findall(r'<tr data-device="d\d+"[^>]*>', page))


def test_filters_come_from_the_address(visit, crowd):
    page, console = visit(crowd, "#?verdict=fail")
    assert console == [] and hidden_attempts(page) == 20 and rows_shown(page) == 10
    assert ">10 of 300 attempts</output>" in page


def test_filters_find_those_that_only_the_index_has(visit, crowd):
    page, _ = visit(crowd, "#?verdict=pass")
    assert hidden_attempts(page) == 10 and rows_shown(page) == 290
    assert ">290 of 300 attempts</output>" in page
    page, _ = visit(crowd, "#?q=00193B-HNB-0299")
    assert rows_shown(page) == 1


def test_search_reaches_into_packed_attempts(visit, crowd):
    page, _ = visit(replace(crowd, devices=crowd.devices[:180]), "#?q=HNB%20REGISTER")
    assert ">170 of 180 attempts</output>" in page


def test_the_index_of_many_files_shows_its_rows(visit, crowd):
    page, console = visit(crowd, ceiling=60_000)
    assert console == [] and page.count("<details class=\"attempt") == 0 and rows_shown(page) == 300
    page, _ = visit(crowd, "#?verdict=fail", ceiling=60_000)
    assert rows_shown(page) == 10


def test_a_deep_link_opens_a_packed_attempt(visit, crowd):
    page, console = visit(crowd, "#d11.a1.register")
    assert console == []
    assert re.search(r'<tr id="d11.a1.register" class="seen here">', page)
    assert re.search(r'<details class="attempt pass" id="d11.a1"[^>]* open=""', page)
