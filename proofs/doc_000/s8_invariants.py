"""What holds of every gradient."""

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import line

from . import NETWORK, forward, shipped_deltas, shipped_gradient


@bp.derivation(r"\operatorname{rank} \frac{\partial J}{\partial W^l} \le 1", items=("S0.14",), args=NETWORK)
def rank_of_one_sample(params, x, y):
    """One sample adds one outer product, so every 2 × 2 minor of ∂J/∂W^l is zero."""
    grads = shipped_gradient(params, x, y)
    products = [jnp.einsum("ij,kl->ijkl", g["W"], g["W"]) for g in grads]
    yield line(
        r"g_{ij} g_{kl} = g_{il} g_{kj}",
        bp.equal(products, [jnp.einsum("ijkl->ilkj", p) for p in products]),
        "g = δ aᵀ",
    )


@bp.derivation(
    r"\operatorname{rank} \sum_i \frac{\partial J_i}{\partial W^l} \le B",
    items=("S0.14",),
    args=[({"W": bp.array("4 3"), "b": bp.array("4")},), bp.array("2 3"), bp.array("2 4")],
)
def rank_of_a_batch(params, X, Y):
    """A batch of B samples adds B outer products, so for B = 2 every 3 × 3 minor of the gradient is zero.

    A minor of columns j, k, m is the sum of g_aj g_bk g_cm over the even orders of these columns, less that
    over the odd ones. For one sample less the 2 × 2 minors are zero too; here they are not.
    """
    each = jax.vmap(shipped_gradient, (None, 0, 0))(params, X, Y)[0]["W"]
    g = jnp.sum(each, 0)
    yield line(r"\sum_i \delta_i a_i^{\top}", g, "what this library runs")
    yield line(
        r"\Delta^{\top} A",
        jax.vmap(shipped_deltas, (None, 0, 0))(params, X, Y)[0].T @ X,
        "δ_iᵀ and a_iᵀ are the rows of Δ and A, B × n and B × m: two matrices that meet in B numbers",
    )
    of_three = jnp.einsum("aj,bk,cm->abcjkm", g, g, g)
    even = of_three + of_three.transpose(0, 1, 2, 4, 5, 3) + of_three.transpose(0, 1, 2, 5, 3, 4)
    odd = (
        of_three.transpose(0, 1, 2, 3, 5, 4)
        + of_three.transpose(0, 1, 2, 4, 3, 5)
        + of_three.transpose(0, 1, 2, 5, 4, 3)
    )
    yield line(
        r"\text{every } 3 \times 3 \text{ minor} = 0", bp.equal(even, odd), "its rank is at most B = 2"
    )
    pairs = jnp.einsum("aj,bk->abjk", g, g)
    yield line(
        r"\text{some } 2 \times 2 \text{ minor} \neq 0",
        bp.differ(pairs, pairs.transpose(0, 1, 3, 2), somewhere=True),
        "and no less",
    )


@bp.derivation(
    r"y = a^L \Rightarrow \frac{\partial J}{\partial \theta} = 0", items=("S0.14",), args=NETWORK[:2]
)
def zero_at_the_target(params, x):
    """At the target there is nothing to learn: every gradient is zero."""
    grads = shipped_gradient(params, x, forward(params, x)[1][-1])
    yield line(
        r"\frac{\partial J}{\partial \theta} = 0",
        bp.equal(grads, jax.tree.map(jnp.zeros_like, grads)),
        "a^L − y = 0",
    )


@bp.derivation(
    r"\langle W^l, \partial J/\partial W^l \rangle + \langle b^l, \partial J/\partial b^l \rangle",
    items=("S0.14",),
    args=NETWORK,
)
def balance(params, x, y):
    """Each layer balances its parameters against its z, for any σ: a check that needs no oracle."""
    z, a = forward(params, x)
    deltas = shipped_deltas(params, x, y)
    yield line(
        r"\langle W^l, \partial J/\partial W^l \rangle + \langle b^l, \partial J/\partial b^l \rangle",
        [
            jnp.sum(p["W"] * g["W"]) + jnp.sum(p["b"] * g["b"])
            for p, g in zip(params, shipped_gradient(params, x, y), strict=True)
        ],
        "the shipped gradients",
    )
    yield line(
        r"\langle W^l a^{l-1} + b^l, \delta^l \rangle",
        [jnp.sum((p["W"] @ below + p["b"]) * d) for p, below, d in zip(params, a[:-1], deltas, strict=True)],
        "⟨W, δ aᵀ⟩ = ⟨W a, δ⟩",
    )
    yield line(
        r"\langle z^l, \delta^l \rangle",
        [jnp.sum(v * d) for v, d in zip(z, deltas, strict=True)],
        "definition of z^l",
    )
