"""The bias as a neuron that is always 1, and three ways in which the document writes it down wrongly."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import f_last, g, with_bias, with_one


@bp.derivation(
    r"\tilde W \tilde y",
    items=("S2.10",),
    ships=lambda W, b, y: bp.rules.affine(len(b)).forward({"W": W, "b": b}, y)[0],
)
def bias_as_a_column(W: Float[Array, "n m"], b: Float[Array, " n"], y: Float[Array, " m"]):
    """W y + b is linear once y has a component that is always 1. W̃_{j, n_{k−1}+1} = b_j, for each j."""
    yield line(r"W y + b", W @ y + b, "definition")
    yield line(
        r"\sum_{j \le n_{k-1}} W_{ij} y_j + b_i \cdot 1",
        jnp.einsum("ij,j->i", W, y) + b * 1.0,
        "the bias is multiplied by 1",
    )
    yield line(
        r"\sum_{j \le n_{k-1}+1} \tilde W_{ij} \tilde y_j",
        jnp.einsum("ij,j->i", with_bias(W, b), with_one(y)),
        "one sum, with W̃ = [W | b] and ỹ = [y; 1]",
    )
    yield line(
        r"\tilde W \in \mathbb{R}^{n_k \times (n_{k-1} + 1)}",
        bp.holds(with_bias(W, b).shape == (len(b), y.size + 1)),
        "a column more and no row: nothing feeds the constant neuron, and no f acts on it",
    )


@bp.derivation(
    r"\tilde W \tilde y",
    items=("E2",),
    uses=(bias_as_a_column,),
    args=[bp.array("3 5"), bp.array("3"), bp.array("5")],
    refutes=bp.Refutes(
        line=1,
        erratum="E2(a)",
        cause="contract-raises",
        because="W_{n_{k−1}+1, j} = b names row n_{k−1} + 1 of a matrix that has n_k rows. Where there is no"
        " such row, as for 3 × 5, there is nowhere to write; where there is, it belongs to another unit. The"
        " bias is the last COLUMN: W̃_{j, n_{k−1}+1} = b_j.",
    ),
)
def bias_as_a_row(W, b, y):
    """The extra weight with its indices as printed, the row n_{k−1} + 1, for n_k = 3 and n_{k−1} = 5."""
    yield line(r"W y + b", W @ y + b, "definition")
    rows = list(with_bias(W, jnp.zeros_like(b)))
    rows[y.size] = jnp.full(y.size + 1, b[0])
    yield line(r"\tilde W_{n_{k-1}+1,\, j} = b \quad \forall j", jnp.stack(rows) @ with_one(y), "as printed")


@bp.derivation(
    r"W y + b",
    items=("E2",),
    uses=(bias_as_a_column,),
    refutes=bp.Refutes(
        line=1,
        erratum="E2(b)",
        cause="unknown",
        because="'= b for every j' gives all units one number. That is another model, whose single bias has"
        " the sum of the errors, Σ_j δ_j, for its gradient. Each unit needs a bias of its own, b_j.",
    ),
)
def one_bias_for_all(W: Float[Array, "n m"], b: Float[Array, " n"], y: Float[Array, " m"]):
    """One b for every j."""
    yield line(r"W y + b", W @ y + b, "a bias for each unit")
    yield line(r"W y + b_1 (1, \ldots, 1)^{\top}", W @ y + b[0], "the same b for every j, as printed")


@bp.derivation(
    r"\frac{\partial g}{\partial \beta}",
    items=("E2",),
    of=lambda beta, W, y: g(f_last(W @ y + beta)),
)
def gradient_of_one_bias(W: Float[Array, "n m"], beta: Float[Array, ""], y: Float[Array, " m"]):
    """The other model, taken at its word: its gradient is the sum of all errors."""
    z = W @ y + beta
    yield line(
        r"\sum_j e_j f'(z_j) \cdot 1",
        jnp.einsum("i,i,i->", jax.grad(g)(f_last(z)), jax.vmap(jax.grad(f_last))(z), jnp.ones(len(W))),
        "β enters every z_j, with derivative 1",
    )
    spread = {"W": W, "b": jnp.full(len(W), beta)}
    y_K, kept = bp.mlp((y.size, len(W)), bp.rules.tanh, bp.rules.sigmoid).forward((spread,), y)
    yield line(
        r"\sum_j \texttt{backproof}_j",
        bp.layer_step(spread, kept[0], jax.grad(g)(y_K))[0]["b"].sum(),
        "the gradients that this library gives to biases apart, summed",
    )
