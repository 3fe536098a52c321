r"""The Gaussian error linear unit a = z Φ(z), and its approximation by tanh.

`gelu`: Φ is the normal distribution function, Φ(z) = ½ erfc(−z/√2), with density φ(z) = exp(−z²/2)/√(2π):

    δz = δa ⊙ (Φ(z) + z φ(z)).

`gelu_tanh`: ½ (1 + tanh u) = σ(2u) in place of Φ(z), with 2u = √(8/π) (z + c z³), c = 0.044715:

    δz = δa ⊙ σ(2u) (1 + z σ(−2u) (2u)′),   (2u)′ = √(8/π) (1 + 3 c z²).

Source: Hendrycks and Gimpel (2016), arXiv:1606.08415, section 2.
Both keep z, because a falls and rises again and so does not determine the slope.
erfc(−z/√2) and σ(2u) keep the left tail, where 1 + erf and 1 + tanh round to 0.
"""

import math

import jax.numpy as jnp
from jax.scipy.special import erfc, expit
from jaxtyping import Array, Float

from backproof.rule import Rule, no_params, require_floating

C = 0.044715


def gelu_forward(
    params: tuple[()], z: Float[Array, "*batch n"]
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    """Return a = z Φ(z), and z."""
    require_floating(z, "gelu")
    return z * normal_distribution(z), z


def gelu_backward(
    params: tuple[()], z: Float[Array, "*batch n"], delta_a: Float[Array, "*batch n"]
) -> tuple[tuple[()], Float[Array, "*batch n"]]:
    """Return δz = δa ⊙ (Φ(z) + z φ(z))."""
    density = jnp.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return (), delta_a * (normal_distribution(z) + z * density)


def normal_distribution(z: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
    """Return Φ(z) = ½ erfc(−z/√2)."""
    return erfc(-z / math.sqrt(2)) / 2


def gelu_tanh_forward(
    params: tuple[()], z: Float[Array, "*batch n"]
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    """Return a = z σ(2u), and z."""
    require_floating(z, "gelu_tanh")
    return z * expit(twice_u(z)), z


def gelu_tanh_backward(
    params: tuple[()], z: Float[Array, "*batch n"], delta_a: Float[Array, "*batch n"]
) -> tuple[tuple[()], Float[Array, "*batch n"]]:
    """Return δz = δa ⊙ σ(2u) (1 + z σ(−2u) (2u)′)."""
    w, near = twice_u(z), within_30(z)
    slope_of_w = math.sqrt(8 / math.pi) * (1 + 3 * C * near * near)
    return (), delta_a * (expit(w) * (1 + near * expit(-w) * slope_of_w))


def twice_u(z: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
    """Return 2u = √(8/π) (z + c z³)."""
    near = within_30(z)
    return math.sqrt(8 / math.pi) * (near + C * near * near * near)


def within_30(z: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
    """Return z, or ±30 beyond: σ(±2u) is exactly 0 or 1 there in every dtype, and z³ cannot overflow."""
    return jnp.clip(z, -30, 30)


gelu: Rule = Rule("gelu", no_params, gelu_forward, gelu_backward)
gelu_tanh: Rule = Rule("gelu_tanh", no_params, gelu_tanh_forward, gelu_tanh_backward)
