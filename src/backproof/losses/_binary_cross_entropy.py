r"""The cross entropy of t and the sigmoid of a logit z, J = −Σ t log σ(z) + (1 − t) log σ(−z).

Backward:   ∂J/∂z = σ(z) − t = (1 − t) σ(z) − t σ(−z).
Source: Bishop, "Pattern Recognition and Machine Learning" (2006), eqs 4.90 and 4.91.
−log σ(z) = log(1 + exp(−z)) never overflows, and the second form of the gradient never cancels, so that
both are accurate however large |z| is. The loss therefore keeps z: once σ(z) rounds to 1, σ(−z) is lost.
Formula and gradient hold for every real t.
"""

from jax.scipy.special import expit
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.losses._targets import require_like
from backproof.rule import Loss
from backproof.rules._softplus import log1p_exp

Residuals = tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]


def binary_cross_entropy_forward(
    prediction: Float[Array, "*batch n"], target: Float[Array, "*batch n"]
) -> tuple[Float[Array, ""], Residuals]:
    """Return J = Σ t log(1 + exp(−z)) + (1 − t) log(1 + exp(z)), and (z, t)."""
    require_like(prediction, target, "binary_cross_entropy")
    z, t = prediction, target
    return (t * log1p_exp(-z) + (1 - t) * log1p_exp(z)).sum(), (z, t)


def binary_cross_entropy_backward(residuals: Residuals) -> Float[Array, "*batch n"]:
    """Return ∂J/∂z = (1 − t) σ(z) − t σ(−z)."""
    z, t = residuals
    return (1 - t) * expit(z) - t * expit(-z)


binary_cross_entropy: Loss = Loss(
    "binary_cross_entropy",
    binary_cross_entropy_forward,
    binary_cross_entropy_backward,
    (array("*batch n"), array("*batch n", low=0, high=1)),
)
