"""What a claim can be tried with before it is verified: one argument tuple, its shapes, copies of it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.errors import UsageError
from backproof.numerics.leaves import PyTree, dtype_of, is_complex, is_floating, is_key
from backproof.verification.points.draws import Points
from backproof.verification.points.hypothesis_draws import draw


def example(points: Points) -> tuple[PyTree, ...] | None:
    """Return one argument tuple without an empty axis; None where there is none."""
    try:
        drawn = points.plain() or draw(points, 1, 0, "verify")
    except UsageError:
        return None  # nothing satisfies the specification, which is reported where the points are drawn
    return next((one.build() for one in drawn if not one.empty), None)


def shapes(tree: PyTree) -> PyTree:
    """Return the shapes and dtypes of arguments, or of directions, as JAX holds them now."""
    return jax.tree.map(_shape, tree)


def copied(tree: PyTree) -> PyTree:
    """Return a tree of NumPy arrays that may be overwritten."""
    return jax.tree.map(lambda leaf: leaf if is_key(leaf) else np.array(leaf), tree)


def cast(result: PyTree, like: PyTree) -> PyTree:
    """Return real and complex leaves in the dtypes of `like`, where it has the same tree."""
    found, tree = jax.tree.flatten(result)
    if tree != jax.tree.structure(like):
        return result
    return tree.unflatten([_cast(v, w) for v, w in zip(found, jax.tree.leaves(like), strict=True)])


def _cast(value: Any, like: Any) -> Any:
    same_kind = any(kind(value) and kind(like) for kind in (is_floating, is_complex))
    with np.errstate(all="ignore"):
        return value.astype(dtype_of(like)) if same_kind else value


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    dtype = jnp.result_type(leaf)
    as_it_is = dtype == jax.dtypes.float0 or jnp.issubdtype(dtype, jax.dtypes.extended)
    return jax.ShapeDtypeStruct(np.shape(leaf), dtype if as_it_is else jax.dtypes.canonicalize_dtype(dtype))
