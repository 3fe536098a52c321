"""Formulas in a terminal: the documents' LaTeX reads as they print it."""

import pytest

from backproof.derivations.latex import readable


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\frac{\partial J}{\partial z^L}", "∂J/∂zᴸ"),
        (r"(a^L - y) \odot \sigma'(z^L)", "(aᴸ - y) ⊙ σ′(zᴸ)"),
        (r"(W^{l+1})^{\top} \delta^{l+1}", "(Wˡ⁺¹)ᵀ δˡ⁺¹"),
        (r"\frac{\partial}{\partial a^L} \frac12 \|a^L - y\|_2^2", "∂/∂aᴸ (1/2) ‖aᴸ - y‖₂²"),
        (r"\sum_i \delta^L_i a_{j}", "∑ᵢ δᴸᵢ aⱼ"),
        (r"\operatorname{diag}(\sigma'(z^l))", "diag(σ′(zˡ))"),
        (r"\frac{a + b}{c}", "(a + b)/c"),
        (r"\frac{1}{r} (g - y)", "(1/r) (g - y)"),
        (r"\frac{a}{b}\frac1s x", "(a/b)(1/s) x"),
        (r"x + \frac{a}{b} + c", "x + a/b + c"),
        (r"\frac12, \frac{n}{2} = k", "1/2, n/2 = k"),
        (r"\frac{x}{y}^2", "(x/y)²"),
        (r"\overline{ab}, \hat x", "a\u0304b\u0304, x\u0302"),
        (r"x^\star, A^\dagger \succ B \iff C", "x^⋆, A^† ≻ B ⇔ C"),
        (r"\binom{n}{k}", "(n choose k)"),
        (r"\underbrace{a + b}_{c}", "(a + b)_c"),
        (r"\sqrt{n} \le \infty", "√n ≤ ∞"),
        (r"x^{\text{new}}", "xⁿᵉʷ"),
        (r"W_{Q}", "W_Q"),
        (r"{\textstyle\sum_j} a_j", "∑ⱼ aⱼ"),
        (r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}", "[a, b; c, d]"),
        (r"\mathbb{R}^{n}", "ℝⁿ"),
        (r"\texttt{half\_squared\_error}", "half_squared_error"),
        (r"\unknown{x}", "unknownx"),
        ("", ""),
        (r"\frac{", "()/()"),
    ],
)
def test_a_formula_is_readable(latex, text):
    assert readable(latex) == text
