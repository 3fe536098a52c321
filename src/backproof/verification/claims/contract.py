"""The contract of a derivative: the tree, shapes and dtypes that its result must have."""

from typing import Any

import jax
import jax.numpy as jnp

from backproof.errors import UsageError, message
from backproof.numerics.leaves import leaves_with_paths
from backproof.numerics.tracing import form_of
from backproof.verification.claims.claim import Claim

Broken = tuple[str, str]


def broken_contract(claim: Claim, args: tuple[Any, ...]) -> Broken | None:
    """Return the cause and its sentence if the result has another form than the gradient, else None.

    Both sides are traced at the dtypes of `args` as they were drawn, and nothing is computed.

    Raises:
        UsageError: the primal cannot be differentiated by autodiff.
    """
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)), args)
    like = claim.direction_like(shapes)
    try:
        wanted = form_of(claim.truth, shapes, like)
    except Exception as error:
        raise UsageError(
            message(
                must="jax must be able to differentiate the function that the rule is compared with",
                found=f"{type(error).__name__}: {error}".splitlines()[0],
                where=claim.name,
                do="pass of=the same function in plain jax.numpy",
            )
        ) from error
    try:
        found = form_of(claim.hand, shapes, like)
    except Exception as error:
        return "contract-raises", f"the hand-written side raises {type(error).__name__}: {error}"
    tree, expected = jax.tree.structure(found), jax.tree.structure(wanted)
    if tree != expected:
        return "contract-tree", f"the result has the tree {tree} where the gradient has {expected}"
    pairs = zip(leaves_with_paths(found), jax.tree.leaves(wanted), strict=True)
    for (path, mine), true in pairs:
        for what in ("shape", "dtype"):
            if getattr(mine, what) != getattr(true, what):
                where = f"result{path}"
                return (
                    f"contract-{what}",
                    f"{where} has {what} {getattr(mine, what)} where the gradient has {getattr(true, what)}",
                )
    return None


def no_such_function(claim: Claim, args: tuple[Any, ...], shapes: str, error: Exception) -> UsageError:
    """Return the error for a primal that raised `error` in float64, by whether its own dtypes work."""
    said, where = f"{type(error).__name__}: {error}", f"{claim.name} at {shapes}"
    try:
        claim.direction_like(args)
    except Exception:  # it does not run in its own dtypes either
        return UsageError(
            message(
                must="the function must accept the arguments that are specified",
                found=said,
                where=where,
                do="mend the specification or the function",
            )
        )
    if claim.by_point:
        return UsageError(
            message(
                must="the function must run wherever its gradient is checked",
                found=said.splitlines()[0],
                where=f"the function of {where}",
                do="narrow the specification of its arguments (low=, high=, where=), or mend the function",
            )
        )
    return UsageError(
        message(
            must="the function must also run in float64, in which formulas are judged",
            found=said,
            where=where,
            do="take dtypes from the arguments: x.dtype, or jnp.zeros_like(x), in place of jnp.float32",
        )
    )
