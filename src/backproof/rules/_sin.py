r"""The sine a = sin(z), the activation of sinusoidal representation networks.

Backward, from δa = ∂L/∂a:   δz = δa ⊙ cos(z).
Source: Sitzmann et al. (2020), arXiv:2006.09661, section 3; DLMF eq. 4.20.1.
It keeps z: a determines the size of cos(z) but not its sign.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.rule import Rule, no_params, require_floating


def sin_forward(
    params: tuple[()], z: Float[Array, "*batch n"]
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    """Return a = sin(z), and z."""
    require_floating(z, "sin")
    return jnp.sin(z), z


def sin_backward(
    params: tuple[()], z: Float[Array, "*batch n"], delta_a: Float[Array, "*batch n"]
) -> tuple[tuple[()], Float[Array, "*batch n"]]:
    """Return δz = δa ⊙ cos(z)."""
    return (), delta_a * jnp.cos(z)


sin: Rule = Rule("sin", no_params, sin_forward, sin_backward)
