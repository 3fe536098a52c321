"""The sweep step by step: each formula next to its numbers, with a picture of the network at work."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from backproof.page.grids import Grid, grid
from backproof.reporting.network_picture import Picture, picture
from backproof.reporting.sweep import CLASS, PARAMS, Values, values

# How many significant digits of a number are shown.
DIGITS = 3


class Term(NamedTuple):
    """Holds one term of a formula with numbers: the sign before it, its name and its entries."""

    sign: str
    latex: str
    grid: Grid


class Step(NamedTuple):
    """Holds one step: its name, formula and reason, the terms with their numbers, and the picture."""

    title: str
    latex: str
    why: str
    terms: Sequence[Term]
    picture: Picture
    backward: bool


def steps() -> list[Step]:
    """Return the steps of the sweep, the forward pass first."""
    found = values()
    return [*_forward(found), *_backward(found)]


def _forward(v: Values) -> list[Step]:
    (one, two), (z_1, z_2) = PARAMS, v.z
    return [
        Step(
            "The hidden layer, before its activation",
            r"z^{(1)} = W^{(1)} x + b^{(1)}",
            "Row i of W holds the weights into unit i.",
            _terms(
                ("", r"W^{(1)}", one["W"]),
                ("", "x", v.a_0),
                ("+", r"b^{(1)}", one["b"]),
                ("=", r"z^{(1)}", z_1),
            ),
            picture((v.a_0, z_1, None), ("x", "z^(1)", ""), edges=1),
            False,
        ),
        Step(
            "The activation",
            r"a^{(1)} = \max(z^{(1)}, 0)",
            "Entry by entry. A unit below 0 is off, and nothing will flow back through it.",
            _terms(("", r"z^{(1)}", z_1), (r"\mapsto", r"a^{(1)}", v.a[0])),
            picture((v.a_0, v.a[0], None), ("x", "a^(1)", ""), units=1),
            False,
        ),
        Step(
            "The scores",
            r"z^{(2)} = W^{(2)} a^{(1)} + b^{(2)}",
            "The output layer has no activation.",
            _terms(
                ("", r"W^{(2)}", two["W"]),
                ("", r"a^{(1)}", v.a[0]),
                ("+", r"b^{(2)}", two["b"]),
                ("=", r"z^{(2)}", z_2),
            ),
            picture((v.a_0, v.a[0], z_2), ("x", "a^(1)", "z^(2)"), edges=2),
            False,
        ),
        Step(
            "Probabilities and loss",
            r"p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}, \qquad J = -\sum_k y_k \ln p_k",
            f"The sample is of class {CLASS + 1}, so J is −ln of the entry {CLASS + 1} of p.",
            _terms(("", r"z^{(2)}", z_2), (r"\mapsto", "p", v.p), ("", "y", v.y), (r"\mapsto", "J", v.loss)),
            picture((v.a_0, v.a[0], v.p), ("x", "a^(1)", "p"), units=2),
            False,
        ),
    ]


def _backward(v: Values) -> list[Step]:
    delta_1, delta_2 = v.delta
    at_last = (v.a_0, v.a[0], delta_2), ("x", "a^(1)", "δ^(2)")
    at_both = (v.a_0, delta_1, delta_2), ("x", "δ^(1)", "δ^(2)")
    through = (v.a_0, v.delta_a, delta_2), ("x", "∂J/∂a^(1)", "δ^(2)")
    return [
        Step(
            "The error of the output",
            r"\delta^{(2)} = \frac{\partial J}{\partial z^{(2)}} = p - y",
            "Softmax and cross entropy together; nothing is divided by p.",
            _terms(("", "p", v.p), ("-", "y", v.y), ("=", r"\delta^{(2)}", delta_2)),
            picture(*at_last, units=2, backward=True),
            True,
        ),
        _of_weights(
            v, 2, (r"(a^{(1)})^{\top}", v.a[0]), at_last,
            "A column times a row: 2 × 1 by 1 × 4 gives 2 × 4, the shape of W. Where a unit is off, "
            "its column is 0.",
        ),
        _of_biases(v, 2, at_last, "z grows with b one for one."),
        Step(
            "Back through the weights",
            r"\frac{\partial J}{\partial a^{(1)}} = (W^{(2)})^{\top} \delta^{(2)}",
            "Unit j of the hidden layer acts on every score, so its errors add up: column j of W.",
            _terms(
                ("", r"(W^{(2)})^{\top}", PARAMS[1]["W"].T),
                ("", r"\delta^{(2)}", delta_2),
                ("=", r"\partial J / \partial a^{(1)}", v.delta_a),
            ),
            picture(*through, edges=2, backward=True),
            True,
        ),
        Step(
            "Back through the activation",
            r"\delta^{(1)} = (W^{(2)})^{\top} \delta^{(2)} \odot \sigma'(z^{(1)})",
            "The slope of the activation is 1 where a unit is on and 0 where it is off.",
            _terms(
                ("", r"\partial J / \partial a^{(1)}", v.delta_a),
                (r"\odot", r"\sigma'(z^{(1)})", v.gate),
                ("=", r"\delta^{(1)}", delta_1),
            ),
            picture(*at_both, units=1, backward=True),
            True,
        ),
        _of_weights(
            v, 1, (r"x^{\top}", v.a_0), at_both,
            "As in layer 2, with the input in the place of the activation: 4 × 1 by 1 × 3.",
        ),
        _of_biases(v, 1, at_both, "All 26 derivatives are known, after one sweep back."),
    ]  # fmt: skip


def _of_weights(v: Values, layer: int, into: tuple[str, Any], at: Any, why: str) -> Step:
    """Return the step to the weights of a layer: its error times what goes into it, a column times a row."""
    error, name = rf"\delta^{{({layer})}}", rf"W^{{({layer})}}"
    terms = [
        *_terms(("", error, v.delta[layer - 1])),
        _term("", *into, column=False),
        *_terms(("=", rf"\partial J / \partial {name}", v.grads[layer - 1]["W"])),
    ]
    formula = rf"\frac{{\partial J}}{{\partial {name}}} = {error} {into[0]}"
    drawn = picture(*at, edges=layer, backward=True)
    return Step(f"The weights of layer {layer}", formula, why, terms, drawn, True)


def _of_biases(v: Values, layer: int, at: Any, why: str) -> Step:
    """Return the step to the biases of a layer, whose gradient is its error."""
    error, name = rf"\delta^{{({layer})}}", rf"b^{{({layer})}}"
    found = "=", rf"\partial J / \partial {name}", v.grads[layer - 1]["b"]
    terms = _terms(("", error, v.delta[layer - 1]), found)
    formula = rf"\frac{{\partial J}}{{\partial {name}}} = {error}"
    drawn = picture(*at, units=layer, backward=True)
    return Step(f"The biases of layer {layer}", formula, why, terms, drawn, True)


def _terms(*given: tuple[str, str, Any]) -> list[Term]:
    return [_term(sign, latex, value) for sign, latex, value in given]


def _term(sign: str, latex: str, value: Any, *, column: bool = True) -> Term:
    return Term(sign, latex, grid(_plain(value), latex, column=column, digits=DIGITS))


def _plain(value: Any) -> Any:
    """Return a value with −0 written as 0."""
    return np.asarray(value) + 0.0
