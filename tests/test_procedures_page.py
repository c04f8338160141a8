"""docs/procedures.md says what the rules say: it is what docs/procedures.py writes, and all it points to is there."""

import importlib.util
import re
from pathlib import Path

import pytest

from flowcheck.rulebook.loader import load_rules

DOCS = Path(__file__).resolve().parent.parent / "docs"
spec = importlib.util.spec_from_file_location("docs_procedures", DOCS / "procedures.py")
procedures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(procedures)


def test_the_page_is_what_the_rules_give():
    assert (DOCS / "procedures.md").read_text(encoding="utf-8") == procedures.page(), "run docs/procedures.py"


def test_what_it_points_to_is_there():
    text = (DOCS / "procedures.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    anchors = set(re.findall(r"\]\(#([^)]+)\)", text))
    headings = {"".join(c for c in line[3:].lower().replace(" ", "-") if c.isalnum() or c in "-_")
                for line in text.splitlines()
                if line.startswith("## ")}
    assert links and [link for link in links if not (DOCS / link).exists()] == []
    assert len(anchors) == 17 and anchors <= headings


@pytest.mark.parametrize("rule", load_rules(), ids=lambda rule: rule.procedure)
def test_every_procedure_has_a_sample_that_passes_three_that_fail_and_a_report(rule):
    verdicts = [sample.verdict for sample in rule.samples]
    assert verdicts.count("pass") >= 1 and verdicts.count("fail") >= 3
    assert list((DOCS.parent / "reports").glob(f"{rule.procedure}-*.html"))


def test_every_sample_is_described():
    described = (DOCS.parent / "samples" / "README.md").read_text(encoding="utf-8")
    missing = {Path(capture).parent.name for rule in load_rules() for sample in rule.samples
               for capture in sample.captures
               if f"`{Path(capture).parent.name}`" not in described
               and f"`{'/'.join(Path(capture).parent.parts[1:])}`" not in described}
    assert not missing
