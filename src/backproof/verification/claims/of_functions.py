"""The claims of functions: a pullback, a gradient or a tangent by hand, or a function with its own rule."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.errors import UsageError, message
from backproof.numerics.inner_rules import places_of_rules, without_rules
from backproof.numerics.leaves import PyTree, is_inexact
from backproof.verification.claims.beside import computes_in_long_double
from backproof.verification.claims.by_differences import NOTE as BY_DIFFERENCES
from backproof.verification.claims.by_differences import Differences
from backproof.verification.claims.by_point import NOTE as BY_POINT
from backproof.verification.claims.by_point import derivative_by_point
from backproof.verification.claims.calls import call_of_function, call_of_grad, call_of_jvp, call_of_vjp
from backproof.verification.claims.claim import Claim, pullback
from backproof.verification.claims.host import NOTE, Derivative, host_code, traceable
from backproof.verification.claims.names import name_of
from backproof.verification.claims.primal import Primal, primal_of
from backproof.verification.claims.results import conformed
from backproof.verification.claims.samples import example, shapes
from backproof.verification.claims.static_arguments import StaticArguments
from backproof.verification.points.domain import domain_of
from backproof.verification.points.draws import Points

Argnums = int | Sequence[int] | None


def of_vjp(
    of: Callable[..., PyTree], vjp: Callable[..., PyTree], held: StaticArguments, argnums: Argnums
) -> Claim:
    """Return the claim that `vjp(args, cotangent)` is the pullback of `of`; None stands for zero.

    With `argnums`, the other arguments are not differentiated, and their cotangents are ignored.
    """
    points, chosen = domain_of(held.args, of), held.positions(argnums)
    given = primal_of(of, held.left_out_of, points)
    primal = given.function

    def called(function: Any, values: tuple[PyTree, ...], cotangent: PyTree) -> PyTree:
        return held.without(function(held.merged(values), cotangent))

    def formed(found: PyTree, values: tuple[PyTree, ...], cotangent: PyTree) -> PyTree:
        del cotangent
        if not isinstance(found, tuple | list) or len(found) != len(values):
            return found  # it has not the tree of the arguments, which the contract reports
        pairs = enumerate(zip(found, values, strict=True))
        return tuple(conformed(g, v) if chosen is None or i in chosen else None for i, (g, v) in pairs)

    derivative = Derivative(vjp, called, formed, _like_arguments(chosen))
    claim = Claim(name_of(vjp), primal, derivative.function(), pullback(primal, chosen), False, points)
    claim = _by_point(claim, given, chosen)._replace(call=call_of_vjp(vjp, held))
    return _on_host(claim, derivative)


def of_grad(
    of: Callable[..., PyTree], grad: Callable[..., PyTree], held: StaticArguments, argnums: Argnums
) -> Claim:
    """Return the claim that `grad(*args)` is the gradient of the scalar `of`, as `jax.grad` gives it."""
    points = domain_of(held.args, of)
    given = primal_of(of, held.left_out_of, points)
    primal = given.function
    single = argnums is None or isinstance(argnums, int)
    chosen = held.positions(0 if argnums is None else argnums) or ()

    def called(function: Any, values: tuple[PyTree, ...], scale: PyTree) -> PyTree:
        del scale
        return function(*held.merged(values))

    def formed(found: PyTree, values: tuple[PyTree, ...], scale: PyTree) -> PyTree:
        by_argument = dict(zip(chosen, (found,) if single else found, strict=True))
        fitting = {i: conformed(g, values[i]) for i, g in by_argument.items()}
        scaled = {i: jax.tree.map(lambda g: g * scale, g) for i, g in fitting.items()}
        return tuple(scaled.get(i) for i in range(len(values)))

    derivative = Derivative(grad, called, formed, _like_arguments(chosen))
    claim = Claim(name_of(grad), primal, derivative.function(), pullback(primal, chosen), False, points)
    call = call_of_grad(grad, held, chosen, single=single)
    return _on_host(_by_point(claim, given, chosen)._replace(call=call), derivative)


def of_jvp(of: Callable[..., PyTree], jvp: Callable[..., PyTree], held: StaticArguments) -> Claim:
    """Return the claim that `jvp(args, tangents)` is the tangent of `of`; None at static arguments."""
    points, nothing = domain_of(held.args, of), StaticArguments(dict.fromkeys(held.values), held.args)
    given = primal_of(of, held.left_out_of, points)
    primal = given.function

    def called(function: Any, values: tuple[PyTree, ...], tangents: PyTree) -> PyTree:
        return function(held.merged(values), nothing.merged(tangents))

    def truth(values: tuple[PyTree, ...], tangents: PyTree) -> PyTree:
        return jax.jvp(primal, values, jax.tree.map(_tangent, values, tangents))[1]

    derivative = Derivative(
        jvp, called, lambda found, *_: found, lambda values, _: jax.eval_shape(primal, *shapes(values))
    )
    claim = Claim(name_of(jvp), primal, derivative.function(), truth, True, points)
    if given.by_point or given.untraceable:
        raise UsageError(
            message(
                must="a function whose tangent is checked must be one that JAX can trace",
                found=given.untraceable or "NumPy code that decides by values",
                where=name_of(of),
                do="write of= with jax.numpy, or check the pullback",
            )
        )
    return _on_host(claim._replace(call=call_of_jvp(jvp, held)), derivative)


def of_function(
    fn: Callable[..., PyTree], of: Callable[..., PyTree] | None, held: StaticArguments, argnums: Argnums
) -> Claim:
    """Return the claim of a function with a rule of its own (`jax.custom_vjp`, `jax.custom_jvp`).

    Raises:
        UsageError: it has no rule of its own, so there is nothing written by hand to check.
    """
    rule, bound = own_rule(fn)
    plain: Any = of or (_with_bound(rule.fun, bound) if rule else fn)
    points, ruled = domain_of(held.args, plain), held.left_out_of(fn)
    inside = () if rule else _inside(fn, of, ruled, points)
    given = primal_of(plain, held.left_out_of, points) if of or rule else Primal(without_rules(ruled))
    primal = given.function

    def value(*values: PyTree) -> PyTree:
        return jax.vjp(ruled, *values)[0]  # jax.vjp runs the rule's own forward

    chosen = _differentiated(rule, fn, held, argnums)
    claim = Claim(
        name_of(fn),
        primal,
        pullback(ruled, chosen),
        pullback(primal, chosen),
        False,
        points,
        value=value,
        call=call_of_function(fn, held),
        ruled=ruled,
        inside=inside,
    )
    return _by_point(claim, given, chosen)


def _inside(fn: Any, of: Any, ruled: Callable[..., PyTree], points: Points) -> tuple[str, ...]:
    """Return where the functions with a rule of their own are defined that a function calls.

    Raises:
        UsageError: it calls none and has no plain function, so that there is nothing by hand to check.
    """
    args = example(points)
    if args is None:
        return ()
    try:
        found = places_of_rules(ruled, *shapes(args))
    except Exception as error:
        if of is not None:
            return ()  # what it raises is reported where it is judged
        raise UsageError(
            message(
                must="the function must accept the arguments that are specified",
                found=f"{type(error).__name__}: {error}".splitlines()[0],
                where=name_of(fn),
                do="mend the specification or the function",
            )
        ) from error
    if not found and of is None:
        raise UsageError(
            message(
                must="the first argument must carry a gradient of its own "
                "(a Rule, a Loss, a jax.custom_vjp or a jax.custom_jvp), or call such a function",
                found=repr(fn),
                where="verify",
                do="pass of=the function and vjp=, grad= or jvp=the hand-written derivative",
            )
        )
    return tuple(dict.fromkeys(found))


def _with_bound(function: Any, bound: functools.partial[Any]) -> Any:
    """Return a function with the arguments that are bound in a partial; itself where there are none."""
    given = bound.args or bound.keywords
    return functools.partial(function, *bound.args, **bound.keywords) if given else function


def nondiff_of(fn: Any) -> tuple[int, ...]:
    """Return the positions of the arguments that a function with its own rule does not differentiate."""
    rule, before = own_rule(fn) if callable(fn) else (None, functools.partial(nondiff_of))
    return tuple(i - len(before.args) for i in rule.nondiff_argnums if i >= len(before.args)) if rule else ()


def _differentiated(rule: Any, fn: Any, held: StaticArguments, argnums: Argnums) -> tuple[int, ...] | None:
    """Return which arguments are differentiated; None for all. Those of `nondiff_argnums` never are.

    Raises:
        UsageError: a `custom_vjp` does not differentiate an argument for which there is no single value.
    """
    count = len(held.args) + len(held.values) if isinstance(held.args, list) else None
    drawn = [i for i in nondiff_of(fn) if i not in held.values and (count is None or i < count)]
    if drawn and isinstance(rule, jax.custom_vjp):
        raise UsageError(
            message(
                must="an argument of nondiff_argnums must be given as a value, which is passed on as it is",
                found=f"a specification or a strategy for argument {drawn[0]}",
                where=name_of(fn),
                do="pass args= as a list with the value there, e.g. args=[backproof.array('n'), 1e-6]",
            )
        )
    if not drawn or argnums is not None or count is None:
        return held.positions(argnums)
    return held.positions([i for i in range(count) if i not in drawn and i not in held.values])


def own_rule(fn: Any) -> tuple[Any, functools.partial[Any]]:
    """Return the `custom_vjp` or `custom_jvp` inside a function, or None, and the partial around it."""
    bound = functools.partial(fn)
    inner = bound.func
    if isinstance(inner, jax.stages.Wrapped):
        inner = getattr(inner, "__wrapped__", None)
        deeper = functools.partial(inner) if callable(inner) else bound
        bound = functools.partial(
            deeper.func, *deeper.args, *bound.args, **{**deeper.keywords, **bound.keywords}
        )
        inner = bound.func
    return (inner if isinstance(inner, jax.custom_vjp | jax.custom_jvp) else None), bound


def _by_point(claim: Claim, given: Primal, chosen: Sequence[int] | None) -> Claim:
    """Return `claim`, its autodiff run at one point at a time, or differences in its place, if need be."""
    if given.untraceable:
        return _by_differences(claim, given, chosen)
    if given.by_point is None:
        return claim
    derivative = functools.partial(pullback, wrt=chosen)
    truth = derivative_by_point(given.by_point, derivative, _like_arguments(chosen))
    return claim._replace(truth=truth, by_point=True, notes=(*claim.notes, BY_POINT))


def _by_differences(claim: Claim, given: Primal, chosen: Sequence[int] | None) -> Claim:
    """Return `claim`, the differences of the primal in place of its autodiff."""
    function: Any = given.in_numpy
    differences = Differences(function, _like_arguments(chosen))
    held = "long double" if computes_in_long_double(function, example(claim.points)) else "float64"
    note = BY_DIFFERENCES.format(why=given.untraceable, held=held)
    return claim._replace(
        truth=differences.pullback(), by_point=True, differences=differences, notes=(*claim.notes, note)
    )


def _on_host(claim: Claim, derivative: Derivative) -> Claim:
    """Return `claim`, its derivative called on the host if it is NumPy code."""
    code = host_code(derivative, claim.points, claim.direction_like)
    if code is None:
        return claim
    hand = traceable(code, claim.truth, claim.points, claim.direction_like)
    return claim._replace(hand=hand, host=code, notes=(*claim.notes, NOTE))


def _like_arguments(chosen: Sequence[int] | None) -> Callable[[Any, Any], PyTree]:
    """Return a function of arguments and direction that gives the form of a pullback's result."""

    def like(values: tuple[PyTree, ...], cotangent: PyTree) -> PyTree:
        del cotangent
        wanted = (values[i] if chosen is None or i in chosen else None for i in range(len(values)))
        return tuple(jax.tree.map(lambda leaf: leaf if is_inexact(leaf) else None, one) for one in wanted)

    return like


def _tangent(value: Any, tangent: Any) -> Any:
    if is_inexact(value):
        return tangent
    return np.zeros(jnp.shape(value), jax.dtypes.float0)
