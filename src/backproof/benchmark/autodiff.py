"""A rule and a loss whose backward passes are autodiff's, to compare with the hand-written ones."""

import jax
import jax.numpy as jnp

from backproof.rule import Loss, PyTree, Rule


def rule_by_autodiff(rule: Rule) -> Rule:
    """Return `rule` with `jax.vjp` of its forward pass in place of the hand-written backward pass."""

    def forward(params: PyTree, x: PyTree) -> tuple[PyTree, PyTree]:
        return jax.vjp(lambda params, x: rule.forward(params, x)[0], params, x)

    def backward(params: PyTree, pullback: PyTree, delta_y: PyTree) -> tuple[PyTree, PyTree]:
        return pullback(delta_y)

    return rule._replace(
        name=f"autodiff({rule.name})", forward=forward, backward=backward, parts=(), descend=None
    )


def loss_by_autodiff(loss: Loss) -> Loss:
    """Return `loss` with `jax.vjp` of its value in place of the hand-written gradient."""

    def forward(prediction: PyTree, target: PyTree) -> tuple[jax.Array, PyTree]:
        value, pullback = jax.vjp(lambda prediction: loss.forward(prediction, target)[0], prediction)
        return value, (pullback, jnp.ones_like(value))

    def backward(residuals: PyTree) -> PyTree:
        pullback, one = residuals
        return pullback(one)[0]

    return loss._replace(name=f"autodiff({loss.name})", forward=forward, backward=backward)


def checkpointed(rule: Rule) -> Rule:
    """Return `rule`, for autodiff only, so that it keeps its input and recomputes everything else."""

    def forward(params: PyTree, x: PyTree) -> tuple[PyTree, tuple[()]]:
        return jax.checkpoint(lambda params, x: rule.forward(params, x)[0])(params, x), ()

    return rule._replace(name=f"checkpoint({rule.name})", forward=forward, parts=())
