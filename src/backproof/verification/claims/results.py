"""The result of a pullback, brought into the tree of its arguments.

The two trees may differ in the static data of their nodes, as the flags of a sparse matrix. A leaf that is
not differentiable, an index, has no gradient: float0, whole numbers of its shape or None may stand there.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.numerics.leaves import PyTree, dtype_of, is_inexact

# The containers of Python itself, whose node data are their keys or their type; a record has its own type.
PLAIN = (dict, list, tuple, type(None))


def conformed(cotangent: PyTree, value: PyTree) -> PyTree:
    """Return the cotangent of one argument in the argument's tree, with None at leaves without a gradient.

    None stands for zero. A cotangent whose nodes or leaves do not fit is returned as it is, so that the
    contract reports it.
    """
    if cotangent is None:
        return _no_gradient(value)
    values, tree = jax.tree.flatten(value, is_leaf=_is_none)
    found, own = jax.tree.flatten(cotangent, is_leaf=_is_none)
    pairs = list(zip(found, values, strict=False))
    if not _alike(own, tree) or not all(_fits(g, v) for g, v in pairs):
        return cotangent
    return tree.unflatten([_leaf(g, v) for g, v in pairs])


def _no_gradient(value: PyTree) -> PyTree:
    leaves = jax.tree.leaves(value)
    if not any(map(is_inexact, leaves)):
        return None
    return jax.tree.map(lambda leaf: zeros_like(leaf) if is_inexact(leaf) else None, value)


def zeros_like(value: Any) -> Any:
    """Return zeros of the shape and dtype of a leaf: a NumPy array for one, else an array of JAX."""
    return np.zeros_like(value) if isinstance(value, np.ndarray | np.generic) else jnp.zeros_like(value)


def _leaf(cotangent: Any, value: Any) -> Any:
    if value is None or not is_inexact(value):
        return None
    return zeros_like(value) if cotangent is None else cotangent


def _fits(cotangent: Any, value: Any) -> bool:
    """Return whether a leaf may stand there: where there is no gradient, only what is none."""
    if cotangent is None or (value is not None and is_inexact(value)):
        return True
    return value is not None and np.shape(cotangent) == np.shape(value) and _is_whole(cotangent)


def _is_whole(leaf: Any) -> bool:
    dtype = dtype_of(leaf)
    return dtype == jax.dtypes.float0 or jnp.issubdtype(dtype, jnp.integer) or dtype == jnp.bool_


def _alike(one: Any, other: Any) -> bool:
    """Return whether two trees have the same nodes, whatever the static data of a class of its own."""
    mine, its = one.children(), other.children()
    (kind, data), (same, theirs) = (tree.node_data() or (None, None) for tree in (one, other))
    if kind is not same or len(mine) != len(its):
        return False
    is_plain = kind is not None and issubclass(kind, PLAIN)
    return (not is_plain or data == theirs) and all(map(_alike, mine, its))


def _is_none(leaf: Any) -> bool:
    return leaf is None
