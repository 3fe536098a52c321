"""Kinks: where a function has several one-sided derivatives, any subgradient is right and nothing else.

Clarke's subdifferential is the convex hull of the limits of gradients at nearby points (Clarke 1983,
Optimization and Nonsmooth Analysis, theorem 2.5.1). Those limits come from autodiff at the point itself, with
its ties broken as they fall next to the point, and a claimed value either lies in their hull or does not. New
directions are chosen along the gap between the value and the hull, which finds the face that matters in a few
rounds.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import nnls

from backproof.numerics.comparison import agree
from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import has_direction
from backproof.numerics.noise import Measured
from backproof.numerics.tolerance import (
    AGREES_WITHIN,
    LEAST_UNIT,
    RADIUS,
    RESOLUTION,
    SUM_OF_WEIGHTS,
)
from backproof.verification.running.evaluator import Evaluator
from backproof.verification.running.one_sided import moved, nearby, per_part, reach, sides, vector, vectors
from backproof.verification.running.point import Point


def is_subgradient(hand: Evaluator, truth: Evaluator, point: Point, value: Any) -> bool | None:
    """Return whether `value` is a subgradient at `point`, output entry by output entry.

    A pullback is linear in its cotangent, so each output entry is judged on its own; for one output a kink
    involves few directions. Where a dozen units are at their kinks together, not every side can be tried: a
    value that no tried side explains may still be right, and None is returned.

    Args:
        hand: the hand-written pullback, which gave `value`.
        truth: autodiff of the primal.
        point: where both are compared.
        value: the value by hand.
    """
    if not jumps(truth, point):
        return False
    held = [leaf for leaf in jax.tree.leaves(point.direction) if has_direction(leaf)]
    count = sum(np.count_nonzero(leaf) for leaf in held)
    if not count:
        return False
    if count > EFFORT.rows:
        return _in_hull(truth, point, vector(value), per_part(truth(point)))
    places = [Point(point.args, row) for row in _one_hot_rows(point.direction)]
    ours, truths = hand.each(places), truth.each(places)
    if not _adds_up(ours, value, per_part(hand(point))):
        return False
    kinked: bool | None = False
    for place, mine, measured in zip(places, ours, truths, strict=True):
        row_hand, row_truth = vector(mine.value), vector(measured.value)
        if row_hand.shape != row_truth.shape or not np.all(np.isfinite(row_hand)):
            return False
        # noise of the hand-written side's own may hide that it has chosen another side
        if np.all(agree(row_hand, row_truth, per_part(measured))):
            continue
        noise = per_part(measured.with_noise_of(mine))
        inside = _in_hull(truth, place, row_hand, noise)
        if inside is False:
            return False
        kinked = None if inside is None or kinked is None else True
    return kinked


def jumps(truth: Evaluator, point: Point) -> bool:
    """Return whether the gradient differs beyond noise from side to side of the point."""
    beside = some_sides(truth, point)
    finite = beside[np.all(np.isfinite(beside), axis=1)] if beside.size else beside
    if not finite.size:
        return False
    differ = np.any(np.ptp(finite, axis=0) > AGREES_WITHIN * per_part(truth(point)))
    return bool(differ) or len(finite) < len(beside)


def some_sides(truth: Evaluator, point: Point) -> np.ndarray:
    """Return the gradient from a few sides of a point, and from those opposite to them, one row for each."""
    size = vector(truth(point).value).size
    quick = 1 if point.is_large else EFFORT.quick_sides
    rng = np.random.default_rng(2)
    steps = rng.choice([-1.0, 1.0], (quick, size)) * rng.uniform(0.5, 1.0, (quick, size))
    return nearby(truth, point, np.vstack([steps, -steps])) if size else np.zeros((0, 0))


def _one_hot_rows(direction: Any) -> list[Any]:
    """Return cotangents with one non-zero entry each, that add up to `direction`."""
    leaves, tree = jax.tree.flatten(direction)
    rows = []
    for which, leaf in enumerate(leaves):
        if not has_direction(leaf):
            continue
        for index in np.argwhere(leaf != 0):
            row = [np.zeros_like(other) for other in leaves]
            row[which][tuple(index)] = leaf[tuple(index)]
            rows.append(tree.unflatten(row))
    return rows


def _adds_up(rows: list[Measured], whole: Any, noise: np.ndarray) -> bool:
    """Return whether the rows sum to the whole within the noise of all: the pullback is linear here."""
    total = np.sum([vector(row.value) for row in rows], axis=0)
    rounding = noise + np.sum([per_part(row) for row in rows], axis=0)
    whole = vector(whole)
    alike = total.shape == whole.shape == rounding.shape
    return alike and bool(np.all(np.abs(total - whole) <= AGREES_WITHIN * rounding))


def _in_hull(truth: Evaluator, point: Point, value: np.ndarray, noise: np.ndarray) -> bool | None:
    """Return whether a value lies in the hull of the gradients on all sides of a point.

    None where that is open: not every side was tried, or from some side the slope is infinite.
    """
    rng, after, reached, quiet = np.random.default_rng(0), (), reach(truth, point), 0
    gradients, looked, infinite = np.zeros((0, value.size)), np.zeros((0, value.size)), False
    for count in EFFORT.sides if value.size <= EFFORT.large else [EFFORT.sides_at_large] * len(EFFORT.sides):
        looks = sides(truth, point, count, rng, after)
        more = nearby(truth, point, looks)
        finite = np.all(np.isfinite(more), axis=1)
        infinite = infinite or not np.all(finite)
        before = gradients
        gradients, looked = np.vstack([gradients, more[finite]]), np.vstack([looked, looks[finite]])
        if not len(gradients):
            return None
        with np.errstate(over="ignore"):
            apart = np.ptp(np.vstack([gradients, value]), axis=0)
        if not np.all(np.isfinite(apart)):
            return False
        rounding, jump = AGREES_WITHIN * noise, np.ptp(gradients, axis=0)
        # a jump smaller than the rounding of the differences cannot be seen
        unit = np.maximum(np.maximum(jump, rounding / RESOLUTION), np.finfo(np.float64).eps * apart)
        unit = np.maximum(unit, LEAST_UNIT)
        left = value - _nearest(gradients, value, unit)
        if np.all(np.abs(left) <= RESOLUTION * jump + RADIUS * np.max(jump) + rounding):
            return True
        towards = left / unit
        best = looked[np.argsort((gradients - gradients[0]) / unit @ towards)[-count:]]
        quiet = quiet + 1 if _are_known(before, more[finite], unit) else 0
        if quiet == EFFORT.quiet_rounds:
            return None if infinite else False
        after = left, towards * (np.min(unit) / unit) * (np.min(reached) / reached), best
    return False if not infinite and _is_refuted(gradients, looked * reached, value) else None


def _are_known(gradients: np.ndarray, more: np.ndarray, unit: np.ndarray) -> bool:
    """Return whether each of `more` is one of the gradients that were seen before."""
    return all(np.any(np.all(np.abs(gradients - row) <= RESOLUTION * unit, axis=1)) for row in more)


def _is_refuted(gradients: np.ndarray, moves: np.ndarray, value: np.ndarray) -> bool:
    """Return whether the function looks convex, or concave, and a value is no subgradient of such a function.

    The gradients of a convex function grow with the moves. None of its subgradients has a larger product with
    a move than the gradient on that side (Rockafellar 1970, Convex Analysis, theorem 23.4). For a concave
    function the gradients shrink, and no product is smaller.
    """
    moves = moves / np.max(np.abs(moves), axis=1, keepdims=True)
    products = gradients @ moves.T
    own = np.diag(products)
    growth = own[:, None] + own[None, :] - products - products.T
    size = np.abs(gradients) @ np.abs(moves).T
    slack = RESOLUTION * (size + size.T + np.diag(size)[:, None] + np.diag(size)[None, :])
    beyond, least = moves @ value - own, RESOLUTION * (np.diag(size) + np.abs(moves) @ np.abs(value))
    convex, concave = np.all(growth >= -slack), np.all(growth <= slack)
    return bool((convex and np.any(beyond > least)) or (concave and np.any(beyond < -least)))


def _nearest(gradients: np.ndarray, value: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return the point of the convex hull of the rows of `gradients` that is nearest to `value`.

    Each entry is measured in its own unit; otherwise a jump a million times as large would hide it.
    """
    centre = gradients[0]
    system = np.vstack([((gradients - centre) / unit).T, SUM_OF_WEIGHTS * np.ones(len(gradients))])
    weights, _ = nnls(system, np.append((value - centre) / unit, SUM_OF_WEIGHTS), maxiter=50 * len(gradients))
    return centre + (weights / max(weights.sum(), LEAST_UNIT)) @ (gradients - centre)


def is_between(hand: Evaluator, truth: Evaluator, point: Point, value: Any) -> bool:
    """Return whether a tangent lies between both sides where autodiff jumps, and agrees with it elsewhere."""
    rng = np.random.default_rng(0)
    sizes = [np.size(leaf) * (2 if jnp.iscomplexobj(leaf) else 1) for leaf in jax.tree.leaves(point.args)]
    steps = rng.standard_normal((EFFORT.sides[-1], sum(sizes)))
    everything = (True,) * len(point.args)
    places = [Point(moved(point.args, everything, RADIUS * d), point.direction) for d in steps]
    beside, value = vectors(truth.limits([point] * len(places), places), len(places)), vector(value)
    if beside.shape[1:] != value.shape or not np.all(np.isfinite(beside)):
        return False
    measured = truth(point)
    noise = AGREES_WITHIN * per_part(measured.with_noise_of(hand(point)))
    jump = np.ptp(beside, axis=0)
    kinked = jump > noise
    slack = RESOLUTION * jump + noise
    between = (value >= beside.min(0) - slack) & (value <= beside.max(0) + slack)
    with np.errstate(invalid="ignore"):
        agrees = np.abs(value - vector(measured.value)) <= noise
    return bool(np.any(kinked) and np.all(np.where(kinked, between, agrees)))
