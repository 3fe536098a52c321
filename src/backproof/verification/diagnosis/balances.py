r"""Laws of the sweep that need no oracle: two sides of an equation, computed from its results.

Each law returns both of its sides, so that the caller can compare them as it likes.
⟨u, v⟩ is the sum of the products of all entries, batch axes included. The balances are Euler's
identity: z^l is linear in (W^l, b^l), and a gate is linear between its kinks.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from backproof.network import Layer

Sides = tuple[Any, Any]


def inner(u: Array, v: Array) -> Array:
    """Return ⟨u, v⟩ = Σ u v over every axis."""
    return jnp.sum(u * v)


def parameter_balance(layer: Layer, grads: Layer, z: Array, delta_z: Array) -> Sides:
    """Return ⟨W, ∂J/∂W⟩ + ⟨b, ∂J/∂b⟩ and ⟨z, δ⟩, equal at every layer and for any σ (S0.14)."""
    return inner(layer["W"], grads["W"]) + inner(layer["b"], grads["b"]), inner(z, delta_z)


def layer_balance(z: Array, delta_z: Array, bias_above: Array, z_above: Array, delta_above: Array) -> Sides:
    """Return ⟨z, δ⟩ and ⟨z⁺ − b⁺, δ⁺⟩, the plus marking the layer above a relu (S1.12).

    Where the two differ the step between these layers is wrong, whatever came from above.
    """
    return inner(z, delta_z), inner(z_above - jnp.broadcast_to(bias_above, z_above.shape), delta_above)
