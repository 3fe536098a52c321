r"""The mean over the samples instead of their sum: J / N and (∂J/∂y) / N, value and gradient alike.

N is the number of samples, the product of the leading axes of the prediction, or what the loss itself counts
(`Loss.counted`): `token_cross_entropy` counts the tokens that are not ignored. If it counts none, as in a
batch in which every token is ignored, N is 1, so that value and gradient are 0 and not NaN. Entries within a
sample are still summed. The documents sum over the batch; the factor 1/N is the convention named in X.2.
"""

from functools import cache

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from backproof.errors import UsageError, message
from backproof.rule import Loss, PyTree, require_loss, sample_count
from backproof.rules._rms_norm import at_least_float32


def mean(loss: Loss) -> Loss:
    """Return `loss` divided by the number of samples, value and gradient alike.

    Where the loss says which samples count (`Loss.counted`), these are the samples, and if there is none, the
    value is 0. Otherwise its forward pass raises `UsageError` for an empty batch, which has no mean.

    Raises:
        UsageError: `loss` is not a loss, or does not say what its samples are: it has no `counted`, and the
            domain of its prediction no `*` axis.
    """
    require_loss(loss, "mean")
    try:
        return _mean(loss)
    except TypeError:  # a domain with a dict has no hash
        return _mean.__wrapped__(loss)


@cache
def _mean(loss: Loss) -> Loss:
    specification = jax.tree.leaves(loss.domain[0])[0]
    if loss.counted is None and specification.batch_name is None:
        raise UsageError(
            message(
                must="the domain of the loss must say by a `*` axis which axes count samples",
                found=f"{loss.name}.domain[0]={specification}",
                where="mean",
                do='declare the prediction as array("*batch n"), say, or divide in the loss itself',
            )
        )
    name = f"mean({loss.name})"

    def forward(prediction: PyTree, target: PyTree) -> tuple[Float[Array, ""], PyTree]:
        value, residuals = loss.forward(prediction, target)
        if loss.counted is None:
            return value / _samples(prediction), residuals
        count = jnp.maximum(jnp.asarray(loss.counted(prediction, target)), 1)
        return _divided(value, count), (residuals, count)

    def backward(residuals: PyTree) -> PyTree:
        if loss.counted is None:
            delta_prediction = loss.backward(residuals)
            return jax.tree.map(lambda leaf: leaf / _samples(delta_prediction), delta_prediction)
        residuals, count = residuals
        return jax.tree.map(lambda leaf: _divided(leaf, count), loss.backward(residuals))

    def _samples(prediction: PyTree) -> int:
        shape = jnp.shape(jax.tree.leaves(prediction)[0])
        count = sample_count(specification, shape)
        if count == 0:
            raise UsageError(
                message(
                    must="a mean needs at least one sample",
                    found=f"prediction.shape={shape}",
                    where=name,
                    do=f"use {loss.name}, the sum, or leave out empty batches",
                )
            )
        return count

    return loss._replace(name=name, forward=forward, backward=backward)


def _divided(v: Float[Array, "*any"], count: Integer[Array, ""]) -> Float[Array, "*any"]:
    """Return v / count, divided in float32 at least: float16 has no number for a count above 65504."""
    wide = at_least_float32(v)
    return (v.astype(wide) / count.astype(wide)).astype(v.dtype)
