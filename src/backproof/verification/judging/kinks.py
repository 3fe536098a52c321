"""Kinks: where a function has several one-sided derivatives, any subgradient is right and nothing else.

Clarke's subdifferential is the convex hull of the gradients at nearby points (Clarke 1983, Optimization
and Nonsmooth Analysis, theorem 2.5.1). Those gradients come from autodiff next to the point, extrapolated
to it, and a claimed value either lies in their hull or does not. New directions are chosen along the gap
between the value and the hull, which finds the face that matters in a few rounds.
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
    EXTRAPOLATED,
    LEAST_UNIT,
    RADIUS,
    RESOLUTION,
    SUM_OF_WEIGHTS,
)
from backproof.verification.judging.one_sided import moved, nearby, reach, sides, vector, vectors
from backproof.verification.running.evaluator import Evaluator
from backproof.verification.running.point import Point


def is_subgradient(
    hand: Evaluator, truth: Evaluator, point: Point, value: Any, *, single: bool
) -> bool | None:
    """Return whether `value` is a subgradient at `point`, output entry by output entry.

    A pullback is linear in its cotangent, so each output entry is judged on its own; for one output a kink
    involves few directions. Where a dozen units are at their kinks together, not every side can be tried: a
    value that no tried side explains may still be right, and None is returned.

    Args:
        hand: the hand-written pullback, which gave `value`.
        truth: autodiff of the primal.
        point: where both are compared.
        value: the value by hand.
        single: whether the hand-written side computes in float32.
    """
    if not jumps(truth, point):
        return False
    held = [leaf for leaf in jax.tree.leaves(point.direction) if has_direction(leaf)]
    count = sum(np.count_nonzero(leaf) for leaf in held)
    if not count:
        return False
    if count > EFFORT.rows:
        return _in_hull(truth, point, vector(value), _per_part(truth(point)))
    rows = _one_hot_rows(point.direction)
    places = [Point(point.args, row) for row in rows]
    ours, truths = hand.values(places), truth.each(places)
    unit = float(np.finfo(np.float32 if single else np.float64).eps)
    if not _adds_up(ours, value, _per_part(hand(point)), unit):
        return False
    kinked: bool | None = False
    for place, row_hand, measured in zip(places, vectors(ours, len(places)), truths, strict=True):
        row_truth, noise = vector(measured.value), _per_part(measured)
        if single:  # the hand-written side has the larger roundings
            noise = noise + _per_part(hand(place)) + unit * np.abs(row_hand)
        if row_hand.shape != row_truth.shape or not np.all(np.isfinite(row_hand)):
            return False
        if np.all(agree(row_hand, row_truth, noise)):
            continue
        inside = _in_hull(truth, place, row_hand, noise)
        if inside is False:
            return False
        kinked = None if inside is None or kinked is None else True
    return kinked


def jumps(truth: Evaluator, point: Point) -> bool:
    """Return whether the gradient differs, beyond noise and curvature, from side to side of the point."""
    measured = truth(point)
    size = vector(measured.value).size
    if not size:
        return False
    quick = 1 if point.is_large else EFFORT.quick_sides
    rng = np.random.default_rng(2)
    steps = rng.choice([-1.0, 1.0], (quick, size)) * rng.uniform(0.5, 1.0, (quick, size))
    beside, blur = nearby(truth, point, np.vstack([steps, -steps]))
    if not np.all(np.isfinite(beside)):
        return bool(np.any(np.isfinite(beside)))
    apart = np.abs(beside - np.nan_to_num(vector(measured.value), posinf=0.0, neginf=0.0)).max(0)
    jump = np.maximum(np.ptp(beside, axis=0), apart)
    return bool(np.any(jump > AGREES_WITHIN * (EXTRAPOLATED * _per_part(measured) + blur)))


def _per_part(measured: Measured) -> np.ndarray:
    """Return the noise of each entry of `vector(measured.value)`."""
    repeated = jax.tree.map(
        lambda v, n: np.repeat(np.ravel(n), 2 if np.iscomplexobj(v) else 1), measured.value, measured.noise
    )
    return vector(repeated)


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


def _adds_up(rows: Any, whole: Any, noise: np.ndarray, unit: float) -> bool:
    """Return whether the rows, each rounded by a `unit`, sum to the whole: the pullback is linear here."""
    total = vector(jax.tree.map(lambda v: v.sum(0), rows))
    size = vector(jax.tree.map(lambda v: _size(v).sum(0), rows))
    whole = vector(whole)
    rounding = noise + unit * size
    return total.shape == whole.shape == noise.shape and bool(
        np.all(np.abs(total - whole) <= AGREES_WITHIN * rounding)
    )


def _size(value: Any) -> Any:
    """Return the sizes of real and imaginary part, each in its place."""
    return np.abs(value.real) + 1j * np.abs(value.imag) if np.iscomplexobj(value) else np.abs(value)


def _in_hull(truth: Evaluator, point: Point, value: np.ndarray, noise: np.ndarray) -> bool | None:
    """Return whether a value lies in the hull of the gradients next to a point; None where that is open."""
    rng, after, reached, quiet = np.random.default_rng(0), (), reach(truth, point), 0
    gradients, looked, blur = np.zeros((0, value.size)), np.zeros((0, value.size)), np.zeros(value.size)
    for count in EFFORT.sides if value.size <= EFFORT.large else [EFFORT.sides_at_large] * len(EFFORT.sides):
        looks = sides(truth, point, count, rng, after)
        more, blurred = nearby(truth, point, looks)
        finite = np.all(np.isfinite(more), axis=1)
        before = gradients
        gradients, looked = np.vstack([gradients, more[finite]]), np.vstack([looked, looks[finite]])
        if not len(gradients):
            return False
        with np.errstate(over="ignore"):
            apart = np.ptp(np.vstack([gradients, value]), axis=0)
        if not np.all(np.isfinite(apart)):
            return False
        blur = np.maximum(blur, blurred)
        rounding, jump = AGREES_WITHIN * (EXTRAPOLATED * noise + blur), np.ptp(gradients, axis=0)
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
            return False
        after = left, towards * (np.min(unit) / unit) * (np.min(reached) / reached), best
    return False if _is_refuted(gradients, looked * reached, value) else None


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
    beside, value = vectors(truth.values(places), len(places)), vector(value)
    if beside.shape[1:] != value.shape or not np.all(np.isfinite(beside)):
        return False
    measured = truth(point)
    noise = AGREES_WITHIN * _per_part(measured.with_noise_of(hand(point)))
    jump = np.ptp(beside, axis=0)
    curved = RESOLUTION * (np.abs(beside).max(0) + np.abs(vector(point.direction)).max(initial=0.0))
    kinked = jump > curved + noise
    slack = RESOLUTION * jump + noise
    between = (value >= beside.min(0) - slack) & (value <= beside.max(0) + slack)
    with np.errstate(invalid="ignore"):
        agrees = np.abs(value - vector(measured.value)) <= noise
    return bool(np.any(kinked) and np.all(np.where(kinked, between, agrees)))
