"""Judges one point: evidence for the derivative, evidence against it, or none.

The steps go from cheap to expensive. Most points agree at once. Where they do not, the rounding noise of the
hand-written side is measured too; then both sides run in longdouble, which separates the formula from its
arithmetic; then the point is examined for a kink. Where autodiff is not finite, or where its guard hides the
derivative, one-sided differences of the function itself are the third witness. What gives no evidence (a
cotangent of zeros, an autodiff value that is not finite where no difference converges) never decides a
verdict.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.numerics.comparison import Entry, agree, worst_entry
from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import all_finite, has_direction, largest
from backproof.numerics.noise import Measured
from backproof.verification.judging.accuracy import worst_at
from backproof.verification.judging.arithmetic import (
    are_two_formulas,
    lacks_slopes_only,
    loses_digits,
    may_be_chance,
    nowhere_finite,
    recovers,
    same_formula,
)
from backproof.verification.judging.guards import may_be_guarded, without_guards
from backproof.verification.judging.kinks import is_between, is_subgradient, jumps
from backproof.verification.judging.reference import Vote, vote
from backproof.verification.running.clock import Clock
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Look, by_shape, in_turn
from backproof.verification.running.point import Point


class Outcome(IntEnum):
    """Orders the outcomes of one point, the gravest last."""

    AGREES = 0
    NO_EVIDENCE = 1
    CONFIRMED = 2
    SUBGRADIENT = 3
    UNSTABLE = 4
    WRONG = 5


# The outcomes that are held against a derivative, the gravest first.
GRAVE = (Outcome.WRONG, Outcome.UNSTABLE)
NO_DIRECTION = "the cotangent is zero"
NO_VALUE = "the function is not finite"
NO_WITNESS = "autodiff is not finite, and no finite difference converges"
NO_DIFFERENCE = "no finite difference of the function converges"
AS_AUTODIFF = "the kernel computes in float32, and errs there as autodiff in float32 does"
IS_AUTODIFF = "the value by hand is autodiff itself, computed otherwise"
OVERFLOWS = "both sides overflow in float64"
NO_TIME = "the sides differ at first sight, and the budget was used up before more was asked"
TOO_MANY_SIDES = "so many kinks meet, or slopes are so steep, that not every side could be tried"


class Judgement(NamedTuple):
    """Holds the outcome at one point, the two results, and the worst entry (None if there is none).

    Attributes:
        outcome: the outcome.
        point: where.
        hand: the value by hand.
        truth: the value that it should have: that of autodiff, or of the sides where a guard hides it.
        worst: the entry furthest apart.
        reason: why there is no evidence; empty where there is.
        guarded: whether autodiff is not the derivative here.
    """

    outcome: Outcome
    point: Point
    hand: Any
    truth: Any
    worst: Entry | None
    reason: str = ""
    guarded: bool = False

    @property
    def distance(self) -> float:
        """Return the largest distance in noise units, 0 for an empty result."""
        return self.worst.distance if self.worst else 0.0

    @property
    def says_something(self) -> bool:
        """Return whether a wrong result could have been seen: an entry, and a direction that is not zero."""
        return self.worst is not None and has_a_direction(self.point)


def has_a_direction(point: Point) -> bool:
    """Return whether the direction at a point is not zero throughout, or there is none to be zero."""
    leaves = jax.tree.leaves(point.direction)
    return not leaves or any(bool(np.any(leaf != 0)) for leaf in leaves if has_direction(leaf))


def first_look(point: Point, hand: Any, truth: Measured) -> Judgement:
    """Return AGREES where hand and autodiff are within the noise of autodiff alone, else WRONG for now."""
    worst = worst_entry(hand, truth)
    near = worst is None or worst.agrees
    return Judgement(Outcome.AGREES if near else Outcome.WRONG, point, hand, truth.value, worst)


def judge(evaluators: Evaluators, look: Look, *, guarded: bool = True) -> Judgement:
    """Return the judgement of the value by hand against autodiff at one point.

    Args:
        evaluators: the evaluators of the claim, for evaluating doubtful values again.
        look: both sides at the point.
        guarded: whether a guard of the program may hide the derivative from autodiff here.
    """
    truth = without_guards(evaluators, look) if guarded and _can_be_guarded(evaluators, look) else look.truth
    found = _judge(evaluators, look.point, look.hand, truth, corrected=truth is not look.truth)
    if found.outcome >= Outcome.UNSTABLE and _errs_as_autodiff(evaluators, found):
        return found._replace(outcome=Outcome.NO_EVIDENCE, reason=AS_AUTODIFF)
    if truth is look.truth:
        return found
    agrees = found.outcome is Outcome.AGREES
    return found._replace(outcome=Outcome.CONFIRMED if agrees else found.outcome, guarded=True)


def _errs_as_autodiff(evaluators: Evaluators, found: Judgement) -> bool:
    """Return whether all that differs comes from a kernel in float32, and errs as autodiff does in float32.

    The roundings inside a kernel cannot be varied, so that its noise is not known.
    """
    point = found.point
    if evaluators.claim.order > 1 or not evaluators.is_coarse_kernel(point):
        return False
    leaves = zip(
        *map(jax.tree.leaves, (found.hand, found.truth, evaluators.noise_of_both(point))), strict=True
    )
    fine = (leaf for leaf, unit in zip(leaves, evaluators.units(point), strict=True) if unit == 1)
    if not all(np.all(agree(*leaf)) for leaf in fine):
        return False
    low = evaluators.low_precision("float32")
    return not any(row.fails for row in worst_at(low, [low.narrowed(point)]))


def _can_be_guarded(evaluators: Evaluators, look: Look) -> bool:
    """Return whether sides of a point can be compared: at a pullback in a direction that is not zero."""
    if not look.tied or evaluators.claim.forward or look.point.is_large or not has_a_direction(look.point):
        return False
    return not evaluators.is_autodiff(look.point)


def _judge(evaluators: Evaluators, point: Point, hand: Any, truth: Measured, *, corrected: bool) -> Judgement:
    first = first_look(point, hand, truth)
    if first.outcome is Outcome.AGREES or first.worst is None:
        return first
    if not evaluators.is_finite_at(point):
        return first._replace(outcome=Outcome.NO_EVIDENCE, reason=NO_VALUE)
    if evaluators.is_autodiff(point):  # the two differ by how JAX compiles them
        return first._replace(outcome=Outcome.NO_EVIDENCE, reason=IS_AUTODIFF)
    if not has_a_direction(point) and not all_finite(truth.value):
        return first._replace(outcome=Outcome.NO_EVIDENCE, reason=NO_DIRECTION)
    measured = evaluators.hand(point)
    both = truth.with_noise_of(measured)
    worst = worst_entry(hand, both) or first.worst
    units = evaluators.units(point)
    if not worst.agrees and not point.is_large and may_be_chance(hand, both, units):
        both = both._replace(noise=jax.tree.map(np.maximum, both.noise, evaluators.noise_again(point)))
        worst = worst_entry(hand, both) or worst
    first = first._replace(worst=worst)
    if worst.agrees:
        is_known = not evaluators.claim.differences  # differences say nothing of the last digits
        if is_known and loses_digits(truth, measured, largest(point.direction), units):
            return _unless_at_kink(evaluators, first._replace(outcome=Outcome.UNSTABLE))
        return first._replace(outcome=Outcome.AGREES)
    if evaluators.claim.differences:
        return _by_vote(evaluators, point, first, both) if lacks_slopes_only(hand, both) else first
    # long double does not lift a guard
    wide = first if corrected else _in_long_double(evaluators, point, first, both)
    if wide.outcome is Outcome.UNSTABLE:
        return _unless_at_kink(evaluators, wide)
    if wide.outcome is not Outcome.WRONG:
        return wide
    found = _at_kink(evaluators, point, first)
    if found is None and not np.all(np.isfinite(worst.truth)):
        found = _by_vote(evaluators, point, first, both)
    return found or first


def _unless_at_kink(evaluators: Evaluators, unstable: Judgement) -> Judgement:
    """Return SUBGRADIENT where the value is one, and else that its digits are lost.

    Next to a kink the runs that measure noise may fall on either side of it.
    """
    kinked = _at_kink(evaluators, unstable.point, unstable)
    return kinked if kinked and kinked.outcome is Outcome.SUBGRADIENT else unstable


def _at_kink(evaluators: Evaluators, point: Point, first: Judgement) -> Judgement | None:
    """Return the judgement at a kink, where a subgradient or a tangent in between is right; else None."""
    right = is_right_at_kink(evaluators, point, first.hand)
    if right is None:
        return first._replace(outcome=Outcome.NO_EVIDENCE, reason=TOO_MANY_SIDES)
    if right:
        return first._replace(outcome=Outcome.SUBGRADIENT)
    if evaluators.claim.forward or not jumps(evaluators.truth, point):
        return None
    return first._replace(outcome=Outcome.WRONG)


def is_right_at_kink(evaluators: Evaluators, point: Point, value: Any) -> bool | None:
    """Return whether a value by hand is right at a kink: a subgradient, or a tangent between both sides.

    None where so many sides meet that not every one can be tried.
    """
    hand, truth = evaluators.hand, evaluators.truth
    judged = is_between if evaluators.claim.forward else is_subgradient
    return judged(hand, truth, point, value)


def _by_vote(evaluators: Evaluators, point: Point, first: Judgement, both: Measured) -> Judgement:
    """Return the judgement by finite differences, where autodiff is not finite."""
    said = Vote.SILENT if evaluators.claim.forward else vote(evaluators, point, first.hand, both)
    if said is Vote.SILENT:
        reason = NO_DIFFERENCE if evaluators.claim.differences else NO_WITNESS
        return first._replace(outcome=Outcome.NO_EVIDENCE, reason=reason)
    right = said is Vote.CONFIRMS
    if evaluators.claim.differences:  # where its slopes differ from side to side, it has any in between
        return first._replace(outcome=Outcome.SUBGRADIENT if right else Outcome.WRONG)
    return first._replace(outcome=Outcome.CONFIRMED if right else Outcome.WRONG, guarded=True)


def _in_long_double(evaluators: Evaluators, point: Point, first: Judgement, truth: Measured) -> Judgement:
    """Return which side is right where float64 cannot decide; WRONG where long double cannot either.

    Both formulas run again in long double. If they agree there, the formula is right, and the side whose
    float64 value does not agree lost its digits.
    """
    hand = first.hand
    formula, oracle = (one.value(point, wide=True) for one in (evaluators.hand, evaluators.truth))
    recovered = recovers(hand, oracle, truth.noise)
    if recovered:
        lost = not all_finite(truth.value) and all_finite(oracle)
        return first._replace(outcome=Outcome.CONFIRMED if lost else Outcome.AGREES, worst=recovered)
    if are_two_formulas(hand, truth, formula, oracle):
        return first
    wide_hand, wide_truth = evaluators.hand(point, wide=True), evaluators.truth(point, wide=True)
    if not same_formula(hand, truth, wide_hand, wide_truth):
        return first
    if nowhere_finite(hand, truth):
        return first._replace(outcome=Outcome.NO_EVIDENCE, reason=OVERFLOWS)
    return first._replace(outcome=Outcome.UNSTABLE)


def judge_alone(evaluators: Evaluators, point: Point) -> Judgement:
    """Return the judgement at one point with nothing compiled: both sides are interpreted."""
    return judge(evaluators, Look(point, evaluators.hand(point).value, evaluators.truth(point), tied=True))


def judge_all(evaluators: Evaluators, looks: Sequence[Look], clock: Clock) -> list[Judgement]:
    """Return the judgement of each look: those that agree at once, then the rest, shape by shape in turn.

    Once a few points are WRONG the verdict stands, and further points would add nothing to it.

    Args:
        evaluators: the evaluators of the claim.
        looks: both sides at the points.
        clock: the time that is left.
    """
    agreeing: list[Judgement] = []
    suspects: list[list[tuple[Look, bool]]] = []
    for group in by_shape(looks):
        tied = [look for look in group if _can_be_guarded(evaluators, look)]
        marked = zip(tied, may_be_guarded(evaluators, tied) if tied else (), strict=True)
        guarded = {id(look) for look, is_guarded in marked if is_guarded}
        suspects.append([])
        for look in group:
            one = first_look(look.point, look.hand, look.truth)
            if one.outcome is Outcome.AGREES and id(look) not in guarded:
                agreeing.append(one if has_a_direction(look.point) else _without_direction(one))
            else:
                suspects[-1].append((look, id(look) in guarded))
    second: list[Judgement] = []
    for number, (look, guarded) in enumerate(turn := in_turn(suspects)):
        if second and clock.over(f"{len(turn) - number} points at which the sides differ at first sight"):
            left = [first_look(one.point, one.hand, one.truth) for one, _ in turn[number:]]
            second += [one._replace(outcome=Outcome.NO_EVIDENCE, reason=NO_TIME) for one in left]
            break
        second.append(judge(evaluators, look, guarded=guarded))
        if sum(one.outcome is Outcome.WRONG for one in second) >= EFFORT.wrong_points:
            break
    return agreeing + second


def _without_direction(one: Judgement) -> Judgement:
    return one._replace(outcome=Outcome.NO_EVIDENCE, reason=NO_DIRECTION) if one.worst else one
