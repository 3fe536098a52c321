r"""The mean over the samples instead of their sum: J / N and (∂J/∂y) / N, value and gradient alike.

N is the number of samples, the product of the leading axes of the prediction; entries within a sample
are still summed. The documents sum over the batch; the factor 1/N is the convention named in X.2.
"""

from functools import cache

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.errors import UsageError, message
from backproof.rule import Loss, PyTree, require_loss, sample_count


@cache
def mean(loss: Loss) -> Loss:
    """Return `loss` divided by the number of samples, value and gradient alike.

    Its forward pass raises `UsageError` for an empty batch, which has no mean.

    Raises:
        UsageError: `loss` is not a loss, or its domain has no `*` axis to say which axes count samples.
    """
    require_loss(loss, "mean")
    if loss.domain[0].batch_name is None:
        raise UsageError(
            message(
                must="the domain of the loss must say by a `*` axis which axes count samples",
                found=f"{loss.name}.domain[0]={loss.domain[0]}",
                where="mean",
                do='declare the prediction as array("*batch n"), say, or divide in the loss itself',
            )
        )
    name = f"mean({loss.name})"

    def forward(prediction: Array, target: PyTree) -> tuple[Float[Array, ""], PyTree]:
        value, residuals = loss.forward(prediction, target)
        return value / _samples(prediction), residuals

    def backward(residuals: PyTree) -> Array:
        delta_prediction = loss.backward(residuals)
        return delta_prediction / _samples(delta_prediction)

    def _samples(prediction: jax.Array) -> int:
        count = sample_count(loss.domain[0], jnp.shape(prediction))
        if count == 0:
            raise UsageError(
                message(
                    must="a mean needs at least one sample",
                    found=f"prediction.shape={jnp.shape(prediction)}",
                    where=name,
                    do=f"use {loss.name}, the sum, or leave out empty batches",
                )
            )
        return count

    return loss._replace(name=name, forward=forward, backward=backward)
