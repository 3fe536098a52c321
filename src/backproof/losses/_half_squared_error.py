r"""Half the squared error, J = ½ Σ (y − t)², summed over all entries.

Backward:   ∂J/∂y = y − t.   Source: S0.1 (document 000), with t for its target y.
"""

from jaxtyping import Array, Float

from backproof.losses._targets import require_like
from backproof.rule import Loss


def half_squared_error_forward(
    prediction: Float[Array, "*batch n"], target: Float[Array, "*batch n"]
) -> tuple[Float[Array, ""], Float[Array, "*batch n"]]:
    """Return J = ½ Σ e², and e = y − t."""
    require_like(prediction, target, "half_squared_error")
    error = prediction - target
    return (error * error).sum() / 2, error


def half_squared_error_backward(error: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
    """Return ∂J/∂y = e."""
    return error


half_squared_error: Loss = Loss("half_squared_error", half_squared_error_forward, half_squared_error_backward)
