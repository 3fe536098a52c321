"""The second verdict: is the implementation accurate in the precision in which it runs?

The truth is autodiff in float64 at exactly the inputs of the low precision. The hand-written code is compared
with autodiff in the same precision: with its error, and with its spread when each of its roundings is varied.
Rows (the entries along the last axis) are judged one by one, so that a large row hides no small one.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import (
    all_finite,
    as_float64,
    has_direction,
    is_inexact,
    is_key,
    leaves_with_paths,
)
from backproof.numerics.rounding import epsilon
from backproof.numerics.tolerance import (
    ACCURATE_WITHIN,
    BEYOND_SPREAD,
    CROSSINGS,
    GROWS,
    INPUT_ULPS,
    SATURATED,
    SHORT_IS_KEPT,
    TERMS,
    VANISHED,
)
from backproof.verification.points.draws import Drawn, Long
from backproof.verification.running.low_precision import LowPrecision
from backproof.verification.running.point import Point


class Row(NamedTuple):
    """Holds the row of one result that errs most, compared with the error of autodiff there."""

    dtype: str
    point: Point
    leaf: str
    at: tuple[int, ...]
    hand: Any
    truth: Any
    allowed: float
    distance: float
    vanished: bool = False
    saturated: bool = False

    @property
    def unit(self) -> str:
        """Return what `distance` counts, in words that follow the number."""
        return "times the true value apart" if self.saturated else "times the error of autodiff"

    @property
    def fails(self) -> bool:
        """Return whether the row errs far more than autodiff, or is 0 throughout where autodiff keeps it."""
        return self.vanished or self.distance > ACCURATE_WITHIN


class Summed(NamedTuple):
    """Holds a leaf that is summed over a long axis: its path, the value by hand and the truth."""

    path: str
    mine: Any
    true: Any

    @property
    def off(self) -> Any:
        """Return the relative error."""
        with np.errstate(all="ignore"):
            return np.abs(self.mine - self.true) / np.abs(self.true)


def worst_rows(low: LowPrecision, draws: Sequence[Drawn]) -> list[Row]:
    """Return the worst row at each of `draws` of one shape where the code runs and autodiff is finite."""
    return worst_at(low, [point for point in map(low.point, draws) if point is not None])


def row_at(low: LowPrecision, point: Point) -> Row | None:
    """Return the worst row at a point of float64, computed in this precision; None if there is none."""
    place = low.narrowed(point)
    if not all(low.finite([place])):
        return None
    compiled = [low.compiled_truth(place), *low.truths([place], EFFORT.native_replicas)[0]]
    return _worst_against(low.dtype, place, low.hand(place), low.exact([place])[0], compiled)


def worst_at(low: LowPrecision, placed: Sequence[Point]) -> list[Row]:
    """Return the worst row at each of these points of one shape where autodiff is finite."""
    finite = low.finite(placed) if placed else []
    points = [point for point, there in zip(placed, finite, strict=True) if there]
    if not points:
        return []
    parts = zip(points, low.exact(points), low.truths(points, EFFORT.native_replicas), strict=True)
    rows = [_worst(low, point, low.hand(point), exact, autos) for point, exact, autos in parts]
    return [row for row in rows if row is not None]


def _worst(low: LowPrecision, point: Point, hand: Any, exact: Any, autos: list[Any]) -> Row | None:
    found = _worst_against(low.dtype, point, hand, exact, autos)
    if not found or not found.fails:
        return found
    # At a kink the formula by hand may be another subgradient, which was judged before: compare with that.
    own = _worst_against(low.dtype, point, hand, low.exact([point], by_hand=True)[0], autos)
    if own and not own.fails:
        return own
    # Next to a kink the order of a sum decides on which side the code falls, and either side is right.
    # Digits that autodiff loses as well, once it is compiled, are no fault of this code.
    (sides,) = low.truths([point], EFFORT.native_sides, crossing=True)
    compiled = [low.compiled_truth(point), *autos]
    moved = [exact, *low.exact(_inputs_moved(point, low.dtype))]
    beside = _worst_against(low.dtype, point, hand, exact, compiled, sides[1:], moved)
    return beside if beside is None or not beside.fails else found


def _inputs_moved(point: Point, dtype: str) -> list[Point]:
    """Return the point, held in float64, with every number moved by a unit in its last place."""
    rng, unit = np.random.default_rng(0), epsilon(jnp.dtype(dtype))

    def moved(leaf: Any) -> Any:
        held = leaf if is_key(leaf) else np.asarray(leaf)
        if not is_inexact(held):
            return leaf
        return as_float64(held) * (1 + unit * rng.choice([-1.0, 1.0], held.shape))

    return [Point(jax.tree.map(moved, point.args), point.direction) for _ in range(EFFORT.native_replicas)]


def _worst_against(
    dtype: str,
    point: Point,
    hand: Any,
    exact: Any,
    autos: list[Any],
    sides: Sequence[Any] = (),
    moved: Sequence[Any] = (),
) -> Row | None:
    found: Row | None = None
    auto, *replicas = map(jax.tree.leaves, autos)
    crossed, nearby = (list(map(jax.tree.leaves, several)) for several in (sides, moved))
    leaves = zip(leaves_with_paths(hand), jax.tree.leaves(exact), strict=True)
    for i, ((here, mine), true) in enumerate(leaves):
        own = as_float64(auto[i])
        spread = _spread(own, replicas, i) + CROSSINGS / ACCURATE_WITHIN * _spread(own, crossed, i)
        spread = spread + INPUT_ULPS / ACCURATE_WITHIN * _spread(np.asarray(true), nearby, i)
        row = _row(dtype, here, point, as_float64(mine), np.asarray(true), own, spread)
        if row and (found is None or (row.vanished, row.distance) > (found.vanished, found.distance)):
            found = row
    return found


def _spread(own: Any, replicas: Sequence[list[Any]], leaf: int) -> Any:
    """Return how far the replicas of a leaf lie from `own`, where they are finite."""
    spread = np.zeros(own.shape)
    for one in replicas:
        with np.errstate(all="ignore"):
            apart = np.abs(as_float64(one[leaf]) - own)
        spread = np.maximum(spread, np.where(np.isfinite(apart), apart, 0))
    return spread


def _row(dtype: str, leaf: str, point: Point, mine: Any, true: Any, own: Any, spread: Any) -> Row | None:
    if not true.size or not (all_finite(true) and all_finite(own)):
        return None
    with np.errstate(all="ignore"):
        terms = np.abs(true) + TERMS / ACCURATE_WITHIN * max_of(point.direction)
        error = np.abs(mine - true)
        # the error of autodiff in this precision, its spread, and the rounding of the terms
        least = epsilon(jnp.dtype(dtype)) * terms + float(jnp.finfo(dtype).tiny)
        allowed = np.abs(own - true) + spread + least
        limit, worst = by_row(allowed), by_row(error) / by_row(allowed)
        vanished = _vanished(mine, true, own, epsilon(jnp.dtype(dtype)) * max_of(point.direction))
    worst = np.where(np.isfinite(worst), worst, np.inf)
    at = np.unravel_index(int(np.argmax(np.where(vanished, np.inf, worst))), worst.shape)
    inside = (int(np.argmax(np.nan_to_num(error[at], nan=np.inf))),) if true.ndim else ()
    index = tuple(int(i) for i in (*(at if true.ndim else ()), *inside))
    values = mine[index], true[index], float(limit[at]), float(worst[at]), bool(vanished[at])
    return Row(dtype, point, leaf, index, *values)


def _vanished(mine: Any, true: Any, own: Any, unit: float) -> Any:
    """Return which rows vanish, by underflow or next to an infinity, where autodiff keeps them.

    Args:
        mine: by hand.
        true: autodiff in float64.
        own: autodiff in this precision.
        unit: the rounding of terms as large as the direction; a row no larger may vanish in it.
    """
    size = by_row(np.abs(true))
    kept = by_row(np.abs(own - true)) < VANISHED * size
    return (by_row(np.abs(mine)) == 0) & kept & (size > unit)


def saturated_sums(low: LowPrecision, lengths: Sequence[Long]) -> list[Row]:
    """Return the entries of sums that saturate: right to a few digits when short, lost when long.

    Only sums that grow with their length count; for them it is no excuse that autodiff saturates too.
    """
    return [row for length in lengths for row in _saturated(low, length)]


def _saturated(low: LowPrecision, length: Long) -> list[Row]:
    """Return an entry of each leaf whose sum is lost over the long axis but kept over the short one."""
    long = low.point(length.long, "ones")
    suspects = [leaf for leaf in _leaves(low, long) if np.any(leaf.off > SATURATED)] if long else []
    if long is None or not suspects:
        return []
    short = low.point(length.short, "ones")
    brief = {leaf.path: leaf for leaf in _leaves(low, short)} if short else {}
    rows = []
    for leaf in [leaf for leaf in suspects if leaf.path in brief]:
        kept = brief[leaf.path]
        if kept.true.shape != leaf.true.shape:
            continue  # it is not summed over the long axis
        grows = np.abs(leaf.true) > GROWS * length.size / length.short_size * np.abs(kept.true)
        lost = grows & (leaf.off > SATURATED) & (kept.off < SHORT_IS_KEPT)
        lost = lost & ~_cancels(low, long, leaf) if np.any(lost) else lost
        for at in np.argwhere(lost)[:1]:
            index = tuple(int(i) for i in at)
            values = leaf.mine[index], leaf.true[index], 0.0, float(leaf.off[index])
            rows.append(Row(low.dtype, long, leaf.path, index, *values, saturated=True))
    return rows


def _cancels(low: LowPrecision, point: Point, leaf: Summed) -> Any:
    """Return where the terms of a sum cancel: autodiff spreads as far as the sum is off."""
    (autos,) = low.truths([point], EFFORT.cancelling)
    paths = [path for path, _ in leaves_with_paths(autos[0])]
    own, *replicas = map(jax.tree.leaves, autos)
    which = paths.index(leaf.path)
    spread = _spread(as_float64(own[which]), replicas, which)
    return np.abs(leaf.mine - leaf.true) <= BEYOND_SPREAD * spread


def _leaves(low: LowPrecision, point: Point) -> list[Summed]:
    """Return each leaf whose values fit into this precision."""
    (exact,) = low.exact([point])
    pairs = zip(leaves_with_paths(low.hand(point)), jax.tree.leaves(exact), strict=True)
    leaves = [Summed(path, as_float64(mine), np.asarray(true)) for (path, mine), true in pairs]
    most = float(jnp.finfo(low.dtype).max)
    return [one for one in leaves if one.true.size and np.max(np.abs(one.true)) < most]


def by_row(values: Any) -> Any:
    """Return the largest entry of each row; a row is all entries along the last axis."""
    return np.asarray(values.max(-1) if values.ndim else values)


def max_of(direction: Any) -> float:
    """Return the largest entry of a direction: a result carries the rounding of terms of its size."""
    leaves = [leaf for leaf in jax.tree.leaves(direction) if has_direction(leaf)]
    return max((float(np.max(np.abs(as_float64(leaf)), initial=0.0)) for leaf in leaves), default=0.0)
