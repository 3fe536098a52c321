r"""The focal loss of a logit z and a label t, 0 or 1: the cross entropy, less where the label is likely.

With f(u) = σ(−u)^γ log(1 + e^{−u}):
    J = Σ a t f(z) + (1 − a) (1 − t) f(−z),
where σ(u) is the probability of the label and a the weight of the label 1; without a, both weights are 1.
Backward:   ∂J/∂z = −a t g(z) + (1 − a) (1 − t) g(−z),   g(u) = σ(−u)^γ (γ σ(u) log(1 + e^{−u}) + σ(−u)).
σ(−u)^γ is computed as exp(−γ log(1 + e^u)): a power whose base is rounded to 0 would have no derivative for γ
< 1. Nothing overflows and nothing cancels for large |z|. Kept are z and t, which are there anyway. All is
computed in float32 at least. Formula and gradient hold for every real t; labels are 0 and 1.
Source: Lin et al. 2017, "Focal loss for dense object detection", arXiv:1708.02002 (the paper was not at
hand).
Slips that people make: the weight σ(−u)^γ taken for a constant, which leaves out the first term of g. The
report names the line.
"""

from functools import cache

import jax.numpy as jnp
from jax.scipy.special import expit
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.losses._targets import require_like
from backproof.rule import Loss, require_number
from backproof.rules._rms_norm import at_least_float32
from backproof.rules._softplus import log1p_exp

Residuals = tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]


@cache
def focal_with(gamma: float, alpha: float | None = None) -> Loss:
    """Return the focal loss of logits and labels 0 or 1, summed over all entries.

    Args:
        gamma: how much entries count less whose label is likely; at least 0, which is the cross entropy.
        alpha: the weight of entries with label 1, from 0 to 1, where those with label 0 have 1 − alpha; None
            for weights of 1.

    Raises:
        UsageError: an argument is outside its range.
    """
    gamma = require_number(gamma, "gamma", "focal_with", "of at least 0", lambda gamma: gamma >= 0)
    weights, name = (1.0, 1.0), f"focal_with({gamma:g})"
    if alpha is not None:
        alpha = require_number(alpha, "alpha", "focal_with", "from 0 to 1", lambda alpha: 0 <= alpha <= 1)
        weights, name = (alpha, 1 - alpha), f"focal_with({gamma:g}, {alpha:g})"

    def f(u: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        return jnp.exp(-gamma * log1p_exp(u)) * log1p_exp(-u)

    def g(u: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        weight = jnp.exp(-gamma * log1p_exp(u))
        return weight * (gamma * expit(u) * log1p_exp(-u) + expit(-u))

    def forward(
        prediction: Float[Array, "*batch n"], target: Float[Array, "*batch n"]
    ) -> tuple[Float[Array, ""], Residuals]:
        require_like(prediction, target, name)
        z, of_one, of_zero = _wide(prediction, target)
        J = (of_one * f(z) + of_zero * f(-z)).sum()
        return J.astype(prediction.dtype), (prediction, target)

    def backward(residuals: Residuals) -> Float[Array, "*batch n"]:
        z, of_one, of_zero = _wide(*residuals)
        return (of_zero * g(-z) - of_one * g(z)).astype(residuals[0].dtype)

    def _wide(z: Array, t: Array) -> tuple[Array, Array, Array]:
        """Return z, and the weights of the labels 1 and 0, in float32 at least."""
        wide = at_least_float32(z)
        t = t.astype(wide)
        return z.astype(wide), weights[0] * t, weights[1] * (1 - t)

    return Loss(name, forward, backward, (array("*batch n"), array("*batch n", low=0, high=1)))


focal: Loss = focal_with(2.0, 0.25)._replace(name="focal")
