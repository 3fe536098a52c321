"""Primitives that add products, or slide a window over an array: products, convolutions, pooling."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from backproof.numerics.indexing import pad


def dot_general(
    x: np.ndarray, y: np.ndarray, *, dimension_numbers: Any, preferred_element_type: Any, **_: Any
) -> np.ndarray:
    """Return the contraction of two arrays, batch axes first."""
    (cx, cy), (bx, by) = dimension_numbers
    x, y, returned = _for_sums(x, y, preferred_element_type)
    free_x = [i for i in range(x.ndim) if i not in cx and i not in bx]
    free_y = [i for i in range(y.ndim) if i not in cy and i not in by]
    batch = [x.shape[i] for i in bx]
    shape_x, shape_y = [x.shape[i] for i in free_x], [y.shape[i] for i in free_y]
    inner = math.prod(x.shape[i] for i in cx)
    left = x.transpose((*bx, *free_x, *cx)).reshape((*batch, math.prod(shape_x), inner))
    right = y.transpose((*by, *cy, *free_y)).reshape((*batch, inner, math.prod(shape_y)))
    return np.matmul(left, right).reshape((*batch, *shape_x, *shape_y)).astype(returned, copy=False)


def _for_sums(x: np.ndarray, y: np.ndarray, preferred: Any) -> tuple[np.ndarray, np.ndarray, Any]:
    """Return two factors in the dtype in which XLA adds their products, and the dtype of the result.

    Products of two-byte floats are added in float32, and those of integers in the dtype of the result.
    """
    held = np.promote_types(x.dtype, y.dtype)
    wide = held in (np.longdouble, np.clongdouble) and preferred in (np.float64, np.complex128)
    returned = held if preferred is None or wide else np.dtype(preferred)
    added = np.promote_types(held, returned)
    if jnp.issubdtype(added, np.floating) and added.itemsize < 4:
        added = np.dtype(np.float32)
    return x.astype(added, copy=False), y.astype(added, copy=False), returned


def conv_general_dilated(
    x: np.ndarray,
    kernel: np.ndarray,
    *,
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    rhs_dilation: Sequence[int],
    dimension_numbers: Any,
    feature_group_count: int,
    batch_group_count: int,
    preferred_element_type: Any,
    **_: Any,
) -> np.ndarray:
    """Return a convolution, as one product of matrices for each group of channels, or of samples."""
    x, kernel, returned = _for_sums(x, kernel, preferred_element_type)
    rows = np.transpose(x, dimension_numbers.lhs_spec)  # samples, channels, places
    weights = np.transpose(kernel, dimension_numbers.rhs_spec)  # results, channels of a group, window
    groups, sides = feature_group_count * batch_group_count, weights.shape[2:]  # one of the counts is 1
    spread = [(low, high, step - 1) for (low, high), step in zip(padding, lhs_dilation, strict=True)]
    filled = pad(rows, np.zeros((), x.dtype), padding_config=((0, 0, 0), (0, 0, 0), *spread))
    seen = sliding(filled, (1, 1, *sides), (1, 1, *window_strides), (1, 1, *rhs_dilation))
    samples, channels, *places = seen.shape[: 2 + len(sides)]
    split = seen.reshape(
        batch_group_count,
        samples // batch_group_count,
        feature_group_count,
        channels // feature_group_count,
        math.prod(places),
        math.prod(sides),
    )
    # one matrix for each group: a row for each sample and place, a column for each channel and window entry
    left = split.transpose(0, 2, 1, 4, 3, 5)
    left = left.reshape(groups, math.prod(left.shape[2:4]), math.prod(left.shape[4:]))
    right = weights.reshape(groups, weights.shape[0] // groups, math.prod(weights.shape[1:]))
    out = np.matmul(left, right.transpose(0, 2, 1))
    out = out.reshape(groups, samples // batch_group_count, math.prod(places), weights.shape[0] // groups)
    out = out.transpose(1, 0, 3, 2).reshape(samples // batch_group_count, weights.shape[0], *places)
    return np.transpose(out, np.argsort(dimension_numbers.out_spec)).astype(returned, copy=False)


def sliding(
    x: np.ndarray, sides: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> np.ndarray:
    """Return each window of `x`: first the axes along which windows lie, then those of the window."""
    spans = [max(0, side - 1) * step + 1 if side else 0 for side, step in zip(sides, dilation, strict=True)]
    counts = [
        max(0, (n - span) // stride + 1) if n >= span else 0
        for n, span, stride in zip(x.shape, spans, strides, strict=True)
    ]
    if 0 in counts or 0 in sides:
        return np.zeros((*counts, *sides), x.dtype)
    every = np.lib.stride_tricks.sliding_window_view(x, tuple(spans))
    places = tuple(slice(None, None, stride) for stride in strides)
    return every[(*places, *(slice(None, None, step) for step in dilation))]


def reduce_window(ufunc: np.ufunc, empty: Any) -> Any:
    """Return the reduction of windows by `ufunc`; `empty` gives the dtype's value of an empty window."""

    def apply(
        x: np.ndarray,
        *,
        window_dimensions: Sequence[int],
        window_strides: Sequence[int],
        padding: Sequence[tuple[int, int]],
        base_dilation: Sequence[int],
        window_dilation: Sequence[int],
        **_: Any,
    ) -> np.ndarray:
        first = np.asarray(empty(x.dtype)).astype(x.dtype)
        spread = [(low, high, step - 1) for (low, high), step in zip(padding, base_dilation, strict=True)]
        seen = sliding(
            pad(x, first, padding_config=spread), window_dimensions, window_strides, window_dilation
        )
        axes = tuple(range(x.ndim, 2 * x.ndim))
        return np.asarray(ufunc.reduce(seen, axis=axes, dtype=x.dtype, initial=first))

    return apply
