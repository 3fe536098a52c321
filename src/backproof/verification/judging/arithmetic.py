"""A formula and its arithmetic, told apart by values and noise alone: nothing is evaluated here.

Each function looks at one point: the value by hand, autodiff with its noise, and both in long double.
"""

from typing import Any

import jax
import numpy as np

from backproof.numerics.comparison import Entry, agree, worst_entry
from backproof.numerics.leaves import all_finite, largest
from backproof.numerics.noise import Measured
from backproof.numerics.rounding import SINGLE_ULP
from backproof.numerics.tolerance import (
    AGREES_WITHIN,
    FAR,
    KEEPS,
    LOST_DIGITS,
    LOST_IN_SINGLE,
    NOISIER,
    SHRINKS_TO,
)


def nowhere_finite(hand: Any, truth: Measured) -> bool:
    """Return whether the two sides differ only where neither is finite: the edge of a domain."""
    for mine, true, noise in zip(*map(jax.tree.leaves, (hand, truth.value, truth.noise)), strict=True):
        apart = ~agree(mine, true, noise)
        if np.any(apart & (np.isfinite(mine) | np.isfinite(true))):
            return False
    return True


def may_be_chance(hand: Any, truth: Measured) -> bool:
    """Return whether the two differ by no more than the noise of another entry: their own may be small."""
    gap = _gap(hand, truth.value)
    return bool(np.isfinite(gap)) and gap <= AGREES_WITHIN * largest(truth.noise)


def loses_digits(truth: Measured, hand: Measured, direction: float, *, single: bool) -> bool:
    """Return whether the hand-written side is so much noisier than autodiff that agreement says nothing.

    Its noise is compared with the result and with the direction: a slope that is tiny next to its
    cotangent may carry the rounding of terms of that size. In `single` precision fewer digits can get lost.

    Args:
        truth: autodiff with its noise.
        hand: the value by hand with its noise.
        direction: the largest entry of the direction.
        single: whether the hand-written side computes in float32.
    """
    noisier, lost = (NOISIER * SINGLE_ULP, LOST_IN_SINGLE) if single else (NOISIER, LOST_DIGITS)
    for value, noise, own in zip(*map(jax.tree.leaves, (truth.value, truth.noise, hand.noise)), strict=True):
        loud = largest(own)
        if loud > noisier * largest(noise) and loud > lost * max(largest(value), direction):
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


def differs_only_where_not_finite(hand: Any, truth: Measured) -> bool:
    """Return whether a finite value by hand differs from autodiff only where autodiff is not finite."""
    if not all_finite(hand) or all_finite(truth.value):
        return False
    finite = jax.tree.map(lambda h, t: np.where(np.isfinite(t), t, h), hand, truth.value)
    noise = jax.tree.map(lambda n: np.where(np.isnan(n), 0.0, n), truth.noise)
    worst = worst_entry(hand, Measured(finite, noise))
    return worst is None or worst.agrees


def _distance(one: Any, other: Any) -> Any:
    """Return the absolute difference of each entry, infinite where one side is not finite."""
    with np.errstate(all="ignore"):
        apart = np.abs(np.asarray(one) - np.asarray(other)) if np.size(one) else np.zeros(np.shape(one))
    return np.where(np.isnan(apart), np.inf, apart)


def _gap(ours: Any, theirs: Any) -> float:
    """Return the largest absolute difference, infinite where one side is not finite."""
    leaves = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    return max((float(np.max(_distance(a, b), initial=0.0)) for a, b in leaves), default=0.0)
