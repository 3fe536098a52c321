"""Planted errors: would a wrong result have been seen with the data at hand?

Each leaf of the oracle's own results is spoilt in the ways that slips spoil it, and compared by the
same comparison. A leaf in which no plant is seen at any point is one the verifier was blind to, and a
right verdict would say nothing about it. Nothing is evaluated again.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from backproof.verification.noise import AGREES_WITHIN, Measured, units

Plant = Callable[[Any], Any]


def _one_zeroed(leaf: Any) -> Any:
    spoilt = np.array(leaf)
    if spoilt.size:
        spoilt.flat[np.argmax(np.abs(spoilt))] = 0
    return spoilt


PLANTS: dict[str, Plant] = {
    "1 % too large": lambda leaf: leaf * 1.01,
    "zeroed": np.zeros_like,
    "negated": np.negative,
    "one entry zeroed": _one_zeroed,
    "transposed": lambda leaf: np.swapaxes(leaf, -1, -2) if np.ndim(leaf) > 1 else leaf,
}


def blind_to(truths: Sequence[Measured]) -> dict[str, str]:
    """Return, for each leaf in which some plant is never seen, what could not be seen there.

    A plant that leaves the data as they are (the transpose of a vector) does not count. A leaf that
    is zero within noise at every point is reported as `identically zero here`.
    """
    found: dict[str, str] = {}
    rows = [list(_leaves(truth)) for truth in truths]
    for which in range(len(rows[0]) if rows else 0):
        path = rows[0][which][0]
        data = [(value, noise) for _, value, noise in (row[which] for row in rows) if value.size]
        if not data:
            continue
        if all(_hidden(np.zeros_like(value), value, noise) for value, noise in data):
            found[path] = "identically zero here"
            continue
        for name, plant in PLANTS.items():
            changed = [(plant(value), value, noise) for value, noise in data]
            counted = [one for one in changed if one[0].shape != one[1].shape or np.any(one[0] != one[1])]
            if counted and all(_hidden(*one) for one in counted):
                found[path] = f"blind to {name}"
    return found


def _leaves(truth: Measured) -> list[tuple[str, Any, Any]]:
    with_path = jax.tree_util.tree_leaves_with_path(truth.value)
    noises = jax.tree.leaves(truth.noise)
    return [(jax.tree_util.keystr(p), np.asarray(v), n) for (p, v), n in zip(with_path, noises, strict=True)]


def _hidden(spoilt: Any, value: Any, noise: Any) -> bool:
    return spoilt.shape == value.shape and bool(np.all(units(spoilt, value, noise) <= AGREES_WITHIN))
