"""The contract of a derivative: the tree, shapes and dtypes of what it must return."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.errors import UsageError, message
from backproof.verification.claim import Claim
from backproof.verification.noise import AGREES_WITHIN, units
from backproof.verification.oracles import Point, Runner

Broken = tuple[str, str]


def broken_contract(claim: Claim, args: tuple[Any, ...]) -> Broken | None:
    """Return the cause and its sentence if the result is not of the form of the gradient, else None.

    Both sides are traced at the dtypes of `args` as they were drawn, and nothing is computed.

    Raises:
        UsageError: the primal cannot be differentiated by autodiff.
    """
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)), args)
    like = claim.direction_like(shapes)
    try:
        wanted = jax.eval_shape(claim.truth, shapes, like)
    except Exception as error:
        raise UsageError(
            message(
                must="jax must be able to differentiate the function itself, to which the rule is held",
                found=f"{type(error).__name__}: {error}".splitlines()[0],
                where=claim.name,
                do="pass of=the same function in plain jax.numpy",
            )
        ) from error
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


def no_such_function(claim: Claim, args: tuple[Any, ...], shapes: str, error: Exception) -> UsageError:
    """Return what is said of a primal that raised `error` in float64: does it run in its own dtypes?"""
    said, where = f"{type(error).__name__}: {error}", f"{claim.name} at {shapes}"
    try:
        claim.direction_like(args)
    except Exception:  # in its own dtypes neither: it is not the precision
        return UsageError(
            message(
                must="the function must accept the arguments that are specified",
                found=said,
                where=where,
                do="mend the specification or the function",
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


def missing_sum(runner: Runner, point: Point) -> Broken | None:
    """Return the cause if the result is the gradient before its sum over a broadcast axis, else None."""
    hand, truth = runner.hand(point), runner.truth(point)
    if jax.tree.structure(hand.value) != jax.tree.structure(truth.value):
        return None
    named = None
    with_path = jax.tree_util.tree_leaves_with_path(hand.value)
    rest = zip(
        jax.tree.leaves(hand.noise), jax.tree.leaves(truth.value), jax.tree.leaves(truth.noise), strict=True
    )
    for (path, mine), (own, true, noise) in zip(with_path, rest, strict=True):
        if np.shape(mine) == np.shape(true):
            continue
        summed, spread = (_summed_to(np.shape(true), np.asarray(value)) for value in (mine, own))
        if summed is None or spread is None or np.any(units(summed, true, noise + spread) > AGREES_WITHIN):
            return None
        where = f"result{jax.tree_util.keystr(path)}"
        named = "missing-sum", f"{where} is not summed over the axes along which its argument was broadcast"
    return named


def _summed_to(shape: tuple[int, ...], value: np.ndarray) -> np.ndarray | None:
    """Return `value` summed over what broadcasting added to `shape`; None if it is no such shape."""
    if value.ndim < len(shape):
        return None
    value = value.sum(axis=tuple(range(value.ndim - len(shape))))
    stretched = tuple(i for i, (n, k) in enumerate(zip(value.shape, shape, strict=True)) if k == 1 < n)
    value = value.sum(axis=stretched, keepdims=True)
    return value if value.shape == shape else None
