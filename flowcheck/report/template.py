"""The templates of the HTML report, which lie in templates/: one environment, that escapes whatever a template puts in.

What is HTML already comes as `markupsafe.Markup`: what is rendered here, the ladder and the fields of messages. A name
that a template misspells is an error. Imported where HTML is written, never at start; a template is compiled when it is
first used.
"""

from __future__ import annotations

from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from flowcheck.report.markup import escaped

_FOLDER = Path(__file__).parent / "templates"
_TOGETHER = 1_024             # pieces of a page, most of them some words long


def _put_in(value: Any) -> str:
    """`markupsafe.escape` for what a template joins at once: a page has thousands of pieces, and none needs to be Markup of its own."""
    kind = type(value)
    return escaped(value) if kind is str else value if kind is Markup else escape(value)


class _Template(Template):
    """Escapes with `_put_in` wherever the compiled template calls `escape`."""

    @classmethod
    def from_code(cls, *arguments: Any, **options: Any) -> Template:
        template = super().from_code(*arguments, **options)
        template.root_render_func.__globals__["escape"] = _put_in
        return template


class _Environment(Environment):
    """Templates are given tuples with named parts: what is asked of them is an attribute, and a wrong name an error."""

    getattr = staticmethod(getattr)
    template_class = _Template


_ENVIRONMENT = _Environment(
    loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, auto_reload=False,
    trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)


def render(name: str, **view: Any) -> bytes:
    """The template of that name, filled in, in UTF-8, part by part: as text, one rare character makes all others take four
    octets."""
    pieces, parts = _ENVIRONMENT.get_template(f"{name}.html").generate(view), []
    while part := "".join(islice(pieces, _TOGETHER)):
        parts.append(part.encode())
    return b"".join(parts)


@cache
def source(name: str) -> Markup:
    """The style sheet or the script of the page: our own, so put in as it is."""
    return Markup((_FOLDER / name).read_text(encoding="utf-8"))
