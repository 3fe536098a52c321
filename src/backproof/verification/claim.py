"""What is claimed: a derivative written by hand, the function it belongs to, and where both live.

Every way into the verifier (a `Rule`, a `Loss`, a hand vjp, grad or jvp, a function that carries its
own rule) becomes one `Claim`: two functions of the same arguments and the same direction, `hand` and
`truth`, which must give the same tree.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from backproof.arguments import Specification, from_annotations
from backproof.errors import UsageError, message
from backproof.rule import Loss, Rule
from backproof.verification.points import Drawn, from_examples, from_specifications

PyTree = Any


class Claim(NamedTuple):
    """Holds a derivative to be checked.

    Attributes:
        name: what reports call it.
        primal: the function whose derivative it is, of the argument tuple.
        hand: `(args, direction) -> result`, the derivative written by hand.
        truth: `(args, direction) -> result`, the same from autodiff of the primal.
        forward: whether the direction is a tangent of the arguments (a jvp) or a cotangent of the
            result (a vjp).
        points: the strategy that draws argument tuples.
        at_kinks: the slope chosen where there is no derivative, in words.
    """

    name: str
    primal: Callable[..., PyTree]
    hand: Callable[[tuple[PyTree, ...], PyTree], PyTree]
    truth: Callable[[tuple[PyTree, ...], PyTree], PyTree]
    forward: bool
    points: st.SearchStrategy[Drawn]
    at_kinks: str | None = None

    def direction_like(self, args: tuple[PyTree, ...]) -> PyTree:
        """Return shapes and dtypes of the direction at `args`."""
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)), args)
        return shapes if self.forward else jax.eval_shape(self.primal, *shapes)


def of_rule(rule: Rule, of: Callable[..., PyTree] | None) -> Claim:
    """Return the claim of a rule: `backward` is the vjp of `forward`, or of the reference `of`."""
    reference = of or (lambda params, x: rule.forward(params, x)[0])

    def hand(args: tuple[PyTree, ...], delta_y: PyTree) -> PyTree:
        params, x = args
        _, residuals = rule.forward(params, x)
        return rule.backward(params, residuals, delta_y)

    points = from_specifications(rule.domain, lambda x: (_params_like(rule, x), x))
    truth = pullback(reference, (0, 1))
    return Claim(rule.name, reference, hand, truth, forward=False, points=points, at_kinks=rule.at_kinks)


def of_loss(loss: Loss, of: Callable[..., PyTree] | None) -> Claim:
    """Return the claim of a loss: `backward` is the gradient of the value in the prediction."""
    reference = of or (lambda prediction, target: loss.forward(prediction, target)[0])

    def hand(args: tuple[PyTree, ...], scale: PyTree) -> PyTree:
        _, residuals = loss.forward(*args)
        return (jax.tree.map(lambda g: g * jnp.asarray(scale, g.dtype), loss.backward(residuals)), None)

    points = from_specifications(loss.domain, tuple)
    return Claim(
        loss.name,
        reference,
        hand,
        pullback(reference, (0,)),
        forward=False,
        points=points,
        at_kinks=loss.at_kinks,
    )


def of_vjp(of: Callable[..., PyTree], vjp: Callable[..., PyTree], args: Any) -> Claim:
    """Return the claim that `vjp(args, cotangent)` is the pullback of `of`; None stands for zero."""

    def hand(values: tuple[PyTree, ...], cotangent: PyTree) -> PyTree:
        found = vjp(values, cotangent)
        if not isinstance(found, tuple | list) or len(found) != len(values):
            return found  # not the tree of the arguments: the contract says so
        return tuple(_no_none(g, value) for g, value in zip(found, values, strict=True))

    return Claim(_name(vjp), of, hand, pullback(of), forward=False, points=points_of(args, of))


def of_grad(
    of: Callable[..., PyTree], grad: Callable[..., PyTree], args: Any, argnums: int | Sequence[int] | None
) -> Claim:
    """Return the claim that `grad(*args)` is the gradient of the scalar `of`, as `jax.grad` gives it."""
    chosen = (0,) if argnums is None else (argnums,) if isinstance(argnums, int) else tuple(argnums)
    single = argnums is None or isinstance(argnums, int)

    def hand(values: tuple[PyTree, ...], scale: PyTree) -> PyTree:
        found = grad(*values)
        by_argument = dict(zip(chosen, (found,) if single else found, strict=True))
        scaled = {i: jax.tree.map(lambda g: g * scale, g) for i, g in by_argument.items()}
        return tuple(scaled.get(i) for i in range(len(values)))

    return Claim(_name(grad), of, hand, pullback(of, chosen), forward=False, points=points_of(args, of))


def of_jvp(of: Callable[..., PyTree], jvp: Callable[..., PyTree], args: Any) -> Claim:
    """Return the claim that `jvp(args, tangents)` is the tangent of `of`."""

    def truth(values: tuple[PyTree, ...], tangents: PyTree) -> PyTree:
        return jax.jvp(of, values, jax.tree.map(_tangent, values, tangents))[1]

    return Claim(_name(jvp), of, jvp, truth, forward=True, points=points_of(args, of))


def of_function(fn: Callable[..., PyTree], of: Callable[..., PyTree] | None, args: Any) -> Claim:
    """Return the claim of a function with a rule of its own (`jax.custom_vjp`, `jax.custom_jvp`).

    Raises:
        UsageError: it has no rule of its own, so there is nothing written by hand to check.
    """
    inner = getattr(fn, "fun", None) if isinstance(fn, jax.custom_vjp | jax.custom_jvp) else None
    primal = of or inner
    if primal is None:
        raise UsageError(
            message(
                must="the first argument must carry a gradient of its own "
                "(a Rule, a Loss, a jax.custom_vjp or a jax.custom_jvp)",
                found=repr(fn),
                where="verify",
                do="pass of=the function and vjp=, grad= or jvp=the hand-written derivative",
            )
        )
    return Claim(
        _name(fn), primal, pullback(fn), pullback(primal), forward=False, points=points_of(args, primal)
    )


def pullback(of: Callable[..., PyTree], wrt: Sequence[int] | None = None) -> Callable[..., PyTree]:
    """Return `(args, cotangent) -> cotangents`, one entry for each argument, by autodiff of `of`.

    An argument outside `wrt`, and every leaf that is not differentiable, has None.
    """

    def truth(args: tuple[PyTree, ...], cotangent: PyTree) -> PyTree:
        chosen = range(len(args)) if wrt is None else wrt
        leaves, tree = jax.tree.flatten(tuple(args[i] for i in chosen))
        active = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)]

        def of_active(*values: Any) -> PyTree:
            filled = list(leaves)
            for i, value in zip(active, values, strict=True):
                filled[i] = value
            full = dict(zip(chosen, tree.unflatten(filled), strict=True))
            return of(*(full.get(i, arg) for i, arg in enumerate(args)))

        _, pull = jax.vjp(of_active, *(leaves[i] for i in active))
        found: list[Any] = [None] * len(leaves)
        for i, g in zip(active, pull(cotangent), strict=True):
            found[i] = g
        by_argument = dict(zip(chosen, tree.unflatten(found), strict=True))
        return tuple(by_argument.get(i) for i in range(len(args)))

    return truth


def points_of(args: Any, of: Callable[..., PyTree]) -> st.SearchStrategy[Drawn]:
    """Return the strategy that `args` stands for.

    Args:
        args: specifications, example arrays or pytrees (shapes kept, values varied), a strategy that
            draws the whole tuple, or None where `of` carries jaxtyping annotations.
        of: the function whose annotations are read.
    """
    if args is None:
        args = from_annotations(of)
    if isinstance(args, st.SearchStrategy):
        return args.map(lambda values: Drawn(tuple(values), 0))
    if not isinstance(args, list | tuple):
        raise UsageError(
            message(
                must="args must be a list, one entry for each argument",
                found=repr(args),
                where="verify",
                do="write e.g. args=[backproof.array('b n'), backproof.array('n')]",
            )
        )
    if all(isinstance(arg, Specification) for arg in args):
        return from_specifications(tuple(args), tuple)
    return from_examples(tuple(args))


def _params_like(rule: Rule, x: PyTree) -> PyTree:
    return jax.eval_shape(lambda key: rule.init(key, x)[0], jax.random.key(0))


def _no_none(cotangent: PyTree, value: PyTree) -> PyTree:
    if cotangent is not None:
        return cotangent
    floating = [jnp.issubdtype(jnp.result_type(leaf), jnp.inexact) for leaf in jax.tree.leaves(value)]
    return jax.tree.map(jnp.zeros_like, value) if any(floating) else None


def _tangent(value: Any, tangent: Any) -> Any:
    if jnp.issubdtype(jnp.result_type(value), jnp.inexact):
        return tangent
    return np.zeros(jnp.shape(value), jax.dtypes.float0)


def _name(fn: Any) -> str:
    return getattr(fn, "__name__", None) or getattr(getattr(fn, "fun", None), "__name__", None) or repr(fn)
