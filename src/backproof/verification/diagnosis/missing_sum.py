"""A result with the wrong shape because a sum over a broadcast axis is missing."""

import jax
import numpy as np

from backproof.numerics.comparison import agree
from backproof.numerics.leaves import leaves_with_paths
from backproof.numerics.noise import Measured
from backproof.verification.claims.contract import Broken


def missing_sum(hand: Measured, truth: Measured) -> Broken | None:
    """Return the cause if the result is the gradient before its sum over a broadcast axis, else None."""
    if jax.tree.structure(hand.value) != jax.tree.structure(truth.value):
        return None
    named = None
    rest = zip(*map(jax.tree.leaves, (hand.noise, truth.value, truth.noise)), strict=True)
    for (path, mine), (own, true, noise) in zip(leaves_with_paths(hand.value), rest, strict=True):
        if np.shape(mine) == np.shape(true):
            continue
        summed, spread = (_summed_to(np.shape(true), np.asarray(value)) for value in (mine, own))
        if summed is None or spread is None or not np.all(agree(summed, true, noise + spread)):
            return None
        said = f"result{path} is not summed over the axes along which its argument was broadcast"
        named = "missing-sum", said
    return named


def _summed_to(shape: tuple[int, ...], value: np.ndarray) -> np.ndarray | None:
    """Return `value` summed over what broadcasting added to `shape`; None if it is no such shape."""
    if value.ndim < len(shape):
        return None
    value = value.sum(axis=tuple(range(value.ndim - len(shape))))
    stretched = tuple(i for i, (n, k) in enumerate(zip(value.shape, shape, strict=True)) if k == 1 < n)
    value = value.sum(axis=stretched, keepdims=True)
    return value if value.shape == shape else None
