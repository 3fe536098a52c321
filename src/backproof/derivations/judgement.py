"""Judges one line at the points of one shape: equal to the line before, or true as a claim, within noise.

The tolerance is the verifier's own: AGREES_WITHIN units of the measured noise of both sides. If they differ
by more in float64, both are computed in long double, where a gap that was only rounding shrinks.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.derivations.lines import Kind
from backproof.derivations.replay import Replay
from backproof.numerics.leaves import is_inexact, leaves_with_paths
from backproof.numerics.noise import Measured
from backproof.numerics.tolerance import AGREES_WITHIN, SHRINKS_TO


class State(IntEnum):
    """Orders the judgements of a line at one point."""

    FOLLOWS = 0
    SKIPPED = 1
    FAILS = 2


class Seen(NamedTuple):
    """Holds the judgement of one line at the points of one shape.

    Attributes:
        states: a `State` for each point.
        distances: the largest distance between the two sides at each point, in noise units.
        broken: why the two sides cannot be compared at this shape, or None.
        not_finite: whether the line, unlike the one before it, is not finite, for each point.
    """

    states: np.ndarray
    distances: np.ndarray
    broken: str | None = None
    not_finite: np.ndarray | None = None


def admitted(run: Replay) -> np.ndarray:
    """Return for each point whether every assumption holds there."""
    kept = np.ones(len(run.points), bool)
    for mask in assumptions(run):
        kept &= mask
    return kept


def assumptions(run: Replay) -> list[np.ndarray]:
    """Return for each assumption, in order, at which points it holds."""
    held = [v.value for v, step in zip(run.values, run.steps, strict=True) if step.kind is Kind.ASSUMED]
    return [_everywhere(jax.tree.map(lambda leaf: leaf != 0, one)) for one in held]


def equality(run: Replay, here: int, before: int) -> Seen:
    """Return whether the value of step `here` equals that of step `before`, at each point."""
    if run.steps[before].kind is Kind.OPEN:
        nothing = np.full(len(run.points), State.SKIPPED)
        return Seen(nothing, np.zeros(len(run.points)))
    broken = misfit(run.values[here].value, run.values[before].value)
    if broken:
        fails = np.full(len(run.points), State.FAILS)
        return Seen(fails, np.full(len(run.points), np.inf), broken)
    return _equal(run.values[here], run.values[before], lambda: (run.wide()[here], run.wide()[before]))


def claim(run: Replay, here: int) -> Seen:
    """Return whether the claim of step `here` is true, at each point."""
    kind, sides = run.steps[here].kind, _sides(run.values[here])
    if kind is Kind.HOLDS:
        (condition,) = sides
        true = _everywhere(jax.tree.map(lambda leaf: leaf != 0, condition.value))
        return Seen(np.where(true, State.FOLLOWS, State.FAILS), np.where(true, 0.0, np.inf))
    left, right = sides
    if kind in (Kind.AT_MOST, Kind.LESS):
        return _ordered(left, right, lambda: _sides(run.wide()[here]), strict=kind is Kind.LESS)
    seen = _equal(left, right, lambda: _sides(run.wide()[here]))
    if kind is Kind.EQUAL:
        return seen
    swapped = {State.FOLLOWS: State.FAILS, State.SKIPPED: State.SKIPPED, State.FAILS: State.FOLLOWS}
    return seen._replace(states=np.array([swapped[State(s)] for s in seen.states]), not_finite=None)


def left_open(run: Replay, number: int) -> Seen:
    """Return the judgement of a line that raises at this shape: it fails."""
    said = next((one.text for one in run.raised if one.number == number), "it is left open")
    return Seen(np.full(len(run.points), State.FAILS), np.full(len(run.points), np.inf), f"it raises {said}")


def misfit(value: Any, other: Any) -> str | None:
    """Return how two values differ in tree or shape, in words; None if they do not."""
    tree, wanted = jax.tree.structure(value), jax.tree.structure(other)
    if tree != wanted:
        return f"it has the tree {tree}, the line before {wanted}"
    for (path, mine), true in zip(leaves_with_paths(value), jax.tree.leaves(other), strict=True):
        if mine.shape != true.shape:
            where = f"{path} " if path else ""
            return f"{where}has shape {mine.shape[1:]}, in the line before {true.shape[1:]}"
    return None


def _sides(measured: Measured) -> list[Measured]:
    return [Measured(*pair) for pair in zip(measured.value, measured.noise, strict=True)]


def _equal(left: Measured, right: Measured, wide: Callable[[], Any]) -> Seen:
    distances, finite, other = apart(left, right), _finite(left.value), _finite(right.value)
    near = distances <= AGREES_WITHIN
    if not np.all(near | ~finite | ~other):
        wider, widest = wide()
        gap = _gap(left, right)
        # where float64 loses its digits the formula may still be right
        shrinks = _gap(wider, widest) <= SHRINKS_TO * gap
        near |= (apart(wider, widest) <= AGREES_WITHIN) | (shrinks & (gap > 0))
    states = np.where(near, State.FOLLOWS, State.FAILS)
    states = np.where(finite & other, states, State.SKIPPED)
    return Seen(states, np.where(finite & other, distances, 0.0), None, other & ~finite)


def _ordered(left: Measured, right: Measured, wide: Callable[[], Any], *, strict: bool) -> Seen:
    """Return whether left ≤ right (left < right if `strict`) at each point."""
    finite = _finite(left.value) & _finite(right.value)
    above = _above(left, right)
    fails = _touches(left, right) if strict else above > AGREES_WITHIN
    if np.any(fails & finite):
        wider, widest = wide()
        fails = _touches(wider, widest) if strict else _above(wider, widest) > AGREES_WITHIN
    states = np.where(finite, np.where(fails, State.FAILS, State.FOLLOWS), State.SKIPPED)
    return Seen(states, np.where(finite, np.maximum(above, 0), 0.0))


def _touches(left: Measured, right: Measured) -> np.ndarray:
    """Return whether some entry of left is not below that of right, at each point."""
    return ~_everywhere(jax.tree.map(lambda a, b: a < b, left.value, right.value))


def apart(left: Measured, right: Measured) -> np.ndarray:
    """Return the largest distance at each point, in units of the noise of both sides."""
    return _per_point(jax.tree.map(_units, left.value, right.value, left.noise, right.noise))


def _units(a: Any, b: Any, noise: Any, other: Any) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.abs(_number(a) - _number(b)) / (noise + other)


def _above(left: Measured, right: Measured) -> np.ndarray:
    """Return how far left is above right at most, in noise units; negative where it is below."""
    with np.errstate(all="ignore"):
        excess = jax.tree.map(
            lambda a, b, n, m: (_number(a) - _number(b)) / (n + m),
            left.value, right.value, left.noise, right.noise,
        )  # fmt: skip
    return _per_point(excess, lowest=-np.inf)


def _gap(left: Measured, right: Measured) -> np.ndarray:
    with np.errstate(all="ignore"):
        gaps = jax.tree.map(lambda a, b: np.abs(_number(a) - _number(b)), left.value, right.value)
    return _per_point(gaps)


def _number(value: Any) -> Any:
    return value if value.dtype.kind in "fc" else value.astype(np.float64)


def _per_point(tree: Any, lowest: float = 0.0) -> np.ndarray:
    """Return the largest entry at each point; NaN counts as far apart."""
    rows = [np.asarray(leaf, np.float64).reshape(len(leaf), -1) for leaf in jax.tree.leaves(tree)]
    worst = [np.max(np.where(np.isnan(row), np.inf, row), axis=1, initial=lowest) for row in rows]
    return np.max(worst, axis=0)


def _everywhere(tree: Any) -> np.ndarray:
    rows = [np.all(leaf.reshape(len(leaf), -1), axis=1) for leaf in jax.tree.leaves(tree)]
    return np.all(rows, axis=0)


def _finite(tree: Any) -> np.ndarray:
    real = jax.tree.map(
        lambda leaf: np.isfinite(leaf) if is_inexact(leaf) else np.ones(leaf.shape, bool),
        tree,
    )
    return _everywhere(real)
