r"""The softplus a = log(1 + exp(z)).

Backward, from δa = ∂L/∂a:   δz = δa ⊙ σ(z),   σ(z) = 1 − exp(−a).
Source: Dugas et al., "Incorporating second-order functional knowledge for better option pricing" (2000).
The slope computed from a is accurate at both ends: for z → −∞, a tends to 0 as exp(z), which expm1 keeps.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.rule import Rule, no_params, require_floating


def softplus_forward(
    params: tuple[()], z: Float[Array, "*batch n"]
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    """Return a = log(1 + exp(z)), and a itself, which determines the slope."""
    require_floating(z, "softplus")
    a = log1p_exp(z)
    return a, a


def softplus_backward(
    params: tuple[()], a: Float[Array, "*batch n"], delta_a: Float[Array, "*batch n"]
) -> tuple[tuple[()], Float[Array, "*batch n"]]:
    """Return δz = δa ⊙ (1 − exp(−a))."""
    return (), delta_a * -jnp.expm1(-a)


def log1p_exp(z: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
    """Return log(1 + exp(z)) = max(z, 0) + log(1 + exp(−|z|)), which cannot overflow.

    Written with `where`, so that its derivatives are right at z = 0 too.
    """
    positive = z > 0
    return jnp.where(positive, z, 0) + jnp.log1p(jnp.exp(jnp.where(positive, -z, z)))


softplus: Rule = Rule("softplus", no_params, softplus_forward, softplus_backward)
