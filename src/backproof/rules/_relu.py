r"""The rectified linear unit a = max(z, 0).

Backward, from δa = ∂L/∂a:   δz = I[z > 0] ⊙ δa.   Source: S1.5 (UDL eq. 7.25), S1.7.
At z = 0 any slope in [0, 1] is a subgradient: `relu` takes 0, the strict gate of document 001 and of
`jax.nn.relu`; document 003's gate ≥ takes 1, `jnp.maximum` ½.
"""

from functools import cache

import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.rule import Rule, no_params, require_floating, require_number


def relu_forward(
    params: tuple[()], z: Float[Array, "*batch n"]
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    """Return a = max(z, 0), and a itself: a > 0 exactly where z > 0."""
    require_floating(z, "relu")
    a = jnp.maximum(z, 0)
    return a, a


def relu_backward(
    params: tuple[()], a: Float[Array, "*batch n"], delta_a: Float[Array, "*batch n"]
) -> tuple[tuple[()], Float[Array, "*batch n"]]:
    """Return δz = I[z > 0] ⊙ δa."""
    return (), jnp.where(a > 0, delta_a, jnp.zeros_like(delta_a))


def relu_with_forward(
    params: tuple[()], z: Float[Array, "*batch n"]
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    """Return a = max(z, 0), and z, since a cannot tell z = 0 from z < 0."""
    a, _ = relu_forward(params, z)
    return a, z


@cache
def relu_with(slope_at_zero: float) -> Rule:
    """Return a = max(z, 0) with another subgradient at z = 0.

    Args:
        slope_at_zero: the slope taken there, in [0, 1]; 1 is document 003's gate ≥ (S3.13).

    Raises:
        UsageError: the slope lies outside [0, 1], so that it is not a subgradient.
    """
    slope_at_zero = require_number(
        slope_at_zero, "slope_at_zero", "relu_with", "from 0 to 1", lambda s: 0 <= s <= 1
    )

    def backward(
        params: tuple[()], z: Float[Array, "*batch n"], delta_a: Float[Array, "*batch n"]
    ) -> tuple[tuple[()], Float[Array, "*batch n"]]:
        _, gated = relu_backward(params, z, delta_a)
        return (), jnp.where(z == 0, slope_at_zero * delta_a, gated)

    return Rule(
        f"relu_with({slope_at_zero:g})",
        no_params,
        relu_with_forward,
        backward,
        at_kinks=f"slope {slope_at_zero:g} at z = 0",
    )


relu: Rule = Rule("relu", no_params, relu_forward, relu_backward, at_kinks="slope 0 at z = 0")
