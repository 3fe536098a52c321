r"""The exponential linear unit a = z where z > 0, and α (exp(z) − 1) elsewhere; in `elu`, α = 1.

Backward, from δa = ∂L/∂a:   δz = δa where a > 0,   (a + α) ⊙ δa elsewhere, since α exp(z) = a + α.
Source: Clevert, Unterthiner and Hochreiter (2016), arXiv:1511.07289, section 3.
With α = 1 the slope is continuous; otherwise there is a kink at z = 0, where this rule takes the slope α,
as `jax.nn.elu` does. Once a rounds to −α (z < −37 in float64), the slope, in truth 1e-16 α or less, comes
out as 0: it is computed from a alone, and this is the effect of one rounding of a.
"""

from functools import cache

import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.rule import Rule, no_params, require_floating, require_number


@cache
def elu_with(alpha: float) -> Rule:
    """Return a = z where z > 0 and `alpha` · (exp(z) − 1) elsewhere.

    Args:
        alpha: minus the limit at z → −∞; a positive finite number.

    Raises:
        UsageError: alpha is not a positive finite number, so that a could not tell the sign of z.
    """
    alpha = require_number(alpha, "alpha", "elu_with", "above 0", lambda alpha: alpha > 0)
    name = f"elu_with({alpha:g})"

    def forward(
        params: tuple[()], z: Float[Array, "*batch n"]
    ) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
        require_floating(z, name)
        below = jnp.where(z > 0, 0, z)  # so that exp cannot overflow in the branch not taken
        a = jnp.where(z > 0, z, alpha * jnp.expm1(below))
        return a, a

    def backward(
        params: tuple[()], a: Float[Array, "*batch n"], delta_a: Float[Array, "*batch n"]
    ) -> tuple[tuple[()], Float[Array, "*batch n"]]:
        return (), jnp.where(a > 0, delta_a, (a + alpha) * delta_a)

    at_kinks = None if alpha == 1 else f"slope {alpha:g} at z = 0"
    return Rule(name, no_params, forward, backward, at_kinks=at_kinks)


elu = elu_with(1.0)._replace(name="elu")
