r"""The softmax over the last axis, p_k = exp(z_k) / Σ_j exp(z_j).

Backward, from δp = ∂L/∂p:   δz = Jᵀ δp = p ⊙ (δp − pᵀ δp),   J = diag(p) − p pᵀ.
Source: S3.6, S3.8 (document 003).
Shifting z by its maximum leaves p as it is and keeps exp from overflowing (S3.19). Before a cross
entropy use `backproof.losses.softmax_cross_entropy`, which never divides by p.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from backproof.rule import Rule, no_params
from backproof.rules._affine import require_floating_rows


def softmax_forward(
    params: tuple[()], z: Float[Array, "*batch n"]
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    """Return p, and p itself, which determines the Jacobian."""
    require_floating_rows(z, "softmax")
    top = jnp.max(z, axis=-1, keepdims=True, initial=-jnp.inf)
    e = jnp.exp(z - lax.stop_gradient(top))  # p does not depend on the shift
    p = e / e.sum(axis=-1, keepdims=True)
    return p, p


def softmax_backward(
    params: tuple[()], p: Float[Array, "*batch n"], delta_p: Float[Array, "*batch n"]
) -> tuple[tuple[()], Float[Array, "*batch n"]]:
    """Return δz = p ⊙ (δp − pᵀ δp)."""
    return (), p * (delta_p - (p * delta_p).sum(axis=-1, keepdims=True))


softmax: Rule = Rule("softmax", no_params, softmax_forward, softmax_backward)
