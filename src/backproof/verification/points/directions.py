"""The directions along which a derivative is tried: cotangents of a result, or tangents of arguments."""

import itertools

import jax
import numpy as np

from backproof.numerics.leaves import PyTree, is_complex, is_inexact


def direction(like: PyTree, seed: int, kind: str | None = None) -> PyTree:
    """Return a cotangent (or tangent): signed random, one-hot, ones, zero or of mixed scale; float64.

    Ones alone would not do: they hide every slip whose effects sum to zero.
    """
    rng = np.random.default_rng([seed, 1])
    kinds = ("random", "random", "one-hot", "mixed", "ones", "zero", "one leaf")
    kind = kind or kinds[int(rng.integers(len(kinds)))]
    chosen = int(rng.integers(max(len(jax.tree.leaves(like)), 1)))
    numbers = itertools.count()

    def one(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        wide = np.complex128 if is_complex(leaf) else np.float64
        if not is_inexact(leaf):
            return np.zeros(leaf.shape, jax.dtypes.float0)
        values = rng.standard_normal(leaf.shape).astype(wide)
        if wide is np.complex128:
            values = values + 1j * rng.standard_normal(leaf.shape)
        if kind == "one-hot":
            hot = np.arange(values.size) == rng.integers(max(values.size, 1))
            return hot.reshape(leaf.shape).astype(wide)
        if kind == "mixed":
            return values * 10.0 ** rng.uniform(-6, 6)
        if kind == "one leaf":
            return values if next(numbers) == chosen else np.zeros_like(values)
        return {"ones": np.ones_like(values), "zero": np.zeros_like(values)}.get(kind, values)

    return jax.tree.map(one, like)
