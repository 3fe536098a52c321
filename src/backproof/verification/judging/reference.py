"""The third witness: where autodiff and finite differences disagree, the reference itself is in doubt.

A `stop_gradient` in the primal explains such a doubt if it changes the derivative, by its author's
convention. Its presence alone says little: JAX's own softmax holds one that changes nothing. The primal is
therefore differentiated once more with every `stop_gradient` passed through. If the result agrees with the
finite differences, the disagreement is a convention.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import jax
import numpy as np

from backproof.numerics.comparison import agree
from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import (
    is_complex,
    is_inexact,
    largest,
)
from backproof.numerics.noise import Measured, measure
from backproof.numerics.stops import without_stops
from backproof.numerics.tolerance import ACCUSED, AGREES_WITHIN, TRUSTED
from backproof.verification.claims.claim import pullback
from backproof.verification.running.differences import (
    Slope,
    along,
    argument_leaf,
    one_sided,
    size_of,
    with_none,
)
from backproof.verification.running.evaluator import Evaluator
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import Point


class Vote(IntEnum):
    """Orders what finite differences say of a value, the gravest last."""

    CONFIRMS = 0
    SILENT = 1
    REFUTES = 2


def vote_along(primal: Evaluator, point: Point, gradient: Any, noise: Any) -> tuple[Vote, str]:
    """Return what differences of the primal in one direction say of a gradient, and if they refute it, how.

    Args:
        primal: the function.
        point: where both are taken.
        gradient: a cotangent for each argument, None where there is none.
        noise: the noise of autodiff there.
    """
    rng = np.random.default_rng(1)
    drawn = jax.tree.map(lambda leaf: _random_step(rng, leaf), point.args)
    step = tuple(
        jax.tree.map(np.zeros_like, part) if grads is None else part
        for part, grads in zip(drawn, gradient, strict=True)
    )
    sized = jax.tree.map(lambda part, arg: part * size_of(arg), step, point.args)
    terms = [np.sum(g * d) for g, d in _matched(gradient, sized)]
    # with complex arguments the derivative of Re⟨cotangent, primal⟩ along s is Re Σ g s
    slope, size = float(np.real(np.sum(terms))), float(np.sum(np.abs(terms)))
    if not np.isfinite(slope):
        return Vote.SILENT, ""
    found = along(primal, point, step)
    rounding = AGREES_WITHIN * sum(float(np.sum(n * np.abs(d))) for n, d in _matched(noise, sized))
    scale = max(size, abs(found.value))
    if abs(found.value - slope) <= ACCUSED * scale + rounding:
        # next to its cotangent a slope may be so small that only this shows it to be known
        known = found.error <= TRUSTED * max(scale, largest(point.direction))
        return Vote.CONFIRMS if known else Vote.SILENT, ""
    said = f"autodiff of the primal gives {slope:.6g} and finite differences give {found.value:.6g}"
    return (
        (Vote.SILENT, "") if found.error > TRUSTED * scale else (Vote.REFUTES, f"along one direction, {said}")
    )


def _random_step(rng: np.random.Generator, leaf: Any) -> np.ndarray:
    if not is_inexact(leaf):
        return np.zeros(())
    step = rng.standard_normal(np.shape(leaf))
    return step + 1j * rng.standard_normal(np.shape(leaf)) if np.iscomplexobj(leaf) else step


def vote(evaluators: Evaluators, point: Point, hand: Any, truth: Measured) -> Vote:
    """Return what one-sided differences say of a value by hand at the entries where autodiff differs from it.

    A difference that does not converge is no witness.

    Args:
        evaluators: the evaluators of the claim.
        point: where they are asked.
        hand: the value by hand, a pullback's.
        truth: autodiff with its noise.
    """
    said = [Vote.CONFIRMS]
    largest_direction = largest(point.direction)
    leaves = zip(*map(jax.tree.leaves, (hand, truth.value, truth.noise)), strict=True)
    for leaf, (mine, true, noise) in enumerate(leaves):
        which = argument_leaf(point.args, truth.value, leaf)
        if is_complex(jax.tree.leaves(point.args)[which]):
            said += [Vote.SILENT] * (not np.all(agree(mine, true, noise)))
            continue
        for index in some_of(np.argwhere(~agree(mine, true, noise))):
            slopes = _sides(evaluators, point, which, index)
            if not np.isfinite(mine[index]) and not point.has_full_direction:
                slopes = []  # NaN may be 0 · ∞ where the cotangent is 0, which is no fault
            said.append(_vote_at(slopes, float(mine[index]), largest_direction))
    return max(said)


def _sides(evaluators: Evaluators, point: Point, which: int, index: tuple[int, ...]) -> list[Slope]:
    """Return the slopes in one entry from its sides, as the truth itself has them if it is a difference."""
    differences = evaluators.claim.differences
    if differences is not None:
        return differences.sides(point.args, point.direction, which, index)
    return one_sided(evaluators.primal, point, which, index, evaluators.claim.points.admits)


def some_of(places: np.ndarray) -> list[tuple[int, ...]]:
    """Return so many of some entries as differences are asked at, chosen at random."""
    chosen = np.random.default_rng(0).permutation(len(places))[: EFFORT.doubtful]
    return [tuple(map(int, places[i])) for i in chosen]


def derivative_at(evaluators: Evaluators, point: Point, truth: Any, leaf: int, index: Any) -> float | None:
    """Return the derivative for one entry, by differences from both sides; None where there is none.

    Args:
        evaluators: the evaluators of the claim.
        point: where it is taken.
        truth: the result of a pullback there.
        leaf: the number of the leaf of the result.
        index: the entry of that leaf.
    """
    which = argument_leaf(point.args, truth, leaf)
    if is_complex(jax.tree.leaves(point.args)[which]):
        return None
    slopes = one_sided(evaluators.primal, point, which, index, evaluators.claim.points.admits)
    values = [one.value for one in slopes]
    scale = max([largest(point.direction), *map(abs, values)])
    if len(slopes) < 2 or any(one.error > TRUSTED * scale for one in slopes):
        return None
    return float(np.mean(values)) if np.ptp(values) <= TRUSTED * scale else None


def _vote_at(slopes: list[Slope], mine: float, direction: float) -> Vote:
    """Return what the slopes on one side or both say of one entry."""
    scale = max([abs(mine) if np.isfinite(mine) else 0.0, *(abs(one.value) for one in slopes)])
    trusted = [one for one in slopes if one.error <= TRUSTED * max(scale, direction)]
    if not trusted or len(trusted) < len(slopes):
        return Vote.SILENT
    if not np.isfinite(mine):
        return Vote.REFUTES
    values, error = [one.value for one in trusted], AGREES_WITHIN * max(one.error for one in trusted)
    outside = max(min(values) - mine, mine - max(values), 0.0)
    if outside <= TRUSTED * scale + error:
        return Vote.CONFIRMS
    return Vote.REFUTES if outside > ACCUSED * scale + error else Vote.SILENT


def _matched(gradient: Any, step: Any) -> list[tuple[Any, Any]]:
    """Return each leaf of the gradient with the part of the step that belongs to it."""
    return [
        (grad, move)
        for part, moves in zip(gradient, step, strict=True)
        if part is not None
        for grad, move in zip(with_none(part), with_none(moves), strict=True)
        if grad is not None
    ]


def explains_doubt(evaluators: Evaluators, points: Sequence[Point]) -> bool:
    """Return whether differences agree with autodiff at `points` once no gradient is stopped."""
    for point in points:
        passing = without_stops(evaluators.claim.primal, point.args)
        if passing is None:
            return False
        truth: Measured = evaluators.truth(point)
        wrt = [i for i, part in enumerate(truth.value) if part is not None]
        gradient = measure(pullback(passing, wrt), *point).value
        if vote_along(evaluators.primal, point, gradient, truth.noise)[0] is Vote.REFUTES:
            return False
    return True
