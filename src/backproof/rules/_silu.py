r"""The sigmoid-weighted linear unit a = z σ(z), also called swish.

Backward, from δa = ∂L/∂a:   δz = δa ⊙ σ(z) (1 + z σ(−z)),   where σ(−z) = 1 − σ(z).
Source: Elfwing, Uchibe and Doya (2018), arXiv:1702.03118, section 2.
It keeps z: a falls and rises again, so that it does not determine the slope. With σ(−z) written as
such, and not as 1 − σ(z), nothing cancels at either end.
"""

from jax.scipy.special import expit
from jaxtyping import Array, Float

from backproof.rule import Rule, no_params, require_floating


def silu_forward(
    params: tuple[()], z: Float[Array, "*batch n"]
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    """Return a = z σ(z), and z."""
    require_floating(z, "silu")
    return z * expit(z), z


def silu_backward(
    params: tuple[()], z: Float[Array, "*batch n"], delta_a: Float[Array, "*batch n"]
) -> tuple[tuple[()], Float[Array, "*batch n"]]:
    """Return δz = δa ⊙ σ(z) (1 + z σ(−z))."""
    return (), delta_a * (expit(z) * (1 + z * expit(-z)))


silu: Rule = Rule("silu", no_params, silu_forward, silu_backward)
