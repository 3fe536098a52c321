"""The contract of a derivative: the tree, shapes and dtypes of what it must return."""

from typing import Any

import jax
import jax.numpy as jnp

from backproof.verification.claim import Claim

Broken = tuple[str, str]


def broken_contract(claim: Claim, args: tuple[Any, ...]) -> Broken | None:
    """Return the cause and its sentence if the result is not of the form of the gradient, else None.

    Both sides are traced at the dtypes of `args` as they were drawn, and nothing is computed.
    """
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)), args)
    like = claim.direction_like(shapes)
    wanted = jax.eval_shape(claim.truth, shapes, like)
    try:
        found = jax.eval_shape(claim.hand, shapes, like)
    except Exception as error:
        return "contract-raises", f"the hand-written side raises {type(error).__name__}: {error}"
    tree, expected = jax.tree.structure(found), jax.tree.structure(wanted)
    if tree != expected:
        return "contract-tree", f"the result has the tree {tree}, the gradient {expected}"
    pairs = zip(jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(wanted), strict=True)
    for (path, mine), true in pairs:
        for what in ("shape", "dtype"):
            if getattr(mine, what) != getattr(true, what):
                where = f"result{jax.tree_util.keystr(path)}"
                return (
                    f"contract-{what}",
                    f"{where} has {what} {getattr(mine, what)}, the gradient {getattr(true, what)}",
                )
    return None
