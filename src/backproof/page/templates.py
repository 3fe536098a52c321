"""The templates, filled by Jinja2, and the files that stand next to them; the one place with Jinja2.

Whatever is filled in is escaped, unless it is the MathML of a formula, the result of a template, or a file of
this package. A name that a template lacks is an error, never an empty text. Jinja2 is optional, so it is
imported where it is first used.
"""

from functools import cache
from importlib.resources import files
from typing import Any

from backproof.page.formulas import mathml


@cache
def _environment() -> Any:
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("backproof.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["mathml"] = lambda latex: _safe(mathml(latex))
    return made


def _safe(text: str) -> str:
    """Return text that a template need not escape."""
    import markupsafe

    return markupsafe.Markup(text)


def render(template: str, **values: Any) -> str:
    """Return a template filled with values; the result is not escaped where another template takes it."""
    return _safe(_environment().get_template(template).render(**values))


@cache
def text_of(name: str) -> str:
    """Return the text of a file that stands next to the templates, such as `page.js`; it is not escaped."""
    return _safe((files("backproof.page") / "templates" / name).read_text(encoding="utf-8"))


@cache
def bytes_of(name: str) -> bytes:
    """Return the bytes of a file that stands next to the templates, such as the font."""
    return (files("backproof.page") / "templates" / name).read_bytes()
