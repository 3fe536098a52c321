"""Finite differences: the oracle that is independent of autodiff.

Differences of the primal along one direction, in longdouble, on a ladder of steps that halve, with
Richardson's extrapolation (Ridders 1982, doi:10.1016/S0141-1195(82)80057-0). The step is relative to the size
of the point.
The result carries an estimate of its own error, in which the rounding noise of the primal counts as well: a
function that rounds coarsely inside is a staircase, and its differences say nothing.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.numerics.extrapolation import Slope, extrapolated
from backproof.numerics.leaves import PyTree, has_direction, is_complex, is_inexact, leaves_with_paths
from backproof.numerics.tolerance import FIRST_STEP, FROM_ZERO
from backproof.verification.running.evaluator import Evaluator
from backproof.verification.running.point import Point, stack


def along(primal: Evaluator, point: Point, step: Any) -> Slope:
    """Return the derivative of ⟨cotangent, primal⟩ at `point` along `step`, a tree like the arguments.

    Each entry of the step counts in units of `size_of` that entry of the arguments.
    """
    step = jax.tree.map(_scaled, point.args, step)
    # a large point is differenced in float64 on a shorter ladder: long double is ten times slower
    small = not point.is_large
    widths = [FIRST_STEP * 0.5**rung for rung in range(EFFORT.rungs if small else EFFORT.rungs_at_large)]
    held = np.longdouble if small else np.float64

    def apart(widths: list[float]) -> np.ndarray:
        ahead, behind = (
            [Point(moved(point.args, step, side * width, held), point.direction) for width in widths]
            for side in (1, -1)
        )
        one, other = (primal.values(points, wide=small) for points in (ahead, behind))
        return inner_products(one, other, stack(ahead).direction, len(ahead))

    # the rungs of a large point, one after another, need the memory of one
    found = apart(widths) if small else np.concatenate([apart([width]) for width in widths])
    ladder = [one / (2 * width) for one, width in zip(found, widths, strict=True)]
    return extrapolated(ladder, 4, _rounding(primal, point, wide=small) / widths[-1])


def one_sided(
    primal: Evaluator, point: Point, which: int, index: tuple[int, ...], admits: Callable[[Any], bool]
) -> list[Slope]:
    """Return the slopes of ⟨cotangent, primal⟩ in one entry, from below and from above, where they exist.

    The steps are relative to the entry, and a side on which they leave the domain is left out.

    Args:
        primal: the function.
        point: where it is differenced.
        which: the leaf of the arguments.
        index: the entry of that leaf.
        admits: whether an argument tuple lies in the domain.
    """
    step = one_entry(point.args, which, index)
    size = abs(float(jax.tree.leaves(point.args)[which][index]))
    if not np.isfinite(size):
        return []
    # how large a step from 0 may be, nothing at the point says
    sizes = [size] if size else FROM_ZERO
    found = []
    for side in (-1, 1):
        slopes = [_from_side(primal, point, step, side * one, admits) for one in sizes]
        slopes = [slope for slope in slopes if slope is not None and np.isfinite(slope.value)]
        found += [min(slopes, key=lambda slope: slope.error)] if slopes else []
    return found


def _from_side(
    primal: Evaluator, point: Point, step: Any, size: float, admits: Callable[[Any], bool]
) -> Slope | None:
    widths = [FIRST_STEP * 0.5**rung * size for rung in range(EFFORT.rungs)]
    if not admits(moved(point.args, step, widths[0], np.float64)):
        return None
    places = [Point(moved(point.args, step, width), point.direction) for width in (0.0, *widths)]
    values = primal.values(places, wide=True)
    here = jax.tree.map(lambda v: np.broadcast_to(v[:1], v.shape), values)
    apart = inner_products(values, here, stack(places).direction, len(places))[1:]
    rounding = 2 * _rounding(primal, point, wide=True) / abs(widths[-1])
    return extrapolated([one / width for one, width in zip(apart, widths, strict=True)], 2, rounding)


def _rounding(primal: Evaluator, point: Point, *, wide: bool) -> float:
    """Return the rounding noise of ⟨cotangent, primal⟩ at a point."""
    noise = primal(point, wide=wide).noise
    pairs = zip(jax.tree.leaves(noise), jax.tree.leaves(point.direction), strict=True)
    return float(sum(np.sum(one * np.abs(ct)) for one, ct in pairs if has_direction(ct)))


def one_entry(args: tuple[Any, ...], leaf: int, index: tuple[int, ...]) -> Any:
    """Return the tree like `args` that is 1 at one entry of its leaf number `leaf`, scaled to its size."""
    leaves, tree = jax.tree.flatten(args)
    step = [np.zeros(np.shape(value)) if is_inexact(value) else np.zeros(()) for value in leaves]
    step[leaf][index] = 1.0
    return tree.unflatten(step)


def moved(args: tuple[Any, ...], step: Any, width: float, held: Any = np.longdouble) -> tuple[Any, ...]:
    """Return `args` moved by `width · step`, in the dtype `held`, wide enough not to round the step away."""

    def move(leaf: Any, part: Any) -> Any:
        if not is_inexact(leaf):
            return leaf
        if np.iscomplexobj(leaf):
            return np.asarray(leaf, np.result_type(held, np.complex64)) + np.asarray(part) * held(width)
        return np.asarray(leaf, held) + np.asarray(part, held) * held(width)

    return jax.tree.map(move, args, step)


def size_of(leaf: Any) -> Any:
    """Return the unit of a step for each entry: its own size, or 1 where it is smaller; 0 at an infinity."""
    if not is_inexact(leaf):
        return np.ones(())
    sizes = np.abs(np.asarray(leaf))
    return np.where(np.isfinite(sizes), np.maximum(sizes, 1.0), 0.0)


def _scaled(leaf: Any, part: Any) -> Any:
    return part * size_of(leaf)


def difference_at(
    primal: Evaluator, point: Point, truth: Any, leaf: str, index: tuple[int, ...]
) -> float | None:
    """Return the difference quotient for one entry of the result of a pullback; None for a complex one."""
    paths = [path for path, _ in leaves_with_paths(truth)]
    which = argument_leaf(point.args, truth, paths.index(leaf))
    if is_complex(jax.tree.leaves(point.args)[which]):
        return None
    size = float(size_of(jax.tree.leaves(point.args)[which])[index])
    return along(primal, point, one_entry(point.args, which, index)).value / size if size else None


def inner_products(one: PyTree, other: PyTree, direction: PyTree, count: int) -> np.ndarray:
    """Return ⟨direction, one − other⟩ for each row of stacked values.

    The values are subtracted first, so that outputs which did not move cancel exactly.
    """
    products = jax.tree.map(_inner, one, other, direction)
    return np.sum([np.zeros(count), *jax.tree.leaves(products)], axis=0)


def _inner(one: Any, other: Any, cotangent: Any) -> Any:
    """Return ⟨one − other, cotangent⟩ of each row; 0 where the value has no cotangent."""
    if not jnp.issubdtype(one.dtype, jnp.inexact):
        return np.zeros(len(one))
    with np.errstate(all="ignore"):
        return np.real((one - other) * cotangent).reshape(len(one), -1).sum(1)


def argument_leaf(args: tuple[Any, ...], gradient: tuple[Any, ...], leaf: int) -> int:
    """Return which leaf of the arguments leaf number `leaf` of the gradient belongs to."""
    places, start = [], 0
    for arg, part in zip(args, gradient, strict=True):
        held = [value is not None for value in with_none(arg)]
        grads = [None] * len(held) if part is None else with_none(part)
        for is_leaf, grad in zip(held, grads, strict=True):
            places += [start] if is_leaf and grad is not None else []
            start += is_leaf
    return places[leaf]


def with_none(tree: Any) -> list[Any]:
    """Return the leaves of a tree, among which None counts as one."""
    return jax.tree.leaves(tree, is_leaf=_is_none)


def _is_none(node: Any) -> bool:
    return node is None
