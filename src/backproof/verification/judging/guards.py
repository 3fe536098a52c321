"""Guards: where autodiff differentiates a guard, such as `where(x == 0, …)`, it is not the derivative.

A function may be smooth at a point at which its program takes a branch of its own. From every side the
gradient is the same there, but autodiff of the branch gives something else. The gradient of the sides is
believed, if finite differences of the function agree with it.
"""

from collections.abc import Sequence

import numpy as np

from backproof.numerics.noise import Measured
from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.verification.judging.kinks import some_sides
from backproof.verification.judging.one_sided import as_tree, both_sides, per_part, vector, vectors
from backproof.verification.judging.reference import Vote, vote
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Look


def may_be_guarded(evaluators: Evaluators, looks: Sequence[Look]) -> list[bool]:
    """Return at which points of one shape the gradient is the same on two opposite sides, but not between.

    Args:
        evaluators: the evaluators of the claim, which is about a pullback.
        looks: both sides at the points.
    """
    points = [look.point for look in looks]
    one, other = (
        vectors(evaluators.truth.limits(points, moved), len(points))
        for moved in both_sides(evaluators.truth, points)
    )
    here = np.array([vector(look.truth.value) for look in looks])
    noise = AGREES_WITHIN * np.array([per_part(look.truth) for look in looks])
    return [bool(np.any(row)) for row in _guarded(np.stack([one, other]), here, noise)]


def without_guards(evaluators: Evaluators, look: Look) -> Measured:
    """Return autodiff with the entries corrected where its guard hides the derivative.

    Args:
        evaluators: the evaluators of the claim, which is about a pullback.
        look: both sides at the point where it is corrected.
    """
    truth = look.truth
    sides = some_sides(evaluators.truth, look.point)
    here = vector(truth.value)
    if not len(sides):
        return truth
    guarded = _guarded(sides, here, AGREES_WITHIN * per_part(truth))
    if not np.any(guarded):
        return truth
    corrected = as_tree(np.where(guarded, sides[0], here), truth.value)
    believed = vote(evaluators, look.point, corrected, truth) is Vote.CONFIRMS
    return Measured(corrected, truth.noise) if believed else truth


def _guarded(sides: np.ndarray, here: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the entries that are finite and equal on all sides, the first axis, but different in between."""
    with np.errstate(invalid="ignore"):
        alike = np.all(np.isfinite(sides), axis=0) & (np.ptp(sides, axis=0) <= noise)
        return np.asarray(alike & ~(np.abs(sides[0] - here) <= noise))


def is_smooth_and_unguarded(evaluators: Evaluators, look: Look) -> bool:
    """Return whether autodiff is the derivative at a point, and the same from every side."""
    sides = some_sides(evaluators.truth, look.point)
    here, noise = vector(look.truth.value), AGREES_WITHIN * per_part(look.truth)
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.abs(sides - here) <= noise))
