"""The primal as JAX can differentiate it: as it is, or NumPy code run on arrays of JAX."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from backproof.errors import UsageError, message
from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import PyTree, widen
from backproof.verification.claims.by_point import primal_by_point, runs_by_point
from backproof.verification.claims.host import is_host
from backproof.verification.claims.names import name_of
from backproof.verification.claims.numpy_code import is_numpy_code
from backproof.verification.claims.numpy_in_jax import numpy_in_jax
from backproof.verification.claims.same_values import apart
from backproof.verification.claims.samples import copied, example, shapes
from backproof.verification.points.draws import Points

Function = Callable[..., PyTree]


class Primal(NamedTuple):
    """Holds the primal, and the same function for autodiff at one point at a time, if it needs that."""

    function: Function
    by_point: Function | None = None


def primal_of(function: Function, held: Callable[[Function], Function], points: Points) -> Primal:
    """Return the primal as a function of the arguments that are not static.

    Args:
        function: the caller's function.
        held: makes of a function one of the arguments that are not static.
        points: where it is tried.

    Raises:
        UsageError: it is NumPy code that cannot be run on arrays of JAX, or is another function there.
    """
    args = example(points)
    plain = held(function)
    if args is None:
        return Primal(plain)
    if not is_host(function):
        try:
            jax.eval_shape(plain, *shapes(args))
        except Exception as error:
            # What a function of JAX raises is reported where it is judged.
            if not is_numpy_code(function, error):
                return Primal(plain)
        else:
            return Primal(plain)
    traced = held(numpy_in_jax(function))
    draws = [one for one in points.plain() if not one.empty]
    places = [args, *(one.build() for one in draws[1 : EFFORT.generic + 1])]
    found = apart(_in_numpy(plain), traced, map(widen, places))
    if found is None:
        return Primal(traced)
    whole = primal_by_point(plain, points)
    if runs_by_point(whole, traced, widen(args)):
        return Primal(whole, traced)
    raise _untraceable(name_of(function), found)


def _in_numpy(function: Function) -> Function:
    """Return a function that calls NumPy code with arrays that it may overwrite."""
    return lambda *args: jax.tree.map(np.asarray, function(*copied(args)))


def _untraceable(name: str, found: str) -> UsageError:
    return UsageError(
        message(
            must="a function in NumPy must run on arrays of JAX as well, by which it is differentiated",
            found=found,
            where=name,
            do="write of= with jax.numpy, without functions that JAX lacks",
        )
    )
