"""The second verdict: is the implementation accurate in the precision in which it runs?

The truth is autodiff in float64 at exactly the inputs of the low precision. What may be asked of the
hand-written code is what autodiff achieves in the same precision: its own error, and how far it spreads
when each of its roundings is varied. Rows (all but the last axis) are judged one by one, so that a large
row hides no small one.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from backproof.verification.native import NativeRunner, as_float64, is_key
from backproof.verification.oracles import Point, widen
from backproof.verification.perturbation import epsilon
from backproof.verification.points import Drawn, Long
from backproof.verification.shrink import with_plain_numbers

# How many times the error and the spread of autodiff a row may err. Two stable ways of writing one
# gradient differ by a few; sums that saturate, overflow or cancellation by hundreds.
ACCURATE_WITHIN = 64.0
REPLICAS = 3
# Replicas that take their own decisions; one at a kink stands on the other side with probability 1/2.
SIDES = 16
# By how many times their spread a row may err: it crosses kinks about as often as they do.
CROSSINGS = 2.0
# A long sum of numbers near 1 that errs by more than this part of itself has saturated, if a short one
# errs by less than a quarter of that part.
SATURATED = 0.25
# Where autodiff spreads as far, each rounding varied, the terms cancel: then that is lost, not the sum.
# Measured: sums that saturate lie 8 times as far off and more, those that cancel half as far at most.
BEYOND_SPREAD, SPREADS = 2.0, 8
# How many units in the last place of the direction an entry may err: a slope near 0 comes of such terms.
TERMS = 16.0
# By how many units in the last place of the inputs the exact result may be another: among numbers that are
# nearly equal no code does better.
UNITS = 16.0
# How many plainer points are tried at most.
TRIES = 100


class Row(NamedTuple):
    """Holds the row of one result that errs most, in units of what autodiff errs there."""

    dtype: str
    point: Point
    leaf: str
    at: tuple[int, ...]
    hand: Any
    truth: Any
    allowed: float
    distance: float
    vanished: bool = False

    @property
    def fails(self) -> bool:
        """Return whether the row errs beyond what autodiff errs, or is 0 throughout where that keeps it."""
        return self.vanished or self.distance > ACCURATE_WITHIN


class Summed(NamedTuple):
    """Holds a leaf that is summed over a long axis: its path, the value by hand and the truth."""

    path: str
    mine: Any
    true: Any

    @property
    def off(self) -> Any:
        """Return the error as a part of the truth."""
        with np.errstate(all="ignore"):
            return np.abs(self.mine - self.true) / np.abs(self.true)


def worst_rows(runner: NativeRunner, draws: Sequence[Drawn]) -> list[Row]:
    """Return the worst row at each of `draws` of one shape where the code runs and autodiff is finite."""
    return _worst_at(runner, [point for point in map(runner.point, draws) if point is not None])


def row_at(runner: NativeRunner, point: Point) -> Row | None:
    """Return the worst row at a point of float64 in this precision, held to autodiff; None if none is."""
    place = runner.narrowed(point)
    if not all(runner.finite([place])):
        return None
    compiled = [runner.compiled_truth(place), *runner.truths([place], REPLICAS)[0]]
    return _worst_against(runner.dtype, place, runner.hand(place), runner.exact([place])[0], compiled)


def _worst_at(runner: NativeRunner, placed: Sequence[Point]) -> list[Row]:
    """Return the worst row at each of these points of one shape where autodiff is finite."""
    finite = runner.finite(placed) if placed else []
    points = [point for point, there in zip(placed, finite, strict=True) if there]
    if not points:
        return []
    parts = zip(points, runner.exact(points), runner.truths(points, REPLICAS), strict=True)
    rows = [_worst(runner, point, runner.hand(point), exact, autos) for point, exact, autos in parts]
    return [row for row in rows if row is not None]


def _worst(runner: NativeRunner, point: Point, hand: Any, exact: Any, autos: list[Any]) -> Row | None:
    found = _worst_against(runner.dtype, point, hand, exact, autos)
    if not found or not found.fails:
        return found
    # At a kink the formula by hand may be another subgradient, already judged: hold it to that.
    own = _worst_against(runner.dtype, point, hand, runner.exact([point], by_hand=True)[0], autos)
    if own and not own.fails:
        return own
    # Beside a kink the order of a sum decides on which side the code stands, and either side is right; and
    # what autodiff loses once it is compiled too is no fault of this code.
    (sides,) = runner.truths([point], SIDES, crossing=True)
    compiled = [runner.compiled_truth(point), *autos]
    moved = [exact, *runner.exact(_inputs_moved(point, runner.dtype))]
    beside = _worst_against(runner.dtype, point, hand, exact, compiled, sides[1:], moved)
    return beside if beside is None or not beside.fails else found


def _inputs_moved(point: Point, dtype: str) -> list[Point]:
    """Return the point, held in float64, with every number moved by a unit in its last place."""
    rng, unit = np.random.default_rng(0), epsilon(jnp.dtype(dtype))

    def moved(leaf: Any) -> Any:
        held = leaf if is_key(leaf) else np.asarray(leaf)
        if is_key(held) or not jnp.issubdtype(held.dtype, jnp.inexact):
            return leaf
        return as_float64(held) * (1 + unit * rng.choice([-1.0, 1.0], held.shape))

    return [Point(jax.tree.map(moved, point.args), point.direction) for _ in range(REPLICAS)]


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
    leaves = zip(jax.tree_util.tree_leaves_with_path(hand), jax.tree.leaves(exact), strict=True)
    for i, ((path, mine), true) in enumerate(leaves):
        own, here = as_float64(auto[i]), jax.tree_util.keystr(path)
        spread = _spread(own, replicas, i) + CROSSINGS / ACCURATE_WITHIN * _spread(own, crossed, i)
        spread = spread + UNITS / ACCURATE_WITHIN * _spread(np.asarray(true), nearby, i)
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
    if not true.size or not (np.all(np.isfinite(true)) and np.all(np.isfinite(own))):
        return None
    with np.errstate(all="ignore"):
        terms = np.abs(true) + TERMS / ACCURATE_WITHIN * max_of(point.direction)
        error = np.abs(mine - true)
        # what autodiff errs in this precision, how far it spreads, and the rounding of the terms
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
    """Return which rows vanish, by underflow or beside an infinity, where autodiff keeps them.

    Args:
        mine: by hand.
        true: autodiff in float64.
        own: autodiff in this precision.
        unit: the rounding of terms as large as the direction; a row no larger may vanish in it.
    """
    size = by_row(np.abs(true))
    kept = by_row(np.abs(own - true)) < 0.1 * size
    return (by_row(np.abs(mine)) == 0) & kept & (size > unit)


def at_smallest(row: Row, runner: NativeRunner, groups: Sequence[Sequence[Drawn]]) -> Row:
    """Return a row of the same leaf that fails in the same precision at the smallest shape, or `row`.

    Args:
        row: what was found.
        runner: what found it.
        groups: draws of one shape each, the smallest first.
    """
    for draws in groups:
        rows = worst_rows(runner, draws)
        failing = [one for one in rows if one.fails and one.leaf == row.leaf]
        if failing:
            return failing[0]
    return row


def plainer_row(row: Row, runner: NativeRunner) -> Row:
    """Return a row of the same leaf that fails alike at a point of plainer numbers, or `row`."""
    budget = itertools.count()

    def fails(point: Point) -> bool:
        return next(budget) < TRIES and any(_fails_alike(one, row) for one in _worst_at(runner, [point]))

    # a predicate of the user may not take the dtypes of low precision
    plain = with_plain_numbers(row.point, lambda args: runner.claim.points.admits(widen(args)), fails)
    return next((one for one in _worst_at(runner, [plain]) if _fails_alike(one, row)), row)


def _fails_alike(one: Row, row: Row) -> bool:
    """Return whether both are beyond what autodiff errs in one leaf, and both finite or neither."""
    lost = [bool(np.isfinite(each.hand)) for each in (one, row)]
    return one.fails and one.leaf == row.leaf and lost[0] == lost[1]


def saturated_sums(runner: NativeRunner, lengths: Sequence[Long]) -> list[Row]:
    """Return the entries of sums that saturate: right to a few digits when short, lost when long.

    Only sums that grow with their length count, and there it is no excuse that autodiff saturates too.
    """
    return [row for length in lengths for row in _saturated(runner, length)]


def _saturated(runner: NativeRunner, length: Long) -> list[Row]:
    """Return an entry of each leaf whose sum over the long axis is lost, over the short one kept."""
    long = runner.point(length.long, "ones")
    suspects = [leaf for leaf in _leaves(runner, long) if np.any(leaf.off > SATURATED)] if long else []
    if long is None or not suspects:
        return []
    short = runner.point(length.short, "ones")
    brief = {leaf.path: leaf for leaf in _leaves(runner, short)} if short else {}
    rows = []
    for leaf in [leaf for leaf in suspects if leaf.path in brief]:
        kept = brief[leaf.path]
        if kept.true.shape != leaf.true.shape:
            continue  # it is not summed over the long axis
        grows = np.abs(leaf.true) > 0.25 * length.size / length.short_size * np.abs(kept.true)
        lost = grows & (leaf.off > SATURATED) & (kept.off < SATURATED / 4)
        lost = lost & ~_cancels(runner, long, leaf) if np.any(lost) else lost
        for at in np.argwhere(lost)[:1]:
            index = tuple(int(i) for i in at)
            values = leaf.mine[index], leaf.true[index], 0.0, float(leaf.off[index])
            rows.append(Row(runner.dtype, long, leaf.path, index, *values))
    return rows


def _cancels(runner: NativeRunner, point: Point, leaf: Summed) -> Any:
    """Return where the terms of a sum cancel: autodiff, its roundings varied, spreads as far as it is off."""
    (autos,) = runner.truths([point], SPREADS)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(autos[0])]
    own, *replicas = map(jax.tree.leaves, autos)
    which = paths.index(leaf.path)
    spread = _spread(as_float64(own[which]), replicas, which)
    return np.abs(leaf.mine - leaf.true) <= BEYOND_SPREAD * spread


def _leaves(runner: NativeRunner, point: Point) -> list[Summed]:
    """Return each leaf that fits this precision."""
    (exact,) = runner.exact([point])
    pairs = zip(jax.tree_util.tree_leaves_with_path(runner.hand(point)), jax.tree.leaves(exact), strict=True)
    leaves = [
        Summed(jax.tree_util.keystr(path), as_float64(mine), np.asarray(true)) for (path, mine), true in pairs
    ]
    most = float(jnp.finfo(runner.dtype).max)
    return [one for one in leaves if one.true.size and np.max(np.abs(one.true)) < most]


def by_row(values: Any) -> Any:
    """Return the largest of each row, a row being all entries along the last axis."""
    return np.asarray(values.max(-1) if values.ndim else values)


def max_of(direction: Any) -> float:
    """Return the largest entry of a direction: a result carries the rounding of terms of its size."""
    leaves = [leaf for leaf in jax.tree.leaves(direction) if leaf.dtype != jax.dtypes.float0]
    return max((float(np.max(np.abs(as_float64(leaf)), initial=0.0)) for leaf in leaves), default=0.0)
