"""`stop_gradient` in a primal: its author's convention where it changes the derivative, nothing elsewhere.

JAX's own softmax holds one that changes nothing, so that there is one says little. The primal is
differentiated once more with every `stop_gradient` passed through; what differs then is a convention.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun
from jax.extend.core.primitives import copy_p

from backproof.verification.claim import Claim, pullback
from backproof.verification.judge import Outcome, judge_alone
from backproof.verification.noise import measure
from backproof.verification.oracles import Point, Runner
from backproof.verification.second_order import second_order
from backproof.verification.tracing import float64, inner_programs
from backproof.verification.vote import reference_in_doubt

NAME = "stop_gradient"
# A function with a rule of its own is differentiated by that rule, whatever its body holds.
RULED = frozenset({"custom_jvp_call", "custom_vjp_call"})


def explains_doubt(runner: Runner, points: Sequence[Point]) -> bool:
    """Return whether differences agree with autodiff at `points` once no gradient is stopped."""
    for point in points:
        passing = without_stops(runner.claim, point)
        if passing is None:
            return False
        wrt = [i for i, part in enumerate(runner.truth(point).value) if part is not None]
        if reference_in_doubt(runner, point, measure(pullback(passing, wrt), *point).value):
            return False
    return True


def matters_at_second_order(claim: Claim, place: Point) -> bool:
    """Return whether autodiff gives another second derivative at `place` once no gradient is stopped.

    Args:
        claim: the first derivative.
        place: a point of the second one, as `second_order.probe` makes it.
    """
    passing = without_stops(claim, Point(place.args, place.direction[0]))
    if passing is None:
        return False
    with float64():
        gradient = jax.eval_shape(claim.truth, place.args, place.direction[0])
    wrt = [i for i, part in enumerate(gradient) if part is not None]
    both = second_order(claim._replace(hand=pullback(passing, wrt)))
    return judge_alone(Runner(both), place).outcome is not Outcome.AGREES


def without_stops(claim: Claim, point: Point) -> Callable[..., Any] | None:
    """Return the primal, at the shapes of `point`, with gradients passed through; None if none is stopped."""
    with float64():
        closed, shape = jax.make_jaxpr(claim.primal, return_shape=True)(*point.args)
    if not _mentions(closed.jaxpr):
        return None
    passing = jaxpr_as_fun(ClosedJaxpr(_passing(closed.jaxpr), closed.consts))
    tree = jax.tree.structure(shape)
    return lambda *args: tree.unflatten(passing(*jax.tree.leaves(args)))


def _passing(jaxpr: Jaxpr) -> Jaxpr:
    """Return the program with a copy in the place of every `stop_gradient`, inside loops and calls too."""
    eqns = [
        eqn.replace(primitive=copy_p, params={})
        if eqn.primitive.name == NAME
        else eqn
        if eqn.primitive.name in RULED
        else eqn.replace(params={key: _changed(value) for key, value in eqn.params.items()})
        for eqn in jaxpr.eqns
    ]
    return jaxpr.replace(eqns=eqns)


def _changed(value: Any) -> Any:
    if isinstance(value, ClosedJaxpr):
        return ClosedJaxpr(_passing(value.jaxpr), value.consts)
    if isinstance(value, Jaxpr):
        return _passing(value)
    plain = type(value) in (tuple, list)
    return type(value)(_changed(one) for one in value) if plain else value


def _mentions(program: ClosedJaxpr | Jaxpr) -> bool:
    jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    return any(
        eqn.primitive.name == NAME
        or (eqn.primitive.name not in RULED and any(map(_mentions, inner_programs(eqn.params))))
        for eqn in jaxpr.eqns
    )
