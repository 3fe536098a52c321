"""The noun of the library: a differentiable step together with its hand-written backward pass.

A `Rule` maps `x` to `y` with parameters; a `Loss` maps a prediction and a target to one number.
Both are tuples of pure functions, so that composing rules gives a rule again, and nothing here
knows how a rule is checked or trained.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from backproof.arguments import Specification, array, bind
from backproof.errors import UsageError, message

PyTree = Any
Update = Callable[[jax.Array, jax.Array], jax.Array]


class Rule(NamedTuple):
    """Holds one differentiable step: forward, and backward written by hand.

    The promise is `backward(params, residuals, delta_y) == (∂L/∂params, ∂L/∂x)` whenever
    `delta_y = ∂L/∂y`, for every scalar L of y. Leading batch axes of `x` are carried through, and
    gradients of parameters are summed over them.

    Attributes:
        name: how reports call the rule.
        init: `(key, x) -> (params, y)`; `x` and `y` are pytrees of `jax.ShapeDtypeStruct`.
        forward: `(params, x) -> (y, residuals)`.
        backward: `(params, residuals, delta_y) -> (grads, delta_x)`; `grads` has the tree of
            `params`, `delta_x` that of `x`, with None for a leaf that is not floating.
        domain: what `x` may be; a `*` axis says that rows along it are independent.
        at_kinks: the slope chosen where the step has no derivative, in words; None if it is smooth.
        parts: the rules that it was composed of.
        descend: `(params, residuals, delta_y, update) -> (params, delta_x)`: the update inside the
            sweep; None means backward first, then update.
    """

    name: str
    init: Callable[[jax.Array, PyTree], tuple[PyTree, PyTree]]
    forward: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]]
    backward: Callable[[PyTree, PyTree, PyTree], tuple[PyTree, PyTree]]
    domain: PyTree = array("*batch n")
    at_kinks: str | None = None
    parts: tuple["Rule", ...] = ()
    descend: Callable[[PyTree, PyTree, PyTree, Update], tuple[PyTree, PyTree]] | None = None


class Loss(NamedTuple):
    """Holds a scalar loss of a prediction and a target, and its gradient written by hand.

    A bare loss is the SUM over leading axes, as the documents write it; `backproof.losses.mean`
    divides by the number of samples.

    Attributes:
        name: how reports call the loss.
        forward: `(prediction, target) -> (value, residuals)`; `value` is a scalar.
        backward: `residuals -> delta_prediction`, the gradient of `value`.
        domain: what `(prediction, target)` may be.
        at_kinks: the slope chosen where the loss has no derivative, in words; None if it is smooth.
    """

    name: str
    forward: Callable[[PyTree, PyTree], tuple[jax.Array, PyTree]]
    backward: Callable[[PyTree], PyTree]
    domain: tuple[Specification, Specification] = (array("*batch n"), array("*batch n"))
    at_kinks: str | None = None


def descend(
    rule: Rule, params: PyTree, residuals: PyTree, delta_y: PyTree, update: Update
) -> tuple[PyTree, PyTree]:
    """Return `(new params, delta_x)`: one step of `update(param, grad) -> param` inside the sweep.

    A rule that has no `descend` of its own takes both derivatives first and updates then (S4.3).
    """
    if rule.descend is not None:
        return rule.descend(params, residuals, delta_y, update)
    grads, delta_x = rule.backward(params, residuals, delta_y)
    return jax.tree.map(update, params, grads), delta_x


def no_params(key: jax.Array, x: PyTree) -> tuple[tuple[()], PyTree]:
    """Initialise a rule without parameters whose output has the shape of its input."""
    del key
    return (), x


def parameter_dtype(x: PyTree) -> jnp.dtype:
    """Return the floating dtype of `x`, which parameters take; float32 if no leaf is floating."""
    floating = [leaf.dtype for leaf in jax.tree.leaves(x) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.result_type(*floating) if floating else jnp.dtype(jnp.float32)


def require_floating(x: PyTree, where: str) -> None:
    """Raise `UsageError` unless every leaf of `x` has a floating dtype."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(x):
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise UsageError(
                message(
                    must="the input must be floating",
                    found=f"x{jax.tree_util.keystr(path)} of dtype {jnp.result_type(leaf)}",
                    where=where,
                    do="convert it first, e.g. x.astype(jnp.float32)",
                )
            )


def require_shape(
    leaf: jax.Array | jax.ShapeDtypeStruct, expected: tuple[int, ...], where: str, name: str
) -> None:
    """Raise `UsageError` unless `leaf.shape == expected`."""
    if jnp.shape(leaf) != expected:
        raise UsageError(
            message(
                must=f"{name} must have shape {expected}",
                found=f"{name}.shape={jnp.shape(leaf)}",
                where=where,
                do="initialise the parameters for this input with rule.init(key, x)",
            )
        )


def sample_count(domain: Specification, shape: tuple[int, ...]) -> int:
    """Return the number of samples in an array of `shape`: the product of its `*` axes."""
    return math.prod(bind(domain, shape, {}).get(domain.batch_name or "", ()))
