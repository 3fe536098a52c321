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
