"""Checks of a target, made at trace time, before anything is computed."""

import jax
import jax.numpy as jnp

from backproof.errors import UsageError, message
from backproof.rule import require_floating


def require_like(prediction: jax.Array, target: jax.Array, where: str) -> None:
    """Raise `UsageError` unless `prediction` is floating and `target` has its shape and dtype."""
    require_floating(prediction, where)
    require_target_shape(
        target,
        jnp.shape(prediction),
        where,
        "pass a target for every entry of the prediction; nothing is broadcast",
    )
    if jnp.result_type(target) != jnp.result_type(prediction):
        raise UsageError(
            message(
                must=f"the target must have the dtype of the prediction, {jnp.result_type(prediction)}",
                found=f"target.dtype={jnp.result_type(target)}",
                where=where,
                do="convert it first: target.astype(prediction.dtype)",
            )
        )


def require_target_shape(target: jax.Array, expected: tuple[int, ...], where: str, do: str) -> None:
    """Raise `UsageError`, advising `do`, unless `target` has the shape `expected`."""
    if jnp.shape(target) != expected:
        raise UsageError(
            message(
                must=f"the target must have shape {expected}",
                found=f"target.shape={jnp.shape(target)}",
                where=where,
                do=do,
            )
        )
