"""Primitives that move entries and compute nothing: shapes, slices, padding, gathers, scatters and sorts."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax


def broadcast_in_dim(x: np.ndarray, *_: Any, shape: Any, broadcast_dimensions: Any, **__: Any) -> np.ndarray:
    """Return `x` with its axes laid along `broadcast_dimensions` of a larger shape."""
    view = [1] * len(shape)
    for size, axis in zip(np.shape(x), broadcast_dimensions, strict=True):
        view[axis] = size
    return np.broadcast_to(np.reshape(x, view), shape)


def reshape(x: np.ndarray, *_: Any, new_sizes: Any, dimensions: Any, **__: Any) -> np.ndarray:
    """Return the entries in another shape, read in the order of the axes `dimensions` if that is given."""
    return np.reshape(x if dimensions is None else np.transpose(x, dimensions), new_sizes)


def slice_(x: np.ndarray, *, start_indices: Any, limit_indices: Any, strides: Any, **_: Any) -> np.ndarray:
    """Return every so many entries between two indices, along each axis."""
    steps = strides or (1,) * len(start_indices)
    return x[tuple(slice(*bounds) for bounds in zip(start_indices, limit_indices, steps, strict=True))]


def _starts(x: np.ndarray, sizes: Any, starts: Any) -> list[int]:
    """Return start indices moved so that the window lies inside, as XLA does."""
    return [min(max(int(s), 0), n - k) for s, n, k in zip(starts, np.shape(x), sizes, strict=True)]


def dynamic_slice(x: np.ndarray, *starts: Any, slice_sizes: Any, **_: Any) -> np.ndarray:
    """Return a window of `x` that starts at computed indices."""
    begin = _starts(x, slice_sizes, starts[: np.ndim(x)])
    return x[tuple(slice(b, b + k) for b, k in zip(begin, slice_sizes, strict=True))]


def dynamic_update_slice(x: np.ndarray, update: np.ndarray, *starts: Any, **_: Any) -> np.ndarray:
    """Return `x` with `update` written at computed indices."""
    begin = _starts(x, np.shape(update), starts)
    out = np.array(x)
    out[tuple(slice(b, b + k) for b, k in zip(begin, np.shape(update), strict=True))] = update
    return out


def concatenate(*parts: np.ndarray, dimension: int, **_: Any) -> np.ndarray:
    """Return arrays one after another along an axis."""
    return np.concatenate(parts, axis=dimension)


def split(x: np.ndarray, *, sizes: Any, axis: int, **_: Any) -> list[np.ndarray]:
    """Return the parts of `x` of given sizes along an axis."""
    return np.split(x, np.cumsum(sizes)[:-1], axis=axis)


def pad(x: np.ndarray, value: np.ndarray, *, padding_config: Any, **_: Any) -> np.ndarray:
    """Return `x` with `value` around it and between its entries; negative widths cut entries off."""
    sizes = [
        max(0, low + high + max(0, n + max(0, n - 1) * inner))
        for n, (low, high, inner) in zip(np.shape(x), padding_config, strict=True)
    ]
    out = np.full(sizes, value, dtype=x.dtype)
    into, source = [], []
    for n, size, (low, _high, inner) in zip(np.shape(x), sizes, padding_config, strict=True):
        places = low + np.arange(n) * (inner + 1)
        inside = (places >= 0) & (places < size)
        into.append(places[inside])
        source.append(np.arange(n)[inside])
    if into:
        out[np.ix_(*into)] = x[np.ix_(*source)]
    elif not sizes:
        out = np.array(x)
    return out


def iota(*_: Any, dtype: Any, shape: Any, dimension: int, **__: Any) -> np.ndarray:
    """Return the index of each entry along one axis."""
    view = [1] * len(shape)
    view[dimension] = shape[dimension]
    return np.broadcast_to(np.arange(shape[dimension]).reshape(view), shape).astype(dtype)


def sort_order(keys: list[np.ndarray], dimension: int) -> np.ndarray:
    """Return the stable order of the entries along `dimension`, the first key counting most."""
    return np.lexsort([np.moveaxis(key, dimension, -1) for key in keys[::-1]], axis=-1)


def sort(*operands: np.ndarray, dimension: int, num_keys: int, **_: Any) -> list[np.ndarray]:
    """Return operands in the order of the first `num_keys` of them."""
    order = sort_order(list(operands[:num_keys]), dimension)
    return [
        np.moveaxis(np.take_along_axis(np.moveaxis(x, dimension, -1), order, -1), -1, dimension)
        for x in operands
    ]


def default_fill(dtype: Any) -> Any:
    """Return what JAX reads out of range: NaN, True, the least signed or the greatest unsigned number."""
    if jnp.issubdtype(dtype, np.inexact):
        return np.nan
    if np.issubdtype(dtype, np.bool_):
        return True
    return jnp.iinfo(dtype).min if jnp.issubdtype(dtype, np.signedinteger) else jnp.iinfo(dtype).max


def positions(
    shape: tuple[int, ...], indices: np.ndarray, *, dimension_numbers: Any, slice_sizes: Any, clips: bool
) -> np.ndarray:
    """Return the flat index, in `shape`, of each entry that a gather reads.

    Out of range it reads the nearest window where it `clips`, and otherwise none, which is written as -1.
    """
    d = dimension_numbers
    steps = np.cumprod([1, *shape[:0:-1]], dtype=np.int64)[: len(shape)][::-1]  # from one row to the next
    where = np.asarray(indices, np.int64)
    some = where.shape[:-1]
    start, inside = np.zeros(some, np.int64), np.ones(some, bool)
    for k, axis in enumerate(d.start_index_map):
        last = shape[axis] - slice_sizes[axis]
        inside &= (where[..., k] >= 0) & (where[..., k] <= last)
        start += np.clip(where[..., k], 0, last) * steps[axis]
    for axis, along in zip(d.operand_batching_dims, d.start_indices_batching_dims, strict=True):
        view = [1] * start.ndim
        view[along] = some[along]
        start += (np.arange(int(some[along])) * steps[axis]).reshape(view)
    single = {*d.collapsed_slice_dims, *d.operand_batching_dims}
    window = np.zeros((), np.int64)
    for axis in [i for i in range(len(shape)) if i not in single]:
        window = np.asarray(np.add.outer(window, np.arange(slice_sizes[axis]) * steps[axis]))
    places = np.asarray(np.add.outer(start, window))
    if not clips:
        places[~inside] = -1
    return np.moveaxis(places, range(start.ndim, places.ndim), d.offset_dims)


def gather(
    x: np.ndarray,
    indices: np.ndarray,
    *,
    dimension_numbers: Any,
    slice_sizes: Any,
    mode: Any,
    fill_value: Any,
    **_: Any,
) -> np.ndarray:
    """Return windows of `x`; out of range, where `mode` does not move them inside, they hold `fill_value`."""
    # XLA moves a window inside before it reads; what a broken promise reads is what lies there
    clips = mode != lax.GatherScatterMode.FILL_OR_DROP
    places = positions(
        x.shape, indices, dimension_numbers=dimension_numbers, slice_sizes=slice_sizes, clips=clips
    )
    fill = np.asarray(default_fill(x.dtype) if fill_value is None else fill_value).astype(x.dtype)
    return np.append(np.ravel(x), fill)[places]  # -1 is the last entry


def scatter(accumulate: Callable[..., None]) -> Callable[..., np.ndarray]:
    """Return a scatter: its positions are those that a gather with the same dimension numbers would read."""

    def apply(
        x: np.ndarray,
        indices: np.ndarray,
        updates: np.ndarray,
        *,
        dimension_numbers: Any,
        mode: Any,
        **_: Any,
    ) -> np.ndarray:
        d = dimension_numbers
        numbers = lax.GatherDimensionNumbers(
            offset_dims=d.update_window_dims,
            collapsed_slice_dims=d.inserted_window_dims,
            start_index_map=d.scatter_dims_to_operand_dims,
            operand_batching_dims=d.operand_batching_dims,
            start_indices_batching_dims=d.scatter_indices_batching_dims,
        )
        window = iter(updates.shape[i] for i in d.update_window_dims)
        single = {*d.inserted_window_dims, *d.operand_batching_dims}
        sizes = tuple(1 if i in single else next(window) for i in range(x.ndim))
        clips = mode == lax.GatherScatterMode.CLIP  # XLA writes nothing out of range, promised or not
        places = np.ravel(
            positions(x.shape, indices, dimension_numbers=numbers, slice_sizes=sizes, clips=clips)
        )
        out, kept = np.array(x).reshape(-1), places >= 0
        accumulate(out, places[kept], np.ravel(updates)[kept])
        return out.reshape(x.shape)

    return apply


def assign(out: np.ndarray, places: np.ndarray, updates: np.ndarray) -> None:
    """Return operands in the order of the first `num_keys` of them."""
    """Return the index of each entry along one axis."""
    """Return `x` with `value` around it and between its entries; negative widths cut entries off."""
    """Return the parts of `x` of given sizes along an axis."""
    """Return arrays one after another along an axis."""
    """Return `x` with `update` written at computed indices."""
    """Return a window of `x` that starts at computed indices."""
    """Return every so many entries between two indices, along each axis."""
    """Return the entries in another shape, read in the order of the axes `dimensions` if that is given."""
    """Return `x` with its axes laid along `broadcast_dimensions` of a larger shape."""
    """Write each update into its place; the last of several wins."""
    out[places] = updates
