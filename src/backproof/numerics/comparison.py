"""Equal within measured noise: the one predicate by which two values are called equal or different."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.numerics.leaves import is_inexact, leaves_with_paths
from backproof.numerics.noise import Measured, measure
from backproof.numerics.tolerance import AGREES_WITHIN


def units(got: Any, want: Any, noise: Any) -> np.ndarray:
    """Return how many noise units `got` is from `want`, entry by entry.

    Infinities agree when they are equal; NaN is never equal to anything, NaN included.
    """
    got, want = np.asarray(got), np.asarray(want)
    if not is_inexact(want):
        return np.where(got == want, 0.0, np.inf)
    with np.errstate(all="ignore"):
        apart = np.asarray(np.abs(got - want) / noise)
        if np.isfinite(np.max(apart, initial=0.0)):
            return apart.astype(np.float64, copy=False)
        finite = np.isfinite(got) & np.isfinite(want)
        return np.where(finite, apart, np.where(got == want, 0.0, np.inf)).astype(np.float64)


def agree(got: Any, want: Any, noise: Any) -> np.ndarray:
    """Return which entries of `got` equal those of `want` within the noise."""
    return units(got, want, noise) <= AGREES_WITHIN


def same(got: Any, want: Any, noise: Any) -> bool:
    """Return whether two leaves have one shape and agree in every entry."""
    return np.shape(got) == np.shape(want) and bool(np.all(agree(got, want, noise)))


def same_bits(one: Any, other: Any) -> bool:
    """Return whether two results are equal in every bit."""
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b, equal_nan=is_inexact(a)) for a, b in leaves)


def same_within(one: Any, other: Any, part: float) -> bool:
    """Return whether two results have one form, and differ nowhere by more than this part of an entry."""
    if jax.tree.map(np.shape, one) != jax.tree.map(np.shape, other):
        return False
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(
        np.all((a == b) | (np.abs(a - b) <= part * np.abs(a))) if is_inexact(a) else np.array_equal(a, b)
        for a, b in leaves
    )


class Entry(NamedTuple):
    """Holds the entry of a result at which the two sides are furthest apart."""

    leaf: str
    at: tuple[int, ...]
    hand: Any
    truth: Any
    noise: float
    distance: float

    @property
    def agrees(self) -> bool:
        """Return whether the two sides are equal within noise at this entry, and so at every other."""
        return self.distance <= AGREES_WITHIN


def worst_entry(hand: Any, truth: Measured, leaf: str | None = None) -> Entry | None:
    """Return the entry furthest apart in noise units, in one leaf or in any; None if there is none.

    Where entries differ beyond noise, one of a leaf that is missing altogether comes first, then one where
    the true value is finite.
    """
    found: Entry | None = None
    first = (False, False, -1.0)
    theirs, noises = jax.tree.leaves(truth.value), jax.tree.leaves(truth.noise)
    for (name, mine), true, noise in zip(leaves_with_paths(hand), theirs, noises, strict=True):
        apart = units(mine, true, noise) if leaf in (None, name) else np.zeros(0)
        if not apart.size:
            continue
        told = np.where(np.isfinite(true), apart, 0) if is_inexact(true) else apart
        plainly = bool(np.max(told) > AGREES_WITHIN)
        index = tuple(
            int(i) for i in np.unravel_index(int(np.argmax(told if plainly else apart)), apart.shape)
        )
        rank = (plainly and not np.any(mine), plainly, float(apart[index]))
        if found is None or rank > first:
            first = rank
            here, there, unit = (np.asarray(v)[index] for v in (mine, true, noise))
            found = Entry(name, index, here, there, float(unit), float(apart[index]))
    return found


def difference(hand: Any, truth: Measured, leaf: str | None = None) -> Entry | None:
    """Return the entry furthest apart where it differs beyond noise; None where all agree."""
    entry = worst_entry(hand, truth, leaf)
    return None if entry is None or entry.agrees else entry


def ratio_text(ratio: Any) -> str:
    """Return a ratio in six digits, or in as many as it takes not to read as 1 or −1 where it is neither."""
    texts = [f"{ratio:.{digits}g}" for digits in range(6, 18)]
    return next((text for text in texts if abs(complex(text)) != 1 or complex(text) == ratio), texts[-1])


def distance(f: Callable[..., Any], g: Callable[..., Any], *args: Any) -> float:
    """Return the largest distance between f(*args) and g(*args), in units of the noise of both.

    Raises:
        ValueError: the two results differ in tree or shape.
    """
    ours, theirs = measure(f, *args), measure(g, *args)
    tree_f, tree_g = jax.tree.structure(ours.value), jax.tree.structure(theirs.value)
    if tree_f != tree_g:
        raise ValueError(f"the two results differ in tree: {tree_f} against {tree_g}")
    for a, b in zip(jax.tree.leaves(ours.value), jax.tree.leaves(theirs.value), strict=True):
        if np.shape(a) != np.shape(b):
            raise ValueError(f"the two results differ in shape: {np.shape(a)} against {np.shape(b)}")
    entry = worst_entry(ours.value, theirs.with_noise_of(ours))
    return entry.distance if entry else 0.0
