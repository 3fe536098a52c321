"""What others call, made from a rule or a loss: the value with its gradient, and a `jax.custom_vjp`."""

from collections.abc import Callable
from typing import Any

import jax

from backproof.rule import Loss, PyTree, Rule, require_loss, require_rule


def value_and_grad(rule: Rule, loss: Loss) -> Callable[[PyTree, PyTree, PyTree], tuple[jax.Array, PyTree]]:
    """Return `f(params, x, target) -> (value, grads)`, with the hand-written gradient.

    It equals `jax.value_and_grad(lambda p, x, t: loss.forward(rule.forward(p, x)[0], t)[0])`
    without using autodiff; `grads` has the tree of `params`, so any optax optimizer takes it.

    Raises:
        UsageError: `rule` is not a rule, or `loss` is not a loss.
    """
    require_rule(rule, "value_and_grad")
    require_loss(loss, "value_and_grad")

    def hand_value_and_grad(params: PyTree, x: PyTree, target: PyTree) -> tuple[jax.Array, PyTree]:
        y, residuals = rule.forward(params, x)
        value, loss_residuals = loss.forward(y, target)
        grads, _ = rule.backward(params, residuals, loss.backward(loss_residuals))
        return value, grads

    return hand_value_and_grad


def as_custom_vjp(rule: Rule | Loss) -> Any:
    """Return the forward pass as a `jax.custom_vjp`, to be called and differentiated in any JAX program.

    Of a rule it is `f(params, x) -> y`, of one without parameters too (they are `()`); of a loss it is
    `f(prediction, target) -> value`. `jax.grad` runs the backward pass written by hand. The target of a loss
    is a constant to it, as under `jax.lax.stop_gradient`.

    Raises:
        UsageError: `rule` is neither a rule nor a loss.
    """
    if isinstance(rule, Loss):

        def value(prediction: PyTree, target: PyTree) -> jax.Array:
            return rule.forward(prediction, target)[0]

        def value_and_kept(prediction: PyTree, target: PyTree) -> tuple[jax.Array, PyTree]:
            J, residuals = rule.forward(prediction, target)
            return J, (residuals, _without_numbers(prediction))

        def by_prediction(kept: PyTree, delta: jax.Array) -> tuple[PyTree, None]:
            residuals, form = kept
            return _in_form(form, _times(delta, rule.backward(residuals))), None

        return _with(value, value_and_kept, by_prediction, rule)
    require_rule(rule, "as_custom_vjp", "the argument")

    def output(params: PyTree, x: PyTree) -> PyTree:
        return rule.forward(params, x)[0]

    def forward(params: PyTree, x: PyTree) -> tuple[PyTree, PyTree]:
        y, residuals = rule.forward(params, x)
        return y, (params, residuals, _without_numbers(x))

    def backward(kept: PyTree, delta_y: PyTree) -> tuple[PyTree, PyTree]:
        params, residuals, form = kept
        grads, delta_x = rule.backward(params, residuals, _none_for_float0(delta_y))
        return grads, _in_form(form, delta_x)

    return _with(output, forward, backward, rule)


def _with(primal: Callable[..., Any], forward: Any, backward: Any, rule: Rule | Loss) -> Any:
    primal.__name__ = primal.__qualname__ = rule.name
    f = jax.custom_vjp(primal)
    f.defvjp(forward, backward)
    return f


def _none_for_float0(delta: PyTree) -> PyTree:
    """Return the cotangents with None for what is not floating, as rules take them; JAX has float0 there."""
    return jax.tree.map(lambda leaf: None if leaf.dtype == jax.dtypes.float0 else leaf, delta)


def _without_numbers(x: PyTree) -> PyTree:
    """Return the containers of x, with None for each array."""
    return jax.tree.map(lambda _: None, x)


def _in_form(form: PyTree, delta: PyTree) -> PyTree:
    """Return the leaves of `delta` in the containers of x: JAX asks for a list where x is one."""
    leaves = jax.tree.leaves(delta, is_leaf=lambda leaf: leaf is None)
    return jax.tree.structure(form, is_leaf=lambda leaf: leaf is None).unflatten(leaves)


def _times(delta: jax.Array, gradient: PyTree) -> PyTree:
    """Return ∂L/∂value times the gradient of the value."""
    return jax.tree.map(lambda leaf: delta.astype(leaf.dtype) * leaf, gradient)
