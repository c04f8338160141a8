"""The report used as a reader uses it: opened from disk, searched, filtered, linked to, printed, and checked by axe-core."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from flowcheck.report import as_html

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = Path(sys.prefix) / "share" / "axe-core" / "axe.min.js"
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, tmp_path):
    """Opens a result's report at an address within it. The page's `said` and `asked` are its console and its requests."""
    contexts = []

    def visit(result, hash="", **options):
        path = as_html.write_html(result, tmp_path / "report.html")[0]
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("dialog", lambda dialog: (page.said.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(f"file://{path}{hash}")
        page.wait_for_selector("body.scripted, html.scripted, .scripted", state="attached")
        return page
    yield visit
    for context in contexts:
        context.close()


def shown(page):
    return page.locator("details.attempt:not([hidden])")


@pytest.mark.parametrize("kind", ["refused", "several", "hidden", "passed", "empty", "hostile", "crowd"])
def test_it_opens_from_disk_without_a_request_or_an_error(kind, visit, request):
    page = visit(request.getfixturevalue(kind))
    assert page.said == [] and len(page.asked) == 1 and page.asked[0].startswith("file://")
    assert page.locator("h1#verdict").is_visible()


def test_search_and_filters(visit, several):
    page = visit(several)
    assert shown(page).count() == 4
    page.select_option("#f-verdict", "fail")
    count = page.locator("#f-count")
    playwright.expect(count).to_have_text(re.compile("^2 of 4"))
    assert shown(page).count() == 2
    page.fill("#f-q", "AUTHENTICATION_FAILED")
    playwright.expect(count).to_have_text(re.compile("^1 of 4"))
    assert shown(page).count() == 1
    page.fill("#f-q", "nothing says this")
    page.wait_for_selector("#none:not([hidden])")
    page.click("#f-clear")
    playwright.expect(shown(page)).to_have_count(4)
    assert shown(page).count() == 4 and page.said == []


def test_filters_are_in_the_address_and_come_back_from_it(visit, several):
    page = visit(several)
    page.select_option("#f-verdict", "inconclusive")
    page.wait_for_url(re.compile("verdict=inconclusive"))
    page.reload()
    playwright.expect(shown(page)).to_have_count(1)
    assert page.input_value("#f-verdict") == "inconclusive"


def test_a_deep_link_opens_its_attempt_and_marks_its_step(visit, several):
    page = visit(several, "#d1.a4.register")
    row = page.locator('[id="d1.a4.register"]')
    row.wait_for(state="visible")
    assert "here" in row.get_attribute("class").split() and page.said == []


def test_failures_are_reached_by_keyboard(visit, several):
    page = visit(several)
    page.keyboard.press("n")
    first = page.evaluate("document.activeElement.closest('details')?.id || location.hash")
    page.keyboard.press("n")
    assert first and first != page.evaluate("document.activeElement.closest('details')?.id || location.hash")


def test_hostile_text_stays_text(visit, hostile):
    """File names, names in certificates and DNS, headers, SOAP: whatever came from the wire."""
    page = visit(hostile)
    assert page.said == []
    assert page.locator("main script, main img, main iframe, main object, main [onerror], main [onload]").count() == 0
    assert page.locator('a[href^="javascript:"]').count() == 0
    assert "<script>alert(1)</script>" in page.inner_text("body") and page.locator("style").count() == 1


def test_without_script_it_still_says_everything(visit, browser, several, tmp_path):
    path = as_html.write_html(several, tmp_path / "plain.html")[0]
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"file://{path}")
    text = page.inner_text("body")
    assert "AUTHENTICATION_FAILED" in text and page.locator("svg").count() >= 1 and not page.locator("#filters").is_visible()
    context.close()


def luminance(colour):
    channels = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_dark_is_dark_and_print_is_light_with_everything_open(visit, several):
    page = visit(several, color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    assert luminance(page.evaluate(background)) < 0.1
    page.emulate_media(media="print", color_scheme="dark")
    assert luminance(page.evaluate("(() => { const c = " + background
                                   + "; return c === 'rgba(0, 0, 0, 0)' ? 'rgb(255,255,255)' : c })()")) > 0.9
    assert not page.locator("#filters").is_visible()
    assert len(page.pdf()) > 10_000


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_window(width, visit, several):
    page = visit(several, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed (tests/run fetches it with npm)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["refused", "several", "hidden", "crowd"])
def test_axe_finds_nothing_serious(kind, scheme, visit, request):
    page = visit(request.getfixturevalue(kind), color_scheme=scheme, bypass_csp=True)
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)")
    serious = [(v["id"], v["help"], v["nodes"][0]["html"][:200], v["nodes"][0].get("failureSummary", "")[:300])
               for v in found
               if v["impact"] in ("serious", "critical")]
    assert serious == []
