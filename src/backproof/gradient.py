"""The value and its gradient, the function that an optimizer needs, made from a rule and a loss."""

from collections.abc import Callable

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
