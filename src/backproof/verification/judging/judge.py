"""Judges one point: equal within noise, a subgradient, a right formula badly computed, or wrong.

The steps go from cheap to expensive. Most points agree at once. Where they do not, the rounding noise of the
hand-written side is measured too; then both sides run in longdouble, which separates the formula from
its arithmetic; then the point is examined for a kink, and finite differences are taken where autodiff is not
finite. Code that computes in float32 somewhere is compared with autodiff in float32 in the end.
"""

import itertools
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.numerics.comparison import Entry, worst_entry
from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import all_finite, has_direction, largest, shapes_of
from backproof.numerics.noise import Measured
from backproof.verification.judging.accuracy import row_at
from backproof.verification.judging.arithmetic import (
    are_two_formulas,
    differs_only_where_not_finite,
    loses_digits,
    may_be_chance,
    nowhere_finite,
    recovers,
    same_formula,
)
from backproof.verification.judging.kinks import is_between, is_subgradient
from backproof.verification.judging.reference import confirmed_by_differences
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Look
from backproof.verification.running.point import Point


class Outcome(IntEnum):
    """Orders the outcomes of one point, the worst last."""

    AGREES = 0
    SKIPPED = 1
    UNDECIDED = 2
    SUBGRADIENT = 3
    REFERENCE_SUSPECT = 4
    UNSTABLE = 5
    WRONG = 6


# The outcome of a value that differs from autodiff, by whether it is a subgradient; None: it may be one.
AT_KINKS = {True: Outcome.SUBGRADIENT, None: Outcome.UNDECIDED, False: Outcome.WRONG}
# Outcomes that are evidence for neither side.
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
        directions = [leaf for leaf in jax.tree.leaves(self.point.direction) if has_direction(leaf)]
        return self.worst is not None and any(bool(np.any(leaf != 0)) for leaf in directions)


def first_look(point: Point, hand: Any, truth: Measured) -> Judgement:
    """Return AGREES where hand and autodiff are within the noise of autodiff alone, else WRONG for now."""
    worst = worst_entry(hand, truth)
    near = worst is None or worst.agrees
    return Judgement(Outcome.AGREES if near else Outcome.WRONG, point, hand, truth.value, worst)


def judge(evaluators: Evaluators, point: Point, hand: Any, truth: Measured) -> Judgement:
    """Return the judgement of `hand` against autodiff at one point.

    Args:
        evaluators: the evaluators of the claim, for evaluating doubtful values again.
        point: where it is judged.
        hand: the value by hand.
        truth: autodiff, with its noise.
    """
    judged = _judge(evaluators, point, hand, truth)
    if judged.outcome < Outcome.UNSTABLE or judged.worst is None or not evaluators.in_float32(point):
        return judged
    # a second derivative has no counterpart in low precision
    row = row_at(evaluators.low_precision("float32"), point) if evaluators.claim.order == 1 else None
    if row is None:
        return judged._replace(outcome=Outcome.SKIPPED)
    worst = judged.worst._replace(distance=row.distance)
    return judged if row.fails else judged._replace(outcome=Outcome.AGREES, worst=worst)


def _judge(evaluators: Evaluators, point: Point, hand: Any, truth: Measured) -> Judgement:
    first = first_look(point, hand, truth)
    if first.outcome is Outcome.AGREES or first.worst is None:
        return first
    if not evaluators.is_finite_at(point) or nowhere_finite(hand, truth):
        return first._replace(outcome=Outcome.SKIPPED)
    measured = evaluators.hand(point)
    both = truth.with_noise_of(measured)
    worst = worst_entry(hand, both) or first.worst
    if not worst.agrees and not point.is_large and may_be_chance(hand, both):
        both = both._replace(noise=jax.tree.map(np.maximum, both.noise, evaluators.noise_again(point)))
        worst = worst_entry(hand, both) or worst
    if worst.agrees:
        single = evaluators.in_float32(point)
        noisy = loses_digits(truth, measured, largest(point.direction), single=single)
        return Judgement(Outcome.UNSTABLE if noisy else Outcome.AGREES, point, hand, truth.value, worst)
    outcome, worst = _in_long_double(evaluators, point, hand, both, worst)
    if outcome is Outcome.WRONG:
        outcome = AT_KINKS[is_right_at_kink(evaluators, point, hand)]
    if (
        outcome is Outcome.WRONG
        and not evaluators.claim.forward
        and differs_only_where_not_finite(hand, both)
    ):
        confirmed = confirmed_by_differences(evaluators.primal, point, hand, truth.value)
        outcome = Outcome.REFERENCE_SUSPECT if confirmed else outcome
    return Judgement(outcome, point, hand, truth.value, worst)


def _in_long_double(
    evaluators: Evaluators, point: Point, hand: Any, truth: Measured, worst: Entry
) -> tuple[Outcome, Entry]:
    """Return which side is right where float64 cannot decide, and the entry that shows it.

    Both formulas run again in long double. If they agree there, the formula is right, and the side whose
    float64 value does not agree lost its digits.
    """
    formula, oracle = (one.value(point, wide=True) for one in (evaluators.hand, evaluators.truth))
    recovered = recovers(hand, oracle, truth.noise)
    if recovered:
        lost = not all_finite(truth.value) and all_finite(oracle)
        return (Outcome.REFERENCE_SUSPECT, worst) if lost else (Outcome.AGREES, recovered)
    if are_two_formulas(hand, truth, formula, oracle):
        return Outcome.WRONG, worst
    wide_hand, wide_truth = evaluators.hand(point, wide=True), evaluators.truth(point, wide=True)
    right = same_formula(hand, truth, wide_hand, wide_truth)
    return (Outcome.UNSTABLE if right else Outcome.WRONG), worst


def is_right_at_kink(evaluators: Evaluators, point: Point, value: Any) -> bool | None:
    """Return whether a value by hand is right at a kink: a subgradient, or a tangent between both sides.

    None where so many sides meet that not every one can be tried.
    """
    hand, truth = evaluators.hand, evaluators.truth
    if evaluators.claim.forward:
        return is_between(hand, truth, point, value)
    return is_subgradient(hand, truth, point, value, single=evaluators.in_float32(point))


def judge_alone(evaluators: Evaluators, point: Point) -> Judgement:
    """Return the judgement at one point with nothing compiled: both sides are interpreted."""
    return judge(evaluators, point, evaluators.hand(point).value, evaluators.truth(point))


def judge_all(evaluators: Evaluators, looks: Sequence[Look]) -> list[Judgement]:
    """Return the judgement of each look: those that agree at once, then the rest, shape by shape in turn.

    Once a few points are WRONG the verdict stands, and further points would add nothing to it.
    """
    first = [first_look(*look) for look in looks]
    agreeing = [one for one in first if one.outcome is Outcome.AGREES]
    suspects = [look for look, one in zip(looks, first, strict=True) if one.outcome is not Outcome.AGREES]
    second: list[Judgement] = []
    for look in _in_turn(suspects):
        second.append(judge(evaluators, *look))
        if sum(one.outcome is Outcome.WRONG for one in second) >= EFFORT.wrong_points:
            break
    return agreeing + second


def _in_turn(looks: Sequence[Look]) -> list[Look]:
    """Return the first look at each shape, then the second at each, and so on."""
    by_shape = [
        list(group) for _, group in itertools.groupby(looks, key=lambda look: shapes_of(look.point.args))
    ]
    rounds = itertools.zip_longest(*by_shape)
    return [look for one_round in rounds for look in one_round if look is not None]
