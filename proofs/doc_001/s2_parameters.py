"""The way back, for one layer: its bias and its weights."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line


@bp.derivation(
    r"\frac{\partial L_i}{\partial b_\iota}",
    items=("S1.3",),
    ships=lambda W, b, x, dz: bp.rules.affine(b.size).backward({"W": W, "b": b}, x, dz)[0]["b"],
)
def bias(W: Float[Array, "n m"], b: Float[Array, " n"], x: Float[Array, " m"], dz: Float[Array, " n"]):
    """z_ι = b_ι + W_ι x_ι moves one for one with b_ι."""
    yield line(
        r"\frac{\partial L_i}{\partial b_\iota}",
        jax.vjp(lambda b: b + W @ x, b)[1](dz)[0],
        "definition: chain rule at z_ι, for any loss",
    )
    yield line(
        r"\left(\frac{\partial z_\iota}{\partial b_\iota}\right)^{\top}"
        r" \frac{\partial L_i}{\partial z_\iota}",
        jax.jacobian(lambda b: b + W @ x)(b).T @ dz,
        "the Jacobian written out, a row for each component of z_ι",
    )
    yield line(r"I^{\top} \frac{\partial L_i}{\partial z_\iota}", jnp.eye(b.size).T @ dz, "∂z_ι/∂b_ι = I")
    yield line(r"\frac{\partial L_i}{\partial z_\iota}", dz, "I v = v")


@bp.derivation(
    r"\frac{\partial L_i}{\partial W_\iota}",
    items=("S1.4",),
    ships=lambda W, b, x, dz: bp.rules.affine(b.size).backward({"W": W, "b": b}, x, dz)[0]["W"],
)
def weights(W: Float[Array, "n m"], b: Float[Array, " n"], x: Float[Array, " m"], dz: Float[Array, " n"]):
    """z_ι is linear in W_ι, and row a of W_ι reaches component a of z_ι alone."""
    yield line(
        r"\frac{\partial L_i}{\partial W_\iota}",
        jax.vjp(lambda W: b + W @ x, W)[1](dz)[0],
        "definition: chain rule at z_ι, for any loss",
    )
    yield line(
        r"\sum_c \frac{\partial L_i}{\partial z_c} \frac{\partial z_c}{\partial W_{ab}}",
        jnp.einsum("c,cab->ab", dz, jax.jacobian(lambda W: b + W @ x)(W)),
        "for the entry (a, b): the sum over every z_c",
    )
    yield line(
        r"\sum_c \frac{\partial L_i}{\partial z_c} \delta_{ca} x_b",
        jnp.einsum("c,ca,b->ab", dz, jnp.eye(b.size), x),
        "z_c = b_c + Σ_b W_cb x_b, so ∂z_c/∂W_ab = δ_ca x_b",
    )
    yield line(r"\frac{\partial L_i}{\partial z_a} x_b", jnp.einsum("a,b->ab", dz, x), "δ_ca leaves c = a")
    yield line(
        r"\frac{\partial L_i}{\partial z_\iota} x_\iota^{\top}",
        dz[:, None] @ x[None, :],
        "a column times a row",
    )
