"""The second verdict: is the implementation accurate in the precision in which it runs?

The truth is autodiff in float64 at exactly the inputs of the low precision. One rule holds in every
precision: the error of an entry is divided by what autodiff achieves there in the same precision, which is
its own error or its spread when each of its roundings, or each input, is varied. That is never less than a
unit in the last place of the entry, nor than one of float32 of the largest entry in its row, or of the
cotangent if that is larger: an entry near 0 may be a sum of terms as large as those.
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
    SATURATED,
    SHORT_IS_KEPT,
)
from backproof.verification.points.draws import Drawn, Long
from backproof.verification.running.low_precision import LowPrecision
from backproof.verification.running.point import Point


class Row(NamedTuple):
    """Holds the entry of one result that errs most, compared with the error of autodiff there."""

    dtype: str
    point: Point
    leaf: str
    at: tuple[int, ...]
    hand: Any
    truth: Any
    allowed: float
    distance: float
    saturated: bool = False

    @property
    def unit(self) -> str:
        """Return what `distance` counts, in words that follow the number."""
        return "times the true value apart" if self.saturated else "times the error of autodiff"

    @property
    def fails(self) -> bool:
        """Return whether the entry errs far more than autodiff does."""
        return self.distance > ACCURATE_WITHIN


def lost(row: Row) -> str:
    """Return what is lost, in words."""
    if not np.isfinite(row.hand):
        return f"it gives {row.hand} where autodiff is finite"
    if row.saturated:
        return f"a long sum is {row.distance:.0%} off"
    return f"it errs {row.distance:.3g} times as much as autodiff does"


def advice(row: Row) -> str:
    """Return a note on what is lost in a precision in which no argument is declared."""
    return f"in {row.dtype}, which is not a declared dtype, {lost(row)}"


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


def worst_at(low: LowPrecision, placed: Sequence[Point]) -> list[Row]:
    """Return the worst row at each of these points of one shape where autodiff is finite."""
    ran = low.judged(placed, EFFORT.native_replicas) if placed else []
    exact = low.exact([point for point, *_ in ran]) if ran else []
    pairs = zip(ran, exact, strict=True)
    rows = [_worst(low, point, hand, true, autos) for (point, hand, autos), true in pairs]
    return [row for row in rows if row is not None]


def _worst(low: LowPrecision, point: Point, hand: Any, exact: Any, autos: list[Any]) -> Row | None:
    found = _worst_against(low.dtype, point, hand, exact, autos)
    if not found or not found.fails:
        return found
    # At a kink the formula by hand may be another subgradient, which was judged before: compare with that.
    if not low.rounds_by_hand(point):
        own = _worst_against(low.dtype, point, hand, low.exact([point], by_hand=True)[0], autos)
        if own and not own.fails:
            return own
    # Next to a kink the order of a sum decides on which side the code falls, and either side is right.
    # Digits that autodiff loses as well, once it is compiled, are no fault of this code.
    (sides,) = low.truths([point], EFFORT.native_sides, crossing=True)
    (more,) = low.truths([point], EFFORT.native_sides)
    compiled = [low.compiled_truth(point), *autos, *more]
    moved = [exact, *low.exact(_inputs_moved(point))]
    beside = _worst_against(low.dtype, point, hand, exact, compiled, sides[1:], moved)
    return beside if beside is None or not beside.fails else found


def _inputs_moved(point: Point) -> list[Point]:
    """Return the point, held in float64, with every number moved by a unit in the last place of float32.

    No code is held to more than its inputs determine.
    """
    rng, unit = np.random.default_rng(0), epsilon(np.float32)

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
        across = CROSSINGS / ACCURATE_WITHIN * _spread(own, crossed, i)
        spread = np.maximum.reduce([_spread(own, replicas, i), across, _spread(np.asarray(true), nearby, i)])
        row = _row(dtype, here, point, as_float64(mine), np.asarray(true), own, spread)
        if row and (found is None or row.distance > found.distance):
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
    unit = epsilon(jnp.dtype(dtype))
    with np.errstate(all="ignore"):
        error = np.abs(mine - true)
        achieved = np.maximum.reduce([np.abs(own - true), spread, unit * np.abs(true)])
        size = np.abs(true)
        row = np.max(size, axis=-1, keepdims=True) if true.ndim else size
        scale = np.maximum(row, max_of(point.direction))
        least = epsilon(np.float32) * scale + float(jnp.finfo(dtype).tiny)
        allowed = np.maximum(achieved, least)
        ratio = np.where(np.isfinite(error), error / allowed, np.inf)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(ratio)), ratio.shape))
    return Row(
        dtype, point, leaf, index, mine[index], true[index], float(allowed[index]), float(ratio[index])
    )


def saturated_sums(low: LowPrecision, lengths: Sequence[Long]) -> list[Row]:
    """Return the entries of sums that saturate: right to a few digits when short, lost when long.

    Only sums that grow with their length count; for them it is no excuse that autodiff saturates too.
    """
    return [row for length in lengths for row in _saturated(low, length, compiled=low.compiles)]


def _saturated(low: LowPrecision, length: Long, *, compiled: bool) -> list[Row]:
    """Return an entry of each leaf whose sum is lost over the long axis but kept over the short one.

    For advice the code is interpreted first, and compiled only where a sum is lost so.
    """
    long, short = (low.point(one, "ones") for one in (length.long, length.short))
    if long is None or short is None:
        return []
    lost = {}
    for (path, there), (_, here) in zip(_exact(low, long), _exact(low, short), strict=True):
        if there.shape == here.shape:  # otherwise it is not summed over the long axis
            grows = np.abs(there) > GROWS * length.size / length.short_size * np.abs(here)
            lost |= {path: grows} if np.any(grows) else {}
    if not lost:
        return []
    suspects = [leaf for leaf in _leaves(low, long, compiled=compiled) if leaf.path in lost]
    lost = {leaf.path: lost[leaf.path] & (leaf.off > SATURATED) for leaf in suspects}
    if not any(map(np.any, lost.values())):
        return []
    kept = {leaf.path: leaf.off < SHORT_IS_KEPT for leaf in _leaves(low, short, compiled=compiled)}
    rows = []
    for leaf in suspects:
        here = lost[leaf.path] & kept.get(leaf.path, False)
        here = here & ~_cancels(low, long, leaf) if np.any(here) else here
        for at in np.argwhere(here)[:1]:
            index = tuple(int(i) for i in at)
            values = leaf.mine[index], leaf.true[index], 0.0, float(leaf.off[index])
            rows.append(Row(low.dtype, long, leaf.path, index, *values, saturated=True))
    return rows if compiled or not rows else _saturated(low, length, compiled=True)


def _exact(low: LowPrecision, point: Point) -> list[tuple[str, np.ndarray]]:
    """Return the path and the true value of each leaf."""
    return [(path, np.asarray(value)) for path, value in leaves_with_paths(low.exact([point])[0])]


def _cancels(low: LowPrecision, point: Point, leaf: Summed) -> Any:
    """Return where the terms of a sum cancel: autodiff spreads as far as the sum is off."""
    (autos,) = low.truths([point], EFFORT.cancelling)
    paths = [path for path, _ in leaves_with_paths(autos[0])]
    own, *replicas = map(jax.tree.leaves, autos)
    which = paths.index(leaf.path)
    spread = _spread(as_float64(own[which]), replicas, which)
    return np.abs(leaf.mine - leaf.true) <= BEYOND_SPREAD * spread


def _leaves(low: LowPrecision, point: Point, *, compiled: bool) -> list[Summed]:
    """Return each leaf whose values fit into this precision; none where the code does not run."""
    hand = low.by_hand(point, compiled=compiled)
    if hand is None:
        return []
    pairs = zip(jax.tree.leaves(hand), _exact(low, point), strict=True)
    leaves = [Summed(path, as_float64(mine), true) for mine, (path, true) in pairs]
    most = float(jnp.finfo(low.dtype).max)
    return [one for one in leaves if one.true.size and np.max(np.abs(one.true)) < most]


def max_of(direction: Any) -> float:
    """Return the largest entry of a direction: a result carries the rounding of terms of its size."""
    leaves = [leaf for leaf in jax.tree.leaves(direction) if has_direction(leaf)]
    return max((float(np.max(np.abs(as_float64(leaf)), initial=0.0)) for leaf in leaves), default=0.0)
