"""The points at which a derivation is tried: a short menu of shapes, and numbers of moderate size.

A derivation is about real numbers, so numbers whose exponentials overflow are left out; zeros, ties,
signed zeros, whole and half numbers and tiny ones stay in.
"""

import itertools
from typing import Any

import jax
import numpy as np

from backproof.arguments import Specification, names_of
from backproof.numerics.effort import EFFORT
from backproof.verification.points.domain import domain_of
from backproof.verification.points.draws import Points, widened_by_shape
from backproof.verification.points.hypothesis_draws import draw
from backproof.verification.points.sizes import SIZES, batches, distinct, least_of, plain_names
from backproof.verification.points.values import MODERATE, Style, beside

Args = tuple[Any, ...]
# The long sizes of the names of axes.
LONG = (9, 8, 10, 11, 12)


def sizes_of(specs: list[Specification]) -> list[dict[str, Any]]:
    """Return the sizes at which a derivation is tried, the smallest first.

    First all sizes are 1, or the least that is stated. Then every second size is 1, and then the others, so
    that each size is once 1 while others are larger. Then all sizes are distinct, and last all are distinct
    and long, whatever the order of the arguments: a formula that forgets all but the last few steps is right
    at short sizes.
    """
    names, least = list(dict.fromkeys(name for spec in specs for name in names_of(spec))), least_of(specs)
    stars = [name for name in names if name.startswith("*")]
    plain = plain_names(specs)
    apart = distinct(plain, SIZES, least)
    ones = {name: least.get(name, 1) for name in plain}
    halves = [{**apart, **{n: ones[n] for n in plain[first::2]}} for first in (0, 1) if len(plain) > 1]
    sizes = [ones, *halves, apart, distinct(plain, LONG, least)]
    turns = itertools.cycle(((), (5,), (1,), (2, 4), (3,)))
    found = [{**size, **batches(stars, next(turns), least)} for size in sizes]
    return [one for i, one in enumerate(found) if one not in found[:i]]


def places(function: Any, args: Any) -> Points:
    """Return the points at which a derivation can be tried.

    Raises:
        UsageError: an argument is neither specified nor annotated.
    """
    return domain_of(args, function, styles=MODERATE, sizes_of=sizes_of, in_turn=False)


def drawn_points(name: str, points: Points, examples: int, seed: int) -> list[list[Args]]:
    """Return the drawn argument tuples in float64, shape by shape, the smallest first.

    Raises:
        UsageError: nothing satisfies the specification.
    """
    plain = points.plain()
    return widened_by_shape([*plain, *draw(points, examples * max(len(plain), 1), seed, name)])


def points_beside(constants: tuple[float, ...], points: Points, seed: int) -> list[list[Args]]:
    """Return argument tuples of numbers at, next to and beyond the constants of a derivation, as above."""
    styles = [Style(beside(constants))] * EFFORT.rounds if constants else []
    rounds = [points.styled(style, EFFORT.rounds * seed + i) for i, style in enumerate(styles)]
    return widened_by_shape(one for made in rounds for one in made)


def entries(args: Args) -> int:
    """Return how many numbers an argument tuple has."""
    return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(args))
