r"""The binary hinge loss, J = Σ max(0, 1 − t y), for targets t = ±1.

Backward:   ∂J/∂y = −t where t y < 1,   0 elsewhere.
Source: Cortes and Vapnik (1995), doi:10.1007/BF00994018; S3.18 uses it with linear scores.
At t y = 1 the slope is 0, because a point on the margin is right; `jnp.maximum`, and with it
`optax.losses.hinge_loss`, takes −t/2. Formula and gradient hold for every real t.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from backproof.arguments import array
from backproof.losses._targets import require_like
from backproof.rule import Loss

Residuals = tuple[Bool[Array, "*batch n"], Float[Array, "*batch n"]]


def hinge_forward(
    prediction: Float[Array, "*batch n"], target: Float[Array, "*batch n"]
) -> tuple[Float[Array, ""], Residuals]:
    """Return J, the mask I[t y < 1], and t."""
    require_like(prediction, target, "hinge")
    shortfall = 1 - target * prediction
    wanting = shortfall > 0
    return jnp.where(wanting, shortfall, 0).sum(), (wanting, target)


def hinge_backward(residuals: Residuals) -> Float[Array, "*batch n"]:
    """Return ∂J/∂y = −t ⊙ I[t y < 1]."""
    wanting, target = residuals
    return jnp.where(wanting, -target, jnp.zeros_like(target))


hinge: Loss = Loss(
    "hinge",
    hinge_forward,
    hinge_backward,
    (array("*batch n"), array("*batch n", low=-1, high=1)),
    at_kinks="slope 0 where target * prediction = 1",
)
