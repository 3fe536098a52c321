"""One rounding, varied: by a unit in the last place of a result, or of the terms of a sum."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np

from backproof.verification.primitives import LOOSE, LOOSE_ULPS, ROUGH, SPECIAL, SUMS, summed_terms

WIDE = (np.longdouble, np.clongdouble)


def perturbed(
    name: str,
    operands: list[Any],
    out: Any,
    operation: Callable[..., Any],
    params: dict[str, Any],
    rng: np.random.Generator,
) -> Any:
    """Return `out`, the result of primitive `name`, as another rounding of it might be.

    Args:
        name: the primitive.
        operands: what it was applied to.
        out: what it gave.
        operation: how it is computed, to size the terms of a sum.
        params: its parameters.
        rng: the source of the perturbation.
    """
    if name in SUMS:
        terms = np.asarray(operation(*[_size(v) for v in operands], **params))
        # the error of a sum of n rounded terms grows like a random walk
        return moved(out, terms, max(1.0, 0.5 * summed_terms(name, operands, out) ** 0.5), rng)
    ulps = LOOSE_ULPS if name in LOOSE or name in ROUGH else 1.0
    if name in SPECIAL:  # computed in float64 even where the value is held wider
        ulps *= max(1.0, epsilon(np.float64) / epsilon(out.dtype)) if out.dtype.itemsize >= 8 else 1.0
    return moved(out, np.abs(out) + (name in ROUGH), ulps, rng)


def _size(value: Any) -> Any:
    return np.abs(value) if jnp.issubdtype(value.dtype, np.inexact) else value


def moved(value: Any, size: Any, ulps: float, rng: np.random.Generator) -> Any:
    """Return `value` moved by ½ to 1 times `ulps` units in the last place of `size`, up or down."""
    if not jnp.issubdtype(value.dtype, np.inexact):
        return value
    draw = rng.random(np.shape(value), np.float32) - np.float32(0.5)
    step = (draw + np.copysign(np.float32(0.5), draw)).astype(np.float64)
    if jnp.issubdtype(value.dtype, np.complexfloating):
        step = step * np.exp(2j * np.pi * rng.random(np.shape(value)))
    unit = ulps * epsilon(value.dtype) * size
    if not np.all(np.isfinite(unit)):
        unit = np.where(np.isfinite(unit), unit, 0)
    least = smallest_normal(value.dtype)  # below it XLA flushes to zero, and what follows may be large
    small = np.abs(value) < least
    unit = np.where(small, least, unit) if np.any(small) else unit
    return (value + step * unit).astype(value.dtype, copy=False)


def smallest_normal(dtype: Any) -> Any:
    """Return the smallest normal number of `dtype`; of float64 where it is held wider."""
    return np.finfo(np.float64).tiny if dtype in WIDE else ml_dtypes.finfo(dtype).tiny


def epsilon(dtype: Any) -> float:
    """Return the spacing of numbers of `dtype` at 1."""
    known = np.finfo if dtype in WIDE else ml_dtypes.finfo
    return float(known(dtype).eps)
