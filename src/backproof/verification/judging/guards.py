"""Guards: where autodiff differentiates a guard, such as `where(x == 0, …)`, it is not the derivative.

A function may be smooth at a point at which its program takes a branch of its own. From every side the
gradient is the same there, but autodiff of the branch gives something else. The gradient of the sides is
believed, if finite differences of the function agree with it.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from backproof.numerics.noise import Measured
from backproof.numerics.tolerance import ACCUSED, AGREES_WITHIN
from backproof.verification.judging.kinks import some_sides
from backproof.verification.judging.reference import derivative_at, some_of
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Look
from backproof.verification.running.one_sided import as_tree, both_sides, per_part, vector, vectors


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
    sides = np.stack([one, other])
    return [bool(np.any(row)) for row in _guarded(sides, here, noise) | _unknown(sides, here)]


def without_guards(evaluators: Evaluators, look: Look) -> Measured:
    """Return autodiff with the entries corrected where its guard hides the derivative.

    Args:
        evaluators: the evaluators of the claim, which is about a pullback.
        look: both sides at the point where it is corrected.
    """
    truth, sides = look.truth, some_sides(evaluators.truth, look.point)
    if not len(sides):
        return truth
    here, noise = vector(truth.value), AGREES_WITHIN * per_part(truth)
    doubtful = _guarded(sides, here, noise) | _unknown(sides, here)
    if not np.any(doubtful):
        return truth
    value = truth.value
    limits, masks = (as_tree(one, value) for one in (sides[0], doubtful.astype(float)))
    for leaf, (limit, mask) in enumerate(zip(*map(jax.tree.leaves, (limits, masks)), strict=True)):
        if np.any(mask):
            value = _with_derivatives(evaluators, look, value, leaf, limit, mask.astype(bool))
    return truth if value is truth.value else Measured(value, truth.noise)


def _with_derivatives(
    evaluators: Evaluators, look: Look, value: Any, leaf: int, limit: np.ndarray, doubtful: np.ndarray
) -> Any:
    """Return `value` with what differences give at the doubtful entries of a leaf, where they contradict it.

    Where the entries are many, differences are asked at some. If the limit is the derivative at each of
    those, it is taken at the others too; if it is at some only, the others are not known: NaN.
    """
    leaves, tree = jax.tree.flatten(value)
    own = leaves[leaf]
    asked = some_of(np.argwhere(doubtful))
    found = {index: derivative_at(evaluators, look.point, value, leaf, index) for index in asked}
    hidden = {
        index: one
        for index, one in found.items()
        if one is not None and not abs(one - own[index]) <= ACCUSED * abs(one)
    }
    if not hidden:
        return value
    at_limit = [index for index, one in hidden.items() if abs(one - limit[index]) <= ACCUSED * abs(one)]
    others = limit if len(at_limit) == len(asked) else np.full_like(limit, np.nan)
    corrected = np.array(np.where(doubtful, others, own))
    for index in asked:
        corrected[index] = own[index] if index not in hidden else hidden[index]
    for index in at_limit:
        corrected[index] = limit[index]
    return tree.unflatten([*leaves[:leaf], corrected, *leaves[leaf + 1 :]])


def _guarded(sides: np.ndarray, here: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the entries that are finite and equal on all sides, the first axis, but different in between."""
    with np.errstate(invalid="ignore"):
        alike = np.all(np.isfinite(sides), axis=0) & (np.ptp(sides, axis=0) <= noise)
        return np.asarray(alike & ~(np.abs(sides[0] - here) <= noise))


def _unknown(sides: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Return the entries that are finite, but whose limit from some side is not known."""
    return np.any(np.isnan(sides), axis=0) & np.isfinite(here)


def is_smooth_and_unguarded(evaluators: Evaluators, look: Look) -> bool:
    """Return whether autodiff is the derivative at a point, and the same from every side."""
    sides = some_sides(evaluators.truth, look.point)
    here, noise = vector(look.truth.value), AGREES_WITHIN * per_part(look.truth)
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.abs(sides - here) <= noise))
