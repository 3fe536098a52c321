"""Causes that concern a whole leaf of the result: each predicts its value from the gradient."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from backproof.numerics.comparison import same
from backproof.numerics.leaves import has_direction, is_floating, leaves_with_paths
from backproof.numerics.tolerance import MOVED
from backproof.verification.diagnosis.compared import Compared, Leaf
from backproof.verification.diagnosis.factors import factor, rows
from backproof.verification.diagnosis.prediction import Cause, Points, Prediction, value_is
from backproof.verification.running.point import Point


def _missing(at: Compared) -> Iterator[Prediction]:
    words = f"{at.name} is zero by hand, but {at.meant} is not"
    yield value_is(words, lambda one: (np.zeros_like(one.leaf.true), 0.0))


def _sign(at: Compared) -> Iterator[Prediction]:
    yield Prediction(f"{at.name} has the opposite sign", lambda one: one.leaf.is_times(-1.0))


def _transpose(at: Compared) -> Iterator[Prediction]:
    def turned(one: Compared) -> tuple[Any, Any] | None:
        if one.leaf.true.ndim < 2:
            return None
        return tuple(np.swapaxes(value, -1, -2) for value in (one.leaf.true, one.leaf.noise))

    yield value_is(f"{at.name} is the transpose of {at.meant}", turned)


def _swapped(at: Compared) -> Iterator[Prediction]:
    for other in at.leaves:
        if other.path != at.leaf.path:
            yield value_is(f"{at.name} is {at.meant} of {at.result}{other.path}", _of_leaf(other.path))


def _of_leaf(path: str) -> Callable[[Compared], tuple[Any, Any] | None]:
    def value(one: Compared) -> tuple[Any, Any] | None:
        there = one.at_leaf(path)
        return (there.leaf.true, there.leaf.noise) if there else None

    return value


def _slope_at_output(at: Compared) -> Iterator[Prediction]:
    def with_output(one: Compared, path: str, arg: Any) -> Point | None:
        values = [leaf for leaf in jax.tree.leaves(one.elsewhere.value(one.point)) if is_floating(leaf)]
        alike = len(values) == 1 and np.shape(values[0]) == np.shape(arg)
        return one.with_argument(path, values[0]) if alike else None

    words = f"{at.name} is {at.meant} with the output in place of an input: σ′(a) for σ′(z)"
    yield from _at_another_place(at, words, with_output)


def _argument_transposed(at: Compared) -> Iterator[Prediction]:
    def turned(one: Compared, path: str, arg: Any) -> Point | None:
        is_square = np.ndim(arg) == 2 and len(set(np.shape(arg))) == 1
        return one.with_argument(path, np.transpose(arg)) if is_square else None

    words = f"{at.name} is {at.meant} with an argument transposed: W for Wᵀ"
    yield from _at_another_place(at, words, turned)


def _at_another_place(
    at: Compared, words: str, place: Callable[[Compared, str, Any], Point | None]
) -> Iterator[Prediction]:
    """Yield, for each argument, the prediction that the leaf is the gradient at another point."""
    for path, arg in leaves_with_paths(at.point.args):
        if is_floating(arg):
            yield value_is(words, lambda one, path=path: _true_at(one, place(one, path, one.argument(path))))


def _true_at(one: Compared, point: Point | None) -> tuple[Any, Any] | None:
    """Return the leaf of the gradient at another point, with its noise."""
    if point is None:
        return None
    truth = one.elsewhere.truth(point)
    pairs = zip(leaves_with_paths(truth.value), jax.tree.leaves(truth.noise), strict=True)
    return next(((value, noise) for (path, value), noise in pairs if path == one.leaf.path), None)


def _mean(at: Compared) -> Iterator[Prediction]:
    if rows(at.point) < 2 or any(np.ndim(leaf) for leaf in jax.tree.leaves(at.point.direction)):
        return
    words = "the result is a mean over the batch, and the gradient a sum: by convention, or by a slip"
    yield Prediction(words, lambda one: all(leaf.is_times(1 / rows(one.point)) for leaf in one.leaves))


def _half(at: Compared) -> Iterator[Prediction]:
    directions = jax.tree.leaves(at.point.direction)
    if not directions or any(np.ndim(leaf) for leaf in directions):
        return  # the ½ of a loss; elsewhere a factor of 2 is a slip
    for ratio in (0.5, 2.0):
        words = f"the result is {ratio:g} times {at.meant}: the ½ of a loss, by convention or by a slip"
        yield Prediction(words, lambda one, ratio=ratio: all(leaf.is_times(ratio) for leaf in one.leaves))


def _shifted(at: Compared) -> Iterator[Prediction]:
    """Yield the gradient moved by one index along each axis; what comes in at the end is free."""
    for axis in range(-at.leaf.true.ndim, 0):
        for step in (1, -1):
            words = f"{at.name} is {at.meant} moved by one index along axis {axis}"

            def holds(one: Compared, axis: int = axis, step: int = step) -> bool:
                if -axis > one.leaf.true.ndim:
                    return not one.is_wrong
                inside = _inside(one.leaf, axis, step)
                parts = (one.leaf.true, one.leaf.noise)
                true, noise = (np.roll(part, step, axis)[inside] for part in parts)
                return same(one.leaf.mine[inside], true, noise + one.leaf.noise[inside])

            def is_seen(points: Points, axis: int = axis, step: int = step) -> bool:
                wrong = [one.leaf.true[_inside(one.leaf, axis, step)] for one in points if one.is_wrong]
                return len(np.unique(np.concatenate([value.ravel() for value in wrong]))) >= MOVED

            yield Prediction(words, holds, is_seen)


def _inside(leaf: Leaf, axis: int, step: int) -> tuple[Any, ...]:
    size = leaf.true.shape[axis]
    rest = (slice(None),) * (-axis - 1)
    return (..., slice(max(step, 0), max(size + min(step, 0), 0)), *rest)


def _reversed(at: Compared) -> Iterator[Prediction]:
    for axis in range(-at.leaf.true.ndim, 0):
        words = f"{at.name} is {at.meant} in reverse order along axis {axis}"

        def flipped(one: Compared, axis: int = axis) -> tuple[Any, Any]:
            return np.flip(one.leaf.true, axis), np.flip(one.leaf.noise, axis)

        yield value_is(words, flipped)


def _cotangent_moved(at: Compared) -> Iterator[Prediction]:
    """Yield the gradient for a cotangent in another order."""
    ranks = [np.ndim(leaf) for leaf in jax.tree.leaves(at.point.direction) if has_direction(leaf)]
    ways = {
        "moved by one index": lambda value, axis: np.roll(value, 1, axis),
        "moved back by one index": lambda value, axis: np.roll(value, -1, axis),
        "in reverse order": np.flip,
    }
    for axis in range(-max(ranks, default=0), 0):
        for how, change in ways.items():
            words = f"{at.name} is {at.meant} for the cotangent {how} along axis {axis}"

            def value(one: Compared, axis: int = axis, change: Any = change) -> Any:
                leaves, tree = jax.tree.flatten(one.point.direction)
                moved = [change(c, axis) if has_direction(c) and np.ndim(c) >= -axis else c for c in leaves]
                return _true_at(one, Point(one.point.args, tree.unflatten(moved)))

            yield value_is(words, value)


def _gathered(at: Compared) -> Iterator[Prediction]:
    """Yield the gradient summed, or averaged, over one axis more."""
    for axis in range(-at.leaf.true.ndim, 0):
        for how, gather in (("summed", np.sum), ("averaged", np.mean)):
            words = f"{at.name} is {at.meant} {how} over axis {axis}, along which it differs"

            def value(one: Compared, axis: int = axis, gather: Any = gather) -> tuple[Any, Any]:
                parts = one.leaf.true, one.leaf.noise
                both = [np.broadcast_to(gather(p, axis, keepdims=True), p.shape) for p in parts]
                return both[0], both[1]

            yield value_is(words, value)


WHOLE: dict[str, Cause] = {
    "missing": _missing,
    "sign": _sign,
    "transpose": _transpose,
    "swapped": _swapped,
    "slope-at-output": _slope_at_output,
    "argument-transposed": _argument_transposed,
    "convention-mean": _mean,
    "convention-half": _half,
    "factor": factor,
    "shifted": _shifted,
    "reversed": _reversed,
    "cotangent-moved": _cotangent_moved,
    "too-many-axes": _gathered,
}
