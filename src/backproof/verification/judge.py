"""Judges one point: equal within noise, a subgradient, a right formula badly computed, or wrong.

The order is cheap to dear. Most points agree at once. Where they do not, the rounding noise of the
hand-written side is measured too; then both sides run in longdouble, which separates the formula from
its arithmetic; then the point is asked whether it is a kink.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from backproof.verification.kinks import is_subgradient
from backproof.verification.noise import AGREES_WITHIN, Measured, units
from backproof.verification.oracles import Point, Runner


class Outcome(IntEnum):
    """Orders the outcomes of one point, the worst last."""

    AGREES = 0
    SKIPPED = 1
    SUBGRADIENT = 2
    REFERENCE_SUSPECT = 3
    UNSTABLE = 4
    WRONG = 5


class Entry(NamedTuple):
    """Holds the entry of a result at which the two sides are furthest apart."""

    leaf: str
    at: tuple[int, ...]
    hand: Any
    truth: Any
    noise: float
    distance: float


class Judgement(NamedTuple):
    """Holds the outcome at one point, the two results, and the worst entry (None if there is none)."""

    outcome: Outcome
    point: Point
    hand: Any
    truth: Any
    worst: Entry | None

    @property
    def distance(self) -> float:
        """Return the largest distance in noise units, 0 for an empty result."""
        return self.worst.distance if self.worst else 0.0

    @property
    def says_something(self) -> bool:
        """Return whether a wrong result could have been seen: an entry, and a direction that is not zero."""
        directions = [
            leaf for leaf in jax.tree.leaves(self.point.direction) if leaf.dtype != jax.dtypes.float0
        ]
        return self.worst is not None and any(bool(np.any(leaf != 0)) for leaf in directions)


def first_look(point: Point, hand: Any, truth: Measured) -> Judgement:
    """Return AGREES where hand and autodiff are within the noise of autodiff alone, else WRONG so far."""
    worst = worst_entry(hand, truth)
    near = worst is None or worst.distance <= AGREES_WITHIN
    return Judgement(Outcome.AGREES if near else Outcome.WRONG, point, hand, truth.value, worst)


def judge(runner: Runner, point: Point, hand: Any, truth: Measured) -> Judgement:
    """Return the judgement of `hand` against autodiff at one point."""
    first = first_look(point, hand, truth)
    if first.outcome is Outcome.AGREES or first.worst is None:
        return first
    worst = first.worst
    if not all(runner.finite([point])):
        return Judgement(Outcome.SKIPPED, point, hand, truth.value, worst)
    both = Measured(truth.value, _sum_of_noise(truth, runner.hand(point)))
    worst = worst_entry(hand, both) or worst
    if worst.distance <= AGREES_WITHIN:
        return Judgement(Outcome.AGREES, point, hand, truth.value, worst)
    outcome, worst = _by_wider_arithmetic(runner, point, hand, both, worst)
    if outcome is Outcome.WRONG and is_subgradient(runner, point, hand):
        outcome = Outcome.SUBGRADIENT
    return Judgement(outcome, point, hand, truth.value, worst)


def judge_alone(runner: Runner, point: Point) -> Judgement:
    """Return the judgement at one point with nothing compiled: both sides are interpreted."""
    return judge(runner, point, runner.hand(point).value, runner.truth(point))


def worst_entry(hand: Any, truth: Measured) -> Entry | None:
    """Return the entry with the largest distance in noise units; None if there is no entry."""
    found: Entry | None = None
    ours = jax.tree_util.tree_leaves_with_path(hand)
    theirs, noises = jax.tree.leaves(truth.value), jax.tree.leaves(truth.noise)
    for (path, mine), true, noise in zip(ours, theirs, noises, strict=True):
        apart = units(mine, true, noise)
        if not apart.size:
            continue
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(apart)), apart.shape))
        if found is None or apart[index] > found.distance:
            here, there, unit = (np.asarray(v)[index] for v in (mine, true, noise))
            found = Entry(jax.tree_util.keystr(path), index, here, there, float(unit), float(apart[index]))
    return found


def _by_wider_arithmetic(
    runner: Runner, point: Point, hand: Any, truth: Measured, worst: Entry
) -> tuple[Outcome, Entry]:
    """Return who is right where float64 cannot tell: both formulas run again in longdouble.

    If the two agree there, the formula is right, and the float64 value furthest from the wide one is
    the inaccurate side.
    """
    wide_hand, wide_truth = runner.hand(point, wide=True), runner.truth(point, wide=True)
    reference = Measured(wide_truth.value, truth.noise)
    apart = worst_entry(hand, reference) or worst
    if apart.distance <= AGREES_WITHIN:
        # The hand value is that of the wide oracle: it is the float64 oracle that lost its digits.
        lost = not _finite(truth.value) and _finite(wide_truth.value)
        return (Outcome.REFERENCE_SUSPECT if lost else Outcome.AGREES), (worst if lost else apart)
    between = worst_entry(wide_hand.value, Measured(wide_truth.value, _sum_of_noise(wide_truth, wide_hand)))
    gap_shrinks = between is not None and (
        between.distance <= AGREES_WITHIN
        or _gap(wide_hand.value, wide_truth.value) < 0.1 * _gap(hand, truth.value)
    )
    return (Outcome.UNSTABLE if gap_shrinks else Outcome.WRONG), worst


def _gap(ours: Any, theirs: Any) -> float:
    """Return the largest absolute difference, infinite where one side is not finite."""
    worst = 0.0
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        with np.errstate(all="ignore"):
            apart = (
                np.abs(np.asarray(a, np.longdouble) - np.asarray(b, np.longdouble))
                if np.isrealobj(a)
                else np.abs(a - b)
            )
        worst = max(worst, float(np.max(np.where(np.isnan(apart), np.inf, apart), initial=0.0)))
    return worst


def _sum_of_noise(one: Measured, other: Measured) -> Any:
    return jax.tree.map(np.add, one.noise, other.noise)


def _finite(tree: Any) -> bool:
    floating = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(np.asarray(leaf).dtype, jnp.inexact)]
    return all(bool(np.all(np.isfinite(leaf))) for leaf in floating)
