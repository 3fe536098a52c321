"""The gradient at a point as it is from some side: its limits from sides in which every entry moves.

The gradient that autodiff gives there says nothing about a kink, because it has chosen one side.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import all_finite, all_numbers, is_complex, is_floating, is_inexact
from backproof.numerics.noise import Measured
from backproof.numerics.tolerance import LEAST_STEP, LEAST_STEP_FROM_ZERO, RADIUS
from backproof.verification.running.evaluator import Evaluator
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import Point, unstack


def nearby(truth: Evaluator, point: Point, directions: np.ndarray) -> np.ndarray:
    """Return the limits of the gradient at `point` from some sides, one row for each direction.

    A limit is the gradient at the point itself with its ties broken on that side, so that neither curvature
    nor a kink a little further away plays a part.
    """
    lengths = np.max(np.abs(directions), axis=1, keepdims=True)
    unit = directions / np.where(lengths == 0, 1, lengths)
    movable = tuple(arg is not None for arg in _movable(truth, point))
    places = [Point(moved(point.args, movable, RADIUS * step), point.direction) for step in unit]
    return vectors(truth.limits([point] * len(places), places), len(places))


def both_sides(truth: Evaluator, points: Sequence[Point]) -> tuple[list[Point], list[Point]]:
    """Return a point on one side of each of some points of one shape, and a point on the opposite side."""
    rng = np.random.default_rng(3)
    movable = tuple(arg is not None for arg in _movable(truth, points[0]))
    size = vector(_moving(truth, points[0])).size
    steps = [rng.choice([-1.0, 1.0], size) * rng.uniform(0.5, 1.0, size) for _ in points]
    one, other = (
        [
            Point(moved(point.args, movable, sign * RADIUS * step), point.direction)
            for point, step in zip(points, steps, strict=True)
        ]
        for sign in (1, -1)
    )
    return one, other


def sides(
    truth: Evaluator, point: Point, count: int, rng: np.random.Generator, after: tuple[np.ndarray, ...] = ()
) -> np.ndarray:
    """Return directions in which every entry moves, in half of them some leaves much further than others.

    A bias decides for a unit in all samples at once on which side of its kink the unit falls. If the biases
    moved no further than the inputs, one of which may be a million times as large, a dozen units would never
    all fall on one side. An entry that did not move would keep its tie, and the gradient there would be
    autodiff's choice and not that of a side.

    Args:
        truth: the gradient by autodiff; the arguments it differentiates by are those that move.
        point: where the sides are taken.
        count: how many.
        rng: the source of what is drawn.
        after: the gap between the value and the hull of the gradients seen so far, a direction in which a
            convex function has its furthest gradient towards the value, and the tried sides that lie furthest
            that way, the furthest last. With these, a third of the sides move as far as the gap, some of them
            along it and against it, and the last third like the furthest sides, with some signs turned.
    """
    # the result of a pullback has one entry for each entry that can move
    leaf_of = _leaf_of(truth(point).value)
    found, third = rng.standard_normal((count, leaf_of.size)), count // 3
    if after:
        found[:third] = np.sign(found[:third]) * np.abs(after[0])
    orders = 10.0 ** rng.uniform(-EFFORT.orders, EFFORT.orders, (count, leaf_of.max(initial=0) + 1))
    found[1::2] *= orders[1::2, leaf_of]
    if after:
        left, towards, best = after
        turned = rng.choice([1.0, -1.0], (third, leaf_of.size), p=[0.75, 0.25])
        found[-third:] = np.resize(best[::-1], turned.shape) * turned
        found[:4] = left, -left, towards, -towards
    furthest = np.max(np.abs(found), axis=1, keepdims=True, initial=0.0)
    least = np.where(vector(_moving(truth, point)) == 0, LEAST_STEP_FROM_ZERO, LEAST_STEP)
    least = least * np.where(furthest == 0, 1, furthest)
    signs = np.where(found == 0, rng.choice([-1.0, 1.0], found.shape), np.sign(found))
    # entries that tie never move by the same step
    return signs * np.maximum(np.abs(found), least) * rng.uniform(1, 1.25, found.shape)


def _movable(truth: Evaluator, point: Point) -> list[Any]:
    """Return the arguments by which the reference is differentiated, and None for the others."""
    parts = truth.program(point).tree.children()
    none = jax.tree.structure(None)
    return [None if part == none else arg for part, arg in zip(parts, point.args, strict=True)]


def _moving(truth: Evaluator, point: Point) -> list[Any]:
    """Return the leaves that move, in the order of a pullback's result."""
    return [leaf for leaf in jax.tree.leaves(_movable(truth, point)) if is_inexact(leaf)]


def reach(truth: Evaluator, point: Point) -> np.ndarray:
    """Return how far a step of 1 moves the argument entry of each entry of a pullback's result."""
    parts = ((leaf, 1 + 1j if jnp.iscomplexobj(leaf) else 1) for leaf in _moving(truth, point))
    return vector([_reach(np.abs(leaf)) * both for leaf, both in parts])


def _leaf_of(tree: Any) -> np.ndarray:
    """Return, for each entry of `vector(tree)`, the number of its leaf."""
    sizes = [vector(leaf).size for leaf in jax.tree.leaves(tree)]
    return np.repeat(np.arange(len(sizes)), sizes)


def moved(args: tuple[Any, ...], movable: tuple[bool, ...], step: np.ndarray) -> tuple[Any, ...]:
    """Return `args` with every differentiated entry moved by `step` times its size, a 0 by `step`."""
    remaining = step

    def move(leaf: Any) -> Any:
        nonlocal remaining
        if not is_inexact(leaf):
            return leaf
        parts = 2 if jnp.iscomplexobj(leaf) else 1
        taken, remaining = remaining[: parts * np.size(leaf)], remaining[parts * np.size(leaf) :]
        shift = taken[0::2] + 1j * taken[1::2] if parts == 2 else taken
        return leaf + shift.reshape(np.shape(leaf)) * _reach(np.abs(leaf))

    return tuple(jax.tree.map(move, arg) if moves else arg for arg, moves in zip(args, movable, strict=True))


def _reach(sizes: Any) -> Any:
    """Return how far entries of these sizes move at most: by their own size, a 0 by 1, an infinity not."""
    return np.where(sizes == 0, 1.0, np.where(np.isfinite(sizes), sizes, 0.0))


def vector(tree: Any) -> np.ndarray:
    """Return every inexact entry of a tree in one real vector; a complex number is two entries."""
    parts = []
    for leaf in jax.tree.leaves(tree):
        array = np.asarray(leaf).ravel()
        if is_complex(array):
            array = np.stack([np.real(array), np.imag(array)], -1).ravel()
        if is_floating(array):
            parts.append(array)
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)


def per_part(measured: Measured) -> np.ndarray:
    """Return the noise of each entry of `vector(measured.value)`."""
    repeated = jax.tree.map(
        lambda v, n: np.repeat(np.ravel(n), 2 if np.iscomplexobj(v) else 1), measured.value, measured.noise
    )
    return vector(repeated)


def vectors(tree: Any, count: int) -> np.ndarray:
    """Return `vector` of each of the `count` trees that are stacked in one."""
    return np.array([vector(one) for one in unstack(tree, count)])


def as_tree(values: np.ndarray, like: Any) -> Any:
    """Return the tree of real and complex leaves like `like` whose `vector` is `values`."""
    leaves, tree = jax.tree.flatten(like)
    made, start = [], 0
    for leaf in leaves:
        if not is_inexact(leaf):
            made.append(leaf)
            continue
        parts = 2 if np.iscomplexobj(leaf) else 1
        taken = values[start : start + parts * np.size(leaf)]
        start += taken.size
        made.append((taken[0::2] + 1j * taken[1::2] if parts == 2 else taken).reshape(np.shape(leaf)))
    return tree.unflatten(made)


def is_pole(evaluators: Evaluators, point: Point) -> bool:
    """Return whether the function is infinite at a point of finite numbers, but not next to it on every side.

    Where it is infinite all around, it overflows, and its value says nothing about another way to compute it.
    """
    if not all_finite(point.args) or not all_numbers(evaluators.primal.value(point)):
        return False
    places = [point] * EFFORT.quick_sides
    return any(any(evaluators.finite(side)) for side in both_sides(evaluators.truth, places))
