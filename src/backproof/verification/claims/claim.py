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
from backproof.numerics.leaves import PyTree, is_inexact
from backproof.rule import Loss, Rule, descend
from backproof.verification.claims.static_arguments import StaticArguments
from backproof.verification.points.draws import SEEDS, Drawn, FromArguments, Points, drawn
from backproof.verification.points.sizes import menu
from backproof.verification.points.values import STYLES, Style

Argnums = int | Sequence[int] | None


class Claim(NamedTuple):
    """Holds a derivative to be checked.

    Attributes:
        name: what reports call it.
        primal: the function whose derivative it is, of the argument tuple.
        hand: `(args, direction) -> result`, the derivative written by hand.
        truth: `(args, direction) -> result`, the same from autodiff of the primal.
        forward: whether the direction is a tangent of the arguments (a jvp) or a cotangent of the
            result (a vjp).
        points: where it can be tried.
        at_kinks: the slope chosen where there is no derivative, in words.
        value: what the rule itself returns as the value; None where it returns none of its own.
        descent: a rule's update inside the sweep, and the two-phase step it must equal.
        rule: the rule that is claimed, so that its layers can be looked at one by one.
        call: Python that gives the result by hand from `args` and `cotangent`; empty where there is none.
        ruled: the function with a rule of its own, if it is one, so that parts of its pullback can be asked.
    """

    name: str
    primal: Callable[..., PyTree]
    hand: Callable[[tuple[PyTree, ...], PyTree], PyTree]
    truth: Callable[[tuple[PyTree, ...], PyTree], PyTree]
    forward: bool
    points: Points
    at_kinks: str | None = None
    value: Callable[..., PyTree] | None = None
    descent: tuple[Callable[..., PyTree], Callable[..., PyTree]] | None = None
    rule: Rule | None = None
    call: str = ""
    ruled: Callable[..., PyTree] | None = None

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
    """Return the claim of a loss: `backward` is the gradient of the value in the prediction."""
    reference = of or (lambda prediction, target: loss.forward(prediction, target)[0])

    def hand(args: tuple[PyTree, ...], scale: PyTree) -> PyTree:
        _, residuals = loss.forward(*args)
        return (jax.tree.map(lambda g: g * jnp.asarray(scale, g.dtype), loss.backward(residuals)), None)

    points = FromArguments(loss.domain)
    truth = pullback(reference, (0,))
    value = (lambda prediction, target: loss.forward(prediction, target)[0]) if of else None
    return Claim(loss.name, reference, hand, truth, False, points, loss.at_kinks, value)


def of_vjp(
    of: Callable[..., PyTree], vjp: Callable[..., PyTree], held: StaticArguments, argnums: Argnums
) -> Claim:
    """Return the claim that `vjp(args, cotangent)` is the pullback of `of`; None stands for zero.

    With `argnums`, the other arguments are not differentiated, and their cotangents not looked at.
    """
    primal, chosen = _called(of, held), held.positions(argnums)

    def hand(values: tuple[PyTree, ...], cotangent: PyTree) -> PyTree:
        found = held.without(vjp(held.merged(values), cotangent))
        if not isinstance(found, tuple | list) or len(found) != len(values):
            return found  # not the tree of the arguments: the contract says so
        pairs = enumerate(zip(found, values, strict=True))
        return tuple(_no_none(g, v) if chosen is None or i in chosen else None for i, (g, v) in pairs)

    points, call = points_of(held.args, of), _call(vjp, "{}(args, cotangent)", "vjp", held)
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

    return Claim(name_of(grad), primal, hand, pullback(primal, chosen), False, points_of(held.args, of))


def of_jvp(of: Callable[..., PyTree], jvp: Callable[..., PyTree], held: StaticArguments) -> Claim:
    """Return the claim that `jvp(args, tangents)` is the tangent of `of`; static arguments have None."""
    primal, nothing = _called(of, held), StaticArguments(dict.fromkeys(held.values), held.args)

    def hand(values: tuple[PyTree, ...], tangents: PyTree) -> PyTree:
        return jvp(held.merged(values), nothing.merged(tangents))

    def truth(values: tuple[PyTree, ...], tangents: PyTree) -> PyTree:
        return jax.jvp(primal, values, jax.tree.map(_tangent, values, tangents))[1]

    points, call = points_of(held.args, of), _call(jvp, "{}(args, cotangent)", "jvp", held)
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
        return jax.vjp(ruled, *values)[0]  # taken through the rule's own forward

    chosen = held.positions(argnums)
    return Claim(
        name_of(fn),
        primal,
        pullback(ruled, chosen),
        pullback(primal, chosen),
        False,
        points_of(held.args, plain),
        value=value,
        call=_call(fn, "jax.vjp({}, *args)[1](cotangent)", "fn", held),
        ruled=ruled,
    )


def _called(function: Any, held: StaticArguments) -> Callable[..., PyTree]:
    """Return `function` of the arguments that are not static."""
    return (lambda *values: function(*held.merged(values))) if held.values else function


def pullback(of: Callable[..., PyTree], wrt: Sequence[int] | None = None) -> Callable[..., PyTree]:
    """Return `(args, cotangent) -> cotangents`, one entry for each argument, by autodiff of `of`.

    An argument outside `wrt`, and every leaf that is not differentiable, has None.
    """

    def truth(args: tuple[PyTree, ...], cotangent: PyTree) -> PyTree:
        chosen = range(len(args)) if wrt is None else wrt
        leaves, tree = jax.tree.flatten(tuple(args[i] for i in chosen))
        active = [i for i, leaf in enumerate(leaves) if is_inexact(leaf)]

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


def points_of(
    args: Any,
    of: Callable[..., PyTree],
    *,
    styles: Sequence[Style] = STYLES,
    sizes_of: Callable[[list[Specification]], list[dict[str, Any]]] = menu,
    in_turn: bool = True,
) -> Points:
    """Return the points that `args` stands for.

    Args:
        args: a list with a specification, or an example array or pytree, for each argument; or a
            strategy that draws the whole tuple; or None where `of` carries jaxtyping annotations.
        of: the function whose annotations are read.
        styles: the kinds of numbers that are drawn.
        sizes_of: gives the sizes that are tried for the names in the specifications.
        in_turn: whether the styles follow one another; otherwise the seed of a block chooses.
    """
    if args is None:
        args = from_annotations(of)
    if isinstance(args, st.SearchStrategy):
        return Points(st.tuples(args, SEEDS).map(_as_drawn))
    if not isinstance(args, list | tuple):
        raise UsageError(
            message(
                must="args must be a list, one entry for each argument",
                found=repr(args),
                where="verify",
                do="write e.g. args=[backproof.array('b n'), backproof.array('n')]",
            )
        )
    return FromArguments(tuple(args), styles=styles, sizes_of=sizes_of, in_turn=in_turn)


def _as_drawn(pair: tuple[Any, int]) -> list[Drawn]:
    values, seed = tuple(pair[0]), pair[1]
    return [drawn(lambda: values, values, seed)]


def _params_like(rule: Rule, x: PyTree) -> PyTree:
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), x)
    return jax.eval_shape(lambda key: rule.init(key, like)[0], jax.random.key(0))


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
    return "" if held.values else form.format(name if name.isidentifier() else otherwise)


def name_of(fn: Any) -> str:
    """Return what reports call a function."""
    return getattr(fn, "__name__", None) or getattr(getattr(fn, "fun", None), "__name__", None) or repr(fn)
