"""The records that everything else is built on: a differentiable step or a loss, with its backward pass.

A `Rule` maps `x` to `y` with parameters; a `Loss` maps a prediction and a target to one number.
Both are tuples of pure functions, so that composing rules gives a rule again, and nothing here
knows how a rule is checked or trained.
"""

import math
import operator
from collections.abc import Callable
from numbers import Real
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
        name: the name of the rule in reports.
        init: `(key, x) -> (params, y)`; `x` and `y` are pytrees of `jax.ShapeDtypeStruct`.
        forward: `(params, x) -> (y, residuals)`.
        backward: `(params, residuals, delta_y) -> (grads, delta_x)`; `grads` has the tree of
            `params`, `delta_x` that of `x`, with None for a leaf that is not floating.
        domain: the specification of `x`; a `*` axis says that rows along it are independent.
        at_kinks: the slope chosen where the step has no derivative, in words; None if it is smooth.
        parts: the rules that it is composed of.
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
        name: the name of the loss in reports.
        forward: `(prediction, target) -> (value, residuals)`; `value` is a scalar.
        backward: `residuals -> delta_prediction`, the gradient of `value`, with the tree of the prediction.
        domain: the specifications of the prediction and of the target, either of them a pytree.
        at_kinks: the slope chosen where the loss has no derivative, in words; None if it is smooth.
        counted: `(prediction, target) -> number`, the number of samples by which a mean divides; None says
            that it is the product of the leading axes of the prediction.
    """

    name: str
    forward: Callable[[PyTree, PyTree], tuple[jax.Array, PyTree]]
    backward: Callable[[PyTree], PyTree]
    domain: tuple[PyTree, PyTree] = (array("*batch n"), array("*batch n"))
    at_kinks: str | None = None
    counted: Callable[[PyTree, PyTree], jax.Array | int] | None = None


def descend(
    rule: Rule, params: PyTree, residuals: PyTree, delta_y: PyTree, update: Update
) -> tuple[PyTree, PyTree]:
    """Return `(new params, delta_x)`: one step of `update(param, grad) -> param` inside the sweep.

    A rule without its own `descend` takes both derivatives first and then updates (S4.3).
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
    """Return the dtype of parameters: the floating dtype of `x`, or float32 if no leaf is floating."""
    floating = [leaf.dtype for leaf in jax.tree.leaves(x) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.result_type(*floating) if floating else jnp.dtype(jnp.float32)


def require_rule(rule: object, where: str, name: str = "rule") -> None:
    """Raise `UsageError` unless `rule`, called `name` in the text, is a `Rule`."""
    if not isinstance(rule, Rule):
        raise UsageError(
            message(
                must=f"{name} must be a Rule",
                found=repr(rule),
                where=where,
                do="pass e.g. backproof.rules.relu, or what backproof.rules.affine(10) returns",
            )
        )


def require_loss(loss: object, where: str) -> None:
    """Raise `UsageError` unless `loss` is a `Loss`."""
    if not isinstance(loss, Loss):
        raise UsageError(
            message(
                must="loss must be a Loss",
                found=repr(loss),
                where=where,
                do="pass e.g. backproof.losses.half_squared_error",
            )
        )


def require_whole_number(value: object, name: str, where: str, least: int = 1, most: float = math.inf) -> int:
    """Return `value` as an int, or raise `UsageError` unless it is whole and from `least` to `most`."""
    try:
        number = operator.index(value)  # pyright: ignore[reportArgumentType] - a TypeError is expected
    except TypeError:
        number = None
    if number is None or not least <= number <= most:
        limits = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise UsageError(
            message(
                must=f"{name} must be a whole number {limits}",
                found=f"{name}={value!r}",
                where=where,
                do=f"pass such a number, e.g. {name}={least}",
            )
        )
    return number


def require_number(
    value: object, name: str, where: str, limits: str = "", within: Callable[[float], bool] | None = None
) -> float:
    """Return `value` as a float, or raise `UsageError` unless it is finite and `within(value)` holds.

    `limits` says in words what `within` tests, e.g. `"above 0"`.
    """
    number = float(value) if isinstance(value, Real) else math.nan
    if not math.isfinite(number) or not (within is None or within(number)):
        raise UsageError(
            message(
                must=f"{name} must be a finite number {limits}".rstrip(),
                found=f"{name}={value!r}",
                where=where,
                do="pass such a number",
            )
        )
    return number


def require_floating(x: PyTree, where: str, name: str = "x") -> None:
    """Raise `UsageError` unless every leaf of `x`, called `name` in the text, has a floating dtype."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(x):
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise UsageError(
                message(
                    must=f"{'the input' if name == 'x' else name} must be floating",
                    found=f"{name}{jax.tree_util.keystr(path)} of dtype {jnp.result_type(leaf)}",
                    where=where,
                    do=f"convert it first, e.g. {name}.astype(jnp.float32)",
                )
            )


def require_shape(
    leaf: jax.Array | jax.ShapeDtypeStruct, expected: tuple[int, ...], where: str, name: str, do: str
) -> None:
    """Raise `UsageError`, advising `do`, unless `leaf`, called `name` in the text, has this shape."""
    if jnp.shape(leaf) != expected:
        raise UsageError(
            message(
                must=f"{name} must have shape {expected}",
                found=f"{name}.shape={jnp.shape(leaf)}",
                where=where,
                do=do,
            )
        )


def sample_count(domain: Specification, shape: tuple[int, ...]) -> int:
    """Return the number of samples in an array of `shape`: the product of its `*` axes."""
    return math.prod(bind(domain, shape, {}).get(domain.batch_name or "", ()))
