"""The claims of rules and losses: `backward` is the pullback of `forward`, or of a reference."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from backproof.errors import UsageError, message
from backproof.numerics.leaves import PyTree
from backproof.rule import Loss, Rule, descend
from backproof.verification.claims.calls import LOSS, RULE
from backproof.verification.claims.claim import Claim, pullback
from backproof.verification.points.from_arguments import FromArguments


def of_rule(rule: Rule, of: Callable[..., PyTree] | None) -> Claim:
    """Return the claim of a rule: `backward` is the vjp of `forward`, or of the reference `of`."""
    reference = of or (lambda params, x: rule.forward(params, x)[0])

    def hand(args: tuple[PyTree, ...], delta_y: PyTree) -> PyTree:
        params, x = args
        _, residuals = rule.forward(params, x)
        return rule.backward(params, residuals, delta_y)

    points, notes = _points(rule)
    truth = pullback(reference, (0, 1))
    value = (lambda params, x: rule.forward(params, x)[0]) if of else None
    claim = Claim(rule.name, reference, hand, truth, False, points, rule.at_kinks, value, notes=notes)
    return claim._replace(descent=_descent(rule), rule=rule, call=RULE)


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
    return Claim(loss.name, reference, hand, truth, False, points, loss.at_kinks, value, call=LOSS)


def _points(rule: Rule) -> tuple[FromArguments, tuple[str, ...]]:
    """Return the points of a rule, and a note on shapes at which its parameters do not exist.

    Where `init` raises at an empty axis, that shape is left out. An `init` that raises `UsageError` refuses a
    shape that the rule is not for.

    Raises:
        UsageError: `init` raises another error although no axis is empty.
    """
    failed: list[tuple[PyTree, Exception]] = []

    def arrange(x: PyTree) -> tuple[PyTree, ...]:
        like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), x)
        try:
            return jax.eval_shape(lambda key: rule.init(key, like)[0], jax.random.key(0)), x
        except UsageError:
            raise
        except Exception as error:
            # Code of the caller may raise anything; what it means is decided below, by the shape.
            failed.append((like, error))
            raise _no_parameters(rule, like, error) from error

    points = FromArguments(rule.domain, arrange)
    points.plain()  # asks for the parameters at every size of the menu
    for like, error in failed:
        if not any(0 in leaf.shape for leaf in jax.tree.leaves(like)):
            raise _no_parameters(rule, like, error) from error
    if not failed:
        return points, ()
    shapes = ", ".join(_shapes(like) for like, _ in failed)
    return points, (f"init raises {_said(failed[0][1])} at {shapes}, which was left out",)


def _no_parameters(rule: Rule, like: PyTree, error: Exception) -> UsageError:
    return UsageError(
        message(
            must="init must return parameters and the shape of y for every x in the domain",
            found=_said(error),
            where=f"{rule.name}.init at {_shapes(like)}",
            do="mend init, or narrow domain= to the shapes that the rule is for",
        )
    )


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _shapes(like: PyTree) -> str:
    return " ".join(f"{leaf.dtype}{list(leaf.shape)}" for leaf in jax.tree.leaves(like))
