"""The claims of rules and losses: `backward` is the pullback of `forward`, or of a reference."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from backproof.numerics.leaves import PyTree
from backproof.rule import Loss, Rule, descend
from backproof.verification.claims.claim import Claim, pullback
from backproof.verification.points.from_arguments import FromArguments


def of_rule(rule: Rule, of: Callable[..., PyTree] | None) -> Claim:
    """Return the claim of a rule: `backward` is the vjp of `forward`, or of the reference `of`."""
    reference = of or (lambda params, x: rule.forward(params, x)[0])

    def hand(args: tuple[PyTree, ...], delta_y: PyTree) -> PyTree:
        params, x = args
        _, residuals = rule.forward(params, x)
        return rule.backward(params, residuals, delta_y)

    points = FromArguments(rule.domain, lambda x: (_params_like(rule, x), x))
    truth = pullback(reference, (0, 1))
    value = (lambda params, x: rule.forward(params, x)[0]) if of else None
    call = "rule.backward(args[0], rule.forward(*args)[1], cotangent)"
    return Claim(
        rule.name, reference, hand, truth, False, points, rule.at_kinks, value, _descent(rule), rule, call
    )


def _descent(rule: Rule) -> tuple[Callable[..., PyTree], Callable[..., PyTree]] | None:
    """Return the update inside the sweep and the two-phase step, if the rule has an update of its own."""
    if rule.descend is None:
        return None

    def update(param: jax.Array, grad: jax.Array) -> jax.Array:
        return param - 0.5 * grad

    def in_sweep(args: tuple[PyTree, ...], delta_y: PyTree) -> PyTree:
        params, x = args
        return descend(rule, params, rule.forward(params, x)[1], delta_y, update)

    def two_phase(args: tuple[PyTree, ...], delta_y: PyTree) -> PyTree:
        params, x = args
        grads, delta_x = rule.backward(params, rule.forward(params, x)[1], delta_y)
        return jax.tree.map(update, params, grads), delta_x

    return in_sweep, two_phase


def of_loss(loss: Loss, of: Callable[..., PyTree] | None) -> Claim:
    """Return the claim of a loss: `backward` is the gradient of the value with respect to the prediction."""
    reference = of or (lambda prediction, target: loss.forward(prediction, target)[0])

    def hand(args: tuple[PyTree, ...], scale: PyTree) -> PyTree:
        _, residuals = loss.forward(*args)
        return (jax.tree.map(lambda g: g * jnp.asarray(scale, g.dtype), loss.backward(residuals)), None)

    points = FromArguments(loss.domain)
    truth = pullback(reference, (0,))
    value = (lambda prediction, target: loss.forward(prediction, target)[0]) if of else None
    return Claim(loss.name, reference, hand, truth, False, points, loss.at_kinks, value)


def _params_like(rule: Rule, x: PyTree) -> PyTree:
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), x)
    return jax.eval_shape(lambda key: rule.init(key, like)[0], jax.random.key(0))
