from pathlib import Path

import jinja2
import pytest

from flowcheck.report import html_fields, ladder, template
from flowcheck.report.view_page import Provenance

FOLDER = Path(template.__file__).parent / "templates"
NAMES = sorted(path.stem for path in FOLDER.glob("*.html"))


@pytest.mark.parametrize("name", NAMES)
def test_no_template_leaves_escaping_to_itself(name):
    text = (FOLDER / f"{name}.html").read_text(encoding="utf-8")
    assert "|safe" not in text.replace(" ", "") and "autoescape" not in text


def test_what_is_put_in_is_escaped():
    text = template.render("provenance", provenance=Provenance([("<b>", "\"'&")], "", "<i>", [])).decode()
    assert "<dt>&lt;b&gt;</dt><dd>&#34;&#39;&amp;</dd>" in text and "<code>&lt;i&gt;</code>" in text


def test_a_name_that_nobody_gives_is_an_error():
    with pytest.raises((jinja2.UndefinedError, AttributeError)):
        template.render("causes")
    with pytest.raises((jinja2.UndefinedError, AttributeError)):
        template.render("causes", causes=[("code", "side")])


def test_what_is_drawn_beforehand_is_escaped_there(hostile):
    attempt = hostile.devices[0].attempts[0]
    drawn = ladder.draw(attempt, "d1.a1", ("<x>",)) + html_fields.table(attempt.events[0].fields, attempt.findings, 4_096)
    assert "&lt;script&gt;" in drawn and not any(tag in drawn for tag in ("<script", "<img", "<x", "<b>"))
