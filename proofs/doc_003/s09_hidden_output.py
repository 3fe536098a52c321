"""Backward: to the output of the hidden layer."""

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import line

from . import LABEL, TESTNET, J_of, cross_entropy, h, indicator
from .s07_residual import output_residual


@bp.derivation(
    r"\frac{\partial J}{\partial a^{(1)}}",
    items=("S3.12",),
    uses=(output_residual,),
    args=[TESTNET[1], bp.array("4"), LABEL],
)
def hidden_output(layer, a_1, y):
    """Both scores hear a^(1)_j: a sum over the column j of W^(2)."""
    W, b = layer["W"], layer["b"]
    z = W @ a_1 + b
    delta = h(z) - indicator(y, z)
    yield line(
        r"\frac{\partial J}{\partial a^{(1)}}", jax.grad(lambda a: J_of(W @ a + b, y))(a_1), "definition"
    )
    yield line(
        r"\sum_i \frac{\partial J}{\partial z_i} \frac{\partial z_i}{\partial a_j}",
        jnp.einsum("i,ij->j", jax.grad(lambda z: J_of(z, y))(z), jax.jacobian(lambda a: W @ a + b)(a_1)),
        "chain rule at z^(2)",
    )
    yield line(
        r"(p(y=1) - 1(y=1))\, W_{1,j} + (p(y=2) - 1(y=2))\, W_{2,j}",
        jnp.stack([delta[0] * W[0, j] + delta[1] * W[1, j] for j in range(4)]),
        "∂z_i/∂a_j = W_ij",
    )
    yield line(r"(W^{(2)})^{\top} \delta^{(2)}", (W.T @ delta[:, None])[:, 0], "(4 × 2)(2 × 1)")
    yield line(
        r"\texttt{backproof}",
        bp.rules.affine(2).backward(layer, a_1, cross_entropy.backward(cross_entropy.forward(z, y)[1]))[1],
        "what this library runs",
    )


@bp.derivation(
    r"\frac{\partial J}{\partial a^{(1)}}",
    items=("E3", "S3.12"),
    args=[TESTNET[1], bp.array("4"), LABEL],
    uses=(hidden_output,),
    refutes=bp.Refutes(
        line=2,
        erratum="E3(g)",
        cause="contract-shape",
        because="Three displays have lost the factor δ^(2): they show (W^(2))ᵀ, 4 × 2, where the products"
        " before and the sizes after it, ℝ^{4×2} · ℝ^{2×1}, say (W^(2))ᵀ δ^(2).",
    ),
)
def a_display_without_its_residual(layer, a_1, y):
    """The matrix display of ∂J/∂a^(1), as it stands."""
    W, b = layer["W"], layer["b"]
    delta = h(W @ a_1 + b) - indicator(y, b)
    yield line(
        r"\frac{\partial J}{\partial a^{(1)}}", jax.grad(lambda a: J_of(W @ a + b, y))(a_1), "definition"
    )
    yield line(r"(W^{(2)})^{\top} \delta^{(2)}", W.T @ delta, "the document's own product")
    yield line(
        r"\begin{bmatrix} W_{1,1} & W_{2,1} \\ \vdots & \vdots \\ W_{1,4} & W_{2,4} \end{bmatrix}",
        W.T,
        "as printed",
    )
