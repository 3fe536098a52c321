"""A point: arguments and a direction at which both sides of a claim are evaluated."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import PyTree, has_direction, is_key
from backproof.numerics.tracing import float64
from backproof.verification.claims.claim import Claim
from backproof.verification.points.directions import direction
from backproof.verification.points.draws import Drawn


class Point(NamedTuple):
    """Holds one place of judgement: arguments widened to float64, and a direction."""

    args: tuple[PyTree, ...]
    direction: PyTree

    @property
    def entries(self) -> int:
        """Return how many numbers it holds, its direction included."""
        return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(tuple(self)))

    @property
    def is_large(self) -> bool:
        """Return whether it is so large that nothing is evaluated there repeatedly."""
        return self.entries > EFFORT.large

    @property
    def is_huge(self) -> bool:
        """Return whether it is so large that what can be seen at smaller points as well is left out there."""
        return self.entries > EFFORT.entries

    @property
    def has_full_direction(self) -> bool:
        """Return whether no entry of the direction is zero."""
        return all(bool(np.all(leaf != 0)) for leaf in jax.tree.leaves(self.direction) if has_direction(leaf))

    @property
    def is_empty(self) -> bool:
        """Return whether an argument has no entry."""
        return any(np.size(leaf) == 0 for leaf in jax.tree.leaves(self.args))


def point_of(claim: Claim, drawn: Drawn, kind: str | None = None) -> Point:
    """Return the point at a drawn argument tuple, its direction of `kind`, or else as the draw says."""
    return points_of(claim, [drawn], kind)[0]


def points_of(claim: Claim, draws: Sequence[Drawn], kind: str | None = None) -> list[Point]:
    """Return the points at draws of one shape; the shape of a direction is computed once."""
    with float64():
        tuples = [one.widened() for one in draws]
        like = claim.direction_like(tuples[0])
        pairs = zip(tuples, draws, strict=True)
        return [Point(args, direction(like, one.seed, kind or one.kind)) for args, one in pairs]


def stack(points: Sequence[Point]) -> Point:
    """Return the points of one shape along a new first axis."""
    return Point(*jax.tree.map(_stacked, *points))


def _stacked(*leaves: Any) -> Any:
    if len(leaves) == 1:
        one = leaves[0] if hasattr(leaves[0], "dtype") else np.asarray(leaves[0])
        return one[None]  # a view: a large point is not copied
    return jnp.stack(leaves) if is_key(leaves[0]) else np.stack(leaves)


def unstack(tree: PyTree, count: int) -> list[PyTree]:
    """Return the `count` trees that lie along the first axis of the leaves of one."""
    return [jax.tree.map(lambda leaf, i=i: leaf[i], tree) for i in range(count)]
