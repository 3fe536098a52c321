"""A rule and a loss whose backward passes are autodiff's: the other side wherever a `Rule` is asked for."""

import jax
import jax.numpy as jnp

from backproof.rule import Loss, PyTree, Rule


def rule_by_autodiff(rule: Rule) -> Rule:
    """Return `rule` with `jax.vjp` of its forward pass in place of what is written by hand."""

    def forward(params: PyTree, x: PyTree) -> tuple[PyTree, PyTree]:
        return jax.vjp(lambda params, x: rule.forward(params, x)[0], params, x)

    def backward(params: PyTree, pullback: PyTree, delta_y: PyTree) -> tuple[PyTree, PyTree]:
        return pullback(delta_y)

    return rule._replace(
        name=f"autodiff({rule.name})", forward=forward, backward=backward, parts=(), descend=None
    )


def loss_by_autodiff(loss: Loss) -> Loss:
    """Return `loss` with `jax.vjp` of its value in place of what is written by hand."""

    def forward(prediction: PyTree, target: PyTree) -> tuple[jax.Array, PyTree]:
        value, pullback = jax.vjp(lambda prediction: loss.forward(prediction, target)[0], prediction)
        return value, (pullback, jnp.ones_like(value))

    def backward(residuals: PyTree) -> PyTree:
        pullback, one = residuals
        return pullback(one)[0]

    return loss._replace(name=f"autodiff({loss.name})", forward=forward, backward=backward)


def checkpointed(rule: Rule) -> Rule:
    """Return `rule` for autodiff alone, which keeps its input and computes the rest again."""

    def forward(params: PyTree, x: PyTree) -> tuple[PyTree, tuple[()]]:
        return jax.checkpoint(lambda params, x: rule.forward(params, x)[0])(params, x), ()

    return rule._replace(name=f"checkpoint({rule.name})", forward=forward, parts=())
