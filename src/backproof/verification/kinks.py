"""Kinks: where a function has several one-sided derivatives, any subgradient is right and nothing else.

Clarke's subdifferential is the convex hull of the gradients at nearby points (Clarke 1983, Optimization
and Nonsmooth Analysis, theorem 2.5.1). Those gradients come from autodiff beside the point, extrapolated
to it, and a claimed value either lies in their hull or does not. New directions are chosen along what
is left between the value and the hull, which finds the face that matters in a few rounds.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import nnls

from backproof.verification.noise import AGREES_WITHIN, Measured
from backproof.verification.oracles import LARGE, Point, Runner, entries

# Distance from the point, relative to its entries, at which one-sided gradients are taken: far enough to
# leave the rounding of a computed tie (1e-15), near enough that what is found is a kink of this point and
# not of a neighbour.
RADIUS = 1e-11
# A value this close to the hull, relative to the jump of the gradient across the kink, lies in it: far
# above what curvature adds over RADIUS, far below any wrong slope.
RESOLUTION = 1e-6
# Larger outputs are judged whole: one row for each entry would cost more than it tells.
ROWS_AT_MOST = 256
# Fewer miss faces where a dozen units stand at their kink at once.
DIRECTIONS = 64
QUICK = 3
ROUNDS = 6


def is_subgradient(runner: Runner, point: Point, hand: Any) -> bool:
    """Return whether `hand` is a subgradient at `point`, output entry by output entry.

    A pullback is linear in its cotangent, so each output entry is judged on its own; there a kink
    involves few directions.
    """
    if runner.claim.forward:
        return _is_between(runner, point, hand)
    if not jumps(runner, point):
        return False
    held = [leaf for leaf in jax.tree.leaves(point.direction) if leaf.dtype != jax.dtypes.float0]
    count = sum(np.count_nonzero(leaf) for leaf in held)
    if not count:
        return False
    if count > ROWS_AT_MOST:
        return _in_hull(runner, point, _vector(hand), _per_part(runner.truth(point)))
    rows = _one_hot_rows(point.direction)
    places = [Point(point.args, row) for row in rows]
    ours, truths = runner.many("hand", places), runner.truths(places)
    if not _adds_up(ours, hand, _per_part(runner.hand(point))):
        return False
    kinked = False
    for place, row_hand, measured in zip(places, _rows(ours), truths, strict=True):
        row_truth, noise = _vector(measured.value), _per_part(measured)
        if row_hand.shape != row_truth.shape or not np.all(np.isfinite(row_hand)):
            return False
        with np.errstate(invalid="ignore"):
            apart = np.abs(row_hand - row_truth)
        if np.all(apart <= AGREES_WITHIN * noise):
            continue
        if not _in_hull(runner, place, row_hand, noise):
            return False
        kinked = True
    return kinked


def jumps(runner: Runner, point: Point) -> bool:
    """Return whether the gradient differs, beyond noise and curvature, from side to side of the point."""
    measured = runner.truth(point)
    size = _vector(measured.value).size
    if not size:
        return False
    quick = QUICK if entries(point) <= LARGE else 1
    rng = np.random.default_rng(2)
    steps = rng.choice([-1.0, 1.0], (quick, size)) * rng.uniform(0.5, 1.0, (quick, size))
    beside, blur = _nearby(runner, point, np.vstack([steps, -steps]))
    if not np.all(np.isfinite(beside)):
        return bool(np.any(np.isfinite(beside)))
    apart = np.abs(beside - np.nan_to_num(_vector(measured.value), posinf=0.0, neginf=0.0)).max(0)
    jump = np.maximum(np.ptp(beside, axis=0), apart)
    return bool(np.any(jump > AGREES_WITHIN * (3 * _per_part(measured) + blur)))


def _per_part(measured: Measured) -> np.ndarray:
    """Return the noise of each entry of `_vector(measured.value)`."""
    repeated = jax.tree.map(
        lambda v, n: np.repeat(np.ravel(n), 2 if np.iscomplexobj(v) else 1), measured.value, measured.noise
    )
    return _vector(repeated)


def _one_hot_rows(direction: Any) -> list[Any]:
    """Return cotangents with one non-zero entry each, that add up to `direction`."""
    leaves, tree = jax.tree.flatten(direction)
    rows = []
    for which, leaf in enumerate(leaves):
        if leaf.dtype == jax.dtypes.float0:
            continue
        for index in np.argwhere(leaf != 0):
            row = [np.zeros_like(other) for other in leaves]
            row[which][tuple(index)] = leaf[tuple(index)]
            rows.append(tree.unflatten(row))
    return rows


def _adds_up(rows: Any, whole: Any, noise: np.ndarray) -> bool:
    """Return whether the rows sum to the whole: the pullback is linear here."""
    total = _vector(jax.tree.map(lambda v: v.sum(0), rows))
    size = _vector(jax.tree.map(lambda v: _size(v).sum(0), rows))
    whole = _vector(whole)
    rounding = noise + np.finfo(np.float64).eps * size
    return total.shape == whole.shape == noise.shape and bool(
        np.all(np.abs(total - whole) <= AGREES_WITHIN * rounding)
    )


def _size(value: Any) -> Any:
    """Return the sizes of real and imaginary part, each in its place."""
    return np.abs(value.real) + 1j * np.abs(value.imag) if np.iscomplexobj(value) else np.abs(value)


def _in_hull(runner: Runner, point: Point, value: np.ndarray, noise: np.ndarray) -> bool:
    rng, leaf_of = np.random.default_rng(0), _leaf_of(runner.truth(point).value)
    # the result of a pullback has one entry for each entry that can move
    sides = rng.standard_normal((DIRECTIONS, value.size))
    gradients, blur = _nearby(runner, point, _some_by_one_leaf(sides, leaf_of))
    for _ in range(ROUNDS):
        gradients = gradients[np.all(np.isfinite(gradients), axis=1)]
        if not len(gradients):
            return False
        with np.errstate(over="ignore"):
            apart = np.ptp(np.vstack([gradients, value]), axis=0)
        if not np.all(np.isfinite(apart)):
            return False
        rounding, jump = AGREES_WITHIN * (3 * noise + blur), np.ptp(gradients, axis=0)
        # what is less than the rounding of the differences is not seen
        unit = np.maximum(np.maximum(jump, rounding / RESOLUTION), np.finfo(np.float64).eps * apart)
        left = value - _nearest(gradients, value, unit)
        if np.all(np.abs(left) <= RESOLUTION * jump + RADIUS * np.max(jump) + rounding):
            return True
        flips = np.where(rng.random((DIRECTIONS, value.size)) < 0.5, 1.0, -1.0) * np.abs(left)
        more, blurred = _nearby(runner, point, np.vstack([left, -left, _some_by_one_leaf(flips, leaf_of)]))
        gradients, blur = np.vstack([gradients, more]), np.maximum(blur, blurred)
    return False


def _some_by_one_leaf(directions: np.ndarray, leaf_of: np.ndarray) -> np.ndarray:
    """Return the directions, every second one along one leaf alone.

    A bias decides for a unit in all samples at once on which side it stands; moved with the inputs, of
    which one may be a million times as large, a dozen units never all stand on one side.
    """
    along = np.arange(len(directions)) // 2 % (leaf_of.max(initial=0) + 1)
    alone = np.arange(len(directions)) % 2 == 1
    return np.where(alone[:, None] & (along[:, None] != leaf_of), 0.0, directions)


def _leaf_of(tree: Any) -> np.ndarray:
    """Return, for each entry of `_vector(tree)`, the number of its leaf."""
    sizes = [_vector(leaf).size for leaf in jax.tree.leaves(tree)]
    return np.repeat(np.arange(len(sizes)), sizes)


def _nearest(gradients: np.ndarray, value: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return the point of the convex hull of the rows of `gradients` that is nearest to `value`.

    Each entry is measured in a unit of its own, or one jump a million times another would hide it.
    """
    centre, scale = gradients[0], np.maximum(unit, 1e-300)
    system = np.vstack([((gradients - centre) / scale).T, 1e3 * np.ones(len(gradients))])
    weights, _ = nnls(system, np.append((value - centre) / scale, 1e3), maxiter=50 * len(gradients))
    return centre + (weights / max(weights.sum(), 1e-300)) @ (gradients - centre)


def _nearby(runner: Runner, point: Point, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the limits of the gradient at `point` from some sides, one row per direction, and their blur.

    A gradient changes over RADIUS even where it is smooth, by more than it jumps beside a weight of 1e-12;
    from two distances on one ray that change is taken out, unless a kink lies between them. What is left
    is that the moved numbers are rounded themselves, a part of that change.
    """
    lengths = np.max(np.abs(directions), axis=1, keepdims=True)
    unit = directions / np.where(lengths == 0, 1, lengths)
    parts = runner.program_of_truth(point).tree.children()
    movable = tuple(part != jax.tree.structure(None) for part in parts)
    steps = np.vstack([RADIUS * unit, RADIUS / 2 * unit])
    places = [Point(_moved(point.args, movable, step), point.direction) for step in steps]
    far, near = np.split(_rows(runner.many("truth", places)), 2)
    with np.errstate(invalid="ignore"):
        change = np.abs(far - near)
        smooth = change.max(1, keepdims=True, initial=0.0) <= RESOLUTION * np.abs(near).max(1, keepdims=True)
        rounded = np.where(smooth, change, 0) * np.finfo(np.float64).eps / RADIUS
        return np.where(smooth, 2 * near - far, near), np.nan_to_num(rounded.max(0))


def _is_between(runner: Runner, point: Point, hand: Any) -> bool:
    """Return whether a tangent lies between both sides where autodiff jumps, and agrees with it elsewhere."""
    rng = np.random.default_rng(0)
    sizes = [np.size(leaf) * (2 if jnp.iscomplexobj(leaf) else 1) for leaf in jax.tree.leaves(point.args)]
    steps = rng.standard_normal((DIRECTIONS, sum(sizes)))
    everything = (True,) * len(point.args)
    places = [Point(_moved(point.args, everything, RADIUS * d), point.direction) for d in steps]
    beside, value = _rows(runner.many("truth", places)), _vector(hand)
    if beside.shape[1:] != value.shape or not np.all(np.isfinite(beside)):
        return False
    truth = runner.truth(point)
    noise = AGREES_WITHIN * (_per_part(truth) + _per_part(runner.hand(point)))
    jump = np.ptp(beside, axis=0)
    curved = RESOLUTION * (np.abs(beside).max(0) + np.abs(_vector(point.direction)).max(initial=0.0))
    kinked = jump > curved + noise
    slack = RESOLUTION * jump + noise
    between = (value >= beside.min(0) - slack) & (value <= beside.max(0) + slack)
    with np.errstate(invalid="ignore"):
        agrees = np.abs(value - _vector(truth.value)) <= noise
    return bool(np.any(kinked) and np.all(np.where(kinked, between, agrees)))


def _moved(args: tuple[Any, ...], movable: tuple[bool, ...], step: np.ndarray) -> tuple[Any, ...]:
    """Return `args` with every differentiated entry moved by `step` of its size; a 0 by that of its leaf."""
    remaining = step

    def move(leaf: Any) -> Any:
        nonlocal remaining
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.inexact):
            return leaf
        parts = 2 if jnp.iscomplexobj(leaf) else 1
        taken, remaining = remaining[: parts * np.size(leaf)], remaining[parts * np.size(leaf) :]
        shift = taken[0::2] + 1j * taken[1::2] if parts == 2 else taken
        return leaf + shift.reshape(np.shape(leaf)) * _reach(np.abs(leaf))

    return tuple(jax.tree.map(move, arg) if moves else arg for arg, moves in zip(args, movable, strict=True))


def _reach(sizes: Any) -> Any:
    """Return how far entries of these sizes move at most: by their own, so that none is carried far off."""
    largest = float(np.max(sizes, initial=0.0))
    return np.where(sizes == 0, min(largest, 1.0) or 1.0, sizes)


def _vector(tree: Any) -> np.ndarray:
    """Return every inexact entry of a tree in one real vector; a complex number is two entries."""
    parts = []
    for leaf in jax.tree.leaves(tree):
        array = np.asarray(leaf).ravel()
        if jnp.issubdtype(array.dtype, jnp.complexfloating):
            array = np.stack([np.real(array), np.imag(array)], -1).ravel()
        if jnp.issubdtype(array.dtype, jnp.floating):
            parts.append(array)
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)


def _rows(tree: Any) -> np.ndarray:
    count = len(jax.tree.leaves(tree)[0])
    return np.array([_vector(_row(tree, i)) for i in range(count)])


def _row(tree: Any, i: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[i], tree)
