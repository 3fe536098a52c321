"""The gradients of the last weights and bias, and the parenthesis that the document leaves out."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line, rules

from . import J, dsigma, sigma
from .s2_output_error import output_delta


@bp.derivation(
    r"\frac{\partial J}{\partial W^L} = \delta^L (a^{L-1})^{\top}",
    items=("S0.4",),
    of=lambda W, b, a_below, y: J(sigma(W @ a_below + b), y),
)
def output_weights(
    W: Float[Array, "n m"], b: Float[Array, " n"], a_below: Float[Array, " m"], y: Float[Array, " n"]
):
    """The gradient of the last weights. The document leaves out a parenthesis here: see erratum E0(a)."""
    z = W @ a_below + b
    delta = output_delta.value(z, y)
    yield line(
        r"\sum_i \delta^L_i \frac{\partial z^L_i}{\partial W^L}",
        jnp.einsum("i,ijk->jk", delta, jax.jacobian(lambda W: W @ a_below + b)(W)),
        "chain rule through z^L",
    )
    yield line(
        r"\sum_i \delta^L_i [i = j] a^{L-1}_k",
        jnp.einsum("i,ij,k->jk", delta, jnp.eye(len(b)), a_below),
        "z_i holds row i of W alone, times a^{L−1}",
    )
    yield line(r"\delta^L (a^{L-1})^{\top}", delta[:, None] @ a_below[None, :], "a column times a row")
    yield line(
        r"\texttt{affine.backward}",
        rules.affine(len(b)).backward({"W": W, "b": b}, a_below, delta)[0]["W"],
        "what this library runs",
    )


@bp.derivation(
    r"(a^L - y) \odot \sigma'(z^L) (a^{L-1})^{\top}",
    items=("E0",),
    refutes=bp.Refutes(
        1,
        "E0(a)",
        "contract-shape",
        "The product needs a parenthesis, and columns: ((a − y) ⊙ σ′) aᵀ. On arrays of one axis ᵀ does "
        "nothing and the product is an inner one: a scalar where the lengths agree, an error elsewhere.",
    ),
    of=(r"\frac{\partial J}{\partial W^L}", lambda W, b, a_below, y: J(sigma(W @ a_below + b), y)),
)
def missing_parenthesis(
    W: Float[Array, "n m"], b: Float[Array, " n"], a_below: Float[Array, " m"], y: Float[Array, " n"]
):
    """The document's ∂J/∂W^L, read literally on vectors."""
    z = W @ a_below + b
    yield line(
        r"(a^L - y) \odot \sigma'(z^L) (a^{L-1})^{\top}",
        (sigma(z) - y) * dsigma(z) @ a_below.T,
        "as the document writes it",
    )
    yield line(
        r"\bigl((a^L - y) \odot \sigma'(z^L)\bigr) (a^{L-1})^{\top}",
        jnp.outer((sigma(z) - y) * dsigma(z), a_below),
        "with the parenthesis, and a column times a row",
    )


@bp.derivation(
    r"(a^L - y) \odot \sigma'(z^L) (a^{L-1})^{\top}",
    items=("E0",),
    of=(r"\frac{\partial J}{\partial W^L}", lambda W, b, a_below, y: J(sigma(W @ a_below + b), y)),
)
def missing_parenthesis_on_columns(
    W: Float[Array, "n m"], b: Float[Array, "n 1"], a_below: Float[Array, "m 1"], y: Float[Array, "n 1"]
):
    """On columns the slip does no harm: (a − y) is broadcast along the row that σ′ aᵀ has made."""
    z = W @ a_below + b
    yield line(
        r"\bigl((a^L - y) \odot \sigma'(z^L)\bigr) (a^{L-1})^{\top}",
        ((sigma(z) - y) * dsigma(z)) @ a_below.T,
        "S0.4",
    )
    yield line(
        r"(a^L - y) \odot \bigl(\sigma'(z^L) (a^{L-1})^{\top}\bigr)",
        (sigma(z) - y) * (dsigma(z) @ a_below.T),
        "a column scales rows, before or after",
    )


@bp.derivation(
    r"\frac{\partial J}{\partial b^L} = \delta^L",
    items=("S0.5",),
    of=lambda b, W, a_below, y: J(sigma(W @ a_below + b), y),
)
def output_bias(
    W: Float[Array, "n m"], b: Float[Array, " n"], a_below: Float[Array, " m"], y: Float[Array, " n"]
):
    """The gradient of the last bias is the error itself."""
    z = W @ a_below + b
    delta = output_delta.value(z, y)
    yield line(
        r"\Bigl(\frac{\partial z^L}{\partial b^L}\Bigr)^{\top} \delta^L",
        jax.jacobian(lambda b: W @ a_below + b)(b).T @ delta,
        "chain rule through z^L",
    )
    yield line(r"I \delta^L", jnp.eye(len(b)) @ delta, "b is added, so its Jacobian is the identity")
    yield line(r"\delta^L", delta, "I δ = δ")
    yield line(
        r"\texttt{affine.backward}",
        rules.affine(len(b)).backward({"W": W, "b": b}, a_below, delta)[0]["b"],
        "what this library runs",
    )
