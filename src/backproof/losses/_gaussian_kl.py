r"""The Kullback–Leibler divergence of diagonal Gaussians, J = Σ KL(N(m, e^v) ‖ N(m₀, e^{v₀})).

With u = (m − m₀) e^{−v₀/2} and w = v − v₀:
    J = ½ Σ u² + (e^w − 1) − w.
Backward:   ∂J/∂m = u e^{−v₀/2},   ∂J/∂v = ½ (e^w − 1).
The prediction is the pair (m, v) of means and logarithms of variances, and the target the pair (m₀, v₀), a
constant. In `standard_gaussian_kl`, the term of variational autoencoders, m₀ = v₀ = 0; its target is the
empty tuple, because there is nothing to compare with. e^w − 1 is computed by expm1, which keeps its digits
where the variances are almost equal. Kept are prediction and target, which are there anyway; u and w are a
few operations away. All is computed in float32 at least.
Source: Kingma and Welling 2013, "Auto-encoding variational Bayes", arXiv:1312.6114 (the standard case; the
paper was not at hand).
Slips that people make: the deviation e^{v/2} in place of the variance e^v, and a forgotten ½. The report
names the line of the first, and for the second a line in which the ½ may stand.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.errors import UsageError, message
from backproof.losses._targets import require_like
from backproof.rule import Loss, PyTree, require_floating
from backproof.rules._rms_norm import at_least_float32

Gaussian = tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]
PAIR = (array("*batch n"), array("*batch n"))


def gaussian_kl_forward(
    prediction: Gaussian, target: Gaussian
) -> tuple[Float[Array, ""], tuple[Gaussian, Gaussian]]:
    """Return J, and both Gaussians."""
    _require_pair(prediction, "prediction", "gaussian_kl")
    _require_pair(target, "target", "gaussian_kl")
    for leaf, of_target in zip(prediction, target, strict=True):
        require_like(leaf, of_target, "gaussian_kl")
    (m, v), (m_0, v_0) = _wide(prediction), _wide(target)
    u, w = (m - m_0) * jnp.exp(-v_0 / 2), v - v_0
    return _half_sum(u * u + (jnp.expm1(w) - w), prediction), (prediction, target)


def gaussian_kl_backward(residuals: tuple[Gaussian, Gaussian]) -> Gaussian:
    """Return ∂J/∂m = u e^{−v₀/2} and ∂J/∂v = ½ (e^w − 1)."""
    prediction, target = residuals
    (m, v), (m_0, v_0) = _wide(prediction), _wide(target)
    scale = jnp.exp(-v_0 / 2)
    return _like(prediction, (m - m_0) * scale * scale, jnp.expm1(v - v_0) / 2)


def standard_gaussian_kl_forward(
    prediction: Gaussian, target: tuple[()] = ()
) -> tuple[Float[Array, ""], Gaussian]:
    """Return J = ½ Σ m² + (e^v − 1) − v, and (m, v)."""
    _require_pair(prediction, "prediction", "standard_gaussian_kl")
    if jax.tree.leaves(target):
        raise UsageError(
            message(
                must="there is no target, because the other Gaussian is the standard one",
                found=f"a target of {len(jax.tree.leaves(target))} arrays",
                where="standard_gaussian_kl",
                do="pass (), or use gaussian_kl for another Gaussian",
            )
        )
    m, v = _wide(prediction)
    return _half_sum(m * m + (jnp.expm1(v) - v), prediction), prediction


def standard_gaussian_kl_backward(prediction: Gaussian) -> Gaussian:
    """Return ∂J/∂m = m and ∂J/∂v = ½ (e^v − 1)."""
    m, v = _wide(prediction)
    return _like(prediction, m, jnp.expm1(v) / 2)


def _wide(gaussian: Gaussian) -> Gaussian:
    m, v = gaussian
    return m.astype(at_least_float32(m)), v.astype(at_least_float32(v))


def _half_sum(terms: Float[Array, "*batch n"], like: Gaussian) -> Float[Array, ""]:
    return (terms.sum() / 2).astype(like[0].dtype)


def _like(prediction: Gaussian, delta_m: Array, delta_v: Array) -> Gaussian:
    return delta_m.astype(prediction[0].dtype), delta_v.astype(prediction[1].dtype)


def _require_pair(gaussian: PyTree, name: str, where: str) -> None:
    """Raise `UsageError` unless `gaussian` is a pair of floating arrays of one shape and dtype."""
    if not isinstance(gaussian, tuple | list) or len(gaussian) != 2:
        found = f"{len(gaussian)} entries" if isinstance(gaussian, tuple | list) else type(gaussian).__name__
        raise UsageError(
            message(
                must=f"the {name} must be the pair (mean, log_variance)",
                found=found,
                where=where,
                do="pass two arrays of one shape",
            )
        )
    require_floating(gaussian, where, name)
    forms = [f"{jnp.result_type(leaf)}{list(jnp.shape(leaf))}" for leaf in gaussian]
    if forms[0] != forms[1]:
        raise UsageError(
            message(
                must=f"mean and log_variance of the {name} must have one shape and dtype",
                found=f"{forms[0]} and {forms[1]}",
                where=where,
                do="pass a number of each for every entry",
            )
        )


gaussian_kl: Loss = Loss("gaussian_kl", gaussian_kl_forward, gaussian_kl_backward, (PAIR, PAIR))
standard_gaussian_kl: Loss = Loss(
    "standard_gaussian_kl", standard_gaussian_kl_forward, standard_gaussian_kl_backward, (PAIR, ())
)
