"""Backward: the parameters of the last layer."""

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import line

from . import LABEL, TESTNET, J_of, cross_entropy, h, indicator
from .s06_slopes_of_the_score import two_classes
from .s07_residual import output_residual


@bp.derivation(
    r"\frac{\partial J}{\partial W^{(2)}}, \frac{\partial J}{\partial b^{(2)}}",
    items=("S3.11", "S3.15"),
    uses=(two_classes, output_residual),
    args=[TESTNET[1], bp.array("4"), LABEL],
    of=(
        r"\frac{\partial J}{\partial W^{(2)}},\; \frac{\partial J}{\partial b^{(2)}}",
        lambda layer, a_1, y: J_of(layer["W"] @ a_1 + layer["b"], y),
    ),
)
def last_weights(layer, a_1, y):
    """Eight derivatives, of which the document writes each; and the two of the bias, which it leaves out."""
    W, b = layer["W"], layer["b"]
    z = W @ a_1 + b
    p, t = h(z), indicator(y, z)
    of_z = jax.grad(lambda z: J_of(z, y))(z)
    yield line(
        r"\sum_k \frac{\partial J}{\partial z_k} \frac{\partial z_k}{\partial W_{i,j}},\;"
        r" \sum_k \frac{\partial J}{\partial z_k} \frac{\partial z_k}{\partial b_i}",
        {
            "W": jnp.einsum("k,kij->ij", of_z, jax.jacobian(lambda W: W @ a_1 + b)(W)),
            "b": jnp.einsum("k,ki->i", of_z, jax.jacobian(lambda b: W @ a_1 + b)(b)),
        },
        "chain rule at z^(2)",
    )
    yield line(
        r"(p(y=i) - 1(y=i))\, a^{(1)}_j,\; p(y=i) - 1(y=i)",
        {
            "W": jnp.stack([jnp.stack([(p[i] - t[i]) * a_1[j] for j in range(4)]) for i in range(2)]),
            "b": jnp.stack([p[i] - t[i] for i in range(2)]),
        },
        "only z_i hears W_ij, with derivative a_j; and b_i, with derivative 1",
    )
    yield line(
        r"\delta^{(2)} (a^{(1)})^{\top},\; \delta^{(2)}",
        {"W": (p - t)[:, None] @ a_1[None, :], "b": p - t},
        "(2 × 1)(1 × 4)",
    )
    yield line(
        r"\texttt{backproof}",
        bp.rules.affine(2).backward(layer, a_1, cross_entropy.backward(cross_entropy.forward(z, y)[1]))[0],
        "what this library runs",
    )


@bp.derivation(
    r"\frac{\partial J}{\partial W^{(2)}}",
    items=("E3", "S3.11"),
    args=[TESTNET[1], bp.array("4"), LABEL],
    uses=(last_weights,),
    refutes=bp.Refutes(
        line=2,
        erratum="E3(e)",
        cause="transpose",
        because="The summary's ∂J/∂z^(2) · a^(1) is a column times a column, (2 × 1)(4 × 1), which do not"
        " multiply. It lacks the transpose: ∂J/∂z^(2) (a^(1))ᵀ, (2 × 1)(1 × 4).",
    ),
)
def summary_without_the_transpose(layer, a_1, y):
    """The summary's line for ∂J/∂W^(2), with the columns that the document has."""
    z = layer["W"] @ a_1 + layer["b"]
    delta, a = (h(z) - indicator(y, z))[:, None], a_1[:, None]
    yield line(
        r"\frac{\partial J}{\partial W^{(2)}}",
        jax.grad(lambda W: J_of(W @ a_1 + layer["b"], y))(layer["W"]),
        "definition",
    )
    yield line(
        r"\frac{\partial J}{\partial z^{(2)}} (a^{(1)})^{\top}", delta @ a.T, "the document's own derivation"
    )
    yield line(r"\frac{\partial J}{\partial z^{(2)}} \cdot a^{(1)}", delta @ a, "its summary")
