"""What a wrong result looks like at one point: its worst entry, and each leaf with both values."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.verification.noise import AGREES_WITHIN, Measured, units
from backproof.verification.oracles import Point, Runner

# In a leaf of more than MANY entries, less than one in FEW of them are few.
MANY = 4096
FEW = 64


class Entry(NamedTuple):
    """Holds the entry of a result at which the two sides are furthest apart."""

    leaf: str
    at: tuple[int, ...]
    hand: Any
    truth: Any
    noise: float
    distance: float


def worst_entry(hand: Any, truth: Measured, leaf: str | None = None) -> Entry | None:
    """Return the entry furthest apart in noise units, in one leaf or in any; None if there is none."""
    found: Entry | None = None
    ours = jax.tree_util.tree_leaves_with_path(hand)
    theirs, noises = jax.tree.leaves(truth.value), jax.tree.leaves(truth.noise)
    for (path, mine), true, noise in zip(ours, theirs, noises, strict=True):
        name = jax.tree_util.keystr(path)
        apart = units(mine, true, noise) if leaf in (None, name) else np.zeros(0)
        if not apart.size:
            continue
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(apart)), apart.shape))
        if found is None or apart[index] > found.distance:
            here, there, unit = (np.asarray(v)[index] for v in (mine, true, noise))
            found = Entry(name, index, here, there, float(unit), float(apart[index]))
    return found


@dataclass(frozen=True)
class Leaf:
    """Holds one leaf of both results: its path, the two values and the noise."""

    path: str
    mine: Any
    true: Any
    noise: Any

    @cached_property
    def wrong(self) -> Any:
        """Return a mask of the entries that differ beyond noise."""
        return units(self.mine, self.true, self.noise) > AGREES_WITHIN

    @cached_property
    def seen(self) -> Any:
        """Return a mask of the entries at which the opposite of the value would differ from the gradient."""
        return units(-self.mine, self.true, self.noise) > AGREES_WITHIN

    @property
    def few(self) -> bool:
        """Return whether the wrong entries are few of many: what claims the whole leaf cannot be meant."""
        return self.wrong.size > MANY and np.sum(self.wrong) * FEW < self.wrong.size

    def is_times(self, ratio: Any) -> bool:
        """Return whether the value by hand is `ratio` times the gradient, within the noise of both."""
        return same(self.mine, ratio * self.true, self.noise * (1 + 4 * np.abs(ratio)))


class Failure(NamedTuple):
    """Holds one failing point with both results, leaf by leaf; `leaf` is the worst."""

    runner: Runner
    point: Point
    leaf: Leaf
    leaves: list[Leaf]


def same(a: Any, b: Any, noise: Any) -> bool:
    """Return whether two leaves agree within noise, entry by entry."""
    return np.shape(a) == np.shape(b) and bool(np.all(units(a, b, noise) <= AGREES_WITHIN))
