r"""The leaky rectified linear unit a = z where z > 0, and s z elsewhere; in `leaky_relu`, s = 0.01.

Backward, from δa = ∂L/∂a:   δz = δa where z > 0,   s δa elsewhere.
Source: Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models"
(2013), section 2.
At z = 0 the slope is s, by the strict gate z > 0 of `relu` and PyTorch; `jax.nn.leaky_relu` takes 1 there.
With this choice and s ≥ 0, a > 0 exactly where z > 0, even where s z underflows: a is enough.
With s < 0 a is positive on both sides, and z is kept.
"""

from functools import cache

import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.rule import Rule, no_params, require_floating, require_number


@cache
def leaky_relu_with(slope: float) -> Rule:
    """Return a = z where z > 0 and `slope` · z elsewhere.

    Args:
        slope: the slope s at z ≤ 0; any finite number.

    Raises:
        UsageError: the slope is not a finite number.
    """
    slope = require_number(slope, "slope", "leaky_relu_with")
    name = f"leaky_relu_with({slope:g})"

    def forward(
        params: tuple[()], z: Float[Array, "*batch n"]
    ) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
        require_floating(z, name)
        a = jnp.where(z > 0, z, slope * z)
        return a, a if slope >= 0 else z

    def backward(
        params: tuple[()], kept: Float[Array, "*batch n"], delta_a: Float[Array, "*batch n"]
    ) -> tuple[tuple[()], Float[Array, "*batch n"]]:
        return (), jnp.where(kept > 0, delta_a, slope * delta_a)

    return Rule(name, no_params, forward, backward, at_kinks=f"slope {slope:g} at z = 0")


leaky_relu = leaky_relu_with(0.01)._replace(name="leaky_relu")
