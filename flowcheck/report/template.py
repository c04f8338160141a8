"""The templates of the HTML report, which lie in templates/: one environment, that escapes whatever a template puts in.

What is HTML already comes as `markupsafe.Markup`: what is rendered here, the ladder and the fields of messages. A name
that a template misspells is an error. Imported where HTML is written, never at start; a template is compiled when it is
first used.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_FOLDER = Path(__file__).parent / "templates"


class _Environment(Environment):
    """Templates are given tuples with named parts: what is asked of them is an attribute, and a wrong name an error."""

    getattr = staticmethod(getattr)


_ENVIRONMENT = _Environment(
    loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, auto_reload=False,
    trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)


def render(name: str, **view: Any) -> Markup:
    """The template of that name, filled in."""
    return Markup(_ENVIRONMENT.get_template(f"{name}.html").render(view))


@cache
def source(name: str) -> Markup:
    """The style sheet or the script of the page: our own, so put in as it is."""
    return Markup((_FOLDER / name).read_text(encoding="utf-8"))
