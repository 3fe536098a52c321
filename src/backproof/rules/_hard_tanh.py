r"""The piecewise linear tanh a = z where |z| ≤ 1, and sign(z) elsewhere.

Backward, from δa = ∂L/∂a:   δz = I[|z| ≤ 1] ⊙ δa.
Source: Collobert, "Large scale machine learning" (2004).
At |z| = 1 any slope in [0, 1] may be chosen: this rule takes 1, as `jax.nn.hard_tanh` does; `jnp.clip`
takes ½ and PyTorch 0. It keeps z, since a = ±1 both at the bounds and beyond.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.rule import Rule, no_params, require_floating


def hard_tanh_forward(
    params: tuple[()], z: Float[Array, "*batch n"]
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    """Return a = z where |z| ≤ 1 and sign(z) elsewhere, and z."""
    require_floating(z, "hard_tanh")
    return jnp.where(jnp.abs(z) <= 1, z, jnp.sign(z)), z


def hard_tanh_backward(
    params: tuple[()], z: Float[Array, "*batch n"], delta_a: Float[Array, "*batch n"]
) -> tuple[tuple[()], Float[Array, "*batch n"]]:
    """Return δz = I[|z| ≤ 1] ⊙ δa."""
    return (), jnp.where(jnp.abs(z) <= 1, delta_a, jnp.zeros_like(delta_a))


hard_tanh: Rule = Rule(
    "hard_tanh", no_params, hard_tanh_forward, hard_tanh_backward, at_kinks="slope 1 at z = -1 and z = 1"
)
