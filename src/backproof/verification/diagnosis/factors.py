"""Factors of a leaf of the result: a constant, or one that the sizes of the arguments give."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.numerics.comparison import ratio_text, same
from backproof.numerics.leaves import leaves_with_paths
from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.verification.diagnosis.compared import Compared, Leaf
from backproof.verification.diagnosis.prediction import Points, Prediction
from backproof.verification.running.point import Point


class Size(NamedTuple):
    """Holds a number that an array's shape gives, and what it is called."""

    words: str
    at: Callable[[Point], float]


def factor(at: Compared) -> Iterator[Prediction]:
    """Yield the sizes that the leaf is a multiple by, and then the constant."""
    ratio = _ratio_of(at.leaf)
    if ratio is None:
        return
    told = [(words, factor) for words, factor in _factors(at) if factor(at.point) != 1]
    sized = [(words, factor) for words, factor in told if at.leaf.is_times(factor(at.point))]
    for words, factor in sized:
        said = f"{at.name} is {words.format(meant=at.meant)}"

        def varies(points: Points, factor: Any = factor) -> bool:
            return len({factor(one.point) for one in points}) > 1

        yield Prediction(said, lambda one, factor=factor: one.leaf.is_times(factor(one.point)), varies)
    constant = f"{at.name} is {ratio_text(ratio)} times {at.meant}"
    for words, factor in sized:  # the sizes do not vary, so it may be either
        both = f"{constant}, or it is {words.format(meant=at.meant)}"
        yield Prediction(both, lambda one, f=factor: _is_times(one, ratio, f(one.point)), _several)
    yield Prediction(constant, lambda one: one.leaf.is_times(ratio), _several)


def _is_times(one: Compared, *ratios: Any) -> bool:
    return all(one.leaf.is_times(ratio) for ratio in ratios)


def _several(points: Points) -> bool:
    """Return whether more than one entry is wrong: any one number is some multiple of another."""
    return sum(int(np.sum(one.leaf.wrong)) for one in points) > 1


def _ratio_of(leaf: Leaf) -> Any:
    """Return the constant by which the gradient is multiplied to give the value by hand, or None."""
    if not np.any(leaf.true) or not np.all(np.isfinite(leaf.mine)):
        return None
    if same(leaf.mine, np.zeros_like(leaf.mine), leaf.noise):
        return None
    at = np.unravel_index(np.argmax(np.abs(leaf.true)), leaf.true.shape)
    if not np.abs(leaf.true[at]) > AGREES_WITHIN * np.broadcast_to(leaf.noise, leaf.true.shape)[at]:
        return None  # all of it may be rounding
    ratio = leaf.mine[at] / leaf.true[at]
    return ratio if leaf.is_times(ratio) else None


Factor = tuple[str, Callable[[Point], float]]


def _factors(at: Compared) -> Iterator[Factor]:
    """Yield the factors that a size of the arguments, or of a mesh, gives, each as it is said."""
    sizes = [*_sizes(at.point), *_devices(at)]
    for one in (one for one in sizes if one.at(at.point) > 1):
        for text, of in POWERS:
            words = f"{text} times {{meant}}, n being {one.words}"
            yield words, lambda point, one=one, of=of: _ignoring_zeros(of, one.at(point))
    for one, other in itertools.permutations(sizes, 2):
        words = f"n/m times {{meant}}, n being {one.words}, and m {other.words}"
        yield words, lambda point, a=one, b=other: _ignoring_zeros(np.divide, a.at(point), b.at(point))


def _ignoring_zeros(of: Callable[..., Any], *sizes: float) -> float:
    """Return a factor; infinite, or NaN, where an axis is too short for it."""
    with np.errstate(all="ignore"):
        return float(of(*map(np.float64, sizes)))


POWERS: tuple[tuple[str, Callable[[float], float]], ...] = (
    ("n", lambda n: n), ("1/n", lambda n: 1 / n), ("√n", lambda n: n**0.5), ("1/√n", lambda n: n**-0.5),
    ("n²", lambda n: n**2), ("1/n²", lambda n: n**-2),
    ("(n − 1)/n (Bessel's correction)", lambda n: (n - 1) / n),
    ("n/(n − 1) (Bessel's correction)", lambda n: n / (n - 1)),
    ("√(n − 1)/√n (Bessel's correction)", lambda n: ((n - 1) / n) ** 0.5),
    ("√n/√(n − 1) (Bessel's correction)", lambda n: (n / (n - 1)) ** 0.5),
)  # fmt: skip


def _sizes(point: Point) -> list[Size]:
    """Return the sizes of all axes, and of what the axes of an argument hold together."""
    found = []
    for which, (path, leaf) in enumerate(leaves_with_paths(point.args)):
        shape = np.shape(leaf)
        for axis in range(len(shape)):
            words = f"the size of axis {axis} of args{path}"
            found.append(Size(words, lambda at, which=which, axis=axis: _size(at, which, axis)))
        if len(shape) > 1:
            for words, end in (("rows", -1), ("entries", None)):
                words = f"the number of {words} of args{path}"
                found.append(Size(words, lambda at, i=which, end=end: int(np.prod(_shape(at, i)[:end]))))
    return found


def _devices(at: Compared) -> list[Size]:
    """Return the numbers of devices along the axes of a mesh."""
    counts = at.elsewhere.devices().items()
    return [
        Size(f"the number of devices along {name}", lambda _, count=count: count) for name, count in counts
    ]


def _size(point: Point, which: int, axis: int) -> float:
    """Return the size of an axis; NaN where there is no such axis."""
    shape = _shape(point, which)
    return shape[axis] if axis < len(shape) else np.nan


def _shape(point: Point, which: int) -> tuple[int, ...]:
    return np.shape(jax.tree.leaves(point.args)[which])


def rows(point: Point) -> int:
    """Return the product of the leading axes of the last argument, all but its last axis; 1 of a vector."""
    shaped = [np.shape(leaf) for leaf in jax.tree.leaves(point.args) if np.ndim(leaf)]
    return int(np.prod(shaped[-1][:-1])) if shaped else 1
