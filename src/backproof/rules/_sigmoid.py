r"""The logistic sigmoid a = σ(z) = 1 / (1 + exp(−z)).

Backward, from δa = ∂L/∂a:   δz = δa ⊙ σ′(z),   σ′ = a (1 − a).   Source: S0.3 (document 000).
Once a rounds to 1 (z > 37 in float64), the slope, in truth 1e-16 or less, comes out as 0: it is computed
from a alone, and this is the effect of one rounding of a.
"""

import jax
from jaxtyping import Array, Float

from backproof.rule import Rule, no_params, require_floating


def sigmoid_forward(
    params: tuple[()], z: Float[Array, "*batch n"]
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    """Return a = σ(z), and a itself, which determines the slope."""
    require_floating(z, "sigmoid")
    a = jax.scipy.special.expit(z)
    return a, a


def sigmoid_backward(
    params: tuple[()], a: Float[Array, "*batch n"], delta_a: Float[Array, "*batch n"]
) -> tuple[tuple[()], Float[Array, "*batch n"]]:
    """Return δz = δa ⊙ a ⊙ (1 − a)."""
    return (), delta_a * a * (1 - a)


sigmoid: Rule = Rule("sigmoid", no_params, sigmoid_forward, sigmoid_backward)
