r"""Formulas become MathML; what stands in `\text{…}` stays text, and what cannot be read stays LaTeX."""

import re
from html.parser import HTMLParser

import pytest

from backproof.page.formulas import mathml

pytestmark = pytest.mark.smoke


def tags(markup):
    """Return the names of the elements, as a browser reads them."""
    found = []
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, _: found.append(tag)
    reader.feed(markup)
    return found


def text(markup):
    found = []
    reader = HTMLParser()
    reader.handle_data = found.append
    reader.feed(markup)
    return "".join(found)


def test_a_formula_has_its_letters_and_its_form():
    shown = mathml(r"\frac{\partial J}{\partial z^l} = (W^{l+1})^{\top} \delta^{l+1} \odot \sigma'(z^l)")
    assert {"math", "mfrac", "msup", "mo", "mi"} <= set(tags(shown))
    assert all(letter in shown for letter in "∂⊤δ⊙σ′")


def test_a_matrix_has_its_rows_and_columns():
    shown = mathml(r"\begin{pmatrix} 1 & 2 & 3 & 4 \\ 5 & 6 & 7 & 8 \end{pmatrix}")
    assert (tags(shown).count("mtr"), tags(shown).count("mtd")) == (2, 8)


@pytest.mark.parametrize("command", ["text", "mathrm", "texttt", "operatorname"])
def test_a_script_in_a_formula_stays_text(command):
    shown = mathml(rf"\{command}{{<script>alert(1)</script>}} = x")
    assert "script" not in tags(shown)
    assert "<script>alert(1)</script>" in re.sub(r"\s", "", text(shown))


@pytest.mark.parametrize("latex", [r"\foo{x}", r"\href{javascript:alert(1)}{x}", r"\frac{1", "<b>&</b>{"])
def test_a_formula_that_cannot_be_read_is_shown_as_its_latex(latex):
    shown = mathml(latex)
    assert tags(shown) == ["code"]
    assert text(shown) == latex


def test_parentheses_of_a_fixed_size_stretch_where_they_come_in_pairs():
    stretched = mathml(r"\Bigl(\frac{a}{b}\Bigr)^2")
    assert "minsize" not in stretched
    assert stretched == mathml(r"\left(\frac{a}{b}\right)^2")
    assert "minsize" in mathml(r"\Bigl(\frac{a}{b}")


@pytest.mark.parametrize("name", ["relu_with(0.5)", "a & b", "5 %", "x # y", r"a\_b"])
def test_a_name_in_a_formula_may_have_any_sign(name):
    assert text(mathml(rf"\texttt{{{name}}}")).replace("\u00a0", " ") == name.replace("\\", "")
