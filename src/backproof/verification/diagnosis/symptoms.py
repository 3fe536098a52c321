"""Symptoms of a wrong result at one point. Each test returns a sentence or None."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from backproof.numerics.comparison import ratio_text, same
from backproof.numerics.leaves import has_direction, is_floating, leaves_with_paths
from backproof.numerics.tolerance import SCALES
from backproof.verification.diagnosis.failure import Failure, Leaf
from backproof.verification.running.point import Point


def _not_finite(at: Failure) -> str | None:
    if np.all(np.isfinite(at.leaf.mine)) or not np.all(np.isfinite(at.leaf.true)):
        return None
    return f"the function and its gradient are finite here, but result{at.leaf.path} by hand is not"


def _ignored(at: Failure) -> str | None:
    if not np.any(at.leaf.mine) or not (_scales(at, 2.0, 1.0) and _scales(at, -2.0, 1.0)):
        return None
    return "the result does not change when the cotangent is multiplied by 2 or by −2"


def _nonlinear(at: Failure) -> str | None:
    said = f"{SCALES[0]:g} times the cotangent does not give {SCALES[0]:g} times the result"
    return None if _scales(at, SCALES[0], SCALES[0]) else said


def _scales(at: Failure, factor: float, expected: float) -> bool:
    """Return whether `factor` times the cotangent gives `expected` times the result."""
    _, hand, quick, _ = at.elsewhere
    if hand is None or quick is None:
        return factor == expected  # without a cotangent there is nothing to test
    scaled = jax.tree.map(lambda c: factor * c if has_direction(c) else c, at.point.direction)
    place = Point(at.point.args, scaled)
    if factor == expected:  # linear within autodiff's noise, which may be larger, is linear enough
        values = (jax.tree.leaves(quick(point)) for point in (place, at.point))
        parts = zip(*values, at.leaves, strict=True)
        if all(same(after, factor * value, (1 + abs(factor)) * leaf.noise) for after, value, leaf in parts):
            return True
    before, again = hand(at.point), hand(place)
    parts = zip(*map(jax.tree.leaves, (before.value, before.noise, again.value, again.noise)), strict=True)
    return all(
        same(after, expected * value, own + abs(expected) * noise) for value, noise, after, own in parts
    )


def _missing(at: Failure) -> str | None:
    if np.any(at.leaf.mine) or same(at.leaf.true, np.zeros_like(at.leaf.true), at.leaf.noise):
        return None
    return f"result{at.leaf.path} is zero by hand, but the gradient is not"


def _sign(at: Failure) -> str | None:
    return f"result{at.leaf.path} has the opposite sign" if at.leaf.is_times(-1.0) else None


def _transpose(at: Failure) -> str | None:
    if at.leaf.mine.ndim < 2:
        return None
    turned = np.swapaxes(at.leaf.mine, -1, -2)
    if not same(turned, at.leaf.true, at.leaf.noise) or same(at.leaf.mine, turned, at.leaf.noise):
        return None
    return f"result{at.leaf.path} is the transpose of the gradient"


def _swapped(at: Failure) -> str | None:
    for other in at.leaves:
        alike = other.path != at.leaf.path and np.shape(other.true) == np.shape(at.leaf.mine)
        if alike and same(at.leaf.mine, other.true, at.leaf.noise + other.noise):
            return f"result{at.leaf.path} is the gradient of result{other.path}"
    return None


def _shifted_axes(at: Failure) -> dict[int, Any]:
    """Return the axes along which the value by hand is the gradient moved by one index.

    Each axis comes with the values that are seen to have moved. Zeros, and values that are all the same, do
    not count: they look moved where they are not.
    """
    found = {}
    for axis, size in enumerate(at.leaf.mine.shape):
        for step in (1, -1) if size > 1 else ():
            inside = (slice(None),) * axis + (slice(max(step, 0), size + min(step, 0)),)
            moved = np.roll(at.leaf.true, step, axis)[inside]
            noise = (at.leaf.noise + np.roll(at.leaf.noise, step, axis))[inside]
            if same(at.leaf.mine[inside], moved, noise):
                there = moved != 0
                alike = same(moved[there], np.repeat(moved[there][:1], np.sum(there)), noise[there])
                found[axis] = moved[there & at.leaf.wrong[inside]] if not alike else moved[:0].ravel()
    return found


def _slope_at_output(at: Failure) -> str | None:
    outputs = at.elsewhere.value(at.point) if at.elsewhere.value else ()
    values = [leaf for leaf in jax.tree.leaves(outputs) if is_floating(leaf)]
    if len(values) != 1:
        return None
    value = values[0]
    if not _with_other_args(at, lambda arg: value if np.shape(arg) == np.shape(value) else arg):
        return None
    return f"result{at.leaf.path} is the gradient with the output in place of an input: σ′(a) for σ′(z)"


def _argument_transposed(at: Failure) -> str | None:
    if not _with_other_args(at, _turned):
        return None
    return f"result{at.leaf.path} is the gradient with an argument transposed: W for Wᵀ"


def _turned(arg: Any) -> Any:
    return arg.T if np.ndim(arg) == 2 and arg.shape[0] == arg.shape[1] else arg


def _with_other_args(at: Failure, change: Callable[[Any], Any]) -> bool:
    """Return whether the value by hand is the gradient at other arguments, with one leaf changed."""
    leaves, tree = jax.tree.flatten(at.point.args)
    changed = [change(leaf) if is_floating(leaf) else leaf for leaf in leaves]
    for which in [i for i, (a, b) in enumerate(zip(leaves, changed, strict=True)) if a is not b]:
        args = tree.unflatten([*leaves[:which], changed[which], *leaves[which + 1 :]])
        truth = at.elsewhere.truth(Point(args, at.point.direction))
        pairs = zip(leaves_with_paths(truth.value), jax.tree.leaves(truth.noise), strict=True)
        if any(path == at.leaf.path and same(at.leaf.mine, v, n + at.leaf.noise) for (path, v), n in pairs):
            return True
    return False


def _mean(at: Failure) -> str | None:
    batch = batch_size(at.point)
    is_mean = batch > 1 and all(leaf.is_times(1 / batch) for leaf in at.leaves)
    said = "the result differs by convention, not by a slip: it is a mean over the batch, not a sum"
    return said if is_mean else None


def _half(at: Failure) -> str | None:
    scalar = all(np.ndim(leaf) == 0 for leaf in jax.tree.leaves(at.point.direction))
    for ratio in (0.5, 2.0) if scalar else ():  # the ½ of a loss; elsewhere a factor of 2 is a slip
        if all(leaf.is_times(ratio) for leaf in at.leaves):
            return f"the result differs by convention, not by a slip: it is {ratio:g} times the gradient"
    return None


def _factor(at: Failure) -> str | None:
    ratio = ratio_of(at.leaf)
    said = f"result{at.leaf.path} is {{}} times the gradient{axis_hint(at)}"
    return None if ratio is None else said.format(ratio_text(ratio))


def ratio_of(leaf: Leaf) -> Any:
    """Return the constant by which the gradient is multiplied to give the value by hand, or None."""
    if not np.any(leaf.true) or not np.all(np.isfinite(leaf.mine)):
        return None
    if same(leaf.mine, np.zeros_like(leaf.mine), leaf.noise):
        return None
    at = np.unravel_index(np.argmax(np.abs(leaf.true)), leaf.true.shape)
    ratio = leaf.mine[at] / leaf.true[at]
    return ratio if leaf.is_times(ratio) else None


def axis_hint(at: Failure) -> str:
    """Return which axis has the size of the factor, or its inverse; empty if none has."""
    axes = {n for arg in jax.tree.leaves(at.point.args) for n in np.shape(arg)}
    for n in sorted(n for n in axes | {batch_size(at.point)} if n > 1):
        of = f"an axis has size {n}"
        powers = (n, ""), (1 / n, f"1/{n}, and "), (n**0.5, f"√{n}, and "), (n**-0.5, f"1/√{n}, and ")
        for value, text in ((value, words + of) for value, words in powers):
            if at.leaf.is_times(value):
                return f" ({text})"
    return ""


INPUTS: dict[str, Callable[[Any], Any]] = {
    "at-zeros": lambda x: x == 0,
    "negative-inputs": lambda x: x < 0,
    "positive-inputs": lambda x: x > 0,
}


def inputs_of(at: Failure, kind: str) -> dict[int, Any]:
    """Return a mask of the entries whose input is of this kind, for each argument of the leaf's shape."""
    numbers = enumerate(jax.tree.leaves(at.point.args))
    alike = [(i, arg) for i, arg in numbers if is_floating(arg) and np.shape(arg) == at.leaf.wrong.shape]
    return {i: INPUTS[kind](np.asarray(arg)) for i, arg in alike}


def explaining_inputs(at: Failure, kind: str) -> set[int]:
    """Return which arguments are of this kind at every wrong entry, but at few other visible ones."""
    wrong, visible = at.leaf.wrong, (at.leaf.true != 0) | (at.leaf.mine != 0)
    masks = inputs_of(at, kind).items()
    return {
        i
        for i, mask in masks
        if np.any(wrong) and np.all((mask & visible)[wrong]) and 2 * np.sum(wrong) >= np.sum(mask & visible)
    }


def _where_input(kind: str, words: str) -> Callable[[Failure], str | None]:
    def test(at: Failure) -> str | None:
        """Return the sentence if every wrong entry is one whose input is of this kind."""
        if not explaining_inputs(at, kind):
            return None
        return f"result{at.leaf.path} is wrong only where its input is {words}"

    return test


def _tied(arg: Any) -> Any:
    """Return a mask of the entries whose magnitude occurs at another place too.

    The place across the diagonal does not count: in a symmetric matrix it always holds the same.
    """
    sizes = np.abs(np.asarray(arg))
    _, where, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    others = counts[where].reshape(sizes.shape) - 1
    if sizes.ndim > 1 and sizes.shape[-1] == sizes.shape[-2]:
        off = ~np.eye(sizes.shape[-1], dtype=bool)
        others = others - (off & (np.swapaxes(sizes, -1, -2) == sizes))
    return others > 0


def tied_arguments(point: Point) -> bool:
    """Return whether two numbers of one argument have the same magnitude."""
    return any(bool(np.any(_tied(arg))) for arg in jax.tree.leaves(point.args) if is_floating(arg))


def _ties(at: Failure) -> str | None:
    numbers = [arg for arg in jax.tree.leaves(at.point.args) if is_floating(arg)]
    # in an argument of the result's shape, the wrong entries themselves must tie
    own = [arg for arg in numbers if np.shape(arg) == at.leaf.wrong.shape]
    ties = [np.all(_tied(arg)[at.leaf.wrong]) for arg in own] or [np.any(_tied(arg)) for arg in numbers]
    return f"result{at.leaf.path} is wrong only where inputs tie" if any(ties) else None


def _end_axes(end: int) -> Callable[[Failure], dict[int, Any]]:
    def axes(at: Failure) -> dict[int, Any]:
        """Return the axes along which only one end is wrong; with each, the other values seen to be right."""
        found, right = {}, at.leaf.seen & ~at.leaf.wrong
        for axis, size in enumerate(at.leaf.wrong.shape):
            where = np.argwhere(at.leaf.wrong)[:, axis]
            if len(where) and np.all(where == end % size):
                found[axis] = at.leaf.true[right & (np.indices(right.shape)[axis] != end % size)]
        return found

    return axes


# The axes along which a symptom holds; with each, the values that show that it is no coincidence.
AXES: dict[str, Callable[[Failure], dict[int, Any]]] = {
    "shifted": _shifted_axes,
    "first-row": _end_axes(0),
    "last-row": _end_axes(-1),
}


def along(name: str, at: Failure, axis: int) -> str:
    """Return the sentence of a cause that holds along one axis."""
    if name == "shifted":
        return f"result{at.leaf.path} is the gradient moved by one index along axis {axis}"
    return f"result{at.leaf.path} is wrong only at the {name.removesuffix('-row')} index of axis {axis}"


def _along_some(name: str) -> Callable[[Failure], str | None]:
    def test(at: Failure) -> str | None:
        axes = AXES[name](at)
        return along(name, at, min(axes)) if axes else None

    return test


def batch_size(point: Point) -> int:
    """Return the product of the leading axes of the last argument, all but its last axis."""
    shaped = [np.shape(leaf) for leaf in jax.tree.leaves(point.args) if np.ndim(leaf)]
    return int(np.prod(shaped[-1][:-1] or shaped[-1][:1])) if shaped else 0


TESTS: dict[str, Callable[[Failure], str | None]] = {
    "not-finite": _not_finite,
    "cotangent-ignored": _ignored,
    "cotangent-nonlinear": _nonlinear,
    "missing": _missing,
    "sign": _sign,
    "transpose": _transpose,
    "swapped": _swapped,
    "slope-at-output": _slope_at_output,
    "argument-transposed": _argument_transposed,
    "convention-mean": _mean,
    "convention-half": _half,
    "factor": _factor,
    "at-zeros": _where_input("at-zeros", "zero"),
    "negative-inputs": _where_input("negative-inputs", "negative"),
    "positive-inputs": _where_input("positive-inputs", "positive"),
    "shifted": _along_some("shifted"),
    "first-row": _along_some("first-row"),
    "last-row": _along_some("last-row"),
    "at-ties": _ties,
}
