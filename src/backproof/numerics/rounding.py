"""Varies one rounding: by a unit in the last place of the result or, in a sum, of its terms."""

from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from backproof.numerics.leaves import is_complex, is_inexact
from backproof.numerics.primitives import LOOSE, ROUGH, SPECIAL, SUMS
from backproof.numerics.tolerance import LIBRARY_ULPS

WIDE = (np.longdouble, np.clongdouble)


def perturbed(
    name: str,
    out: Any,
    terms: Any,
    rng: np.random.Generator,
) -> Any:
    """Return `out`, the result of primitive `name`, as another rounding of it might be.

    Args:
        name: the primitive.
        out: its result.
        terms: for a sum, the result of `rounding_of_sum`; for a conversion to fewer digits, that of
            `rounded`.
        rng: the source of the perturbation.
    """
    if name in SUMS or name == "convert_element_type":
        return moved(out, terms, 1.0, rng)
    ulps = LIBRARY_ULPS if name in LOOSE or name in ROUGH else 1.0
    if name in SPECIAL:  # they are computed in float64 even where the value is held wider
        ulps *= max(1.0, epsilon(np.float64) / epsilon(out.dtype)) if out.dtype.itemsize >= 8 else 1.0
    return moved(out, np.abs(out) + 1 if name in ROUGH else np.abs(out), ulps, rng)


def rounded(before: Any, after: Any) -> Any:
    """Return the size of each number that a conversion to fewer digits has rounded, 0 where it is exact."""
    return np.where(np.asarray(before) == after, 0, np.abs(after)).astype(np.abs(after).dtype)


def rounding_of_sum(
    name: str, operands: list[Any], operation: Callable[..., Any], params: dict[str, Any]
) -> list[Any] | None:
    """Return, for each result of a sum, the number whose last place is rounded; None for other operations.

    That number is the sum of the absolute values of the terms, and larger where they are many: the error of n
    rounded terms grows like a random walk.
    """
    if name not in SUMS:
        return None
    sizes = [_size(v) for v in operands]
    if name == "scatter-sub":
        sizes[-1] = -sizes[-1]  # what is taken away counts like what is added
    sized = operation(*sizes, **params)
    sums = [np.asarray(one) for one in (sized if isinstance(sized, list | tuple) else [sized])]
    walks = [walk_of_sum(name, operands, one, params) for one in sums]
    return [one * walk if walk > 1 else one for one, walk in zip(sums, walks, strict=True)]


def walk_of_sum(name: str, operands: Sequence[Any], out: Any, params: dict[str, Any]) -> float:
    """Return how many times as large as one rounding of all terms that of a sum is, where they are many."""
    return max(1.0, 0.5 * summed_terms(name, operands, out, params) ** 0.5)


def summed_terms(name: str, operands: Sequence[Any], out: Any, params: dict[str, Any]) -> float:
    """Return about how many terms each entry of a sum has: the longest axis where the number varies."""
    if not out.size:
        return 1.0
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        return float(np.prod([operands[0].shape[axis] for axis in contracted], dtype=float))
    if name == "conv_general_dilated":
        _, *terms = params["dimension_numbers"].rhs_spec
        return float(np.prod([operands[1].shape[axis] for axis in terms], dtype=float))
    if name == "reduce_sum":
        return max(1.0, operands[0].size / out.size)
    return float(max((n for operand in operands for n in np.shape(operand)), default=1))


def _size(value: Any) -> Any:
    return np.abs(value) if is_inexact(value) else value


def moved(value: Any, size: Any, ulps: float, rng: np.random.Generator) -> Any:
    """Return `value` moved by ½ to 1 times `ulps` units in the last place of `size`, up or down."""
    if not is_inexact(value):
        return value
    step = rng.integers(-128, 128, np.shape(value), np.int8).astype(np.float32)
    step += np.copysign(np.float32(128), step)
    step *= np.float32(1 / 256)
    unit = np.multiply(size, ulps * epsilon(value.dtype))
    if not np.isfinite(np.max(unit, initial=0.0)):
        unit = np.where(np.isfinite(unit), unit, 0)
    least = smallest_normal(value.dtype)  # below it XLA flushes to zero, which may have a large effect
    if not np.min(np.abs(value), initial=np.inf) >= least:  # true for a NaN too, so none hides a small number
        unit = np.where(np.abs(value) < least, least, unit)
    if is_complex(value):
        unit = unit * np.exp(2j * np.pi * rng.random(np.shape(value)))
    if isinstance(unit, np.ndarray) and unit.dtype == value.dtype == np.float64:
        unit *= step  # in place: a fresh array of a million costs as much as the product
        unit += value
        return unit
    return (value + step * unit).astype(value.dtype, copy=False)


def smallest_normal(dtype: Any) -> Any:
    """Return the smallest normal number of `dtype`; for a dtype wider than float64, that of float64."""
    return np.finfo(np.float64).tiny if dtype in WIDE else ml_dtypes.finfo(dtype).tiny


def epsilon(dtype: Any) -> float:
    """Return the spacing of numbers of `dtype` at 1."""
    known = np.finfo if dtype in WIDE else ml_dtypes.finfo
    return float(known(dtype).eps)


# One unit in the last place of float32, counted in units of float64.
SINGLE_ULP = epsilon(np.float32) / epsilon(np.float64)
