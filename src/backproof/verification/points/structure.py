"""What is known of an array with a structure that bounds cannot say: how it is drawn, recognised, made plain.

Values are made in float64; the caller casts them to the declared dtype. Each structure has mild members, of
which the draws of plain numbers consist, and others at the edges of what it allows.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from backproof.arguments import Dims, Specification
from backproof.numerics.tolerance import MEMBER_ULPS
from backproof.verification.points.values import Style, plain

Shape = tuple[int, ...]
Draw = Callable[[np.random.Generator, Shape, Specification, Dims, Style], np.ndarray]
Admits = Callable[[np.ndarray, Specification, Dims], bool]
Plainer = Callable[[Shape, Specification, Dims], list[np.ndarray]]


class NoMemberError(Exception):
    """Raised when a domain is empty at these sizes, e.g. indices into no rows, or no groups of 3 things."""


class Structure(NamedTuple):
    """Holds what is known of one structure.

    Attributes:
        draw: draws a member of a shape.
        admits: whether an array is a member, to the precision of the declared dtype.
        plainer: the plainest members of a shape, the plainest first, from which an example is chosen.
        is_tied: whether the entries satisfy an equation, so that next to a member most arrays are none.
        rounds: whether a dtype holds few members exactly, so that others satisfy their equation only to its
            precision.
    """

    draw: Draw
    admits: Admits
    plainer: Plainer
    is_tied: bool = True
    rounds: bool = False


def is_mild(style: Style, rng: np.random.Generator) -> bool:
    """Return whether a draw consists of mild members: every draw of plain numbers, and half of the others."""
    return style.kind is plain or bool(rng.random() < 0.5)


def unit(spec: Specification) -> float:
    """Return by how much the equations of a structure may be off in the declared dtype."""
    return MEMBER_ULPS * float(jnp.finfo(spec.dtype).eps)


def rows_of(shape: Shape) -> int:
    """Return how many rows along the last axis an array of a shape has."""
    return int(np.prod(shape[:-1], dtype=int))
