"""Programs with every `stop_gradient` passed through, inside loops and calls too."""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun
from jax.extend.core.primitives import copy_p

from backproof.numerics.own_arrays import with_own_arrays
from backproof.numerics.tracing import RULED, float64, inner_programs, with_programs

NAME = "stop_gradient"


def without_stops(f: Callable[..., Any], args: tuple[Any, ...]) -> Callable[..., Any] | None:
    """Return `f`, at the shapes of `args`, with gradients passed through; None if none is stopped."""
    with float64():
        closed, shape = jax.make_jaxpr(with_own_arrays(f), return_shape=True)(*args)
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
        else eqn.replace(params=with_programs(eqn.params, _passing))
        for eqn in jaxpr.eqns
    ]
    return jaxpr.replace(eqns=eqns)


def _mentions(program: ClosedJaxpr | Jaxpr) -> bool:
    jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    return any(
        eqn.primitive.name == NAME
        or (eqn.primitive.name not in RULED and any(map(_mentions, inner_programs(eqn.params))))
        for eqn in jaxpr.eqns
    )
