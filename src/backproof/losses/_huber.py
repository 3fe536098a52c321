r"""The Huber loss of e = y − t: ½ e² where |e| ≤ d, and d (|e| − ½ d) beyond; in `huber`, d = 1.

Backward:   ∂J/∂y = e clipped to [−d, d].   Source: Huber (1964), doi:10.1214/aoms/1177703732.
The two pieces meet with equal value and slope, so that there is no kink.
"""

from functools import cache

import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.losses._targets import require_like
from backproof.rule import Loss, require_number


@cache
def huber_with(delta: float) -> Loss:
    """Return the Huber loss whose slope is bounded by `delta`, summed over all entries.

    Args:
        delta: the distance of y from t from which on the loss is linear; a positive finite number.

    Raises:
        UsageError: delta is not a positive finite number.
    """
    d = require_number(delta, "delta", "huber_with", "above 0", lambda delta: delta > 0)
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
