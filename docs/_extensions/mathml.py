"""Formulas of the site as MathML, made by math-core when the site is built: no script runs in the browser.

A formula that math-core cannot read is a warning of Sphinx, at its page and line, and so an error under `-W`.
"""

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

LOG = getLogger(__name__)
CONVERTER = LatexToMathML(fancy_error=False)


def mathml(latex: str, *, display: bool) -> str:
    """Return a formula as MathML, in the middle of a line or on a line of its own.

    Raises:
        LatexError: the formula cannot be read.
    """
    return CONVERTER.convert_with_local_state(latex, displaystyle=display)


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in the middle of a line."""
    _write(translator, node, display=False)


def visit_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on a line of its own; a wide one scrolls."""
    translator.body.append('<div class="formula">')
    try:
        _write(translator, node, display=True)
    finally:
        translator.body.append("</div>\n")


def _write(translator: HTML5Translator, node: nodes.Element, *, display: bool) -> None:
    try:
        translator.body.append(mathml(node.astext(), display=display))
    except LatexError as error:
        LOG.warning("formula %r cannot be read: %s", node.astext(), error, location=node, type="mathml")
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    """Make `html_math_renderer = "mathml"` available."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
