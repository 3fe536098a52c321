"""Rows with a structure: sizes of groups, permutations, probabilities, a single 1 among zeros."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from backproof.arguments import Dims, Specification, evaluate
from backproof.errors import UsageError
from backproof.verification.points.structure import (
    NoMemberError,
    Shape,
    Structure,
    is_mild,
    rows_of,
    unit,
)
from backproof.verification.points.values import Style, plain


def _by_row(shape: Shape, row: Callable[[], np.ndarray]) -> np.ndarray:
    """Return an array whose rows along the last axis are drawn one by one."""
    return np.asarray([row() for _ in range(rows_of(shape))], int).reshape(shape)


def _one(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Return one True in each row, at a random place.

    Raises:
        NoMemberError: the rows have no place.
    """
    if not shape[-1] and rows_of(shape):
        raise NoMemberError
    return np.arange(shape[-1]) == rng.integers(max(shape[-1], 1), size=(*shape[:-1], 1))


def _total(spec: Specification, dims: Dims, groups: int) -> int:
    try:
        total = int(evaluate(spec.of, dims))
    except UsageError as error:
        raise NoMemberError from error  # a size `100//n` where n is 0
    if total < 0 or (total and not groups):
        raise NoMemberError
    return total


def _draw_partition(
    rng: np.random.Generator, shape: Shape, spec: Specification, dims: Dims, style: Style
) -> np.ndarray:
    """Draw sizes of groups: nearly half of them are empty, or all but one, or they differ little."""
    groups, total = shape[-1], _total(spec, dims, shape[-1])

    def row() -> np.ndarray:
        if not groups:
            return np.zeros(0, int)
        way = 0.0 if is_mild(style, rng) else rng.random()
        if way < 0.5:
            used = np.flatnonzero(rng.random(groups) < 0.6)
            used = used if used.size else rng.integers(groups, size=1)
            return np.bincount(rng.choice(used, total), minlength=groups)
        if way < 0.75:
            return total * np.eye(groups, dtype=int)[rng.integers(groups)]
        return rng.permutation(_even(groups, total))

    return _by_row(shape, row)


def _even(groups: int, total: int) -> np.ndarray:
    return total // groups + (np.arange(groups) < total % groups)


def _is_partition(value: np.ndarray, spec: Specification, dims: Dims) -> bool:
    total = _total(spec, dims, value.shape[-1])
    return bool(np.all(value >= 0) and np.all(value.sum(-1) == total))


def _plain_partitions(shape: Shape, spec: Specification, dims: Dims) -> list[np.ndarray]:
    groups, total = shape[-1], _total(spec, dims, shape[-1])
    rows = [_even(groups, total), total * np.eye(groups)[0], total * np.eye(groups)[-1]]
    return [np.broadcast_to(row, shape) for row in rows]


def _draw_permutation(
    rng: np.random.Generator, shape: Shape, spec: Specification, dims: Dims, style: Style
) -> np.ndarray:
    """Draw permutations; now and then the identity, or the reversal."""
    order = np.arange(shape[-1])

    def row() -> np.ndarray:
        way = 1.0 if style.kind is plain else rng.random()
        return order if way < 0.125 else order[::-1] if way < 0.25 else rng.permutation(order)

    return _by_row(shape, row)


def _is_permutation(value: np.ndarray, spec: Specification, dims: Dims) -> bool:
    return bool(np.all(np.sort(value, -1) == np.arange(value.shape[-1])))


def _plain_permutations(shape: Shape, spec: Specification, dims: Dims) -> list[np.ndarray]:
    order = np.arange(shape[-1])
    return [np.broadcast_to(row, shape) for row in (order, order[::-1], np.roll(order, 1))]


def _draw_simplex(
    rng: np.random.Generator, shape: Shape, spec: Specification, dims: Dims, style: Style
) -> np.ndarray:
    """Draw probabilities: inside, near the vertices, with zeros among them, a vertex, all the same."""
    one = _one(rng, shape)
    way = 4 if style.edges else 0 if style.kind is plain else rng.integers(6)
    weights = rng.gamma(0.3 if way == 1 else 1.0, size=shape) + np.finfo(np.float32).tiny
    if way == 2:
        weights = np.ones(shape)
    if way >= 4:  # at least one entry of each row is kept
        weights = weights * (one | (rng.random(shape) < (0.5 if way == 4 else 0.0)))
    # in units of the last place below 1 every partial sum is exact, and the sum is 1 and not nearly 1
    units = 2.0 ** (int(jnp.finfo(spec.dtype).nmant) + 1)
    counts = np.floor(units * weights / weights.sum(-1, keepdims=True))
    rest = np.where(_first_largest(counts), units - counts.sum(-1, keepdims=True), 0)
    return (counts + rest) / units


def _first_largest(rows: np.ndarray) -> np.ndarray:
    """Return where the largest entry of each row stands, the first of several."""
    return np.arange(rows.shape[-1]) == rows.argmax(-1)[..., None] if rows.size else rows > 0


def _is_simplex(value: np.ndarray, spec: Specification, dims: Dims) -> bool:
    off = np.abs(value.astype(np.float64).sum(-1) - 1)
    return bool(np.all(value >= 0) and np.all(off <= unit(spec)))


def _plain_simplex(shape: Shape, spec: Specification, dims: Dims) -> list[np.ndarray]:
    n = shape[-1]
    rows = [np.full(n, 1 / n), np.eye(n)[0], np.eye(n)[-1], (np.arange(n) + 1) / (n * (n + 1) / 2)]
    return [np.broadcast_to(row, shape) for row in rows]


def _draw_one_hot(
    rng: np.random.Generator, shape: Shape, spec: Specification, dims: Dims, style: Style
) -> np.ndarray:
    """Draw rows with a 1 anywhere; now and then at one place in all rows."""
    alike = style.kind is not plain and rng.random() < 0.25
    return np.broadcast_to(_one(rng, shape[-1:] if alike else shape), shape)


def _is_one_hot(value: np.ndarray, spec: Specification, dims: Dims) -> bool:
    return bool(np.all((value == 0) | (value == 1)) and np.all((value == 1).sum(-1) == 1))


def _plain_one_hot(shape: Shape, spec: Specification, dims: Dims) -> list[np.ndarray]:
    one = np.eye(shape[-1])
    turns = one[np.arange(rows_of(shape)) % shape[-1]].reshape(shape)
    return [np.broadcast_to(one[0], shape), np.broadcast_to(one[-1], shape), turns]


PARTITION = Structure(_draw_partition, _is_partition, _plain_partitions)
PERMUTATION = Structure(_draw_permutation, _is_permutation, _plain_permutations)
SIMPLEX = Structure(_draw_simplex, _is_simplex, _plain_simplex, rounds=True)
ONE_HOT = Structure(_draw_one_hot, _is_one_hot, _plain_one_hot)
