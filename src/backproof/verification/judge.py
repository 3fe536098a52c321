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
from backproof.verification.oracles import LARGE, Point, Runner, entries
from backproof.verification.perturbation import SINGLE_ULP
from backproof.verification.vote import confirmed_by_differences
from backproof.verification.worst import Entry, worst_entry

# The hand-written side may be noisier than autodiff, as another formula of the same thing is; beyond this
# many times, and with fewer than nine digits left, agreement within that noise shows nothing.
NOISIER = 1e3
LOST_DIGITS = 1e-9
# The same for code that computes in float32 whatever it is given, where its users do not declare float64.
LOST_IN_SINGLE = 1e-3
# Formulas this many units of float64 apart in longdouble, where noise is no larger, are two formulas.
FAR = 1e3


class Outcome(IntEnum):
    """Orders the outcomes of one point, the worst last."""

    AGREES = 0
    SKIPPED = 1
    UNDECIDED = 2
    SUBGRADIENT = 3
    REFERENCE_SUSPECT = 4
    UNSTABLE = 5
    WRONG = 6


# What is wrong, unless it is a subgradient, or may be one.
AT_KINKS = {True: Outcome.SUBGRADIENT, None: Outcome.UNDECIDED, False: Outcome.WRONG}
# What says nothing of the two sides.
UNJUDGED = (Outcome.SKIPPED, Outcome.UNDECIDED)


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
    judged = _judge(runner, point, hand, truth)
    if judged.outcome < Outcome.UNSTABLE or judged.worst is None or not runner.in_float32(point):
        return judged
    # code that goes on in float32 whatever it is given is as good as autodiff is there, or is not
    row = runner.row_in_float32(point)
    if row is None:
        return judged._replace(outcome=Outcome.SKIPPED)
    worst = judged.worst._replace(distance=row.distance)
    return judged if row.fails else judged._replace(outcome=Outcome.AGREES, worst=worst)


def _judge(runner: Runner, point: Point, hand: Any, truth: Measured) -> Judgement:
    first = first_look(point, hand, truth)
    if first.outcome is Outcome.AGREES or first.worst is None:
        return first
    worst = first.worst
    if not all(runner.finite([point])):
        return Judgement(Outcome.SKIPPED, point, hand, truth.value, worst)
    if _nowhere_finite(hand, truth):
        return Judgement(Outcome.SKIPPED, point, hand, truth.value, worst)
    measured = runner.hand(point)
    both = Measured(truth.value, _sum_of_noise(truth, measured))
    worst = worst_entry(hand, both) or worst
    if worst.distance > AGREES_WITHIN and _may_be_chance(point, hand, both):
        both = Measured(truth.value, jax.tree.map(np.maximum, both.noise, runner.noise_again(point)))
        worst = worst_entry(hand, both) or worst
    if worst.distance <= AGREES_WITHIN:
        noisy = _loses_digits(point, truth, measured, single=runner.in_float32(point))
        return Judgement(Outcome.UNSTABLE if noisy else Outcome.AGREES, point, hand, truth.value, worst)
    outcome, worst = _by_wider_arithmetic(runner, point, hand, both, worst)
    if outcome is Outcome.WRONG:
        outcome = AT_KINKS[is_subgradient(runner, point, hand)]
    if outcome is Outcome.WRONG and _rests_on_autodiff(runner, point, hand, both):
        outcome = Outcome.REFERENCE_SUSPECT
    return Judgement(outcome, point, hand, truth.value, worst)


def _may_be_chance(point: Point, hand: Any, truth: Measured) -> bool:
    """Return whether the two differ by no more than other entries are noisy: one spread may be small."""
    gap = _gap(hand, truth.value)
    return entries(point) <= LARGE and np.isfinite(gap) and gap <= AGREES_WITHIN * _largest(truth.noise)


def _rests_on_autodiff(runner: Runner, point: Point, hand: Any, truth: Measured) -> bool:
    """Return whether the two differ only where autodiff is not finite, and differences side with hand."""
    if runner.claim.forward or not _finite(hand) or _finite(truth.value):
        return False
    finite = jax.tree.map(lambda h, t: np.where(np.isfinite(t), t, h), hand, truth.value)
    worst = worst_entry(hand, Measured(finite, jax.tree.map(_no_nan, truth.noise)))
    return (worst is None or worst.distance <= AGREES_WITHIN) and confirmed_by_differences(
        runner, point, hand
    )


def _no_nan(noise: Any) -> Any:
    return np.where(np.isnan(noise), 0.0, noise)


def _loses_digits(point: Point, truth: Measured, hand: Measured, *, single: bool) -> bool:
    """Return whether the hand-written side is so much noisier than autodiff that agreement says nothing.

    Its noise is held against the result and against the direction: a slope that is tiny beside its
    cotangent may carry the rounding of terms of that size. In `single` precision it has fewer to lose.
    """
    direction = _largest(point.direction)
    noisier, lost = (NOISIER * SINGLE_ULP, LOST_IN_SINGLE) if single else (NOISIER, LOST_DIGITS)
    for value, noise, own in zip(*map(jax.tree.leaves, (truth.value, truth.noise, hand.noise)), strict=True):
        loud = _largest(own)
        if loud > noisier * _largest(noise) and loud > lost * max(_largest(value), direction):
            return True
    return False


def _largest(tree: Any) -> float:
    finite = [
        np.where(np.isfinite(v), np.abs(v), 0) for v in jax.tree.leaves(tree) if v.dtype != jax.dtypes.float0
    ]
    return max((float(np.max(v, initial=0.0)) for v in finite), default=0.0)


def _nowhere_finite(hand: Any, truth: Measured) -> bool:
    """Return whether the two sides differ only where neither is finite: the edge of a domain."""
    for mine, true, noise in zip(*map(jax.tree.leaves, (hand, truth.value, truth.noise)), strict=True):
        apart = units(mine, true, noise) > AGREES_WITHIN
        if np.any(apart & (np.isfinite(mine) | np.isfinite(true))):
            return False
    return True


def judge_alone(runner: Runner, point: Point) -> Judgement:
    """Return the judgement at one point with nothing compiled: both sides are interpreted."""
    return judge(runner, point, runner.hand(point).value, runner.truth(point))


def _by_wider_arithmetic(
    runner: Runner, point: Point, hand: Any, truth: Measured, worst: Entry
) -> tuple[Outcome, Entry]:
    """Return who is right where float64 cannot tell: both formulas run again in longdouble.

    If the two agree there, the formula is right, and the float64 value furthest from the wide one is
    the inaccurate side.
    """
    formula, oracle = runner.wide_values(point)
    apart = worst_entry(hand, Measured(oracle, truth.noise)) or worst
    if apart.distance <= AGREES_WITHIN:
        # The hand value is that of the wide oracle: it is the float64 oracle that lost its digits.
        lost = not _finite(truth.value) and _finite(oracle)
        return (Outcome.REFERENCE_SUSPECT if lost else Outcome.AGREES), (worst if lost else apart)
    still = worst_entry(formula, Measured(oracle, truth.noise))
    if still and FAR < still.distance < np.inf and _gap(formula, oracle) > 0.5 * _gap(hand, truth.value):
        return Outcome.WRONG, worst
    wide_hand, wide_truth = runner.hand(point, wide=True), runner.truth(point, wide=True)
    shrinks = _same_formula(hand, truth, wide_hand, wide_truth)
    return (Outcome.UNSTABLE if shrinks else Outcome.WRONG), worst


def _same_formula(hand: Any, truth: Measured, wide_hand: Measured, wide_truth: Measured) -> bool:
    """Return whether every entry that differs agrees in longdouble, or comes at least ten times nearer."""
    leaves = zip(
        *map(jax.tree.leaves, (hand, truth.value, truth.noise)),
        *map(jax.tree.leaves, (*wide_hand, *wide_truth)),
        strict=True,
    )
    for mine, true, noise, wide_mine, own, wide_true, other in leaves:
        apart = units(mine, true, noise) > AGREES_WITHIN
        agree = units(wide_mine, wide_true, own + other) <= AGREES_WITHIN
        nearer = _distance(wide_mine, wide_true) < 0.1 * _distance(mine, true)
        if not np.all(agree | nearer | ~apart):
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


def _sum_of_noise(one: Measured, other: Measured) -> Any:
    return jax.tree.map(np.add, one.noise, other.noise)


def _finite(tree: Any) -> bool:
    floating = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(np.asarray(leaf).dtype, jnp.inexact)]
    return all(bool(np.all(np.isfinite(leaf))) for leaf in floating)
