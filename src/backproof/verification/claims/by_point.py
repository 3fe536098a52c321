"""NumPy code that decides by values, as `if x[i] > 0`: JAX differentiates it at one point at a time.

It is run on arrays of JAX that are not traced into a program, so that it can look at their numbers. Both the
function and its derivative are single operations of a program.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from backproof.numerics.comparison import difference
from backproof.numerics.leaves import PyTree, is_inexact
from backproof.numerics.noise import measure
from backproof.numerics.tracing import float64
from backproof.verification.claims.one_operation import one_operation
from backproof.verification.claims.samples import copied, shapes
from backproof.verification.points.draws import Points

NOTE = (
    "the function is NumPy code that decides by values: autodiff runs at one point at a time, "
    "and no precision but float64 was judged"
)
Function = Callable[..., PyTree]


def primal_by_point(function: Function, points: Points) -> Function:
    """Return a function in NumPy as one operation."""

    def called(args: Any, towards: Any) -> PyTree:
        del towards
        with np.errstate(all="ignore"):
            return jax.tree.map(np.asarray, function(*copied(args)))

    def form(args: Any, towards: Any) -> PyTree:
        return shapes(called(jax.tree.map(_numbers, args), towards))

    whole = one_operation(called, form, points)
    return lambda *args: whole(args, ())


def derivative_by_point(truth: Function, form: Function, points: Points) -> Function:
    """Return a derivative by autodiff as one operation.

    Args:
        truth: the derivative, a function of arguments and direction.
        form: gives the form of its result.
        points: where it is tried.
    """
    return one_operation(lambda args, towards: jax.device_get(truth(args, towards)), form, points)


def runs_by_point(primal: Function, traced: Function, args: tuple[Any, ...]) -> bool:
    """Return whether code run on arrays of JAX has the values of the code itself at `args`."""
    with float64():
        try:
            found = jax.device_get(traced(*args))
        except Exception:
            # Code that was not written for arrays of JAX may raise anything.
            return False
    wanted = measure(primal, *args)
    if jax.tree.map(np.shape, found) != jax.tree.map(np.shape, wanted.value):
        return False
    entry = difference(found, wanted)
    return entry is None or not np.isfinite(entry.truth)


def _numbers(leaf: Any) -> Any:
    """Return some numbers of the shape of a leaf."""
    return np.full(leaf.shape, 0.5, leaf.dtype) if is_inexact(leaf) else np.zeros(leaf.shape, leaf.dtype)
