r"""The hyperbolic tangent a = tanh(z).

Backward, from δa = ∂L/∂a:   δz = δa ⊙ (1 − a²),   1 − a² = (1 − a) (1 + a).
Source: DLMF eq. 4.34.3 with eq. 4.35.12.
The product keeps the digits that 1 − a² loses near |a| = 1. Once a rounds to ±1 (|z| > 19 in float64), the
slope, in truth about 1e-16 or less, comes out as 0: it is computed from a alone, and this is the effect of
one rounding of a.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.rule import Rule, no_params, require_floating


def tanh_forward(
    params: tuple[()], z: Float[Array, "*batch n"]
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    """Return a = tanh(z), and a itself, which determines the slope."""
    require_floating(z, "tanh")
    a = jnp.tanh(z)
    return a, a


def tanh_backward(
    params: tuple[()], a: Float[Array, "*batch n"], delta_a: Float[Array, "*batch n"]
) -> tuple[tuple[()], Float[Array, "*batch n"]]:
    """Return δz = δa ⊙ (1 − a) ⊙ (1 + a)."""
    return (), delta_a * ((1 - a) * (1 + a))


tanh: Rule = Rule("tanh", no_params, tanh_forward, tanh_backward)
