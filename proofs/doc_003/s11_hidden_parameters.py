"""Backward: the parameters of the hidden layer."""

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import line

from . import DATUM, LABEL, TESTNET, J_of, cross_entropy, gate_open, h, indicator, one_if, relu
from .s10_hidden_input import hidden_input


@bp.derivation(
    r"\frac{\partial J}{\partial W^{(1)}}, \frac{\partial J}{\partial b^{(1)}}",
    items=("S3.14", "S3.15"),
    uses=(hidden_input,),
    args=[TESTNET, DATUM, LABEL],
)
def hidden_weights(params, a_0, y):
    """The twelve derivatives by W^(1), and the four by b^(1), which the document leaves out."""
    (W_1, b_1), (W_2, b_2) = ((layer["W"], layer["b"]) for layer in params)
    z_1 = W_1 @ a_0 + b_1
    z_2 = W_2 @ relu(z_1) + b_2
    delta = h(z_2) - indicator(y, z_2)
    dz_1 = (W_2.T @ delta) * one_if(z_1 >= 0)
    yield line(
        r"\frac{\partial J}{\partial W^{(1)}},\; \frac{\partial J}{\partial b^{(1)}}",
        jax.grad(lambda W_1, b_1: J_of(W_2 @ relu(W_1 @ a_0 + b_1) + b_2, y), (0, 1))(W_1, b_1),
        "definition",
    )
    yield line(
        r"\sum_k \frac{\partial J}{\partial z_k} \frac{\partial z_k}{\partial W_{i,j}},\;"
        r" \frac{\partial J}{\partial z_i}",
        (
            jnp.einsum(
                "k,kij->ij",
                jax.grad(lambda z: J_of(W_2 @ relu(z) + b_2, y))(z_1),
                jax.jacobian(lambda W: W @ a_0 + b_1)(W_1),
            ),
            jax.grad(lambda z: J_of(W_2 @ relu(z) + b_2, y))(z_1),
        ),
        "chain rule at z^(1); ∂z_k/∂b_i = δ_ki",
    )
    yield line(
        r"\left(\sum_k \delta^{(2)}_k W^{(2)}_{k,i}\right) 1(z_i \ge 0)\, a^{(0)}_j",
        (
            jnp.stack(
                [
                    jnp.stack(
                        [
                            (delta[0] * W_2[0, i] + delta[1] * W_2[1, i]) * one_if(z_1[i] >= 0) * a_0[j]
                            for j in range(3)
                        ]
                    )
                    for i in range(4)
                ]
            ),
            jnp.stack(
                [(delta[0] * W_2[0, i] + delta[1] * W_2[1, i]) * one_if(z_1[i] >= 0) for i in range(4)]
            ),
        ),
        "only z_i hears W_ij, with derivative a_j",
    )
    yield line(
        r"\frac{\partial J}{\partial z^{(1)}} (a^{(0)})^{\top},\; \frac{\partial J}{\partial z^{(1)}}",
        (dz_1[:, None] @ a_0[None, :], dz_1),
        "(4 × 1)(1 × 3)",
    )
    first = bp.value_and_grad(bp.mlp((3, 4, 2), gate_open), cross_entropy)(params, a_0, y)[1][0]
    yield line(
        r"\texttt{backproof}",
        (
            bp.value_and_grad(bp.mlp((3, 4, 2), gate_open), cross_entropy)(params, a_0, y)[1][0]["W"],
            first["b"],
        ),
        "what this library runs",
    )


@bp.derivation(
    r"\frac{\partial J}{\partial W^{(1)}_{i,:}}",
    items=("E3", "S3.14"),
    args=[TESTNET, DATUM, LABEL],
    uses=(hidden_weights,),
    refutes=bp.Refutes(
        line=2,
        erratum="E3(f)",
        cause="transpose",
        because="Row i of ∂J/∂W^(1) lies down, 1 × 3, and a^(0) stands up, 3 × 1: it must be (a^(0))ᵀ.",
    ),
)
def a_row_that_stands_up(params, a_0, y):
    """Row i = 1 of ∂J/∂W^(1), as a number times a^(0)."""
    (W_1, b_1), (W_2, b_2) = ((layer["W"], layer["b"]) for layer in params)
    z_1 = W_1 @ a_0 + b_1
    z_2 = W_2 @ relu(z_1) + b_2
    dz_11 = jnp.vdot(W_2[:, 0], h(z_2) - indicator(y, z_2)) * one_if(z_1[0] >= 0)
    yield line(
        r"\frac{\partial J}{\partial W^{(1)}_{1,:}}",
        jax.grad(lambda W_1: J_of(W_2 @ relu(W_1 @ a_0 + b_1) + b_2, y))(W_1)[0:1, :],
        "definition",
    )
    yield line(r"\frac{\partial J}{\partial z^{(1)}_1} (a^{(0)})^{\top}", dz_11 * a_0[None, :], "a row")
    yield line(r"\frac{\partial J}{\partial z^{(1)}_1} a^{(0)}", dz_11 * a_0[:, None], "as printed")
