r"""The Huber loss of e = y − t: ½ e² where |e| ≤ d, and d (|e| − ½ d) beyond; d = 1 unless chosen.

Backward:   ∂J/∂y = e clipped to [−d, d].   Source: Huber (1964), doi:10.1214/aoms/1177703732.
The two pieces meet with equal value and slope, so that there is no kink.
"""

import math
from functools import cache
from numbers import Real

import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.errors import UsageError, message
from backproof.losses._targets import require_like
from backproof.rule import Loss


@cache
def huber_with(delta: float) -> Loss:
    """Return the Huber loss whose slope is bounded by `delta`, summed over all entries.

    Args:
        delta: the |y − t| from which on the loss is linear; a positive finite number.

    Raises:
        UsageError: delta is not a positive finite number.
    """
    if not isinstance(delta, Real) or not math.isfinite(delta) or delta <= 0:
        raise UsageError(
            message(
                must="delta must be a positive finite number",
                found=f"delta={delta!r}",
                where="huber_with",
                do="pass e.g. huber_with(0.5)",
            )
        )
    d = float(delta)
    name = f"huber_with({d:g})"

    def forward(
        prediction: Float[Array, "*batch n"], target: Float[Array, "*batch n"]
    ) -> tuple[Float[Array, ""], Float[Array, "*batch n"]]:
        require_like(prediction, target, name)
        error = prediction - target
        size = jnp.abs(error)
        return jnp.where(size <= d, error * error / 2, d * (size - d / 2)).sum(), error

    def backward(error: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        return jnp.clip(error, -d, d)

    return Loss(name, forward, backward)


huber = huber_with(1.0)._replace(name="huber")
