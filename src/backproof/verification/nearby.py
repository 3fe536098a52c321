"""The gradient beside a point: the limits from sides in which every entry moves.

A gradient at the point itself says nothing of a kink there: autodiff has chosen one.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.verification.oracles import Point, Runner

# Distance from the point, relative to its entries, at which one-sided gradients are taken: far enough to
# leave the rounding of a computed tie (1e-15), near enough that what is found is a kink of this point and
# not of a neighbour.
RADIUS = 1e-11
# A change of less than this part of a gradient is curvature and no kink.
CURVED = 1e-6
# How far every entry is moved at least, as a part of the furthest; from 0 less far, for a weight of a million
# may stand beside it. Both leave the rounding of what they are added to.
LEAST, LEAST_FROM_ZERO = 3e-2, 1e-8
# By how many orders of magnitude a leaf is moved further, or less far, in half of the sides.
ORDERS = 6


def nearby(runner: Runner, point: Point, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the limits of the gradient at `point` from some sides, one row per direction, and their blur.

    A gradient changes over RADIUS even where it is smooth, by more than it jumps beside a weight of 1e-12;
    from two distances on one ray that change is taken out, unless a kink lies between them. What is left
    is that the moved numbers are rounded themselves, a part of that change.
    """
    lengths = np.max(np.abs(directions), axis=1, keepdims=True)
    unit = directions / np.where(lengths == 0, 1, lengths)
    movable = tuple(arg is not None for arg in _movable(runner, point))
    steps = np.vstack([RADIUS * unit, RADIUS / 2 * unit])
    places = [Point(moved(point.args, movable, step), point.direction) for step in steps]
    far, near = np.split(vectors(runner.many("truth", places)), 2)
    with np.errstate(all="ignore"):
        change, limit = np.abs(far - near), 2 * near - far
        # it changes little, or vanishes at the point as the distance does
        smooth = (_largest(change) <= CURVED * _largest(near)) | (_largest(limit) <= CURVED * _largest(near))
        smooth &= np.all(np.isfinite(limit), axis=1, keepdims=True)
        rounded = np.where(smooth, change, 0) * np.finfo(np.float64).eps / RADIUS
        return np.where(smooth, limit, near), rounded.max(0)


def _largest(gradients: np.ndarray) -> np.ndarray:
    return np.abs(gradients).max(1, keepdims=True, initial=0.0)


def sides(
    runner: Runner, point: Point, count: int, rng: np.random.Generator, after: tuple[np.ndarray, ...] = ()
) -> np.ndarray:
    """Return directions in which every entry moves, in half of them some leaves much further than others.

    A bias decides for a unit in all samples at once on which side it stands; moved as far as the inputs, of
    which one may be a million times as large, a dozen units never all stand on one side. An entry that did
    not move would keep its tie, and the gradient there is autodiff's choice and not that of a side.

    Args:
        runner: runs both sides.
        point: where they are taken.
        count: how many.
        rng: the source of what is drawn.
        after: what is left between the value and the hull of what was seen, a direction in which a convex
            function has its furthest gradient that way, and the sides seen that lie furthest, the furthest
            last; then a third of the sides move as far as is left, along it and against it among them, and
            the last third as the furthest do, with some signs turned.
    """
    # the result of a pullback has one entry for each entry that can move
    leaf_of = _leaf_of(runner.truth(point).value)
    found, third = rng.standard_normal((count, leaf_of.size)), count // 3
    if after:
        found[:third] = np.sign(found[:third]) * np.abs(after[0])
    orders = 10.0 ** rng.uniform(-ORDERS, ORDERS, (count, leaf_of.max(initial=0) + 1))
    found[1::2] *= orders[1::2, leaf_of]
    if after:
        left, towards, best = after
        turned = rng.choice([1.0, -1.0], (third, leaf_of.size), p=[0.75, 0.25])
        found[-third:] = np.resize(best[::-1], turned.shape) * turned
        found[:4] = left, -left, towards, -towards
    furthest = np.max(np.abs(found), axis=1, keepdims=True, initial=0.0)
    least = np.where(vector(_moving(runner, point)) == 0, LEAST_FROM_ZERO, LEAST)
    least = least * np.where(furthest == 0, 1, furthest)
    signs = np.where(found == 0, rng.choice([-1.0, 1.0], found.shape), np.sign(found))
    # two entries that tie never move alike
    return signs * np.maximum(np.abs(found), least) * rng.uniform(1, 1.25, found.shape)


def _movable(runner: Runner, point: Point) -> list[Any]:
    """Return the arguments that the reference is differentiated by, those it is not as None."""
    parts = runner.program_of_truth(point).tree.children()
    none = jax.tree.structure(None)
    return [None if part == none else arg for part, arg in zip(parts, point.args, strict=True)]


def _moving(runner: Runner, point: Point) -> list[Any]:
    """Return the leaves that move, in the order of a pullback's result."""
    return [leaf for leaf in jax.tree.leaves(_movable(runner, point)) if _is_inexact(leaf)]


def reach(runner: Runner, point: Point) -> np.ndarray:
    """Return how far each entry of a pullback's result can be moved, in units of a direction."""
    parts = ((leaf, 1 + 1j if jnp.iscomplexobj(leaf) else 1) for leaf in _moving(runner, point))
    return vector([_reach(np.abs(leaf)) * both for leaf, both in parts])


def _leaf_of(tree: Any) -> np.ndarray:
    """Return, for each entry of `vector(tree)`, the number of its leaf."""
    sizes = [vector(leaf).size for leaf in jax.tree.leaves(tree)]
    return np.repeat(np.arange(len(sizes)), sizes)


def moved(args: tuple[Any, ...], movable: tuple[bool, ...], step: np.ndarray) -> tuple[Any, ...]:
    """Return `args` with every differentiated entry moved by `step` of its size; a 0 by that of its leaf."""
    remaining = step

    def move(leaf: Any) -> Any:
        nonlocal remaining
        if not _is_inexact(leaf):
            return leaf
        parts = 2 if jnp.iscomplexobj(leaf) else 1
        taken, remaining = remaining[: parts * np.size(leaf)], remaining[parts * np.size(leaf) :]
        shift = taken[0::2] + 1j * taken[1::2] if parts == 2 else taken
        return leaf + shift.reshape(np.shape(leaf)) * _reach(np.abs(leaf))

    return tuple(jax.tree.map(move, arg) if moves else arg for arg, moves in zip(args, movable, strict=True))


def _is_inexact(leaf: Any) -> bool:
    return bool(jnp.issubdtype(jnp.result_type(leaf), jnp.inexact))


def _reach(sizes: Any) -> Any:
    """Return how far entries of these sizes move at most: by their own, so that none is carried far off."""
    largest = float(np.max(sizes, initial=0.0))
    return np.where(sizes == 0, min(largest, 1.0) or 1.0, sizes)


def vector(tree: Any) -> np.ndarray:
    """Return every inexact entry of a tree in one real vector; a complex number is two entries."""
    parts = []
    for leaf in jax.tree.leaves(tree):
        array = np.asarray(leaf).ravel()
        if jnp.issubdtype(array.dtype, jnp.complexfloating):
            array = np.stack([np.real(array), np.imag(array)], -1).ravel()
        if jnp.issubdtype(array.dtype, jnp.floating):
            parts.append(array)
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)


def vectors(tree: Any) -> np.ndarray:
    """Return `vector` of each row of a tree, a row being what stands at one place of the first axis."""
    count = len(jax.tree.leaves(tree)[0])
    return np.array([vector(_row(tree, i)) for i in range(count)])


def _row(tree: Any, i: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[i], tree)
