"""The leaves of a pytree: their dtypes, which of them can be varied, and their widening to float64."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any


def dtype_of(leaf: Any) -> Any:
    """Return the dtype of an array or of its shape, or the one that JAX gives a Python number."""
    return leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)


def is_inexact(leaf: Any) -> bool:
    """Return whether a leaf is floating or complex, so that it can be varied; an index or a key is not."""
    return bool(jnp.issubdtype(dtype_of(leaf), jnp.inexact))


def is_floating(leaf: Any) -> bool:
    """Return whether a leaf is real and floating."""
    return bool(jnp.issubdtype(dtype_of(leaf), jnp.floating))


def is_complex(leaf: Any) -> bool:
    """Return whether a leaf is complex."""
    return bool(jnp.issubdtype(dtype_of(leaf), jnp.complexfloating))


def is_key(leaf: Any) -> bool:
    """Return whether a leaf is a PRNG key."""
    return bool(jnp.issubdtype(dtype_of(leaf), jax.dtypes.extended))


def has_direction(leaf: Any) -> bool:
    """Return whether a leaf of a direction holds numbers; JAX uses float0 for arguments that cannot move."""
    return dtype_of(leaf) != jax.dtypes.float0


def as_float64(leaf: Any) -> np.ndarray:
    """Return an array as float64, or complex128 if it is complex; both hold every lower precision exactly."""
    return np.asarray(leaf).astype(np.complex128 if is_complex(leaf) else np.float64)


def widen(tree: PyTree) -> PyTree:
    """Return `tree` with floating leaves held exactly in float64 and complex ones in complex128."""

    def one(leaf: Any) -> Any:
        if is_complex(leaf):
            return np.asarray(leaf, np.complex128)
        return np.asarray(leaf, np.float64) if is_floating(leaf) else leaf

    return jax.tree.map(one, tree)


def shapes_of(tree: PyTree) -> tuple[Any, ...]:
    """Return the tree, shapes and dtypes: points that share them can be evaluated together."""
    leaves, structure = jax.tree.flatten(tree)
    return (structure, *((np.shape(leaf), str(dtype_of(leaf))) for leaf in leaves))


def leaves_with_paths(tree: PyTree) -> list[tuple[str, Any]]:
    """Return each leaf with its path as Python reads it, e.g. `[0]['W']`."""
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def all_finite(tree: PyTree) -> bool:
    """Return whether every floating or complex entry is finite."""
    return all(bool(np.all(np.isfinite(leaf))) for leaf in jax.tree.leaves(tree) if is_inexact(leaf))


def all_numbers(tree: PyTree) -> bool:
    """Return whether no floating or complex entry is NaN."""
    return not any(bool(np.any(np.isnan(leaf))) for leaf in jax.tree.leaves(tree) if is_inexact(leaf))


def largest(tree: PyTree) -> float:
    """Return the largest finite magnitude among all entries, 0 where there is none."""
    sizes = [
        np.where(np.isfinite(leaf), np.abs(leaf), 0) for leaf in jax.tree.leaves(tree) if has_direction(leaf)
    ]
    return max((float(np.max(size, initial=0.0)) for size in sizes), default=0.0)
