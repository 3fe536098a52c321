"""The entry at which two results are furthest apart, in units of its noise."""

from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.verification.noise import Measured, units


class Entry(NamedTuple):
    """Holds the entry of a result at which the two sides are furthest apart."""

    leaf: str
    at: tuple[int, ...]
    hand: Any
    truth: Any
    noise: float
    distance: float


def worst_entry(hand: Any, truth: Measured) -> Entry | None:
    """Return the entry with the largest distance in noise units; None if there is no entry."""
    found: Entry | None = None
    ours = jax.tree_util.tree_leaves_with_path(hand)
    theirs, noises = jax.tree.leaves(truth.value), jax.tree.leaves(truth.noise)
    for (path, mine), true, noise in zip(ours, theirs, noises, strict=True):
        apart = units(mine, true, noise)
        if not apart.size:
            continue
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(apart)), apart.shape))
        if found is None or apart[index] > found.distance:
            here, there, unit = (np.asarray(v)[index] for v in (mine, true, noise))
            found = Entry(jax.tree_util.keystr(path), index, here, there, float(unit), float(apart[index]))
    return found
