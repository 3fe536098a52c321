"""A formula and its arithmetic, told apart by values and noise alone: nothing is evaluated here.

Each function looks at one point: the value by hand, autodiff with its noise, and both in long double.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from backproof.numerics.comparison import Entry, agree, worst_entry
from backproof.numerics.leaves import largest
from backproof.numerics.noise import Measured
from backproof.numerics.rounding import epsilon
from backproof.numerics.tolerance import (
    ACCURATE_WITHIN,
    AGREES_WITHIN,
    FAR,
    KEEPS,
    SHRINKS_TO,
)


def nowhere_finite(hand: Any, truth: Measured) -> bool:
    """Return whether the two sides differ only where neither is finite: the edge of a domain."""
    for mine, true, noise in zip(*map(jax.tree.leaves, (hand, truth.value, truth.noise)), strict=True):
        apart = ~agree(mine, true, noise)
        if np.any(apart & (np.isfinite(mine) | np.isfinite(true))):
            return False
    return True


def may_be_chance(hand: Any, truth: Measured, units: Sequence[float]) -> bool:
    """Return whether the two differ so little that their own noise may be small by chance.

    That is by no more than the noise of another entry, or than a few units in the last place of the numbers
    that the hand-written side comes from.

    Args:
        hand: the value by hand.
        truth: autodiff, with the noise of both.
        units: for each leaf, how much coarser than float64 the hand-written side computes it.
    """
    gap = _gap(hand, truth.value)
    if bool(np.isfinite(gap)) and gap <= AGREES_WITHIN * largest(truth.noise):
        return True
    leaves = zip(*map(jax.tree.leaves, (hand, truth.value, truth.noise)), units, strict=True)
    for mine, true, noise, unit in leaves:
        few = AGREES_WITHIN * (unit * epsilon(np.float64) if unit > 1 else 0.0)
        if not np.all(agree(mine, true, noise) | (_distance(mine, true) <= few * np.abs(true))):
            return False
    return True


def loses_digits(truth: Measured, hand: Measured, direction: float, units: Sequence[float]) -> bool:
    """Return whether the hand-written side is so much noisier than autodiff that agreement says nothing.

    It may be noisier as far as its own arithmetic is coarser, and as long as half of its digits are left. A
    slope that is tiny next to its cotangent may carry the rounding of terms of that size.

    Args:
        truth: autodiff with its noise.
        hand: the value by hand with its noise.
        direction: the largest entry of the direction.
        units: for each leaf, how much coarser than float64 the hand-written side computes it.
    """
    leaves = zip(*map(jax.tree.leaves, (truth.value, truth.noise, hand.noise)), units, strict=True)
    for value, noise, own, unit in leaves:
        loud, half = largest(own), (unit * epsilon(np.float64)) ** 0.5
        if loud > unit * ACCURATE_WITHIN * largest(noise) and loud > half * max(largest(value), direction):
            return True
    return False


def recovers(hand: Any, oracle: Any, noise: Any) -> Entry | None:
    """Return the worst entry if the value by hand is that of autodiff in long double, else None.

    Then the formula is right, and it is autodiff in float64 that lost its digits.
    """
    apart = worst_entry(hand, Measured(oracle, noise))
    return apart if apart is not None and apart.agrees else None


def are_two_formulas(hand: Any, truth: Measured, formula: Any, oracle: Any) -> bool:
    """Return whether the two sides stay as far apart in long double (`formula`, `oracle`) as in float64."""
    still = worst_entry(formula, Measured(oracle, truth.noise))
    far = still is not None and FAR < still.distance < np.inf
    return far and _gap(formula, oracle) > KEEPS * _gap(hand, truth.value)


def same_formula(hand: Any, truth: Measured, wide_hand: Measured, wide_truth: Measured) -> bool:
    """Return whether every entry that differs agrees in longdouble, or comes at least ten times nearer."""
    leaves = zip(
        *map(jax.tree.leaves, (hand, truth.value, truth.noise)),
        *map(jax.tree.leaves, (*wide_hand, *wide_truth)),
        strict=True,
    )
    for mine, true, noise, wide_mine, own, wide_true, other in leaves:
        near = agree(mine, true, noise) | agree(wide_mine, wide_true, own + other)
        shrinks = _distance(wide_mine, wide_true) < SHRINKS_TO * _distance(mine, true)
        if not np.all(near | shrinks):
            return False
    return True


def _distance(one: Any, other: Any) -> Any:
    """Return the absolute difference of each entry, infinite where one side is not finite."""
    with np.errstate(all="ignore"):
        apart = np.abs(np.asarray(one) - np.asarray(other)) if np.size(one) else np.zeros(np.shape(one))
    return np.where(np.isnan(apart), np.inf, apart)


def _gap(ours: Any, theirs: Any) -> float:
    """Return the largest absolute difference, infinite where one side is not finite."""
    leaves = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    return max((float(np.max(_distance(a, b), initial=0.0)) for a, b in leaves), default=0.0)


def lacks_slopes_only(hand: Any, both: Measured) -> bool:
    """Return whether the value by hand differs only where it, or the two-sided difference, is no number."""
    leaves = zip(*map(jax.tree.leaves, (hand, *both)), strict=True)
    return all(
        np.all(agree(mine, true, noise) | ~np.isfinite(true) | ~np.isfinite(mine))
        for mine, true, noise in leaves
    )
