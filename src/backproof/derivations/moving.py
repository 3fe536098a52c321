"""The numbers of an argument tuple that may move, as one row, and the tuple that a row stands for."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.derivations.places import Args
from backproof.numerics.leaves import is_floating
from backproof.verification.points.draws import Points


class Moving(NamedTuple):
    """Holds an argument tuple, and which of its leaves may move.

    Attributes:
        leaves: its leaves; those of real numbers in float64.
        tree: how they are put together.
        moves: whether each may move: it holds real numbers, and every direction stays in its domain.
    """

    leaves: tuple[Any, ...]
    tree: Any
    moves: tuple[bool, ...]

    @property
    def is_fixed(self) -> bool:
        """Whether nothing may move."""
        return not any(self.moves)

    @property
    def flat(self) -> np.ndarray:
        """The numbers that may move."""
        pairs = zip(self.leaves, self.moves, strict=True)
        return np.concatenate([np.zeros(0), *(np.ravel(leaf) for leaf, moves in pairs if moves)])

    def at(self, flat: Any, leaves: Sequence[Any] | None = None) -> Args:
        """Return the argument tuple with a row of numbers in place of its own, also while tracing.

        Args:
            flat: the numbers that may move.
            leaves: the leaves of another tuple of the same form, for those that stay; None for its own.
        """
        filled, start = [], 0
        for leaf, moves in zip(self.leaves if leaves is None else leaves, self.moves, strict=True):
            if not moves:
                filled.append(leaf)
                continue
            filled.append(flat[start : start + np.size(leaf)].reshape(np.shape(leaf)))
            start += np.size(leaf)
        return self.tree.unflatten(filled)


def moving(points: Points, args: Args) -> Moving:
    """Return what may move in an argument tuple."""
    free = points.free(args)
    moves = tuple(
        is_floating(leaf) and (free is None or i in free)
        for i, arg in enumerate(args)
        for leaf in jax.tree.leaves(arg)
    )
    leaves = tuple(
        np.asarray(leaf, np.float64) if is_floating(leaf) else leaf for leaf in jax.tree.leaves(args)
    )
    return Moving(leaves, jax.tree.structure(args), moves)
