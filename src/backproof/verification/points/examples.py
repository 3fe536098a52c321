"""Integers of example arrays: what else they may be, as far as an example can tell.

An example shows one value of each integer, and the code may rely on what it does not say: that indices are in
range, sorted or unique, or that sizes of groups have a sum. So a variation keeps whatever of that the example
shows: it uses the values that stand there, at places where they may stand; what is sorted stays sorted
between the same ends, what is unique stays unique, and sizes of groups keep their sum.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.tree_util import DictKey, KeyPath, SequenceKey

from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import PyTree, is_floating, is_key
from backproof.verification.points.members import Vary, is_specification

Rng = np.random.Generator
Way = Callable[[np.ndarray, Rng], np.ndarray]


def variations(arguments: PyTree) -> list[Vary | None]:
    """Return, for each leaf of the arguments, what varies its integers; None where nothing does."""
    leaves = jax.tree_util.tree_leaves_with_path(arguments, is_leaf=is_specification)
    examples = [leaf for _, leaf in leaves if not is_specification(leaf)]
    lengths = {size for leaf in examples if is_floating(leaf) for size in np.shape(leaf)}
    return [
        _variation(np.asarray(leaf), lengths) if _is_whole(leaf) and _is_free(path) else None
        for path, leaf in leaves
    ]


def held_still(arguments: PyTree, vary: list[Vary | None]) -> tuple[str, ...]:
    """Return words for each example that is the same at every point: its integers, or a key."""
    found = []
    leaves = jax.tree_util.tree_leaves_with_path(arguments, is_leaf=is_specification)
    for (path, leaf), one in zip(leaves, vary, strict=True):
        what = "the integers of" if _is_whole(leaf) else "the key" if _is_key(leaf) else ""
        if what and one is None and np.size(leaf):
            found.append(f"{what} args{jax.tree_util.keystr(path)} (as given)")
    return tuple(found)


def _is_free(path: KeyPath) -> bool:
    """Return whether a leaf stands in lists, tuples and dicts only: other classes have rules of their own."""
    return all(isinstance(key, SequenceKey | DictKey) for key in path)


def _is_key(leaf: Any) -> bool:
    return not is_specification(leaf) and is_key(leaf)


def _is_whole(leaf: Any) -> bool:
    """Return whether a leaf is an example of integers or booleans."""
    return not (is_specification(leaf) or is_key(leaf)) and np.asarray(leaf).dtype.kind in "iub"


def _variation(example: np.ndarray, lengths: set[int]) -> Vary | None:
    """Return what varies an example; None where no other array shows everything that it shows."""
    sizes, offsets = _is_sizes(example, lengths), _is_offsets(example, lengths)
    ways: tuple[Way, ...] = (_exchanged, _flipped if example.dtype == bool else _redrawn)
    ways = (_regrouped,) if sizes else (_reset,) if offsets else ways

    def vary(rng: Rng) -> np.ndarray | None:
        for _ in range(EFFORT.draws):
            other = ways[rng.integers(len(ways))](example, rng).astype(example.dtype)
            if np.any(other != example) and (sizes or offsets or _is_alike(example, other)):
                return other
        return None

    return vary if vary(np.random.default_rng(0)) is not None else None


def _is_sizes(example: np.ndarray, lengths: set[int]) -> bool:
    """Return whether an example looks like sizes of groups: numbers ≥ 0 whose sum is the length of an axis.

    An array of as many numbers as its sum may be labels instead, one for each entry of that axis.
    """
    return (
        example.ndim == 1
        and example.dtype != bool
        and example.size > 1
        and bool(np.all(example >= 0))
        and int(example.sum()) in lengths - {0, example.size}
    )


def _regrouped(sizes: np.ndarray, rng: Rng) -> np.ndarray:
    """Return sizes with the same sum, one group more of them empty; none is larger than the largest was.

    So they are in range even if they are indices. Where all are equal, which indices are not, one may grow.
    """
    held = rng.permutation(sizes).astype(np.int64)
    most = held.sum() - 1 if held.min() == held.max() else held.max()
    emptied = rng.choice(np.flatnonzero(held))
    moved, held[emptied] = int(held[emptied]), 0
    room = most - held
    room[emptied] = 0
    return held + rng.multivariate_hypergeometric(room, moved) if moved <= room.sum() else sizes


def _is_offsets(example: np.ndarray, lengths: set[int]) -> bool:
    """Return whether an example looks like the places where groups begin: sorted, from 0 to such a length."""
    return (
        example.ndim == 1
        and example.dtype != bool
        and example.size > 2
        and bool(np.all(np.diff(example.astype(np.int64)) >= 0))
        and int(example[0]) == 0
        and int(example[-1]) in lengths - {0}
    )


def _reset(offsets: np.ndarray, rng: Rng) -> np.ndarray:
    """Return offsets between the same ends, where groups may be empty."""
    inner = rng.integers(0, offsets[-1], offsets.size - 2, endpoint=True)
    return np.concatenate([offsets[:1], np.sort(inner), offsets[-1:]])


def _exchanged(example: np.ndarray, rng: Rng) -> np.ndarray:
    """Return the same entries in another order along one axis: of its slices, or of each line alone."""
    if not example.ndim:
        return example
    axis = int(rng.integers(example.ndim))
    return (rng.permutation if rng.random() < 0.5 else rng.permuted)(example, axis=axis)


def _redrawn(example: np.ndarray, rng: Rng) -> np.ndarray:
    """Return the example with half of its entries replaced: by values that stand in it, or between those.

    Where many values between the least and the greatest are missing, one of the two may mean something else,
    such as a label that is ignored; then there is nothing between.
    """
    values = np.unique(example)
    span = int(values[-1]) - int(values[0]) + 1
    pool = np.arange(values[0], values[0] + span) if span <= 2 * values.size else values
    other = np.where(rng.random(example.shape) < 0.5, rng.choice(pool, example.shape), example)
    other = np.where(_in_range(example, other), other, example)
    if example.ndim != 1 or not _is_sorted(example, 0):
        return other
    other = np.sort(other) if example[0] < example[-1] else np.sort(other)[::-1]
    other[0], other[-1] = example[0], example[-1]
    return other


def _flipped(example: np.ndarray, rng: Rng) -> np.ndarray:
    return example ^ (rng.random(example.shape) < 0.25)


def _is_alike(example: np.ndarray, other: np.ndarray) -> bool:
    """Return whether another array shows everything that the example shows."""
    if example.dtype != bool and not (_in_range(example, other).all() and _keeps_lines(example, other)):
        return False
    return all(shows(other) for shows in SHOWN if shows(example))


def _in_range(example: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return which entries lie between the least and the greatest of their line in the example.

    Lines run along the longest axis, or along several: each of the two columns of a list of edges has a range
    of its own.
    """
    inside = np.ones(example.shape, bool)
    for axis in [axis for axis, size in enumerate(example.shape) if size == max(example.shape)]:
        least, most = example.min(axis, keepdims=True), example.max(axis, keepdims=True)
        inside &= (other >= least) & (other <= most)
    return inside


def _keeps_lines(example: np.ndarray, other: np.ndarray) -> bool:
    """Return whether each sorted line is still sorted, between the same ends, and each unique one unique."""
    for axis in range(example.ndim):
        ends = np.all(np.take(example, [0, -1], axis) == np.take(other, [0, -1], axis), axis)
        if np.any(_is_sorted(example, axis) & ~(_is_sorted(other, axis) & ends)):
            return False
        if np.any(_is_unique(example, axis) & ~_is_unique(other, axis)):
            return False
    return True


def _is_sorted(array: np.ndarray, axis: int) -> np.ndarray:
    """Return which lines are sorted, up or, as lengths sometimes are, down; a few may be so by chance."""
    steps, size = np.diff(array.astype(np.int64), axis=axis), array.shape[axis]
    up, down = np.all(steps >= 0, axis), np.all(steps <= 0, axis)
    return (up & (array.ndim == 1 or size > 2)) | (down & (size > 3))


def _is_unique(array: np.ndarray, axis: int) -> np.ndarray:
    return np.all(np.diff(np.sort(array, axis), axis=axis) != 0, axis)


def _has_unique_rows(array: np.ndarray) -> bool:
    return array.ndim > 1 and len(np.unique(array, axis=0)) == len(array)


def _is_symmetric(array: np.ndarray) -> bool:
    return _is_square(array) and bool(np.all(array == np.swapaxes(array, -1, -2)))


def _is_triangular(array: np.ndarray) -> bool:
    return _is_square(array) and (not np.triu(array, 1).any() or not np.tril(array, -1).any())


def _is_square(array: np.ndarray) -> bool:
    return array.ndim > 1 and array.shape[-1] == array.shape[-2] > 1


def _is_one_hot(array: np.ndarray) -> bool:
    return array.ndim > 1 and bool(np.all(array.astype(np.int64).sum(-1) == 1) and np.all(array >= 0))


def _is_padded_behind(array: np.ndarray) -> bool:
    """Return whether booleans are True up to some place of each row, and False from there on."""
    if array.dtype != bool or not array.ndim or array.shape[-1] < 3:
        return False
    steps = np.diff(array.astype(np.int64), axis=-1)
    return bool(steps.any() and np.all(steps <= 0))


def _is_padded_before(array: np.ndarray) -> bool:
    return bool(array.ndim) and _is_padded_behind(array[..., ::-1])


SHOWN = (
    _has_unique_rows, _is_symmetric, _is_triangular, _is_one_hot, _is_padded_behind, _is_padded_before,
)  # fmt: skip
