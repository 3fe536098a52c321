"""The claims of functions: a pullback, a gradient or a tangent by hand, or a function with its own rule."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.errors import UsageError, message
from backproof.numerics.leaves import PyTree, is_inexact
from backproof.verification.claims.claim import Claim, name_of, pullback
from backproof.verification.claims.static_arguments import StaticArguments
from backproof.verification.points.domain import domain_of

Argnums = int | Sequence[int] | None


def of_vjp(
    of: Callable[..., PyTree], vjp: Callable[..., PyTree], held: StaticArguments, argnums: Argnums
) -> Claim:
    """Return the claim that `vjp(args, cotangent)` is the pullback of `of`; None stands for zero.

    With `argnums`, the other arguments are not differentiated, and their cotangents are ignored.
    """
    primal, chosen = _called(of, held), held.positions(argnums)

    def hand(values: tuple[PyTree, ...], cotangent: PyTree) -> PyTree:
        found = held.without(vjp(held.merged(values), cotangent))
        if not isinstance(found, tuple | list) or len(found) != len(values):
            return found  # it has not the tree of the arguments, which the contract reports
        pairs = enumerate(zip(found, values, strict=True))
        return tuple(_no_none(g, v) if chosen is None or i in chosen else None for i, (g, v) in pairs)

    points, call = domain_of(held.args, of), _call(vjp, "{}(args, cotangent)", "vjp", held)
    return Claim(name_of(vjp), primal, hand, pullback(primal, chosen), False, points, call=call)


def of_grad(
    of: Callable[..., PyTree], grad: Callable[..., PyTree], held: StaticArguments, argnums: Argnums
) -> Claim:
    """Return the claim that `grad(*args)` is the gradient of the scalar `of`, as `jax.grad` gives it."""
    primal = _called(of, held)
    single = argnums is None or isinstance(argnums, int)
    chosen = held.positions(0 if argnums is None else argnums) or ()

    def hand(values: tuple[PyTree, ...], scale: PyTree) -> PyTree:
        found = grad(*held.merged(values))
        by_argument = dict(zip(chosen, (found,) if single else found, strict=True))
        scaled = {i: jax.tree.map(lambda g: g * scale, g) for i, g in by_argument.items()}
        return tuple(scaled.get(i) for i in range(len(values)))

    return Claim(name_of(grad), primal, hand, pullback(primal, chosen), False, domain_of(held.args, of))


def of_jvp(of: Callable[..., PyTree], jvp: Callable[..., PyTree], held: StaticArguments) -> Claim:
    """Return the claim that `jvp(args, tangents)` is the tangent of `of`; None at static arguments."""
    primal, nothing = _called(of, held), StaticArguments(dict.fromkeys(held.values), held.args)

    def hand(values: tuple[PyTree, ...], tangents: PyTree) -> PyTree:
        return jvp(held.merged(values), nothing.merged(tangents))

    def truth(values: tuple[PyTree, ...], tangents: PyTree) -> PyTree:
        return jax.jvp(primal, values, jax.tree.map(_tangent, values, tangents))[1]

    points, call = domain_of(held.args, of), _call(jvp, "{}(args, cotangent)", "jvp", held)
    return Claim(name_of(jvp), primal, hand, truth, True, points, call=call)


def of_function(
    fn: Callable[..., PyTree], of: Callable[..., PyTree] | None, held: StaticArguments, argnums: Argnums
) -> Claim:
    """Return the claim of a function with a rule of its own (`jax.custom_vjp`, `jax.custom_jvp`).

    Raises:
        UsageError: it has no rule of its own, so there is nothing written by hand to check.
    """
    own = (fn, getattr(fn, "__wrapped__", None) if isinstance(fn, jax.stages.Wrapped) else None)
    inner = next((one.fun for one in own if isinstance(one, jax.custom_vjp | jax.custom_jvp)), None)
    if of is None and inner is None:
        raise UsageError(
            message(
                must="the first argument must carry a gradient of its own "
                "(a Rule, a Loss, a jax.custom_vjp or a jax.custom_jvp)",
                found=repr(fn),
                where="verify",
                do="pass of=the function and vjp=, grad= or jvp=the hand-written derivative",
            )
        )
    plain: Any = of or inner
    primal, ruled = _called(plain, held), _called(fn, held)

    def value(*values: PyTree) -> PyTree:
        return jax.vjp(ruled, *values)[0]  # jax.vjp runs the rule's own forward

    chosen = held.positions(argnums)
    return Claim(
        name_of(fn),
        primal,
        pullback(ruled, chosen),
        pullback(primal, chosen),
        False,
        domain_of(held.args, plain),
        value=value,
        call=_call(fn, "jax.vjp({}, *args)[1](cotangent)", "fn", held),
        ruled=ruled,
    )


def _called(function: Any, held: StaticArguments) -> Callable[..., PyTree]:
    """Return `function` as a function of the arguments that are not static."""
    return function if held.are_none else lambda *values: function(*held.merged(values))


def _no_none(cotangent: PyTree, value: PyTree) -> PyTree:
    if cotangent is not None:
        return cotangent
    return jax.tree.map(jnp.zeros_like, value) if any(map(is_inexact, jax.tree.leaves(value))) else None


def _tangent(value: Any, tangent: Any) -> Any:
    if is_inexact(value):
        return tangent
    return np.zeros(jnp.shape(value), jax.dtypes.float0)


def _call(fn: Any, form: str, otherwise: str, held: StaticArguments) -> str:
    """Return Python that calls `fn`; empty where it needs static arguments, which a report does not show."""
    name = name_of(fn)
    return "" if not held.are_none else form.format(name if name.isidentifier() else otherwise)
